"""The documents show real code and real output: blocks that are made anew and compared.

A block stands between two comments, the first of which says how it is made:

    <!-- source: jitgrad/primitives/elementwise.py tanh -->
    <!-- output: jitgrad lower examples/softplus.py:loss --show trace -->
    <!-- end -->

`source` is the text of functions or classes of a file, `output` what a command prints, or, if the
command is asked for Markdown, the Markdown itself. ``make golden`` writes the blocks.
"""

from __future__ import annotations

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main as benchmarks
from jitgrad import locate
from jitgrad.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?P<head>^<!-- (?P<kind>source|output): (?P<what>[^\n]*?) -->\n)(?P<body>.*?)^<!-- end -->",
    re.MULTILINE | re.DOTALL,
)


def source(what: str) -> str:
    """Functions or classes of a file, as they stand there."""
    path, *names = shlex.split(what)
    text = (ROOT / path).read_text(encoding="utf-8")
    lines, found = text.splitlines(), {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    missing = [name for name in names if name not in found]
    assert not missing, f"{path} has no {missing}"
    return "```python\n" + "\n\n\n".join([found[name] for name in names]) + "\n```\n"


def output(what: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints."""
    command, *arguments = shlex.split(what)
    run = main
    if arguments[:2] == ["-m", "benchmarks"]:
        run, arguments = benchmarks, arguments[2:]
    else:
        assert command == "jitgrad", f"only jitgrad's own commands can be shown, not {command}"
    capsys.readouterr()
    assert run(arguments) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out.rstrip()
    if {"--markdown", "--table"} & {*arguments}:
        return printed + "\n"
    return f"```\n$ {what}\n{printed}\n```\n"


def from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run commands as a shell would: in the root, and without pytest's lines among the user's."""
    ours = (locate.PACKAGE, str(ROOT / "tests"), sys.prefix, sys.base_prefix, "<")
    monkeypatch.setattr(locate, "is_ours", lambda path: path.startswith(ours))
    monkeypatch.chdir(ROOT)


def renewed(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """A document with its blocks made anew."""

    def block(found: re.Match[str]) -> str:
        made = source(found["what"]) if found["kind"] == "source" else output(found["what"], capsys)
        return f"{found['head']}{made}<!-- end -->"

    return BLOCK.sub(block, text)


@pytest.mark.usefixtures("golden")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_are_current(
    path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from_the_root(monkeypatch)
    text = path.read_text(encoding="utf-8")
    wanted = renewed(text, capsys)
    if request.config.getoption("--update-golden"):
        path.write_text(wanted, encoding="utf-8", newline="\n")
    elif text != wanted:
        old, new = text.splitlines(), wanted.splitlines()
        line = next(
            (i for i, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new))
        )
        pytest.fail(f"{path.name}:{line + 1} is stale; make golden, and read the diff", False)


def test_every_block_is_closed() -> None:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        opened = len(re.findall(r"^<!-- (?:source|output):", text, re.MULTILINE))
        assert opened == len(BLOCK.findall(text)), path


def test_commands_shown_exist() -> None:
    """Every ``make target`` and ``python -m jitgrad command`` in a document is real."""
    from jitgrad.__main__ import COMMANDS

    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets, path
        assert set(re.findall(r"python -m jitgrad ([a-z]+)", text)) <= set(COMMANDS), path


def test_paths_shown_exist() -> None:
    """Files that a document names in code are there, and no document knows this machine."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"`((?:jitgrad|tests|docs|examples|benchmarks)/[\w./]*[\w/])`", text)
        assert [name for name in named if not (ROOT / name).exists()] == [], path
        assert str(ROOT) not in text, path


def test_a_stale_block_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from_the_root(monkeypatch)
    what = "jitgrad/primitives/elementwise.py add"
    stale = f"<!-- source: {what} -->\n```python\nold\n```\n<!-- end -->\n"
    fresh = renewed(stale, capsys)
    assert "old" not in fresh
    assert '"x + y"' in fresh
    assert renewed(fresh, capsys) == fresh
