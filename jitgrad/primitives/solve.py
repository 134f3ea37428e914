"""Systems of linear equations, determinants, and functions of whole matrices."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np

from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.ir.node import Node
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, TensorType, Type, float32, float64
from jitgrad.primitives.declare import add_all, structural, zeros
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.matrix import (
    broken,
    chain,
    checked,
    lower,
    matrices,
    upper,
)
from jitgrad.primitives.shape import concat, lead, slice_, transpose_last


def drawn(dtype: DType, *shapes: tuple[int, ...]) -> list[np.ndarray] | None:
    """Regular matrices for samples, or None where LAPACK does not know the dtype."""
    if dtype not in (float32, float64):
        return None
    rng = np.random.default_rng(11)
    return [(rng.uniform(-1, 1, s) + 2.5 * np.eye(*s[-2:])).astype(dtype.numpy) for s in shapes]


def each(node: Node, inputs, batched, size: int) -> Node:
    """Matrices are in the last two axes: more of them are one more axis before."""
    return node.op(
        *[x if is_in else lead(x, size) for x, is_in in zip(inputs, batched, strict=True)],
        **node.attrs,
    )


def _system(name: str, types: tuple[Type, ...]) -> TensorType:
    a, b = matrices(name, types[0]), matrices(name, types[1], square=False)
    if a.dtype is not b.dtype:
        raise fail(DTypeError, f"{name} got {a} and {b}", why="their dtypes differ")
    if a.shape[:-1] != b.shape[:-1]:
        raise fail(ShapeError, f"{name} got {a} and {b}", why="the right side has as many rows")
    return b


def _systems(dtype: DType, attrs: list[dict]) -> Iterable[Sample]:
    for front, n, k in (((), 3, 2), ((2,), 4, 1), ((0,), 2, 3), ((), 0, 2)):
        arrays = drawn(dtype, (*front, n, n), (*front, n, k))
        for each_attrs in attrs if arrays else ():
            yield Sample(tuple(arrays), each_attrs)


@structural("call")
class solve:
    """The x with a x = b for square matrices a, or with a' x = b; LinAlgError if a is singular."""

    batch = each

    def infer(types, attrs) -> Type:
        return _system("solve", types)

    def numpy(a, b, transpose):
        return checked("singular", np.linalg.solve, np.swapaxes(a, -1, -2) if transpose else a, b)

    def vjp(node: Node, g: Node):
        a, _ = node.inputs
        turned = node.attrs["transpose"]
        right = solve(a, g, transpose=not turned)
        pair = (node, right) if turned else (right, node)
        return -matmul(pair[0], transpose_last(pair[1])), right

    def jvp(node: Node, tangents):
        (a, _), (ta, tb) = node.inputs, tangents
        turned = node.attrs["transpose"]
        terms = [] if tb is None else [tb]
        if ta is not None:
            terms.append(-matmul(transpose_last(ta) if turned else ta, node))
        return solve(a, add_all(terms), transpose=turned)

    def samples(dtype: DType) -> Iterable[Sample]:
        yield from _systems(dtype, [{"transpose": False}, {"transpose": True}])


@structural("call")
class triangular_solve:
    """The x with t x = b, or with t' x = b, where t is one triangle of a, the diagonal taken for
    ones if `unit`; LinAlgError if there is a 0 on it.
    """

    batch = each

    def infer(types, attrs) -> Type:
        return _system("triangular_solve", types)

    def numpy(a, b, lower, transpose, unit):
        from scipy import linalg

        one = functools.partial(
            linalg.solve_triangular,
            trans=int(transpose),
            lower=lower,
            unit_diagonal=unit,
            check_finite=False,
        )
        if not unit and a.size and not np.diagonal(a, axis1=-2, axis2=-1).all():
            raise broken("singular", a.shape[-1])
        out = np.empty_like(b)
        for index in np.ndindex(b.shape[:-2]) if b.size else ():
            out[index] = checked("singular", one, a[index], b[index])
        return out

    def vjp(node: Node, g: Node):
        a, _ = node.inputs
        attrs = node.attrs
        right = triangular_solve(a, g, **{**attrs, "transpose": not attrs["transpose"]})
        pair = (node, right) if attrs["transpose"] else (right, node)
        return _triangle(-matmul(pair[0], transpose_last(pair[1])), attrs), right

    def jvp(node: Node, tangents):
        (a, _), (ta, tb) = node.inputs, tangents
        terms = [] if tb is None else [tb]
        if ta is not None:
            moved = _triangle(ta, node.attrs)
            moved = transpose_last(moved) if node.attrs["transpose"] else moved
            terms.append(-matmul(moved, node))
        return triangular_solve(a, add_all(terms), **node.attrs)

    def samples(dtype: DType) -> Iterable[Sample]:
        choices = [(True, False, False), (True, True, True), (False, False, True)]
        choices += [(False, True, False), (True, True, False)]
        names = ("lower", "transpose", "unit")
        yield from _systems(dtype, [dict(zip(names, choice, strict=True)) for choice in choices])


