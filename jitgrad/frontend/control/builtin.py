"""Builtins and `math` on traced values: as ops where that can be meant."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.errors import gradient_lost
from jitgrad.frontend import rows
from jitgrad.frontend.control.growing import length, settled
from jitgrad.frontend.control.ordering import extremum, ordered
from jitgrad.frontend.control.text import Text, traced_print
from jitgrad.frontend.control.traced import (
    TracedRange,
    backwards,
    enumerated,
    is_traced,
    zipped,
)
from jitgrad.frontend.dispatch import apply
from jitgrad.frontend.number import Number, as_dtype, wide
from jitgrad.ir.types import DType, float64, int64
from jitgrad.primitives.elementwise import stop_gradient, value_of
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import reshape
from jitgrad.state import state
from jitgrad.tensor import Tensor


def _of_traced(plain: Callable, traced: Callable) -> Callable:
    """`traced` in the place of a builtin where an argument is traced."""

    @functools.wraps(plain, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(is_traced(x) for a in (*args, *kwargs.values()) for x in _shallow(a)):
            return traced(*args, **kwargs)
        return plain(*args, **kwargs)

    return call


def _shallow(value: Any) -> Any:
    if isinstance(value, Text):
        return [p[0] for p in value.parts if isinstance(p, tuple)]
    return tree.flatten(value)[0] if isinstance(value, (list, tuple, dict)) else (value,)


def _int(value: Any = 0, *base: Any) -> Any:
    if isinstance(value, Number):
        return (
            value
            if value.dtype is int64
            else Number.of(as_dtype(Tensor.trunc(as_dtype(value, float64)), int64))
        )  # type: ignore[attr-defined]
    return _int(_constant(value, float64)) if is_traced(value) else int(value, *base)


def _float(value: Any = 0.0) -> Any:
    if is_traced(value) and not isinstance(value, Number):
        return _constant(value, float64)
    return wide(value, float64) if isinstance(value, Number) else float(value)


def _constant(value: Tensor, dtype: DType) -> Number:
    """The Python number of a traced Tensor of one element: a constant to every derivative."""
    if value.size != 1:
        float(value)  # raises
    if value.dtype.is_inexact and _is_differentiated(value):
        raise gradient_lost("turned into a number")
    return Number.of(as_dtype(apply(value_of, apply(reshape, value, shape=())), dtype))


def _is_differentiated(value: Tensor) -> bool:
    """Whether a traced Tensor has a derivative that somebody asks for."""
    trace = state.trace
    pending, seen = [trace.read(value)], set()
    while pending:
        node = pending.pop()
        if node in trace.standing:
            return True
        if node not in seen and node.op is not stop_gradient:
            seen.add(node)
            pending.extend(node.inputs)
    return False


def _bool(value: Any = False) -> Any:
    from jitgrad.frontend.regions import truth

    return truth(value)


def _sum(items: Any, start: Any = 0) -> Any:
    items = settled(items)
    if not isinstance(items, (list, tuple)) or not rows.are_rows(items):
        return sum(items, start)
    if not all(isinstance(x, Tensor) and x._type is items[0]._type for x in items):
        return sum(items, start)
    return sum([apply(reduce_sum, x, axes=(0,)) for x in rows.gathered(items)], start)


def _until(items: Any, going_on: bool) -> Any:
    """`all` (going on while true) and `any` (while false): items are asked for one by one."""
    from jitgrad.frontend.control.run import every, some

    found: Any = going_on
    for item in items:
        if is_traced(item):
            found = (every if going_on else some)(found, partial(_bool, item))
        elif bool(item) is not going_on:
            return not going_on
    return found


def _setattr(thing: Any, name: str, value: Any) -> None:
    from jitgrad.frontend.control.run import touch

    setattr(touch(thing, name), name, value)


def _isinstance(value: Any, kinds: Any) -> bool:
    return isinstance(_like(value) if isinstance(value, Number) else value, kinds)


def _type(*args: Any, **kwargs: Any) -> Any:
    if len(args) == 1 and isinstance(args[0], Number):
        return type(_like(args[0]))
    return type(*args, **kwargs)


def _like(number: Number) -> int | float:
    """A Python number of the type that a traced one stands for."""
    return 0 if number.dtype is int64 else 0.0


MATH = {
    "fabs": "abs", "gamma": None, "lgamma": "lgamma", "pow": "pow", "atan2": "atan2",
    "hypot": "hypot", "fmod": "fmod", "degrees": "rad2deg", "radians": "deg2rad",
    "copysign": "copysign",
}  # fmt: skip
SAME = (
    "sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh exp exp2 expm1 log log2 log10"
    " log1p sqrt erf erfc floor ceil trunc isnan isinf isfinite"
)


def _method(name: str) -> Callable:
    def call(first: Any, *rest: Any) -> Any:
        first = first.strong() if isinstance(first, Number) else first
        return getattr(first if isinstance(first, Tensor) else Tensor(first), name)(*rest)

    return call


TABLE: dict[Any, Callable] = {
    print: traced_print,
    int: _of_traced(int, _int),
    float: _of_traced(float, _float),
    np.float64: _of_traced(np.float64, _float),
    np.int64: _of_traced(np.int64, _int),
    bool: _of_traced(bool, _bool),
    isinstance: _isinstance,
    len: length,
    sum: _sum,
    setattr: _setattr,
    type: _type,
    range: _of_traced(range, TracedRange.of),
    enumerate: enumerated,
    zip: zipped,
    reversed: backwards,
    min: extremum("min", min),
    max: extremum("max", max),
    sorted: ordered,
    all: lambda items: _until(items, True),
    any: lambda items: _until(items, False),
}
for _name, _of in {**MATH, **{n: n for n in SAME.split()}}.items():
    if _of is not None and hasattr(math, _name):
        TABLE[getattr(math, _name)] = _of_traced(getattr(math, _name), _method(_of))
