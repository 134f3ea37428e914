"""What a new user writes in the first hour: fits, networks and derivatives, in both modes.

Each program stands for a page of a tutorial, and is held against NumPy, done by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, nn, ops

pytestmark = pytest.mark.usefixtures("mode")


@pytest.fixture
def rng() -> np.random.Generator:
    ms.set_seed(0)
    return np.random.default_rng(0)


def close(got: object, wanted: object, within: float = 1e-5) -> None:
    got, wanted = (x.asnumpy() if isinstance(x, Tensor) else np.asarray(x) for x in (got, wanted))
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=within, atol=within)


def slopes(f: Callable, *arrays: np.ndarray) -> list[np.ndarray]:
    """Central differences of a function of float64 arrays, in each of them."""
    found = []
    for k, a in enumerate(arrays):
        slope = np.zeros_like(a)
        for place in np.ndindex(a.shape):
            step = np.zeros_like(a)
            step[place] = 1e-6
            up, down = (f(*arrays[:k], b, *arrays[k + 1 :]) for b in (a + step, a - step))
            slope[place] = (up - down) / 2e-6
        found.append(slope)
    return found


# --- fitting ------------------------------------------------------------------------------------


def test_linear_regression(rng: np.random.Generator) -> None:
    x = rng.normal(size=(50, 3)).astype(np.float32)
    y = x @ np.array([1, -2, 0.5], np.float32) + 3
    w, b = Parameter(np.zeros(3, np.float32), name="w"), Parameter(Tensor(0.0), name="b")

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return ((ops.matmul(x, w) + b - y) ** 2).mean()

    gradient = ms.value_and_grad(loss, None, [w, b])
    by_hand = np.zeros(4)
    with_ones = np.column_stack([x, np.ones(50)])
    for _ in range(60):
        _, (dw, db) = gradient(Tensor(x), Tensor(y))
        w.set_data(w - 0.1 * dw)
        b.set_data(b - 0.1 * db)
        by_hand -= 0.2 * with_ones.T @ (with_ones @ by_hand - y) / 50
    close(w, by_hand[:3], 1e-4)
    close(b, by_hand[3], 1e-4)


def test_linear_regression_on_numpy_arrays(rng: np.random.Generator) -> None:
    x = rng.normal(size=(50, 3))
    y = x @ [1, -2, 0.5]
    gradient = ms.grad(lambda w: ((x @ w - y) ** 2).mean())
    w = np.zeros(3)
    for _ in range(100):
        w -= 0.2 * gradient(w)
    assert isinstance(w, np.ndarray)
    close(w, [1, -2, 0.5], 1e-4)


def test_logistic_regression(rng: np.random.Generator) -> None:
    x = rng.normal(size=(40, 2))
    y = (x[:, 0] > 0).astype(float)

    def loss(w: Tensor, b: Tensor) -> Tensor:
        p = ops.sigmoid(x @ w + b)
        return -ops.log(p * y + (1 - p) * (1 - y)).sum()

    w, b = rng.normal(size=2), np.float64(0.1)
    dw, db = ms.grad(loss, (0, 1))(Tensor(w), Tensor(b))
    p = 1 / (1 + np.exp(-(x @ w + b)))
    close(dw, x.T @ (p - y))
    close(db, (p - y).sum())


def test_polynomial_fit() -> None:
    x = np.linspace(-1, 1, 30)
    y = 1 + 2 * x - 3 * x**3

    def loss(c: Tensor) -> Tensor:
        fitted = 0.0
        for k in range(4):
            fitted = fitted + c[k] * x**k
        return ((fitted - y) ** 2).sum()

    gradient, c = ms.jit(ms.grad(loss)), Tensor(np.zeros(4))
    for _ in range(1500):
        c -= 0.02 * gradient(c)
    close(c, [1, 2, 0, -3], 5e-2)


def test_pytorch_training_loop() -> None:
    torch = ms
    x = torch.tensor(np.linspace(-math.pi, math.pi, 100))
    y = ops.sin(x)
    a, b = (torch.tensor(v, torch.float64, requires_grad=True) for v in (0.1, -0.2))
    by_hand = np.array([0.1, -0.2])
    design = np.column_stack([np.ones(100), x.numpy()])
    for _ in range(20):
        loss = (a + b * x - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            a -= 1e-3 * a.grad
            b -= 1e-3 * b.grad
            a.grad = b.grad = None
        by_hand -= 2e-3 * design.T @ (design @ by_hand - y.numpy())
    close([a.item(), b.item()], by_hand, 1e-9)


def test_rnn_unrolled_by_hand(rng: np.random.Generator) -> None:
    xs = rng.normal(size=(5, 2, 3))

    def run(tanh: Callable, wx: Tensor, wh: Tensor, h: Tensor) -> Tensor:
        for x in xs:
            h = tanh(x @ wx + h @ wh)
        return (h * h).sum()

    weights = [rng.normal(size=shape) / 2 for shape in ((3, 4), (4, 4), (2, 4))]
    found = ms.grad(lambda *ws: run(ops.tanh, *ws), (0, 1, 2))(*map(Tensor, weights))
    for got, wanted in zip(found, slopes(lambda *ws: run(np.tanh, *ws), *weights)):
        close(got, wanted, 1e-7)


def test_optimizer_of_ones_own(rng: np.random.Generator) -> None:
    class Heavy:
        def __init__(self, parameters: list[Parameter], rate: float):
            self.parameters, self.rate = parameters, rate
            self.speeds = [ops.zeros_like(p) for p in parameters]

        def step(self, gradients: tuple[Tensor, ...]) -> None:
            for i, (p, g) in enumerate(zip(self.parameters, gradients)):
                self.speeds[i] = 0.9 * self.speeds[i] + g
                ops.assign(p, p - self.rate * self.speeds[i])

    net, criterion = nn.Dense(3, 1), nn.MSELoss()
    x = Tensor(rng.normal(size=(20, 3)).astype(np.float32))
    y = x.sum(1, keepdims=True)
    gradient = ms.value_and_grad(lambda: criterion(net(x), y), None, net.trainable_params())
    optimizer, losses = Heavy(net.trainable_params(), 0.05), []
    for _ in range(60):
        loss, gradients = gradient()
        optimizer.step(gradients)
        losses.append(loss.item())
    assert losses[-1] < 0.01 * losses[0]


def test_a_whole_step_compiled(rng: np.random.Generator) -> None:
    def losses(wrap: Callable) -> list[float]:
        ms.set_seed(3)
        net = nn.SequentialCell(nn.Dense(4, 8), nn.ReLU(), nn.Dense(8, 3))
        optimizer, criterion = nn.Adam(net.trainable_params(), 0.05), nn.CrossEntropyLoss()

        def forward(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            logits = net(x)
            return criterion(logits, y), logits

        gradient = ms.value_and_grad(forward, None, optimizer.parameters, has_aux=True)

        def step(x: Tensor, y: Tensor) -> Tensor:
            (loss, _), gradients = gradient(x, y)
            optimizer(gradients)
            return loss

        step = wrap(step)
        return [step(x, y).item() for _ in range(10)]

    x = Tensor(rng.normal(size=(32, 4)).astype(np.float32))
    y = Tensor(rng.integers(0, 3, 32).astype(np.int32))
    eager = losses(lambda step: step)
    assert eager[-1] < eager[0]
    close(losses(ms.jit), eager, 1e-3)


# --- derivatives --------------------------------------------------------------------------------


def test_derivatives_of_derivatives() -> None:
    def f(x: Tensor) -> Tensor:
        return ops.sum(1.0 / (1.0 + ops.exp(-x)))

    x = Tensor(np.float64(1.0))
    s = 1 / (1 + math.exp(-1))
    close(ms.grad(f)(x), s * (1 - s))
    close(ms.grad(ms.grad(f))(x), s * (1 - s) * (1 - 2 * s))
    close(ms.grad(ms.jit(ms.grad(ms.jit(ms.grad(f)))))(x), s * (1 - s) * (1 - 6 * s + 6 * s * s))


def test_hessian_vector_product(rng: np.random.Generator) -> None:
    a, x, v = rng.normal(size=(4, 4)), *rng.normal(size=(2, 4))

    def f(x: Tensor) -> Tensor:
        return (ops.sin(x @ a) * x).sum()

    def slope(x: np.ndarray) -> np.ndarray:
        return np.sin(x @ a) + a @ (np.cos(x @ a) * x)

    wanted = (slope(x + 1e-6 * v) - slope(x - 1e-6 * v)) / 2e-6
    x, v = Tensor(x), Tensor(v)
    close(ms.grad(lambda x: (ms.grad(f)(x) * v).sum())(x), wanted, 1e-7)
    close(ms.jvp(ms.grad(f), x, v)[1], wanted, 1e-7)
    close(ms.vjp(ms.grad(f), x)[1](v)[0], wanted, 1e-7)
    close(ms.jacfwd(ms.jacrev(f))(x) @ v, wanted, 1e-7)


def test_jacobian_by_vmap(rng: np.random.Generator) -> None:
    """Rows by mapping the pullback, columns by mapping the pushforward, as JAX's cookbook does."""
    w, x = Tensor(rng.normal(size=(3, 4))), Tensor(rng.normal(size=3))
    wanted = ((1 - ops.tanh(x @ w) ** 2) * w).T.asnumpy()

    def f(x: Tensor) -> Tensor:
        return ops.tanh(x @ w)

    _, pull = ms.vjp(f, x)
    close(ms.vmap(lambda v: pull(v)[0])(ops.eye(4, 4, ms.float64)), wanted)
    close(ms.vmap(lambda v: ms.jvp(f, x, v)[1], out_axes=1)(ops.eye(3, 3, ms.float64)), wanted)
    close(ms.jacrev(f)(x), wanted)
    close(ms.jacfwd(f)(x), wanted)


