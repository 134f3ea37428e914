"""Branches and loops: what types and values ask for, and what their rules are made of.

The declarations of `cond` and `loop`, with the derivatives, are in `jitgrad.autodiff.branch` and
`jitgrad.autodiff.loop`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from jitgrad.errors import BranchError, IRError, LimitError, fail
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node, input_node, splat
from jitgrad.ir.op import Attrs
from jitgrad.ir.types import TapeType, TensorType, TupleType, Type, bool_, int64
from jitgrad.primitives.block import dynamic_slice, dynamic_update_slice
from jitgrad.primitives.elementwise import select
from jitgrad.primitives.index import scatter
from jitgrad.primitives.reduce import reduce_any, reduce_max
from jitgrad.primitives.shape import broadcast, reshape, transpose

T = TypeVar("T")
COUNT = TensorType(int64, ())  # of the number of an iteration, and of iterations
FLAG = TensorType(bool_, ())


# --- branches -----------------------------------------------------------------------------------


def cond_type(types: Sequence[Type], attrs: Attrs) -> Type:
    """The type of a `cond`: that of its branches' results, which must agree."""
    then, orelse = attrs["then"], attrs["orelse"]
    _check_takes("cond", then, types[1:])
    _check_takes("cond", orelse, types[1:])
    if types[0] is not FLAG:
        raise IRError(f"cond got a condition of type {types[0]}")
    left, right = ([o.type for o in graph.outputs] for graph in (then, orelse))
    if left != right:
        raise fail(BranchError, f"the branches of a cond give {left} and {right}")
    return TupleType(tuple(left))


def cond_numpy(pred: Any, *operands: Any, then: Graph, orelse: Graph) -> tuple:
    """The reference semantics of `cond`."""
    return tuple(interpret(then if pred else orelse, operands))


# --- loops --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parts(Generic[T]):
    """The operands of a loop, sorted: `count` is None unless it is an operand."""

    count: Any
    carry: tuple[T, ...]
    slices: tuple[T, ...]
    rest: tuple[T, ...]


def parts(attrs: Attrs, operands: Sequence[T]) -> Parts[T]:
    """What each operand of a loop is."""
    first = int(attrs["counted"])
    a, b = first + attrs["carried"], first + attrs["carried"] + attrs["mapped"]
    count = operands[0] if first else None
    return Parts(count, tuple(operands[first:a]), tuple(operands[a:b]), tuple(operands[b:]))


def inner(attrs: Attrs, inputs: Sequence[T]) -> Parts[T]:
    """What each input of a loop's body is; `count` is the number of the iteration."""
    a, b = 1 + attrs["carried"], 1 + attrs["carried"] + attrs["mapped"]
    return Parts(inputs[0], tuple(inputs[1:a]), tuple(inputs[a:b]), tuple(inputs[b:]))


def item_type(type: Type) -> TensorType:
    """What one iteration sees of a stacked operand."""
    return type.item if isinstance(type, TapeType) else type.with_shape(type.shape[1:])  # type: ignore[union-attr]


def stacked(item: TensorType, length: int | None) -> TensorType | TapeType:
    """The type of a record of all iterations."""
    return TapeType(item) if length is None else item.with_shape((length, *item.shape))


def _check_takes(name: str, graph: Graph, types: Sequence[Type]) -> None:
    wanted = [x.type for x in graph.inputs]
    if wanted != list(types):
        raise IRError(f"{name}: @{graph.name} takes {wanted}, and is given {list(types)}")


def loop_type(types: Sequence[Type], attrs: Attrs) -> Type:
    """The type of a `loop`: final carries, stacked records and, with a test, the trip count."""
    given, length, body, test = parts(attrs, types), attrs["length"], attrs["body"], attrs["test"]
    if (length is not None) + bool(attrs["counted"]) + (test is not None) == 0:
        raise IRError("a loop needs a length, a count or a test")
    if given.count not in (None, COUNT):
        raise IRError(f"a loop's count is {COUNT}, got {given.count}")
    for x in given.slices:
        dynamic = isinstance(x, TapeType)
        if dynamic == (length is not None) or (not dynamic and x.shape[:1] != (length,)):  # type: ignore[union-attr]
            raise IRError(f"a loop of length {length} cannot run over {x}")
    items = [item_type(x) for x in given.slices]
    _check_takes("loop", body, (COUNT, *given.carry, *items, *given.rest))
    if test is not None:
        _check_takes("loop", test, (COUNT, *given.carry, *given.rest))
        if [o.type for o in test.outputs] != [FLAG]:
            raise IRError("a loop's test gives one bool")
    results = [o.type for o in body.outputs]
    if tuple(results[: attrs["carried"]]) != given.carry:
        raise IRError(f"a loop carries {given.carry}, its body gives {results}")
    records = [stacked(t, length) for t in results[attrs["carried"] :]]
    return TupleType((*given.carry, *records, *([COUNT] if test is not None else [])))


