"""Rewrite rules as data: a pattern of ops, what replaces it, and how safe that is.

A rule is a row of a table, written with the ops and operators that users write::

    rule("x * 1", lambda x: (x * 1, x), EXACT)

The function is called once with pattern variables and returns the pattern and its replacement.
Where the replacement needs Python (attributes to compute, conditions to check), it is a function
under the pattern, which returns None where the rule does not apply after all::

    @rewrite(lambda x, p, q: transpose(transpose(x, perm=p), perm=q), EXACT)
    def transpose_of_transpose(x, p, q):
        return transpose(x, perm=tuple(p[i] for i in q))

A variable stands for any node (the same one wherever it is repeated) or, in the place of an
attribute, for the attribute's value; attributes that are not mentioned may be anything. A Python
number stands for that number repeated, bit for bit: 0 is not -0.0. Commutative ops match in both
orders. Nothing here knows any op: patterns record whatever ops they are built with.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jitgrad.errors import IRError
from jitgrad.ir.node import (
    Graph,
    Node,
    constant_op,
    full,
    rebuild,
    settling,
    splat,
    with_inputs,
)
from jitgrad.ir.op import Op
from jitgrad.ir.types import DType


class Safety(enum.IntEnum):
    """What a rewrite may change. Each level allows what the levels below it allow."""

    EXACT = 0  # nothing: equal bits for every operand (nan stays nan)
    EXACT_BUT_SIGNED_ZERO = 1  # 0 may become -0.0, or the reverse
    ROUNDING = 2  # the last bits of finite results
    FINITE = 3  # everything where an operand or a result is inf or nan, or was outside the domain


EXACT, EXACT_BUT_SIGNED_ZERO, ROUNDING, FINITE = Safety

MANY = 16  # rewrites of one node in one sweep; a chain of rules is never as long
SWEEPS = 10


# --- patterns -----------------------------------------------------------------------------------


class Pattern:
    """An expression over pattern variables, built by calling ops and using operators."""

    @staticmethod
    def applied(op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any]) -> Apply:
        """What `Op.__call__` gives for operands that are patterns."""
        return Apply(op, tuple([_pattern(x) for x in inputs]), dict(attrs))


def _delegate(name: str) -> Callable[..., Any]:
    """The operator that `jitgrad.primitives` gives to nodes."""
    return lambda self, *others: getattr(Node, name)(self, *others)


for _name in (
    *("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__"),
    *("__truediv__", "__rtruediv__", "__and__", "__rand__", "__or__", "__ror__"),
    *("__lt__", "__le__", "__gt__", "__ge__", "__neg__"),
):
    setattr(Pattern, _name, _delegate(_name))


@dataclass(frozen=True, slots=True)
class Variable(Pattern):
    """Any node, or any node made by `op`; in the place of an attribute, any value."""

    name: str
    op: Op | None = None

    def by(self, op: Op) -> Variable:
        """The same variable, for nodes of one op only."""
        return Variable(self.name, op)

    @property
    def all(self) -> Rest:
        """All operands of an op, however many: bound to the tuple of them."""
        return Rest(self.name)


@dataclass(frozen=True, slots=True)
class Rest(Pattern):
    """The operands of an op, as a tuple."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Pattern):
    """A number, repeated over any shape."""

    value: float | int | bool
    bits: dict[DType, bytes | None] = field(default_factory=dict)

    def matches(self, node: Node) -> bool:
        array = splat(node)
        if array is None:
            return False
        dtype = node.dtype
        if dtype not in self.bits:
            self.bits[dtype] = self.in_dtype(dtype)
        return self.bits[dtype] == array.tobytes()

    def in_dtype(self, dtype: DType) -> bytes | None:
        """The bits of the number, rounded to a dtype; None where the dtype has nothing like it."""
        if isinstance(self.value, bool) != (dtype.kind == "b"):
            return None
        if isinstance(self.value, float) and not dtype.is_float:
            return None
        if dtype.is_int and not 0 <= self.value - np.iinfo(dtype.numpy).min < 2 ** (8 * dtype.size):
            return None
        with np.errstate(over="ignore"):
            array = np.array(self.value).astype(dtype.numpy)
        overflows = dtype.is_float and np.isinf(array) and not np.isinf(self.value)
        return None if overflows else array.tobytes()


