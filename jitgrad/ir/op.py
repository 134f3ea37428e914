"""The record of an op. Everything the compiler knows about an op is in here.

Ops are declared in `jitgrad.primitives`; the table `OPS` is how the rest of the compiler finds
them, by name and never by special case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from jitgrad.errors import IRError
from jitgrad.ir.types import DType, Type

if TYPE_CHECKING:
    from jitgrad.ir.node import Node

Attrs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of an op for the registry-driven tests: input arrays and attributes."""

    inputs: tuple[np.ndarray, ...]
    attrs: Attrs = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operation.

    kind     "leaf", "elementwise", "view", "reduce", "call" (a kernel or library call of its
             own), "tuple" (projection) or "region"; chooses the loop rule, never the meaning.
    infer    (types, attrs) -> type; raises a user-facing error on bad types.
    numpy    (*arrays, **attrs) -> array or tuple of arrays: the reference semantics.
    vjp      (node, cotangent) -> one cotangent or None for each input.
    jvp      (node, tangents) -> tangent or None; a tangent is None where it is zero.
    batch    (node, inputs, batched, size) -> Node whose leading axis is the batch; a tuple of
             them for several results, if they do not come from one node.
    scalar   expression text of an elementwise op in the names of `operands`.
    samples  (dtype) -> calls that the tests make; () where the op does not take the dtype.
    """

    name: str
    kind: str
    infer: Callable[[tuple[Type, ...], Attrs], Type]
    numpy: Callable[..., Any]
    vjp: Callable[[Node, Any], tuple[Any, ...]] | None = None
    jvp: Callable[[Node, tuple[Any, ...]], Any] | None = None
    batch: Callable[[Node, tuple[Any, ...], tuple[bool, ...], int], Any] | None = None
    scalar: str = ""
    operands: tuple[str, ...] = ()
    samples: Callable[[DType], Iterable[Sample]] = lambda dtype: ()
    commutative: bool = False
    doc: str = ""

    def __call__(self, *inputs: Any, **attrs: Any) -> Node:
        """Build the node; Python numbers take the type of the first node among the inputs."""
        from jitgrad.ir.node import make_from

        return make_from(self, inputs, attrs)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> tuple:
        return op, (self.name,)


def title(op: Op, attrs: Attrs) -> str:
    """What a call computes, for people: the op, or the user's function that it calls."""
    return attrs.get("function", op.name)


OPS: dict[str, Op] = {}


def register(new: Op) -> Op:
    """Add an op to the table; a name can be declared once."""
    if new.name in OPS:
        raise IRError(f"op {new.name!r} is declared twice")
    OPS[new.name] = new
    return new


def op(name: str) -> Op:
    """The op of a name; IRError with the nearest names if there is none."""
    try:
        return OPS[name]
    except KeyError:
        import difflib

        near = difflib.get_close_matches(name, OPS)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise IRError(f"there is no op named {name!r}{hint}") from None
