"""`as_njit`: programs inside of functions that Numba compiles; such functions inside of graphs."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import warnings

import numba
import numpy as np
import pytest
from numba.core.errors import NumbaWarning, TypingError

import jitgrad as ms
from jitgrad import nn, ops
from jitgrad.errors import BoundsError, CountError, DTypeError, ShapeError, TraceError

EPSILON = np.finfo(np.float64).eps


def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def test_numbers() -> None:
    def f(x, y):
        return x * x * y

    of_both = ms.as_njit(ms.value_and_grad(f, (0, 1)), 0.0, 0.0)

    @numba.njit
    def use(x, y):
        value, (dx, dy) = of_both(x, y)
        return value + 10.0 * dx + 100.0 * dy

    assert of_both(3.0, 2.0) == (18.0, (12.0, 9.0))
    assert use(3.0, 2.0) == 18.0 + 120.0 + 900.0
    assert use(3, True) == 9.0 + 60.0 + 900.0  # what loses nothing is converted


def test_numbers_leave_nothing_of_a_call() -> None:
    """A small program becomes part of its caller: no table is made, nothing is called."""
    slope = ms.as_njit(ms.grad(lambda x: x * x * x), 0.0)

    @numba.njit
    def use(x):
        return slope(x) + 1.0

    assert use(2.0) == 13.0
    (text,) = use.inspect_llvm().values()
    body = text[text.index("\ndefine ") :].split("\n}")[0]
    assert "fmul" in body
    assert not any(word in body for word in ("alloca", "call ", "inttoptr"))


def test_arrays_in_a_parallel_loop() -> None:
    both = ms.as_njit(ms.value_and_grad(rosenbrock), np.zeros(7))

    @numba.njit(parallel=True)
    def steepness(x):
        out = np.empty(len(x))
        for i in numba.prange(len(x)):
            out[i] = both(x[i])[1][3]
        return out

    x = np.random.default_rng(1).normal(size=(50, 7))
    np.testing.assert_array_equal(steepness(x), [both(row)[1][3] for row in x])
    slope = both(x[0])[1]
    of_row = ms.jit(ms.grad(rosenbrock))(ms.Tensor(x[0])).asnumpy()  # sums of two, in any order
    np.testing.assert_allclose(slope, of_row, rtol=0, atol=4 * EPSILON * abs(of_row).max())


def test_layouts() -> None:
    """Rows of a matrix are taken as they are, columns are copied."""
    value = ms.as_njit(rosenbrock, np.zeros(5))
    x = np.random.default_rng(2).normal(size=(5, 5))

    @numba.njit
    def both(x):
        return value(x[0]), value(x[:, 0]), value(x.T[0]), value(x[::-1, 0])

    row, column, turned, flipped = both(x)
    assert row == value(x[0].copy())
    assert column == turned == value(x[:, 0].copy())
    assert flipped == value(x[::-1, 0].copy())


def large(x, w):
    return (ops.tanh(x @ w) ** 2).sum()


def test_large_programs_are_called() -> None:
    """Products by BLAS, an arena, several kernels."""
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(301, 203)), rng.normal(size=(203, 101))
    compiled = ms.as_njit(ms.value_and_grad(large, (0, 1)), x, w)
    value, (dx, dw) = ms.jit(ms.value_and_grad(large, (0, 1)))(x, w)

    got, (got_x, got_w) = compiled(x, w)
    assert got == float(value)
    np.testing.assert_array_equal(got_x, dx.asnumpy())
    np.testing.assert_array_equal(got_w, dw.asnumpy())


def test_threads_without_the_lock() -> None:
    compiled = ms.as_njit(ms.grad(rosenbrock), np.zeros(6))

    @numba.njit(nogil=True)
    def many(x, count):
        total = np.zeros_like(x)
        for _ in range(count):
            total += compiled(x)
        return total

    x = np.linspace(0.5, 1.5, 6)
    expected = many(x, 1000)
    found: list = []
    workers = [threading.Thread(target=lambda: found.append(many(x, 1000))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    assert all((f == expected).all() for f in found)


def settle(x, count):
    y, k = x, 0
    while k < count:
        y = 0.5 * y + ops.cos(y)
        k += 1
    return y


def test_loops_of_unknown_length() -> None:
    """Their gradient grows a tape inside of Numba's code."""
    slope = ms.as_njit(ms.grad(settle), 0.0, 0)

    @numba.njit
    def use(x, n):
        return slope(x, n), slope(x, 2 * n)

    def by_hand(x, count):
        y, dy = x, 1.0
        for _ in range(count):
            y, dy = 0.5 * y + math.cos(y), (0.5 - math.sin(y)) * dy
        return dy

    for got, count in zip(use(0.3, 5), (5, 10), strict=True):
        assert got == pytest.approx(by_hand(0.3, count), rel=200 * EPSILON)


