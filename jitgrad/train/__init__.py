"""Training: `Model`, callbacks, checkpoints, steps with clipping and averages."""

from __future__ import annotations

from typing import Any

from jitgrad.errors import no_name
from jitgrad.nn.metrics import *  # noqa: F403  they are under this name too
from jitgrad.nn.metrics import __all__ as _metrics
from jitgrad.ops.absent import ABSENT
from jitgrad.train.callbacks import (
    Callback,
    History,
    LambdaCallback,
    LossMonitor,
    Progress,
    RunContext,
    TimeMonitor,
)
from jitgrad.train.keeping import CheckpointConfig, ModelCheckpoint
from jitgrad.train.model import Model
from jitgrad.train.nans import StopAtNaN
from jitgrad.train.serialization import (
    ckpt_to_safetensors,
    load_checkpoint,
    load_param_into_net,
    safetensors_to_ckpt,
    save_checkpoint,
)
from jitgrad.train.steering import EarlyStopping, LearningRateScheduler, ReduceLROnPlateau
from jitgrad.train.step import EMA, TrainStep

__all__ = [
    "EMA", "Callback", "CheckpointConfig", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "LossMonitor", "Model", "ModelCheckpoint", "Progress",
    "ReduceLROnPlateau", "RunContext", "StopAtNaN", "TimeMonitor", "TrainStep",
    "ckpt_to_safetensors", "load_checkpoint", "load_param_into_net", "safetensors_to_ckpt",
    "save_checkpoint", *_metrics,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise no_name(__name__, name, __all__, ABSENT.get(name, ""))
