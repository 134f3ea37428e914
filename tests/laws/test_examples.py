"""The examples run as they are, and find what they look for."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import jitgrad as ms

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTS = {
    "digits": r"accuracy 9[4-9]\.\d%",
    "each_example": r"accuracy 9\d\.\d%, longest gradient [2-9]\.\d\d before clipping",
    "kepler": r"E\(1\.5708\) = 2\.0913, all solved: True",
    "linear_regression": r"w = \[ 1\.99 -3\.01  0\.51\], b = 1\.00, loss 0\.0100",
    "oscillator": r"stiffness 4\.000, friction 0\.300",
    "pytorch_face": r"apart by 2\.\d\d, penalty 0\.0\d\d",
    "rnn": r"loss 0\.0\d\d\d, accuracy 100\.0%",
    "sampler": r"intercept 1\.0\d, slope (1\.9|2\.0)\d, [89]\d% accepted",
    "rosenbrock": r"Newton: \[1\. 1\. 1\.\] after \d+ steps\nmatrix-free: \[1\. 1\. 1\.\] after .*",
}


@pytest.mark.parametrize("name", PRINTS)
def test_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = ms.get_context("mode")
    try:
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    finally:
        ms.set_context(mode=before)
    printed = capsys.readouterr().out.strip()
    assert re.fullmatch(PRINTS[name], printed), printed


def test_no_example_is_forgotten() -> None:
    """Those without a main program are shown in the documents, and tested there."""
    programs = [p for p in EXAMPLES.glob("*.py") if "__main__" in p.read_text("utf-8")]
    assert {p.stem for p in programs} == PRINTS.keys()
