"""From a plan's steps to launches on a device: one rule for each op that is a step.

Ops whose CPU kernel is written by hand have it here too: the threads of the grid share the range
that the CPU's threads would, through tables of addresses and integers. What would leave most
threads without work has a kernel of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jitgrad.codegen import calls, rows
from jitgrad.codegen.canonical import index
from jitgrad.codegen.cuda import (
    flow,
    frame,
    matrices,
    orthogonal,
    products,
    specials,
    tables,
    turned,
)
from jitgrad.codegen.cuda.grid import Grid, blocks_for
from jitgrad.codegen.launch import Launch, Pointer, Status
from jitgrad.codegen.loops import Kernel
from jitgrad.codegen.lower import lower
from jitgrad.errors import DeviceError, fail
from jitgrad.ir.node import Graph, Node, input_node
from jitgrad.ir.types import TensorType
from jitgrad.locate import Location
from jitgrad.passes.access import Affine, strides
from jitgrad.passes.plan import Buffer, Step
from jitgrad.passes.schedule import kept, schedule

Rule = Callable[[Step], Sequence[Grid]]
KINDS = {"map": "map", "row": "row", "column": "across", "short": "across", "blocked": "blocked"}
PART = 64  # threads that share the rows of a scatter, at most


def grids(step: Step, where: Location | None = None) -> Sequence[Grid]:
    """The launches of a step, of the user's line `where`; DeviceError if its op has no rule."""
    if step.node is None:
        return [tables.copy(step.reads[0], step.writes[0], step.reads[0].nbytes)]
    if not has_rule(step.node):
        raise fail(
            DeviceError,
            f"{step.node.op.name} has no CUDA kernel",
            instead="x.cpu() before it, and .cuda() after it, outside of compiled functions",
            where=where,
        )
    return RULES[step.node.op.name](step)


def has_rule(node: Node) -> bool:
    """Whether there are launches for a node."""
    return node.op.name in RULES


def scratch(node: Node) -> Sequence[int]:
    """Bytes of working memory of a node's launches."""
    if node.op.name in OWN_SCRATCH:
        return OWN_SCRATCH[node.op.name](node)
    return calls.SCRATCH[node.op.name](node) if node.op.name in SCRATCH else ()


def texts(step: Step) -> list[str]:
    """The kernels' texts; none where there is no rule."""
    known = step.node is None or (has_rule(step.node) and not flow.is_too_much(step.node))
    return [grid.source for grid in grids(step)] if known else []


# --- regions ------------------------------------------------------------------------------------


def of_kernel(
    kernel: Kernel, pointers: Sequence[Pointer], kind: str, count: int, length: int = 1
) -> Grid:
    """The launch of a kernel of the kernel IR over `count` rows of a length."""
    shape = frame.shape_of(kind, count, length)
    text, names, tiles = frame.source(kernel, shape)
    shares, threads = shape.columns, shape.threads
    if kind == "map":
        shares, threads = (1, turned.THREADS) if tiles else (frame.THREADS, frame.THREADS)
        count = tiles or count
    values = {**dict(zip(kernel.parameters, kernel.values, strict=True)), "count": count}
    moved = sum(p.nbytes for p in pointers if isinstance(p, Buffer))
    codes = tuple(a.dtype.code for a in kernel.arrays)
    dims = tuple(values[n] for n in names)
    blocks = blocks_for(count, shares)
    return Grid(text, tuple(pointers), codes, dims, blocks, threads, moved, kernel.work)


def _region(step: Step) -> list[Grid]:
    node = _node(step)
    at = node.attrs
    domain, axes = at["domain"], at["axes"]
    kind = KINDS[schedule(domain, axes)]
    stores = {i: w.place for i, w in enumerate(step.writes) if w.place is not None}
    kernel = lower(at["body"], domain, axes, step.alias, stores, kind)
    length = math.prod(domain[a] for a in axes or ())
    if not kernel.partial:
        fresh = [w.memory() for i, w in enumerate(step.writes) if i not in step.alias]
        rows = math.prod(domain[a] for a in kept(domain, axes or ()))
        return [of_kernel(kernel, (*step.reads, *fresh), kind, rows, length)]
    return _blocked(step, kernel, length)


def _blocked(step: Step, kernel: Kernel, length: int) -> list[Grid]:
    """Partial results by block, then one reduction of the partials for each result."""
    partials = iter(step.scratch)
    pointers: list[Pointer] = list(step.reads)
    finish: list[Grid] = []
    for at, output in enumerate(_node(step).attrs["body"].outputs):
        if output.op.kind == "reduce":
            part = next(partials)
            pointers.append(part)
            finish.append(_reduce_all(output, part, step.writes[at], kernel.partial))
        elif at not in step.alias:
            pointers.append(step.writes[at].memory())
    return [of_kernel(kernel, pointers, "blocked", kernel.partial, length), *finish]