def test_nests_and_constants() -> None:
    def f(pair, shift):
        (a, b), c = pair
        return (a * b.sum() + shift, 3, None), (c > 1, -math.inf), b * 2.0

    compiled = ms.as_njit(f, ((1.0, np.zeros(3)), 2), 0.0)

    @numba.njit
    def use(a, b, c):
        return compiled(((a, b), c), 0.5)

    b = np.array([1.0, 2.0, 4.0])
    (value, three, none), (large, infinite), doubled = use(2.0, b, 3)
    assert (value, three, none, bool(large), infinite) == (14.5, 3, None, True, -math.inf)
    np.testing.assert_array_equal(doubled, 2 * b)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool"])
def test_dtypes(dtype: str) -> None:
    x = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    turned, first = ms.as_njit(lambda x: (x.T, x[0, 1]), x)(x)
    assert turned.dtype == x.dtype
    np.testing.assert_array_equal(turned, x.T)
    assert first == x[0, 1]


def test_parameters_are_read_at_each_call() -> None:
    net = nn.Dense(3, 2)
    compiled = ms.as_njit(lambda x: net(x), np.zeros((4, 3), np.float32))
    x = np.random.default_rng(4).normal(size=(4, 3)).astype(np.float32)

    @numba.njit
    def use(x):
        return compiled(x)

    for scale in (1.0, 2.0):
        net.weight.set_data(net.weight * scale)
        expected = net(ms.Tensor(x)).asnumpy()
        np.testing.assert_allclose(use(x), expected, rtol=0, atol=8 * np.finfo(np.float32).eps)
    net.weight.set_data(ms.Tensor(np.zeros((5, 3), np.float32)), slice_shape=True)
    with pytest.raises(TraceError, match="no longer of the type"):
        use(x)


def test_wrong_arguments() -> None:
    compiled = ms.as_njit(rosenbrock, np.zeros(5))

    @numba.njit
    def use(x):
        return compiled(x)

    with pytest.raises(ShapeError, match=r"rosenbrock takes x of shape \[5\]"):
        use(np.zeros(6))
    for wrong in (1.0, np.zeros(5, np.float32), np.zeros((5, 5))):
        with pytest.raises(TypingError, match="takes an array of float64 with 1 dimension as x"):
            use(wrong)
    with pytest.raises(TypingError, match="takes float32 as x, got float64"):
        ms.as_njit(lambda x: x + x, np.float32(1.0))(0.5)


def test_several_types_and_shapes() -> None:
    """By types when Numba compiles a call, by shapes when it runs."""
    single, two = np.float32(0.0), np.zeros(2)
    cube = ms.as_njit(
        ms.value_and_grad(lambda x: (x * x * x).sum()),
        0.0,
        also=[(single,), (two,), (np.zeros(3),)],
    )

    @numba.njit
    def use(x):
        return cube(x)

    assert use(2.0) == (8.0, 12.0)
    assert use(np.float32(2.0)) == (8.0, 12.0)
    assert list(use.nopython_signatures[-1].return_type) == [numba.float32] * 2
    for x in (np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0])):
        value, slope = use(x)
        assert value == (x**3).sum()
        np.testing.assert_array_equal(slope, 3 * x * x)
    with pytest.raises(ShapeError, match="for which there was no example"):
        use(np.zeros(4))
    with pytest.raises(TypingError, match=r"takes float64 as x.* or .*an array of float64 with 1"):
        use(np.zeros((2, 2)))
    refused(DTypeError, "a list of tuples", lambda x: x, 0.0, also=[0.0])
    refused(CountError, "more, or fewer", lambda *x: x[0], 0.0, also=[(0.0, 1.0)])


