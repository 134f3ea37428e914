"""Activation functions."""

from __future__ import annotations

import math

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.gathering import one_hot
from jitgrad.ops.promote import (
    apply,
    axis_of,
    cast,
    floating,
    one_of,
    scalar,
    spellings,
    splat,
    tensor,
)
from jitgrad.ops.shaping import reshaped
from jitgrad.ops.splitting import chunk
from jitgrad.primitives import reduce as primitive
from jitgrad.primitives.declare import NUMBER
from jitgrad.tensor import Tensor


def _choose(condition: Tensor, x: Tensor, y) -> Tensor:
    """x where the condition holds, else y, a number or a Tensor of the same type."""
    y = y if isinstance(y, Tensor) else splat(y, x._type)
    return apply(scalar.select, condition, x, y)


def _le(x: Tensor, number: float) -> Tensor:
    return apply(scalar.less_equal, x, splat(number, x._type))


# --- the relu family ----------------------------------------------------------------------------
# Each is a choice that gives nan for nan.


def relu(input):
    """max(x, 0), with derivative 0 at 0.

    >>> from jitgrad import Tensor, ops
    >>> ops.relu(Tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    x = tensor("relu", input, NUMBER)
    return apply(scalar.relu, x)


def relu6(x):
    """min(max(x, 0), 6), with derivative 0 at 0 and at 6.

    >>> ops.relu6(Tensor([-1.0, 3.0, 9.0])).tolist()
    [0.0, 3.0, 6.0]
    """
    return limited("relu6", x, 0, 6)


@spellings
def hardtanh(input, min_val=-1.0, max_val=1.0):
    """x limited to [min_val, max_val], with derivative 1/2 on the edges.

    >>> ops.hardtanh(Tensor([-3.0, 0.5, 2.0])).tolist()
    [-1.0, 0.5, 1.0]
    """
    return e.minimum(e.maximum(tensor("hardtanh", input, NUMBER), min_val), max_val)


def limited(name: str, input, low: float, high: float) -> Tensor:
    """x limited to [low, high], with derivative 0 on the edges, as PyTorch has it."""
    x = tensor(name, input, NUMBER)
    x = _choose(_le(x, low), splat(low, x._type), x)
    above = apply(scalar.less_equal, splat(high, x._type), x)
    return apply(scalar.select, above, splat(high, x._type), x)


@spellings
def leaky_relu(input, alpha=0.2):
    """x where positive, else alpha * x.

    >>> ops.leaky_relu(Tensor([-2.0, 3.0]), 0.5).tolist()
    [-1.0, 3.0]
    """
    x = floating("leaky_relu", input)
    return apply(scalar.select, _le(x, 0), e.mul(x, alpha), x)


def prelu(input, weight):
    """x where positive, else weight * x, with one weight or one a channel (axis 1).

    >>> ops.prelu(Tensor([-2.0, 3.0]), Tensor([0.25])).tolist()
    [-0.5, 3.0]
    """
    x, weight = floating("prelu", input), tensor("prelu", weight)
    if weight._type.size > 1:
        if x.ndim < 2 or weight.shape != (x.shape[1],):
            raise fail(
                ShapeError,
                f"prelu of {x._type} got weights {weight._type}",
                why="it takes one weight, or one for each element of axis 1",
            )
        weight = reshaped("prelu", weight, (-1,) + (1,) * (x.ndim - 2))
    return c.where(_le(x, 0), e.mul(x, weight), x)


@spellings
def elu(input_x, alpha=1.0):
    """x where positive, else alpha * (exp(x) - 1).

    >>> print(ops.elu(Tensor([-1.0, 2.0])).asnumpy().round(4))
    [-0.6321  2.    ]
    """
    return _elu("elu", input_x, alpha, 1.0, 1.0)


def _elu(name: str, input, alpha: float, scale: float, inner: float) -> Tensor:
    """scale * x where positive, else alpha * (exp(x / inner) - 1)."""
    x = floating(name, input)
    negative = _le(x, 0)
    below = _choose(negative, x, 0)  # so that exp of a large x cannot make an inf
    below = below if inner == 1.0 else e.div(below, inner)
    curve = e.mul(apply(scalar.expm1, below), alpha)
    return apply(scalar.select, negative, curve, x if scale == 1.0 else e.mul(x, scale))


def celu(x, alpha=1.0):
    """x where positive, else alpha * (exp(x / alpha) - 1).

    >>> print(ops.celu(Tensor([-2.0, 2.0]), 2.0).asnumpy().round(4))
    [-1.2642  2.    ]
    """
    return _elu("celu", x, alpha, 1.0, alpha)


def selu(input_x):
    """The self-normalizing elu, with the constants of Klambauer and others (2017).

    >>> print(ops.selu(Tensor([-1.0, 1.0])).asnumpy().round(4))
    [-1.1113  1.0507]
    """
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return _elu("selu", input_x, scale * alpha, scale, 1.0)


@spellings
def hardshrink(input, lambd=0.5):
    """x where \\|x\\| > lambd, else 0.

    >>> ops.hardshrink(Tensor([-2.0, 0.25, 1.0])).tolist()
    [-2.0, 0.0, 1.0]
    """
    x = floating("hardshrink", input)
    return apply(scalar.select, _le(e.abs(x), lambd), splat(0, x._type), x)


@spellings
def softshrink(input, lambd=0.5):
    """x moved towards 0 by lambd, 0 where it would pass.

    >>> ops.softshrink(Tensor([-2.0, 0.25, 1.0])).tolist()
    [-1.5, 0.0, 0.5]
    """
    x = floating("softshrink", input)
    moved = e.sub(x, e.mul(apply(scalar.sign, x), lambd))
    return apply(scalar.select, _le(e.abs(x), lambd), splat(0, x._type), moved)


def threshold(input, thr, value):
    """x where it is above a threshold, else a value.

    >>> ops.threshold(Tensor([-2.0, 0.5, 3.0]), 1.0, -7.0).tolist()
    [-7.0, -7.0, 3.0]
    """
    x = tensor("threshold", input, NUMBER)
    return apply(scalar.select, _le(x, thr), splat(value, x._type), x)


def hardsigmoid(input):
    """min(max(x + 3, 0), 6) / 6.

    >>> ops.hardsigmoid(Tensor([-4.0, 0.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    x = floating("hardsigmoid", input)
    return e.div(limited("hardsigmoid", e.add(x, 3), 0, 6), 6)


def hardswish(input):
    """x * hardsigmoid(x).

    >>> ops.hardswish(Tensor([-4.0, 3.0, 4.0])).tolist()
    [-0.0, 3.0, 4.0]
    """
    x = floating("hardswish", input)
    near = c.clamp(x, -3, 3)  # x itself may be infinite, and its derivative there times 0 be nan
    return c.where(c.gt(x, 3), x, e.mul(near, e.div(e.add(near, 3), 6)))


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3):
    """x where positive, else x times a random factor between lower and upper.

    >>> ops.rrelu(Tensor([-4.0, 3.0]), 0.5, 0.5).tolist()
    [-2.0, 3.0]
    """
    from jitgrad.ops.random import draw_uniform

    x = floating("rrelu", input)
    factor = e.add(e.mul(draw_uniform(x.shape, x.dtype), upper - lower), lower)
    return apply(scalar.select, _le(x, 0), e.mul(x, factor), x)


# --- smooth ones --------------------------------------------------------------------------------


def silu(input):
    """x * sigmoid(x).

    >>> print(ops.silu(Tensor([0.0, 1.0])).asnumpy().round(4))
    [0.     0.7311]
    """
    x = floating("silu", input)
    return apply(scalar.mul, x, apply(scalar.sigmoid, x))


def gelu(input, approximate="none"):
    """x times the normal distribution's cumulative function.

    Args:
        approximate: "none" uses erf, "tanh" the approximation of Hendrycks and Gimpel (2016).

    >>> print(ops.gelu(Tensor([-1.0, 0.0, 1.0])).asnumpy().round(4))
    [-0.1587  0.      0.8413]
    """
    one_of("gelu", "approximate", approximate, ("none", "tanh"))
    x = floating("gelu", input)
    if approximate == "none":
        share = e.add(apply(scalar.erf, e.mul(x, math.sqrt(0.5))), 1)
    else:
        cubic = e.add(x, e.mul(e.mul(e.mul(x, x), x), 0.044715))
        share = e.add(apply(scalar.tanh, e.mul(cubic, math.sqrt(2 / math.pi))), 1)
    return e.mul(e.mul(x, 0.5), share)


def fast_gelu(x):
    """x * sigmoid(1.702 x), a rough gelu.

    >>> print(ops.fast_gelu(Tensor([-1.0, 0.0, 1.0])).asnumpy().round(4))
    [-0.1542  0.      0.8458]
    """
    x = floating("fast_gelu", x)
    return e.mul(x, apply(scalar.sigmoid, e.mul(x, 1.702)))


@spellings
def softplus(input, beta=1, threshold=20):
    """log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold.

    >>> print(ops.softplus(Tensor([0.0, 100.0])).asnumpy().round(4))
    [  0.6931 100.    ]
    """
    x = floating("softplus", input)
    scaled = x if beta == 1 else e.mul(x, beta)
    curve = log1pexp(scaled)
    curve = curve if beta == 1 else e.div(curve, beta)
    return apply(scalar.select, _le(scaled, threshold), curve, x)


def log1pexp(x: Tensor) -> Tensor:
    """log(1 + exp(x)) = relu(x) + log1p(exp(-|x|)), written so that all derivatives are right at 0
    too (abs would lose them there) and no branch overflows.
    """
    negative, zero = _le(x, 0), splat(0, x._type)
    small = apply(scalar.select, negative, x, apply(scalar.neg, x))
    rest = apply(scalar.log1p, apply(scalar.exp, small))
    return apply(scalar.add, apply(scalar.select, negative, zero, x), rest)


def logsigmoid(x):
    """log(sigmoid(x)), which does not overflow.

    >>> print(ops.logsigmoid(Tensor([0.0, -100.0])).asnumpy().round(4))
    [  -0.6931 -100.    ]
    """
    x = floating("logsigmoid", x)
    return apply(scalar.neg, log1pexp(apply(scalar.neg, x)))


def mish(x):
    """x * tanh(softplus(x)).

    >>> print(ops.mish(Tensor([0.0, 1.0])).asnumpy().round(4))
    [0.     0.8651]
    """
    x = floating("mish", x)
    return apply(scalar.mul, x, apply(scalar.tanh, log1pexp(x)))


def softsign(x):
    """x / (1 + \\|x\\|).

    >>> ops.softsign(Tensor([-1.0, 0.0, 3.0])).tolist()
    [-0.5, 0.0, 0.75]
    """
    x = floating("softsign", x)
    return e.div(x, e.add(apply(scalar.abs_, x), 1))


def tanhshrink(input):
    """x - tanh(x).

    >>> print(ops.tanhshrink(Tensor([0.0, 1.0])).asnumpy().round(4))
    [0.     0.2384]
    """
    x = floating("tanhshrink", input)
    return apply(scalar.sub, x, apply(scalar.tanh, x))


@spellings
def logit(input, eps=None):
    """log(x / (1 - x)), with x limited to [eps, 1 - eps].

    >>> print(ops.logit(Tensor([0.5, 0.75])).asnumpy().round(4))
    [0.     1.0986]
    """
    x = floating("logit", input)
    x = x if eps is None or eps < 0 else c.clamp(x, eps, 1 - eps)
    # a difference, so that the derivative at 0 and 1 is infinite, and not nan
    return apply(scalar.sub, apply(scalar.log, x), apply(scalar.log1p, apply(scalar.neg, x)))


@spellings
def glu(x, axis=-1):
    """One half along an axis times the sigmoid of the other.

    >>> ops.glu(Tensor([2.0, 3.0, 0.0, 0.0])).tolist()
    [1.0, 1.5]
    """
    x = floating("glu", x)
    at = axis_of("glu", axis, x.ndim)
    if x.ndim == 0 or x.shape[at] % 2:
        raise fail(ShapeError, f"glu of {x._type} along axis {axis}", why="its extent must be even")
    first, second = chunk(x, 2, at)
    return apply(scalar.mul, first, apply(scalar.sigmoid, second))


# --- over an axis -------------------------------------------------------------------------------


def _centred(name: str, input, axis, dtype) -> tuple[Tensor, tuple[int, ...]]:
    """The operand less its largest along an axis, so that no exponential overflows."""
    x = floating(name, input)
    x = x if dtype is None else e.to_dtype(name, x, dtype)
    axes = tuple(
        sorted({axis_of(name, a, x.ndim) for a in (axis if isinstance(axis, tuple) else (axis,))})
    )
    axes = axes if x.ndim else ()
    if x._type.size == 0:
        return x, axes
    top = r.reduced(primitive.reduce_max, apply(scalar.stop_gradient, x), axes, True)
    return apply(scalar.sub, x, r.back(top, x)), axes


@spellings
def softmax(input, axis=-1, *, dtype=None):
    """exp(x) over its sum along an axis, shifted by the largest so that nothing overflows.

    >>> from jitgrad import Tensor, ops
    >>> ops.softmax(Tensor([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """
    x, axes = _centred("softmax", input, axis, dtype)
    powers = apply(scalar.exp, x)
    total = r.reduced(primitive.reduce_sum, powers, axes, True)
    return apply(scalar.div, powers, r.back(total, powers))


@spellings
def log_softmax(logits, axis=-1, dtype=None):
    """The logarithm of the softmax along an axis, computed without it.

    >>> print(ops.log_softmax(Tensor([1.0, 1.0, 1.0, 1.0])).asnumpy().round(4))
    [-1.3863 -1.3863 -1.3863 -1.3863]
    """
    x, axes = _centred("log_softmax", logits, axis, dtype)
    total = r.reduced(primitive.reduce_sum, apply(scalar.exp, x), axes, True)
    return apply(scalar.sub, x, r.back(apply(scalar.log, total), x))


@spellings
def softmin(x, axis=-1, *, dtype=None):
    """The softmax of -x.

    >>> print(ops.softmin(Tensor([0.0, 1.0])).asnumpy().round(4))
    [0.7311 0.2689]
    """
    return softmax(e.neg(floating("softmin", x)), axis, dtype=dtype)


@spellings
def gumbel_softmax(logits, tau=1.0, hard=False, dim=-1):
    """A sample of the Gumbel-softmax distribution; `hard` gives one-hot vectors whose gradient is
    that of the soft ones.

    >>> ops.gumbel_softmax(ops.zeros((2, 3)), hard=True).sum(1).tolist()
    [1.0, 1.0]
    """
    from jitgrad.ops.random import draw_uniform

    if tau <= 0:
        raise fail(ArgumentError, f"gumbel_softmax got tau={tau}", why="it must be positive")
    x = floating("gumbel_softmax", logits)
    axis = axis_of("gumbel_softmax", dim, x.ndim)
    uniform = e.sub(1, draw_uniform(x.shape, x.dtype))  # in (0, 1]
    tiny = 1e-20 if x.dtype.size > 2 else 1e-7
    noise = e.neg(e.log(e.add(e.neg(e.log(uniform)), tiny)))
    soft = softmax(e.div(e.add(x, noise), tau), axis)
    if not hard:
        return soft
    chosen = one_hot(r.argmax(soft, axis), soft.shape[axis], axis=axis)
    return e.add(e.sub(cast(chosen, soft.dtype), e.stop_gradient(soft)), soft)


__all__ = [
    "celu", "elu", "fast_gelu", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "leaky_relu", "limited", "log1pexp", "log_softmax", "logit",
    "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "silu", "softmax",
    "softmin", "softplus", "softshrink", "softsign", "tanhshrink", "threshold",
]  # fmt: skip
