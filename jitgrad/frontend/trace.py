"""Functions to graphs: the function runs once, on Tensors that stand for values.

While a trace is active, every op on Tensors becomes a node. Tensors from outside become further
inputs of the graph when they are first read; writes to them become further outputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.errors import LeakError, TraceError, fail
from jitgrad.frontend.decisions import Decisions
from jitgrad.frontend.stores import Store, leaks
from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    input_node,
    input_op,
    topological,
    with_inputs,
)
from jitgrad.ir.types import TensorType
from jitgrad.locate import Location, user_expression, user_location
from jitgrad.primitives.elementwise import stop_gradient
from jitgrad.state import state
from jitgrad.tensor import Parameter, Tensor
from jitgrad.value import no_value
from jitgrad.views import is_shared, propagate


def current() -> Trace | None:
    """The trace that is active in this thread, or None."""
    return state.trace


@dataclass(frozen=True, slots=True)
class Argument:
    """An input of the function to be traced. `parameter`: the Parameter it stands for, if one."""

    name: str
    type: TensorType
    parameter: Parameter | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One output of the traced function: a Tensor by its position among the graph's outputs, or
    a value that is not a Tensor and is the same at each call.
    """

    position: int | None
    value: Any = None


@dataclass(frozen=True, slots=True)
class Traced:
    """A function as a graph.

    graph     inputs: the arguments, then the captures; outputs: the results, then the writes.
    captures  Tensors from outside that the function reads: their arrays are inputs at each call.
    writes    (output, input): the input whose array each write overwrites.
    results   the leaves of what the function returned, in the nest `structure`.
    values    Tensors from outside whose value decided how the trace went, with their version.
    decided   what the conditions are for which the trace holds; `conditions` computes them.
    effects   what is shown after each run; their Tensors come last among the results.
    events    what became of Python's control flow.
    """

    graph: Graph
    captures: tuple[Tensor, ...]
    writes: tuple[tuple[int, int], ...]
    results: tuple[Result, ...]
    structure: tree.Structure
    values: tuple[tuple[Tensor, int], ...]
    conditions: Graph | None = None
    decided: tuple[bool, ...] = ()
    effects: tuple[Any, ...] = ()
    events: tuple[Any, ...] = ()

    @property
    def count(self) -> int:
        """The number of Tensors that are no writes: they come first among the outputs."""
        return len(self.graph.outputs) - len(self.writes)


