"""Plans in several threads: the same bits, whoever else runs, forks, and the end of a process."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import ops
from jitgrad.codegen.launch import Launch, Moving, Strip
from jitgrad.errors import ArgumentError, BoundsError, DTypeError
from jitgrad.ir.interp import interpret
from jitgrad.passes.plan import Buffer
from jitgrad.primitives import conv
from jitgrad.primitives.elementwise import exp, sin, tanh
from jitgrad.primitives.index import take
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import reduce_max, reduce_sum
from jitgrad.primitives.shape import transpose
from jitgrad.runtime import pool, threads
from jitgrad.runtime import program as module
from jitgrad.runtime.executable import Executable
from jitgrad.runtime.table import PARALLEL, PARTS, part
from tests.programs import graph_of, softmax

COUNTS = (1, 2, 3, 7)
needs_pool = pytest.mark.skipif(pool._library() is None, reason="this system has no POSIX threads")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = ms.get_num_threads()
    yield
    ms.set_num_threads(before)


def array(text: str, seed: int = 0) -> np.ndarray:
    from tests.programs import type_of

    made = type_of(text)
    draw = np.random.default_rng(seed)
    if made.dtype.is_float:
        return draw.normal(size=made.shape).astype(made.dtype.numpy)
    return draw.integers(0, 50, made.shape).astype(made.dtype.numpy)


def arrays_of(types: str) -> list[np.ndarray]:
    return [array(text, seed) for seed, text in enumerate(types.split())]


def jobs() -> int:
    """How many entries were shared so far."""
    return pool.words()[pool.GATE] >> 16


# --- the same bits --------------------------------------------------------------------------------

SAME = {"stride": (1, 1), "pad": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
PROGRAMS = {
    "map": (lambda x, y: tanh(x * y + sin(x)) * exp(-y), "f32[300007] f32[300007]"),
    "outer map": (lambda x: transpose(sin(x), perm=(1, 0)) * 2.0, "f32[301,1009]"),
    "rows": (softmax, "f32[1013,301]"),
    "one column": (lambda x: reduce_sum(sin(x), axes=(0,)), "f32[300007,1]"),
    "columns": (lambda x: reduce_sum(sin(x), axes=(0,)), "f32[211,1031]"),
    "everything": (lambda x: (reduce_sum(sin(x), axes=(0,)), x * 2.0), "f32[300007]"),
    "maximum": (lambda x: reduce_max(x * x, axes=(0, 1)), "f64[307,1009]"),
    "product": (matmul, "f32[1031,131] f32[131,263]"),
    "wide product": (matmul, "f64[37,67] f64[67,2053]"),
    "transposed product": (
        lambda x, y: matmul(transpose(x, perm=(1, 0)), y),
        "f32[67,1100] f32[67,203]",
    ),
    "wide transposed product": (
        lambda x, y: matmul(x, transpose(y, perm=(1, 0))),
        "f32[99,67] f32[1100,67]",
    ),
    "products": (matmul, "f64[9,65,67] f64[9,67,71]"),
    "products by rows": (
        lambda x, y: matmul(x, transpose(y, perm=(0, 2, 1))),
        "f32[30,65,67] f32[30,144,67]",
    ),
    "convolution": (lambda x, w: conv.conv2d(x, w, **SAME), "f32[11,8,32,32] f32[16,8,3,3]"),
    "one image": (lambda x, w: conv.conv2d(x, w, **SAME), "f32[1,8,96,96] f32[20,8,3,3]"),
    "convolution's image": (
        lambda g, w: conv.conv2d_input(g, w, size=(32, 32), **SAME),
        "f32[11,16,32,32] f32[16,8,3,3]",
    ),
    "convolution's filters": (
        lambda x, g: conv.conv2d_weight(x, g, kernel=(3, 3), **SAME),
        "f32[37,8,32,32] f32[37,16,32,32]",
    ),
    "indices": (take, "f32[50,1031] i64[307]"),
    "several": (
        lambda x: reduce_sum(tanh(matmul(x, transpose(x, perm=(1, 0)))), axes=(0,)),
        "f32[307,211]",
    ),
}


@needs_pool
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    program, types = PROGRAMS[name]
    executable = Executable(graph_of(program, types), {})
    arrays = arrays_of(types)
    ms.set_num_threads(1)
    expected = [r.copy() for r in executable(*arrays)]
    for got, want in zip(expected, interpret(executable.graph, arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)
    before = jobs()
    for count in COUNTS:
        ms.set_num_threads(count)
        for _ in range(3):
            for got, want in zip(executable(*arrays), expected, strict=True):
                assert got.tobytes() == want.tobytes()
    assert jobs() > before


@needs_pool
def test_a_training_step_has_the_same_bits() -> None:
    """A network with a loss, its gradients and an update of what is captured."""

    def losses(count: int) -> bytes:
        ms.set_num_threads(count)
        w = ms.Parameter(array("f32[120,90]", 1), name="w")
        x, y = ms.Tensor(array("f32[700,120]", 2)), ms.Tensor(array("f32[700,90]", 3))

        def loss(x, y):
            error = ops.softmax(ops.tanh(x @ w)) - y
            return (error * error).mean()

        gradient = ms.value_and_grad(loss, None, [w])

        @ms.jit
        def step(x, y):
            value, (dw,) = gradient(x, y)
            ops.assign(w, w - 0.5 * dw)
            return value

        return b"".join([step(x, y).asnumpy().tobytes() for _ in range(4)] + [w.asnumpy()])

    assert len({losses(count) for count in COUNTS}) == 1


def launch_of(**values: object) -> Launch:
    return replace(Launch("", (), (), 1000, 1), **values)


@pytest.mark.parametrize("extent", [0, 1, 63, 64, 65, 1000, 1 << 20, (1 << 31) + 1])
@pytest.mark.parametrize("work", [0, PARALLEL, PARALLEL * 10, 1 << 40])
@pytest.mark.parametrize("grain", [1, 100])
def test_parts_cover_a_range(extent: int, work: int, grain: int) -> None:
    launch = launch_of(extent=extent, work=work, grain=grain)
    step = part(launch)
    assert step >= min(grain, max(extent, 1))
    assert 0 <= -(-extent // step) <= PARTS


# --- strips -----------------------------------------------------------------------------------

FILL = """def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    for i0 in range(lo, hi):
        r0[i0] = a0[i0] * f32(3)
