"""take, scatter, their composites, and dynamic slices."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.autodiff.batch import batched
from jitgrad.errors import ArgumentError, BoundsError, DTypeError, ShapeError
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, constant, input_node
from jitgrad.ir.op import OPS
from jitgrad.ir.types import TensorType, float32, float64, int32
from jitgrad.primitives import block, gather, index

RNG = np.random.default_rng(0)
UFUNC = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def reals(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("op", ["take", "scatter", "dynamic_slice", "dynamic_update_slice"])
def test_laws(op, laws):
    laws.of_op(OPS[op])


def test_take_rows(laws):
    x, idx = reals(4, 3), np.array([[3, 0], [1, 1], [2, 3]])
    np.testing.assert_array_equal(laws.one(index.take, x, idx), x[idx])
    np.testing.assert_array_equal(laws.one(index.take, x, idx.astype(np.int32)), x[idx])
    for empty in (x[:0], x[:, :0]):
        none = np.zeros((2, 0), np.int64)
        assert laws.one(index.take, empty, none).shape == (2, 0, *empty.shape[1:])


@pytest.mark.parametrize(("bad", "extent"), [(4, 4), (-1, 4), (2**40, 4), (0, 0)])
@pytest.mark.parametrize("op", ["take", "scatter"])
def test_out_of_bounds(op, bad, extent, laws):
    x, idx = reals(extent, 3), np.array([bad])
    message = f"{op} got the index {bad} for an axis of extent {extent}"
    arrays, attrs = ([x, idx], {}) if op == "take" else ([x, idx, reals(1, 3)], {"mode": "add"})
    with pytest.raises(BoundsError, match=message):
        laws.run(lambda *a: OPS[op](*a, **attrs), *arrays)


def test_out_of_bounds_in_a_batch(laws):
    """An index outside its own example must not reach into the next one."""
    x = reals(3, 4, 2)
    nodes = laws.inputs_of([x[0], np.array([1])])
    for bad in (4, -1):
        idx = np.array([[1], [bad], [0]])
        sources = dict(zip(nodes, laws.inputs_of([x, idx], "b")))
        graph = Graph("f", list(sources.values()), batched([index.take(*nodes)], sources, 3))
        with pytest.raises(BoundsError):
            interpret(graph, [x, idx])


@pytest.mark.parametrize("mode", index.MODES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_scatter_in_order(mode, dtype, laws):
    """Against a loop that does it one by one, repeated indices and nan included."""
    base = (reals(5, 2) * 4).astype(dtype)
    idx = np.array([[3, 0, 3], [1, 3, 0]])
    updates = (reals(2, 3, 2) * 4).astype(dtype)
    if dtype != np.int32:
        updates[0, 0, 1] = base[1, 0] = np.nan
    want = base.copy()
    for place, value in zip(idx.reshape(-1), updates.reshape(-1, 2)):
        want[place] = value if mode == "set" else UFUNC[mode](want[place], value)
    got = laws.one(lambda *a: index.scatter(*a, mode=mode), base, idx, updates)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("mode", index.MODES)
def test_scatter_derivatives_with_repeats(mode, laws):
    idx = np.array([2, 0, 2, 2, 3])

    def f(base, updates):
        return index.scatter(base, constant(idx), updates, mode=mode)

    laws.twice(f, [reals(5, 3), reals(5, 3)])


def test_scatter_set_gives_gradient_to_the_last_writer(laws):
    idx = np.array([1, 0, 1])
    base, updates = reals(3), reals(3)
    vjp, arguments = laws.gradients(lambda *a: index.scatter(*a, mode="set"), [base, idx, updates])
    into_base, into_updates = laws.run(vjp, *arguments)
    g = arguments[-1]
    np.testing.assert_array_equal(into_base, [0, 0, g[2]])
    np.testing.assert_array_equal(into_updates, [0, g[0], g[1]])


def test_scatter_mul_gradient_at_zeros(laws):
    """One zero factor, two zero factors, none."""
    base, idx = np.array([0.0, 2, 3]), np.array([0, 1, 1, 1, 2])
    updates = np.array([5.0, 0, 0, 7, 4])

    def f(base, updates):
        return index.scatter(base, constant(idx), updates, mode="mul")

    laws.derivative(f, [base, updates])


def test_scatter_max_shares_ties(laws):
    base, idx, updates = np.array([1.0, 5]), np.array([0, 0, 1]), np.array([2.0, 2, 3])
    vjp, arguments = laws.gradients(lambda *a: index.scatter(*a, mode="max"), [base, idx, updates])
    arguments[-1] = np.array([1.0, 1.0])
    into_base, into_updates = laws.run(vjp, *arguments)
    np.testing.assert_array_equal(into_base, [0, 1])
    np.testing.assert_array_equal(into_updates, [0.5, 0.5, 0])


def test_unique_constant_indices_need_no_mask():
    base, updates = (input_node(n, TensorType(float64, (4,))) for n in "bu")
    for idx, ops in ((np.array([3, 0, 1, 2]), 1), (np.array([3, 0, 3, 2]), 2)):
        node = index.scatter(base, constant(idx), updates, mode="set")
        _, _, into_updates = node.op.vjp(node, base)
        assert (into_updates.op.name == "take") == (ops == 1)


def test_type_errors():
    x = input_node("x", TensorType(float32, (4, 3)))
    i = input_node("i", TensorType(int32, (2,)))
    scalar = input_node("s", TensorType(float32, ()))
    with pytest.raises(DTypeError, match=r"indices of type f32\[\]"):
        index.take(x, scalar)
    with pytest.raises(ShapeError, match=r"take got f32\[\]"):
        index.take(scalar, i)
    with pytest.raises(ShapeError, match=r"updates f32\[4,3\] for rows of f32\[4,3\]"):
        index.scatter(x, i, x, mode="add")
    with pytest.raises(ArgumentError, match="mode 'mean'"):
        index.scatter(x, i, x, mode="mean")
    with pytest.raises(ShapeError, match=r"block \(5, 1\) with 2 starts does not fit f32\[4,3\]"):
        block.dynamic_slice(x, *[input_node("j", TensorType(int32, ()))] * 2, sizes=(5, 1))
    with pytest.raises(DTypeError, match="each start is a scalar"):
        block.dynamic_slice(x, i, i, sizes=(1, 1))


# --- composites ---------------------------------------------------------------------------------


def test_gather_at_is_advanced_indexing(laws):
    x, i, j = reals(3, 4, 2), np.array([[2, 0], [1, 1]]), np.array([[3, 3], [0, 2]])
    np.testing.assert_array_equal(laws.one(lambda x, *k: gather.gather_at(x, k), x, i, j), x[i, j])
    updates = reals(2, 2, 2)

    def put(x, i, j, u):
        return gather.scatter_at(x, (i, j), u, "add")

    want = x.copy()
    np.add.at(want, (i, j), updates)
    np.testing.assert_allclose(laws.one(put, x, i, j, updates), want)
    laws.twice(put, [x, i, j, updates])
    laws.batching(put, [x, i, j, updates])


@pytest.mark.parametrize("bad", [(0, 4), (3, 0), (-1, 3), (0, -1)])
def test_gather_at_bounds_are_those_of_each_axis(bad, laws):
    """(0, 4) lies inside the flattened axes, but not inside its own."""
    i, j = (np.array([v]) for v in bad)
    with pytest.raises(BoundsError):
        laws.run(lambda x, *k: gather.gather_at(x, k), reals(3, 4), i, j)


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_gather_nd(depth, laws):
    x = reals(3, 2, 4)
    idx = RNG.integers(0, x.shape[:depth], (2, 5, depth), np.int32)
    want = x[tuple(idx[..., k] for k in range(depth))] if depth else [[x] * 5] * 2
    np.testing.assert_array_equal(laws.one(gather.gather_nd, x, idx), want)
    if depth:
        laws.batching(gather.gather_nd, [x, idx % 2])  # inside whichever axis it is shuffled to
        updates = reals(2, 5, *x.shape[depth:])
        into = x.copy()
        np.add.at(into, tuple(idx[..., k] for k in range(depth)), updates)
        got = laws.one(lambda *a: gather.scatter_nd(*a, "add"), x, idx, updates)
        np.testing.assert_allclose(got, into)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_take_axis(axis, shape, laws):
    x = reals(3, 4, 5)
    idx = RNG.integers(0, 3, shape)
    got = laws.one(lambda x, i: gather.take_axis(x, i, axis), x, idx)
    np.testing.assert_array_equal(got, np.take(x, idx, axis))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_take_along_axis(axis, laws):
    x = reals(3, 4, 2)
    shape = [3, 4, 2]
    shape[axis] = 5
    idx = RNG.integers(0, x.shape[axis], shape)

    def f(x, i):
        return gather.take_along_axis(x, i, axis)

    np.testing.assert_array_equal(laws.one(f, x, idx), np.take_along_axis(x, idx, axis))
    laws.twice(f, [x, idx])
    laws.batching(f, [x, idx])
    with pytest.raises(BoundsError):
        laws.run(f, x, np.full_like(idx, x.shape[axis]))


def test_elements_of_smaller_indices(laws):
    """As PyTorch's gather and scatter, indices may cover a part of the other axes."""
    x, idx, updates = reals(4, 3), np.array([[2, 0], [1, 1], [0, 2]]), reals(3, 2)
    want = np.array([[x[i, idx[i, j]] for j in range(2)] for i in range(3)])
    got = laws.one(lambda x, i: gather.gather_elements(x, i, 1), x, idx)
    np.testing.assert_array_equal(got, want)
    into = x.copy()
    for i in range(3):
        for j in range(2):
            into[i, idx[i, j]] += updates[i, j]

    def add(x, i, u):
        return gather.scatter_elements(x, i, u, 1, "add")

    np.testing.assert_allclose(laws.one(add, x, idx, updates), into)
    laws.twice(add, [x, idx, updates])
    laws.batching(add, [x, idx, updates])
    with pytest.raises(ShapeError, match="no larger extent"):
        laws.run(lambda x, i: gather.gather_elements(x, i, 0), x[:2], np.zeros((2, 4), np.int64))


# --- blocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [(-5, 0), (0, 1), (1, 2), (2, 9)])
def test_dynamic_slice_clamps(start, laws):
    x, update = reals(4, 5), reals(2, 3)
    starts = [np.array(s, np.int32) for s in start]
    i, j = (min(max(s, 0), limit) for s, limit in zip(start, (2, 2)))
    got = laws.one(lambda x, *s: block.dynamic_slice(x, *s, sizes=(2, 3)), x, *starts)
    np.testing.assert_array_equal(got, x[i : i + 2, j : j + 3])
    want = x.copy()
    want[i : i + 2, j : j + 3] = update
    got = laws.one(block.dynamic_update_slice, x, update, *starts)
    np.testing.assert_array_equal(got, want)


def test_dynamic_slice_of_a_scalar(laws):
    x = np.array(3.0)
    assert laws.one(lambda x: block.dynamic_slice(x, sizes=()), x) == 3
    assert laws.one(block.dynamic_update_slice, x, np.array(4.0)) == 4
