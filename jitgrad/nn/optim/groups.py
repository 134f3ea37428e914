"""Reading the parameter groups of an optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Parameter

KEYS = ("params", "lr", "weight_decay", "grad_centralization", "order_params")


@dataclass(slots=True)
class Groups:
    """All Parameters in order, and what holds for each of them."""

    grouped: bool
    own_rates: bool = False
    parameters: list[Parameter] = field(default_factory=list)
    rates: list[Any] = field(default_factory=list)
    rate_names: list[str] = field(default_factory=list)  # equal in one group
    decays: list[Any] = field(default_factory=list)
    centralize: list[bool] = field(default_factory=list)

    def add(
        self,
        parameter: Parameter,
        rate: Any,
        decay: Any,
        centralize: bool = False,
        rate_name: str = "learning_rate",
    ) -> None:
        """Append one Parameter; RuntimeError if it is there already."""
        if any(p is parameter for p in self.parameters):
            raise RuntimeError(f"{parameter.name} is given to the optimizer twice")
        if any(p.name == parameter.name for p in self.parameters):
            raise fail(
                ArgumentError,
                f"two Parameters are named {parameter.name!r}",
                why="the states that the optimizer keeps for them would have the same names",
                instead="Parameter(…, name=…), or give the Cell that holds them another attribute",
            )
        self.parameters.append(parameter)
        self.rates.append(rate)
        self.rate_names.append(rate_name)
        self.decays.append(decay)
        self.centralize.append(centralize)

    def reorder(self, wanted: list[Parameter]) -> None:
        """Bring all into the order of `wanted`, which must hold the same Parameters."""
        places = {id(p): i for i, p in enumerate(self.parameters)}
        if sorted(map(id, wanted)) != sorted(places):
            raise fail(ArgumentError, "order_params must hold the Parameters of all groups")
        order = [places[id(p)] for p in wanted]
        for name in ("parameters", "rates", "rate_names", "decays", "centralize"):
            values = getattr(self, name)
            setattr(self, name, [values[i] for i in order])


def read_groups(owner: Cell, parameters: Any, rate: Any, decay: Any) -> Groups:
    """Groups from a list of Parameters or of dicts; `rate` and `decay` are the defaults."""
    given = _members(owner, parameters, "parameters")
    decay = _decay(owner, decay)
    if all(isinstance(p, Parameter) for p in given):
        groups = Groups(grouped=False)
        for parameter in given:
            groups.add(parameter, rate, decay)
        return groups
    if not all(isinstance(group, dict) for group in given):
        raise fail(
            DTypeError,
            f"{owner.cls_name}: parameters must be Parameters, or all of them dicts, got"
            f" {', '.join(sorted({type(p).__name__ for p in given}))}",
            instead="give net.trainable_params()",
        )
    groups = Groups(grouped=True)
    order: list[Parameter] | None = None
    for number, group in enumerate(given):
        _check_keys(owner, group)
        if "order_params" in group:
            order = _members(owner, group["order_params"], "order_params")
            continue
        groups.own_rates |= "lr" in group
        centralize = group.get("grad_centralization", False)
        if not isinstance(centralize, bool):
            raise fail(DTypeError, f"grad_centralization must be a bool, got {centralize!r}")
        own = _decay(owner, group["weight_decay"]) if "weight_decay" in group else decay
        name = f"learning_rate_group_{number}" if "lr" in group else "learning_rate"
        for parameter in _members(owner, group["params"], "the params of a group"):
            if not isinstance(parameter, Parameter):
                raise fail(DTypeError, f"params of a group must be Parameters, got {parameter!r}")
            groups.add(parameter, group.get("lr", rate), own, centralize, name)
    if order is not None:
        groups.reorder(order)
    return groups


def _members(owner: Cell, values: Any, what: str) -> list[Any]:
    if values is None:
        raise fail(ArgumentError, f"{owner.cls_name}: {what} is None")
    if not isinstance(values, Iterable) or isinstance(values, (Parameter, dict, str)):
        kind = type(values).__name__
        raise fail(DTypeError, f"{owner.cls_name}: {what} must be a list, not a {kind}")
    members = list(values)
    if not members:
        raise fail(ArgumentError, f"{owner.cls_name}: {what} is empty: nothing to optimize")
    return members


def _check_keys(owner: Cell, group: dict[str, Any]) -> None:
    unknown = [key for key in group if key not in KEYS]
    if unknown:
        raise KeyError(f"{owner.cls_name}: a group has the keys {unknown}; known are {KEYS}")
    if "order_params" in group:
        if len(group) > 1:
            raise fail(ArgumentError, "a group with 'order_params' must have no other key")
    elif "params" not in group:
        raise KeyError(f"{owner.cls_name}: a group has no 'params'")


def _decay(owner: Cell, value: Any) -> Any:
    if isinstance(value, Cell):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise fail(DTypeError, f"{owner.cls_name}: weight_decay must be a number, got {value!r}")
    if value < 0:
        raise fail(ArgumentError, f"{owner.cls_name}: weight_decay must be at least 0: {value!r}")
    return float(value)
