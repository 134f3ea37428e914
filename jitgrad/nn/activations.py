"""Activations as Cells: thin faces of the functions in `ops`. All are elementwise but the softmax
family and GLU, and keep the dtype.
"""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Parameter, Tensor

# --- without settings ---------------------------------------------------------------------------


class ReLU(Cell):
    """max(x, 0).

    >>> nn.ReLU()(Tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class ReLU6(Cell):
    """min(max(x, 0), 6).

    >>> nn.ReLU6()(Tensor([-1.0, 9.0])).tolist()
    [0.0, 6.0]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.relu6(x)


class Sigmoid(Cell):
    """1 / (1 + exp(-x)).

    >>> nn.Sigmoid()(Tensor([0.0])).tolist()
    [0.5]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


class LogSigmoid(Cell):
    """log(sigmoid(x)), without overflow."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.logsigmoid(x)


class Tanh(Cell):
    """Hyperbolic tangent.

    >>> nn.Tanh()(Tensor([0.0])).tolist()
    [0.0]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class Tanhshrink(Cell):
    """x - tanh(x)."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.tanhshrink(x)


class SiLU(Cell):
    """x * sigmoid(x).

    >>> print(nn.SiLU()(Tensor([0.0, 1.0])).asnumpy().round(4))
    [0.     0.7311]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.silu(x)


class Mish(Cell):
    """x * tanh(softplus(x)).

    >>> print(nn.Mish()(Tensor([0.0, 1.0])).asnumpy().round(4))
    [0.     0.8651]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.mish(x)


