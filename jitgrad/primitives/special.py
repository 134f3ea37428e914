"""Special functions that SciPy's library computes, one number at a time, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from jitgrad.ir.node import Node, full
from jitgrad.ir.op import Op
from jitgrad.primitives.declare import (
    FLOAT,
    INTEGER,
    Domain,
    elementwise,
    reals,
    zeros,
)
from jitgrad.primitives.elementwise import abs_, digamma, exp, log, select, sign
from jitgrad.primitives.logic import equal


def library(name: str, *sample: Domain) -> Callable[[Callable], Op]:
    """Declare a function of `scipy.special`, whose derivative is what it decorates. `sample` is one
    domain for each operand.
    """

    def numpy(*operands: np.ndarray) -> np.ndarray:
        from scipy import special

        wide = [np.asarray(x, np.float64) for x in operands]
        return np.asarray(getattr(special, name)(*wide)).astype(operands[0].dtype)

    return elementwise("", dtype=(FLOAT,) * len(sample), sample=sample, numpy=numpy)


# --- Bessel functions ---------------------------------------------------------------------------


def _over(value: Node, x: Node, near_zero: Node) -> Node:
    """value / x, and at 0 what the first terms of its series give, derivatives included."""
    at_zero = equal(x, zeros(x.type))
    return select(at_zero, near_zero, value / select(at_zero, full(1, x.type), x))


def _series(x: Node, second: float, fourth: float) -> Node:
    """1/2 + second x**2 + fourth x**4."""
    square = x * x
    return square * (square * fourth + second) + 0.5


@library("i0", reals(-3, 3))
def bessel_i0(x):
    """Modified Bessel function of the first kind and order 0."""
    return (bessel_i1(x),)


@library("i1", reals(-3, 3))
def bessel_i1(x, out):
    """Modified Bessel function of the first kind and order 1."""
    return (bessel_i0(x) - _over(out, x, _series(x, 1 / 16, 1 / 384)),)


@library("i0e", reals(-3, 3, 0))
def bessel_i0e(x, out):
    """exp(-|x|) times `bessel_i0`."""
    return (bessel_i1e(x) - sign(x) * out,)


@library("i1e", reals(-3, 3, 0))
def bessel_i1e(x, out):
    """exp(-|x|) times `bessel_i1`."""
    ratio = _over(out, x, _series(x, 1 / 16, 1 / 384) * exp(-abs_(x)))
    return (bessel_i0e(x) - sign(x) * out - ratio,)


@library("j0", reals(-6, 6))
def bessel_j0(x):
    """Bessel function of the first kind and order 0."""
    return (-bessel_j1(x),)


@library("j1", reals(-6, 6))
def bessel_j1(x, out):
    """Bessel function of the first kind and order 1."""
    return (bessel_j0(x) - _over(out, x, _series(x, -1 / 16, 1 / 384)),)


@library("y0", reals(0.5, 6))
def bessel_y0(x):
    """Bessel function of the second kind and order 0; nan for negative x."""
    return (-bessel_y1(x),)


@library("y1", reals(0.5, 6))
def bessel_y1(x, out):
    """Bessel function of the second kind and order 1; nan for negative x."""
    return (bessel_y0(x) - out / x,)


@library("k0", reals(0.5, 3))
def bessel_k0(x):
    """Modified Bessel function of the second kind and order 0; nan for negative x."""
    return (-bessel_k1(x),)


@library("k1", reals(0.5, 3))
def bessel_k1(x, out):
    """Modified Bessel function of the second kind and order 1; nan for negative x."""
    return (-bessel_k0(x) - out / x,)


@library("k0e", reals(0.5, 3))
def bessel_k0e(x, out):
    """exp(x) times `bessel_k0`."""
    return (out - bessel_k1e(x),)


@library("k1e", reals(0.5, 3))
def bessel_k1e(x, out):
    """exp(x) times `bessel_k1`."""
    return (out - out / x - bessel_k0e(x),)


# --- the bell's family --------------------------------------------------------------------------


@library("erfcx", reals(-1.5, 3))
def erfcx(x, out):
    """exp(x * x) times erfc(x)."""
    return (x * out * 2 - 2 / math.sqrt(math.pi),)


@library("dawsn", reals(-3, 3))
def dawsn(x, out):
    """Dawson's integral: exp(-x * x) times the integral of exp(t * t) from 0 to x."""
    return (1 - x * out * 2,)


@library("log_ndtr", reals(-3, 3))
def log_ndtr(x, out):
    """Logarithm of the normal distribution function."""
    return (exp(x * x * -0.5 - out) * (1 / math.sqrt(2 * math.pi)),)


@library("ndtri", reals(0.1, 0.9))
def ndtri(x, out):
    """Inverse of the normal distribution function."""
    return (exp(out * out * 0.5) * math.sqrt(2 * math.pi),)


# --- integrals ----------------------------------------------------------------------------------


@library("expi", reals(0.3, 3))
def expi(x):
    """Exponential integral: the integral of exp(t) / t from -inf to x."""
    return ((lambda g: g * exp(x) / x),)


@library("exp1", reals(0.3, 3))
def exp1(x):
    """Exponential integral: the integral of exp(-t) / t from x to inf."""
    return ((lambda g: -(g * exp(-x)) / x),)


@library("spence", reals(0.2, 3, 1))
def spence(x):
    """The integral of log(t) / (1 - t) from 1 to x; nan for negative x."""
    at_one = equal(x, full(1, x.type))
    rest = select(at_one, full(1, x.type), 1 - x)
    near = 0.5 - x * 0.5 - 1  # the first terms of the series at 1
    return (select(at_one, near, log(x) / rest),)


# --- the gamma family ---------------------------------------------------------------------------


@library("betaln", reals(0.3, 4), reals(0.3, 4))
def betaln(a, b):
    """Logarithm of the absolute beta function."""
    both = digamma(a + b)
    return digamma(a) - both, digamma(b) - both


# --- numbers ------------------------------------------------------------------------------------


def _next(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.nextafter(x, y)


@elementwise("", dtype=FLOAT, sample=(reals(-3, 3), reals(-3, 3)), numpy=_next)
def nextafter(x, y):
    """The next number after x on the way to y. It is x but for rounding: so is its derivative."""
    return 1, None


def _gcd(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.gcd(x, y)


@elementwise("", dtype=INTEGER, sample=(reals(-60, 60), reals(-60, 60)), numpy=_gcd)
def gcd(x, y):
    """The greatest common divisor, not negative; 0 of two zeros."""
    return None, None


__all__ = [
    "bessel_i0", "bessel_i0e", "bessel_i1", "bessel_i1e", "bessel_j0", "bessel_j1", "bessel_k0",
    "bessel_k0e", "bessel_k1", "bessel_k1e", "bessel_y0", "bessel_y1", "betaln", "dawsn", "erfcx",
    "exp1", "expi", "gcd", "library", "log_ndtr", "ndtri", "nextafter", "spence",
]  # fmt: skip
