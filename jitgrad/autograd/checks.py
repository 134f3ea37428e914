"""`gradcheck` and `gradgradcheck`: PyTorch's comparison with differences, on the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.autograd.functional import rows_of
from jitgrad.errors import ArgumentError, TapeError, fail
from jitgrad.frontend import history
from jitgrad.frontend.tape import enable_grad
from jitgrad.tensor import Tensor
from jitgrad.testing.grads import compare, numeric_jacobian


class GradcheckError(TapeError):
    """A gradient that is not the one that differences give."""


def gradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **options: Any,
) -> bool:
    """Whether the gradients of `func` with respect to the inputs that require them are those of
    central differences. They should be of float64.

    GradcheckError, or False without `raise_exception`, names the worst element. ValueError if no
    input requires a gradient. `eps`, the step, and PyTorch's further `options` are accepted and
    change nothing: the step is the best one.

    >>> import jitgrad as ms
    >>> gradcheck(lambda x: x * x, Tensor([0.5, 1.5], ms.float64, requires_grad=True))
    True
    """
    given = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    places = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not places:
        raise fail(
            ArgumentError,
            "gradcheck expects at least one input to require gradients, but none does",
            instead="Tensor(…, requires_grad=True)",
        )
    xs = tuple([given[i] for i in places])

    def call(*moved: Tensor) -> list[Tensor]:
        filled = list(given)
        for i, x in zip(places, moved, strict=True):
            filled[i] = x
        found = func(*filled)
        found = found if isinstance(found, (tuple, list)) else (found,)
        return [y for y in found if isinstance(y, Tensor) and y.dtype.is_inexact]

    with enable_grad():
        ys = call(*xs)
    computed = [_matrices(y, xs) for y in ys]
    slopes = numeric_jacobian(call, [x.detach() for x in xs])  # type: ignore[attr-defined]
    names = [f"inputs[{i}]" for i in places]
    found = compare("Jacobian mismatch", computed, slopes, names, rtol, atol)
    if found.wrong and raise_exception:
        raise fail(GradcheckError, str(found))
    return not found.wrong


def gradgradcheck(func: Callable, inputs: Any, grad_outputs: Any = None, **options: Any) -> bool:
    """`gradcheck` of the gradient of `func`. `grad_outputs` are its cotangents, random ones by
    default.
    """
    given = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    places = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    random = np.random.default_rng(0)

    def outputs(xs: Any) -> list[Tensor]:
        found = func(*xs)
        return list(found) if isinstance(found, (tuple, list)) else [found]

    if grad_outputs is None:
        seeds = [
            Tensor(np.asarray(random.uniform(0.5, 1.5, y.shape), y.dtype.numpy), requires_grad=True)
            for y in outputs(given)
        ]
    else:
        seeds = list(history.as_tuple(grad_outputs, "grad_outputs"))

    def gradient(*values: Tensor) -> tuple[Tensor, ...]:
        xs, vs = values[: len(given)], values[len(given) :]
        moved = [xs[i] if xs[i].requires_grad else xs[i].detach().requires_grad_() for i in places]
        filled = list(xs)
        for i, x in zip(places, moved, strict=True):
            filled[i] = x
        found = history.gradients(
            outputs(filled), moved, list(vs), True, create_graph=True, allow_unused=True
        )
        return tuple([g for g in found if g is not None])

    return gradcheck(gradient, (*given, *seeds), **options)


def _matrices(y: Tensor, xs: tuple[Tensor, ...]) -> list[np.ndarray]:
    found = rows_of(y, xs, False, False)
    return [
        np.zeros((y.size, x.size)) if g is None else g.asnumpy().reshape(y.size, x.size)
        for g, x in zip(found, xs, strict=True)
    ]
