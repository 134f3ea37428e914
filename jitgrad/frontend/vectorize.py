"""A function mapped over a leading axis, inside of a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.autodiff.batch import batched
from jitgrad.errors import TraceError, fail
from jitgrad.frontend.control.faults import noted
from jitgrad.frontend.examples import Each, examined
from jitgrad.frontend.random import STREAMS
from jitgrad.frontend.trace import Trace
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node, fresh_input, full, input_op, topological
from jitgrad.ir.types import TensorType, uint64
from jitgrad.primitives.shape import broadcast, iota_of
from jitgrad.state import state
from jitgrad.tensor import Parameter, Tensor


def vectorize(
    call: Callable[[list[Tensor]], Any], examples: Sequence[Tensor], size: int
) -> tuple[list[Any], tree.Structure]:
    """`call` on one example of each Tensor (all without their leading axis of extent `size`),
    as one batched program: the leaves it returns, with a leading axis, and their structure.

    Random numbers are those that a loop over the examples would draw.
    """
    trace = state.trace
    real = [trace.read(x) for x in examples]
    stand_ins = [fresh_input("v", n.type.with_shape(n.shape[1:])) for n in real]
    before = dict(trace.values)
    counters = [_Counter(trace, stream.counter) for stream in STREAMS]
    with examined(trace) as shown:
        leaves, structure = tree.flatten(call([Tensor._of_node(n) for n in stand_ins]))
    tensors = [x for x in leaves if isinstance(x, Tensor)]
    looked = [n for effect in shown.effects for n in effect.nodes]
    codes = [trace.read(shown.faults.code)] if shown.faults is not None else []
    raw = trace.resolve([*map(trace.read, tensors), *looked, *codes])
    mapping = dict(zip(stand_ins, real, strict=True))
    for counter in counters:
        counter.move_on(mapping, size)
    written = [node for key, node in trace.values.items() if before.get(key) is not node]
    if any(n in stand_ins for n in topological(trace.resolve(written))):
        raise fail(
            TraceError,
            "a Parameter is assigned inside of vmap",
            why="it would have another value for each example",
            instead="return the value",
        )
    results = iter(batched(raw, mapping, size))
    mapped = [Tensor._of_node(next(results)) if isinstance(x, Tensor) else x for x in leaves]
    if shown.effects:
        trace.effects.append(Each(shown.effects, [next(results) for _ in looked], size))
    for code in results:
        noted(trace, code)
    return mapped, structure


class _Counter:
    """The counter of a random stream. For one example it is a placeholder, so that what the example
    draws becomes known; example i then starts where i others would have left it.
    """

    def __init__(self, trace: Trace, parameter: Parameter):
        self.trace, self.parameter, self.key = trace, parameter, id(parameter)
        self.before = trace.values.get(self.key)
        self.stand_in = trace.values[self.key] = fresh_input("r", parameter._type)

    def move_on(self, mapping: dict[Node, Node], size: int) -> None:
        """Put where each example starts into the mapping, and the counter behind all of them."""
        values = self.trace.values
        [after] = self.trace.resolve([values[self.key]])
        if self.before is None:
            del values[self.key]
        else:
            values[self.key] = self.before
        if after is self.stand_in:
            return
        if any(n.op is input_op and n is not self.stand_in for n in topological([after])):
            raise fail(TraceError, f"{self.parameter.name} is set to a Tensor inside of vmap")
        start = np.zeros((), np.uint64)
        drawn = int(interpret(Graph("drawn", [self.stand_in], [after]), [start])[0])
        now = self.trace.read(self.parameter)
        type = TensorType(uint64, (size,))
        steps = iota_of((size,), 0, uint64) * full(drawn, type)
        mapping[self.stand_in] = broadcast(now, shape=(size,), dims=()) + steps
        values[self.key] = now + full(drawn * size, now.type)
