"""Layers: Cells with Parameters, and Cells that move values."""

from __future__ import annotations

from jitgrad.nn.layers.attention import (
    MultiheadAttention,
    TransformerEncoder,
    TransformerEncoderLayer,
)
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
    Upsample,
)
from jitgrad.nn.layers.conv import Conv1d, Conv2d, Conv2dTranspose, Conv3d
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
from jitgrad.nn.layers.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv2dTranspose",
    "Conv3d",
    "Dense",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GroupNorm",
    "Identity",
    "InstanceNorm2d",
    "LSTMCell",
    "LayerNorm",
    "MaxPool1d",
    "MaxPool2d",
    "MultiheadAttention",
    "Pad",
    "PixelShuffle",
    "PixelUnshuffle",
    "RNNCell",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Unflatten",
    "Upsample",
]  # fmt: skip