class Trace:
    """What is known while a function is being traced."""

    def __init__(self) -> None:
        self.captures: dict[int, tuple[Tensor, Node]] = {}
        self.values: dict[int, Node] = {}  # by id of an outside Tensor: what reading it gives now
        self.written: dict[int, Tensor] = {}
        self.looked: dict[int, tuple[Tensor, int]] = {}
        self.stood_for: dict[Node, Node] = {}  # placeholders of finished transforms
        self.locs: dict[Node, Location] = {}
        self.names: set[str] = set()
        self.standing: dict[Node, Node] = {}  # placeholders of transforms to what they stand for
        self.log: Any = None  # of what the block on trial changes in place; see `control.attempt`
        self.links: dict[tuple[int, int], Any] = {}  # of Tensors that may be one; see `aliases`
        self.diagrams = Decisions()  # where they are
        self.mapped = 0  # how many `vmap`s are being traced, one inside of another
        self.printer: Any = None  # of the loop on trial; see `control.prints`
        self.faults: Any = None  # exceptions in compiled loops; see `control.faults`
        self.caught: list[Callable[[], Any]] = []  # by each `try` around; see `control.caught`
        self.mixed: list[Any] = []  # lists and dicts that may be one of two
        self.loops: dict[Any, Any] = {}  # what loops carried, by their code; see `control.settling`
        self.turn: Any = None  # of the loop on trial, the innermost; see `control.growing`
        self.trials = 0  # how many blocks are on trial, one inside of another
        self.known_values: dict[Node, Any] | None = None  # of the inputs, where there are any
        self.decisions: list[tuple[Node, bool]] = []  # conditions that the trace went by
        self.stores: dict[tuple, Store] = {}
        self.effects: list[Any] = []  # what is printed after each run
        self.events: list[Any] = []  # what became of control flow, for `explain`
        self.made: dict[Node, int] = {}  # the nodes that were noted, numbered
        self.arrays: dict[int, tuple[Any, Any]] = {}  # of NumPy, by id, and who made each

    def input(self, stem: str, type: TensorType) -> Node:
        """An input of the graph, with a name of its own."""
        base = name = _identifier(stem)
        count = 0
        while name in self.names:
            count += 1
            name = f"{base}_{count}"
        self.names.add(name)
        return input_node(name, type)

    # --- called by dispatch and Tensor ----------------------------------------------------------

    def note(self, node: Node) -> None:
        """Remember that a node was made, and the user's line that made it."""
        self.made.setdefault(node, len(self.made))
        if node not in self.locs:
            where = user_location()
            if where is not None:
                self.locs[node] = where

    def read(self, tensor: Tensor) -> Node:
        """The node for a Tensor: one from outside becomes an input of the graph."""
        node = tensor._node
        if node is not None:
            if tensor._data is None and tensor._trace is not self:
                raise _stranger(str(tensor._type))
            return node
        key = id(tensor)
        node = self.values.get(key)
        if node is not None:
            return node
        found = self.captures.get(key)
        if found is None:
            if tensor._data is None:
                raise no_value(tensor, "read")
            stem = tensor.name if isinstance(tensor, Parameter) else "captured"
            found = self.captures[key] = tensor, self.input(stem, tensor._type)
        return found[1]

    def write(self, target: Tensor, value: Tensor, keep_gradient: bool = True) -> None:
        """Make later reads of `target` give `value`. A Parameter's new value is a constant."""
        self._write(target, value, keep_gradient)
        if self.links:
            from jitgrad.frontend.aliases import reached

            if not keep_gradient:
                value = Tensor._of_node(builder.make(stop_gradient, (self.read(value),), {}))
            for other, new in reached(self, target, value):
                self._write(other, new, True)
                if is_shared(other):
                    propagate(other)

    def _write(self, target: Tensor, value: Tensor, keep_gradient: bool) -> None:
        if self.log is not None:
            self.log.touch_tensor(target)
        node = self.read(value)
        if isinstance(target, Parameter) or not keep_gradient:
            node = builder.make(stop_gradient, (node,), {})
        if target._node is not None:
            known = value._data if value._node is not None else None
            target._node, target._type, target._data = node, node.type, known
            target._trace = self
            target._version += 1
            return
        if node.type is not target._type:
            raise fail(
                TraceError,
                f"a Tensor of type {target._type} from outside is given a value of type"
                f" {node.type} in a compiled function",
                why="what the function writes back must have the type it had",
            )
        self.read(target)
        self.values[id(target)] = node
        self.written[id(target)] = target

    def value_of(self, tensor: Tensor, asked: str) -> None:
        """Allow a Tensor from outside to be looked at: another value then means another trace."""
        if tensor._data is None or id(tensor) in self.values:
            raise no_value(tensor, asked)
        self.looked.setdefault(id(tensor), (tensor, tensor._version))

    def unread(self) -> tuple[type[TraceError], str, str]:
        """Why a traced value was asked for its truth here: the class of the error, the reason and
        the remedy.
        """
        from jitgrad.frontend.control.build import unread

        return unread()

    def catches(self, kind: type[Exception]) -> bool:
        """Whether a `try` around what runs now has a handler for an exception."""
        return any(issubclass(kind, handled()) for handled in self.caught)

    def store(self, holder: Any, attribute: str | None) -> None:
        """Note that something is stored in an object that may outlive the trace."""
        key = id(holder), attribute
        if key not in self.stores:
            self.stores[key] = Store(holder, attribute, user_expression())

    def check_leaks(self) -> None:
        """LeakError if a Tensor of this trace is stored where it outlives it."""
        self.mixed.clear()  # which refers to what nobody else knows any more
        found = leaks(self)
        if found:
            raise found[0].error(self)

    def take_back(self, tensors: Sequence[Tensor], inputs: Sequence[Node]) -> None:
        """What is written is kept only if no compiled loop raised an exception."""
        for t, node in zip(tensors, inputs, strict=True):
            if t._node is not node:
                (kept,) = self.faults.keep_what_was([(t, Tensor._of_node(node))])
                t._node, t._data = kept._node, None
        for key in self.written:
            pair = Tensor._of_node(self.values[key]), Tensor._of_node(self.captures[key][1])
            self.values[key] = self.faults.keep_what_was([pair])[0]._node

    def forget(self, start: int) -> None:
        """A region is over: the nodes noted since `start` are not there outside of it."""
        while len(self.made) > start:
            self.made.popitem()

    # --- placeholders ---------------------------------------------------------------------------

    def substitute(self, nodes: Sequence[Node], mapped: dict[Node, Node]) -> list[Node]:
        """The nodes with some replaced by others; rebuilt nodes keep their user's line.

        What was rebuilt enters `mapped`, so that a second call goes on from there.
        """
        with builder.recording(None):
            for node in topological(nodes, stop=mapped):
                if node not in mapped:
                    new = with_inputs(node, tuple([mapped[i] for i in node.inputs]))
                    if new is not node and node in self.locs:
                        self.locs.setdefault(new, self.locs[node])
                    mapped[node] = new
        return [mapped[n] for n in nodes]

    def resolve(self, nodes: Sequence[Node]) -> list[Node]:
        """The nodes without placeholders of transforms that are over.

        Such a node comes from a Tensor that a function stored away while it was differentiated.
        """
        nodes = list(nodes)
        while self.stood_for:
            left = {n: self.stood_for[n] for n in topological(nodes) if n in self.stood_for}
            if not left:
                break
            nodes = self.substitute(nodes, left)
        return nodes

    def outermost(self, node: Node) -> Node:
        """The node in terms of the graph's inputs, as far as transforms stand in between."""
        with_standing = {**self.stood_for, **self.standing}
        while True:
            left = {n: with_standing[n] for n in topological([node]) if n in with_standing}
            if not left:
                return node
            (node,) = self.substitute([node], left)

    def end_of(self, placeholders: Mapping[Node, Node], before: Mapping[int, Node]) -> None:
        """A transform is over: what it wrote is expressed in what its placeholders stand for."""
        self.stood_for.update(placeholders)
        for key, node in list(self.values.items()):
            if before.get(key) is not node:
                self.values[key] = self.resolve([node])[0]


