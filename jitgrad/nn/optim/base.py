"""`Optimizer`: what all optimizers share.

A subclass is a rule: `update` takes a parameter, its gradient, the learning rate and the state kept
for it, and returns the new parameter and the new state. The rest is here: learning rates, weight
decay, loss scale, groups, and writing the results into the Parameters. Nothing of a step is
Python state, so a compiled step has the learning rate and the step count as inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.frontend.tape import no_grad
from jitgrad.ir.types import float32
from jitgrad.nn.cell import Cell
from jitgrad.nn.containers import CellList
from jitgrad.nn.optim.groups import Groups, read_groups
from jitgrad.nn.schedule import LearningRateSchedule
from jitgrad.tensor import Parameter, ParameterTuple, Tensor

State = Mapping[str, Any]


class Optimizer(Cell):
    """Base of all optimizers.

    parameters     Parameters, or groups: dicts with "params" and, if they differ from the
                   optimizer's, "lr", "weight_decay" and "grad_centralization"; one dict with only
                   "order_params" gives the order of all.
    learning_rate  a number ≥ 0, a 0-d Tensor, a `LearningRateSchedule`, or a list or 1-d Tensor
                   with a rate for each step (the last one stays in force).
    weight_decay   a number ≥ 0 or a Cell of the step. Without groups, Parameters named ``*beta*``
                   and ``*gamma*`` do not decay.
    loss_scale     gradients are divided by it.

    Calling it with one gradient for each Parameter takes a step and returns True. A subclass
    defines `update`, and `slots` (an attribute or an argument): the name and the first value of
    each state it keeps for every Parameter.

    ValueError for arguments out of range, TypeError for those of another type.
    """

    slots: Mapping[str, float] = {}
    target, unique = "CPU", True

    def __init__(
        self,
        learning_rate: Any,
        parameters: Iterable[Any],
        weight_decay: Any = 0.0,
        loss_scale: float = 1.0,
        slots: State | None = None,
    ):
        super().__init__(auto_prefix=False)
        self.loss_scale = positive(self, "loss_scale", loss_scale)
        groups = read_groups(self, parameters, learning_rate, weight_decay)
        self.is_group, self.is_group_lr = groups.grouped, groups.own_rates
        self.global_step = Parameter(
            Tensor(np.zeros(1, np.int32)), name="global_step", requires_grad=False
        )
        self._set_rates(groups)
        self.parameters = ParameterTuple(groups.parameters)
        self.param_length = len(self.parameters)
        self._set_decay(groups)
        self.grad_centralization_flags = tuple(groups.centralize)
        if slots is not None:
            self.slots = slots
        for name, first in self.slots.items():
            setattr(self, name, self.state(name, first))

    def _set_rates(self, groups: Groups) -> None:
        made = as_rates(groups.rates, groups.rate_names)
        self.dynamic_lr = any(isinstance(rate, Cell) for rate in made)
        if not groups.own_rates:
            self.learning_rate = made[0]
        elif self.dynamic_lr:
            held = [r if isinstance(r, Cell) else _Fixed(r) for r in made]
            self.learning_rate = CellList(held, auto_prefix=False)
        else:
            self.learning_rate = ParameterTuple(made)

    def _set_decay(self, groups: Groups) -> None:
        decays = groups.decays
        self.dynamic_weight_decay = any(isinstance(d, Cell) for d in decays)
        self._decays = tuple(decays)
        self.weight_decay = self._decays if groups.grouped else decays[0]
        if self.dynamic_weight_decay:
            self.decay_cells = CellList([d for d in decays if isinstance(d, Cell)], False)
        plain = not groups.grouped
        self.decay_flags = tuple(
            (isinstance(decay, Cell) or decay > 0)
            and not (plain and ("beta" in p.name or "gamma" in p.name))
            for p, decay in zip(self.parameters, decays, strict=True)
        )
        self.exec_weight_decay = any(self.decay_flags)

    def state(self, name: str, first: float) -> ParameterTuple:
        """Parameters like the optimized ones, filled with `first`, named ``name.parameter``."""
        return states_like(self.parameters, name, first)

    # --- one step -------------------------------------------------------------------------------

    def construct(self, gradients: Sequence[Tensor]) -> bool:
        """Update every Parameter in place, given its gradient."""
        gradients = checked_gradients(self, self.parameters, gradients)
        with no_grad():
            gradients = self.prepared(gradients)
            rates = self.get_lr()
            if not isinstance(rates, tuple):
                rates = (rates,) * self.param_length
            step = self.begin()
            tables = {name: getattr(self, name) for name in self.slots}
            for i, parameter in enumerate(self.parameters):
                held = {name: table[i] for name, table in tables.items()}
                new, kept = self.update(parameter, gradients[i], rates[i], held, step, i)
                for name, value in kept.items():
                    write(held[name], value)
                write(parameter, new)
            if not self.dynamic_lr:
                write(self.global_step, self.global_step + 1)
        return True

    def begin(self) -> Any:
        """What is computed once a step, before the Parameters; given to `update`."""
        return None

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        """The new value of one Parameter and of its state."""
        raise NotImplementedError(f"{self.cls_name} does not define update")

    def prepared(self, gradients: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The gradients with weight decay, centralized where asked, over the loss scale."""
        return self.scale_grad(self.gradients_centralization(self.decay_weight(gradients)))

    def decay_weight(self, gradients: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """g + weight_decay * loss_scale * p for the Parameters that decay."""
        if not self.exec_weight_decay:
            return tuple(gradients)
        decays = self.get_weight_decay()
        return tuple(
            g + p * (decay * self.loss_scale) if flag else g
            for g, p, decay, flag in zip(
                gradients, self.parameters, decays, self.decay_flags, strict=True
            )
        )

    def gradients_centralization(self, gradients: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """g minus its mean over all axes but the first, for the groups that asked."""
        return tuple(
            g - ops.mean(g, tuple(range(1, g.ndim)), True) if flag and g.ndim > 1 else g
            for g, flag in zip(gradients, self.grad_centralization_flags, strict=True)
        )

    def scale_grad(self, gradients: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """g / loss_scale."""
        if self.loss_scale == 1.0:
            return tuple(gradients)
        return tuple(g * (1.0 / self.loss_scale) for g in gradients)

    # --- rates ----------------------------------------------------------------------------------

    def get_lr(self) -> Any:
        """The learning rate of this step, a 0-d Tensor; a tuple of one for each Parameter if
        groups have their own. With a schedule this counts the step.
        """
        if not self.dynamic_lr:
            return tuple(self.learning_rate) if self.is_group_lr else self.learning_rate
        if self.is_group_lr:
            rates = tuple(ops.reshape(rate(self.global_step), ()) for rate in self.learning_rate)
        else:
            rates = ops.reshape(self.learning_rate(self.global_step), ())
        write(self.global_step, self.global_step + 1)
        return rates

    def get_weight_decay(self) -> tuple[Any, ...]:
        """The weight decay of this step for each Parameter."""
        step = self.global_step
        return tuple(
            ops.reshape(decay(step), ()) if isinstance(decay, Cell) else decay
            for decay in self._decays
        )

    def get_lr_parameter(self, param: Any) -> Any:
        """The learning rate of one Parameter, or a list for a list: a Parameter or a schedule."""
        wanted = [param] if isinstance(param, Parameter) else param
        if not isinstance(wanted, list) or not all(isinstance(p, Parameter) for p in wanted):
            raise fail(DTypeError, f"get_lr_parameter takes Parameters, got {param!r}")
        places = {id(p): i for i, p in enumerate(self.parameters)}
        found = []
        for p in wanted:
            if id(p) not in places:
                raise fail(ArgumentError, f"{p.name} is none of this optimizer's Parameters")
            rate = self.learning_rate[places[id(p)]] if self.is_group_lr else self.learning_rate
            found.append(getattr(rate, "learning_rate", rate) if rate_is_held(rate) else rate)
        return found[0] if isinstance(param, Parameter) else found


# --- learning rates -----------------------------------------------------------------------------


class _Table(LearningRateSchedule):
    """A rate for each step, in a list; the last one stays in force."""

    def __init__(self, values: Any, name: str):
        super().__init__()
        array = np.asarray(values, np.float32)
        if array.ndim != 1 or array.size == 0:
            raise fail(ArgumentError, f"learning rates must be a list, got {list(array.shape)}")
        self.learning_rate = Parameter(Tensor(array), name=name, requires_grad=False)

    def construct(self, global_step: Tensor) -> Tensor:
        last = self.learning_rate.shape[0] - 1
        return ops.gather(self.learning_rate, ops.minimum(global_step, last), 0)


class _Fixed(LearningRateSchedule):
    """A constant rate among schedules."""

    def __init__(self, rate: Parameter):
        super().__init__()
        self.learning_rate = rate

    def construct(self, global_step: Tensor) -> Tensor:
        return self.learning_rate


def rate_is_held(rate: Any) -> bool:
    """Whether a rate is one of ours that keeps its Parameter in `learning_rate`."""
    return isinstance(rate, (_Table, _Fixed))


def as_rates(rates: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Parameters and schedules; those of one name are one."""
    made: dict[str, Any] = {}
    for rate, name in zip(rates, names, strict=True):
        if name not in made:
            made[name] = _as_rate(rate, name)
    return [made[name] for name in names]


def _as_rate(rate: Any, name: str) -> Any:
    if isinstance(rate, bool):
        raise fail(DTypeError, f"{name} is a bool")
    if isinstance(rate, (int, float, np.floating, np.integer)):
        if rate < 0:
            raise fail(ArgumentError, f"{name} must be at least 0, got {rate}")
        value = np.asarray(rate, float32.numpy)
        return Parameter(Tensor(value), name=name, requires_grad=False)
    if isinstance(rate, Cell):
        return rate
    if isinstance(rate, Tensor) and rate.ndim == 0:
        return Parameter(rate, name=name, requires_grad=False)
    if isinstance(rate, Tensor):
        return _Table(rate.asnumpy(), name)
    if isinstance(rate, Iterable) and not isinstance(rate, str):
        return _Table(list(rate), name)
    raise fail(
        DTypeError,
        f"{name} is {rate!r}",
        instead="give a number, a Tensor, a list, or a LearningRateSchedule",
    )


# --- small things -------------------------------------------------------------------------------


def states_like(parameters: Iterable[Parameter], name: str, first: float) -> ParameterTuple:
    """Parameters like others, filled with `first`, named ``name.parameter``."""
    return ParameterTuple(
        Parameter(
            Tensor(np.full(p.shape, first, p.dtype.numpy)),
            name=f"{name}.{p.name}",
            requires_grad=False,
        )
        for p in parameters
    )


def checked_gradients(
    owner: Cell, parameters: Sequence[Parameter], gradients: Any
) -> Sequence[Tensor]:
    """The gradients, one of its shape for each Parameter; ValueError otherwise."""
    if isinstance(gradients, Tensor) and len(parameters) == 1:
        gradients = (gradients,)
    if not isinstance(gradients, (tuple, list)) or len(gradients) != len(parameters):
        count = len(gradients) if isinstance(gradients, (tuple, list)) else 1
        raise fail(
            ArgumentError,
            f"{owner.cls_name} has {len(parameters)} Parameters, got {count} gradients",
            instead="take the gradient with weights=optimizer.parameters",
        )
    for p, g in zip(parameters, gradients, strict=True):
        if not isinstance(g, Tensor) or tuple(g.shape) != tuple(p.shape):
            got = f"shape {list(g.shape)}" if isinstance(g, Tensor) else repr(g)
            raise fail(ShapeError, f"the gradient of {p.name} must be {list(p.shape)}, got {got}")
    return gradients


def write(parameter: Parameter, value: Tensor) -> None:
    """Assign in the Parameter's own dtype."""
    parameter.set_data(value)


def counter(name: str, value: float) -> Parameter:
    """A 0-d float32 Parameter of the optimizer itself."""
    return Parameter(Tensor(np.asarray(value, np.float32)), name=name, requires_grad=False)


def positive(owner: Cell, name: str, value: Any) -> float:
    """The argument as a float > 0; TypeError or ValueError otherwise."""
    return _number(owner, name, value, lambda v: v > 0, "above 0")


def not_negative(owner: Cell, name: str, value: Any) -> float:
    """The argument as a float ≥ 0; TypeError or ValueError otherwise."""
    return _number(owner, name, value, lambda v: v >= 0, "at least 0")


def fraction(owner: Cell, name: str, value: Any) -> float:
    """The argument as a float strictly between 0 and 1; TypeError or ValueError otherwise."""
    return _number(owner, name, value, lambda v: 0 < v < 1, "between 0 and 1")


def flag(owner: Cell, name: str, value: Any) -> bool:
    """The argument as a bool; TypeError otherwise."""
    if not isinstance(value, bool):
        raise fail(DTypeError, f"{owner.cls_name}: {name} must be a bool, got {value!r}")
    return value


def _number(owner: Cell, name: str, value: Any, fits: Any, range_: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise fail(DTypeError, f"{owner.cls_name}: {name} must be a number, got {value!r}")
    if not fits(value):
        raise fail(ArgumentError, f"{owner.cls_name}: {name} must be {range_}, got {value!r}")
    return float(value)
