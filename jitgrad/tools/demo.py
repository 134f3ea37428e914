"""``python -m jitgrad demo``: train two networks twice, eagerly and compiled, and compare.

An MLP and a small LeNet learn the UCI handwritten digits, each in PYNATIVE_MODE and in GRAPH_MODE,
from the same code, seed and batches. The table that is printed, and the HTML report with the
graphs and kernels, show what compiling changed: the speed, and hardly a digit of the result.
Training amplifies rounding; a third training, with the last bits of some weights changed, measures
how much.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import jitgrad as ms
from jitgrad import nn
from jitgrad.data import digits
from jitgrad.tools import memory

MODES = {"eager": ms.PYNATIVE_MODE, "compiled": ms.GRAPH_MODE}
NUDGED = "one bit"  # compiled; the weights of the first layer are the next larger numbers


# --- the networks -------------------------------------------------------------------------------


class MLP(nn.Cell):
    """Two hidden layers."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden1 = nn.Dense(64, 128, activation="relu")
        self.hidden2 = nn.Dense(128, 64, activation="relu")
        self.head = nn.Dense(64, 10)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Logits (n, 10) of images (n, 1, 8, 8)."""
        return self.head(self.hidden2(self.hidden1(self.flatten(x))))


class LeNet(nn.Cell):
    """Convolve, normalize, pool, twice; then two dense layers, with dropout before each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3)
        self.norm1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3)
        self.norm2 = nn.BatchNorm2d(24)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2, 2)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(p=0.2)
        self.hidden = nn.Dense(96, 64, activation="relu")
        self.head = nn.Dense(64, 10)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Logits (n, 10) of images (n, 1, 8, 8)."""
        x = self.pool(self.relu(self.norm1(self.conv1(x))))
        x = self.pool(self.relu(self.norm2(self.conv2(x))))
        return self.head(self.dropout(self.hidden(self.dropout(self.flatten(x)))))


# --- training -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Plan:
    """What is trained: the same for both modes."""

    name: str
    network: Callable[[], nn.Cell]
    epochs: int
    batch: int = 64
    rate: float = 1e-2  # the learning rate at the start; it falls along a cosine
    seed: int = 1

    def steps(self, examples: int) -> int:
        """How many batches there are in all epochs."""
        return self.epochs * (examples // self.batch)


@dataclass(slots=True)
class Run:
    """What came out of one training. Times in seconds, memory in bytes."""

    plan: Plan
    mode: str
    losses: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    accuracy: float = 0.0
    peak: int = 0
    lowered: Any = None  # what the compiler made of a step
    kernel_times: list[float] = field(default_factory=list)  # of each launch

    @property
    def final_loss(self) -> float:
        """The mean over the last epoch."""
        return float(np.mean(self.losses[-(len(self.losses) // self.plan.epochs) :]))

    @property
    def step(self) -> float:
        """The median time of a step, the first one left out."""
        return float(np.median(self.times[1:]))

    @property
    def compile(self) -> float:
        """What the first step took longer than the others."""
        return max(self.times[0] - self.step, 0.0)


Batch = tuple[ms.Tensor, ms.Tensor]


def batches(images: np.ndarray, labels: np.ndarray, plan: Plan) -> Iterator[Batch]:
    """Shuffled batches of one size, epoch after epoch; the same for the same seed."""
    rng = np.random.default_rng(plan.seed)
    for _ in range(plan.epochs):
        order = rng.permutation(len(labels))
        for start in range(0, len(labels) - plan.batch + 1, plan.batch):
            chosen = order[start : start + plan.batch]
            yield ms.Tensor(images[chosen]), ms.Tensor(labels[chosen])


def train(plan: Plan, mode: str, data: Any, tick: Callable[[float], None]) -> Run:
    """Train one network in one mode, or NUDGED. `tick` hears the loss of each step."""
    (images, labels), (test_images, test_labels) = data
    memory.reset_peak()
    ms.set_context(mode=MODES.get(mode, ms.GRAPH_MODE))
    ms.set_seed(plan.seed)
    network = plan.network()
    if mode == NUDGED:
        nudge(network.trainable_params()[0])
    rate = nn.CosineDecayLR(plan.rate / 100, plan.rate, plan.steps(len(labels)))
    # A larger eps than usual: where gradients are rounding errors, Adam takes no step by them.
    optimizer = nn.Adam(network.trainable_params(), rate, eps=1e-5)
    step = nn.TrainOneStepCell(nn.WithLossCell(network, nn.CrossEntropyLoss()), optimizer)
    step.set_train()
    run = Run(plan, mode)
    for x, y in batches(images, labels, plan):
        start = time.perf_counter()
        loss = step(x, y)
        run.times.append(time.perf_counter() - start)
        run.losses.append(float(loss))
        tick(run.losses[-1])
    network.set_train(False)
    logits = network(ms.Tensor(test_images)).asnumpy()
    run.accuracy = float((logits.argmax(1) == test_labels).mean())
    run.peak = memory.peak()
    if mode == "compiled":
        network.set_train()
        run.lowered = step.lower(x, y)
        run.kernel_times = run.lowered.profile()
    return run


def nudge(weight: ms.Parameter) -> None:
    """Make each element the next larger number."""
    values = weight.asnumpy()
    weight.set_data(ms.Tensor(np.nextafter(values, np.inf, dtype=values.dtype)))


@dataclass(slots=True)
class Comparison:
    """One network, eager and compiled, and what the last bits of weights do to the latter."""

    eager: Run
    compiled: Run
    nudged: Run

    @property
    def name(self) -> str:
        return self.eager.plan.name

    @property
    def speedup(self) -> float:
        return self.eager.step / self.compiled.step

    def loss_difference(self, other: Run, epochs: int | None = None) -> float:
        """The largest difference of a step's loss from the compiled one, in all epochs or the first
        few.
        """
        pairs = list(zip(self.compiled.losses, other.losses, strict=True))
        every = len(pairs) // self.compiled.plan.epochs
        return max(abs(a - b) for a, b in pairs[: every * epochs if epochs else None])

    @property
    def differences(self) -> str:
        """How far the modes are from each other, and how far the nudged run is, in words."""
        modes, nudged = (
            (self.loss_difference(run, 1), self.loss_difference(run))
            for run in (self.eager, self.nudged)
        )
        return (
            f"the losses of the two modes differ by at most {modes[0]:.1e} in the first epoch and"
            f" {modes[1]:.1e} in all {len(self.eager.losses)} steps; the last bits of the first"
            f" layer's weights alone make {nudged[0]:.1e} and {nudged[1]:.1e}"
        )

    @property
    def runs(self) -> tuple[Run, Run]:
        return self.eager, self.compiled


# --- the command --------------------------------------------------------------------------------


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        prog="jitgrad demo",
        description="Train an MLP and a LeNet on handwritten digits, eagerly and compiled.",
    )
    parser.add_argument("--epochs", type=int, help="passes over the data (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="of weights and batches (default: 1)")
    parser.add_argument("--out", default="report.html", help="the report (default: report.html)")
    parser.add_argument("--quick", action="store_true", help="two epochs, to see that it works")
    options = parser.parse_args(argv)
    if options.epochs is None:
        options.epochs = 2 if options.quick else 20
    if options.epochs < 1:
        parser.error("--epochs must be at least 1")
    if options.seed < 0:
        parser.error("--seed must be at least 0")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    options = arguments(argv)
    from jitgrad.tools import report, screen  # they need the extra `report`, help does not

    data = digits()
    plans = [
        Plan(name, network, options.epochs, seed=options.seed)
        for name, network in (("MLP", MLP), ("LeNet", LeNet))
    ]
    before = ms.get_context("mode")
    try:
        comparisons = [screen.shown(compare, plan, data) for plan in plans]
    finally:
        ms.set_context(mode=before)
    screen.table(comparisons)
    report.write(options.out, comparisons, data)
    screen.say(f"Report: {options.out}")
    return 0


def compare(plan: Plan, data: Any, watch: Callable[[Plan, str, int], Any]) -> Comparison:
    """Train in both modes, and nudged. ``watch(plan, mode, steps)`` is a context that gives a
    `tick`.
    """
    runs = []
    for mode in (*MODES, NUDGED):
        with watch(plan, mode, plan.steps(len(data[0][1]))) as tick:
            runs.append(train(plan, mode, data, tick))
    return Comparison(*runs)


if __name__ == "__main__":
    sys.exit(main())
