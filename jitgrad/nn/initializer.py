"""How parameters start: constants and the usual random families.

An initializer is an object that fills an array; `initializer` makes the Tensor. The random ones
draw from one NumPy generator that `jitgrad.set_seed` seeds, so that a seed fixes a whole network.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.frontend import random
from jitgrad.ir.types import DType, float32
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.tensor import Tensor

Shape = tuple[int, ...]


def generator() -> np.random.Generator:
    """The NumPy generator of all initializers: a stream of its own under the global seed."""
    return random.host_generator()


class Initializer:
    """Base of all initializers. A subclass defines `_initialize(array)`, which fills the array."""

    def __init__(self, **kwargs: Any):
        self._kwargs = kwargs

    def __call__(self, array: np.ndarray) -> None:
        self._initialize(array)

    def _initialize(self, array: np.ndarray) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define _initialize(array)")

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self._kwargs.items())
        return f"{type(self).__name__}({inside})"


def fans(shape: Shape) -> tuple[int, int]:
    """Values flowing into and out of one unit of a weight ``(out, in, *window)``; ShapeError for
    fewer than two axes.
    """
    if len(shape) < 2:
        raise fail(
            ShapeError,
            f"a weight of shape {list(shape)} has no fan-in and fan-out",
            why="they are the products over axis 1 and axis 0, so two axes are needed",
            instead="initialize it with 'normal', 'uniform' or a constant",
        )
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def gain_of(nonlinearity: str, slope: float = 0.0) -> float:
    """The factor by which a weight is widened to make up for its activation."""
    table = {
        **dict.fromkeys(("linear", "sigmoid"), 1.0),
        **dict.fromkeys(("conv1d", "conv2d", "conv3d"), 1.0),
        **dict.fromkeys(("conv1d_transpose", "conv2d_transpose", "conv3d_transpose"), 1.0),
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
    }
    if nonlinearity not in table:
        raise fail(ArgumentError, f"no such nonlinearity: {nonlinearity!r}; have {list(table)}")
    return table[nonlinearity]


def _fan(shape: Shape, mode: str) -> int:
    fan_in, fan_out = fans(shape)
    if mode not in ("fan_in", "fan_out"):
        raise fail(ArgumentError, f"mode must be 'fan_in' or 'fan_out', not {mode!r}")
    return fan_in if mode == "fan_in" else fan_out


def _truncated(shape: Shape, mean: float, sigma: float, low: float, high: float) -> np.ndarray:
    """Normal values inside [mean + low * sigma, mean + high * sigma], by rejection."""
    rng = generator()
    values = rng.standard_normal(shape)
    outside = (values < low) | (values > high)
    while outside.any():
        values[outside] = rng.standard_normal(int(outside.sum()))
        outside = (values < low) | (values > high)
    return mean + sigma * values


# --- constants ----------------------------------------------------------------------------------


class Zero(Initializer):
    """All zeros."""

    def _initialize(self, array: np.ndarray) -> None:
        array[...] = 0


class One(Initializer):
    """All ones."""

    def _initialize(self, array: np.ndarray) -> None:
        array[...] = 1


class Constant(Initializer):
    """One number, or an array that broadcasts."""

    def __init__(self, value: Any):
        super().__init__(value=value)
        self.value = value

    def _initialize(self, array: np.ndarray) -> None:
        array[...] = self.value


class Identity(Initializer):
    """The identity matrix; ShapeError unless there are two axes.

    >>> nn.Identity()(Tensor([1.0])).tolist()
    [1.0]
    """

    def _initialize(self, array: np.ndarray) -> None:
        if array.ndim != 2:
            raise fail(ShapeError, f"Identity needs two axes, got shape {list(array.shape)}")
        array[...] = np.eye(*array.shape)


class Dirac(Initializer):
    """A convolution weight that hands its input through; shape ``(out, in, *window)``."""

    def __init__(self, groups: int = 1):
        super().__init__(groups=groups)
        self.groups = groups

    def _initialize(self, array: np.ndarray) -> None:
        if array.ndim < 3:
            raise fail(ShapeError, f"Dirac needs at least three axes, got {list(array.shape)}")
        if array.shape[0] % self.groups:
            raise fail(
                ArgumentError,
                f"Dirac with groups={self.groups} got shape {list(array.shape)}",
                why="the number of output channels must be divisible by the groups",
            )
        each = array.shape[0] // self.groups
        centre = tuple(extent // 2 for extent in array.shape[2:])
        array[...] = 0
        for group in range(self.groups):
            for channel in range(min(each, array.shape[1])):
                array[(group * each + channel, channel, *centre)] = 1


# --- random families ----------------------------------------------------------------------------


class Uniform(Initializer):
    """Uniform over [-scale, scale)."""

    def __init__(self, scale: float = 0.07):
        super().__init__(scale=scale)
        self.scale = scale

    def _initialize(self, array: np.ndarray) -> None:
        array[...] = generator().uniform(-self.scale, self.scale, array.shape)


class Normal(Initializer):
    """Normal with standard deviation `sigma` around `mean`."""

    def __init__(self, sigma: float = 0.01, mean: float = 0.0):
        super().__init__(sigma=sigma, mean=mean)
        self.sigma, self.mean = sigma, mean

    def _initialize(self, array: np.ndarray) -> None:
        array[...] = generator().normal(self.mean, self.sigma, array.shape)


class TruncatedNormal(Initializer):
    """Normal, but only values within [mean + a * sigma, mean + b * sigma]."""

    def __init__(self, sigma: float = 0.01, mean: float = 0.0, a: float = -2.0, b: float = 2.0):
        super().__init__(sigma=sigma, mean=mean, a=a, b=b)
        self.sigma, self.mean, self.low, self.high = sigma, mean, a, b

    def _initialize(self, array: np.ndarray) -> None:
        array[...] = _truncated(array.shape, self.mean, self.sigma, self.low, self.high)


class XavierUniform(Initializer):
    """Uniform with variance 2 / (fan_in + fan_out), times gain². Glorot and Bengio (2010)."""

    def __init__(self, gain: float = 1.0):
        super().__init__(gain=gain)
        self.gain = gain

    def _initialize(self, array: np.ndarray) -> None:
        bound = self.gain * math.sqrt(6 / sum(fans(array.shape)))
        array[...] = generator().uniform(-bound, bound, array.shape)


class XavierNormal(Initializer):
    """Normal with variance 2 / (fan_in + fan_out), times gain². Glorot and Bengio (2010)."""

    def __init__(self, gain: float = 1.0):
        super().__init__(gain=gain)
        self.gain = gain

    def _initialize(self, array: np.ndarray) -> None:
        sigma = self.gain * math.sqrt(2 / sum(fans(array.shape)))
        array[...] = generator().normal(0, sigma, array.shape)


class _He(Initializer):
    def __init__(
        self,
        negative_slope: float = 0,
        mode: str = "fan_in",
        nonlinearity: str = "leaky_relu",
    ):
        super().__init__(negative_slope=negative_slope, mode=mode, nonlinearity=nonlinearity)
        self.negative_slope, self.mode, self.nonlinearity = negative_slope, mode, nonlinearity

    def sigma(self, shape: Shape) -> float:
        """The standard deviation for a weight of this shape."""
        gain = gain_of(self.nonlinearity, self.negative_slope)
        return gain / math.sqrt(max(_fan(shape, self.mode), 1))


class HeUniform(_He):
    """Uniform with variance gain² / fan. He et al. (2015)."""

    def _initialize(self, array: np.ndarray) -> None:
        bound = math.sqrt(3) * self.sigma(array.shape)
        array[...] = generator().uniform(-bound, bound, array.shape)


class HeNormal(_He):
    """Normal with variance gain² / fan. He et al. (2015)."""

    def _initialize(self, array: np.ndarray) -> None:
        array[...] = generator().normal(0, self.sigma(array.shape), array.shape)


class VarianceScaling(Initializer):
    """Values of variance scale / fan from one of three distributions."""

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
    ):
        super().__init__(scale=scale, mode=mode, distribution=distribution)
        if scale <= 0:
            raise fail(ArgumentError, f"scale must be positive, not {scale!r}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise fail(ArgumentError, f"mode must be fan_in, fan_out or fan_avg, not {mode!r}")
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise fail(
                ArgumentError,
                f"no such distribution: {distribution!r}",
                instead="use 'truncated_normal', 'untruncated_normal' or 'uniform'",
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def _initialize(self, array: np.ndarray) -> None:
        fan_in, fan_out = fans(array.shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        sigma = math.sqrt(self.scale / max(fan, 1))
        if self.distribution == "uniform":
            bound = math.sqrt(3) * sigma
            array[...] = generator().uniform(-bound, bound, array.shape)
        elif self.distribution == "untruncated_normal":
            array[...] = generator().normal(0, sigma, array.shape)
        else:
            # What is left of a standard normal between -2 and 2 has this standard deviation.
            array[...] = _truncated(array.shape, 0, sigma / 0.87962566103423978, -2, 2)


class Orthogonal(Initializer):
    """An orthogonal matrix over (axis 0, all other axes). Saxe et al. (2013)."""

    def __init__(self, gain: float = 1.0):
        super().__init__(gain=gain)
        self.gain = gain

    def _initialize(self, array: np.ndarray) -> None:
        if array.ndim < 2:
            raise fail(ShapeError, f"Orthogonal needs two axes, got shape {list(array.shape)}")
        rows, columns = array.shape[0], math.prod(array.shape[1:])
        draw = generator().standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(draw)
        q *= np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices
        array[...] = (self.gain * (q.T if rows < columns else q)).reshape(array.shape)


class Sparse(Initializer):
    """Normal values with a share `sparsity` of every column set to zero; two axes."""

    def __init__(self, sparsity: float, sigma: float = 0.01):
        super().__init__(sparsity=sparsity, sigma=sigma)
        self.sparsity, self.sigma = sparsity, sigma

    def _initialize(self, array: np.ndarray) -> None:
        if array.ndim != 2:
            raise fail(ShapeError, f"Sparse needs two axes, got shape {list(array.shape)}")
        rng = generator()
        rows, columns = array.shape
        array[...] = rng.normal(0, self.sigma, array.shape)
        for column in range(columns):
            array[rng.permutation(rows)[: math.ceil(self.sparsity * rows)], column] = 0


NAMES: dict[str, type[Initializer]] = {
    "zeros": Zero, "ones": One, "identity": Identity, "dirac": Dirac, "zero": Zero, "one": One,
    "normal": Normal, "uniform": Uniform, "truncatednormal": TruncatedNormal,
    "truncated_normal": TruncatedNormal, "xavier_uniform": XavierUniform,
    "xavieruniform": XavierUniform, "xavier_normal": XavierNormal, "xaviernormal": XavierNormal,
    "he_uniform": HeUniform, "heuniform": HeUniform, "he_normal": HeNormal, "henormal": HeNormal,
    "variance_scaling": VarianceScaling, "variancescaling": VarianceScaling,
    "orthogonal": Orthogonal,
}  # fmt: skip


def named(name: str) -> Initializer:
    """The initializer of a name, with its defaults; ValueError with the nearest names."""
    kind = NAMES.get(name.lower())
    if kind is None:
        near = difflib.get_close_matches(name.lower(), NAMES)
        raise fail(
            ArgumentError,
            f"there is no initializer named {name!r}",
            instead=f"use one of {near or sorted(NAMES)}",
        )
    return kind()


def initializer(
    init: Any, shape: Sequence[int] | int | None = None, dtype: Any = float32
) -> Tensor:
    """A Tensor filled by `init`: a Tensor or array of that shape, a name, an Initializer, or a
    number.

    >>> initializer("ones", (2,)).asnumpy()
    array([1., 1.], dtype=float32)

    ValueError for an unknown name and for a Tensor of another shape, TypeError for anything else.
    """
    if isinstance(shape, numbers.Integral):
        shape = (int(shape),)
    if isinstance(init, (Tensor, np.ndarray)):
        return _given(init, shape)
    if shape is None:
        raise fail(ArgumentError, f"initializer({init!r}) needs a shape")
    shape = tuple(int(extent) for extent in shape)
    if any(extent < 0 for extent in shape):
        raise fail(ArgumentError, f"initializer got the negative shape {list(shape)}")
    if isinstance(init, numbers.Number):
        init = Constant(init)
    elif isinstance(init, str):
        init = named(init)
    elif isinstance(init, type) and issubclass(init, Initializer):
        init = init()
    if not isinstance(init, Initializer):
        raise fail(
            DTypeError,
            f"initializer got {init!r}",
            why="it takes a Tensor, the name of an initializer, an Initializer or a number",
        )
    kind: DType = dtype_of(float32 if dtype is None else dtype)
    array = np.zeros(shape, kind.numpy)
    init(array)
    return Tensor._wrap(array)


def _given(value: Tensor | np.ndarray, shape: Sequence[int] | None) -> Tensor:
    if shape is not None and tuple(value.shape) != tuple(shape):
        raise fail(
            ShapeError,
            f"initial values have shape {list(value.shape)}, but {list(shape)} is needed",
        )
    return value if isinstance(value, Tensor) else Tensor(value)
