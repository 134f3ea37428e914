"""Listings of kernels, and ``jitgrad lower``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jitgrad.ir.text import parse
from jitgrad.runtime.lowered import Lowered
from jitgrad.tools import inspect

GRAPH = """graph @f(%x: f32[6,7], %w: f32[7]) -> (f32[6,7], f32[]) {
  %0 = broadcast(%w) {dims=(1,), shape=(6, 7)} : f32[6,7]
  %1 = mul(%x, %0) : f32[6,7]                 // model.py:3
  %2 = tanh(%1) : f32[6,7]                    // model.py:4
  %3 = reduce_sum(%2) {axes=(0, 1)} : f32[]   // model.py:5
  return %2, %3
}
"""
MODEL = """
import numpy as np
from jitgrad import ops

def loss(x, w):
    return ops.tanh(x * w).sum()

def count(n):
    return n + 1

def example_inputs():
    return {"loss": (np.ones(5, np.float32), np.ones(5, np.float32)), "count": np.arange(3)}
"""


@pytest.fixture
def ir(tmp_path: Path) -> str:
    path = tmp_path / "f.ir"
    path.write_text(GRAPH)
    return str(path)


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "kernel_listing_model.py"
    path.write_text(MODEL)
    return str(path)


def test_listings_join_launches_of_one_kernel() -> None:
    text = """graph @f(%x: f32[6,7], %y: f32[7,5], %z: f32[5,6]) -> (f32[6,5], f32[6,7]) {
      %0 = exp(%x) : f32[6,7]
      %1 = exp(%y) : f32[7,5]
      %2 = matmul(%0, %1) : f32[6,5]
      %3 = exp(%2) : f32[6,5]
      return %3, %0
    }"""
    lowered = Lowered(parse(text), {})
    seconds = lowered.profile([np.zeros(s, np.float32) for s in ((6, 7), (7, 5), (5, 6))], 1)
    found = inspect.listings(lowered, seconds)
    assert [k.ops for k in found] == [("exp",), ("matmul",)]
    exp, product = found
    assert (exp.launches, exp.elements) == (3, 42 + 35 + 30)
    assert exp.nbytes == 2 * 4 * (42 + 35 + 30)
    assert "exp_f32" in exp.cuda
    assert "tile_a = cuda.shared.array" in product.cuda
    assert exp.header.splitlines()[:2] == ["# kernel_0: exp", "# f32[6,7] -> f32[6,7]"]
    assert exp.header.splitlines()[2].startswith("# 3 launches, 107 elements, 856 B, ")
    assert exp.seconds == pytest.approx(sum(seconds) - product.seconds)
    assert "µs" not in inspect.listings(lowered)[0].header


def test_lower_shows_what_is_asked(ir: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main([ir]) == 0
    text = capsys.readouterr().out
    assert text.startswith("// trace\ngraph @f(")
    assert "// fuse\n" in text
    assert "plan @f:" in text
    assert "def kernel(ptrs, dims, lo, hi):" in text
    assert "cuda.grid" not in text
    assert "# from model.py:" in text

    def shown(*arguments: str) -> str:
        assert inspect.main([ir, *arguments]) == 0
        return capsys.readouterr().out.rstrip()

    assert shown("--show", "trace") == "// trace\n" + GRAPH.rstrip()
    assert shown("--show", "optimized").startswith("// optimized\ngraph @f(")
    assert "fused(%x, %w) {" in shown("--show", "fused")
    assert "range(cuda.blockIdx.x, count, cuda.gridDim.x):" in shown("--show", "cuda")
    both = shown("--show", "both").splitlines()
    assert both[4].split() == ["CPU", "CUDA"]
    assert "def kernel(ptrs, dims, lo, hi):" in both[5]
    assert "def kernel(a0, " in both[5]
    parts = shown("--show", "plan,trace")
    assert parts.index("plan @f") < parts.index("// trace")
    assert "graph @f_grad(" in shown("--grad", "--show", "trace")


def test_lower_a_function(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert inspect.main([f"{model}:loss", "--show", "trace"]) == 0
    text = capsys.readouterr().out
    assert "graph @loss(%x: f32[5], %w: f32[5]) -> (f32[]) {" in text
    assert "// kernel_listing_model.py:6\n" in text
    monkeypatch.chdir(Path(model).parent)
    assert inspect.main([f"{model}:loss", "--grad", "--show", "optimized"]) == 0
    text = capsys.readouterr().out
    assert "-> (f32[], f32[5], f32[5]) {" in text
    assert str(Path.cwd()) not in text


def test_lower_writes_a_page(ir: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert inspect.main([ir, "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_lower_refuses(
    ir: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from jitgrad.__main__ import main

    with pytest.raises(SystemExit) as end:
        main(["lower", ir, "--show", "plan,nothing"])
    assert end.value.code == 2
    assert "nothing named 'nothing' to show; have trace, passes" in capsys.readouterr().err
    for arguments, text in (
        ([str(tmp_path / "none.ir")], "No such file"),
        ([f"{model}:los"], f"instead: {model}:loss"),
        ([f"{model}:count", "--grad"], "count has no gradient"),
    ):
        assert main(["lower", *arguments]) == 1
        assert text in capsys.readouterr().err
    broken = tmp_path / "broken.ir"
    broken.write_text(GRAPH.replace("mul(", "mull("))
    assert main(["lower", str(broken)]) == 1
    assert "there is no op named 'mull'" in capsys.readouterr().err
    whole = tmp_path / "whole.ir"
    whole.write_text("graph @f(%x: i32[]) -> (i32[]) {\n  return %x\n}\n")
    assert main(["lower", str(whole), "--grad"]) == 1
    assert "no input is a float" in capsys.readouterr().err
