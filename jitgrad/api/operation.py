"""`GradOperation`: MindSpore's older way to say `grad`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad.api.grad import ALL, Gradient, checked_weights
from jitgrad.api.store import artefacts
from jitgrad.errors import DTypeError, fail
from jitgrad.tensor import Parameter


class GradOperation:
    """``GradOperation(get_all, get_by_list, sens_param)(fn, weights)`` is a gradient function.

    get_all      the gradients of all inputs that are Tensors, as a tuple; otherwise that of the
                 first input.
    get_by_list  the gradients of the weights, as a tuple; both: ``(of inputs, of weights)``. The
                 weights default to the trainable Parameters of `fn`.
    sens_param   the cotangent of the output is one more, last argument.

    >>> import jitgrad.ops
    >>> from jitgrad.tensor import Tensor
    >>> gradients = GradOperation(get_all=True)(lambda x, y: x * y)(Tensor(2.0), Tensor(3.0))
    >>> [float(g) for g in gradients]
    [3.0, 2.0]
    """

    def __init__(self, get_all: bool = False, get_by_list: bool = False, sens_param: bool = False):
        for name, flag in (
            ("get_all", get_all),
            ("get_by_list", get_by_list),
            ("sens_param", sens_param),
        ):
            if not isinstance(flag, bool):
                raise fail(DTypeError, f"GradOperation: {name} must be a bool, got {flag!r}")
        self.get_all, self.get_by_list, self.sens_param = get_all, get_by_list, sens_param

    def __call__(self, fn: Callable, weights: Any = None) -> Callable:
        if not callable(fn):
            raise fail(DTypeError, f"GradOperation got a {type(fn).__name__} to differentiate")
        shape = None
        if self.get_by_list:
            if weights is None:
                weights = tuple(fn.trainable_params()) if hasattr(fn, "trainable_params") else None
            if weights is None:
                raise fail(
                    DTypeError,
                    "GradOperation(get_by_list=True) needs weights",
                    instead="pass ParameterTuple(net.trainable_params()) as the second argument",
                )
            shape = "one" if isinstance(weights, Parameter) else "many"
        found = checked_weights(weights) if self.get_by_list else ()
        positions: Any = ALL if self.get_all else () if self.get_by_list else (0,)
        key = "operation", positions, shape, self.sens_param, tuple([id(w) for w in found])
        store = artefacts(fn)
        if key not in store:
            store[key] = Gradient(fn, positions, found, shape, False, sens_param=self.sens_param)
        return store[key]
