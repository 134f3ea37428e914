"""Two values of one variable, as two branches leave it, become one.

`Join.values(a, b)` walks two nests together. What is the same stays; where numbers or Tensors
differ, the pair is noted, and stands for a result of the region that is then made. `Disagreement`
says what cannot be one value, with both types.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.frontend.control.variables import Unbound
from jitgrad.frontend.dispatch import fill
from jitgrad.frontend.number import FLAG, Number, as_dtype, kind_of
from jitgrad.ir.types import DType, TensorType, bool_, float64, int64
from jitgrad.tensor import Tensor

RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


class Disagreement(Exception):
    """Two values that cannot become one. `what` is the variable, `kinds` say what they are."""

    def __init__(self, what: str, kinds: tuple[str, str], why: str = ""):
        self.what, self.kinds, self.why = what, kinds, why
        super().__init__(f"{what}: {kinds[0]} and {kinds[1]}")


@dataclass(frozen=True, slots=True)
class Pair:
    """Stands for result `index` of the region, a Python number if `weak`."""

    index: int
    weak: bool


@dataclass(frozen=True, slots=True)
class Nest:
    """A container with Pairs in it; `origins` are the two that it is made of."""

    kind: type
    keys: tuple[Any, ...]
    children: tuple[Any, ...]
    origins: tuple[Any, Any]


def unchanged(value: Any) -> Any:
    """What a value holds at the end of a block that changes nothing in place."""
    return value


class Join:
    """Collects the pairs of Tensors that differ, of one type each, and the names they go by.

    now      for each side, what a thing holds at the side's end: it may have changed it in place.
    origins  the two values that each pair is made of.
    """

    def __init__(self, *now: Callable[[Any], Any]) -> None:
        self.now = now or (unchanged, unchanged)
        self.left: list[Tensor] = []
        self.right: list[Tensor] = []
        self.names: list[str] = []
        self.origins: list[tuple[Any, Any]] = []
        self.known: dict[tuple[int, int], Pair] = {}

    def values(self, a: Any, b: Any, what: str) -> Any:
        """One value for two, or what stands for it until `filled`; Disagreement."""
        if a is b:
            return a
        left, right = self.now[0](a), self.now[1](b)
        if is_numeric(left) and is_numeric(right):
            return self.numbers((a, b), left, right, what)
        ours, theirs = tree.parts(left), tree.parts(right)
        if ours is None or theirs is None:
            if ours is theirs and same(left, right):
                return left
            raise Disagreement(what, (described(left), described(right)))
        (keys, children), (other_keys, others) = ours, theirs
        if type(left) is not type(right) or keys != other_keys or len(children) != len(others):
            raise Disagreement(what, (described(left), described(right)))
        inside = tuple([self.values(x, y, what) for x, y in zip(children, others, strict=True)])
        return Nest(type(left), keys, inside, (a, b))

    def numbers(self, origins: tuple[Any, Any], a: Any, b: Any, what: str) -> Any:
        if not isinstance(a, Tensor) and not isinstance(b, Tensor) and same(a, b):
            return a
        if isinstance(a, Number) and isinstance(b, Number) and a._node is b._node:
            return a
        type_, weak = common(a, b, what)
        # Names of one Tensor in either branch stay names of one.
        key = id(origins[0]), id(origins[1])
        strong = all(isinstance(x, Tensor) and not isinstance(x, Number) for x in (a, b))
        if strong and key in self.known:
            return self.known[key]
        new = self.pair(of_type(a, type_), of_type(b, type_), weak, what, origins)
        if strong:
            self.known[key] = new
        return new

    def pair(
        self, a: Tensor, b: Tensor, weak: bool, what: str, origins: tuple[Any, Any] = (None, None)
    ) -> Pair:
        self.left.append(a)
        self.right.append(b)
        self.names.append(what)
        self.origins.append(origins)
        return Pair(len(self.left) - 1, weak)


def filled(value: Any, results: Sequence[Tensor], mixed: list[Any] | None = None) -> Any:
    """The value with the region's results in the place of what stands for them. `mixed` gets each
    new container with the two that it is made of.
    """
    if isinstance(value, Pair):
        return Number.of(results[value.index]) if value.weak else results[value.index]
    if isinstance(value, Nest):
        children = [filled(x, results, mixed) for x in value.children]
        new = tree.assembled(value.kind, value.keys, children)
        if mixed is not None and not issubclass(value.kind, (tuple, type(None))):
            mixed.append((new, *value.origins))
        return new
    return value


def is_numeric(value: Any) -> bool:
    """Whether a value is a Tensor or a number."""
    return isinstance(value, Tensor) or kind_of(value) is not None


def same(a: Any, b: Any) -> bool:
    """Whether two plain values are the same to a program that reads them."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (float, np.floating)):
        return repr(a) == repr(b)  # nan is itself, and -0.0 is not 0.0
    try:
        return bool(a == b)
    except Exception:  # an object whose comparison fails is not known to be the same
        return False


