"""Ints of a graph as sums: what is added up, and how often."""

from __future__ import annotations

from collections import Counter

from jitgrad.ir.node import Node
from jitgrad.ir.node import splat as number_of
from jitgrad.ir.types import int32
from jitgrad.primitives.elementwise import add, mul, sub
from jitgrad.primitives.shape import cast

ONE = None  # stands for 1, of which a number is so many


def terms(node: Node) -> Counter:
    """How often each node is in a sum of ints. Each node is looked at once, whoever reads it."""
    found: dict[Node, Counter] = {}
    stack = [node]
    while stack:
        here = stack[-1]
        below = _summed(here)
        missing = [x for x in below if x not in found]
        if missing:
            stack += missing
            continue
        stack.pop()
        if here not in found:
            found[here] = _sum(here, [found[x] for x in below])
    return found[node]


def _summed(node: Node) -> tuple[Node, ...]:
    """The operands of which a node is a sum."""
    if number_of(node) is not None:
        return ()
    return node.inputs if node.op in (add, sub, mul) or _keeps(node) else ()


def _keeps(node: Node) -> bool:
    """Whether a node is a cast that leaves ints, as indices are, what they are."""
    if node.op is not cast or not node.inputs[0].dtype.is_int:
        return False
    return node.dtype is int32 or node.dtype.size >= node.inputs[0].dtype.size


def _sum(node: Node, parts: list[Counter]) -> Counter:
    number = number_of(node)
    if number is not None:
        return Counter({ONE: int(number)})
    if not parts:
        return Counter({node: 1})
    if node.op is cast:
        return parts[0]
    left, right = parts
    if node.op is mul:
        if left.keys() <= {ONE}:
            left, right = right, left
        return _times(left, right[ONE]) if right.keys() <= {ONE} else Counter({node: 1})
    total = Counter(left)
    total.update(_times(right, -1 if node.op is sub else 1))
    return total


def _times(sum: Counter, factor: int) -> Counter:
    return Counter({x: count * factor for x, count in sum.items()})


def affine(node: Node | None, of: Node | None) -> tuple[int, int] | None:
    """(a, b) if a node is a * of + b with known integers."""
    if node is None or not node.dtype.is_int:
        return None
    found = terms(node)
    slope, first = found.pop(of, 0), found.pop(ONE, 0)
    return None if any(found.values()) else (slope, first)


def difference(a: Node, b: Node) -> int | None:
    """a - b, where the two are the same but for a constant."""
    found = terms(a).copy()
    found.subtract(terms(b))
    number = found.pop(ONE, 0)
    return None if any(found.values()) else number