def _reduce_all(output: Node, part: Buffer, result: Buffer, count: int) -> Grid:
    source = input_node("a0", TensorType(output.dtype, (count,)))
    body = Graph("body", (source,), (output.op(source, axes=(0,)),))
    return of_kernel(lower(body, (count,), (0,), kind="row"), (part, result), "row", 1, count)


def _node(step: Step) -> Node:
    assert step.node is not None
    return step.node


# --- placing arrays in arrays -------------------------------------------------------------------


def _placed(source: TensorType, target: Affine, operand: Buffer, result: Buffer) -> Grid:
    """Copy an array into part of another: element [i, j] to an affine address."""
    value = input_node("a0", source)
    body = Graph("body", (value,), (value,))
    kernel = lower(body, source.shape, (), stores={0: target})
    return of_kernel(kernel, (operand, result), "map", source.size)


def _pad(step: Step) -> list[Grid]:
    node = _node(step)
    (x,), at = node.inputs, node.attrs
    steps = strides(node.shape)
    if step.reads[0].whole is not None:  # it is in its place
        result = (step.writes[0],)
        return [of_kernel(kernel, result, "map", kernel.work) for kernel in calls.margin(node)]
    offset = sum(low * stride for low, stride in zip(at["low"], steps, strict=True))
    spread = tuple((i + 1) * stride for i, stride in zip(at["interior"], steps, strict=True))
    moved = _placed(x.type, Affine(offset, spread), step.reads[0], step.writes[0])
    cleared = tables.zero(step.writes[0], node.type.nbytes)
    return [cleared, moved] if x.type.size else [cleared]


def _concat(step: Step) -> list[Grid]:
    node = _node(step)
    steps, axis, at = strides(node.shape), node.attrs["axis"], 0
    made = []
    for operand, x in zip(step.reads, node.inputs, strict=True):
        if x.type.size and operand.whole is None:
            made.append(_placed(x.type, Affine(at * steps[axis], steps), operand, step.writes[0]))
        at += x.shape[axis]
    return made


# --- kernels written by hand --------------------------------------------------------------------

SCATTER = """def kernel(ptrs, dims):
    # as on the CPU, but for the threads: each has one column of some rows, in the order of m
    idx = {I}_ptr(ptrs, 0)
    updates = {T}_ptr(ptrs, 1)
    out = {T}_ptr(ptrs, 2)
    status = i64_ptr(ptrs, 3)
    count, n, r, parts = dims[0], dims[1], dims[2], dims[3]
    for at in range(cuda.grid(1), parts * r, cuda.gridsize(1)):
        part, j = at // r, at % r
        lo, hi = part * n // parts, (part + 1) * n // parts
        for m in range(count):
            row = to_i64(idx[m])
            if row < 0 or row >= n:
                if at == 0:
                    status[0] = 1
                    status[1] = row
            elif row >= lo and row < hi:
                old, new = {load}(out[row * r + j]), {load}(updates[m * r + j])
                out[row * r + j] = {store}({update})
"""


def _by_hand(rule: Callable[[Step], Sequence[Launch]]) -> Rule:
    def grids_of(step: Step) -> list[Grid]:
        return [tables.shared(launch) for launch in rule(step)]

    return grids_of


def _scatter(step: Step) -> list[Grid]:
    node = _node(step)
    base, idx, updates = node.inputs
    row = math.prod(base.shape[1:])
    text = index.fill(
        SCATTER, base.dtype.code, I=idx.dtype.code, update=index.UPDATES[node.attrs["mode"]]
    )
    out = step.writes[0]
    pointers = (step.reads[1], step.reads[2], out, Status())
    rows = max(base.shape[0], 1)
    parts = min(rows, PART)
    dims = (idx.type.size, base.shape[0], row, parts)
    del updates
    first = tables.copy(step.reads[0], out, node.type.nbytes)
    return [first, tables.launch(text, pointers, dims, parts * max(row, 1))]


OWN_SCRATCH: dict[str, Callable[[Node], Sequence[int]]] = {
    "gathered": flow.scratch, **matrices.SCRATCH, **orthogonal.SCRATCH,
}  # fmt: skip
SCRATCH = frozenset({"fused", "sort"})  # whose launches need what those on the CPU need
RULES: dict[str, Rule] = {
    **{name: _by_hand(rule) for name, rule in rows.RULES.items()},
    **{name: _by_hand(calls.CALLS[name]) for name in ("gcd", "nextafter")},
    **specials.RULES,
    **matrices.RULES,
    **orthogonal.RULES,
    "scatter": _scatter,
    "fused": _region,
    "gathered": flow.gathered,
    "pad": _pad,
    "concat": _concat,
    **products.RULES,
}
