"""The tables of ops and settings."""

from __future__ import annotations

import pytest

from jitgrad import config
from jitgrad.ir.op import OPS
from jitgrad.tools import tables


def test_every_op_has_a_row() -> None:
    rows = {row.name: row for row in tables.rows()}
    assert list(rows) == list(OPS)
    assert all(row.doc for row in rows.values())
    assert rows["tanh"].cells == (
        "tanh", "elementwise", "tanh(x)", "float complex", "reverse forward batch",
        "Hyperbolic tangent.",
    )  # fmt: skip
    assert rows["floor"].derivatives == "batch"
    assert rows["reduce_any"].dtypes == "bool"
    assert rows["matmul"].derivatives == "reverse forward batch"
    assert rows["fused"].derivatives == ""


def test_ops_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert tables.ops(["tanh", "add"]) == 0
    head, line, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["op", "kind"]
    assert set(line) == {"-", " "}
    assert [row.split()[0] for row in rows] == ["add", "tanh"]
    assert tables.ops(["--kind", "reduce"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert {row.split()[1] for row in rows} == {"reduce"}
    assert tables.ops(["--markdown", "bit_or"]) == 0
    assert "| `bit_or` | elementwise | `x \\| y` |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["tanhh"], "there is no op named 'tanhh'; did you mean tanh"),
        (["--kind", "mystery"], "no ops are of kind 'mystery'; have leaf"),
    ],
)
def test_ops_command_refuses(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        tables.ops(arguments)
    assert end.value.code == 2
    assert text in capsys.readouterr().err


def test_settings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JITGRAD_VERIFY", raising=False)
    with config.override(verify=True):
        assert tables.settings([]) == 0
    text = capsys.readouterr().out
    for setting in config.SETTINGS.values():
        assert setting.variable in text
        assert setting.meaning in text
    row = next(line for line in text.splitlines() if line.startswith("JITGRAD_VERIFY"))
    assert row.split()[1:3] == ["1", "0"]
    assert tables.settings(["--markdown"]) == 0
    assert "| `JITGRAD_VERIFY` | 0 |" in capsys.readouterr().out


def test_columns_are_aligned() -> None:
    text = tables.columns(("name", "n"), [("long name", "1"), ("x", "100")], right=(1,))
    assert text.splitlines() == [
        "name         n",
        "---------  ---",
        "long name    1",
        "x          100",
    ]
