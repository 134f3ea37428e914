"""Tensors from nothing: constants, ranges, and triangles of matrices."""

from __future__ import annotations

import builtins
import functools
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.types import DType, TensorType, float32, float64, int64
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.joining import broadcasted
from jitgrad.ops.promote import (
    WEAK,
    align,
    apply,
    constant,
    fill,
    is_number,
    rank_of,
    scalar,
    shape_of,
    splat,
    static,
    structure,
    tensor,
)
from jitgrad.ops.shaping import reshaped
from jitgrad.tensor import Tensor


def _filled(name: str, size: Any, value: Any, dtype: DType) -> Tensor:
    shape = shape_of(name, size)
    if builtins.any(n < 0 for n in shape):
        raise fail(ShapeError, f"{name} got shape {shape}", why="extents are not negative")
    return fill(value, TensorType(dtype, shape))


def zeros(size, dtype=None):
    """Zeros of a shape, float32 by default.

    >>> ops.zeros((2, 3)).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return _filled("zeros", size, 0, dtype_of(dtype or float32))


def ones(shape, dtype=None):
    """Ones of a shape, float32 by default.

    >>> ops.ones(2, ms.int32).tolist()
    [1, 1]
    """
    return _filled("ones", shape, 1, dtype_of(dtype or float32))


def full(size, fill_value, *, dtype=None):
    """One value in a shape; by default in the dtype of the value.

    >>> from jitgrad import ops
    >>> ops.full((2,), 3.0).tolist()
    [3.0, 3.0]
    """
    if isinstance(fill_value, Tensor):
        out = broadcasted("full", fill_value, shape_of("full", size))
        return out if dtype is None else e.to_dtype("full", out, dtype)
    wanted = dtype_of(dtype) if dtype is not None else WEAK[rank_of(fill_value)]
    return _filled("full", size, fill_value, wanted)


def empty(size, dtype=None):
    """A Tensor of a shape whose values do not matter (here zeros).

    >>> ops.empty((2, 3)).shape
    (2, 3)
    """
    return zeros(size, dtype)


def _like(name: str, input: Any, value: Any, dtype: Any) -> Tensor:
    x = tensor(name, input)
    return fill(value, x._type if dtype is None else x._type.with_dtype(dtype_of(dtype)))


def zeros_like(input, *, dtype=None):
    """Zeros of the input's shape, and dtype unless given.

    >>> ops.zeros_like(Tensor([1, 2])).tolist()
    [0, 0]
    """
    return _like("zeros_like", input, 0, dtype)


def ones_like(input, *, dtype=None):
    """Ones of the input's shape, and dtype unless given.

    >>> ops.ones_like(Tensor([1.5, 2.5])).tolist()
    [1.0, 1.0]
    """
    return _like("ones_like", input, 1, dtype)


def full_like(input, fill_value, *, dtype=None):
    """One value in the input's shape, and dtype unless given.

    >>> ops.full_like(Tensor([1.0, 2.0]), 7).tolist()
    [7.0, 7.0]
    """
    if isinstance(fill_value, Tensor):
        x = tensor("full_like", input)
        return full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype)
    return _like("full_like", input, fill_value, dtype)


def empty_like(input, *, dtype=None):
    """A Tensor like the input whose values do not matter (here zeros).

    >>> ops.empty_like(Tensor([[1.0, 2.0]])).shape
    (1, 2)
    """
    return zeros_like(input, dtype=dtype)


def fill_(type, shape, value):
    """One value of a dtype in a shape, the older order of arguments.

    >>> ops.fill(ms.float32, (2,), 3).tolist()
    [3.0, 3.0]
    """
    return _filled("fill", shape, value, dtype_of(type))


def arange(start=0, end=None, step=1, *, dtype=None):
    """start, start + step, … before end; ints give int64, floats float32.

    >>> from jitgrad import ops
    >>> ops.arange(1, 7, 2).tolist()
    [1, 3, 5]
    """
    if end is None:
        start, end = 0, start
    given = [static("arange", "limit", v) for v in (start, end, step)]
    start, end, step = given
    if step == 0:
        raise fail(ArgumentError, "arange got step 0")
    rank = builtins.max(rank_of(v) for v in given)
    wanted = dtype_of(dtype) if dtype is not None else WEAK[builtins.max(rank, 1)]
    values = np.arange(start, end, step, np.float64 if rank == 2 else None)
    return constant(values.astype(wanted.numpy))


def range_(start, end, step, maxlen=1000000):
    """start, start + step, … before end, as `arange`.

    >>> ops.range(0, 6, 2).tolist()
    [0, 2, 4]
    """
    return arange(start, end, step)


def linspace(start, end, steps):
    """`steps` values at equal distances from start to end, both included.

    >>> ops.linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    steps = int(static("linspace", "number of steps", steps))
    if steps < 1:
        raise fail(ArgumentError, f"linspace got {steps} steps", why="there must be at least one")
    if is_number(start) and is_number(end):
        return constant(np.linspace(start, end, steps).astype(np.float32))
    low, high = align("linspace", start, end, integers_as=float32)
    line = np.arange(steps) / builtins.max(steps - 1, 1)
    parts = [reshaped("linspace", v, (*v.shape, 1)) for v in (low, high)]
    share = constant(line.astype(low.dtype.numpy))
    return c.where(
        c.lt(share, 0.5),
        e.add(parts[0], e.mul(e.sub(parts[1], parts[0]), share)),
        e.sub(parts[1], e.mul(e.sub(parts[1], parts[0]), e.sub(1, share))),
    )


