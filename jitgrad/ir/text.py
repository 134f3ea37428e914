"""The text of a graph: printed for people, parsed back to the very same graph.

    graph     = "graph" "@"name "(" [param {"," param}] ")" "->" "(" [type {"," type}] ")" block
    param     = value ":" type
    block     = "{" {line} "return" [value {"," value}] "}"
    line      = value "=" name "(" [value {"," value} | literal] ")" [attrs] ":" type
    attrs     = "{" name "=" item {"," name "=" item} "}"
    item      = number | string | "True" | "False" | "None" | dtype | type | type literal
              | "tuple" "(" [type {"," type}] ")" | "(" [item {"," item} [","]] ")" | graph
    literal   = number | "True" | "False" | "[" [literal {"," literal}] "]" | string (base64)
    type      = tensor | "tape" "[" tensor "]" | "(" [type {"," type}] ")"
    tensor    = dtype "[" [integer {"," integer}] "]"
    value     = "%" (integer | name) ["~" integer]
    name      = identifier, with dots and primes | string
    number    = integer | float | ["-"] "inf" | "nan" ["(" bits ")"]

A constant is written ``constant(literal)``: a scalar literal is repeated over the type's shape.
An item ``type literal`` is a constant as an attribute. Names that are no identifiers stand in
quotes; ``~1`` tells apart inputs of one name. Line breaks mean nothing, with one exception: a
comment ``// model.py:12`` at the end of a node's or input's line is its location. The file is
printed by its last name; where that is not the whole path, a line below the graph has the path::

    // model.py: /home/ada/net/model.py
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.errors import IRError
from jitgrad.ir.node import Constant, Graph, Node, constant_op, input_op
from jitgrad.ir.parse import IDENTIFIER, parse
from jitgrad.ir.types import DType, TapeType, TensorType, TupleType, of_array
from jitgrad.locate import Location

__all__ = ["line_of", "parse", "print_graph"]

DENSE = 16  # an array of more elements is printed as base64
COMMENT_COLUMN = 46
WIDTH = 100

_PLAIN_NAME = re.compile(IDENTIFIER)
_PLAIN_FILE = re.compile(r'[^\s"]+')


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _name(text: str) -> str:
    plain = _PLAIN_NAME.fullmatch(text) and text not in ("inf", "nan")
    return text if plain else _quote(text)


def _file(text: str) -> str:
    return text if _PLAIN_FILE.fullmatch(text) and text.isprintable() else _quote(text)


def print_graph(graph: Graph, locations: bool = True) -> str:
    """The graph as text; `parse` gives the same graph back. The lines where nodes come from are
    left out on request.
    """
    printer = _Printer(locations)
    lines = printer.graph(graph, "")
    for path, label in printer.files.items():
        if label != _file(path):
            lines.append(f"// {label}: {_file(path)}")
    return "\n".join(lines)


def line_of(graph: Graph, node: Node) -> str:
    """The line that stands for a node in the graph's text."""
    printer = _Printer()
    return printer.line(node, printer.names(graph), "").strip()


