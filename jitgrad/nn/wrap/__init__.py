"""Cells around a network: its loss, its gradients, steps of training."""

from __future__ import annotations

from jitgrad.nn.wrap import cell_wrapper, loss_scale
from jitgrad.nn.wrap.cell_wrapper import *  # noqa: F403
from jitgrad.nn.wrap.loss_scale import *  # noqa: F403

__all__ = [*cell_wrapper.__all__, *loss_scale.__all__]
