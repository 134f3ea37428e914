"""What `ops` exports: names, docstrings, classes, and errors that name what was called."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, ops
from jitgrad.errors import (
    ArgumentError,
    BoundsError,
    DTypeError,
    JitgradError,
    ShapeError,
    TraceError,
)
from jitgrad.ops.classes import CLASSES


def test_all_is_there() -> None:
    assert len(set(ops.__all__)) == len(ops.__all__)
    for name in ops.__all__:
        thing = getattr(ops, name)
        assert callable(thing), name
        assert inspect.getdoc(thing), name


def test_functions_know_their_names() -> None:
    for name in ops.__all__:
        thing = getattr(ops, name)
        if inspect.isfunction(thing):
            own = thing.__name__
            assert own.rstrip("_") == name.rstrip("_") or hasattr(ops, own.rstrip("_")), name


@pytest.mark.parametrize(
    ("name", "near"), [("softmx", "softmax"), ("ReduceSom", "ReduceSum"), ("arg_max", "argmax")]
)
def test_unknown_names(name: str, near: str) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; did you mean .*{near}"):
        getattr(ops, name)


def test_faces() -> None:
    import jitgrad.ops.composite as C
    import jitgrad.ops.functional as F
    import jitgrad.ops.operations as P

    assert F.softmax is ops.softmax
    assert P.MatMul is ops.MatMul
    assert C.HyperMap is ops.HyperMap
    with pytest.raises(AttributeError, match="did you mean"):
        P.MatMol  # noqa: B018


# --- classes ------------------------------------------------------------------------------------

X = np.array([[0.5, -1.25, 2.0], [3.5, 0.25, -0.75]], np.float32)
Y = np.array([[1.5, 0.25, -2.0], [0.5, 2.25, 0.75]], np.float32)


@pytest.mark.parametrize(
    ("primitive", "inputs", "wanted"),
    [
        (ops.Add(), (X, Y), X + Y),
        (ops.MatMul(transpose_b=True), (X, Y), X @ Y.T),
        (ops.MatMul(True), (X, Y), X.T @ Y),
        (ops.BatchMatMul(False, True), (X[None], Y[None]), (X @ Y.T)[None]),
        (ops.ReduceSum(keep_dims=True), (X, 1), X.sum(1, keepdims=True)),
        (ops.ReduceSum(), (X,), X.sum()),
        (ops.ReduceMean(), (X, (0, 1)), X.mean()),
        (ops.ReduceMax(True), (X, 0), X.max(0, keepdims=True)),
        (ops.Cast(), (X, ms.int32), X.astype(np.int32)),
        (ops.Reshape(), (X, (3, 2)), X.reshape(3, 2)),
        (ops.Concat(1), ((X, Y),), np.hstack((X, Y))),
        (ops.Stack(0), ([X, Y],), np.stack((X, Y))),
        (ops.Transpose(), (X, (1, 0)), X.T),
        (ops.ExpandDims(), (X, 0), X[None]),
        (ops.Squeeze(0), (X[None],), X),
        (ops.Softmax(axis=0), (X,), np.exp(X) / np.exp(X).sum(0)),
        (ops.Gather(), (X, [1, 0], 0), X[[1, 0]]),
        (ops.OneHot(), ([1, 0], 2, 1.0, 0.0), np.eye(2)[[1, 0]]),
        (ops.Argmax(), (X,), X.argmax(-1)),
        (ops.Tile(), (X, (2, 1)), np.tile(X, (2, 1))),
        (ops.BroadcastTo((2, 2, 3)), (X,), np.stack((X, X))),
        (ops.CumSum(exclusive=True), (X, 1), X.cumsum(1) - X),
        (ops.CumSum(reverse=True), (X, 0), X[::-1].cumsum(0)[::-1]),
        (ops.ReLU(), (X,), np.maximum(X, 0)),
        (ops.Pad(((1, 0), (0, 2))), (X,), np.pad(X, ((1, 0), (0, 2)))),
        (ops.Pow(), (np.abs(X), Y), np.abs(X) ** Y),
        (ops.L2Loss(), (X,), (X**2).sum() / 2),
        (ops.Select(), (X > 0, X, Y), np.where(X > 0, X, Y)),
        (ops.SquaredDifference(), (X, Y), (X - Y) ** 2),
        (ops.StridedSlice(), (X, (0, 1), (2, 3), (1, 1)), X[:, 1:]),
        (ops.Slice(), (X, (0, 1), (2, 2)), X[:, 1:]),
        (ops.Eye(), (2, 3, ms.float32), np.eye(2, 3)),
    ],
)
def test_classes(primitive, inputs, wanted) -> None:
    def wrap(x):
        if isinstance(x, np.ndarray):
            return Tensor(x)
        if isinstance(x, (tuple, list)) and isinstance(x[0], np.ndarray):
            return type(x)(Tensor(v) for v in x)
        return Tensor(x) if isinstance(x, list) else x

    result = primitive(*map(wrap, inputs))
    np.testing.assert_allclose(result.asnumpy(), wanted, rtol=1e-5)


def test_classes_with_several_results() -> None:
    index, value = ops.ArgMaxWithValue(axis=1)(Tensor(X))
    assert index.tolist() == [2, 0]
    assert index.dtype is ms.int64
    assert value.tolist() == [2.0, 3.5]
    assert [p.tolist() for p in ops.Split(1, 3)(Tensor(X))] == [
        X[:, i : i + 1].tolist() for i in range(3)
    ]
    out, centre, variance = ops.LayerNorm(1, 1, 0.0)(Tensor(X), ops.ones((3,)), ops.zeros((3,)))
    np.testing.assert_allclose(centre.asnumpy(), X.mean(1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(variance.asnumpy(), X.var(1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(out.asnumpy().mean(1), 0, atol=1e-6)
    losses, gradient = ops.SoftmaxCrossEntropyWithLogits()(
        Tensor(X), Tensor([[0.0, 1, 0], [1, 0, 0]])
    )
    np.testing.assert_allclose(
        losses.asnumpy(),
        ops.cross_entropy(Tensor(X), Tensor([1, 0]), reduction="none").asnumpy(),
        rtol=1e-6,
    )
    assert gradient.shape == (2, 3)


def test_class_objects() -> None:
    assert repr(ops.MatMul()) == "Prim[MatMul]"
    assert ops.ReduceSum(keep_dims=True).keep_dims is True
    assert "keep_dims" in (ops.ReduceSum.__doc__ or "")
    with pytest.raises(TypeError, match="keepdim"):
        ops.ReduceSum(keepdim=True)
    assert issubclass(ops.Add, ops.Primitive)
    assert pickle.loads(pickle.dumps(ops.Add)) is ops.Add
    for name, cls in CLASSES.items():
        assert cls.__name__ == name


def test_classes_compile_and_differentiate() -> None:
    add, total = ops.Add(), ops.ReduceSum(True)

    def f(x: Tensor) -> Tensor:
        return total(add(x, x) * x, 1)

    assert ms.jit(f)(Tensor(X)).shape == (2, 1)
    np.testing.assert_allclose(ms.grad(f)(Tensor(X)).asnumpy(), 4 * X)
    np.testing.assert_allclose(ms.grad(ops.Sin())(Tensor(X)).asnumpy(), np.cos(X), rtol=1e-6)


# --- maps over nests, loops ---------------------------------------------------------------------


def test_hyper_map() -> None:
    add = ops.MultitypeFuncGraph("add")

    @add.register("Tensor", "Tensor")
    def add_tensors(x, y):
        return ops.add(x, y)

    @add.register("Number", "Number")
    def add_numbers(x, y):
        return x + y

    found = ops.HyperMap(add)((Tensor(1.0), [2, 3]), (Tensor(2.0), [4, 5]))
    assert found[0].item() == 3.0
    assert found[1] == [6, 8]
    with pytest.raises(DTypeError, match=r"add has no function for \(str, str\)"):
        add("a", "b")


def test_loops() -> None:
    assert ops.while_loop(lambda v: v < 20.0, lambda v: v * 2.0, Tensor(1.5)).item() == 24.0
    assert ops.fori_loop(0, 4, lambda i, v: v * 1.5 + i, Tensor(1.0)).item() == 13.3125
    carry, ys = ops.scan(lambda c, x: (c + x, c * 2), Tensor(0.0), Tensor([1.0, 2.0, 3.0]))
    assert carry.item() == 6.0
    assert ys.tolist() == [0.0, 2.0, 6.0]


def test_inserted_gradients() -> None:
    seen = []
    double = ops.InsertGradientOf(lambda g: g * 2)
    hook = ops.HookBackward(lambda g: seen.append(g[0].item()))
    x = Tensor(3.0)
    assert ms.grad(lambda x: double(x) * 5)(x).item() == 10.0
    assert ms.grad(lambda x: hook(x) * 5)(x).item() == 5.0
    assert seen == [5.0]


# --- errors -------------------------------------------------------------------------------------

A, B = Tensor(X), Tensor(Y)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: ops.matmul(A, B),
            ShapeError,
            "matmul got f32[2,3] and f32[2,3]\n* because the last axis of the first "
            "has 3 elements, the axis it meets 2\n* instead: x @ y.swapaxes(-1, -2)",
        ),
        (
            lambda: ops.concat((A, B[:, :2])),
            ShapeError,
            "concat got f32[2,3] and f32[2,2] along axis 0",
        ),
        (lambda: ops.stack((A, B[0])), ShapeError, "stack got f32[2,3] and f32[3]"),
        (lambda: ops.reshape(A, (4, 2)), ShapeError, "reshape of f32[2,3] to (4, 2)"),
        (lambda: A.reshape(-1, 4), ShapeError, "reshape of f32[2,3] to (-1, 4)"),
        (lambda: ops.sum(A, 2), BoundsError, "sum got axis 2 for a Tensor of 2 dimensions"),
        (lambda: ops.mean(A, (0, -2)), ArgumentError, "mean got axes (0, -2)"),
        (lambda: ops.sum(A, 0.5), DTypeError, "sum got axis 0.5"),
        (lambda: ops.transpose(A, (0, 0)), ArgumentError, "transpose of f32[2,3] by (0, 0)"),
        (lambda: ops.bitwise_and(A, B), DTypeError, "bitwise_and got f32[2,3] and f32[2,3]"),
        (lambda: ops.neg(A > 0), DTypeError, "neg got bool[2,3]"),
        (lambda: ops.conv2d(A, B), ShapeError, "conv2d got f32[2,3]"),
        (
            lambda: ops.cross_entropy(A, Tensor([1])),
            ShapeError,
            "cross_entropy got f32[2,3] and i64[1]",
        ),
        (lambda: ops.mse_loss(A, B, "average"), ArgumentError, "mse_loss got reduction='average'"),
        (lambda: ops.one_hot(A, 3), DTypeError, "one_hot got f32[2,3]"),
        (
            lambda: ops.gather(A, Tensor([5]), 1),
            BoundsError,
            "index 5 is out of bounds for axis 1 of f32[2,3]",
        ),
        (
            lambda: ops.split(A, (1, 1), 1),
            ArgumentError,
            "split of f32[2,3] along axis 1 into sizes (1, 1)",
        ),
        (lambda: ops.broadcast_to(A, (2, 4)), ShapeError, "broadcast_to of f32[2,3] to (2, 4)"),
        (lambda: ops.add("a", 1), DTypeError, "add got a str"),
        (lambda: ops.add([A, B], 1), DTypeError, "add got a list"),
        (lambda: ops.layer_norm(A, (2,)), ShapeError, "layer_norm of f32[2,3] over (2,)"),
        (lambda: ops.dense(A, ops.ones((4, 2))), ShapeError, "dense got f32[2,3] and f32[4,2]"),
        (
            lambda: ops.einsum("ij,jk->ik", A, B),
            ShapeError,
            "einsum got 'ij,jk->ik' and f32[2,3] and f32[2,3]",
        ),
        (lambda: ops.einsum("ij", A, B), ArgumentError, "einsum got 'ij' and 2 operands"),
        (lambda: ops.topk(A, 4), ArgumentError, "topk of f32[2,3] along axis 1 got k=4"),
        (lambda: ops.cast(A, "complex32"), DTypeError, "cast: 'complex32' is no dtype here"),
        (
            lambda: ops.max_pool2d(ops.ones((1, 1, 2, 2)), 3),
            ShapeError,
            "a kernel of 3x3 does not fit",
        ),
        (lambda: ops.clamp(A), ArgumentError, "clamp got neither min nor max"),
        (lambda: ops.pad(A, (1,)), ArgumentError, "pad of f32[2,3] by (1,)"),
        (
            lambda: ms.jit(lambda x: ops.reshape(x, x.sum().astype(ms.int32)))(A),
            TraceError,
            "given to reshape as its shape",
        ),
        (lambda: ms.jit(lambda x: ops.nonzero(x))(A), TraceError, "searched by nonzero"),
    ],
)
def test_errors(call, error, text) -> None:
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert isinstance(caught.value, JitgradError)
    assert message.startswith("test_names.py:")
    lines = [line.strip() for line in message.splitlines()]
    for part in text.split("\n"):
        part = part.removeprefix("* ")
        assert any(part in line for line in lines), message


def test_spellings() -> None:
    assert (
        ops.sum(A, axis=0).tolist()
        == ops.sum(A, dim=0).tolist()
        == ops.sum(input=A, dim=0).tolist()
    )
    assert ops.mean(A, dim=1, keepdim=True).shape == ops.mean(A, 1, keep_dims=True).shape == (2, 1)
    assert ops.softmax(A, dim=0).tolist() == ops.softmax(x=A, axis=0).tolist()
    with pytest.raises(TypeError, match="axes"):
        ops.sum(A, axes=0)
    assert str(inspect.signature(ops.sum)) == "(input, dim=None, keepdim=False, *, dtype=None)"


def test_parameters_are_operands() -> None:
    p = Parameter(A, name="p")
    assert type(p + 1) is Tensor
    assert (p * p).shape == (2, 3)


def test_amounts_of_padding_held_by_a_cell() -> None:
    class Net(ms.nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.pad, self.amounts = ops.MirrorPad(mode="SYMMETRIC"), Tensor([[1, 1], [2, 2]])

        def construct(self, x):
            return self.pad(x, self.amounts)

    wanted = np.pad(X, ((1, 1), (2, 2)), "symmetric")
    np.testing.assert_array_equal(ms.jit(Net())(Tensor(X)).asnumpy(), wanted)
