"""Normalization."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ir.types import float32
from jitgrad.nn.cell import Cell
from jitgrad.nn.initializer import initializer
from jitgrad.tensor import Parameter, Tensor


def _made(init: Any, shape: Any, name: str, dtype: Any = float32, trains: bool = True) -> Parameter:
    return Parameter(initializer(init, shape, dtype_of(dtype)), name=name, requires_grad=trains)


class _BatchNorm(Cell):
    """What batch normalization of one, two and three dimensions share."""

    axes: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.9,
        affine: bool = True,
        gamma_init: Any = "ones",
        beta_init: Any = "zeros",
        moving_mean_init: Any = "zeros",
        moving_var_init: Any = "ones",
        use_batch_statistics: bool | None = None,
        data_format: str = "NCHW",
        dtype: Any = float32,
    ):
        super().__init__()
        name, size = self.cls_name, num_features
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise fail(ArgumentError, f"{name}: num_features must be a positive int, got {size!r}")
        if not 0 <= momentum <= 1:
            raise fail(ArgumentError, f"{name}: momentum must be between 0 and 1: {momentum!r}")
        if data_format not in ("NCHW", "NHWC"):
            raise fail(ArgumentError, f"{name}: no such data_format: {data_format!r}")
        self.num_features, self.eps, self.momentum = size, eps, momentum
        self.use_batch_statistics, self.data_format = use_batch_statistics, data_format
        self.moving_mean = _made(moving_mean_init, (size,), "mean", dtype, trains=False)
        self.moving_variance = _made(moving_var_init, (size,), "variance", dtype, trains=False)
        self.gamma = _made(gamma_init, (size,), "gamma", dtype, affine)
        self.beta = _made(beta_init, (size,), "beta", dtype, affine)

    def construct(self, x: Tensor) -> Tensor:
        channel = x.ndim - 1 if self.data_format == "NHWC" else 1
        if x.ndim not in self.axes or x.shape[channel] != self.num_features:
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it takes {' or '.join(map(str, self.axes))} axes with"
                f" {self.num_features} channels in axis {channel}",
            )
        own = self.use_batch_statistics
        if channel != 1:
            x = ops.transpose(x, (0, channel, *range(1, channel)))
        y = ops.batch_norm(
            *(x, self.moving_mean, self.moving_variance, self.gamma, self.beta),
            training=self.training if own is None else own,
            momentum=1 - self.momentum,
            eps=self.eps,
        )
        return y if channel == 1 else ops.transpose(y, (0, *range(2, channel + 1), 1))

    def extend_repr(self) -> str:
        return (
            f"num_features={self.num_features}, eps={self.eps}, momentum={self.momentum},"
            f" gamma={self.gamma}, beta={self.beta}, moving_mean={self.moving_mean},"
            f" moving_variance={self.moving_variance}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (n, c) or (n, c, l), per channel:
    (x - mean) / sqrt(variance + eps) * gamma + beta.

    In training, mean and variance are those of the batch, and `moving_mean` and `moving_variance`
    become momentum * old + (1 - momentum) * new (the new variance without bias); otherwise the
    moving ones are used. `use_batch_statistics` True or False fixes the choice.

    >>> nn.BatchNorm1d(3)(ops.ones((4, 3))).shape
    (4, 3)
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (n, c, h, w); see `BatchNorm1d`.

    >>> nn.BatchNorm2d(3)(ops.ones((4, 3, 2, 2))).shape
    (4, 3, 2, 2)
    """

    axes = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalization of (n, c, d, h, w); see `BatchNorm1d`.

    >>> nn.BatchNorm3d(3)(ops.ones((4, 3, 2, 2, 2))).shape
    (4, 3, 2, 2, 2)
    """

    axes = (5,)


class LayerNorm(Cell):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta over the axes of `normalized_shape`.

    `begin_norm_axis` is the first axis that is averaged over, `begin_params_axis` the first that
    gamma and beta have.

    >>> print(nn.LayerNorm((2,))(Tensor([[1.0, 3.0]])).asnumpy().round(3))
    [[-1.  1.]]
    """

    def __init__(
        self,
        normalized_shape: Any,
        begin_norm_axis: int = -1,
        begin_params_axis: int = -1,
        gamma_init: Any = "ones",
        beta_init: Any = "zeros",
        epsilon: float = 1e-7,
        dtype: Any = float32,
    ):
        super().__init__()
        if not isinstance(normalized_shape, (tuple, list)):
            raise fail(
                DTypeError,
                f"LayerNorm: normalized_shape must be a tuple or a list, got {normalized_shape!r}",
            )
        self.normalized_shape = normalized_shape
        self.begin_norm_axis, self.begin_params_axis = begin_norm_axis, begin_params_axis
        self.epsilon = epsilon
        self.gamma = _made(gamma_init, tuple(normalized_shape), "gamma", dtype)
        self.beta = _made(beta_init, tuple(normalized_shape), "beta", dtype)

    def construct(self, input_x: Tensor) -> Tensor:
        x = input_x
        first, params = self.begin_norm_axis % x.ndim, self.begin_params_axis % x.ndim
        if tuple(x.shape[params:]) != tuple(self.normalized_shape):
            raise fail(
                ShapeError,
                f"LayerNorm got an input of shape {list(x.shape)}",
                why=f"from axis {params} on it must be {list(self.normalized_shape)}",
            )
        return ops.layer_norm(x, x.shape[first:], None, None, self.epsilon) * self.gamma + self.beta

    def extend_repr(self) -> str:  # MindSpore's text, as it is
        return (
            f"normalized_shape={self.normalized_shape}, begin_norm_axis={self.begin_norm_axis},"
            f" begin_params_axis={self.begin_params_axis}, gamma{self.gamma}, beta={self.beta}"
        )


