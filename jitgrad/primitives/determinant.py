"""Determinants."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jitgrad.ir.node import Node, constant, full, project
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, TupleType, Type
from jitgrad.primitives.declare import structural, zeros
from jitgrad.primitives.elementwise import abs_, select, stop_gradient
from jitgrad.primitives.factor import UNIT, UPPER, exchange, lu
from jitgrad.primitives.logic import equal
from jitgrad.primitives.matrix import (
    columns_of,
    diagonal,
    diagonal_matrix,
    identity,
    matrices,
    over_matrix,
)
from jitgrad.primitives.reduce import reduce_prod, reduce_sum
from jitgrad.primitives.shape import broadcast, transpose_last
from jitgrad.primitives.solve import drawn, each, solve, triangular_solve


def _inverse_transpose(a: Node) -> Node:
    return solve(a, identity(a), transpose=True)


def _cofactors(a: Node) -> Node:
    """The derivative of the determinant: determinant times transposed inverse, from one LU
    decomposition. A pivot of 0 counts as a rounding error, which multiplies the one and divides the
    other: so the cofactors of singular matrices come out as well.
    """
    factors = lu(a)
    packed, exchanged = project(factors, 0), project(factors, 1)
    pivots, size = diagonal(packed), reduce_sum(abs_(a), axes=(a.ndim - 2, a.ndim - 1))
    size = select(equal(size, zeros(size.type)), full(1, size.type), size)
    least = columns_of(size * float(np.finfo(a.dtype.numpy).eps), a.shape[-1])
    moved = select(equal(pivots, zeros(pivots.type)), least, zeros(pivots.type))
    packed, pivots = packed + stop_gradient(diagonal_matrix(moved)), pivots + stop_gradient(moved)
    rows = np.arange(a.shape[-1], dtype=np.int32)
    stays = equal(exchanged, broadcast(constant(rows), shape=pivots.shape, dims=(pivots.ndim - 1,)))
    signed = select(stays, pivots, -pivots)  # an exchange of two rows turns the sign
    inverse = triangular_solve(packed, triangular_solve(packed, exchange(factors), **UNIT), **UPPER)
    return over_matrix(reduce_prod(signed, axes=(pivots.ndim - 1,)), a) * transpose_last(inverse)


def _squares(dtype: DType) -> Iterable[Sample]:
    for a in drawn(dtype, (3, 3), (2, 4, 4), (1, 1), (0, 3, 3), (0, 0)) or ():
        yield Sample((a,), {})


def _pairing(a: Node, g: Node) -> Node:
    """The sum over each matrix of the products of elements."""
    return reduce_sum(a * g, axes=(a.ndim - 2, a.ndim - 1))


@structural("call")
class det:
    """The determinant of square matrices."""

    batch, samples = each, _squares

    def infer(types, attrs) -> Type:
        a = matrices("det", types[0])
        return a.with_shape(a.shape[:-2])

    def numpy(a):
        return np.linalg.det(a)

    def vjp(node: Node, g: Node):
        (a,) = node.inputs
        return (over_matrix(g, a) * _cofactors(a),)

    def jvp(node: Node, tangents):
        (a,), (ta,) = node.inputs, tangents
        return None if ta is None else _pairing(_cofactors(a), ta)


@structural("call")
class slogdet:
    """The sign of the determinant of square matrices and the logarithm of its magnitude."""

    batch, samples = each, _squares

    def infer(types, attrs) -> Type:
        a = matrices("slogdet", types[0])
        return TupleType((a.with_shape(a.shape[:-2]),) * 2)

    def numpy(a):
        return tuple(np.linalg.slogdet(a))

    def vjp(node: Node, cotangents):
        (a,) = node.inputs
        return (over_matrix(cotangents[1], a) * _inverse_transpose(a),)

    def jvp(node: Node, tangents):
        (a,), (ta,) = node.inputs, tangents
        return None if ta is None else (None, _pairing(_inverse_transpose(a), ta))


__all__ = ["det", "slogdet"]
