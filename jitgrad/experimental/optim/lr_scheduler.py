"""Schedulers: they change the learning rates of an optimizer when `step` is called.

A rate is written into the Parameter that a compiled step reads, so nothing is traced again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.experimental.optim.base import Optimizer

Rates = Sequence[float] | float


class LRScheduler:
    """Base of the schedulers. A subclass defines `rate(base, epoch, group)`, a group's rate from
    its first one, or `get_lr()`, the rates of all groups at `last_epoch`.

    Making one sets the rates of epoch 0, or those after `last_epoch`. `state_dict` and
    `load_state_dict` keep where it is.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        if not isinstance(optimizer, Optimizer):
            kind = type(optimizer).__name__
            raise fail(
                DTypeError,
                f"{type(self).__name__} takes an optimizer of experimental.optim, not a {kind}",
                instead="with nn's optimizers, give learning_rate a schedule or a list",
            )
        self.optimizer, self.last_epoch = optimizer, last_epoch
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self._last_lr = list(self.base_lrs)
        self.step()

    def rate(self, base: float, epoch: int, group: int) -> float:
        """The rate of an epoch for a group whose first rate is `base`."""
        raise NotImplementedError(f"{type(self).__name__} does not define rate")

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch, or to a given one."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self.write(self.get_lr())

    def get_lr(self) -> list[float]:
        """The rates of the groups at `last_epoch`; `_last_lr` are those before."""
        return [self.rate(base, self.last_epoch, i) for i, base in enumerate(self.base_lrs)]

    def write(self, rates: Sequence[float]) -> None:
        """Set the rates of the groups."""
        self._last_lr = list(rates)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"].set_data(float(rate))

    def get_last_lr(self) -> list[float]:
        """The rates in force."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """What continues this scheduler: numbers and lists of them."""
        kept = (bool, int, float, str, list)
        return {k: v for k, v in self.__dict__.items() if isinstance(v, kept) or v is None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`; sets the rates."""
        self.__dict__.update(state)
        self.write(self._last_lr)


class LambdaLR(LRScheduler):
    """The first rate times ``lr_lambda(epoch)``: one function, or one for each group."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1):
        self._factors = _each(optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self._factors[group](epoch)


class MultiplicativeLR(LRScheduler):
    """The rate before, times ``lr_lambda(epoch)``."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1):
        self._factors = _each(optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * math.prod(self._factors[group](e) for e in range(1, epoch + 1))


class StepLR(LRScheduler):
    """Times gamma every `step_size` epochs."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ):
        self.step_size, self.gamma = _count("StepLR", "step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """Times gamma at each of the `milestones`."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Sequence[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma ** sum(m <= epoch for m in self.milestones)


class ConstantLR(LRScheduler):
    """Times `factor` for the first `total_iters` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 <= factor <= 1:
            raise fail(ArgumentError, f"ConstantLR: factor must be between 0 and 1, got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * (self.factor if epoch < self.total_iters else 1.0)


class LinearLR(LRScheduler):
    """Times a factor that goes from `start_factor` to `end_factor` in `total_iters` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise fail(ArgumentError, f"LinearLR: factors {start_factor}, {end_factor} above 1")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        share = min(epoch, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * share)


class ExponentialLR(LRScheduler):
    """Times gamma every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma**epoch


class PolynomialLR(LRScheduler):
    """(1 - epoch / total_iters)^power of the first rate, then 0."""

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * (1 - min(epoch, self.total_iters) / self.total_iters) ** self.power


class CosineAnnealingLR(LRScheduler):
    """Half a wave of the cosine, from the first rate to `eta_min` in `T_max` epochs, and back."""

    def __init__(
        self, optimizer: Optimizer, T_max: float, eta_min: float = 0.0, last_epoch: int = -1
    ):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return _cosine(base, self.eta_min, epoch / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """From the first rate to `eta_min` along a cosine in T_0 epochs, then again in T_0 * T_mult,
    and so on. Loshchilov and Hutter (2017).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ):
        self.T_0 = _count("CosineAnnealingWarmRestarts", "T_0", T_0)
        self.T_mult = _count("CosineAnnealingWarmRestarts", "T_mult", T_mult)
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        length = self.T_0
        while epoch >= length:
            epoch, length = epoch - length, length * self.T_mult
        return _cosine(base, self.eta_min, epoch / length)


