"""Where functions are tried: every exponent, every boundary."""

from __future__ import annotations

import itertools

import numpy as np

from tests.codegen.vecmath.yardstick import INF, NAN, TYPES

# where functions change their formula, or their results become constant
TURNS = [2.0**-28, 2.0**-13, 0.25, 0.5, 0.55, 0.5**0.5, 0.75, np.pi / 4, 0.84, 0.85, 0.9966,
         1, 1.25, 1.3, 2**0.5, 1.5, 2.5, 4, 4.1, 6, 6.1, 7.5, 9.01, 10, 10.2, 20, 27.3, 40, 89,
         104, 128, 149, 710, 746, 1024, 1075, 2.0**15, 2.0**28, 2.0**30, 2.0**60]  # fmt: skip


def specials(dtype):
    """±0, ±inf, nan, the ends of the formats, numbers next to 1 and thresholds of the functions."""
    info = np.finfo(dtype)
    positive = [0, 1, 2, 3, 0.5, 1.5, 10, INF, info.max, info.tiny, info.smallest_subnormal,
                1 + info.eps, 1 - info.epsneg, info.tiny * (1 - info.eps), np.pi, np.pi / 2,
                88.722839, 88.72284, 103.27893, 103.97208, 709.7827128933840, 709.782712893385,
                744.4400719213812, 745.1332191019412, 89.415985, 710.4758600739439]  # fmt: skip
    values = np.array(positive + [-x for x in positive] + [NAN], dtype=np.float64)
    with np.errstate(all="ignore"):
        values = values.astype(dtype)
        return np.concatenate([values, np.nextafter(values, dtype(INF))])


def around(dtype):
    """Numbers next to every turn: the nearest hundred, and some further away."""
    turns = np.array(TURNS, dtype)[:, None]
    steps = np.concatenate([np.arange(-50, 51), 7 ** np.arange(3, 8), -(7 ** np.arange(3, 8))])
    near = (turns + steps * np.spacing(turns)).astype(dtype).ravel()
    return np.concatenate([near, -near])


def dense_float32():
    """Every exponent, subnormals too, with 150 mantissas each, and the specials."""
    rng = np.random.default_rng(1)
    exponent = np.repeat(np.arange(255, dtype=np.uint32), 150)
    mantissa = rng.integers(0, 1 << 23, exponent.size, dtype=np.uint32)
    half = (exponent << np.uint32(23) | mantissa).view(np.float32)
    spread = rng.uniform(-12, 12, 60_000).astype(np.float32)
    unit = rng.uniform(-1, 1, 20_000).astype(np.float32)
    return np.concatenate([half, -half, spread, unit, specials(np.float32), around(np.float32)])


def sampled_float64(size):
    """All exponents, and more where the functions are not constant, in every proportion."""
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 1 << 64, size, dtype=np.uint64).view(np.float64)
    near = rng.choice([-1, 1], size) * 2.0 ** rng.uniform(-60, 12, size)
    inside = [rng.uniform(-12, 12, size), rng.uniform(-1, 1, size)]
    edges = [specials(np.float64), around(np.float64)]
    return np.concatenate([bits[np.isfinite(bits)], near, *inside, *edges])


FLOAT32 = dense_float32()
FLOAT64 = sampled_float64(20_000)


CORNERS = [0.0, 1, 2, 0.5, 3, INF, 1.5, 1e-45, 5e-324, 3e38, 1e300, 2.0**23 + 0.5, 2.0**24 - 1,
           2.0**52 + 0.5, 2.0**53 - 1, 2.0**53]  # fmt: skip


def corner_pairs(dtype):
    values = np.array([s * v for v in CORNERS for s in (1, -1)] + [NAN])
    with np.errstate(all="ignore"):
        values = values.astype(dtype)
    return (np.array(column) for column in zip(*itertools.product(values, values)))


def integer_pairs(dtype):
    info = np.iinfo(TYPES[dtype])
    values = {info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 7, 10, 100}
    values |= {-v for v in values if info.min <= -v <= info.max}
    pairs = itertools.product(sorted(values), repeat=2)
    return (np.array(column, TYPES[dtype]) for column in zip(*pairs))
