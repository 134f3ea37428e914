"""The lists of MindSpore's names."""

from __future__ import annotations

import pytest

from jitgrad import mint, nn, ops, train
from jitgrad.ops.absent import ABSENT
from jitgrad.tools import names


def test_lists_have_no_name_twice() -> None:
    for face in names.faces():
        assert len(set(face.names)) == len(face.names), face.title


def test_all_are_here_but_for_a_reason() -> None:
    """A name that vanishes is a program that stops working."""
    missing = {name for face in names.faces() for name in face.missing()}
    assert missing <= ABSENT.keys()


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert names.main(["softmax"]) == 0
    assert "softmax: ops, functions; Tensor; mint;" in capsys.readouterr().out
    assert names.main(["softmx"]) == 1
    assert capsys.readouterr().out == "softmx is not here\n"
    assert names.main([]) == 0
    assert "scipy.linalg: 9 of 9\nHere: block_diag" in capsys.readouterr().out


def test_a_missing_name_names_the_nearest() -> None:
    for module, wrong, near in ((nn, "MaxPol2d", "MaxPool2d"), (train, "LossMonitr", "LossMonitor"),
                                (mint.nn, "Linea", "Linear")):  # fmt: skip
        with pytest.raises(AttributeError, match=f"{wrong}'; did you mean .*{near}"):
            getattr(module, wrong)


def test_why_a_name_is_not_here() -> None:
    with pytest.raises(AttributeError, match="'MatrixLogarithm': linear algebra here"):
        ops.MatrixLogarithm  # noqa: B018
    with pytest.raises(AttributeError, match="'GraphCell': it loads MindIR"):
        nn.GraphCell  # noqa: B018
