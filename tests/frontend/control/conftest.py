"""Programs with control flow, run eagerly, as converted code over the reference, and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import tree
from jitgrad.frontend import graphcall
from jitgrad.tensor import Tensor


def interpreted(function: Callable) -> Any:
    """`jit` whose graphs run node by node: what conversion means, without the code generator."""
    from jitgrad.api.jit import Compiled

    return Compiled(function, graphcall.interpreted)


def arrays(value: Any) -> Any:
    """Tensors as arrays, for comparison."""
    return tree.map(lambda x: x.asnumpy() if isinstance(x, Tensor) else x, value)


def check_equal(got: Any, want: Any) -> None:
    got_leaves, got_structure = tree.flatten(got)
    want_leaves, want_structure = tree.flatten(want)
    assert got_structure == want_structure
    for a, b in zip(got_leaves, want_leaves, strict=True):
        assert isinstance(a, Tensor) == isinstance(b, Tensor), (a, b)
        if isinstance(a, Tensor):
            assert a._type is b._type, (a._type, b._type)
            np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=2e-6, atol=1e-6)
        else:
            assert type(a) is type(b)
            assert a == b


@pytest.fixture(params=["interpreted", pytest.param("compiled", marks=pytest.mark.slow)])
def same(request) -> Callable[..., None]:
    """Asserts that a function of Tensors does in a trace what it does eagerly: for each tuple of
    arguments, its results or the type of its exception, and gradients where it has any.
    """

    jitted = interpreted if request.param == "interpreted" else ms.jit

    def check(function: Callable, *calls: tuple, gradient: bool = True) -> None:
        traced = jitted(function)
        for args in calls:
            try:
                want = function(*args)
            except Exception as error:
                with pytest.raises(type(error)):
                    traced(*args)
                continue
            check_equal(traced(*args), want)
            floats = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.dtype.is_float]
            has = any(isinstance(x, Tensor) and x.dtype.is_float for x in tree.flatten(want)[0])
            if gradient and floats and has:
                slope = ms.grad(function, tuple(floats))
                check_equal(jitted(slope)(*args), slope(*args))

    return check
