"""What NVVM and `ptxas` make of kernels: in a process of its own, without Numba's simulator.

`make cuda-check` does so for every op; here are one kernel of each kind, for three architectures.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="jitgrad[cuda] is not installed"
)
KINDS = {"map", "turned", "row", "across", "product", "half", "conv", "lanes", "flow", "matrix"}
SCRIPT = """
import numpy as np
import jitgrad as ms
from jitgrad import Tensor, mint, ops
from jitgrad.codegen.cuda import offline
from jitgrad.runtime.cuda.program import DeviceProgram

def softmax(x):
    return ops.softmax(x, -1)

def train(x, w):
    return ops.tanh(ops.matmul(x, w)).sum()

def conv(x, w):
    return (ops.conv2d(x, w) ** 2).sum()

def ode(x):
    for i in range(20):
        x = x - 0.1 * ops.sin(x)
    return x

def lanes(x):
    return ms.vmap(ode)(x).sum()

def collatz(n):
    steps = 0
    while n > 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps

def factors(a):
    return ops.cholesky(a), mint.linalg.solve(a, a), ops.det(a)

x = Tensor(np.ones((70, 80), np.float32))
half = Tensor(np.ones((70, 80), np.float16))
image = Tensor(np.ones((2, 3, 8, 8), np.float32))
filters = Tensor(np.ones((4, 3, 3, 3), np.float32))
for name, f, args in [
    ("map", ops.exp, (x,)), ("row", softmax, (x,)), ("across", lambda x: x.sum(0), (x,)),
    ("turned", lambda x: ops.exp(x.T), (x,)),
    ("half", lambda x, w: ops.relu(x @ w), (half, half.T)),
    ("product", ms.grad(train, (0, 1)), (x, x.T)),
    ("conv", ms.grad(conv, (0, 1)), (image, filters)),
    ("lanes", ms.grad(lanes), (Tensor(np.ones(100, np.float32)),)),
    ("flow", collatz, (Tensor(27),)),
    ("matrix", factors, (Tensor(np.ones((5, 3, 3), np.float32)),)),
]:
    graph = ms.jit(f).lower(*args).stages[0][1]
    for _, grid in DeviceProgram(graph, {}).grids:
        for capability in offline.LIMITS:
            needs = offline.needs(grid, capability)
            text = offline.ptx(grid, capability)
            wide = ".global.v4" in text
            mma = offline.opcodes(offline.assembled(text, capability)[0])[offline.HMMA]
            found = needs.spills, needs.shared, ".f64" in text, wide, round(needs.occupancy, 2), mma
            print(name, *found)
"""


def test_no_spills_no_doubles(tmp_path: Path) -> None:
    script = tmp_path / "programs.py"  # control flow is read from a file
    script.write_text(SCRIPT, encoding="utf-8")
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run(
        [sys.executable, script], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {line[0] for line in lines} == KINDS
    for kind, spills, shared, doubles, wide, occupancy, mma in lines:
        assert (spills, doubles) == ("0", "False"), kind
        assert float(occupancy) >= 0.25, kind
        if kind == "map":
            assert (shared, wide) == ("0", "True")
        assert mma == ("8" if kind == "half" else "0"), kind
        if kind == "turned":
            assert int(shared) == 4 * 32 * 33
        if kind == "row":
            assert int(shared) == 4 * 256
