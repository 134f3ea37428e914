"""Steps in proportion to the size of each Parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import ops
from jitgrad.errors import DTypeError, fail
from jitgrad.frontend.tape import no_grad
from jitgrad.nn.cell import Cell
from jitgrad.nn.optim.base import Optimizer, checked_gradients, not_negative
from jitgrad.tensor import Parameter, Tensor


def _trains(p: Parameter) -> bool:
    return "LayerNorm" not in p.name and "bias" not in p.name


class LARS(Cell):
    """Another optimizer, given gradients scaled by
    coefficient * |p| / (|g| + weight_decay * |p| + epsilon). You et al. (2017).

    The decay of the optimizer becomes part of the scaled gradient: (g + weight_decay * p) * ratio.
    With `use_clip` the ratio is over the learning rate and at most 1. `lars_filter` says of a
    Parameter whether it is treated so; by default all but biases and layer norms are.

    >>> nn.LARS(nn.SGD(nn.Dense(2, 1).trainable_params(), 0.1))((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    def __init__(
        self,
        optimizer: Optimizer,
        epsilon: float = 1e-5,
        coefficient: float = 0.001,
        use_clip: bool = False,
        lars_filter: Callable[[Parameter], bool] = _trains,
    ):
        super().__init__(auto_prefix=False)
        if not isinstance(optimizer, Optimizer):
            raise fail(
                DTypeError, f"LARS takes an optimizer of nn, not a {type(optimizer).__name__}"
            )
        self.opt, self.parameters = optimizer, optimizer.parameters
        self.epsilon = not_negative(self, "epsilon", epsilon)
        self.coefficient = not_negative(self, "coefficient", coefficient)
        self.use_clip = use_clip
        self.lars_flag = tuple(bool(lars_filter(p)) for p in self.parameters)
        self.decays = optimizer.get_weight_decay()
        if optimizer.dynamic_weight_decay:
            raise fail(DTypeError, "LARS takes an optimizer with a fixed weight_decay")
        optimizer._decays = (0.0,) * len(self.parameters)  # it is part of what is scaled
        optimizer.exec_weight_decay = False
        optimizer.decay_flags = (False,) * len(self.parameters)

    def construct(self, gradients: Sequence[Tensor]) -> Any:
        """Scale the gradients and take the optimizer's step."""
        gradients = checked_gradients(self, self.parameters, gradients)
        with no_grad():
            rates = self._rates() if self.use_clip else (None,) * len(self.parameters)
            scaled = tuple(
                self._scaled(*each)
                for each in zip(self.parameters, gradients, self.decays, self.lars_flag, rates)
            )
        return self.opt(scaled)

    def _rates(self) -> tuple[Any, ...]:
        rates = self.opt.learning_rate
        if self.opt.dynamic_lr:
            raise fail(DTypeError, "LARS with use_clip takes an optimizer with a fixed rate")
        return tuple(rates) if self.opt.is_group_lr else (rates,) * len(self.parameters)

    def _scaled(self, p: Parameter, g: Tensor, decay: float, flag: bool, rate: Any) -> Tensor:
        if not flag:
            return g
        size, length = ops.sqrt(ops.sum(p * p)), ops.sqrt(ops.sum(g * g))
        ratio = self.coefficient * size / (length + decay * size + self.epsilon)
        if rate is not None:
            ratio = ops.minimum(ratio / rate, 1.0)
        both = ops.logical_and(size > 0, length > 0)
        return (g + decay * p) * ops.where(both, ratio, 1.0)
