"""Steps of training with clipped, accumulated gradients and averaged weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from jitgrad import ops
from jitgrad.api.grad import value_and_grad
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.frontend.tape import no_grad
from jitgrad.nn.cell import Cell
from jitgrad.nn.containers import CellList
from jitgrad.nn.optim.base import counter, states_like
from jitgrad.nn.wrap.cell_wrapper import check_parameters
from jitgrad.nn.wrap.loss_scale import keeping
from jitgrad.tensor import Parameter, ParameterTuple


class EMA(Cell):
    """An exponential moving average of Parameters: average = decay * average + (1 - decay) * p.

    Calling it takes the present values in. Inside of ``with average.applied():`` the Parameters
    have the averages' values.
    """

    def __init__(self, parameters: Iterable[Parameter], decay: float = 0.999):
        super().__init__(auto_prefix=False)
        if not 0 <= decay < 1:
            raise fail(ArgumentError, f"EMA: decay must be in [0, 1), got {decay!r}")
        self.decay, self.parameters = decay, ParameterTuple(parameters)
        self.averages = states_like(self.parameters, "average", 0.0)
        for mean, p in zip(self.averages, self.parameters, strict=True):
            mean.set_data(p)

    def construct(self) -> None:
        """Take the present values in."""
        with no_grad():
            for mean, p in zip(self.averages, self.parameters, strict=True):
                mean.set_data(self.decay * mean + (1 - self.decay) * p)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the Parameters have the averages' values."""
        before = [p.asnumpy().copy() for p in self.parameters]
        for p, mean in zip(self.parameters, self.averages, strict=True):
            p.set_data(mean)
        try:
            yield
        finally:
            for p, value in zip(self.parameters, before, strict=True):
                p.set_data(value)


class TrainStep(Cell):
    """One step of training, compiled as one graph: loss, gradients, update.

    network     returns the loss, or several values of which the first is the loss.
    clip_value  gradients are limited to [-clip_value, clip_value].
    clip_norm   gradients are scaled down to this norm, all of them together.
    accumulate  the weights change every so many calls, by the mean of the gradients since.
    average     an `EMA`, which takes the weights in after each change.

    Calling it returns what the network returned, from before the update.
    """

    def __init__(
        self,
        network: Cell,
        optimizer: Any,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        accumulate: int = 1,
        average: EMA | None = None,
    ):
        super().__init__(auto_prefix=False)
        if isinstance(accumulate, bool) or not isinstance(accumulate, int):
            raise fail(DTypeError, f"TrainStep: accumulate must be an int, got {accumulate!r}")
        for name, value in (("accumulate", accumulate), ("clip_value", clip_value),
                            ("clip_norm", clip_norm)):  # fmt: skip
            if value is not None and value <= 0:
                raise fail(ArgumentError, f"TrainStep: {name} must be above 0, got {value}")
        check_parameters(self, network, optimizer)
        self.network, self.optimizer = network, optimizer
        self.weights = optimizer.parameters
        self.clip_value, self.clip_norm, self.accumulate = clip_value, clip_norm, accumulate
        self.average = average
        if accumulate > 1:
            self.sums = states_like(self.weights, "accumulated", 0.0)
            self.count = counter("accumulated_steps", 0.0)
            cells = [optimizer] if average is None else [optimizer, average]
            self.changing = CellList(cells, auto_prefix=False)  # what an update writes

    def construct(self, *inputs: Any) -> Any:
        """What the network returned."""

        def forward(*values: Any) -> Any:
            out = self.network(*values)
            return (out[0] if isinstance(out, (tuple, list)) else out), out

        (_, out), gradients = value_and_grad(forward, None, self.weights, has_aux=True)(*inputs)
        if self.accumulate == 1:
            self._update(gradients)
            return out
        with no_grad():
            sums = tuple(s + g / self.accumulate for s, g in zip(self.sums, gradients))
            count = self.count + 1.0
            due = count >= self.accumulate
            keeping(due, self.changing, lambda: self._update(sums))
            for held, value in zip(self.sums, sums, strict=True):
                held.set_data(ops.where(due, 0.0, value))
            self.count.set_data(ops.where(due, 0.0, count))
        return out

    def _update(self, gradients: Any) -> None:
        if self.clip_value is not None:
            gradients = ops.clip_by_value(gradients, -self.clip_value, self.clip_value)
        if self.clip_norm is not None:
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        self.optimizer(tuple(gradients))
        if self.average is not None:
            self.average()
