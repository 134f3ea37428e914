"""Crops, regions, moved windows, resizing and colours, against their definitions."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import ArgumentError, ShapeError

rng = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray:
    return rng.uniform(0.1, 0.9, shape)


def bilinear(image: np.ndarray, y: float, x: float) -> np.ndarray:
    """Of an image [H, W, …], zeros outside."""
    total = np.zeros(image.shape[2:])
    for i in (int(np.floor(y)), int(np.floor(y)) + 1):
        for j in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
                total = total + image[i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return total


IMAGES = draw(2, 5, 6, 3)
BOXES = np.array([[0.0, 0.0, 1.0, 1.0], [0.2, 0.3, 0.7, 0.9], [0.9, 0.1, -0.2, 1.2]])
FEATURES, ROIS = draw(2, 3, 6, 7), np.array([[0, 0.5, 1, 7, 9], [1, 2, 2, 3, 10], [1, -9, 0, 4, 4]])
X, WEIGHT = draw(2, 4, 6, 7), draw(6, 2, 3, 2)
OFFSETS = rng.normal(size=(2, 2 * 18, 4, 6)) * 0.7


def cropped(images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    out = np.full((3, 4, 2, 3), 0.5)
    for b, p, q in np.ndindex(3, 4, 2):
        y0, x0, y1, x1 = boxes[b] * (4, 5, 4, 5)
        y, x = y0 + (y1 - y0) * p / 3, x0 + (x1 - x0) * q
        if 0 <= y <= 4 and 0 <= x <= 5:
            out[b, p, q] = bilinear(images[(0, 1, 0)[b]], y, x)
    return out


def aligned(features: np.ndarray, rois: np.ndarray) -> np.ndarray:
    out = np.zeros((3, 3, 2, 3))
    for r, p, q, i, j in np.ndindex(3, 2, 3, 2, 2):
        n, x0, y0, x1, y1 = rois[r]
        y = 0.5 * y0 + 0.5 * (y1 + 1 - y0) * (p + (i + 0.5) / 2) / 2
        x = 0.5 * x0 + 0.5 * (x1 + 1 - x0) * (q + (j + 0.5) / 2) / 3
        if -1 <= y <= 6 and -1 <= x <= 7:
            image = features[int(n)].transpose(1, 2, 0)
            out[r, :, p, q] += bilinear(image, np.clip(y, 0, 5), np.clip(x, 0, 6)) / 4
    return out


def moved(x: np.ndarray, weight: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Two groups, two deformable groups, a row of padding above and below, columns 2 apart."""
    offsets = offsets.reshape(2, 3, 2, 3, 2, 4, 6)[..., :2]
    out = np.zeros((2, 6, 4, 2))
    for n, c, i, j, p, q in np.ndindex(2, 4, 3, 2, 4, 2):
        dx, dy, factor = offsets[n, :, c // 2, i, j, p, q]
        y, column = p * 2 - 1 + i + dy, q * 3 + 2 * j + dx
        value = bilinear(x[n, c][:, :, None], y, column)[0] * factor
        for o in range(3):
            out[n, c // 2 * 3 + o, p, q] += value * weight[c // 2 * 3 + o, c % 2, i, j]
    return out


CASES: dict[str, tuple[Callable, Callable, list[np.ndarray]]] = {
    "crop_and_resize": (
        lambda x, b: ops.crop_and_resize(x, b, Tensor([0, 1, 0]), (4, 2), "bilinear", 0.5),
        cropped,
        [IMAGES, BOXES],
    ),
    "roi_align": (lambda x, r: ops.ROIAlign(2, 3, 0.5)(x, r), aligned, [FEATURES, ROIS]),
    "deformable_conv2d": (
        lambda x, w, o: ops.deformable_conv2d(
            x, w, o[..., :2], (3, 2), (1, 1, 2, 3), (1, 2, 0, 0), None, (1, 1, 1, 2), 2, 2
        ),
        moved,
        [X, WEIGHT, OFFSETS],
    ),
    "RGBToHSV": (
        ops.RGBToHSV(),
        lambda x: np.apply_along_axis(lambda v: colorsys.rgb_to_hsv(*v), -1, x),
        [draw(4, 5, 3)],
    ),
    "HSVToRGB": (
        ops.HSVToRGB(),
        lambda x: np.apply_along_axis(lambda v: colorsys.hsv_to_rgb(*v), -1, x),
        [draw(4, 5, 3)],
    ),
    "Dilation2D": (
        ops.Dilation2D((2, 1), (1, 1), "VALID"),
        lambda x, f: np.max(
            [x[:, :, i : i + 3 : 2, j : j + 5] + f[:, i, j][:, None, None]
             for i in range(3) for j in range(2)], 0
        ),
        [draw(2, 3, 5, 6), draw(3, 3, 2)],
    ),
    "ResizeArea": (
        lambda x: ops.ResizeArea()(x, (2, 3)),
        lambda x: x.reshape(2, 2, 3, 3, 2, 3).mean((2, 4)),
        [draw(2, 6, 6, 3)],
    ),
    "ResizeLinear1D": (
        lambda x: ops.ResizeLinear1D()(x, (7,)),
        lambda x: np.apply_along_axis(
            lambda v: np.interp(np.linspace(0, 3, 7), np.arange(4), v), -1, x
        ),
        [draw(1, 2, 4)],
    ),
    "ScatterAddWithAxis": (
        lambda x, u: ops.ScatterAddWithAxis(1)(x, Tensor([[0, 2], [1, 1]]), u),
        lambda x, u: x + np.array([[u[0, 0], 0, u[0, 1]], [0, u[1].sum(), 0]]),
        [draw(2, 3), draw(2, 2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_definitions(name: str) -> None:
    """Values in both modes, and gradients against differences."""
    function, definition, arrays = CASES[name]
    tensors = [Tensor(a) for a in arrays]
    wanted = definition(*arrays)
    for call in (function, ms.jit(function)):
        np.testing.assert_allclose(call(*tensors).asnumpy(), wanted, rtol=1e-7, atol=1e-9)
    smooth = 1 if name in ("crop_and_resize", "roi_align") else len(tensors)
    steps = [Tensor(rng.normal(size=a.shape)) for a in arrays[:smooth]]

    def along(t: Tensor) -> Tensor:
        moved = [x + t * step for x, step in zip(tensors, steps)]
        return ops.sin(function(*moved, *tensors[smooth:])).sum()

    slope = ms.jit(ms.grad(along))(Tensor(np.float64(0))).item()
    ends = [along(Tensor(np.float64(h))).item() for h in (1e-6, -1e-6)]
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6)


def test_bicubic() -> None:
    """Lines are kept between elements; a step has the weights of four neighbours."""
    line = Tensor(np.arange(8.0).reshape(1, 1, 1, 8))
    inner = ops.ResizeBicubic(half_pixel_centers=True)(line, (1, 16)).asnumpy()[0, 0, 0, 4:-4]
    np.testing.assert_allclose(inner, np.arange(1.75, 5.5, 0.5))
    step = Tensor(np.array([0.0, 0, 1, 1]).reshape(1, 1, 1, 4))
    found = ops.interpolate(step, (1, 7), mode="bicubic", align_corners=True).asnumpy()[0, 0, 0]
    np.testing.assert_allclose(found, [0, -0.09375, 0, 0.5, 1, 1.09375, 1])
    for options in ((False, False), (True, False), (False, True)):
        ones = ops.ResizeBicubic(*options)(ops.ones((1, 2, 3, 4)), (5, 3))
        np.testing.assert_allclose(ones.asnumpy(), np.ones((1, 2, 5, 3)), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "nearest", "linear"),
    [
        ((False, False), [0, 0, 1, 2, 2, 3], [0, 2 / 3, 4 / 3, 2, 8 / 3, 3]),
        ((True, False), [0, 1, 1, 2, 2, 3], [0, 0.6, 1.2, 1.8, 2.4, 3]),
        ((False, True), [0, 1, 1, 2, 3, 3], [0, 0.5, 7 / 6, 11 / 6, 2.5, 3]),
    ],
)
def test_where_elements_are_put(options, nearest, linear) -> None:
    line = Tensor(np.arange(4.0).reshape(1, 1, 1, 4))
    for cls, wanted in ((ops.ResizeNearestNeighborV2, nearest), (ops.ResizeBilinearV2, linear)):
        found = cls(*options)(line, (1, 6)).asnumpy()[0, 0, 0]
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_volumes() -> None:
    x, w = Tensor(draw(1, 4, 3, 3, 2)), Tensor(draw(4, 3, 2, 2, 2))
    options = {"pad_mode": "pad", "pad": 1, "stride": 2}
    up = ops.Conv3DTranspose(4, 6, 2, group=2, output_padding=1, **options)(x, w)
    # The adjoint of the convolution: <conv(v), x> is <v, up(x)>.
    v = Tensor(draw(*up.shape))
    back = ops.Conv3D(4, 2, group=2, **options)(v, w)
    assert (back * x).sum().item() == pytest.approx((v * up).sum().item())
    values, at = ops.MaxPool3DWithArgmax(2, 1, 0)(x)
    flat = x.asnumpy().reshape(4, -1)
    found = np.take_along_axis(flat, at.asnumpy().reshape(4, -1), 1)
    np.testing.assert_array_equal(found, values.asnumpy().reshape(4, -1))


def test_places_count_channels() -> None:
    x = draw(2, 3, 4, 5)
    values, at = ops.MaxPoolWithArgmax(2, 2, "same")(Tensor(x))
    assert at.dtype is ms.int32
    found = np.take_along_axis(x.reshape(2, -1), at.asnumpy().reshape(2, -1), 1)
    np.testing.assert_array_equal(found, values.asnumpy().reshape(2, -1))
    np.testing.assert_array_equal(values.asnumpy(), ops.MaxPool(2, 2, "same")(Tensor(x)).asnumpy())


def test_ctc_loss_and_its_gradient() -> None:
    x = Tensor(draw(5, 2, 4))
    places, labels, steps = Tensor([[0, 0], [0, 1], [1, 0]]), Tensor([0, 2, 1]), Tensor([5, 4])
    loss = ops.CTCLoss()
    targets, counts = Tensor([[0, 2], [1, 0]]), Tensor([2, 1])
    wanted = ops.ctc_loss(ops.log_softmax(x, 2), targets, steps, counts, 3, "none")[0]
    slope = ms.grad(lambda v: loss(v, places, labels, steps)[0].sum())(x)
    for call in (loss, ms.jit(loss)):
        losses, gradient = call(x, places, labels, steps)
        np.testing.assert_allclose(losses.asnumpy(), wanted.asnumpy())
        np.testing.assert_allclose(gradient.asnumpy(), slope.asnumpy(), atol=1e-12)


def test_small_classes() -> None:
    assert ops.DataFormatDimMap()(Tensor([0, 1, 2, 3, -1])).tolist() == [0, 3, 1, 2, 2]
    assert ops.DataFormatVecPermute()(Tensor([1, 2, 3, 4])).tolist() == [1, 4, 2, 3]
    x = Tensor([-1.0, 0, 1.5, 2, 5, 15, 3])
    assert ops.HistogramFixedWidth(5)(x, Tensor([0.0, 5])).tolist() == [2, 1, 1, 1, 2]
    values, at = ops.ListDiff()(Tensor([1, 2, 3, 4]), Tensor([1, 3]))
    assert (values.tolist(), at.tolist()) == ([2, 4], [1, 3])
    splits, values = ops.RaggedRange(ms.int64)(
        Tensor([2, 5, 8]), Tensor([3, 5, 12]), Tensor([1, 1, 2])
    )
    assert (splits.tolist(), values.tolist()) == ([0, 1, 1, 3], [2, 8, 10])
    padded = ops.PadV3("constant", False)(ops.ones((1, 2)), Tensor([1, 2, 0, 1]), 7.0)
    assert padded.tolist() == [[7, 7, 7], [7, 7, 7], [7, 1, 1], [7, 7, 7]]
    assert ops.PadV3("edge")(Tensor([[[1.0, 2.0]]]), (1, 0)).tolist() == [[[1, 1, 2]]]
    assert ops.CheckNumerics()(Tensor([1.0])).tolist() == [1.0]
    with pytest.raises(FloatingPointError, match=r"CheckNumerics: f32\[2\] has NaN values"):
        ops.CheckNumerics()(Tensor([1.0, np.nan]))
    gray = Tensor([0.5, 0.5, 0.5])
    assert ops.AdjustHue()(gray, 0.3).tolist() == ops.AdjustSaturation()(gray, 2.0).tolist()
    assert ops.UpsampleNearest3D()(ops.ones((1, 1, 2, 2, 2)), None, [2.0, 1.5, 2.0]).shape[2:] == (
        4, 3, 4,
    )  # fmt: skip


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"(?s)crop_and_resize got .*it takes \[N, H, W, C\]"):
        ops.crop_and_resize(Tensor(IMAGES), Tensor(BOXES), Tensor([0]), (2, 2))
    with pytest.raises(ArgumentError, match="sample_num=0"):
        ops.ROIAlign(2, 2, 1.0, 0)(Tensor(FEATURES), Tensor(ROIS))
    with pytest.raises(ShapeError, match=r"offsets are \[N, 18, 4, 6\]"):
        ops.deformable_conv2d(
            Tensor(X), Tensor(WEIGHT), Tensor(OFFSETS), (3, 2), (1,) * 4, (0,) * 4
        )
    with pytest.raises(ShapeError, match=r"(?s)RGBToHSV of .*three channels"):
        ops.RGBToHSV()(ops.ones((2, 4)))
