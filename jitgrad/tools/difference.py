"""How far apart two results are: in absolute terms, and in steps of their dtype."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.ir.types import TensorType, of_array
from jitgrad.tensor import Tensor

# How far two results of the same program may be apart, as a part of the largest value: both modes
# round, and sum in different orders.
TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-10}
CLOSE = 4  # steps of the dtype that are rounding, however small the values are
# What is left of large numbers that cancel is rounding too: the gradient of a bias ahead of a
# normalization, say, which is exactly 0. It is measured against the results it came with.
CANCELLED = 32  # steps of the dtype at the largest of them


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One result of both modes: an output, a gradient, or a value that was written.

    `around` is the largest magnitude among the results that it came with.
    """

    name: str
    type: TensorType
    eager: np.ndarray
    compiled: np.ndarray
    around: float = 0.0

    @property
    def scale(self) -> float:
        """The largest finite magnitude."""
        eager = _reals(self.eager)
        finite = np.abs(eager[np.isfinite(eager)].astype(np.float64))
        return float(finite.max(initial=0.0))

    @property
    def absolute(self) -> float:
        """The largest absolute difference. Equal infinities differ by 0, and so do two nans."""
        return float(_differences(self.eager, self.compiled).max(initial=0.0))

    @property
    def ulps(self) -> float:
        """The largest difference counted in numbers of the dtype that lie between."""
        return float(ulps(self.eager, self.compiled).max(initial=0.0))

    @property
    def agrees(self) -> bool:
        """Whether the modes differ by no more than rounding; integers and bools by nothing."""
        if not self.type.dtype.is_inexact:
            return self.absolute == 0
        of_all = CANCELLED * float(np.finfo(self.type.dtype.numpy).eps) * self.around
        allowed = max(TOLERANCE[self.type.dtype.real.name] * self.scale, of_all)
        return self.absolute <= allowed or self.ulps <= CLOSE


def _reals(array: np.ndarray) -> np.ndarray:
    """Complex numbers as twice as many real ones."""
    return array.reshape(-1).view(array.real.dtype) if array.dtype.kind == "c" else array


def _differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = _reals(a), _reals(b)
    same = (a == b) | ((a != a) & (b != b))
    with np.errstate(all="ignore"):
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))


def ulps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many steps of their dtype two arrays are apart, element by element.

    0 for two nans, inf for one; for integers and bools the difference itself.

    >>> import numpy as np
    >>> ulps(np.float32([1, np.nan, -0.0]), np.float32([1 + 2**-23, 0, 0.0]))
    array([ 1., inf,  0.])
    """
    a, b = _reals(np.asarray(a)), _reals(np.asarray(b))
    if a.dtype.kind != "f":
        return _differences(a, b)
    same = (a == b) | ((a != a) & (b != b))
    x, y = _ordinal(a), _ordinal(b)
    with np.errstate(over="ignore"):
        near = np.abs(x - y).astype(np.float64)  # exact, for numbers of one sign
    far = np.abs(x.astype(np.float64)) + np.abs(y.astype(np.float64))
    apart = np.where((x < 0) == (y < 0), near, far)
    return np.where(same, 0.0, np.where(np.isnan(a) | np.isnan(b), np.inf, apart))


def _ordinal(a: np.ndarray) -> np.ndarray:
    """Floats numbered in their order: neighbours differ by one, and both zeros are 0."""
    bits = np.ascontiguousarray(a).view(f"i{a.dtype.itemsize}").reshape(a.shape)
    least = int(np.iinfo(bits.dtype).min)
    bits = bits.astype(np.int64)
    return np.where(bits < 0, least - bits, bits)


def pairs(names: Sequence[str], eager: Any, compiled: Any) -> tuple[Pair, ...]:
    """The Tensors and arrays of two equal nests, side by side; other leaves are left out."""
    left, right = tree.flatten(eager)[0], tree.flatten(compiled)[0]
    found = []
    for name, a, b in zip(names, left, right, strict=True):
        if isinstance(a, (Tensor, np.ndarray)):
            x, y = (np.asarray(v.asnumpy() if isinstance(v, Tensor) else v) for v in (a, b))
            found.append(Pair(name, of_array(x), x, y))
    largest = max([pair.scale for pair in found if pair.type.dtype.is_float], default=0.0)
    return tuple([replace(pair, around=largest) for pair in found])
