"""Launches of a strip: its steps over one tile after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jitgrad.codegen import placed, products, rows
from jitgrad.codegen.launch import Launch, Moving, Strip, add_up, of_kernel
from jitgrad.codegen.loops import Tile
from jitgrad.codegen.lower import lower
from jitgrad.codegen.panels import Panels
from jitgrad.codegen.scalar import identity_number
from jitgrad.codegen.structured import SMALL, structured, structured_scratch
from jitgrad.ir.node import Graph, Node, full, input_node, project_op
from jitgrad.ir.op import op
from jitgrad.ir.types import TensorType
from jitgrad.passes.access import Affine, Index, linear, strides
from jitgrad.passes.body import Body
from jitgrad.passes.gather import is_flow
from jitgrad.passes.interchange import for_lanes
from jitgrad.passes.placing import HOLDERS, place_parts
from jitgrad.passes.plan import Arena, Buffer, Step
from jitgrad.passes.schedule import schedule
from jitgrad.passes.tiles import (
    MOST_CHUNKS,
    SUMMED,
    SUMS,
    WHOLE,
    Tiling,
    results,
    steps_of,
    stored_axis,
)

TILE = 1 << 18  # bytes of a tile's slices: a part of the L2 cache
PIECE = 1 << 11  # bytes in one piece, from which rows of a tile come as fast as memory can
LARGEST = 1 << 19  # bytes of a tile that such pieces make larger
VECTOR = 16  # lanes that fill vectors
ROWS = 24  # a tile of rows is a multiple of this: blocks of sums have 6 or 8 of them
LANES = 64  # a tile of lanes is a multiple of this


@dataclass(slots=True)
class Layout:
    """How a strip is cut: tiles of `tile` indices, the last one of `rest`."""

    node: Node
    steps: list[tuple[Node, Tiling]] = field(default_factory=list)
    tile: int = 0
    tiles: int = 0
    rest: int = 0
    chunks: int = 1

    def note(self) -> str:
        extent = self.node.attrs["extent"]
        cut = f"{self.tiles} tiles of {self.tile} of {extent} indices in {self.chunks} chunks"
        why = f"a tile's slices fit {TILE >> 10} kB of the cache"
        return f"strip of {len(self.steps)} steps: {cut}; {why}"


def layout(node: Node) -> Layout:
    """Sizes of a strip's tiles, from the bytes that one index of the axis brings along."""
    made = Layout(node)
    made.steps += steps_of(node)
    extent = node.attrs["extent"]
    made.tile = _tile(made, extent)
    made.tiles = -(-extent // made.tile)
    made.rest = extent - (made.tiles - 1) * made.tile
    sums = sum(r.type.nbytes for r, axis in _results(made) if axis == SUMMED)
    made.chunks = max(1, min(made.tiles, MOST_CHUNKS, SUMS // max(sums, 1)))
    return made


def _results(made: Layout) -> list[tuple[Node, int]]:
    """Every result of every step, and the axis along which it is cut."""
    return [
        pair
        for step, tiling in made.steps
        for pair in zip(results(step), tiling.results, strict=True)
    ]


def _tile(made: Layout, extent: int) -> int:
    cut: dict[Node, int] = {}
    inner = 0  # bytes of an element of rows that are cut
    for step, tiling in made.steps:
        values = zip(
            (*step.inputs, *results(step)), (*tiling.operands, *tiling.results), strict=True
        )
        for value, axis in values:
            if axis >= 0:
                cut[value] = value.type.nbytes // extent
                if axis == value.ndim - 1 and value.ndim > 1:
                    inner = max(inner, value.dtype.size)
    each = max(sum(cut.values()), 1)
    fits = TILE // each
    if inner:
        fits = max(fits, min(PIECE // inner, LARGEST // each))
    unit = LANES if inner or fits >= LANES else ROWS if fits >= ROWS else 1
    tile = max(fits // unit, 1) * unit
    even = -(-extent // -(-extent // tile))  # tiles of about one size
    tile = -(-even // unit) * unit
    if any(is_flow(step) for step, _ in made.steps):  # these write few lanes in another way
        tile = max(tile, LANES)
        while 0 < extent % tile <= SMALL:
            tile += VECTOR
    return min(tile, extent)


def scratch(node: Node) -> Sequence[int]:
    """Bytes of the sums of all chunks, and of packed matrices."""
    made = layout(node)
    sums = [made.chunks * r.type.nbytes for r, axis in _results(made) if axis == SUMMED]
    return [*(sums if made.chunks > 1 else ()), *(p.nbytes for p in _panels(made).values())]


def _panels(made: Layout) -> dict[Node, Panels]:
    """The matrices that all tiles are multiplied with, and how they are packed."""
    found: dict[Node, Panels] = {}
    for step, tiling in made.steps:
        if step.op.name in PANELS and tiling.operands[1] == WHOLE and tiling.operands[0] >= 0:
            panels = PANELS[step.op.name](step, (made.tile, made.rest))
            if panels is not None:
                found[step.inputs[1]] = panels
    return found


class Cut:
    """The launches of one strip being made."""

    def __init__(self, step: Step):
        assert step.node is not None
        self.layout = layout(step.node)
        body: Graph = step.node.attrs["body"]
        self.memory: dict[Node, Buffer] = dict(zip(body.inputs, step.reads, strict=True))
        self.memory.update(zip(body.outputs, step.writes, strict=True))
        self.sums: dict[Node, Buffer] = {}
        scratch = iter(step.scratch)
        for result, axis in _results(self.layout):
            if axis == SUMMED:
                self.sums[result] = next(scratch) if self.layout.chunks > 1 else self.memory[result]
        self.panels = {m: (p, next(scratch)) for m, p in _panels(self.layout).items()}
        self.local: set[Node] = set()
        self.working: dict[Node, tuple[Buffer, ...]] = {}  # of loops and batches of products
        self.bytes = self.place_locals()

    def place_locals(self) -> int:
        """Give what lives for one tile a place in the memory of a thread; returns its size."""
        arena, steps = Arena(), self.layout.steps
        self.make_locals()
        dying: dict[int, list[Buffer]] = {}
        for position, (step, tiling) in enumerate(steps):
            for buffer in [self.memory[r].memory() for r in results(step) if r in self.local]:
                if buffer.at < 0:
                    buffer.at = arena.take(buffer.nbytes)
                    dying.setdefault(max(buffer.last, position), []).append(buffer)
            sizes = self.scratch(step, tiling)
            working = [Buffer(n, "local", arena.take(n)) for n in sizes]
            self.working[step] = tuple(working)
            dying.setdefault(position, []).extend(working)
            for buffer in dying.pop(position, ()):
                arena.free(buffer.at, buffer.nbytes)
        return arena.size

    def make_locals(self) -> None:
        """The buffers of what lives for one tile. Parts of joins and paddings are in these."""
        made: list[Step] = []
        for position, (step, tiling) in enumerate(self.layout.steps):
            for result, axis in zip(results(step), tiling.results, strict=True):
                if result not in self.memory and result not in self.sums:
                    nbytes = result.type.nbytes // result.shape[axis] * self.layout.tile
                    self.memory[result] = Buffer(nbytes, "local", first=position)
                    self.local.add(result)
            reads = [self.memory[_stored(v)] for v in step.inputs]
            writes = [self.memory.get(r) or self.sums[r] for r in results(step)]
            holds = step in self.local or step.op.name not in HOLDERS
            made.append(Step(step if holds else None, tuple(reads), tuple(writes)))
        place_parts(made, {b for s in made for b in (*s.reads, *s.writes) if b.home != "local"})
        for position, each in enumerate(made):
            for buffer in each.reads:
                if buffer.memory().home == "local":
                    buffer.memory().last = position

    def scratch(self, step: Node, tiling: Tiling) -> Sequence[int]:
        """Bytes of working memory of a step's launches on one tile."""
        if is_flow(step):
            return structured_scratch(*self.flow(step, tiling, self.layout.tile))
        if step.op.kind == "call" and step.op.name not in SLICES and _is_batch(tiling):
            return products.matmul_scratch(_of_tile(step, tiling, self.layout.tile))
        return ()

    # --- pointers ---

    def pointer(self, value: Node, axis: int, stride: int) -> Buffer | Moving:
        """Where a value is, and how far it moves: `stride` elements for each index."""
        if value in self.sums:
            chunk = value.type.nbytes if self.layout.chunks > 1 else 0
            return Moving(self.sums[value], chunk=chunk) if chunk else self.sums[value]
        buffer = self.memory[value].memory()
        if value in self.local or axis == WHOLE or not stride:
            return buffer
        return Moving(buffer, tile=stride * self.layout.tile * value.dtype.size)

    def locals_among(self, values: Sequence[Node], axes: Sequence[int]) -> dict[int, int]:
        """Which of some values live for one tile only, and their axis that is cut."""
        pairs = enumerate(zip(values, axes, strict=True))
        return {i: axis for i, (value, axis) in pairs if value in self.local}

    def region(self, step: Node, tiling: Tiling, extent: int) -> Launch:
        body, axes = step.attrs["body"], step.attrs["axes"]
        domain: tuple[int, ...] = step.attrs["domain"]
        made = results(step)
        tile = Tile(
            tiling.loop,
            extent,
            self.layout.tile,
            tuple(self.locals_among(step.inputs, tiling.operands).items()),
            tuple(self.locals_among(made, tiling.results).items()),
            SUMMED in tiling.results,
        )
        kind = schedule(domain, axes)
        kind = "row" if kind == "blocked" else kind
        places = [self.memory[v].place if v in self.memory else None for v in made]
        stores = {i: at for i, at in enumerate(places) if at is not None}
        kernel = lower(body, domain, axes, stores=stores, kind=kind, tile=tile)
        loads = Body(body, domain, axes).loads()
        pointers = [
            self.pointer(v, a, _speed(loads.get(x, ()), x.shape, tiling.loop, len(domain)))
            for v, a, x in zip(step.inputs, tiling.operands, body.inputs, strict=True)
        ]
        pointers += [
            self.pointer(v, a, (at.coefficients if at else strides(v.shape))[a] if a >= 0 else 0)
            for v, a, at in zip(made, tiling.results, places, strict=True)
        ]
        return of_kernel(kernel, pointers)

    def flow(self, step: Node, tiling: Tiling, extent: int) -> tuple[Node, tuple[int, ...]]:
        """A region of loops for some lanes, and how far the rows of its stacks are apart."""
        axes = (*tiling.operands, *tiling.results)
        rows = []
        for value, axis in zip((*step.inputs, *results(step)), axes, strict=True):
            if axis != 1:
                rows.append(0)
                continue
            lanes = self.layout.tile if value in self.local else value.shape[1]
            rows.append(lanes * math.prod(value.shape[2:]))
        return for_lanes(step, extent), tuple(rows)

    def loops(self, step: Node, tiling: Tiling, extent: int) -> list[Launch]:
        """A region of loops, for some lanes."""
        node, rows = self.flow(step, tiling, extent)
        return self.redirected(node, step, tiling, lambda made: structured(made, rows))

    def slices(self, step: Node, tiling: Tiling, extent: int) -> list[Launch]:
        """A call that keeps slices of the first axis apart, on some of them."""
        operands = [input_node(f"a{i}", _cut(v.type, 0, extent)) for i, v in enumerate(step.inputs)]
        node = step.op(*operands, **step.attrs)
        return self.redirected(node, step, tiling, SLICES[step.op.name])

    def redirected(
        self, node: Node, step: Node, tiling: Tiling, rule: Callable[[Step], Sequence[Launch]]
    ) -> list[Launch]:
        """The launches of a node, which is a step for one tile, on the step's memory."""
        moved: dict[Buffer, Any] = {}
        values = [*step.inputs, *results(step)]
        for value, axis in zip(values, (*tiling.operands, *tiling.results), strict=True):
            stride = strides(value.shape)[axis] if axis >= 0 else 0
            whole = self.memory[value].whole if value in self.memory else None
            moved[Buffer(0, whole=whole)] = self.pointer(value, axis, stride)
        found, count = tuple(moved), len(step.inputs)
        made = Step(node, found[:count], found[count:], self.working.get(step, ()))
        return [
            replace(m, pointers=tuple([moved.get(p, p) for p in m.pointers]))  # type: ignore[arg-type]
            for m in rule(made)
        ]

    def call(self, step: Node, tiling: Tiling, extent: int) -> list[Launch]:
        """A call on arrays of a tile's size. What is cut is so along its first axis in memory."""
        pointers = []
        for value, axis in zip(step.inputs, tiling.operands, strict=True):
            base, at = _stored(value), stored_axis(value)(axis) if axis >= 0 else axis
            pointers.append(self.pointer(base, at, math.prod(base.shape[1:]) if at == 0 else 0))
        (axis,) = tiling.results
        pointers.append(self.pointer(step, axis, math.prod(step.shape[1:])))
        node, name = _of_tile(step, tiling, extent), step.op.name
        if step.inputs[1] in self.panels and tiling.operands[1] == WHOLE:
            panels, pointers[1] = self.panels[step.inputs[1]]
            a, b, c = pointers
            return products.matmul_of_panels(node, (a, b, c), panels)
        a, b, c = pointers
        if axis == SUMMED:
            return ADDING[name](node, (a, b, c), self.layout.tile)
        if _is_batch(tiling):
            panels = products.batch_panels(_of_tile(step, tiling, self.layout.tile))
            return products.matmul_of_batch(node, (a, b, c), panels, self.working[step])
        return CALLS[name](node, (a, b, c))

    def launches(self, extent: int) -> tuple[Launch, ...]:
        made: list[Launch] = []
        for step, tiling in self.layout.steps:
            if is_flow(step):
                made += self.loops(step, tiling, extent)
            elif step.op.kind == "region":
                made.append(self.region(step, tiling, extent))
            elif step.op.name in SLICES:
                made += self.slices(step, tiling, extent)
            else:
                made += self.call(step, tiling, extent)
        return tuple(made)

    def clear(self, result: Node) -> Launch:
        """The start of a chunk's sum."""
        number = full(identity_number(_reduction(result), result.dtype), result.type)
        kernel = lower(Graph("body", (), (number,)), result.shape, ())
        return of_kernel(kernel, [self.pointer(result, SUMMED, 0)])

    def add_up(self, result: Node) -> Launch:
        """The chunks' sums to one."""
        where = self.sums[result], self.memory[result]
        return add_up(_reduction(result), *where, result.type, self.layout.chunks)


def _stored(value: Node) -> Node:
    return value.inputs[0] if value.op.kind == "view" else value


def _is_batch(tiling: Tiling) -> bool:
    """Whether each tile has matrices of its own: of both operands, and of the result."""
    return WHOLE not in tiling.operands and SUMMED not in tiling.results


def _of_tile(step: Node, tiling: Tiling, extent: int) -> Node:
    """A call as it is for some indices of the axis that is cut."""
    operands = []
    for value, axis in zip(step.inputs, tiling.operands, strict=True):
        base, at = _stored(value), stored_axis(value)(axis) if axis >= 0 else axis
        cut = input_node(f"a{len(operands)}", _cut(base.type, at, extent))
        operands.append(cut if base is value else value.op(cut, **value.attrs))
    return step.op(*operands, **step.attrs)


def _cut(of: TensorType, axis: int, extent: int) -> TensorType:
    if axis < 0:
        return of
    return of.with_shape((*of.shape[:axis], extent, *of.shape[axis + 1 :]))


def _reduction(result: Node):
    """The op by which tiles of a result are put together."""
    step = result.inputs[0] if result.op is project_op else result
    if step.op.kind != "region":
        return op("reduce_sum")
    index = result.attrs["index"] if result.op is project_op else 0
    return step.attrs["body"].outputs[index].op


def _speed(places: Sequence[Index | Affine], shape: tuple[int, ...], loop: int, loops: int) -> int:
    """Elements by which an operand's reads move with each index of a loop."""
    for place in places:
        at = place if isinstance(place, Affine) else linear(place, shape, loops)
        return at.coefficients[loop]
    return 0


def strip(step: Step) -> list[Launch | Strip]:
    """A strip, and what puts the sums of its chunks together."""
    cut = Cut(step)
    made = cut.layout
    is_even = made.rest == made.tile
    whole = Strip(
        tuple(cut.clear(r) for r in cut.sums),
        cut.launches(made.tile),
        () if is_even else cut.launches(made.rest),
        made.tiles,
        made.chunks,
        cut.bytes,
        made.note(),
    )
    packed = [k for m, (p, to) in cut.panels.items() for k in p.pack(cut.memory[_stored(m)], to)]
    return [*packed, whole, *(cut.add_up(r) for r in cut.sums if made.chunks > 1)]


CALLS = {"matmul": products.matmul_by_library}
ADDING = {"matmul": products.matmul_adding}
PANELS = {"matmul": products.row_panels}
SLICES: dict[str, Callable[[Step], Sequence[Launch]]] = {
    "pad": placed.pad,
    "concat": placed.concat,
    **{name: rows.RULES[name] for name in ("cumsum", "cumprod", "recurrence")},
}
