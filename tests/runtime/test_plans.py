"""Plans on disk: what is planned once is not planned again, and nothing else is run for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config
from jitgrad.errors import BoundsError, JitgradError
from jitgrad.ir.node import Graph, constant, input_node
from jitgrad.ir.parse import parse
from jitgrad.ir.text import print_graph
from jitgrad.ir.types import TensorType, float32
from jitgrad.runtime import cache, executable, plans
from jitgrad.runtime.cache import CacheWarning
from jitgrad.runtime.executable import Executable, compile_graph
from tests.programs import graph_of, softmax, square_loss
from tests.runtime.caching import ROOT, answer, forget, start

# Runs programs, and says whether anything was optimized and whether what is kept is what is made.
PROGRAMS = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
import jitgrad as ms
from jitgrad.runtime.executable import compile_graph
from tests.programs import graph_of, softmax, square_loss

loss = graph_of(square_loss, "f32[8,20] f32[20,24] f32[24] f32[8,24]", (1, 2))
made = [compile_graph(g) for g in (loss, graph_of(softmax, "f32[8,5]"))]
cell = ms.nn.LSTM(3, 4, batch_first=True)
ms.jit(ms.value_and_grad(lambda x: cell(x)[0].sum(), 0))(ms.ops.ones((2, 5, 3)))
print("jitgrad.passes.fuse" in sys.modules, "jitgrad.codegen" in sys.modules)
print(all(m.table.same(m.program.unlinked(m.program.launches)) for m in made))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty cache, of which this process knows nothing."""
    with config.override(cache_dir=str(tmp_path / "cache")):
        forget()
        executable._compiled.cache_clear()
        yield tmp_path / "cache"
    executable._compiled.cache_clear()


def anew(graph: Graph, *updates: tuple[int, int]) -> Executable:
    """The executable as a new process has it."""
    forget()
    executable._compiled.cache_clear()
    return compile_graph(graph, dict(updates))


def is_kept(made: Executable) -> bool:
    """Whether it was not lowered."""
    return made._program is None


def test_a_second_process_plans_nothing(folder: Path) -> None:
    """Whatever order Python's sets are in."""
    assert answer(start(folder, PROGRAMS, PYTHONHASHSEED="1")) == "True True\nTrue"
    assert answer(start(folder, PROGRAMS, PYTHONHASHSEED="2")) == "False False\nTrue"


def test_the_results_are_the_same_bits(folder: Path) -> None:
    graph = graph_of(square_loss, "f32[8,20] f32[20,24] f32[24] f32[8,24]", (1, 2))
    arrays = [np.random.default_rng(0).normal(size=x.shape).astype("f") for x in graph.inputs]
    first, second = anew(graph), anew(graph)
    assert not is_kept(first)
    assert is_kept(second)
    for a, b in zip(first(*arrays), second(*arrays), strict=True):
        np.testing.assert_array_equal(a, b)
    assert str(second.program.plan) == str(first.program.plan)


def with_table(values: np.ndarray) -> Graph:
    x = input_node("x", TensorType(float32, values.shape))
    return Graph("f", [x], [x * constant(values)])


def test_constants_are_part_of_the_plan(folder: Path) -> None:
    x = np.ones(40, np.float32)
    for start_at in (0, 1):
        values = np.arange(start_at, 40 + start_at, dtype=np.float32)
        for kept in (False, True):
            made = anew(with_table(values))
            assert is_kept(made) == kept
            np.testing.assert_array_equal(made(x)[0], values)


def test_large_constants_are_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "LARGEST", 100)
    for _ in range(2):
        assert not is_kept(anew(with_table(np.arange(40, dtype=np.float32))))


def test_inputs_that_are_overwritten_make_another_plan(folder: Path) -> None:
    graph = graph_of(lambda x: x * 2.0, "f32[4]")
    anew(graph)
    x = np.ones(4, np.float32)
    assert anew(graph, (0, 0))(x) == ()
    np.testing.assert_array_equal(x, 2)
    again = anew(graph, (0, 0))
    assert is_kept(again)
    assert again(x) == ()
    np.testing.assert_array_equal(x, 4)


def test_settings_make_another_plan(folder: Path) -> None:
    graph = graph_of(softmax, "f32[8,5]")
    anew(graph)
    for setting in ({"math": "fast"}, {"jit": False}, {"frontend": "numba"}):
        with config.override(**setting):
            assert not is_kept(anew(graph))
    assert is_kept(anew(graph))


