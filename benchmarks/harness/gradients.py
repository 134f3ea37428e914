"""What gradients cost: `python -m benchmarks.harness.gradients [NAMES]`.

For each workload that takes a gradient: the loss alone and the loss with its gradient, both
compiled, in turns in one process; and their ratio. Times are the processor's, so that other work on
the machine counts little. Three times the loss is what a gradient should cost at most (the loss
itself, and about twice as much on the way back). Above five times, the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import workload

GOOD, ALLOWED = 3.0, 5.0  # times the loss
COLUMNS = f"{'workload':<22} {'loss':>12} {'with gradient':>14} {'ratio':>6}"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a loss, and of the loss with its gradient."""

    loss: float
    both: float

    @property
    def ratio(self) -> float:
        return self.both / self.loss

    def line(self, name: str) -> str:
        mark = "" if self.ratio <= GOOD else "  above 3" if self.ratio <= ALLOWED else "  above 5"
        times = f"{1e6 * self.loss:>9.1f} µs {1e6 * self.both:>11.1f} µs"
        return f"{name:<22} {times} {self.ratio:>6.2f}{mark}"


class Asked(Exception):
    """A program has come to its gradient: of this function, at these arguments."""

    def __init__(self, function: Callable[..., Any], options: tuple, arguments: tuple):
        self.function, self.options, self.arguments = function, options, arguments


class _StandIn:
    """jitgrad, but that its programs stop where they ask for a gradient."""

    def __getattr__(self, name: str) -> Any:
        import jitgrad

        return getattr(jitgrad, name)

    def jit(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def value_and_grad(self, function: Callable[..., Any], *options: Any) -> Callable[..., Any]:
        def stopped(*arguments: Any) -> Any:
            raise Asked(function, options, arguments)

        return stopped


def takes_gradient(name: str) -> bool:
    """Whether a workload is a loss and its gradient, and not a Jacobian."""
    return not name.endswith("_jacobian")


def asked(name: str) -> Asked:
    """The gradient that a workload asks for."""
    module = workload.load(name)
    try:
        module.program(_StandIn(), module.data())()
    except Asked as found:
        return found
    raise SystemExit(f"{name} takes no gradient")


def cost(name: str, seconds: float) -> Cost:
    """The least times of a workload's loss and gradient, measured for so many seconds each."""
    import jitgrad as ms

    found = asked(name)
    loss = ms.jit(found.function)
    both = ms.jit(ms.value_and_grad(found.function, *found.options))
    runs = [lambda: loss(*found.arguments), lambda: both(*found.arguments)]
    return Cost(*in_turns(runs, seconds))


def in_turns(runs: Sequence[Callable[[], Any]], seconds: float) -> list[float]:
    """The least time of each, in turns, so that what else goes on meets all of them."""
    counts = [_count(run) for run in runs]
    least = [float("inf")] * len(runs)
    end = time.process_time() + seconds * len(runs)
    while time.process_time() < end:
        for i, (run, count) in enumerate(zip(runs, counts, strict=True)):
            start = time.process_time()
            for _ in range(count):
                run()
            least[i] = min(least[i], (time.process_time() - start) / count)
    return least


def _count(run: Callable[[], Any]) -> int:
    """How many calls take about a millisecond, so that the clock does not matter."""
    run()
    start = time.process_time()
    run()
    return max(1, int(1e-3 / (time.process_time() - start)))


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status is 1 if a gradient costs more than `ALLOWED` times its loss."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.gradients", description=__doc__
    )
    parser.add_argument("workloads", nargs="*", help="names; all by default")
    parser.add_argument("--seconds", type=float, default=0.5, help="seconds for each of the two")
    options = parser.parse_args(argv)
    os.environ.setdefault("JITGRAD_NUM_THREADS", "1")
    print(COLUMNS)
    worst = 0.0
    for name in options.workloads or filter(takes_gradient, workload.names()):
        found = cost(name, options.seconds)
        print(found.line(name), flush=True)
        worst = max(worst, found.ratio)
    return int(worst > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
