"""Converted functions: what they keep of the function they come from."""

from __future__ import annotations

import functools
import inspect
import traceback

import pytest

import jitgrad as ms
import jitgrad.nn as nn
from jitgrad import Tensor
from jitgrad.errors import ShapeError
from jitgrad.frontend.control.build import code_of, twin
from tests.frontend.control.conftest import interpreted

x = Tensor(2.0)
factor = 3.0


def plain(a, b=2, *rest, c=3, **others):
    """A docstring."""
    total = a
    for i in range(b):
        if i > 0 and a > c:
            total += i
    return total, rest, others


def test_static_values_run_as_ever() -> None:
    converted = twin(plain)
    assert converted is not plain
    for call in (lambda f: f(1), lambda f: f(9, 5, 7, 8, c=1, d=2), lambda f: f("b", 3, c="a")):
        try:
            want = call(plain)
        except TypeError as error:
            with pytest.raises(TypeError, match=str(error)[:20]):
                call(converted)
        else:
            assert call(converted) == want


def test_it_looks_like_the_function() -> None:
    converted = twin(plain)
    assert inspect.signature(converted) == inspect.signature(plain)
    assert converted.__name__ == "plain"
    assert converted.__qualname__ == plain.__qualname__
    assert converted.__doc__ == "A docstring."
    assert converted.__globals__ is plain.__globals__
    assert converted.__code__.co_filename == plain.__code__.co_filename
    assert converted.__code__.co_firstlineno == plain.__code__.co_firstlineno
    plain.__defaults__, before = (7,), plain.__defaults__
    try:
        assert twin(plain)(1)[0] == plain(1)[0]
    finally:
        plain.__defaults__ = before


def test_code_is_converted_once() -> None:
    def make(k):
        return lambda v: v * k if v > 0 else v

    assert code_of(make(1.0)) is code_of(make(2.0))
    assert interpreted(make(5.0))(x).item() == 10.0
    assert interpreted(make(7.0))(x).item() == 14.0


def test_lines_of_tracebacks_and_errors() -> None:
    def f(x):
        y = x
        if x > 0:
            y = x.reshape((3, 3))
        return y

    with pytest.raises(ShapeError) as error:
        ms.jit(f)(x)
    line = f.__code__.co_firstlineno + 3
    assert f"test_conversion.py:{line}" in str(error.value)
    shown = traceback.extract_tb(error.value.__traceback__)
    assert any(s.filename == __file__ and s.lineno == line for s in shown)


def test_lines_of_decorated_functions() -> None:
    @ms.jit
    def f(x):
        if x > 0:
            return x.reshape((3, 3))
        return x

    with pytest.raises(ShapeError) as error:
        f(x)
    assert str(error.value).splitlines()[1].strip() == "return x.reshape((3, 3))"


def test_closures_and_globals_are_seen_when_they_change() -> None:
    global factor
    inner = 1.0

    def f(x):
        return x * inner * factor if x > 0 else x

    jitted = ms.jit(f)
    assert jitted(x).item() == 6.0
    inner = 2.0
    assert jitted(x).item() == 12.0
    factor = 1.0
    assert jitted(x).item() == 4.0
    factor = 3.0


def doubled(function):
    @functools.wraps(function)
    def call(*args):
        result = function(*args)
        return result * 2.0 if result > 0 else result

    return call


@doubled
def decorated(x):
    return x if x > 1 else -x


class Base(nn.Cell):
    def construct(self, x):
        return x * 2.0 if x > 0 else x


class Net(Base):
    __hidden = 5.0

    def __init__(self):
        super().__init__()
        self.training_steps = 0

    @staticmethod
    def shifted(x):
        return x + 1.0 if x > 0 else x

    @classmethod
    def scaled(cls, x):
        return x * cls.__hidden if x > 0 else x

    def __call__(self, *args):
        return super().__call__(*args)

    def construct(self, x):
        y = super().construct(x)
        if y > 1:
            y = self.shifted(y) + self.scaled(y)
        return y


class Callable_:
    def __call__(self, x):
        return x * 3.0 if x > 0 else x


FUNCTIONS = {
    "decorated": decorated,
    "partial": functools.partial(lambda k, v: v * k if v > 0 else v, 4.0),
    "object": Callable_(),
    "method": Callable_().__call__,
    "staticmethod": Net.shifted,
    "classmethod": Net.scaled,
    "lambda": lambda v: v if v > 0 else -v,
    "two lambdas": (lambda v: v if v > 0 else -v, lambda v: v * 2 if v > 0 else -v)[1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_kinds_of_functions(name: str) -> None:
    function = FUNCTIONS[name]
    for value in (Tensor(2.0), Tensor(-3.0)):
        assert interpreted(function)(value).item() == function(value).item()


def test_cells_with_super_and_private_names() -> None:
    net = Net()
    want = [net(Tensor(v)).item() for v in (2.0, -3.0)]
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        assert [net(Tensor(v)).item() for v in (2.0, -3.0)] == want
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)


def test_generators_and_comprehensions_stay() -> None:
    def f(x):
        def parts():
            for i in range(3):
                if i != 1:
                    yield x * i if x > 0 else -x

        return sum(parts()) + sum({i: x * 1.0 for i in range(2)}.values())

    assert interpreted(f)(x).item() == f(x).item()


def test_vmap_of_branches(same) -> None:
    def f(v):
        n = v * 0.0
        while v > 1.0:
            v = v / 2.0
            n = n + 1.0
        return n if n > 0 else -v

    batch = Tensor([0.5, 3.0, 17.0])
    got = ms.vmap(f)(batch).tolist()
    assert got == [f(v).item() for v in batch]


def test_explain(capsys) -> None:
    def f(x, n):
        s = x
        for i in range(n):
            s = s + x * i
        if s > 100:
            s = s * 2.0
        if x > 50:
            raise ValueError("no")
        return s

    from jitgrad.frontend.control import report

    entry, _ = ms.jit(f).entry((x, 50), {})
    first = f.__code__.co_firstlineno
    assert report(entry.traced).split("\n") == [
        f"test_conversion.py:{first + 2}: loop: one loop of 50 turns",
        "    for i in range(n):",
        f"test_conversion.py:{first + 4}: branch: both branches are compiled, 1 result",
        "    if s > 100:",
        f"test_conversion.py:{first + 6}: path: follows the path where it is False: ValueError: no",
        "    if x > 50:",
        f"this variant holds while the condition at test_conversion.py:{first + 6} is False",
    ]


def test_functions_given_to_ops() -> None:
    def clipped(v):
        return v * 2.0 if v < 5.0 else v - 1.0

    @ms.jit
    def f(x):
        y = ms.ops.while_loop(lambda v: v < 9.0 and v > 0, lambda v: clipped(v) + 2.0, x)
        z, _ = ms.ops.scan(lambda c, i: (clipped(c + i), c), y, Tensor([1.0, 2.0]))
        return (
            ms.ops.fori_loop(0, 3, lambda i, v: clipped(v), z) + ms.ops.HyperMap()(clipped, (x,))[0]
        )

    want = x.item()
    rule = lambda v: v * 2.0 if v < 5.0 else v - 1.0  # noqa: E731
    while 0 < want < 9.0:
        want = rule(want) + 2.0
    for i in (1.0, 2.0):
        want = rule(want + i)
    for _ in range(3):
        want = rule(want)
    assert f(x).item() == want + rule(x.item())
