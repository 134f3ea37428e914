"""Which steps become one strip, and what is never stored because of that."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad
from jitgrad import Tensor, ops
from jitgrad.ir.node import Graph, Node, full
from jitgrad.passes.access import stored
from jitgrad.passes.kernels import into_kernels
from jitgrad.passes.pipeline import optimize
from jitgrad.primitives.elementwise import exp, sigmoid, sqrt
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast, reshape, transpose_last
from tests.programs import Program, graph_of, softmax

POINTS, GROUPS = 600, 8


def kernels(program: Program, types: str, wrt: tuple[int, ...]) -> Graph:
    return into_kernels(optimize(graph_of(program, types, wrt)))


def largest(graph: Graph) -> int:
    """Elements of the largest value that one kernel leaves in memory for another."""
    outside = {stored(o) for o in graph.outputs}
    made = [n for n in graph.nodes if n.op.name == "project" and n not in outside]
    return max((n.type.size for n in made), default=0)


def squares(x: Node) -> Node:
    """All squared distances."""
    shape = (POINTS, POINTS, x.shape[1])
    d = broadcast(x, shape=shape, dims=(0, 2)) - broadcast(x, shape=shape, dims=(1, 2))
    return reduce_sum(d * d, axes=(2,))


def energy(x: Node) -> Node:
    d = sqrt(squares(x) + 0.01)
    return reduce_sum(full(1, d.type) / d, axes=(0, 1))


def similarity(x: Node) -> Node:
    return reduce_sum(exp(-squares(x)), axes=(0, 1))


def test_sums_over_both_points_of_pairs_are_in_one_strip() -> None:
    """Nothing is stored that is as large as the number of pairs."""
    for program in (energy, similarity):
        fused = kernels(program, f"f32[{POINTS},3]", (0,))
        assert sum(n.op.name == "strip" for n in fused.nodes) == 1
        assert largest(fused) <= 4 * POINTS


def group_norm(x: Node, weight: Node) -> Node:
    rows, channels, places = x.shape
    size = channels * places // GROUPS
    groups = reshape(x, shape=(rows, GROUPS, size))

    def mean(v: Node) -> Node:
        total = reduce_sum(v, axes=(2,)) / size
        return broadcast(total, shape=v.shape, dims=(0, 1))

    centred = groups - mean(groups)
    normal = centred / sqrt(mean(centred * centred) + 1e-5)
    scaled = reshape(normal, shape=x.shape) * broadcast(weight, shape=x.shape, dims=(1,))
    return reduce_sum(scaled * sigmoid(scaled), axes=(0, 1, 2))


def test_what_is_reshaped_behind_the_batch_is_one_strip() -> None:
    fused = kernels(group_norm, "f32[48,32,100] f32[32]", (0, 1))
    (strip,) = [n for n in fused.nodes if n.op.name == "strip"]
    assert len(strip.attrs["loops"]) >= 3
    assert largest(fused) <= 32 * 100  # sums, and nothing of the batch


BATCH, HEADS, TIMES, SIZE = 2, 3, 128, 32


def attention(q: Node, k: Node, v: Node) -> Node:
    return matmul(softmax(matmul(q, transpose_last(k)) * 0.2), v)


def masked_attention(q: Node, k: Node, v: Node, mask: Node) -> Node:
    """The mask has no heads: they cannot be one axis with the batch."""
    scores = matmul(q, transpose_last(k))
    spread = broadcast(mask, shape=scores.shape, dims=(0, 3))
    return matmul(softmax(scores + spread), v)


def squared(program: Program) -> Program:
    return lambda *xs: reduce_sum(program(*xs) * program(*xs), axes=(0, 1, 2, 3))


def test_scores_of_attention_are_not_stored() -> None:
    """Heads and batches are one axis, of which a strip takes one matrix after the other."""
    heads = f"f32[{BATCH},{HEADS},{TIMES},{SIZE}]"
    fused = kernels(squared(attention), f"{heads} {heads} {heads}", (0, 1, 2))
    (strip,) = [n for n in fused.nodes if n.op.name == "strip"]
    assert strip.attrs["extent"] == BATCH * HEADS
    assert largest(fused) <= BATCH * HEADS * TIMES * SIZE


def test_axes_that_a_mask_keeps_apart() -> None:
    heads = f"f32[{BATCH},{HEADS},{TIMES},{SIZE}]"
    types = f"{heads} {heads} {heads} f32[{BATCH},{TIMES}]"
    fused = kernels(squared(masked_attention), types, (0, 1, 2))
    (strip,) = [n for n in fused.nodes if n.op.name == "strip"]
    assert strip.attrs["extent"] == BATCH
    assert largest(fused) <= BATCH * HEADS * TIMES * SIZE


# --- calls that keep rows apart ---


def neighbours(x, t):
    d = x[:, 2:] - 2.0 * x[:, 1:-1] + x[:, :-2]
    return ops.sqrt(d * d + 0.1).sum() + ((x - t) ** 2).sum()


def rolled(x, t):
    return (ops.tanh(ops.roll(x, 1, -1) - x) * t).sum()


def running_sums(x, t):
    c = ops.cumsum(ops.tanh(x), -1)
    return ((c[:, 5:] - c[:, :-5] - t[:, 5:]) ** 2).sum()


def running_products(x, t):
    return ((ops.cumprod(1 + 0.1 * ops.sin(x), 1) - t) ** 2).sum()


def filtered(x, t):
    y = sum(t[0, k] * x[:, k : k + 100] for k in range(20))
    return ((y - t[:, :100]) ** 2).sum()


FILTERS = [neighbours, rolled, running_sums, running_products, filtered]


@pytest.mark.parametrize("program", FILTERS)
def test_filters_of_rows_are_one_strip(program) -> None:
    rng = np.random.default_rng(0)
    x, t = (Tensor(rng.standard_normal((301, 120))) for _ in range(2))
    gradient = jitgrad.value_and_grad(program)
    compiled = jitgrad.jit(gradient)
    for ours, want in zip(compiled(x, t), gradient(x, t), strict=True):
        np.testing.assert_allclose(ours.asnumpy(), want.asnumpy(), rtol=1e-11, atol=1e-11)
    steps = [s.node.op.name for s in compiled.lower(x, t).plan.steps if s.node is not None]
    assert steps.count("strip") == 1
    assert not {"pad", "cumsum", "cumprod", "recurrence"} & set(steps)


def test_a_padding_of_a_tile_is_filled_where_it_is() -> None:
    """Nothing is copied into it, and nothing is set to zero but what is around."""
    x, t = (Tensor(np.ones((301, 120), np.float32)) for _ in range(2))
    kernels = jitgrad.jit(jitgrad.grad(neighbours)).lower(x, t).kernels
    assert ["a0" in kernel.source for kernel in kernels] == [True, False, False, True]


def test_what_is_joined_for_another_shape_is_no_part_of_a_strip() -> None:
    """A reshape of a join reads all of it."""
    x = Tensor(np.random.default_rng(0).standard_normal((600, 40)))

    def turned(x):
        y = ops.cat([ops.exp(x), ops.sin(x)], 1)
        return y.reshape(2400, 20) * ops.cos(x).sum()

    compiled = jitgrad.jit(turned)
    np.testing.assert_allclose(compiled(x).asnumpy(), turned(x).asnumpy(), rtol=1e-12)


# --- what several strips make again ---


def mixture(points, means, factors):
    """Likelihoods under Gaussians: the log of a sum over these keeps two strips apart."""
    d = points[:, None] - means[None]
    y = ops.einsum("kij,nkj->nki", factors, d)
    return ops.logsumexp(-(y * y).sum(-1), 1).sum()


@pytest.mark.parametrize(
    ("count", "cut", "times"),
    [(1_000, 40, 1), (3_000, 3_000, 0)],  # the cache holds little of one component of 3,000 points
)
def test_differences_of_pairs_are_made_by_each_strip_that_reads_them(
    count: int, cut: int, times: int
) -> None:
    rng = np.random.default_rng(0)
    kinds, size = 40, 8
    shapes = ((count, size), (kinds, size), (kinds, size, size))
    arrays = [Tensor(rng.standard_normal(s).astype(np.float32)) for s in shapes]
    gradient = jitgrad.grad(mixture, (1, 2))
    compiled = jitgrad.jit(gradient)
    steps = compiled.lower(*arrays).plan.steps
    nodes = [step.node for step in steps if step.node is not None]
    assert {n.attrs["extent"] for n in nodes if n.op.name == "strip"} == {cut}
    made = [v.nbytes for step in steps for v in step.writes]
    assert made.count(4 * count * kinds * size) == times
    for ours, want in zip(compiled(*arrays), gradient(*arrays), strict=True):
        scale = float(abs(want.asnumpy()).max())
        np.testing.assert_allclose(ours.asnumpy(), want.asnumpy(), atol=1e-4 * scale)
