"""`custom_vjp` and `custom_jvp`: functions with a derivative that their author wrote."""

from __future__ import annotations

import collections
import contextlib
import functools
import inspect
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jitgrad import tree
from jitgrad.api.points import title
from jitgrad.errors import ArgumentError, CountError, DTypeError, SeedError, fail
from jitgrad.frontend import tape
from jitgrad.frontend.control import converted
from jitgrad.frontend.custom import with_custom_vjp
from jitgrad.frontend.dispatch import fill
from jitgrad.frontend.linear import linearize
from jitgrad.state import state
from jitgrad.tensor import Tensor

DEPTH = 3  # derivatives of derivatives by the rules themselves, where those call their function


class _Rules(threading.local):
    """How many rules of each function are running, one inside of another."""

    def __init__(self) -> None:
        self.running: collections.Counter[int] = collections.Counter()


_rules = _Rules()


class _Custom:
    """What both have in common: the function, its signature, and the arguments that are constant to
    every derivative.

    A rule may call its function, whose derivative is then that rule again, and so on: on the tape
    as far as it is asked for, in a trace to a certain depth.
    """

    def __init__(self, fn: Callable, nondiff_argnums: Sequence[int]):
        functools.update_wrapper(self, fn, updated=())
        self.__wrapped__ = fn
        self._nondiff = tuple(nondiff_argnums)
        self._watched: tuple[Callable, ...] = ()  # seen by the guards of compiled functions

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {title(self.__wrapped__)}>"

    def _positional(self, args: tuple, kwargs: dict) -> tuple:
        if not kwargs:
            return args
        bound = inspect.signature(self.__wrapped__).bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise fail(
                DTypeError,
                f"{self!r} got keyword-only arguments {list(bound.kwargs)}",
                instead="positional arguments: its derivative is told by position",
            )
        return bound.args

    def _split(self, args: tuple) -> tuple[tuple, tuple]:
        """The constant arguments, and the others."""
        if any(not 0 <= i < len(args) for i in self._nondiff):
            raise fail(
                ArgumentError,
                f"nondiff_argnums={self._nondiff} of {self!r}, which got {len(args)} arguments",
            )
        constant = tuple([args[i] for i in self._nondiff])
        return constant, tuple([a for i, a in enumerate(args) if i not in self._nondiff])

    def _joined(self, constant: tuple, others: Sequence[Any]) -> list[Any]:
        """All arguments in their order."""
        by_place = dict(zip(self._nondiff, constant, strict=True))
        left = iter(others)
        count = len(constant) + len(others)
        return [by_place[i] if i in by_place else next(left) for i in range(count)]

    def _depth(self) -> int:
        return _rules.running[id(self)]

    @contextlib.contextmanager
    def _ruling(self) -> Iterator[None]:
        _rules.running[id(self)] += 1
        try:
            yield
        finally:
            _rules.running -= collections.Counter({id(self): 1})  # drops what is not running

    def _is_differentiated(self, args: tuple) -> bool:
        if state.trace is not None:
            return self._depth() < DEPTH
        return any(tape.is_tracked(x) for x in tree.flatten(args)[0] if isinstance(x, Tensor))

    def _name(self) -> str:
        return f"the derivative of {title(self.__wrapped__)}"

    def _undefined(self, how: str) -> Exception:
        return fail(DTypeError, f"{self!r} has no derivative yet", instead=how)


