"""Steps of training whose loss is scaled, so that small gradients do not vanish in float16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad import ops, tree
from jitgrad.api.grad import value_and_grad
from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.frontend.tape import no_grad
from jitgrad.ir.types import float32
from jitgrad.nn.cell import Cell
from jitgrad.nn.optim.base import counter, write
from jitgrad.nn.wrap.cell_wrapper import TrainOneStepCell
from jitgrad.tensor import Parameter, Tensor


def all_finite(inputs: Any) -> Tensor:
    """Whether no value of a nest of Tensors is nan or infinite, as a 0-d bool Tensor."""
    leaves = [x for x in tree.flatten(inputs)[0] if isinstance(x, Tensor)]
    found = [ops.all(ops.isfinite(x)) for x in leaves if x.dtype.is_float]
    result = found[0] if found else Tensor(True)
    for other in found[1:]:
        result = ops.logical_and(result, other)
    return result


def keeping(condition: Tensor, cell: Cell, change: Callable[[], Any]) -> None:
    """Call a function that writes Parameters of a Cell, and keep what it wrote if a condition
    holds. Compiled, this is a choice of values in the kernels that compute them.
    """
    held = list(cell.get_parameters())
    before = [p.value() for p in held]
    change()
    for p, old in zip(held, before, strict=True):
        write(p, ops.where(condition, p.value(), old))


class FixedLossScaleUpdateCell(Cell):
    """A scale of the loss that stays: a step's scale and whether it overflowed, to the latter.

    >>> nn.FixedLossScaleUpdateCell(1024.0).get_loss_scale()
    1024.0
    """

    def __init__(self, loss_scale_value: float):
        super().__init__()
        self.loss_scale_value = loss_scale_value

    def get_loss_scale(self) -> float:
        """The scale."""
        return self.loss_scale_value

    def construct(self, loss_scale: Parameter, overflow: Any) -> Any:
        return overflow


class DynamicLossScaleUpdateCell(Cell):
    """Writes the scale of the loss: it falls by `scale_factor` when gradients overflow, not below
    1, and rises by it after `scale_window` steps without. Returns whether there was an overflow.

    >>> manager = nn.DynamicLossScaleUpdateCell(1024.0, 2, 100)
    >>> scale = Parameter(Tensor(manager.get_loss_scale()), name="scale")
    >>> bool(manager(scale, Tensor(True))), scale.item()
    (True, 512.0)
    """

    def __init__(self, loss_scale_value: float, scale_factor: float, scale_window: int):
        super().__init__()
        self.loss_scale_value = loss_scale_value
        self.scale_factor, self.scale_window = float(scale_factor), int(scale_window)
        self.good_steps = counter("good_steps", 0.0)

    def get_loss_scale(self) -> float:
        """The scale at the beginning."""
        return self.loss_scale_value

    def construct(self, loss_scale: Parameter, overflow: Any) -> Any:
        scale, count = loss_scale.value(), self.good_steps + 1.0
        due = count >= self.scale_window
        grown = ops.where(due, scale * self.scale_factor, scale)
        shrunk = ops.maximum(scale / self.scale_factor, 1.0)
        write(loss_scale, ops.where(overflow, shrunk, grown))
        write(self.good_steps, ops.where(ops.logical_or(overflow, due), 0.0, count))
        return overflow


class TrainOneStepWithLossScaleCell(TrainOneStepCell):
    """A step whose gradients are those of the loss times a scale. A step whose gradients overflow
    changes nothing but the scale.

    `scale_sense` is a `FixedLossScaleUpdateCell`, a `DynamicLossScaleUpdateCell` or a number, and
    then the Parameter that holds the scale. Returns the loss, whether there was an overflow, and
    the scale.

    A `construct` of one's own has what `TrainOneStepCell` has, and `start_overflow_check`,
    `get_overflow_status` and `process_loss_scale`.
    """

    def __init__(self, network: Cell, optimizer: Cell, scale_sense: Any):
        super().__init__(network, optimizer)
        self.hyper_map = ops.HyperMap()
        self.loss_scaling_manager = scale_sense if isinstance(scale_sense, Cell) else None
        if isinstance(scale_sense, Cell):
            scale_sense = scale_sense.get_loss_scale()
        if not isinstance(scale_sense, (int, float, Tensor)):
            raise fail(DTypeError, f"{self.cls_name}: scale_sense is {scale_sense!r}")
        if np.size(scale_sense) != 1:
            raise fail(ShapeError, f"{self.cls_name}: scale_sense has shape {scale_sense.shape}")
        self.scale_sense = counter("scale_sense", float(scale_sense))

    def set_sense_scale(self, sens: Any) -> None:
        """Change the scale."""
        self.scale_sense.set_data(float(sens))

    def start_overflow_check(self, pre_cond: Any, compute_input: Any) -> tuple[Tensor, Any]:
        """A status, which means nothing here, and `compute_input` as it is."""
        return ops.zeros(8, "int32"), compute_input

    def get_overflow_status(self, status: Any, compute_output: Any) -> Tensor:
        """Whether any value of a nest of gradients is nan or infinite."""
        return ops.logical_not(all_finite(compute_output))

    def process_loss_scale(self, overflow: Any) -> Any:
        """Let the manager adapt the scale; returns `overflow`."""
        if self.loss_scaling_manager is None:
            return overflow
        return self.loss_scaling_manager(self.scale_sense, overflow)

    def construct(self, *inputs: Any) -> tuple[Any, Tensor, Tensor]:
        """The loss, whether there was an overflow, and the scale."""
        scale = self.scale_sense.value()

        def forward(*values: Any) -> Any:
            out = self.network(*values)
            loss = out[0] if isinstance(out, (tuple, list)) else out
            return loss * ops.cast(scale, loss.dtype), out

        (_, out), grads = value_and_grad(forward, None, self.weights, has_aux=True)(*inputs)
        with no_grad():
            grads = tuple(ops.cast(g, float32) / scale for g in grads)
            finite = all_finite(grads)
            keeping(finite, self.optimizer, lambda: self.optimizer(grads))
            overflow = self.process_loss_scale(ops.logical_not(finite))
        return out, overflow, scale


__all__ = [
    "DynamicLossScaleUpdateCell", "FixedLossScaleUpdateCell", "TrainOneStepWithLossScaleCell",
]  # fmt: skip
