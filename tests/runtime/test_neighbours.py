"""What else may go on in the process: forks during a first call, and Numba's own users."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config
from jitgrad.runtime import pool
from tests.runtime.caching import ROOT, answer, start
from tests.runtime.test_executor import needs_fork

FORKS = f"""
import os, signal, sys, threading, time
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
import jitgrad as ms
from jitgrad import ops

x = np.linspace(0.0, 1.0, 9, dtype=np.float32)
done = threading.Event()

def compile_some():
    for k in range(4):
        ms.jit(ms.value_and_grad(lambda x: (ops.sin(x) * float(k) + x).sum()))(x)
    done.set()

def child(number):
    signal.alarm(100)
    y = ms.jit(lambda x: ops.tanh(x) * number)(x)
    os._exit(0 if np.allclose(y.asnumpy(), np.tanh(x) * number, atol=1e-6) else 1)

thread = threading.Thread(target=compile_some)
thread.start()
codes = []
while not (done.is_set() and codes):
    time.sleep(0.05)
    pid = os.fork()
    if pid == 0:
        child(2.0 + len(codes))
    codes.append(os.waitpid(pid, 0)[1])
thread.join()
print(set(codes))
"""


@needs_fork
def test_forks_while_another_thread_makes_its_first_calls(tmp_path: Path) -> None:
    """The child can trace, lower and compile, whatever the other thread was at."""
    assert answer(start(tmp_path, FORKS)) == "{0}"


BESIDE_NUMBA = """
import math, numba
import numpy as np

@numba.njit
def by_hand(x):
    total = 0.0
    for i in range(x.size):
        total += math.exp(x[i]) * math.tanh(x[i])
    return total

x = np.linspace(0.0, 1.0, 1000)
first = by_hand(x)
import jitgrad as ms
from jitgrad import ops
program = lambda x: (ops.exp(x) * ops.tanh(x)).sum()
value, gradient = ms.jit(ms.value_and_grad(program))(ms.Tensor(x))
embedded = ms.as_njit(program, x)

@numba.njit
def both(x):
    return by_hand(x) + embedded(x) + np.sum(x)

assert abs(float(value) - first) <= 1e-12 * first
assert abs(both(x) - 2 * first - x.sum()) <= 1e-11 * first
print("good")
"""


@pytest.mark.parametrize("frontend", ["direct", "numba"])
def test_numba_s_functions_before_and_after(tmp_path: Path, frontend: str) -> None:
    found = answer(start(tmp_path, BESIDE_NUMBA, JITGRAD_FRONTEND=frontend, PYTHONPATH=str(ROOT)))
    assert found == "good"


@pytest.mark.skipif(pool._library() is None, reason="this system has no POSIX threads")
def test_the_number_of_threads_in_a_block() -> None:
    before = ms.get_num_threads()
    with config.override(threads=before + 2):
        assert ms.get_num_threads() == before + 2
        ms.set_num_threads(1)
        assert ms.get_num_threads() == config.get("threads") == 1
    assert ms.get_num_threads() == before


def test_a_setting_that_cannot_be_changes_nothing() -> None:
    with pytest.raises(ValueError, match="accurate or fast"):
        config.override(debug=0, math="wrong").__enter__()
    assert config.get("math") in ("accurate", "fast")


@pytest.mark.parametrize("value", [-1, 1.5, "many", True, None])
def test_a_number_of_threads_that_cannot_be(value: object) -> None:
    before = ms.get_num_threads()
    with pytest.raises(ValueError, match=f"threads={value!r} cannot be read"):
        config.override(threads=value).__enter__()
    assert ms.get_num_threads() == before


def test_follow() -> None:
    seen: list[int] = []
    try:
        config.follow("loop_limit", seen.append)
        with config.override(loop_limit=np.iinfo(np.int32).max):
            pass
    finally:
        del config._followers["loop_limit"]
    assert seen == [0, np.iinfo(np.int32).max, 0]