def loop_numpy(*operands: Any, **attrs: Any) -> tuple:
    """The reference semantics of `loop`. A tape is an array of as many rows as iterations."""
    given, length, carried = parts(attrs, operands), attrs["length"], attrs["carried"]
    body, test, limit = attrs["body"], attrs["test"], attrs["limit"]
    most = length if length is not None else None if given.count is None else int(given.count)
    carry, records, k = list(given.carry), [], 0
    while most is None or k < most:
        number = np.asarray(most - 1 - k if attrs["reverse"] else k, np.int64)
        if test is not None and not interpret(test, (number, *carry, *given.rest))[0]:
            break
        if limit and k == limit:
            raise too_long(limit)
        slices = [x[int(number)] for x in given.slices]
        results = interpret(body, (number, *carry, *map(np.asarray, slices), *given.rest))
        carry = results[:carried]
        records.append(results[carried:])
        k += 1
    if attrs["reverse"]:
        records.reverse()
    tapes = [_stack(o.type, [r[i] for r in records]) for i, o in enumerate(body.outputs[carried:])]
    return (*carry, *tapes, *([np.asarray(k, np.int64)] if test is not None else []))


def _stack(item: TensorType, rows: list[np.ndarray]) -> np.ndarray:
    return np.array(rows, item.dtype.numpy).reshape((len(rows), *item.shape))


def too_long(limit: int, where: Any = None) -> Exception:
    """A loop has reached its limit."""
    return fail(
        LimitError,
        f"a loop has run {limit} times and goes on",
        why="its condition never became false",
        instead="pass a higher limit, or JITGRAD_LOOP_LIMIT=0 for none",
        where=where,
    )


# --- what rules for regions are made of -----------------------------------------------------------


def choose(mask: Node, new: Node, old: Node) -> Node:
    """`new` where the mask holds, else `old`; the mask repeats along trailing axes."""
    if new is old:
        return new
    spread = broadcast(mask, shape=new.shape, dims=tuple(range(mask.ndim)))
    return select(spread if mask.ndim < new.ndim else mask, new, old)


def any_of(mask: Node) -> Node:
    """Whether a vector of bools has a true one."""
    return reduce_any(mask, axes=(0,))


def repeated(x: Node, shape: tuple[int, ...]) -> Node:
    """A scalar, repeated."""
    return broadcast(x, shape=shape, dims=())


def exchanged(x: Node) -> Node:
    """The first two axes exchanged."""
    return transpose(x, perm=(1, 0, *range(2, x.ndim)))


def largest(counts: Node) -> Node:
    """The maximum of a vector."""
    return reduce_max(counts, axes=(0,))


def plus(total: Node, more: Node) -> Node:
    """The sum of two values. What is put into zeros is added to the total in its place instead,
    which a loop does in memory.
    """
    if not _is_put(more):
        if not _is_put(total):
            return total + more
        total, more = more, total
    if more.op is reshape:
        flat = plus(reshape(total, shape=more.inputs[0].shape), more.inputs[0])
        return reshape(flat, shape=more.shape)
    _, *rest = more.inputs
    if more.op is scatter:
        return scatter(total, *rest, mode="add")
    update, *starts = rest
    part = dynamic_slice(total, *starts, sizes=update.shape)
    return dynamic_update_slice(total, part + update, *starts)


def _is_put(node: Node) -> bool:
    """Whether a value is zero but for a few places that are set or added to."""
    if node.op is reshape:
        return _is_put(node.inputs[0])
    if node.op is not dynamic_update_slice and (node.op is not scatter or not _adds(node)):
        return False
    number = splat(node.inputs[0])
    return number is not None and number == 0


def _adds(node: Node) -> bool:
    return node.attrs["mode"] == "add"


def position(stem: str, index: int, type: TensorType) -> Node:
    """An input of a region, named by its place: equal regions are one graph."""
    return input_node(f"{stem}{index}", type)
