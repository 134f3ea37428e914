"""`mint.nn`: the layers have PyTorch's parameters and defaults."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import jitgrad as ms
import jitgrad.mint.nn.functional as F
from jitgrad import Tensor, nn
from jitgrad.mint import nn as mn
from jitgrad.mint import optim

X = np.random.default_rng(3).normal(size=(2, 3, 6, 8)).astype(np.float32)

CELLS = {
    "conv": (lambda: mn.Conv2d(3, 4, 3, 2, 1), (2, 4, 3, 4)),
    "conv same": (lambda: mn.Conv2d(3, 4, 3, padding="same", bias=False), (2, 4, 6, 8)),
    "transpose": (lambda: mn.ConvTranspose2d(3, 4, 3, 2, 1, 1), (2, 4, 12, 16)),
    "average": (lambda: mn.AvgPool2d(2), (2, 3, 3, 4)),
    "largest": (lambda: mn.MaxPool2d((2, 4)), (2, 3, 3, 2)),
    "upsampled": (lambda: mn.UpsamplingNearest2d(scale_factor=2.0), (2, 3, 12, 16)),
    "padded": (lambda: mn.ZeroPad2d((1, 2, 0, 3)), (2, 3, 9, 11)),
    "windows": (lambda: mn.Unfold(2, stride=2), (2, 12, 12)),
}


def test_output_padding_continues_the_transposed_convolution() -> None:
    x = ms.ops.ones((1, 1, 2, 2))
    cell = mn.ConvTranspose2d(1, 1, 3, 2, 1, 1, bias=False)
    cell.weight.set_data(ms.ops.ones_like(cell.weight))
    wide = mn.ConvTranspose2d(1, 1, 3, 2, 0, 0, bias=False)
    wide.weight.set_data(cell.weight)
    np.testing.assert_array_equal(cell(x).asnumpy(), wide(x).asnumpy()[..., 1:, 1:])


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
@pytest.mark.parametrize("name", CELLS)
def test_shapes(name: str, mode: int) -> None:
    ms.set_context(mode=mode)
    make, shape = CELLS[name]
    assert make()(Tensor(X)).shape == shape


def test_defaults_are_pytorchs() -> None:
    x = Tensor(X)
    erf = 0.5 * X * (1 + ms.ops.erf(Tensor(X / np.sqrt(2).astype(np.float32))).asnumpy())
    np.testing.assert_allclose(mn.GELU()(x).asnumpy(), erf, atol=1e-6)
    assert mn.SmoothL1Loss()(x, x * 0).shape == ()
    assert mn.BCEWithLogitsLoss(None, "none")(x, x * 0).shape == X.shape
    np.testing.assert_allclose(mn.Softmax()(x).asnumpy().sum(1), 1, rtol=1e-5)
    assert mn.Linear(8, 2, False).bias is None
    assert repr(mn.ELU(0.5)) == "ELU(alpha=0.5, inplace=False)"
    assert list(inspect.signature(mn.Hardtanh).parameters) == ["min_val", "max_val", "inplace"]


def test_momentum_is_the_share_of_the_new_batch() -> None:
    mine, theirs = mn.BatchNorm2d(3, momentum=0.3), nn.BatchNorm2d(3, momentum=0.7)
    for cell in (mine, theirs):
        cell.set_train()
        cell(Tensor(X))
    np.testing.assert_array_equal(mine.moving_mean.asnumpy(), theirs.moving_mean.asnumpy())
    own = mn.BatchNorm2d(3, track_running_stats=False).set_train(False)
    assert abs(own(Tensor(X)).asnumpy().mean((0, 2, 3))).max() < 1e-5


def test_in_place() -> None:
    x = Tensor([-1.0, 2.0])
    assert F.relu_(x) is x
    assert x.tolist() == [0.0, 2.0]
    y = Tensor([-1.0, 7.0])
    mn.ReLU6(inplace=True)(y)
    assert y.tolist() == [0.0, 6.0]


def test_errors() -> None:
    with pytest.raises(ValueError, match="padding_mode='reflect'"):
        mn.Conv2d(3, 4, 3, padding_mode="reflect")
    with pytest.raises(ValueError, match="reduction"):
        mn.L1Loss("average")
    with pytest.raises(TypeError, match="has_bias"):
        mn.Conv2d(3, 4, 3, has_bias=True)
    with pytest.raises(AttributeError, match="did you mean Linear"):
        mn.Linea  # noqa: B018


def test_a_network_trains() -> None:
    ms.set_seed(0)
    net = mn.Sequential(mn.Flatten(), mn.Linear(144, 8), mn.ReLU(), mn.Linear(8, 1))
    step = optim.AdamW(net.trainable_params(), lr=0.01)
    gradient = ms.value_and_grad(
        lambda x: mn.MSELoss()(net(x), x[:, 0, 0, :1]), None, step.parameters
    )
    losses = []
    for _ in range(20):
        loss, grads = gradient(Tensor(X))
        step(grads)
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
