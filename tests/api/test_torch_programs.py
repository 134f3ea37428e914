"""The same programs with PyTorch and with jitgrad in its place: same numbers, same errors."""

from __future__ import annotations

import builtins
import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest

import jitgrad
from tests.api.torch_programs import kind, programs, run

ANSWERS = json.loads((Path(__file__).parent / "torch_programs" / "answers.json").read_text())
PROGRAMS = dict(programs())


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):  # eight digits were recorded
        return a == b or math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) or (a != a and b != b)
    return a == b


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_pytorch(name: str) -> None:
    answer = ANSWERS[name]
    shown, error = run(PROGRAMS[name], jitgrad)
    if error is not None and answer["error"] is None:
        raise error
    assert same(shown, answer["shown"]), (shown, answer["shown"])
    if answer["error"] is not None:
        assert isinstance(error, getattr(builtins, answer["error"])), repr(error)
        assert str(error)


def test_answers_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    assert ANSWERS.keys() == PROGRAMS.keys()
    for name, program in PROGRAMS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shown, error = run(program, torch)
        assert same(shown, ANSWERS[name]["shown"]), name
        assert kind(error) == ANSWERS[name]["error"], name
