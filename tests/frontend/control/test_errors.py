"""What cannot be compiled: the exact words, with the user's line, both types and the remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, config, ops
from jitgrad.errors import (
    BranchError,
    CarryError,
    ConditionError,
    LeakError,
    LimitError,
    SourceError,
    TraceError,
    UndefinedError,
    UnsupportedError,
)

x = Tensor(2.0)
v = Tensor([1.0, 2.0, 3.0])


def raised(kind: type[Exception], function: Callable, *args: Tensor) -> list[str]:
    """The lines of the error, without the number of the user's line, which comes last."""
    with pytest.raises(kind) as error:
        ms.jit(function)(*args)
    first, *rest = str(error.value).split("\n")
    place, _, text = first.partition(": ")
    assert place.startswith("test_errors.py:")
    return [text, *rest]


def marked(source: str, part: str) -> list[str]:
    """A line of the program in an error, and the carets below a part of it (Python 3.11 on)."""
    caret = f"    {' ' * source.index(part)}{'^' * len(part)}"
    return [f"    {source}", *([caret] if sys.version_info >= (3, 11) else [])]


def test_branches_of_different_shapes_in_a_loop() -> None:
    def f(v):
        while v.sum() < 100.0:
            if v[0] > 0:
                y = v[:2]
            else:
                y = v
            v = v * 2.0 + y.sum()
        return v

    assert raised(BranchError, ms.vmap(f), ops.stack([v, v])) == [
        "'y' is f32[2] where the condition holds and f32[3] where it does not",
        *marked("if v[0] > 0:", "v[0] > 0"),
        "  because inside of a compiled loop or vmap both branches must give one type",
        "  instead: cast or reshape one of them",
    ]


def test_branches_of_different_dtypes_in_a_loop() -> None:
    def f(x):
        y = x
        for _ in range(100):
            y = y.astype(ms.float64) if x > 0 else y
        return y

    batch = ops.stack([x, x])
    assert raised(BranchError, ms.vmap(f), batch) == [
        "the value is f64[] where the condition holds and f32[] where it does not",
        *marked("y = y.astype(ms.float64) if x > 0 else y", "x > 0"),
        "  because inside of a compiled loop or vmap both branches must give one type",
        "  instead: cast or reshape one of them",
    ]


def test_a_carry_that_changes_its_type() -> None:
    def f(x):
        y = x
        while y.sum() < 10.0:
            y = ops.concat([y, y])
        return y

    assert raised(CarryError, ms.vmap(f), ops.stack([v, v])) == [
        "'y' is f32[3] before an iteration of a loop and f32[6] after it",
        *marked("while y.sum() < 10.0:", "y.sum() < 10.0"),
        "  because what a loop carries keeps its type",
        "  instead: give it that type before the loop, or cast it in the loop",
    ]
    # One example decides how often it goes round; that is part of the compiled variant.
    assert ms.jit(f)(v).shape == (6,)
    assert ms.jit(f)(v * 0.1).shape == (96,)


def test_a_variable_that_may_be_unbound_and_is_used() -> None:
    def f(x):
        if x > 0:
            z = x
        return z

    assert raised(UndefinedError, ms.vmap(f), v) == [
        "'z' may be used before it is bound",
        *marked("if x > 0:", "x > 0"),
        "  because only one branch of a condition that depends on data binds it",
        "  instead: bind 'z' before the condition",
    ]
    with pytest.raises(
        UnboundLocalError, match="cannot access local variable 'z'|before assignment"
    ):
        ms.jit(f)(-x)
    assert ms.jit(f)(x).item() == 2.0


def test_a_condition_of_many_elements() -> None:
    def f(v):
        while v > 0:
            v = v - 1.0
        return v

    assert raised(ConditionError, f, v) == [
        "the truth value of a Tensor of shape [3] is ambiguous",
        *marked("while v > 0:", "v > 0"),
        "  instead: t.any() or t.all()",
    ]

    def g(v):
        return v if v > 0 else -v

    assert raised(ConditionError, g, v)[1:-1] == marked("return v if v > 0 else -v", "v > 0")


