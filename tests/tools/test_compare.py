"""`jitgrad.compare`: what it measures, what it leaves as it was, and what it says."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn, ops
from jitgrad.ir.types import TensorType, float32, int64
from jitgrad.tools import compare as tool
from jitgrad.tools.compare import compare, duration
from jitgrad.tools.difference import Pair, pairs, ulps
from jitgrad.tools.subject import lower


def quick(fn, *args, **options) -> tool.Report:
    return compare(fn, *args, repeat=1, show=False, **options)


def loss(x, w):
    return ops.tanh(x * w).sum()


@pytest.fixture
def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.standard_normal((6, 7)).astype(np.float32), np.full((6, 7), 0.5, np.float32)


# --- the report ---------------------------------------------------------------------------------


def test_values_gradients_and_costs(arrays) -> None:
    report = quick(loss, *arrays)
    assert report.title == "loss(f32[6,7], f32[6,7])"
    assert [p.name for p in report.outputs] == ["output"]
    assert [p.name for p in report.gradients] == ["gradient of x", "gradient of w"]
    assert report.written == ()
    assert report.agrees
    x, w = (a.astype(np.float64) for a in arrays)
    np.testing.assert_allclose(report.outputs[0].compiled, np.tanh(x * w).sum(), rtol=1e-5)
    expected = (1 - np.tanh(x * w) ** 2) * w
    for result in (report.gradients[0].eager, report.gradients[0].compiled):
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-7)
    value, gradient = report.programs
    assert (value.name, gradient.name) == ("value", "value and gradient")
    for program in report.programs:
        assert program.eager_seconds > 0
        assert program.compiled_seconds > 0
        assert program.compile_seconds > 0
        assert program.kernels == program.sources == 1
        assert 0 <= program.compiled_now <= 1
        assert program.eager_peak > 0
    assert value.bytes_moved == 2 * 42 * 4 + 4
    assert gradient.bytes_moved == 4 * 42 * 4 + 4


def test_no_gradient(arrays) -> None:
    assert quick(loss, *arrays, grad=False).gradients == ()
    whole = quick(lambda n: (n + 1, n > 2), np.arange(5))
    assert whole.name == "lambda"
    assert [p.name for p in whole.outputs] == ["output 0", "output 1"]
    assert whole.gradients == ()
    assert [p.name for p in whole.programs] == ["value"]
    assert whole.difference == 0


def test_nests_and_constants(arrays) -> None:
    def nested(pair, n, scale=2.0):
        x, w = pair["x"], pair["w"]
        return {"a": x**n, "b": [(w * scale).sum(), n]}

    report = quick(nested, dict(zip("xw", arrays)), 3)
    assert [p.name for p in report.outputs] == ["output 0", "output 1"]
    assert [p.name for p in report.gradients] == ["gradient of pair 0", "gradient of pair 1"]
    assert report.arguments[1] == "3"
    assert report.agrees


class Net(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Dense(7, 3)
        self.calls = ms.Parameter(ms.Tensor(0.0), name="calls", requires_grad=False)

    def construct(self, x):
        self.calls += 1
        return ops.tanh(self.dense(x)) * self.calls


def test_cells_and_what_they_write(arrays) -> None:
    ms.set_seed(3)
    net = Net()
    before = {p.name: p.asnumpy() for p in net.get_parameters()}
    report = quick(net, arrays[0])
    assert report.name == "Net"
    names = {p.name for p in report.gradients}
    assert names == {"gradient of x", "gradient of dense.weight", "gradient of dense.bias"}
    (calls,) = report.written
    assert (calls.name, float(calls.eager), float(calls.compiled)) == ("calls after", 1.0, 1.0)
    assert report.agrees
    for p in net.get_parameters():
        np.testing.assert_array_equal(p.asnumpy(), before[p.name])


def test_a_compiled_function_is_compared_with_its_source(arrays) -> None:
    assert quick(ms.jit(loss), *arrays).agrees
    assert quick(ms.jit(loss), *arrays).name == "loss"


def test_the_mode_stays(arrays) -> None:
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        assert quick(loss, *arrays).agrees
        assert ms.get_context("mode") == ms.GRAPH_MODE
        with pytest.raises(ZeroDivisionError):
            quick(lambda x: 1 / 0, *arrays[:1])
        assert ms.get_context("mode") == ms.GRAPH_MODE
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)


def test_what_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="compare got a int"):
        compare(3)


def test_lower_gives_the_stages(arrays) -> None:
    lowered = lower(loss, arrays)
    assert [x.attrs["name"] for x in lowered.stages[0][1].inputs] == ["x", "w"]
    assert len(lower(loss, arrays, grad=True).stages[0][1].outputs) == 3
    with pytest.raises(TypeError, match="has no gradient"):
        lower(lambda n: n + 1, [np.arange(3)], grad=True)


# --- differences --------------------------------------------------------------------------------


def pair(eager, compiled, dtype=float32) -> Pair:
    a, b = (np.asarray(x, dtype.numpy) for x in (eager, compiled))
    return Pair("p", TensorType(dtype, a.shape), a, b)


def test_ulps_count_the_numbers_between() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        one = np.array(1, dtype)
        assert ulps(one, np.nextafter(one, dtype(2))) == 1
        assert ulps(-one, np.nextafter(-one, dtype(2))) == 1
        tiny = np.finfo(dtype).smallest_subnormal
        assert ulps(tiny, -tiny) == 2
        assert ulps(np.array(0.0, dtype), np.array(-0.0, dtype)) == 0
        assert ulps(np.array(np.inf, dtype), np.finfo(dtype).max) == 1
    assert ulps(np.array([3, 5]), np.array([3, 9])).tolist() == [0, 4]
    assert ulps(np.array([True]), np.array([False])).tolist() == [1]


def test_nan_and_inf_are_values() -> None:
    same = pair([np.nan, np.inf, -np.inf, 1], [np.nan, np.inf, -np.inf, 1])
    assert (same.absolute, same.ulps, same.agrees) == (0, 0, True)
    for other in ([1, np.inf], [np.nan, -np.inf], [np.nan, 5]):
        wrong = pair([np.nan, np.inf], other)
        assert wrong.absolute == np.inf
        assert not wrong.agrees


def test_what_agrees() -> None:
    assert pair([1000, 1e-6], [1000, 2e-6]).agrees  # rounding of the large terms
    assert not pair([1000, 1.0], [1000, 2.0]).agrees
    assert pair([1e-30], [np.nextafter(np.float32(1e-30), np.float32(1))]).agrees
    assert not pair([1, 2], [1, 3], int64).agrees
    assert pair(np.zeros((0, 3)), np.zeros((0, 3))).agrees


def test_what_cancels_is_rounding() -> None:
    """A gradient that is 0 but for rounding is measured against those it came with."""
    tiny = pair([3e-7, -2e-7], [-1e-7, 4e-7])
    assert not tiny.agrees
    large = np.array([5.0], np.float32)
    among = pairs(["a", "b"], [tiny.eager, large], [tiny.compiled, large])
    assert [p.around for p in among] == [5.0, 5.0]
    assert all(p.agrees for p in among)
    wrong = pairs(["a", "b"], [tiny.eager, large], [tiny.compiled + np.float32(1e-3), large])
    assert [p.agrees for p in wrong] == [False, True]


# --- text ---------------------------------------------------------------------------------------


@pytest.fixture
def report() -> tool.Report:
    program = tool.Program("value", 2e-3, 1e-5, 0.25, 3, 2, 1, 12_000, 24_000, 8_000)
    return tool.Report("f", ("f32[2]",), (pair([1, 2], [1, 2]),), (), (), (program,))


def test_the_text(report) -> None:
    assert str(report).splitlines() == [
        "f(f32[2])",
        "",
        "result    type  largest value  difference  ulp",
        "------  ------  -------------  ----------  ---",
        "p       f32[2]              2           0    0",
        "",
        "                    value",
        "--------------  ---------",
        "eager             2.00 ms",
        "compiled          10.0 µs",
        "speed-up             200x",
        "first call         250 ms",
        "launches                3",
        "kernels         2 (1 new)",
        "bytes moved       12.0 kB",
        "peak, eager       24.0 kB",
        "peak, compiled     8.0 kB",
        "",
        "The modes agree.",
    ]


def test_a_difference_is_seen(report) -> None:
    wrong = dataclasses.replace(report, gradients=(pair([1, 2], [1, 3]),))
    assert not wrong.agrees
    assert wrong.difference == 1
    assert str(wrong).endswith("THE MODES DIFFER in p.")
    assert "differs" in str(wrong)


def test_on_a_terminal(report, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        tool._print(report)
        for text in ("f(f32[2])", "largest value", "2.00 ms", "The modes agree."):
            assert text in stream.getvalue()


def test_durations() -> None:
    shown = [duration(s) for s in (0, 1.234e-7, 9.99e-6, 0.0009994, 0.9999, 12.3, 123)]
    assert shown == ["0.00 µs", "0.12 µs", "9.99 µs", "999 µs", "1.00 s", "12.3 s", "123 s"]


# --- the command --------------------------------------------------------------------------------

MODEL = """
import numpy as np
from jitgrad import Tensor, ops

