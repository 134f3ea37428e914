"""Pooling over two-dimensional windows, in NCHW layout.

Attributes of all: `kernel` and `stride` (rows, columns) and `pad` (top, bottom, left, right). The
window of output (oh, ow) has the places y = oh * stride[0] - top + kh, x = ow * stride[1] - left +
kw, of which those outside the image never count as elements. A rounding-up of the extents
("ceil mode") is more padding at the bottom and on the right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from jitgrad.errors import ShapeError, fail
from jitgrad.ir.node import Node
from jitgrad.ir.op import Attrs, Sample
from jitgrad.ir.types import DType, TensorType, Type
from jitgrad.primitives.conv import check_geometry, empty_batch, spans
from jitgrad.primitives.declare import FLOAT, REAL, structural, tensor_type
from jitgrad.primitives.shape import lead, reshape

Pair = tuple[int, int]


# --- windows ------------------------------------------------------------------------------------


def _image(name: str, type: Type, attrs: Attrs, policy: str = REAL) -> TensorType:
    check_geometry(name, attrs)
    x = tensor_type(name, type, policy)
    if x.ndim != 4:
        raise fail(ShapeError, f"{name} got {x}", why="it takes [N, C, H, W]")
    return x


def _pooled(name: str, x: TensorType, attrs: Attrs) -> TensorType:
    out = spans(name, x.shape[2:], attrs["kernel"], attrs)
    return x.with_shape((*x.shape[:2], *out))


def _cells(
    size: Pair, kernel: Pair, stride: Pair, pad: tuple[int, ...]
) -> Iterator[tuple[tuple, tuple]]:
    """For each place of a window, in C order: the slices of the output and of the image that it
    connects. Outputs for which the place is outside the image are left out.
    """
    out = spans("pool", size, kernel, {"stride": stride, "pad": pad})
    rows = [_run(kh - pad[0], stride[0], size[0], out[0]) for kh in range(kernel[0])]
    columns = [_run(kw - pad[2], stride[1], size[1], out[1]) for kw in range(kernel[1])]
    for oy, iy in rows:
        for ox, ix in columns:
            yield (..., oy, ox), (..., iy, ix)


def _run(first: int, step: int, extent: int, count: int) -> tuple[slice, slice]:
    """The outputs o < count with 0 <= first + o * step < extent, and these places."""
    low = min(max(0, -(first // step)), count)
    high = max(low, min(count, (extent - 1 - first) // step + 1))
    start = first + low * step
    return slice(low, high), slice(max(start, 0), max(start + (high - low) * step, 0), step)


def _first_maxima(x: np.ndarray, **attrs: Any) -> Iterator[tuple[tuple, tuple, np.ndarray]]:
    """What `_cells` gives, with the windows in which the place holds the first maximum, or the
    first nan, if there is one.
    """
    best = max_pool2d.numpy(x, **attrs)
    has_nan = best.dtype.kind == "f" and np.isnan(best).any()
    free = np.ones(best.shape, bool)
    for at, place in _cells(x.shape[2:], **attrs):
        value = x[place]
        is_first = value == best[at]
        if has_nan:
            is_first |= value != value
        is_first &= free[at]
        free[at] ^= is_first
        yield at, place, is_first


def _lowest(dtype: np.dtype) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _element_counts(size: Pair, include_pad: bool, **attrs: Any) -> np.ndarray:
    """What each window's sum is divided by: [OH, OW]."""
    kernel = attrs["kernel"]
    out = spans("pool", size, kernel, attrs)
    if include_pad:
        return np.full(out, kernel[0] * kernel[1])
    counts = np.zeros(out, np.int64)
    for at, _ in _cells(size, **attrs):
        counts[at] += 1
    return np.maximum(counts, 1)


def _split(attrs: Attrs) -> tuple[dict, bool]:
    windows = {name: attrs[name] for name in ("kernel", "stride", "pad")}
    return windows, attrs["count_include_pad"]


def _over_images(node: Node, inputs, batched, size: int) -> Node:
    """Batching: more images."""
    if size == 0:
        return empty_batch(node)
    spread = [x if is_in else lead(x, size) for x, is_in in zip(inputs, batched, strict=True)]
    merged = [reshape(x, shape=(x.shape[0] * x.shape[1], *x.shape[2:])) for x in spread]
    out = node.op(*merged, **node.attrs)
    return reshape(out, shape=(size, *node.shape))


