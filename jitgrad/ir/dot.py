"""A graph as Graphviz DOT text, for `dot -Tsvg`."""

from __future__ import annotations

import json
from typing import Any

from jitgrad.ir.node import Constant, Graph, Node, input_op, splat

SHAPES = {"leaf": "ellipse", "reduce": "invtrapezium", "call": "box3d", "region": "folder"}
LONG = 40  # attributes with a longer text are left out


def to_dot(graph: Graph) -> str:
    """DOT text: inputs on top, an edge from each value to each use, regions as clusters."""
    lines = [f"digraph {_quoted(graph.name)} {{"]
    lines += ["  node [shape=box, fontname=monospace, fontsize=10];"]
    lines += ["  edge [fontname=monospace, fontsize=9];"]
    return "\n".join([*lines, *_body(graph, "n", "  "), "}"])


def _body(graph: Graph, prefix: str, indent: str) -> list[str]:
    names = {node: f"{prefix}{i}" for i, node in enumerate(graph.nodes)}
    lines = []
    for node, name in names.items():
        shape = SHAPES.get(node.op.kind)
        style = f", shape={shape}" if shape else ""
        where = graph.locs.get(node)
        tip = f", tooltip={_quoted(str(where))}" if where else ""
        lines.append(f"{indent}{name} [label={_quoted(_label(node))}{style}{tip}];")
        for position, operand in enumerate(node.inputs):
            label = f" [label={position}]" if len(node.inputs) > 1 else ""
            lines.append(f"{indent}{names[operand]} -> {name}{label};")
        for key, value in node.attrs.items():
            lines += _regions(key, value, name, indent)
    for position, output in enumerate(graph.outputs):
        result = f"{prefix}r{position}"
        lines.append(f'{indent}{result} [label="return {position}", shape=plaintext];')
        lines.append(f"{indent}{names[output]} -> {result};")
    return lines


def _regions(key: str, value: Any, name: str, indent: str) -> list[str]:
    if isinstance(value, tuple):
        parts = enumerate(value)
        return [line for i, v in parts for line in _regions(f"{key}{i}", v, name, indent)]
    if not isinstance(value, Graph):
        return []
    inner = _body(value, f"{name}_{key}_", indent + "  ")
    title = _quoted(f"{key} @{value.name}")
    return [f"{indent}subgraph cluster_{name}_{key} {{", f"{indent}  label={title};", *inner] + [
        f"{indent}}}"
    ]


def _label(node: Node) -> str:
    if node.op is input_op:
        return f"%{node.attrs['name']}\n{node.type}"
    number = splat(node)
    if number is not None:
        return f"{number[()]!s}\n{node.type}"
    shown = {k: v for k, v in node.attrs.items() if not isinstance(v, (Constant, Graph))}
    attrs = [f"{k}={v}" for k, v in shown.items() if len(str(v)) <= LONG]
    return "\n".join([node.op.name, *attrs, str(node.type)])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
