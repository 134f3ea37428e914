"""The gradients of all ops on a device: the emulator finds races, the simulator is Numba's."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad.primitives  # noqa: F401  (fills the table)
from jitgrad.autodiff.reverse import cotangents
from jitgrad.ir.node import Graph, input_node, project
from jitgrad.ir.op import OPS, Op, Sample
from jitgrad.ir.types import DType, TensorType, TupleType, float16, float32, float64, of_array
from tests.codegen.backends import SIMULATED, Backend, emulated, reference

CHUNK = 12
UNLIKE = {"eigh", "svd"}  # any sign of a vector will do
DTYPES = (float32, float64, float16)
# Relative error of a gradient: it divides, multiplies and adds up what is rounded 8 times at most.
TOLERANCE = {float16: 2e-2, float32: 1e-4, float64: 1e-10}


def cases(dtype: DType) -> list[tuple[Op, Sample]]:
    """Differentiable ops, each with its smallest sample that is not empty."""
    found = []
    for op in OPS.values():
        if op.kind == "region" or op.vjp is None or op.name in UNLIKE:
            continue
        samples = [s for s in op.samples(dtype) if s.inputs and all(np.size(a) for a in s.inputs)]
        if samples:
            found.append((op, min(samples, key=lambda s: sum(np.size(a) for a in s.inputs))))
    return found


def gradients(chunk: list[tuple[Op, Sample]]) -> tuple[Graph, list[np.ndarray], list[Op]]:
    """A graph of the cotangents of all float operands, for random seeds."""
    rng = np.random.default_rng(7)
    inputs, arrays, outputs, ops = [], [], [], []
    for op, sample in chunk:
        mine = [input_node(f"x{len(inputs) + i}", of_array(a)) for i, a in enumerate(sample.inputs)]
        inputs += mine
        arrays += [np.array(a, order="C") for a in sample.inputs]
        made = op(*mine, **sample.attrs)
        several = isinstance(made.type, TupleType)
        results = [project(made, i) for i in range(len(made.type.items))] if several else [made]
        results = [r for r in results if isinstance(r.type, TensorType) and r.dtype.is_float]
        seeds = [input_node(f"x{len(inputs) + i}", r.type) for i, r in enumerate(results)]
        inputs += seeds
        arrays += [rng.uniform(0.5, 1.0, s.shape).astype(s.dtype.numpy) for s in seeds]
        found = cotangents(results, seeds, [x for x in mine if x.dtype.is_float])
        outputs += [g for g in found if g is not None]
        ops += [op for g in found if g is not None]
    return Graph("gradients", inputs, outputs), arrays, ops


GROUPS = [
    pytest.param(dtype, start, id=f"{dtype.code}-{start}")
    for dtype in DTYPES
    for start in range(0, len(cases(dtype)), CHUNK)
]


@pytest.mark.parametrize("backend", [pytest.param(emulated, id="emulated"), SIMULATED])
@pytest.mark.parametrize(("dtype", "start"), GROUPS)
def test_gradients(dtype: DType, start: int, backend: Backend) -> None:
    graph, arrays, ops = gradients(cases(dtype)[start : start + CHUNK])
    got = backend(graph, [a.copy() for a in arrays])
    bound = TOLERANCE[dtype]
    for op, a, b in zip(ops, got, reference(graph, arrays), strict=True):
        scale = float(np.abs(b.astype(np.float64)).max(initial=0.0))
        np.testing.assert_allclose(a, b, rtol=bound, atol=bound * scale, err_msg=op.name)