def test_gradient_penalty(rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 3))

    def penalty(w: Tensor) -> Tensor:
        slope = ms.grad(lambda x: ops.tanh(x @ w).sum())(Tensor(x))
        return ((slope.norm(dim=1) - 1) ** 2).mean()

    def by_hand(w: np.ndarray) -> float:
        slope = (1 - np.tanh(x @ w) ** 2) @ w.T
        return ((np.linalg.norm(slope, axis=1) - 1) ** 2).mean()

    close(ms.grad(penalty)(Tensor(w)), slopes(by_hand, w)[0], 1e-7)


def test_gradients_of_each_example(rng: np.random.Generator) -> None:
    w, x = Tensor(rng.normal(size=(3, 2))), Tensor(rng.normal(size=(6, 3)))
    labels = Tensor(np.array([0, 1, 1, 0, 1, 0], np.int32))

    def loss(w: Tensor, x: Tensor, label: Tensor) -> Tensor:
        return ops.cross_entropy((x @ w)[None], label[None])

    gradient = ms.grad(loss)
    each = ms.vmap(gradient, in_axes=(None, 0, 0))(w, x, labels)
    close(each, np.stack([gradient(w, x[i], labels[i]).asnumpy() for i in range(6)]), 1e-12)


def test_gradients_of_each_example_in_a_network(rng: np.random.Generator) -> None:
    net = nn.SequentialCell(nn.Dense(3, 5), nn.Tanh(), nn.Dense(5, 2))
    x = Tensor(rng.normal(size=(4, 3)).astype(np.float32))
    gradient = ms.grad(lambda x: (net(x[None]) ** 2).sum(), None, net.trainable_params())
    each = ms.vmap(gradient)(x)
    for i in range(4):
        for got, wanted in zip(each, gradient(x[i])):
            close(got[i], wanted)


