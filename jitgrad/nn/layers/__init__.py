"""Layers: Cells with Parameters, and Cells that move values."""

from __future__ import annotations

from jitgrad.nn.layers.basic import (
    Dense,
    Dropout,
    Dropout2d,
    Embedding,
    Flatten,
    Identity,
    Pad,
    PixelShuffle,
    PixelUnshuffle,
    Unflatten,
)
from jitgrad.nn.layers.conv import Conv1d, Conv2d, Conv2dTranspose
from jitgrad.nn.layers.norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm2d,
    LayerNorm,
)
from jitgrad.nn.layers.pooling import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxPool1d,
    MaxPool2d,
)

__all__ = [
    "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AvgPool1d", "AvgPool2d", "BatchNorm1d",
    "BatchNorm2d", "BatchNorm3d", "Conv1d", "Conv2d", "Conv2dTranspose", "Dense", "Dropout",
    "Dropout2d", "Embedding", "Flatten", "GroupNorm", "Identity", "InstanceNorm2d", "LayerNorm",
    "MaxPool1d", "MaxPool2d", "Pad", "PixelShuffle", "PixelUnshuffle", "Unflatten",
]  # fmt: skip
