"""Fourier transforms under NumPy's names and with its parameters; float32 stays what it is."""

from __future__ import annotations

from collections.abc import Callable

from jitgrad import ops
from jitgrad.ops import fftshift, hfft, ifft, ifftshift, ihfft, irfft, rfft
from jitgrad.ops.fourier import fft, fftfreq, rfftfreq
from jitgrad.ops.promote import named


def _along_two(name: str) -> Callable:
    of = getattr(ops, name)

    def function(a, s=None, axes=(-2, -1), norm=None):
        return of(a, s, axes, norm)

    return named(function, name, of.__doc__)


def _along_many(name: str) -> Callable:
    of = getattr(ops, name)

    def function(a, s=None, axes=None, norm=None):
        return of(a, s, axes, norm)

    return named(function, name, of.__doc__)


fft2, ifft2, rfft2, irfft2 = map(_along_two, ("fft2", "ifft2", "rfft2", "irfft2"))
hfft2, ihfft2 = map(_along_two, ("hfft2", "ihfft2"))
fftn, ifftn, rfftn, irfftn = map(_along_many, ("fftn", "ifftn", "rfftn", "irfftn"))
hfftn, ihfftn = map(_along_many, ("hfftn", "ihfftn"))

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2",
    "ifftn", "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2",
    "rfftfreq", "rfftn",
]  # fmt: skip
