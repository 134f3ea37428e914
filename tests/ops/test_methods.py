"""Operators and methods of Tensor, in place and not, in both modes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, ops
from jitgrad.errors import DTypeError, ShapeError, TapeError, TraceError
from jitgrad.ops import methods


@pytest.fixture(params=["eager", "jit"])
def run(request: pytest.FixtureRequest) -> Callable:
    """Call a function as it is, or compiled."""
    return (lambda f: f) if request.param == "eager" else ms.jit


X = np.array([[0.5, -1.25, 2.0], [3.5, 0.25, -0.75]], np.float32)


def test_every_method_has_a_docstring() -> None:
    for name, function in methods.methods().items():
        assert function.__doc__, name
        assert hasattr(Tensor, name)


SAME_AS_FUNCTION = [
    *("abs", "exp", "sin", "tanh", "sigmoid", "floor", "round", "neg", "square", "ceil", "sign"),
    *("rsqrt", "log1p", "relu", "softmax", "argmax", "argmin", "ravel", "t", "isnan", "sort"),
    *("logical_not", "argsort", "std", "var", "mean", "prod", "any", "all", "median"),
]


@pytest.mark.parametrize("name", SAME_AS_FUNCTION)
def test_methods_are_functions(name: str) -> None:
    x = Tensor(np.abs(X))
    wanted, found = getattr(ops, name)(x), getattr(x, name)()
    if isinstance(wanted, tuple):
        wanted, found = wanted[0], found[0]
    np.testing.assert_array_equal(found.asnumpy(), wanted.asnumpy())


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda t: t.reshape(3, 2), X.reshape(3, 2)),
        (lambda t: t.reshape((3, -1)), X.reshape(3, 2)),
        (lambda t: t.view(6), X.ravel()),
        (lambda t: t.transpose(), X.T),
        (lambda t: t.T, X.T),
        (lambda t: t.transpose(1, 0), X.T),
        (lambda t: t.permute(1, 0), X.T),
        (lambda t: t.mT, X.T),
        (lambda t: t.flatten(), X.ravel()),
        (lambda t: t.sum(axis=0), X.sum(0)),
        (lambda t: t.sum(0, keepdims=True), X.sum(0, keepdims=True)),
        (lambda t: t.sum(dim=1), X.sum(1)),
        (lambda t: t.mean(1, True), X.mean(1, keepdims=True)),
        (lambda t: t.max(), X.max()),
        (lambda t: t.max(axis=0), X.max(0)),
        (lambda t: t.max(0)[0], X.max(0)),
        (lambda t: t.max(dim=1)[1], X.argmax(1)),
        (lambda t: t.min(axis=1, keepdims=True), X.min(1, keepdims=True)),
        (lambda t: t.max(t * 2), np.maximum(X, 2 * X)),
        (lambda t: t.min(axis=0, return_indices=True)[1], X.argmin(0)),
        (lambda t: t.argmax(1), X.argmax(1)),
        (lambda t: t.std(), X.std()),
        (lambda t: t.var(ddof=1), X.var(ddof=1)),
        (lambda t: t.clip(0.0, 1.0), X.clip(0, 1)),
        (lambda t: t.clamp(min=0.5), X.clip(0.5)),
        (lambda t: t.expand(2, 2, 3), np.broadcast_to(X, (2, 2, 3))),
        (lambda t: t.tile(1, 2), np.tile(X, (1, 2))),
        (lambda t: t.repeat(2, 1), np.tile(X, (2, 1))),
        (lambda t: t.repeat(2, axis=1), X.repeat(2, 1)),
        (lambda t: t.gather(1, Tensor([[0], [2]])), X[[0, 1], [0, 2]][:, None]),
        (lambda t: t.gather(Tensor([1]), 0), X[[1]]),
        (lambda t: t.select(1, 2), X[:, 2]),
        (lambda t: t.int(), X.astype(np.int32)),
        (lambda t: t.bool(), X.astype(bool)),
        (lambda t: t.half(), X.astype(np.float16)),
        (lambda t: t.long(), X.astype(np.int64)),
        (lambda t: t.to(ms.float64), X.astype(np.float64)),
        (lambda t: t.type_as(Tensor([1])), X.astype(np.int64)),
        (lambda t: abs(t), np.abs(X)),
        (lambda t: round(t), np.round(X)),
        (lambda t: -t, -X),
        (lambda t: +t, X),
        (lambda t: ~(t > 0), ~(X > 0)),
        (lambda t: 2 - t, 2 - X),
        (lambda t: 2 / t, 2 / X),
        (lambda t: 7 // t, 7 // X),
        (lambda t: 7 % t, np.float32(7) % X),
        (lambda t: divmod(t, 2)[1], X % 2),
        (lambda t: t @ t.T, X @ X.T),
        (lambda t: np.eye(2, dtype=np.float32) @ t, X),
        (lambda t: np.sin(t), np.sin(X)),
        (lambda t: t.new_zeros((2,)), np.zeros(2, np.float32)),
        (lambda t: t.where(t > 0, 0.0), np.where(X > 0, X, 0)),
        (lambda t: t.masked_fill(t > 0, 9.0), np.where(X > 0, 9, X)),
        (
            lambda t: t.scatter_add(0, Tensor([[1, 0, 1]]), Tensor([[1.0, 1.0, 1.0]])),
            X + np.array([[0, 1, 0], [1, 0, 1]], np.float32),
        ),
        (
            lambda t: t.index_put((Tensor([0]), Tensor([1])), Tensor([5.0])),
            [[0.5, 5, 2], [3.5, 0.25, -0.75]],
        ),
    ],
)
def test_methods(call, wanted) -> None:
    result = call(Tensor(X))
    assert isinstance(result, Tensor)
    np.testing.assert_allclose(result.asnumpy(), wanted, rtol=1e-6)
    assert result.shape == np.shape(wanted)


def test_comparison_with_strangers() -> None:
    x = Tensor([1.0])
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True
    with pytest.raises(TypeError):
        _ = x < "a"
    with pytest.raises(TypeError):
        x + None
    assert len({x, Tensor([1.0])}) == 2


# --- in place -----------------------------------------------------------------------------------


def test_in_place_operators(run) -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        t = x * 1.0
        alias = t
        t += y
        t *= 2.0
        t -= 1
        t /= 4
        t **= 2
        return alias

    x, y = Tensor(X), Tensor(X[0])
    wanted = (((X + X[0]) * 2 - 1) / 4) ** 2
    np.testing.assert_allclose(run(f)(x, y).asnumpy(), wanted, rtol=1e-6)
    assert x.tolist() == X.tolist()


def test_arguments_are_written_in_both_modes(run) -> None:
    """A write to an argument is seen by the caller, compiled or not."""

    def f(x: Tensor) -> Tensor:
        x[0] = 7.0
        x += 1.0
        return x * 2.0

    x = Tensor([1.0, 2.0])
    assert run(f)(x).tolist() == [16.0, 6.0]
    assert x.tolist() == [8.0, 3.0]


def test_methods_in_place(run) -> None:
    def f(x: Tensor) -> Tensor:
        t = x.copy()
        t.add_(1.0).mul_(2.0).clamp_(0.0, 5.0)
        t.masked_fill_(t == 5.0, -1.0)
        u = t.clone().zero_()
        return ops.stack((t, u.fill_(3.0), t.clone().copy_(Tensor(1.0))))

    wanted = np.clip((X + 1) * 2, 0, 5)
    wanted = np.where(wanted == 5, -1, wanted)
    ones = np.ones_like(X)
    np.testing.assert_allclose(run(f)(Tensor(X)).asnumpy(), np.stack((wanted, 3 * ones, ones)))


def test_gradients_flow_through_writes(run) -> None:
    def f(x: Tensor) -> Tensor:
        y = x * 2.0
        y *= x
        y[0] = x[1] * 3.0
        return y.sum()

    assert run(ms.grad(f))(Tensor([1.0, 2.0])).tolist() == [0.0, 11.0]


def test_shape_and_dtype_are_kept() -> None:
    x = Tensor([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"__iadd__ in place of f32\[2\] gives f32\[3,2\]"):
        x += ops.ones((3, 2))
    n = Tensor([1, 2])
    with pytest.raises(DTypeError, match="would be cut off"):
        n += 1.5
    h = Tensor([1.0], ms.float16)
    h += Tensor([1.0])
    assert h.dtype is ms.float16


def test_leaves_are_not_written() -> None:
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(TapeError):
        x += 1.0
    with ms.no_grad():
        x += 1.0
    assert x.tolist() == [2.0]
    assert x.requires_grad


def test_saved_values_are_guarded() -> None:
    x = Tensor([2.0], requires_grad=True)
    y = x * 1.0
    z = y * y
    y += 1.0
    with pytest.raises(RuntimeError):
        z.sum().backward()


# --- parameters ---------------------------------------------------------------------------------


def test_assignment(run) -> None:
    p = Parameter(Tensor([1.0, 2.0]), name="p")

    def f(x: Tensor) -> Tensor:
        before = p * 1.0
        ops.assign(p, x)
        ops.assign_add(p, x)
        ops.assign_sub(p, Tensor([1.0, 1.0]))
        return before + p

    f = run(f)
    assert f(Tensor([3.0, 4.0])).tolist() == [6.0, 9.0]
    assert p.tolist() == [5.0, 7.0]
    assert f(Tensor([1.0, 1.0])).tolist() == [6.0, 8.0]
    assert p.tolist() == [1.0, 1.0]


def test_assignment_returns_the_parameter_and_copies() -> None:
    p, value = Parameter(Tensor([1.0]), name="p"), Tensor([2.0])
    assert ops.assign(p, value) is p
    ops.assign_add(p, Tensor([1.0]))
    assert value.tolist() == [2.0]
    p += 1.0
    assert p.tolist() == [4.0]
    assert isinstance(p, Parameter)


def test_no_gradient_through_an_assignment(run) -> None:
    p = Parameter(Tensor([1.0]), name="p")

    def f(x: Tensor) -> Tensor:
        ops.assign(p, x * 2.0)
        return p * x

    assert run(ms.grad(f))(Tensor([3.0])).tolist() == [6.0]


def test_assignment_errors() -> None:
    p = Parameter(Tensor([1.0]), name="p")
    with pytest.raises(ShapeError, match=r"assign of f32\[2\] to f32\[1\]"):
        ops.assign(p, Tensor([1.0, 2.0]))
    n = Parameter(Tensor([1]), name="n")
    with pytest.raises(DTypeError, match="would be cut off"):
        ops.assign(n, Tensor([1.5]))
    with pytest.raises(DTypeError, match="writes to a Parameter"):
        ops.assign(1.0, Tensor([1.5]))


def test_scatter_into_parameters(run) -> None:
    p = Parameter(ops.zeros((3, 2)), name="p")

    def f(x: Tensor) -> Tensor:
        ops.scatter_add(p, Tensor([1, 1]), x)
        ops.scatter_nd_update(p, Tensor([[2, 0]]), Tensor([9.0]))
        return p * 1.0

    wanted = [[0.0, 0.0], [2.0, 2.0], [9.0, 0.0]]
    assert run(f)(ops.ones((2, 2))).tolist() == wanted
    assert p.tolist() == wanted


def test_add_in_place_at_indices(run) -> None:
    p = Parameter(ops.zeros(3), name="p")
    out = run(lambda x: ops.inplace_index_add(p, Tensor([2, 2]), x, 0) * 2.0)(Tensor([1.0, 4.0]))
    assert (out.tolist(), p.tolist()) == ([0.0, 0.0, 10.0], [0.0, 0.0, 5.0])


def test_bytes_as_another_dtype() -> None:
    x = Tensor([1.0, -2.0])
    assert x.view(ms.int32).tolist() == np.float32([1, -2]).view(np.int32).tolist()
    assert x.view(ms.uint8).shape == (8,)
    assert x.view(2, 1).shape == (2, 1)
    with pytest.raises(TraceError, match="read as another dtype"):
        ms.jit(lambda v: v.view(ms.int32))(x)


def test_distinct() -> None:
    x = Tensor([[3, 1], [3, 1], [0, 2]])
    values, at, counts = x.unique(return_inverse=True, return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([0, 1, 2, 3], [1, 2, 1, 2])
    assert values[at].tolist() == x.tolist()
    rows, at = ms.mint.unique(x, return_inverse=True, dim=0)
    assert (rows.tolist(), at.tolist()) == ([[0, 2], [3, 1]], [1, 1, 0])
    assert [v.tolist() for v in Tensor([3, 1, 3]).unique()] == [[3, 1], [0, 1, 0]]


def test_edges_of_limits() -> None:
    """As MindSpore has it in `ops`, and PyTorch in `mint`."""
    x = Tensor([-1.0, 1.0, 0.5, 2.0])
    for function, wanted in (
        (ops.hardtanh, [0.5, 0.5, 1, 0]),
        (ms.nn.Hardtanh(), [0.5, 0.5, 1, 0]),
        (ms.mint.nn.functional.hardtanh, [0, 0, 1, 0]),
        (lambda v: 6 * ops.hardsigmoid(3 * v) / 3, [0, 0, 1, 0]),
    ):
        assert ms.grad(lambda v: function(v).sum())(x).tolist() == wanted  # noqa: B023


def test_quotients_of_integers() -> None:
    x, y = Tensor([7, 2, -7], ms.int32), Tensor([2, 3, 2], ms.int32)
    assert ops.RealDiv()(x, y).tolist() == [3, 0, -3]
    assert ops.RealDiv()(x, 2.0).tolist() == [3.5, 1.0, -3.5]
    assert ops.Div()(x, y).tolist()[0] == 3.5


def test_which_largest_gives_indices() -> None:
    """The older of MindSpore's two signatures, which has `axis` and `keepdims`, gives values."""
    x = Tensor([[1.0, 3.0], [4.0, 2.0]])
    assert x.max(-1, keepdims=True).tolist() == x.max(axis=-1, keepdims=True).tolist() == [[3], [4]]
    for found in (x.max(-1, keepdim=True), x.max(dim=-1, keepdim=True), x.max(-1, True)):
        assert [v.tolist() for v in found] == [[[3.0], [4.0]], [[1], [0]]]


def test_methods_with_defaults_of_their_own() -> None:
    x = Tensor([[1.0, 3.0], [5.0, 7.0]])
    assert x.cumsum().tolist() == [1.0, 4.0, 9.0, 16.0]
    assert x.cumsum(1).tolist() == [[1.0, 4.0], [5.0, 12.0]]
    places = x[0].searchsorted(Tensor([1.0, 4.0]), "right")
    assert (places.dtype, places.tolist()) == (ms.int32, [1, 2])
