"""Training programs' needs around the network: checkpoints."""

from __future__ import annotations

from jitgrad.train.serialization import load_checkpoint, load_param_into_net, save_checkpoint

__all__ = ["load_checkpoint", "load_param_into_net", "save_checkpoint"]
