"""Running plans: many kernels in a call, threads, forks, memory, and indices that do not exist."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jitgrad.errors import BoundsError
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node
from jitgrad.primitives.elementwise import exp, sin, tanh
from jitgrad.primitives.index import take
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.shape import reshape, transpose
from jitgrad.runtime import stats
from jitgrad.runtime.executable import Executable, compile_graph
from jitgrad.runtime.table import HEAVY, cost
from jitgrad.runtime.threads import get_num_threads
from tests.programs import graph_of, softmax


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_right(graph: Graph, results: list[np.ndarray], arrays: list[np.ndarray]) -> None:
    for got, want in zip(results, interpret(graph, arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def turning(x: Node, times: int = 20) -> Node:
    """Two kernels each time: a function, and the transposed array copied."""
    for _ in range(times):
        x = reshape(transpose(tanh(x), perm=(1, 0)), shape=(7, 5))
    return x


# --- one call -------------------------------------------------------------------------------------


def test_forty_kernels_in_one_native_call() -> None:
    graph = graph_of(turning, "f32[7,5]")
    executable = Executable(graph, {})
    assert len(executable.program.launches) >= 40
    native, calls = executable.run, []

    def counting(*arrays: np.ndarray) -> int:
        calls.append(len(arrays))
        return native(*arrays)

    executable.run = counting
    x = normal(7, 5)
    assert_right(graph, executable(x), [x])
    assert len(calls) == 1


@pytest.mark.parametrize("count", [1, 8, 250])
def test_many_inputs(count: int) -> None:
    graph = graph_of(lambda *xs: sum(xs[1:], xs[0]), "f32[3] " * count)
    arrays = [normal(3, seed=i) for i in range(count)]
    assert_right(graph, Executable(graph, {})(*arrays), arrays)


def test_many_results() -> None:
    graph = graph_of(lambda x: [x * float(i) for i in range(250)], "f32[3]")
    x = normal(3)
    assert_right(graph, Executable(graph, {})(x), [x])


def test_no_inputs_and_no_results() -> None:
    from jitgrad.ir.node import full
    from tests.programs import type_of

    assert Executable(Graph("nothing", [], []), {})() == ()
    (three,) = Executable(Graph("three", [], [full(3, type_of("f32[2]"))]), {})()
    assert list(three) == [3, 3]


def test_the_arena_is_kept() -> None:
    stats.empty_cache()
    executable = Executable(graph_of(turning, "f32[7,5]"), {})
    for _ in range(3):
        executable(normal(7, 5))
    need = executable.program.plan.arena + executable.program.local * get_num_threads()
    assert stats.memory_stats()["arena"] == need > 0


def test_executables_are_kept_by_graph_and_updates() -> None:
    graph = graph_of(lambda x: x * 2, "f32[3]")
    assert compile_graph(graph) is compile_graph(graph)
    assert compile_graph(graph) is not compile_graph(graph, {0: 0})


def test_read_only_inputs() -> None:
    x = normal(3)
    x.setflags(write=False)
    (got,) = Executable(graph_of(lambda x: x * 2, "f32[3]"), {})(x)
    np.testing.assert_array_equal(got, x * 2)


# --- memory ---------------------------------------------------------------------------------------


def test_reference_counts() -> None:
    executable = Executable(graph_of(lambda x: (exp(x), turning(x)), "f32[7,5]"), {})
    x = normal(7, 5)
    before = sys.getrefcount(x)
    results = executable(x)
    after = sys.getrefcount(x)
    assert after == before
    fresh = [np.empty(3), np.empty(3)]
    counts = [sys.getrefcount(results[i]) for i in range(2)]
    assert counts == [sys.getrefcount(fresh[i]) for i in range(2)]
    assert all(r.flags.owndata and r.flags.writeable for r in results)


def test_ten_thousand_calls_leak_nothing() -> None:
    executable = Executable(graph_of(softmax, "f32[7,5]"), {})
    x = normal(7, 5)
    for _ in range(100):
        executable(x)
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10_000):
            executable(x)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 10_000  # less than a byte a call


def test_results_and_native_functions_outlive_the_executable() -> None:
    graph = graph_of(turning, "f32[7,5]")
    x = normal(7, 5)
    executable = Executable(graph, {})
    (result,) = executable(x)
    kept, run = result.copy(), executable.run
    del executable
    gc.collect()
    np.testing.assert_array_equal(result, kept)
    np.testing.assert_array_equal(run(x)[0], kept)


# --- threads --------------------------------------------------------------------------------------


def heavy(x: Node) -> Node:
    """Enough work to release the interpreter's lock, and memory in the arena."""
    return tanh(matmul(sin(x), x)) * 0.5 + matmul(x, x)


