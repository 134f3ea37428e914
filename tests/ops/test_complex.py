"""Complex Tensors: values as NumPy's, gradients as PyTorch's (dL/dx + i dL/dy), in all modes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, nn, ops
from jitgrad.errors import DTypeError, TapeError

RNG = np.random.default_rng(3)


def reals(*shape: int) -> np.ndarray:
    return RNG.uniform(0.3, 1.5, shape)


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


A, B, SQUARE = numbers(3, 4), numbers(3, 4), numbers(3, 3)
X = reals(3, 4)


@dataclass(frozen=True)
class Row:
    """`call` on Tensors gives what `reference` gives on arrays."""

    name: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: tuple[np.ndarray, ...] = (A,)


def row(name: str, call: Callable, reference: Callable, *inputs: np.ndarray) -> Row:
    return Row(name, call, reference, inputs or (A,))


def both(name: str, call: Callable, *inputs: np.ndarray) -> Row:
    return Row(name, call, call, inputs or (A,))


def transform(name: str, x: np.ndarray, **options: Any) -> Row:
    theirs = {{"dim": "axes" if name.endswith(("2", "n")) else "axis"}.get(k, k): v
              for k, v in options.items()}  # fmt: skip
    call, reference = getattr(ops, name), getattr(np.fft, name)
    title = " ".join([name, *map(str, options.values())])
    return row(title, lambda x: call(x, **options), lambda x: reference(x, **theirs), x)


UNARY = {
    "abs": np.abs, "angle": np.angle, "real": np.real, "imag": np.imag, "conj": np.conj,
    "sgn": np.sign, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log,
    "log1p": np.log1p, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt,
    "rsqrt": lambda z: 1 / np.sqrt(z), "reciprocal": np.reciprocal, "square": np.square,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh,
    "tanh": np.tanh, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "neg": np.negative,
    "mean": np.mean, "var": np.var, "norm": np.linalg.norm, "prod": np.prod, "tril": np.tril,
    "adjoint": lambda z: z.conj().T, "fftshift": np.fft.fftshift,
}  # fmt: skip
TABLE = [
    *(row(name, getattr(ops, name), f) for name, f in UNARY.items()),
    both("arithmetic", lambda z, w: (z * w - 2j) / (w + 3) + z, A, B),
    both("broadcast", lambda z, w: z * w[0] - w[:, :1], A, B),
    both("with reals", lambda z, x: x * z + 1j / z - x, A, X),
    both("of a number", lambda x: x * (1 + 2j), X),
    both("power", lambda z, w: z**w, A, B),
    *(both(f"power {n}", lambda z, n=n: z**n) for n in (3, -2, 0.5, 1.7)),
    both("matmul", lambda z, w: z @ w.T, A, B),
    row("einsum", lambda z, w: ops.einsum("ij,kj->ik", z, w), lambda z, w: z @ w.T, A, B),
    row("vecdot", ops.vecdot, lambda z, w: np.sum(z.conj() * w, -1), A, B),
    row("sums", lambda z: ops.cumsum(z, 0) + z.sum(1, keepdims=True),
        lambda z: np.cumsum(z, 0) + z.sum(1, keepdims=True)),
    row("product", lambda z: ops.prod(z, 0), lambda z: np.prod(z, 0)),
    both("index", lambda z: z[1:, ::2] * z[0, 1] + z[[0, 2]][:, 1:3]),
    row("join", lambda z, w: ops.concat([z, ops.stack([w[0], z[1]])]),
        lambda z, w: np.concatenate([z, np.stack([w[0], z[1]])]), A, B),
    row("where", lambda z, w: ops.where(ops.real(z) > 0, z * w, w),
        lambda z, w: np.where(z.real > 0, z * w, w), A, B),
    row("polar", ops.polar, lambda r, t: r * np.exp(1j * t), X, X[::-1].copy()),
    row("complex", lambda x: ops.complex(x, x * 2) ** 2, lambda x: (x + 2j * x) ** 2, X),
    row("as pairs", lambda z: ops.view_as_real(z * 2), lambda z: np.stack([2 * z.real, 2 * z.imag],
        -1)),
    row("of pairs", ops.view_as_complex, lambda x: x[..., 0] + 1j * x[..., 1], reals(3, 2)),
    *(transform(name, x) for name, x in (
        ("fft", A), ("ifft", A), ("hfft", A), ("irfft", A), ("rfft", X), ("ihfft", X),
        ("fft2", A), ("ifftn", A), ("rfft2", X), ("irfftn", A))),
    *(transform(name, x, n=n, dim=0, norm=norm) for name, x, n, norm in (
        ("fft", A, 5, "ortho"), ("ifft", A, 2, "forward"), ("rfft", X, 5, "forward"),
        ("irfft", A, 5, "ortho"), ("hfft", A, 6, "forward"), ("ihfft", X, 4, "ortho"))),
    *(transform(name, x, s=(4, 3), dim=(-1, 0), norm="ortho") for name, x in (
        ("fft2", A), ("fftn", A), ("rfftn", X), ("irfft2", A))),
    row("spectrum", lambda x: ops.abs(ops.fft(x)) ** 2, lambda x: np.abs(np.fft.fft(x)) ** 2, X),
]  # fmt: skip


def parts(y: Any) -> Any:
    """Real and imaginary parts as one array."""
    return np.stack([np.real(y), np.imag(y)])


def weights(row: Row) -> np.ndarray:
    shape = np.shape(row.reference(*row.inputs))
    return np.random.default_rng(1).normal(size=(2, *shape))


def loss_of(row: Row) -> Callable[..., Tensor]:
    """A real number that depends on all that comes out."""
    re, im = map(Tensor, weights(row))

    def loss(*xs: Tensor) -> Tensor:
        y = row.call(*xs)
        return ops.sum(ops.real(y) * re + ops.imag(y) * im)

    return loss


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_values_and_gradients(row: Row) -> None:
    """Values against NumPy, gradients against differences: of the tape, and forward."""
    leaves = [Tensor(x, requires_grad=True) for x in row.inputs]
    found, expected = row.call(*leaves).detach().asnumpy(), np.asarray(row.reference(*row.inputs))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, 1e-12, 1e-12)

    step, loss, h = (
        [RNG.normal(size=x.shape).astype(x.dtype) for x in row.inputs],
        loss_of(row),
        1e-6,
    )
    step = [t * (1 - 0.7j) if t.dtype.kind == "c" else t for t in step]
    ahead, behind = (
        np.sum(weights(row) * parts(row.reference(*(x + s * t for x, t in zip(row.inputs, step)))))
        for s in (h, -h)
    )
    slope = (ahead - behind) / (2 * h)
    loss(*leaves).backward()
    slopes = [leaf.grad.asnumpy() for leaf in leaves if leaf.grad is not None]
    along = sum(np.sum(np.real(np.conj(g) * t)) for g, t in zip(slopes, step, strict=True))
    scale = 1 + sum(np.abs(g).sum() for g in slopes)
    assert abs(along - slope) <= 1e-7 * scale  # h**2 of curvature, eps / h of rounding
    pushed = ms.jvp(loss, tuple(map(Tensor, row.inputs)), tuple(map(Tensor, step)))[1]
    assert abs(pushed.item() - along) <= 1e-12 * scale


def test_compiled() -> None:
    """What is no function of one number, as one program: values and gradients are those of the
    eager mode. (For functions see tests/passes/test_pairs.py.)
    """
    rows = TABLE[len(UNARY) :: 3]
    ends = np.cumsum([0, *(len(row.inputs) for row in rows)])
    given = [Tensor(x) for row in rows for x in row.inputs]

    def values(*xs: Tensor) -> tuple[Tensor, ...]:
        return tuple(row.call(*xs[a:b]) for row, a, b in zip(rows, ends, ends[1:]))

    def total(*xs: Tensor) -> Any:
        losses = [loss_of(row)(*xs[a:b]) for row, a, b in zip(rows, ends, ends[1:])]
        return (sum(losses), *values(*xs))

    gradient = ms.value_and_grad(total, tuple(range(len(given))), has_aux=True)
    (_, *found), slopes = ms.jit(gradient)(*given)
    (_, *expected), known = gradient(*given)
    names = [row.name for row in rows]
    of_inputs = [f"gradient of {row.name}" for row in rows for _ in row.inputs]
    for name, a, b in zip(
        [*names, *of_inputs], [*found, *slopes], [*expected, *known], strict=True
    ):
        scale = np.abs(b.asnumpy()).max()
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), 1e-12, 1e-13 * scale, err_msg=name)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_at_the_edges(dtype: type) -> None:
    """On the branch cuts, at 0 and far away the modes agree with NumPy, signs of zeros included."""
    with np.errstate(all="ignore"):
        parts = np.array([0.0, -0.0, 1.0, -2.0, 30.0, -30.0], dtype(0).real.dtype)
        grid = np.empty((6, 6), dtype)
        grid.real, grid.imag = parts[:, None], parts
        grid = grid.reshape(-1)
        tolerance = 8 * np.finfo(dtype).eps
        for name in ("sqrt", "exp", "tanh", "log", "acos", "asinh", "acosh", "abs"):
            found = ms.jit(getattr(ops, name))(Tensor(grid)).asnumpy()
            expected = UNARY[name](grid)
            np.testing.assert_allclose(found, expected, tolerance, tolerance, err_msg=name)
            assert (np.signbit(found.imag) == np.signbit(expected.imag)).all(), name
        huge = np.array([1e30 + 1e30j, 1e-30j], dtype)
        ratio = ms.jit(lambda z: z / (z + z))(Tensor(huge)).asnumpy()
        np.testing.assert_allclose(ratio, 0.5, tolerance)
        zero = ms.jit(lambda z: 1 / z)(Tensor(np.zeros(1, dtype))).asnumpy()
        assert np.isinf(zero.real).all()
        assert ms.jit(lambda z: z**2.5)(Tensor(np.zeros(1, dtype))).asnumpy() == 0


def test_control_flow() -> None:
    def f(z: Tensor, n: Tensor) -> Tensor:
        c, total = z, z * 0
        for i in range(n):
            z = z * z * 0.1 + c
            if ops.real(z).sum() > 0.5:
                total = total + z * i
            else:
                total = ops.conj(z) - total
        while ops.abs(z).sum() < 9.0:
            z = z * (1.1 + 0.2j)
        return ops.abs(total).sum() + ops.real(z * c).sum()

    z, n = Tensor(numbers(3)), Tensor(4)
    np.testing.assert_allclose(ms.jit(f)(z, n).asnumpy(), f(z, n).asnumpy(), 1e-12)
    slope = ms.grad(f)(z, n).asnumpy()
    np.testing.assert_allclose(ms.jit(ms.grad(f))(z, n).asnumpy(), slope, 1e-11)


def test_transforms() -> None:
    rows = Tensor(A)
    for wrap in (lambda f: f, ms.jit):
        mapped = wrap(ms.vmap(lambda z: ops.fft(z) * z))(rows).asnumpy()
        np.testing.assert_allclose(mapped, np.fft.fft(A) * A, 1e-12, 1e-12)
        _, pull = ms.vjp(lambda z: z * z, rows)
        np.testing.assert_allclose(pull(rows)[0].asnumpy(), 2 * A.conj() * A, 1e-12)
        second = wrap(ms.grad(lambda z: ops.abs(ms.grad(lambda w: ops.abs(w**2).sum())(z)).sum()))
        np.testing.assert_allclose(second(rows).asnumpy(), 2 * A / np.abs(A), 1e-12)


def test_a_network_with_complex_weights() -> None:
    class Net(nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.w = Parameter(Tensor(A[0]), name="w")

        def construct(self, x: Tensor) -> Tensor:
            return ops.abs(ops.sum(x * self.w, -1)).sum()

    net = Net()
    (slope,) = ms.grad(net, None, [net.w])(Tensor(B))
    sums = (B * A[0]).sum(-1, keepdims=True)
    np.testing.assert_allclose(slope.asnumpy(), (sums / np.abs(sums) * B.conj()).sum(0), 1e-12)
    with pytest.raises(DTypeError, match="optimizers take real Parameters, and w"):
        nn.Adam([net.w], 0.1)


def test_types() -> None:
    single, double = Tensor(A.astype(np.complex64)), Tensor(A)
    for value, dtype in (
        (Tensor(1j), ms.complex128), (Tensor([1.0]) * 1j, ms.complex64),
        (Tensor([1], ms.int64) + 1j, ms.complex64), (Tensor(X) * 1j, ms.complex128),
        (single * Tensor(X), ms.complex128), (single * double, ms.complex128),
        (single * 2.0, ms.complex64), (ops.fft(Tensor([1, 2])), ms.complex64),
        (ops.abs(single), ms.float32), (ops.ones(2, ms.complex64), ms.complex64),
        (Tensor([1.0]).astype(ms.complex128), ms.complex128), (single.conj().T, ms.complex64),
    ):  # fmt: skip
        assert value.dtype is dtype
    assert repr(Tensor(np.complex64(1 + 2j))) == "Tensor(shape=[], dtype=Complex64, value= 1+2j)"
    text = "Tensor(shape=[2], dtype=Complex128, value= [-1.5+0.866025j, 3-1j])"
    assert repr(Tensor([-1.5 + 0.8660254j, 3 - 1j])) == text
    assert (single == single).asnumpy().all()
    assert not ms.jit(lambda z: z != z)(single).asnumpy().any()
    assert complex(Tensor(1 + 2j)) == 1 + 2j
    assert ops.is_complex(single)


def test_gradients_of_complex_outputs_are_refused() -> None:
    z = Tensor(A, requires_grad=True)
    with pytest.raises(TypeError, match="the gradient of a complex output, of type c128"):
        ms.grad(lambda z: z * z)(Tensor(A))
    with pytest.raises(TapeError, match="only for real outputs"):
        (z * z).sum().backward()
    (z * z).backward(Tensor(B))
    assert z.grad is not None
    np.testing.assert_allclose(z.grad.asnumpy(), 2 * A.conj() * B, 1e-12)


def test_frames() -> None:
    signal = RNG.normal(size=(2, 50))
    window = np.hanning(8)
    found = ops.stft(Tensor(signal), 8, 3, window=Tensor(window), center=False, return_complex=True)
    frames = np.stack([signal[:, i : i + 8] * window for i in range(0, 43, 3)], 1)
    np.testing.assert_allclose(found.asnumpy(), np.fft.rfft(frames).swapaxes(1, 2), 1e-12, 1e-12)
    assert ops.stft(Tensor(signal), 8).shape == (2, 5, 26, 2)
    with pytest.raises(DTypeError, match="rfft got c128"):
        ops.rfft(Tensor(A))
    with pytest.raises(ValueError, match="fft got norm='half'"):
        ops.fft(Tensor(A), norm="half")


def test_numpy_asks_for_ours() -> None:
    x = Tensor(X)
    compiled = ms.jit(lambda x: np.abs(np.fft.rfft2(x, axes=(0, 1))) + np.angle(x[0, 0] * 1j))
    expected = np.abs(np.fft.rfft2(X)) + np.pi / 2
    np.testing.assert_allclose(compiled(x).asnumpy(), expected, 1e-12)
