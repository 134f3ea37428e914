"""The pipeline: order, what can be watched, size, and golden texts before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jitgrad import config
from jitgrad.autodiff.reverse import reverse
from jitgrad.errors import IRError
from jitgrad.ir.node import Graph, Node, builder, full, input_node, input_op
from jitgrad.ir.op import OPS, Op
from jitgrad.ir.text import parse, print_graph
from jitgrad.ir.types import TensorType, float32
from jitgrad.ir.verify import verify
from jitgrad.locate import Location
from jitgrad.passes import pipeline
from jitgrad.passes.pipeline import DEFAULT, PASSES, dump, optimize
from jitgrad.primitives.elementwise import abs_, exp, log, maximum, neg, tanh
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import expand, reduce_max, reduce_sum
from jitgrad.primitives.shape import broadcast, reshape, transpose

F = TensorType(float32, (8, 3))
X = input_node("x", F)


def located(name: str, inputs: list[Node], outputs: list[Node]) -> Graph:
    """A graph whose every node has a line of its own."""
    graph = Graph(name, inputs, outputs)
    lines = {n: Location("model.py", i) for i, n in enumerate(graph.nodes) if n.op is not input_op}
    return Graph(name, inputs, outputs, lines)


def layer(x: Node, w: Node, b: Node) -> Node:
    return matmul(x, w) + broadcast(b, shape=(x.shape[0], b.shape[0]), dims=(1,))


def network() -> Graph:
    """The loss of a two-layer classifier, and its gradients."""
    shapes = {"x": (8, 3), "w1": (3, 5), "b1": (5,), "w2": (5, 4), "b2": (4,), "target": (8, 4)}
    x, w1, b1, w2, b2, target = (
        input_node(name, TensorType(float32, shape)) for name, shape in shapes.items()
    )
    scores = layer(tanh(layer(x, w1, b1)), w2, b2)
    less = scores - expand(reduce_max(scores, axes=(1,)), scores.shape, (1,))
    likely = less - expand(log(reduce_sum(exp(less), axes=(1,))), scores.shape, (1,))
    loss = -(reduce_sum(likely * target, axes=(0, 1)) / 8)
    graph = located("network", [x, w1, b1, w2, b2, target], [loss])
    return reverse(graph, [1, 2, 3, 4])


def careless() -> Graph:
    """What users write: numbers to fold, sums that overflow, reshapes and transposes in pairs."""
    x, y = X, input_node("y", TensorType(float32, (3,)))
    wide = broadcast(reshape(y, shape=(1, 3)), shape=(8, 1, 3), dims=(1, 2))
    sums = log(reduce_sum(exp(x), axes=(1,)))
    mixed = transpose(transpose(x * 2 / 4, perm=(1, 0)), perm=(1, 0)) + reshape(wide, shape=(8, 3))
    part = maximum(abs_(-mixed) + 0, full(2, F) * 0.5 - 1)
    return located("careless", [x, y], [sums, part * 1 - -x])


@pytest.mark.parametrize("make", [network, careless], ids=lambda f: f.__name__)
def test_before_and_after(make: Callable[[], Graph], golden: Callable[[str, str], None]) -> None:
    graph = make()
    golden(f"passes/{graph.name}.before.ir", print_graph(graph))
    golden(f"passes/{graph.name}.after.ir", print_graph(optimize(graph)))


@pytest.mark.parametrize("make", [network, careless], ids=lambda f: f.__name__)
def test_every_node_keeps_a_line(make: Callable[[], Graph]) -> None:
    for graph in (make(), optimize(make())):
        for node in graph.nodes:
            assert node.op.kind == "leaf" or node in graph.locs, node


# --- watching -----------------------------------------------------------------------------------


def test_watch_sees_every_pass_in_order() -> None:
    seen: list[tuple[str, Graph]] = []
    result = optimize(careless(), watch=lambda name, graph: seen.append((name, graph)))
    assert [name for name, _ in seen[: len(DEFAULT)]] == list(DEFAULT)
    assert seen[-1][1] is result
    assert {name for name, _ in seen} <= PASSES.keys()


def test_a_settled_graph_is_not_worked_on_again() -> None:
    graph = optimize(careless())
    seen: list[str] = []
    assert optimize(graph, watch=lambda name, _: seen.append(name)) is graph
    assert sorted(seen) == sorted(set(DEFAULT))


def test_chosen_passes() -> None:
    graph = Graph("f", [X], [X * 1])
    assert optimize(graph, ["cse"]) is graph
    assert optimize(graph, ["simplify"]).outputs == (X,)
    with pytest.raises(KeyError, match="simplfy"):
        optimize(graph, ["simplfy"])


def test_dump(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "dump"
    graph = careless()
    with config.override(dump=str(folder)):
        dump("trace", graph)
        result = optimize(graph)
        dump("kernel_0.cpu", "def kernel(): ...\n", "py")
    names = sorted(p.name for p in folder.iterdir())
    # A pass that changes nothing, as cse here, leaves no file.
    assert names[:3] == ["00_trace.ir", "01_fold.ir", "02_simplify.ir"]
    assert names[-1] == f"{len(names) - 1:02d}_kernel_0.cpu.py"
    assert parse((folder / names[-2]).read_text(encoding="utf-8")) is result
    assert parse((folder / "00_trace.ir").read_text(encoding="utf-8")) is graph


def test_no_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    optimize(careless())
    assert not list(tmp_path.iterdir())


def test_debug(capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph("f", [X], [X * 1])
    optimize(graph)
    assert capsys.readouterr() == ("", "")
    with config.override(debug=2):
        optimize(graph)
    out, err = capsys.readouterr()
    assert out == ""
    lines = [" ".join(line.split()[:7]) for line in err.splitlines()]
    assert "jitgrad: simplify @f: 3 -> 1 nodes" in lines
    with config.override(debug=3):
        optimize(graph)
    assert "graph @f(%x: f32[8,3]) -> (f32[8,3]) {\n  return %x\n}\n" in capsys.readouterr().err


def test_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    other = input_node("other", F)
    monkeypatch.setitem(pipeline.PASSES, "bad", lambda graph: graph.replace([other]))
    graph = Graph("f", [X], [X])
    optimize(graph, ["bad"])
    with config.override(verify=True), pytest.raises(IRError, match="%other is used"):
        optimize(graph, ["bad"])


def test_regions_are_optimized(monkeypatch: pytest.MonkeyPatch) -> None:
    op = Op("region_for_pipeline", "region", lambda t, a: t[0], lambda x, **attrs: x)
    monkeypatch.setitem(OPS, op.name, op)
    inner = builder.make(op, (X,), {"body": Graph("inner", [X], [exp(X) * 1])})
    middle = Graph("middle", [X], [inner + 0])
    node = builder.make(op, (X * 1,), {"bodies": (middle, 3), "other": 1})
    (result,) = optimize(Graph("f", [X], [node])).outputs
    assert result.inputs == (X,)
    body, three = result.attrs["bodies"]
    assert three == 3
    assert body.outputs[0].op is op
    assert body.outputs[0].attrs["body"] is Graph("inner", [X], [exp(X)])


# --- size ---------------------------------------------------------------------------------------


def test_a_hundred_thousand_nodes() -> None:
    node = X
    count = 33_333
    for i in range(count):
        node = tanh(node) * 1 + (X if i % 3 else exp(X) - 0)
    graph = Graph("deep", [X], [node])
    assert len(graph.nodes) == 3 * count + 5
    result = verify(optimize(graph))
    assert len(result.nodes) == 2 * count + 2


def test_chains_that_collapse() -> None:
    """A rule applies to every node, and to what it leaves."""
    node = X
    for _ in range(10_000):
        node = reshape(reshape(neg(neg(node)), shape=(3, 8)), shape=(8, 3))
    assert optimize(Graph("deep", [X], [node])).outputs == (X,)


def test_gradients_of_deep_graphs() -> None:
    node = X
    for _ in range(5_000):
        node = tanh(node)
    graph = reverse(Graph("deep", [X], [node]), [0])
    assert len(optimize(graph).nodes) < 5 * 5_000
