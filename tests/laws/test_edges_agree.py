"""At zeros, kinks, infinities and nan, both modes have the same values, slopes and curvatures: of
every function of `ops` that maps elements to elements.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops

EDGES = (0.0, -0.0, 1e-30, 0.5, 1.0, -1.0, 2.0, 3.0, -3.0, 6.0, 88.8, 710.0, -750.0, 1e30, -1e30)
X = np.array([*EDGES, np.inf, -np.inf, np.nan])
OTHERS = "rand", "drop", "rrelu", "bernoulli", "unique"  # drawn, or of any length
# A second derivative is made of terms that cancel: of differences, the error is that of the terms.
RTOL, ATOL = 1e-11, 1e-13


def _is_elementwise(function: Any) -> bool:
    """Whether a function of one float64 Tensor computes each element by itself."""
    if not inspect.isfunction(function) or any(word in function.__name__ for word in OTHERS):
        return False
    try:
        first, second = (function(Tensor(np.array([0.3, b]))) for b in (0.7, 0.9))
    except Exception:
        return False
    same = isinstance(first, Tensor) and first._type is second._type and first.shape == (2,)
    return same and first.dtype is ms.float64 and first[0].item() == second[0].item()  # type: ignore[index]


NAMES = sorted(n for n in ops.__all__ if not n.endswith("_") and _is_elementwise(getattr(ops, n)))
CHUNKS = [NAMES[i : i + 12] for i in range(0, len(NAMES), 12)]


def derivatives(function: Callable) -> list[Callable]:
    return [function, ms.grad(function), ms.grad(ms.grad(function))]


def test_there_are_many() -> None:
    assert len(NAMES) > 80
    assert {"relu", "sqrt", "gelu", "logit", "erfinv", "lgamma", "sinc"} <= {*NAMES}


@pytest.mark.parametrize("names", CHUNKS, ids=lambda names: names[0])
def test_both_modes_agree_at_edges(names: list[str]) -> None:
    functions = {(n, k): f for n in names for k, f in enumerate(derivatives(getattr(ops, n)))}
    compiled = ms.jit(lambda x: [f(x) for f in functions.values()])(Tensor(X))
    for (name, order), found in zip(functions, compiled, strict=True):
        eager = functions[name, order](Tensor(X)).asnumpy()
        wrong = ~np.isclose(found.asnumpy(), eager, RTOL, ATOL, equal_nan=True)
        assert not wrong.any(), (name, order, X[wrong], eager[wrong], found.asnumpy()[wrong])
