"""`load`: an ONNX file as a Cell, whose weights are Parameters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.onnx.node import Node
from jitgrad.onnx.ops import OPS
from jitgrad.onnx.package import onnx
from jitgrad.tensor import Parameter, Tensor

FLOATS = ("float16", "float32", "float64")


def load(path: str | os.PathLike) -> Cell:
    """A Cell that computes what an ONNX file says; its float weights are Parameters to train.

    Called with the inputs in the file's order, it returns the result, or a tuple of them. Nothing
    that the file says is run as code, and data outside of the file are not read.

    FileNotFoundError if there is no such file; ValueError if it is no ONNX model, a damaged one, or
    one with ops that are not there (all are named).
    """
    package = onnx()
    with open(path, "rb") as file:
        data = file.read()
    try:
        model = package.load_model_from_string(data)
        package.checker.check_model(model)
    except Exception as error:  # the parser's and the checker's errors are of many kinds
        raise fail(
            ArgumentError, f"{path} is no ONNX model, or a damaged one", why=_first_line(error)
        ) from None
    domains = {opset.domain: opset.version for opset in model.opset_import}
    if set(domains) - {"", "ai.onnx"}:
        raise fail(ArgumentError, f"{path} uses the ops of {sorted(set(domains) - {''})}")
    _check(path, model.graph)
    return OnnxCell(model.graph, domains.get("", domains.get("ai.onnx", 1)))


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _check(path: Any, graph: Any) -> None:
    """ValueError for ops that are not there, and for data in other files."""
    missing = {node.op_type for node in _all_nodes(graph)} - set(OPS)
    if missing:
        raise fail(
            ArgumentError,
            f"{path} has the ops {', '.join(sorted(missing))}, which are not there",
        )
    for tensor in graph.initializer:
        if tensor.external_data:
            raise fail(
                ArgumentError,
                f"{path} keeps {tensor.name!r} in another file",
                why="data outside of the model are not read",
            )
    if graph.sparse_initializer:
        raise fail(ArgumentError, f"{path} has sparse weights, which are not there")


def _all_nodes(graph: Any) -> list[Any]:
    found = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += _all_nodes(attribute.g)
    return found


class OnnxCell(Cell):
    """The graph of an ONNX file. Parameters have the names of its initializers."""

    def __init__(self, graph: Any, opset: int):
        super().__init__()
        package = onnx()
        self._nodes = read_nodes(graph)
        self._outputs = [output.name for output in graph.output]
        weights = {t.name: package.numpy_helper.to_array(t) for t in graph.initializer}
        self._inputs = [i.name for i in graph.input if i.name not in weights]
        self._known = {n: a for n, a in weights.items() if str(a.dtype) not in FLOATS or not a.ndim}
        self._names: dict[str, str] = {}
        for name, array in weights.items():
            if name not in self._known:
                own = self._names[name] = f"p{len(self._names)}"
                parameter = Parameter(np.array(array), name=name)
                self.insert_param_to_cell(own, parameter, False)
        self.opset = opset

    def construct(self, *inputs: Any) -> Any:
        if len(inputs) != len(self._inputs):
            raise fail(
                DTypeError,
                f"this ONNX model takes {len(self._inputs)} inputs, got {len(inputs)}",
                why=f"they are {', '.join(self._inputs)}",
            )
        values: dict[str, Any] = {"": None, **self._known}
        values |= {name: getattr(self, own) for name, own in self._names.items()}
        values |= dict(zip(self._inputs, inputs, strict=True))
        run(self._nodes, values)
        found = [_tensor(values[name]) for name in self._outputs]
        return found[0] if len(found) == 1 else tuple(found)

    def extend_repr(self) -> str:
        return f"{len(self._nodes)} nodes, inputs={self._inputs}, outputs={self._outputs}"


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(np.asarray(value))


def read_nodes(graph: Any) -> tuple[Node, ...]:
    """The nodes of a graph as plain records."""
    package = onnx()

    def attribute(one: Any) -> Any:
        if one.HasField("g"):
            g = one.g
            known = {t.name: package.numpy_helper.to_array(t) for t in g.initializer}
            names = [i.name for i in g.input]
            return read_nodes(g), known, names, [o.name for o in g.output]
        value = package.helper.get_attribute_value(one)
        if isinstance(value, package.TensorProto):
            return package.numpy_helper.to_array(value)
        if isinstance(value, list):
            return [v.decode() if isinstance(v, bytes) else v for v in value]
        return value.decode() if isinstance(value, bytes) else value

    return tuple(
        Node(
            node.op_type,
            tuple(node.input),
            tuple(node.output),
            {one.name: attribute(one) for one in node.attribute},
        )
        for node in graph.node
    )


def run(nodes: Sequence[Node], values: dict[str, Any]) -> None:
    """Compute all nodes; `values` by name, of what comes in and then of everything.

    What is known while tracing (shapes, and what is computed from them) stays NumPy arrays.
    """
    for node in nodes:
        rule = OPS[node.kind]
        given = [values[name] for name in node.inputs]
        results = rule(node, given, values, run)
        results = results if isinstance(results, tuple) else (results,)
        for name, result in zip(node.outputs, results):
            values[name] = result
