"""`export`: the traced graph of a Cell as an ONNX model, op by op."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jitgrad.autodiff.custom import erase
from jitgrad.errors import ArgumentError, DTypeError, TraceError, fail
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.types import TensorType
from jitgrad.nn.cell import Cell
from jitgrad.onnx.package import IR_VERSION, OPSET, onnx
from jitgrad.onnx.rules import RULES
from jitgrad.tensor import Parameter, Tensor


def export(
    net: Cell,
    *inputs: Any,
    file_name: str | os.PathLike,
    file_format: str = "ONNX",
    **options: Any,
) -> None:
    """Write a Cell, as it computes for inputs of these shapes, into ``file_name.onnx``.

    Parameters become initializers under their names. The Cell is exported as for prediction: with
    dropout off, and moving statistics. Shapes are fixed to those of the inputs.

    TypeError for other arguments, ValueError for another format, ImportError without the `onnx`
    package; TraceError, with the user's line, for an op that ONNX does not have, or if the Cell
    writes Parameters or draws random numbers.
    """
    if not isinstance(net, Cell):
        raise fail(DTypeError, f"export takes a Cell, not a {type(net).__name__}")
    if file_format != "ONNX":
        raise fail(ArgumentError, f"export: no such file_format: {file_format!r}; have 'ONNX'")
    package = onnx()
    given = [x if isinstance(x, Tensor) else Tensor(np.asarray(x)) for x in inputs]
    was = net.training
    net.set_train(False)
    try:
        entry, tensors = net._compiled().entry(tuple(given), {})
    finally:
        net.set_train(was)
    traced = entry.traced
    if traced.writes:
        raise fail(
            TraceError,
            f"{net.cls_name} writes Parameters or draws random numbers, and cannot be exported",
            why="an ONNX graph is a function of its inputs",
        )
    graph = erase(traced.graph)
    model = _model(package, net, graph, len(tensors), traced.captures)
    package.checker.check_model(model, full_check=True)
    path = Path(file_name)
    path = path if path.suffix == ".onnx" else path.with_name(path.name + ".onnx")
    package.save_model(model, os.fspath(path))


def _model(package: Any, net: Cell, graph: Graph, count: int, captures: Sequence[Any]) -> Any:
    w = Writer(package)
    names: dict[Node, str] = {}
    for i, node in enumerate(graph.inputs):
        if i < count:
            names[node] = w.fresh(str(node.attrs["name"]))
            continue
        value = captures[i - count]
        named = isinstance(value, Parameter)
        stem = value.name if named else str(node.attrs["name"])
        names[node] = w.initializer(value.asnumpy(), stem)
    inputs = [w.info(names[node], node.type) for node in graph.inputs[:count]]
    w.graph(graph, names)
    outputs = []
    for i, node in enumerate(graph.outputs):
        outputs.append(w.node("Identity", [names[node]], name=w.fresh(f"output_{i}")))
    infos = [w.info(name, o.type) for name, o in zip(outputs, graph.outputs, strict=True)]
    made = package.helper.make_graph(w.nodes, net.cls_name, inputs, infos, w.initializers)
    opset = package.helper.make_opsetid("", OPSET)
    return package.helper.make_model(
        made, producer_name="jitgrad", opset_imports=[opset], ir_version=IR_VERSION
    )


class Writer:
    """Nodes and initializers of a model while it is written; bodies of loops have nodes of their
    own, and see the names around them.
    """

    def __init__(self, package: Any, outer: Writer | None = None):
        self.package = package
        self.nodes: list[Any] = []
        self.initializers: list[Any] = [] if outer is None else outer.initializers
        self.used: set[str] = set() if outer is None else outer.used
        self.constants: dict[Any, str] = {} if outer is None else outer.constants

    def inner(self) -> Writer:
        """The writer of a body."""
        return Writer(self.package, self)

    def fresh(self, stem: str) -> str:
        """A name that is not used yet."""
        name, number = stem, 1
        while name in self.used:
            name, number = f"{stem}_{number}", number + 1
        self.used.add(name)
        return name

    def node(self, kind: str, inputs: Sequence[str], name: str | None = None, **attrs: Any) -> str:
        """One node; returns the name of its result."""
        output = self.fresh(kind.lower()) if name is None else name
        self.nodes.append(self.package.helper.make_node(kind, list(inputs), [output], **attrs))
        return output

    def nodes_of(self, kind: str, inputs: Sequence[str], count: int, **attrs: Any) -> list[str]:
        """One node of several results; returns their names."""
        outputs = [self.fresh(f"{kind.lower()}_{i}") for i in range(count)]
        self.nodes.append(self.package.helper.make_node(kind, list(inputs), outputs, **attrs))
        return outputs

    def initializer(self, array: np.ndarray, stem: str = "constant") -> str:
        """A value of the file; returns its name."""
        name = self.fresh(stem)
        plain = np.array(array, order="C")  # a scalar stays one
        self.initializers.append(self.package.numpy_helper.from_array(plain, name))
        return name

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """A small constant, each once."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = self.initializer(array)
        return self.constants[key]

    def dtype(self, dtype: Any) -> int:
        """ONNX's number of a dtype."""
        return self.package.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def info(self, name: str, type: Any) -> Any:
        """The declaration of an input or a result."""
        if not isinstance(type, TensorType):
            raise fail(TraceError, f"ONNX has no type {type}")
        kind = self.dtype(type.dtype.numpy)
        return self.package.helper.make_tensor_value_info(name, kind, list(type.shape))

    def graph(self, graph: Graph, names: dict[Node, str]) -> None:
        """All nodes of a graph. `names`: those of its inputs, and afterwards of everything."""
        parts: dict[Node, list[str]] = {}  # the results of loops and branches
        for node in graph.nodes:
            if node in names:
                continue
            if node.op.kind == "tuple":
                names[node] = parts[node.inputs[0]][node.attrs["index"]]
                continue
            rule = RULES.get(node.op.name)
            if rule is None:
                raise fail(
                    TraceError,
                    f"{node.op.name} cannot be exported to ONNX",
                    where=graph.locs.get(node),
                )
            given = [names[i] for i in node.inputs]
            made = rule(self, node, given, graph.locs.get(node))
            if isinstance(made, list):
                parts[node] = made
            else:
                names[node] = made

    def body(self, graph: Graph, names: Mapping[Node, str], inputs: Sequence[Any]) -> Any:
        """A graph inside of a node. `names`: those of its inputs, `inputs` the declared ones."""
        w, known = self.inner(), dict(names)
        w.graph(graph, known)
        outputs = [w.node("Identity", [known[o]]) for o in graph.outputs]
        infos = [w.info(name, o.type) for name, o in zip(outputs, graph.outputs, strict=True)]
        return self.package.helper.make_graph(w.nodes, "body", list(inputs), infos)
