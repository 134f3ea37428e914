"""Discrete Fourier transforms, and what belongs to them.

Names and arguments are MindSpore's, which are PyTorch's: `n` or `s` is how long the signal is taken
to be (cut off, or followed by zeros), `norm` where the scaling by the number of elements goes:
"backward" into the inverse (the default), "forward" into the transform itself, "ortho" one half
into each.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.ir.types import DType, float32
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ops import complex_numbers as parts
from jitgrad.ops import elementwise as e
from jitgrad.ops.gathering import take
from jitgrad.ops.promote import (
    apply,
    axis_of,
    cast,
    constant,
    named,
    one_of,
    shape_of,
    spellings,
    structure,
    tensor,
)
from jitgrad.ops.shaping import moveaxis, sliced
from jitgrad.ops.splitting import pad
from jitgrad.primitives import complex as primitive
from jitgrad.tensor import Tensor

NORMS = (None, "backward", "ortho", "forward")


# --- signals of the length that is asked for --------------------------------------------------


def _signal(name: str, input: Any, *, is_real: bool = False) -> Tensor:
    """The operand: as complex numbers, or checked to be real."""
    x = tensor(name, input)
    if not is_real:
        return cast(x, x.dtype.complex)
    if x.dtype.is_complex:
        raise fail(
            DTypeError,
            f"{name} got {x._type}",
            why="it takes real numbers",
            instead="ops.fft, or the transform of ops.real(x)",
        )
    return x


def _resized(name: str, x: Tensor, axis: int, n: int) -> Tensor:
    """The first n elements along an axis, with zeros behind those that there are."""
    if n < 1:
        raise fail(ArgumentError, f"{name} of length {n} along axis {axis}", why="it is at least 1")
    if n <= x.shape[axis]:
        return sliced(x, axis, 0, n)
    none = (0,) * x.ndim
    high = (*none[:axis], n - x.shape[axis], *none[axis + 1 :])
    return apply(structure.pad, x, low=none, high=high, interior=none)


def _axes(name: str, x: Tensor, s: Any, dim: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of a transform of several, and the lengths asked for: -1 for what there is."""
    lengths = None if s is None else shape_of(name, s)
    if dim is None:
        count = x.ndim if lengths is None else len(lengths)
        if count > x.ndim:
            raise fail(ShapeError, f"{name} of {x._type} with s={lengths}", why="it has fewer axes")
        axes = tuple(range(x.ndim - count, x.ndim))
    else:
        axes = tuple([axis_of(name, a, x.ndim) for a in shape_of(name, dim)])
    if len(set(axes)) != len(axes) or (lengths is not None and len(lengths) != len(axes)):
        raise fail(ArgumentError, f"{name} got s={s} and dim={dim}", why="each axis has one length")
    return axes, lengths or (-1,) * len(axes)


def _scaled(x: Tensor, count: int, norm: str | None, inverse: bool) -> Tensor:
    """A transform of so many elements with the scaling that belongs to it."""
    if norm == "ortho":
        return e.mul(x, 1 / math.sqrt(count))
    into = (norm == "forward") != inverse
    return e.mul(x, 1 / count) if into and count > 1 else x


def _sums(x: Tensor, axes: Sequence[int], inverse: bool) -> Tensor:
    """The transform along axes, not scaled."""
    if not axes:
        return x
    return apply(primitive.dft, x, axes=tuple(sorted(axes)), inverse=inverse)


# --- the transforms -----------------------------------------------------------------------------


def _complex(name: str, x: Any, s: Any, dim: Any, norm: str | None, inverse: bool) -> Tensor:
    """From complex numbers to complex numbers."""
    one_of(name, "norm", norm, NORMS)
    x = _signal(name, x)
    axes, lengths = _axes(name, x, s, dim)
    for axis, n in zip(axes, lengths, strict=True):
        x = _resized(name, x, axis, x.shape[axis] if n == -1 else n)
    count = math.prod(x.shape[a] for a in axes)
    return _scaled(_sums(x, axes, inverse), count, norm, inverse)


