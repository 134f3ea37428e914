"""Optimizers as PyTorch defines them, whose settings live in `param_groups`."""

from __future__ import annotations

from jitgrad.experimental.optim import lr_scheduler
from jitgrad.experimental.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from jitgrad.experimental.optim.base import Optimizer
from jitgrad.experimental.optim.descent import ASGD, SGD, Adadelta, Adagrad, Lion, RMSprop, Rprop
from jitgrad.experimental.optim.lbfgs import LBFGS

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "NAdam",
    "Optimizer", "RAdam", "RMSprop", "Rprop", "lr_scheduler",
]  # fmt: skip
