"""A whole graph called on Tensors: one step, and one node on the tape.

The node's derivative is the graph's gradient, a graph that runs the same way. So a compiled
function can be differentiated on the tape to any order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jitgrad import config
from jitgrad.autodiff.custom import erase
from jitgrad.frontend import tape
from jitgrad.frontend.pull import pull_of_graph
from jitgrad.frontend.replay import replay
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph
from jitgrad.runtime.device import device_program, runner
from jitgrad.runtime.executable import compile_graph
from jitgrad.state import state
from jitgrad.tensor import Tensor

Execute = Callable[..., list[np.ndarray]]
Maker = Callable[[Graph, Mapping[int, int]], Execute]


def compiled(graph: Graph, updates: Mapping[int, int]) -> Execute:
    """The graph as machine code, for the device that is set."""
    if config.get("device") == "GPU":
        return on_device(graph, updates)
    return compile_graph(erase(graph), updates)


def on_device(graph: Graph, updates: Mapping[int, int]) -> Execute:
    """The graph on a GPU. What it takes and gives is copied there and back."""
    program = device_program(erase(graph), updates)
    return functools.partial(runner(), program)


def interpreted(graph: Graph, updates: Mapping[int, int]) -> Execute:
    """The graph run by NumPy, node by node."""

    def execute(*arrays: np.ndarray) -> list[np.ndarray]:
        results = interpret(graph, arrays)
        outputs = [np.array(r, order="C") for i, r in enumerate(results) if i not in updates]
        for position, target in updates.items():
            arrays[target][...] = results[position]
        return outputs

    return execute


class GraphNode(tape.TapeNode):
    """A call of a graph."""

    __slots__ = ("graph", "make")

    def cotangents(self, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        needed = tuple([edge is not None for edge in self.edges])
        pull = pull_of_graph(self.graph, needed)
        values = self.values()
        seeds = [tape.zeros(t) if g is None else g for g, t in zip(given, self.types, strict=True)]
        found: list[Tensor | None] = [None] * len(self.edges)
        results = call_graph(pull.graph, [*(values[k] for k in pull.uses), *seeds], self.make)
        for position, result in zip(pull.targets, results, strict=True):
            found[position] = result
        return found


def contiguous(value: Tensor) -> np.ndarray:
    """The array of a Tensor as compiled code takes it. Cotangents may be views."""
    array = value._array("passed to a compiled function")
    return array if array.flags.c_contiguous else array.copy()


def call_graph(graph: Graph, values: Sequence[Tensor], make: Maker) -> list[Tensor]:
    """The outputs of a pure graph for Tensors of its inputs' types; recorded if they are."""
    if state.trace is not None:
        return replay(graph, values)
    arrays = make(graph, {})(*[contiguous(v) for v in values])
    outputs = [Tensor._wrap(a, o.type) for a, o in zip(arrays, graph.outputs, strict=True)]
    if state.grad:
        record(graph, values, outputs, make)
    return outputs


def record(
    graph: Graph,
    values: Sequence[Tensor],
    outputs: Sequence[Tensor],
    make: Maker,
    constant: frozenset[int] | set[int] = frozenset(),
) -> None:
    """Put one node behind the outputs if any input, but for those in `constant`, is followed."""
    edges = [None if i in constant else tape.edge_of(v) for i, v in enumerate(values)]
    if not any(edge is not None for edge in edges):
        return
    integers = any(e is not None and not v.dtype.is_float for e, v in zip(edges, values))
    node = GraphNode(graph.name, edges, [y._type for y in outputs])
    node.graph, node.make = graph, make
    node.saved = tuple([tape.Saved(v, e, v) for v, e in zip(values, edges)])
    tape.attach(node, outputs, integers)