class CyclicLR(LRScheduler):
    """Up from `base_lr` to `max_lr` in `step_size_up` steps and down in `step_size_down`, again and
    again. Smith (2017).

    mode "triangular" keeps the height, "triangular2" halves it each cycle, "exp_range" multiplies
    it by gamma each step; `scale_fn` gives another factor, of the cycle or of the step
    (`scale_mode` "cycle" or "iterations").
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Rates,
        max_lr: Rates,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[int], float] | None = None,
        scale_mode: str = "cycle",
        last_epoch: int = -1,
    ):
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise fail(ArgumentError, f"CyclicLR: no such mode: {mode!r}")
        self._low, self._high = _each(optimizer, base_lr), _each(optimizer, max_lr)
        self.step_size_up, self.mode, self.gamma = step_size_up, mode, gamma
        self.step_size_down = step_size_up if step_size_down is None else step_size_down
        self.scale_mode = (
            scale_mode if scale_fn is not None or mode != "exp_range" else "iterations"
        )
        self._scale = scale_fn or self._factor
        super().__init__(optimizer, last_epoch)

    def _factor(self, number: int) -> float:
        if self.mode == "triangular2":
            return 0.5 ** (number - 1)
        return self.gamma**number if self.mode == "exp_range" else 1.0

    def rate(self, base: float, epoch: int, group: int) -> float:
        total = self.step_size_up + self.step_size_down
        cycle, place = 1 + epoch // total, epoch % total
        up = place / self.step_size_up
        height = up if up <= 1 else (total - place) / self.step_size_down
        scale = self._scale(cycle if self.scale_mode == "cycle" else epoch)
        return self._low[group] + (self._high[group] - self._low[group]) * height * scale


class SequentialLR(LRScheduler):
    """Several schedulers, one after the other: the next begins at each of the `milestones`."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ):
        if len(schedulers) != len(milestones) + 1:
            raise fail(
                ArgumentError,
                f"SequentialLR got {len(schedulers)} schedulers and {len(milestones)} milestones",
                why="there is a milestone between every two",
            )
        if any(one.optimizer is not optimizer for one in schedulers):
            raise fail(ArgumentError, "SequentialLR: all schedulers must be of its optimizer")
        self._schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        number = sum(m <= epoch for m in self.milestones)
        start = self.milestones[number - 1] if number else 0
        return self._schedulers[number].rate(base, epoch - start, group)


class ReduceLROnPlateau(LRScheduler):
    """Times `factor` when a measure has not become better for `patience` epochs.

    `step(metrics)` takes the measure; mode "min" wants it small, "max" large. Better means by
    `threshold`, a share ("rel") or an amount ("abs"). `cooldown` epochs pass before counting again.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Rates = 0.0,
        eps: float = 1e-8,
    ):
        if factor >= 1:
            raise fail(ArgumentError, f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise fail(ArgumentError, f"ReduceLROnPlateau: mode {mode!r}, {threshold_mode!r}")
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self._least = _each(optimizer, min_lr)
        self.best, self.bad_epochs, self.resting = math.inf, 0, 0
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base

    def step(self, metrics: Any = None) -> None:
        """Take the measure of an epoch."""
        if metrics is None:  # the first call, from the constructor
            return super().step()
        self.last_epoch += 1
        value = float(metrics) * (1 if self.mode == "min" else -1)
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1.0)
        better = not math.isfinite(self.best) or value < self.best - margin
        self.best = value if better else self.best
        self.bad_epochs = 0 if better or self.resting else self.bad_epochs + 1
        self.resting = max(0, self.resting - 1)
        if self.bad_epochs > self.patience:
            self.bad_epochs, self.resting = 0, self.cooldown
            lower = [max(r * self.factor, low) for r, low in zip(self._last_lr, self._least)]
            pairs = zip(self._last_lr, lower)
            self.write([new if old - new > self.eps else old for old, new in pairs])


def _each(optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group."""
    count = len(optimizer.param_groups) if isinstance(optimizer, Optimizer) else 1
    values = list(value) if isinstance(value, (tuple, list)) else [value] * count
    if len(values) != count:
        raise fail(ArgumentError, f"there are {count} groups, but {len(values)} values")
    return values


def _count(owner: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise fail(ArgumentError, f"{owner}: {name} must be an int above 0, got {value!r}")
    return value


def _cosine(high: float, low: float, share: float) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


__all__ = [
    "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "PolynomialLR",
    "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip
