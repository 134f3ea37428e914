"""The HTML page: well-formed, complete, self-contained."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from jitgrad.autodiff.reverse import reverse
from jitgrad.ir.node import Graph
from jitgrad.ir.text import parse
from jitgrad.runtime.lowered import Lowered
from jitgrad.tools import draw, view

VOID = {"meta", "link", "br", "img", "hr"}


class Checker(HTMLParser):
    """Counts elements, and complains of what is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.values: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.values += [v for k, v in attrs if k == "data-v" and v is not None]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture(scope="module")
def graph() -> Graph:
    text = """graph @loss(%x: f32[6,7], %w: f32[7,5], %"a<b": f32[6,5]) -> (f32[]) {
      %0 = matmul(%x, %w) : f32[6,5]
      %1 = tanh(%0) : f32[6,5]            // model.py:3
      %2 = sub(%1, %"a<b") : f32[6,5]
      %3 = mul(%2, %2) : f32[6,5]
      %4 = reduce_sum(%3) {axes=(0, 1)} : f32[]
      return %4
    }"""
    return reverse(parse(text), [1])


@pytest.fixture(scope="module")
def lowered(graph: Graph) -> Lowered:
    return Lowered(graph, {})


def test_page_of_a_function(lowered: Lowered) -> None:
    arrays = [np.zeros(x.shape, np.float32) for x in lowered.stages[0][1].inputs]
    page = view.html(lowered, title="x < y", seconds=lowered.profile(arrays, 1))
    checker = checked(page)
    assert "<h1>x &lt; y</h1>" in page
    for name, _ in lowered.stages:
        assert f"<b>{name}</b>" in page
    assert checker.count["svg"] >= len(lowered.stages)
    sources = {k.source for k in lowered.kernels}
    assert page.count("<h4>CPU</h4>") == len(sources)
    assert page.count("<h4>CUDA</h4>") == len({k.source for k in lowered.kernels if k.cuda})
    assert "<th>share</th>" in page
    assert "<th>share</th>" not in view.html(lowered)


def test_page_refers_to_nothing(lowered: Lowered) -> None:
    page = view.html(lowered)
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert "url(" not in page
    assert "@import" not in page


def test_page_of_a_graph(graph: Graph, tmp_path: Path) -> None:
    path = view.write(tmp_path / "graph.html", graph)
    page = path.read_text(encoding="utf-8")
    checked(page)
    assert "<h2>Plan</h2>" not in page
    assert "<h1>@loss_grad</h1>" in page


def test_text_is_the_graphs_text(graph: Graph) -> None:
    """Without its marks, the marked-up text is the text."""
    import html

    marked = view.graph_html(graph)
    assert html.unescape(re.sub(r"<[^>]*>", "", marked)) == str(graph)
    assert '<span class="value" data-v="%0">%0</span>' in marked
    assert '<span class="op">matmul</span>' in marked
    assert '<span class="type">f32[6,7]</span>' in marked
    assert '<span class="comment">// model.py:3</span>' in marked
    assert 'data-v="%&quot;a&lt;b&quot;"' in marked


def test_values_of_regions_are_their_own(lowered: Lowered) -> None:
    fused = view.graph_html(lowered.stages[-1][1])
    checker = checked(f"<pre>{fused}</pre>")
    outside = {v for v in checker.values if ":" not in v}
    inside = {v for v in checker.values if ":" in v}
    assert "%x" in outside
    assert any(v.endswith(":%a0") for v in inside)
    assert not any(v.endswith("%a0") for v in outside)
    assert len({v.partition(":")[0] for v in inside}) == fused.count("=graph @")


def test_new_lines_are_what_a_pass_made(lowered: Lowered) -> None:
    stages = view.stages(lowered.stages)
    assert stages[0]["new"] == 0
    assert '<span class="new">' not in stages[0]["text"]
    for before, after, (_, graph) in zip(stages, stages[1:], lowered.stages[1:]):
        assert after["size"] == len(graph.nodes)
        assert ('<span class="new">' in after["text"]) == (after["new"] > 0), before["name"]


def test_boxes_do_not_touch(graph: Graph) -> None:
    picture = draw.graph_svg(graph)
    number = r'="([\d.]+)"'
    pattern = rf"<rect x{number} y{number} width{number} height{number}"
    boxes = [tuple(map(float, found)) for found in re.findall(pattern, picture)]
    drawn = [n for n in graph.nodes if n.op.name != "constant"]
    assert len(boxes) == len(drawn) + len(graph.outputs)
    for i, (x, y, w, h) in enumerate(boxes):
        for a, b, c, d in boxes[:i]:
            assert x + w < a or a + c < x or y + h < b or b + d < y
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', picture).groups())
    assert all(x >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)


def test_pictures_have_limits() -> None:
    lines = ["graph @long(%x: f32[]) -> (f32[]) {", "  %0 = sin(%x) : f32[]"]
    lines += [f"  %{i} = sin(%{i - 1}) : f32[]" for i in range(1, draw.MOST_NODES + 1)]
    long = parse("\n".join([*lines, f"  return %{draw.MOST_NODES}", "}"]))
    assert draw.graph_svg(long) == ""
    checked(view.html(long))
    empty = parse("graph @e() -> () {\n  return\n}")
    checked(view.html(Lowered(empty, {})))


def test_the_arena(lowered: Lowered) -> None:
    plan = lowered.plan
    used = [b for step in plan.steps for b in (*step.writes, *step.scratch) if b.home == "arena"]
    picture = draw.arena_svg(plan)
    assert picture.count("<rect") == len(set(used)) > 0
    assert f"{used[0].nbytes} bytes at {used[0].at}" in picture