def loss(x):
    return (x * x).sum()

class Changing:
    count = 0

def changing(x):
    Changing.count += 1
    return x + Tensor(float(Changing.count))

def example_inputs():
    return np.ones(3, np.float32)
"""


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "compared_model.py"
    path.write_text(MODEL)
    assert tool.main([f"{path}:loss", "--repeat", "1"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("loss(f32[3])\n")
    assert "gradient of x" in text
    assert tool.main([f"{path}:loss", "--repeat", "1", "--no-grad"]) == 0
    assert "gradient" not in capsys.readouterr().out
    assert tool.main([f"{path}:changing", "--repeat", "1", "--no-grad"]) == 1
    assert "THE MODES DIFFER in output." in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        tool.main([f"{path}:loss", "--repeat", "0"])
    assert end.value.code == 2


def test_on_both_devices(arrays) -> None:
    weight = ms.Parameter(ms.Tensor(arrays[1]), name="weight")
    count = ms.Parameter(ms.Tensor(0.0), name="count")

    def step(x):
        ops.assign(count, count + 1.0)
        return loss(x, weight)

    with ms.config.override(cuda="emulate"):
        report = quick(step, arrays[0], devices=("CPU", "GPU"))
    assert report.agrees, report
    names = [pair.name for pair in report.pairs]
    assert {"output on the GPU", "gradient of weight on the GPU", "count after on the GPU"} <= {
        *names
    }
    assert (weight.device, count.device, count.item()) == ("CPU", "CPU", 0.0)
