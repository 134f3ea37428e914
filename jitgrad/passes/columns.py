"""Short rows made of columns: what is computed on [n, 3] is computed on each of its columns.

Points, normals and quaternions are stacked from coordinates and taken apart into coordinates again.
In between they are arrays in memory, by whose rows no other loop goes; as columns they are values
of the loop over n that makes the coordinates.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from jitgrad.ir.node import Graph, Node, builder, full, rebuild, splat, with_inputs
from jitgrad.ir.op import op

WIDEST = 8  # columns
FEWEST = 256  # rows
MOST = 256  # operations, of all columns
JOINS, SLICES = frozenset({"concat"}), frozenset({"slice"})
# Reductions, and the op that takes one more value into account.
STEPS = {
    "reduce_sum": "add",
    "reduce_prod": "mul",
    "reduce_max": "maximum",
    "reduce_min": "minimum",
    "reduce_any": "logical_or",
    "reduce_all": "logical_and",
}


def columns(graph: Graph) -> Graph:
    """Take apart what is computed on short rows, where these are joined of columns or cut into
    them, and not often needed whole.
    """
    chosen = _chosen(graph)
    made: dict[Node, list[Node]] = {}  # of a chosen node, its columns in the new graph

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in chosen:
            made[node] = [
                builder.make(
                    node.op,
                    tuple([_column(old, new, j) for old, new in zip(node.inputs, inputs)]),
                    node.attrs,
                )
                for j in range(node.shape[-1])
            ]
            return _joined(made[node])
        if _cuts_column(node) and node.inputs[0] in made:
            return _part_of_column(node, made[node.inputs[0]])
        if node.op.kind == "reduce" and node.inputs[0] in made:
            return _reduced(node, inputs, made[node.inputs[0]])
        return with_inputs(node, inputs)

    def _column(old: Node, new: Node, j: int) -> Node:
        if old in made:
            return made[old][j]
        number = splat(new)
        if number is not None:
            return full(number, new.type.with_shape(new.shape[:-1]))
        return _unjoined(_cut(new, (0,) * (new.ndim - 1), new.shape[:-1], j))

    return rebuild(graph, rewrite) if chosen else graph


def _cut(x: Node, starts: Sequence[int], stops: Sequence[int], j: int) -> Node:
    ones = (1,) * x.ndim
    return op("slice")(x, starts=(*starts, j), stops=(*stops, j + 1), steps=ones)


def _unjoined(x: Node) -> Node:
    return op("reshape")(x, shape=x.shape[:-1])


def _joined(parts: Sequence[Node]) -> Node:
    rows = [op("reshape")(p, shape=(*p.shape, 1)) for p in parts]
    return op("concat")(*rows, axis=parts[0].ndim)


def _part_of_column(node: Node, parts: Sequence[Node]) -> Node:
    """A slice of one column."""
    at = node.attrs
    whole = parts[at["starts"][-1]]
    cut = {name: at[name][:-1] for name in ("starts", "stops", "steps")}
    return op("reshape")(op("slice")(whole, **cut), shape=node.shape)


def _reduced(node: Node, inputs: tuple[Node, ...], parts: Sequence[Node]) -> Node:
    """A reduction, of the columns together if it is over the rows as well."""
    axes, last = node.attrs["axes"], node.inputs[0].ndim - 1
    if last not in axes:
        return with_inputs(node, inputs)
    total = functools.reduce(op(STEPS[node.op.name]), parts)
    rest = tuple(a for a in axes if a != last)
    return node.op(total, axes=rest) if rest else total


# --- which ----------------------------------------------------------------------------------------


def _chosen(graph: Graph) -> set[Node]:
    """The nodes to take apart: all that are connected, where that gains more than it costs."""
    groups = _groups(n for n in graph.nodes if n.op.kind == "elementwise" and _is_short(n))
    gains: dict[int, set[Node]] = {}
    costs: dict[int, set[Node]] = {}
    for node in graph.nodes:
        if node in groups:
            for i in node.inputs:
                if _joins_columns(i):
                    gains.setdefault(id(groups[node]), set()).add(i)
        for i in node.inputs:
            if i in groups and groups.get(node) is not groups[i]:
                if _cuts_column(node):
                    gains.setdefault(id(groups[i]), set()).add(i)
                elif node.op.name not in STEPS or i.ndim - 1 not in node.attrs["axes"]:
                    costs.setdefault(id(groups[i]), set()).add(i)
    return {
        node
        for node, group in groups.items()
        if len(gains.get(id(group), ())) > len(costs.get(id(group), ()))
        and len(group) * node.shape[-1] <= MOST
    }


def _is_short(node: Node) -> bool:
    width = node.shape[-1] if node.ndim > 1 else 1
    return 1 < width <= WIDEST and node.type.size >= FEWEST * width


def _groups(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """Nodes that read each other, with all of their group."""
    groups: dict[Node, list[Node]] = {}
    for node in nodes:
        mine = groups[node] = [node]
        for i in node.inputs:
            other = groups.get(i, mine)
            if other is not mine:
                mine, less = (mine, other) if len(mine) >= len(other) else (other, mine)
                mine += less
                groups.update(dict.fromkeys(less, mine))
    return groups


def _joins_columns(node: Node) -> bool:
    last = node.ndim - 1
    joins = node.op.name in JOINS and node.attrs["axis"] == last
    return joins and all(i.shape[last] == 1 for i in node.inputs)


def _cuts_column(node: Node) -> bool:
    return node.op.name in SLICES and node.shape[-1:] == (1,) and node.attrs["steps"][-1] == 1
