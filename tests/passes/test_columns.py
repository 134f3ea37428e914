"""Short rows are computed column by column, where they are joined of columns or cut into them."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad
from jitgrad import Tensor, ops
from jitgrad.ir.parse import parse
from jitgrad.passes.columns import columns

ROWS = 300


def turned(q, p):
    """The points p, turned by quaternions; as in Rodrigues' formula."""
    q = q / ops.sqrt((q * q).sum(-1, keepdims=True))
    w, x, y, z = (q[:, k] for k in range(4))
    a, b, c = (p[:, k] for k in range(3))
    u, v, t = 2.0 * (y * c - z * b), 2.0 * (z * a - x * c), 2.0 * (x * b - y * a)
    rows = (a + w * u + (y * t - z * v), b + w * v + (z * u - x * t), c + w * t + (x * v - y * u))
    return ops.stack(rows, -1)


def residual(q, p, to):
    e = turned(q, p) - to
    return (e * e).sum() + ops.amax(ops.maximum(e, 0.5), -1).mean()


def test_stacked_points_are_one_kernel() -> None:
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((ROWS, n)) for n in (4, 3, 3)]
    tensors = [Tensor(a) for a in given]
    gradient = jitgrad.value_and_grad(residual, (0, 1))
    for ours, want in zip(flat(jitgrad.jit(gradient)(*tensors)), flat(gradient(*tensors))):
        np.testing.assert_allclose(ours, want, rtol=1e-12, atol=1e-14)
    plan = jitgrad.jit(gradient).lower(*tensors).plan
    large = [s for s in plan.steps if any(w.nbytes >= ROWS * 8 for w in s.writes)]
    # The kernel, and the joins of the columns of two gradients, which it stores in their places.
    assert [s.node.op.name for s in large][1:] == ["concat", "concat"]


def flat(result):
    return [a.asnumpy() for part in result for a in (part if isinstance(part, tuple) else [part])]


TEXT = """
graph @f(%x: f32[300,3], %y: f32[300]) -> ({out}) {{
  %0 = exp(%x) : f32[300,3]
  {lines}
}}
"""


@pytest.mark.parametrize(
    ("lines", "out", "apart"),
    [
        # Columns are wanted, each for itself.
        ("%1 = slice(%0) {starts=(0, 1), stops=(300, 2), steps=(1, 1)} : f32[300,1]\n"
         "  return %1", "f32[300,1]", True),
        # A part of the rows of a column.
        ("%1 = slice(%0) {starts=(5, 2), stops=(25, 3), steps=(2, 1)} : f32[10,1]\n"
         "  return %1", "f32[10,1]", True),
        # Rows are wanted as a whole, by a product.
        ("%1 = slice(%0) {starts=(0, 1), stops=(300, 2), steps=(1, 1)} : f32[300,1]\n"
         "  %2 = transpose(%0) {perm=(1, 0)} : f32[3,300]\n"
         "  %3 = matmul(%2, %1) : f32[3,1]\n"
         "  return %3", "f32[3,1]", False),
        # Neither joined of columns nor cut.
        ("%1 = reduce_sum(%0) {axes=(1,)} : f32[300]\n  return %1", "f32[300]", False),
    ],
    ids=["a column", "part of a column", "whole rows", "sums of rows"],
)  # fmt: skip
def test_which(lines: str, out: str, apart: bool) -> None:
    graph = parse(TEXT.format(lines=lines, out=out))
    made = columns(graph)
    assert any(n.op.name == "exp" and n.ndim == 1 for n in made.nodes) == apart
    if not apart:
        assert made is graph