def common(a: Any, b: Any, what: str) -> tuple[TensorType, bool]:
    """The type that holds both values, and whether it is a Python number's; Disagreement.

    A number takes the dtype of a 0-d Tensor beside it, if that holds it.
    """
    kinds = kind_of(a), kind_of(b)
    if None not in kinds:
        if all(isinstance(x, (bool, np.bool_)) for x in (a, b)):
            return FLAG, False
        return TensorType(float64 if float64 in kinds else int64, ()), True
    if kinds == (None, None):
        if a._type is not b._type:
            raise Disagreement(what, (described(a), described(b)))
        return a._type, False
    strong, number = (a, b) if kinds[0] is None else (b, a)
    if strong.shape == () and fits(number, strong.dtype):
        return strong._type, False
    raise Disagreement(what, (described(a), described(b)))


def fits(number: Any, dtype: DType) -> bool:
    """Whether a dtype holds a Python number as eager arithmetic with it would."""
    if isinstance(number, (bool, np.bool_)):
        return True
    rank = 2 if kind_of(number) is float64 else 1
    return rank <= RANK[dtype.kind] and dtype is not bool_


def of_type(value: Any, type_: TensorType) -> Tensor:
    """A Tensor of that type, or a number repeated over it."""
    if isinstance(value, Tensor) and kind_of(value) is None:
        return value
    if isinstance(value, Number):
        return as_dtype(value, type_.dtype)
    return fill(value, type_)


def described(value: Any) -> str:
    """What a value is, in an error message."""
    if isinstance(value, Unbound):
        return "not bound"
    if isinstance(value, Number):
        return "a Python float" if value.dtype is float64 else "a Python int"
    if isinstance(value, Tensor):
        return str(value._type)
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, (tuple, list, dict)):
        items = value.items() if isinstance(value, dict) else ((None, v) for v in value)
        parts = [described(v) if k is None else f"{k!r}: {described(v)}" for k, v in items]
        text = ", ".join(parts if len(parts) <= 4 else [*parts[:3], "…", parts[-1]])
        marks = "{}" if isinstance(value, dict) else "[]" if isinstance(value, list) else "()"
        return f"{marks[0]}{text}{',' if marks == '()' and len(parts) == 1 else ''}{marks[1]}"
    return f"a {type(value).__name__}"


def zeros_like(value: Any) -> Any:
    """Zeros of a value's types, where the value is never looked at."""
    if isinstance(value, Unbound):
        return value
    leaves, structure = tree.flatten(value)
    return tree.unflatten(structure, [_zero(x) for x in leaves])


def _zero(x: Any) -> Any:
    if isinstance(x, Number):
        return Number.of(as_dtype(0, x.dtype))
    return fill(0, x._type) if isinstance(x, Tensor) else x
