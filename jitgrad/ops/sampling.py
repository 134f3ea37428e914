"""Random numbers that are accepted or looked up: gamma, Poisson, and candidates of classes."""

from __future__ import annotations

import math

import numpy as np

from jitgrad.errors import ArgumentError, fail
from jitgrad.ir.types import bool_, float32, float64, int32, int64
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.gathering import gather, gather_elements
from jitgrad.ops.indexing import getitem
from jitgrad.ops.loops import fori_loop
from jitgrad.ops.loss import xlogy
from jitgrad.ops.promote import cast, constant, expand, floating, shape_of, static, tensor
from jitgrad.ops.random import draw_uniform, joint_shape, multinomial
from jitgrad.ops.rearranging import unravel_index
from jitgrad.ops.scientific import igamma, igammac
from jitgrad.ops.searching import searchsorted
from jitgrad.ops.shaping import ravel, swapaxes
from jitgrad.ops.sorting import topk
from jitgrad.ops.splitting import padded
from jitgrad.tensor import Tensor

# --- gamma and Poisson --------------------------------------------------------------------------

PROPOSALS = 8  # at least 95% of them are accepted: all are refused once in 10**10 draws


def random_gamma(shape, alpha, seed=None):
    """Gamma of shape parameters alpha and scale 1; the result's shape is `shape` + alpha's.

    It is differentiable in alpha, as the value that has the same share of the distribution below
    itself.

    >>> ops.random_gamma((2,), Tensor([0.5, 1.5, 3.0])).shape
    (2, 3)
    """
    alpha = floating("random_gamma", alpha)
    return _gamma(expand(alpha, (*shape_of("random_gamma", shape), *alpha.shape)), seed)


def gamma(shape, alpha, beta, seed=None):
    """Gamma of shape parameters alpha and rates beta; all shapes are broadcast together.

    >>> ops.gamma((4, 1), Tensor([1.0, 2.0]), Tensor(0.5)).shape
    (4, 2)
    """
    alpha, beta = floating("gamma", alpha), floating("gamma", beta)
    shape = joint_shape("gamma", shape_of("gamma", shape), alpha, beta)
    return e.div(_gamma(expand(alpha, shape), seed), beta)


def _gamma(alpha: Tensor, seed) -> Tensor:
    """Marsaglia and Tsang's method (2000), with the derivative of the distribution's inverse."""
    unit = draw_uniform((2 * PROPOSALS + 1, *alpha.shape), alpha.dtype, seed)
    parameter, small = e.stop_gradient(alpha), c.lt(alpha, 1)
    d = e.sub(c.where(small, e.add(parameter, 1), parameter), 1 / 3)
    normal = e.mul(e.erfinv(e.sub(e.mul(unit[:PROPOSALS], 2), 1)), math.sqrt(2))
    v = e.pow(e.add(e.div(normal, e.sqrt(e.mul(d, 9))), 1), 3)
    known = c.gt(v, 0)
    v = c.where(known, v, 1.0)
    bound = e.add(e.mul(e.square(normal), 0.5), e.mul(d, e.add(e.sub(1, v), e.log(v))))
    accepted = c.logical_and(known, c.lt(e.log(unit[PROPOSALS:-1]), bound))
    first = r.argmax(cast(accepted, int32), 0, True)
    value = e.mul(d, getitem(gather_elements(v, 0, first), 0))
    value = c.where(small, e.mul(value, e.pow(unit[-1], e.reciprocal(parameter))), value)
    return _inverse(alpha, e.stop_gradient(value))


def _inverse(alpha: Tensor, value: Tensor) -> Tensor:
    """The value, as a function of alpha: Newton's step for a share that stays the same."""
    share = igamma(alpha, value)
    logarithm = e.sub(e.sub(xlogy(e.sub(alpha, 1), value), value), e.lgamma(alpha))
    density = e.maximum(e.stop_gradient(e.exp(logarithm)), np.finfo(alpha.dtype.numpy).tiny)
    return e.sub(value, e.div(e.sub(share, e.stop_gradient(share)), density))


def random_poisson(shape, rate, seed=None, dtype=float32):
    """Poisson of given rates; the result's shape is `shape` + that of the rates.

    >>> ops.random_poisson((3,), Tensor([0.0, 2.0])).shape
    (3, 2)
    """
    rate = e.stop_gradient(cast(floating("random_poisson", rate), float64))
    rate = expand(rate, (*shape_of("random_poisson", shape), *rate.shape))
    unit = draw_uniform(rate.shape, float64, seed)
    # The smallest count whose distribution is above the uniform number, by halving.
    high = e.floor(e.add(e.add(rate, e.mul(e.sqrt(rate), 12)), 40))

    def halve(_, ends):
        low, high = ends
        middle = e.floor(e.mul(e.add(low, high), 0.5))
        enough = c.gt(igammac(e.add(middle, 1), rate), unit)
        return c.where(enough, low, e.add(middle, 1)), c.where(enough, middle, high)

    _, found = fori_loop(0, 40, halve, (e.mul(rate, 0), high))
    return cast(found, dtype_of(dtype))


# --- choices ------------------------------------------------------------------------------------