class SyncBatchNorm(_BatchNorm):
    """`BatchNorm1d` of any number of axes. There is one process here, so it has all statistics.

    >>> nn.SyncBatchNorm(3)(ops.ones((4, 3, 2, 2))).shape
    (4, 3, 2, 2)
    """

    axes = (2, 3, 4, 5)


class LRN(Cell):
    """x / (bias + alpha * s)^beta, s the sum of x² over the channels at most depth_radius away:
    (n, c, h, w). Krizhevsky et al. (2012).

    >>> nn.LRN(1)(ops.ones((1, 4, 2, 2))).shape
    (1, 4, 2, 2)
    """

    def __init__(
        self,
        depth_radius: int = 5,
        bias: float = 1.0,
        alpha: float = 1.0,
        beta: float = 0.5,
        norm_region: str = "ACROSS_CHANNELS",
    ):
        super().__init__()
        if norm_region != "ACROSS_CHANNELS":
            raise fail(ArgumentError, f"LRN: no such norm_region: {norm_region!r}")
        self.depth_radius, self.bias, self.alpha, self.beta = depth_radius, bias, alpha, beta

    def construct(self, input_x: Tensor) -> Tensor:
        if input_x.ndim != 4:
            raise fail(ShapeError, f"LRN takes (n, c, h, w), got {list(input_x.shape)}")
        r, c = self.depth_radius, input_x.shape[1]
        padded = ops.pad(input_x * input_x, (0, 0, 0, 0, r, r))
        total = padded[:, :c]
        for shift in range(1, 2 * r + 1):
            total = total + padded[:, shift : shift + c]
        return input_x / ops.pow(self.bias + self.alpha * total, self.beta)


class GroupNorm(Cell):
    """Normalization over groups of channels and all places: (n, c, …).

    >>> nn.GroupNorm(2, 4)(ops.ones((1, 4, 3, 3))).shape
    (1, 4, 3, 3)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        gamma_init: Any = "ones",
        beta_init: Any = "zeros",
        dtype: Any = float32,
    ):
        super().__init__()
        if num_groups < 1 or num_channels < 1 or num_channels % num_groups:
            raise fail(ArgumentError, f"GroupNorm: {num_channels} channels in {num_groups} groups")
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.gamma = _made(gamma_init, (num_channels,), "gamma", dtype, affine)
        self.beta = _made(beta_init, (num_channels,), "beta", dtype, affine)

    def construct(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"axis 1 must have {self.num_channels} channels",
            )
        return ops.group_norm(x, self.num_groups, self.gamma, self.beta, self.eps)

    def extend_repr(self) -> str:
        return f"num_groups={self.num_groups}, num_channels={self.num_channels}"


class _InstanceNorm(GroupNorm):
    """A group for each channel."""

    spatial: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        gamma_init: Any = "ones",
        beta_init: Any = "zeros",
        dtype: Any = float32,
    ):
        super().__init__(*(num_features, num_features, eps, affine, gamma_init, beta_init, dtype))
        self.num_features, self.momentum = num_features, momentum

    def construct(self, x: Tensor) -> Tensor:
        if x.ndim != self.spatial + 2:
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it takes {self.spatial + 2} axes: examples, channels, places",
            )
        return super().construct(x)

    def extend_repr(self) -> str:
        return f"num_features={self.num_features}, eps={self.eps}"


class InstanceNorm1d(_InstanceNorm):
    """Normalization over the places of each sequence and channel: (n, c, l).

    >>> nn.InstanceNorm1d(3)(ops.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    spatial = 1


class InstanceNorm2d(_InstanceNorm):
    """Normalization over the places of each image and channel: (n, c, h, w).

    >>> nn.InstanceNorm2d(3)(ops.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    spatial = 2


class InstanceNorm3d(_InstanceNorm):
    """Normalization over the places of each volume and channel: (n, c, d, h, w).

    >>> nn.InstanceNorm3d(3)(ops.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    spatial = 3


class RMSNorm(Cell):
    """x / sqrt(mean(x²) + epsilon) * gamma over the last axes, `normalized_shape` (an int or a
    tuple). Zhang and Sennrich (2019).

    >>> print(nn.RMSNorm(2)(Tensor([[1.0, 7.0]])).asnumpy().round(3))
    [[0.2 1.4]]
    """

    def __init__(
        self,
        normalized_shape: Any,
        epsilon: float = 1e-6,
        gamma_init: Any = "ones",
        dtype: Any = float32,
    ):
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        if not isinstance(shape, (tuple, list)) or not all(isinstance(n, int) for n in shape):
            raise fail(
                DTypeError,
                f"RMSNorm: normalized_shape must be an int or a tuple, got {normalized_shape!r}",
            )
        self.normalized_shape, self.epsilon = tuple(shape), epsilon
        self.gamma = _made(gamma_init, tuple(normalized_shape), "gamma", dtype)

    def construct(self, x: Tensor) -> Tensor:
        count = len(self.normalized_shape)
        if tuple(x.shape[x.ndim - count :]) != self.normalized_shape:
            raise fail(
                ShapeError,
                f"RMSNorm got an input of shape {list(x.shape)}",
                why=f"its last axes must be {list(self.normalized_shape)}",
            )
        mean = ops.mean(x * x, tuple(range(-count, 0)), True)
        return x * ops.rsqrt(mean + self.epsilon) * self.gamma

    def extend_repr(self) -> str:
        return f"normalized_shape={self.normalized_shape}, epsilon={self.epsilon}"
