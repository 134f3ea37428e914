"""Optimizers against the same rules in NumPy, in both modes; rates, groups, schedules, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn

Array = np.ndarray
STEPS = 5
RATE = np.float32(0.05)  # a learning rate is a float32 Parameter


def start() -> dict[str, Array]:
    rng = np.random.default_rng(7)
    return {"w": rng.uniform(-1, 1, (3, 2)), "b": rng.uniform(-1, 1, 2)}


def gradient(values: dict[str, Array], step: int) -> dict[str, Array]:
    """Of some smooth function that changes from step to step."""
    return {k: np.sin(3 * v + step) + 0.5 * v for k, v in values.items()}


class Rule:
    """One parameter's update in NumPy: `state` starts empty."""

    def __init__(self, **settings: Any):
        self.settings, self.state, self.t = settings, {}, 0

    def get(self, name: str, like: Array, first: float = 0.0) -> Array:
        return self.state.get(name, np.full_like(like, first))


class SGD(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        momentum, damp = self.settings.get("momentum", 0), self.settings.get("dampening", 0)
        g = g + self.settings.get("decay", 0) * p
        if momentum:
            v = g if "v" not in self.state else momentum * self.state["v"] + (1 - damp) * g
            self.state["v"] = v
            g = g + momentum * v if self.settings.get("nesterov") else v
        return p - RATE * g


class Momentum(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        g = g + self.settings.get("decay", 0) * p
        v = self.state["v"] = 0.9 * self.get("v", p) + g
        return p - RATE * v


class Adam(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        self.t += 1
        m = self.state["m"] = 0.8 * self.get("m", p) + 0.2 * g
        v = self.state["v"] = 0.95 * self.get("v", p) + 0.05 * g * g
        if self.settings.get("amsgrad"):
            v = self.state["h"] = np.maximum(self.get("h", p), v)
        ahead = 0.8 * m + 0.2 * g if self.settings.get("nesterov") else m
        rate = RATE * math.sqrt(1 - 0.95**self.t) / (1 - 0.8**self.t)
        return p - rate * ahead / (np.sqrt(v) + 1e-6)


class AdamWeightDecay(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        m = self.state["m"] = 0.9 * self.get("m", p) + 0.1 * g
        v = self.state["v"] = 0.999 * self.get("v", p) + 0.001 * g * g
        return p - RATE * (m / (np.sqrt(v) + 1e-6) + 0.1 * p)


class AdaMax(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        self.t += 1
        m = self.state["m"] = 0.9 * self.get("m", p) + 0.1 * g
        v = self.state["v"] = np.maximum(0.999 * self.get("v", p), np.abs(g))
        return p - RATE / (1 - 0.9**self.t) * m / (v + 1e-8)


class AdaFactor(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        self.t += 1
        share, square = 1 - self.t**-0.8, g * g + 1e-30
        if p.ndim > 1:
            r = share * self.get("r", p[:, 0]) + (1 - share) * square.mean(1)
            c = share * self.get("c", p[0]) + (1 - share) * square.mean(0)
            self.state |= {"r": r, "c": c}
            mean_square = np.outer(r, c) / r.mean()
        else:
            mean_square = self.state["v"] = share * self.get("v", p) + (1 - share) * square
        u, rate = g / np.sqrt(mean_square), RATE
        if self.settings.get("relative"):
            rate = min(self.t**-0.5, 1e-6 * self.t) * max(np.sqrt((p * p).mean()), 1e-3)
        u = rate * u / max(1, np.sqrt((u * u).mean()) / 0.5)
        m = self.state["m"] = 0.9 * self.get("m", p) + 0.1 * u
        return p - 0.1 * rate * p - m


class Lamb(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        self.t += 1
        m = self.state["m"] = 0.9 * self.get("m", p) + 0.1 * g
        v = self.state["v"] = 0.999 * self.get("v", p) + 0.001 * g * g
        u = m / (1 - 0.9**self.t) / (np.sqrt(v / (1 - 0.999**self.t)) + 1e-6) + 0.1 * p
        return p - RATE * np.linalg.norm(p) / np.linalg.norm(u) * u


class Adagrad(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        a = self.state["a"] = self.get("a", p, 0.1) + g * g
        return p - RATE * g / np.sqrt(a)


class Adadelta(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        a = self.state["a"] = 0.9 * self.get("a", p) + 0.1 * g * g
        d = self.get("d", p)
        u = np.sqrt(d + 1e-6) / np.sqrt(a + 1e-6) * g
        self.state["d"] = 0.9 * d + 0.1 * u * u
        return p - RATE * u


class RMSProp(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        s = self.state["s"] = 0.9 * self.get("s", p, 1.0) + 0.1 * g * g
        if self.settings.get("centered"):
            mean = self.state["g"] = 0.9 * self.get("g", p) + 0.1 * g
            s = s - mean * mean
        m = self.settings.get("momentum", 0) * self.get("m", p) + RATE * g / np.sqrt(s + 1e-10)
        self.state["m"] = m
        return p - m


class Rprop(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        agree = np.sign(g * self.get("g", p))
        size = self.get("size", p, RATE) * np.where(agree > 0, 1.2, np.where(agree < 0, 0.5, 1))
        self.state["size"] = size = np.clip(size, 1e-6, 50)
        g = self.state["g"] = np.where(agree < 0, 0, g)
        return p - np.sign(g) * size


class ASGD(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        eta = RATE / (1 + 1e-4 * RATE * self.t) ** 0.75
        self.t += 1
        return p * (1 - 1e-4 * eta) - eta * g


class FTRL(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        a, power = self.get("a", p, 0.1), self.settings["power"]
        b = self.state["a"] = a + g * g
        z = self.state["z"] = self.get("z", p) + g - (b**power - a**power) / RATE * p
        new = (np.sign(z) * 0.3 - z) / (b**power / RATE + 2 * 0.2)
        return np.where(np.abs(z) > 0.3, new, 0)


class ProximalAdagrad(Rule):
    def __call__(self, p: Array, g: Array) -> Array:
        a = self.state["a"] = self.get("a", p, 0.1) + g * g
        e = RATE / np.sqrt(a)
        q = p - e * g
        return np.sign(q) * np.maximum(np.abs(q) - e * 0.3, 0) / (1 + e * 0.2)


R = float(RATE)
RULES: dict[str, tuple[Callable[[Any], nn.Optimizer], Callable[[], Rule]]] = {
    "sgd": (lambda p: nn.SGD(p, R), SGD),
    "sgd_decay": (lambda p: nn.SGD(p, R, weight_decay=0.1), lambda: SGD(decay=0.1)),
    "sgd_momentum": (
        lambda p: nn.SGD(p, R, momentum=0.8, dampening=0.3),
        lambda: SGD(momentum=0.8, dampening=0.3),
    ),
    "sgd_nesterov": (
        lambda p: nn.SGD(p, R, momentum=0.8, nesterov=True),
        lambda: SGD(momentum=0.8, nesterov=True),
    ),
    "momentum": (lambda p: nn.Momentum(p, R, 0.9), Momentum),
    "momentum_nesterov": (
        lambda p: nn.Momentum(p, R, 0.9, weight_decay=0.1, use_nesterov=True),
        lambda: Momentum(decay=0.1),  # see the class: nothing but a setting
    ),
    "adam": (lambda p: nn.Adam(p, R, 0.8, 0.95, 1e-6), Adam),
    "adam_nesterov": (
        lambda p: nn.Adam(p, R, 0.8, 0.95, 1e-6, use_nesterov=True),
        lambda: Adam(nesterov=True),
    ),
    "adam_amsgrad": (
        lambda p: nn.Adam(p, R, 0.8, 0.95, 1e-6, use_amsgrad=True),
        lambda: Adam(amsgrad=True),
    ),
    "adam_weight_decay": (lambda p: nn.AdamWeightDecay(p, R, weight_decay=0.1), AdamWeightDecay),
    "adamax": (lambda p: nn.AdaMax(p, R), AdaMax),
    "adafactor": (
        lambda p: nn.AdaFactor(
            p, R, clip_threshold=0.5, weight_decay=0.1, scale_parameter=False, relative_step=False
        ),
        AdaFactor,
    ),
    "adafactor_relative": (
        lambda p: nn.AdaFactor(p, clip_threshold=0.5, weight_decay=0.1, warmup_init=True),
        lambda: AdaFactor(relative=True),
    ),
    "lamb": (lambda p: nn.Lamb(p, R, weight_decay=0.1), Lamb),
    "adagrad": (lambda p: nn.Adagrad(p, learning_rate=R), Adagrad),
    "adadelta": (lambda p: nn.Adadelta(p, R), Adadelta),
    "rmsprop": (lambda p: nn.RMSProp(p, R), RMSProp),
    "rmsprop_centered": (
        lambda p: nn.RMSProp(p, R, momentum=0.5, centered=True),
        lambda: RMSProp(momentum=0.5, centered=True),
    ),
    "rprop": (lambda p: nn.Rprop(p, R), Rprop),
    "asgd": (lambda p: nn.ASGD(p, R), ASGD),
    "ftrl": (lambda p: nn.FTRL(p, learning_rate=R, l1=0.3, l2=0.2), lambda: FTRL(power=0.5)),
    "ftrl_power": (
        lambda p: nn.FTRL(p, learning_rate=R, lr_power=-0.75, l1=0.3, l2=0.2),
        lambda: FTRL(power=0.75),
    ),
    "proximal_adagrad": (
        lambda p: nn.ProximalAdagrad(p, learning_rate=R, l1=0.3, l2=0.2),
        ProximalAdagrad,
    ),
}


def parameters(dtype: ms.DType | None = None) -> list[ms.Parameter]:
    return [ms.Parameter(ms.Tensor(v, dtype), name=k) for k, v in start().items()]


def gradients_of(held: list[ms.Parameter], step: int) -> tuple[ms.Tensor, ...]:
    values = {p.name: p.asnumpy().astype(np.float64) for p in held}
    found = gradient(values, step)
    return tuple(ms.Tensor(found[p.name], p.dtype) for p in held)


def run(optimizer: nn.Optimizer, held: list[ms.Parameter], steps: int = STEPS) -> list[Array]:
    for step in range(steps):
        assert optimizer(gradients_of(held, step)) is True
    return [p.asnumpy() for p in held]


def expected(rules: dict[str, Rule], steps: int = STEPS) -> list[Array]:
    values = start()
    for step in range(steps):
        g = gradient(values, step)
        values = {k: rules[k](v, g[k]) for k, v in values.items()}
    return list(values.values())


@pytest.mark.parametrize("name", RULES)
def test_rules(mode: str, name: str) -> None:
    make, rule = RULES[name]
    held = parameters()
    got = run(make(held), held)
    # Powers of beta are kept in float32, the rest is float64.
    tolerance = 1e-5 if name in ("adam", "adam_nesterov", "adam_amsgrad", "lamb") else 2e-7
    for a, b in zip(got, expected({k: rule() for k in start()}), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_float16_parameters_stay_float16(mode: str) -> None:
    held = parameters(ms.float16)
    run(nn.Adam(held, 0.01), held)
    assert [p.dtype for p in held] == [ms.float16] * 2


# --- settings -----------------------------------------------------------------------------------


def test_loss_scale(mode: str) -> None:
    plain, scaled = parameters(), parameters()
    a, b = (
        nn.Momentum(plain, 0.1, 0.9, weight_decay=0.2),
        nn.Momentum(scaled, 0.1, 0.9, weight_decay=0.2, loss_scale=4.0),
    )
    for step in range(3):
        a(gradients_of(plain, step))
        b(tuple(g * 4 for g in gradients_of(scaled, step)))
    for p, q in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(p.asnumpy(), q.asnumpy(), rtol=1e-12)


def test_decay_leaves_norms_alone(mode: str) -> None:
    held = [ms.Parameter(ms.Tensor([1.0]), name=n) for n in ("w", "bn.gamma", "bn.beta")]
    zeros = tuple(ms.Tensor([0.0]) for _ in held)
    nn.Momentum(held, 0.5, 0.0, weight_decay=0.1)(zeros)
    assert [round(float(p), 6) for p in held] == [0.95, 1, 1]
    nn.SGD(held, 0.5, weight_decay=0.1)(zeros)
    assert [round(float(p), 6) for p in held] == [0.9025, 0.95, 0.95]


def test_groups(mode: str) -> None:
    w, b, c = (ms.Parameter(ms.Tensor([1.0, 3.0]), name=n) for n in "wbc")
    groups = [
        {"params": [w], "lr": 0.1, "weight_decay": 0.5},
        {"params": [b, c]},
        {"order_params": [c, b, w]},
    ]
    optimizer = nn.SGD(groups, learning_rate=0.01)
    assert [p.name for p in optimizer.parameters] == ["c", "b", "w"]
    assert [round(float(r), 6) for r in optimizer.get_lr_parameter([w, b])] == [0.1, 0.01]
    ones = tuple(ms.Tensor([1.0, 1.0]) for _ in range(3))
    optimizer(ones)
    np.testing.assert_allclose(w.asnumpy(), [1 - 0.1 * 1.5, 3 - 0.1 * 2.5], rtol=1e-6)
    np.testing.assert_allclose(b.asnumpy(), [0.99, 2.99], rtol=1e-6)


def test_gradient_centralization(mode: str) -> None:
    w = ms.Parameter(ms.Tensor(np.zeros((2, 2), np.float32)), name="w")
    optimizer = nn.SGD([{"params": [w], "grad_centralization": True}], 1.0)
    optimizer((ms.Tensor([[1.0, 3.0], [2.0, 2.0]]),))
    np.testing.assert_allclose(w.asnumpy(), [[1, -1], [0, 0]])


def steps_of(optimizer: nn.Optimizer, p: ms.Parameter, count: int) -> list[float]:
    """How far each step went, for gradients of one."""
    walked = []
    for _ in range(count):
        before = float(p)
        optimizer((ms.Tensor([1.0]),))
        walked.append(round(before - float(p), 5))
    return walked


RATES: list[tuple[Any, list[float]]] = [
    (0.5, [0.5, 0.5, 0.5]),
    (1, [1.0, 1.0, 1.0]),
    (ms.Tensor(0.25), [0.25, 0.25, 0.25]),
    ([0.5, 0.25], [0.5, 0.25, 0.25]),
    (ms.Tensor([0.5, 0.25, 0.125]), [0.5, 0.25, 0.125]),
    (nn.ExponentialDecayLR(0.5, 0.5, 1), [0.5, 0.25, 0.125]),
    (nn.warmup_lr(0.5, 3, 1, 2), [0.0, 0.25, 0.5]),
]


@pytest.mark.parametrize(("rate", "walked"), RATES, ids=lambda v: type(v).__name__)
def test_learning_rates(mode: str, rate: Any, walked: list[float]) -> None:
    p = ms.Parameter(ms.Tensor([8.0]), name="p")
    optimizer = nn.SGD([p], rate)
    assert steps_of(optimizer, p, 3) == walked
    assert int(optimizer.global_step) == 3


def test_learning_rate_can_be_changed(mode: str) -> None:
    p = ms.Parameter(ms.Tensor([8.0]), name="p")
    optimizer = nn.Momentum([p], 0.5, 0.0)
    assert steps_of(optimizer, p, 1) == [0.5]
    optimizer.learning_rate.set_data(ms.Tensor(0.25))
    assert steps_of(optimizer, p, 1) == [0.25]
    optimizer.momentum = 1.0
    assert steps_of(optimizer, p, 1) == [0.5]  # 0.25 * (1 + v), v = 1


def test_group_schedules(mode: str) -> None:
    a, b = (ms.Parameter(ms.Tensor([8.0]), name=n) for n in "ab")
    optimizer = nn.SGD(
        [{"params": [a], "lr": nn.InverseDecayLR(0.5, 1.0, 1)}, {"params": [b], "lr": 0.125}]
    )
    for _ in range(2):
        optimizer((ms.Tensor([1.0]), ms.Tensor([1.0])))
    assert [float(a), float(b)] == [7.25, 7.75]


def test_weight_decay_schedule(mode: str) -> None:
    p = ms.Parameter(ms.Tensor([8.0]), name="p")
    optimizer = nn.SGD([p], 0.5, weight_decay=nn.ExponentialDecayLR(0.5, 0.5, 1))
    for _ in range(2):
        optimizer((ms.Tensor([0.0]),))
    assert float(p) == 8 * 0.75 * 0.875


def test_own_optimizer(mode: str) -> None:
    class Signed(nn.Optimizer):
        def __init__(self, params, rate):
            super().__init__(rate, params)

        def update(self, p, g, lr, state, step, index):
            return p - lr * ms.ops.sign(g), {}

    p = ms.Parameter(ms.Tensor([8.0]), name="p")
    assert steps_of(Signed([p], 0.25), p, 2) == [0.25, 0.25]


# --- schedules ----------------------------------------------------------------------------------

SCHEDULES: list[tuple[nn.LearningRateSchedule, Callable[[int], float]]] = [
    (nn.ExponentialDecayLR(0.1, 0.9, 4), lambda s: 0.1 * 0.9 ** (s / 4)),
    (nn.ExponentialDecayLR(0.1, 0.9, 2, True), lambda s: 0.1 * 0.9 ** (s // 2)),
    (nn.NaturalExpDecayLR(0.1, 0.3, 4), lambda s: 0.1 * math.exp(-0.3 * s)),
    (nn.NaturalExpDecayLR(0.1, 0.3, 4, True), lambda s: 0.1 * math.exp(-0.3 * (s // 4 * 4))),
    (nn.InverseDecayLR(0.1, 0.5, 4), lambda s: 0.1 / (1 + 0.5 * s / 4)),
    (
        nn.CosineDecayLR(0.01, 0.1, 6),
        lambda s: 0.01 + 0.045 * (1 + math.cos(math.pi * min(s, 6) / 6)),
    ),
    (
        nn.PolynomialDecayLR(0.1, 0.01, 6, 0.5),
        lambda s: 0.09 * math.sqrt(1 - min(s, 6) / 6) + 0.01,
    ),
    (
        nn.PolynomialDecayLR(0.1, 0.01, 3, 2.0, True),
        lambda s: 0.09 * (1 - s / (3 * max(math.ceil(s / 3), 1))) ** 2 + 0.01,
    ),
    (nn.WarmUpLR(0.1, 4), lambda s: 0.1 * min(s / 4, 1)),
]


@pytest.mark.parametrize(("cell", "rate"), SCHEDULES, ids=lambda v: type(v).__name__)
def test_schedules(mode: str, cell: nn.LearningRateSchedule, rate: Callable) -> None:
    for step in (0, 1, 3, 6, 9):
        got = cell(ms.Tensor(step, ms.int32))
        assert got.dtype is ms.float32
        assert got.shape == ()
        assert float(got) == pytest.approx(rate(step), rel=1e-5, abs=1e-8)


LISTS = [
    (nn.piecewise_constant_lr([2, 3], [0.1, 0.05]), [0.1, 0.1, 0.05]),
    (nn.exponential_decay_lr(0.1, 0.9, 4, 2, 1), [0.1, 0.1, 0.09, 0.09]),
    (nn.exponential_decay_lr(0.1, 0.9, 3, 1, 2, True), [0.1, 0.1, 0.09]),
    (nn.natural_exp_decay_lr(0.1, 0.9, 2, 1, 1), [0.1, 0.1 * math.exp(-0.9)]),
    (nn.inverse_decay_lr(0.1, 0.5, 3, 1, 1), [0.1, 0.1 / 1.5, 0.05]),
    (nn.cosine_decay_lr(0.01, 0.1, 3, 1, 2), [0.1, 0.055, 0.01]),
    (nn.polynomial_decay_lr(0.1, 0.01, 3, 1, 2, 2.0), [0.1, 0.0325, 0.01]),
    (nn.warmup_lr(0.1, 4, 1, 2), [0.0, 0.05, 0.1, 0.1]),
]


@pytest.mark.parametrize(("got", "wanted"), LISTS)
def test_rates_as_lists(got: list[float], wanted: list[float]) -> None:
    assert got == pytest.approx(wanted)


# --- errors -------------------------------------------------------------------------------------

P = ms.Parameter(ms.Tensor([1.0, 2.0]), name="p")
BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.SGD([P], -0.1), ValueError, "learning_rate must be at least 0, got -0.1"),
    (lambda: nn.SGD([P], "fast"), TypeError, "learning_rate is 'fast'"),
    (lambda: nn.SGD([P], ms.Tensor([[0.1]])), ValueError, "learning rates must be a list"),
    (lambda: nn.SGD([]), ValueError, "parameters is empty"),
    (lambda: nn.SGD(None), ValueError, "parameters is None"),
    (lambda: nn.SGD(P), TypeError, "parameters must be a list, not a Parameter"),
    (lambda: nn.SGD([P, 3]), TypeError, "parameters must be Parameters"),
    (lambda: nn.SGD([P, P]), RuntimeError, "p is given to the optimizer twice"),
    (
        lambda: nn.SGD([P, ms.Parameter(ms.Tensor([1.0]), name="p")]),
        ValueError,
        "two Parameters are named 'p'",
    ),
    (lambda: nn.SGD([P], momentum=-1.0), ValueError, "SGD: momentum must be at least 0, got -1.0"),
    (lambda: nn.SGD([P], nesterov=True), ValueError, "Nesterov's step needs a momentum"),
    (lambda: nn.SGD([P], weight_decay=-1.0), ValueError, "weight_decay must be at least 0"),
    (lambda: nn.SGD([P], loss_scale=0.0), ValueError, "loss_scale must be above 0, got 0.0"),
    (lambda: nn.Adam([P], beta1=1.0), ValueError, "Adam: beta1 must be between 0 and 1, got 1.0"),
    (lambda: nn.Adam([P], eps="x"), TypeError, "Adam: eps must be a number, got 'x'"),
    (lambda: nn.Adam([P], use_nesterov=1), TypeError, "use_nesterov must be a bool"),
    (lambda: nn.Rprop([P], etas=(2.0, 3.0)), ValueError, "etas must be below and above 1"),
    (lambda: nn.SGD([{"params": [P], "rate": 1}]), KeyError, r"a group has the keys \['rate'\]"),
    (lambda: nn.SGD([{"lr": 0.1}]), KeyError, "a group has no 'params'"),
    (lambda: nn.ExponentialDecayLR(-0.1, 0.9, 4), ValueError, "learning_rate must be at least 0"),
    (lambda: nn.ExponentialDecayLR(0.1, 0.9, 0), ValueError, "decay_steps must be positive, got 0"),
    (lambda: nn.CosineDecayLR(0.1, 0.01, 4), ValueError, "min_lr=0.1 must be below max_lr=0.01"),
]


@pytest.mark.parametrize(("make", "kind", "text"), BAD, ids=[text for *_, text in BAD])
def test_errors(make: Callable, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        make()


CALLS = [
    ((), "SGD has 1 Parameters, got 0 gradients"),
    ((ms.Tensor([1.0]),), r"the gradient of p must be \[2\], got shape \[1\]"),
    ((None,), r"the gradient of p must be \[2\], got None"),
]


@pytest.mark.parametrize(("gradients", "text"), CALLS)
def test_wrong_gradients(mode: str, gradients: tuple, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        nn.SGD([P])(gradients)


def test_names_of_what_an_optimizer_keeps() -> None:
    """In MindSpore's order, so that its files of states fit; one rate for each group."""
    first, *others = (ms.Parameter(ms.Tensor([1.0]), name=name) for name in "abc")
    groups = [{"params": [first]}, {"params": others, "lr": 0.2}]
    kept = nn.RMSProp(groups, 0.1, centered=True).get_parameters()
    assert " ".join(p.name for p in kept) == (
        "global_step learning_rate learning_rate_group_1 a b c mean_grad.a mean_grad.b mean_grad.c"
        " mean_square.a mean_square.b mean_square.c moment.a moment.b moment.c"
    )
