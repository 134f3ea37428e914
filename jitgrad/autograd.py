"""PyTorch's face of the tape: `backward`, `grad`, `no_grad` and what goes with them."""

from __future__ import annotations

from typing import Any

from jitgrad.frontend import history
from jitgrad.frontend.custom import with_custom_vjp
from jitgrad.frontend.history import Tensors
from jitgrad.frontend.tape import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
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


class Context:
    """What `forward` hands to `backward` in a `Function`."""

    def __init__(self) -> None:
        self._saved: tuple[Tensor, ...] = ()
        self.needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep Tensors for the derivative. Inputs and outputs keep their history."""
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]:
        """What was kept."""
        return self._saved

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Kept for PyTorch code: integers and bools have no derivative anyway."""


class Function:
    """A function with a derivative of its own, as in PyTorch: a subclass has the static methods
    ``forward(ctx, *args)`` and ``backward(ctx, *gradients)``, and is called by `apply`.

    >>> import jitgrad.ops
    >>> class Double(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2.0
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         return gradient * 2.0
    >>> x = Tensor(3.0, requires_grad=True)
    >>> Double.apply(x).backward()
    >>> print(x.grad)
    2.0
    """

    @staticmethod
    def forward(ctx: Context, *args: Any) -> Any:
        """The computation; every subclass writes its own."""
        raise NotImplementedError("a Function needs forward")

    @staticmethod
    def backward(ctx: Context, *gradients: Any) -> Any:
        """One gradient for each argument, None for what is no Tensor; a subclass writes it."""
        raise NotImplementedError("a Function needs backward")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the function."""
        made: list[tuple[Context, Any]] = []

        def forward(*args: Any) -> Any:
            ctx = Context()
            ctx.needs_input_grad = tuple([isinstance(a, Tensor) for a in args])
            out = cls.forward(ctx, *args)
            made.append((ctx, out))
            return out

        def backward(*values: Any) -> Any:
            *given, out, dout = values
            ctx, first = made[0]
            # What was kept of arguments and results is here those of this pass.
            known = dict(zip(map(id, (*args, *_parts(first))), (*given, *_parts(out))))
            now = Context()
            now.__dict__.update(ctx.__dict__)
            now._saved = tuple([known.get(id(t), t) for t in ctx._saved])
            return cls.backward(now, *_parts(dout))

        return with_custom_vjp(forward, backward, args, f"{cls.__name__}.backward")


def _parts(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


__all__ = [
    "Context",
    "Function",
    "backward",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