@dataclass(frozen=True, slots=True, eq=False)
class Apply(Pattern):
    """An op applied to patterns, with attributes given, bound to variables, or left open."""

    op: Op
    inputs: tuple[Pattern, ...]
    attrs: dict[str, Any]


def _pattern(x: Any) -> Pattern:
    if isinstance(x, Pattern):
        return x
    if isinstance(x, (bool, int, float)):
        return Literal(x)
    raise IRError(f"a pattern is made of variables, numbers and ops, not of {x!r}")


def _text(pattern: Any) -> str:
    """A pattern in words, equal for equal patterns."""
    if isinstance(pattern, (Variable, Rest)):
        return pattern.name
    if isinstance(pattern, Literal):
        return repr(pattern.value)
    if isinstance(pattern, Apply):
        attrs = [f"{k}={_text(v)}" for k, v in pattern.attrs.items()]
        return f"{pattern.op.name}({', '.join([*map(_text, pattern.inputs), *attrs])})"
    return repr(pattern)


def _orders(pattern: Pattern) -> Iterator[Pattern]:
    """The pattern with the operands of commutative ops in every order."""
    if not isinstance(pattern, Apply):
        yield pattern
        return
    choices: list[tuple[Pattern, ...]] = [()]
    for operand in pattern.inputs:
        choices = [(*c, o) for c in choices for o in _orders(operand)]
    seen = set()
    for inputs in choices:
        swapped = [inputs[::-1]] if pattern.op.commutative else []
        for operands in (inputs, *swapped):
            key = tuple(map(_text, operands))
            if key not in seen:
                seen.add(key)
                yield Apply(pattern.op, operands, pattern.attrs)


def match(pattern: Pattern, node: Node, bound: dict[str, Any]) -> bool:
    """Whether a node has the form of a pattern; binds the variables on the way."""
    if isinstance(pattern, Variable):
        known = bound.setdefault(pattern.name, node)
        return known is node and (pattern.op is None or pattern.op is node.op)
    if isinstance(pattern, Literal):
        return pattern.matches(node)
    assert isinstance(pattern, Apply)
    if node.op is not pattern.op:
        return False
    if isinstance(pattern.inputs[0], Rest):
        bound[pattern.inputs[0].name] = node.inputs
    elif len(node.inputs) != len(pattern.inputs):
        return False
    else:
        for operand, value in zip(pattern.inputs, node.inputs):
            if not match(operand, value, bound):
                return False
    for name, wanted in pattern.attrs.items():
        value = node.attrs[name]
        if isinstance(wanted, Variable):
            wanted = bound.setdefault(wanted.name, value)
        if wanted is not value and wanted != value:
            return False
    return True


def _build(pattern: Pattern, bound: Mapping[str, Any]) -> Any:
    if isinstance(pattern, Variable):
        return bound[pattern.name]
    if isinstance(pattern, Literal):
        return pattern.value
    assert isinstance(pattern, Apply)
    attrs = {k: bound[v.name] if isinstance(v, Variable) else v for k, v in pattern.attrs.items()}
    return pattern.op(*[_build(x, bound) for x in pattern.inputs], **attrs)


