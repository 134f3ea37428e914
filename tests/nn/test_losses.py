"""Losses and activations against plain NumPy in float64, and their gradients."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import special

import jitgrad as ms
from jitgrad import nn

_spec = importlib.util.spec_from_file_location(
    "nn_reference", Path(__file__).with_name("reference.py")
)
ref = sys.modules.setdefault("nn_reference", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(ref)

Array = np.ndarray
rng = np.random.default_rng(3)


def draw(*shape: int, low: float = -2.0, high: float = 2.0) -> Array:
    return rng.uniform(low, high, shape)


def log_softmax(x: Array, axis: int = 1) -> Array:
    return x - special.logsumexp(x, axis, keepdims=True)


# --- losses -------------------------------------------------------------------------------------
# name: (Cell class, settings, inputs, the loss of each element); the first input is differentiated

P, SIGNS = draw(3, 4, low=0.1, high=0.9), np.where(draw(5) > 0, 1.0, -1.0)
Y = np.array([2, 0, 3], np.int32)
SOFT = ref.softmax(draw(3, 4))
WEIGHT = np.array([1.0, 2.0, 0.5, 1.5])
POSITIVE = np.array([0.5, 2.0, 1.0, 3.0])


def sigmoid_bce(x: Array, y: Array) -> Array:
    share = 1 + (POSITIVE - 1) * y
    return (1 - y) * x + share * np.log1p(np.exp(-x))


def triplet(x: Array, p: Array, n: Array) -> Array:
    near, far = (np.linalg.norm(x - v + 1e-6, axis=-1) for v in (p, n))
    return np.maximum(near - far + 1, 0)


def stirling(y: Array) -> Array:
    term = y * np.log(y) - y + 0.5 * np.log(2 * math.pi * y)
    return np.where(y > 1, term, 0)


CASES: dict[str, tuple[type, dict, tuple, Callable]] = {
    "l1": (nn.L1Loss, {}, (draw(3, 4), draw(3, 4)), lambda x, y: abs(x - y)),
    "mae": (nn.MAELoss, {}, (draw(3, 4), draw(4)), lambda x, y: abs(x - y)),
    "mse": (nn.MSELoss, {}, (draw(3, 4), draw(3, 4)), lambda x, y: (x - y) ** 2),
    "smooth_l1": (
        nn.SmoothL1Loss,
        {"beta": 0.5},
        (draw(3, 4), draw(3, 4)),
        lambda x, y: np.where(abs(x - y) < 0.5, (x - y) ** 2, abs(x - y) - 0.25),
    ),
    "huber": (
        nn.HuberLoss,
        {"delta": 0.4},
        (draw(3, 4), draw(3, 4)),
        lambda x, y: np.where(abs(x - y) <= 0.4, (x - y) ** 2 / 2, 0.4 * (abs(x - y) - 0.2)),
    ),
    "cross_entropy": (
        nn.CrossEntropyLoss,
        {},
        (draw(3, 4), Y),
        lambda x, y: -log_softmax(x)[np.arange(3), y],
    ),
    "cross_entropy_smooth": (
        nn.CrossEntropyLoss,
        {"label_smoothing": 0.2},
        (draw(3, 4), Y),
        lambda x, y: -(0.8 * log_softmax(x)[np.arange(3), y] + 0.05 * log_softmax(x).sum(1)),
    ),
    "cross_entropy_of_probabilities": (
        nn.CrossEntropyLoss,
        {},
        (draw(3, 4), SOFT),
        lambda x, y: -(y * log_softmax(x)).sum(1),
    ),
    "cross_entropy_of_images": (
        nn.CrossEntropyLoss,
        {},
        (draw(2, 3, 2), np.array([[0, 2], [1, 1]], np.int32)),
        lambda x, y: -np.take_along_axis(log_softmax(x), y[:, None], 1)[:, 0],
    ),
    "nll": (nn.NLLLoss, {}, (draw(3, 4), Y), lambda x, y: -x[np.arange(3), y]),
    "softmax_sparse": (
        nn.SoftmaxCrossEntropyWithLogits,
        {"sparse": True},
        (draw(3, 4), Y),
        lambda x, y: -log_softmax(x)[np.arange(3), y],
    ),
    "softmax_dense": (
        nn.SoftmaxCrossEntropyWithLogits,
        {},
        (draw(3, 4), SOFT),
        lambda x, y: -(y * log_softmax(x)).sum(1),
    ),
    "kl_div": (nn.KLDivLoss, {}, (draw(3, 4), P), lambda x, y: y * (np.log(y) - x)),
    "bce": (
        nn.BCELoss,
        {"weight": ms.Tensor(WEIGHT)},
        (P, draw(3, 4, low=0, high=1)),
        lambda x, y: -WEIGHT * (y * np.log(x) + (1 - y) * np.log(1 - x)),
    ),
    "bce_with_logits": (
        nn.BCEWithLogitsLoss,
        {"weight": ms.Tensor(WEIGHT), "pos_weight": ms.Tensor(POSITIVE)},
        (draw(3, 4), draw(3, 4, low=0, high=1)),
        lambda x, y: WEIGHT * sigmoid_bce(x, y),
    ),
    "soft_margin": (
        nn.SoftMarginLoss,
        {},
        (draw(5), SIGNS),
        lambda x, y: np.log1p(np.exp(-y * x)),
    ),
    "hinge_embedding": (
        nn.HingeEmbeddingLoss,
        {"margin": 0.7},
        (draw(5), SIGNS),
        lambda x, y: np.where(y == 1, x, np.maximum(0, 0.7 - x)),
    ),
    "cosine_embedding": (
        nn.CosineEmbeddingLoss,
        {"margin": 0.1},
        (draw(5, 3), draw(5, 3), SIGNS),
        lambda a, b, y: np.where(
            y == 1,
            1 - (c := (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)),
            np.maximum(c - 0.1, 0),
        ),
    ),
    "margin_ranking": (
        nn.MarginRankingLoss,
        {"margin": 0.3},
        (draw(5), draw(5), SIGNS),
        lambda a, b, y: np.maximum(0, -y * (a - b) + 0.3),
    ),
    "triplet_margin": (
        nn.TripletMarginLoss,
        {},
        (draw(4, 3), draw(4, 3), draw(4, 3)),
        triplet,
    ),
    "poisson": (
        nn.PoissonNLLLoss,
        {"full": True},
        (draw(3, 4), draw(3, 4, low=0.5, high=3)),
        lambda x, y: np.exp(x) - y * x + stirling(y),
    ),
    "gaussian": (
        nn.GaussianNLLLoss,
        {"full": True},
        (draw(3, 4), draw(3, 4), P),
        lambda x, y, v: 0.5 * (np.log(2 * math.pi * v) + (x - y) ** 2 / v),
    ),
}
REDUCE = {"mean": np.mean, "sum": np.sum, "none": lambda v: v}


def tensors(inputs: tuple) -> list[ms.Tensor]:
    return [ms.Tensor(v) for v in inputs]


@pytest.mark.parametrize(
    ("mode", "reduction"),  # a reduction is a step of its own; one of them is compiled
    [*(("pynative", reduction) for reduction in REDUCE), ("graph", "mean")],
    indirect=["mode"],
)
@pytest.mark.parametrize("name", CASES)
def test_losses(mode: str, name: str, reduction: str) -> None:
    kind, settings, inputs, elements = CASES[name]
    loss = kind(**settings, reduction=reduction)
    reduce = REDUCE[reduction]
    got = loss(*tensors(inputs))
    np.testing.assert_allclose(got.asnumpy(), reduce(elements(*inputs)), rtol=1e-7, atol=1e-10)
    gradient = ms.grad(lambda *a: loss(*a).sum())(*tensors(inputs)).asnumpy()
    ref.assert_gradient(
        lambda x: float(np.sum(reduce(elements(x, *inputs[1:])))), inputs[0], gradient
    )


def test_weighted_classes(mode: str) -> None:
    x, y = draw(3, 4), np.array([2, -1, 3], np.int32)
    each = -log_softmax(x)[np.arange(3), y] * WEIGHT[y]
    wanted = each[[0, 2]].sum() / WEIGHT[[2, 3]].sum()
    settings = {"weight": ms.Tensor(WEIGHT), "ignore_index": -1}
    got = nn.CrossEntropyLoss(**settings)(ms.Tensor(x), ms.Tensor(y))
    assert float(got) == pytest.approx(wanted)
    got = nn.NLLLoss(**settings)(ms.Tensor(log_softmax(x)), ms.Tensor(y))
    assert float(got) == pytest.approx(wanted)


def test_other_losses(mode: str) -> None:
    x, y = draw(3, 4), draw(3, 4)
    a, b = ms.Tensor(x), ms.Tensor(y)
    assert float(nn.RMSELoss()(a, b)) == pytest.approx(np.sqrt(((x - y) ** 2).mean()))
    dice = 1 - (2 * (x * y).sum() + 0.5) / ((x * x).sum() + (y * y).sum() + 0.5)
    assert float(nn.DiceLoss(0.5)(a, b)) == pytest.approx(dice)
    p = ms.Tensor(P)
    wanted = (P * (np.log(P) - x)).sum() / 3
    assert float(nn.KLDivLoss("batchmean")(a, p)) == pytest.approx(wanted)
    rate = P - y * np.log(P + 1e-8)
    assert float(nn.PoissonNLLLoss(log_input=False)(p, b)) == pytest.approx(rate.mean())


BAD: list[tuple[Callable, type[Exception], str]] = [
    (lambda: nn.MSELoss("average"), ValueError, "MSELoss: reduction must be one of"),
    (lambda: nn.SmoothL1Loss(-1.0), ValueError, "beta must be at least 0"),
    (lambda: nn.HuberLoss(delta=0.0), ValueError, "delta must be above 0"),
    (lambda: nn.CrossEntropyLoss(label_smoothing=2.0), ValueError, r"must be in \[0, 1\]"),
    (lambda: nn.SoftmaxCrossEntropyWithLogits(sparse=1), TypeError, "sparse must be a bool"),
    (lambda: nn.CosineEmbeddingLoss(2.0), ValueError, "margin must be between -1 and 1"),
    (
        lambda: nn.SmoothL1Loss()(ms.Tensor([1.0]), ms.Tensor([1.0, 2.0])),
        ValueError,
        r"SmoothL1Loss got shapes \[1\] and \[2\]",
    ),
    (
        lambda: nn.SoftmaxCrossEntropyWithLogits(True)(ms.Tensor([[1.0]]), ms.Tensor([1.0])),
        TypeError,
        "sparse=True takes class numbers",
    ),
]


@pytest.mark.parametrize(("make", "kind", "text"), BAD, ids=[text for *_, text in BAD])
def test_errors(make: Callable, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        make()


# --- activations --------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


ACTIVATIONS: dict[str, tuple[nn.Cell, Callable[[Array], Array]]] = {
    "relu": (nn.ReLU(), lambda x: np.maximum(x, 0)),
    "relu6": (nn.ReLU6(), relu6),
    "sigmoid": (nn.Sigmoid(), sigmoid),
    "logsigmoid": (nn.LogSigmoid(), lambda x: np.log(sigmoid(x))),
    "tanh": (nn.Tanh(), np.tanh),
    "tanhshrink": (nn.Tanhshrink(), lambda x: x - np.tanh(x)),
    "silu": (nn.SiLU(), lambda x: x * sigmoid(x)),
    "mish": (nn.Mish(), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "hswish": (nn.HSwish(), lambda x: x * relu6(x + 3) / 6),
    "hsigmoid": (nn.HSigmoid(), lambda x: relu6(x + 3) / 6),
    "selu": (
        nn.SeLU(),
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    ),
    "softsign": (nn.Softsign(), lambda x: x / (1 + abs(x))),
    "elu": (nn.ELU(0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
    "celu": (nn.CELU(0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x / 0.7))),
    "leakyrelu": (nn.LeakyReLU(), lambda x: np.where(x > 0, x, 0.2 * x)),
    "gelu": (
        nn.GELU(),
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "gelu_exact": (nn.GELU(False), lambda x: 0.5 * x * (1 + special.erf(x / np.sqrt(2)))),
    "fast_gelu": (
        nn.FastGelu(),
        lambda x: x / (1 + np.exp(-1.702 * abs(x))) * np.exp(0.851 * (x - abs(x))),
    ),
    "softplus": (nn.Softplus(2.0), lambda x: np.log1p(np.exp(2 * x)) / 2),
    "softshrink": (nn.SoftShrink(0.3), lambda x: np.sign(x) * np.maximum(abs(x) - 0.3, 0)),
    "hshrink": (nn.HShrink(0.3), lambda x: np.where(abs(x) > 0.3, x, 0)),
    "hardtanh": (nn.Hardtanh(-0.5, 1.5), lambda x: np.clip(x, -0.5, 1.5)),
    "threshold": (nn.Threshold(0.4, -7.0), lambda x: np.where(x > 0.4, x, -7.0)),
    "prelu": (nn.PReLU(), lambda x: np.where(x > 0, x, 0.25 * x)),
    "rrelu": (nn.RReLU(), lambda x: np.where(x >= 0, x, (1 / 8 + 1 / 3) / 2 * x)),
    "softmax": (nn.Softmax(0), lambda x: ref.softmax(x, 0)),
    "softmin": (nn.Softmin(), lambda x: ref.softmax(-x)),
    "logsoftmax": (nn.LogSoftmax(), lambda x: log_softmax(x, -1)),
    "softmax2d": (nn.Softmax2d(), lambda x: ref.softmax(x, -3)),
    "glu": (nn.GLU(1), lambda x: x[:, :1] * sigmoid(x[:, 1:])),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(mode: str, name: str) -> None:
    cell, function = ACTIVATIONS[name]
    for p in cell.get_parameters():
        p.set_dtype(ms.float64)
    x = np.random.default_rng(9).permutation(np.linspace(-3.95, 4, 24)).reshape(3, 2, 4)
    got = cell(ms.Tensor(x))
    np.testing.assert_allclose(got.asnumpy(), function(x), rtol=1e-9, atol=1e-12)
    factors = np.random.default_rng(8).uniform(-1, 1, got.shape)
    share = ms.Tensor(factors)
    gradient = ms.grad(lambda x: (cell(x) * share).sum())(ms.Tensor(x)).asnumpy()
    ref.assert_gradient(lambda x: float((function(x) * factors).sum()), x, gradient)


def test_prelu_learns_one_slope_a_channel(mode: str) -> None:
    cell = nn.PReLU(2, ms.Tensor([0.5, 0.25]))
    x = ms.Tensor([[-2.0, -4.0], [1.0, -8.0]])
    np.testing.assert_allclose(cell(x).asnumpy(), [[-1, -1], [1, -2]])
    got = ms.grad(lambda x: cell(x).sum(), None, cell.w)(x)
    np.testing.assert_allclose(got.asnumpy(), [-2, -12])
    assert cell.w.name == "a"


def test_sampled_softmax(mode: str) -> None:
    rng = np.random.default_rng(4)
    w, b, x = rng.normal(size=(9, 3)), rng.normal(size=9), rng.normal(size=(2, 3))
    true, sampled = np.array([[1, 2], [5, 0]]), np.array([4, 2, 7])
    often, expected = np.full((2, 2), 0.25), np.array([0.5, 0.25, 0.125])
    wanted = []
    for row, classes in zip(x, true, strict=True):
        scores = w[classes] @ row + b[classes] - np.log(0.25)
        kept = ~np.isin(sampled, classes)
        others = (w[sampled] @ row + b[sampled] - np.log(expected))[kept]
        whole = np.log(np.exp(scores).sum() + np.exp(others).sum())
        wanted.append((whole - scores).mean())
    values = tuple(ms.Tensor(v) for v in (sampled, often, expected))
    loss = nn.SampledSoftmaxLoss(3, 9, 2, values)
    operands = [ms.Tensor(v) for v in (w, b, true, x)]
    np.testing.assert_allclose(loss(*operands).asnumpy(), wanted, rtol=1e-6)
    assert nn.SampledSoftmaxLoss(3, 9, 2, reduction="sum")(*operands).shape == ()
    with pytest.raises(ValueError, match="num_sampled=10"):
        nn.SampledSoftmaxLoss(10, 9)


def test_rrelu_is_random_in_training(mode: str) -> None:
    slopes = -nn.RReLU(0.1, 0.3).set_train()(ms.Tensor(-np.ones(1000, np.float32))).asnumpy()
    assert 0.1 <= slopes.min() < 0.11
    assert 0.29 < slopes.max() <= 0.3


def test_get_activation() -> None:
    for name, kind in nn.activations.NAMES.items():
        if name not in ("threshold",):  # which has no defaults
            assert type(nn.get_activation(name)) is kind
    assert nn.get_activation(None) is None
    with pytest.raises(KeyError, match=r"no activation is named 'rellu'; have \['relu'"):
        nn.get_activation("rellu")


BAD_ACTIVATIONS: list[tuple[Callable, str]] = [
    (lambda: nn.Hardtanh(1.0, 0.0), "1.0 is not below 0.0"),
    (lambda: nn.RReLU(0.5, 0.1), "0 <= lower <= upper <= 1"),
    (lambda: nn.GELU("maybe"), "approximate must be a bool"),
    (lambda: nn.PReLU(0), "channel must be a positive int"),
    (lambda: nn.PReLU(3, ms.Tensor([1.0, 2.0])), "2 values of w for 3 channels"),
    (lambda: nn.Softmax2d()(ms.Tensor([1.0])), "three or four axes"),
]


@pytest.mark.parametrize(("make", "text"), BAD_ACTIVATIONS)
def test_activation_errors(make: Callable, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize("wrong", [3, -1])
def test_numbers_that_are_no_class(mode: str, wrong: int) -> None:
    logits, labels = ms.Tensor(np.ones((2, 3), np.float32)), ms.Tensor([0, wrong])
    for reduction in ("none", "mean"):
        loss = nn.SoftmaxCrossEntropyWithLogits(True, reduction)
        with pytest.raises(IndexError):
            loss(logits, labels)
        with pytest.raises(IndexError):
            ms.grad(loss)(logits, labels)