def test_who_watches_sees_passes(folder: Path, tmp_path: Path) -> None:
    graph = graph_of(softmax, "f32[8,5]")
    anew(graph)
    for setting in ({"verify": True}, {"dump": str(tmp_path / "dump")}, {"cache": False}):
        with config.override(**setting):
            assert not is_kept(anew(graph))
    assert list((tmp_path / "dump").iterdir())


def test_another_version_makes_another_plan(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(softmax, "f32[8,5]")
    anew(graph)
    monkeypatch.setattr(plans, "_version", lambda: b"another")
    assert not is_kept(anew(graph))


def test_locations_make_no_difference() -> None:
    text = "graph @f(%x: f32[3]) -> (f32[3]) {\n  %0 = exp(%x) : f32[3]\n  return %0\n}"
    moved = text.replace("f32[3]\n  return", "f32[3]  // model.py:12\n  return")
    here, there = parse(text), parse(moved)
    assert print_graph(here) != print_graph(there)
    assert plans.key_of(here, ()) == plans.key_of(there, ()) != ""
    other = parse(text.replace("exp", "log"))
    assert plans.key_of(here, ()) != plans.key_of(other, ())


def files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Those of plans, and those of kernels."""
    found = sorted(folder.glob("*.jgo"))
    of_plans = [path for path in found if b'{"words":' in path.read_bytes()]
    return of_plans, [path for path in found if path not in of_plans]


def test_a_damaged_plan_is_made_anew(folder: Path) -> None:
    graph = graph_of(softmax, "f32[8,5]")
    anew(graph)
    (path,) = files(folder)[0]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(CacheWarning, match="broken cache file"):
        assert not is_kept(anew(graph))
    assert is_kept(anew(graph))


def test_a_plan_without_its_kernels_is_made_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(softmax, "f32[8,5]")
    anew(graph)
    for path in files(folder)[1]:
        path.unlink()
    monkeypatch.setattr("jitgrad.runtime.loader._addresses", {})
    made = anew(graph)
    assert not is_kept(made)
    (y,) = made(np.zeros((8, 5), np.float32))
    np.testing.assert_allclose(y, 0.2, rtol=1e-6)
    assert files(folder)[1]


def pick(x: ms.Tensor, i: ms.Tensor) -> ms.Tensor:
    return (x * 2.0)[i]  # the line


def test_errors_have_the_users_line(folder: Path) -> None:
    x, i = ms.Tensor([1.0, 2.0, 3.0]), ms.Tensor([7], ms.int64)
    for _ in range(2):
        forget()
        executable._compiled.cache_clear()
        with pytest.raises(BoundsError, match="index 7 is out of bounds") as raised:
            ms.jit(pick)(x, i)
        line = pick.__code__.co_firstlineno + 1
        assert f"test_plans.py:{line}" in str(raised.value)


def test_a_plan_that_this_process_makes_in_another_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which step it is that fails is then not known, and not said."""
    x, i = ms.Tensor([1.0, 2.0, 3.0]), ms.Tensor([7], ms.int64)
    with pytest.raises(BoundsError):
        ms.jit(pick)(x, i)
    forget()
    executable._compiled.cache_clear()
    monkeypatch.setattr("jitgrad.runtime.links.Unlinked.same", lambda *both: False)
    with pytest.raises(JitgradError, match="pick failed while it ran") as raised:
        ms.jit(pick)(x, i)
    assert not isinstance(raised.value, BoundsError)


def test_it_can_still_be_looked_at(folder: Path) -> None:
    x = ms.Tensor(np.ones((8, 5), np.float32))
    f = lambda x: ms.ops.softmax(x * 2.0)  # noqa: E731
    texts = []
    for _ in range(2):
        forget()
        executable._compiled.cache_clear()
        texts.append([kernel.text for kernel in ms.jit(f).lower(x).kernels])
    assert texts[0] == texts[1] != []


def test_encoding() -> None:
    made = Executable(with_table(np.arange(40, dtype=np.float32)), {})
    again = plans.decode(plans.encode(made.table))
    assert again.same(made.table)
    assert again.count == 1
    assert cache.name_of(b"a") != cache.name_of(b"b")
