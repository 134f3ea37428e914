"""Random Tensors. Every draw reads the generator's key and counter and moves the counter on, so a
seed gives the same numbers eagerly and compiled.

With `seed` given, a function draws from the beginning of that seed's own stream, at each call.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.frontend.random import Generator, checked_seed, default_generator
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node, full, input_node
from jitgrad.ir.types import DType, TensorType, bool_, float16, float32, int64, uint64
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.indexing import getitem
from jitgrad.ops.promote import (
    apply,
    assign,
    broadcast_shape,
    cast,
    expand,
    floating,
    fresh,
    scalar,
    shape_of,
    splat,
    static,
    tensor,
)
from jitgrad.ops.searching import searchsorted
from jitgrad.ops.sorting import cumsum, topk
from jitgrad.primitives import random as primitive
from jitgrad.primitives.random import make_key
from jitgrad.runtime.cuda.array import host
from jitgrad.state import state
from jitgrad.tensor import Tensor

WORD = TensorType(uint64, ())

# --- drawing ------------------------------------------------------------------------------------


def draw(
    make: Callable, shape: tuple[int, ...], dtype: DType, seed: Any = None, **options: Any
) -> Tensor:
    """What a function of `primitives.random` makes of the generator's state.

    seed  None for the default generator, a Generator, or an int for a stream of its own.
    """
    span = options["high"] - options["low"] if make is primitive.randint else 1
    call = (make, shape, dtype, tuple(options.items()))
    if seed is not None and not isinstance(seed, Generator):
        key = np.uint64(make_key(checked_seed(static("a random function", "seed", seed))))
        if state.trace is not None:
            return Tensor._of_node(_build(*call, full(key, WORD), full(0, WORD)))
        return _made(call, np.asarray(key), np.asarray(np.uint64(0)))
    generator = seed or default_generator()
    count = primitive.consumed(make, shape, dtype, span)
    if state.trace is not None:
        read = state.trace.read
        out = Tensor._of_node(_build(*call, read(generator.key), read(generator.counter)))
        _advance(generator, count)
        return out
    with generator._lock:
        out = _made(call, host(generator.key._data), host(generator.counter._data))
        _advance(generator, count)
    return out


def _advance(generator: Generator, count: int) -> None:
    moved = apply(scalar.add, generator.counter, splat(count, WORD))
    assign(generator.counter, moved)


def _build(make, shape, dtype, options, key: Node, counter: Node) -> Node:
    options = dict(options)
    if make is primitive.bernoulli:
        return make(key, counter, shape, **options)
    if make is primitive.permutation:
        return make(key, counter, shape[0], dtype)
    if make is primitive.randint:
        return make(key, counter, shape, options["low"], options["high"], dtype)
    return make(key, counter, shape, dtype)


def _made(call: tuple, key: np.ndarray, counter: np.ndarray) -> Tensor:
    (array,) = interpret(_graph(*call), (key, counter))
    return Tensor._wrap(array)


@functools.lru_cache(maxsize=256)
def _graph(*call: Any) -> Graph:
    key, counter = input_node("key", WORD), input_node("counter", WORD)
    return Graph("random", (key, counter), (_build(*call, key, counter),))


def draw_uniform(shape: tuple[int, ...], dtype: DType, seed: Any = None) -> Tensor:
    """Uniform in [0, 1)."""
    return draw(primitive.uniform, shape, dtype, seed)


# --- distributions ------------------------------------------------------------------------------


def _sizes(name: str, size: Any) -> tuple[int, ...]:
    size = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list, Tensor)) else size
    return shape_of(name, tuple(size) if isinstance(size, list) else size)


def rand(*size, dtype=None, seed=None):
    """Uniform in [0, 1), of a shape; float32 by default.

    >>> ops.rand(2, 3).shape
    (2, 3)
    """
    return draw_uniform(_sizes("rand", size), dtype_of(dtype or float32), seed)


def randn(*size, dtype=None, seed=None):
    """Standard normal, of a shape; float32 by default.

    >>> ops.randn(2, 3).shape
    (2, 3)
    """
    return draw(primitive.normal, _sizes("randn", size), dtype_of(dtype or float32), seed)


def _random_like(name: str, make: Callable, input, dtype, seed) -> Tensor:
    x = tensor(name, input)
    dtype = dtype_of(dtype) if dtype is not None else x.dtype
    return draw(make, x.shape, dtype if dtype.is_inexact else float32, seed)


def rand_like(input, seed=None, *, dtype=None):
    """Uniform in [0, 1), of the input's shape and dtype.

    >>> ops.rand_like(Tensor([1.0, 2.0])).shape
    (2,)
    """
    return _random_like("rand_like", primitive.uniform, input, dtype, seed)


def randn_like(input, seed=None, *, dtype=None):
    """Standard normal, of the input's shape and dtype.

    >>> ops.randn_like(Tensor([1.0, 2.0])).shape
    (2,)
    """
    return _random_like("randn_like", primitive.normal, input, dtype, seed)


def _located(unit: Tensor, scale: Any, shift: Any) -> Tensor:
    """unit * scale + shift, for numbers or Tensors, in the dtype of the draw."""
    scale, shift = (cast(v, unit.dtype) if isinstance(v, Tensor) else v for v in (scale, shift))
    return e.add(e.mul(unit, scale), shift)


def uniform(shape, minval, maxval, seed=None, dtype=float32):
    """Uniform between two numbers or Tensors (whose shape is added to the front of theirs).

    Integer dtypes give integers minval <= i < maxval.

    >>> bool((ops.uniform((100,), 2.0, 3.0) >= 2.0).all())
    True
    """
    shape, dtype = shape_of("uniform", shape), dtype_of(dtype)
    if dtype.is_int:
        return randint(minval, maxval, shape, seed, dtype=dtype)
    shape = joint_shape("uniform", shape, minval, maxval)
    numbers = not isinstance(minval, Tensor) and not isinstance(maxval, Tensor)
    width = maxval - minval if numbers else e.sub(maxval, minval)
    return _located(draw_uniform(shape, dtype, seed), width, minval)


def joint_shape(name: str, shape: tuple[int, ...], *parameters: Any) -> tuple[int, ...]:
    """The shape asked for, widened where the parameters of a distribution are larger."""
    marker = splat(False, TensorType(bool_, shape))
    return broadcast_shape(name, [marker, *(p for p in parameters if isinstance(p, Tensor))])


def normal(shape, mean, stddev, seed=None):
    """Normal of a mean and a standard deviation, numbers or Tensors; float32.

    >>> ops.normal((2,), Tensor([0.0, 100.0]), 1e-3).shape
    (2,)
    """
    shape = joint_shape("normal", shape_of("normal", shape), mean, stddev)
    return _located(draw(primitive.normal, shape, float32, seed), stddev, mean)


def standard_normal(shape, seed=None):
    """Standard normal, of a shape.

    >>> ops.standard_normal((2, 3)).shape
    (2, 3)
    """
    return draw(primitive.normal, shape_of("standard_normal", shape), float32, seed)


def laplace(shape, mean, lambda_param, seed=None):
    """Laplace of a mean and a scale.

    >>> ops.laplace((4,), 0.0, 1.0).shape
    (4,)
    """
    shape = joint_shape("laplace", shape_of("laplace", shape), mean, lambda_param)
    centred = e.sub(draw_uniform(shape, float32, seed), 0.5 - 2.0**-25)
    unit = e.mul(e.sign(centred), e.neg(e.log1p(e.mul(e.abs(centred), -2))))
    return _located(unit, lambda_param, mean)


def standard_laplace(shape, seed=None):
    """Laplace of mean 0 and scale 1, of a shape.

    >>> ops.standard_laplace((2, 3)).shape
    (2, 3)
    """
    return laplace(shape, 0.0, 1.0, seed)


def truncated_normal(shape, dtype=float32, seed=None):
    """Standard normal cut off at two deviations.

    >>> bool((ops.abs(ops.truncated_normal((100,))) <= 2).all())
    True
    """
    dtype = dtype_of(dtype)
    edge = math.erf(math.sqrt(2.0))
    shape = shape_of("truncated_normal", shape)
    unit = e.sub(e.mul(draw_uniform(shape, dtype, seed), 2 * edge), edge)
    return c.clamp(e.mul(e.erfinv(unit), math.sqrt(2.0)), -2.0, 2.0)


def randint(low, high, size, seed=None, *, dtype=None):
    """Integers low <= i < high, of a shape; int64 by default.

    >>> sorted(set(ops.randint(0, 2, (100,), seed=1).tolist()))
    [0, 1]
    """
    low, high = (int(static("randint", "limit", v)) for v in (low, high))
    dtype = dtype_of(dtype or int64)
    shape = shape_of("randint", size)
    if not dtype.is_int:
        return cast(draw(primitive.randint, shape, int64, seed, low=low, high=high), dtype)
    return draw(primitive.randint, shape, dtype, seed, low=low, high=high)


def randint_like(input, low, high, seed=None, *, dtype=None):
    """Integers low <= i < high, of the input's shape and dtype.

    >>> ops.randint_like(Tensor([1, 2]), 5, 6).tolist()
    [5, 5]
    """
    x = tensor("randint_like", input)
    return randint(low, high, x.shape, seed, dtype=x.dtype if dtype is None else dtype)


def randperm(n, seed=0, offset=0, dtype=int64):
    """0 … n - 1 in random order. A seed of 0 draws from the default generator.

    >>> sorted(ops.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    n = int(static("randperm", "number", n))
    out = draw(primitive.permutation, (n,), int64, seed or None)
    return e.to_dtype("randperm", out, dtype)


def shuffle(x, seed=None):
    """The slices along the first axis in random order.

    >>> sorted(ops.shuffle(Tensor([1, 2, 3])).tolist())
    [1, 2, 3]
    """
    x = tensor("shuffle", x)
    return getitem(x, draw(primitive.permutation, x.shape[:1], int64, seed)) if x.ndim else x


def bernoulli(input, p=0.5, seed=None):
    """1 with probability p, else 0, in the input's shape and dtype.

    Args:
        p: a number, or a Tensor that broadcasts to the shape.

    >>> ops.bernoulli(ops.zeros(3), 1.0).tolist()
    [1.0, 1.0, 1.0]
    """
    x = tensor("bernoulli", input)
    if not isinstance(p, Tensor) and not 0 <= p <= 1:
        raise fail(ArgumentError, f"bernoulli got p={p}", why="a probability is 0 to 1")
    unit = draw_uniform(x.shape, float32, seed)
    p = expand(cast(p, float32), x.shape) if isinstance(p, Tensor) else p
    return cast(c.lt(unit, p), x.dtype)


def multinomial(input, num_samples, replacement=True, seed=None):
    """Indices (int32) drawn with the weights along the last axis, for each row.

    Without replacement no index is drawn twice; a row needs as many weights that are not 0.

    >>> ops.multinomial(Tensor([0.0, 1.0]), 3).tolist()
    [1, 1, 1]
    """
    weights = floating("multinomial", input)
    if weights.ndim not in (1, 2):
        raise fail(ShapeError, f"multinomial of {weights._type}", why="it takes a vector or rows")
    count = int(static("multinomial", "number of samples", num_samples))
    weights = e.stop_gradient(cast(weights, float32) if weights.dtype is float16 else weights)
    lead = weights.shape[:-1]
    if not replacement:
        if count > weights.shape[-1]:
            raise fail(
                ArgumentError,
                f"multinomial of {weights._type}, {count} samples without replacement",
                why="there are not so many",
            )
        unit = e.sub(1, draw_uniform(weights.shape, weights.dtype, seed))
        # The first arrivals of independent Poisson processes: exponential times over the weights.
        return topk(e.div(e.neg(e.log(unit)), weights), count, -1, largest=False)[1]
    total = cumsum(weights, -1)
    last = getitem(total, (..., slice(-1, None)))
    unit = draw_uniform((*lead, count), weights.dtype, seed)
    found = searchsorted(total, e.mul(unit, last), right=True, out_int32=True)
    return c.clamp(found, 0, weights.shape[-1] - 1)


def random_categorical(logits, num_sample, seed=None, dtype=int64):
    """Indices drawn with the probabilities softmax(logits), for each row.

    >>> ops.random_categorical(Tensor([[-1e9, 0.0]]), 3).tolist()
    [[1, 1, 1]]
    """
    from jitgrad.ops.activation import softmax

    found = multinomial(softmax(logits), num_sample, True, seed or None)
    return e.to_dtype("random_categorical", found, dtype)


# --- dropout ------------------------------------------------------------------------------------


@fresh
def dropout(input, p=0.5, training=True, seed=None):
    """Each element 0 with probability p, the others divided by 1 - p; without `training`, itself.

    >>> from jitgrad import Tensor, ops
    >>> ops.dropout(Tensor([1.0, 2.0]), p=0.0).tolist()
    [1.0, 2.0]
    """
    x = floating("dropout", input)
    return _dropped("dropout", x, p, training, x.shape, seed)


def _dropped(name: str, x: Tensor, p: float, training: bool, shape, seed) -> Tensor:
    if not 0 <= p <= 1:
        raise fail(ArgumentError, f"{name} got p={p}", why="a probability is 0 to 1")
    if not training or p == 0:
        return x
    if p == 1:
        return e.mul(x, 0)
    kept = expand(c.ge(draw_uniform(shape, float32, seed), p), x.shape)
    return c.where(kept, e.mul(x, 1 / (1 - p)), 0.0)


def _channels(ndims: tuple[int, ...], name: str):
    @fresh
    def function(input, p=0.5, training=True):
        x = floating(name, input)
        if x.ndim not in ndims:
            raise fail(ShapeError, f"{name} of {x._type}", why=f"it takes {ndims} dimensions")
        lead = x.ndim - ndims[0] + 1
        return _dropped(name, x, p, training, (*x.shape[:lead], *(1,) * (x.ndim - lead)), None)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Whole channels 0 with probability p, the others divided by 1 - p."
    return function


dropout1d = _channels((2, 3), "dropout1d")
dropout2d = _channels((3, 4), "dropout2d")
dropout3d = _channels((4, 5), "dropout3d")

__all__ = [
    "bernoulli", "draw", "draw_uniform", "dropout", "dropout1d", "dropout2d", "dropout3d",
    "joint_shape",
    "laplace", "multinomial", "normal", "rand", "rand_like", "randint", "randint_like", "randn",
    "randn_like", "random_categorical", "randperm", "shuffle", "standard_laplace",
    "standard_normal", "truncated_normal", "uniform",
]  # fmt: skip
