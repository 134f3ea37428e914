"""Indexing and writing by index against NumPy, on keys that Hypothesis makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import BoundsError, DTypeError, ShapeError, TraceError
from jitgrad.frontend.trace import Argument, trace
from jitgrad.ir.interp import interpret

SHAPES = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)


@st.composite
def keys(draw: Any, shape: tuple[int, ...]) -> Any:
    """Basic, integer array, mask or mixed keys of a shape."""
    kind = draw(st.sampled_from(["basic", "integers", "mask", "mixed"]))
    if kind == "basic":
        return draw(arrays.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    if kind == "integers" and 0 not in shape:
        return draw(arrays.integer_array_indices(shape))
    if kind == "mask":
        depth = draw(st.integers(1, len(shape)))
        return draw(arrays.arrays(bool, shape[:depth]))
    parts: list[Any] = []
    common = draw(arrays.array_shapes(max_dims=2, max_side=3))
    for extent in shape:
        choices = [st.just(slice(None)), st.slices(extent)]
        if extent:
            integers = arrays.arrays(np.int64, common, elements=st.integers(-extent, extent - 1))
            choices += [st.integers(-extent, extent - 1), integers, integers]
        parts.append(draw(st.one_of(choices)))
        if draw(st.integers(0, 5)) == 0:
            parts.append(None)
    return tuple(parts)


@st.composite
def cases(draw: Any) -> tuple[np.ndarray, Any]:
    shape = draw(SHAPES)
    x = np.arange(1.0, np.prod(shape) + 1).reshape(shape)
    return x, draw(keys(shape))


def traced(call: Any, *inputs: np.ndarray) -> np.ndarray:
    arguments = [Argument(f"x{i}", Tensor(x)._type) for i, x in enumerate(inputs)]
    graph = trace(lambda xs: call(*xs), arguments, "call").graph
    return interpret(graph, list(inputs))[0]


@settings(max_examples=300)
@given(cases())
def test_getitem(case: tuple[np.ndarray, Any]) -> None:
    x, key = case
    np.testing.assert_array_equal(Tensor(x)[key].asnumpy(), x[key])
    np.testing.assert_array_equal(traced(lambda t: t[key], x), x[key])


@settings(max_examples=150)
@given(cases())
def test_getitem_gradient(case: tuple[np.ndarray, Any]) -> None:
    """The gradient of what is picked counts how often each element is."""
    x, key = case
    counts = np.zeros(x.shape)
    np.add.at(counts, key, 1.0)
    np.testing.assert_array_equal(ms.grad(lambda t: t[key])(Tensor(x)).asnumpy(), counts)


@settings(max_examples=300)
@given(cases(), st.booleans())
def test_setitem(case: tuple[np.ndarray, Any], whole: bool) -> None:
    x, key = case
    shape = x[key].shape
    value = -np.arange(1.0, np.prod(shape) + 1).reshape(shape) if whole else np.float64(-7)
    if whole and not isinstance(key, np.ndarray):
        arrays_in = key if isinstance(key, tuple) else (key,)
        if any(isinstance(k, np.ndarray) for k in arrays_in):
            value = np.full(shape, -3.0)  # NumPy promises no order where places repeat
    wanted = x.copy()
    wanted[key] = value
    t = Tensor(x)
    version = t._version
    t[key] = Tensor(value)
    np.testing.assert_array_equal(t.asnumpy(), wanted)
    assert t._version == version + 1

    def write(t: Tensor) -> Tensor:
        t = t * 1.0
        t[key] = Tensor(value)
        return t

    np.testing.assert_array_equal(traced(write, x), wanted)


@settings(max_examples=100)
@given(cases())
def test_traced_indices(case: tuple[np.ndarray, Any]) -> None:
    """Integer arrays in the key may be traced Tensors."""
    x, key = case
    items = key if isinstance(key, tuple) else (key,)
    places = [
        i
        for i, k in enumerate(items)
        if isinstance(k, np.ndarray) and k.dtype.kind == "i" and k.size
    ]
    inputs = [items[i].astype(np.int32) for i in places]

    def call(t: Tensor, *indices: Tensor) -> Tensor:
        parts = list(items)
        for place, index in zip(places, indices):
            parts[place] = index
        return t[tuple(parts)]

    np.testing.assert_array_equal(traced(call, x, *inputs), x[key])


def test_traced_scalar_index() -> None:
    x = np.arange(12.0).reshape(3, 4)
    for i in (-3, 0, 2):
        found = traced(lambda t, i: t[i, 1:], x, np.asarray(np.int64(i)))
        np.testing.assert_array_equal(found, x[i, 1:])
    with pytest.raises(BoundsError):
        traced(lambda t, i: t[i], x, np.asarray(np.int64(3)))
    with pytest.raises(BoundsError):
        traced(lambda t, i: t[i, i], x, np.asarray(np.int64(3)))


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        (3, BoundsError, "index 3 is out of bounds for axis 0 of f32[3,2]"),
        ((0, -3), BoundsError, "index -3 is out of bounds for axis 1 of f32[3,2]"),
        ((0, 0, 0), BoundsError, "too many indices for f32[3,2]"),
        ((..., ...), BoundsError, "an index has more than one '...'"),
        (slice(0, 2, 0), BoundsError, "a slice has step 0"),
        ([0, 5], BoundsError, "index 5 is out of bounds for axis 0 of f32[3,2]"),
        (([0, 1], [0, 1, 0]), BoundsError, "indices of shapes (2,), (3,)"),
        (np.array([True, False]), BoundsError, "a mask of shape (2,) does not fit f32[3,2]"),
        (1.0, DTypeError, "a Tensor was indexed with float 1.0"),
        (Tensor([1.0]), DTypeError, "a Tensor was indexed with f32[1]"),
        ("a", DTypeError, "a Tensor was indexed with str 'a'"),
    ],
    ids=repr,
)
def test_bad_keys(key: Any, error: type, text: str) -> None:
    x = ops.ones((3, 2))
    with pytest.raises(error) as caught:
        x[key]
    assert text in str(caught.value)
    assert isinstance(caught.value, IndexError)
    with pytest.raises(error):
        x[key] = 1.0


def test_true_is_a_new_axis() -> None:
    x = ops.arange(6).reshape(2, 3)
    assert x[True].shape == (1, 2, 3)
    assert ms.jit(lambda x: x[True, 1])(x).tolist() == [[3, 4, 5]]
    x[True] = 7
    assert x.tolist() == [[7, 7, 7], [7, 7, 7]]


def test_values_that_do_not_fit() -> None:
    x = ops.ones((3, 2))
    with pytest.raises(ShapeError, match="indexed part of shape"):
        x[0] = Tensor([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError):
        x[[0, 1]] = ops.ones((3, 2))


def test_traced_masks() -> None:
    """They can be written at, but not picked by."""
    x = np.array([-1.0, 2.0, -3.0])

    def write(t: Tensor) -> Tensor:
        u = t * 2
        u[t < 0] = 0.5
        return u

    np.testing.assert_array_equal(traced(write, x), [0.5, 4.0, 0.5])
    with pytest.raises(TraceError) as caught:
        traced(lambda t: t[t > 0], x)
    assert "f64[3] was indexed with a traced mask" in str(caught.value)
    assert "instead: ops.where(mask, x, 0.0)" in str(caught.value)


def test_elements_and_what_arrays_pick_are_values() -> None:
    """They share nothing with what they were picked from; other keys give views."""
    for key in ((0, 1), [0, 1], Tensor([1, 0]), Tensor([[True, False], [False, True]])):
        x = Tensor([[1.0, 2.0], [3.0, 4.0]])
        y = x[key]
        y += 10.0
        assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_setitem_casts_to_the_dtype() -> None:
    x = Tensor([1, 2, 3], ms.int32)
    x[0] = Tensor(7.9)
    assert x.tolist() == [7, 2, 3]
    assert x.dtype is ms.int32


def test_setitem_gradient() -> None:
    def f(x: Tensor, v: Tensor) -> Tensor:
        y = x * 3.0
        y[1] = v * v
        y[:, 0] = v[0]
        return y

    x, v = Tensor(np.ones((3, 4))), Tensor(np.array([1.0, 2.0, 3.0, 4.0]))
    dx, dv = ms.grad(f, (0, 1))(x, v)
    assert dx.tolist() == [[0, 3, 3, 3], [0, 0, 0, 0], [0, 3, 3, 3]]
    assert dv.tolist() == [3.0, 4.0, 6.0, 8.0]


def test_iteration() -> None:
    x = Tensor([[1, 2], [3, 4]])
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