def logspace(start, end, steps, base=10, *, dtype=float32):
    """`steps` powers of the base, whose exponents are at equal distances.

    >>> ops.logspace(0, 2, 3).tolist()
    [1.0, 10.0, 100.0]
    """
    return e.to_dtype("logspace", e.pow(base, linspace(start, end, steps)), dtype)


def eye(n, m=None, dtype=None):
    """A matrix [n, m] with ones on the diagonal, float32 by default.

    >>> ops.eye(2, 3, ms.int32).tolist()
    [[1, 0, 0], [0, 1, 0]]
    """
    n, m = (static("eye", "extent", v) for v in (n, n if m is None else m))
    return constant(np.eye(n, m, dtype=dtype_of(dtype or float32).numpy))


# --- triangles ----------------------------------------------------------------------------------


def _triangle(name: str, input: Any, diagonal: int, lower: bool) -> Tensor:
    x = tensor(name, input)
    if x.ndim < 2:
        raise fail(ShapeError, f"{name} of {x._type}", why="it takes at least two dimensions")
    mask = np.tri(*x.shape[-2:], k=diagonal if lower else diagonal - 1, dtype=bool)
    kept = constant(mask if lower else ~mask)
    dims = (x.ndim - 2, x.ndim - 1)
    kept = apply(structure.broadcast, kept, shape=x.shape, dims=dims) if x.ndim > 2 else kept
    return apply(scalar.select, kept, x, splat(0, x._type))


def tril(input, diagonal=0):
    """The lower triangle of the last two axes, up to a diagonal; zeros elsewhere.

    >>> ops.tril(ops.ones((2, 3), ms.int32)).tolist()
    [[1, 0, 0], [1, 1, 0]]
    """
    return _triangle("tril", input, diagonal, True)


def triu(input, diagonal=0):
    """The upper triangle of the last two axes, from a diagonal; zeros elsewhere.

    >>> ops.triu(ops.ones((2, 3), ms.int32)).tolist()
    [[1, 1, 1], [0, 1, 1]]
    """
    return _triangle("triu", input, diagonal, False)


