"""`print` in compiled loops and under `vmap`: each time, in the order of the program."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, config, ops

V = Tensor(np.linspace(-1.0, 1.5, 24).astype(np.float32))


def many(v):
    print("begin", v[0])
    h = v[0]
    for t in range(12):
        h = ops.sin(h) + v[t]
        if t % 5 == 0:
            print(f"{t}: {h:.3f}", t, end=";\n")
        if h < -1.5:
            print("low", {"h": h}, v[:2] * h)
    print("middle", h)
    while h < 10.0:
        h = h * h + 1.0
        print("h", h)
    for t in range(20):
        for k in range(3):
            if t > 17:
                print(t, k)
        for k in range(10):
            if t + k == 27:
                print("sum")
    print("end", h)
    return h


def nothing_to_see(v):
    n, i = v.sum() * 0.0 + 3.0, 0
    while i < n:
        print("again")
        i += 1
    return v


@pytest.mark.parametrize("program", [many, nothing_to_see])
def test_loops_print_what_they_print_eagerly(program, capsys) -> None:
    program(V)
    want = capsys.readouterr().out
    compiled, slope = ms.jit(program), ms.jit(ms.grad(lambda v: program(v).sum()))
    for _ in range(2):
        compiled(V)
        assert capsys.readouterr().out == want
    slope(V)
    assert capsys.readouterr().out == want
    assert "one loop" in str(ms.explain(program)(V))


def test_what_a_print_shows_has_a_limit(capsys) -> None:
    def program(v):
        for i in range(50):
            v = v * 0.5
            print(i)
        print("end")
        return v

    with config.override(print_limit=3):
        ms.jit(program)(V)
    shown = ["0", "1", "2", "… and 47 times more (JITGRAD_PRINT_LIMIT)", "end"]
    assert capsys.readouterr().out.splitlines() == shown


def test_prints_come_before_the_exception(capsys) -> None:
    def program(v):
        total = v[0]
        for i in range(20):
            total = total + v[i]
            print(i)
            if i == 3 and total < 0:
                raise ValueError(f"{i}")
        return total

    with pytest.raises(ValueError, match="3"):
        ms.jit(program)(V)
    assert capsys.readouterr().out.split() == ["0", "1", "2", "3"]


def test_vmap_prints_example_by_example(capsys) -> None:
    def program(x):
        print("x", x)
        for t in range(12):
            x = x * 2.0
            if t == 5:
                print("in", x)
        if x > 0:
            print("positive")
        return x

    few = V[10:14]
    for x in few:
        program(x)
    want = capsys.readouterr().out
    for mapped in (ms.vmap(program), ms.jit(ms.vmap(program))):
        mapped(few)
        assert capsys.readouterr().out == want


def test_vmap_says_which_example_raised() -> None:
    weight = ms.Parameter(Tensor([1.0]), name="weight")

    def checked(x):
        for t in range(12):
            x = x * 1.5
            assert x < 100.0, f"{x:.2f} after {t}"
        if x < -80.0:
            raise ValueError("low")
        return x

    def program(v):
        ops.assign(weight, weight + 1.0)
        return ms.vmap(checked)(v)

    compiled = ms.jit(program)
    assert compiled(V[9:12]).shape == (3,)
    with pytest.raises(AssertionError, match=r"110\.00 after 11") as caught:
        compiled(V[9:])
    if sys.version_info >= (3, 11):
        assert caught.value.__notes__[-1] == "raised for example 8 of the 15 of a vmap"
    with pytest.raises(ValueError, match="low"):
        compiled(V[:9])
    assert weight.asnumpy() == 2.0
