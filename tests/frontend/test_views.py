"""Views: NumPy's rule of what shows the same elements, in both modes and under derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, ops, tree
from jitgrad.errors import TapeError, TraceError
from jitgrad.views import is_shared
from tests.frontend.control.conftest import interpreted

START = np.arange(1.0, 9.0).reshape(4, 2)


def chained(t):
    t[0][0] = 5.0
    return t


def item(t):
    r = t[1]
    r[0] = 2.0
    return t, r


def base_written(t):
    r = t[1]
    t[1] = 7.0
    return t, r


def siblings(t):
    r = t.T
    r[0] = 7.0
    r[1, 1] += 5.0
    s = t.reshape(-1)
    s[-1] = 0.0
    return t, r, s


def rows(t):
    for row in t:
        row[0] = row[1] * 2
    return t


def rows_by_number(t):
    for i in range(t.shape[0]):
        row = t[i]
        row[0] = row[1] * 2
        row *= 2
    return t


def many_rows(t):
    for i in range(40):
        row = t[i % 4]
        row *= 1.1
    return t


def written_in_branches(t):
    r = t[0]
    if t.sum() > 0:
        r[0] = 9.0
    else:
        t[0] = 3.0
    return t, r


def written_in_a_loop(t):
    r = t[0]
    i = 0
    while i < 20:
        r += 1.0
        i += 1
    return t, r


def bound_in_a_branch(t):
    r = t[0]
    if t.sum() > 0:
        r = t[1]
    r[0] = 9.0
    return t, r


def bound_in_both_branches(t):
    if t.sum() < 0:
        r = t[0]
    else:
        r = t[1:3].reshape(-1)[1:3]
    r += 1.0
    t[1, 1] = 4.0
    return t, r


def view_of_a_temporary(t):
    if t.sum() > 0:
        r = (t * 2)[0]
    else:
        r = (t * 3)[0]
    r += 1.0
    return t, r


def views_of_views(t):
    u = t.reshape(-1)
    v = u[2:6]
    w = v[1:]
    w[0] = 100.0
    t[0, 0] = -1.0
    return t, u, v, w


def read_while_the_base_is_written(t):
    r = t[0]
    for _ in range(20):
        t[0] = t[0] + r * 0.1
    return t, r


def elements(t):
    s = t[0, 0]
    s += 5.0
    return t, s


def steps_backwards(t):
    r = t[::-2, ::-1]
    r *= 3.0
    t[1, 0] = 0.5
    return t, r


def new_axes(t):
    r = t[None, 1:3, None]
    r[0, 0] = 4.0
    return t, r


PROGRAMS = [
    chained, item, base_written, siblings, rows, rows_by_number, many_rows, written_in_branches,
    written_in_a_loop, bound_in_a_branch, bound_in_both_branches, view_of_a_temporary,
    views_of_views, read_while_the_base_is_written, elements, steps_backwards, new_axes,
]  # fmt: skip


def arrays(found) -> list[np.ndarray]:
    return [np.asarray(x) for x in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_as_in_numpy(program) -> None:
    expected = arrays(program(START.copy()))
    for run in (program, interpreted(program)):
        found = arrays(run(Tensor(START)))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_gradients_go_through_them(program) -> None:
    """Programs are linear in pieces: the slope of a line through the point is exact."""

    def loss(x):
        leaves = tree.flatten(program(x * 1.0))[0]
        return sum((out * (k + 1.5)).sum() for k, out in enumerate(leaves))

    direction = np.cos(np.arange(8.0)).reshape(4, 2) / 64
    ahead, behind = (loss(Tensor(START + s * direction)).item() for s in (1, -1))
    for gradient in (ms.grad(loss), interpreted(ms.grad(loss))):
        found = np.asarray(gradient(Tensor(START)))
        assert np.vdot(found, direction) == pytest.approx((ahead - behind) / 2, rel=1e-9)


VIEWS = {
    "reshape": (lambda x: ops.reshape(x, (2, 6)), lambda x: x.reshape(2, 6)),
    "view": (lambda x: x.view(-1), lambda x: x.reshape(-1)),
    "ravel": (lambda x: x.ravel(), lambda x: x.reshape(-1)),
    "flatten": (lambda x: ops.flatten(x), lambda x: x.reshape(2, 6)),
    "squeeze": (lambda x: x.squeeze(1), lambda x: x[:, 0]),
    "unsqueeze": (lambda x: x.unsqueeze(-1), lambda x: x[..., None]),
    "expand_dims": (lambda x: ops.expand_dims(x, 0), lambda x: x[None]),
    "transpose": (lambda x: ops.transpose(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1)),
    "permute": (lambda x: x.permute(1, 2, 0), lambda x: x.transpose(1, 2, 0)),
    "swapaxes": (lambda x: x.swapaxes(0, -1), lambda x: x.swapaxes(0, -1)),
    "moveaxis": (lambda x: ops.moveaxis(x, 2, 0), lambda x: np.moveaxis(x, 2, 0)),
    "movedim": (lambda x: ops.movedim(x, (0, 1), (2, 0)), lambda x: np.moveaxis(x, (0, 1), (2, 0))),
    "narrow": (lambda x: ops.narrow(x, 2, -4, 3), lambda x: x[:, :, 2:5]),
    "split": (lambda x: ops.split(x, 4, axis=2)[1], lambda x: x[:, :, 4:]),
    "chunk": (lambda x: x.chunk(2, 2)[0], lambda x: x[:, :, :3]),
    "unbind": (lambda x: ops.unbind(x, 0)[1], lambda x: x[1]),
    "diagonal": (lambda x: x.diagonal(0, 2, 0), lambda x: np.einsum("aba->ba", x[:, :, :2])),
    "view_as": (lambda x: x.view_as(ops.zeros((3, 4))), lambda x: x.reshape(3, 4)),
    "T": (lambda x: x[:, 0].T, lambda x: x[:, 0].T),
    "index of numpy": (lambda x: x[np.int64(1)], lambda x: x[1]),
    "index in a Tensor": (lambda x: x[Tensor(1)], lambda x: x[1]),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_functions_that_give_views(name: str, mode: str) -> None:
    function, of_numpy = VIEWS[name]
    expected = np.arange(12.0).reshape(2, 1, 6)
    of_numpy(expected)[...] *= 2.0
    before = expected.copy()
    expected[0, 0, 3] = -1.0

    def program(x):
        y = function(x)
        y *= 2.0
        z = x.copy()
        x[0, 0, 3] = -1.0
        return z, x, y

    run = program if mode == "eager" else interpreted(program)
    z, x, y = run(Tensor(np.arange(12.0).reshape(2, 1, 6)))
    np.testing.assert_array_equal(z.asnumpy(), before)
    np.testing.assert_array_equal(x.asnumpy(), expected)
    np.testing.assert_array_equal(y.asnumpy(), of_numpy(expected))


def test_what_a_compiled_function_writes_shows_in_views_outside() -> None:
    w = Parameter(np.zeros((2, 2)), name="w")
    row = w[1]
    step = ms.jit(lambda x: ops.assign(w, w + x).sum())
    for _ in range(3):
        step(Tensor(np.array(1.0)))
    assert row.tolist() == [3.0, 3.0]

    @ms.jit
    def add(r):
        r += 1.0
        return r.sum()

    assert add(row).item() == 8.0
    assert w.tolist() == [[3.0, 3.0], [4.0, 4.0]]


def test_a_tensor_and_its_view_as_arguments() -> None:
    @ms.jit
    def both(a, b):
        a += 1.0
        return b.sum()

    x = Tensor(np.zeros((2, 2)))
    with pytest.raises(TraceError, match="both got a Tensor and a view of it"):
        both(x, x[0])
    assert both(x, Tensor(np.ones(2))).item() == 2.0


def test_a_view_that_a_loop_chooses_is_not_written_to() -> None:
    @interpreted
    def last(x, n):
        y = x * 1.0
        row = y[0]
        i = 0
        while i < n:
            row = y[i]
            i += 1
        row += 1.0
        return y

    with pytest.raises(TraceError, match="may be a view of another is written in place"):
        ms.vmap(last)(Tensor(np.ones((3, 4, 2))), Tensor([1, 2, 3]))


def test_leaves_are_protected_and_nothing_has_changed() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x[:1]
    with pytest.raises(TapeError, match="a leaf Tensor that requires grad is changed in place"):
        y += 1.0
    assert (x.tolist(), y.tolist()) == ([1.0, 2.0], [1.0])
    with ms.autograd.no_grad():
        y += 1.0
    assert x.tolist() == [2.0, 2.0]


def test_data_and_detach_write_past_the_history() -> None:
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    x.data[0] = 5.0
    x.detach().mul_(2.0)
    assert x.tolist() == [10.0, 4.0, 6.0]
    y = x * 2.0
    y[1:].mul_(3.0)
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 6.0, 6.0]


def test_views_that_are_gone_are_forgotten() -> None:
    x = Tensor(np.zeros((4, 2)))
    for i in range(1000):
        x[i % 4]
    assert len(x._views) < 20


def test_a_tensor_without_views_is_not_shared() -> None:
    x = Tensor(np.zeros((4, 2)))
    row = x[0]
    assert is_shared(x)
    assert is_shared(row)
    del row
    assert not is_shared(x)
