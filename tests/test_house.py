"""The rules of the house: sizes of files and functions, no leftovers, documents that hold."""

from __future__ import annotations

import ast
import doctest
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "jitgrad").rglob("*.py"))
DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "jitgrad/**/*.md",
        "examples/**/*.md",
        "benchmarks/*.md",
    )
    for path in ROOT.glob(pattern)
)

FILE_LINES = 450
FUNCTION_LINES = 60

# ---------------------------------------------------------------------------------------- sources
# Each rule takes a file and yields (line, complaint).

Complaints = Iterator[tuple[int, str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def long_file(path: Path) -> Complaints:
    """A file that fits no reader's head is two files."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > FILE_LINES:
        yield lines, f"{lines} lines, more than {FILE_LINES}"


def long_function(path: Path) -> Complaints:
    """Lines of code from `def` to the end; the docstring is free, or nobody would write one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            lines = node.end_lineno - node.lineno + 1 - docstring_lines(node)
            if lines > FUNCTION_LINES:
                yield node.lineno, f"{node.name}() has {lines} lines, more than {FUNCTION_LINES}"


def docstring_lines(function: Function) -> int:
    if ast.get_docstring(function) is None:
        return 0
    text = function.body[0]
    return text.end_lineno - text.lineno + 1


def leftover(path: Path) -> Complaints:
    """What is left to do is an issue, not a comment."""
    with tokenize.open(path) as file:
        for number, line in enumerate(file, 1):
            if found := re.search(r"\b(TODO|FIXME|XXX)\b", line):
                yield number, f"{found[0]} left in the code"


@pytest.mark.parametrize("rule", [long_file, long_function, leftover])
def test_sources(rule: Callable[[Path], Complaints]) -> None:
    assert SOURCES, "no sources found"
    offenders = [
        f"{path.relative_to(ROOT)}:{line}: {complaint}"
        for path in SOURCES
        for line, complaint in rule(path)
    ]
    assert not offenders, "\n" + "\n".join(offenders)


@pytest.mark.parametrize(
    ("rule", "source", "complaints"),
    [
        (long_file, "x = 1\n" * 450, 0),
        (long_file, "x = 1\n" * 451, 1),
        (long_function, "def f():\n" + "    x = 1\n" * 59, 0),
        (long_function, "def f():\n" + "    x = 1\n" * 60, 1),
        (long_function, 'def f():\n    """Long.\n' + "\n" * 80 + '    """\n    x = 1\n', 0),
        (long_function, "class A:\n    async def f(self):\n" + "        x = 1\n" * 60, 1),
        (leftover, "x = 1  # " + "TODO: later\n", 1),
        (leftover, "todos = 1  # to do\n", 0),
    ],
)
def test_rules_find_offenders(
    rule: Callable[[Path], Complaints], source: str, complaints: int, tmp_path: Path
) -> None:
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert len(list(rule(path))) == complaints


# -------------------------------------------------------------------------------------- documents


def test_markdown_links() -> None:
    """Links inside the project lead somewhere."""
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in DOCUMENTS
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text("utf-8")))
        if not re.match(r"[a-z]+:|#", target)
        and not (path.parent / target.partition("#")[0]).exists()
    ]
    assert not broken, "\n" + "\n".join(broken)


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def examples() -> Iterator[doctest.DocTest]:
    """Each Markdown file with ``>>>`` in its code blocks, as one doctest with one namespace."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        # Lines outside of code become empty, so that line numbers in a failure are the file's.
        kept, inside = [], False
        for line in text.splitlines():
            fence = line.lstrip().startswith("```")
            inside ^= fence
            kept.append(line if inside and not fence else "")
        test = doctest.DocTestParser().get_doctest("\n".join(kept) + "\n", {}, name, str(path), 0)
        if test.examples:
            yield test


def test_markdown_examples() -> None:
    report: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for example in examples():
        doctest.DocTestRunner(optionflags=flags).run(example, out=report.append)
    assert not report, "\n" + "".join(report)
