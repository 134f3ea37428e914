"""Ties, edges, specials, empty and 0-d inputs, and second derivatives where formulas switch."""

from __future__ import annotations

import math

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import ArgumentError

INF, NAN = math.inf, math.nan


def derivative(f, *at: float) -> list[float]:
    return ms.grad(f)(Tensor(np.array(at, np.float64))).tolist()


@pytest.mark.parametrize(
    ("f", "at", "wanted"),
    [
        (ops.relu, 0, 0),
        (ops.abs, 0, 0),
        (ops.sqrt, 0, INF),
        (ops.log, 0, INF),
        (lambda x: ops.clamp(x, -1.0, 1.0), 1, 1),
        (lambda x: ops.clamp(x, -1.0, 1.0), -1, 1),
        (ops.relu6, 0, 0),
        (ops.relu6, 6, 0),
        (lambda x: ops.maximum(x, 2.0), 2, 0.5),
        (lambda x: ops.minimum(x, 2.0), 2, 0.5),
        (ops.norm, 0, NAN),
        (ops.softplus, 0, 0.5),
        (ops.sigmoid, 0, 0.25),
        (ops.sinc, 0, 0),
        (ops.elu, 0, 1),
        (ops.gelu, 0, 0.5),
        (lambda x: ops.pow(x, 2), 0, 0),
        (lambda x: ops.pow(x, 2.5), 0, 0),
        (ops.mish, 0, 0.6),
        (lambda x: ops.where(x > 0, ops.log(x), 0.0), 1, 1),
        (ops.floor, 1.5, 0),
        (lambda x: x.astype(ms.int32).astype(ms.float64), 1.5, 0),
        (lambda x: ops.stop_gradient(x) * x, 3, 3),
    ],
)
def test_derivatives_at_kinks(f, at, wanted) -> None:
    np.testing.assert_allclose(derivative(f, at), [wanted], atol=1e-12)


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (ops.softplus, 0.25),
        (ops.logsigmoid, -0.25),
        (ops.sigmoid, 0.0),
        (ops.sinc, -(math.pi**2) / 3),
        (lambda x: ops.binary_cross_entropy_with_logits(x, ops.ones_like(x)), 0.25),
        (lambda x: ops.logaddexp(x, 0.0), 0.25),
        (ops.silu, 0.5),
        (ops.gelu, 2 / math.sqrt(2 * math.pi)),
        (lambda x: ops.logsumexp(ops.concat((x, x * 2)), 0), 0.25),
    ],
)
def test_second_derivatives_at_zero(f, wanted) -> None:
    second = ms.grad(lambda x: ms.grad(f)(x).sum())(Tensor(np.zeros(1)))
    np.testing.assert_allclose(second.asnumpy(), [wanted], atol=1e-12)


def test_ties_share_equally() -> None:
    assert derivative(lambda x: x.max(), 2, 1, 2) == [0.5, 0, 0.5]
    assert derivative(lambda x: ops.amin(x, 0), 1, 1, 1, 1) == [0.25] * 4


def test_prod_at_zeros() -> None:
    assert derivative(lambda x: x.prod(), 0, 2, 3) == [6, 0, 0]
    assert derivative(lambda x: x.prod(), 0, 0, 3) == [0, 0, 0]
    assert derivative(lambda x: ops.cumprod(x, 0)[-1], 0, 2, 3) == [6, 0, 0]


@pytest.mark.parametrize(
    "name",
    [
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "softplus",
        "gelu",
        "silu",
        "mish",
        "hardswish",
        "hardsigmoid",
        "tanh",
        "sigmoid",
        "softsign",
        "softshrink",
        "hardshrink",
        "logsigmoid",
        "clamp_",
        "abs",
        "sign",
        "floor",
    ],
)
def test_nan_stays(name: str) -> None:
    function = {"clamp_": lambda x: ops.clamp(x, 0.0, 1.0)}.get(name) or getattr(ops, name)
    assert math.isnan(function(Tensor(NAN)).item())


def test_nothing_overflows() -> None:
    x = Tensor(np.array([1000.0, -1000.0, 0.0]))
    for function in (
        ops.softmax,
        ops.log_softmax,
        ops.softplus,
        ops.logsigmoid,
        ops.sigmoid,
        ops.elu,
        ops.selu,
        ops.mish,
        ops.silu,
        ops.gelu,
        ops.celu,
    ):
        assert np.isfinite(function(x).asnumpy()).all()
        assert np.isfinite(ms.grad(lambda x, f=function: f(x)[0] + f(x)[1])(x).asnumpy()).all()
    assert ops.logsumexp(x, 0).item() == 1000.0
    assert ops.hypot(Tensor(1e300, ms.float64), 1e300).item() == pytest.approx(math.sqrt(2) * 1e300)
    logits, target = Tensor([[1e4, -1e4]]), Tensor([1])
    assert ops.cross_entropy(logits, target).item() == 2e4


