"""`raise` and `assert` on data in compiled loops: the program's own exception, with values."""

from __future__ import annotations

import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, ops
from jitgrad.errors import TraceError
from tests.frontend.control.conftest import check_equal, interpreted


def asserted(x):
    y = x
    for i in range(50):
        y = y * 1.1
        assert y < 10.0, f"at {i}: {y:.3f} is too large"
    return y


def does_not_converge(x):
    n = 0
    while x > 0.01:
        x = x * 0.5
        n = n + 1
        if n > 10:
            raise ValueError("no convergence", n)
    return x


def in_a_function_it_calls(x):
    def half(v, i):
        if v > 5.0:
            raise KeyError(f"{i}")
        return v * 0.5

    total = x * 0.0
    for i in range(30):
        total = total + half(x * i, i)
    return total


def one_of_two(x):
    total = x * 0.0
    for i in range(20):
        for j in range(10):
            total = total + x * 0.1
            if total > 4.0:
                raise ArithmeticError(f"total {total}")
            assert i * 10 + j < 150 or x < 0.01, f"late {i} {j}"
    return total


class NoRoom(Exception):
    def __init__(self, size, *, limit):
        super().__init__(size, limit)
        self.limit = limit


def of_its_own_class(x):
    while x < 100.0:
        x = x * 2.0
        if x > 50.0:
            raise NoRoom(f"{x}", limit=50)
    return x


CASES = [
    (asserted, 0.01, 1.0), (does_not_converge, 0.5, 100.0), (in_a_function_it_calls, 0.1, 1.0),
    (one_of_two, 0.001, 0.25), (one_of_two, 0.001, 0.02), (of_its_own_class, 200.0, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("jitted", [interpreted, pytest.param(ms.jit, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("program", "fine", "bad"), CASES)
def test_exceptions_in_loops(jitted, program, fine, bad) -> None:
    compiled, x = jitted(program), Tensor(fine)
    check_equal(compiled(x), program(x))
    check_equal(jitted(ms.grad(program))(x), ms.grad(program)(x))
    with pytest.raises(Exception) as eager:  # noqa: PT011  which one, the program says
        program(Tensor(bad))
    with pytest.raises(type(eager.value)) as found:
        compiled(Tensor(bad))
    said = str(eager.value).partition("\n")[0]  # pytest adds to what an assert of a test says
    assert str(found.value) == said
    check_equal(compiled(x), program(x))
    if hasattr(found.value, "__notes__"):
        assert "test_faults.py" in found.value.__notes__[0]


def test_nothing_is_written() -> None:
    total = Parameter(Tensor(1.0), name="total")

    @interpreted
    def f(x):
        for i in range(20):
            ops.assign_add(total, x)
            assert total < 30.0, f"{i}"
        return total * 1.0

    assert f(Tensor(1.0)).item() == 21.0
    with pytest.raises(AssertionError, match="8"):
        f(Tensor(1.0))
    assert total.value().item() == 21.0


def test_what_was_printed_before_is_shown(capsys) -> None:
    @interpreted
    def f(x):
        print("begin", x)
        for _ in range(20):
            x = x * 1.5
            assert x < 100.0
        print("end", x)
        return x

    with pytest.raises(AssertionError):
        f(Tensor(2.0))
    assert capsys.readouterr().out == "begin 2.0\n"


# --- caught ---------------------------------------------------------------------------------------


def an_index(x, k):
    try:
        return x * [4.0, 2.0, 1.0][k]
    except IndexError:
        return x * 7.0


def an_index_in_a_loop(x, k):
    v = ops.stack([x, x + 1.0, x * 2.0])
    for i in range(20):
        try:
            x = x + v[k + i] * 0.1
            v[k + i] = x
        except (KeyError, LookupError):
            x = x * 0.9
    return x + v.sum()


def a_written_place(x, k):
    v = ops.stack([x, x + 1.0, x * 2.0])
    try:
        v[k, ...] = 4.0
        x = x * 3.0
    except Exception:
        x = x + 3.0
    return x + v.sum()


def a_divisor(x, k):
    n = int(k) - 1
    try:
        n = 7 // n
    except ZeroDivisionError:
        n = 5
    return x * n


def an_exception_of_a_loop(x, k):
    try:
        for i in range(20):
            if x > k:
                raise ValueError(f"at {i}")
            x = x + 1.0
    except ValueError:
        return x * 0.5
    return x


def one_of_a_function_it_calls(x, k):
    def checked(v):
        assert v < k, "too large"
        return v * 1.3

    while x > 0.5:
        try:
            x = checked(x)
        except AssertionError:
            x = x * 0.1
    return x


def one_of_another_kind(x, k):
    for _ in range(20):
        try:
            if x > k:
                raise KeyError("large")
            x = x * 1.5
        except IndexError:
            x = x * 0.0
    return x


CAUGHT = [
    an_index, an_index_in_a_loop, a_written_place, a_divisor, an_exception_of_a_loop,
    one_of_a_function_it_calls, one_of_another_kind,
]  # fmt: skip


@pytest.mark.parametrize("program", CAUGHT, ids=lambda f: f.__name__)
def test_caught(program, same) -> None:
    same(program, *[(Tensor(x), Tensor(k)) for x, k in [(0.4, 1), (1.5, 3), (2.0, 0), (0.7, -3)]])


def test_what_cannot_be_compiled_is_not_caught() -> None:
    @ms.vmap
    def f(x):
        try:
            assert x < 2.0
            return x
        except Exception:
            return x * 0.5

    with pytest.raises(TraceError, match="cannot be compiled here: AssertionError"):
        f(Tensor([1.0, 3.0]))
