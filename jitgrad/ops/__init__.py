"""MindSpore's public `ops`: functions on Tensors, and Primitive classes made of them.

All of it is made of the ops declared in `jitgrad.primitives`, so derivatives of any order, batching
and compilation come with it. Importing this package gives Tensor its operators and methods.
"""

from __future__ import annotations

import difflib as _difflib

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


def __getattr__(name: str):
    """An unknown name names the nearest that exist."""
    if name in _COMPLEX:
        raise AttributeError(
            f"module 'jitgrad.ops' has no attribute {name!r}: it needs complex dtypes, which are "
            "not here"
        )
    near = _difflib.get_close_matches(name, [n for n in globals() if not n.startswith("_")], 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise AttributeError(f"module 'jitgrad.ops' has no attribute {name!r}{hint}")
