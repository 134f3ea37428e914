"""The table that the tests of `ops` run over: a call, the same in NumPy, and inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as sp

from jitgrad import ops

RNG = np.random.default_rng(5)


def reals(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Distinct values, none of them within 0.01 of an integer or half of one: away from kinks."""
    values = RNG.uniform(low, high, shape)
    near = np.abs(values * 2 - np.rint(values * 2)) < 0.05
    return np.where(near, values + 0.06, values)


def whole(*shape: int, low: int = -9, high: int = 9) -> np.ndarray:
    return RNG.integers(low, high, shape)


A, B = reals(2, 3), reals(2, 3)
POS = reals(2, 3, low=0.2, high=3.0)
UNIT = reals(2, 3, low=0.1, high=0.9)
M, N, V = reals(3, 4), reals(4, 2), reals(4)
CUBE = reals(2, 3, 4)
IMAGE = reals(2, 3, 6, 5)
KERNEL = reals(4, 3, 3, 2)
SQUARE = reals(3, 3) + 3 * np.eye(3)
IDS = np.array([2, 0, 2])
CLASSES = np.array([1, 0, 3])
LOGITS = reals(3, 4)
MASK = np.array([[True, False, True], [False, False, True]])


@dataclass(frozen=True)
class Row:
    """`call` on Tensors of the inputs gives what `reference` gives on the arrays."""

    name: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: tuple[Any, ...]
    grad: bool = True


def rows(names: str, inputs: tuple, references: Any, grad: bool = True) -> list[Row]:
    """Functions that have one name here and, in `references` (modules), there."""
    found = []
    for name in names.split():
        mine, _, theirs = name.partition(":")
        modules = references if isinstance(references, tuple) else (references,)
        reference = next(getattr(m, theirs or mine) for m in modules if hasattr(m, theirs or mine))
        found.append(Row(mine, getattr(ops, mine), reference, inputs, grad))
    return found


def row(
    call: Callable, reference: Callable, *inputs: Any, grad: bool = True, name: str = ""
) -> Row:
    return Row(name or getattr(call, "__name__", "?"), call, reference, inputs, grad)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x, axis=-1):
    return np.log(softmax(x, axis))