def test_threads_share_an_executable() -> None:
    graph = graph_of(heavy, "f32[64,64]")
    executable = Executable(graph, {})
    assert sum(cost(launch) for _, launch in executable.program.flattened) >= HEAVY
    arrays = [normal(64, 64, seed=i) for i in range(8)]
    expected = [executable(x)[0] for x in arrays]
    start = threading.Barrier(8)
    stats.empty_cache()

    def work(i: int) -> bool:
        start.wait()
        return all(np.array_equal(executable(arrays[i])[0], expected[i]) for _ in range(100))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    need = executable.program.plan.arena + executable.program.local * get_num_threads()
    assert stats.memory_stats()["arena"] == need  # one of them is kept


def test_threads_compile_at_once() -> None:
    def work(i: int) -> np.ndarray:
        return Executable(graph_of(lambda x: sin(x) * 3 - 1, f"f32[{i + 1}]"), {})(normal(i + 1))[0]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    for i, got in enumerate(results):
        np.testing.assert_allclose(got, np.sin(normal(i + 1)) * 3 - 1, rtol=1e-5, atol=1e-6)


def test_other_threads_run_meanwhile() -> None:
    """With an endless switch interval, only what releases the lock lets another thread run."""
    graph = graph_of(lambda x: tanh(sin(x) * sin(x * 3)), "f32[4000000]")
    executable = Executable(graph, {})
    x, stop, count = normal(4_000_000), threading.Event(), [0]
    executable(x)

    def counting() -> None:
        while not stop.is_set():
            count[0] += 1
            time.sleep(0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    thread = threading.Thread(target=counting)
    thread.start()
    try:
        before = count[0]
        executable(x)
        during = count[0] - before
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
    assert during > 0


# --- forks ----------------------------------------------------------------------------------------

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def in_child(work: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether a forked child finds `work` to be true; a child that hangs is killed."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


@pytest.fixture
def busy() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Runs a function again and again in another thread, until the test ends."""
    stop, threads = threading.Event(), []

    def start(work: Callable[[], object]) -> None:
        def loop() -> None:
            while not stop.is_set():
                work()

        threads.append(threading.Thread(target=loop))
        threads[-1].start()
        time.sleep(0.05)

    yield start
    stop.set()
    for thread in threads:
        thread.join()


@needs_fork
def test_fork_while_a_plan_runs(busy) -> None:
    graph = graph_of(heavy, "f32[64,64]")
    executable = Executable(graph, {})
    x = normal(64, 64)
    (expected,) = executable(x)
    busy(lambda: executable(x))
    for _ in range(5):
        assert in_child(lambda: np.array_equal(executable(x)[0], expected))


@needs_fork
def test_fork_while_kernels_compile(busy) -> None:
    """The child can compile as well."""
    numbers = iter(range(10_000))

    def compile_one() -> None:
        number = float(next(numbers)) + os.getpid() % 1000 / 1000
        Executable(graph_of(lambda x: sin(x) * number, "f32[3]"), {})

    busy(compile_one)
    for i in range(3):
        number = 100_000.0 + i

        def child(number: float = number) -> bool:
            executable = Executable(graph_of(lambda x: x * number, "f32[3]"), {})
            return bool(executable(np.ones(3, np.float32))[0][0] == number)

        assert in_child(child)


# --- indices that do not exist --------------------------------------------------------------------


def test_an_index_out_of_bounds_is_an_error_and_the_next_call_is_fine() -> None:
    graph = graph_of(lambda x, i: take(exp(x), i) * 2, "f32[5,3] i64[4]")
    executable = Executable(graph, {})
    x = normal(5, 3)
    good = np.array([0, 4, 2, 1])
    for bad in ([0, 1, 5, 0], [0, -6, 1, 2], [1 << 40, 0, 0, 0]):
        with pytest.raises(BoundsError, match=r"take: (index \d+|an index) is out of bounds"):
            executable(x, np.array(bad))
        assert_right(graph, executable(x, good), [x, good])


def test_an_index_out_of_bounds_in_one_thread_only() -> None:
    executable = Executable(graph_of(lambda x, i: take(x, i), "f32[5] i64[2]"), {})
    x = normal(5)

    def work(i: int) -> str:
        try:
            return str(executable(x, np.array([i, 0]))[0][0] == x[i])
        except IndexError:
            return "out of bounds"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(work, list(range(8)) * 50))
    assert answers == (["True"] * 5 + ["out of bounds"] * 3) * 50