def _samples(dtype: DType) -> Iterable[tuple[np.ndarray, dict]]:
    """Images of distinct values, and windows of all sorts."""
    cases = (
        ((2, 3, 4, 6), (2, 3), (2, 3), (0, 0, 0, 0)),
        ((1, 2, 5, 4), (3, 2), (1, 2), (1, 1, 0, 1)),
        ((2, 1, 7, 5), (2, 2), (3, 1), (0, 1, 1, 0)),
        ((1, 1, 3, 4), (3, 4), (1, 1), (0, 0, 0, 0)),
        ((0, 2, 3, 4), (2, 2), (1, 1), (0, 0, 0, 0)),
    )
    for shape, kernel, stride, pad in cases:
        size = int(np.prod(shape))
        values = np.random.default_rng(23).permutation(size) - (0 if dtype.kind == "u" else 40)
        x = (values * 0.25 if dtype.is_float else values).reshape(shape).astype(dtype.numpy)
        yield x, {"kernel": kernel, "stride": stride, "pad": pad}


# --- maximum ------------------------------------------------------------------------------------


@structural("call")
class max_pool2d:
    """The largest element of each window: x[N, C, H, W] -> [N, C, OH, OW].

    for n, c, oh, ow:  v = lowest;  for kh, kw with (y, x) in the image:
                           v = x[n, c, y, x] if that is larger or nan, and v is not nan
                       out = v

    `lowest` is -inf, or the smallest integer, which is the result of a window without elements.
    Gradient goes to the first maximum of a window in C order (the first nan, if there is one).
    """

    batch = _over_images

    def infer(types, attrs) -> Type:
        return _pooled("max_pool2d", _image("max_pool2d", types[0], attrs), attrs)

    def numpy(x, **attrs):
        out = (*x.shape[:2], *spans("max_pool2d", x.shape[2:], attrs["kernel"], attrs))
        best = np.full(out, _lowest(x.dtype), x.dtype)
        for at, place in _cells(x.shape[2:], **attrs):
            np.maximum(best[at], x[place], out=best[at])
        return best

    def vjp(node: Node, g: Node):
        return (max_pool2d_grad(node.inputs[0], g, **node.attrs),)

    def jvp(node: Node, tangents):
        (t,) = tangents
        return max_pool2d_pick(node.inputs[0], t, **node.attrs) if t is not None else None

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.kind in REAL:
            for x, attrs in _samples(dtype):
                yield Sample((x,), attrs)


@structural("call")
class max_pool2d_grad:
    """The gradient of max_pool2d: x[N, C, H, W], g[N, C, OH, OW] -> [N, C, H, W].

    out = 0;  for n, c, oh, ow:  (y, x) = the first maximum of the window (none if it is empty)
                                 out[n, c, y, x] += g[n, c, oh, ow]

    Linear in g; x only says where.
    """

    batch = _over_images

    def infer(types, attrs) -> Type:
        x = _image("max_pool2d_grad", types[0], attrs)
        expected = _pooled("max_pool2d_grad", x, attrs)
        if types[1] is not expected:
            raise fail(
                ShapeError, f"max_pool2d_grad got {x} and {types[1]}", why=f"g must be {expected}"
            )
        return x

    def numpy(x, g, **attrs):
        out = np.zeros(x.shape, x.dtype)
        for at, place, is_first in _first_maxima(x, **attrs):
            out[place] += np.where(is_first, g[at], g.dtype.type(0))
        return out

    def vjp(node: Node, ct: Node):
        return None, max_pool2d_pick(node.inputs[0], ct, **node.attrs)

    def jvp(node: Node, tangents):
        t = tangents[1]
        return max_pool2d_grad(node.inputs[0], t, **node.attrs) if t is not None else None

    def samples(dtype: DType) -> Iterable[Sample]:
        for sample in max_pool2d.samples(dtype):
            x, attrs = sample.inputs[0], sample.attrs
            yield Sample((x, max_pool2d.numpy(x[..., ::-1, :], **attrs)), attrs)