def trace(
    call: Callable[[list[Tensor]], Any],
    arguments: Sequence[Argument],
    name: str,
    values: Sequence[np.ndarray] | None = None,
) -> Traced:
    """Run `call` once on traced Tensors of the arguments' types. With their `values`, the trace may
    follow one path where two cannot be compiled as one.

    TraceError if it asks a traced Tensor for its value, or uses one of another trace.
    """
    from jitgrad.frontend.control.arrays import Restart

    while True:
        try:
            return _trace(call, arguments, name, values)
        except Restart:
            continue  # each time because of another line of the program


def _trace(
    call: Callable[[list[Tensor]], Any],
    arguments: Sequence[Argument],
    name: str,
    values: Sequence[np.ndarray] | None,
) -> Traced:
    active = Trace()
    inputs = [active.input(a.name, a.type) for a in arguments]
    if values is not None:
        active.known_values = dict(zip(inputs, values, strict=True))
    before, state.trace = (state.trace, state.grad), active
    state.grad = state.grad or state.recording  # a trace is used in a `no_grad` block and outside
    try:
        tensors = [_stand_in(a, n) for a, n in zip(arguments, inputs, strict=True)]
        with builder.recording(active.note):
            leaves, structure = tree.flatten(call(tensors))
            active.check_leaks()
            if active.faults is not None:
                active.take_back(tensors, inputs)
            nodes = [active.read(x) for x in leaves if isinstance(x, Tensor)]
    except Exception:
        for effect in active.effects:  # what the program printed before it failed
            effect.show_now()
        raise
    finally:
        state.trace, state.grad = before
    return _finish(active, name, inputs, tensors, leaves, structure, nodes)


def _stand_in(argument: Argument, node: Node) -> Tensor:
    if argument.parameter is None:
        return Tensor._of_node(node)
    original = argument.parameter
    stand_in = object.__new__(type(original))
    stand_in._data, stand_in._type, stand_in._node = None, node.type, node
    stand_in._begin()
    stand_in._trace = state.trace
    stand_in.__dict__.update(original.__dict__)
    return stand_in


def _finish(
    active: Trace,
    name: str,
    inputs: Sequence[Node],
    tensors: Sequence[Tensor],
    leaves: Sequence[Any],
    structure: tree.Structure,
    nodes: Sequence[Node],
) -> Traced:
    """Put results and writes in order, and check that nothing leaked."""
    places = {key: len(inputs) + i for i, key in enumerate(active.captures)}
    writes = [(t._node, i) for i, t in enumerate(tensors) if t._node is not inputs[i]]
    writes += [(active.values[key], places[key]) for key in active.written]
    shown = [node for effect in active.effects for node in effect.nodes]
    outputs = active.resolve([*nodes, *shown, *(node for node, _ in writes)])
    every_input = (*inputs, *(node for _, node in active.captures.values()))
    _check_inputs(active, outputs, set(every_input))
    positions = iter(range(len(nodes)))
    count = len(nodes) + len(shown)
    conditions = None
    if active.decisions:
        asked = [node for node, _ in active.decisions]
        conditions = Graph("conditions", every_input, asked, active.locs)
    return Traced(
        Graph(name, every_input, outputs, active.locs),
        tuple([tensor for tensor, _ in active.captures.values()]),
        tuple([(count + k, place) for k, (_, place) in enumerate(writes)]),
        tuple(
            [Result(next(positions)) if isinstance(x, Tensor) else Result(None, x) for x in leaves]
        ),
        structure,
        tuple(active.looked.values()),
        conditions,
        tuple([held for _, held in active.decisions]),
        tuple(active.effects),
        tuple(active.events),
    )


def _identifier(text: str) -> str:
    """A name that IR text can hold."""
    text = re.sub(r"[^\w.]+", "_", text)
    return text if text[:1].isalpha() or text[:1] == "_" else f"_{text}"


def _check_inputs(active: Trace, outputs: Sequence[Node], known: set[Node]) -> None:
    """TraceError, with the user's line, if a placeholder of a transform is below the outputs."""
    order = topological(outputs)
    from_there = {n for n in order if n.op is input_op and n not in known}
    if not from_there:
        return
    stranger = next(n for n in order if n in from_there)
    where = None
    for node in order:
        if any(i in from_there for i in node.inputs):
            from_there.add(node)
            where = where or active.locs.get(node)
    raise _stranger(str(stranger.type), where)


def _stranger(type: str, where: Location | None = None) -> Exception:
    return fail(
        LeakError,
        f"a traced Tensor of type {type} is used outside of its trace",
        why="it was stored away by a function that was compiled or mapped before, and stands for"
        " a value that is gone",
        instead="return it from that function",
        where=where,
    )
