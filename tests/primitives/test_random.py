"""Random numbers: the generator's published form, distributions, reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jitgrad.errors import ArgumentError, DTypeError
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, constant, input_node
from jitgrad.ir.types import TensorType, float16, float32, float64, int8, int32, int64, uint8
from jitgrad.ir.types import uint64 as u64
from jitgrad.primitives import random

KEY, COUNTER = (input_node(n, TensorType(u64, ())) for n in ("key", "counter"))


def draw(function, *args, seed=0, counter=0, **options):
    node = function(KEY, COUNTER, *args, **options)
    key = np.array(random.make_key(seed), np.uint64)
    (array,) = interpret(Graph("draw", [KEY, COUNTER], [node]), [key, np.array(counter, np.uint64)])
    return array


def squares32(counter: int, key: int) -> int:
    """The paper's C function, on Python integers."""
    mask = 2**64 - 1
    x = y = counter * key & mask
    z = y + key & mask
    for weyl in (y, z, y):
        x = (x * x + weyl) & mask
        x = (x >> 32 | x << 32) & mask
    return (x * x + z & mask) >> 32


# --- keys ---------------------------------------------------------------------------------------


def test_keys_have_the_form_the_generator_needs():
    keys = [random.make_key(seed) for seed in range(2000)]
    assert len(set(keys)) == len(keys)
    for key in keys:
        digits = f"{key:016x}"[::-1]
        low, high = digits[:8], digits[8:]
        assert key % 2 == 1
        assert "0" not in digits
        assert len(set(low)) == len(set(high)) == 8
        assert low[-1] != high[0]


def test_seeds_are_taken_modulo_two_to_the_64():
    assert random.make_key(-1) == random.make_key(2**64 - 1)
    assert random.make_key(2**64 + 5) == random.make_key(5)
    assert random.make_key(0) == 0x6B98C7F4C463E17F  # for ever


# --- bits ---------------------------------------------------------------------------------------


def test_bits_are_the_papers():
    key = random.make_key(3)
    start = 2**64 - 4  # the counter wraps
    got = draw(random.random_bits, (2, 5), seed=3, counter=start)
    want = [squares32((start + i) % 2**64, key) for i in range(10)]
    np.testing.assert_array_equal(got.reshape(-1), np.array(want, np.uint64))


def test_each_bit_is_fair_and_neighbours_are_independent():
    bits = draw(random.random_bits, (1 << 16,), seed=5)
    ones = np.array([(bits >> np.uint64(b) & np.uint64(1)).sum() for b in range(32)], float)
    z = (ones - 2**15) / 2**7
    assert np.abs(z).max() < 4.5
    flips = bits[1:] ^ bits[:-1]
    ones = np.array([(flips >> np.uint64(b) & np.uint64(1)).sum() for b in range(32)], float)
    assert np.abs((ones - 2**15) / 2**7).max() < 4.5


def test_streams_of_seeds_and_counters_differ():
    a, b = (draw(random.uniform, (5000,), float64, seed=s) for s in (1, 2))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.06
    size = random.consumed(random.uniform, (5000,), float64)
    assert size == 10000
    c = draw(random.uniform, (5000,), float64, seed=1, counter=size)
    assert not np.intersect1d(a, c).size


@pytest.mark.parametrize("draws", [
    (random.uniform, (7, 3), float32), (random.normal, (7, 3), float64),
    (random.bernoulli, (7, 3), 0.3), (random.randint, (7, 3), -5, 9), (random.permutation, 11),
])  # fmt: skip
def test_reproducible(draws):
    np.testing.assert_array_equal(draw(*draws, seed=9), draw(*draws, seed=9))
    assert (draw(*draws, seed=9) != draw(*draws, seed=10)).any()
    assert (draw(*draws, seed=9) != draw(*draws, seed=9, counter=100)).any()


