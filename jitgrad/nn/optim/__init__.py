"""Optimizers."""

from __future__ import annotations

from jitgrad.nn.optim.adafactor import AdaFactor
from jitgrad.nn.optim.adam import Adam, AdaMax, AdamOffload, AdamWeightDecay, Lamb, LazyAdam
from jitgrad.nn.optim.adaptive import ASGD, Adadelta, Adagrad, RMSProp, Rprop
from jitgrad.nn.optim.base import Optimizer
from jitgrad.nn.optim.lars import LARS
from jitgrad.nn.optim.momentum import SGD, Momentum
from jitgrad.nn.optim.proximal import FTRL, ProximalAdagrad

__all__ = [
    "ASGD", "FTRL", "LARS", "SGD", "AdaFactor", "AdaMax", "Adadelta", "Adagrad", "Adam",
    "AdamOffload", "AdamWeightDecay", "Lamb", "LazyAdam", "Momentum", "Optimizer",
    "ProximalAdagrad", "RMSProp", "Rprop",
]  # fmt: skip
