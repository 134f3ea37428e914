"""Instruction counts of the benchmarks' kernels, against those that are stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import counting

ROOT = Path(__file__).resolve().parents[2]
RENEW = "if it is meant: pytest --update-golden tests/benchmarks, and say why in the commit"


@pytest.fixture(scope="module")
def now() -> dict[str, dict[str, int]]:
    """The counts of this tree: in another process, since they need another target CPU."""
    if reason := counting.missing():
        pytest.skip(reason)
    settings = {k: v for k, v in os.environ.items() if not k.startswith("JITGRAD_")}
    command = [sys.executable, "-m", "benchmarks.harness.counting", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.usefixtures("golden")
def test_counts_did_not_grow(now: dict[str, dict[str, int]], request: pytest.FixtureRequest):
    if request.config.getoption("--update-golden"):
        counting.store(now)
        return
    stored = json.loads(counting.STORED.read_text(encoding="utf-8"))["llvm"]
    if stored != counting.llvm_version():
        pytest.skip(f"the counts were made by LLVM {stored}, this is {counting.llvm_version()}")
    grown = list(counting.grown(now))
    assert not grown, "\n".join([*grown, RENEW])


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("  %3 = fadd <8 x float> %1, %2", 1),
        ("  %3 = fadd <16 x float> %1, %2", 2),
        ("  %3 = tail call <8 x double> @llvm.fma.v8f64(<8 x double> %1, <8 x double> %2)", 2),
        ("  %3 = fptrunc <8 x double> %1 to <8 x float>", 2),
        ("  store i64 %1, ptr %2, align 8", 1),
        ("  %p = getelementptr i8, ptr %q, i64 %i", 0),
        ("  %p = phi <8 x float> [ %1, %2 ], [ %3, %4 ]", 0),
        ("  tail call void @llvm.assume(i1 %1)", 0),
    ],
)
def test_weights(line: str, count: int) -> None:
    assert counting.weight(line) == count


def test_counters_stand_before_the_end_of_each_block() -> None:
    text = """define void @f(i1 %c) {
entry:
  %a = add i64 1, 2
  br i1 %c, label %one, label %two

one:                                              ; preds = %entry
  br label %two

two:
  %b = phi i64 [ %a, %entry ], [ 0, %one ]
  ret void
}
"""
    lines = counting.counted(text, 4096).splitlines()
    added = [line for line in lines if "%.total." in line and " add " in line]
    assert [line.rpartition(" ")[2] for line in added] == ["2", "1", "1"]
    assert [lines[i + 1].split()[0] for i, line in enumerate(lines) if "store i64" in line] == [
        "br",
        "br",
        "ret",
    ]


def test_growth_is_found(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    counting.store({"a": {"instructions": 1000}}, path)
    assert list(counting.grown({"a": {"instructions": 1100}}, path)) == []
    assert list(counting.grown({"a": {"instructions": 1101}}, path)) == [
        "a: 1,101 instructions, were 1,000: 1.10 times"
    ]
    assert list(counting.grown({"b": {"kernels": 1}}, path)) == ["b: no stored count of kernels"]
