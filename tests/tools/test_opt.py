from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from jitgrad.passes.pipeline import PASSES
from jitgrad.tools.opt import main

TEXT = """\
graph @f(%x: f32[3]) -> (f32[3]) {
  %0 = constant(1.0) : f32[3]
  %1 = mul(%0, %x) : f32[3]                   // model.py:3
  %2 = exp(%1) : f32[3]
  return %2
}
"""
BEST = "graph @f(%x: f32[3]) -> (f32[3]) {\n  %0 = exp(%x) : f32[3]\n  return %0\n}\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "f.ir"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


def test_without_passes_it_prints(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([file]) == 0
    assert capsys.readouterr().out == TEXT


@pytest.mark.parametrize("passes", ["simplify", "cse,fold,simplify,", "all"])
def test_passes(passes: str, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([file, "-p", passes, "--verify"]) == 0
    assert capsys.readouterr().out == BEST


def test_one_pass_of_several(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([file, "-p", "cse"]) == 0
    assert "%1 = mul(%x, %0)" in capsys.readouterr().out


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(TEXT))
    assert main(["-p", "simplify"]) == 0
    assert capsys.readouterr().out == BEST


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(PASSES)
    assert all(len(line.split()) > 3 for line in lines)


def test_dot(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([file, "--dot", "-p", "simplify"]) == 0
    assert capsys.readouterr().out.startswith('digraph "f" {\n')


def test_unknown_passes(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main([file, "-p", "cse,simplfy"])
    assert exit.value.code == 2
    assert "no pass named simplfy; have cse, fold, simplify," in capsys.readouterr().err


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.ir")]) == 1
    assert capsys.readouterr().err.endswith("none.ir: No such file or directory\n")
    (tmp_path / "bad.ir").write_bytes(b"\xff")
    assert main([str(tmp_path / "bad.ir")]) == 1
    assert "bad.ir: 'utf-8' codec can't decode" in capsys.readouterr().err
    (tmp_path / "wrong.ir").write_text(TEXT.replace("%0, %x", "%0"), encoding="utf-8")
    assert main([str(tmp_path / "wrong.ir")]) == 1
    error = capsys.readouterr().err
    assert "wrong.ir: line 3: " in error
    assert error.endswith("       ^\n")


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    """As in `| head -1`."""
    path = tmp_path / "long.ir"
    lines = "".join(f"  %{i + 2} = exp(%{i + 1}) : f32[3]\n" for i in range(1, 9000))
    path.write_text(TEXT.replace("  return %2", lines + "  return %9000"), encoding="utf-8")
    command = [sys.executable, "-m", "jitgrad.tools.opt", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"graph @f")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0
