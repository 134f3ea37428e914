"""Primitive classes that are steps of optimizers, against their formulas in float64."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, ops

RNG = np.random.default_rng(5)
W, M, V, H, G = (RNG.uniform(0.2, 2, (2, 3)) for _ in range(5))
G[0] *= -1
LR, B1, B2, EPS, L1, L2 = 0.1, 0.8, 0.7, 1e-3, 0.05, 0.2
M1, V1 = B1 * M + (1 - B1) * G, B2 * V + (1 - B2) * G * G
RATE = LR * np.sqrt(1 - B2) / (1 - B1)


def shrunk(x, amount):
    return np.sign(x) * np.maximum(np.abs(x) - amount, 0)


def proximal(x, rate):
    return shrunk(x, rate * L1) / (1 + rate * L2)


def centered():
    mean, square = B1 * M + (1 - B1) * G, B1 * V + (1 - B1) * G * G
    moment = 0.5 * H + LR * G / np.sqrt(square - mean**2 + 3)
    return W - moment


def ftrl():
    square = V + G * G
    linear = M + G - (square**0.5 - V**0.5) / LR * W
    return -shrunk(linear, L1) / (square**0.5 / LR + 2 * L2)


# name: the class, the Parameters it writes to, the other arguments, the first Parameter after it
STEPS = {
    "Adam": (ops.Adam(), (W, M, V), (B1, B2, LR, B1, B2, EPS, G),
             W - RATE * M1 / (np.sqrt(V1) + EPS)),
    "Adam, nesterov": (ops.Adam(use_nesterov=True), (W, M, V), (B1, B2, LR, B1, B2, EPS, G),
                       W - RATE * (B1 * M1 + (1 - B1) * G) / (np.sqrt(V1) + EPS)),
    "AdamWeightDecay": (ops.AdamWeightDecay(), (W, M, V), (LR, B1, B2, EPS, L1, G),
                        W - LR * (M1 / (np.sqrt(V1) + EPS) + L1 * W)),
    "ApplyAdaMax": (ops.ApplyAdaMax(), (W, M, V), (B1, LR, B1, B2, EPS, G),
                    W - LR / (1 - B1) * M1 / (np.maximum(B2 * V, abs(G)) + EPS)),
    "ApplyAdadelta": (ops.ApplyAdadelta(), (W, M, V), (LR, B1, EPS, G),
                      W - LR * np.sqrt(V + EPS) / np.sqrt(B1 * M + (1 - B1) * G * G + EPS) * G),
    "ApplyAdagrad": (ops.ApplyAdagrad(), (W, V), (LR, G), W - LR * G / np.sqrt(V + G * G)),
    "ApplyAdagradV2": (ops.ApplyAdagradV2(EPS), (W, V), (LR, G),
                       W - LR * G / (np.sqrt(V + G * G) + EPS)),
    "ApplyAdagradDA": (ops.ApplyAdagradDA(), (W, M, V), (G, LR, L1, L2, 2),
                       -LR * shrunk(M + G, 2 * L1) / (L2 * 2 * LR + np.sqrt(V + G * G))),
    "ApplyAdamWithAmsgrad": (ops.ApplyAdamWithAmsgrad(B1, B2, EPS), (W, M, V, H), (B1, B2, LR, G),
                             W - RATE * M1 / (np.sqrt(np.maximum(H, V1)) + EPS)),
    "ApplyAddSign": (ops.ApplyAddSign(), (W, M), (LR, 1.5, 0.9, B1, G),
                     W - LR * (1.5 + 0.9 * np.sign(G) * np.sign(M1)) * G),
    "ApplyPowerSign": (ops.ApplyPowerSign(), (W, M), (LR, 0.4, 0.9, B1, G),
                       W - LR * np.exp(0.4 * 0.9 * np.sign(G) * np.sign(M1)) * G),
    "ApplyRMSProp": (ops.ApplyRMSProp(), (W, V, H), (LR, G, B1, 0.5, EPS),
                     W - 0.5 * H - LR * G / np.sqrt(B1 * V + (1 - B1) * G * G + EPS)),
    "ApplyCenteredRMSProp": (ops.ApplyCenteredRMSProp(), (W, M, V, H), (G, LR, B1, 0.5, 3.0),
                             centered()),
    "ApplyFtrl": (ops.ApplyFtrl(), (W, V, M), (G, LR, L1, L2, -0.5), ftrl()),
    "ApplyProximalAdagrad": (ops.ApplyProximalAdagrad(), (W, V), (LR, L1, L2, G),
                             proximal(W - LR / np.sqrt(V + G * G) * G, LR / np.sqrt(V + G * G))),
    "ApplyProximalGradientDescent": (ops.ApplyProximalGradientDescent(), (W,), (LR, L1, L2, G),
                                     proximal(W - LR * G, LR)),
    "ApplyMomentum": (ops.ApplyMomentum(use_nesterov=True), (W, M), (LR, G, 0.9),
                      W - LR * (G + 0.9 * (0.9 * M + G))),
    "ApplyKerasMomentum": (ops.ApplyKerasMomentum(), (W, M), (LR, G, 0.9),
                           W + 0.9 * M - LR * G),
    "ApplyGradientDescent": (ops.ApplyGradientDescent(), (W,), (LR, G), W - LR * G),
}  # fmt: skip


def tensors(values) -> list:
    return [Tensor(v.astype(np.float32)) if isinstance(v, np.ndarray) else v for v in values]


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
@pytest.mark.parametrize("name", STEPS)
def test_step(name: str, mode: int) -> None:
    ms.set_context(mode=mode)
    step, written, rest, wanted = STEPS[name]
    parameters = [Parameter(v.astype(np.float32), name=f"p{i}") for i, v in enumerate(written)]
    out = ms.jit(lambda: step(*parameters, *tensors(rest)))()
    out = out[0] if isinstance(out, (tuple, list)) else out
    # A few roundings of numbers near 1.
    np.testing.assert_allclose(parameters[0].asnumpy(), wanted, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(out.asnumpy(), parameters[0].asnumpy())


def test_sgd_begins_with_the_gradient() -> None:
    step = ops.SGD(dampening=0.5, weight_decay=0.1)
    w, accum = Parameter(W.astype(np.float32), name="w"), Parameter(M.astype(np.float32), name="m")
    stat = Parameter(np.ones_like(W, np.float32), name="stat")
    (gradient,) = tensors([G])
    for k in range(2):
        before, decayed = w.asnumpy().copy(), G + 0.1 * w.asnumpy()
        moved = decayed if k == 0 else 0.9 * accum.asnumpy() + 0.5 * decayed
        step(w, gradient, LR, accum, 0.9, stat)
        np.testing.assert_allclose(w.asnumpy(), before - LR * moved, rtol=2e-5, atol=2e-6)
    assert not stat.asnumpy().any()


def test_lars() -> None:
    weight, gradient = tensors([W, G])
    norms = Tensor(np.float32(3.0)), Tensor(np.float32(2.0))
    found = ops.LARSUpdate(EPS, 0.02, True)(weight, gradient, *norms, L1, LR)
    ratio = min(0.02 * 3 / (2 + L1 * 3 + EPS) / LR, 1)
    np.testing.assert_allclose(found.asnumpy(), ratio * (G + L1 * W), rtol=1e-5, atol=1e-6)
