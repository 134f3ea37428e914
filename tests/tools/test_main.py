"""The command line: what it offers, what it refuses, and with which exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jitgrad.__main__ as cli
from jitgrad.errors import ArgumentError
from jitgrad.tools import cache

ROOT = Path(cli.__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jitgrad", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name}" in text
        assert command.summary in text


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


def test_wrong_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        cli.main(["nonsense"])
    assert end.value.code == 2
    assert "invalid choice: 'nonsense'" in capsys.readouterr().err


def test_as_a_program() -> None:
    """Help and version come without what only compiling needs."""
    loaded = (
        "import sys, jitgrad.__main__ as cli\n"
        "try: cli.main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(*sorted({'numba', 'llvmlite', 'jinja2', 'rich', 'matplotlib'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", loaded]
    lean = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    version, modules = lean.stdout.splitlines()
    assert version.startswith("jitgrad ")
    assert modules == ""
    wrong = run("lower", "no_such_file.py:f")
    assert wrong.returncode == 1
    assert wrong.stderr == "jitgrad lower: no_such_file.py: there is no such file\n"


def failing(error: BaseException) -> object:
    def main(argv: object) -> int:
        raise error

    return main


def test_errors_of_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, status, text in (
        (ArgumentError("this is wrong"), 1, "jitgrad cache: this is wrong\n"),
        (FileNotFoundError(2, "No such file", "x"), 1, "jitgrad cache: [Errno 2] No such"),
        (
            ModuleNotFoundError("No module named 'jinja2'", name="jinja2"),
            2,
            "jitgrad cache needs jinja2, which is not installed.\n"
            "  instead: pip install 'jitgrad[report]'\n",
        ),
        (KeyboardInterrupt(), 130, "jitgrad cache: interrupted\n"),
    ):
        monkeypatch.setattr(cache, "main", failing(error))
        assert cli.main(["cache", "info"]) == status
        assert capsys.readouterr().err.startswith(text)


def test_a_reader_that_leaves_early() -> None:
    """As in ``jitgrad ops | head -1``: no traceback, no error."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "jitgrad", "ops"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
