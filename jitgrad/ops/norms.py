"""Norms of vectors and matrices, normalization layers, and clipping by a norm."""

from __future__ import annotations

import builtins
import math
from typing import Any

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.types import float32
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.decompose import svdvals
from jitgrad.ops.joining import stack
from jitgrad.ops.linalg import factors
from jitgrad.ops.promote import (
    apply,
    assign,
    axes_of,
    axis_of,
    cast,
    floating,
    inexact,
    one_of,
    scalar,
    shape_of,
    spellings,
    tensor,
)
from jitgrad.ops.shaping import permuted, reshaped
from jitgrad.tensor import Tensor

# --- norms --------------------------------------------------------------------------------------


@spellings
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """The norm of vectors or matrices.

    Args:
        ord: None for the 2-norm of all elements; a number, inf or -inf for that norm of vectors;
            "fro", "nuc", 1, -1, 2, -2, inf or -inf for that of matrices.
        dim: an axis for vectors, two for matrices. None takes a matrix if `ord` is given and the
            input is one, all elements otherwise.

    >>> ops.norm(Tensor([3.0, 4.0])).item()
    5.0
    """
    x = inexact("norm", A)
    x = x if dtype is None else e.to_dtype("norm", x, dtype)
    if dim is None and ord is not None and x.ndim == 2:
        dim = (0, 1)
    if isinstance(dim, (tuple, list)) and len(dim) == 2 and ord is not None:
        return matrix_norm(x, ord, dim, keepdim)
    return vector_norm(x, 2 if ord is None else ord, dim, keepdim)


@spellings
def vector_norm(x, ord=2, axis=None, keepdims=False, *, dtype=None):
    """(sum of \\|x\\|**ord)**(1/ord) over axes; inf the largest, -inf the smallest, 0 the count.

    The gradient of the 2-norm at 0 is nan.

    >>> ops.vector_norm(Tensor([3.0, -4.0]), 1).item()
    7.0
    """
    x = inexact("vector_norm", x)
    x = x if dtype is None else e.to_dtype("vector_norm", x, dtype)
    size = e.abs(x)
    if ord == math.inf:
        return r.amax(size, axis, keepdims)
    if ord == -math.inf:
        return r.amin(size, axis, keepdims)
    if ord == 0:
        return r.sum(cast(c.ne(size, 0), size.dtype), axis, keepdims)
    if ord == 1:
        return r.sum(size, axis, keepdims)
    if ord == 2:
        return e.sqrt(r.sum(e.length_squared(x), axis, keepdims))
    return e.pow(r.sum(e.pow(size, ord), axis, keepdims), 1 / ord)


@spellings
def matrix_norm(A, ord="fro", axis=(-2, -1), keepdims=False, *, dtype=None):
    """The norm of matrices in two axes: "fro"; 1, -1, inf, -inf of columns or rows; 2, -2 or "nuc"
    of singular values: the largest, the smallest, their sum.

    >>> ops.matrix_norm(Tensor([[3.0, 0.0], [0.0, 4.0]])).item()
    5.0
    """
    x = inexact("matrix_norm", A)
    x = x if dtype is None else e.to_dtype("matrix_norm", x, dtype)
    rows, columns = (axis_of("matrix_norm", a, x.ndim) for a in axis)
    if ord == "fro":
        return e.sqrt(r.sum(e.length_squared(x), (rows, columns), keepdims))
    one_of("matrix_norm", "ord", ord, ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf))
    if ord in ("nuc", 2, -2):
        others = [a for a in range(x.ndim) if a not in (rows, columns)]
        values = svdvals(permuted("matrix_norm", x, [*others, rows, columns]))
        out = {"nuc": r.sum, 2: r.amax, -2: r.amin}[ord](values, -1)
        shape = [1 if a in (rows, columns) else n for a, n in enumerate(x.shape)]
        return reshaped("matrix_norm", out, tuple(shape)) if keepdims else out
    along, over = (rows, columns) if builtins.abs(ord) == 1 else (columns, rows)
    sums = r.sum(e.abs(x), along, True)
    out = (r.amax if ord > 0 else r.amin)(sums, over, True)
    kept = tuple(n for a, n in enumerate(out.shape) if a not in (rows, columns))
    return out if keepdims else reshaped("matrix_norm", out, kept)


def dist(input, other, p=2):
    """The p-norm of a difference.

    >>> ops.dist(Tensor([0.0, 0.0]), Tensor([3.0, 4.0])).item()
    5.0
    """
    return vector_norm(e.sub(inexact("dist", input), other), p)