def test_value_and_grad_with_aux() -> None:
    def f(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        product = x * y
        return product.sum(), product, ops.exp(x)

    (loss, product, exp), dx = ms.value_and_grad(f, has_aux=True)(
        Tensor([1.0, 2]), Tensor([3.0, 4])
    )
    close(loss, 11.0)
    close(product, [3.0, 8.0])
    close(exp, np.exp([1.0, 2.0]))
    close(dx, [3.0, 4.0])


def test_newton_steps_unrolled() -> None:
    def root(a: Tensor) -> Tensor:
        x = a
        for _ in range(8):
            x = x - (x * x - a) / (2 * x)
        return x

    close(ms.jit(root)(Tensor(np.float64(2))), math.sqrt(2))
    close(ms.grad(root)(Tensor(np.float64(2))), 0.5 / math.sqrt(2))


def test_numpy_functions_on_tensors() -> None:
    x = np.array([0.3, 0.5])
    close(ms.grad(lambda x: np.sin(x) * np.exp(x))(Tensor(x)), np.exp(x) * (np.sin(x) + np.cos(x)))
    close(ms.grad(lambda x: np.tanh(x) ** 2)(0.5), 2 * math.tanh(0.5) / math.cosh(0.5) ** 2)


# --- networks -----------------------------------------------------------------------------------


def test_freezing_layers(rng: np.random.Generator) -> None:
    net = nn.SequentialCell(nn.Dense(3, 4), nn.ReLU(), nn.Dense(4, 1))
    for p in net[0].get_parameters():
        p.requires_grad = False
    before = [p.asnumpy() for p in net.get_parameters()]
    x = Tensor(rng.normal(size=(20, 3)).astype(np.float32))
    optimizer = nn.SGD(net.trainable_params(), 0.1)
    step = nn.TrainOneStepCell(nn.WithLossCell(net, nn.MSELoss()), optimizer).set_train()
    for _ in range(2):
        step(x, x.sum(1, keepdims=True))
    moved = [not np.array_equal(a, p.asnumpy()) for a, p in zip(before, net.get_parameters())]
    assert moved == [False, False, True, True]
    for p in net[0].get_parameters():
        p.requires_grad = True
    gradients = ms.grad(lambda x: net(x).sum(), None, net.trainable_params())(x)
    assert [bool((g != 0).any()) for g in gradients] == [True] * 4


def test_shared_weights(rng: np.random.Generator) -> None:
    class Twice(nn.Cell):
        def __init__(self, layer: nn.Cell):
            super().__init__()
            self.first = self.second = layer

        def construct(self, x: Tensor) -> Tensor:
            return self.second(ops.tanh(self.first(x)))

    layer = nn.Dense(3, 3)
    net = Twice(layer)
    assert len(net.trainable_params()) == 2
    x = rng.normal(size=(2, 3)).astype(np.float32)
    dw, db = ms.grad(lambda x: net(x).sum(), None, net.trainable_params())(Tensor(x))
    w, b = layer.weight.asnumpy(), layer.bias.asnumpy()
    h, ones = np.tanh(x @ w.T + b), np.ones((2, 3))
    dh = (ones @ w) * (1 - h * h)
    close(dw, ones.T @ h + dh.T @ x)
    close(db, ones.sum(0) + dh.sum(0))


def test_parameters_changed_between_calls() -> None:
    net = nn.Dense(2, 2, has_bias=False)
    f, x = ms.jit(lambda x: net(x)), Tensor(np.eye(2, dtype=np.float32))
    for k in range(4):
        f(x)
        net.weight.set_data(ops.full((2, 2), k, dtype=ms.float32))
        close(f(x), np.full((2, 2), k))
    net.weight = Parameter(ops.full((2, 2), 7, dtype=ms.float32), name="new")
    close(f(x), np.full((2, 2), 7))
    net.weight += 1
    close(net(x), np.full((2, 2), 8))
    net.weight[0, 1] = 0
    close(f(x), [[8, 8], [0, 8]])


def test_dropout_trains_and_rests() -> None:
    net, x = nn.SequentialCell(nn.Dense(3, 200), nn.Dropout(p=0.5)), Tensor([[1.0, 2.0, 3.0]])

    def dropped() -> float:
        return float((net(x) == 0).astype(ms.float32).mean())

    net.set_train()
    assert 0.3 < dropped() < 0.7
    assert not np.array_equal(net(x).asnumpy(), net(x).asnumpy())
    net.set_train(False)
    assert dropped() == 0
    close(net(x), net(x))
    net.set_train()
    assert 0.3 < dropped() < 0.7


def test_batch_norm_trains_and_rests(rng: np.random.Generator) -> None:
    norm, x = nn.BatchNorm1d(3), rng.normal(2, 3, (50, 3)).astype(np.float32)
    norm.set_train()
    close(norm(Tensor(x)), (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), 1e-4)
    mean, variance = norm.moving_mean.asnumpy(), norm.moving_variance.asnumpy()
    close(mean, 0.1 * x.mean(0), 1e-4)
    norm.set_train(False)
    close(norm(Tensor(x)), (x - mean) / np.sqrt(variance + 1e-5), 1e-4)
    close(norm.moving_mean, mean)


def test_weights_saved_and_restored(rng: np.random.Generator) -> None:
    first, second = (nn.SequentialCell(nn.Dense(3, 4), nn.Dense(4, 1)) for _ in range(2))
    x = Tensor(rng.normal(size=(2, 3)).astype(np.float32))
    assert not np.array_equal(first(x).asnumpy(), second(x).asnumpy())
    saved = {name: p.asnumpy() for name, p in first.parameters_and_names()}
    for name, p in second.parameters_and_names():
        p.set_data(saved[name])
    close(first(x), second(x))


def test_dropout_of_each_example() -> None:
    """vmap draws what a loop would draw."""
    net, x = nn.Dropout(p=0.5).set_train(), Tensor(np.ones((3, 100), np.float32))
    ms.set_seed(1)
    loop = np.stack([net(row).asnumpy() for row in x])
    ms.set_seed(1)
    close(ms.vmap(net)(x), loop)
    assert len({row.tobytes() for row in loop}) == 3


def test_both_faces_together() -> None:
    """backward() through what a compiled function returned, to second order."""
    w = Tensor([1.0, 2.0], requires_grad=True)
    f = ms.jit(lambda x: (x * x * x).sum())
    (f(w) * 2).backward()
    close(w.grad, [6.0, 24.0])
    f(w).backward()
    close(w.grad, [9.0, 36.0])
    (slope,) = ms.autograd.grad(f(w), w, create_graph=True)
    close(ms.autograd.grad(slope.sum(), w)[0], [6.0, 12.0])