def _triangle(x: Node, attrs) -> Node:
    offset = int(attrs["unit"])
    return lower(x, -offset) if attrs["lower"] else upper(x, offset)


# --- functions of matrices ----------------------------------------------------------------------


@structural("call")
class expm:
    """The exponential of square matrices.

    Its derivative in a direction is a block of the exponential of [[a, direction], [0, a]].
    """

    batch = each

    def infer(types, attrs) -> Type:
        return matrices("expm", types[0])

    def numpy(a):
        from scipy import linalg

        return linalg.expm(a).astype(a.dtype) if a.size else a

    def vjp(node: Node, g: Node):
        return (_expm_along(transpose_last(node.inputs[0]), g),)

    def jvp(node: Node, tangents):
        return None if tangents[0] is None else _expm_along(node.inputs[0], tangents[0])

    def samples(dtype: DType) -> Iterable[Sample]:
        for a in drawn(dtype, (3, 3), (2, 4, 4), (1, 1), (0, 3, 3), (0, 0)) or ():
            yield Sample((a * a.dtype.type(0.4),), {})


def _expm_along(a: Node, direction: Node) -> Node:
    row, column, n = a.ndim - 2, a.ndim - 1, a.shape[-1]
    top = concat(a, direction, axis=column)
    bottom = concat(zeros(a.type), a, axis=column)
    whole = expm(concat(top, bottom, axis=row))
    starts = (*[0] * (row + 1), n)
    stops = (*a.shape[:-1], 2 * n)
    return slice_(whole, starts=starts, stops=stops, steps=(1,) * a.ndim)


@structural("call")
class pinv:
    """The pseudo-inverse of matrices; singular values up to the largest times limits[..., 0], or up
    to limits[..., 1], count as 0.

    The derivative is in the matrix, and holds where the rank does not change.
    """

    batch = each

    def infer(types, attrs) -> Type:
        a, limits = matrices("pinv", types[0], square=False), types[1]
        if limits is not a.with_shape((*a.shape[:-2], 2)):
            raise fail(ShapeError, f"pinv of {a} with limits {limits}", why="they are two numbers")
        return a.with_shape((*a.shape[:-2], a.shape[-1], a.shape[-2]))

    def numpy(a, limits):
        def inverse(a: np.ndarray) -> np.ndarray:
            u, s, vh = np.linalg.svd(a, full_matrices=False)
            small = s <= np.maximum(
                limits[..., 1:], limits[..., :1] * s.max(-1, keepdims=True, initial=0)
            )
            scale = np.where(small, 0, 1 / np.where(small, 1, s)).astype(a.dtype)
            return np.swapaxes(np.matmul(u * scale[..., None, :], vh), -1, -2)

        return checked("converge", inverse, a)

    def vjp(node: Node, g: Node):
        a, p, pt, gt = node.inputs[0], node, transpose_last(node), transpose_last(g)
        first = -chain(pt, g, pt)
        second = chain(gt - chain(a, p, gt), p, pt)
        third = chain(pt, p, gt - chain(gt, p, a))
        return first + second + third, None

    def jvp(node: Node, tangents):
        a, ta = node.inputs[0], tangents[0]
        if ta is None:
            return None
        p, pt, tt = node, transpose_last(node), transpose_last(ta)
        first = -chain(p, ta, p)
        second = chain(p, pt, tt - chain(tt, a, p))
        third = chain(tt - chain(p, a, tt), pt, p)
        return first + second + third

    def samples(dtype: DType) -> Iterable[Sample]:
        for a in drawn(dtype, (3, 3), (2, 4, 2), (2, 4), (0, 3, 2), (0, 2)) or ():
            limits = np.broadcast_to(np.array([1e-6, 0], a.dtype), (*a.shape[:-2], 2))
            yield Sample((a, limits.copy()), {})


__all__ = ["drawn", "each", "expm", "pinv", "solve", "triangular_solve"]
