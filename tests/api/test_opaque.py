"""`opaque`: functions that programs call and do not look into."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import CallbackError, CountError, DTypeError, ShapeError, TapeError, TraceError

A = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


@ms.custom_vjp
@ms.opaque
@numba.njit
def running(x):
    for i in range(1, len(x)):
        x[i] += x[i - 1]
    return x


running.defbwd(lambda x, out, g: (running(g[::-1])[::-1],))


@ms.opaque(like=lambda x, k: (x.T, ops.cast(x.sum(), ms.int32)))
def turned(x, k):
    """In Python: the transpose scaled, and how many elements are positive."""
    return x.T * k, np.int32((x > 0).sum())


@ms.opaque
@numba.njit
def picky(x):
    if x[0] > 1.0:
        raise ValueError("too large")
    return x * 2.0


def loss(x):
    return (running(x) ** 2).sum()


def by_hand(x):
    return 2 * np.cumsum(np.cumsum(x)[::-1])[::-1]


def test_values_and_gradients(mode: str) -> None:
    x = A[0]
    value, slope = ms.value_and_grad(loss)(x)
    assert value == pytest.approx((np.cumsum(x) ** 2).sum(), rel=1e-15)
    np.testing.assert_allclose(slope, by_hand(x), rtol=1e-15)
    np.testing.assert_array_equal(x, A[0])  # it works on copies
    hessian = ms.hessian(loss)(Tensor(x)).asnumpy()
    lower = np.tri(3)
    np.testing.assert_allclose(hessian, 2 * lower.T @ lower, rtol=1e-15)
    _, pushed = ms.jvp(loss, Tensor(x), Tensor(A[1]))
    assert pushed.item() == pytest.approx(by_hand(x) @ A[1], rel=1e-14)


def test_on_the_tape() -> None:
    for function in (loss, ms.jit(loss)):
        x = Tensor(A[0], requires_grad=True)
        function(x).backward()
        np.testing.assert_allclose(x.grad.asnumpy(), by_hand(A[0]), rtol=1e-15)


def test_several_results_of_a_python_function(mode: str) -> None:
    for function in (turned, ms.jit(lambda x, k: turned(x, k))):
        y, count = function(Tensor(A), 3.0)
        np.testing.assert_array_equal(y.asnumpy(), A.T * 3.0)
        assert (count.dtype, count.item()) == (ms.int32, 4)


def test_examples_one_after_the_other(mode: str) -> None:
    np.testing.assert_array_equal(ms.vmap(running)(Tensor(A)).asnumpy(), np.cumsum(A, 1))
    slopes = ms.vmap(ms.grad(loss))(Tensor(A)).asnumpy()
    np.testing.assert_allclose(slopes, [by_hand(row) for row in A], rtol=1e-14)
    y, counts = ms.vmap(turned, (None, 0))(Tensor(A), Tensor([1.0, 2.0, 3.0], ms.float64))
    np.testing.assert_array_equal(y.asnumpy(), [A.T, A.T * 2, A.T * 3])
    assert counts.asnumpy().tolist() == [4, 4, 4]
    twice = ms.vmap(ms.vmap(running))(Tensor(np.stack([A, A])))
    np.testing.assert_array_equal(twice.asnumpy(), np.cumsum(np.stack([A, A]), 2))


def until_large(x):
    count = 0
    while x.sum() < 100.0:
        x = picky(x)
        count += 1
    return x, count


def test_in_loops() -> None:
    x = np.array([-1.0, 3.0])
    found, count = ms.jit(until_large)(Tensor(x))
    np.testing.assert_array_equal(found.asnumpy(), x * 64)
    assert int(count) == 6
    with pytest.raises(CallbackError, match="picky raised an exception"):
        ms.jit(until_large)(Tensor([0.25, 1.0]))


def test_inside_of_numba() -> None:
    both = ms.as_njit(ms.value_and_grad(loss), np.zeros(3))

    @numba.njit(parallel=True)
    def slopes(xs):
        out = np.empty_like(xs)
        for i in numba.prange(len(xs)):
            out[i] = both(xs[i])[1]
        return out

    np.testing.assert_allclose(slopes(A), [by_hand(row) for row in A], rtol=1e-14)
    with pytest.raises(TraceError, match="it calls turned, which runs in Python"):
        ms.as_njit(lambda x: turned(x, 2.0)[0], A)
    failing = ms.as_njit(lambda x: picky(x), np.zeros(2))
    with pytest.raises(CallbackError, match="picky raised"):
        failing(np.array([2.0, 0.0]))


def test_sizes_and_layouts() -> None:
    """Nothing at all, numbers, and what is not contiguous."""
    plus = ms.opaque(numba.njit(lambda x: x + x))
    compiled = ms.jit(lambda x: plus(x.T))
    for x in (np.zeros((0, 3)), A, np.asfortranarray(A), np.float32(2.0), np.array(3), A[:, ::2]):
        for function in (lambda x: plus(x.T), compiled):
            found = function(Tensor(x))
            np.testing.assert_array_equal(found.asnumpy(), 2 * x.T)
            assert found.dtype is Tensor(x).dtype


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda f: f, ms.jit], ids=["eager", "jit"])
def test_it_has_no_derivative(wrap) -> None:
    function = wrap(lambda x: (turned(x, 2.0)[0] * x.T).sum())
    for call in (
        lambda: ms.grad(function)(Tensor(A)),
        lambda: ms.jvp(function, Tensor(A), Tensor(A)),
        lambda: function(Tensor(A, requires_grad=True)).backward(),
    ):
        with pytest.raises(TapeError, match="turned cannot be differentiated") as caught:
            call()
        assert "custom_vjp around it" in str(caught.value)
    constant = wrap(lambda x: (ops.stop_gradient(turned(x, 2.0)[0]) * x.T).sum())
    np.testing.assert_array_equal(ms.grad(constant)(Tensor(A)).asnumpy(), 2.0 * A)


def test_the_line_of_the_call_is_named() -> None:
    with pytest.raises(TapeError, match=r"test_opaque\.py:\d+"):
        ms.grad(ms.jit(lambda x: picky(x).sum()))(Tensor(A[0]))


def test_exceptions_of_python_pass_through() -> None:
    class Mine(Exception):
        pass

    @ms.opaque
    def failing(x):
        raise Mine(x.tolist())

    for function in (failing, ms.jit(lambda x: failing(x) + 1.0)):
        with pytest.raises(Mine, match=r"\[1.0, 2.0\]"):
            function(Tensor([1.0, 2.0]))


def test_exceptions_of_compiled_code() -> None:
    compiled = ms.jit(lambda x: picky(x) + 1.0)
    for _ in range(2):
        np.testing.assert_array_equal(compiled(Tensor([0.5, 3.0])).asnumpy(), [2.0, 7.0])
        with pytest.raises(CallbackError, match="picky raised an exception"):
            compiled(Tensor([1.5, 3.0]))
    with pytest.raises(ValueError, match="too large"):
        picky(Tensor([1.5, 3.0]))


SHAPES = {
    "shape": (lambda x: x[1:], ShapeError),
    "dtype": (lambda x: x * 1j, DTypeError),
    "count": (lambda x: (x, x), CountError),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("made", [lambda f: f, numba.njit], ids=["python", "numba"])
def test_results_are_as_promised(name: str, made) -> None:
    function, kind = SHAPES[name]
    several = name == "count"
    wrapped = ms.opaque(made(function), like=(lambda x: (x, x, x)) if several else None)
    for call in (wrapped, ms.jit(lambda x: wrapped(x))):
        with pytest.raises((kind, CallbackError), match=r"<lambda> (returned|raised)"):
            call(Tensor(A[0]))


def test_bad_arguments() -> None:
    with pytest.raises(DTypeError, match="opaque got a int"):
        ms.opaque(3)
    with pytest.raises(DTypeError, match=r"<opaque picky> got a str as argument 0"):
        picky("text")
    with pytest.raises(DTypeError, match="without arguments"):
        ms.opaque(lambda: 1.0)()
    for like in (lambda x: 3, lambda x: {"x": x}, lambda x: ((x, x), x)):
        with pytest.raises(DTypeError, match="did not return a Tensor"):
            ms.opaque(lambda x: x, like=like)(Tensor(A))
    unknown = ms.opaque(numba.njit(lambda x: x.nothing()))
    with pytest.raises(DTypeError, match=r"Numba cannot compile <lambda> for \(f64\[2,3\]\)"):
        ms.jit(lambda x: unknown(x))(Tensor(A))


# --- threads and processes ------------------------------------------------------------------------


def test_threads() -> None:
    compiled = ms.jit(lambda x: running(x) * 2.0)
    found: list = []

    def work() -> None:
        found.extend(compiled(Tensor(A[0])).asnumpy() for _ in range(50))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 200
    assert all((y == np.cumsum(A[0]) * 2).all() for y in found)


PROGRAM = """
import sys, numpy as np, jitgrad as ms
factor = float(sys.argv[1])
scaled = ms.opaque(lambda x: x * factor)
print(ms.jit(lambda x: scaled(x) + 1.0)(ms.Tensor([1.0, 2.0])))
"""


@pytest.mark.parametrize("jit", ["0", "1"])
def test_a_plan_from_the_disk_calls_the_function_of_its_process(tmp_path, jit: str) -> None:
    env = {**os.environ, "JITGRAD_CACHE_DIR": str(tmp_path / "cache"), "JITGRAD_JIT": jit}
    env["PYTHONPATH"] = ":".join(p for p in sys.path if p)
    for factor, shown in (("2", "[3. 5.]"), ("3", "[4. 7.]")):
        call = [sys.executable, "-c", PROGRAM, factor]
        done = subprocess.run(call, env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == shown
