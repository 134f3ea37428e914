"""Functions that the eager mode looks up as one step each, and what computes a step."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import JitgradError
from jitgrad.frontend import steps
from jitgrad.frontend.composed import composed
from jitgrad.frontend.prepared import prepared
from jitgrad.ir.op import OPS, Op
from jitgrad.ir.types import TensorType, float16, float32, int32, of_array
from jitgrad.state import Leaf

TIMES = 4  # plain, traced, and looked up twice


@pytest.fixture(autouse=True)
def soon(monkeypatch) -> None:
    """The second call is traced. As if no other test had made a device: beside one, functions are
    called as they are.
    """
    monkeypatch.setattr("jitgrad.frontend.composed.OFTEN", 2)
    monkeypatch.setattr("jitgrad.frontend.composed.IN_USE", [])
    monkeypatch.setitem(steps.SCOPE, "IN_USE", [])


def _matrix() -> Tensor:
    return Tensor(np.arange(6, dtype=np.float32).reshape(2, 3), requires_grad=True)


PROGRAMS = {
    "item": lambda x, y: x[1, 2],
    "row": lambda x, y: x[-1],
    "part": lambda x, y: x[:, ::-2],
    "axes": lambda x, y: x[None, ..., 1],
    "matmul": lambda x, y: x @ y,
    "columns": lambda x, y: x + y[:, 0],
    "rows": lambda x, y: x.T * x[0, 0] - y,
    "mean": lambda x, y: x.mean(0, keep_dims=True),
    "sum": lambda x, y: x.sum(dim=1),
    "where": lambda x, y: ops.where(x > 2.0, x, -0.0),
    "stack": lambda x, y: ops.stack([x.T, y], axis=1),
    "concat": lambda x, y: ops.concat((x.reshape(3, 2), y), -1),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_time_the_same(name: str) -> None:
    program = PROGRAMS[name]
    found = []
    for _ in range(TIMES):
        x, y = _matrix(), Tensor(np.full((3, 2), 0.5, np.float32), requires_grad=True)
        out = program(x, y)
        (out * out).sum().backward()
        found.append([out.asnumpy(), *[np.zeros(1) if t.grad is None else t.grad for t in (x, y)]])
    for again in found[1:]:
        for first, value in zip(found[0], again, strict=True):
            np.testing.assert_array_equal(np.asarray(first), np.asarray(value))
            assert np.array_equal(np.signbit(first), np.signbit(value))


def test_what_is_looked_up_is_one_node() -> None:
    x = _matrix()
    for _ in range(TIMES):
        out = x[1, 2]
    ((before, _),) = out.grad_fn.next_functions
    assert type(before) is Leaf
    assert out.grad_fn.name() == "item"


def test_zeros_of_both_signs_are_two_calls() -> None:
    x = Tensor([-1.0, 1.0])
    for _ in range(TIMES):
        assert not np.signbit(ops.where(x > 0, x, 0.0).asnumpy()[0])
        assert np.signbit(ops.where(x > 0, x, -0.0).asnumpy()[0])


def test_numbers_of_other_types_are_other_calls() -> None:
    x = Tensor([1, 2])
    for _ in range(TIMES):
        found = [ops.where(x > 1, x, other).dtype for other in (1, 1.0, True)]
        assert found == [ms.int64, ms.float32, ms.int64]


def test_tensors_in_keys_are_read_each_time() -> None:
    x = _matrix()
    for i in range(3):
        at = Tensor(i)
        assert [x[:, at].tolist(), x[:, at:].shape] == [[i, i + 3.0], (2, 3 - i)]
        assert ops.sum(x, Tensor(i % 2)).shape == ((3,), (2,))[i % 2]


def test_what_was_looked_up_without_the_tape_is_followed_with_it() -> None:
    x = _matrix()
    with ms.no_grad():
        for _ in range(TIMES):
            assert not (x @ x.T).requires_grad
    (x @ x.T).sum().backward()
    np.testing.assert_array_equal(x.grad.asnumpy(), [[6, 10, 14]] * 2)


def test_to_any_order() -> None:
    x = _matrix()
    for _ in range(TIMES):
        (first,) = ms.autograd.grad((x[0] * x[1, 1:2]).sum() * x.mean(), x, create_graph=True)
        (second,) = ms.autograd.grad(first.sum(), x)
    want = ms.jit(ms.grad(lambda x: ms.grad(_cubic)(x).sum()))(x.detach())
    np.testing.assert_allclose(second.asnumpy(), want.asnumpy(), rtol=4e-7)


def _cubic(x: Tensor) -> Tensor:
    return (x[0] * x[1, 1:2]).sum() * x.mean()


def test_errors_are_the_same_each_time() -> None:
    x = _matrix()
    texts = set()
    for _ in range(TIMES):
        with pytest.raises(JitgradError) as caught:
            x @ x
        texts.add(str(caught.value))
        with pytest.raises(IndexError):
            x[2]
    assert len(texts) == 1


def test_views_stay_views() -> None:
    for _ in range(TIMES):
        x = Tensor(np.zeros((2, 3), np.float32))
        row, turned = x[1], x.T
        row += 1.0
        turned[0, 0] = 5.0
        assert x.tolist() == [[5, 0, 0], [1, 1, 1]]


def test_what_reads_values_is_never_composed() -> None:
    calls = []

    @composed
    def scaled(x: Tensor) -> Tensor:
        calls.append(1)
        return x * float(x.sum())

    for k in range(TIMES):
        assert scaled(Tensor([1.0, k])).tolist() == [k + 1, k * (k + 1.0)]
    assert len(calls) == TIMES + 1  # and once to see that it cannot be


@pytest.mark.parametrize("op", [o for o in OPS.values() if o.kind == "elementwise"], ids=str)
def test_steps_give_arrays_of_their_own(op: Op) -> None:
    for dtype in (float32, float16, int32):
        for sample in op.samples(dtype):
            arrays = [np.broadcast_to(a.flat[0], a.shape) if a.size else a for a in sample.inputs]
            for given in (sample.inputs, arrays):
                types = tuple([of_array(a) for a in given])
                type = op.infer(types, sample.attrs)
                assert isinstance(type, TensorType)
                with np.errstate(all="ignore"):
                    out = prepared(op, types, sample.attrs, (type,), False)(*given)
                assert out.dtype == type.dtype.numpy
                assert out.shape == type.shape
                assert out.flags.c_contiguous
                assert out.flags.owndata
                assert not any(np.shares_memory(out, a) for a in given)
