"""Products of matrices."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.ir.node import Node
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, Type
from jitgrad.primitives.declare import NUMBER, add_all, structural, tensor_type
from jitgrad.primitives.shape import lead, reshape, transpose_last


@structural("call")
class matmul:
    """Matrix product over the last two axes; leading axes are a batch and must be equal."""

    def infer(types, attrs) -> Type:
        a, b = (tensor_type("matmul", t, NUMBER) for t in types)
        if a.dtype is not b.dtype:
            raise fail(
                DTypeError,
                f"matmul got {a} and {b}",
                why="matmul does not promote dtypes",
                instead="cast one of them, as in x.astype(y.dtype)",
            )
        batch = a.shape[:-2]
        if min(a.ndim, b.ndim) < 2 or batch != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
            raise fail(
                ShapeError,
                f"matmul got {a} and {b}",
                why="the last axis of the first must equal the second-last axis of the second",
            )
        return a.with_shape((*batch, a.shape[-2], b.shape[-1]))

    def numpy(a, b):
        return np.matmul(a, b)

    def vjp(node: Node, g: Node):
        a, b = node.inputs
        return matmul(g, transpose_last(b)), matmul(transpose_last(a), g)

    def jvp(node: Node, tangents):
        (a, b), (ta, tb) = node.inputs, tangents
        terms = []
        if ta is not None:
            terms.append(matmul(ta, b))
        if tb is not None:
            terms.append(matmul(a, tb))
        return add_all(terms)

    def batch(node: Node, inputs, batched, size: int):
        """A matrix that all examples share meets their rows in one large product."""
        a, b = inputs
        if not batched[1] and b.ndim == 2:
            rows = reshape(a, shape=(size * a.shape[1], a.shape[2]))
            return reshape(matmul(rows, b), shape=(size, a.shape[1], b.shape[1]))
        if not batched[0] and a.ndim == 2 and b.shape[2] == 1:  # columns, which are rows in memory
            rows = reshape(b, shape=(size, b.shape[1]))
            return reshape(matmul(rows, transpose_last(a)), shape=(size, a.shape[0], 1))
        a, b = (x if is_in else lead(x, size) for x, is_in in zip(inputs, batched, strict=True))
        return matmul(a, b)

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.kind not in NUMBER:
            return
        rng = np.random.default_rng(3)

        def draw(*shape: int) -> np.ndarray:
            low = 0 if dtype.kind == "u" else -3
            values = rng.uniform(low, 3, shape) if dtype.is_float else rng.integers(low, 3, shape)
            return values.astype(dtype.numpy)

        for a, b in (((2, 3), (3, 4)), ((2, 5, 3), (2, 3, 1)), ((2, 0), (0, 3)), ((0, 2), (2, 3))):
            yield Sample((draw(*a), draw(*b)))
