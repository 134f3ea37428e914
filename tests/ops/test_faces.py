"""`jitgrad.numpy` against NumPy, and `mint`'s parameters."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import scipy.linalg as sl
import scipy.special as sp

import jitgrad as ms
import jitgrad.mint.nn.functional as F
import jitgrad.numpy as mnp
from jitgrad import DType, Tensor, mint, ops
from jitgrad.scipy import linalg as scipy_linalg
from jitgrad.scipy import special

X = np.array([[0.5, -1.25, 2.0], [3.5, 0.25, -0.75]], np.float32)
Y = np.array([[1.5, 0.25, -2.0], [0.5, 2.25, 0.75]], np.float32)

NUMPY = {
    "sum": (X, 1), "mean": (X, 0), "std": (X, 1), "var": (X,), "max": (X, 1), "argmin": (X, 1),
    "prod": (X, 1), "cumsum": (X,), "transpose": (X,), "concatenate": ((X, Y), 1), "tile": (X, 2),
    "stack": ((X, Y), 1), "repeat": (X, 2, 1), "clip": (X, -1, 1), "diff": (X,), "append": (X, Y),
    "where": (X > 0, X, Y), "sort": (X, 0), "argsort": (X, 0), "unique": (X,), "dot": (X, Y.T),
    "pad": (X, ((1, 0), (2, 1))), "take": (X, [0, 2], 1), "trace": (X,), "diag": (X[0],),
    "average": (X, 0), "power": (abs(X), Y), "around": (X,), "tril": (X, -1), "split": (X, 3, 1),
    "meshgrid": (X[0], Y[0]), "expand_dims": (X, 1), "flip": (X, 0), "kron": (X, Y), "norm": (X,),
    "linspace": (0.0, 1.0, 5), "arange": (5,), "eye": (2, 3, 1), "full": ((2, 2), 3.5),
    "logaddexp": (X, Y), "searchsorted": (np.sort(X[0]), Y[0]), "squeeze": (X[None],),
    "vdot": (X, Y), "choose": (np.array([[1, 0, 1]]), (X, Y)),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMPY)
def test_numpy(name: str) -> None:
    def wrap(x):
        if isinstance(x, np.ndarray):
            return Tensor(x)
        return tuple(map(wrap, x)) if isinstance(x, tuple) and name != "pad" else x

    wanted = (np.linalg.norm if name == "norm" else getattr(np, name))(*NUMPY[name])
    found = getattr(mnp, name)(*map(wrap, NUMPY[name]))
    for ours, theirs in zip(*(v if isinstance(v, (list, tuple)) else [v] for v in (found, wanted))):
        assert ours.shape == np.shape(theirs)
        np.testing.assert_allclose(ours.asnumpy(), theirs, rtol=1e-5, atol=1e-6)


def test_mint() -> None:
    x, y = Tensor(X), Tensor(Y)
    assert mint.add(x, y, alpha=2).tolist() == (X + 2 * Y).tolist()
    np.testing.assert_allclose(mint.std(x, 1).asnumpy(), X.std(1, ddof=1), rtol=1e-6)
    values, indices = mint.max(x, dim=1)
    assert values.tolist() == X.max(1).tolist()
    assert indices.tolist() == [2, 0]
    assert mint.max(x).item() == 3.5
    assert mint.max(x, y).tolist() == np.maximum(X, Y).tolist()
    assert mint.transpose(x, 0, 1).tolist() == X.T.tolist()
    assert mint.gather(x, 1, Tensor([[0], [2]])).tolist() == [[0.5], [-0.75]]
    assert mint.equal(x, x) is True
    assert mint.softmax is ops.softmax
    with pytest.raises(AttributeError, match=r"did you mean .*softmax"):
        mint.softmx  # noqa: B018


def test_mint_functional() -> None:
    x = Tensor(X)
    assert F.leaky_relu(x).tolist()[0][1] == pytest.approx(-0.0125)
    assert F.conv2d(ops.ones((1, 1, 3, 3)), ops.ones((1, 1, 2, 2)), padding=1).shape == (1, 1, 4, 4)
    assert F.avg_pool2d(ops.ones((1, 1, 4, 4)), 2).shape == (1, 1, 2, 2)
    assert F.one_hot(Tensor([0, 2])).tolist() == [[1, 0, 0], [0, 0, 1]]
    norms = np.linalg.norm(F.normalize(x).asnumpy(), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)
    assert F.smooth_l1_loss(x, x).item() == 0


A = np.random.default_rng(3).uniform(-1, 1, (4, 4)) + 3 * np.eye(4)
S = A @ A.T

LINALG = {
    "cholesky": (S,), "cond": (A, 1), "cross": (A[:, :3], A[:, 1:]), "det": (A,), "inv": (A,),
    "diagonal": (A,), "eigvalsh": (S,), "matmul": (A, S), "matrix_norm": (A,),
    "outer": (X[0], X[1]), "matrix_power": (A, 3), "matrix_rank": (A,), "norm": (A, "nuc"),
    "pinv": (A[:3],), "slogdet": (A,), "solve": (A, S), "svdvals": (A,), "trace": (A,),
    "vecdot": (A, S), "vector_norm": (A,),
}  # fmt: skip


@pytest.mark.parametrize("name", LINALG)
def test_numpy_linalg(name: str) -> None:
    function = getattr(np.linalg, name, None) or getattr(np, name)
    agree(getattr(mnp.linalg, name), function, *LINALG[name])


SCIPY = {
    "cholesky": (S,), "cho_factor": (S, True), "eigh": (S,), "lu": (A,), "lu_factor": (A,),
    "solve_triangular": (A, S, 1), "qr": (A[:, :2],), "svd": (A[:2],), "expm": (A,),
    "block_diag": (A, X), "inv": (A,),
}  # fmt: skip


@pytest.mark.parametrize("name", SCIPY)
def test_scipy_linalg(name: str) -> None:
    def values(result):
        """What does not depend on signs and on unread triangles."""
        if name == "eigh":
            return result[0], (result[1] * result[0]) @ result[1].T
        if name == "svd":
            return result[0][:, :2] @ (result[1][:, None] * result[2][:2])
        return np.tril(result[0]) if name == "cho_factor" else result

    def ours(*args):
        found = getattr(scipy_linalg, name)(*args)
        found = found if isinstance(found, tuple) else (found,)
        arrays = tuple(x.asnumpy() if isinstance(x, Tensor) else x for x in found)
        return values(arrays if len(arrays) > 1 else arrays[0])

    agree(ours, lambda *args: values(getattr(sl, name)(*args)), *SCIPY[name])


def test_scipy_systems() -> None:
    a, s, b = Tensor(A), Tensor(S), Tensor(A[0])
    factor, solve = scipy_linalg.lu_factor, scipy_linalg.lu_solve
    np.testing.assert_allclose(solve(factor(a), s).asnumpy(), np.linalg.solve(A, S))
    factor, solve = scipy_linalg.cho_factor, scipy_linalg.cho_solve
    np.testing.assert_allclose(solve(factor(s), b).asnumpy(), np.linalg.solve(S, A[0]))
    values, vectors = (x.asnumpy() for x in scipy_linalg.eigh(s, s + 1))
    np.testing.assert_allclose(values, sl.eigh(S, S + 1)[0])
    np.testing.assert_allclose(S @ vectors, (S + 1) @ vectors * values, atol=1e-12)


B = np.array([0.5, 2.0, -0.25])
P, Q = np.linspace(0.25, 3.5, 7), np.linspace(2.5, 0.125, 7)
OF_TWO = {
    "beta", "betaln", "gammainc", "gammaincc", "kl_div", "rel_entr", "xlog1py", "xlogy",
}  # fmt: skip
OPERANDS = {
    "betainc": (P, Q, P / 4), "multigammaln": (P + 1, 2), "polygamma": (2, P), "zeta": (P + 1, Q),
    "erfinv": (P / 4,), "logit": (P / 4,), "ndtri": (P / 4,), "log_softmax": (S, 1),
    "softmax": (S,), "logsumexp": (S, None, A, False, True),
} | dict.fromkeys(OF_TWO, (P, Q))  # fmt: skip


@pytest.mark.parametrize("name", special.__all__)
def test_scipy_special(name: str) -> None:
    agree(getattr(special, name), getattr(sp, name), *OPERANDS.get(name, (P,)))


def test_scipy_special_at_the_edges() -> None:
    zero = np.array([0.0, 0.0, 1.0, -1.0])
    other = np.array([0.0, 1.0, 0.0, 1.0])
    agree(special.rel_entr, sp.rel_entr, zero, other)
    agree(special.kl_div, sp.kl_div, zero, other)
    agree(special.gamma, sp.gamma, np.array([0.0, -0.5, -1.0, -1.5, -2.0, -2.5, 20.5, np.inf]))
    infinite = np.array([np.inf, -np.inf, 1.0])
    for b in (np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, -1.0])):
        agree(special.logsumexp, sp.logsumexp, infinite, None, b)
        agree(special.logsumexp, sp.logsumexp, infinite[1:], 0, b[1:], True, True)
    slope = ms.grad(lambda x: special.logsumexp(x, b=Tensor(B)))(Tensor(infinite[2] * B))
    np.testing.assert_allclose(slope.asnumpy(), B * np.exp(B) / (B * np.exp(B)).sum())


def test_mint_linalg() -> None:
    a, s = Tensor(A), Tensor(S)
    found = mint.linalg.solve_triangular(a, s, upper=True, left=False).asnumpy()
    np.testing.assert_allclose(found @ np.triu(A), S)
    u, values, vh = (x.asnumpy() for x in mint.linalg.svd(a, False))
    np.testing.assert_allclose((u * values) @ vh, A)
    np.testing.assert_allclose(mint.linalg.vander(a, 3).asnumpy(), A[..., None] ** np.arange(3))
    lu, pivots = mint.linalg.lu_factor(a)
    np.testing.assert_allclose(mint.linalg.lu_solve(lu, pivots, s).asnumpy(), np.linalg.solve(A, S))
    np.testing.assert_allclose(mint.linalg.matrix_norm(a).asnumpy(), np.linalg.norm(A))
    np.testing.assert_allclose(mint.linalg.diagonal(a).asnumpy(), np.diagonal(A))


def agree(ours, theirs, *args) -> None:
    found = ours(*(Tensor(x) if isinstance(x, np.ndarray) else x for x in args))
    wanted = theirs(*args)
    for mine, other in zip(*(v if isinstance(v, (list, tuple)) else [v] for v in (found, wanted))):
        mine = mine.asnumpy() if isinstance(mine, Tensor) else mine
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-11)


def test_all_names() -> None:
    for module in (mint, mnp, F, mint.linalg, mnp.linalg, scipy_linalg, special):
        for name in module.__all__:
            found = getattr(module, name)
            known = callable(found) or isinstance(found, ModuleType)
            assert known or isinstance(found, DType) or hasattr(found, "__getitem__"), name


def test_arrays_of_traced_tensors() -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        return (mnp.array([[x * 2, y], [1.0, x * y]]) * Tensor([[1.0, 2.0], [3.0, 4.0]])).sum()

    x, y = Tensor(3.0), Tensor(5.0)
    for call in (f, ms.jit(f)):
        assert call(x, y).item() == 6 + 10 + 3 + 60
        assert [g.item() for g in ms.grad(call, (0, 1))(x, y)] == [2 + 20, 2 + 12]
    assert mnp.array([x, 2]).dtype is ms.float32
    assert mnp.array([x, 2], ms.int32).tolist() == [3, 2]


def test_sets() -> None:
    x, y = Tensor([1, 3, 4, 3]), Tensor([3, 1, 2, 1])
    assert mnp.intersect1d(x, y).tolist() == [1, 3]
    assert [v.tolist() for v in mnp.intersect1d(x, y, return_indices=True)] == [
        [1, 3],
        [0, 1],
        [1, 0],
    ]
    assert mnp.setdiff1d(x, y).tolist() == [4]


def test_numpy_places_in_order() -> None:
    at = np.array([22, 41, 37])
    for order in ("C", "F"):
        wanted = np.unravel_index(at, (7, 6), order=order)
        found = mnp.unravel_index(Tensor(at), (7, 6), order)
        assert [x.tolist() for x in found] == [x.tolist() for x in wanted]
        assert mnp.ravel_multi_index(ops.stack(found), (7, 6), order=order).tolist() == at.tolist()


def test_numpy_choose_beyond_the_last() -> None:
    choices = [[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23], [30, 31, 32, 33]]
    for mode in ("clip", "wrap"):
        wanted = np.choose([2, 4, 1, 0], choices, mode=mode)
        assert mnp.choose(Tensor([2, 4, 1, 0]), choices, mode).tolist() == wanted.tolist()
