"""The layers of `mint.nn`: PyTorch's parameters and defaults.

A function of `functional` becomes a Cell whose settings are the parameters behind its inputs.
Layers with weights are those of `nn`, made from other arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from jitgrad import nn
from jitgrad.errors import ArgumentError, fail
from jitgrad.ir.types import float32
from jitgrad.mint.nn import functional as F
from jitgrad.nn.cell import Cell
from jitgrad.nn.losses import LossBase
from jitgrad.tensor import Tensor

# --- without weights ----------------------------------------------------------------------------


def _cell(name: str, function: Callable, inputs: int = 1) -> type[Cell]:
    """A Cell that applies a function of so many inputs. Two are those of a loss."""
    base = LossBase if inputs > 1 else Cell
    found = [p for p in inspect.signature(function).parameters.values() if p.name != "dtype"]
    settings = inspect.Signature(found[inputs:])

    def __init__(self: Any, *args: Any, **keywords: Any) -> None:
        bound = settings.bind(*args, **keywords)
        bound.apply_defaults()
        base.__init__(self, *([bound.arguments["reduction"]] if base is LossBase else []))
        for setting, value in bound.arguments.items():
            setattr(self, setting, value)

    def construct(self: Any, *given: Any) -> Any:
        return function(*given, **{setting: getattr(self, setting) for setting in names})

    def extend_repr(self: Any) -> str:
        return ", ".join(f"{setting}={getattr(self, setting)}" for setting in names)

    names = tuple(settings.parameters)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    __init__.__signature__ = settings.replace(parameters=[own, *found[inputs:]])  # type: ignore
    body = {"__init__": __init__, "construct": construct, "extend_repr": extend_repr}
    return type(name, (base,), {**body, "__doc__": function.__doc__, "__module__": __name__})


FUNCTIONS: dict[str, Callable] = {
    "AdaptiveAvgPool1d": F.adaptive_avg_pool1d, "AdaptiveAvgPool2d": F.adaptive_avg_pool2d,
    "AdaptiveAvgPool3d": F.adaptive_avg_pool3d, "AdaptiveMaxPool1d": F.adaptive_max_pool1d,
    "AdaptiveMaxPool2d": F.adaptive_max_pool2d, "AvgPool1d": F.avg_pool1d,
    "AvgPool2d": F.avg_pool2d, "AvgPool3d": F.avg_pool3d, "ELU": F.elu, "Fold": F.fold,
    "GELU": F.gelu, "GLU": F.glu, "Hardshrink": F.hardshrink, "Hardsigmoid": F.hardsigmoid,
    "Hardswish": F.hardswish, "Hardtanh": F.hardtanh, "LogSigmoid": F.logsigmoid,
    "LogSoftmax": F.log_softmax, "MaxPool2d": F.max_pool2d, "Mish": F.mish,
    "PixelShuffle": F.pixel_shuffle, "ReLU": F.relu, "ReLU6": F.relu6, "SELU": F.selu,
    "SiLU": F.silu, "Sigmoid": F.sigmoid, "Softmax": F.softmax, "Softshrink": F.softshrink,
    "Tanh": F.tanh, "Threshold": F.threshold, "Unfold": F.unfold, "Upsample": F.upsample,
}  # fmt: skip
LOSSES: dict[str, Callable] = {
    "BCELoss": F.binary_cross_entropy, "BCEWithLogitsLoss": F.binary_cross_entropy_with_logits,
    "KLDivLoss": F.kl_div, "L1Loss": F.l1_loss, "MSELoss": F.mse_loss, "NLLLoss": F.nll_loss,
    "SmoothL1Loss": F.smooth_l1_loss, "SoftMarginLoss": F.soft_margin_loss,
}  # fmt: skip
SAME = (
    "ConstantPad1d ConstantPad2d ConstantPad3d CosineEmbeddingLoss CrossEntropyLoss Embedding"
    " Flatten Identity MaxUnpool2d ReflectionPad1d ReflectionPad2d ReflectionPad3d"
    " ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad2d Dropout Dropout2d"
)


class ZeroPad1d(nn.ConstantPad1d):
    """Zeros around sequences: (left, right)."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)


