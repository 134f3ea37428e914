"""What the records in docs/decisions/ claim, where it can be checked; and their form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jitgrad.codegen import native, target
from jitgrad.codegen.compile import function, names

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "decisions"
RECORDS = sorted(p for p in FOLDER.glob("[0-9]*.md") if not p.name.startswith("0000"))

SUM = """def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    s0 = f32(0.0)
    for i0 in range(lo, hi):
        v0 = a0[i0]
        s0 = {step}
    r0[0] = s0
"""
CALLER = """
define void @caller(ptr %p, ptr %d, i64 %lo, i64 %hi) {{
  %ret = alloca ptr
  %exc = alloca ptr
  %s = call i32 @"{inner}"(ptr %ret, ptr %exc, ptr %p, ptr %d, i64 %lo, i64 %hi)
  ret void
}}
"""


@pytest.mark.parametrize(
    ("step", "vectorizes"),
    [
        ("s0 + v0", False),
        ("add_reassoc_f32(s0, v0)", True),
        ("maximum_f32(s0, v0)", True),
    ],
)
def test_0003_sums_vectorize_only_if_they_may_be_reordered(step: str, vectorizes: bool) -> None:
    kernel = function(SUM.format(step=step), names())
    text, inner = target.lower_to_llvm(kernel, ("P", "P", "i", "i"), "v")
    module = str(native.optimized(text + CALLER.format(inner=inner), inner))
    assert bool(re.search(r"<\d+ x float>", module)) == vectorizes


def test_records_are_listed_and_complete() -> None:
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    numbers = [int(path.name[:4]) for path in RECORDS]
    assert numbers == sorted(set(numbers))
    for number, path in zip(numbers, RECORDS, strict=True):
        text = path.read_text(encoding="utf-8")
        title = re.match(rf"# {number:04d}: (.+)\n", text)
        assert title is not None
        assert f"- [{number:04d}]({path.name}): {title[1]}\n" in listed
        sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert sections == ["Question", "Decision", "Why", "What it costs"]
        assert re.search(r"^Status: (accepted|proposed|replaced by \d{4})\. Date: ", text, re.M)
