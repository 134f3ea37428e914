"""What compiling costs: the first call, a second shape, tracing and passes per node."""

from __future__ import annotations

import os
import tempfile
import time

import _harness  # noqa: F401  (pins the threads)

os.environ["JITGRAD_CACHE_DIR"] = tempfile.mkdtemp(prefix="jitgrad-bench-")

import numpy as np

import jitgrad as ms
from jitgrad import ops
from jitgrad.runtime import loader


def chain(x, w, b):
    return (ops.tanh(x * w + b) * ops.sigmoid(x) + 0.1 * x * x).sum()


def timed(label: str, run) -> None:
    before, start = loader.compiled, time.perf_counter()
    run()
    took = (time.perf_counter() - start) * 1e3
    print(f"  {label:34s} {took:9.1f} ms, {loader.compiled - before} kernels compiled")


def arguments(size: int) -> list[ms.Tensor]:
    rng = np.random.default_rng(size)
    return [ms.Tensor(rng.standard_normal(size).astype(np.float32)) for _ in range(3)]


def per_node(count: int) -> None:
    def long(x):
        for k in range(count):
            x = ops.sin(x) + float(k)
        return x

    from jitgrad.frontend.trace import Argument, trace
    from jitgrad.ir.types import TensorType, float32
    from jitgrad.passes.fuse import fuse
    from jitgrad.passes.pipeline import optimize

    start = time.perf_counter()
    argument = Argument("x", TensorType(float32, (4,)), None)
    graph = trace(lambda tensors: long(*tensors), [argument], "long").graph
    traced = time.perf_counter()
    fuse(optimize(graph))
    done = time.perf_counter()
    nodes = len(graph.nodes)
    print(
        f"  {nodes:7d} nodes: trace {(traced - start) / nodes * 1e6:6.1f} µs, "
        f"passes {(done - traced) / nodes * 1e6:6.1f} µs a node"
    )


def main() -> None:
    print("\ncompile path")
    gradient = ms.jit(ms.value_and_grad(chain, (0, 1, 2)))
    timed("first call", lambda: gradient(*arguments(100_000)))
    timed("second shape", lambda: gradient(*arguments(100_001)))
    timed("third shape", lambda: gradient(*arguments(123_457)))
    for count in (1_000, 10_000, 50_000):
        per_node(count)


if __name__ == "__main__":
    main()
