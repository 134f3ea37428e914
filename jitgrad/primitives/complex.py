"""Complex numbers: their parts, and the discrete Fourier transform.

Derivatives of all ops are written for the pairing Re(g * t) of a cotangent and a tangent, so that
rules of real numbers hold for complex ones; `jitgrad.autodiff.reverse.pull` turns cotangents into
gradients and back. Kernels know no complex numbers: `jitgrad.passes.pairs` makes pairs of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jitgrad.errors import ShapeError, fail
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, TensorType, Type
from jitgrad.primitives.declare import COMPLEX, FLOAT, structural, tensor_type, zeros
from jitgrad.primitives.elementwise import div, equal, neg, select
from jitgrad.primitives.shape import cast, lead


def _batch(node: Node, inputs, batched, size: int) -> Node:
    return node.op(*inputs, **node.attrs)


def _draw(dtype: DType) -> np.ndarray:
    """Numbers on all sides of 0, for samples."""
    values = np.arange(12).reshape(3, 4) * 5 % 12 - 5.5
    return (values + 1j * values.T.reshape(3, 4)).astype(dtype.numpy)


def _one_sample(dtype: DType) -> Iterable[Sample]:
    if dtype.is_complex:
        yield Sample((_draw(dtype),))


@structural("elementwise")
class real:
    """The real part."""

    linear = True
    batch, samples = _batch, _one_sample

    def infer(types, attrs) -> Type:
        x = tensor_type("real", types[0], COMPLEX)
        return x.with_dtype(x.dtype.real)

    def numpy(x):
        return np.real(x)

    def transpose(node: Node, g: Node):
        return (cast(g, dtype=node.inputs[0].dtype),)


@structural("elementwise")
class imag:
    """The imaginary part."""

    linear = True
    batch, samples = _batch, _one_sample

    def infer(types, attrs) -> Type:
        x = tensor_type("imag", types[0], COMPLEX)
        return x.with_dtype(x.dtype.real)

    def numpy(x):
        return np.imag(x)

    def transpose(node: Node, g: Node):
        return (complex_(zeros(g.type), neg(g)),)


@structural("elementwise")
class complex_:
    """The complex number with these parts."""

    linear = True

    def infer(types, attrs) -> Type:
        re, im = (tensor_type("complex", t, FLOAT) for t in types)
        if re is not im or re.dtype.complex.real is not re.dtype:
            raise fail(
                ShapeError, f"complex got {re} and {im}", why="parts are float32 or float64, alike"
            )
        return re.with_dtype(re.dtype.complex)

    def numpy(re, im):
        made = np.empty(re.shape, np.result_type(re, np.complex64))
        made.real, made.imag = re, im
        return made

    def transpose(node: Node, g: Node):
        return real(g), neg(imag(g))

    def batch(node: Node, inputs, batched, size: int):
        spread = [x if is_in else lead(x, size) for x, is_in in zip(inputs, batched, strict=True)]
        return complex_(*spread)

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.is_complex:
            x = _draw(dtype)
            yield Sample((x.real.copy(), x.imag.copy()))


@structural("elementwise")
class conj:
    """The complex conjugate."""

    linear = True
    batch, samples = _batch, _one_sample

    def infer(types, attrs) -> Type:
        return tensor_type("conj", types[0], COMPLEX)

    def numpy(x):
        return np.conj(x)

    def transpose(node: Node, g: Node):
        return (conj(g),)


def is_complex(node: Node) -> bool:
    """Whether a value is a Tensor of complex numbers."""
    type = node.type
    return type.__class__ is TensorType and type.dtype.kind == "c"


def has_complex(graph: Graph) -> bool:
    """Whether there are complex numbers in a graph, or in the body of one of its regions."""
    for node in graph.nodes:
        if is_complex(node):
            return True
        bodies = node.attrs.values() if node.op.kind == "region" else ()
        if any(isinstance(body, Graph) and has_complex(body) for body in bodies):
            return True
    return False


def conjugated(x: Node) -> Node:
    """The conjugate of a complex node; a real one itself."""
    if not is_complex(x):
        return x
    return x.inputs[0] if x.op is conj else conj(x)


@structural("elementwise")
class magnitude:
    """The absolute value of a complex number. Its derivative at 0 is 0."""

    batch, samples = _batch, _one_sample

    def infer(types, attrs) -> Type:
        x = tensor_type("magnitude", types[0], COMPLEX)
        return x.with_dtype(x.dtype.real)

    def numpy(x):
        return np.abs(x)

    def vjp(node: Node, g: Node):
        (x,) = node.inputs
        return (cast(g, dtype=x.dtype) * conj(_direction(node)),)

    def jvp(node: Node, tangents):
        (t,) = tangents
        return None if t is None else real(conj(_direction(node)) * t)


def _direction(node: Node) -> Node:
    """A complex number over its magnitude, 0 for 0."""
    (x,) = node.inputs
    at_zero = equal(node, zeros(node.type))
    return select(at_zero, zeros(x.type), div(x, cast(node, dtype=x.dtype)))


@structural("call")
class dft:
    """The discrete Fourier transform along `axes`, without any scaling:

    out[k] = sum over j of x[j] * exp(-+ 2 pi i j k / n), with + if `inverse`.
    """

    linear = True

    def infer(types, attrs) -> Type:
        x, axes = tensor_type("dft", types[0], COMPLEX), attrs["axes"]
        if sorted(set(axes)) != list(axes) or any(
            not 0 <= a < x.ndim or x.shape[a] < 1 for a in axes
        ):
            raise fail(
                ShapeError,
                f"a Fourier transform of {x} along axes {axes}",
                why="axes are not empty",
            )
        return x

    def numpy(x, axes, inverse):
        return transformed(x, axes, inverse)

    def transpose(node: Node, g: Node):
        return (dft(g, **node.attrs),)

    def batch(node: Node, inputs, batched, size: int):
        return dft(inputs[0], **{**node.attrs, "axes": tuple(a + 1 for a in node.attrs["axes"])})

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.is_complex:
            yield Sample((_draw(dtype),), {"axes": (1,), "inverse": False})
            yield Sample((_draw(dtype),), {"axes": (0, 1), "inverse": True})


def transformed(x: np.ndarray, axes: tuple[int, ...], inverse: bool) -> np.ndarray:
    """The transform of an array by SciPy, in its own precision."""
    from scipy import fft

    if inverse:
        return fft.ifftn(x, axes=axes, norm="forward")
    return fft.fftn(x, axes=axes, norm="backward")


__all__ = [
    "complex_", "conj", "conjugated", "dft", "has_complex", "imag", "is_complex", "magnitude",
    "real", "transformed",
]  # fmt: skip