def _half(name: str, x: Any, s: Any, dim: Any, norm: str | None, inverse: bool) -> Tensor:
    """From real numbers to the half of the spectrum that says it all."""
    one_of(name, "norm", norm, NORMS)
    x = _signal(name, x, is_real=True)
    axes, lengths = _axes(name, x, s, dim)
    for axis, n in zip(axes, lengths, strict=True):
        x = _resized(name, x, axis, x.shape[axis] if n == -1 else n)
    if not axes:
        raise fail(ArgumentError, f"{name} along no axis", why="one is halved")
    count = math.prod(x.shape[a] for a in axes)
    last, size = axes[-1], x.shape[axes[-1]]
    half = sliced(_sums(cast(x, x.dtype.complex), (last,), inverse), last, 0, size // 2 + 1)
    return _scaled(_sums(half, axes[:-1], inverse), count, norm, inverse)


def _whole(name: str, x: Any, s: Any, dim: Any, norm: str | None, inverse: bool) -> Tensor:
    """From half of a spectrum to the real numbers that it is of: what is left out is the conjugate
    of what is there, so that everything but its ends counts twice.
    """
    one_of(name, "norm", norm, NORMS)
    x = _signal(name, x)
    axes, lengths = _axes(name, x, s, dim)
    if not axes:
        raise fail(ArgumentError, f"{name} along no axis", why="one is made whole")
    last = axes[-1]
    size = 2 * (x.shape[last] - 1) if lengths[-1] == -1 else lengths[-1]
    for axis, n in zip(axes[:-1], lengths, strict=False):
        x = _resized(name, x, axis, x.shape[axis] if n == -1 else n)
    if size < 1:
        raise fail(ArgumentError, f"{name} of length {size}", why="it is at least 1")
    half = _resized(name, x, last, size // 2 + 1)
    weights = np.full(size // 2 + 1, 2, x.dtype.real.numpy)
    weights[0] = 1
    if size % 2 == 0:
        weights[-1] = 1
    shape = [1] * x.ndim
    shape[last] = -1
    weighted = e.mul(_sums(half, axes[:-1], inverse), constant(weights.reshape(shape)))
    out = parts.real(_sums(_resized(name, weighted, last, size), (last,), inverse))
    return _scaled(out, math.prod(out.shape[a] for a in axes), norm, inverse)


Kind = Callable[..., Tensor]
PARAMETERS = """

    Args:
        input: Tensor, array or numbers{of}.
        {length}
        norm: "backward" (or None), "ortho" or "forward".

    Raises:
        ArgumentError (a ValueError): no such norm, a length below 1, an axis twice.
    """


def _along_one(name: str, kind: Kind, inverse: bool, doc: str, of: str = "") -> Callable:
    def function(input, n=None, dim=-1, norm=None):
        x = tensor(name, input)
        return kind(
            name, x, None if n is None else (n,), (axis_of(name, dim, x.ndim),), norm, inverse
        )

    length = "n: the length along the axis `dim`."
    return spellings(named(function, name, doc + PARAMETERS.format(of=of, length=length)))


def _along_two(name: str, kind: Kind, inverse: bool, doc: str, of: str = "") -> Callable:
    def function(input, s=None, dim=(-2, -1), norm=None):
        return kind(name, input, s, dim, norm, inverse)

    length = "s: the lengths along the axes `dim`."
    return spellings(named(function, name, doc + PARAMETERS.format(of=of, length=length)))


def _along_many(name: str, kind: Kind, inverse: bool, doc: str, of: str = "") -> Callable:
    def function(input, s=None, dim=None, norm=None):
        return kind(name, input, s, dim, norm, inverse)

    length = "s: the lengths along the axes `dim`; by default along the last ones, or all."
    return spellings(named(function, name, doc + PARAMETERS.format(of=of, length=length)))


REAL, HALF = ", all real", ": the first half of a spectrum, up to and including the middle"
_FFT, _IFFT = "Discrete Fourier transform", "Inverse discrete Fourier transform"
_RFFT = f"{_FFT} of real numbers: the first half of the spectrum"
_IRFFT = "The real numbers of which `rfft` gives this half of a spectrum"
_HFFT = f"{_FFT} of a signal of which half is given, the rest being its conjugate: real numbers"
_IHFFT = "The inverse of `hfft`: half of a signal whose spectrum is real"
fft = _along_one("fft", _complex, False, f"{_FFT} along one axis.")
ifft = _along_one("ifft", _complex, True, f"{_IFFT} along one axis.")
fft2 = _along_two("fft2", _complex, False, f"{_FFT} along two axes.")
ifft2 = _along_two("ifft2", _complex, True, f"{_IFFT} along two axes.")
fftn = _along_many("fftn", _complex, False, f"{_FFT} along several axes.")
ifftn = _along_many("ifftn", _complex, True, f"{_IFFT} along several axes.")
rfft = _along_one("rfft", _half, False, f"{_RFFT}, along one axis.", REAL)
rfft2 = _along_two("rfft2", _half, False, f"{_RFFT}, along two axes.", REAL)
rfftn = _along_many("rfftn", _half, False, f"{_RFFT}, along several axes.", REAL)
irfft = _along_one("irfft", _whole, True, f"{_IRFFT}, along one axis.", HALF)
irfft2 = _along_two("irfft2", _whole, True, f"{_IRFFT}, along two axes.", HALF)
irfftn = _along_many("irfftn", _whole, True, f"{_IRFFT}, along several axes.", HALF)
hfft = _along_one("hfft", _whole, False, f"{_HFFT}; along one axis.", HALF)
hfft2 = _along_two("hfft2", _whole, False, f"{_HFFT}; along two axes.", HALF)
hfftn = _along_many("hfftn", _whole, False, f"{_HFFT}; along several axes.", HALF)
ihfft = _along_one("ihfft", _half, True, f"{_IHFFT}; along one axis.", REAL)
ihfft2 = _along_two("ihfft2", _half, True, f"{_IHFFT}; along two axes.", REAL)
ihfftn = _along_many("ihfftn", _half, True, f"{_IHFFT}; along several axes.", REAL)


def with_size(
    signal_ndim, inverse, real, norm="backward", onesided=True, signal_sizes=()
) -> Callable:
    """The transform along the last `signal_ndim` axes that these options choose."""
    dim = tuple(range(-signal_ndim, 0))
    if not real:
        return functools.partial(ifftn if inverse else fftn, dim=dim, norm=norm)
    if inverse:
        if onesided:
            return functools.partial(irfftn, s=tuple(signal_sizes) or None, dim=dim, norm=norm)
        return lambda x: parts.real(ifftn(x, None, dim, norm))
    if onesided:
        return functools.partial(rfftn, dim=dim, norm=norm)
    return functools.partial(fftn, dim=dim, norm=norm)


# --- frequencies and frames ---------------------------------------------------------------------


def fftfreq(n, d=1.0, dtype=None):
    """The frequencies that belong to the elements of `fft` of n samples in steps of d.

    >>> ops.fftfreq(4).tolist()
    [0.0, 0.25, -0.5, -0.25]
    """
    return constant(np.fft.fftfreq(n, d).astype(_dtype(dtype).numpy))


def rfftfreq(n, d=1.0, dtype=None):
    """The frequencies that belong to the elements of `rfft` of n samples in steps of d.

    >>> ops.rfftfreq(4).tolist()
    [0.0, 0.25, 0.5]
    """
    return constant(np.fft.rfftfreq(n, d).astype(_dtype(dtype).numpy))


def _dtype(of: Any) -> DType:
    return float32 if of is None else dtype_of(of)


def stft(
    x,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    pad_mode="REFLECT",
    normalized=False,
    onesided=None,
    return_complex=None,
):
    """Short-time Fourier transform: the spectrum of each of many overlapping frames.

    Args:
        x: signals, [time] or [batch, time].
        n_fft: elements of a frame.
        hop_length: from one frame to the next; n_fft // 4 by default.
        win_length, window: weights of a frame's elements, in its middle; 1 by default.
        center: whether frames are centred at multiples of the hop, the signal being continued
            at both ends as `pad_mode` says ("constant", "reflect", "replicate" or "circular").
        normalized: whether to divide by the root of n_fft.
        onesided: whether to give half of each spectrum, by default if the signal is real.
        return_complex: whether to give complex numbers [..., frequency, frame], by default if the
            signal or the window is complex; otherwise a last axis of real and imaginary parts.

    >>> ops.stft(ops.ones((2, 100)), 16).shape
    (2, 9, 26, 2)
    """
    x = tensor("stft", x)
    if x.ndim not in (1, 2):
        raise fail(ShapeError, f"stft of {x._type}", why="it takes [time] or [batch, time]")
    hop = n_fft // 4 if hop_length is None else hop_length
    weights = None if window is None else tensor("stft", window)
    is_complex = x.dtype.is_complex or (weights is not None and weights.dtype.is_complex)
    if center:
        rows = x if x.ndim == 2 else x.unsqueeze(0)
        x = pad(rows, (n_fft // 2, n_fft // 2), pad_mode.lower()).reshape((*x.shape[:-1], -1))
    if x.shape[-1] < n_fft or hop < 1:
        raise fail(
            ArgumentError,
            f"stft of {x.shape[-1]} elements with n_fft={n_fft} and hop_length={hop}",
            why="there is no frame",
        )
    starts = np.arange(0, x.shape[-1] - n_fft + 1, hop)
    frames = take(x, constant(starts[:, None] + np.arange(n_fft)), -1)
    if weights is not None:
        frames = e.mul(frames, _centred(weights, n_fft))
    elif win_length is not None:
        frames = e.mul(frames, _centred(constant(np.ones(win_length, np.float32)), n_fft))
    half = not is_complex if onesided is None else onesided
    spectra = (rfft if half and not is_complex else fft)(frames)
    if half and is_complex:
        spectra = sliced(spectra, spectra.ndim - 1, 0, n_fft // 2 + 1)
    out = moveaxis(spectra, -1, -2)
    out = e.mul(out, 1 / math.sqrt(n_fft)) if normalized else out
    whole = is_complex if return_complex is None else return_complex
    return out if whole else parts.view_as_real(out)


def _centred(window: Tensor, count: int) -> Tensor:
    """A window with zeros at both sides."""
    left = (count - window.shape[0]) // 2
    if left < 0 or window.ndim != 1:
        raise fail(ShapeError, f"stft got a window of {window._type} for {count} elements")
    return pad(window, (left, count - window.shape[0] - left))


__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ihfft",
    "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn", "stft",
]  # fmt: skip
