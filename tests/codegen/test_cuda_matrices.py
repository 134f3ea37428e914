"""Orthogonal factors in the emulator: what they are for, ranks that are not full, gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, config, mint
from jitgrad.errors import LinAlgError
from jitgrad.ir.op import OPS, Sample
from jitgrad.tools.gpu import graph_of
from tests.codegen.backends import emulated, reference

RNG = np.random.default_rng(1)
TALL = [(1, 1), (3, 1), (5, 5), (7, 4), (2, 4, 3)]
SHAPES = [*TALL, (1, 3), (4, 7), (0, 3, 2), (0, 0), (3, 0)]
# n rotations or reflections, of n numbers each, lose a rounding each at most
BOUND = {"float32": 4e-5, "float64": 1e-13}


def matrices(shape: tuple[int, ...], dtype: str, rank: str) -> np.ndarray:
    a = RNG.standard_normal(shape)
    if rank == "twice":
        a[..., 1:2] = a[..., :1]
    return (a * (rank != "zero")).astype(dtype)


def run(op: str, attrs: dict, *arrays: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    graph = graph_of(OPS[op], Sample(arrays, attrs))
    return emulated(graph, [a.copy() for a in arrays]), reference(graph, arrays)


def assert_orthonormal(q: np.ndarray, bound: float) -> None:
    product = np.swapaxes(q, -1, -2) @ q
    np.testing.assert_allclose(
        product, np.broadcast_to(np.eye(q.shape[-1]), product.shape), atol=bound
    )


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rank", ["full", "twice", "zero"])
def test_singular_values(shape: tuple[int, ...], dtype: str, rank: str) -> None:
    a, bound, k = matrices(shape, dtype, rank), BOUND[dtype], min(shape[-2:])
    for full in (False, True):
        (u, s, vh), (_, want, _) = run("svd", {"full": full}, a)
        np.testing.assert_allclose(s, want, atol=bound)
        np.testing.assert_allclose(u[..., :k] * s[..., None, :] @ vh[..., :k, :], a, atol=bound)
        assert_orthonormal(u, bound)
        assert_orthonormal(np.swapaxes(vh, -1, -2), bound)
    limits = np.broadcast_to(np.array([1e-4, 0], dtype), (*shape[:-2], 2)).copy()
    (inverse,), (want,) = run("pinv", {}, a, limits)
    np.testing.assert_allclose(inverse, want, rtol=100 * bound, atol=100 * bound)


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("complete", [False, True])
def test_reflections(shape: tuple[int, ...], dtype: str, complete: bool) -> None:
    a, k = matrices(shape, dtype, "full"), min(shape[-2:])
    (q, r), (first, want) = run("qr", {"complete": complete}, a)
    np.testing.assert_allclose(q[..., :k], first[..., :k], atol=BOUND[dtype])
    np.testing.assert_allclose(r, want, atol=BOUND[dtype])
    assert_orthonormal(q, BOUND[dtype])


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("n", [0, 1, 2, 9])
@pytest.mark.parametrize("rank", ["full", "twice", "zero"])
def test_eigenvalues(n: int, dtype: str, rank: str) -> None:
    a = matrices((n, n), dtype, rank)
    a = a @ a.T if rank == "twice" else a + a.T
    scale = max(1.0, float(np.abs(a).sum()))
    (values, vectors), (want, _) = run("eigh", {}, a)
    np.testing.assert_allclose(values, want, atol=BOUND[dtype] * scale)
    np.testing.assert_allclose(a @ vectors, vectors * values, atol=BOUND[dtype] * scale)
    assert_orthonormal(vectors, BOUND[dtype])
    (power,), (want,) = run("expm", {}, a)
    bound = BOUND[dtype] * scale * float(np.abs(want).max(initial=0))  # each squaring doubles it
    np.testing.assert_allclose(power, want, rtol=0, atol=bound)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_sizes_whose_squares_are_out_of_range(size: float) -> None:
    a = RNG.standard_normal((4, 3)).astype(np.float32)
    for op, attrs, part in (("svd", {"full": False}, 1), ("qr", {"complete": False}, 1)):
        got, want = run(op, attrs, a * np.float32(size))
        np.testing.assert_allclose(got[part], want[part], rtol=1e-4, atol=1e-6 * size)


def invariant(a: Tensor) -> Tensor:
    """What no sign of a vector changes."""
    values, vectors = mint.linalg.eigh(a + a.T)
    u, s, vh = mint.linalg.svd(a)
    return (vectors**2 * values).sum() + ((u * s) @ vh * a).sum() + (u**4).sum() + s[0]


def test_gradients_that_no_sign_changes() -> None:
    a = Tensor(RNG.standard_normal((4, 4)))
    gradient: Callable = ms.grad(invariant)
    want = gradient(a).asnumpy()
    with config.override(cuda="emulate"):
        got = ms.jit(gradient, backend="cuda")(a).asnumpy()
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("op", ["svd", "eigh"])
def test_a_nan_is_reported(op: str) -> None:
    with pytest.raises(LinAlgError, match="did not converge"):
        run(op, {"full": False} if op == "svd" else {}, np.array([[np.nan, 1.0], [1.0, 2.0]]))
