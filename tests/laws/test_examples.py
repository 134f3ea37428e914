"""The examples run as they are, and find what they look for."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import jitgrad as ms

EXAMPLES = Path(__file__).parents[2] / "examples"
SPEED = r"\neager [\d.]+ [µm]?s, compiled [\d.]+ [µm]?s: [\d.e+]+ times as fast"
PRINTS = {
    "char_lstm": r"loss [01]\.\d\d nats a character\nShall I [\s\S]{31}" + SPEED,
    "char_transformer": r"loss [01]\.\d\d nats a character" + SPEED,
    "digits": r"accuracy 9[4-9]\.\d%",
    "each_example": r"accuracy 9\d\.\d%, longest gradient [2-9]\.\d\d before clipping",
    "gan": r"radius (0\.9|1\.0)\d \+- 0\.[01]\d, in quarters \[(0\.[123]\d* *){4}\]" + SPEED,
    "gaussian_process": (
        r"misfit 10\.1 -> -81\.7: scale 1\.00, noise 0\.103\nerror of the mean 0\.034" + SPEED
    ),
    "lenet": r"accuracy 9[3-9]\.\d%" + SPEED,
    "kepler": r"E\(1\.5708\) = 2\.0913, all solved: True",
    "linear_regression": r"w = \[ 1\.99 -3\.01  0\.51\], b = 1\.00, loss 0\.0100",
    "logistic_regression": (
        r"w = \[ 1\.52 -1\.93  0\.5   0\.04\] after \d steps, accuracy 82\.0%" + SPEED
    ),
    "neural_ode": r"mean square error 1\.7\d -> 0\.00\d\d" + SPEED,
    "oscillator": r"stiffness 4\.000, friction 0\.300",
    "pytorch_face": r"apart by 2\.\d\d, penalty 0\.0\d\d",
    "resnet": r"accuracy 9[3-9]\.\d%" + SPEED,
    "rnn": r"loss 0\.0\d\d\d, accuracy 100\.0%",
    "sampler": r"intercept 1\.0\d, slope (1\.9|2\.0)\d, [89]\d% accepted",
    "rosenbrock": r"Newton: \[1\. 1\. 1\.\] after \d+ steps\nmatrix-free: \[1\. 1\. 1\.\] after .*",
    "vae": r"bound 4\d\.\d -> 2[2-9]\.\d nats an image" + SPEED,
    "variational": r"mean off by 0\.0[0-3]\d, deviations by 1?\d\.\d%" + SPEED,
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
