from __future__ import annotations

import re

import pytest

from jitgrad.ir.dot import to_dot
from jitgrad.ir.node import Graph, builder, full, input_node
from jitgrad.ir.op import OPS, Op
from jitgrad.ir.types import TensorType, float32
from jitgrad.locate import Location
from jitgrad.primitives.elementwise import tanh
from jitgrad.primitives.reduce import reduce_sum

F = TensorType(float32, (2, 3))
X = input_node('a "quoted" 名', F)


def test_nodes_edges_and_results() -> None:
    product = X * full(0.1, F)
    total = reduce_sum(product, axes=(0, 1))
    graph = Graph("f", [X], [total], {product: Location("/a/model.py", 3)})
    assert to_dot(graph).splitlines() == [
        'digraph "f" {',
        "  node [shape=box, fontname=monospace, fontsize=10];",
        "  edge [fontname=monospace, fontsize=9];",
        r'  n0 [label="%a \"quoted\" 名\nf32[2,3]", shape=ellipse];',
        r'  n1 [label="0.1\nf32[2,3]", shape=ellipse];',
        r'  n2 [label="mul\nf32[2,3]", tooltip="model.py:3"];',
        "  n0 -> n2 [label=0];",
        "  n1 -> n2 [label=1];",
        r'  n3 [label="reduce_sum\naxes=(0, 1)\nf32[]", shape=invtrapezium];',
        "  n2 -> n3;",
        '  nr0 [label="return 0", shape=plaintext];',
        "  n3 -> nr0;",
        "}",
    ]


def test_regions_are_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    op = Op("region_for_dot", "region", lambda t, a: t[0], lambda x, **attrs: x)
    monkeypatch.setitem(OPS, op.name, op)
    body = Graph("body", [X], [tanh(X)])
    node = builder.make(op, (X,), {"body": body, "parts": (body, 1)})
    text = to_dot(Graph("f", [X], [node]))
    assert re.findall(r"subgraph (\w+)", text) == ["cluster_n1_body", "cluster_n1_parts0"]
    assert text.count("{") == text.count("}")
    names = re.findall(r"^ *(n\w*) \[", text, re.MULTILINE)
    assert len(names) == len(set(names))
