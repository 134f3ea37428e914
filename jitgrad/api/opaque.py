"""`opaque`: a function of NumPy arrays, or one that Numba compiled, as one step of a program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.api.points import title
from jitgrad.errors import DTypeError, fail
from jitgrad.frontend.dispatch import apply
from jitgrad.frontend.trace import Argument, trace
from jitgrad.ir.types import TensorType
from jitgrad.primitives.opaque import Callee, registered
from jitgrad.primitives.opaque import opaque as opaque_op
from jitgrad.tensor import Tensor

NUMBERS = (bool, int, float, np.generic)


class Opaque:
    """A function that programs call without looking into it. Made by `opaque`."""

    def __init__(self, fn: Callable, like: Callable | None):
        functools.update_wrapper(self, fn, updated=())
        self.__wrapped__ = fn
        self._like = like
        self._calls: dict[tuple[TensorType, ...], tuple[dict[str, Any], bool]] = {}

    def __repr__(self) -> str:
        return f"<opaque {title(self.__wrapped__)}>"

    def __call__(self, *args: Any) -> Any:
        inputs = [self._tensor(i, x) for i, x in enumerate(args)]
        types = tuple([x._type for x in inputs])
        if types not in self._calls:
            self._calls[types] = self._call(types)
        attrs, several = self._calls[types]
        results = apply(opaque_op, *inputs, **attrs)
        return results if several else results[0]

    def _tensor(self, position: int, value: Any) -> Tensor:
        if isinstance(value, Tensor):
            return value
        if not isinstance(value, (*NUMBERS, np.ndarray)):
            raise fail(
                DTypeError,
                f"{self!r} got a {type(value).__name__} as argument {position}",
                why="what goes in are Tensors, arrays and numbers",
                instead="functools.partial, or a closure, to bind what is the same at each call",
            )
        return Tensor(np.asarray(value))

    def _call(self, types: tuple[TensorType, ...]) -> tuple[dict[str, Any], bool]:
        """The attributes of calls on these types, and whether they return a tuple."""
        name = title(self.__wrapped__)
        if self._like is None:
            if not types:
                raise fail(
                    DTypeError,
                    f"{self!r} is called without arguments",
                    why="its result is of the type of the first, if nothing else is said",
                    instead="opaque(…, like=lambda: ops.zeros(shape))",
                )
            return registered(Callee(self.__wrapped__, name, types, types[:1])), False
        like = self._like
        arguments = [Argument(f"x{i}", t) for i, t in enumerate(types)]
        traced = trace(lambda given: like(*given), arguments, f"like_of_{name}")
        nest, several = traced.structure, traced.structure.kind is tuple
        flat = nest.kind is None or (several and all(c.kind is None for c in nest.children))
        if not flat or any(r.position is None for r in traced.results):
            raise fail(
                DTypeError,
                f"`like` of {self!r} did not return a Tensor, or a tuple of Tensors",
                why="it says of which types the results are",
            )
        results = tuple([traced.graph.outputs[r.position].type for r in traced.results])  # type: ignore[index]
        return registered(Callee(self.__wrapped__, name, types, results, several)), several


def opaque(fn: Callable | None = None, *, like: Callable | None = None) -> Any:
    """`fn` as one step of a program: called as it is, not looked into. Also a decorator.

    fn    a function of NumPy arrays and numbers that returns an array or a number, or a tuple of
          them: one that Numba compiled, or any other. It computes the same for the same arguments,
          and may overwrite them: they are copies. A Tensor without axes is a number to it.
    like  a function of the same Tensors that returns Tensors of the results' shapes and dtypes;
          what it computes does not matter, as it is only traced. By default there is one result,
          of the type of the first argument.

    In compiled code, a function of Numba runs without Python, inside of `as_njit` too; any other
    function is called in Python. Under `vmap` it is called for one example after the other. It has
    no derivative: `custom_vjp` and `custom_jvp` give it one.

    >>> import numba, numpy as np
    >>> import jitgrad as ms
    >>> @ms.custom_vjp
    ... @ms.opaque
    ... @numba.njit
    ... def running(x):
    ...     for i in range(1, len(x)):
    ...         x[i] += x[i - 1]
    ...     return x
    >>> running.defbwd(lambda x, out, g: (running(g[::-1])[::-1],))
    >>> ms.value_and_grad(lambda x: (running(x) ** 2).sum())(np.array([1.0, 2.0, 3.0]))
    (np.float64(46.0), array([20., 18., 12.]))

    Raises:
        TypeError: `fn` cannot be called; an argument is no Tensor, array or number; a result is of
            another dtype than was promised; Numba cannot compile `fn` for these types.
        ValueError: a result of another shape; another number of results.
        RuntimeError: it is differentiated; a function of Numba raised an exception.
        Whatever else `fn` raises in Python.
    """
    if fn is None:
        return functools.partial(opaque, like=like)
    if not callable(fn):
        raise fail(DTypeError, f"opaque got a {type(fn).__name__}", why="it takes a function")
    return Opaque(fn, like)
