"""`Optimizer`: groups of Parameters with settings of their own, and the step that updates them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.frontend.tape import no_grad
from jitgrad.nn.cell import Cell
from jitgrad.nn.optim.base import checked_gradients, counter, states_like, write
from jitgrad.tensor import Parameter, ParameterTuple, Tensor

Group = Mapping[str, Any]
State = Mapping[str, Tensor]


class Optimizer(Cell):
    """Base of the optimizers here.

    `params` are Parameters, or groups: dicts with "params" and any of the settings. What a group
    does not set it takes from `defaults`. `param_groups` are the groups as dicts; their "lr" is a
    Parameter, so that a compiled step sees it change: ``group["lr"].set_data(0.1)``.

    Calling it with one gradient for each of `parameters` takes a step. A subclass defines `update`,
    and in `slots` the name and first value of what it keeps for every Parameter.

    TypeError and ValueError for other arguments; ValueError for a Parameter given twice.
    """

    slots: Mapping[str, float] = {}

    def __init__(
        self, params: Iterable[Any], defaults: Group, slots: Mapping[str, float] | None = None
    ):
        super().__init__(auto_prefix=False)
        self.defaults = dict(defaults)
        self.param_groups: list[dict[str, Any]] = []
        self.steps = counter("steps", 0.0)
        if slots is not None:
            self.slots = slots
        for group in _groups(self, params):
            self._add(group)
        self._gather()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """One more group: a dict with "params" and any of the settings."""
        for group in _groups(self, [param_group]):
            self._add(group)
        self._gather()

    def _gather(self) -> None:
        """What follows from the groups; states that are there already stay."""
        members = [p for group in self.param_groups for p in group["params"]]
        if len({id(p) for p in members}) != len(members):
            raise fail(ArgumentError, f"{self.cls_name}: a Parameter is given twice")
        sizes = [len(group["params"]) for group in self.param_groups]
        self.group_start_id = [sum(sizes[:i]) for i in range(len(sizes))]
        self.parameters = ParameterTuple(members)
        self.rates = ParameterTuple(group["lr"] for group in self.param_groups)
        for name, first in self.slots.items():
            held = getattr(self, name, ())
            new = states_like(members[len(held) :], name, first)
            setattr(self, name, ParameterTuple((*held, *new)))

    def _add(self, given: dict[str, Any]) -> None:
        unknown = [key for key in given if key != "params" and key not in self.defaults]
        if unknown:
            raise fail(
                ArgumentError,
                f"{self.cls_name}: a group sets {unknown}",
                why=f"its settings are {sorted(self.defaults)}",
            )
        group = {**self.defaults, **given}
        checked(self, group)
        name = f"learning_rate_group_{len(self.param_groups)}"
        rate = np.asarray(float(group["lr"]), np.float32)
        group["lr"] = Parameter(Tensor(rate), name=name, requires_grad=False)
        group["initial_lr"] = float(rate)
        self.param_groups.append(group)

    def construct(self, gradients: Sequence[Tensor]) -> bool:
        """Update every Parameter in place, given its gradient; returns True."""
        gradients = checked_gradients(self, self.parameters, gradients)
        with no_grad():
            step = self.steps + 1.0
            write(self.steps, step)
            tables = {name: getattr(self, name) for name in self.slots}
            place = 0
            for group in self.param_groups:
                for p in group["params"]:
                    held = {name: table[place] for name, table in tables.items()}
                    g = gradients[place]
                    g = -g if group.get("maximize") else g
                    new, kept = self.update(p, g, held, group, step)
                    for name, value in kept.items():
                        write(held[name], value)
                    write(p, new)
                    place += 1
        return True

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        """The new value of one Parameter and of its state; `step` counts from 1."""
        raise NotImplementedError(f"{self.cls_name} does not define update")


def _groups(owner: Optimizer, params: Any) -> list[dict[str, Any]]:
    if isinstance(params, (Parameter, str, dict)) or not isinstance(params, Iterable):
        kind = type(params).__name__
        raise fail(DTypeError, f"{owner.cls_name}: params must be a list, not a {kind}")
    given = list(params)
    if not given:
        raise fail(ArgumentError, f"{owner.cls_name}: params is empty: nothing to optimize")
    groups = given if isinstance(given[0], dict) else [{"params": given}]
    for group in groups:
        if not isinstance(group, dict) or "params" not in group:
            raise fail(DTypeError, f"{owner.cls_name}: a group must be a dict with 'params'")
        members = group["params"]
        members = [members] if isinstance(members, Parameter) else list(members)
        for p in members:
            if not isinstance(p, Parameter):
                raise fail(
                    DTypeError,
                    f"{owner.cls_name}: params must be Parameters, got a {type(p).__name__}",
                    instead="give net.trainable_params()",
                )
    return [
        {**g, "params": [g["params"]] if isinstance(g["params"], Parameter) else list(g["params"])}
        for g in groups
    ]


AT_LEAST_ZERO = ("lr", "weight_decay", "eps", "dampening", "lr_decay", "lambd", "momentum_decay",
                 "initial_accumulator_value", "momentum", "t0")  # fmt: skip


def checked(owner: Optimizer, group: Group) -> None:
    """TypeError or ValueError if a setting is no number or out of range."""
    for name in AT_LEAST_ZERO:
        value = group.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise fail(DTypeError, f"{owner.cls_name}: {name} must be a number, got {value!r}")
        if value < 0:
            raise fail(ArgumentError, f"{owner.cls_name}: {name} must be at least 0, got {value}")
    betas = group.get("betas", (0.0, 0.0))
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise fail(DTypeError, f"{owner.cls_name}: betas must be a pair, got {betas!r}")
    if not all(0 <= beta < 1 for beta in betas):
        raise fail(ArgumentError, f"{owner.cls_name}: betas must be in [0, 1), got {betas}")


def decayed(p: Tensor, g: Tensor, group: Group) -> Tensor:
    """g + weight_decay * p."""
    return g + group["weight_decay"] * p if group["weight_decay"] else g
