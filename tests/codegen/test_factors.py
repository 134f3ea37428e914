"""LAPACK from compiled plans against the reference, and the errors that it reports."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, config, ops
from jitgrad.errors import LinAlgError
from jitgrad.ir.node import Graph, builder, input_node, project
from jitgrad.ir.op import OPS, Sample
from jitgrad.ir.types import TupleType, float32, float64, of_array
from tests.codegen.backends import compiled, python, reference

NAMES = (
    *("cholesky", "det", "eigh", "expm", "lu", "pinv", "qr", "slogdet", "solve", "svd"),
    "triangular_solve",
)
RNG = np.random.default_rng(2)


def draw(*shape: int) -> np.ndarray:
    return RNG.uniform(-1, 1, shape) + 3 * np.eye(*shape[-2:])


BATCH = draw(5, 33, 33)  # more rows than LAPACK's blocks
LARGER: dict[str, list[Sample]] = {
    "cholesky": [Sample((BATCH @ np.swapaxes(BATCH, -1, -2),))],
    "det": [Sample((-BATCH / 3,)), Sample((np.zeros((2, 3, 3)),))],
    "eigh": [Sample((BATCH + np.swapaxes(BATCH, -1, -2),))],
    "expm": [Sample((BATCH * s,)) for s in (1e-3, 1.0, 20.0)],
    "lu": [Sample((draw(4, 35, 9),)), Sample((draw(9, 35)[::-1],))],
    "pinv": [
        Sample((draw(2, 40, 7) @ draw(7, 33), np.array([[1e-10, 0]] * 2))),
        Sample((np.zeros((3, 2)), np.array([1e-10, 0]))),
    ],
    "qr": [
        Sample((draw(*shape),), {"complete": complete})
        for shape in ((2, 70, 33), (33, 70), (40, 40), (3, 0))
        for complete in (False, True)
    ],
    "slogdet": [Sample((-BATCH,)), Sample((np.zeros((2, 3, 3)),))],
    "solve": [Sample((BATCH, draw(5, 33, 40)), {"transpose": t}) for t in (False, True)],
    "svd": [
        Sample((draw(*shape),), {"full": full})
        for shape in ((2, 70, 33), (33, 70), (40, 40), (3, 0))
        for full in (False, True)
    ],
    "triangular_solve": [
        Sample(
            (BATCH + 3 * np.eye(33), draw(5, 33, 2)), {"lower": a, "transpose": b, "unit": False}
        )
        for a in (False, True)
        for b in (False, True)
    ],
}


def graph_of(name: str, sample: Sample) -> Graph:
    nodes = [input_node(f"x{i}", of_array(a)) for i, a in enumerate(sample.inputs)]
    node = builder.make(OPS[name], tuple(nodes), sample.attrs)
    several = isinstance(node.type, TupleType)
    outputs = [project(node, i) for i in range(len(node.type.items))] if several else [node]
    return Graph("f", nodes, outputs)


def check(name: str, sample: Sample, backend=compiled) -> None:
    sample = Sample(tuple(np.ascontiguousarray(a) for a in sample.inputs), sample.attrs)
    graph = graph_of(name, sample)
    for got, want in zip(backend(graph, sample.inputs), reference(graph, sample.inputs)):
        assert got.dtype == want.dtype
        scale = max(1.0, float(np.abs(want).max(initial=0, where=np.isfinite(want))))
        eps = float(np.finfo(sample.inputs[0].dtype).eps)
        np.testing.assert_allclose(got, want, rtol=3000 * eps, atol=3000 * eps * scale)


@pytest.mark.parametrize("dtype", [float64, float32], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_samples(name, dtype):
    for sample in OPS[name].samples(dtype):
        check(name, sample)


@pytest.mark.parametrize("name", NAMES)
def test_larger(name):
    for sample in LARGER[name]:
        check(name, sample)


@pytest.mark.parametrize("name", NAMES)
def test_without_jit(name):
    for sample in OPS[name].samples(float64):
        check(name, sample, python)


# --- errors -------------------------------------------------------------------------------------

SINGULAR = Tensor(np.array([[1.0, 2.0], [2.0, 4.0]]))
BAD = {
    "singular": lambda x: ops.solve(x, x) + 1,
    "positive definite": lambda x: ops.cholesky(x) + 1,
    "could be found": lambda x: ops.svd(x * np.nan, compute_uv=False) + 1,
}


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("words", BAD)
def test_what_is_wrong_with_a_matrix(words, jit):
    function = ms.jit(BAD[words])
    with config.override(jit=jit):
        with pytest.raises(LinAlgError, match=f"(?s)test_factors.py:.*{words}"):
            function(SINGULAR)
        if words != "could be found":  # the next call is not affected
            assert np.isfinite(function(Tensor(np.diag([2.0, 3.0]))).asnumpy()).all()


def test_wrong_in_a_loop():
    @ms.jit
    def steps(x, n):
        total = x
        for _ in range(n):
            total = ops.cholesky(total) - 1
        return total

    with pytest.raises(LinAlgError, match="not positive definite"):
        steps(Tensor(np.diag([4.0, 9.0])), Tensor(5))
