"""What calls of small programs cost: `python -m benchmarks.harness.eager`.

Single operations on a few numbers and small programs of them, on the tape and compiled, beside
PyTorch where it is installed (here, or in the Python of JITGRAD_BENCH_PYTHON, in which case all of
it runs there). And programs of many samples or directions, beside the same in batches written by
hand: a transform should cost what the batch costs.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.harness import peers, workload
from benchmarks.harness.gradients import in_turns

Programs = dict[str, Callable[[], Any]]
CHAIN = 20  # pairs of operations
SETTLED = 8  # calls after which all that is looked up is known
SAMPLES, WIDTH = 100_000, 8
DIRECTIONS = 100


def calls(tensor: Callable[..., Any], ops: Any) -> Programs:
    """Operations that jitgrad and PyTorch write alike, on followed Tensors of a few elements."""
    data = [1, 2, 3, 4], [2, 3, 4, 5], 2, [[1, 2], [3, 4]]
    x, y, s, a = (tensor(np.array(v, np.float32)).requires_grad_() for v in data)
    return {
        "x * y": lambda: x * y,
        "x * 2.0": lambda: x * 2.0,
        "x + s, a scalar Tensor": lambda: x + s,
        "sin(x)": lambda: ops.sin(x),
        "x.sum()": lambda: x.sum(),
        "a.mean(0)": lambda: a.mean(0),
        "a @ a": lambda: a @ a,
        "x[0]": lambda: x[0],
        "x[1:3]": lambda: x[1:3],
        "a[:, 0]": lambda: a[:, 0],
        "a.T": lambda: a.T,
        "x.reshape(2, 2)": lambda: x.reshape(2, 2),
        "stack([x, y])": lambda: ops.stack([x, y]),
        "where(x > 2, x, y)": lambda: ops.where(x > 2, x, y),
    }


def small(tensor: Callable[..., Any], ops: Any) -> Programs:
    """The calls alone and with their gradients, and programs of several."""
    alone = calls(tensor, ops)
    both = {
        f"{name}, backward": functools.partial(_with_backward, run) for name, run in alone.items()
    }
    x, y = (tensor(np.float32(v)).requires_grad_() for v in (2.0, 3.0))
    w = tensor(np.ones((4, 4), np.float32)).requires_grad_()
    v = tensor(np.full((4, 4), 0.5, np.float32))

    def chain() -> None:
        a = x
        for _ in range(CHAIN):
            a = ops.tanh(a) * y
        a.backward()

    def layer() -> None:
        e = ops.relu(v @ w + 0.5) - v
        (e * e).mean().backward()

    return {
        **alone,
        **both,
        "x * x * y, backward": lambda: (x * x * y).backward(),
        f"{2 * CHAIN} operations, backward": chain,
        "a layer of 4 × 4, backward": layer,
    }


def _with_backward(run: Callable[[], Any]) -> None:
    run().sum().backward()


def of_torch() -> Programs:
    import torch

    torch.set_num_threads(1)
    return small(torch.tensor, torch)


def of_jitgrad() -> Programs:
    import jitgrad as ms

    found = small(ms.Tensor, ms.ops)
    x, y = (ms.Tensor(v, requires_grad=True) for v in (2.0, 3.0))
    a, b = ms.Tensor(2.0), ms.Tensor(3.0)
    compiled = ms.jit(lambda x, y: x * x * y)
    layer, v = ms.jit(ms.nn.Dense(4, 2)), ms.Tensor(np.ones((2, 4), np.float32))
    return {
        **found,
        "compiled x * x * y": lambda: compiled(a, b),
        "compiled x * x * y, on the tape": lambda: compiled(x, y),
        "compiled x * x * y, backward": lambda: compiled(x, y).backward(),
        "compiled layer": lambda: ms.no_grad()(layer)(v),
        "compiled layer, on the tape": lambda: layer(v),
    }


def batches() -> dict[str, tuple[Callable, Callable]]:
    """Transforms of one sample's program, each with the batch as a person writes it."""
    import jitgrad as ms
    from jitgrad import ops

    rng = np.random.default_rng(0)
    w = ms.Tensor(rng.standard_normal(WIDTH))
    xs = ms.Tensor(rng.standard_normal((SAMPLES, WIDTH)))
    p = ms.Tensor(rng.standard_normal(DIRECTIONS))
    m = ms.Tensor(rng.standard_normal((DIRECTIONS, DIRECTIONS)))
    eye = ms.Tensor(np.eye(DIRECTIONS))

    def loss(w: Any, x: Any) -> Any:
        return ops.tanh((w * x).sum()) ** 2

    def by_hand(w: Any, xs: Any) -> Any:
        t = ops.tanh((w * xs).sum(1))
        return (2 * t * (1 - t * t)).reshape(-1, 1) * xs

    def layer(p: Any, m: Any) -> Any:
        return ops.tanh(p @ m)

    def jacobian(p: Any, m: Any) -> Any:
        t = ops.tanh(p @ m)
        return (eye * (1 - t * t)) @ m.T

    samples = ms.jit(ms.vmap(ms.grad(loss), (None, 0))), ms.jit(by_hand)
    pairs = {f"vmap(grad), {SAMPLES:,} samples": tuple([_called(f, w, xs) for f in samples])}
    hand = _called(ms.jit(jacobian), p, m)
    for name in ("jacrev", "jacfwd"):
        transformed = ms.jit(getattr(ms, name)(layer))
        pairs[f"{name}, {DIRECTIONS} directions"] = _called(transformed, p, m), hand
    return pairs


def _called(function: Callable, *arguments: Any) -> Callable[[], Any]:
    return lambda: function(*arguments)


def with_torch() -> str | None:
    """Another Python, if that is the one that has PyTorch: both are measured in one process."""
    found = peers.interpreters().get("torch")
    return found if found != sys.executable else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness.eager", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="seconds for each program")
    options = parser.parse_args()
    os.environ.setdefault("JITGRAD_NUM_THREADS", "1")
    other = with_torch()
    if other is not None:
        command = [other, "-m", "benchmarks.harness.eager", "--seconds", str(options.seconds)]
        return subprocess.run(command, check=False, cwd=workload.ROOT).returncode
    ours, theirs = of_jitgrad(), of_torch() if "torch" in peers.interpreters() else {}
    print(f"{'program':<34} {'jitgrad':>10} {'torch':>10} {'ratio':>6}")
    for name, run in ours.items():
        _print(name, [run, theirs[name]] if name in theirs else [run], options.seconds)
    print(f"\n{'transform':<34} {'jitgrad':>10} {'by hand':>10} {'ratio':>6}")
    for name, pair in batches().items():
        _print(name, pair, options.seconds)
    return 0


def _print(name: str, runs: Sequence[Callable[[], Any]], seconds: float) -> None:
    for run in runs:
        for _ in range(SETTLED):
            run()
    times = in_turns(runs, seconds)
    ratio = f" {times[0] / times[1]:>6.2f}" if len(times) > 1 else ""
    print(f"{name:<34} {' '.join([f'{1e6 * t:>7.1f} µs' for t in times])}{ratio}")


if __name__ == "__main__":
    sys.exit(main())