@structural("call")
class max_pool2d_pick:
    """The tangent of max_pool2d: x and t, both [N, C, H, W], -> [N, C, OH, OW].

    for n, c, oh, ow:  (y, x) = the first maximum of x's window;  out = t[n, c, y, x], or 0 if the
                       window is empty

    The adjoint of `max_pool2d_grad`, linear in t.
    """

    batch = _over_images

    def infer(types, attrs) -> Type:
        x = _image("max_pool2d_pick", types[0], attrs)
        if types[1] is not x:
            raise fail(ShapeError, f"max_pool2d_pick got {x} and {types[1]}", why="they must agree")
        return _pooled("max_pool2d_pick", x, attrs)

    def numpy(x, t, **attrs):
        out = np.zeros((*x.shape[:2], *spans("pool", x.shape[2:], attrs["kernel"], attrs)), t.dtype)
        for at, place, is_first in _first_maxima(x, **attrs):
            np.copyto(out[at], t[place], where=is_first)
        return out

    def vjp(node: Node, ct: Node):
        return None, max_pool2d_grad(node.inputs[0], ct, **node.attrs)

    def jvp(node: Node, tangents):
        t = tangents[1]
        return max_pool2d_pick(node.inputs[0], t, **node.attrs) if t is not None else None

    def samples(dtype: DType) -> Iterable[Sample]:
        for sample in max_pool2d.samples(dtype):
            x, attrs = sample.inputs[0], sample.attrs
            yield Sample((x, np.ascontiguousarray(x[..., ::-1])), attrs)


# --- mean ---------------------------------------------------------------------------------------


@structural("call")
class avg_pool2d:
    """The mean of each window: x[N, C, H, W] -> [N, C, OH, OW].

    for n, c, oh, ow:  out = (sum over kh, kw with (y, x) in the image of x[n, c, y, x]) / count

    count is KH * KW with `count_include_pad`, otherwise the number of elements (at least 1).
    """

    linear = True
    batch = _over_images

    def infer(types, attrs) -> Type:
        return _pooled("avg_pool2d", _image("avg_pool2d", types[0], attrs, FLOAT), attrs)

    def numpy(x, **attrs):
        windows, include_pad = _split(attrs)
        counts = _element_counts(x.shape[2:], include_pad, **windows)
        total = np.zeros((*x.shape[:2], *counts.shape), x.dtype)
        for at, place in _cells(x.shape[2:], **windows):
            total[at] += x[place]
        return total / counts.astype(x.dtype)

    def transpose(node: Node, g: Node):
        return (avg_pool2d_grad(g, size=node.inputs[0].shape[2:], **node.attrs),)

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.is_float:
            for number, (x, attrs) in enumerate(_samples(dtype)):
                yield Sample((x,), {**attrs, "count_include_pad": number % 2 == 0})


@structural("call")
class avg_pool2d_grad:
    """The gradient of avg_pool2d: g[N, C, OH, OW] -> [N, C, H, W] of `size` (H, W).

    out = 0;  for n, c, oh, ow, kh, kw with (y, x) in the image:
                  out[n, c, y, x] += g[n, c, oh, ow] / count
    """

    linear = True
    batch = _over_images

    def infer(types, attrs) -> Type:
        g = _image("avg_pool2d_grad", types[0], attrs, FLOAT)
        out = spans("avg_pool2d_grad", attrs["size"], attrs["kernel"], attrs)
        if g.shape[2:] != out:
            raise fail(
                ShapeError,
                f"avg_pool2d_grad got {g} for an image of {attrs['size']}",
                why=f"g must be [N, C, {out[0]}, {out[1]}]",
            )
        return g.with_shape((*g.shape[:2], *attrs["size"]))

    def numpy(g, size, **attrs):
        windows, include_pad = _split(attrs)
        share = g / _element_counts(size, include_pad, **windows).astype(g.dtype)
        out = np.zeros((*g.shape[:2], *size), g.dtype)
        for at, place in _cells(size, **windows):
            out[place] += share[at]
        return out

    def transpose(node: Node, ct: Node):
        rest = {name: value for name, value in node.attrs.items() if name != "size"}
        return (avg_pool2d(ct, **rest),)

    def samples(dtype: DType) -> Iterable[Sample]:
        for sample in avg_pool2d.samples(dtype):
            x, attrs = sample.inputs[0], sample.attrs
            yield Sample((avg_pool2d.numpy(x, **attrs),), {**attrs, "size": x.shape[2:]})


__all__ = ["avg_pool2d", "avg_pool2d_grad", "max_pool2d", "max_pool2d_grad", "max_pool2d_pick"]
