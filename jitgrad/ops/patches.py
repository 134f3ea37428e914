"""Windows of the last axes as gathers, for what the pooling ops do not know: places, gaps between
the places of a window, and windows of different sizes.

A line holds the places of each window along one axis, [windows, places], and -1 for none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from jitgrad.ops import compare as c
from jitgrad.ops import reduce as r
from jitgrad.ops.gathering import gather_elements
from jitgrad.ops.indexing import getitem
from jitgrad.ops.promote import constant
from jitgrad.ops.shaping import reshaped
from jitgrad.tensor import Tensor


def regular(
    extent: int, size: int, step: int, ends: Sequence[int], dilation: int = 1
) -> np.ndarray:
    """The line of windows of one size at equal distances, with padding before and behind."""
    low, high = ends
    reach = (size - 1) * dilation + 1
    starts = np.arange((extent + low + high - reach) // step + 1) * step - low
    line = starts[:, None] + np.arange(size) * dilation
    return np.where(line < extent, np.maximum(line, -1), -1)


def bins(extent: int, count: int) -> list[tuple[int, int]]:
    """Where `count` windows that cover an axis begin and end."""
    return [(i * extent // count, -(-(i + 1) * extent // count)) for i in range(count)]


def uneven(windows: Sequence[tuple[int, int]]) -> np.ndarray:
    """The line of windows given by where they begin and end."""
    line = np.full((len(windows), max(stop - start for start, stop in windows)), -1)
    for places, (start, stop) in zip(line, windows, strict=True):
        places[: stop - start] = np.arange(start, stop)
    return line


def largest(name: str, x: Tensor, lines: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """The largest of each window, and its place in the flattened last axes (int64)."""
    count = len(lines)
    lead, extents = x.shape[: x.ndim - count], x.shape[x.ndim - count :]
    at, inside = np.zeros((1,) * (2 * count), np.int64), np.ones((1,) * (2 * count), bool)
    for axis, (line, extent) in enumerate(zip(lines, extents, strict=True)):
        shape = [1] * (2 * count)
        shape[axis], shape[count + axis] = line.shape
        line = line.reshape(shape)
        at, inside = at * extent + line, inside & (line >= 0)
    size = (*at.shape[:count], math.prod(at.shape[count:]))
    at, inside = np.where(inside, at, 0).reshape(size), inside.reshape(size)
    patches = getitem(reshaped(name, x, (*lead, math.prod(extents))), (..., at))
    lowest = -math.inf if x.dtype.is_float else np.iinfo(x.dtype.numpy).min
    patches = c.where(constant(inside), patches, lowest)
    best = r.argmax(patches, -1, True)
    places = constant(np.ascontiguousarray(np.broadcast_to(at, patches.shape)))
    found = (gather_elements(v, -1, best) for v in (patches, places))
    values, where = (reshaped(name, v, v.shape[:-1]) for v in found)
    return values, where


__all__ = ["bins", "largest", "regular", "uneven"]
