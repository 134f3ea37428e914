"""`autograd.functional` in compiled functions; on the tape it is in `torch_programs`."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, tree
from jitgrad.autograd import functional as F

X, Y = Tensor([1.0, 2.0], ms.float64), Tensor([3.0, 4.0], ms.float64)


def cubes(x, y):
    return (x**3 * y).sum()


CALLS = {
    "jacobian": lambda x, y: F.jacobian(lambda x, y: (x * y, x.sum()), (x, y)),
    "jacobian alone": lambda x, y: F.jacobian(lambda x: x * y, x),
    "jacobian forward": lambda x, y: F.jacobian(
        lambda x: x * y, x, vectorize=True, strategy="forward-mode"
    ),
    "hessian": lambda x, y: F.hessian(cubes, (x, y)),
    "hessian alone": lambda x, y: F.hessian(lambda x: cubes(x, y), x),
    "vjp": lambda x, y: F.vjp(lambda x, y: x * y, (x, y), y),
    "vjp alone": lambda x, y: F.vjp(lambda x: (x * x).sum(), x),
    "jvp": lambda x, y: F.jvp(lambda x, y: (x * y, x), (x, y), (y, x)),
    "vhp": lambda x, y: F.vhp(cubes, (x, y), (y, x)),
    "hvp alone": lambda x, y: F.hvp(lambda x: cubes(x, y), x, y),
}


@pytest.mark.parametrize("name", CALLS)
def test_compiled_as_on_the_tape(name: str) -> None:
    call = CALLS[name]
    for a, b in zip(tree.flatten(call(X, Y))[0], tree.flatten(ms.jit(call)(X, Y))[0], strict=True):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-12)


def test_differentiated(mode: str) -> None:
    def constant(x):
        return F.jacobian(lambda z: z**3, x).sum()

    def followed(x):
        return F.jacobian(lambda z: z**3, x, create_graph=True).sum()

    assert ms.grad(lambda x: constant(x) + x.sum())(X).tolist() == [1, 1]
    assert ms.grad(followed)(X).tolist() == [6, 12]


def test_errors_when_compiled() -> None:
    with pytest.raises(RuntimeError, match="strict=True"):
        ms.jit(lambda x: F.jacobian(lambda z: z, x, strict=True))(X)
    with pytest.raises(RuntimeError, match="vector v can only be None"):
        ms.jit(lambda x: F.vjp(lambda z: z, x))(X)
    with pytest.raises(RuntimeError, match="a single element"):
        ms.jit(lambda x: F.hessian(lambda z: z, x))(X)
