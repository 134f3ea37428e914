"""What the tests of the disk cache share: an empty one, and processes that use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jitgrad.runtime import cache, loader
from jitgrad.runtime.executable import Executable
from tests.programs import graph_of, softmax

posix = pytest.mark.skipif(os.name != "posix", reason="files and permissions of POSIX")
ROOT = Path(__file__).resolve().parents[2]
SOURCE = """def kernel(ptrs, dims, lo, hi):
    r0 = f32_ptr(ptrs, 0)
    for i0 in range(lo, hi):
        r0[i0] = f32(3.0)
"""

# Runs a program and prints how many kernels were compiled and whether Numba was imported.
SOFTMAX = f"""
import sys, warnings
warnings.simplefilter("error")
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from jitgrad.runtime import loader
from jitgrad.runtime.executable import Executable
from tests.programs import graph_of, softmax, square_loss

x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
(got,) = Executable(graph_of(softmax, "f32[8,5]"), {{}})(x)
e = np.exp(x - x.max(1, keepdims=True))
assert np.allclose(got, e / e.sum(1, keepdims=True), atol=1e-6)
"""
DENSE = """
graph = graph_of(square_loss, "f32[8,20] f32[20,24] f32[24] f32[8,24]", (1, 2))
arrays = [np.ones(i.shape, np.float32) for i in graph.inputs]
assert np.isfinite(Executable(graph, {})(*arrays)[0])
"""
COUNT = """
print(loader.compiled, "numba" in sys.modules)
"""
PROGRAM = SOFTMAX + COUNT


def forget() -> None:
    """What a new process knows: nothing."""
    cache._memory.clear()


def start(folder: Path | str, program: str = PROGRAM, **more: str) -> subprocess.Popen:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JITGRAD_")}
    environment |= {"JITGRAD_CACHE_DIR": str(folder), **more}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


def whole() -> bytes:
    """The content of the only file."""
    (path,) = cache.files()
    return path.read_bytes()


def run_softmax() -> None:
    """Compile and run something, whatever the linker already has."""
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    loader_addresses, loader._addresses = loader._addresses, {}
    try:
        before = loader.compiled
        (got,) = Executable(graph_of(softmax, "f32[4,3]"), {})(x)
        assert loader.compiled > before
    finally:
        loader._addresses = loader_addresses
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-6)
