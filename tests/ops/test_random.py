"""Random functions: the same numbers in both modes, distributions, dropout."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import special, stats

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import ArgumentError

DRAWS = {
    "rand": lambda: ops.rand(3, 4),
    "rand float64": lambda: ops.rand((3, 4), dtype=ms.float64),
    "randn": lambda: ops.randn(5),
    "normal": lambda: ops.normal((2, 3), Tensor([1.0, 2.0, 3.0]), 0.5),
    "uniform": lambda: ops.uniform((4,), -1.0, 2.0),
    "uniform ints": lambda: ops.uniform((4,), 0, 9, dtype=ms.int32),
    "laplace": lambda: ops.laplace((4,), 0.0, 1.0),
    "randint": lambda: ops.randint(-3, 9, (6,)),
    "randperm": lambda: ops.randperm(7),
    "bernoulli": lambda: ops.bernoulli(ops.ones((9,)), 0.3),
    "multinomial": lambda: ops.multinomial(Tensor([0.1, 0.6, 0.3]), 5),
    "without replacement": lambda: ops.multinomial(Tensor([0.1, 0.6, 0.3]), 3, False),
    "dropout": lambda: ops.dropout(ops.ones((20,)), 0.4),
    "dropout2d": lambda: ops.dropout2d(ops.ones((2, 5, 2, 2)), 0.4),
    "shuffle": lambda: ops.shuffle(ops.arange(6)),
    "truncated": lambda: ops.truncated_normal((4,)),
    "gumbel": lambda: ops.gumbel_softmax(ops.zeros((2, 3))),
    "rrelu": lambda: ops.rrelu(-ops.ones((4,))),
    "gamma": lambda: ops.gamma((4,), Tensor([0.3, 1.0, 2.0, 9.0]), Tensor(2.0)),
    "random gamma": lambda: ops.RandomGamma()((5,), Tensor([0.7, 3.0])),
    "poisson": lambda: ops.random_poisson((3,), Tensor([0.5, 4.0, 60.0])),
    "choice": lambda: ops.choice_with_mask(ops.arange(40).reshape(8, 5) % 3 == 0, 9)[0],
    "candidates": lambda: ops.log_uniform_candidate_sampler(Tensor([[3]]), 1, 5, True, 50)[2],
    "uniform candidates": lambda: ops.uniform_candidate_sampler(Tensor([[3]]), 1, 5, False, 50)[0],
    "cauchy": lambda: ops.Cauchy([4])(),
    "log normal": lambda: ops.LogNormalReverse()(ops.ones((3,))),
}


@pytest.mark.parametrize("name", DRAWS)
def test_same_numbers_in_both_modes(name: str) -> None:
    draw = DRAWS[name]

    def several() -> list[np.ndarray]:
        ms.set_seed(3)
        return [draw().asnumpy() for _ in range(3)]

    eager = several()
    assert not all((eager[0] == other).all() for other in eager[1:])
    compiled = ms.jit(lambda x: (draw(), x))
    ms.set_seed(3)
    for wanted in eager:
        found = compiled(Tensor(0.0))[0]
        np.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-5, atol=1e-6)
    for first, second in zip(eager, several()):
        np.testing.assert_array_equal(first, second)


def test_own_seeds() -> None:
    a, b = ops.rand(4, seed=5), ops.rand(4, seed=5)
    np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())
    assert (ops.rand(4, seed=6) != a).any()
    compiled = ms.jit(lambda x: x + ops.rand(4, seed=5))(ops.zeros((4,)))
    np.testing.assert_array_equal(compiled.asnumpy(), a.asnumpy())
    ms.set_seed(1)
    first = ops.rand(2)
    ms.set_seed(1)
    ops.rand(3, seed=9)  # leaves the stream alone
    np.testing.assert_array_equal(ops.rand(2).asnumpy(), first.asnumpy())


def test_distributions() -> None:
    ms.set_seed(0)
    n = 200_000
    unit = ops.rand(n).asnumpy()
    assert 0 <= unit.min() < unit.max() < 1
    assert abs(unit.mean() - 0.5) < 5e-3
    z = ops.normal((n,), 1.0, 2.0).asnumpy()
    assert abs(z.mean() - 1) < 0.03
    assert abs(z.std() - 2) < 0.03
    counts = np.bincount(ops.randint(2, 6, (n,)).asnumpy())
    assert counts[:2].sum() == 0
    assert abs(counts[2:] / n - 0.25).max() < 5e-3
    drawn = np.bincount(ops.multinomial(Tensor([1.0, 0.0, 3.0]), n).asnumpy(), minlength=3) / n
    np.testing.assert_allclose(drawn, [0.25, 0, 0.75], atol=5e-3)
    assert abs(ops.bernoulli(ops.zeros((n,)), 0.3).mean().item() - 0.3) < 5e-3
    laplace = ops.laplace((n,), 2.0, 1.5).asnumpy()
    assert abs(np.abs(laplace - 2).mean() - 1.5) < 0.02
    assert np.abs(ops.truncated_normal((n,)).asnumpy()).max() <= 2
    assert sorted(ops.randperm(50).tolist()) == list(range(50))


def test_gamma_and_poisson() -> None:
    """Against their distributions, by Kolmogorov's and Smirnov's test; its seed is fixed."""
    ms.set_seed(0)
    for alpha in (0.3, 1.0, 4.5):
        drawn = ops.random_gamma((20_000,), Tensor(alpha)).asnumpy()
        assert stats.kstest(drawn, stats.gamma(alpha).cdf).pvalue > 0.01, alpha
    for rate in (0.2, 3.0, 400.0):
        drawn = ops.random_poisson((20_000,), Tensor(rate), dtype=ms.int64).asnumpy()
        grid = np.unique(drawn)
        away = [abs((drawn <= k).mean() - stats.poisson(rate).cdf(k)) for k in grid]
        assert max(away) < 1.63 / 20_000**0.5, rate  # what one of a hundred samples exceeds
    assert not ops.random_poisson((9,), Tensor(0.0)).any()
    assert ops.gamma((3, 1), Tensor([1.0, 2.0]), Tensor(1.0), seed=2).shape == (3, 2)


def test_gamma_moves_with_its_parameter() -> None:
    """dz / dalpha is minus dP / dalpha over the density, for each value drawn."""

    def total(alpha: Tensor) -> Tensor:
        return ops.random_gamma((200,), alpha, seed=7).sum()

    alpha = Tensor(np.array([0.4, 2.5]))
    z = ops.random_gamma((200,), alpha, seed=7).asnumpy()
    h = 1e-5
    slopes = [
        (special.gammainc(a + h, v) - special.gammainc(a - h, v)) / (2 * h * stats.gamma(a).pdf(v))
        for a, v in zip((0.4, 2.5), z.T, strict=True)
    ]
    wanted = [-s.sum() for s in slopes]
    for call in (ms.grad(total), ms.jit(ms.grad(total))):
        np.testing.assert_allclose(call(alpha).asnumpy(), wanted, rtol=1e-5)


def test_choices() -> None:
    ms.set_seed(1)
    mask = np.arange(12).reshape(3, 4) % 5 == 0
    at, known = (v.asnumpy() for v in ops.choice_with_mask(Tensor(mask), 5))
    assert known.tolist() == [True] * 3 + [False] * 2
    assert {tuple(p) for p in at[:3].tolist()} == {tuple(p) for p in np.argwhere(mask).tolist()}
    assert not at[3:].any()
    at, known = ops.choice_with_mask(Tensor(np.array([True])), 3)
    assert (at.tolist(), known.tolist()) == ([[0], [0], [0]], [True, False, False])
    with pytest.raises(ArgumentError, match="choice_with_mask got"):
        ops.choice_with_mask(Tensor([1.0]))


def test_candidates() -> None:
    """What is expected is what is found, on average over samples."""
    ms.set_seed(2)
    true = Tensor([[0, 3], [9, 7]])
    for unique in (True, False):
        counts, total = np.zeros(10), np.zeros((2, 2))
        for _ in range(400):
            draws = ops.log_uniform_candidate_sampler(true, 2, 4, unique, 10)
            counts += np.bincount(draws[0].asnumpy(), minlength=10)
            total += draws[1].asnumpy()
        np.testing.assert_allclose(total / 400, counts[true.asnumpy()] / 400, rtol=0.3)
        found, expected, own = ops.uniform_candidate_sampler(true, 2, 4, unique, 10)
        assert found.dtype is ms.int64
        assert expected.shape == (2, 2)
        np.testing.assert_allclose(own.asnumpy(), 0.4)
    with pytest.raises(ArgumentError, match="num_sampled=11"):
        ops.uniform_candidate_sampler(true, 2, 11, True, 10)
    with pytest.raises(ArgumentError, match="num_true=1"):
        ops.uniform_candidate_sampler(true, 1, 3, True, 10)


def test_dropout() -> None:
    ms.set_seed(0)
    x = ops.ones((1000,))
    y = ops.dropout(x, 0.25).asnumpy()
    kept = y != 0
    assert abs(kept.mean() - 0.75) < 0.05
    np.testing.assert_allclose(y[kept], 1 / 0.75, rtol=1e-6)
    assert ops.dropout(x, 0.25, training=False).tolist() == x.tolist()
    assert ops.dropout(x, 1.0).sum().item() == 0

    def loss(x: Tensor) -> Tensor:
        ms.set_seed(4)
        return ops.dropout(x, 0.5).sum()

    ms.set_seed(4)
    mask = ops.dropout(x, 0.5).asnumpy()
    np.testing.assert_array_equal(ms.grad(loss)(x).asnumpy(), mask)
    whole = ops.dropout2d(ops.ones((3, 8, 2, 2)), 0.5).asnumpy().reshape(24, 4)
    assert (whole == whole[:, :1]).all()
    with pytest.raises(ArgumentError, match=r"dropout got p=1\.5"):
        ops.dropout(x, 1.5)


def test_the_first_draw_may_be_compiled() -> None:
    """In a fresh process, without a seed, each call of compiled code draws other numbers."""
    program = (
        "import jitgrad as ms; from jitgrad import ops;"
        "f = ms.jit(lambda: ops.randn(3)); assert (f() != f()).all()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