class HSwish(Cell):
    """x * relu6(x + 3) / 6.

    >>> nn.HSwish()(Tensor([-4.0, 4.0])).tolist()
    [-0.0, 4.0]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.hardswish(x)


class HSigmoid(Cell):
    """relu6(x + 3) / 6.

    >>> nn.HSigmoid()(Tensor([-4.0, 0.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.hardsigmoid(x)


class SeLU(Cell):
    """ELU with the scale and alpha that keep mean 0 and variance 1. Klambauer et al. (2017)."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.selu(x)


class Softsign(Cell):
    """x / (1 + |x|)."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.softsign(x)


class FastGelu(Cell):
    """x / (1 + exp(-1.702 |x|)) * exp(0.851 (x - |x|)): GELU by a sigmoid."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.fast_gelu(x)


# --- with settings ------------------------------------------------------------------------------


class ELU(Cell):
    """x where x > 0, alpha * (exp(x) - 1) elsewhere.

    >>> print(nn.ELU()(Tensor([-1.0, 2.0])).asnumpy().round(4))
    [-0.6321  2.    ]
    """

    def __init__(self, alpha: float = 1.0):
        super().__init__()
        self.alpha = alpha

    def construct(self, x: Tensor) -> Tensor:
        return ops.elu(x, self.alpha)


class CELU(Cell):
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""

    def __init__(self, alpha: float = 1.0):
        super().__init__()
        self.alpha = alpha

    def construct(self, x: Tensor) -> Tensor:
        return ops.celu(x, self.alpha)


class LeakyReLU(Cell):
    """x where x > 0, alpha * x elsewhere.

    >>> nn.LeakyReLU(0.5)(Tensor([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, alpha: float = 0.2):
        super().__init__()
        self.alpha = alpha

    def construct(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, self.alpha)


class GELU(Cell):
    """x times the normal distribution function of x; by tanh if `approximate`.

    >>> print(nn.GELU()(Tensor([-1.0, 0.0, 1.0])).asnumpy().round(3))
    [-0.159  0.     0.841]
    """

    def __init__(self, approximate: bool | str = True):
        super().__init__()
        if approximate not in (True, False, "tanh", "none"):
            raise fail(ArgumentError, f"GELU: approximate must be a bool, got {approximate!r}")
        self.approximate = approximate in (True, "tanh")

    def construct(self, x: Tensor) -> Tensor:
        return ops.gelu(x, "tanh" if self.approximate else "none")


class Softplus(Cell):
    """log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def construct(self, x: Tensor) -> Tensor:
        return ops.softplus(x, self.beta, self.threshold)


class SoftShrink(Cell):
    """x moved towards 0 by lambd, and 0 where |x| <= lambd."""

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def construct(self, x: Tensor) -> Tensor:
        return ops.softshrink(x, self.lambd)


class HShrink(Cell):
    """x, but 0 where |x| <= lambd."""

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def construct(self, x: Tensor) -> Tensor:
        return ops.hardshrink(x, self.lambd)


class Hardtanh(Cell):
    """x between min_val and max_val, which are its bounds.

    >>> nn.Hardtanh()(Tensor([-3.0, 0.5, 2.0])).tolist()
    [-1.0, 0.5, 1.0]
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0):
        super().__init__()
        if min_val >= max_val:
            raise fail(ArgumentError, f"Hardtanh: {min_val} is not below {max_val}")
        self.min_val, self.max_val = min_val, max_val

    def construct(self, x: Tensor) -> Tensor:
        return ops.hardtanh(x, self.min_val, self.max_val)


class Threshold(Cell):
    """x where x > threshold, value elsewhere.

    >>> nn.Threshold(1.0, -7.0)(Tensor([0.5, 3.0])).tolist()
    [-7.0, 3.0]
    """

    def __init__(self, threshold: float, value: float):
        super().__init__()
        self.threshold, self.value = threshold, value

    def construct(self, x: Tensor) -> Tensor:
        return ops.threshold(x, self.threshold, self.value)


class PReLU(Cell):
    """x where x > 0, w * x elsewhere; w is learned: one, or one for each of `channel` channels
    (axis 1).

    >>> nn.PReLU()(Tensor([-4.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, channel: int = 1, w: Any = 0.25):
        super().__init__()
        if isinstance(channel, bool) or not isinstance(channel, int) or channel < 1:
            raise fail(ArgumentError, f"PReLU: channel must be a positive int, got {channel!r}")
        values = w.asnumpy() if isinstance(w, Tensor) else np.asarray(w, np.float32)
        if values.size not in (1, channel):
            raise fail(ShapeError, f"PReLU: {values.size} values of w for {channel} channels")
        self.w = Parameter(Tensor(np.broadcast_to(values.reshape(-1), (channel,)).copy()), "a")

    def construct(self, x: Tensor) -> Tensor:
        return ops.prelu(x, self.w)


class RReLU(Cell):
    """x where x >= 0, a * x elsewhere; a is random between lower and upper, in training one for
    each value, otherwise their mean.
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3):
        super().__init__()
        if not 0 <= lower <= upper <= 1:
            raise fail(ArgumentError, f"RReLU: 0 <= lower <= upper <= 1, got {lower}, {upper}")
        self.lower, self.upper = float(lower), float(upper)

    def construct(self, x: Tensor) -> Tensor:
        if self.training:
            return ops.rrelu(x, self.lower, self.upper)
        return ops.leaky_relu(x, (self.lower + self.upper) / 2)


# --- over an axis -------------------------------------------------------------------------------


class Softmax(Cell):
    """exp(x) over its sum along `axis`.

    >>> nn.Softmax()(Tensor([1.0, 1.0])).tolist()
    [0.5, 0.5]
    """

    def __init__(self, axis: int = -1):
        super().__init__()
        self.axis = axis

    def construct(self, x: Tensor) -> Tensor:
        return ops.softmax(x, self.axis)


class Softmax2d(Cell):
    """Softmax over the channels of (n, c, h, w) or (c, h, w)."""

    def construct(self, x: Tensor) -> Tensor:
        if x.ndim not in (3, 4):
            raise fail(ShapeError, f"Softmax2d takes three or four axes, got {list(x.shape)}")
        return ops.softmax(x, -3)


class Softmin(Cell):
    """Softmax of -x."""

    def __init__(self, axis: int = -1):
        super().__init__()
        self.axis = axis

    def construct(self, x: Tensor) -> Tensor:
        return ops.softmax(-x, self.axis)


class LogSoftmax(Cell):
    """x - log(sum(exp(x))) along `axis`.

    >>> print(nn.LogSoftmax()(Tensor([1.0, 1.0])).asnumpy().round(4))
    [-0.6931 -0.6931]
    """

    def __init__(self, axis: int = -1):
        super().__init__()
        self.axis = axis

    def construct(self, x: Tensor) -> Tensor:
        return ops.log_softmax(x, self.axis)


class GLU(Cell):
    """The first half of `axis` times the sigmoid of the second.

    >>> nn.GLU()(Tensor([2.0, 3.0, 0.0, 0.0])).tolist()
    [1.0, 1.5]
    """

    def __init__(self, axis: int = -1):
        super().__init__()
        self.axis = axis

    def construct(self, x: Tensor) -> Tensor:
        return ops.glu(x, self.axis)


# --- by name ------------------------------------------------------------------------------------

NAMES: dict[str, type[Cell]] = {
    "relu": ReLU, "relu6": ReLU6, "sigmoid": Sigmoid, "logsigmoid": LogSigmoid, "tanh": Tanh,
    "tanhshrink": Tanhshrink, "silu": SiLU, "mish": Mish, "hswish": HSwish, "hsigmoid": HSigmoid,
    "selu": SeLU, "softsign": Softsign, "fast_gelu": FastGelu, "elu": ELU, "celu": CELU,
    "leakyrelu": LeakyReLU, "leaky_relu": LeakyReLU, "gelu": GELU, "softplus": Softplus,
    "softshrink": SoftShrink, "hshrink": HShrink, "hardtanh": Hardtanh, "threshold": Threshold,
    "prelu": PReLU, "rrelu": RReLU, "softmax": Softmax, "glu": GLU, "softmax2d": Softmax2d,
    "softmin": Softmin, "logsoftmax": LogSoftmax,
}  # fmt: skip


def get_activation(name: str, prim_name: str | None = None) -> Cell | None:
    """The activation of a name, with its defaults; None for None, KeyError for an unknown name.

    >>> nn.get_activation("relu")
    ReLU()
    """
    if name is None:
        return None
    if name not in NAMES:
        near = difflib.get_close_matches(str(name), NAMES)
        where = f"{prim_name}: " if prim_name else ""
        raise KeyError(f"{where}no activation is named {name!r}; have {near or sorted(NAMES)}")
    return NAMES[name]()


def as_activation(owner: str, activation: Any) -> Any:
    """A Cell or another callable from a name, a Cell or a callable; TypeError otherwise."""
    if isinstance(activation, str):
        return get_activation(activation, owner)
    if activation is not None and not callable(activation):
        raise fail(DTypeError, f"{owner}: activation must be a name or a Cell, not {activation!r}")
    return activation


__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "FastGelu",
    "HShrink",
    "HSigmoid",
    "HSwish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SeLU",
    "SiLU",
    "Sigmoid",
    "SoftShrink",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "get_activation",
]  # fmt: skip