def cdist(x1, x2, p=2.0):
    """The p-norm distances between the rows of two (batches of) matrices: [..., n, m].

    >>> ops.cdist(Tensor([[0.0, 0.0]]), Tensor([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[5.0, 1.0]]
    """
    a, b = factors("cdist", x1, x2)
    if builtins.min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-1]:
        raise fail(
            ShapeError,
            f"cdist got {a._type} and {b._type}",
            why="both hold rows of one length",
        )
    a = reshaped("cdist", a, (*a.shape[:-1], 1, a.shape[-1]))
    b = reshaped("cdist", b, (*b.shape[:-2], 1, *b.shape[-2:]))
    return vector_norm(e.sub(a, b), p, -1)


# --- normalization ------------------------------------------------------------------------------


def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean, and variance around it, over axes that stay with extent 1."""
    centre = r.mean(x, axes, True)
    return centre, r.mean(e.square(e.sub(x, centre)), axes, True)


def _scaled(x: Tensor, centre: Tensor, variance: Tensor, weight: Any, bias: Any, eps: float):
    out = e.mul(e.sub(x, centre), apply(scalar.rsqrt, e.add(variance, eps)))
    out = out if weight is None else e.mul(out, weight)
    return out if bias is None else e.add(out, bias)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05):
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axes.

    Args:
        normalized_shape: the extents of the last axes, over which it is normalized.
        weight, bias: Tensors of that shape.

    >>> from jitgrad import Tensor, ops
    >>> ops.layer_norm(Tensor([[1.0, 3.0]]), (2,), eps=0.0).tolist()
    [[-1.0, 1.0]]
    """
    x, shape = floating("layer_norm", input), shape_of("layer_norm", normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise fail(
            ShapeError,
            f"layer_norm of {x._type} over {shape}",
            why="these must be the extents of its last axes",
        )
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    return _scaled(x, *_moments(x, axes), weight, bias, eps)


def rms_norm(x, gamma, epsilon=1e-06):
    """x / sqrt(mean of squares + epsilon) * gamma over the last axes (those of gamma), and the
    factor 1 / sqrt(…), as a tuple.

    >>> print(ops.rms_norm(Tensor([1.0, 7.0]), ops.ones(2))[0].asnumpy().round(3))
    [0.2 1.4]
    """
    x, gamma = floating("rms_norm", x), tensor("rms_norm", gamma)
    axes = tuple(range(x.ndim - gamma.ndim, x.ndim))
    factor = e.rsqrt(e.add(r.mean(e.square(x), axes, True), epsilon))
    return e.mul(e.mul(x, factor), gamma), factor


def batch_norm(input_x, running_mean, running_var, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-05):  # fmt: skip
    """(x - mean) / sqrt(variance + eps) * weight + bias for each channel (axis 1).

    In training these are the batch's own moments, and the running ones, unless None, are moved in
    place by `momentum` towards them (the variance with divisor count - 1). Otherwise the running
    ones are used.

    >>> print(ops.batch_norm(Tensor([[1.0], [3.0]]), ops.zeros(1), ops.ones(1), ops.ones(1),
    ...     ops.zeros(1), training=True).asnumpy().round(3))
    [[-1.]
     [ 1.]]
    """
    x = floating("batch_norm", input_x)
    if x.ndim < 2:
        raise fail(ShapeError, f"batch_norm of {x._type}", why="channels are axis 1")
    column = (1, x.shape[1], *(1,) * (x.ndim - 2))

    def spread(value):
        return (
            None if value is None else reshaped("batch_norm", tensor("batch_norm", value), column)
        )

    if not training:
        return _scaled(
            x, spread(running_mean), spread(running_var), spread(weight), spread(bias), eps
        )
    axes = (0, *range(2, x.ndim))
    centre, variance = _moments(x, axes)
    count = r.count_of(x, axes)
    if running_mean is not None:
        _follow(running_mean, centre, momentum)
        _follow(running_var, e.mul(variance, count / builtins.max(count - 1, 1)), momentum)
    return _scaled(x, centre, variance, spread(weight), spread(bias), eps)


def _follow(running: Tensor, now: Tensor, momentum: float) -> None:
    """Move a running moment towards that of the batch, in place and without a gradient."""
    now = e.stop_gradient(cast(reshaped("batch_norm", now, running.shape), running.dtype))
    assign(running, e.add(e.mul(running, 1 - momentum), e.mul(now, momentum)))


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-05):
    """(x - mean) / sqrt(variance + eps) over groups of channels (axis 1), then weight and bias of
    each channel.

    >>> print(ops.group_norm(Tensor([[[1.0, 3.0], [5.0, 7.0]]]), 2, ops.ones(2),
    ...     ops.zeros(2)).asnumpy().round(3))
    [[[-1.  1.]
      [-1.  1.]]]
    """
    x = floating("group_norm", input)
    if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
        raise fail(
            ShapeError,
            f"group_norm of {x._type} in {num_groups} groups",
            why="the groups divide axis 1, the channels",
        )
    batch, channels = x.shape[:2]
    count = math.prod(x.shape[1:]) // num_groups
    grouped = reshaped("group_norm", x, (batch, num_groups, count))
    centre, variance = _moments(grouped, (2,))
    out = reshaped("group_norm", _scaled(grouped, centre, variance, None, None, eps), x.shape)
    column = (channels, *(1,) * (x.ndim - 2))
    out = (
        out
        if weight is None
        else e.mul(out, reshaped("group_norm", tensor("group_norm", weight), column))
    )
    return (
        out
        if bias is None
        else e.add(out, reshaped("group_norm", tensor("group_norm", bias), column))
    )