def test_a_loop_without_end() -> None:
    def f(x):
        while x > 0:
            x = x + 1.0
        return x

    with config.override(loop_limit=1000):
        assert raised(LimitError, f, x) == [
            "a loop has run 1000 times and goes on",
            *marked("while x > 0:", "x > 0"),
            "  because its condition never became false",
            "  instead: pass a higher limit, or JITGRAD_LOOP_LIMIT=0 for none",
        ]

    def still(x):
        while x > 0:
            pass
        return x

    assert raised(LimitError, still, x) == [
        "a loop that begins here never ends",
        *marked("while x > 0:", "x > 0"),
        "  because nothing that its condition reads changes in it",
        "  instead: change it in the loop, or break out of it",
    ]
    assert ms.jit(still)(-x).item() == -2.0

    def g(x):
        n = 0
        while True:
            n = n + 1
            str(n)
        return x

    with config.override(unroll_limit=20):
        assert raised(LimitError, g, x)[0] == "a loop was unrolled 20 times and is not over"


def test_too_many_decisions() -> None:
    def f(x):
        values = []
        while x > 0:
            values.append(x)
            x = x - 1.0
        return values

    assert len(ms.jit(f)(Tensor(5.0))) == 5
    with config.override(path_limit=10):
        assert raised(LimitError, f, Tensor(50.0))[:-1] == [
            "one call decides more than 10 conditions by their values",
            *marked("while x > 0:", "x > 0"),
            "  because its branches cannot be one compiled region: a list is [f32[], f32[]] before"
            " an iteration of a loop and [f32[], f32[], f32[]] after it",
        ]


def test_a_branch_that_is_no_region_of_a_vmap() -> None:
    def f(x):
        if x > 10:
            return f(x - 1)
        return x

    assert raised(TraceError, ms.vmap(f), v) == [
        "a branch that depends on data cannot be compiled here: f calls itself",
        *marked("if x > 10:", "x > 10"),
        "  because inside of a compiled loop or vmap both branches must be compiled",
        "  instead: compute a flag in the loop, and raise, print or append after it",
    ]


kept: list = []
held = None


def test_leaks() -> None:
    class Holder:
        value = None

    holder = Holder()

    def attribute(x):
        holder.value = x * 2.0
        return x

    def container(x):
        kept.append([x])
        return x

    def outside(x):
        global held
        held = x
        return x

    last = None

    def variable(x):
        nonlocal last
        last = x * 2.0
        return x

    def by_name(x):
        setattr(holder, "value", x * 2.0)  # noqa: B010  as programs do in loops over names
        return x

    def argument(values, x):
        values.append(x)
        return x

    assert raised(LeakError, attribute, x) == [
        "a traced Tensor of type f32[] is stored in the attribute 'value' of a Holder",
        *marked("holder.value = x * 2.0", "holder"),
        "  because it has no value there: only what a compiled function returns has one",
        "  instead: return it, or keep it in a Parameter",
    ]
    assert raised(LeakError, variable, x)[:-2] == [
        "a traced Tensor of type f32[] is stored in the variable 'last' of an outer function",
        *marked("nonlocal last", "nonlocal last"),
    ]
    assert raised(LeakError, by_name, x)[0] == (
        "a traced Tensor of type f32[] is stored in the attribute 'value' of a Holder"
    )
    assert raised(LeakError, container, x)[0] == (
        "a traced Tensor of type f32[] is stored in a list that outlives the call"
    )
    assert raised(LeakError, outside, x)[0] == (
        "a traced Tensor of type f32[] is stored in the global 'held'"
    )
    with pytest.raises(LeakError, match="argument changes a list or dict that it was given"):
        ms.jit(argument)([x], x)


def test_what_does_not_outlive_the_call_is_no_leak() -> None:
    class Holder:
        pass

    def f(x):
        holder = Holder()
        holder.value = x * 2.0
        values = []
        values.append(x)

        def walk(n):
            return holder.value if n == 0 else walk(n - 1)

        return walk(3) + values[0]

    assert ms.jit(f)(x).item() == 6.0

    def g(x):
        total = x * 0.0

        def more(y):
            nonlocal total
            total = total + y

        for i in range(20):
            more(x * i)
        return total

    assert ms.jit(g)(x).item() == 380.0

    def h(x):
        values = [x * 2.0, x * 1.0]

        def change(p):
            nonlocal values
            values = [values[1], p]

        change(x * 3.0)
        values[0] += 1.0
        return values[0] * values[1]

    assert ms.jit(h)(x).item() == h(x).item()


