"""Windows as gathers: places of maxima, windows at random places, and volumes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, nn, ops

RNG = np.random.default_rng(11)
VOLUME = RNG.permutation(2 * 2 * 5 * 4 * 6).reshape(2, 2, 5, 4, 6).astype(np.float32)


def windows(extent: int, size: int, step: int, pad: int, gap: int, ceil: bool):
    reach = (size - 1) * gap + 1
    room = extent + 2 * pad - reach
    count = (math.ceil(room / step) if ceil else room // step) + 1
    starts = [i * step - pad for i in range(count) if i * step < extent + pad]
    return [[s + i * gap for i in range(size) if 0 <= s + i * gap < extent] for s in starts]


def largest(x: np.ndarray, lines) -> tuple[np.ndarray, np.ndarray]:
    size = tuple(map(len, lines))
    values, places = (np.empty((*x.shape[:2], *size), t) for t in (x.dtype, np.int64))
    strides = [math.prod(x.shape[a + 1 :]) for a in range(2, x.ndim)]
    for at in np.ndindex(*x.shape[:2], *size):
        chosen = itertools.product(*(line[i] for line, i in zip(lines, at[2:])))
        values[at], places[at] = max(
            (x[(*at[:2], *c)], sum(i * s for i, s in zip(c, strides))) for c in chosen
        )
    return values, places


@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "gap", "ceil"),
    [((2, 2, 2), (1, 1, 1), 0, 1, False), ((3, 2, 3), (2, 1, 2), 1, 1, True),
     ((2, 2, 3), (1, 2, 1), 1, 2, False)],
)  # fmt: skip
def test_maxima_of_volumes(kernel, stride, pad, gap, ceil) -> None:
    lines = [windows(n, k, s, pad, gap, ceil) for n, k, s in zip(VOLUME.shape[2:], kernel, stride)]
    values, places = largest(VOLUME, lines)
    how = (kernel, stride, pad, gap, ceil)
    found, at = ops.max_pool3d(Tensor(VOLUME), *how, return_indices=True)
    np.testing.assert_array_equal(found.asnumpy(), values)
    np.testing.assert_array_equal(at.asnumpy(), places)
    np.testing.assert_array_equal(ops.max_pool3d(Tensor(VOLUME), *how).asnumpy(), values)
    if not pad:
        back = ops.max_unpool3d(found, at, kernel, stride, pad, VOLUME.shape).asnumpy()
        assert set(back.ravel()) == {0.0, *values.ravel()}


@pytest.mark.parametrize("size", [(2, 3, 4), (1, 1, 1), (5, None, 2)])
def test_places_of_adaptive_maxima(size) -> None:
    size = tuple(n or extent for n, extent in zip(size, VOLUME.shape[2:]))
    lines = [
        [list(range(i * n // m, -(-(i + 1) * n // m))) for i in range(m)]
        for n, m in zip(VOLUME.shape[2:], size)
    ]
    values, places = largest(VOLUME, lines)
    found, at = nn.AdaptiveMaxPool3d(size, True)(Tensor(VOLUME))
    np.testing.assert_array_equal(found.asnumpy(), values)
    np.testing.assert_array_equal(at.asnumpy(), places)
    assert at.dtype is ms.int32
    image = VOLUME[:, 0]
    values, places = largest(image, lines[1:])
    found, at = ops.adaptive_max_pool2d(Tensor(image), size[1:], True)
    np.testing.assert_array_equal(found.asnumpy(), values)
    np.testing.assert_array_equal(at.asnumpy(), places)


def test_primitive_classes_of_volumes_pad() -> None:
    x = Tensor(VOLUME)
    assert ops.MaxPool3D(2, 2, "SAME")(x).shape == (2, 2, 3, 2, 3)
    assert ops.AvgPool3D(2, 2, "valid")(x).shape == (2, 2, 2, 2, 3)
    assert ops.MaxPool3D(3, 1, "pad", 1)(x).shape == VOLUME.shape
    np.testing.assert_array_equal(
        ops.MaxPool3D(2, 2, "same")(x).asnumpy(), nn.MaxPool3d(2, 2, "same")(x).asnumpy()
    )


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_fractional(mode: int) -> None:
    """The values that MindSpore 2.10 gives for these samples."""
    ms.set_context(mode=mode)
    x = np.array([0.3220, 0.9545, 0.7879, 0.0975, 0.3698, 0.5135, 0.5740, 0.3435, 0.1895, 0.8764,
                  0.9581, 0.4760, 0.9014, 0.8522, 0.3664, 0.4980, 0.9673, 0.9879, 0.6988, 0.9022,
                  0.9304, 0.1558, 0.0153, 0.1559, 0.9852], np.float32)  # fmt: skip
    image, samples = Tensor(x.reshape(1, 1, 5, 5)), Tensor([[[0.8, 0.8]]])
    how = {"_random_samples": samples, "return_indices": True}
    values, at = ops.fractional_max_pool2d(image, 2, (2, 2), **how)
    wanted = np.array([[[[0.9545, 0.8764], [0.9673, 0.9852]]]], np.float32)
    np.testing.assert_array_equal(values.asnumpy(), wanted)
    assert at.tolist() == [[[[1, 9], [16, 24]]]]
    by_ratio = ops.fractional_max_pool2d(image, 2, output_ratio=(0.5, 0.5), **how)[0]
    np.testing.assert_array_equal(by_ratio.asnumpy(), values.asnumpy())
    gradient = ms.grad(lambda v: ops.fractional_max_pool2d(v, 2, (2, 2), **how)[0].sum())(image)
    assert np.flatnonzero(gradient.asnumpy()).tolist() == [1, 9, 16, 24]


def test_fractional_at_random() -> None:
    values = nn.FractionalMaxPool3d(2, output_ratio=0.6)(Tensor(VOLUME))
    assert values.shape == (2, 2, 3, 2, 3)
    assert set(values.asnumpy().ravel()) <= set(VOLUME.ravel())
    with pytest.raises(ValueError, match="either output_size or output_ratio"):
        ops.fractional_max_pool2d(Tensor(VOLUME[0]), 2)
    with pytest.raises(ValueError, match="do not fit"):
        ops.fractional_max_pool2d(Tensor(VOLUME[0]), 2, 9)


def test_conv3d_is_the_layers() -> None:
    net = nn.Conv3d(2, 4, (2, 3, 2), 2, "same", group=2, has_bias=True)
    wanted = net(Tensor(VOLUME)).asnumpy()
    how = (2, "same", 0, 1, 2)
    found = ops.conv3d(Tensor(VOLUME), net.weight, net.bias, *how)
    np.testing.assert_array_equal(found.asnumpy(), wanted)
    with pytest.raises(ValueError, match="conv3d got"):
        ops.conv3d(Tensor(VOLUME[0]), net.weight)


def test_greedy_decoder() -> None:
    """The example that MindSpore documents, and what repeats."""
    scores = np.array([[[0.6, 0.4, 0.2], [0.8, 0.6, 0.3]], [[0.0, 0.6, 0.0], [0.5, 0.4, 0.5]]])
    found = ops.ctc_greedy_decoder(Tensor(scores.astype(np.float32)), Tensor([2, 2]))
    assert [v.tolist() for v in found[:3]] == [[[0, 0], [0, 1], [1, 0]], [0, 1, 0], [2, 2]]
    np.testing.assert_allclose(found[3].asnumpy(), [[-1.2], [-1.3]], rtol=1e-6)
    all_kept = ops.CTCGreedyDecoder(False)(Tensor(scores.astype(np.float32)), Tensor([2, 2]))
    assert all_kept[1].tolist() == [0, 1, 0, 0]
