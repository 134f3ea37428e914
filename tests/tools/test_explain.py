"""Why functions are traced and compiled: `explain` and JITGRAD_DEBUG=1."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config, journal, nn, ops
from jitgrad.runtime import loader

ROOT = Path(__file__).resolve().parents[2]
factor = 2.0


def scaled(x, n=1):
    return (x * factor).sum() * n


class Scaled(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.factor = 2.0

    def construct(self, x):
        return x * self.factor


def ones(*shape: int, dtype: type = np.float32) -> ms.Tensor:
    return ms.Tensor(np.ones(shape, dtype))


def reasons(run: Callable[[], object]) -> list[str]:
    """Why functions were traced during a call."""
    with journal.collected() as lines:
        run()
    return [line.split("): ", 1)[1] for line in lines if line.startswith("tracing ")]


def test_the_first_call() -> None:
    f = ms.jit(scaled)
    assert reasons(lambda: f(ones(2))) == ["first call"]
    assert reasons(lambda: f(ones(2))) == []


def test_other_arguments() -> None:
    f = ms.jit(scaled)
    f(ones(2))
    assert reasons(lambda: f(ones(3))) == ["x: f32[2] -> f32[3]"]
    assert reasons(lambda: f(ones(3, dtype=np.float64))) == ["x: f32[3] -> f64[3]"]
    assert reasons(lambda: f(ones(3, dtype=np.float64), 4)) == ["n_0: absent -> 4"]
    assert reasons(lambda: f(ones(3, dtype=np.float64), 5)) == ["n_0: 4 -> 5"]


def test_many_other_arguments() -> None:
    f = ms.jit(lambda *xs: xs[0] + 1)
    f(*[ones(2)] * 2)
    (why,) = reasons(lambda: f(*[ones(3) for _ in range(7)]))
    assert why.endswith(" and 3 more")


def test_a_global(monkeypatch: pytest.MonkeyPatch) -> None:
    f = ms.jit(scaled)
    f(ones(2))
    monkeypatch.setitem(globals(), "factor", 3.0)
    assert reasons(lambda: f(ones(2))) == ["global 'factor': 2.0 -> 3.0"]


def test_a_closure_variable() -> None:
    c = 5
    f = ms.jit(lambda x: x * c)
    f(ones(2))
    c = 6
    assert reasons(lambda: f(ones(2))) == ["closure variable 'c': 5 -> 6"]


def test_an_attribute() -> None:
    cell = Scaled()
    f = ms.jit(cell)
    f(ones(2))
    cell.factor = 3.0
    assert reasons(lambda: f(ones(2))) == ["attribute 'factor' of a Scaled: 2.0 -> 3.0"]


def test_an_array() -> None:
    table = np.ones(3)
    f = ms.jit(lambda x: x * ms.Tensor(table))
    f(ones(3))
    table[1] = 2
    assert reasons(lambda: f(ones(3))) == ["the contents of a ndarray"]


def test_a_value_that_was_looked_at() -> None:
    flag = ms.Parameter(np.ones((), np.float32), requires_grad=False)

    @ms.jit
    def f(x):
        return x * float(flag.asnumpy())

    f(ones(2))
    flag.set_data(ms.Tensor(2.0))
    found = reasons(lambda: f(ones(2)))
    assert found == ["the value of a Tensor that it looked at"]


def test_lines_and_costs() -> None:
    f = ms.jit(scaled)
    with journal.collected() as lines:
        f(ones(2))
    head, cost = lines[0], lines[-1]
    line = scaled.__code__.co_firstlineno
    assert head.startswith(f"tracing scaled (test_explain.py:{line}, called at test_explain.py:")
    assert cost.startswith("scaled: 6 nodes, trace ")
    assert "from the disk cache)" in cost


def test_kernels_compiled_and_fetched(tmp_path: Path) -> None:
    """The second process finds what the first one compiled."""
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import jitgrad as ms
ms.jit(lambda x: x * 3.0 + 1.0)(ms.Tensor([1.0]))
"""

    def run() -> list[str]:
        given = {k: v for k, v in os.environ.items() if not k.startswith("JITGRAD_")}
        given |= {"JITGRAD_DEBUG": "1", "JITGRAD_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", program], env=given, capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
        return done.stderr.splitlines()

    first, second = run(), run()
    compiled = [line for line in first if line.startswith("jitgrad: compiled jg_")]
    assert first[-1].endswith(f"({len(compiled)} compiled, 0 from the disk cache)")
    assert second[-1].endswith(f"(0 compiled, {len(compiled)} from the disk cache)")
    assert second[1:-1] == ["jitgrad: a plan of 1 steps is from the disk cache"]


def test_debugging_writes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with config.override(debug=1):
        ms.jit(scaled)(ones(2))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jitgrad: tracing scaled (")
    ms.jit(scaled)(ones(2))
    assert capsys.readouterr() == ("", "")


# --- the report -----------------------------------------------------------------------------------


def test_explain() -> None:
    weight = ms.Parameter(np.ones((2, 3), np.float32))

    @ms.jit
    def f(x):
        return ops.tanh(ops.matmul(x, weight)).sum()

    x = ones(4, 2)
    first = ms.explain(f)(x)
    assert first.why == "first call"
    assert first.events[0].startswith("tracing f (test_explain.py:")
    again = ms.explain(f)(x)
    assert again.events == ()
    text = str(again)
    assert "traced because: first call" in text
    assert "this call:      nothing to trace or compile" in text
    assert "captured:       1 Parameters, 0 other Tensors" in text
    assert "weight" in text
    assert "kernel_0" in text
    compiled = loader.compiled
    ms.explain(f)(x)
    assert loader.compiled == compiled


def test_explain_takes_plain_functions_too() -> None:
    report = ms.explain(scaled)(ones(2))
    assert str(report).startswith("scaled (test_explain.py:")
    assert report.why == "first call"
