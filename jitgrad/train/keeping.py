"""Checkpoints while training: `ModelCheckpoint` and its `CheckpointConfig`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.train.callbacks import Callback, RunContext, RunParams
from jitgrad.train.serialization import FORMATS, save_checkpoint


@dataclass(slots=True)
class CheckpointConfig:
    """When checkpoints are written, and how many are kept.

    save_checkpoint_steps    after so many steps (0: not by steps).
    save_checkpoint_seconds  after so much time, if not by steps.
    keep_checkpoint_max      the oldest beyond so many are deleted (0: none is).
    append_info              "epoch_num", "step_num", and dicts of more values.
    format                   "ckpt" or "safetensors".

    `integrated_save` and `async_save` are MindSpore's and change nothing. ValueError and TypeError
    for other values.
    """

    save_checkpoint_steps: int = 1
    save_checkpoint_seconds: int = 0
    keep_checkpoint_max: int = 5
    keep_checkpoint_per_n_minutes: int = 0
    integrated_save: bool = True
    async_save: bool = False
    saved_network: Any = None
    append_info: list[Any] = field(default_factory=list)
    format: str = "ckpt"

    def __post_init__(self) -> None:
        for name in ("save_checkpoint_steps", "save_checkpoint_seconds", "keep_checkpoint_max"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise fail(DTypeError, f"CheckpointConfig: {name} must be an int, got {value!r}")
            if value < 0:
                raise fail(ArgumentError, f"CheckpointConfig: {name} must be at least 0: {value}")
        if not self.save_checkpoint_steps and not self.save_checkpoint_seconds:
            raise fail(ArgumentError, "CheckpointConfig: neither steps nor seconds are given")
        if self.format not in FORMATS:
            raise fail(ArgumentError, f"CheckpointConfig: no such format: {self.format!r}")
        for entry in self.append_info:
            if entry not in ("epoch_num", "step_num") and not isinstance(entry, dict):
                raise fail(ArgumentError, f"CheckpointConfig: append_info has {entry!r}")


class ModelCheckpoint(Callback):
    """Write checkpoints of the whole step (network and optimizer) into `directory`, as
    ``prefix-epoch_step.ckpt``; a prefix that an earlier run has used gets a number.
    """

    def __init__(
        self,
        prefix: str = "CKP",
        directory: Any = None,
        config: CheckpointConfig | None = None,
    ):
        if not isinstance(prefix, str) or not prefix or "/" in prefix:
            raise fail(ArgumentError, f"ModelCheckpoint: prefix must be a name, got {prefix!r}")
        if config is not None and not isinstance(config, CheckpointConfig):
            kind = type(config).__name__
            raise fail(DTypeError, f"ModelCheckpoint: config is a {kind}, no CheckpointConfig")
        self._prefix, self._config = prefix, config or CheckpointConfig()
        self._folder = Path(directory if directory is not None else ".")
        self._kept: list[Path] = []
        self._last_step, self._last_time = 0, time.monotonic()

    @property
    def latest_ckpt_file_name(self) -> str:
        """The checkpoint written last, or an empty text."""
        return str(self._kept[-1]) if self._kept else ""

    def on_train_begin(self, run_context: RunContext) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        stem, number = self._prefix, 0
        while any(self._folder.glob(f"{self._prefix}-*_*.{self._config.format}")):
            number += 1
            self._prefix = f"{stem}_{number}"
        self._kept = []
        self._last_step = run_context.original_args().cur_step_num
        self._last_time = time.monotonic()

    def on_train_step_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        if self._is_due(params.cur_step_num):
            self._save(params)

    def on_train_end(self, run_context: RunContext) -> None:
        params = run_context.original_args()
        if params.cur_step_num != self._last_step:
            self._save(params)

    def _is_due(self, step: int) -> bool:
        config = self._config
        if config.save_checkpoint_steps:
            return step - self._last_step >= config.save_checkpoint_steps
        return time.monotonic() - self._last_time >= config.save_checkpoint_seconds

    def _save(self, params: RunParams) -> None:
        config, step = self._config, params.cur_step_num
        in_epoch = (step - 1) % params.batch_num + 1 if params.batch_num else step
        name = f"{self._prefix}-{params.cur_epoch_num}_{in_epoch}.{config.format}"
        numbers = {"epoch_num": params.cur_epoch_num, "step_num": step}
        more: dict[str, Any] = {}
        for entry in config.append_info:
            more |= entry if isinstance(entry, dict) else {entry: numbers[entry]}
        network = config.saved_network or params.train_network
        save_checkpoint(network, self._folder / name, append_dict=more, format=config.format)
        self._kept.append(self._folder / name)
        self._last_step, self._last_time = step, time.monotonic()
        while config.keep_checkpoint_max and len(self._kept) > config.keep_checkpoint_max:
            self._kept.pop(0).unlink(missing_ok=True)
