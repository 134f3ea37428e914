"""Rewrites that make results more accurate: no cancellation, no overflow on the way.

All are of level ROUNDING and on by default: each gives a result at least as close to the exact
one, and a finite one where only an intermediate value was not. Sources: W. Kahan's *Branch cuts*
and *The baleful effect*, N. Higham's *Accuracy and Stability of Numerical Algorithms*, and
P. Blanchard, D. Higham, N. Higham, *Accurately computing the log-sum-exp and softmax functions*.
"""

from __future__ import annotations

import math

from jitgrad.ir.node import Graph, full
from jitgrad.ir.pattern import ROUNDING, Rules, rewrite, rule
from jitgrad.passes.reductions import reduce_inside
from jitgrad.primitives.elementwise import (
    abs_,
    cos,
    erf,
    erfc,
    exp,
    expm1,
    isfinite,
    log,
    log1p,
    maximum,
    minimum,
    neg,
    pow_,
    select,
    sigmoid,
    sin,
    sinh,
    sqrt,
    stop_gradient,
    sub,
    tanh,
)
from jitgrad.primitives.reduce import expand, kept_axes, reduce_max, reduce_sum
from jitgrad.primitives.shape import broadcast, reshape

# --- cancellation: the difference of nearly equal numbers keeps few digits ----------------------

CANCELLATION = (
    rule("log(1 + x)", lambda x: (log(1 + x), log1p(x)), ROUNDING),
    rule("log(1 - x)", lambda x: (log(1 - x), log1p(-x)), ROUNDING),
    rule("exp(x) - 1", lambda x: (exp(x) - 1, expm1(x)), ROUNDING),
    rule("exp(x) + -1", lambda x: (exp(x) + -1, expm1(x)), ROUNDING),
    rule("1 - exp(x)", lambda x: (1 - exp(x), -expm1(x)), ROUNDING),
    rule("1 - erf(x)", lambda x: (1 - erf(x), erfc(x)), ROUNDING),
    rule("1 - erfc(x)", lambda x: (1 - erfc(x), erf(x)), ROUNDING),
    rule(
        "1 - cos(x)",
        lambda x: (1 - cos(x), 2 * (sin(x * 0.5) * sin(x * 0.5))),
        ROUNDING,
    ),
    rule("(exp(x) - exp(-x)) / 2", lambda x: ((exp(x) - exp(-x)) * 0.5, sinh(x)), ROUNDING),
    rule(
        "log(1 - sigmoid(x))",
        lambda x: (log(1 - sigmoid(x)), minimum(-x, 0) - log1p(exp(-abs_(x)))),
        ROUNDING,
    ),
    rule(
        "log1p(-sigmoid(x))",
        lambda x: (log1p(-sigmoid(x)), minimum(-x, 0) - log1p(exp(-abs_(x)))),
        ROUNDING,
    ),
)

# --- overflow and underflow of an intermediate value --------------------------------------------


@rewrite(lambda x: log1p(exp(x)), ROUNDING)
def softplus(x):
    """log(1 + exp(x)), where exp(x) may overflow, is max(x, 0) + log1p(exp(-|x|))."""
    if x.op is neg and x.inputs[0].op is abs_:
        return None  # it is what this rule makes
    return maximum(x, 0) + log1p(exp(-abs_(x)))


OVERFLOW = (
    rule("log(exp(x))", lambda x: (log(exp(x)), x), ROUNDING),
    rule("sqrt(x * x)", lambda x: (sqrt(x * x), abs_(x)), ROUNDING),
    rule(
        "log(sigmoid(x))",
        lambda x: (log(sigmoid(x)), minimum(x, 0) - log1p(exp(-abs_(x)))),
        ROUNDING,
    ),
    softplus,
    rule("1 / (1 + exp(x))", lambda x: (1 / (1 + exp(x)), sigmoid(-x)), ROUNDING),
    rule("sigmoid(-x) * exp(x)", lambda x: (sigmoid(-x) * exp(x), sigmoid(x)), ROUNDING),
    rule("exp(x) / (1 + exp(x))", lambda x: (exp(x) / (1 + exp(x)), sigmoid(x)), ROUNDING),
    rule(
        "g / (1 + exp(x)) * exp(x)",
        lambda g, x: (g / (1 + exp(x)) * exp(x), g * sigmoid(x)),
        ROUNDING,
    ),
    rule(
        "tanh by exponentials",
        lambda x: ((exp(x) - exp(-x)) / (exp(x) + exp(-x)), tanh(x)),
        ROUNDING,
    ),
)

# --- sums of exponentials -----------------------------------------------------------------------


def _shifted(x, axes):
    """x less its largest over `axes`, and that (0 where it is not finite)."""
    largest = reduce_max(x, axes=axes)
    shift = select(isfinite(largest), largest, full(0, largest.type))
    return x - expand(shift, x.shape, axes), shift