"""
ADD = """def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    r1 = f32_ptr(ptrs, 2)
    for i0 in range(lo, hi):
        r0[i0] = a0[i0] + f32(1)
        r1[0] = r1[0] + a0[i0]
"""
CLEAR = """def kernel(ptrs, dims, lo, hi):
    r0 = f32_ptr(ptrs, 0)
    for i0 in range(lo, hi):
        r0[i0] = f32(0)
"""


@needs_pool
def test_chunks_of_a_strip_have_memory_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    tile, tiles, chunks = 4096, 64, 16
    count = tile * tiles
    x, y = Buffer(4 * count, "input", 0), Buffer(4 * count, "output", 0)
    sums, local = Buffer(4 * chunks, "output", 1), Buffer(4 * tile, "local", 0)
    here, there, total = Moving(x, 4 * tile), Moving(y, 4 * tile), Moving(sums, 0, 4)
    body = (
        Launch(FILL, (here, local), (), tile, tile),
        Launch(ADD, (local, there, total), (), tile, tile),
    )
    strip = Strip((Launch(CLEAR, (total,), (), 1, 1),), body, (), tiles, chunks, 4 * tile - 60)
    strips = [strip]
    monkeypatch.setattr(module, "launches", lambda step: [strips.pop()] if strips else [])
    graph = graph_of(lambda x, z: (x * 2.0, z * 2.0), f"f32[{count}] f32[{chunks}]")
    executable = Executable(graph, {})
    assert executable.program.local == 4 * tile
    values = array(f"f32[{count}]")
    ms.set_num_threads(1)
    expected = [r.copy() for r in executable(values, np.zeros(chunks, np.float32))]
    np.testing.assert_array_equal(expected[0], values * np.float32(3) + 1)
    for threads_now in (*COUNTS, 40):
        ms.set_num_threads(threads_now)
        for _ in range(10):
            got = executable(values, np.zeros(chunks, np.float32))
            assert [g.tobytes() for g in got] == [e.tobytes() for e in expected]


# --- errors -------------------------------------------------------------------------------------


@needs_pool
@pytest.mark.parametrize("count", COUNTS)
def test_an_index_out_of_bounds_in_one_of_many_parts(count: int) -> None:
    executable = Executable(graph_of(take, "f32[50,101] i64[2003]"), {})
    x, i = arrays_of("f32[50,101] i64[2003]")
    ms.set_num_threads(count)
    for place in (0, 1000, 2002):
        bad = i.copy()
        bad[place] = 77
        with pytest.raises(BoundsError, match="take: index 77 is out of bounds"):
            executable(x, bad)
        np.testing.assert_array_equal(executable(x, i)[0], x[i])


# --- who else runs --------------------------------------------------------------------------------


@needs_pool
def test_python_threads_share_the_pool() -> None:
    """One of them has it, the others work alone; the number of threads changes meanwhile."""
    program, types = PROGRAMS["several"]
    executable = Executable(graph_of(program, types), {})
    arrays = arrays_of(types)
    expected = executable(*arrays)[0].copy()
    start, stop = threading.Barrier(5), threading.Event()

    def change() -> None:
        start.wait()
        count = 0
        while not stop.is_set():
            count = count % 5 + 1
            ms.set_num_threads(count)
            stop.wait(0.0005)

    def work(_: int) -> bool:
        start.wait()
        return all(np.array_equal(executable(*arrays)[0], expected) for _ in range(40))

    changer = threading.Thread(target=change)
    changer.start()
    try:
        with ThreadPoolExecutor(4) as workers:
            assert all(workers.map(work, range(4)))
    finally:
        stop.set()
        changer.join()


def script(text: str, *, code: int = 0) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout


SETUP = """
import os, signal, sys, threading, time
import numpy as np
import jitgrad as ms
from jitgrad import ops
ms.set_num_threads(4)
f = ms.jit(lambda x: ops.softmax(ops.tanh(x * 2.0), 1))
x = ms.Tensor(np.linspace(-1, 1, 400_000, dtype=np.float32).reshape(500, 800))
expected = f(x).asnumpy().copy()
def right():
    return np.array_equal(f(x).asnumpy(), expected)
