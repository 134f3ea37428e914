"""PyTorch's face: what `backward` and `autograd.grad` do on the eager tape."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import jitgrad as torch
from jitgrad import Parameter, Tensor, ops
from jitgrad.autograd import enable_grad, grad, is_grad_enabled, no_grad, set_grad_enabled


def leaf(data, dtype=None) -> Tensor:
    return torch.tensor(data, dtype, requires_grad=True)


def test_seed_program() -> None:
    x, y = leaf(2.0), leaf(3.0)
    z = x * x * y
    z.backward()
    assert (x.grad.item(), y.grad.item()) == (12, 4)
    x, y = torch.tensor(2.0).requires_grad_(), torch.tensor(3.0).requires_grad_()
    z = x * x * y
    assert grad(outputs=z, inputs=x)[0].item() == 12


def test_accumulation_over_calls() -> None:
    x = leaf([1.0, 2.0])
    for expected in ([2, 4], [4, 8], [6, 12]):
        (x * x).sum().backward()
        assert x.grad.tolist() == expected
    same = x.grad
    (x * x).sum().backward()
    assert x.grad is same  # accumulated in place
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4]


def test_gradients_are_not_shared() -> None:
    x, y = leaf([1.0]), leaf([1.0])
    (x + y).sum().backward()
    x.sum().backward()
    assert (x.grad.item(), y.grad.item()) == (2, 1)
    z = leaf([3.0])
    seed = Tensor([1.0])
    z.backward(seed)
    z.backward(seed)
    assert (z.grad.item(), seed.item()) == (2, 1)


def test_leaves_and_functions() -> None:
    x = leaf([1.0])
    y = x * 2.0
    plain = Tensor([1.0])
    assert (x.is_leaf, y.is_leaf, plain.is_leaf) == (True, False, True)
    assert (x.requires_grad, y.requires_grad, plain.requires_grad) == (True, True, False)
    assert x.grad_fn is None
    assert repr(y.grad_fn) == "<mul backward>"
    assert y.grad_fn.next_functions[1] == (None, 0)
    assert not y.detach().requires_grad
    assert y.requires_grad
    y.detach_()
    assert not y.requires_grad
    with pytest.raises(RuntimeError, match="only change requires_grad flags of leaf"):
        (x * x).requires_grad = False
    with pytest.raises(RuntimeError, match="only Tensors of floating point"):
        torch.tensor(1, requires_grad=True)


def test_only_what_is_followed_is_recorded() -> None:
    x = leaf([1.0, -2.0])
    assert not (Tensor([1.0]) * 2.0).requires_grad
    for constant in (x > 0, ops.stop_gradient(x), ops.floor(x), x.astype(torch.int32), x.argmax()):
        assert not constant.requires_grad


def test_errors_of_backward() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar"):
        (x * x).backward()
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        Tensor(1.0).backward()
    with pytest.raises(ValueError, match="Mismatch in shape"):
        (x * x).backward(Tensor([1.0]))
    with pytest.raises(RuntimeError, match="inputs argument to backward cannot be empty"):
        torch.autograd.backward(x.sum(), inputs=())
    with pytest.raises(TypeError, match="tensors must be a Tensor"):
        torch.autograd.backward([1.0])
    with pytest.raises(RuntimeError, match="got 1 tensors and 2 gradients"):
        torch.autograd.backward([x], [x, x])


def test_second_backward() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match="trying to backward through the graph a second time"):
        y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        grad(y, x)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12
    z = x + 1.0  # nothing was saved: a sum can go back twice
    z.backward()
    z.backward()
    assert x.grad.item() == 14


def test_grad_outputs_and_several_outputs() -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    z, w = x * y, x + y
    gx, gy = grad([z, w], [x, y], grad_outputs=[Tensor([1.0, 10.0]), Tensor([1.0, 1.0])])
    assert gx.tolist() == [4, 41]
    assert gy.tolist() == [2, 21]
    assert x.grad is None
    z = x * y
    (g,) = grad(z, z, grad_outputs=Tensor([5.0, 6.0]))
    assert g.tolist() == [5, 6]
    (g,) = grad(x * 2.0, x, grad_outputs=np.array([1.0, 2.0], np.float32))
    assert g.tolist() == [2, 4]


def test_intermediate_inputs() -> None:
    x = leaf([1.0, 2.0])
    y = x * x
    z = (y * 3.0).sum()
    gy, gx = grad(z, [y, x])
    assert (gy.tolist(), gx.tolist()) == ([3, 3], [6, 12])


def test_unused_inputs() -> None:
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        grad(x * 2.0, [x, y])
    gx, gy = grad(x * 2.0, [x, y], allow_unused=True)
    assert (gx.item(), gy) == (2, None)
    gx, gy = grad(x * 2.0, [x, y], materialize_grads=True)
    assert (gx.item(), gy.item()) == (2, 0)
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad(x * 2.0, Tensor(1.0))


def test_backward_with_inputs() -> None:
    x, y = leaf(2.0), leaf(3.0)
    (x * y).backward(inputs=[x])
    assert (x.grad.item(), y.grad) == (3, None)
    z = x * y
    torch.autograd.backward(z * z, inputs=z)
    assert z.grad.item() == 12


def test_create_graph() -> None:
    x = leaf(3.0)
    (g,) = grad(x**4, x, create_graph=True)
    (h,) = grad(g, x, create_graph=True)
    (k,) = grad(h, x)
    assert (g.item(), h.item(), k.item()) == (108, 108, 72)
    y = x * x
    y.backward(create_graph=True)
    (x.grad * 1.0).backward()
    assert x.grad.item() == 8  # 2 x + 2, as in PyTorch


def test_gradient_penalty() -> None:
    x, w = leaf([1.0, 2.0]), leaf([3.0, -1.0])
    out = (ops.tanh(x * w)).sum()
    (g,) = grad(out, x, create_graph=True)
    (g * g).sum().backward()
    a, b = x.asnumpy().astype(float), w.asnumpy().astype(float)

    def penalty(w: np.ndarray) -> float:
        return float((((1 - np.tanh(a * w) ** 2) * w) ** 2).sum())

    e = 1e-6
    expected = [(penalty(b + d) - penalty(b - d)) / (2 * e) for d in e * np.eye(2)]
    np.testing.assert_allclose(w.grad.asnumpy(), expected, rtol=1e-4)


def test_batched_cotangents() -> None:
    x = leaf([1.0, 2.0, 3.0])
    (jacobian,) = grad(x * x, x, grad_outputs=ops.eye(3, 3, torch.float32), is_grads_batched=True)
    assert jacobian.tolist() == [[2, 0, 0], [0, 4, 0], [0, 0, 6]]


def test_no_grad() -> None:
    x = leaf(1.0)
    with no_grad():
        assert not is_grad_enabled()
        y = x * 2.0
        with enable_grad():
            z = x * 2.0
    assert (y.requires_grad, z.requires_grad, is_grad_enabled()) == (False, True, True)

    @no_grad()
    def first(x):
        return x * 2.0

    @torch.no_grad
    def second(x):
        return x * 2.0

    assert not first(x).requires_grad
    assert not second(x).requires_grad
    with set_grad_enabled(False):
        assert not (x * 2.0).requires_grad
    set_grad_enabled(False)
    assert not is_grad_enabled()
    set_grad_enabled(True)
    assert is_grad_enabled()
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()


def test_writes_to_saved_values() -> None:
    x = leaf([1.0, 2.0])
    y = ops.exp(x)  # its derivative needs y itself
    y[0] = 5.0
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.sum().backward()
    y = x * 2.0
    z = y * y
    y += 1.0
    with pytest.raises(RuntimeError, match="is at version 1, expected version 0"):
        z.sum().backward()
    y = x + 2.0  # nothing of it is needed
    z = y * 3.0
    y += 1.0
    z.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_writes_are_differentiated() -> None:
    x, v = leaf([1.0, 2.0, 3.0]), leaf(10.0)
    y = x * 2.0
    y[1] = v * v
    (y * Tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [2, 0, 200]
    assert v.grad.item() == 200


def test_writes_to_leaves() -> None:
    w = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="a leaf Tensor that requires grad is changed in place"):
        w += 1.0
    (w * w).sum().backward()
    held = w
    with no_grad():
        w -= 0.5 * w.grad
    assert w is held
    assert (w.tolist(), w.requires_grad, w.is_leaf) == ([0, 0], True, True)
    w.data -= Tensor([1.0, 1.0])
    assert (w.tolist(), w.requires_grad) == ([-1, -1], True)


def test_gradient_descent() -> None:
    x, w = Tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]]), leaf([[0.0], [0.0]])
    target = ops.matmul(x, Tensor([[1.0], [-2.0]]))
    for _ in range(200):
        loss = ((ops.matmul(x, w) - target) ** 2).mean()
        w.grad = None
        loss.backward()
        with no_grad():
            w -= 0.1 * w.grad
    np.testing.assert_allclose(w.asnumpy(), [[1], [-2]], atol=1e-3)


def test_hooks() -> None:
    x = leaf([1.0, 2.0])
    seen = []
    y = x * 3.0
    handle = y.register_hook(lambda g: seen.append(("y", g.tolist())))
    y.register_hook(lambda g: g * 2.0)
    x.register_hook(lambda g: seen.append(("x", g.tolist())))
    y.sum().backward(retain_graph=True)
    assert seen == [("y", [1, 1]), ("x", [6, 6])]
    assert x.grad.tolist() == [6, 6]
    handle.remove()
    handle.remove()
    (y * 2.0).sum().backward()
    assert seen[2:] == [("x", [12, 12])]
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        Tensor(1.0).register_hook(print)
    x.register_hook(lambda g: Tensor([1.0, 2.0, 3.0]))
    with pytest.raises(
        RuntimeError, match=r"a hook on a gradient of type f32\[2\] returned f32\[3\]"
    ):
        x.sum().backward()


def test_retain_grad() -> None:
    x = leaf(2.0)
    y = x * x
    y.retain_grad()
    (y * 3.0).backward(retain_graph=True)
    assert y.grad.item() == 3
    (y * 3.0).backward()
    assert (y.grad.item(), x.grad.item()) == (6, 24)
    x.retain_grad()  # a leaf keeps it anyway
    with pytest.raises(RuntimeError, match="requires_grad=False"):
        Tensor(1.0).retain_grad()


def test_parameters_are_leaves() -> None:
    w = Parameter(Tensor([2.0, 3.0]), name="w")
    frozen = Parameter(Tensor([1.0, 1.0]), name="frozen", requires_grad=False)
    (w * w * frozen).sum().backward()
    assert w.grad.tolist() == [4, 6]
    assert frozen.grad is None
    w.set_data(Tensor([1.0, 1.0]))
    assert w.requires_grad
    assert w.is_leaf


def test_diamond_and_depth() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20):
        y = y + y  # 2**20 ways, 20 nodes
    y.backward()
    assert x.grad.item() == 2**20
    x.grad = None
    y = x
    for _ in range(5000):
        y = y * 1.0
    y.backward()
    assert x.grad.item() == 1


def test_memory_goes_with_the_result() -> None:
    x = leaf(np.ones(1000, np.float32))
    y = ops.exp(x)
    array = weakref.ref(y._data)
    z = (y * y).sum()
    gc.disable()
    try:
        del y
        z.backward()
        assert array() is None  # freed by the pass, without the garbage collector
        y = ops.exp(x)
        array = weakref.ref(y._data)
        z = y.sum()
        del y, z
        assert array() is None  # no cycles
    finally:
        gc.enable()


def test_dtype_of_gradients() -> None:
    x, y = leaf([1.0, 2.0], torch.float16), leaf([1.0, 2.0], torch.float64)
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (torch.float16, torch.float64)


def test_compiled_function_is_one_node() -> None:
    @torch.jit
    def f(x, y):
        return ops.sin(x) * y, x + y

    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    for _ in range(4):  # from the third call on by the shortest way
        a, b = f(x, y)
        assert repr(a.grad_fn) == "<f backward>"
        assert a.grad_fn is b.grad_fn
        gx, gy = grad((a * b).sum(), [x, y], create_graph=True)
        u, v = ops.sin(x) * y, x + y
        ex, ey = grad((u * v).sum(), [x, y], create_graph=True)
        np.testing.assert_allclose(gx.asnumpy(), ex.asnumpy(), rtol=1e-6)
        np.testing.assert_allclose(gy.asnumpy(), ey.asnumpy(), rtol=1e-6)
        (gxx,), (exx,) = grad(gx.sum(), x), grad(ex.sum(), x)
        np.testing.assert_allclose(gxx.asnumpy(), exx.asnumpy(), rtol=1e-5)


def test_compiled_function_with_parameters() -> None:
    w = Parameter(Tensor([2.0, 3.0]), name="w")
    count = Parameter(Tensor(0.0), name="count", requires_grad=False)

    @torch.jit
    def f(x):
        ops.assign(count, count + 1.0)
        return (x * w).sum() * count

    x = Tensor([1.0, 10.0])
    for step in range(1, 6):
        w.grad = None
        f(x).backward()
        assert w.grad.tolist() == [step, 10 * step]
    out = f(x)
    w.set_data(Tensor([0.0, 0.0]))
    assert grad(out, w)[0].tolist() == [6, 60]  # its value is not needed
    with no_grad():
        assert not f(x).requires_grad


def test_compiled_function_checks_what_it_needs() -> None:
    @torch.jit
    def f(x, w):
        return ops.exp(x * w * w)

    x, w = leaf([1.0, 2.0]), leaf([0.5, 0.25])
    v = w * 1.0
    y = f(x, v)
    v += 1.0
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.sum().backward()
    largest = torch.jit(lambda x: x.max())
    y = largest(leaf(np.arange(32, dtype=np.float32)))
    y += 1.0  # its derivative reads it
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.backward()
    y = f(x, w)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="a second time, at f"):
        y.sum().backward()


def test_compiled_function_keeps_what_is_dear() -> None:
    @torch.jit
    def f(x, w):
        return ops.tanh(ops.matmul(ops.tanh(ops.matmul(x, w)), w)) + ops.matmul(x, w)

    x, w = Tensor(np.ones((4, 8), np.float32)), leaf(np.full((8, 8), 0.1, np.float32))
    y = f(x, w)
    taped = y.grad_fn.taped
    backward = [n.op.name for n in taped.halves.backward.nodes]
    assert backward.count("matmul") == 3  # two of w, one of what is inside: none is run again
    assert [k.shape for k in y.grad_fn.kept] == [(4, 8), (4, 8)]
    g = torch.jit(lambda x: ops.exp(ops.sin(x)))
    y = g(leaf([1.0, 2.0]))  # in one kernel with the derivative that is cheap to run again
    assert len(y.grad_fn.kept) == 0


def test_cell_in_graph_mode_is_one_node() -> None:
    net, x = torch.nn.Dense(3, 2, activation="tanh"), Tensor([[0.5, -1.0, 2.0]])
    found = []
    for mode in (torch.PYNATIVE_MODE, torch.GRAPH_MODE):
        torch.set_context(mode=mode)
        try:
            for _ in range(4):
                net.weight.grad = None
                out = net(x)
                (out * out).sum().backward()
            found.append((out.asnumpy(), net.weight.grad.asnumpy()))
            assert (repr(out.grad_fn) == "<Dense backward>") == (mode == torch.GRAPH_MODE)
        finally:
            torch.set_context(mode=torch.PYNATIVE_MODE)
    for eager, compiled in zip(*found):
        np.testing.assert_allclose(eager, compiled, rtol=1e-5)
