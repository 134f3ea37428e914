"""The optimizers and schedulers of `experimental` against PyTorch's, and their bad inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad.experimental import optim
from jitgrad.experimental.optim import lr_scheduler as schedulers

SHAPES = [(3, 4), (4,)]


@pytest.fixture(params=["pynative", "graph"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    before = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE if request.param == "graph" else ms.PYNATIVE_MODE)
    yield request.param
    ms.set_context(mode=before)


def values(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, shape) for shape in SHAPES]


def parameters(dtype: Any = np.float64) -> list[ms.Parameter]:
    pairs = enumerate(values(0))
    return [ms.Parameter(ms.Tensor(v.astype(dtype)), name=f"p{i}") for i, v in pairs]


OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd_momentum": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1}),
    "sgd_nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    "adam": ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    "adam_amsgrad": ("Adam", {"lr": 0.1, "amsgrad": True, "maximize": True}),
    "adamw": ("AdamW", {"lr": 0.1, "betas": (0.8, 0.9)}),
    "adamax": ("Adamax", {"lr": 0.1, "weight_decay": 0.1}),
    "nadam": ("NAdam", {"lr": 0.1, "weight_decay": 0.1}),
    "radam": ("RAdam", {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.1}),
    "adagrad": ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.3}),
    "adadelta": ("Adadelta", {"lr": 0.5, "weight_decay": 0.1}),
    "rmsprop": ("RMSprop", {"lr": 0.1, "alpha": 0.8}),
    "rmsprop_all": ("RMSprop", {"lr": 0.1, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    "rprop": ("Rprop", {"lr": 0.1}),
    "asgd": ("ASGD", {"lr": 0.1, "t0": 2.0, "lambd": 0.01}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(mode: str, name: str) -> None:
    """Eight steps with given gradients, in two groups."""
    torch = pytest.importorskip("torch")
    kind, settings = OPTIMIZERS[name]
    ours = parameters()
    theirs = [torch.tensor(v, requires_grad=True) for v in values(0)]
    groups = lambda ps: [{"params": ps[:1], "lr": 0.05}, {"params": ps[1:]}]  # noqa: E731
    optimizer = getattr(optim, kind)(groups(ours), **settings)
    reference = getattr(torch.optim, kind)(groups(theirs), **settings)
    for seed in range(1, 9):
        gradients = values(seed)
        for p, g in zip(theirs, gradients, strict=True):
            p.grad = torch.tensor(g)
        reference.step()
        assert optimizer(tuple(ms.Tensor(g) for g in gradients)) is True
    for p, other in zip(ours, theirs, strict=True):
        # Rates are float32 here, so steps agree to float32's accuracy.
        np.testing.assert_allclose(p.asnumpy(), other.detach().numpy(), rtol=3e-6, atol=3e-7)


def test_lion(mode: str) -> None:
    ours = parameters()
    optimizer = optim.Lion(ours, lr=0.125, betas=(0.5, 0.75), weight_decay=0.5)
    wanted, means = values(0), [np.zeros(s) for s in SHAPES]
    for seed in range(1, 5):
        gradients = values(seed)
        optimizer(tuple(ms.Tensor(g) for g in gradients))
        for i, g in enumerate(gradients):
            wanted[i] *= 1 - 0.125 * 0.5
            wanted[i] -= 0.125 * np.sign(0.5 * means[i] + 0.5 * g)
            means[i] = 0.75 * means[i] + 0.25 * g
    for p, w in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(p.asnumpy(), w, rtol=1e-12)


def rosenbrock(p: ms.Tensor) -> ms.Tensor:
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] * p[0]) ** 2


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs(search: str | None) -> None:
    """The valley of Rosenbrock, and the same steps as PyTorch without a line search."""
    p = ms.Parameter(ms.Tensor(np.array([-1.2, 1.0])), name="p")
    optimizer = optim.LBFGS([p], lr=1.0 if search else 0.5, max_iter=40, line_search_fn=search)
    closure = ms.value_and_grad(lambda: rosenbrock(p), None, [p])
    for _ in range(3 if search else 8):
        optimizer.step(closure)
    np.testing.assert_allclose(p.asnumpy(), [1.0, 1.0], atol=1e-4)
    with pytest.raises(TypeError, match="LBFGS takes no gradients"):
        optimizer((ms.Tensor([0.0, 0.0]),))


def test_lbfgs_steps_as_pytorch() -> None:
    torch = pytest.importorskip("torch")
    p = ms.Parameter(ms.Tensor(np.array([-1.2, 1.0])), name="p")
    q = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
    settings = {"lr": 0.25, "max_iter": 6, "history_size": 3}
    ours, theirs = optim.LBFGS([p], **settings), torch.optim.LBFGS([q], **settings)
    closure = ms.value_and_grad(lambda: rosenbrock(p), None, [p])

    def evaluate() -> Any:
        theirs.zero_grad()
        loss = rosenbrock(q)
        loss.backward()
        return loss

    for _ in range(3):
        ours.step(closure)
        theirs.step(evaluate)
        np.testing.assert_allclose(p.asnumpy(), q.detach().numpy(), rtol=1e-9)


SCHEDULES: dict[str, Callable[[Any, Any], Any]] = {
    "step": lambda o, m: m.StepLR(o, 3, 0.5),
    "multi_step": lambda o, m: m.MultiStepLR(o, [2, 5, 5], 0.5),
    "constant": lambda o, m: m.ConstantLR(o, 0.25, 4),
    "linear": lambda o, m: m.LinearLR(o, 0.25, 0.75, 4),
    "exponential": lambda o, m: m.ExponentialLR(o, 0.8),
    "polynomial": lambda o, m: m.PolynomialLR(o, 6, 2.0),
    "cosine": lambda o, m: m.CosineAnnealingLR(o, 5, 0.01),
    "warm_restarts": lambda o, m: m.CosineAnnealingWarmRestarts(o, 2, 2, 0.01),
    "lambda": lambda o, m: m.LambdaLR(o, [lambda e: 1 / (1 + e), lambda e: 0.9**e]),
    "multiplicative": lambda o, m: m.MultiplicativeLR(o, lambda e: 1 - 0.1 / e),
    "cyclic": lambda o, m: m.CyclicLR(o, 0.1, [0.5, 0.6], 2, 3, "triangular2"),
    "cyclic_range": lambda o, m: m.CyclicLR(o, 0.1, 0.5, 2, None, "exp_range", 0.9),
    "sequential": lambda o, m: m.SequentialLR(
        o, [m.ConstantLR(o, 0.1, 3), m.ExponentialLR(o, 0.9)], [3]
    ),
}


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedulers(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours = optim.SGD([{"params": p, "lr": lr} for p, lr in zip(parameters(), (0.5, 0.25))], 0.1)
    plain = [torch.zeros(2, requires_grad=True) for _ in range(2)]
    theirs = torch.optim.SGD(
        [{"params": [p], "lr": lr} for p, lr in zip(plain, (0.5, 0.25))], 0.1, momentum=0.5
    )
    mine, other = (
        SCHEDULES[name](ours, schedulers),
        SCHEDULES[name](theirs, torch.optim.lr_scheduler),
    )
    for _ in range(12):
        np.testing.assert_allclose(mine.get_last_lr(), other.get_last_lr(), rtol=1e-9, atol=1e-12)
        held = [float(group["lr"].asnumpy()) for group in ours.param_groups]
        np.testing.assert_allclose(held, mine.get_last_lr(), rtol=1e-6, atol=1e-12)
        mine.step()
        other.step()


def test_plateau() -> None:
    torch = pytest.importorskip("torch")
    settings = {"mode": "max", "factor": 0.5, "patience": 1, "cooldown": 1, "min_lr": 0.1}
    ours = optim.SGD(parameters(), 1.0)
    theirs = torch.optim.SGD([torch.zeros(2, requires_grad=True)], 1.0)
    mine = schedulers.ReduceLROnPlateau(ours, **settings)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **settings)
    for measure in [1.0, 1.1, 1.1, 1.0, 1.0, 1.0, 1.0, 1.2, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1]:
        mine.step(measure)
        other.step(measure)
        np.testing.assert_allclose(mine.get_last_lr(), [theirs.param_groups[0]["lr"]])


def test_compiled_step_sees_a_new_rate() -> None:
    """A scheduler between two steps, and no second compile."""
    p = ms.Parameter(ms.Tensor([1.0, 2.0]), name="p")
    optimizer = optim.SGD([p], 0.5)
    step = ms.jit(lambda g: optimizer((g,)))
    scheduler = schedulers.ExponentialLR(optimizer, 0.5)
    step(ms.Tensor([1.0, 1.0]))
    scheduler.step()
    step(ms.Tensor([1.0, 1.0]))
    assert p.asnumpy().tolist() == [0.25, 1.25]
    state = scheduler.state_dict()
    scheduler.step()
    scheduler.load_state_dict(state)
    assert scheduler.get_last_lr() == [0.25]
    assert scheduler.last_epoch == 1


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda p: optim.Adam([]), ValueError, "nothing to optimize"),
        (lambda p: optim.Adam(p[0]), TypeError, "params must be a list"),
        (lambda p: optim.Adam([1.0]), TypeError, "net.trainable_params"),
        (lambda p: optim.Adam([{"lr": 1.0}]), TypeError, "'params'"),
        (
            lambda p: optim.Adam([{"params": p, "rate": 1.0}]),
            ValueError,
            "a group sets",
        ),
        (lambda p: optim.Adam([p[0], p[0]]), ValueError, "given twice"),
        (lambda p: optim.Adam(p, lr=-1.0), ValueError, "lr must be at least 0"),
        (lambda p: optim.Adam(p, lr="0.1"), TypeError, "lr must be a number"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.0)), ValueError, "betas must be in"),
        (lambda p: optim.SGD(p, nesterov=True), ValueError, "needs a momentum"),
        (lambda p: optim.Rprop(p, etas=(1.2, 0.5)), ValueError, "etas"),
        (lambda p: optim.SGD(p)((ms.Tensor([1.0]),)), ValueError, "2 Parameters, got 1 gradients"),
        (lambda p: schedulers.StepLR(p, 3), TypeError, "takes an optimizer of experimental"),
        (lambda p: schedulers.StepLR(optim.SGD(p), 0), ValueError, "step_size"),
        (lambda p: schedulers.LambdaLR(optim.SGD(p), [abs, abs]), ValueError, "1 groups"),
    ],
)
def test_bad_input(make: Callable, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make(parameters())
