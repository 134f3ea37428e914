"""Random programs have one derivative, whoever computes it: the tape, reverse mode, forward mode,
batches of directions, differences, and compiled code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jitgrad import Tensor
from jitgrad.autodiff.batch import batched
from jitgrad.autodiff.forward import tangents
from jitgrad.autodiff.reverse import reverse
from jitgrad.frontend import history
from jitgrad.frontend.replay import replay
from jitgrad.frontend.straight import straight
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, full, input_node
from jitgrad.runtime.executable import compile_graph
from tests.strategies import BITWISE, SMOOTH, graphs, real_arrays, values_of

SEEDS = st.integers(0, 2**32 - 1)
LARGE = 1e6  # beyond, products and their derivatives may overflow in one mode only
EPS = np.finfo(np.float64).eps
QUICK = {"suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}


def forward(graph: Graph) -> Graph:
    """The tangent of each output, for those of the inputs, which follow them."""
    seeds = {x: input_node(f"t{i}", x.type) for i, x in enumerate(graph.inputs)}
    found = tangents(graph.outputs, seeds)
    filled = [full(0, o.type) if t is None else t for o, t in zip(graph.outputs, found)]
    return Graph("forward", [*graph.inputs, *seeds.values()], filled)


def moderate(graph: Graph, arrays: Sequence[np.ndarray]) -> float:
    """The largest of all values of a program; no example if it is too large, or none."""
    with np.errstate(all="ignore"):
        sizes = [np.abs(v).max(initial=0) for v in values_of(graph, arrays).values()]
    size = float(np.max(sizes))  # nan if any is
    assume(size < LARGE)
    return size


def by_tape(graph: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The gradients of the sum of all outputs, PyTorch's way."""
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    followed = [y for y in replay(graph, xs) if y.requires_grad]
    if not followed:
        return [np.zeros(a.shape) for a in arrays]
    ones = [Tensor(np.ones(y.shape)) for y in followed]
    found = history.gradients(followed, xs, ones, allow_unused=True)
    return [
        np.zeros(a.shape) if g is None else g.asnumpy() for a, g in zip(arrays, found, strict=True)
    ]


@settings(max_examples=1200, **QUICK)
@given(graph=graphs(SMOOTH, steps=8), seed=SEEDS)
def test_all_modes_agree(graph: Graph, seed: int) -> None:
    arrays = real_arrays([x.type for x in graph.inputs], seed, specials=False)
    directions = real_arrays([x.type for x in graph.inputs], seed + 1, specials=False)
    gradient, push = reverse(graph, range(len(arrays))), forward(graph)
    size = max(moderate(gradient, arrays), moderate(push, [*arrays, *directions]))
    found = interpret(gradient, arrays)[len(graph.outputs) :]
    close = {"rtol": 1e-9, "atol": 1e-11 * size}
    for g, t in zip(found, by_tape(graph, arrays), strict=True):
        np.testing.assert_allclose(t, g, **close)
    slopes = interpret(push, [*arrays, *directions])
    by_forward = sum(float(t.sum()) for t in slopes)
    by_reverse = sum(float((g * d).sum()) for g, d in zip(found, directions, strict=True))
    count = sum(a.size for a in arrays)
    np.testing.assert_allclose(by_forward, by_reverse, rtol=1e-8, atol=1e-10 * size * count)


@settings(max_examples=500, **QUICK)
@given(graph=graphs(SMOOTH, steps=6), seed=SEEDS)
def test_derivatives_are_slopes(graph: Graph, seed: int) -> None:
    """Of two difference quotients, whose distance says how far they are from the derivative."""
    arrays = real_arrays([x.type for x in graph.inputs], seed, specials=False)
    directions = real_arrays([x.type for x in graph.inputs], seed + 1, specials=False)
    size = moderate(forward(graph), [*arrays, *directions])
    found = interpret(forward(graph), [*arrays, *directions])

    def quotients(step: float) -> list[np.ndarray]:
        ends = [[a + h * d for a, d in zip(arrays, directions)] for h in (step, -step)]
        for end in ends:
            moderate(graph, end)
        high, low = (interpret(graph, end) for end in ends)
        return [(a - b) / (2 * step) for a, b in zip(high, low)]

    step = 1e-4
    for t, near, far in zip(found, quotients(step), quotients(2 * step), strict=True):
        apart = np.abs(near - far)
        if t.size and apart.max() > 1e-3 * max(1, size):
            continue  # a corner, or too steep for this step
        allowed = apart + 1e3 * EPS * size / step
        assert np.all(np.abs(t - near) <= allowed), (t, near, far)


@settings(max_examples=200, **QUICK)
@given(graph=graphs(SMOOTH, steps=6), seed=SEEDS)
def test_directions_in_a_batch(graph: Graph, seed: int) -> None:
    arrays = real_arrays([x.type for x in graph.inputs], seed, specials=False)
    push, count = forward(graph), 3
    points, moves = push.inputs[: len(arrays)], push.inputs[len(arrays) :]
    wide = {
        m: input_node(f"b{i}", m.type.with_shape((count, *m.shape))) for i, m in enumerate(moves)
    }
    spread = Graph("wide", [*points, *wide.values()], batched(push.outputs, wide, count))
    stacks = real_arrays([w.type for w in wide.values()], seed, specials=False)
    together = interpret(spread, [*arrays, *stacks])
    for i in range(count):
        alone = interpret(push, [*arrays, *(s[i] for s in stacks)])
        size = moderate(push, [*arrays, *(s[i] for s in stacks)])
        for many, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(many[i], one, rtol=1e-9, atol=1e-11 * size)


@settings(max_examples=24, **QUICK)  # each one compiles
@given(graph=graphs(SMOOTH, steps=8), seed=SEEDS)
def test_compiled_gradients(graph: Graph, seed: int) -> None:
    arrays = real_arrays([x.type for x in graph.inputs], seed, specials=False)
    gradient = reverse(graph, range(len(arrays)))
    size = moderate(gradient, arrays)
    found = compile_graph(gradient, {})(*arrays)
    for a, b in zip(found, interpret(gradient, arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10 * size)


@settings(max_examples=300, **QUICK)
@given(graph=graphs(BITWISE), seed=SEEDS)
def test_written_out_graphs(graph: Graph, seed: int) -> None:
    """What the tape runs has the bits of the interpreter."""
    arrays = real_arrays([x.type for x in graph.inputs], seed, specials=True)
    with np.errstate(all="ignore"):
        found = straight(graph)(*arrays)
    for a, b in zip(found, interpret(graph, arrays), strict=True):
        assert (type(a), a.dtype, a.shape) == (np.ndarray, b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