class ZeroPad3d(nn.ConstantPad3d):
    """Zeros around volumes: (left, right, top, bottom, front, back)."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)


class UpsamplingNearest2d(nn.Upsample):
    """Images resized by taking the nearest pixel."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(nn.Upsample):
    """Images resized by straight lines between pixels, the corners kept."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "bilinear", True)


# --- with weights -------------------------------------------------------------------------------


class Linear(nn.Dense):
    """x @ weight.T + bias."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        weight_init: Any = None,
        bias_init: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            *(in_features, out_features, weight_init, bias_init, bias), dtype=dtype or float32
        )


def _convolution(base: Any, name: str) -> type[Cell]:
    def __init__(
        self: Any,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: Any = None,
    ) -> None:
        _zeros_only(name, padding_mode)
        mode, amount = (padding, 0) if isinstance(padding, str) else ("pad", padding)
        sizes = (in_channels, out_channels, kernel_size, stride, mode, amount)
        base.__init__(self, *sizes, dilation, groups, bias, dtype=dtype or float32)

    doc = f'As `nn.{name}`, with zeros of an amount around, or as "same" or "valid" say.'
    return type(name, (base,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})


def _zeros_only(name: str, padding_mode: str) -> None:
    if padding_mode != "zeros":
        raise fail(
            ArgumentError,
            f"{name} got padding_mode={padding_mode!r}",
            why="only zeros are there",
            instead="mint.nn.functional.pad(x, amounts, mode) before it",
        )


class ConvTranspose2d(nn.Conv2dTranspose):
    """The transpose of `Conv2d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        dtype: Any = None,
    ):
        _zeros_only("ConvTranspose2d", padding_mode)
        sizes = (in_channels, out_channels, kernel_size, stride, "pad", padding, output_padding)
        super().__init__(*sizes, dilation, groups, bias, dtype=dtype or float32)

    def construct(self, x: Tensor) -> Tensor:
        settings = (self.stride, self.padding, self.output_padding, self.group, self.dilation)
        return F.conv_transpose2d(x, self.weight, self.bias, *settings)


def _normalization(base: Any, name: str) -> type[Cell]:
    def __init__(
        self: Any,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = None,
    ) -> None:
        base.__init__(
            *(self, num_features, eps, 1 - momentum, affine), dtype=dtype or float32,
            use_batch_statistics=None if track_running_stats else True,
        )  # fmt: skip

    doc = f"As `nn.{name}`, but `momentum` is the share of the new batch."
    return type(name, (base,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})


class GroupNorm(nn.GroupNorm):
    """Channels normalized in groups."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: Any = None,
    ):
        super().__init__(num_groups, num_channels, eps, affine, dtype=dtype or float32)


class PReLU(nn.PReLU):
    """max(x, 0) + weight min(x, 0)."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: Any = None):
        super().__init__(num_parameters, init)


LAYERS: dict[str, type[Cell]] = {
    **{name: getattr(nn, name) for name in SAME.split()},
    **{name: _cell(name, function) for name, function in FUNCTIONS.items()},
    **{name: _cell(name, function, 2) for name, function in LOSSES.items()},
    **{name: _convolution(getattr(nn, name), name) for name in ("Conv1d", "Conv2d", "Conv3d")},
    **{
        name: _normalization(getattr(nn, name), name)
        for name in ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
    },
    **{
        cls.__name__: cls
        for cls in (
            *(ConvTranspose2d, GroupNorm, Linear, PReLU, UpsamplingBilinear2d),
            *(UpsamplingNearest2d, ZeroPad1d, ZeroPad3d),
        )
    },
}

__all__ = ["LAYERS"]