class custom_vjp(_Custom):
    """A function whose reverse-mode derivative is given, by one of

    ``f.defvjp(fwd, bwd)``  as in JAX: ``fwd(*args)`` returns the output and what the derivative
        needs, ``bwd(that, cotangent)`` a tuple with one cotangent for each argument. Arguments in
        `nondiff_argnums` come first in `bwd`, and have none.
    ``f.defbwd(bprop)``     as in MindSpore: ``bprop(*args, out, dout)`` returns that tuple.

    It works in both modes, under `jit`, `vmap` and in forward mode, and to any order. None stands
    for a cotangent of zero.

    >>> import jitgrad as ms
    >>> from jitgrad import ops
    >>> @ms.custom_vjp
    ... def clip_gradient(x):
    ...     return x
    >>> clip_gradient.defvjp(lambda x: (x, ()), lambda _, g: (ops.clamp(g, -1.0, 1.0),))
    >>> print(ms.grad(lambda x: clip_gradient(x) * 5.0)(ms.Tensor([1.0, 2.0])))
    [1. 1.]

    TypeError: no derivative was given. ValueError, TypeError, RuntimeError: it returned another
    number of cotangents, or one of another type than its argument.
    """

    def __init__(self, fn: Callable, nondiff_argnums: Sequence[int] = ()):
        if not callable(fn):
            raise fail(DTypeError, f"custom_vjp got a {type(fn).__name__}")
        super().__init__(fn, nondiff_argnums)
        self._fwd: Callable | None = None
        self._bwd: Callable | None = None

    def defvjp(self, fwd: Callable, bwd: Callable) -> None:
        """Give the derivative in two functions."""
        self._fwd, self._bwd, self._watched = fwd, bwd, (fwd, bwd)

    def defbwd(self, bprop: Callable) -> None:
        """Give the derivative in one function of arguments, output and cotangent."""
        self._fwd, self._bwd, self._watched = None, bprop, (bprop,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args = self._positional(args, kwargs)
        if not self._is_differentiated(args):
            return converted(self.__wrapped__)(*args)
        if self._bwd is None:
            raise self._undefined("f.defvjp(fwd, bwd), or f.defbwd(bprop)")
        constant, others = self._split(args)
        if self._fwd is None or self._depth():
            return self._later(constant, others)
        bwd = self._bwd
        out, kept = self._forward(self._joined(constant, others))

        def backward(*values: Any) -> tuple:
            kept, _, dout = values[-3:]
            with self._ruling():
                found = converted(bwd)(*constant, kept, dout)
            return (*_counted(self._name(), found, len(others)), None)

        return with_custom_vjp(lambda *_: out, backward, (*others, kept), self._name())

    def _forward(self, args: Sequence[Any]) -> tuple:
        with self._ruling():
            pair = converted(self._fwd)(*args)  # type: ignore[arg-type]
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise fail(
                CountError,
                f"fwd of {self!r} returned {pair!r:.60}",
                instead="(output, what the derivative needs)",
            )
        return pair

    def _later(self, constant: tuple, others: tuple) -> Any:
        """With nothing kept: by `bprop`; or by both functions, where `fwd` calls the function."""
        bwd, function = self._bwd, self.__wrapped__

        def forward(*values: Any) -> Any:
            return converted(function)(*self._joined(constant, values))

        def backward(*values: Any) -> tuple:
            *given, out, dout = values
            args = self._joined(constant, given)
            if self._fwd is not None:
                _, kept = self._forward(args)
                args = [*constant, kept]
            else:
                args.append(out)
            with self._ruling():
                found = converted(bwd)(*args, dout)  # type: ignore[arg-type]
            return _counted(self._name(), found, len(others))

        return with_custom_vjp(forward, backward, others, self._name())


def _counted(name: str, found: Any, count: int) -> tuple:
    parts = tuple(found) if isinstance(found, (tuple, list)) else (found,)
    if len(parts) != count:
        raise fail(
            CountError,
            f"{name} returned {len(parts)} cotangents for {count} arguments",
            instead="return a tuple with one for each, None for zero",
        )
    return parts


class custom_jvp(_Custom):
    """A function whose forward-mode derivative is given, as in JAX, by one of

    ``f.defjvp(rule)``     ``rule(primals, tangents)`` returns the output and its tangent, which is
        linear in the tangents. Arguments in `nondiff_argnums` come before both.
    ``f.defjvps(*rules)``  for each argument ``rule(tangent, output, *args)``, or None for none.

    The reverse mode transposes it. It works in both modes, under `jit` and `vmap`, to any order.

    >>> import jitgrad as ms
    >>> from jitgrad import ops
    >>> @ms.custom_jvp
    ... def log1pexp(x):
    ...     return ops.log(1.0 + ops.exp(x))
    >>> log1pexp.defjvps(lambda t, out, x: t * (1.0 - 1.0 / (1.0 + ops.exp(x))))
    >>> print(ms.grad(log1pexp)(ms.Tensor([0.0, 100.0])))
    [0.5 1. ]

    TypeError: no derivative was given. ValueError, RuntimeError: it returned something else than an
    output and a tangent of its type.
    """

    def __init__(self, fn: Callable, nondiff_argnums: Sequence[int] = ()):
        if not callable(fn):
            raise fail(DTypeError, f"custom_jvp got a {type(fn).__name__}")
        super().__init__(fn, nondiff_argnums)
        self._rule: Callable | None = None

    def defjvp(self, rule: Callable) -> Callable:
        """Give the derivative in all arguments; also a decorator."""
        self._rule, self._watched = rule, (rule,)
        return rule

    def defjvps(self, *rules: Callable | None) -> None:
        """Give the derivative in each argument by itself."""

        def rule(primals: tuple, tangents: tuple) -> tuple:
            out = converted(self)(*primals)
            pairs = zip(tangents, rules, strict=True)
            parts = [converted(r)(t, out, *primals) for t, r in pairs if r is not None]
            if not parts:
                return out, tree.map(_zeros, out)
            return out, functools.reduce(lambda a, b: tree.map(lambda x, y: x + y, a, b), parts)

        self._rule = rule
        self._watched = tuple([r for r in rules if r is not None])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args = self._positional(args, kwargs)
        if not self._is_differentiated(args):
            return converted(self.__wrapped__)(*args)
        if self._rule is None:
            raise self._undefined("f.defjvp(rule), or f.defjvps(*rules)")
        rule, function = self._rule, self.__wrapped__
        constant, others = self._split(args)

        def forward(*values: Any) -> Any:
            return converted(function)(*self._joined(constant, values))

        def backward(*values: Any) -> tuple:
            *given, out, dout = values
            primals = tuple(given)

            def push(tangents: tuple) -> Any:
                pair = converted(rule)(*constant, primals, tangents)
                if not isinstance(pair, tuple) or len(pair) != 2:
                    raise fail(
                        CountError,
                        f"the rule of {self!r} returned {pair!r:.60}",
                        instead="(output, its tangent)",
                    )
                return pair[1]

            with self._ruling():
                return transposed(push, primals, out, dout, f"the rule of {self!r}")

        return with_custom_vjp(forward, backward, others, self._name())


def transposed(
    rule: Callable[[tuple], Any], primals: tuple, out: Any, dout: Any, name: str
) -> tuple:
    """The cotangents of `primals`, given those of `out`, by a rule for tangents. It is linear in
    them: its own pull, at zero, is the VJP.
    """
    leaves, structure = tree.flatten(primals)
    places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]

    def push(tangents: list[Tensor]) -> list[Tensor]:
        filled: list[Any] = list(leaves)
        for i, t in zip(places, tangents, strict=True):
            filled[i] = t
        return _tangents(out, rule(tree.unflatten(structure, filled)), name)

    _, linear = linearize(push, [_zeros(leaves[i]) for i in places])
    seeds = [x for x in tree.flatten(dout)[0] if isinstance(x, Tensor)]
    found = dict(zip(places, linear.pull(seeds), strict=True))
    return tree.unflatten(structure, [found.get(i) for i in range(len(leaves))])


def _tangents(out: Any, tangent: Any, name: str) -> list[Tensor]:
    """The tangents of the outputs, checked to be of their types."""
    ys = [y for y in tree.flatten(out)[0] if isinstance(y, Tensor)]
    ts = [t for t in tree.flatten(tangent)[0] if isinstance(t, Tensor)]
    if len(ys) != len(ts):
        raise fail(CountError, f"{name} returned {len(ts)} tangents for {len(ys)} outputs")
    for y, t in zip(ys, ts, strict=True):
        if t._type is not y._type:
            raise fail(
                SeedError,
                f"{name} returned a tangent of type {t._type} for an output of type {y._type}",
            )
    return ts


def _zeros(x: Any) -> Any:
    return fill(0, x._type) if isinstance(x, Tensor) else x
