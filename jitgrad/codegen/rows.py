"""Launches of the ops that have a kernel written by hand: indexing, pooling, scans, order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jitgrad.codegen.canonical import index, pool, scan, sort
from jitgrad.codegen.launch import Launch, Status, copy, zero
from jitgrad.ir.node import Node
from jitgrad.ir.types import TensorType
from jitgrad.passes.plan import Step

WIDE = 64  # elements of a row from which moving it takes much longer than reading its index


def _node(step: Step) -> Node:
    assert step.node is not None
    return step.node


# --- indexing -----------------------------------------------------------------------------------


def take(step: Step) -> list[Launch]:
    """Rows by index."""
    node = _node(step)
    x, idx = node.inputs
    row = math.prod(x.shape[1:])
    text = index.take(x.dtype.code, idx.dtype.code)
    pointers = (*step.reads, *step.writes, Status())
    return [Launch(text, pointers, (x.shape[0], row), idx.type.size, node.type.size)]


def scatter(step: Step) -> list[Launch]:
    """The updates into a copy of the base, or into the base where it is in the copy's place."""
    node = _node(step)
    base, idx, updates = node.inputs
    row = math.prod(base.shape[1:])
    text = index.scatter(node.attrs["mode"], base.dtype.code, idx.dtype.code)
    out = step.writes[0]
    pointers = (step.reads[1], step.reads[2], out, Status())
    dims = (idx.type.size, base.shape[0], row)
    extent = max(base.shape[0], 1)
    grain = extent if row < WIDE else -(-extent // 8)  # each part looks at all of the indices
    work = updates.type.size
    into = Launch(text, pointers, dims, extent, work, grain=grain)
    return [into] if step.reads[0].whole is out else [copy(step.reads[0], out), into]


def dynamic_slice(step: Step) -> list[Launch]:
    """A block at a computed place."""
    node = _node(step)
    x, sizes = node.inputs[0], node.shape
    if x.ndim == 0:
        return [copy(step.reads[0], step.writes[0])]
    text = index.dynamic_slice(x.dtype.code, node.inputs[1].dtype.code)
    return [_block(text, (*step.reads, *step.writes), x.type, sizes)]


def dynamic_update_slice(step: Step) -> list[Launch]:
    """A copy of the whole, then the block into it."""
    node = _node(step)
    x, update = node.inputs[:2]
    if x.ndim == 0:
        return [copy(step.reads[1], step.writes[0])]
    text = index.dynamic_update_slice(x.dtype.code, node.inputs[2].dtype.code)
    pointers = (*step.reads[1:], *step.writes)
    first = copy(step.reads[0], step.writes[0])
    return [first, _block(text, pointers, x.type, update.shape)]


def _block(text: str, pointers: tuple, whole: TensorType, sizes: Sequence[int]) -> Launch:
    dims = (whole.ndim, *whole.shape, *sizes)
    return Launch(text, pointers, dims, math.prod(sizes[:-1]), math.prod(sizes))


# --- pooling ------------------------------------------------------------------------------------


def _pool(text: Callable[[str], str], by_plane: bool) -> Callable[[Step], list[Launch]]:
    def rule(step: Step) -> list[Launch]:
        node = _node(step)
        at = node.attrs
        image, windows = _pool_sizes(node, by_plane)
        if node.type.size == 0 or math.prod(windows) == 0:
            return [zero(step.writes[0], node.type.nbytes)]
        planes = math.prod(node.shape[:2])
        top, _, left, _ = at["pad"]
        dims = (*image, *windows, *at["kernel"], *at["stride"], top, left)
        dims += (int(at.get("count_include_pad", False)),)
        extent = planes if by_plane else planes * windows[0]
        work = planes * math.prod(windows) * math.prod(at["kernel"])
        source = text(node.dtype.code)
        return [Launch(source, (*step.reads, *step.writes), dims, extent, work)]

    return rule


def _pool_sizes(node: Node, by_plane: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Height and width of the image and of the grid of windows."""
    last = node.inputs[-1].shape[2:]
    return (node.shape[2:], last) if by_plane else (node.inputs[0].shape[2:], node.shape[2:])


# --- scans and order ----------------------------------------------------------------------------


def _lines(node: Node) -> tuple[int, int, int]:
    """Lines along the axis, their length, and the distance between their elements."""
    shape, axis = node.inputs[0].shape, node.attrs["axis"]
    inner = math.prod(shape[axis + 1 :])
    return math.prod(shape[:axis]) * inner, shape[axis], inner


def _scan(text: Callable[[Node], str]) -> Callable[[Step], list[Launch]]:
    def rule(step: Step) -> list[Launch]:
        node = _node(step)
        lines, n, inner = _lines(node)
        dims = (n, inner, int(node.attrs.get("reverse", False)))
        pointers = (*step.reads, *step.writes, *step.scratch)
        return [Launch(text(node), pointers, dims, lines, lines * n)]

    return rule


def _code(node: Node) -> str:
    return node.inputs[0].dtype.code


def _index_code(node: Node) -> str:
    return node.attrs["dtype"].code


def sort_scratch(node: Node) -> Sequence[int]:
    """Two lines of keys and of places for each line."""
    count = 2 * node.inputs[0].type.size
    return count * node.inputs[0].dtype.size, count * node.attrs["dtype"].size


RULES: dict[str, Callable[[Step], list[Launch]]] = {
    "take": take,
    "scatter": scatter,
    "dynamic_slice": dynamic_slice,
    "dynamic_update_slice": dynamic_update_slice,
    "max_pool2d": _pool(pool.max_pool2d, by_plane=False),
    "max_pool2d_grad": _pool(pool.max_pool2d_grad, by_plane=True),
    "max_pool2d_pick": _pool(pool.max_pool2d_pick, by_plane=False),
    "avg_pool2d": _pool(pool.avg_pool2d, by_plane=False),
    "avg_pool2d_grad": _pool(pool.avg_pool2d_grad, by_plane=True),
    "cumsum": _scan(lambda node: scan.cumsum(_code(node))),
    "cumprod": _scan(lambda node: scan.cumprod(_code(node))),
    "recurrence": _scan(lambda node: scan.recurrence(_code(node))),
    "cummax": _scan(lambda node: scan.cummax(_code(node), _index_code(node))),
    "cummin": _scan(lambda node: scan.cummin(_code(node), _index_code(node))),
    "argmax": _scan(lambda node: sort.argmax(_code(node), _index_code(node))),
    "argmin": _scan(lambda node: sort.argmin(_code(node), _index_code(node))),
    "sort": _scan(lambda node: sort.sort(node.attrs["descending"], _code(node), _index_code(node))),
}
