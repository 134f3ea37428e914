"""The demo: options, measures, the report's parts; and a short run of it all."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad.data import digits
from jitgrad.tools import demo, memory, report


def test_options() -> None:
    assert demo.arguments([]).epochs == 20
    assert demo.arguments(["--quick"]).epochs == 2
    assert demo.arguments(["--quick", "--epochs", "3"]).epochs == 3
    for wrong in (["--epochs", "0"], ["--seed", "-1"], ["--nonsense"]):
        with pytest.raises(SystemExit):
            demo.arguments(wrong)


def test_batches_are_the_same_for_a_seed() -> None:
    (images, labels), _ = digits()
    plan = demo.Plan("MLP", demo.MLP, epochs=2, batch=500)
    first, second = (list(demo.batches(images, labels, plan)) for _ in range(2))
    assert len(first) == 2 * (len(labels) // 500)
    for (x, y), (again, _) in zip(first, second, strict=True):
        assert x.shape == (500, 1, 8, 8)
        assert y.dtype is ms.int32
        np.testing.assert_array_equal(x.asnumpy(), again.asnumpy())
    assert not np.array_equal(first[0][0].asnumpy(), first[-1][0].asnumpy())


def test_measures() -> None:
    plan = demo.Plan("MLP", demo.MLP, epochs=2)
    eager = demo.Run(plan, "eager", [4.0, 2.0, 1.0, 0.5], [9.0, 1.0, 2.0, 3.0])
    compiled = demo.Run(plan, "compiled", [4.0, 2.0, 1.0, 0.75], [5.0, 1.0])
    assert eager.final_loss == 0.75
    assert eager.step == 2.0
    assert compiled.compile == 4.0
    nudged = demo.Run(plan, demo.NUDGED, [4.0, 2.5, 1.0, 0.25])
    both = demo.Comparison(eager, compiled, nudged)
    assert both.speedup == 2.0
    assert both.loss_difference(eager) == 0.25
    assert both.loss_difference(eager, 1) == 0.0
    assert "0.0e+00 in the first epoch and 2.5e-01 in all 4 steps" in both.differences
    assert (
        "the last bits of the first layer's weights alone make 5.0e-01 and 5.0e-01"
        in both.differences
    )


def test_nudge() -> None:
    weight = ms.Parameter(ms.Tensor([1.0, 1.0]))
    demo.nudge(weight)
    assert (weight.asnumpy() - 1).tolist() == [2.0**-23, 2.0**-23]


@pytest.mark.parametrize("network", [demo.MLP, demo.LeNet])
def test_networks(network: type) -> None:
    assert network()(ms.Tensor(np.zeros((3, 1, 8, 8), np.float32))).shape == (3, 10)


def test_memory() -> None:
    memory.reset_peak()
    before = memory.peak()
    block = np.ones(8 << 20)  # 64 MB
    assert block.sum() == 8 << 20
    assert memory.peak() >= before + (32 << 20) or before > (64 << 20)


def test_curves_leave_out_what_is_not_finite() -> None:
    plan = demo.Plan("MLP", demo.MLP, epochs=1)
    runs = [demo.Run(plan, mode, [2.0, float("nan"), 0.5]) for mode in demo.MODES]
    svg = report.curves(runs)
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert len(re.findall("<polyline", svg)) == 2
    assert "nan" not in svg


@pytest.mark.slow
def test_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "report.html"
    assert demo.main(["--quick", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    for part in ("MLP", "LeNet", "eager", "compiled", "speed-up", "differ by at"):
        assert part in text
    assert ms.get_context("mode") == ms.PYNATIVE_MODE
    page = out.read_text(encoding="utf-8")
    assert page.count('<svg class="curves"') == 2
    assert "conv2d" in page
    assert "return" in page
    for elsewhere in ("<script src", "<link", "http://", "https://"):
        assert elsewhere not in page