def instance_norm(input, weight=None, bias=None, eps=1e-05):
    """As `group_norm`, with a group for each channel.

    >>> print(ops.instance_norm(Tensor([[[1.0, 3.0], [5.0, 7.0]]])).asnumpy().round(3))
    [[[-1.  1.]
      [-1.  1.]]]
    """
    x = floating("instance_norm", input)
    return group_norm(x, x.shape[1] if x.ndim > 1 else 1, weight, bias, eps)


def l2_normalize(x, axis=-1, epsilon=1e-12):
    """x over its 2-norm along axes, which counts as sqrt(epsilon) at least.

    >>> print(ops.l2_normalize(Tensor([3.0, 4.0])).asnumpy().round(3))
    [0.6 0.8]
    """
    x = floating("l2_normalize", x)
    axes = axes_of("l2_normalize", axis, x.ndim)
    total = e.maximum(r.sum(e.square(x), axes, True), epsilon)
    return e.mul(x, e.rsqrt(total))


# --- clipping -----------------------------------------------------------------------------------


def clip_by_value(x, clip_value_min=None, clip_value_max=None):
    """Values limited to an interval, of a Tensor or of each in a tuple or list.

    >>> ops.clip_by_value(Tensor([-2.0, 0.5, 3.0]), 0.0, 1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    if isinstance(x, (tuple, list)):
        return type(x)(c.clamp(part, clip_value_min, clip_value_max) for part in x)
    return c.clamp(x, clip_value_min, clip_value_max)


def clip_by_norm(x, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Tensors scaled down together so that their norm is at most max_norm.

    >>> print(ops.clip_by_norm(Tensor([3.0, 4.0]), 1.0).asnumpy().round(3))
    [0.6 0.8]
    """
    parts = list(x) if isinstance(x, (tuple, list)) else [x]
    parts = [floating("clip_by_norm", part) for part in parts]
    if not parts:
        return x
    total = vector_norm(stack([vector_norm(part, norm_type) for part in parts]), norm_type)
    if error_if_nonfinite and not bool(c.isfinite(total)):
        raise fail(ArgumentError, "clip_by_norm: the norm is not finite")
    factor = c.clamp(e.div(max_norm, e.add(total, 1e-6)), max=1.0)
    clipped = [e.mul(part, cast(factor, part.dtype)) for part in parts]
    return type(x)(clipped) if isinstance(x, (tuple, list)) else clipped[0]


def clip_by_global_norm(x, clip_norm=1.0, use_norm=None):
    """Tensors scaled by clip_norm / max(their norm together, clip_norm): a tuple.

    >>> from jitgrad import Tensor, ops
    >>> [p.tolist() for p in ops.clip_by_global_norm((Tensor([3.0]), Tensor([4.0])), 1.0)]
    [[0.6000000238418579], [0.800000011920929]]
    """
    if use_norm is not None:
        raise fail(ArgumentError, "clip_by_global_norm got use_norm", why="it is always computed")
    if clip_norm <= 0:
        raise fail(ArgumentError, f"clip_by_global_norm got clip_norm={clip_norm}")
    parts = [floating("clip_by_global_norm", part) for part in x]
    total = None
    for part in parts:
        square = r.sum(e.square(cast(part, float32) if part.dtype.size < 4 else part))
        total = square if total is None else e.add(total, square)
    if total is None:
        return ()
    largest = e.maximum(e.sqrt(total), clip_norm)
    return tuple(
        cast(e.div(e.mul(part, clip_norm), cast(largest, part.dtype)), part.dtype) for part in parts
    )


__all__ = [
    "batch_norm", "cdist", "clip_by_global_norm", "clip_by_norm", "clip_by_value", "dist",
    "group_norm", "instance_norm", "l2_normalize", "layer_norm", "matrix_norm", "norm", "rms_norm",
    "vector_norm",
]  # fmt: skip
