"""Pictures as inline SVG: a graph in layers, and the life of a plan's buffers in its arena."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

from jitgrad.ir.node import Graph, Node, input_op, splat
from jitgrad.ir.text import line_of
from jitgrad.passes.plan import Buffer, Plan

MOST_NODES = 150  # a larger graph is no picture
CHARACTER, LINE, PADDING = 6.8, 14.0, 8.0  # pixels
ACROSS, DOWN = 18.0, 34.0  # between boxes
SWEEPS = 4  # of ordering: what is left to gain after that is not worth the time


@dataclass(slots=True, eq=False)
class Box:
    """One node of the picture. (x, y) is the middle of its upper edge."""

    name: str  # of the value, as in the graph's text
    lines: tuple[str, ...]
    users: list[Box] = field(default_factory=list)
    sources: list[Box] = field(default_factory=list)
    rank: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        return max(map(len, self.lines)) * CHARACTER + 2 * PADDING

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + PADDING


def graph_svg(graph: Graph) -> str:
    """The graph from its inputs down to its results; empty for one that is too large.

    Numbers that are only repeated stand in the boxes that use them.
    """
    if len(graph.nodes) > MOST_NODES:
        return ""
    ranks = _ranked(_boxes(graph))
    for _ in range(SWEEPS):
        for rank in (*ranks, *reversed(ranks)):
            rank.sort(key=_barycentre)
            for position, box in enumerate(rank):
                box.x = position - len(rank) / 2
    width, height = _place(ranks)
    parts = [f'<svg class="graph" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">']
    every = [box for rank in ranks for box in rank]
    parts += [_edge(box, user) for box in every for user in box.users]
    parts += [_drawn(box) for box in every]
    return "".join([*parts, "</svg>"])


def _boxes(graph: Graph) -> list[Box]:
    made: dict[Node, Box] = {}
    for node in graph.nodes:
        if splat(node) is None or not node.type.size:
            name = line_of(graph, node).partition(" = ")[0]
            made[node] = Box(name, _label(node))
            for source in dict.fromkeys([i for i in node.inputs if i in made]):
                made[source].users.append(made[node])
                made[node].sources.append(made[source])
    results = [Box("", (f"result {i}",)) for i, _ in enumerate(graph.outputs)]
    for output, box in zip(graph.outputs, results, strict=True):
        if output in made:
            made[output].users.append(box)
            box.sources.append(made[output])
    return [*made.values(), *results]


def _label(node: Node) -> tuple[str, ...]:
    if node.op is input_op:
        return node.attrs["name"], str(node.type)
    numbers = [str(n[()]) for i in node.inputs if (n := splat(i)) is not None]
    operands = f" {', '.join(numbers)}" if numbers else ""
    return node.op.name + operands, str(node.type)


def _ranked(boxes: Sequence[Box]) -> list[list[Box]]:
    """The boxes in layers: each below all that it uses, inputs just above their first user."""
    for box in boxes:  # in topological order
        box.rank = max((s.rank + 1 for s in box.sources), default=0)
    for box in boxes:
        if not box.sources and box.users:
            box.rank = min(u.rank for u in box.users) - 1
    ranks: list[list[Box]] = [[] for _ in range(max((b.rank for b in boxes), default=0) + 1)]
    for box in boxes:
        ranks[box.rank].append(box)
    for rank in ranks:
        for position, box in enumerate(rank):
            box.x = position - len(rank) / 2
    return ranks


def _barycentre(box: Box) -> float:
    near = [b.x for b in (*box.sources, *box.users)]
    return sum(near) / len(near) if near else box.x


def _place(ranks: Sequence[Sequence[Box]]) -> tuple[float, float]:
    """Give every box its place; returns the picture's size."""
    widths = [sum(b.width for b in rank) + ACROSS * (len(rank) - 1) for rank in ranks]
    width, y = max(widths, default=0.0) + 2 * PADDING, PADDING
    for rank, own in zip(ranks, widths, strict=True):
        x = (width - own) / 2
        for box in rank:
            box.x, box.y = x + box.width / 2, y
            x += box.width + ACROSS
        y += max((b.height for b in rank), default=0.0) + DOWN
    return width, y - DOWN + PADDING


def _edge(box: Box, user: Box) -> str:
    x0, y0, x1, y1 = box.x, box.y + box.height, user.x, user.y
    middle = (y0 + y1) / 2
    curve = f"M{x0:.1f} {y0:.1f}C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    return f'<path d="{curve}"/>'


def _drawn(box: Box) -> str:
    left = box.x - box.width / 2
    kind = "" if box.name else ' class="result"'
    rows = "".join(
        f'<text x="{box.x:.1f}" y="{box.y + LINE * (i + 0.95):.1f}">{html.escape(line)}</text>'
        for i, line in enumerate(box.lines)
    )
    return (
        f'<g data-v="{html.escape(box.name)}"{kind}><rect x="{left:.1f}" y="{box.y:.1f}"'
        f' width="{box.width:.1f}" height="{box.height:.1f}" rx="4"/>{rows}</g>'
    )


# --- memory -------------------------------------------------------------------------------------

TALL, WIDE, LEAST = 220.0, 720.0, 1.0


def arena_svg(plan: Plan) -> str:
    """The arena over the steps of a plan: one rectangle a buffer, from its first step to its
    last. Empty for a plan without an arena.
    """
    buffers: dict[Buffer, int] = {}
    for number, step in enumerate(plan.steps):
        for buffer in (*step.writes, *step.scratch):
            if buffer.home == "arena":
                buffers[buffer] = number
    if not buffers or not plan.arena:
        return ""
    across, down = WIDE / len(plan.steps), TALL / plan.arena
    parts = [f'<svg class="arena" viewBox="0 0 {WIDE:.0f} {TALL:.0f}" width="{WIDE:.0f}">']
    for buffer, first in buffers.items():
        last = max(buffer.last, first)
        title = f"{buffer.nbytes} bytes at {buffer.at}, steps {first} to {last}"
        parts.append(
            f'<rect x="{first * across:.1f}" y="{buffer.at * down:.1f}"'
            f' width="{max((last - first + 1) * across, LEAST):.1f}"'
            f' height="{max(buffer.nbytes * down, LEAST):.1f}"><title>{title}</title></rect>'
        )
    return "".join([*parts, "</svg>"])
