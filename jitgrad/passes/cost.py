"""What computing one element takes, in additions: the currency of all decisions about kernels."""

from __future__ import annotations

import re

from jitgrad.ir.node import Node

FUNCTION, DIVISION = 10, 6
CALL = re.compile(r"(\w+)\(")
# Functions of scalar expressions that are an instruction or two; others are polynomials.
SIMPLE = frozenset(
    {
        *("select", "minimum", "maximum", "abs", "sign", "identity", "invert"),
        *("isnan", "isinf", "isfinite", "floor", "ceil", "trunc", "rint"),
        *("logical_and", "logical_or", "logical_xor", "logical_not"),
    }
)
DIVIDES = frozenset({"sqrt", "rsqrt"})


def work(node: Node) -> int:
    """About how long an op takes, and how much code it is."""
    called = set(CALL.findall(node.op.scalar)) - SIMPLE
    if called - DIVIDES:
        return FUNCTION
    return DIVISION if called or "/" in node.op.scalar else 1


def is_cheap(node: Node) -> bool:
    """Whether a value takes no function calls and no divisions."""
    return node.op.kind == "elementwise" and work(node) == 1
