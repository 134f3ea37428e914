"""Convolutions as kernels, compiled and as plain Python, against their NumPy reference."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad import config
from jitgrad.codegen.conv.images import Images, way_of
from jitgrad.codegen.conv.spread import Spread
from jitgrad.codegen.conv.squares import Squares
from jitgrad.codegen.conv.weight import Pairs, Rows, Weight
from jitgrad.ir.node import Graph, input_node
from jitgrad.ir.op import OPS
from jitgrad.ir.types import TensorType, float32, of_array
from jitgrad.primitives.conv import spans
from jitgrad.runtime.executable import Executable

RNG = np.random.default_rng(7)
PLAIN = {"stride": (1, 1), "pad": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
SAME = {"pad": (1, 1, 1, 1)}
CASES = {
    "plain": ((2, 3, 9, 8), (4, 3, 3, 3), {}),
    "one image": ((1, 5, 7, 6), (10, 5, 3, 2), SAME),
    "no batch of one shape": ((11, 2, 8, 8), (9, 2, 3, 3), SAME),
    "strided": ((3, 4, 9, 11), (6, 4, 3, 3), {"stride": (2, 2), **SAME}),
    "strides longer than kernels": ((2, 3, 11, 9), (5, 3, 2, 1), {"stride": (3, 4)}),
    "uneven strides": ((2, 2, 6, 13), (3, 2, 2, 5), {"stride": (1, 3), "pad": (2, 0, 1, 4)}),
    "dilated": ((2, 3, 10, 12), (4, 3, 3, 2), {"dilation": (2, 3), "pad": (3, 1, 0, 2)}),
    "dilated and strided": (
        *((2, 2, 13, 17), (3, 2, 3, 3)),
        {"dilation": (2, 3), "stride": (4, 2), "pad": (1, 4, 2, 2)},
    ),
    "groups": ((3, 6, 7, 5), (9, 2, 3, 3), {"groups": 3, **SAME}),
    "each channel its own": ((2, 5, 6, 7), (5, 1, 3, 3), {"groups": 5, "stride": (2, 1), **SAME}),
    "points": ((3, 17, 5, 7), (19, 17, 1, 1), {}),
    "strided points": ((2, 3, 5, 8), (4, 3, 1, 1), {"stride": (2, 3)}),
    "lines": ((4, 3, 1, 50), (8, 3, 1, 7), {"pad": (0, 0, 3, 3)}),
    "all of the image": ((2, 3, 4, 5), (7, 3, 4, 5), {}),
    "more zeros than image": ((2, 2, 2, 1), (3, 2, 4, 3), {"pad": (4, 3, 5, 6)}),
    "zeros beyond the kernel": ((1, 1, 3, 3), (1, 1, 2, 2), {"pad": (3, 3, 3, 3)}),
    "many filters": ((2, 16, 16, 16), (40, 16, 3, 3), SAME),
    "small images": ((5, 16, 4, 4), (24, 16, 3, 3), SAME),
    "small images, strided": ((7, 32, 5, 4), (16, 32, 3, 3), {"stride": (2, 2), **SAME}),
    "images of few places": ((9, 48, 2, 2), (40, 48, 3, 3), SAME),
    "one of few places": ((1, 16, 2, 2), (40, 16, 3, 3), SAME),
    "small images of groups": ((6, 32, 3, 3), (32, 16, 2, 2), {"groups": 2, **SAME}),
    "as they are": ((3, 20, 8, 8), (18, 20, 1, 1), {}),
    "points of small images": ((4, 64, 7, 7), (48, 64, 1, 1), {}),
    "points of large images": ((3, 48, 17, 20), (28, 48, 1, 1), {}),
    "squares": ((3, 20, 9, 7), (28, 20, 3, 3), SAME),
    "squares of many terms": ((1, 260, 6, 5), (12, 260, 3, 3), SAME),
    "squares in bands": ((1, 16, 70, 67), (16, 16, 3, 3), {"pad": (0, 2, 2, 1)}),
    "from one place": ((20, 16, 4, 4), (24, 16, 4, 4), {}),
    "large kernel": ((1, 2, 23, 40), (3, 2, 11, 11), {"pad": (5, 5, 5, 5)}),
}


def operands(case, dtype):
    """(op, arrays, attributes) of the three ops for a case."""
    image, kernel, attrs = CASES[case]
    attrs = {**PLAIN, **attrs}
    out = spans("conv2d", image[2:], kernel[2:], attrs)
    shapes = (image, kernel, (image[0], kernel[0], *out))
    x, w, g = ((RNG.standard_normal(s) * 4).astype(dtype) for s in shapes)
    yield "conv2d", (x, w), attrs
    yield "conv2d_input", (g, w), {**attrs, "size": image[2:]}
    yield "conv2d_weight", (x, g), {**attrs, "kernel": kernel[2:]}


def compiled(name, arrays, attrs):
    nodes = [input_node(f"x{i}", of_array(a)) for i, a in enumerate(arrays)]
    (result,) = Executable(Graph("f", nodes, (OPS[name](*nodes, **attrs),)), {})(*arrays)
    return result


def agrees(got, name, arrays, attrs):
    """Within the rounding of a sum of so many products, of which the absolute values are added."""
    exact = [a.astype(np.float64) for a in arrays]
    want = OPS[name].numpy(*exact, **attrs)
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want.astype(got.dtype))
        return
    size = OPS[name].numpy(*map(np.abs, exact), **attrs)
    terms = max(a.size for a in arrays)
    bound = np.finfo(got.dtype).eps * np.sqrt(terms) * size
    assert (np.abs(got - want) <= bound + np.finfo(got.dtype).tiny).all()


@pytest.mark.parametrize("case", CASES)
def test_compiled(case):
    for name, arrays, attrs in operands(case, np.float32):
        agrees(compiled(name, arrays, attrs), name, arrays, attrs)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint8], ids=lambda d: d.__name__)
@pytest.mark.parametrize("case", ["strided", "groups", "points of small images"])
def test_dtypes(case, dtype):
    for name, arrays, attrs in operands(case, dtype):
        got = compiled(name, arrays, attrs)
        assert got.dtype == dtype
        agrees(got, name, arrays, attrs)


def test_doubles_in_squares():
    for name, arrays, attrs in operands("squares", np.float64):
        agrees(compiled(name, arrays, attrs), name, arrays, attrs)


PLAIN_CASES = (
    "strided",
    "one image",
    "groups",
    "small images",
    "one of few places",
    "points",
    "squares",
)


@pytest.mark.parametrize("case", PLAIN_CASES)
def test_plain_python(case):
    with config.override(jit=False):
        for name, arrays, attrs in operands(case, np.float32):
            agrees(compiled(name, arrays, attrs), name, arrays, attrs)


@pytest.mark.parametrize(
    "case", ["plain", "strided", "small images", "groups", "points", "squares"]
)
def test_infinities(case):
    """What an infinity in an image does not reach stays finite."""
    for name, arrays, attrs in operands(case, np.float32):
        for k in range(2 if name == "conv2d_weight" else 1):
            given = [np.ones_like(a) for a in arrays]
            given[k][-1, 0, 0, -1] = np.inf
            with np.errstate(invalid="ignore"):
                want = OPS[name].numpy(*given, **attrs)
            np.testing.assert_array_equal(compiled(name, given, attrs), want)


def test_large_elements_in_squares():
    """What would overflow in parts of squares is the sum that it is."""
    for name, arrays, attrs in operands("squares", np.float32):
        given = [np.full_like(a, v) for a, v in zip(arrays, (2e38, 1e-3))]
        agrees(compiled(name, given, attrs), name, given, attrs)


def test_each_way_is_taken():
    """The cases above go through all ways of packing images and of adding up their products."""
    found = set()
    for case in CASES:
        image, kernel, attrs = CASES[case]
        out = spans("conv2d", image[2:], kernel[2:], {**PLAIN, **attrs})
        x, y = (
            input_node("x", TensorType(float32, s)) for s in (image, (image[0], kernel[0], *out))
        )
        w = input_node("w", TensorType(float32, kernel))
        attrs = {**PLAIN, **attrs}
        for name, inputs, more in (
            ("conv2d", (x, w), {}),
            ("conv2d_input", (y, w), {"size": image[2:]}),
        ):
            way = way_of(OPS[name](*inputs, **attrs, **more))
            found.add(way.beside if isinstance(way, Images) else type(way))
        found.add(type(Weight(OPS["conv2d_weight"](x, y, **attrs, kernel=kernel[2:])).way))
    assert found == {False, True, Spread, Squares, Pairs, Rows}