def test_infinities() -> None:
    low = Tensor([-INF, -INF])
    assert ops.logsumexp(low, 0).item() == -INF
    assert ops.logaddexp(Tensor(-INF), Tensor(-INF)).item() == -INF
    assert ops.logsumexp(Tensor([INF, 0.0]), 0).item() == INF
    assert ops.softmax(Tensor([-INF, 0.0])).tolist() == [0.0, 1.0]
    assert ops.isclose(Tensor([INF, INF, 1.0]), Tensor([INF, -INF, INF])).tolist() == [
        True,
        False,
        False,
    ]
    assert ops.xlogy(Tensor(0.0), Tensor(0.0)).item() == 0.0
    y = Tensor([0.0, -1.0, float("inf"), 2.0])
    slope = ms.grad(lambda x: ops.xlogy(x, y))(Tensor([0.0] * 4))
    np.testing.assert_allclose(slope.asnumpy(), [0, 0, 0, np.log(2)], rtol=1e-6)
    assert ops.nan_to_num(Tensor([NAN, INF, -INF]), 1.0, 2.0, 3.0).tolist() == [1.0, 2.0, 3.0]
    assert ops.signbit(Tensor([-0.0, 0.0, -1.0])).tolist() == [True, False, True]
    assert ops.fmax(Tensor([NAN, 1.0]), Tensor([2.0, NAN])).tolist() == [2.0, 1.0]


EMPTY = {
    "sum": 0.0,
    "prod": 1.0,
    "mean": NAN,
    "var": NAN,
    "std": NAN,
    "norm": 0.0,
    "any": False,
    "all": True,
    "logsumexp": -INF,
    "count_nonzero": 0,
}


@pytest.mark.parametrize("name", EMPTY)
def test_reductions_of_nothing(name: str) -> None:
    x = ops.zeros((0, 3))
    np.testing.assert_equal(getattr(ops, name)(x).item(), EMPTY[name])
    assert getattr(ops, name)(x, axis=1).shape == (0,)
    if name not in ("any", "all", "count_nonzero"):
        assert ms.grad(getattr(ops, name))(x).shape == (0, 3)


@pytest.mark.parametrize("name", ["amax", "amin", "argmax", "argmin", "max", "min"])
def test_extremes_of_nothing(name: str) -> None:
    with pytest.raises(ArgumentError, match=name.replace("max", "max").lstrip("a")[:3]):
        getattr(ops, name)(ops.zeros((0, 3)), 0)
    result = getattr(ops, name)(ops.zeros((0, 3)), 1)
    assert (result[0] if isinstance(result, tuple) else result).shape == (0,)
    assert ops.amax(ops.zeros((0,)), initial=-1.0).item() == -1.0


@pytest.mark.parametrize(
    "call",
    [
        ops.relu,
        ops.softplus,
        ops.sort,
        ops.argsort,
        ops.flatten,
        ops.ravel,
        ops.log_softmax,
        ops.softmax,
        lambda x: ops.cumsum(x, 0),
        lambda x: ops.concat((x, x)),
        lambda x: ops.flip(x, 0),
        lambda x: ops.roll(x, 1, 0),
        lambda x: ops.tile(x, (2, 1)),
        lambda x: ops.layer_norm(x, (3,)),
        lambda x: ops.matmul(x, ops.ones((3, 2))),
        lambda x: ops.split(x, 2, 1),
        lambda x: ops.pad(x, (1, 1)),
        lambda x: ops.cummax(x, 0),
        lambda x: ops.one_hot(ops.argmax(x, 1), 3),
        lambda x: ops.gather(x, Tensor([0, 2]), 1),
        lambda x: ops.repeat_interleave(x, 2, 0),
        lambda x: x[1:],
        lambda x: ops.diff(x),
        lambda x: ops.einsum("ij,kj->ik", x, x),
        ops.transpose,
        lambda x: ops.logcumsumexp(x, 0),
        lambda x: ops.tensor_scatter_add(ops.ones((2, 3)), ops.zeros((0, 1), ms.int32), x),
    ],
)
def test_empty_inputs(call) -> None:
    x = ops.zeros((0, 3))
    results = call(x, (1, 0)) if call is ops.transpose else call(x)
    assert all(
        0 in r.shape or r.shape == (2, 3)
        for r in (results if isinstance(results, tuple) else (results,))
    )


def test_empty_images() -> None:
    assert ops.conv2d(ops.zeros((0, 2, 4, 4)), ops.ones((3, 2, 2, 2))).shape == (0, 3, 3, 3)
    assert ops.max_pool2d(ops.zeros((0, 2, 4, 4)), 2).shape == (0, 2, 2, 2)


