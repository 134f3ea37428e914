"""A function mapped over a leading axis, inside of a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import tree
from jitgrad.autodiff.batch import batched
from jitgrad.errors import TraceError, fail
from jitgrad.ir.node import fresh_input, topological
from jitgrad.state import state
from jitgrad.tensor import Tensor


def vectorize(
    call: Callable[[list[Tensor]], Any], examples: Sequence[Tensor], size: int
) -> tuple[list[Any], tree.Structure]:
    """`call` on one example of each Tensor (all without their leading axis of extent `size`),
    as one batched program: the leaves it returns, with a leading axis, and their structure.
    """
    trace = state.trace
    real = [trace.read(x) for x in examples]
    stand_ins = [fresh_input("v", n.type.with_shape(n.shape[1:])) for n in real]
    before = dict(trace.values)
    leaves, structure = tree.flatten(call([Tensor._of_node(n) for n in stand_ins]))
    raw = trace.resolve([trace.read(x) for x in leaves if isinstance(x, Tensor)])
    written = [node for key, node in trace.values.items() if before.get(key) is not node]
    if any(n in stand_ins for n in topological(trace.resolve(written))):
        raise fail(
            TraceError,
            "a Parameter is assigned inside of vmap",
            why="it would have another value for each example",
            instead="return the value",
        )
    results = iter(batched(raw, dict(zip(stand_ins, real, strict=True)), size))
    mapped = [Tensor._of_node(next(results)) if isinstance(x, Tensor) else x for x in leaves]
    return mapped, structure