# --- distributions ------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "bits"), [(float16, 11), (float32, 24), (float64, 53)])
def test_uniform(dtype, bits):
    u = draw(random.uniform, (200, 100), dtype)
    assert u.dtype == dtype.numpy
    u = u.astype(float).reshape(-1)
    assert u.min() >= 0
    assert u.max() < 1
    np.testing.assert_array_equal(u * 2.0**bits, np.floor(u * 2.0**bits))
    if bits > 11:
        assert stats.kstest(u, "uniform").pvalue > 1e-3
        assert (u * 2.0**bits % 2 == 1).mean() == pytest.approx(0.5, abs=0.02)  # the last bit
    assert stats.chisquare(np.histogram(u, 64, (0, 1))[0]).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [float32, float64])
def test_normal(dtype):
    z = draw(random.normal, (40000,), dtype, seed=4)
    assert z.dtype == dtype.numpy
    assert stats.kstest(z.astype(float), "norm").pvalue > 1e-3
    tails = [(z < -3).sum(), (z > 3).sum()]
    assert all(25 < n < 95 for n in tails)  # 54 expected
    assert abs(stats.kurtosis(z)) < 0.15
    assert draw(random.normal, (4,), float16).dtype == np.float16


def test_the_logarithm_of_normal_is_never_of_zero():
    for dtype, words in ((float32, 1), (float64, 2)):
        for word, bounds in ((0, (1e-20, 2.0**-32)), (2**32 - 1, (0.999, 1.0))):
            nodes = [constant(np.array([word], np.uint64))] * words
            u = random._fine_fraction(nodes, dtype)
            (got,) = interpret(Graph("u", [], [u]), [])
            assert bounds[0] < got[0] <= bounds[1]


def test_bernoulli():
    assert draw(random.bernoulli, (30000,), 0.3).mean() == pytest.approx(0.3, abs=0.01)
    assert not draw(random.bernoulli, (500,), 0.0).any()
    assert draw(random.bernoulli, (500,), 1.0).all()
    p = constant(np.array([[0.1, 0.9]] * 5000, np.float32))
    got = draw(random.bernoulli, (5000, 2), p)
    np.testing.assert_allclose(got.mean(0), [0.1, 0.9], atol=0.02)
    assert draw(random.bernoulli, (3,), constant(np.float32(1))).all()


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(0, 10, int32), (-3, 4, int8), (250, 256, uint8), (5, 6, int64)]
)
def test_randint(low, high, dtype):
    got = draw(random.randint, (20000,), low, high, dtype)
    assert got.dtype == dtype.numpy
    counts = np.bincount(got.astype(int) - low)
    assert len(counts) == high - low
    assert high - low == 1 or stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(-(2**63), 2**63, int64), (0, 2**64, u64), (-(2**31), 2**31, int32), (-(2**40), 7, int64)],
)
def test_randint_of_wide_ranges(low, high, dtype):
    got = draw(random.randint, (20000,), low, high, dtype).astype(float)
    assert stats.kstest((got - low) / (high - low), "uniform").pvalue > 1e-3
    words = 1 if high - low <= 2**32 else 2
    assert random.consumed(random.randint, (3, 4), dtype, high - low) == 12 * words


def test_permutation():
    got = draw(random.permutation, 1000)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(np.sort(got), np.arange(1000))
    first = [draw(random.permutation, 5, seed=s, dtype=int64)[0] for s in range(500)]
    assert stats.chisquare(np.bincount(first, minlength=5)).pvalue > 1e-3
    assert draw(random.permutation, 0).shape == (0,)


def test_shapes_without_elements_and_without_axes():
    assert draw(random.normal, (0, 3), float32).shape == (0, 3)
    assert draw(random.uniform, (), float64).shape == ()
    assert random.consumed(random.normal, (), float32) == 2
    assert random.consumed(random.normal, (0, 3), float64) == 0


def test_errors():
    with pytest.raises(DTypeError, match="uniform got dtype Int32"):
        random.uniform(KEY, COUNTER, (3,), int32)
    with pytest.raises(ArgumentError, match="low=3, high=3"):
        random.randint(KEY, COUNTER, (3,), 3, 3)
    with pytest.raises(ArgumentError, match=r"-128 <= low < high <= 128"):
        random.randint(KEY, COUNTER, (3,), 0, 200, int8)
    with pytest.raises(DTypeError, match=r"both are u64\[\]"):
        random.uniform(constant(np.zeros(2)), COUNTER, (3,), float32)
