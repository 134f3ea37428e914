"""Every op, compiled: the CPU kernels, the same text as plain Python, and the plan for a GPU, in
the emulator and in Numba's simulator.

All ops of one dtype that take the same kind of operands go through a few graphs, so that one test
compiles a few kernels, not hundreds.
"""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad.primitives  # noqa: F401  (fills the table)
from jitgrad.ir.node import Graph, Node, input_node, project
from jitgrad.ir.op import OPS, Op, Sample
from jitgrad.ir.types import DTYPES, DType, TupleType, bool_, float32, float64, int32, of_array
from tests.codegen.backends import BACKENDS, SIMULATED, Backend, emulated, reference, simulated

CHUNK = 8
# Ulps between NumPy's functions and ours, each within its own bound of the true value.
ULPS = {"float16": 2, "float32": 8, "float64": 8}
SIGNS = {"eigh", "svd"}  # vectors have any sign, and rotations another than LAPACK
LOOSE = {"lgamma": 64, "digamma": 64, "erfinv": 64}  # near their roots relative error has no bound


def cases(kind: str, dtype: DType) -> list[tuple[Op, Sample]]:
    """Samples of the ops of a kind: for elementwise ops that of two dimensions, for casts all; for
    ops with kernels of their own (which have their own tests) all of float32, and else the first.
    """
    found = []
    for op in OPS.values():
        if op.kind == kind:
            samples = [s for s in op.samples(dtype) if s.inputs]
            if kind == "elementwise":
                samples = samples[1:2] if op.name != "cast" else samples
            elif kind == "call" and dtype is not float32:
                samples = samples[:1]
            found += [(op, s) for s in samples]
    return found


def graph_of(chunk: list[tuple[Op, Sample]]) -> tuple[Graph, list[np.ndarray]]:
    inputs: list[Node] = []
    arrays: list[np.ndarray] = []
    outputs: list[Node] = []
    for op, sample in chunk:
        mine = [input_node(f"x{len(inputs) + i}", of_array(a)) for i, a in enumerate(sample.inputs)]
        inputs += mine
        arrays += sample.inputs
        made = op(*mine, **sample.attrs)
        several = isinstance(made.type, TupleType)
        outputs += [project(made, i) for i in range(len(made.type.items))] if several else [made]
    return Graph("ops", inputs, outputs), [np.array(a, order="C") for a in arrays]


def assert_close(op: Op, got: np.ndarray, want: np.ndarray) -> None:
    assert (got.shape, got.dtype) == (want.shape, want.dtype), op.name
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=op.name)
        return
    ulps = LOOSE.get(op.name, ULPS[want.dtype.name])
    if op.kind in ("reduce", "call"):
        ulps *= 4  # another order of summation
    eps = np.finfo(want.dtype).eps
    np.testing.assert_allclose(got, want, rtol=ulps * eps, atol=ulps * eps, err_msg=op.name)


def backends(kind: str, dtype: DType) -> list:
    """Ops with kernels of their own are compiled in a few dtypes only."""
    compiled = kind != "call" or dtype in (float32, float64, int32, bool_)
    return [b for b in (*BACKENDS, SIMULATED) if compiled or b.id != "compiled"]


GROUPS = [
    pytest.param(kind, dtype, start, *backend.values, id=name, marks=backend.marks)
    for kind in ("elementwise", "reduce", "view", "call")
    for dtype in DTYPES
    for start in range(0, len(cases(kind, dtype)), CHUNK)
    for backend in backends(kind, dtype)
    for name in [f"{kind}-{dtype.code}-{start}-{backend.id}"]
]


@pytest.mark.parametrize(("kind", "dtype", "start", "backend"), GROUPS)
def test_equals_reference(kind: str, dtype: DType, start: int, backend: Backend) -> None:
    chunk = cases(kind, dtype)[start : start + CHUNK]
    graph, arrays = graph_of(chunk)
    made_by = [n.inputs[0].op if n.op.kind == "tuple" else n.op for n in graph.outputs]
    given = [a.copy() for a in arrays]
    results = backend(graph, given)
    for op, got, want in zip(made_by, results, reference(graph, arrays), strict=True):
        if backend in (emulated, simulated) and op.name in SIGNS:
            got, want = np.abs(got), np.abs(want)
        assert_close(op, got, want)
    for before, after in zip(arrays, given, strict=True):
        np.testing.assert_array_equal(before, after)