class _Printer:
    def __init__(self, locations: bool = True) -> None:
        self.locations = locations
        self.files: dict[str, str] = {}

    def names(self, graph: Graph) -> dict[Node, str]:
        names: dict[Node, str] = {}
        taken: dict[str, int] = {}
        for node in graph.inputs:
            if node.op is input_op and node not in names:
                name = _name(node.attrs["name"])
                count = taken.get(name, 0)
                taken[name] = count + 1
                names[node] = f"%{name}~{count}" if count else f"%{name}"
        number = 0
        for node in graph.nodes:
            if node not in names:
                names[node] = f"%{number}"
                number += 1
        return names

    def graph(self, graph: Graph, indent: str) -> list[str]:
        names = self.names(graph)
        lines = self.header(graph, names, indent)
        declared = set(graph.inputs)
        for node in graph.nodes:
            if node not in declared or node.op is not input_op:
                line = self.line(node, names, indent + "  ")
                lines.append(self.located(line, graph.locs.get(node)))
        results = ", ".join([names[o] for o in graph.outputs])
        lines += [f"{indent}  return {results}".rstrip(), f"{indent}}}"]
        return lines

    def header(self, graph: Graph, names: dict[Node, str], indent: str) -> list[str]:
        parameters = [f"{names[n]}: {n.type}" for n in graph.inputs]
        results = ", ".join([str(o.type) for o in graph.outputs])
        start, end = f"graph @{_name(graph.name)}(", f") -> ({results}) {{"
        line = f"{start}{', '.join(parameters)}{end}"
        fits = len(indent) + len(line) <= WIDTH
        if not parameters or (fits and not any(n in graph.locs for n in graph.inputs)):
            return [line]
        lines = [start]
        for position, (node, text) in enumerate(zip(graph.inputs, parameters, strict=True)):
            comma = "," if position + 1 < len(parameters) else ""
            lines.append(self.located(f"{indent}  {text}{comma}", graph.locs.get(node)))
        return [*lines, f"{indent}{end}"]

    def line(self, node: Node, names: dict[Node, str], indent: str) -> str:
        attrs = node.attrs
        if node.op is constant_op and _is_plain(node):
            operands, attrs = _literal(attrs["value"].array), {}
        else:
            operands = ", ".join([names[i] for i in node.inputs])
        text = f"{indent}{names[node]} = {node.op.name}({operands})"
        if attrs:
            text += f" {self.attributes(attrs, indent)}"
        return f"{text} : {node.type}"

    def attributes(self, attrs: Any, indent: str) -> str:
        deeper = indent + "  "
        items = [f"{_name(k)}={self.item(v, deeper)}" for k, v in attrs.items()]
        if any("\n" in item for item in items):
            return "{\n" + ",\n".join([deeper + item for item in items]) + f"\n{indent}}}"
        return f"{{{', '.join(items)}}}"

    def item(self, value: Any, indent: str) -> str:
        if isinstance(value, tuple):
            items = [self.item(v, indent) for v in value]
            return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
        if isinstance(value, Graph):
            return "\n".join(self.graph(value, indent))
        for kind, text in _ITEMS.items():
            if isinstance(value, kind):
                return text(value)
        raise IRError(f"an attribute cannot be printed: {value!r} of {type(value).__name__}")

    def located(self, line: str, location: Location | None) -> str:
        if location is None or not self.locations:
            return line
        last = line.rpartition("\n")[2]
        gap = max(COMMENT_COLUMN - len(last), 2) * " "
        return f"{line}{gap}// {self.label(location.path)}:{location.line}"

    def label(self, path: str) -> str:
        """A file's last name; a second file of that name gets ``~1``."""
        label = self.files.get(path)
        if label is None:
            taken, count = set(self.files.values()), 0
            base = label = os.path.basename(path)
            while _file(label) in taken:
                count += 1
                label = f"{base}~{count}"
            self.files[path] = label = _file(label)
        return label


def _is_plain(node: Node) -> bool:
    """Whether a constant's attributes follow from its literal and its type."""
    return isinstance(node.type, TensorType) and node.attrs["shape"] == node.type.shape


_ITEMS: dict[Any, Callable[[Any], str]] = {
    (bool, np.bool_): lambda v: str(bool(v)),
    (int, np.integer): lambda v: str(int(v)),
    (float, np.floating): lambda v: repr(float(v)),
    str: _quote,
    type(None): str,
    DType: lambda v: v.code,
    (TensorType, TapeType): str,
    TupleType: lambda v: f"tuple{v}" if v.items else "tuple()",
    Constant: lambda v: f"{of_array(v.array)} {_literal(v.array)}",
}


def _literal(array: np.ndarray) -> str:
    if array.ndim == 0:
        return _scalar(array[()])
    if array.size == 0:
        return "[]"
    if array.size > DENSE:
        return f'"{base64.b64encode(array.tobytes()).decode()}"'
    parts = [_scalar(x) for x in array.ravel()]
    for extent in reversed(array.shape):
        parts = [f"[{', '.join(parts[i : i + extent])}]" for i in range(0, len(parts), extent)]
    return parts[0]


def _scalar(x: Any) -> str:
    if x.dtype.kind == "b":
        return str(bool(x))
    if x.dtype.kind == "c":
        return f"({_scalar(x.real)}, {_scalar(x.imag)})"
    if x.dtype.kind != "f":
        return str(int(x))
    if np.isnan(x):
        usual = x.tobytes() == np.array(np.nan, x.dtype).tobytes()
        return "nan" if usual else f"nan(0x{int.from_bytes(x.tobytes(), 'little'):x})"
    text = str(x)  # the shortest text; through a double it may, in theory, round twice
    return text if x.dtype.type(float(text)) == x else repr(float(x))