def multinomial_with_replacement(x, seed, offset, numsamples, replacement=False):
    """Indices (int64) drawn with the weights along the last axis, for each row.

    Seed and offset of 0 draw from the default generator.

    >>> ops.multinomial_with_replacement(Tensor([[0.0, 9.0, 0.0]]), 2, 5, 2, True).tolist()
    [[1, 1]]
    """
    seed = static("multinomial_with_replacement", "seed", seed)
    offset = static("multinomial_with_replacement", "offset", offset)
    return cast(multinomial(x, numsamples, replacement, seed + offset or None), int64)


def choice_with_mask(input_x, count=256, seed=None):
    """Some places of a boolean Tensor that are True, in random order.

    Returns the places [count, dimensions] (int32) and whether each is one [count], as a tuple:
    where fewer than `count` are True, zeros and False follow.

    >>> at, known = ops.choice_with_mask(Tensor([[True, False], [False, False]]), 2)
    >>> at.tolist(), known.tolist()
    ([[0, 0], [0, 0]], [True, False])
    """
    x = tensor("choice_with_mask", input_x)
    if x.dtype is not bool_ or not x.ndim or count < 1:
        raise fail(
            ArgumentError,
            f"choice_with_mask got {x._type} and count={count}",
            why="it takes bools, and at least one is chosen",
        )
    chosen = min(count, x.size)
    keys = c.where(ravel(x), draw_uniform((x.size,), float32, seed), 2.0)
    keys, flat = topk(keys, chosen, -1, largest=False)
    known = c.lt(keys, 2)
    at = swapaxes(unravel_index(c.where(known, flat, 0), x.shape), 0, 1)
    behind = (0, count - chosen)
    places = padded(cast(at, int32), [behind, (0, 0)], "constant")
    return places, padded(known, [behind], "constant", False)


# --- candidates ---------------------------------------------------------------------------------


def uniform_candidate_sampler(true_classes, num_true, num_sampled, unique, range_max, seed=0,
                              remove_accidental_hits=False):  # fmt: skip
    """Classes 0 … range_max - 1 to contrast true classes with, all equally likely.

    Args:
        true_classes: integers [N, num_true].
        unique: whether no class is drawn twice.
        remove_accidental_hits: kept for MindSpore's programs, which get true classes as well.

    Returns, as a tuple: the classes [num_sampled] (int64), and how often each true class [N,
    num_true] and each of the sampled ones is expected among them (float32).

    >>> found, _, expected = ops.uniform_candidate_sampler(Tensor([[1], [3]]), 1, 4, True, 4)
    >>> sorted(found.tolist()), expected.tolist()
    ([0, 1, 2, 3], [1.0, 1.0, 1.0, 1.0])
    """
    chances = np.full(range_max, 1 / range_max)
    found, true, _ = _candidates("uniform_candidate_sampler", true_classes, num_true, num_sampled,
                                 unique, chances, seed)  # fmt: skip
    share = num_sampled / range_max
    return found, *(e.add(e.mul(cast(at, float32), 0), share) for at in (true, found))


def log_uniform_candidate_sampler(true_classes, num_true=1, num_sampled=5, unique=True, range_max=5,
                                  seed=0):  # fmt: skip
    """Classes 0 … range_max - 1 to contrast true classes with; class k is drawn with the
    probability log((k + 2) / (k + 1)) / log(range_max + 1), as for words ordered by frequency.

    Arguments and results are those of `uniform_candidate_sampler`.

    >>> found, true, expected = ops.log_uniform_candidate_sampler(Tensor([[0], [8]]), range_max=9)
    >>> found.shape, true.shape, bool((true[0] > true[1]).all())
    ((5,), (2, 1), True)
    """
    places = np.arange(range_max)
    chances = np.log((places + 2) / (places + 1)) / math.log(range_max + 1)
    found, true, count = _candidates("log_uniform_candidate_sampler", true_classes, num_true,
                                     num_sampled, unique, chances, seed)  # fmt: skip

    def expected(at: Tensor) -> Tensor:
        chance = gather(constant(chances.astype(np.float32)), at, 0)
        often = e.mul(chance, count)
        return e.neg(e.expm1(e.neg(often))) if unique else often

    return found, expected(true), expected(found)


def _candidates(name, true_classes, num_true, count, unique, chances, seed):
    """Sampled classes, the true ones, and after how many draws there were enough.

    Different classes are the first arrivals of Poisson processes, whose rates are the chances: by
    the last arrival time t a class has come with the probability 1 - exp(-chance t).
    """
    true = tensor(name, true_classes)
    if true.ndim != 2 or true.shape[1] != num_true or not true.dtype.is_int:
        raise fail(
            ArgumentError,
            f"{name} got true classes {true._type} and num_true={num_true}",
            why="it takes integers [N, num_true]",
        )
    if count < 1 or (unique and count > len(chances)):
        raise fail(
            ArgumentError,
            f"{name} got num_sampled={count}",
            why=f"there are {len(chances)} classes to draw from",
        )
    if unique:
        unit = draw_uniform(chances.shape, float32, seed or None)
        times = e.div(e.neg(e.log1p(e.neg(unit))), constant(chances.astype(np.float32)))
        times, found = topk(times, count, -1, largest=False)
        return cast(found, int64), true, getitem(times, -1)
    unit = draw_uniform((count,), float32, seed or None)
    ends = constant(np.cumsum(chances)[:-1].astype(np.float32))
    return searchsorted(ends, unit, right=True), true, count


__all__ = [
    "choice_with_mask", "gamma", "log_uniform_candidate_sampler", "multinomial_with_replacement",
    "random_gamma", "random_poisson", "uniform_candidate_sampler",
]  # fmt: skip
