"""One compiled variant of a function, for arguments of certain types, and its shortest call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import config, tree
from jitgrad.api import shortest
from jitgrad.api.reasons import Cost
from jitgrad.errors import TraceError, fail
from jitgrad.frontend import graphcall, remote
from jitgrad.frontend.guards import Guards
from jitgrad.frontend.tape import Edge, edge_of
from jitgrad.frontend.trace import Traced
from jitgrad.state import FUNCTIONAL, state
from jitgrad.tensor import Parameter, Tensor
from jitgrad.views import is_shared, propagate, root

RETRIES = 2  # calls before the shortest call is generated: a function called once never pays for it


class Entry:
    """A traced and compiled variant.

    functional  Parameters that it reads are constants to the tape, as inside of `grad(f)`.
    why, cost   of this trace; `jit` sets them.
    """

    why: str
    cost: Cost

    def __init__(
        self,
        traced: Traced,
        guards: Guards,
        make: graphcall.Maker,
        leaves: Sequence[Any],
        structure: tree.Structure,
        functional: bool,
    ):
        self.traced, self.guards, self.make = traced, guards, make
        self.leaves, self.structure = list(leaves), structure
        self.functional = functional
        self.types = [o.type for o in traced.graph.outputs[: traced.count]]
        self.written = {place for _, place in traced.writes}
        # A function that writes takes a Tensor as an argument, or finds it by itself: not both.
        self.exclusive = frozenset([id(t) for t in traced.captures] if traced.writes else [])
        self.taped: dict[Any, graphcall.Taped] = {}  # by which inputs are followed, and where
        guards.watch_types(traced.captures)
        self._execute: graphcall.Execute | None = None
        self.executes: dict[tuple[bool, graphcall.Maker], graphcall.Execute] = {}  # elsewhere
        self.calls = 0
        self.fast: Callable[[tuple, dict], Any] | None = None

    @property
    def execute(self) -> graphcall.Execute:
        """The function where the tape does not follow it."""
        if self._execute is None:
            self._execute = self.make(self.traced.graph, dict(self.traced.writes))
        return self._execute

    def valid(self) -> bool:
        """Whether the trace would still go the same way."""
        looked = all(tensor._version == version for tensor, version in self.traced.values)
        return looked and self.guards.hold()

    def applies(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these arguments take the path that the trace followed."""
        conditions = self.traced.conditions
        if conditions is None:
            return True
        inputs = [*tensors, *self.traced.captures]
        make = graphcall.placed(self.make, inputs)
        arrays = [graphcall.held(x) for x in inputs]
        if (True, make) not in self.executes:
            self.executes[True, make] = make(conditions, {})
        found = self.executes[True, make](*arrays)
        return all(bool(x) == held for x, held in zip(found, self.traced.decided, strict=True))

    def prepare(self, tensors: Sequence[Tensor]) -> None:
        """Compile what a call with these Tensors among its arguments runs."""
        inputs = [*tensors, *self.traced.captures]
        edges = self.edges(inputs) if state.grad else None
        if edges is None:
            self.executing(inputs)
        else:
            self.on_tape(inputs, tuple([edge is not None for edge in edges]))

    def run(self, tensors: Sequence[Tensor]) -> Any:
        """Call it on the Tensors among the arguments."""
        inputs = [*tensors, *self.traced.captures]
        if self.exclusive and any(id(t) in self.exclusive for t in tensors):
            raise fail(
                TraceError,
                f"{self.traced.graph.name} got a Tensor that it reads from outside as well",
                why="it writes in place, and would not see its own writes under both names",
                instead="pass it as an argument only, or pass a copy",
            )
        if any(is_shared(inputs[place]) for place in self.written):
            self.check_views(inputs)
        self.settle(inputs, len(tensors))
        edges = self.edges(inputs) if state.grad else None
        outputs = self.run_plain(inputs) if edges is None else self.run_followed(inputs, edges)
        self.calls += 1
        return self.packed(outputs)

    def check_views(self, inputs: Sequence[Tensor]) -> None:
        """TraceError if what is written in place is here under two names."""
        written = {id(root(inputs[place])) for place in self.written}
        if sum(id(root(x)) in written for x in inputs) > len(self.written):
            raise fail(
                TraceError,
                f"{self.traced.graph.name} got a Tensor and a view of it",
                why="it writes to one in place, and would not see that in the other",
                instead="take the view inside of the function, or pass a copy",
            )

    def edges(self, inputs: Sequence[Tensor]) -> list[Edge] | None:
        """Where the inputs come from on the tape; None if it follows none of them. What the
        function overwrites is a constant to it.
        """
        if not any(x._grad_fn is not None for x in inputs):
            return None
        before = state.grad
        if self.functional:
            state.grad = FUNCTIONAL
        try:
            found = [None if i in self.written else edge_of(x) for i, x in enumerate(inputs)]
        finally:
            state.grad = before
        return found if any(edge is not None for edge in found) else None

    def settle(self, inputs: Sequence[Tensor], tensors: int) -> None:
        """Let what the function takes move to the GPU and stay there, where it runs there:
        Parameters; what else it finds by itself, if it was compiled for the GPU; and its
        arguments, if the GPU is where all is to run.
        """
        asked, everything = graphcall.is_for_gpus(self.make), config.get("device") == "GPU"
        on_device = asked or graphcall.placed(self.make, inputs) != self.make
        if not on_device:
            return
        from jitgrad.runtime.cuda.device import device

        for i, x in enumerate(inputs):
            if isinstance(x, Parameter) or (asked and (everything or i >= tensors)):
                x._data = device().put(graphcall.held(x))
        if not asked:
            names = [x.attrs["name"] for x in self.traced.graph.inputs]
            remote.together(self.traced.graph.name, list(zip(names, inputs, strict=True)))

    def executing(self, inputs: Sequence[Tensor]) -> graphcall.Execute:
        """The function for Tensors where they are."""
        make = graphcall.placed(self.make, inputs)
        if make is self.make:
            return self.execute
        if (False, make) not in self.executes:
            self.executes[False, make] = make(self.traced.graph, dict(self.traced.writes))
        return self.executes[False, make]

    def run_plain(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        outputs = self.results(inputs)
        self.wrote(inputs)
        return outputs

    def results(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What it computes, where the inputs are."""
        arrays = self.executing(inputs)(*[graphcall.held(x) for x in inputs])
        return tuple([Tensor._wrap(a, t) for a, t in zip(arrays, self.types, strict=True)])

    def run_followed(self, inputs: Sequence[Tensor], edges: Sequence[Edge]) -> Sequence[Tensor]:
        """As one node on the tape, which follows the inputs that have edges."""
        needed = tuple([edge is not None for edge in edges])
        if True not in needed:
            return self.run_plain(inputs)
        outputs = self.on_tape(inputs, needed)(inputs, edges)
        self.wrote(inputs)
        return outputs

    def wrote(self, inputs: Sequence[Tensor]) -> None:
        """The function has overwritten arrays of its inputs."""
        for place in self.written:
            inputs[place]._version += 1
            if is_shared(inputs[place]):
                propagate(inputs[place])

    def on_tape(self, inputs: Sequence[Tensor], needed: tuple[bool, ...]) -> graphcall.Taped:
        """What runs where the tape follows the inputs marked in `needed`."""
        make = graphcall.placed(self.make, inputs)
        if (needed, make) not in self.taped:
            traced = self.traced
            self.taped[needed, make] = graphcall.Taped(traced.graph, traced.writes, needed, make)
        return self.taped[needed, make]

    def packed(self, outputs: Sequence[Tensor]) -> Any:
        """What the function returns."""
        self.show(outputs)
        leaves = [
            r.value if r.position is None else outputs[r.position] for r in self.traced.results
        ]
        return tree.unflatten(self.traced.structure, leaves)

    def show(self, outputs: Sequence[Tensor]) -> None:
        """Print what the function prints. Its Tensors are behind the results."""
        end = len(outputs)
        for effect in reversed(self.traced.effects):
            end -= len(effect.nodes)
        for effect in self.traced.effects:
            effect.show(outputs[end : end + len(effect.nodes)])
            end += len(effect.nodes)

    # --- the shortest call ----------------------------------------------------------------------

    def quick(self) -> Callable[[tuple, dict], Any] | None:
        """The generated call, made at the second use."""
        if self.traced.conditions is not None or self.traced.effects:
            return None
        if any(make is not self.make for _, make in self.executes):
            return None  # where the operands are is looked at at each call
        if self.fast is None and self.calls >= RETRIES:
            self.fast = shortest.generate(self)
        return self.fast
