"""Learning rates as Cells of the step: what an optimizer calls once a step."""

from __future__ import annotations

import math
from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.ir.types import float32
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Tensor


class LearningRateSchedule(Cell):
    """Base: ``construct(global_step)`` takes an integer Tensor and returns the rate.

    >>> nn.WarmUpLR(0.5, 10)(Tensor(5)).item()
    0.25
    """

    def construct(self, global_step: Tensor) -> Tensor:
        """The learning rate at a step."""
        raise NotImplementedError(f"{type(self).__name__} does not define construct")


def _rate(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise fail(DTypeError, f"{name} must be a number, got {value!r}")
    if value < 0:
        raise fail(ArgumentError, f"{name} must be at least 0, got {value!r}")
    return float(value)


def _steps(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise fail(DTypeError, f"{name} must be an int, got {value!r}")
    if value <= 0:
        raise fail(ArgumentError, f"{name} must be positive, got {value!r}")
    return value


class _Decay(LearningRateSchedule):
    """A first rate, a decay rate, and the number of steps over which it acts."""

    def __init__(
        self, learning_rate: float, decay_rate: float, decay_steps: int, is_stair: bool = False
    ):
        super().__init__()
        self.learning_rate = _rate("learning_rate", learning_rate)
        self.decay_rate = _rate("decay_rate", decay_rate)
        self.decay_steps = _steps("decay_steps", decay_steps)
        if not isinstance(is_stair, bool):
            raise fail(DTypeError, f"is_stair must be a bool, got {is_stair!r}")
        self.is_stair = is_stair

    def periods(self, global_step: Tensor) -> Tensor:
        """How many times `decay_steps` have passed; whole ones only if `is_stair`."""
        passed = ops.cast(global_step, float32) / self.decay_steps
        return ops.floor(passed) if self.is_stair else passed


class ExponentialDecayLR(_Decay):
    """learning_rate * decay_rate ^ (step / decay_steps).

    >>> nn.ExponentialDecayLR(1.0, 0.5, 2)(Tensor(4)).item()
    0.25
    """

    def construct(self, global_step: Tensor) -> Tensor:
        return self.learning_rate * ops.pow(self.decay_rate, self.periods(global_step))


class NaturalExpDecayLR(_Decay):
    """learning_rate * exp(-decay_rate * step); with `is_stair` the step is rounded down to a
    multiple of decay_steps.

    >>> print(nn.NaturalExpDecayLR(1.0, 1.0, 2)(Tensor(2)).asnumpy().round(3))
    0.135
    """

    def construct(self, global_step: Tensor) -> Tensor:
        step = ops.cast(global_step, float32)
        if self.is_stair:
            step = self.periods(global_step) * self.decay_steps
        return self.learning_rate * ops.exp(-self.decay_rate * step)


class InverseDecayLR(_Decay):
    """learning_rate / (1 + decay_rate * step / decay_steps).

    >>> nn.InverseDecayLR(1.0, 1.0, 2)(Tensor(2)).item()
    0.5
    """

    def construct(self, global_step: Tensor) -> Tensor:
        return self.learning_rate / (1 + self.decay_rate * self.periods(global_step))


class CosineDecayLR(LearningRateSchedule):
    """Half a cosine from max_lr down to min_lr in decay_steps; min_lr from then on.

    >>> nn.CosineDecayLR(0.0, 1.0, 4)(Tensor(2)).item()
    0.4999999701976776
    """

    def __init__(self, min_lr: float, max_lr: float, decay_steps: int):
        super().__init__()
        self.min_lr, self.max_lr = _rate("min_lr", min_lr), _rate("max_lr", max_lr)
        if self.min_lr >= self.max_lr:
            raise fail(ArgumentError, f"min_lr={min_lr} must be below max_lr={max_lr}")
        self.decay_steps = _steps("decay_steps", decay_steps)

    def construct(self, global_step: Tensor) -> Tensor:
        step = ops.minimum(ops.cast(global_step, float32), float(self.decay_steps))
        wave = 1 + ops.cos(step * (math.pi / self.decay_steps))
        return self.min_lr + (0.5 * (self.max_lr - self.min_lr)) * wave


class PolynomialDecayLR(LearningRateSchedule):
    """(learning_rate - end_learning_rate) * (1 - step / decay_steps) ^ power + end_learning_rate.

    After decay_steps the end rate holds; with `update_decay_steps` the decay starts anew, over
    twice, three times … as many steps.

    >>> nn.PolynomialDecayLR(1.0, 0.0, 4, 1.0)(Tensor(2)).item()
    0.5
    """

    def __init__(
        self,
        learning_rate: float,
        end_learning_rate: float,
        decay_steps: int,
        power: float,
        update_decay_steps: bool = False,
    ):
        super().__init__()
        self.learning_rate = _rate("learning_rate", learning_rate)
        self.end_learning_rate = _rate("end_learning_rate", end_learning_rate)
        if self.end_learning_rate >= self.learning_rate:
            raise fail(
                ArgumentError,
                f"end_learning_rate={end_learning_rate} must be below {learning_rate}",
            )
        self.decay_steps = _steps("decay_steps", decay_steps)
        self.power = _rate("power", power)
        self.update_decay_steps = update_decay_steps

    def construct(self, global_step: Tensor) -> Tensor:
        step = ops.cast(global_step, float32)
        span: Any = float(self.decay_steps)
        if self.update_decay_steps:
            span = span * ops.maximum(ops.ceil(step / span), 1.0)
        else:
            step = ops.minimum(step, span)
        rest = ops.pow(1 - step / span, self.power)
        return (self.learning_rate - self.end_learning_rate) * rest + self.end_learning_rate


class WarmUpLR(LearningRateSchedule):
    """Up from 0 to learning_rate in warmup_steps, in a line; then learning_rate.

    >>> nn.WarmUpLR(1.0, 4)(Tensor(2)).item()
    0.5
    """

    def __init__(self, learning_rate: float, warmup_steps: int):
        super().__init__()
        self.learning_rate = _rate("learning_rate", learning_rate)
        self.warmup_steps = _steps("warmup_steps", warmup_steps)

    def construct(self, global_step: Tensor) -> Tensor:
        step = ops.minimum(ops.cast(global_step, float32), float(self.warmup_steps))
        return self.learning_rate * (step / self.warmup_steps)


__all__ = [
    "CosineDecayLR", "ExponentialDecayLR", "InverseDecayLR", "LearningRateSchedule",
    "NaturalExpDecayLR", "PolynomialDecayLR", "WarmUpLR",
]  # fmt: skip
