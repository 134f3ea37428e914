"""Matrices as products of simpler ones, by LAPACK."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jitgrad.errors import TapeError, fail
from jitgrad.ir.node import Node, full, project, splat
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, TupleType, Type, int32
from jitgrad.primitives.declare import structural, zeros
from jitgrad.primitives.elementwise import select
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.logic import equal
from jitgrad.primitives.matrix import (
    chain,
    checked,
    columns_of,
    diagonal,
    diagonal_matrix,
    folded,
    lower,
    matrices,
    mirrored,
    rows_of,
    spread_matrix,
    upper,
)
from jitgrad.primitives.shape import cast, transpose_last
from jitgrad.primitives.solve import drawn, each, triangular_solve

LOWER = {"lower": True, "transpose": False, "unit": False}
UNIT = {"lower": True, "transpose": False, "unit": True}
UPPER = {"lower": False, "transpose": False, "unit": False}


def _turned(how: dict) -> dict:
    return {**how, "transpose": True}


def _from_right(triangle: Node, x: Node, how: dict) -> Node:
    """x times the inverse of a triangle (of its transpose, if `how` says so)."""
    how = {**how, "transpose": not how["transpose"]}
    return transpose_last(triangular_solve(triangle, transpose_last(x), **how))


@structural("call")
class cholesky:
    """The lower triangular l with a = l l', from the lower triangle of a, which is positive
    definite; LinAlgError where it is not.
    """

    batch = each

    def infer(types, attrs) -> Type:
        return matrices("cholesky", types[0])

    def numpy(a):
        return checked("definite", np.linalg.cholesky, a)

    def vjp(node: Node, g: Node):
        inner = _halved(matmul(transpose_last(node), g))
        left = triangular_solve(node, inner, **_turned(LOWER))
        whole = _from_right(node, left, LOWER)
        return (folded((whole + transpose_last(whole)) * 0.5),)

    def jvp(node: Node, tangents):
        if tangents[0] is None:
            return None
        left = triangular_solve(node, mirrored(tangents[0]), **LOWER)
        return matmul(node, _halved(_from_right(node, left, _turned(LOWER))))

    def samples(dtype: DType) -> Iterable[Sample]:
        for a in drawn(dtype, (3, 3), (2, 4, 4), (1, 1), (0, 3, 3), (0, 0)) or ():
            yield Sample((np.matmul(a, np.swapaxes(a, -1, -2)),), {})


def _halved(x: Node) -> Node:
    """The lower triangle, with half of the diagonal."""
    n = x.shape[-1]
    weights = (np.tri(n) - np.eye(n) / 2).astype(x.dtype.numpy)
    return x * spread_matrix(weights, x)


@structural("call")
class lu:
    """Rows of a in another order as l u: both in one matrix, l below the diagonal of its ones;
    the row that each was exchanged with; and the order, as int32.
    """

    batch = each

    def infer(types, attrs) -> Type:
        a = matrices("lu", types[0], square=False)
        rows = a.with_shape(a.shape[:-1]).with_dtype(int32)
        pivots = rows.with_shape((*a.shape[:-2], min(a.shape[-2:])))
        return TupleType((a, pivots, rows))

    def numpy(a):
        from scipy.linalg.lapack import get_lapack_funcs

        (getrf,) = get_lapack_funcs(("getrf",), dtype=a.dtype)
        out, m, k = np.empty_like(a), a.shape[-2], min(a.shape[-2:])
        pivots = np.zeros((*a.shape[:-2], k), np.int32)
        order = np.empty(a.shape[:-1], np.int32)
        order[...] = np.arange(m, dtype=np.int32)
        for index in np.ndindex(a.shape[:-2]) if a.size else ():
            out[index], pivots[index], _ = getrf(a[index])
            for i, j in enumerate(pivots[index]):
                order[index][[i, j]] = order[index][[j, i]]
        return out, pivots, order

    def vjp(node: Node, cotangents):
        packed = _square_lu(node)
        g, turned = cotangents[0], transpose_last
        inner = lower(matmul(turned(_unit_lower(packed)), lower(g, -1)), -1)
        inner = inner + upper(matmul(upper(g), turned(upper(packed))))
        left = triangular_solve(packed, inner, **_turned(UNIT))
        whole = _from_right(packed, left, _turned(UPPER))
        return (matmul(turned(exchange(node)), whole),)

    def jvp(node: Node, tangents):
        if tangents[0] is None:
            return None
        packed = _square_lu(node)
        moved = matmul(exchange(node), tangents[0])
        inner = _from_right(packed, triangular_solve(packed, moved, **UNIT), UPPER)
        first = matmul(_unit_lower(packed), lower(inner, -1))
        return first + matmul(upper(inner), upper(packed)), None, None

    def samples(dtype: DType) -> Iterable[Sample]:
        for a in drawn(dtype, (3, 3), (2, 4, 4), (0, 3, 3), (0, 0)) or ():
            yield Sample((a,), {})


def _square_lu(node: Node) -> Node:
    if node.inputs[0].shape[-1] != node.inputs[0].shape[-2]:
        raise fail(TapeError, "the derivative of lu needs square matrices")
    return project(node, 0)


def _unit_lower(packed: Node) -> Node:
    """The first factor, with the ones on its diagonal."""
    unit = spread_matrix(np.eye(packed.shape[-1], dtype=packed.dtype.numpy), packed)
    return lower(packed, -1) + unit


def exchange(node: Node) -> Node:
    """The matrix that puts the rows in their order."""
    order = project(node, 2)
    n = order.shape[-1]
    wanted = columns_of(order, n)
    here = spread_matrix(np.broadcast_to(np.arange(n, dtype=np.int32), (n, n)), wanted)
    return cast(equal(wanted, here), dtype=node.type.items[0].dtype)


@structural("call")
class qr:
    """q with orthonormal columns and the upper triangular r, q r = a; q square if `complete`.

    The derivative needs the columns of a to be independent, and as many in q.
    """

    batch = each

    def infer(types, attrs) -> Type:
        a = matrices("qr", types[0], square=False)
        m, n = a.shape[-2:]
        k = m if attrs["complete"] else min(m, n)
        return TupleType((a.with_shape((*a.shape[:-1], k)), a.with_shape((*a.shape[:-2], k, n))))

    def numpy(a, complete):
        return tuple(np.linalg.qr(a, "complete" if complete else "reduced"))

    def vjp(node: Node, cotangents):
        q, r = _tall(node)
        gq, gr = cotangents
        inner = matmul(r, transpose_last(gr)) - matmul(transpose_last(gq), q)
        return (_from_right(r, gq + matmul(q, mirrored(inner)), _turned(UPPER)),)

    def jvp(node: Node, tangents):
        if tangents[0] is None:
            return None
        q, r = _tall(node)
        moved = _from_right(r, tangents[0], UPPER)
        inner = matmul(transpose_last(q), moved)
        below = lower(inner, -1)
        rest = inner - below + transpose_last(below)
        return moved - matmul(q, rest), matmul(rest, r)

    def samples(dtype: DType) -> Iterable[Sample]:
        for a in drawn(dtype, (3, 3), (2, 4, 2), (0, 3, 2), (0, 0)) or ():
            yield Sample((a,), {"complete": False})


def _tall(node: Node) -> tuple[Node, Node]:
    m, n = node.inputs[0].shape[-2:]
    if node.type.items[0].shape[-1] != n:
        raise fail(
            TapeError,
            f"the derivative of qr of {m}x{n} with q of {node.type.items[0]}",
            why="columns of q beside those of a are not determined by it",
            instead='mode="reduced"',
        )
    return project(node, 0), project(node, 1)


# --- eigenvalues and singular values --------------------------------------------------------------


def _gaps(v: Node) -> Node:
    """1 / (v[j] - v[i]), and 0 where both are equal: vectors of one eigenvalue have no derivative,
    and what is computed from all of them together does not need one.
    """
    n = v.shape[-1]
    difference = rows_of(v, n) - columns_of(v, n)
    same_type = difference.type
    same = equal(difference, zeros(same_type))
    return select(same, zeros(same_type), 1 / select(same, full(1, same_type), difference))


@structural("call")
class eigh:
    """Eigenvalues in ascending order, and eigenvectors as columns, of symmetric matrices given by
    their lower triangles.

    Derivatives are those of distinct eigenvalues; see `_gaps` for equal ones.
    """

    batch = each

    def infer(types, attrs) -> Type:
        a = matrices("eigh", types[0])
        return TupleType((a.with_shape(a.shape[:-1]), a))

    def numpy(a):
        return tuple(checked("converge", np.linalg.eigh, a))

    def vjp(node: Node, cotangents):
        values, vectors = project(node, 0), project(node, 1)
        gv, gw = cotangents
        turned = transpose_last(vectors)
        inner = diagonal_matrix(gv)
        if splat(gw) is None:
            inner = inner + _gaps(values) * matmul(turned, gw)
        return (folded(chain(vectors, inner, turned)),)

    def jvp(node: Node, tangents):
        if tangents[0] is None:
            return None
        values, vectors = project(node, 0), project(node, 1)
        inner = chain(transpose_last(vectors), mirrored(tangents[0]), vectors)
        return diagonal(inner), matmul(vectors, _gaps(values) * inner)

    def samples(dtype: DType) -> Iterable[Sample]:
        for a in drawn(dtype, (3, 3), (2, 4, 4), (1, 1), (0, 3, 3), (0, 0)) or ():
            yield Sample((a + np.swapaxes(a, -1, -2),), {})


@structural("call")
class svd:
    """u, s and v' of a = u diag(s) v', s in descending order; u and v square if `full`.

    Derivatives are those of distinct singular values, none of them 0 unless a is square; see
    `_gaps` for equal ones. With `full`, a must be square for u and v.
    """

    batch = each

    def infer(types, attrs) -> Type:
        a = matrices("svd", types[0], square=False)
        m, n = a.shape[-2:]
        k, lead = min(m, n), a.shape[:-2]
        p, q = (m, n) if attrs["full"] else (k, k)
        return TupleType(tuple(a.with_shape((*lead, *s)) for s in ((m, p), (k,), (q, n))))

    def numpy(a, full):
        def factors(a: np.ndarray) -> tuple[np.ndarray, ...]:
            # of the transpose, as the compiled one: signs are as LAPACK happens to choose them
            v, s, uh = np.linalg.svd(np.swapaxes(a, -1, -2), full_matrices=full)
            return np.swapaxes(uh, -1, -2), s, np.swapaxes(v, -1, -2)

        return checked("converge", factors, a)

    def vjp(node: Node, cotangents):
        gu, gs, gvh = cotangents
        if splat(gu) is not None and splat(gvh) is not None:  # of the values alone
            u, _, vh = _thin(node)
            return (chain(u * rows_of(gs, u.shape[-2]), vh),)
        u, s, vh = _parts(node)
        ut, v, gv = transpose_last(u), transpose_last(vh), transpose_last(gvh)
        gaps, k = _gaps(s * s), s.shape[-1]
        left = gaps * _twist(matmul(ut, gu)) * rows_of(s, k)
        right = columns_of(s, k) * gaps * _twist(matmul(vh, gv))
        out = chain(u, diagonal_matrix(gs) + left + right, vh)
        if u.shape[-2] > k:
            over = gu / rows_of(s, u.shape[-2])
            out = out + matmul(over - chain(u, matmul(ut, over)), vh)
        if v.shape[-2] > k:
            over = gv / rows_of(s, v.shape[-2])
            out = out + matmul(u, transpose_last(over - chain(v, matmul(vh, over))))
        return (out,)

    def jvp(node: Node, tangents):
        (ta,) = tangents
        if ta is None:
            return None
        u, s, vh = _parts(node)
        ut, v, k = transpose_last(u), transpose_last(vh), s.shape[-1]
        inner = chain(ut, ta, v)
        gaps, turned = _gaps(s * s), transpose_last(inner)
        across, down = rows_of(s, k), columns_of(s, k)
        tu = matmul(u, gaps * (inner * across + down * turned))
        tv = matmul(v, gaps * (down * inner + turned * across))
        if u.shape[-2] > k:
            over = matmul(ta, v) / rows_of(s, u.shape[-2])
            tu = tu + over - chain(u, matmul(ut, over))
        if v.shape[-2] > k:
            over = matmul(transpose_last(ta), u) / rows_of(s, v.shape[-2])
            tv = tv + over - chain(v, matmul(vh, over))
        return tu, diagonal(inner), transpose_last(tv)

    def samples(dtype: DType) -> Iterable[Sample]:
        for a in drawn(dtype, (3, 3), (2, 4, 2), (2, 4), (0, 3, 2), (0, 2)) or ():
            yield Sample((a,), {"full": False})


def _twist(x: Node) -> Node:
    return x - transpose_last(x)


def _parts(node: Node) -> tuple[Node, Node, Node]:
    m, n = node.inputs[0].shape[-2:]
    if node.attrs["full"] and m != n:
        raise fail(
            TapeError,
            f"the derivative of svd of {m}x{n} with square u and v",
            why="vectors beside the singular ones are not determined by the matrix",
            instead="full_matrices=False",
        )
    return project(node, 0), project(node, 1), project(node, 2)


def _thin(node: Node) -> tuple[Node, Node, Node]:
    """The factors without the vectors that make u and v square."""
    return _parts(svd(node.inputs[0], full=False) if node.attrs["full"] else node)


__all__ = ["cholesky", "eigh", "lu", "qr", "svd"]
