"""A graph in two halves, for the tape: forward with the values that the derivative reads, and the
derivative, which computes only the cheap ones among them again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jitgrad.autodiff.cut import is_costly, minimal_cut
from jitgrad.frontend.pull import pull_of_graph, unused
from jitgrad.ir.node import Graph, Node, builder, constant_op, input_node, substitute, topological

LARGE = 1000  # nodes beyond which no minimal cut is looked for


@dataclass(frozen=True, slots=True)
class Split:
    """forward   the graph's inputs -> its results, the kept values, what it writes.
    updates   of `forward`: the input that each output overwrites.
    backward  values of `uses`, results in `results`, kept values, a cotangent for each result ->
              cotangents of `targets`.
    uses, results, targets  positions of inputs, of results, of inputs.
    kept      how many values are kept besides.
    """

    forward: Graph
    updates: tuple[tuple[int, int], ...]
    backward: Graph
    uses: tuple[int, ...]
    results: tuple[int, ...]
    targets: tuple[int, ...]
    kept: int


@functools.lru_cache(maxsize=512)
def split(graph: Graph, updates: tuple[tuple[int, int], ...], needed: tuple[bool, ...]) -> Split:
    """The halves of a graph, whose last outputs are written to inputs, for derivatives with respect
    to the inputs marked in `needed`.
    """
    count = len(graph.outputs) - len(updates)
    results = graph.outputs[:count]
    pull = pull_of_graph(graph.replace(results), needed)
    seeds = pull.graph.inputs[len(pull.uses) :]
    overwritten = [graph.inputs[place] for _, place in updates]
    cut = _kept(pull.graph.outputs, seeds, overwritten)
    places = {y: i for i, y in reversed(list(enumerate(results)))}
    known = [y for y in cut if y in places]
    others = [y for y in cut if y not in places]
    with builder.recording(None):
        names = unused({x.attrs["name"] for x in (*graph.inputs, *seeds)}, "k")
        stand_ins = {y: input_node(next(names), y.type) for y in (*known, *others)}
        gradients = substitute(pull.graph.outputs, stand_ins)
        below = set(topological(gradients))
        uses = tuple([i for i, x in enumerate(graph.inputs) if x in below])
        inputs = [graph.inputs[i] for i in uses]
        backward = Graph(pull.graph.name, [*inputs, *stand_ins.values(), *seeds], gradients)
        forward = graph.replace([*results, *others, *graph.outputs[count:]])
    return Split(
        forward,
        tuple([(k + len(others), place) for k, place in updates]),
        backward,
        uses,
        tuple([places[y] for y in known]),
        pull.targets,
        len(others),
    )


def _kept(
    gradients: Sequence[Node], seeds: Iterable[Node], overwritten: Sequence[Node]
) -> list[Node]:
    """The forward values to keep: those that separate what is costly from what the gradients read.

    Inputs are at hand afterwards, but for those that are overwritten. What is elementwise is not
    costly: in one kernel with the derivative it takes less time than reading it from memory.
    """
    order = topological(gradients)
    backward = set(seeds)
    for node in order:
        if any(i in backward for i in node.inputs):
            backward.add(node)
    read = {i: None for n in order if n in backward for i in n.inputs if i not in backward}
    read.update({g: None for g in gradients if g not in backward})
    wanted = [n for n in read if n.op is not constant_op]
    sources = [n for n in order if n not in backward and _is_costly(n)]
    sources += overwritten
    if len(order) <= LARGE:
        return minimal_cut(wanted, sources, costly=False)
    return _nearest(wanted, set(sources))


def _is_costly(node: Node) -> bool:
    return node.op.kind != "elementwise" and is_costly(node)


def _nearest(wanted: Sequence[Node], sources: set[Node]) -> list[Node]:
    """The costly values nearest to what is wanted."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = list(wanted)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in sources:
            found[node] = None
        else:
            stack.extend(node.inputs)
    return list(found)
