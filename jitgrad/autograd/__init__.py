"""PyTorch's face of the tape: `backward`, `grad`, `no_grad` and what goes with them."""

from __future__ import annotations

from typing import Any

from jitgrad.autograd import function, functional
from jitgrad.autograd.checks import GradcheckError, gradcheck, gradgradcheck
from jitgrad.autograd.function import Context, Function, once_differentiable
from jitgrad.errors import ArgumentError, fail
from jitgrad.frontend import history
from jitgrad.frontend.history import Tensors
from jitgrad.frontend.tape import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from jitgrad.tensor import Tensor


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of the sum of `tensors` to `grad` of the leaves they were computed from.

    tensors        Tensors computed from leaves with ``requires_grad=True``.
    grad_tensors   their cotangents; None for scalars means 1.
    retain_graph   keep what was saved, for another backward pass; as `create_graph` by default.
    create_graph   record the computation of the gradients, to differentiate them again.
    inputs         only add to `grad` of these.

    >>> import jitgrad.ops
    >>> x = Tensor(2.0, requires_grad=True)
    >>> y = Tensor(3.0, requires_grad=True)
    >>> backward(x * x * y)
    >>> print(x.grad, y.grad)
    12.0 4.0

    RuntimeError: a tensor has no history; it is not a scalar and has no cotangent; the graph was
    freed by an earlier pass; a value that is needed was changed in place.
    """
    if grad_tensors is None:
        grad_tensors = grad_variables
    history.backward(tensors, grad_tensors, retain_graph, create_graph, inputs)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of `outputs` with respect to `inputs`: a tuple, one for each.

    Other parameters and errors are those of `backward`; nothing is added to `grad`. An input that
    the outputs do not depend on is a RuntimeError, or None with `allow_unused`, or zeros with
    `materialize_grads`. With `is_grads_batched` the cotangents have a leading axis, and so have the
    gradients.

    >>> import jitgrad.ops
    >>> x = Tensor(2.0, requires_grad=True)
    >>> print(grad(x * x * x, x)[0])
    12.0
    """
    if materialize_grads and allow_unused is False:
        raise fail(
            ArgumentError,
            "grad got materialize_grads=True and allow_unused=False",
            why="zeros stand for what is not used",
        )
    options: dict[str, Any] = {"retain_graph": retain_graph, "create_graph": create_graph}
    options["allow_unused"] = allow_unused or materialize_grads
    if is_grads_batched:
        found = history.batched_gradients(outputs, inputs, grad_outputs, **options)
    else:
        found = history.gradients(outputs, inputs, grad_outputs, **options)
    if materialize_grads:
        xs = history.as_tuple(inputs, "inputs")
        found = tuple([history.fill(0, x._type) if g is None else g for g, x in zip(found, xs)])
    return found


__all__ = [
    "Context",
    "Function",
    "GradcheckError",
    "backward",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "set_grad_enabled",
]
