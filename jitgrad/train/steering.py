"""Callbacks that change how training goes on: its rate, and when it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.train.callbacks import Callback, RunContext, RunParams, loss_of

MODES = ("auto", "min", "max")


def rates_of(params: RunParams) -> list[Any]:
    """The Parameters of the learning rates; TypeError if the optimizer has a schedule."""
    optimizer = params.optimizer
    if hasattr(optimizer, "param_groups"):
        return [group["lr"] for group in optimizer.param_groups]
    if optimizer is None or optimizer.dynamic_lr:
        raise fail(
            DTypeError,
            "a callback sets the learning rate, but the optimizer has a schedule of its own",
            instead="give the optimizer a number for its learning_rate",
        )
    rates = optimizer.learning_rate
    return list({id(r): r for r in rates}.values()) if isinstance(rates, tuple) else [rates]


class LearningRateScheduler(Callback):
    """After each step the rate becomes ``learning_rate_function(rate, step)``, steps from 1."""

    def __init__(self, learning_rate_function: Callable[[float, int], float]):
        if not callable(learning_rate_function):
            raise fail(
                DTypeError, "LearningRateScheduler takes a function of the rate and the step"
            )
        self.learning_rate_function = learning_rate_function

    def on_train_step_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        for rate in rates_of(params):
            now = float(rate.asnumpy())
            new = float(self.learning_rate_function(now, params.cur_step_num))
            if new != now:
                rate.set_data(new)


class _Watching(Callback):
    """A measure that should become better: smaller or larger."""

    def __init__(self, monitor: str, mode: str, min_delta: float, patience: int):
        name = type(self).__name__
        if mode not in MODES:
            raise fail(ArgumentError, f"{name}: mode must be one of {MODES}, got {mode!r}")
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 0:
            raise fail(ArgumentError, f"{name}: patience must be an int from 0, got {patience!r}")
        self.monitor, self.min_delta, self.patience = monitor, abs(min_delta), patience
        larger = mode == "max" or (mode == "auto" and not monitor.endswith(("loss", "mae", "mse")))
        self._sign = -1.0 if larger else 1.0
        self._best, self._waited = math.inf, 0

    def on_train_begin(self, run_context: RunContext) -> None:
        self._best, self._waited = math.inf, 0

    def _measure(self, params: RunParams) -> float | None:
        """The measure, or None in an epoch without evaluation."""
        if self.monitor in ("loss", "train_loss"):
            return loss_of(params)
        results = params.get("eval_results") or {}
        value = results.get(self.monitor, results.get(self.monitor.removeprefix("eval_")))
        if value is None and results:
            raise fail(
                ArgumentError,
                f"{type(self).__name__} watches {self.monitor!r}",
                why=f"evaluation gives {sorted(results)}",
            )
        return None if value is None else float(value)

    def _better(self, value: float) -> bool:
        if self._sign * value < self._best - self.min_delta:
            self._best, self._waited = self._sign * value, 0
            return True
        self._waited += 1
        return False


class EarlyStopping(_Watching):
    """Stop when `monitor` ("eval_loss", a metric's name, or "loss" of training) has not become
    better by `min_delta` for `patience` epochs; it needs `Model.fit` for what is evaluated.

    mode "auto" takes losses, "mae" and "mse" for better when smaller, others when larger.
    `baseline` is what must be reached at all; `restore_best_weights` returns to the best epoch.
    """

    def __init__(
        self,
        monitor: str = "eval_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: bool = False,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
    ):
        super().__init__(monitor, mode, min_delta, patience)
        self.verbose, self.baseline, self.restore = verbose, baseline, restore_best_weights
        self.stopped_epoch = 0
        self._weights: list[Any] = []

    def on_train_begin(self, run_context: RunContext) -> None:
        super().on_train_begin(run_context)
        if self.baseline is not None:
            self._best = self._sign * self.baseline

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        value = self._measure(params)
        if value is None:
            return
        weights = params.train_network.get_parameters()
        if self._better(value):
            self._weights = [(p, p.asnumpy().copy()) for p in weights] if self.restore else []
        elif self._waited >= max(self.patience, 1):
            self.stopped_epoch = params.cur_epoch_num
            run_context.request_stop()
            for p, best in self._weights:
                p.set_data(best)

    def on_train_end(self, run_context: RunContext) -> None:
        if self.verbose and self.stopped_epoch:
            print(f"epoch {self.stopped_epoch}: {self.monitor} no longer becomes better")


class ReduceLROnPlateau(_Watching):
    """Multiply the rate by `factor` when `monitor` has not become better for `patience` epochs;
    never below `min_lr`, and not again for `cooldown` epochs.
    """

    def __init__(
        self,
        monitor: str = "eval_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: bool = False,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta, patience)
        if not 0 < factor < 1:
            raise fail(ArgumentError, f"ReduceLROnPlateau: factor must be in (0, 1), got {factor}")
        self.factor, self.verbose, self.cooldown, self.min_lr = factor, verbose, cooldown, min_lr
        self._resting = 0

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        value = self._measure(params)
        if value is None:
            return
        better, resting = self._better(value), self._resting > 0
        self._resting = max(0, self._resting - 1)
        if better or resting:
            self._waited = 0
        elif self._waited >= max(self.patience, 1):
            self._waited, self._resting = 0, self.cooldown
            for rate in rates_of(params):
                now = float(rate.asnumpy())
                rate.set_data(max(now * self.factor, min(now, self.min_lr)))
                if self.verbose:
                    print(f"epoch {params.cur_epoch_num}: learning rate {float(rate.asnumpy())}")