def test_statements_that_stay_as_they_are() -> None:
    def f(x):
        try:
            y = x * 2.0
        finally:
            if x > 0:
                return x  # noqa: B012
        return y

    assert raised(UnsupportedError, f, x) == [
        "a traced Tensor of type bool[] was asked whether it is true",
        *marked("if x > 0:", "x > 0"),
        "  because f cannot be read: it jumps out of a `finally`",
        "  instead: jump after the `finally`",
    ]

    def g(x):
        class Settings:
            scale = 2.0 if x > 0 else 1.0

        return x * Settings.scale

    assert raised(UnsupportedError, g, x) == [
        "a traced Tensor of type bool[] was asked whether it is true",
        *marked("scale = 2.0 if x > 0 else 1.0", "x > 0"),
        "  because the body of the class Settings runs as it is",
        "  instead: compute it before the class",
    ]


def test_generators_follow_the_path() -> None:
    def items(x):
        for i in range(4):
            if x * i < 5.0:
                yield x * i
            else:
                return

    def f(x):
        total = x * 0.0
        for y in items(x):
            total = total + y
        return total

    for value in (1.0, 2.0, 4.0):
        assert ms.jit(f)(Tensor(value)).item() == f(Tensor(value)).item()
    assert raised(TraceError, ms.vmap(f), v)[0] == (
        "a branch that depends on data cannot be compiled here: how many items there are depends"
        " on data"
    )


def test_source_that_cannot_be_read() -> None:
    made: dict = {}
    exec("def f(x):\n    if x > 0:\n        return x\n    return -x\n", made)
    with pytest.raises(SourceError) as error:
        ms.jit(made["f"])(x)
    assert str(error.value).split("\n") == [
        "<string>:2: a traced Tensor of type bool[] was asked whether it is true",
        "  because f cannot be read: it was made by exec or typed at a prompt (<string>), which"
        " keeps no source",
        "  instead: define it in a file",
    ]
    exec("def g(x):\n    return [x * i for i in range(3) if i > 1][0]\n", made)
    assert ms.jit(made["g"])(x).item() == 4.0  # nothing there needs converting


def test_a_library_that_asks_for_a_value() -> None:
    import statistics

    with pytest.raises((TraceError, TypeError)):
        ms.jit(lambda v: statistics.mode([v[0], v[1]]) if statistics.mean(v) > 0 else v)(v)


def test_real_exceptions_with_real_values() -> None:
    @ms.jit
    def f(x):
        if x > 3:
            raise ValueError(f"{x:.1f} is too large")
        assert x > -3, f"{x} is too small"
        return x * 2.0

    assert f(x).item() == 4.0
    for value, kind, text in (
        (4.5, ValueError, "4.5 is too large"),
        (-7.0, AssertionError, "-7.0"),
    ):
        with pytest.raises(kind, match=text):
            f(Tensor(value))
    assert f(x).item() == 4.0


def test_prints_at_every_call(capsys) -> None:
    @ms.jit
    def f(x, n):
        print("x =", x, f"{x * n:.2f}", n)
        for i in range(2):
            print(i, end=" ")
            print(x + i)
        return x

    def g(x):
        print("x =", x, f"{x * 3:.2f}", 3)
        for i in range(2):
            print(i, end=" ")
            print(x + i)

    for value in (1.0, 2.5, -1.0):
        f(Tensor(value), 3)
        got = capsys.readouterr().out
        g(Tensor(value))
        assert got == capsys.readouterr().out


def test_prints_in_a_loop_that_depends_on_data(capsys) -> None:
    @ms.jit
    def f(x):
        while x < 3.0:
            print(x)
            x = x + 1.0
        return x

    f(Tensor(0.5))
    assert capsys.readouterr().out == "0.5\n1.5\n2.5\n"
    f(Tensor(2.0))
    assert capsys.readouterr().out == "2.0\n"


def test_numpy_arrays_as_arguments() -> None:
    f = ms.jit(lambda a: a * 2.0 if a.sum() > 0 else -a)
    np.testing.assert_array_equal(f(np.float32([1, 2])).asnumpy(), [2, 4])
