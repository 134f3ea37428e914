"""`as_njit`: a program as a function that code compiled by Numba can call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.api import nopython
from jitgrad.api.entry import Entry
from jitgrad.api.jit import Compiled, jit, parameter_names
from jitgrad.api.points import title
from jitgrad.autodiff.custom import erase
from jitgrad.errors import CountError, DTypeError, TraceError, fail
from jitgrad.frontend.control import converted
from jitgrad.frontend.trace import Result
from jitgrad.ir.node import Graph
from jitgrad.ir.types import float16
from jitgrad.runtime.embedded import Embedded, Slot
from jitgrad.state import state
from jitgrad.tensor import Tensor

NUMBERS = (bool, int, float, np.generic)


def as_njit(fn: Callable, *example_args: Any, also: Sequence[tuple] = ()) -> Callable:
    """`fn` as a function that can be called inside of ``@numba.njit`` code, and from Python.

    fn            a function of Tensors, or what `grad`, `value_and_grad`, `vmap` or `jit` made of
                  one, or a Cell. Loops and branches on its arguments are compiled.
    example_args  NumPy arrays, Tensors, numbers, and tuples of those. They say which dtypes and
                  shapes the function takes; their values do not matter. A Python float stands for
                  float64, an int for int64, and both are arguments, not constants.
    also          tuples of further examples. Each call takes the program that fits: by the types
                  of its arguments when Numba compiles it, by the shapes of arrays when it runs.

    The result is a Numba function of the same parameters. It returns NumPy arrays, numbers for
    results of shape (), and tuples of those, allocates nothing else, runs without Python's lock and
    in several threads at once. Small programs become part of the caller's machine code.

    Tensors and Parameters that `fn` reads from outside have the value that they have at each call.
    Everything else from outside is as it was when `as_njit` was called; Numba treats globals so.
    Code that calls the function cannot be cached by Numba (``cache=True`` warns).

    >>> import numba, numpy as np
    >>> import jitgrad as ms
    >>> slope = ms.as_njit(ms.grad(lambda x: x * ms.ops.sin(x)), 0.0)
    >>> @numba.njit
    ... def newton(x):
    ...     for _ in range(20):
    ...         x -= (x * np.sin(x) - 1.0) / slope(x)
    ...     return x
    >>> round(newton(1.0), 12)
    1.114157140872

    Raises:
        TypeError: an example that is no array and no number; a result that Numba's functions
            cannot return, such as a dict; float16. In Numba's code, while it is compiled:
            arguments of other types (numbers are converted where nothing is lost).
        TraceError: `fn` assigns to Parameters, draws random numbers or prints, or its path depends
            on values in a way that cannot be compiled.
        ValueError: at the call, an array of another shape.
        RuntimeError: at the call, a Parameter is no longer of the type that it had.
    """
    if not isinstance(also, (tuple, list)) or not all(isinstance(e, tuple) for e in also):
        raise fail(
            DTypeError, f"as_njit got also={also!r:.60}", instead="a list of tuples of examples"
        )
    programs = [_program(fn, examples) for examples in (example_args, *also)]
    if len({tuple(face.parameters) for face, _ in programs}) > 1:
        raise fail(CountError, "the examples in `also` are more, or fewer, than the others")
    return nopython.compiled(programs, _python(fn))


def _program(fn: Callable, examples: tuple) -> tuple[nopython.Face, Embedded]:
    """The program for arguments like the examples."""
    leaves, structure = tree.flatten(examples)
    tensors = [_example(x) for x in leaves]
    entry = _traced(fn, tree.unflatten(structure, tensors))
    name = title(fn)
    names = parameter_names(fn, len(examples))
    _check_nest(name, structure, "takes")
    _check_nest(name, entry.traced.structure, "returns")
    results = [_result(name, r) for r in entry.traced.results]
    slots = [_slot(t) for t in entry.traced.captures]
    embedded = Embedded(erase(entry.traced.graph), slots)
    for called in embedded.in_python():
        raise fail(
            TraceError,
            f"{name} cannot be called by Numba",
            why=f"it calls {called}, which runs in Python",
            instead="a function that Numba compiled, in `opaque`",
        )
    face = nopython.Face(
        name if name.isidentifier() else "function",
        names,
        structure,
        tuple([(t.shape, t.dtype.numpy) for t in tensors]),
        entry.traced.structure,
        tuple(results),
        tuple(embedded.program.outputs),
    )
    return face, embedded


def _python(fn: Callable) -> Callable:
    """The same in Python: what a trace, or Numba with its compiler switched off, runs instead."""

    def run(*args: Any) -> Any:
        if state.trace is not None:
            return converted(fn)(*args)
        leaves, structure = tree.flatten(args)
        outcome = jit(fn)(*tree.unflatten(structure, [_example(x) for x in leaves]))
        return tree.map(lambda x: x.asnumpy()[()] if isinstance(x, Tensor) else x, outcome)

    return run


def _example(value: Any) -> Tensor:
    """An example as a Tensor. TypeError if it cannot be an argument."""
    if isinstance(value, Tensor):
        return Tensor._wrap(value._array("an example"))
    if not isinstance(value, (*NUMBERS, np.ndarray)):
        raise fail(
            DTypeError,
            f"as_njit got a {type(value).__name__} among the examples",
            why="arguments of the compiled function are NumPy arrays, numbers and tuples of them",
            instead="functools.partial, or a lambda, to bind what is the same at each call",
        )
    return _supported(Tensor(np.asarray(value)))


def _supported(tensor: Tensor) -> Tensor:
    if tensor.dtype is float16:
        raise fail(DTypeError, "as_njit got float16", why="Numba's functions have no such numbers")
    return tensor


def _traced(fn: Callable, args: tuple) -> Entry:
    """The trace; TraceError if it does more than compute results from arguments."""
    function = fn._function if isinstance(fn, Compiled) else fn
    entry, _ = Compiled(function, _graph, like=fn).entry(args, {})
    traced = entry.traced
    if traced.writes:
        written = [traced.graph.inputs[place].attrs["name"] for _, place in traced.writes]
        reason = f"it assigns to {', '.join(written)}, and Numba's code may run in several threads"
        remedy = "return the new values; with random numbers, pass them as an argument"
    elif traced.effects:
        reason, remedy = "it prints", "return what is to be printed"
    elif traced.conditions is not None or traced.values:
        reason = "which way it goes depends on values, and only one of the ways is compiled"
        remedy = "ops.where, or branches that return values of the same types"
    else:
        return entry
    raise fail(TraceError, f"{title(fn)} cannot be called by Numba", why=reason, instead=remedy)


def _graph(graph: Graph, updates: Mapping[int, int]) -> Any:
    """In the place of an executable: it is not called."""
    return graph


def _check_nest(name: str, structure: tree.Structure, verb: str) -> None:
    if structure.kind not in (None, tuple, type(None)):
        raise fail(
            DTypeError,
            f"{name} {verb} a {structure.kind.__name__}",
            why="functions of Numba take and return arrays, numbers and tuples",
        )
    for child in structure.children:
        _check_nest(name, child, verb)


def _result(name: str, result: Result) -> Any:
    """A result: its position among the outputs, or a number in a list of one."""
    if result.position is not None:
        return result.position
    if not isinstance(result.value, NUMBERS):
        kind = type(result.value).__name__
        raise fail(DTypeError, f"{name} returns a {kind}", why="Numba's functions return numbers")
    return nopython.Constant(result.value)


def _slot(tensor: Tensor) -> Slot:
    """Where a Tensor from outside keeps its value."""
    array = tensor._array("read by compiled code")
    if not array.flags.c_contiguous:
        tensor._data = array = np.ascontiguousarray(array)
    return Slot(tensor, array, tensor._type)