def test_an_index_that_does_not_exist() -> None:
    picked = ms.as_njit(lambda x, i: ops.gather(x, i, 0), np.zeros(5), np.zeros(2, np.int64))

    @numba.njit
    def use(x, i):
        return picked(x, i).sum()

    x = np.arange(5.0)
    assert use(x, np.array([1, 4])) == 5.0
    with pytest.raises(BoundsError, match="an index is out of bounds for an axis of extent 5"):
        use(x, np.array([1, 5]))
    assert use(x, np.array([0, 3])) == 3.0


def refused(kind: type[Exception], text: str, fn, *examples, **options) -> None:
    with pytest.raises(kind, match=text) as caught:
        ms.as_njit(fn, *examples, **options)
    assert "test_njit.py" in str(caught.value)


def test_what_cannot_be_called_by_numba() -> None:
    total = ms.Parameter(np.zeros(2), "total")

    def add(x):
        ops.assign(total, total + x)
        return x

    def show(x):
        print(x)
        return x

    refused(DTypeError, "returns a dict", lambda x: {"x": x}, 1.0)
    refused(DTypeError, "takes a dict", lambda d: d["x"], {"x": 1.0})
    refused(DTypeError, "returns a str", lambda x: (x, "text"), 1.0)
    refused(DTypeError, "got a str among the examples", lambda x: x, "text")
    refused(DTypeError, "float16", lambda x: x, np.float16(1.0))
    refused(TraceError, "it assigns to total", add, np.zeros(2))
    refused(TraceError, "it prints", show, 1.0)


def test_such_code_is_not_cached(tmp_path) -> None:
    """A file would go on with constants of yesterday: Numba warns instead."""
    path = tmp_path / "program.py"
    path.write_text(
        "import numba\nimport jitgrad as ms\n"
        "f = ms.as_njit(lambda x: x * 3.0, 0.0)\n"
        "@numba.njit(cache=True)\ndef use(x):\n    return f(x)\n"
    )
    space: dict = {"__file__": str(path), "__name__": "program"}
    exec(compile(path.read_text(), str(path), "exec"), space)
    with pytest.warns(NumbaWarning, match="Cannot cache compiled function"):
        assert space["use"](2.0) == 6.0


def test_without_numba_s_compiler() -> None:
    code = (
        "import numba, numpy as np, jitgrad as ms\n"
        "f = ms.as_njit(ms.value_and_grad(lambda x: (x * x).sum()), np.zeros(3))\n"
        "value, slope = numba.njit(lambda x: f(x))(np.array([1.0, 2.0, 3.0]))\n"
        "assert value == 14.0 and slope.tolist() == [2.0, 4.0, 6.0]\n"
    )
    env = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": ":".join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)


# --- Numba's functions in graphs -----------------------------------------------------------------


@numba.njit
def waves(x, scale):
    total = 0.0
    for i in numba.prange(3):
        total += math.sin(x) * scale + np.exp(-x * i)
    return total


@numba.njit
def settled(x):
    y = waves(x, 2.0)
    while y > 1.0:
        y = y * 0.7
    return y


def test_numba_functions_are_captured_from_their_source() -> None:
    x, h = 0.7, EPSILON ** (1 / 3)
    central = (settled(x + h) - settled(x - h)) / (2 * h)
    value, slope = ms.jit(ms.value_and_grad(settled))(ms.Tensor(x, ms.float64))
    assert float(value) == pytest.approx(settled(x), rel=4 * EPSILON)
    assert float(slope) == pytest.approx(central, rel=1e-8)  # h**2, and rounding over h
    again = ms.as_njit(ms.grad(settled), 0.0)
    assert again(x) == pytest.approx(float(slope), rel=4 * EPSILON)
    of_sum = ms.jit(ms.grad(lambda x: again(x) + settled(x)))  # our own, inside of a graph
    assert math.isfinite(float(of_sum(ms.Tensor(x, ms.float64))))


def test_eager_tensors_in_numba_s_functions() -> None:
    with pytest.raises(DTypeError, match="passed to a function that Numba compiled") as caught:
        settled(ms.Tensor(0.7, ms.float64))
    assert "test_njit.py" in str(caught.value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert settled(0.7) == settled.py_func(0.7)