def _is_safe(x):
    """Whether x is already something less its largest: no exponential of it overflows."""
    if x.type.size == 0:
        return True
    if x.op is not sub:
        return False
    shift = x.inputs[1]
    while shift.op in (broadcast, reshape, stop_gradient, select):
        shift = shift.inputs[1 if shift.op is select else 0]
    return shift.op is reduce_max


@rewrite(lambda x, axes: log(reduce_sum(exp(x), axes=axes)), ROUNDING)
def log_of_a_sum_of_exponentials(x, axes):
    """log(sum(exp(x))) is m + log(sum(exp(x - m))) with m the largest x."""
    if _is_safe(x):
        return None
    less, shift = _shifted(x, axes)
    return shift + log(reduce_sum(exp(less), axes=axes))


@rewrite(lambda x: log(reshape(reduce_sum(exp(x)))), ROUNDING)
def log_of_a_reshaped_sum_of_exponentials(x, node):
    """The same, where the sum keeps its axes."""
    if _is_safe(x):
        return None
    return reshape(log(node.inputs[0].inputs[0]), shape=node.shape)


@rewrite(
    lambda x, axes, dims: exp(x) / broadcast(reduce_sum(exp(x), axes=axes), dims=dims), ROUNDING
)
def softmax(x, axes, dims):
    """exp(x) / sum(exp(x)) is the same for x less its largest."""
    return None if _is_safe(x) or dims != kept_axes(x.ndim, axes) else _softmax(x, axes)


def _softmax(x, axes):
    numerator = exp(_shifted(x, axes)[0])
    return numerator / expand(reduce_sum(numerator, axes=axes), x.shape, axes)


@rewrite(
    lambda x, axes, dims: log(exp(x) / broadcast(reduce_sum(exp(x), axes=axes), dims=dims)),
    ROUNDING,
)
def log_of_softmax(x, axes, dims):
    """log(exp(x) / sum(exp(x))) is x - log(sum(exp(x))).

    Only for x less its largest: there both terms have one sign and nothing cancels.
    """
    if not _is_safe(x) or dims != kept_axes(x.ndim, axes):
        return None
    return x - expand(log(reduce_sum(exp(x), axes=axes)), x.shape, axes)


@rewrite(
    lambda g, x, axes, dims: broadcast(g / reduce_sum(exp(x), axes=axes), dims=dims) * exp(x),
    ROUNDING,
)
def gradient_of_log_of_a_sum_of_exponentials(g, x, axes, dims):
    """g / sum(exp(x)) * exp(x) is g times the softmax of x."""
    if _is_safe(x) or dims != kept_axes(x.ndim, axes):
        return None
    return expand(g, x.shape, axes) * _softmax(x, axes)


@rewrite(
    lambda e, g, s, p, axes, dims: (
        e
        * (
            g * broadcast(1 / s, dims=dims)
            + broadcast(reduce_sum(-(g * broadcast(1 / s, dims=dims)) * p, axes=axes), dims=dims)
        )
    ),
    ROUNDING,
)
def gradient_of_a_share(e, g, s, p, axes, dims):
    """e (g / s + sum(-(g / s) p)), with p = e / s, is p (g - sum(g p)): it rounds less, and of e
    and p only one has to be kept. If e is an exponential, p is its softmax and no exponential of a
    large number is left.
    """
    if dims != kept_axes(e.ndim, axes) or not _is_share(p, e, s, axes):
        return None
    return p * (g - expand(reduce_sum(g * p, axes=axes), e.shape, axes))


def _is_share(p, e, s, axes):
    """Whether p is e / s, or what such a softmax became."""
    if p is e / expand(s, e.shape, axes):
        return True
    whole = s.op is reduce_sum and s.inputs[0] is e and s.attrs["axes"] == axes
    return e.op is exp and whole and p is _softmax(e.inputs[0], axes)


# --- fewer roundings ----------------------------------------------------------------------------


@rewrite(lambda x, axes, dims: reduce_sum(broadcast(x, dims=dims), axes=axes), ROUNDING, on="f")
def sum_of_repeated_numbers(x, axes, dims, node):
    """n times the same number is one product, which rounds once."""
    count = math.prod([node.inputs[0].shape[a] for a in axes if a not in dims])
    factor = full(count, node.type)
    exact = float(factor.attrs["value"].array) == count
    return reduce_inside(reduce_sum, x, dims, axes, node) * factor if exact else None


ROUNDINGS = (
    rule("x ** 2", lambda x: (pow_(x, 2), x * x), ROUNDING, on="f"),
    rule("x ** -1", lambda x: (pow_(x, -1), 1 / x), ROUNDING, on="f"),
    sum_of_repeated_numbers,
)

RULES = Rules(
    (
        *(*CANCELLATION, *OVERFLOW, *ROUNDINGS),
        log_of_a_sum_of_exponentials,
        log_of_a_reshaped_sum_of_exponentials,
        softmax,
        log_of_softmax,
        gradient_of_log_of_a_sum_of_exponentials,
        gradient_of_a_share,
    )
)


def stabilize(graph: Graph) -> Graph:
    """Apply every rule of this file until none applies."""
    return RULES.fixpoint(graph, ROUNDING)
