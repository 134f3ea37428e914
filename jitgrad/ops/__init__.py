"""MindSpore's public `ops`: functions on Tensors, and Primitive classes made of them.

All of it is made of the ops declared in `jitgrad.primitives`, so derivatives of any order, batching
and compilation come with it. Importing this package gives Tensor its operators and methods.
"""

from __future__ import annotations

from importlib import import_module as _import_module

from jitgrad.errors import no_name as _no_name
from jitgrad.ops import methods as _methods
from jitgrad.ops.table import NAMES as _NAMES

globals().update(_NAMES)
_methods.install()

__all__ = sorted(_NAMES)


# What MindSpore has, and what would need complex dtypes.
_COMPLEX = {
    *("fft", "fft2", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft"),
    *("irfft", "irfft2", "irfftn", "polar", "rfft", "rfft2", "rfftn", "stft", "view_as_real"),
}


_FACES = ("composite", "functional", "operations")


def __getattr__(name: str):
    """A module of MindSpore's, or the error of an unknown name, which names the nearest."""
    if name in _FACES:
        return _import_module(f"{__name__}.{name}")
    why = "it needs complex dtypes, which are not here" if name in _COMPLEX else ""
    raise _no_name(__name__, name, globals(), why)
