"""A function at a point, with what its derivatives need: the heart of `grad`, in both modes.

`linearize(call, points, weights)` runs `call` on stand-ins for the points, with the weights
(Parameters that `call` reads by itself) standing in for themselves, and returns what it returned
and a `Linear`, which pulls cotangents back (and in a trace pushes tangents forward).

In a trace the stand-ins are placeholder nodes that are substituted afterwards; eagerly they are
fresh ends of the tape. Either way a closure over the original value is another value, so nested
derivatives do not confuse their perturbations.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jitgrad import tree
from jitgrad.autodiff.forward import tangents
from jitgrad.autodiff.reverse import cotangents
from jitgrad.frontend import tape
from jitgrad.frontend.backward import own, reaches_before, walk
from jitgrad.frontend.trace import Trace
from jitgrad.ir.node import Node, fresh_input, full
from jitgrad.state import Leaf, state
from jitgrad.tensor import Parameter, Tensor

Seeds = Sequence[Tensor | None]


class Linear:
    """The derivative of a function at a point. `outputs` are the Tensors that it returned."""

    outputs: list[Tensor]

    def pull(self, seeds: Seeds) -> list[Tensor]:
        """Cotangents of the points, then of the weights, for those of the outputs."""
        raise NotImplementedError

    def push(self, directions: Seeds) -> list[Tensor]:
        """Tangents of the outputs for those of the points."""
        raise NotImplementedError


def linearize(
    call: Callable[[list[Tensor]], Any],
    points: Sequence[Tensor],
    weights: Sequence[Parameter] = (),
    *,
    again: bool = False,
) -> tuple[Any, Linear]:
    """What `call` returns, and its derivative; `again`: it will be pulled more than once."""
    if state.trace is not None:
        return _in_trace(state.trace, call, points, weights)
    return _on_tape(call, points, weights, again)


# --- in a trace ---------------------------------------------------------------------------------


class TracedLinear(Linear):
    """Graph to graph."""

    def __init__(self, trace: Trace, raw: list[Node], places: dict[Node, Node], types: list):
        self.trace, self.raw, self.places, self.types = trace, raw, places, types
        self.mapped = dict(places)  # placeholders, and what was made of them, to what is meant

    def pull(self, seeds: Seeds) -> list[Tensor]:
        nodes = [None if s is None else self.trace.read(s) for s in seeds]
        found = cotangents(self.raw, nodes, list(self.places), self.trace.locs)
        filled = [full(0, p.type) if g is None else g for p, g in zip(self.places, found)]
        return [Tensor._of_node(n) for n in self.trace.substitute(filled, self.mapped)]

    def push(self, directions: Seeds) -> list[Tensor]:
        given = [None if t is None else self.trace.read(t) for t in directions]
        seeds = {p: t for p, t in zip(self.places, given) if t is not None}
        found = tangents(self.raw, seeds)
        filled = [full(0, y.type) if t is None else t for y, t in zip(self.raw, found)]
        return [Tensor._of_node(n) for n in self.trace.substitute(filled, self.mapped)]


def _in_trace(
    trace: Trace, call: Callable, points: Sequence[Tensor], weights: Sequence[Parameter]
) -> tuple[Any, Linear]:
    real = [trace.read(p) for p in (*points, *weights)]
    stand_ins = [fresh_input("d", n.type) for n in real]
    aliases = [Tensor._of_node(n) for n in stand_ins[: len(points)]]
    trace.standing.update(zip(stand_ins, real))
    swapped = [_Swap(trace, w, n) for w, n in zip(weights, stand_ins[len(points) :])]
    before = dict(trace.values)
    try:
        leaves, structure = tree.flatten(call(aliases))
        raw = [trace.read(x) for x in leaves if isinstance(x, Tensor)]
    finally:
        for swap in reversed(swapped):
            swap.undo()
    raw = trace.resolve(raw)
    places = dict(zip(stand_ins, real))
    trace.end_of(places, before)
    linear = TracedLinear(trace, raw, places, [n.type for n in stand_ins])
    resolved = iter(trace.substitute(raw, linear.mapped))
    leaves = [_known(x, next(resolved)) if isinstance(x, Tensor) else x for x in leaves]
    linear.outputs = [x for x in leaves if isinstance(x, Tensor)]
    return tree.unflatten(structure, leaves), linear


def _known(x: Tensor, node: Node) -> Tensor:
    return Tensor._of_node(node, x._data if x._node is not None else None)


class _Swap:
    """A Parameter that reads as a placeholder for a while."""

    def __init__(self, trace: Trace, weight: Parameter, stand_in: Node):
        self.trace, self.weight, self.stand_in = trace, weight, stand_in
        if weight._node is not None:  # an argument of the function being traced
            self.before: Node | None = weight._node
            weight._node = stand_in
        else:
            self.before = trace.values.get(id(weight))
            trace.values[id(weight)] = stand_in

    def undo(self) -> None:
        """Restore what was there, unless the Parameter was written to meanwhile."""
        weight, values = self.weight, self.trace.values
        if weight._node is not None:
            if weight._node is self.stand_in:
                weight._node = self.before
        elif values.get(id(weight)) is self.stand_in:
            if self.before is None:
                del values[id(weight)]
            else:
                values[id(weight)] = self.before


# --- on the tape --------------------------------------------------------------------------------


class Alias(tape.TapeNode):
    """A Tensor that is followed further out, under another name."""

    __slots__ = ()

    def cotangents(self, given: Seeds) -> list[Tensor | None]:
        return list(given)


class TapeLinear(Linear):
    """The tape between the ends that `linearize` made and the outputs."""

    def __init__(self, start: int, ends: list[Any], types: list, again: bool):
        self.start, self.ends, self.types, self.again = start, ends, types, again
        self.roots: list[tape.Edge] = []
        self.transposed: Linear | None = None
        self.reaches: bool | None = None

    def outside(self, seeds: Seeds) -> bool:
        """Whether the result depends on something that is followed further out."""
        with tape.functional():
            if any(s is not None and tape.edge_of(s) is not None for s in seeds):
                return True
        if self.reaches is None:
            self.reaches = self._reaches()
        return self.reaches

    def _reaches(self) -> bool:
        roots = [edge[0] for edge in self.roots if edge is not None]
        return reaches_before(roots, self.start, {e for e in self.ends if type(e) is Leaf})

    def pull(self, seeds: Seeds) -> list[Tensor]:
        create = self.outside(seeds)
        with tape.functional():
            found = walk(
                self.roots,
                seeds,
                [(end, 0) for end in self.ends],
                create_graph=create,
                retain_graph=create or self.again,
            )
        results = [found.get((end, 0)) for end in self.ends]
        return [
            tape.zeros(t) if g is None else own(g) for g, t in zip(results, self.types, strict=True)
        ]

    def push(self, directions: Seeds) -> list[Tensor]:
        """Transpose twice: what pulls cotangents u back is linear in u, and its own pull is the
        push.
        """
        given = [tape.zeros(t) if d is None else d for d, t in zip(directions, self.types)]
        transposed = self.transposed
        if transposed is None:
            dummies = [tape.zeros(y._type) for y in self.outputs]
            _, transposed = linearize(lambda us: tuple(self.pull(us)), dummies, again=self.again)
            self.transposed = transposed if self.again else None
        return transposed.pull(given)


def _on_tape(
    call: Callable, points: Sequence[Tensor], weights: Sequence[Parameter], again: bool
) -> tuple[Any, Linear]:
    start = next(tape.serials)
    with tape.functional():
        ends = [end_of(t) for t in (*points, *weights)]
        aliases = [alias_of(p, end) for p, end in zip(points, ends)]
        with coming_from([(w, e, 0) for w, e in zip(weights, ends[len(points) :])]):
            leaves, structure = tree.flatten(call(aliases))
            leaves = [_private(x, aliases) if isinstance(x, Tensor) else x for x in leaves]
            outputs = [x for x in leaves if isinstance(x, Tensor)]
            roots = [tape.edge_of(y) for y in outputs]
    linear = TapeLinear(start, ends, [t._type for t in (*points, *weights)], again)
    linear.roots, linear.outputs = roots, outputs
    if not linear.outside(()):
        for y in outputs:  # their history ends in here
            y._grad_fn, y._index = None, 0
    return tree.unflatten(structure, leaves), linear


History = tuple[Parameter, Any, int]  # what a Parameter comes from


def histories() -> list[History]:
    """What the Parameters come from that a function is being differentiated in."""
    return [(w, w._grad_fn, w._index) for w in state.weights]


@contextlib.contextmanager
def coming_from(given: Sequence[History]) -> Iterator[None]:
    """Inside, Parameters have another history."""
    outer, before = state.weights, [(w, w._grad_fn, w._index) for w, _, _ in given]
    state.weights = (*outer, *(w for w, _, _ in given))
    for weight, fn, index in given:
        weight._grad_fn, weight._index = fn, index
    try:
        yield
    finally:
        state.weights = outer
        for weight, fn, index in reversed(before):
            weight._grad_fn, weight._index = fn, index


def end_of(tensor: Tensor) -> Any:
    """A fresh end of the tape: a leaf, or an alias of what is followed further out."""
    edge = tape.edge_of(tensor)
    return Leaf(None) if edge is None else Alias("alias", [edge], [tensor._type])


def alias_of(tensor: Tensor, end: Any) -> Tensor:
    """The same value, which comes from an end."""
    alias = Tensor._wrap(tensor._held("differentiated"), tensor._type)
    alias._grad_fn = end
    return alias


def _private(out: Tensor, aliases: Sequence[Tensor]) -> Tensor:
    """An output that is no stand-in, nor a Parameter, whose memory and history are others'."""
    if not isinstance(out, Parameter) and not any(out is a for a in aliases):
        return out
    copy = own(out)
    copy._grad_fn, copy._index = tape.edge_of(out) or (None, 0)
    return copy