@pytest.mark.parametrize(
    "call",
    [
        ops.relu,
        ops.sum,
        ops.mean,
        ops.var,
        ops.softmax,
        ops.log_softmax,
        ops.amax,
        ops.sort,
        ops.argmax,
        ops.logsumexp,
        ops.norm,
        lambda x: ops.cumsum(x, 0),
        lambda x: ops.flip(x, ()),
        lambda x: ops.max(x, 0),
        lambda x: ops.stack((x, x)),
        ops.reshape,
        ops.expand_dims,
        lambda x: ops.mse_loss(x, x),
        lambda x: x[...],
        lambda x: x[None],
        lambda x: ops.topk(x, 1),
        ops.t,
        ops.flatten,
        ops.median,
        lambda x: ops.quantile(x, 0.5),
        lambda x: ops.sum(x, -1),
        lambda x: ops.masked_fill(x, x > 0, 1.0),
        lambda x: ops.roll(x, 1),
        lambda x: ops.tile(x, (2,)),
        lambda x: ops.broadcast_to(x, (2, 1)),
        lambda x: ops.cummax(x, 0),
    ],
)
def test_zero_dimensional_inputs(call) -> None:
    x = Tensor(1.5)
    extra = {ops.reshape: ((1,),), ops.expand_dims: (0,)}.get(call, ())
    result = call(x, *extra)
    first = result[0] if isinstance(result, tuple) else result
    assert isinstance(first, Tensor)
    if first.dtype.is_float:

        def loss(x):
            result = call(x, *extra)
            return (result[0] if isinstance(result, tuple) else result).sum()

        assert ms.grad(loss)(x).shape == ()


FRESH = [
    lambda x: ops.roll(x, 0, 0),
    lambda x: ops.tile(x, (1,)),
    lambda x: ops.cast(x, ms.float32),
    lambda x: x.astype(ms.float32),
    lambda x: ops.concat((x,)),
    lambda x: ops.dropout(x, 0.5, False),
    lambda x: ops.broadcast_to(x, (2, 2)),
    lambda x: ops.pad(x, (0, 0)),
    lambda x: x.copy(),
    lambda x: +x,
    lambda x: x.to(ms.float32),
    lambda x: ops.stop_gradient(x),
    lambda x: x**1,
    lambda x: ops.identity(x),
    lambda x: x.clone(),
    lambda x: ops.flip(x, ()),
    lambda x: ops.real(x),
    lambda x: ops.sum(x, ()),
    lambda x: ops.mean(ops.mean(x, 0, True) + x, ()),
]


@pytest.mark.parametrize("call", FRESH)
def test_results_are_new_tensors(call) -> None:
    """A write to a result never reaches the operand, whether or not there was anything to do."""
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    y = call(x)
    assert y is not x
    y += 1.0
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_float64_is_accurate() -> None:
    x = Tensor(1e8 + np.array([4.0, 7.0, 13.0, 16.0]))
    assert ops.var(x).item() == 22.5
    y = Tensor(np.array([0.1]))
    assert (y * 0.1).item() == 0.1 * 0.1
    assert ops.lerp(y, Tensor(np.array([0.7])), 0.3).item() == pytest.approx(0.28, abs=1e-16)
    assert ops.masked_fill(y, Tensor([True]), 0.1).item() == 0.1
    assert ops.full((1,), 0.1, dtype=ms.float64).item() == 0.1
    assert ops.tensor_scatter_update(y, Tensor([[0]]), 0.3).item() == 0.3


@pytest.mark.parametrize(("exponent", "root"), [(0.5, ops.sqrt), (-0.5, ops.rsqrt)])
def test_powers_of_a_half_are_roots(exponent: float, root) -> None:
    x = Tensor(np.array([0.0, 2.0, 1e-310, INF, NAN, -1.0]))
    np.testing.assert_array_equal((x**exponent).asnumpy(), root(x).asnumpy())
    power, same = (ms.grad(f)(x) for f in (lambda v: v**exponent, root))
    np.testing.assert_array_equal(power.asnumpy(), same.asnumpy())
    np.testing.assert_array_equal(ms.jit(lambda v: v**exponent)(x).asnumpy(), root(x).asnumpy())


def test_hardswish_of_infinities() -> None:
    x = Tensor([math.inf, -math.inf, 3.0, -3.0])
    wanted = [1.0, 0.0, 1.5, -0.5]
    assert ms.grad(ops.hardswish)(x).tolist() == wanted
    assert ms.jvp(ops.hardswish, x, ops.ones_like(x))[1].tolist() == wanted


def test_axes_that_are_not_there() -> None:
    """Code for MindSpore catches a ValueError, for PyTorch an IndexError."""
    for error in (IndexError, ValueError):
        for call in (ops.sum, ops.softmax, ops.expand_dims, ops.cumsum):
            with pytest.raises(error, match="got axis 5 for a Tensor of 1 dimensions"):
                call(ops.ones(3), 5)


def test_diagonals_of_any_rank() -> None:
    x = ops.arange(6).reshape(2, 3)
    assert ops.diag(x)[1, 2, 1, 2].item() == 5
    assert ops.DiagPart()(ops.diag(x)).tolist() == x.tolist()