def convolved(x, w, stride=(1, 1), pad=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Convolution by its definition."""
    x = np.pad(x, ((0, 0), (0, 0), pad[:2], pad[2:]))
    o, depth, kh, kw = w.shape
    oh = (x.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (x.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    out = np.zeros((x.shape[0], o, oh, ow), x.dtype)
    for f in range(o):
        first = f // (o // groups) * depth
        for i in range(kh):
            for j in range(kw):
                y, z = i * dilation[0], j * dilation[1]
                part = x[
                    :,
                    first : first + depth,
                    y : y + oh * stride[0] : stride[0],
                    z : z + ow * stride[1] : stride[1],
                ]
                part = part[:, :, :oh, :ow]
                out[:, f] += np.einsum("nchw,c->nhw", part, w[f, :, i, j])
    return out


def pooled(x, kernel, stride, pad=(0, 0, 0, 0), of=np.max, fill=-np.inf):
    x = np.pad(x, ((0, 0), (0, 0), pad[:2], pad[2:]), constant_values=fill)
    oh = (x.shape[2] - kernel[0]) // stride[0] + 1
    ow = (x.shape[3] - kernel[1]) // stride[1] + 1
    out = np.empty((*x.shape[:2], oh, ow), x.dtype)
    for i in range(oh):
        for j in range(ow):
            y, z = i * stride[0], j * stride[1]
            out[:, :, i, j] = of(x[:, :, y : y + kernel[0], z : z + kernel[1]], axis=(2, 3))
    return out


def normalized(x, axes, eps):
    centre, spread = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - centre) / np.sqrt(spread + eps)


ELEMENTWISE = [
    *rows(
        "sin cos tan tanh sinh cosh exp exp2 expm1 abs neg:negative square sign floor ceil trunc"
        " rint deg2rad rad2deg sinc positive atan:arctan asinh:arcsinh",
        (A,),
        np,
    ),
    *rows("log log2 log10 log1p sqrt reciprocal", (POS,), np),
    *rows("asin:arcsin acos:arccos atanh:arctanh", (UNIT,), np),
    *rows("acosh:arccosh", (POS + 1,), np),
    *rows("erf erfc sigmoid:expit", (A,), sp),
    *rows("erfinv logit", (UNIT,), sp),
    *rows("lgamma:gammaln digamma", (POS,), sp),
    row(ops.rsqrt, lambda x: 1 / np.sqrt(x), POS),
    row(ops.frac, lambda x: x - np.trunc(x), A),
    row(lambda x: ops.round(x, decimals=1), lambda x: np.round(x, 1), A, grad=False, name="round"),
    *rows(
        "add:add sub:subtract mul:multiply div:divide maximum minimum atan2:arctan2 hypot"
        " logaddexp logaddexp2 fmin fmax copysign heaviside",
        (A, B),
        np,
    ),
    *rows("floor_divide remainder fmod", (A, B), np, grad=False),
    *rows("signbit isnan isinf isfinite", (A,), np, grad=False),
    row(ops.pow, np.power, POS, B),
    row(
        lambda x: x**3 - x**2 + x**4 + x**1 + x**0 + x**-1,
        lambda x: x**3 - x**2 + x**4 + x + 1 + 1 / x,
        A,
        name="powers",
    ),
    row(
        lambda x: 2.0**x + x / 2 - 3 * x + 1 / x,
        lambda x: 2.0**x + x / 2 - 3 * x + 1 / x,
        A,
        name="reflected",
    ),
    row(lambda x, y: ops.lerp(x, y, 0.3), lambda x, y: x + 0.3 * (y - x), A, B, name="lerp"),
    row(ops.lerp, lambda x, y, w: x + w * (y - x), A, B, UNIT, name="lerp"),
    row(
        lambda x, y, z: ops.addcmul(x, y, z, value=0.5),
        lambda x, y, z: x + 0.5 * y * z,
        A,
        B,
        POS,
        name="addcmul",
    ),
    row(
        lambda x, y, z: ops.addcdiv(x, y, z, value=0.5),
        lambda x, y, z: x + 0.5 * y / z,
        A,
        B,
        POS,
        name="addcdiv",
    ),
    *rows("xlogy", (POS, UNIT), sp),
    row(ops.xdivy, lambda x, y: x / y, A, POS),
    row(lambda x: ops.clamp(x, -0.5, 0.7), lambda x: np.clip(x, -0.5, 0.7), A, name="clamp"),
    row(lambda x: ops.clamp(x, max=0.7), lambda x: np.minimum(x, 0.7), A, name="clamp max"),
    row(
        lambda x, y: ops.where(x > 0, x * y, y),
        lambda x, y: np.where(x > 0, x * y, y),
        A,
        B,
        name="where",
    ),
    row(
        lambda x: ops.div(x, 0.3, rounding_mode="trunc"),
        lambda x: np.trunc(x / 0.3),
        A,
        grad=False,
        name="div trunc",
    ),
    row(
        lambda x: ops.mvlgamma(x, 2),
        lambda x: (
            sp.multigammaln(x, 2)
            if np.ndim(x) == 0
            else np.vectorize(lambda v: sp.multigammaln(v, 2))(x)
        ),
        POS + 1,
        name="mvlgamma",
    ),
    row(ops.nan_to_num, np.nan_to_num, A),
    row(lambda x: ops.addn([x, x * 2, x]), lambda x: 4 * x, A, name="addn"),
]

REDUCTIONS = [
    row(lambda x: ops.sum(x), lambda x: x.sum(), CUBE, name="sum"),
    row(
        lambda x: ops.sum(x, (0, -1), True),
        lambda x: x.sum((0, 2), keepdims=True),
        CUBE,
        name="sum axes",
    ),
    row(lambda x: ops.mean(x, 1), lambda x: x.mean(1), CUBE, name="mean"),
    row(lambda x: ops.prod(x, 1), lambda x: x.prod(1), CUBE, name="prod"),
    row(lambda x: ops.var(x, 1, 1), lambda x: x.var(1, ddof=1), CUBE, name="var"),
    row(lambda x: ops.std(x, (0, 2)), lambda x: x.std((0, 2)), CUBE, name="std"),
    row(
        lambda x: ops.std_mean(x, 1, keepdims=True),
        lambda x: (x.std(1, keepdims=True), x.mean(1, keepdims=True)),
        CUBE,
        name="std_mean",
    ),
    row(lambda x: ops.amax(x, (0, 1)), lambda x: x.max((0, 1)), CUBE, name="amax"),
    row(lambda x: ops.amin(x), lambda x: x.min(), CUBE, name="amin"),
    row(lambda x: ops.max(x, 1), lambda x: (x.max(1), x.argmax(1)), CUBE, name="max"),
    row(
        lambda x: ops.min(x, 2, True),
        lambda x: (x.min(2, keepdims=True), x.argmin(2, keepdims=True)),
        CUBE,
        name="min",
    ),
    row(lambda x: ops.argmax(x), np.argmax, CUBE, grad=False, name="argmax"),
    row(lambda x: ops.argmin(x, 1), lambda x: x.argmin(1), CUBE, grad=False, name="argmin"),
    row(lambda x: ops.ptp(x, 1), lambda x: np.ptp(x, 1), CUBE, name="ptp"),
    row(
        lambda x: ops.logsumexp(x, (0, 2)),
        lambda x: sp.logsumexp(x, (0, 2)),
        CUBE,
        name="logsumexp",
    ),
    row(lambda x: ops.nansum(x, 1), lambda x: np.nansum(x, 1), CUBE, name="nansum"),
    row(lambda x: ops.nanmean(x, 1), lambda x: np.nanmean(x, 1), CUBE, name="nanmean"),
    row(lambda x: ops.any(x > 1, 0), lambda x: (x > 1).any(0), CUBE, grad=False, name="any"),
    row(lambda x: ops.all(x > -1), lambda x: (x > -1).all(), CUBE, grad=False, name="all"),
    row(
        lambda x: ops.count_nonzero(x > 0, 1),
        lambda x: np.count_nonzero(x > 0, 1),
        CUBE,
        grad=False,
        name="count_nonzero",
    ),
    row(lambda x: ops.norm(x), np.linalg.norm, M, name="norm"),
    row(lambda x: ops.norm(x, 1, 1), lambda x: np.linalg.norm(x, 1, 1), M, name="norm 1"),
    row(
        lambda x: ops.norm(x, 3, 0, True), lambda x: np.linalg.norm(x, 3, 0, True), M, name="norm 3"
    ),
    row(
        lambda x: ops.norm(x, math.inf, 1),
        lambda x: np.linalg.norm(x, np.inf, 1),
        M,
        name="norm inf",
    ),
    row(lambda x: ops.norm(x, "fro"), lambda x: np.linalg.norm(x, "fro"), M, name="norm fro"),
    row(lambda x: ops.norm(x, 1), lambda x: np.linalg.norm(x, 1), M, name="matrix norm 1"),
    row(
        lambda x: ops.norm(x, -math.inf),
        lambda x: np.linalg.norm(x, -np.inf),
        M,
        name="matrix norm -inf",
    ),
    row(
        lambda x: ops.norm(x, 0, 1), lambda x: np.linalg.norm(x, 0, 1), M, grad=False, name="norm 0"
    ),
    row(lambda x: ops.cumsum(x, 1), lambda x: x.cumsum(1), CUBE, name="cumsum"),
    row(lambda x: ops.cumprod(x, -1), lambda x: x.cumprod(-1), CUBE, name="cumprod"),
    row(lambda x: ops.cummax(x, 1)[0], lambda x: np.maximum.accumulate(x, 1), CUBE, name="cummax"),
    row(
        lambda x: ops.logcumsumexp(x, 1),
        lambda x: np.logaddexp.accumulate(x, 1),
        CUBE,
        name="logcumsumexp",
    ),
    row(lambda x: ops.diff(x, 2, 2), lambda x: np.diff(x, 2, 2), CUBE, name="diff"),
    row(
        lambda x: ops.trapz(x, dim=1, dx=0.5),
        lambda x: np.trapezoid(x, dx=0.5, axis=1),
        CUBE,
        name="trapz",
    ),
    row(lambda x: ops.sort(x, 1, True)[0], lambda x: -np.sort(-x, 1), CUBE, name="sort"),
    row(lambda x: ops.argsort(x), np.argsort, CUBE, grad=False, name="argsort"),
    row(lambda x: ops.topk(x, 2, 1)[0], lambda x: -np.sort(-x, 1)[:, :2], CUBE, name="topk"),
    row(lambda x: ops.kthvalue(x, 2, 1)[0], lambda x: np.sort(x, 1)[:, 1], CUBE, name="kthvalue"),
    row(lambda x: ops.median(x, 1)[0], lambda x: np.median(x, 1), CUBE, name="median"),
    row(lambda x: ops.nanmedian(x, 1)[0], lambda x: np.nanmedian(x, 1), CUBE, name="nanmedian"),
    row(lambda x: ops.quantile(x, 0.3, 1), lambda x: np.quantile(x, 0.3, 1), CUBE, name="quantile"),
    row(
        lambda x: ops.quantile(x, np.array([0.1, 0.6]), None, True),
        lambda x: np.quantile(x, [0.1, 0.6], None, keepdims=True),
        CUBE,
        name="quantiles",
    ),
    row(
        lambda x: ops.nanquantile(x, 0.3, 1),
        lambda x: np.nanquantile(x, 0.3, 1),
        CUBE,
        name="nanquantile",
    ),
    row(lambda x: ops.cov(x), np.cov, M, name="cov"),
]

SHAPES = [
    row(lambda x: ops.reshape(x, (4, -1)), lambda x: x.reshape(4, -1), CUBE, name="reshape"),
    row(
        lambda x: ops.transpose(x, (2, 0, 1)),
        lambda x: x.transpose(2, 0, 1),
        CUBE,
        name="transpose",
    ),
    row(lambda x: ops.swapaxes(x, 0, -1), lambda x: x.swapaxes(0, -1), CUBE, name="swapaxes"),
    row(
        lambda x: ops.movedim(x, (0, 1), (2, 0)),
        lambda x: np.moveaxis(x, (0, 1), (2, 0)),
        CUBE,
        name="movedim",
    ),
    row(ops.flatten, lambda x: x.reshape(2, 12), CUBE),
    row(ops.ravel, np.ravel, CUBE),
    row(
        lambda x: ops.expand_dims(x, (0, -1)),
        lambda x: np.expand_dims(x, (0, -1)),
        CUBE,
        name="expand_dims",
    ),
    row(lambda x: ops.squeeze(ops.unsqueeze(x, 1), 1), lambda x: x, CUBE, name="squeeze"),
    row(
        lambda x: ops.broadcast_to(x, (5, -1, 3)),
        lambda x: np.broadcast_to(x, (5, 2, 3)),
        A,
        name="broadcast_to",
    ),
    row(lambda x: ops.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3)), A, name="tile"),
    row(lambda x: ops.flip(x, (0, 2)), lambda x: np.flip(x, (0, 2)), CUBE, name="flip"),
    row(
        lambda x: ops.roll(x, (1, -2), (0, 2)),
        lambda x: np.roll(x, (1, -2), (0, 2)),
        CUBE,
        name="roll",
    ),
    row(lambda x: ops.roll(x, 5), lambda x: np.roll(x, 5), CUBE, name="roll flat"),
    *[
        row(
            lambda x, k=k: ops.rot90(x, k, (1, 2)),
            lambda x, k=k: np.rot90(x, k, (1, 2)),
            CUBE,
            name=f"rot90 {k}",
        )
        for k in range(-1, 4)
    ],
    row(
        lambda x, y: ops.concat((x, y), 1),
        lambda x, y: np.concatenate((x, y), 1),
        A,
        B,
        name="concat",
    ),
    row(lambda x, y: ops.stack((x, y), -1), lambda x, y: np.stack((x, y), -1), A, B, name="stack"),
    row(lambda x: ops.split(x, 3, 2), lambda x: (x[..., :3], x[..., 3:]), CUBE, name="split"),
    row(
        lambda x: ops.split(x, (1, 2), 1), lambda x: (x[:, :1], x[:, 1:]), CUBE, name="split sizes"
    ),
    row(
        lambda x: ops.tensor_split(x, 3, 2),
        lambda x: tuple(np.array_split(x, 3, 2)),
        CUBE,
        name="tensor_split",
    ),
    row(
        lambda x: ops.tensor_split(x, (1, 3), 2),
        lambda x: tuple(np.split(x, (1, 3), 2)),
        CUBE,
        name="tensor_split places",
    ),
    row(lambda x: ops.chunk(x, 3, 2), lambda x: (x[..., :2], x[..., 2:]), CUBE, name="chunk"),
    row(
        lambda x: ops.unbind(x, 1), lambda x: tuple(x[:, i] for i in range(3)), CUBE, name="unbind"
    ),
    row(lambda x: ops.hsplit(x, 3), lambda x: tuple(np.hsplit(x, 3)), CUBE, name="hsplit"),
    row(lambda x, y: ops.hstack((x, y)), lambda x, y: np.hstack((x, y)), A, B, name="hstack"),
    row(lambda x, y: ops.vstack((x, y)), lambda x, y: np.vstack((x, y)), A, B, name="vstack"),
    row(lambda x, y: ops.dstack((x, y)), lambda x, y: np.dstack((x, y)), A, B, name="dstack"),
    row(
        lambda x: ops.column_stack((x, x)),
        lambda x: np.column_stack((x, x)),
        V,
        name="column_stack",
    ),
    row(
        lambda x: ops.repeat_interleave(x, 2, 1),
        lambda x: x.repeat(2, 1),
        CUBE,
        name="repeat_interleave",
    ),
    row(
        lambda x: ops.repeat_interleave(x, [2, 0, 1], 1),
        lambda x: x.repeat([2, 0, 1], 1),
        CUBE,
        name="repeat each",
    ),
    row(lambda x: ops.pad(x, (1, 2, 0, 1)), lambda x: np.pad(x, ((0, 1), (1, 2))), A, name="pad"),
    row(
        lambda x: ops.pad(x, (1, -1), value=7.0),
        lambda x: np.pad(x[:, :-1], ((0, 0), (1, 0)), constant_values=7),
        A,
        name="pad value",
    ),
    *[
        row(
            lambda x, m=mine: ops.pad(x, (2, 1, 1, 0), m),
            lambda x, m=theirs: np.pad(x, ((1, 0), (2, 1)), m),
            A,
            name=f"pad {mine}",
        )
        for mine, theirs in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap"))
    ],
    row(
        lambda x: ops.meshgrid(x, x[:2]), lambda x: tuple(np.meshgrid(x, x[:2])), V, name="meshgrid"
    ),
    row(lambda x: ops.tril(x, 1), lambda x: np.tril(x, 1), CUBE, name="tril"),
    row(lambda x: ops.triu(x), np.triu, CUBE, name="triu"),
    row(
        lambda x, y: ops.block_diag(x, y),
        lambda x, y: np.block([[x, np.zeros((3, 2))], [np.zeros((4, 4)), y]]),
        M,
        N,
        name="block_diag",
    ),
    row(lambda x: ops.vander(x, 3), lambda x: np.vander(x, 3), V, name="vander"),
    row(
        lambda x: ops.strided_slice(x, (0, 1, 3), (2, 3, 0), (1, 1, -2)),
        lambda x: x[0:2, 1:3, 3:0:-2],
        CUBE,
        name="strided_slice",
    ),
    row(
        lambda x: ops.slice(x, (0, 1, 1), (1, -1, 2)), lambda x: x[:1, 1:, 1:3], CUBE, name="slice"
    ),
    row(
        lambda x: ops.matrix_band_part(x, 1, 0),
        lambda x: np.tril(np.triu(x, -1)),
        CUBE,
        name="matrix_band_part",
    ),
]


def _put(x, key, value, how="set"):
    x = x.copy()
    if how == "set":
        x[key] = value
    else:
        getattr(np, how).at(x, key, value)
    return x


GATHERS = [
    row(lambda x: ops.gather(x, IDS, 1), lambda x: x[:, IDS], CUBE, name="gather"),
    row(
        lambda x: ops.gather(x, np.array([[1, 0], [2, 2]]), 1, 1),
        lambda x: np.stack((x[0, [1, 0]], x[1, [2, 2]])),
        CUBE,
        name="gather batch_dims",
    ),
    row(lambda x: ops.index_select(x, 2, IDS), lambda x: x[:, :, IDS], CUBE, name="index_select"),
    row(
        lambda x: ops.gather_elements(x, 1, np.array([[[2, 0, 1, 0]]])),
        lambda x: x[:1, [[2, 0, 1, 0]], range(4)],
        CUBE,
        name="gather_elements",
    ),
    row(
        lambda x: ops.gather_nd(x, np.array([[0, 1], [1, 2]])),
        lambda x: x[[0, 1], [1, 2]],
        CUBE,
        name="gather_nd",
    ),
    row(
        lambda x: ops.take(x, np.array([[0, 5], [-1, 2]])),
        lambda x: x.ravel()[[[0, 5], [-1, 2]]],
        CUBE,
        name="take",
    ),
    row(
        lambda x: ops.masked_fill(x, MASK, -1.5),
        lambda x: np.where(MASK, -1.5, x),
        A,
        name="masked_fill",
    ),
    row(lambda x: ops.masked_select(x, MASK), lambda x: x[MASK], A, name="masked_select"),
    row(
        lambda x, y: ops.masked_scatter(x, MASK, y),
        lambda x, y: _put(x, MASK, y.ravel()[:3]),
        A,
        B,
        name="masked_scatter",
    ),
    row(
        lambda x, y: ops.tensor_scatter_add(x, np.array([[0], [0]]), y),
        lambda x, y: _put(x, np.array([0, 0]), y, "add"),
        A,
        B,
        name="tensor_scatter_add",
    ),
    row(
        lambda x, y: ops.tensor_scatter_update(x, np.array([[1], [0]]), y),
        lambda x, y: _put(x, np.array([1, 0]), y),
        A,
        B,
        name="tensor_scatter_update",
    ),
    row(
        lambda x, y: ops.tensor_scatter_max(x, np.array([[1], [1]]), y),
        lambda x, y: _put(x, np.array([1, 1]), y, "maximum"),
        A,
        B,
        name="tensor_scatter_max",
    ),
    row(
        lambda x, y: ops.tensor_scatter_div(x, np.array([[1], [1]]), y),
        lambda x, y: _put(x, np.array([1, 1]), y, "divide"),
        A,
        POS,
        name="tensor_scatter_div",
    ),
    row(
        lambda x, y: ops.tensor_scatter_elements(x, np.array([[0, 1, 1], [1, 0, 0]]), y, 0, "add"),
        lambda x, y: _put(x, (np.array([[0, 1, 1], [1, 0, 0]]), np.arange(3)), y, "add"),
        A,
        B,
        name="tensor_scatter_elements",
    ),
    row(
        lambda y: ops.scatter_nd(np.array([[3], [1]]), y, (4, 3)),
        lambda y: _put(np.zeros((4, 3)), [3, 1], y),
        A,
        name="scatter_nd",
    ),
    row(
        lambda x, y: ops.index_add(x, np.array([1, 1]), y, 0),
        lambda x, y: _put(x, np.array([1, 1]), y, "add"),
        A,
        B,
        name="index_add",
    ),
    row(
        lambda x: ops.index_fill(x, 1, np.array([0, 2]), 5.0),
        lambda x: _put(x, np.s_[:, [0, 2]], 5.0),
        A,
        name="index_fill",
    ),
    row(
        lambda x: ops.unsorted_segment_sum(x, np.array([2, 2]), 4),
        lambda x: _put(np.zeros((4, 3)), np.array([2, 2]), x, "add"),
        A,
        name="unsorted_segment_sum",
    ),
    row(
        lambda x, y: ops.select_scatter(x, y[0], 0, 1),
        lambda x, y: _put(x, 1, y[0]),
        A,
        B,
        name="select_scatter",
    ),
    row(
        lambda x, y: ops.slice_scatter(x, y[:, :2], 1, 0, None, 2),
        lambda x, y: _put(x, np.s_[:, ::2], y[:, :2]),
        A,
        B,
        name="slice_scatter",
    ),
    row(
        lambda x, y: ops.diagonal_scatter(x, y[0, :3]),
        lambda x, y: _put(x, (range(3), range(3)), y[0, :3]),
        SQUARE,
        M,
        name="diagonal_scatter",
    ),
    row(
        lambda x: ops.reverse_sequence(x, np.array([1, 3]), 1),
        lambda x: np.stack((x[0], x[1, ::-1])),
        CUBE,
        name="reverse_sequence",
    ),
    row(
        lambda x: ops.embedding(np.array([[1, 0], [2, 2]]), x),
        lambda x: x[[[1, 0], [2, 2]]],
        M,
        name="embedding",
    ),
    row(
        lambda x: ops.searchsorted(np.array([-1.0, 0.0, 1.0]), x),
        lambda x: np.searchsorted([-1, 0, 1], x),
        A,
        grad=False,
        name="searchsorted",
    ),
    row(
        lambda x: ops.histc(x, 5, -1.0, 1.0),
        lambda x: np.histogram(x, 5, (-1, 1))[0],
        CUBE,
        grad=False,
        name="histc",
    ),
    row(lambda x: x[..., 1:, ::-2], lambda x: x[..., 1:, ::-2], CUBE, name="getitem basic"),
    row(
        lambda x: x[:, IDS, None, 1:3],
        lambda x: x[:, IDS, None, 1:3],
        CUBE,
        name="getitem advanced",
    ),
]

PRODUCTS = [
    *rows("matmul mm:matmul dot tensordot:matmul".replace(" tensordot:matmul", ""), (M, N), np),
    row(ops.matmul, np.matmul, CUBE, N),
    row(ops.matmul, np.matmul, V, N),
    row(ops.matmul, np.matmul, M, V),
    row(ops.matmul, np.matmul, V, V),
    row(ops.matmul, np.matmul, reals(5, 1, 2, 3), CUBE),
    row(ops.bmm, np.matmul, CUBE, reals(2, 4, 3)),
    row(ops.mv, np.matmul, M, V),
    row(ops.inner, np.inner, M, V),
    row(ops.outer, np.outer, V, reals(3)),
    row(ops.kron, np.kron, M, N),
    row(ops.dot, np.dot, CUBE, reals(4, 4, 2)),
    row(
        lambda x, y: ops.tensor_dot(x, y, ((0, 2), (2, 0))),
        lambda x, y: np.tensordot(x, y, ((0, 2), (2, 0))),
        CUBE,
        reals(4, 5, 2),
        name="tensor_dot",
    ),
    row(
        lambda x, y: ops.addmm(x, y, y.T, beta=0.5, alpha=2.0),
        lambda x, y: 0.5 * x + 2 * y @ y.T,
        SQUARE,
        M,
        name="addmm",
    ),
    row(
        lambda x, y: ops.baddbmm(x, x, y),
        lambda x, y: x + x @ y,
        CUBE[:, :, :3],
        reals(2, 3, 3),
        name="baddbmm",
    ),
    row(lambda x, y: ops.cross(x, y, 1), lambda x, y: np.cross(x, y, axis=1), A, B, name="cross"),
    row(ops.trace, np.trace, M),
    row(ops.diag, np.diag, V),
    row(ops.diag, lambda x: np.diag(x.ravel()).reshape(x.shape * 2), M, name="diag_twice"),
    row(
        lambda x: ops.diagonal(x, 1, 1, 2), lambda x: np.diagonal(x, 1, 1, 2), CUBE, name="diagonal"
    ),
    row(
        lambda x: ops.diag_embed(x, -1),
        lambda x: np.stack([np.diag(r, -1) for r in x]),
        A,
        name="diag_embed",
    ),
    row(
        lambda x: ops.matrix_power(x, 3),
        lambda x: np.linalg.matrix_power(x, 3),
        SQUARE,
        name="matrix_power",
    ),
    *[
        row(
            lambda *xs, eq=eq: ops.einsum(eq, *xs),
            lambda *xs, eq=eq: np.einsum(eq, *xs),
            *xs,
            name=eq,
        )
        for eq, *xs in (
            ("ij,jk->ik", M, N),
            ("bij,jk->bik", CUBE, N),
            ("bij,bij->b", CUBE, CUBE),
            ("ii->i", SQUARE),
            ("ii", SQUARE),
            ("ij->ji", M),
            ("i,j->ij", V, V),
            ("...ij,jk->...ik", CUBE, N),
            ("bij->", CUBE),
            ("bij,jk,kl->bil", CUBE, N, reals(2, 5)),
            ("...,...->...", A, B[:1]),
            ("ij,ik", M, reals(3, 5)),
            ("bij,bkj->bik", CUBE, CUBE),
        )
    ],
    row(ops.inverse, np.linalg.inv, SQUARE),
    row(ops.det, np.linalg.det, SQUARE),
    row(ops.det, np.linalg.det, reals(2, 4, 4)),
    row(ops.inverse, np.linalg.inv, reals(2, 4, 4)),
    row(ops.slogdet, lambda x: tuple(np.linalg.slogdet(x)), reals(2, 4, 4)),
    row(lambda x: ops.matmul(*ops.qr(x)), lambda x: x, M, name="qr product"),
    row(lambda x: ops.qr(x), lambda x: tuple(np.linalg.qr(x)), M, name="qr"),
    row(lambda x, y: ops.matrix_solve(x, y), np.linalg.solve, SQUARE, M, name="matrix_solve"),
    row(
        lambda x, y: ops.cdist(x, y),
        lambda x, y: np.linalg.norm(x[:, None] - y, axis=-1),
        M,
        reals(2, 4),
        name="cdist",
    ),
    row(
        ops.pdist,
        lambda x: np.array(
            [np.linalg.norm(x[i] - x[j]) for i in range(3) for j in range(i + 1, 3)]
        ),
        M,
    ),
]

ACTIVATIONS = [
    row(ops.relu, lambda x: np.maximum(x, 0), A),
    row(ops.relu6, lambda x: np.clip(x, 0, 6), A * 4),
    row(ops.leaky_relu, lambda x: np.where(x > 0, x, 0.2 * x), A),
    row(lambda x: ops.elu(x, 0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)), A, name="elu"),
    row(
        lambda x: ops.celu(x, 0.7),
        lambda x: np.where(x > 0, x, 0.7 * np.expm1(x / 0.7)),
        A,
        name="celu",
    ),
    row(
        ops.selu,
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
        A,
    ),
    row(
        lambda x, w: ops.prelu(x, w),
        lambda x, w: np.where(x > 0, x, x * w),
        A,
        reals(3),
        name="prelu",
    ),
    row(lambda x: ops.hardtanh(x, -0.4, 0.6), lambda x: np.clip(x, -0.4, 0.6), A, name="hardtanh"),
    row(ops.hardshrink, lambda x: np.where(np.abs(x) > 0.5, x, 0), A * 1.1),
    row(ops.softshrink, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), A * 1.1),
    row(ops.hardsigmoid, lambda x: np.clip(x + 3, 0, 6) / 6, A * 2.1),
    row(ops.hardswish, lambda x: x * np.clip(x + 3, 0, 6) / 6, A * 2.1),
    row(ops.silu, lambda x: x * sp.expit(x), A),
    row(ops.gelu, lambda x: x * sp.ndtr(x), A),
    row(
        lambda x: ops.gelu(x, "tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        A,
        name="gelu tanh",
    ),
    row(ops.softplus, lambda x: np.logaddexp(x, 0), A),
    row(
        lambda x: ops.softplus(x, 2, 1),
        lambda x: np.where(2 * x > 1, x, np.logaddexp(2 * x, 0) / 2),
        A,
        name="softplus beta",
    ),
    row(ops.logsigmoid, sp.log_expit, A),
    row(ops.mish, lambda x: x * np.tanh(np.logaddexp(x, 0)), A),
    row(ops.softsign, lambda x: x / (1 + np.abs(x)), A),
    row(ops.tanhshrink, lambda x: x - np.tanh(x), A),
    row(ops.fast_gelu, lambda x: x * sp.expit(1.702 * x), A),
    row(
        lambda x: ops.threshold(x, 0.1, 20.0),
        lambda x: np.where(x > 0.1, x, 20),
        A,
        name="threshold",
    ),
    row(lambda x: ops.glu(x, 2), lambda x: x[..., :2] * sp.expit(x[..., 2:]), CUBE, name="glu"),
    row(lambda x: ops.softmax(x, 1), lambda x: softmax(x, 1), CUBE, name="softmax"),
    row(lambda x: ops.log_softmax(x, 0), lambda x: log_softmax(x, 0), CUBE, name="log_softmax"),
    row(ops.softmin, lambda x: softmax(-x), CUBE),
]


def _picked(x, target):
    return -log_softmax(x, 1)[np.arange(len(target)), target]


WEIGHTS = np.array([0.5, 2.0, 1.5, 1.0])
TARGETS = softmax(reals(3, 4))
SIGNS = np.where(A > 0, 1, -1)

LOSSES = [
    row(ops.mse_loss, lambda x, y: ((x - y) ** 2).mean(), A, B),
    row(
        lambda x, y: ops.l1_loss(x, y, "sum"),
        lambda x, y: np.abs(x - y).sum(),
        A,
        B,
        name="l1_loss",
    ),
    row(
        lambda x, y: ops.smooth_l1_loss(x, y, 0.7),
        lambda x, y: np.where(abs(x - y) < 0.7, (x - y) ** 2 / 1.4, abs(x - y) - 0.35),
        A,
        B,
        name="smooth_l1",
    ),
    row(
        lambda x, y: ops.huber_loss(x, y, delta=0.7),
        lambda x, y: np.mean(
            np.where(abs(x - y) < 0.7, (x - y) ** 2 / 2, 0.7 * (abs(x - y) - 0.35))
        ),
        A,
        B,
        name="huber",
    ),
    row(
        ops.binary_cross_entropy,
        lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(),
        UNIT,
        reals(2, 3, low=0.1, high=0.9),
    ),
    row(
        ops.binary_cross_entropy_with_logits,
        lambda x, y: (np.logaddexp(x, 0) - x * y).mean(),
        A,
        UNIT,
    ),
    row(
        lambda x, y: ops.binary_cross_entropy_with_logits(
            x, y, pos_weight=np.array([1.0, 2.0, 0.5], np.float32)
        ),
        lambda x, y: (
            -(np.array([1.0, 2.0, 0.5]) * y * sp.log_expit(x) + (1 - y) * sp.log_expit(-x)).mean()
        ),
        A,
        UNIT,
        name="bce pos_weight",
    ),
    row(
        lambda x: ops.cross_entropy(x, CLASSES),
        lambda x: _picked(x, CLASSES).mean(),
        LOGITS,
        name="cross_entropy",
    ),
    row(
        lambda x: ops.cross_entropy(x, CLASSES, WEIGHTS, reduction="mean"),
        lambda x: (_picked(x, CLASSES) * WEIGHTS[CLASSES]).sum() / WEIGHTS[CLASSES].sum(),
        LOGITS,
        name="cross_entropy weight",
    ),
    row(
        lambda x: ops.cross_entropy(x, CLASSES, ignore_index=0),
        lambda x: _picked(x, CLASSES)[[0, 2]].mean(),
        LOGITS,
        name="cross_entropy ignore_index",
    ),
    row(
        lambda x: ops.cross_entropy(x, CLASSES, label_smoothing=0.2, reduction="none"),
        lambda x: 0.8 * _picked(x, CLASSES) - 0.2 * log_softmax(x, 1).mean(1),
        LOGITS,
        name="cross_entropy smoothing",
    ),
    row(
        lambda x, t: ops.cross_entropy(x, t),
        lambda x, t: -(t * log_softmax(x, 1)).sum(1).mean(),
        LOGITS,
        TARGETS,
        name="cross_entropy probabilities",
    ),
    row(
        lambda x: ops.cross_entropy(ops.transpose(x, (0, 2, 1)), np.array([[1, 0, 3], [2, 2, 0]])),
        lambda x: (
            -np.take_along_axis(
                log_softmax(x, 2), np.array([[1, 0, 3], [2, 2, 0]])[..., None], 2
            ).mean()
        ),
        CUBE,
        name="cross_entropy images",
    ),
    row(
        lambda x: ops.nll_loss(x, CLASSES, reduction="sum"),
        lambda x: -x[range(3), CLASSES].sum(),
        LOGITS,
        name="nll_loss",
    ),
    row(ops.kl_div, lambda x, y: (y * (np.log(y) - x)).mean(), A, UNIT),
    row(
        lambda x, y: ops.kl_div(x, y, "batchmean"),
        lambda x, y: (y * (np.log(y) - x)).sum() / 2,
        A,
        UNIT,
        name="kl_div batchmean",
    ),
    row(
        lambda x: ops.soft_margin_loss(x, SIGNS),
        lambda x: np.logaddexp(-x * SIGNS, 0).mean(),
        B,
        name="soft_margin",
    ),
    row(
        lambda x: ops.hinge_embedding_loss(x, SIGNS),
        lambda x: np.where(SIGNS == 1, x, np.maximum(1 - x, 0)).mean(),
        B,
        name="hinge_embedding",
    ),
    row(
        lambda x, y: ops.margin_ranking_loss(x, y, SIGNS, 0.1),
        lambda x, y: np.maximum(-SIGNS * (x - y) + 0.1, 0).mean(),
        A,
        B,
        name="margin_ranking",
    ),
    row(
        lambda x, y: ops.poisson_nll_loss(x, y),
        lambda x, y: (np.exp(x) - y * x).mean(),
        A,
        POS,
        name="poisson",
    ),
    row(
        ops.gaussian_nll_loss,
        lambda x, y, v: (0.5 * (np.log(v) + (x - y) ** 2 / v)).mean(),
        A,
        B,
        POS,
    ),
    row(
        ops.cosine_similarity,
        lambda x, y: (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1),
        A,
        B,
    ),
    row(
        lambda x, y, z: ops.triplet_margin_loss(x, y, z),
        lambda x, y, z: np.maximum(
            np.linalg.norm(x - y + 1e-6, axis=1) - np.linalg.norm(x - z + 1e-6, axis=1) + 1, 0
        ).mean(),
        A,
        B,
        POS,
        name="triplet",
    ),
]

LAYERS = [
    row(
        lambda x, w, b: ops.dense(x, w, b),
        lambda x, w, b: x @ w.T + b,
        CUBE,
        reals(5, 4),
        reals(5),
        name="dense",
    ),
    row(
        lambda x, b: ops.bias_add(x, b),
        lambda x, b: x + b[:, None],
        CUBE,
        reals(3),
        name="bias_add",
    ),
    row(
        lambda x, w, b: ops.layer_norm(x, (3, 4), w, b),
        lambda x, w, b: normalized(x, (1, 2), 1e-5) * w + b,
        CUBE,
        M,
        reals(3, 4),
        name="layer_norm",
    ),
    row(
        lambda x, w: ops.rms_norm(x, w)[0],
        lambda x, w: x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * w,
        CUBE,
        V,
        name="rms_norm",
    ),
    row(
        lambda x: ops.batch_norm(x, None, None, None, None, True),
        lambda x: normalized(x, (0, 2, 3), 1e-5),
        IMAGE,
        name="batch_norm training",
    ),
    row(
        lambda x, m, v, w, b: ops.batch_norm(x, m, v, w, b),
        lambda x, m, v, w, b: (
            (x - m[:, None]) / np.sqrt(v[:, None] + 1e-5) * w[:, None] + b[:, None]
        ),
        CUBE,
        reals(3),
        reals(3, low=0.3),
        reals(3),
        reals(3),
        name="batch_norm",
    ),
    row(
        lambda x: ops.group_norm(x, 2),
        lambda x: normalized(x.reshape(2, 2, -1), 2, 1e-5).reshape(x.shape),
        reals(2, 4, 3),
        name="group_norm",
    ),
    row(ops.instance_norm, lambda x: normalized(x, (2, 3), 1e-5), IMAGE),
    row(ops.conv2d, convolved, IMAGE, KERNEL),
    row(
        lambda x, w: ops.conv2d(x, w, stride=2, pad_mode="pad", padding=(1, 0, 2, 1)),
        lambda x, w: convolved(x, w, (2, 2), (1, 0, 2, 1)),
        IMAGE,
        KERNEL,
        name="conv2d pad",
    ),
    row(
        lambda x, w: ops.conv2d(x, w, pad_mode="same", dilation=2),
        lambda x, w: convolved(x, w, pad=(2, 2, 1, 1), dilation=(2, 2)),
        IMAGE,
        KERNEL,
        name="conv2d same",
    ),
    row(
        lambda x, w: ops.conv2d(x, w, groups=3),
        lambda x, w: convolved(x, w, groups=3),
        IMAGE,
        reals(6, 1, 2, 2),
        name="conv2d groups",
    ),
    row(
        lambda x, w: ops.conv1d(x, w, stride=2),
        lambda x, w: convolved(x[:, :, None], w[:, :, None], (1, 2))[:, :, 0],
        reals(2, 3, 7),
        reals(4, 3, 2),
        name="conv1d",
    ),
    row(
        lambda x: ops.max_pool2d(x, 2),
        lambda x: pooled(x, (2, 2), (2, 2)),
        IMAGE,
        name="max_pool2d",
    ),
    row(
        lambda x: ops.max_pool2d(x, (3, 2), 2, (1, 0)),
        lambda x: pooled(x, (3, 2), (2, 2), (1, 1, 0, 0)),
        IMAGE,
        name="max_pool2d pad",
    ),
    row(
        lambda x: ops.max_pool2d(x, 2, ceil_mode=True),
        lambda x: pooled(x, (2, 2), (2, 2), (0, 0, 0, 1)),
        IMAGE,
        name="max_pool2d ceil",
    ),
    row(
        lambda x: ops.max_pool2d(x, 2, 1, dilation=2),
        lambda x: np.maximum(
            np.maximum(x[:, :, :-2, :-2], x[:, :, 2:, :-2]),
            np.maximum(x[:, :, :-2, 2:], x[:, :, 2:, 2:]),
        ),
        IMAGE,
        name="max_pool2d dilation",
    ),
    row(
        lambda x: ops.avg_pool2d(x, 2, 2),
        lambda x: pooled(x, (2, 2), (2, 2), of=np.mean),
        IMAGE,
        name="avg_pool2d",
    ),
    row(
        lambda x: ops.avg_pool2d(x, 3, 2, 1),
        lambda x: pooled(x, (3, 3), (2, 2), (1, 1, 1, 1), np.mean, 0),
        IMAGE,
        name="avg_pool2d pad",
    ),
    row(
        lambda x: ops.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        lambda x: pooled(x, (3, 3), (2, 2), (1, 1, 1, 1), np.nanmean, np.nan),
        IMAGE,
        name="avg_pool2d exclude",
    ),
    row(
        lambda x: ops.avg_pool2d(x, 2, 2, divisor_override=3),
        lambda x: pooled(x, (2, 2), (2, 2), of=np.sum) / 3,
        IMAGE,
        name="avg_pool2d divisor",
    ),
    row(
        lambda x: ops.avg_pool1d(x, 2, 2),
        lambda x: x.reshape(2, 3, 2, 2).mean(-1),
        CUBE,
        name="avg_pool1d",
    ),
    row(
        lambda x: ops.adaptive_avg_pool2d(x, (3, 2)),
        lambda x: np.stack(
            [x.reshape(2, 3, 3, 2, 5)[..., s].mean((3, 4)) for s in (slice(0, 3), slice(2, 5))], -1
        ),
        IMAGE,
        name="adaptive_avg_pool2d",
    ),
    row(
        lambda x: ops.fold(ops.unfold(x, 2, stride=2), (6, 4), 2, stride=2),
        lambda x: x,
        IMAGE[..., :4],
        name="fold unfold",
    ),
    row(
        lambda x: ops.pixel_unshuffle(ops.pixel_shuffle(x, 2), 2),
        lambda x: x,
        reals(1, 4, 2, 3),
        name="pixel_shuffle",
    ),
    row(
        lambda x: ops.interpolate(x, scale_factor=2),
        lambda x: x.repeat(2, 2).repeat(2, 3),
        IMAGE,
        name="interpolate",
    ),
    row(
        lambda x: ops.interpolate(x, size=(11, 9), mode="bilinear", align_corners=True)[
            ..., ::2, ::2
        ],
        lambda x: x,
        IMAGE,
        name="interpolate bilinear",
    ),
    row(  # the place halfway between the second and the third of four pixels
        lambda x: ops.interpolate(x[..., :1, :4], size=(1, 7), mode="bicubic", align_corners=True)[
            ..., 3
        ],
        lambda x: x[..., :1, :4] @ (np.array([-3, 19, 19, -3], x.dtype) / 32),
        IMAGE,
        name="interpolate bicubic",
    ),
    row(  # with its neighbours clamped at the edges, the same weights a quarter away from pixels
        lambda x: ops.interpolate(x[..., :1, :2], size=(2, 4), mode="bicubic").sum((-1, -2)),
        lambda x: 4 * x[..., :1, :2].sum((-1, -2)),
        IMAGE,
        name="interpolate bicubic sum",
    ),
    row(
        lambda x, y: ops.clip_by_global_norm((x, y), 0.5),
        lambda x, y: tuple(v * 0.5 / np.sqrt((x**2).sum() + (y**2).sum()) for v in (x, y)),
        A,
        B,
        name="clip_by_global_norm",
    ),
    row(
        lambda x: ops.l2_normalize(x),
        lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True),
        CUBE,
        name="l2_normalize",
    ),
    row(
        lambda x: ops.renorm(x, 2.0, 0, 1.0),
        lambda x: x * np.minimum(1, 1 / (np.sqrt((x**2).sum((1, 2), keepdims=True)) + 1e-7)),
        CUBE,
        name="renorm",
    ),
]

ROWS = [*ELEMENTWISE, *REDUCTIONS, *SHAPES, *GATHERS, *PRODUCTS, *ACTIVATIONS, *LOSSES, *LAYERS]