"""


@needs_pool
@needs_fork
def test_forks_in_mid_run() -> None:
    """While a thread is in the pool; children start pools of their own, and so do theirs."""
    out = script(
        SETUP
        + """
stop = threading.Event()
def loop():
    while not stop.is_set():
        f(x)
thread = threading.Thread(target=loop)
thread.start()
def child(depth):
    good = all(right() for _ in range(20))
    if depth:
        pid = os.fork()
        if pid == 0:
            child(depth - 1)
        good = good and os.waitpid(pid, 0)[1] == 0
    os._exit(0 if good else 1)
codes = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        child(1)
    codes.append(os.waitpid(pid, 0)[1])
stop.set()
thread.join()
print(codes, right())
"""
    )
    assert out.strip() == f"{[0] * 8} True"


def spawned(queue: multiprocessing.Queue) -> None:
    ms.set_num_threads(3)
    x = ms.Tensor(np.linspace(-1, 1, 400_000, dtype=np.float32))
    queue.put(ms.jit(lambda x: ops.tanh(x) * 2.0)(x).asnumpy()[::1000])


def test_spawn() -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=spawned, args=(queue,))
    process.start()
    got = queue.get(timeout=60)
    process.join()
    x = np.linspace(-1, 1, 400_000, dtype=np.float32)[::1000]
    np.testing.assert_allclose(got, np.tanh(x) * 2, rtol=1e-5)
    assert process.exitcode == 0


@needs_pool
@pytest.mark.parametrize("how", ["pass", "os._exit(0)", "sys.exit(0)", "time.sleep(0.01)"])
def test_the_end_of_a_process(how: str) -> None:
    """Threads of the pool spin, or sleep, or a daemon is in mid-run."""
    for daemon in (
        "",
        "threading.Thread(target=lambda: [f(x) for _ in iter(int, 1)], daemon=True)",
    ):
        begin = f"{daemon}.start()\ntime.sleep(0.05)" if daemon else ""
        script(f"{SETUP}\nassert right()\n{begin}\n{how}\n")


@needs_pool
def test_an_interrupt() -> None:
    out = script(
        SETUP
        + """
# Python drops an exception that a signal raises in the callback of a weak reference, and there are
# some in each call: so the signal comes until it is seen.
seen = threading.Event()
def interrupt():
    while not seen.wait(0.3):
        os.kill(os.getpid(), signal.SIGINT)

def handler(*_):
    if not seen.is_set():
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, handler)
threading.Thread(target=interrupt, daemon=True).start()
try:
    while True:
        f(x)
except KeyboardInterrupt:
    seen.set()
    print(right())
"""
    )
    assert out.strip() == "True"


@needs_pool
def test_idle_threads_sleep() -> None:
    """They use next to no processor time when nothing is shared."""
    out = script(
        SETUP
        + """
right()
time.sleep(0.05)
before = time.process_time()
time.sleep(0.5)
print(time.process_time() - before)
"""
    )
    assert float(out) < 0.1


@needs_pool
def test_a_warm_process_needs_no_numba() -> None:
    text = f"{SETUP}\nprint(right(), 'numba' in sys.modules)\n"
    script(text)
    assert script(text).strip() == "True False"


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="this system has no /proc")
def test_threads_that_cannot_be_started() -> None:
    """Those that there are do the work: a stack does not fit into what is left of memory."""
    out = script(
        SETUP.replace("ms.set_num_threads(4)", "ms.set_num_threads(1)")
        + """
import resource
from jitgrad.runtime import pool
right()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), resource.RLIM_INFINITY))
ms.set_num_threads(4)
print(right(), pool.words()[pool.WORKERS])
"""
    )
    assert out.strip() == "True 0"


# --- the setting ----------------------------------------------------------------------------------


def test_the_number_of_threads() -> None:
    ms.set_num_threads(1)
    assert ms.get_num_threads() == 1
    if pool._library() is not None:
        ms.set_num_threads(3)
        assert ms.get_num_threads() == 3
    for wrong in (0, -1):
        with pytest.raises(ArgumentError, match=f"set_num_threads got {wrong}"):
            ms.set_num_threads(wrong)
    for wrong in (1.5, "2", None, True):
        with pytest.raises(DTypeError, match="set_num_threads got a"):
            ms.set_num_threads(wrong)


def test_the_number_at_the_start() -> None:
    show = "import jitgrad as ms; print(ms.get_num_threads())"
    count = subprocess.run(
        [sys.executable, "-c", show],
        env={**os.environ, "JITGRAD_NUM_THREADS": "5"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(count.stdout) == (5 if pool._library() is not None else 1)
    assert 1 <= threads.cores() <= (os.cpu_count() or 1)
