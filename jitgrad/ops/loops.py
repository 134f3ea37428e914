"""Branches and loops as functions, over nests of Tensors."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.errors import ArgumentError, BranchError, CarryError, TraceError, fail
from jitgrad.frontend import regions
from jitgrad.frontend.control import converted
from jitgrad.frontend.dispatch import constant
from jitgrad.ops.indexing import getitem
from jitgrad.ops.joining import stack
from jitgrad.ops.solving import condition
from jitgrad.state import state
from jitgrad.tensor import Tensor

SHORT = 16  # iterations that may be written out, if the body cannot be a loop


def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, *operands: Any) -> Any:
    """``true_fn(*operands)`` if `pred` holds, else ``false_fn(*operands)``; only one of them runs.

    Both return the same nest of Tensors of the same types. `cond(A)` and `cond(A, p)`, with no
    function, are the condition number of matrices (see `linalg.cond`).

    >>> from jitgrad import Tensor, ops
    >>> ops.cond(Tensor(1.0) > 0, lambda x: x * 2, lambda x: -x, Tensor(3.0)).item()
    6.0
    """
    if not callable(true_fn) and false_fn is None:
        return condition(pred, true_fn)
    true_fn, false_fn = converted(true_fn), converted(false_fn)
    if not isinstance(pred, Tensor):
        return (true_fn if pred else false_fn)(*operands)
    leaves, structure = tree.flatten(operands)
    places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
    found: list[tree.Structure] = []

    def flat(function: Callable) -> Callable:
        def call(*tensors: Tensor) -> list[Tensor]:
            filled = list(leaves)
            for i, x in zip(places, tensors, strict=True):
                filled[i] = x
            results, made = tree.flatten(function(*tree.unflatten(structure, filled)))
            found.append(made)
            return [as_tensor(x) for x in results]

        return call

    given = [leaves[i] for i in places]
    results = regions.cond(pred, flat(true_fn), flat(false_fn), given)
    if any(made != found[0] for made in found):
        raise fail(BranchError, "the branches of cond return different nests of values")
    return tree.unflatten(found[0], results)


def while_loop(
    cond_func: Callable, loop_func: Callable, init_val: Any, checkpoint: int | str | None = None
) -> Any:
    """``while cond_func(v): v = loop_func(v)``, from init_val; returns the last v.

    Args:
        init_val: a Tensor, or a nest of them, which `loop_func` returns with the same types.
        checkpoint: how many iterations the gradient computes again at a time, instead of keeping
            records of all of them; "sqrt" chooses. "binomial" keeps 32 states however long the
            loop is, and computes steps as often as that takes: 7 times in 1e7 iterations.

    >>> from jitgrad import Tensor, ops
    >>> ops.while_loop(lambda v: v < 20.0, lambda v: v * 2.0, Tensor(1.5)).item()
    24.0
    """
    nest = _Nest(init_val)
    cond_func, loop_func = converted(cond_func), converted(loop_func)
    if state.trace is None or not nest.tensors:
        value = init_val
        while bool(cond_func(value)):
            value = loop_func(value)
        return value
    results = regions.while_loop(
        lambda *xs: as_tensor(cond_func(nest.filled(xs))),
        lambda *xs: nest.flat(loop_func(nest.filled(xs))),
        nest.tensors,
        checkpoint=checkpoint,
    )
    return nest.filled(results)


def fori_loop(
    lower: Any,
    upper: Any,
    loop_func: Callable,
    init_val: Any,
    unroll: bool = True,
    checkpoint: int | str | None = None,
) -> Any:
    """``for i in range(lower, upper): v = loop_func(i, v)``, from init_val; returns the last v.

    The bounds are ints or scalar Tensors. Compiled, i is a Tensor and the loop a loop, whatever
    `unroll` says; only a few iterations whose body needs the value of i are written out, if it is
    true. `checkpoint` is that of `while_loop`.

    >>> ops.fori_loop(0, 4, lambda i, v: v * 2 + i, Tensor(1.0)).item()
    27.0
    """
    nest = _Nest(init_val)
    loop_func = converted(loop_func)
    static = not (isinstance(lower, Tensor) or isinstance(upper, Tensor))
    if state.trace is None or not nest.tensors:
        value = init_val
        for i in builtins.range(int(lower), int(upper)):
            value = loop_func(i, value)
        return value

    def body(i: Tensor, *xs: Tensor) -> list[Tensor]:
        return nest.flat(loop_func(i, nest.filled(xs)))

    try:
        results = regions.fori(lower, upper, 1, body, nest.tensors, checkpoint=checkpoint)
    except TraceError:
        if not (unroll and static and upper - lower <= SHORT):
            raise
        value = init_val
        for i in builtins.range(lower, upper):
            value = loop_func(i, value)
        return value
    return nest.filled(results)


def scan(
    loop_func: Callable,
    init: Any,
    xs: Any,
    length: int | None = None,
    unroll: bool = True,
    checkpoint: int | str | None = None,
) -> tuple:
    """``for x in xs: carry, y = loop_func(carry, x)``; returns the last carry and all y.

    Args:
        xs: a Tensor whose first axis is run over, a list or tuple, or None with a `length`. The y
            come back stacked, for a list or tuple as a list.
        checkpoint: that of `while_loop`.

    >>> total, sums = ops.scan(lambda c, x: (c + x, c + x), Tensor(0), Tensor([1, 2, 3]))
    >>> total.item(), sums.tolist()
    (6, [1, 3, 6])
    """
    loop_func = converted(loop_func)
    if xs is None and length is None:
        raise fail(ArgumentError, "scan got neither xs nor a length")
    count = len(xs) if xs is not None else length
    assert count is not None
    if length is not None and count < length:
        raise fail(ArgumentError, f"scan got {count} elements for length {length}")
    count = count if length is None else length
    nest = _Nest(init)
    if state.trace is None or isinstance(xs, (list, tuple)) or not nest.tensors:
        return _scan_step_by_step(loop_func, init, xs, count)
    found: list[tree.Structure] = []

    def body(*values: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        part = None if xs is None else values[-1]
        carry, y = loop_func(nest.filled(values[: len(nest.tensors)]), part)
        leaves, made = tree.flatten(y)
        found.append(made)
        return nest.flat(carry), [as_tensor(x) for x in leaves]

    rows = [] if xs is None else [xs if len(xs) == count else getitem(xs, slice(0, count))]
    carry, ys = regions.scan(body, nest.tensors, rows, count, checkpoint=checkpoint)
    return nest.filled(carry), tree.unflatten(found[0], ys)


def _scan_step_by_step(loop_func: Callable, carry: Any, xs: Any, count: int) -> tuple:
    results = []
    for i in builtins.range(count):
        part = None if xs is None else getitem(xs, i) if isinstance(xs, Tensor) else xs[i]
        carry, result = loop_func(carry, part)
        results.append(result)
    if isinstance(xs, (list, tuple)) or not results:
        return carry, results
    columns = zip(*(tree.flatten(r)[0] for r in results))
    stacked = [stack([as_tensor(x) for x in column]) for column in columns]
    return carry, tree.unflatten(tree.flatten(results[0])[1], stacked)


class _Nest:
    """What a loop carries: Tensors in a nest, in which Python numbers become Tensors if traced."""

    def __init__(self, value: Any):
        leaves, self.structure = tree.flatten(value)
        if state.trace is not None:
            leaves = [as_tensor(x) if isinstance(x, (bool, int, float)) else x for x in leaves]
        self.leaves = leaves
        self.places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        self.tensors = [leaves[i] for i in self.places]

    def filled(self, tensors: Sequence[Tensor]) -> Any:
        """The nest with these Tensors."""
        leaves = list(self.leaves)
        for i, x in zip(self.places, tensors, strict=True):
            leaves[i] = x
        return tree.unflatten(self.structure, leaves)

    def flat(self, value: Any) -> list[Tensor]:
        """The Tensors of a nest like this one."""
        leaves, structure = tree.flatten(value)
        if structure != self.structure:
            raise fail(
                CarryError,
                "the body of a loop returns another nest of values than it was given",
                why=f"it was given {_shape(self.structure)} and returned {_shape(structure)}",
            )
        return [as_tensor(leaves[i]) for i in self.places]


def _shape(structure: tree.Structure) -> str:
    if structure.kind is None:
        return "a value"
    return f"a {structure.kind.__name__} of {structure.leaves}"


def as_tensor(value: Any) -> Tensor:
    """A Tensor, or a Python number as one."""
    if isinstance(value, Tensor):
        return value
    return constant(np.array(Tensor(value)._array("made a Tensor")))


__all__ = ["cond", "fori_loop", "scan", "while_loop"]
