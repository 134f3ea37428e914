"""What calls of small programs cost: `python -m benchmarks.harness.eager`.

Programs of a few numbers, on the tape and compiled, beside PyTorch where it is installed (here, or
in the Python of JITGRAD_BENCH_PYTHON). And programs of many samples or directions, beside the same
in batches written by hand: a transform should cost what the batch costs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import peers, workload
from benchmarks.harness.gradients import in_turns

Programs = dict[str, Callable[[], Any]]
CHAIN = 20  # pairs of operations
SAMPLES, WIDTH = 100_000, 8
DIRECTIONS = 100


def small(tensor: Callable[..., Any], tanh: Callable, relu: Callable) -> Programs:
    """What jitgrad and PyTorch write alike, on Tensors of one and of 16 elements."""
    x, y = (tensor(np.float32(v)).requires_grad_() for v in (2.0, 3.0))
    w = tensor(np.ones((4, 4), np.float32)).requires_grad_()
    v = tensor(np.full((4, 4), 0.5, np.float32))

    def chain() -> None:
        a = x
        for _ in range(CHAIN):
            a = tanh(a) * y
        a.backward()

    def layer() -> None:
        e = relu(v @ w + 0.5) - v
        (e * e).mean().backward()

    return {
        "x * y": lambda: x * y,
        "x * x * y, backward": lambda: (x * x * y).backward(),
        f"{2 * CHAIN} operations, backward": chain,
        "a layer of 4 × 4, backward": layer,
    }


def of_torch() -> Programs:
    import torch

    torch.set_num_threads(1)
    return small(torch.tensor, torch.tanh, torch.relu)


def of_jitgrad() -> Programs:
    import jitgrad as ms

    found = small(ms.Tensor, ms.ops.tanh, ms.ops.relu)
    x, y = (ms.Tensor(v, requires_grad=True) for v in (2.0, 3.0))
    a, b = ms.Tensor(2.0), ms.Tensor(3.0)
    compiled = ms.jit(lambda x, y: x * x * y)
    return {
        **found,
        "compiled x * x * y": lambda: compiled(a, b),
        "compiled x * x * y, on the tape": lambda: compiled(x, y),
        "compiled x * x * y, backward": lambda: compiled(x, y).backward(),
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


def measured(programs: Programs, seconds: float) -> dict[str, float]:
    """The least seconds of processor time that a call of each took."""
    return {name: _least(run, seconds) for name, run in programs.items()}


def _least(run: Callable[[], Any], seconds: float, count: int = 50) -> float:
    run()
    least, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.thread_time()
        for _ in range(count):
            run()
        least = min(least, (time.thread_time() - start) / count)
    return least


def elsewhere(seconds: float) -> dict[str, float]:
    """PyTorch's times, from a process of its own; nothing if it is not installed."""
    python = peers.interpreters().get("torch")
    if python is None:
        return {}
    command = [python, "-m", "benchmarks.harness.eager", "--torch", "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=workload.ROOT)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness.eager", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="seconds for each program")
    parser.add_argument("--torch", action="store_true", help="print PyTorch's times as JSON")
    options = parser.parse_args()
    if options.torch:
        print(json.dumps(measured(of_torch(), options.seconds)))
        return
    os.environ.setdefault("JITGRAD_NUM_THREADS", "1")
    theirs = elsewhere(options.seconds)
    print(f"{'program':<34} {'jitgrad':>10} {'torch':>10} {'ratio':>6}")
    for name, ours in measured(of_jitgrad(), options.seconds).items():
        peer = theirs.get(name)
        beside = "" if peer is None else f" {1e6 * peer:>7.1f} µs {ours / peer:>6.2f}"
        print(f"{name:<34} {1e6 * ours:>7.1f} µs{beside}")
    print(f"\n{'transform':<34} {'jitgrad':>10} {'by hand':>10} {'ratio':>6}")
    for name, pair in batches().items():
        ours, hand = in_turns(pair, options.seconds)
        print(f"{name:<34} {1e6 * ours:>7.1f} µs {1e6 * hand:>7.1f} µs {ours / hand:>6.2f}")


if __name__ == "__main__":
    sys.exit(main())
