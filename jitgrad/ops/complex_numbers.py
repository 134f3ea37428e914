"""Complex numbers: their parts, and what is made of parts.

A gradient with respect to z = x + i y is PyTorch's, dL/dx + i dL/dy: the direction of steepest
ascent.
"""

from __future__ import annotations

import math

from jitgrad.errors import ShapeError, fail
from jitgrad.ir.types import bool_, float16, float32
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.joining import stack
from jitgrad.ops.promote import align, apply, cast, fill, fresh, inexact, tensor
from jitgrad.ops.splitting import unbind
from jitgrad.primitives import complex as primitive
from jitgrad.primitives.declare import COMPLEX, FLOAT


def is_complex(input):
    """Whether the dtype is complex64 or complex128.

    >>> ops.is_complex(Tensor([1j]))
    True
    """
    return tensor("is_complex", input).dtype.is_complex


def isreal(input):
    """Whether without an imaginary part.

    >>> ops.isreal(Tensor([1.0, 1j])).tolist()
    [True, False]
    """
    x = tensor("isreal", input)
    return c.eq(imag(x), 0) if x.dtype.is_complex else fill(True, x._type.with_dtype(bool_))


@fresh
def real(input):
    """The real part; a real number itself.

    >>> ops.real(Tensor([1 + 2j])).tolist()
    [1.0]
    """
    x = tensor("real", input)
    return apply(primitive.real, x) if x.dtype.is_complex else x


def imag(input):
    """The imaginary part; zeros for real numbers.

    >>> ops.imag(Tensor([1 + 2j])).tolist()
    [2.0]
    """
    x = tensor("imag", input)
    return apply(primitive.imag, x) if x.dtype.is_complex else e.mul(x, 0)


@fresh
def conj(input):
    """The complex conjugate; a real number itself.

    >>> ops.conj(Tensor([1 + 2j])).tolist()
    [(1-2j)]
    """
    x = tensor("conj", input)
    return apply(primitive.conj, x) if x.dtype.is_complex else x


def angle(input):
    """The angle in the complex plane, from -pi to pi: of real numbers 0, or pi where negative.

    >>> print(ops.angle(Tensor([1.0, -1.0])).asnumpy().round(4))
    [0.     3.1416]
    >>> print(ops.angle(Tensor([1j])).asnumpy().round(4))
    [1.5708]
    """
    x = inexact("angle", input)
    if x.dtype.is_complex:
        return e.atan2(imag(x), real(x))
    return c.where(c.lt(x, 0), math.pi, c.where(c.isnan(x), x, 0.0))


def complex_(real, imag):
    """The complex numbers with these parts, of float32 or float64.

    >>> ops.complex(Tensor([1.0]), Tensor([2.0])).tolist()
    [(1+2j)]
    """
    parts = align("complex", real, imag, integers_as=float32, takes=FLOAT)
    if parts[0].dtype is float16:
        parts = [cast(x, float32) for x in parts]
    return apply(primitive.complex_, *parts)


def polar(abs, angle):
    """The complex numbers of these magnitudes and angles.

    >>> print(ops.polar(Tensor([2.0]), Tensor([0.0])))
    [2.+0.j]
    """
    return complex_(e.mul(abs, e.cos(angle)), e.mul(abs, e.sin(angle)))


def view_as_real(input):
    """Complex numbers as pairs of real ones along a new last axis.

    >>> ops.view_as_real(Tensor([1 + 2j])).tolist()
    [[1.0, 2.0]]
    """
    x = tensor("view_as_real", input, COMPLEX)
    return stack([real(x), imag(x)], -1)


def view_as_complex(input):
    """The inverse of `view_as_real`: the last axis has two elements.

    >>> ops.view_as_complex(Tensor([[1.0, 2.0]])).tolist()
    [(1+2j)]
    """
    x = tensor("view_as_complex", input, FLOAT)
    if x.shape[-1:] != (2,):
        raise fail(
            ShapeError, f"view_as_complex of {x._type}", why="the last axis has two elements"
        )
    return complex_(*unbind(x, -1))


__all__ = [
    "angle", "complex_", "conj", "imag", "is_complex", "isreal", "polar", "real",
    "view_as_complex", "view_as_real",
]  # fmt: skip
