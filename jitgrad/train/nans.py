"""Where a nan comes from: the step, the op and the user's line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad.errors import explain
from jitgrad.frontend.random import default_generator
from jitgrad.ir.interp import evaluate
from jitgrad.ir.node import Graph, Node, input_op
from jitgrad.locate import Location
from jitgrad.train.callbacks import Callback, RunContext, loss_of


@dataclass(frozen=True, slots=True)
class Origin:
    """The first value of a graph that is not finite although its operands are; or an input."""

    what: str
    where: Location | None


class StopAtNaN(Callback):
    """Stop at the first loss that is nan or infinite, and say where it comes from.

    FloatingPointError names the step, the first op whose result is not finite while its operands
    are, and the user's line. To be able to look, all Parameters of the step are copied before it;
    that is what it costs. Nothing is written back: the Parameters are those before the bad step.
    """

    def __init__(self) -> None:
        self._before: list[tuple[Any, np.ndarray]] = []

    def on_train_step_begin(self, run_context: RunContext) -> None:
        network = run_context.original_args().train_network
        stream = default_generator()
        kept = [*network.get_parameters(), stream.key, stream.counter]
        self._before = [(p, p.asnumpy().copy()) for p in kept]

    def on_train_step_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        loss = loss_of(params)
        if np.isfinite(loss):
            return
        for p, value in self._before:
            p.set_data(value)
        origin = found_in(params.train_network, params.train_dataset_element)
        raise FloatingPointError(
            explain(
                f"step {params.cur_step_num} (epoch {params.cur_epoch_num}): the loss is {loss};"
                f" {origin.what}",
                where=origin.where,
                instead="the Parameters are again those before this step",
            )
        )


def found_in(cell: Any, inputs: Sequence[Any]) -> Origin:
    """Where a value that is not finite arises when a Cell is called."""
    lowered = cell.lower(*inputs)
    graph: Graph = lowered.stages[0][1]
    values: dict[Node, Any] = {}
    for node, array in zip(graph.inputs, lowered.arrays, strict=True):
        values[node] = array
        if not _finite(array):
            return Origin(f"the input %{node.attrs['name']} is not finite", graph.locs.get(node))
    for node in graph.nodes:
        if node.op is input_op:
            continue
        values[node] = evaluate(node, [values[i] for i in node.inputs])
        if node.op.kind != "leaf" and not _finite(values[node]):
            operands = ", ".join(str(i.type) for i in node.inputs)
            text = f"{node.op.name}({operands}) is the first that is not finite"
            return Origin(text, graph.locs.get(node))
    return Origin("computed step by step it is finite", None)


def _finite(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_finite(part) for part in value)
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
