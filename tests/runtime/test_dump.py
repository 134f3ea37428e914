"""What can be watched: JITGRAD_DUMP's files, and what JITGRAD_DEBUG prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jitgrad import config
from jitgrad.codegen.compile import function, plain_names
from jitgrad.ir.node import Graph
from jitgrad.ir.parse import parse
from jitgrad.primitives.elementwise import maximum
from jitgrad.runtime import loader
from jitgrad.runtime.executable import Executable
from tests.programs import graph_of, softmax, square_loss

ROOT = Path(__file__).resolve().parents[2]
TYPES = "f32[32,20] f32[20,24] f32[24] f32[32,24]"


@pytest.fixture
def graph() -> Graph:
    """A program of two products and two regions."""
    return graph_of(square_loss, TYPES, (1, 2))


@pytest.fixture
def files(tmp_path: Path, graph: Graph) -> dict[str, str]:
    """The files of a dump, by name, in order."""
    folder = tmp_path / "dump"
    with config.override(dump=str(folder), jit=False):
        Executable(graph, {})
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def test_every_stage_is_a_numbered_file(files: dict[str, str]) -> None:
    names = list(files)
    assert names[0] == "00_trace.ir"
    assert [int(name[:2]) for name in names] == list(range(len(names)))
    stages = [name[3:] for name in names]
    assert [s for s in stages if not s.endswith(".ir")] == [
        "plan.txt",
        "kernel_0.cpu.py",
        "kernel_0.cuda.py",
        "kernel_1.cpu.py",
        "kernel_1.cuda.py",
        "kernel_2.cpu.py",
        "kernel_2.cuda.py",
        "kernel_3.cpu.py",
        "kernel_3.cuda.py",
    ]
    assert stages.index("simplify.ir") < stages.index("fuse.ir") < stages.index("plan.txt")


def test_graphs_parse(files: dict[str, str], graph: Graph) -> None:
    graphs = {name: parse(text) for name, text in files.items() if name.endswith(".ir")}
    assert str(graphs["00_trace.ir"]) == str(graph)
    (fused,) = (g for name, g in graphs.items() if "fuse" in name)
    assert sum(n.op.name == "fused" for n in fused.nodes) == 2


def test_the_plan_is_a_table(files: dict[str, str]) -> None:
    (text,) = (text for name, text in files.items() if name.endswith("plan.txt"))
    head, *steps = text.splitlines()
    assert re.fullmatch(r"plan @program_grad: 4 steps, arena \d+ bytes", head)
    assert [step.split()[1] for step in steps] == ["matmul", "fused", "fused", "matmul"]


def test_kernels_are_python(files: dict[str, str]) -> None:
    for name, text in files.items():
        if name.endswith("cpu.py"):
            assert function(text, plain_names()).__name__ == "kernel"
        elif name.endswith("cuda.py"):
            compile(text, name, "exec")
            assert "cuda.grid" in text


def test_two_graphs_continue_the_numbers(tmp_path: Path, graph: Graph) -> None:
    with config.override(dump=str(tmp_path), jit=False):
        Executable(graph, {})
        count = len(list(tmp_path.iterdir()))
        Executable(graph_of(softmax, "f32[8,5]"), {})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[count].endswith("_trace.ir")
    assert len(names) > count + 3


# what each level prints in addition
LEVELS = {
    0: "",
    1: r"jitgrad: compiled jg_\w+ \(\d+ lines\) in \d+ ms",
    2: r"jitgrad: simplify +@program: +\d+ -> +\d+ nodes +[\d.]+ ms",
    3: r"graph @program\(%x0: f32\[8,5\]\)",
    4: r"plan @program: 1 steps, arena 0 bytes",
    5: r"def kernel\(ptrs, dims, lo, hi\):",
    6: r"\bret[qlwa]?\b",
}


@pytest.mark.parametrize("level", LEVELS)
def test_levels_of_debugging(level: int, capsys: pytest.CaptureFixture[str]) -> None:
    with config.override(debug=level, cache=False):
        # A bound of its own for each level, which stays in the text: there is something to compile.
        Executable(graph_of(lambda x: softmax(maximum(x, 1.5 + level)), "f32[8,5]"), {})
    out, err = capsys.readouterr()
    assert out == ""
    for number, pattern in LEVELS.items():
        found = re.search(pattern, err) if pattern else None
        assert bool(found) == (0 < number <= level), number


def test_kernels_are_shown_when_nothing_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    graph = graph_of(softmax, "f32[8,5]")
    Executable(graph, {})
    with config.override(debug=5):
        Executable(graph, {})
    err = capsys.readouterr().err
    assert "jitgrad: compiled" not in err
    assert err.count("def kernel(") == 1


def test_by_environment(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.programs import graph_of, softmax\n"
        "from jitgrad.runtime.executable import Executable\n"
        "Executable(graph_of(softmax, 'f32[8,5]'), {})\n"
    )
    settings = {"JITGRAD_DUMP": str(tmp_path / "d"), "JITGRAD_DEBUG": "4", "JITGRAD_JIT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "plan @program" in done.stderr
    assert (tmp_path / "d" / "00_trace.ir").exists()


def test_without_jit_kernels_run_as_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr(loader, "address", never)
    x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    with config.override(jit=False):
        (got,) = Executable(graph_of(softmax, "f32[8,5]"), {})(x)
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-6)
