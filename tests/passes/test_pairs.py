"""Complex numbers as pairs: no op takes them that has no rule, and what comes out is real."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.errors import JitgradError
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, builder, input_node, input_op, project
from jitgrad.ir.op import OPS
from jitgrad.ir.parse import parse
from jitgrad.ir.text import print_graph
from jitgrad.ir.types import TensorType, TupleType, complex64, complex128, float64, of_array
from jitgrad.passes.pairs import EACH, RULES, pairs
from jitgrad.primitives.complex import has_complex


def test_what_takes_complex_numbers_has_a_rule() -> None:
    """An op whose operands of float64 may be complex as well."""
    without = set()
    for op in OPS.values():
        for sample in op.samples(float64) if op.kind not in ("leaf", "tuple", "region") else ():
            types = [of_array(x) for x in sample.inputs]
            types = [t.with_dtype(complex128) if t.dtype is float64 else t for t in types]
            try:
                op.infer(tuple(types), sample.attrs)
            except (JitgradError, TypeError):
                continue
            if any(t.dtype is complex128 for t in types) and op not in RULES and op not in EACH:
                without.add(op.name)
    assert without <= {"opaque"}  # whose sample says what types it takes


OF_VALUES = sorted({*RULES, *EACH} - {OPS["constant"]}, key=lambda op: op.name)


@pytest.mark.parametrize("op", OF_VALUES, ids=lambda op: op.name)
def test_rules_agree_with_the_reference(op) -> None:
    """On the samples of complex numbers, and on those of floats turned in the plane."""
    turn = np.exp(0.7j)
    samples = [*op.samples(complex128), *op.samples(float64)]
    assert samples
    for sample in samples:
        arrays = [x * turn if x.dtype == np.float64 else x for x in sample.inputs]
        if op.name == "complex" or sample.attrs.get("mode") not in (None, "add", "set"):
            arrays = list(sample.inputs)
        inputs = [input_node(f"x{i}", of_array(x)) for i, x in enumerate(arrays)]
        try:
            node = builder.make(op, tuple(inputs), sample.attrs)
        except JitgradError:
            continue  # a cast that would lose something
        outputs = [node]
        if isinstance(node.type, TupleType):
            outputs = [project(node, i) for i in range(len(node.type.items))]
        graph = Graph("f", inputs, outputs)
        lowered = pairs(graph)
        assert not has_complex(lowered)
        found = interpret(lowered, [as_pairs(x) for x in arrays])
        for a, b in zip(found, interpret(graph, arrays), strict=True):
            rtol = 1e-6 if a.dtype == np.float32 else 1e-11
            np.testing.assert_allclose(a, as_pairs(b), rtol, 1e-12)


def as_pairs(x: np.ndarray) -> np.ndarray:
    """What stands for an array where there are no complex numbers."""
    return np.stack([x.real, x.imag], -1) if x.dtype.kind == "c" else x


def test_real_graphs_are_left_alone() -> None:
    x = input_node("x", TensorType(float64, (2,)))
    graph = Graph("f", [x], [x * 2])
    assert pairs(graph) is graph


def test_complex_constants_are_text() -> None:
    x = input_node("x", TensorType(complex64, (2,)))
    value = OPS["mul"](x, 1 - 2j)
    graph = Graph("f", [x], [value])
    assert "constant((1.0, -2.0)) : c64[2]" in print_graph(graph)
    assert parse(print_graph(graph)) is graph
    assert all(n.op is not input_op or not n.dtype.is_complex for n in pairs(graph).nodes)
