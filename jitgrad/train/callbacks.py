"""Callbacks: what a `Model` calls while it trains and evaluates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.tensor import Tensor

EVENTS = ("begin", "epoch_begin", "step_begin", "step_end", "epoch_end", "end")


class RunParams(dict):
    """What is known of a run, by name, as attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the run has no {name!r}; it has {sorted(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class RunContext:
    """The run that a callback is called in: its parameters, and how to stop it."""

    def __init__(self, params: RunParams):
        self._params, self._stop = params, False

    def original_args(self) -> RunParams:
        """The run's parameters: network, optimizer, cur_epoch_num, cur_step_num, net_outputs, …"""
        return self._params

    def request_stop(self) -> None:
        """Stop after the present step."""
        self._stop = True

    def get_stop_requested(self) -> bool:
        """Whether a stop was requested."""
        return self._stop


class Callback:
    """Base of the callbacks: overwrite any of the methods ``on_train_…`` and ``on_eval_…``.

    Each takes a `RunContext`. The older names without ``on_train_`` and ``on_eval_`` (`step_end`,
    say) are called for both.
    """

    def __enter__(self) -> Callback:
        return self

    def __exit__(self, *error: Any) -> None:
        return None

    def begin(self, run_context: RunContext) -> None: ...
    def epoch_begin(self, run_context: RunContext) -> None: ...
    def step_begin(self, run_context: RunContext) -> None: ...
    def step_end(self, run_context: RunContext) -> None: ...
    def epoch_end(self, run_context: RunContext) -> None: ...
    def end(self, run_context: RunContext) -> None: ...

    def on_train_begin(self, run_context: RunContext) -> None:
        self.begin(run_context)

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        self.epoch_begin(run_context)

    def on_train_step_begin(self, run_context: RunContext) -> None:
        self.step_begin(run_context)

    def on_train_step_end(self, run_context: RunContext) -> None:
        self.step_end(run_context)

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        self.epoch_end(run_context)

    def on_train_end(self, run_context: RunContext) -> None:
        self.end(run_context)

    def on_eval_begin(self, run_context: RunContext) -> None:
        self.begin(run_context)

    def on_eval_epoch_begin(self, run_context: RunContext) -> None:
        self.epoch_begin(run_context)

    def on_eval_step_begin(self, run_context: RunContext) -> None:
        self.step_begin(run_context)

    def on_eval_step_end(self, run_context: RunContext) -> None:
        self.step_end(run_context)

    def on_eval_epoch_end(self, run_context: RunContext) -> None:
        self.epoch_end(run_context)

    def on_eval_end(self, run_context: RunContext) -> None:
        self.end(run_context)


def call(callbacks: Sequence[Callback], kind: str, event: str, context: RunContext) -> None:
    """Call one event, of kind "train" or "eval", of all callbacks in order."""
    for callback in callbacks:
        getattr(callback, f"on_{kind}_{event}")(context)


def listed(callbacks: Any) -> list[Callback]:
    """Callbacks from None, one, or a list of them; TypeError for anything else."""
    found = [] if callbacks is None else callbacks
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    for callback in found:
        if not isinstance(callback, Callback):
            raise fail(
                DTypeError, f"callbacks has a {type(callback).__name__}, which is no Callback"
            )
    return found


def loss_of(params: RunParams) -> float:
    """The loss of the step before: the first of what the step returned."""
    out = params.get("net_outputs")
    out = out[0] if isinstance(out, (tuple, list)) else out
    if not isinstance(out, Tensor):
        raise fail(DTypeError, f"the network returned a {type(out).__name__} for a loss")
    return float(np.mean(out.asnumpy()))


class LambdaCallback(Callback):
    """Functions of the run's context for single events, as ``on_train_step_end=function``."""

    def __init__(self, **functions: Callable[[RunContext], None] | None):
        for name, function in functions.items():
            if name not in {f"on_{k}_{e}" for k in ("train", "eval") for e in EVENTS}:
                raise fail(ArgumentError, f"LambdaCallback: there is no event {name!r}")
            if function is not None:
                setattr(self, name, function)


class LossMonitor(Callback):
    """Print the loss every `per_print_times` steps; 0 prints it at the end of each epoch.

    ValueError at the first loss that is nan or infinite; `StopAtNaN` finds where it comes from.
    """

    def __init__(self, per_print_times: int = 1):
        if isinstance(per_print_times, bool) or not isinstance(per_print_times, int):
            raise fail(DTypeError, f"LossMonitor: per_print_times is {per_print_times!r}, no int")
        if per_print_times < 0:
            raise fail(ArgumentError, f"LossMonitor: per_print_times is {per_print_times}")
        self._every = per_print_times

    def on_train_step_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        loss = loss_of(params)
        step = (params.cur_step_num - 1) % params.batch_num + 1 if params.batch_num else 0
        place = f"epoch: {params.cur_epoch_num} step: {step or params.cur_step_num}"
        if not math.isfinite(loss):
            raise fail(
                ArgumentError,
                f"{place}: the loss is {loss}",
                instead="train.StopAtNaN() among the callbacks finds the op and the line",
            )
        if self._every and params.cur_step_num % self._every == 0:
            print(f"{place}, loss is {loss:.7g}", flush=True)

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        results = params.get("eval_results")
        text = "".join(f", {k}: {v}" for k, v in results.items()) if results else ""
        if not self._every or results:
            print(f"epoch: {params.cur_epoch_num}, loss is {loss_of(params):.7g}{text}", flush=True)


class TimeMonitor(Callback):
    """Print the time of each epoch of training and of its steps, in milliseconds."""

    def __init__(self, data_size: int | None = None, data_time: bool = False):
        if data_size is not None and (
            isinstance(data_size, bool) or not isinstance(data_size, int)
        ):
            raise fail(DTypeError, f"TimeMonitor: data_size must be an int, got {data_size!r}")
        self.data_size = data_size
        self._start, self._steps = 0.0, 0

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        self._start, self._steps = time.perf_counter(), 0

    def on_train_step_end(self, run_context: RunContext) -> None:
        self._steps += 1

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        spent = 1000 * (time.perf_counter() - self._start)
        steps = self.data_size or self._steps or 1
        text = f"epoch time: {spent:.3f} ms, per step time: {spent / steps:.3f} ms"
        print(f"Train {text}", flush=True)


class History(Callback):
    """`epoch`: the numbers of the epochs; `history`: lists of the loss at the end of each, and of
    the results of evaluation.
    """

    def __init__(self) -> None:
        self.epoch: dict[str, list[int]] = {"epoch": []}
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, run_context: RunContext) -> None:
        self.epoch, self.history = {"epoch": []}, {}

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        self.epoch["epoch"].append(params.cur_epoch_num)
        for name, value in {
            "net_output": loss_of(params),
            **params.get("eval_results", {}),
        }.items():
            self.history.setdefault(name, []).append(value)


class Progress(Callback):
    """A bar for each epoch, drawn by `rich` where that is installed; otherwise a line."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        try:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar
        except ImportError:
            return
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Bar(*columns, TextColumn("loss {task.fields[loss]}"))
        self._bar.start()
        title = f"epoch {params.cur_epoch_num}/{params.epoch_num}"
        self._task = self._bar.add_task(title, total=params.batch_num or None, loss="")

    def on_train_step_end(self, run_context: RunContext) -> None:
        if self._bar is not None:
            loss = f"{loss_of(run_context.original_args()):.4g}"
            self._bar.update(self._task, advance=1, loss=loss)

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        else:
            print(f"epoch {params.cur_epoch_num}/{params.epoch_num}: loss {loss_of(params):.4g}")

    def on_train_end(self, run_context: RunContext) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
