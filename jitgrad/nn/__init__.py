"""Networks: Cells, layers, losses, optimizers."""

from __future__ import annotations

from typing import Any

from jitgrad.errors import no_name
from jitgrad.nn import (
    activations,
    class_losses,
    dynamic_lr,
    layers,
    learning_rate_schedule,
    loss,
    losses,
    metrics,
    optim,
    products,
    schedule,
    wrap,
)
from jitgrad.nn.activations import *  # noqa: F403
from jitgrad.nn.cell import Cell
from jitgrad.nn.class_losses import *  # noqa: F403
from jitgrad.nn.containers import CellDict, CellList, ParameterList, SequentialCell
from jitgrad.nn.dynamic_lr import *  # noqa: F403
from jitgrad.nn.layers import *  # noqa: F403
from jitgrad.nn.losses import *  # noqa: F403
from jitgrad.nn.metrics import *  # noqa: F403
from jitgrad.nn.optim import *  # noqa: F403
from jitgrad.nn.products import *  # noqa: F403
from jitgrad.nn.schedule import *  # noqa: F403
from jitgrad.nn.wrap import *  # noqa: F403
from jitgrad.ops.absent import ABSENT

# Every module with an ``__all__`` lists its public names itself; MindSpore's aliases come last.
Softshrink, Hardshrink = activations.SoftShrink, activations.HShrink
Adamax = optim.AdaMax

__all__ = [
    "Adamax", "Cell", "CellDict", "CellList", "Hardshrink", "ParameterList", "SequentialCell",
    "Softshrink", "learning_rate_schedule", "loss",
    *activations.__all__,
    *class_losses.__all__,
    *dynamic_lr.__all__,
    *layers.__all__,
    *losses.__all__,
    *metrics.__all__,
    *optim.__all__,
    *products.__all__,
    *schedule.__all__,
    *wrap.__all__,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise no_name(__name__, name, __all__, ABSENT.get(name, ""))
