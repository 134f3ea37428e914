"""dtypes and shapes of results: promotion, weak scalars, broadcasting."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError
from jitgrad.ir.types import BY_CODE, DTYPES

# torch.promote_types, row by row; "." where an integer dtype that holds both does not exist.
CODES = ["f16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool"]
PROMOTED = [
    "f16",
    "f32",
    "f64",
    "f16",
    "f16",
    "f16",
    "f16",
    "f16",
    "f16",
    "f16",
    "f16",
    "f16",
    "f32",
    "f32",
    "f64",
    "f32",
    "f32",
    "f32",
    "f32",
    "f32",
    "f32",
    "f32",
    "f32",
    "f32",
    "f64",
    "f64",
    "f64",
    "f64",
    "f64",
    "f64",
    "f64",
    "f64",
    "f64",
    "f64",
    "f64",
    "f64",
    "f16",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "i16",
    "i32",
    "i64",
    ".",
    "i8",
    "f16",
    "f32",
    "f64",
    "i16",
    "i16",
    "i32",
    "i64",
    "i16",
    "i32",
    "i64",
    ".",
    "i16",
    "f16",
    "f32",
    "f64",
    "i32",
    "i32",
    "i32",
    "i64",
    "i32",
    "i32",
    "i64",
    ".",
    "i32",
    "f16",
    "f32",
    "f64",
    "i64",
    "i64",
    "i64",
    "i64",
    "i64",
    "i64",
    "i64",
    ".",
    "i64",
    "f16",
    "f32",
    "f64",
    "i16",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "u8",
    "f16",
    "f32",
    "f64",
    "i32",
    "i32",
    "i32",
    "i64",
    "u16",
    "u16",
    "u32",
    "u64",
    "u16",
    "f16",
    "f32",
    "f64",
    "i64",
    "i64",
    "i64",
    "i64",
    "u32",
    "u32",
    "u32",
    "u64",
    "u32",
    "f16",
    "f32",
    "f64",
    ".",
    ".",
    ".",
    ".",
    "u64",
    "u64",
    "u64",
    "u64",
    "u64",
    "f16",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "bool",
]


@pytest.mark.parametrize("row", range(len(CODES)), ids=CODES)
def test_tensor_with_tensor(row: int) -> None:
    for column, code in enumerate(CODES):
        x, y = (Tensor([1], BY_CODE[c]) for c in (CODES[row], code))
        wanted = PROMOTED[row * len(CODES) + column]
        if wanted == ".":
            with pytest.raises(DTypeError, match="no integer dtype holds both"):
                ops.maximum(x, y)
        else:
            assert ops.maximum(x, y).dtype.code == wanted
            assert ops.eq(x, y).dtype is ms.bool_


def test_zero_dimensional_counts_fully() -> None:
    assert (Tensor([1.0], ms.float32) + Tensor(1.0, ms.float64)).dtype is ms.float64


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("number", [True, 3, 2.5, np.float64(2.5), np.int8(3)], ids=repr)
def test_numbers_are_weak(dtype, number) -> None:
    rank = {"b": 0, "u": 1, "i": 1, "f": 2}[dtype.kind]
    weight = 0 if number is True else 1 if isinstance(number, (int, np.integer)) else 2
    wanted = dtype if weight <= rank else (ms.bool_, ms.int64, ms.float32)[weight]
    for operation in (ops.mul, ops.maximum):
        assert operation(Tensor([1], dtype), number).dtype is wanted
        assert operation(number, Tensor([1], dtype)).dtype is wanted


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind != "f"], ids=str)
def test_integers_in_float_functions(dtype) -> None:
    x = Tensor([1, 0], dtype)
    for function in (ops.sin, ops.exp, ops.sigmoid, ops.mean, ops.softmax, ops.gelu, ops.std):
        assert function(x).dtype is ms.float32
    assert (x / x).dtype is ms.float32
    assert (x / 2).dtype is ms.float32


@pytest.mark.parametrize("dtype", [ms.bool_, ms.int8, ms.uint8, ms.int32, ms.int64], ids=str)
def test_sums_of_integers(dtype) -> None:
    x = Tensor([1, 1], dtype)
    assert ops.sum(x).dtype is ops.prod(x).dtype is x.sum().dtype is ms.int64
    assert ops.sum(x, dtype=ms.float32).dtype is ms.float32


@pytest.mark.parametrize("dtype", [ms.float16, ms.float32, ms.float64], ids=str)
def test_floats_stay(dtype) -> None:
    x = Tensor([0.5, 0.25], dtype)
    for function in (ops.sin, ops.mean, ops.var, ops.softmax, ops.sum, ops.norm, ops.softplus):
        assert function(x).dtype is dtype
    assert ((x * 2 + 1.5) ** 2 / 3).dtype is dtype


def test_float16_means_do_not_overflow() -> None:
    x = Tensor(np.full(300, 1000.0), ms.float16)
    assert x.mean().item() == 1000.0
    assert x.std().item() == 0.0


def test_bool_arithmetic() -> None:
    a, b = Tensor([True, True, False]), Tensor([True, False, False])
    assert (a + b).tolist() == [True, True, False]
    assert (a * b).tolist() == [True, False, False]
    assert (a + 1).dtype is ms.int64
    with pytest.raises(DTypeError, match=r"sub got bool\[3\] and bool\[3\]"):
        a - b


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (lambda a, b: a / b, [3.5, -3.5, -1.5]),
        (lambda a, b: a // b, [3, -4, -2]),
        (lambda a, b: a % b, [1, 1, -2]),
        (lambda a, b: ops.fmod(a, b), [1, -1, 2]),
        (lambda a, b: ops.div(a, b, rounding_mode="trunc"), [3, -3, -1]),
        (lambda a, b: ops.div(a, b, rounding_mode="floor"), [3, -4, -2]),
        (lambda a, b: ~a, [-8, 6, -7]),
        (lambda a, b: a << 1, [14, -14, 12]),
        (lambda a, b: a >> 1, [3, -4, 3]),
        (lambda a, b: a & 3, [3, 1, 2]),
        (lambda a, b: a**2, [49, 49, 36]),
    ],
)
def test_integer_arithmetic(expression, wanted) -> None:
    a, b = Tensor([7, -7, 6], ms.int32), Tensor([2, 2, -4], ms.int32)
    result = expression(a, b)
    assert result.tolist() == wanted
    assert result.dtype is (ms.float32 if isinstance(wanted[0], float) else ms.int32)


def test_numbers_that_do_not_fit() -> None:
    x = Tensor([1], ms.int8)
    with pytest.raises(ArgumentError, match="int8 and the number 1000"):
        x + 1000
    assert (x < 1000).tolist() == [True]
    assert (Tensor([1], ms.uint8) > -1).tolist() == [True]
    with pytest.raises(ArgumentError, match="the power is no integer"):
        x**-1


def test_numpy_arrays_are_operands() -> None:
    x = Tensor([1.0, 2.0])
    array = np.array([3.0, 4.0], np.float32)
    for operation in (operator.add, operator.mul, operator.truediv, operator.pow):
        for left, right in ((x, array), (array, x)):
            result = operation(left, right)
            assert isinstance(result, Tensor)
            wanted = operation(np.asarray(left), np.asarray(right))
            np.testing.assert_allclose(result.asnumpy(), wanted, rtol=1e-6)
    assert (x * np.array([1.0, 2.0])).dtype is ms.float64
    assert (x + [1, 2]).tolist() == [2.0, 4.0]


SHAPES = [
    ((), (2, 3)),
    ((3,), (2, 3)),
    ((2, 1), (2, 3)),
    ((2, 1), (1, 3)),
    ((1, 1), (4, 1)),
    ((2, 1, 3), (5, 1)),
    ((0, 1), (3,)),
    ((1,), (0,)),
    ((), ()),
    ((1, 3), (3,)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
def test_broadcasting(a, b) -> None:
    x = np.arange(np.prod(a), dtype=np.float64).reshape(a) + 1
    y = np.arange(np.prod(b), dtype=np.float64).reshape(b) * 2
    for left, right in ((x, y), (y, x)):
        result = Tensor(left) - Tensor(right)
        np.testing.assert_array_equal(result.asnumpy(), left - right)
    loss = ms.grad(lambda p, q: p * q, (0, 1))(Tensor(x), Tensor(y))
    shape = np.broadcast_shapes(a, b)
    for gradient, other, own in zip(loss, (y, x), (a, b)):
        wide = np.broadcast_to(other, shape)
        axes = tuple(range(len(shape) - len(own)))
        summed = wide.sum(axes)
        for axis, extent in enumerate(own):
            if extent == 1 and summed.shape[axis] != 1:
                summed = summed.sum(axis, keepdims=True)
        np.testing.assert_allclose(gradient.asnumpy(), summed)


@pytest.mark.parametrize(
    ("a", "b", "remedy"),
    [
        ((2, 3), (2, 4), "reshape or slice one of them"),
        ((2,), (2, 3), "give the one of shape (2,) unit axes at the end: .reshape((2, 1))"),
    ],
)
def test_shapes_that_do_not_fit(a, b, remedy) -> None:
    x, y = ops.ones(a), ops.ones(b)
    with pytest.raises(ShapeError) as caught:
        ops.add(x, y)
    lines = [line for line in str(caught.value).splitlines() if line.strip(" ^")]
    assert lines[0].startswith("test_promote.py:")
    assert lines[0].endswith(f"add got {x._type} and {y._type}")
    assert lines[1].strip() == "ops.add(x, y)"
    assert lines[2].strip().startswith("because shapes are matched from the last axis")
    assert lines[3].strip() == f"instead: {remedy}"
    assert isinstance(caught.value, ValueError)


def test_products_do_not_promote() -> None:
    x, y = ops.ones((2, 3)), ops.ones((3, 2), ms.float64)
    for function in (ops.matmul, ops.mm, ops.dot, ops.inner, lambda a, b: a @ b):
        with pytest.raises(DTypeError, match="do not promote") as caught:
            function(x, y)
        assert isinstance(caught.value, TypeError)