def tril_indices(row, col, offset=0, *, dtype=int64):
    """The coordinates of a lower triangle: [2, count].

    >>> ops.tril_indices(2, 2).tolist()
    [[0, 1, 1], [0, 0, 1]]
    """
    return constant(np.stack(np.tril_indices(row, offset, col)).astype(dtype_of(dtype).numpy))


def triu_indices(row, col, offset=0, *, dtype=int64):
    """The coordinates of an upper triangle: [2, count].

    >>> ops.triu_indices(2, 2).tolist()
    [[0, 0, 1], [0, 1, 1]]
    """
    return constant(np.stack(np.triu_indices(row, offset, col)).astype(dtype_of(dtype).numpy))


# --- windows ------------------------------------------------------------------------------------


def _window(name: str, make, doc: str, own: DType = float32):
    def function(window_length, periodic=True, *, dtype=None):
        count = int(static(name, "length", window_length))
        if count < 0:
            raise fail(ArgumentError, f"{name} got length {count}", why="it is not negative")
        values = make(count + 1)[:-1] if periodic and count > 1 else make(count)
        return constant(np.asarray(values, dtype_of(dtype or own).numpy))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc + " A periodic window leaves out the last value of one longer by one."
    return function


bartlett_window = _window("bartlett_window", np.bartlett, "The triangular Bartlett window.")
blackman_window = _window("blackman_window", np.blackman, "The Blackman window.")
hann_window = _window("hann_window", np.hanning, "The Hann window (float64).", float64)


def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None):
    """The Hamming window alpha - beta cos(2 pi n / N); a periodic one has N the length.

    >>> print(ops.hamming_window(4).asnumpy().round(2))
    [0.08 0.54 1.   0.54]
    """
    return _window("hamming_window", functools.partial(_hamming, alpha, beta), "")(
        window_length, periodic, dtype=dtype
    )


def _hamming(alpha: float, beta: float, count: int) -> np.ndarray:
    turn = 2 * np.pi * np.arange(count) / builtins.max(count - 1, 1)
    return alpha - beta * np.cos(turn)


def kaiser_window(window_length, periodic=True, beta=12.0, *, dtype=None):
    """The Kaiser window (float64).

    >>> print(ops.kaiser_window(3).asnumpy().round(3))
    [0.    0.519 0.519]
    """
    return _window("kaiser_window", lambda count: np.kaiser(count, beta), "", float64)(
        window_length, periodic, dtype=dtype
    )


# --- from tensors -------------------------------------------------------------------------------


def vander(x, N=None):
    """The powers x**(N-1), …, x, 1 of vectors, as columns.

    >>> ops.vander(Tensor([2, 3])).tolist()
    [[2, 1], [3, 1]]
    """
    x = tensor("vander", x)
    powers = np.arange(x.shape[-1] if N is None else N)[::-1]
    return e.pow(reshaped("vander", x, (*x.shape, 1)), constant(powers.astype(x.dtype.numpy)))


def sequence_mask(lengths, maxlen=None):
    """For each length, a row that is true before it; `maxlen` is the extent of the rows.

    >>> ops.sequence_mask(Tensor([1, 3]), 3).tolist()
    [[True, False, False], [True, True, True]]
    """
    lengths = tensor("sequence_mask", lengths)
    if maxlen is None:
        values = lengths._array("asked for its largest by sequence_mask")
        maxlen = int(values.max()) if values.size else 0
    places = constant(np.arange(static("sequence_mask", "maxlen", maxlen)))
    return c.lt(places, reshaped("sequence_mask", lengths, (*lengths.shape, 1)))


__all__ = [
    "arange", "bartlett_window", "blackman_window", "empty", "empty_like", "eye", "fill_", "full",
    "full_like", "hamming_window", "hann_window", "kaiser_window", "linspace", "logspace", "ones",
    "ones_like", "range_", "sequence_mask", "tril", "tril_indices", "triu", "triu_indices",
    "vander", "zeros", "zeros_like",
]  # fmt: skip
