"""A product with its normalization and activation as one layer."""

from __future__ import annotations

from typing import Any

from jitgrad.nn.activations import LeakyReLU, get_activation
from jitgrad.nn.cell import Cell
from jitgrad.nn.layers.basic import Dense
from jitgrad.nn.layers.conv import Conv2d
from jitgrad.nn.layers.norm import BatchNorm1d, BatchNorm2d
from jitgrad.tensor import Tensor


class Conv2dBnAct(Cell):
    """`Conv2d`, then `BatchNorm2d` if `has_bn`, then an activation; `alpha` is for "leakyrelu".

    >>> nn.Conv2dBnAct(3, 8, 5, has_bn=True, activation="relu")(ops.ones((1, 3, 16, 16))).shape
    (1, 8, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        pad_mode: str = "same",
        padding: Any = 0,
        dilation: Any = 1,
        group: int = 1,
        has_bias: bool = False,
        weight_init: Any = "normal",
        bias_init: Any = "zeros",
        has_bn: bool = False,
        momentum: float = 0.997,
        eps: float = 1e-5,
        activation: Any = None,
        alpha: float = 0.2,
        after_fake: bool = True,
    ):
        super().__init__()
        self.conv = Conv2d(
            *(in_channels, out_channels, kernel_size, stride, pad_mode, padding, dilation, group),
            *(has_bias, weight_init, bias_init),
        )
        self.batchnorm = BatchNorm2d(out_channels, eps, momentum) if has_bn else None
        self.activation = _activation(activation, alpha)

    def construct(self, x: Tensor) -> Tensor:
        return _finished(self, self.conv(x))


class DenseBnAct(Cell):
    """`Dense`, then `BatchNorm1d` if `has_bn`, then an activation; `alpha` is for "leakyrelu".

    >>> nn.DenseBnAct(3, 4, has_bn=True, activation="relu")(ops.ones((2, 3))).shape
    (2, 4)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        weight_init: Any = "normal",
        bias_init: Any = "zeros",
        has_bias: bool = True,
        has_bn: bool = False,
        momentum: float = 0.9,
        eps: float = 1e-5,
        activation: Any = None,
        alpha: float = 0.2,
        after_fake: bool = True,
    ):
        super().__init__()
        self.dense = Dense(in_channels, out_channels, weight_init, bias_init, has_bias)
        self.batchnorm = BatchNorm1d(out_channels, eps, momentum) if has_bn else None
        self.activation = _activation(activation, alpha)

    def construct(self, x: Tensor) -> Tensor:
        return _finished(self, self.dense(x))


def _activation(given: Any, alpha: float) -> Any:
    if given == "leakyrelu":
        return LeakyReLU(alpha)
    return get_activation(given) if isinstance(given, str) else given


def _finished(cell: Any, y: Tensor) -> Tensor:
    y = y if cell.batchnorm is None else cell.batchnorm(y)
    return y if cell.activation is None else cell.activation(y)


__all__ = ["Conv2dBnAct", "DenseBnAct"]
