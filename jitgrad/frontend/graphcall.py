"""A whole graph called on Tensors: one step, and one node on the tape.

The node keeps what its derivative reads and what is dear to compute again. Where the derivative is
recorded itself it starts from the inputs, as a graph that runs the same way. So a compiled function
can be differentiated on the tape to any order.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad import config
from jitgrad.autodiff.custom import erase
from jitgrad.errors import gradient_lost
from jitgrad.frontend import remote, tape
from jitgrad.frontend.pull import pull_of_graph, taken
from jitgrad.frontend.replay import replay
from jitgrad.frontend.split import split
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph
from jitgrad.runtime.cuda.array import IN_USE, DeviceArray, host
from jitgrad.runtime.executable import Executable, compile_graph
from jitgrad.state import OFF, ON, state
from jitgrad.tensor import Tensor

Execute = Callable[..., Sequence[Any]]  # arrays to arrays, wherever they are
Maker = Callable[[Graph, Mapping[int, int]], Execute]


def compiled(graph: Graph, updates: Mapping[int, int]) -> Execute:
    """The graph as machine code, for the device that is set."""
    if config.get("device") == "GPU":
        return on_device(graph, updates)
    return compile_graph(erase(graph), updates)


def on_device(graph: Graph, updates: Mapping[int, int]) -> Execute:
    """The graph on the GPU, where its results stay."""
    from jitgrad.runtime.cuda.device import device
    from jitgrad.runtime.cuda.program import device_program

    return functools.partial(device().run, device_program(erase(graph), updates))


def placed(make: Maker, values: Sequence[Tensor]) -> Maker:
    """How to make what runs for these Tensors: on the GPU if any of them is there."""
    return on_device if IN_USE and remote.is_there(values) else make


def is_for_gpus(make: Maker) -> bool:
    """Whether the GPU was asked for."""
    return make is on_device or (make is compiled and config.get("device") == "GPU")


def interpreted(graph: Graph, updates: Mapping[int, int]) -> Execute:
    """The graph run by NumPy, node by node."""

    def execute(*arrays: np.ndarray) -> list[np.ndarray]:
        results = interpret(graph, arrays)
        outputs = [np.array(r, order="C") for i, r in enumerate(results) if i not in updates]
        for position, target in updates.items():
            arrays[target][...] = results[position]
        return outputs

    return execute


def contiguous(value: Tensor) -> np.ndarray:
    """The array of a Tensor as compiled code takes it. Cotangents may be views."""
    return host(held(value))


def held(value: Tensor) -> Any:
    """The same, or the array on a device."""
    return fitting(value._held("passed to a compiled function"))


def fitting(array: Any) -> Any:
    """An array in C order."""
    if type(array) is DeviceArray or array.flags.c_contiguous:
        return array
    return array.copy()


class Runner:
    """A graph that runs: arrays in, Tensors out."""

    def __init__(self, graph: Graph, updates: Mapping[int, int], make: Maker):
        self.types = [o.type for i, o in enumerate(graph.outputs) if i not in updates]
        self.execute = make(graph, updates)
        self.native: Callable[..., Any] | None = None
        if isinstance(self.execute, Executable):
            array = np.empty(0)
            self.native = self.execute.caller([Tensor._wrap(array, t) for t in self.types], array)

    def __call__(self, *values: Tensor) -> tuple[Tensor, ...]:
        return self.on([held(v) if v._data is None else v._data for v in values])

    def on(self, arrays: Sequence[Any]) -> tuple[Tensor, ...]:
        """The results for arrays. Cotangents among them may be views."""
        if self.native is not None:
            outcome = self.native(*arrays)
            if type(outcome) is tuple:
                return outcome
        found = self.execute(*[fitting(a) for a in arrays])
        return tuple([Tensor._wrap(a, t) for a, t in zip(found, self.types, strict=True)])


class Taped:
    """How the tape runs a graph of which certain inputs are followed, forwards and backwards.

    pull   the whole derivative, from the inputs: what is recorded in turn, for higher orders.
    halves  forward with values to keep, and the derivative that takes them.
    """

    def __init__(
        self,
        graph: Graph,
        updates: tuple[tuple[int, int], ...],
        needed: tuple[bool, ...],
        make: Maker,
    ):
        count = len(graph.outputs) - len(updates)
        self.name, self.make, self.needed = graph.name, make, needed
        self.types = [o.type for o in graph.outputs[:count]]
        self.taken = taken(graph, needed)
        self.lost = graph.locs.get(self.taken) if self.taken is not None else None
        self.pull = pull_of_graph(graph.replace(graph.outputs[:count]), needed)
        self.halves = split(graph, updates, needed)
        self.overwritten = frozenset([place for _, place in updates]) & {*self.pull.uses}
        integers = any(
            n and not x.dtype.is_float for n, x in zip(needed, graph.inputs, strict=True)
        )
        self.follows = tape.followed(self.types, integers)
        places = {k: i for i, k in enumerate(self.pull.uses)}
        self.places = [places[k] for k in self.halves.uses]
        self.forward = Runner(self.halves.forward, dict(self.halves.updates), make)
        self._backward: Runner | None = None

    @property
    def backward(self) -> Runner:
        if self._backward is None:
            self._backward = Runner(self.halves.backward, {}, self.make)
        return self._backward

    def __call__(self, values: Sequence[Tensor], edges: Sequence[tape.Edge]) -> tuple[Tensor, ...]:
        """The results, with one node behind them."""
        known = values
        if self.overwritten:
            known = list(values)
            for place in self.overwritten:
                known[place] = Tensor._wrap(held(values[place]).copy(), values[place]._type)
        found = self.forward(*values)
        count, strict = len(self.types), state.grad == ON
        outputs = found[:count]
        node = GraphNode(self.name, edges, self.types)
        node.taped, node.kept = self, found[count:]
        node.saved = [
            (x := known[k], x._data, x._type, x._version, edges[k], strict) for k in self.pull.uses
        ]
        node.results = [
            (weakref.ref(y := outputs[k]), y._data, y._type, y._version, k, strict)
            for k in self.halves.results
        ]
        for k in self.follows:
            y = outputs[k]
            y._grad_fn, y._index = node, k
        return outputs


class GraphNode(tape.TapeNode):
    """A call of a graph."""

    __slots__ = ("kept", "results", "taped")
    kept: Sequence[Tensor] | None
    results: Sequence[tuple]
    taped: Taped

    def cotangents(self, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        taped, saved = self.taped, self.saved
        if saved is None or self.kept is None:
            raise self.freed()
        if taped.taken is not None:
            raise gradient_lost("turned into a number", taped.lost)
        seeds = [tape.zeros(t) if g is None else g for g, t in zip(given, self.types, strict=True)]
        if state.grad == OFF and state.trace is None:
            arrays = self.arrays([*[saved[i] for i in taped.places], *self.results])
            arrays += [x._data for x in (*self.kept, *seeds)]
            results = taped.backward.on(arrays)
        else:
            results = call_graph(taped.pull.graph, [*self.values(), *seeds], taped.make)
        return tape.placed(results, taped.pull.targets, len(self.edges))

    def release(self) -> None:
        if self.saved or self.kept or self.results:
            self.saved = self.kept = None


def call_graph(graph: Graph, values: Sequence[Tensor], make: Maker) -> Sequence[Tensor]:
    """The outputs of a pure graph for Tensors of its inputs' types; recorded if they are."""
    if state.trace is not None:
        return replay(graph, values)
    make = placed(make, values)
    if state.grad:
        edges = [tape.edge_of(v) for v in values]
        needed = tuple([edge is not None for edge in edges])
        if any(needed):
            return _taped(graph, needed, make, config.code(), config.get("device"))(values, edges)
    return _runner(graph, make, config.code(), config.get("device"))(*values)


@functools.lru_cache(maxsize=256)
def _taped(graph: Graph, needed: tuple[bool, ...], make: Maker, *settings: object) -> Taped:
    """Made for the settings that are in force."""
    return Taped(graph, (), needed, make)


@functools.lru_cache(maxsize=256)
def _runner(graph: Graph, make: Maker, *settings: object) -> Runner:
    return Runner(graph, {}, make)
