"""What is imported when: importing the package and calling what is compiled should cost little."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPORT = """
print(*sorted(set(sys.modules) - before))
"""
BEFORE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import numpy
before = set(sys.modules)
"""
SOURCE = """
import jitgrad as ms
def settled(x, n):
    y = x
    for _ in range(n):
        y = ms.ops.tanh(y) * x if y > 0.5 else y + x
    return y
f = ms.value_and_grad(settled)
ms.jit(f)(ms.Tensor(0.5), ms.Tensor(7))
"""
LOOP = f"""
import linecache
source = {SOURCE!r}
linecache.cache["<loop>"] = len(source), None, source.splitlines(True), "<loop>"
exec(compile(source, "<loop>", "exec"))
"""
CALLS = """
import jitgrad as ms
f = ms.value_and_grad(lambda x: ms.ops.tanh(ms.ops.matmul(x, x)).sum())
ms.jit(f)(ms.Tensor([[1.0, 2.0], [3.0, 4.0]]))
"""


def imported(program: str, cache: Path, **settings: str) -> set[str]:
    """The modules that a program imports beside NumPy."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("JITGRAD_")}
    given |= {"JITGRAD_CACHE_DIR": str(cache), **settings}
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + program + REPORT],
        env=given,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package(tmp_path: Path) -> None:
    found = imported("import jitgrad", tmp_path)
    heavy = {
        "numba", "llvmlite", "scipy", "numpy.random", "importlib.metadata", "tempfile", "hashlib",
        "subprocess", "jitgrad.nn", "jitgrad.tools", "jitgrad.passes", "jitgrad.codegen",
    }  # fmt: skip
    assert not heavy & found


def test_compiling_most_kernels(tmp_path: Path) -> None:
    """They go straight to LLVM; from the cache, without passes and what writes LLVM."""
    assert not {"numba", "scipy.linalg", "scipy.special"} & imported(CALLS, tmp_path)
    found = imported(CALLS, tmp_path)
    assert not {"numba", "scipy", "jitgrad.passes", "jitgrad.codegen"} & found
    assert "llvmlite" in found


def test_loops_from_the_cache(tmp_path: Path) -> None:
    """That a loop can be one kernel is known, too; its derivative takes few of the passes."""
    imported(LOOP, tmp_path)
    found = imported(LOOP, tmp_path)
    assert not {"numba", "scipy", "jitgrad.passes.pipeline", "jitgrad.codegen"} & found
    assert "jitgrad.frontend.control.roll" in found


def test_compiling_by_numba_leaves_most_of_it_alone(tmp_path: Path) -> None:
    """Its CPU target, which knows arrays, strings and random numbers, is never filled."""
    found = imported(CALLS, tmp_path, JITGRAD_FRONTEND="numba")
    assert "numba.core.compiler" in found
    assert not {"numba.np.linalg", "numba.cpython.randomimpl"} & found
