"""Fractional max-pooling: windows of one size at random distances. Graham (2014)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.types import int64
from jitgrad.ops import elementwise as e
from jitgrad.ops import random
from jitgrad.ops import reduce as r
from jitgrad.ops.gathering import gather_elements
from jitgrad.ops.joining import concat
from jitgrad.ops.promote import cast, constant, floating, tensor
from jitgrad.ops.shaping import reshaped
from jitgrad.tensor import Tensor


def fractional_max_pool2d(input, kernel_size, output_size=None, output_ratio=None,
                          return_indices=False, _random_samples=None):  # fmt: skip
    """The largest of windows at random places: [N, C, H, W] -> [N, C, OH, OW].

    Args:
        output_size: the size of the result, one number or two; or else
        output_ratio: its share of the input's, between 0 and 1.
        return_indices: also where it was in the image flattened (int64), as a tuple.
        _random_samples: numbers in [0, 1) instead of random ones: [N, C, 2].

    >>> ops.fractional_max_pool2d(ops.ones((1, 1, 6, 6)), 2, output_size=(3, 3)).shape
    (1, 1, 3, 3)
    """
    size = (output_size, output_ratio)
    return _pooled("fractional_max_pool2d", input, kernel_size, size, return_indices,
                   _random_samples, (1, 0))  # fmt: skip


def fractional_max_pool3d(input, kernel_size, output_size=None, output_ratio=None,
                          return_indices=False, _random_samples=None):  # fmt: skip
    """The largest of windows at random places: [N, C, D, H, W] -> [N, C, OD, OH, OW].

    Args:
        output_size: the size of the result, one number or three; or else
        output_ratio: its share of the input's, between 0 and 1.
        return_indices: also where it was in the volume flattened (int64), as a tuple.
        _random_samples: numbers in [0, 1) instead of random ones: [N, C, 3].

    >>> ops.fractional_max_pool3d(ops.ones((1, 1, 6, 6, 6)), 2, output_size=(3, 3, 3)).shape
    (1, 1, 3, 3, 3)
    """
    size = (output_size, output_ratio)
    return _pooled("fractional_max_pool3d", input, kernel_size, size, return_indices,
                   _random_samples, (0, 1, 2))  # fmt: skip


def _pooled(name, input, kernel_size, size, return_indices, samples, order: Sequence[int]) -> Any:
    """`order`: which of the samples is for which axis."""
    x, count = floating(name, input), len(order)
    single = x.ndim == count + 1
    x = reshaped(name, x, (1, *x.shape)) if single else x
    if x.ndim != count + 2:
        raise fail(ShapeError, f"{name} of {x._type}", why=f"it takes [N, C] and {count} axes")
    lead, extents = x.shape[:2], x.shape[2:]
    kernel, size = _each(kernel_size, count), _sized(name, extents, *size)
    for n, k, out in zip(extents, kernel, size, strict=True):
        if not 0 < out <= n - k + 1:
            raise fail(ShapeError, f"{name}: {out} windows of {k} do not fit an extent of {n}")
    if samples is None:
        samples = random.uniform((*lead, count), 0.0, 1.0)
    at = _places(name, tensor(name, samples), order, extents, kernel, size)
    flat = reshaped(name, x, (*lead, math.prod(extents)))
    patches = gather_elements(flat, -1, reshaped(name, at, (*lead, -1)))
    patches = reshaped(name, patches, at.shape)
    best = r.argmax(patches, -1, True)
    shape = (*(lead[1:] if single else lead), *size)
    results = [reshaped(name, gather_elements(v, -1, best), shape) for v in (patches, at)]
    return tuple(results) if return_indices else results[0]


def _each(value: Any, count: int) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


def _sized(name: str, extents: Sequence[int], size: Any, ratio: Any) -> tuple[int, ...]:
    if (size is None) == (ratio is None):
        raise fail(ArgumentError, f"{name} takes either output_size or output_ratio")
    if ratio is None:
        return _each(size, len(extents))
    shares = _each(ratio, len(extents))
    return tuple(int(n * share) for n, share in zip(extents, shares, strict=True))


def _places(name: str, samples: Tensor, order, extents, kernel, size) -> Tensor:
    """Where the elements of each window lie in the flattened axes: [N, C, windows, elements]."""
    lead, count, total = samples.shape[:-1], len(order), None
    for axis, (extent, k, out) in enumerate(zip(extents, kernel, size, strict=True)):
        shift = samples[..., order[axis] : order[axis] + 1]
        outer, inner = [1] * (2 * count), [1] * (2 * count)
        outer[axis], inner[count + axis] = out, k
        starts = reshaped(name, _starts(shift, extent - k, out), (*lead, *outer))
        places = e.add(starts, constant(np.arange(k).reshape(inner)))
        total = places if total is None else e.add(e.mul(total, extent), places)
    return reshaped(name, total, (*lead, math.prod(size), math.prod(kernel)))


def _starts(shift: Tensor, last: int, count: int) -> Tensor:
    """Where `count` windows begin, the last of them at `last`, after [N, C, 1] shifts."""
    end = e.add(cast(e.mul(shift, 0), int64), last)
    if count == 1:
        return end
    step = last / (count - 1)
    numbers = constant(np.arange(count - 1).astype(shift.dtype.numpy))
    starts = e.sub(e.floor(e.mul(e.add(numbers, shift), step)), e.floor(e.mul(shift, step)))
    return concat((cast(starts, int64), end), -1)


__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]
