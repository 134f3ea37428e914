"""Layers against plain NumPy in float64, and their gradients against central differences."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn

_spec = importlib.util.spec_from_file_location(
    "nn_reference", Path(__file__).with_name("reference.py")
)
ref = sys.modules.setdefault("nn_reference", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(ref)

Array = np.ndarray
Values = dict[str, Array]


def draw(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> Array:
    return np.random.default_rng(seed + 11 * len(shape)).uniform(low, high, shape)


def distinct(*shape: int) -> Array:
    """Values far enough from each other that a maximum stays one."""
    size = math.prod(shape)
    return (np.random.default_rng(5).permutation(size) * 0.37 - size / 5).reshape(shape)


def double(cell: nn.Cell) -> nn.Cell:
    """The Cell with parameters of float64 and random values."""
    for number, p in enumerate(cell.get_parameters()):
        positive = p.name.endswith("variance")
        value = draw(*p.shape, seed=number, low=0.5 if positive else -1.0, high=1.5)
        p.set_dtype(ms.float64)
        p.set_data(ms.Tensor(value))
    return cell


def weights(cell: nn.Cell) -> Values:
    return {name: p.asnumpy() for name, p in cell.parameters_and_names()}


CONV = [
    ({"pad_mode": "same"}, (1, 1), (1, 1), 1),
    ({"pad_mode": "valid", "stride": (2, 1), "has_bias": True}, (2, 1), (1, 1), 1),
    ({"pad_mode": "pad", "padding": (1, 0, 2, 1)}, (1, 1), (1, 1), 1),
    ({"pad_mode": "same", "stride": 2, "dilation": (1, 2)}, (2, 2), (1, 2), 1),
    ({"pad_mode": "pad", "padding": 1, "group": 2, "has_bias": True}, (1, 1), (1, 1), 2),
]


def conv_pads(settings: dict, size, kernel, stride, dilation) -> tuple[int, ...]:
    if settings["pad_mode"] == "same":
        pairs = zip(size, kernel, stride, dilation, strict=True)
        return tuple(p for each in pairs for p in ref.same(*each))
    padding = settings.get("padding", 0)
    return padding if isinstance(padding, tuple) else (padding,) * 4


def conv_case(settings: dict, stride, dilation, groups) -> tuple:
    kernel = (3, 2)

    def expected(x: Array, w: Values) -> Array:
        pad = conv_pads(settings, x.shape[2:], kernel, stride, dilation)
        y = ref.conv2d(x, w["weight"], stride, pad, dilation, groups)
        return y + w["bias"].reshape(1, -1, 1, 1) if "bias" in w else y

    return (lambda: nn.Conv2d(4, 6, kernel, **settings), draw(2, 4, 7, 6), expected)


def pool_case(make: Callable, shape, reduce, kernel, stride, pad, value=np.nan) -> tuple:
    return (make, distinct(*shape), lambda x, w: ref.pool2d(x, reduce, kernel, stride, pad, value))


def norm(x: Array, w: Values, axes, eps: float, axis: int = 1) -> Array:
    shape = [1] * x.ndim
    shape[axis] = -1
    return ref.normalized(x, axes, eps) * w["gamma"].reshape(shape) + w["beta"].reshape(shape)


def transpose_case(size, settings, stride, pad, out_channels=3, groups=1) -> tuple:
    def expected(x: Array, w: Values) -> Array:
        y = ref.conv2d_transpose(x, w["weight"], size, stride, pad, (1, 1), groups)
        return y + w["bias"].reshape(1, -1, 1, 1) if "bias" in w else y

    make = lambda: nn.Conv2dTranspose(2, out_channels, 3, group=groups, **settings)  # noqa: E731
    return (make, draw(1, 2, 3, 4), expected)


def lines(x: Array, w: Values) -> Array:
    """Conv1d as a convolution of images of one row."""
    pad = (0, 0, *ref.same(9, 3, 2))
    return ref.conv2d(x[:, :, None], w["weight"], (1, 2), pad)[:, :, 0]


CASES: dict[str, tuple[Callable[[], nn.Cell], Array, Callable[[Array, Values], Array]]] = {
    "dense": (
        lambda: nn.Dense(3, 4),
        draw(5, 3),
        lambda x, w: x @ w["weight"].T + w["bias"],
    ),
    "dense_of_three_axes": (
        lambda: nn.Dense(3, 2, has_bias=False, activation="tanh"),
        draw(2, 4, 3),
        lambda x, w: np.tanh(x @ w["weight"].T),
    ),
    "dense_of_one_axis": (
        lambda: nn.Dense(3, 2),
        draw(3),
        lambda x, w: x @ w["weight"].T + w["bias"],
    ),
    **{f"conv2d_{i}": conv_case(*case) for i, case in enumerate(CONV)},
    "conv2d_nhwc": (
        lambda: nn.Conv2d(2, 3, 1, data_format="NHWC"),
        draw(2, 4, 5, 2),
        lambda x, w: x @ w["weight"][:, :, 0, 0].T,
    ),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3, stride=2), draw(2, 2, 9), lines),
    "conv3d": (
        lambda: nn.Conv3d(2, 2, (2, 2, 1), stride=(2, 1, 1), pad_mode="valid", has_bias=True),
        draw(2, 2, 5, 3, 2),
        lambda x, w: (
            sum(
                np.einsum(
                    "ncdhw,oc->nodhw", x[:, :, a : a + 3 : 2, b : b + 2], w["weight"][:, :, a, b, 0]
                )
                for a in range(2)
                for b in range(2)
            )
            + w["bias"].reshape(1, 2, 1, 1, 1)
        ),
    ),
    "conv3d_same": (
        lambda: nn.Conv3d(1, 2, (3, 1, 1)),
        draw(1, 1, 4, 2, 2),
        lambda x, w: sum(
            np.einsum(
                "ncdhw,oc->nodhw",
                np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0), (0, 0)))[:, :, a : a + 4],
                w["weight"][:, :, a, 0, 0],
            )
            for a in range(3)
        ),
    ),
    "conv2d_transpose_same": transpose_case((6, 8), {"stride": 2}, (2, 2), (0, 1, 0, 1)),
    "conv2d_transpose_valid": transpose_case(
        (7, 9), {"stride": 2, "pad_mode": "valid", "has_bias": True}, (2, 2), (0, 0, 0, 0)
    ),
    "conv2d_transpose_pad": transpose_case(
        (5, 7),
        {"stride": 2, "pad_mode": "pad", "padding": 1},
        (2, 2),
        (1, 1, 1, 1),
    ),
    "conv2d_transpose_output_padding": (
        lambda: nn.Conv2dTranspose(2, 3, 3, 2, "pad", 1, output_padding=(1, 0), has_bias=True),
        draw(1, 2, 3, 4),
        lambda x, w: np.pad(
            ref.conv2d_transpose(x, w["weight"], (5, 7), (2, 2), (1, 1, 1, 1), (1, 1), 1)
            + w["bias"].reshape(1, -1, 1, 1),
            ((0, 0), (0, 0), (0, 1), (0, 0)),
        ),
    ),
    "conv2d_transpose_groups": transpose_case(
        (3, 4), {"pad_mode": "same"}, (1, 1), (1, 1, 1, 1), out_channels=4, groups=2
    ),
    "max_pool2d": pool_case(
        lambda: nn.MaxPool2d(2, 2), (2, 2, 5, 7), np.max, (2, 2), (2, 2), (0,) * 4
    ),
    "max_pool2d_same": pool_case(
        lambda: nn.MaxPool2d(3, 2, pad_mode="same"),
        *((1, 2, 5, 6), np.max, (3, 3), (2, 2), (1, 1, 0, 1)),
    ),
    "max_pool2d_pad": pool_case(
        lambda: nn.MaxPool2d((3, 2), (1, 2), pad_mode="pad", padding=1),
        *((1, 2, 5, 6), np.max, (3, 2), (1, 2), (1, 1, 1, 1)),
    ),
    "max_pool2d_ceil": pool_case(
        lambda: nn.MaxPool2d(2, 2, ceil_mode=True),
        *((1, 2, 5, 6), np.max, (2, 2), (2, 2), (0, 1, 0, 0)),
    ),
    "avg_pool2d": pool_case(
        lambda: nn.AvgPool2d((2, 3), (2, 1)), (2, 2, 5, 7), np.mean, (2, 3), (2, 1), (0,) * 4
    ),
    "avg_pool2d_same": pool_case(
        lambda: nn.AvgPool2d(3, 2, pad_mode="same"),
        *((1, 1, 5, 5), np.mean, (3, 3), (2, 2), (1, 1, 1, 1)),
    ),
    "avg_pool2d_pad": pool_case(
        lambda: nn.AvgPool2d(2, 2, pad_mode="pad", padding=1),
        *((1, 2, 4, 6), np.mean, (2, 2), (2, 2), (1, 1, 1, 1), 0.0),
    ),
    "avg_pool2d_without_pad": pool_case(
        lambda: nn.AvgPool2d(2, 2, pad_mode="pad", padding=1, count_include_pad=False),
        *((1, 2, 4, 6), np.mean, (2, 2), (2, 2), (1, 1, 1, 1)),
    ),
    "avg_pool2d_divisor": pool_case(
        lambda: nn.AvgPool2d(2, 2, divisor_override=3),
        *((1, 2, 4, 6), lambda v: v.sum() / 3, (2, 2), (2, 2), (0,) * 4),
    ),
    "max_pool1d": (
        lambda: nn.MaxPool1d(3, 2),
        distinct(2, 3, 9),
        lambda x, w: ref.pool2d(x[:, :, None], np.max, (1, 3), (1, 2), (0,) * 4)[:, :, 0],
    ),
    "avg_pool1d": (
        lambda: nn.AvgPool1d(2, 2),
        distinct(2, 3, 8),
        lambda x, w: x.reshape(2, 3, 4, 2).mean(3),
    ),
    "adaptive_avg_pool2d": (
        lambda: nn.AdaptiveAvgPool2d((1, 3)),
        draw(2, 3, 4, 6),
        lambda x, w: x.reshape(2, 3, 1, 4, 3, 2).mean((3, 5)),
    ),
    "adaptive_max_pool2d_uneven": (
        lambda: nn.AdaptiveMaxPool2d((2, None)),
        distinct(1, 2, 3, 2),
        lambda x, w: np.stack([x[:, :, :2].max(2), x[:, :, 1:].max(2)], 2),
    ),
    "batch_norm1d": (
        lambda: nn.BatchNorm1d(3, eps=1e-3).set_train(),
        draw(6, 3),
        lambda x, w: norm(x, w, (0,), 1e-3),
    ),
    "batch_norm2d": (
        lambda: nn.BatchNorm2d(3).set_train(),
        draw(2, 3, 4, 5),
        lambda x, w: norm(x, w, (0, 2, 3), 1e-5),
    ),
    "batch_norm2d_eval": (
        lambda: nn.BatchNorm2d(3),
        draw(2, 3, 2, 3),
        lambda x, w: (
            (x - w["moving_mean"].reshape(1, 3, 1, 1))
            / np.sqrt(w["moving_variance"].reshape(1, 3, 1, 1) + 1e-5)
            * w["gamma"].reshape(1, 3, 1, 1)
            + w["beta"].reshape(1, 3, 1, 1)
        ),
    ),
    "layer_norm": (
        lambda: nn.LayerNorm((4,), epsilon=1e-4),
        draw(2, 3, 4),
        lambda x, w: norm(x, w, (2,), 1e-4, 2),
    ),
    "layer_norm_two_axes": (
        lambda: nn.LayerNorm([3, 4], begin_norm_axis=1, begin_params_axis=1),
        draw(2, 3, 4),
        lambda x, w: ref.normalized(x, (1, 2), 1e-7) * w["gamma"] + w["beta"],
    ),
    "group_norm": (
        lambda: nn.GroupNorm(2, 4),
        draw(2, 4, 3, 2),
        lambda x, w: (
            ref.normalized(x.reshape(2, 2, 12), (2,), 1e-5).reshape(x.shape)
            * w["gamma"].reshape(1, 4, 1, 1)
            + w["beta"].reshape(1, 4, 1, 1)
        ),
    ),
    "instance_norm": (
        lambda: nn.InstanceNorm2d(3),
        draw(2, 3, 3, 2),
        lambda x, w: norm(x, w, (2, 3), 1e-5),
    ),
    "flatten": (nn.Flatten, draw(2, 3, 4), lambda x, w: x.reshape(2, 12)),
    "flatten_all": (lambda: nn.Flatten(0), draw(2, 3), lambda x, w: x.reshape(6)),
    "flatten_middle": (
        lambda: nn.Flatten(1, 2),
        draw(2, 3, 4, 5),
        lambda x, w: x.reshape(2, 12, 5),
    ),
    "unflatten": (lambda: nn.Unflatten(1, (2, 3)), draw(4, 6), lambda x, w: x.reshape(4, 2, 3)),
    "identity": (lambda: nn.Identity(1, a=2), draw(2, 3), lambda x, w: x),
    "dropout_eval": (lambda: nn.Dropout(p=0.5), draw(3, 4), lambda x, w: x),
    "pad": (
        lambda: nn.Pad(((1, 0), (0, 2))),
        draw(2, 3),
        lambda x, w: np.pad(x, ((1, 0), (0, 2))),
    ),
    "pad_reflect": (
        lambda: nn.Pad(((1, 0), (0, 2)), "REFLECT"),
        draw(2, 3),
        lambda x, w: np.pad(x, ((1, 0), (0, 2)), "reflect"),
    ),
    "pad_symmetric": (
        lambda: nn.Pad(((1, 0), (0, 2)), "SYMMETRIC"),
        draw(2, 3),
        lambda x, w: np.pad(x, ((1, 0), (0, 2)), "symmetric"),
    ),
    "pixel_shuffle": (
        lambda: nn.PixelShuffle(2),
        draw(1, 8, 2, 3),
        lambda x, w: x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 4, 6),
    ),
    "upsample": (
        lambda: nn.Upsample(scale_factor=2.0),
        draw(1, 2, 2, 3),
        lambda x, w: x.repeat(2, 2).repeat(2, 3),
    ),
    "pixel_there_and_back": (
        lambda: nn.SequentialCell(nn.PixelShuffle(2), nn.PixelUnshuffle(2)),
        draw(1, 4, 2, 3),
        lambda x, w: x,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values(mode: str, name: str) -> None:
    make, x, expected = CASES[name]
    cell = double(make())
    wanted = expected(x, weights(cell))
    got = cell(ms.Tensor(x))
    assert got.dtype is ms.float64
    np.testing.assert_allclose(got.asnumpy(), wanted, rtol=1e-9, atol=1e-12)


# Compiling the gradient of every layer takes minutes; these stand for the others.
COMPILED = ("dense", "conv2d_4", "conv2d_transpose_pad", "max_pool2d_same", "avg_pool2d_same")
COMPILED += ("batch_norm2d", "layer_norm", "group_norm", "pad_reflect")


@pytest.mark.parametrize(
    ("mode", "name"),
    [*(("pynative", name) for name in CASES), *(("graph", name) for name in COMPILED)],
    indirect=["mode"],
)
def test_gradients(mode: str, name: str) -> None:
    """With respect to the input and to every weight, of a fixed weighted sum of the output."""
    make, x, expected = CASES[name]
    cell = double(make())
    held = weights(cell)
    factors = draw(*expected(x, held).shape, seed=3)
    share = ms.Tensor(factors)
    parameters = cell.trainable_params()
    gradient = ms.grad(lambda x: (cell(x) * share).sum(), 0, parameters)
    got, of_weights = gradient(ms.Tensor(x))

    def total(x: Array, values: Values) -> float:
        return float((expected(x, values) * factors).sum())

    ref.assert_gradient(lambda v: total(v, held), x, got.asnumpy(), "input")
    places = {id(p): place for place, p in cell.parameters_and_names()}
    for p, g in zip(parameters, of_weights, strict=True):
        place = places[id(p)]
        ref.assert_gradient(
            lambda v, k=place: total(x, {**held, k: v}), held[place], g.asnumpy(), place
        )


def test_float32_and_float16(mode: str) -> None:
    for dtype, tolerance in ((ms.float32, 1e-6), (ms.float16, 3e-3)):
        cell = nn.Dense(3, 2, dtype=dtype)
        x = draw(4, 3).astype(dtype.numpy)
        got = cell(ms.Tensor(x))
        assert got.dtype is dtype
        w = {k: v.astype(np.float64) for k, v in weights(cell).items()}
        wanted = x.astype(np.float64) @ w["weight"].T + w["bias"]
        np.testing.assert_allclose(got.asnumpy(), wanted, rtol=tolerance, atol=tolerance)


# --- with state ---------------------------------------------------------------------------------


def test_batch_norm_moves(mode: str) -> None:
    cell = double(nn.BatchNorm2d(2, momentum=0.7)).set_train()
    mean, variance = cell.moving_mean.asnumpy(), cell.moving_variance.asnumpy()
    for seed in range(3):
        x = draw(4, 2, 3, 3, seed=seed)
        cell(ms.Tensor(x))
        mean = 0.7 * mean + 0.3 * x.mean((0, 2, 3))
        variance = 0.7 * variance + 0.3 * x.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(cell.moving_mean.asnumpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(cell.moving_variance.asnumpy(), variance, rtol=1e-12)
    cell.set_train(False)
    cell(ms.Tensor(draw(4, 2, 3, 3)))
    np.testing.assert_allclose(cell.moving_mean.asnumpy(), mean, rtol=1e-12)


def test_batch_norm_moves_once_in_a_gradient(mode: str) -> None:
    cell = nn.BatchNorm1d(2, momentum=0.5).set_train()
    x = draw(6, 2).astype(np.float32)
    ms.grad(lambda x: (cell(x) ** 2).sum(), 0, cell.trainable_params())(ms.Tensor(x))
    np.testing.assert_allclose(cell.moving_mean.asnumpy(), 0.5 * x.mean(0), rtol=1e-5)


def test_dropout(mode: str) -> None:
    cell, x = nn.Dropout(p=0.25).set_train(), ms.Tensor(np.ones((100, 100), np.float32))
    first, second = cell(x).asnumpy(), cell(x).asnumpy()
    assert not np.array_equal(first, second)
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.02)
    gradient = ms.grad(lambda x: cell(x).sum())(x).asnumpy()
    assert set(np.unique(gradient)) == {np.float32(0), np.float32(1 / 0.75)}
    channels = nn.Dropout2d(0.5).set_train()(ms.Tensor(np.ones((4, 8, 3, 3)))).asnumpy()
    assert ((channels == 0).all((2, 3)) | (channels == 2).all((2, 3))).all()


def test_dropout_is_the_same_in_both_modes() -> None:
    cell, x, got = nn.Dropout(p=0.5).set_train(), ms.Tensor(np.ones((5, 7), np.float32)), []
    for mode in (ms.PYNATIVE_MODE, ms.GRAPH_MODE):
        ms.set_seed(4)
        ms.set_context(mode=mode)
        got.append([cell(x).asnumpy() for _ in range(3)])
    ms.set_context(mode=ms.PYNATIVE_MODE)
    np.testing.assert_array_equal(*got)


def test_embedding(mode: str) -> None:
    ids = np.array([[0, 5, 2], [2, 2, 1]], np.int32)
    cell = double(nn.Embedding(6, 3))
    table, factors = cell.embedding_table.asnumpy(), draw(2, 3, 3)
    np.testing.assert_array_equal(cell(ms.Tensor(ids)).asnumpy(), table[ids])
    share = ms.Tensor(factors)
    loss = lambda i: (cell(i) * share).sum()  # noqa: E731
    got = ms.grad(loss, None, cell.embedding_table)(ms.Tensor(ids)).asnumpy()
    wanted = np.zeros_like(table)
    np.add.at(wanted, ids, factors)
    np.testing.assert_allclose(got, wanted)
    other = nn.Embedding(6, 3, use_one_hot=True, embedding_table=cell.embedding_table)
    np.testing.assert_allclose(other(ms.Tensor(ids)).asnumpy(), table[ids], rtol=1e-6)
    padded = nn.Embedding(5, 2, embedding_table="ones", padding_idx=1)
    np.testing.assert_array_equal(padded(ms.Tensor([0, 1])).asnumpy(), [[1, 1], [0, 0]])


# --- how they start -----------------------------------------------------------------------------


def test_initial_weights() -> None:
    dense = nn.Dense(400, 300)
    bound = 1 / math.sqrt(400)  # HeUniform(sqrt(5)) is uniform within 1 / sqrt(fan_in)
    for p in (dense.weight, dense.bias):
        values = p.asnumpy()
        assert np.abs(values).max() <= bound
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    conv = nn.Conv2d(16, 32, 3, group=2, has_bias=True)
    assert conv.weight.shape == (32, 8, 3, 3)
    assert np.abs(conv.weight.asnumpy()).max() <= 1 / math.sqrt(8 * 9)
    fixed = nn.Dense(3, 2, weight_init="ones", bias_init=ms.Tensor([1.0, 2.0]))
    np.testing.assert_array_equal(fixed(ms.Tensor([[1.0, 1, 1]])).asnumpy(), [[4, 5]])
    transposed = nn.Conv2dTranspose(4, 6, 3, group=2)
    assert transposed.weight.shape == (4, 3, 3, 3)


# --- errors -------------------------------------------------------------------------------------

X4 = np.zeros((1, 3, 4, 5), np.float32)
BUILD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.Dense(0, 3), ValueError, "Dense: in_channels must be at least 1, got 0"),
    (lambda: nn.Dense(2.5, 3), TypeError, "Dense: in_channels must be an int, got 2.5"),
    (lambda: nn.Dense(2, 3, has_bias=1), TypeError, "has_bias must be a bool"),
    (lambda: nn.Dense(2, 3, activation="nosuch"), KeyError, "no activation is named 'nosuch'"),
    (lambda: nn.Dense(2, 3, weight_init=ms.Tensor([1.0])), ValueError, "initial values have shape"),
    (lambda: nn.Conv2d(3, 4, 3, pad_mode="full"), ValueError, "pad_mode must be one of"),
    (lambda: nn.Conv2d(3, 4, 3, padding=1), ValueError, 'only pad_mode="pad" takes a padding'),
    (lambda: nn.Conv2d(3, 4, 3, group=2), ValueError, "group=2 does not divide 3 in_channels"),
    (lambda: nn.Conv2d(3, 4, (1, 2, 3)), TypeError, "kernel_size must be an int or two of them"),
    (lambda: nn.Conv2d(3, 4, 3, stride=0), ValueError, "stride must be at least 1"),
    (lambda: nn.MaxPool2d(2, pad_mode="pad", padding=2), ValueError, "more than half"),
    (lambda: nn.Dropout(p=1.0), ValueError, r"p must be in \[0, 1\)"),
    (lambda: nn.Dropout(0.5, 0.5), ValueError, "keep_prob or p, not both"),
    (lambda: nn.BatchNorm2d(0), ValueError, "num_features must be a positive int"),
    (lambda: nn.LayerNorm(3), TypeError, "normalized_shape must be a tuple or a list"),
    (lambda: nn.GroupNorm(2, 3), ValueError, "3 channels in 2 groups"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "padding_idx=3 is no row of 3"),
]
CALL: list[tuple[Callable[[], nn.Cell], Array, type[Exception], str]] = [
    (lambda: nn.Dense(4, 3), np.zeros((2, 5), np.float32), ValueError, "must be in_channels=4"),
    (lambda: nn.Conv2d(2, 3, 3), X4, ValueError, "made for in_channels=2, not 3"),
    (lambda: nn.Conv2d(3, 3, 3), X4[0], ValueError, "takes 4 axes"),
    (lambda: nn.BatchNorm2d(2), X4, ValueError, "2 channels in axis 1"),
    (lambda: nn.LayerNorm((4,)), X4, ValueError, r"it must be \[4\]"),
    (lambda: nn.Flatten(2, 1), X4, ValueError, "axis 2 is behind axis 1"),
    (lambda: nn.Flatten(5), X4, IndexError, "start_dim=5"),
    (lambda: nn.Embedding(3, 2), X4, TypeError, "ids of dtype Float32"),
    (lambda: nn.Pad(((1, 1),)), X4, ValueError, "Pad has 1 paddings"),
    (lambda: nn.PixelShuffle(2), X4, ValueError, "channels are C"),
]


@pytest.mark.parametrize(
    ("make", "kind", "text"), BUILD, ids=lambda v: v if isinstance(v, str) else ""
)
def test_errors_when_built(make: Callable, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        make()


@pytest.mark.parametrize(
    ("make", "x", "kind", "text"), CALL, ids=lambda v: v if isinstance(v, str) else ""
)
def test_errors_when_called(mode: str, make, x, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        make()(ms.Tensor(x))