# --- rules --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One row: where `pattern` matches and every variable has a dtype of a kind in `on`,
    `replace(node, variables)` gives the replacement: a node, a number, or None for no match.
    """

    name: str
    pattern: Apply
    replace: Callable[..., Any]
    safety: Safety
    on: str = ""
    doc: str = ""
    orders: tuple[Apply, ...] = ()

    def __repr__(self) -> str:
        return f"<rule {self.name!r}: {_text(self.pattern)}, {self.safety.name}>"

    def named(self, name: str) -> Rule:
        return dataclasses.replace(self, name=name)

    def apply(self, node: Node) -> Node | None:
        """The replacement of a node, or None where the rule does not apply."""
        for order in self.orders:
            new = self.apply_order(order, node)
            if new is not None:
                return new
        return None

    def apply_order(self, order: Apply, node: Node) -> Node | None:
        bound: dict[str, Any] = {}
        if not match(order, node, bound):
            return None
        if self.on and not all(
            x.dtype.kind in self.on for x in bound.values() if isinstance(x, Node)
        ):
            return None
        new = self.replace(node, bound)
        if new is None:
            return None
        if not isinstance(new, Node):
            new = full(new, node.type)
        if new.type is not node.type:
            raise IRError(f"rule {self.name!r} turns {node.type} into {new.type}")
        return new


def rule(
    name: str,
    function: Callable[..., tuple[Any, Any]],
    safety: Safety,
    *,
    on: str = "",
    where: Callable[..., bool] | None = None,
) -> Rule:
    """A row whose replacement is an expression: `function(*variables)` gives both sides."""
    left, right = function(*_variables(function))
    right = _pattern(right)

    def replace(node: Node, bound: dict[str, Any]) -> Any:
        if where is not None and not _call(where, node, bound):
            return None
        return _build(right, bound)

    return Rule(name, left, replace, safety, on, f"{name} → {_text(right)}", _orders_of(left))


def rewrite(
    pattern: Callable[..., Any], safety: Safety, *, on: str = ""
) -> Callable[[Callable[..., Any]], Rule]:
    """A row whose replacement is Python: the decorated function takes the pattern's variables
    by name, and the matched node itself if it has a parameter ``node``.
    """
    left = pattern(*_variables(pattern))

    def declare(function: Callable[..., Any]) -> Rule:
        def replace(node: Node, bound: dict[str, Any]) -> Any:
            return _call(function, node, bound)

        name = function.__name__.replace("_", " ").strip()
        doc = inspect.getdoc(function) or ""
        return Rule(name, left, replace, safety, on, doc, _orders_of(left))

    return declare


def _variables(function: Callable[..., Any]) -> list[Variable]:
    """A variable for each parameter; those with defaults keep them."""
    parameters = inspect.signature(function).parameters.values()
    return [Variable(p.name) for p in parameters if p.default is p.empty]


def _call(function: Callable[..., Any], node: Node, bound: dict[str, Any]) -> Any:
    code = function.__code__  # type: ignore[attr-defined]
    names = code.co_varnames[: code.co_argcount]
    return function(*[node if n == "node" else bound[n] for n in names])


def _orders_of(pattern: Pattern) -> tuple[Apply, ...]:
    return tuple([p for p in _orders(pattern) if isinstance(p, Apply)])


class Rules:
    """A table of rules, indexed by the op of a node and the ops of its operands.

    So a node that no rule can match costs one look-up, however long the table is.
    """

    def __init__(self, rules: Iterable[Rule]):
        self.rules = tuple(rules)
        self._index: dict[tuple, tuple[tuple[Rule, Apply], ...]] = {}
        self._settled = {level: settling() for level in Safety}

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def rewrite(self, node: Node, level: Safety) -> Node:
        """The node, or what it becomes when rules are applied until none does."""
        for _ in range(MANY):
            new = self._once(node, level)
            if new is None or new is node:
                return node
            node = new
        return node

    def _once(self, node: Node, level: Safety) -> Node | None:
        inputs = node.inputs
        key = (level, node.op, *[i.op for i in (inputs if len(inputs) < 4 else inputs[:3])])
        candidates = self._index.get(key)
        if candidates is None:
            candidates = self._index[key] = tuple(self._candidates(node, level))
        for candidate, order in candidates:
            new = candidate.apply_order(order, node)
            if new is not None:
                return new
        return None

    def _candidates(self, node: Node, level: Safety) -> Iterator[tuple[Rule, Apply]]:
        for row in self.rules:
            if row.safety <= level:
                for order in row.orders:
                    if order.op is node.op and all(map(_may_be, order.inputs, node.inputs[:3])):
                        yield row, order

    def sweep(self, graph: Graph, level: Safety) -> Graph:
        """Every node rewritten once, inputs before users."""

        def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
            return self.rewrite(with_inputs(node, inputs), level)

        return rebuild(graph, rewrite, self._settled[level])

    def fixpoint(self, graph: Graph, level: Safety) -> Graph:
        """Sweeps until nothing changes."""
        for _ in range(SWEEPS):
            before, graph = graph, self.sweep(graph, level)
            if graph is before:
                break
        return graph


def _may_be(pattern: Pattern, operand: Node) -> bool:
    """Whether the op of an operand allows a pattern to match."""
    if isinstance(pattern, Literal):
        return operand.op is constant_op
    wanted = pattern.op if isinstance(pattern, (Apply, Variable)) else None
    return wanted is None or wanted is operand.op
