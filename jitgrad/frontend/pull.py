"""What the eager mode knows of a call before it happens: its derivative.

An op's VJP is written for nodes of the IR. Here it becomes a graph from the values that it uses
and the cotangents of the results to the cotangents of the inputs, built once for each op, types
and attributes. So one rule serves graphs and tape alike.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jitgrad.autodiff.reverse import cotangents, pull
from jitgrad.frontend.straight import straight
from jitgrad.ir.node import Graph, Node, builder, input_node, project, substitute, topological
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType, TupleType
from jitgrad.primitives.elementwise import stop_gradient, value_of


@dataclass(frozen=True)
class Pull:
    """A derivative, run backwards.

    graph    the values of `uses`, then a cotangent for each result -> cotangents of `targets`.
    uses     which values it needs: inputs by position, then results, counted on.
    targets  which inputs have a cotangent.
    count    of all inputs.
    """

    graph: Graph
    uses: tuple[int, ...]
    targets: tuple[int, ...]
    count: int

    @functools.cached_property
    def uses_inputs(self) -> tuple[int, ...]:
        """Which inputs it needs."""
        return tuple([k for k in self.uses if k < self.count])

    @functools.cached_property
    def uses_results(self) -> tuple[int, ...]:
        """Which results it needs."""
        return tuple([k - self.count for k in self.uses if k >= self.count])

    @functools.cached_property
    def is_whole(self) -> bool:
        """Whether every input has a cotangent."""
        return len(self.targets) == self.count

    @functools.cached_property
    def run(self) -> Callable[..., tuple[Any, ...]]:
        """The graph as a function of arrays."""
        return straight(self.graph)

    @functools.cached_property
    def types(self) -> tuple[Any, ...]:
        """Of what it gives."""
        return tuple([y.type for y in self.graph.outputs])


def pull_of(
    op: Op, operands: Sequence[TensorType], attrs: dict[str, Any], needed: tuple[bool, ...]
) -> Pull | None:
    """The derivative of one call of an op with respect to the inputs marked in `needed`.

    None for an op without one.
    """
    if op.vjp is None:
        return None
    with builder.recording(None):
        inputs = [input_node(f"x{i}", t) for i, t in enumerate(operands)]
        node = builder.make(op, tuple(inputs), attrs)
        several = isinstance(node.type, TupleType)
        count = len(node.type.items) if several else 1
        outputs = [project(node, i) for i in range(count)] if several else [node]
        seeds = [input_node(f"g{j}", y.type) for j, y in enumerate(outputs)]
        found = pull(node, dict(enumerate(seeds)) if several else seeds[0])
        return _pull(op.name, inputs, outputs, seeds, found, needed)


@functools.lru_cache(maxsize=512)
def pull_of_graph(graph: Graph, needed: tuple[bool, ...]) -> Pull:
    """The derivative of a whole graph with respect to the inputs marked in `needed`.

    It computes what it needs anew from the inputs, of which it uses only some.
    """
    with builder.recording(None):
        return derivative(f"{graph.name}_pull", graph.inputs, graph.outputs, needed, ())


def derivative(
    name: str,
    inputs: Sequence[Node],
    outputs: Sequence[Node],
    needed: Sequence[bool],
    known: Sequence[Node],
) -> Pull:
    """The derivative of outputs in the inputs marked in `needed`; of the outputs, `known` need not
    be computed anew.
    """
    names = unused({x.attrs["name"] for x in inputs}, "g")
    seeds = [input_node(next(names), y.type) for y in outputs]
    wrt = [x for x, wanted in zip(inputs, needed, strict=True) if wanted]
    gradients = iter(cotangents(outputs, seeds, wrt))
    found = [next(gradients) if wanted else None for wanted in needed]
    return _pull(name, inputs, known, seeds, found, needed)


def taken(graph: Graph, needed: Sequence[bool]) -> Node | None:
    """A Tensor that the program took the value of as a number, if it depends on the inputs marked
    in `needed`: a derivative with respect to them would lack what goes that way.
    """
    followed = {x for x, wanted in zip(graph.inputs, needed, strict=True) if wanted}
    for node in graph.nodes:
        if followed.intersection(node.inputs) and node.op is not stop_gradient:
            if _takes(node):
                return node
            followed.add(node)
    return None


def _takes(node: Node) -> bool:
    """Whether a node takes the value of a float, or a region has one in its body that does."""
    if node.op is value_of:
        return node.inputs[0].dtype.is_float
    bodies = (body for body in node.attrs.values() if isinstance(body, Graph))
    return any(_takes(inside) for body in bodies for inside in body.nodes)


def unused(taken: set[str], stem: str) -> Iterator[str]:
    """Names that a graph's inputs do not have: those of a derivative are such."""
    return (name for i in itertools.count() if (name := f"{stem}{i}") not in taken)


def _pull(
    name: str,
    inputs: Sequence[Node],
    outputs: Sequence[Node],
    seeds: Sequence[Node],
    found: Sequence[Node | None],
    needed: Sequence[bool],
) -> Pull:
    targets = [i for i, (g, n) in enumerate(zip(found, needed, strict=True)) if n and g is not None]
    known = [input_node(f"y{j}", y.type) for j, y in enumerate(outputs)]
    chosen = [found[i] for i in targets]
    results = substitute(chosen, dict(zip(outputs, known, strict=True)))  # type: ignore[arg-type]
    below = set(topological(results))
    values = [*inputs, *known]
    uses = tuple(k for k, value in enumerate(values) if value in below)
    graph = Graph(name, [*(values[k] for k in uses), *seeds], results)
    return Pull(graph, uses, tuple(targets), len(inputs))
