"""Tensor and Parameter: what they are made of, what they show, what they refuse."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, ParameterTuple, Tensor


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (3, ms.int64, ()),
        (3.0, ms.float32, ()),
        (True, ms.bool_, ()),
        ([1, 2], ms.int64, (2,)),
        ([1, 2.0], ms.float32, (2,)),
        ([True, False], ms.bool_, (2,)),
        ([[1.0], [2.0]], ms.float32, (2, 1)),
        ((1, (2)), ms.int64, (2,)),
        (range(3), ms.int64, (3,)),
        ([], ms.float32, (0,)),
        ([[], []], ms.float32, (2, 0)),
        (np.float64(1), ms.float64, ()),
        ([np.float64(1)], ms.float64, (1,)),
        (np.arange(3, dtype=np.int8), ms.int8, (3,)),
        (np.zeros((2, 3)), ms.float64, (2, 3)),
        (np.zeros(2, np.float16), ms.float16, (2,)),
        (np.zeros(2, ">f4"), ms.float32, (2,)),
        (Tensor([1, 2]), ms.int64, (2,)),
        ([Tensor(1.0), Tensor(2.0)], ms.float32, (2,)),
    ],
)
def test_dtype_of_data(data, dtype, shape) -> None:
    t = Tensor(data)
    assert t.dtype is dtype
    assert t.shape == shape
    assert t.asnumpy().dtype == dtype.numpy


@pytest.mark.parametrize(
    ("data", "dtype", "expected"),
    [
        ([1.9, -1.9], ms.int32, [1, -1]),
        ([1, 0], ms.bool_, [True, False]),
        (3, "float16", 3.0),
        ([1, 2], np.float64, [1.0, 2.0]),
        ([1, 2], np.dtype("int8"), [1, 2]),
        (2.5, float, 2.5),
    ],
)
def test_dtype_asked_for(data, dtype, expected) -> None:
    assert Tensor(data, dtype).tolist() == expected
    assert Tensor(data, dtype=dtype).dtype is ms.ops.cast(Tensor(0), dtype).dtype


@pytest.mark.parametrize("data", ["a", None, ["a"], object(), {"a": 1}, np.array(["a"]), {1}])
def test_refused_data(data) -> None:
    with pytest.raises(TypeError):
        Tensor(data)


def test_ragged_lists_are_a_value_error() -> None:
    with pytest.raises(TypeError, match="lists of different lengths"):
        Tensor([[1], [2, 3]])


def test_nothing_shares_memory() -> None:
    array = np.array([1.0, 2.0], np.float32)
    t = Tensor(array)
    array[0] = 9
    out = t.asnumpy()
    out[1] = 9
    u = Tensor(t)
    v = t.reshape((2,))
    t._data[0] = 7  # as an in-place update of a compiled step does
    assert u.tolist() == [1, 2]
    assert v.tolist() == [1, 2]
    assert np.asarray(t).tolist() == [7, 2]


@pytest.mark.parametrize("order", ["F", "strided", "readonly", "swapped", "reversed"])
def test_layouts_of_arrays(order: str) -> None:
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    array = {
        "F": np.asfortranarray(base),
        "strided": np.repeat(base, 2, axis=1)[:, ::2],
        "readonly": base.copy(),
        "swapped": base.astype(">f4"),
        "reversed": base[::-1][::-1],
    }[order]
    array.setflags(write=order != "readonly")
    t = Tensor(array)
    assert t._data.flags.c_contiguous
    assert t._data.flags.writeable
    assert (t.asnumpy() == base).all()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (3, "Tensor(shape=[], dtype=Int64, value= 3)"),
        (0.5, "Tensor(shape=[], dtype=Float32, value= 0.5)"),
        (True, "Tensor(shape=[], dtype=Bool, value= True)"),
        (
            [1.0, -2.0],
            "Tensor(shape=[2], dtype=Float32, value= [ 1.00000000e+00, -2.00000000e+00])",
        ),
        (
            np.array([1, 0.5], np.float16),
            "Tensor(shape=[2], dtype=Float16, value= [ 1.0000e+00,  5.0000e-01])",
        ),
        (
            [[1, 10], [100, 2]],
            "Tensor(shape=[2, 2], dtype=Int64, value=\n[[  1,  10],\n [100,   2]])",
        ),
        (
            [[[1.0]], [[2.0]]],
            "Tensor(shape=[2, 1, 1], dtype=Float32, value=\n"
            "[[[ 1.00000000e+00]],\n [[ 2.00000000e+00]]])",
        ),
        ([], "Tensor(shape=[0], dtype=Float32, value= )"),
        ([True, False], "Tensor(shape=[2], dtype=Bool, value= [ True, False])"),
        (
            [True] * 13,
            f"Tensor(shape=[13], dtype=Bool, value= [{' True, ' * 12}\n  True])",
        ),
        (
            list(range(1001)),
            "Tensor(shape=[1001], dtype=Int64, value= [   0,    1,    2 ...  998,  999, 1000])",
        ),
        (
            np.arange(14).reshape(2, 7),
            "Tensor(shape=[2, 7], dtype=Int64, value=\n"
            "[[ 0,  1,  2 ...  4,  5,  6],\n [ 7,  8,  9 ... 11, 12, 13]])",
        ),
        (
            np.arange(7).reshape(7, 1),
            "Tensor(shape=[7, 1], dtype=Int64, value=\n"
            "[[0],\n [1],\n [2],\n ...\n [4],\n [5],\n [6]])",
        ),
    ],
)
def test_repr(data, text: str) -> None:
    assert repr(Tensor(data)) == text


def test_str_is_numpys() -> None:
    for data in (3.0, [1.0, 2.5], [[1, 2], [3, 4]]):
        assert str(Tensor(data)) == str(np.array(data, Tensor(data).dtype.numpy))
    assert f"{Tensor(2.75):.1f} {Tensor(2)}" == "2.8 2"
    assert (repr(ms.float32), str(ms.float32), repr(ms.bool_)) == (
        "jitgrad.float32",
        "Float32",
        "jitgrad.bool",
    )


def test_conversions() -> None:
    t = Tensor(2.75)
    assert (float(t), int(t), bool(t), t.item(), t.tolist()) == (2.75, 2, True, 2.75, 2.75)
    assert complex(Tensor(2)) == 2
    assert [10, 20, 30][Tensor(1)] == 20
    assert list(range(Tensor(3))) == [0, 1, 2]
    assert Tensor([[1.5]]).item() == 1.5
    assert Tensor([1.0, 2.0]).item(1) == 2.0
    assert len(Tensor([[1], [2], [3]])) == 3
    assert [row.tolist() for row in Tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda: bool(Tensor([1, 2])), ValueError),
        (lambda: float(Tensor([1.0, 2.0])), ValueError),
        (lambda: Tensor([1.0, 2.0]).item(), ValueError),
        (lambda: len(Tensor(1)), TypeError),
        (lambda: iter(Tensor(1)), TypeError),
        (lambda: [1, 2][Tensor(1.0)], TypeError),
        (lambda: Tensor([1.0], "nonsense"), TypeError),
        (lambda: Tensor([1]).requires_grad_(), RuntimeError),
    ],
)
def test_refused_conversions(ask, error) -> None:
    with pytest.raises(error):
        ask()


def test_attributes() -> None:
    t = Tensor(np.zeros((2, 3), np.float32))
    assert (t.shape, t.ndim, t.size, t.itemsize, t.nbytes, t.strides) == (
        (2, 3),
        2,
        6,
        4,
        24,
        (12, 4),
    )
    assert len({t, t, Tensor(np.zeros((2, 3)))}) == 2


def test_numpy_protocol() -> None:
    t = Tensor([1.0, 4.0])
    for made in (np.sqrt(t), np.array([2.0, 3.0], np.float32) * t, np.float32(2) + t, 2 - t):
        assert isinstance(made, Tensor)
    assert np.sqrt(t).tolist() == [1, 2]
    assert (np.array([2.0, 3.0], np.float32) - t).tolist() == [1, -1]
    assert (np.arange(2) @ np.asarray(t)).tolist() == 4
    assert np.asarray(t, np.float64).dtype == np.float64
    assert np.cbrt(Tensor([8.0])).tolist() == [2.0]  # not ours: NumPy computes it


def test_copies() -> None:
    p = Parameter(Tensor([1.0, 2.0]), name="p", requires_grad=False)
    x = Tensor([1.0, 2.0], requires_grad=True)
    for make in (copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))):
        q, y = make(p), make(x)
        assert (type(q), q.name, q.requires_grad, q.tolist()) == (Parameter, "p", False, [1, 2])
        assert (type(y), y.requires_grad, y.is_leaf, y.tolist()) == (Tensor, True, True, [1, 2])
        q.set_data(Tensor([0.0, 0.0]))
        assert p.tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="only leaf Tensors"):
        copy.deepcopy(x * x)


def test_parameter() -> None:
    p = Parameter(Tensor(np.array([1.0], np.float32)), name="a")
    assert repr(p) == str(p) == "Parameter (name=a, shape=(1,), dtype=Float32, requires_grad=True)"
    assert Parameter(2.0).name == "Parameter"
    assert p.set_data(Tensor([2.0])) is p
    assert p.tolist() == [2.0]
    assert p.value().tolist() == [2.0]
    assert type(p.value()) is Tensor
    p.set_data(Tensor([1.5], ms.float64))
    assert p.dtype is ms.float32
    p.set_data(Tensor([1.0, 2.0]), slice_shape=True)
    assert p.shape == (2,)
    p.data = Tensor([5.0, 6.0])
    assert p.tolist() == [5, 6]
    p.set_dtype(ms.float64)
    assert p.dtype is ms.float64
    q = p.clone()
    q.name = "b"
    assert (p.name, q.name, q.tolist()) == ("a", "b", [5, 6])
    assert p.clone(init=3).tolist() == [3, 3]


def test_parameter_errors() -> None:
    p = Parameter(Tensor([1, 2], ms.int32), name="steps")
    with pytest.raises(ValueError, match=r"Parameter steps of shape \[2\] got data of shape \[3\]"):
        p.set_data(Tensor([1, 2, 3], ms.int32))
    with pytest.raises(TypeError, match="Float32 data"):
        p.set_data(Tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="a name is a str"):
        Parameter(1.0, name=3)
    with pytest.raises(TypeError, match="ParameterTuple got a Tensor"):
        ParameterTuple([Tensor(1.0)])


def test_parameter_tuple() -> None:
    both = ParameterTuple([Parameter(1.0, "a"), Parameter(2.0, "b")])
    clones = both.clone("moments", init=0)
    assert isinstance(clones, ParameterTuple)
    assert [(p.name, p.item()) for p in clones] == [("moments.a", 0), ("moments.b", 0)]
    assert [p.item() for p in both] == [1, 2]


def test_constructor_with_init() -> None:
    def fill(array: np.ndarray) -> None:
        array[...] = 7

    assert Tensor(shape=(2,), dtype=ms.float32, init=fill).tolist() == [7, 7]
    with pytest.raises(ValueError, match="needs a shape"):
        Tensor(init=fill)


def test_module_and_function_named_tensor() -> None:
    from jitgrad.tensor import Tensor as again

    assert again is Tensor
    assert ms.tensor(2.0, requires_grad=True).requires_grad
    assert ms.tensor([1, 2], dtype=ms.float64).dtype is ms.float64
