"""Einstein summation by transposes, sums and matrix products, pair by pair."""

from __future__ import annotations

import builtins
import math
import re

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.linalg import diagonal, factors
from jitgrad.ops.promote import apply, describe
from jitgrad.ops.shaping import permuted, reshaped
from jitgrad.primitives import linalg as primitive
from jitgrad.tensor import Tensor


def einsum(equation, *operands):
    """Sums of products by the letters of axes, as in ``einsum("bij,bjk->bik", x, y)``.

    A letter that the result lacks is summed over; one that an operand repeats takes its diagonal;
    ``...`` stands for axes that are broadcast. Without ``->`` the result has the letters that
    occur once, in alphabetical order.

    >>> from jitgrad import Tensor, ops
    >>> ops.einsum("ij,j->i", Tensor([[1.0, 2.0]]), Tensor([3.0, 4.0])).tolist()
    [11.0]
    """
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    tensors = factors("einsum", *operands)
    terms, result = _parse(equation, tensors)
    parts = [_diagonals(x, list(letters)) for x, letters in zip(tensors, terms)]
    _check_extents(equation, parts)
    while len(parts) > 1:
        (a, a_letters), (b, b_letters), *rest = parts
        needed = set(result).union(*(letters for _, letters in rest))
        parts = [_pair(a, a_letters, b, b_letters, needed), *rest]
    ((x, letters),) = parts
    x, letters = _summed(x, letters, set(result))
    return permuted("einsum", x, [letters.index(letter) for letter in result])


def _parse(equation: str, tensors: list[Tensor]) -> tuple[list[str], str]:
    """The letters of each operand and of the result; '...' becomes digits, counted from the end."""
    text = equation.replace(" ", "")
    if not re.fullmatch(r"[A-Za-z.,]*(->[A-Za-z.]*)?", text) or "." in text.replace("...", ""):
        raise fail(ArgumentError, f"einsum got {equation!r}", why="it is no equation of letters")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(tensors):
        raise fail(
            ArgumentError,
            f"einsum got {equation!r} and {len(tensors)} operands: {describe(tensors)}",
        )
    found, most = [], 0
    for term, x in zip(terms, tensors):
        dots = x.ndim - len(term.replace("...", ""))
        if dots < 0 or ("..." not in term and dots):
            raise fail(
                ShapeError,
                f"einsum got {equation!r} and an operand {x._type} for {term!r}",
                why="it needs a letter for each axis",
            )
        most = builtins.max(most, dots if "..." in term else 0)
        found.append(term.replace("...", _dots(dots)))
    every = "".join(found)
    if arrow:
        result = right.replace("...", _dots(most))
    else:
        once = sorted(c for c in set(every) if every.count(c) == 1 and not c.isdigit())
        result = _dots(most) + "".join(once)
    if len(set(result)) != len(result) or set(result) - set(every):
        raise fail(
            ArgumentError, f"einsum got {equation!r}", why="the result repeats or invents letters"
        )
    return found, result


def _dots(count: int) -> str:
    return "".join(str(i) for i in reversed(range(count)))


def _check_extents(equation: str, parts) -> None:
    extents: dict[str, int] = {}
    for x, letters in parts:
        for letter, extent in zip(letters, x.shape):
            known = extents.setdefault(letter, extent)
            if known == 1 or extent == 1:
                extents[letter] = builtins.max(known, extent) if 0 not in (known, extent) else 0
            elif known != extent:
                listed = describe([x for x, _ in parts])
                raise fail(
                    ShapeError,
                    f"einsum got {equation!r} and {listed}",
                    why=f"{letter!r} has the extents {known} and {extent}",
                )


def _diagonals(x: Tensor, letters: list[str]) -> tuple[Tensor, list[str]]:
    """One axis for each letter."""
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            a = letters.index(letter)
            b = letters.index(letter, a + 1)
            if x.shape[a] != x.shape[b]:
                raise fail(ShapeError, f"einsum of {x._type}", why=f"the axes {letter!r} differ")
            x = diagonal(x, 0, a, b)
            letters = [c for i, c in enumerate(letters) if i not in (a, b)] + [letter]
    return x, letters


def _summed(x: Tensor, letters: list[str], keep: set[str]) -> tuple[Tensor, list[str]]:
    """Without the axes that nobody needs."""
    axes = tuple(i for i, letter in enumerate(letters) if letter not in keep)
    if not axes:
        return x, letters
    return r.reduce_sum(x, axes), [letter for letter in letters if letter in keep]


def _pair(a: Tensor, left: list[str], b: Tensor, right: list[str], needed: set[str]):
    """The product of two operands: a batched matrix product where letters are summed."""
    a, left = _summed(a, left, needed | set(right))
    b, right = _summed(b, right, needed | set(left))
    both = [c for c in left if c in right]
    summed = [c for c in both if c not in needed]
    unit = [c for c in both if a.shape[left.index(c)] != b.shape[right.index(c)]]
    if not summed or unit:
        return _broadcast_product(a, left, b, right, needed)
    batch = [c for c in both if c in needed]
    rows, columns = [c for c in left if c not in both], [c for c in right if c not in both]
    extent = {**dict(zip(right, b.shape)), **dict(zip(left, a.shape))}

    def size(letters):
        return math.prod(extent[c] for c in letters)

    def arranged(x, letters, order, shape):
        x = permuted("einsum", x, [letters.index(c) for c in order])
        return reshaped("einsum", x, tuple(shape))

    head = [extent[c] for c in batch]
    first = arranged(a, left, batch + rows + summed, (*head, size(rows), size(summed)))
    second = arranged(b, right, batch + summed + columns, (*head, size(summed), size(columns)))
    out = apply(primitive.matmul, first, second)
    letters = batch + rows + columns
    return reshaped("einsum", out, tuple(extent[c] for c in letters)), letters


def _broadcast_product(a, left, b, right, needed):
    letters = left + [c for c in right if c not in left]

    def spread(x, own):
        order = [c for c in letters if c in own]
        x = permuted("einsum", x, [own.index(c) for c in order])
        shape = iter(x.shape)
        return reshaped("einsum", x, tuple(next(shape) if c in own else 1 for c in letters))

    return _summed(e.mul(spread(a, left), spread(b, right)), letters, needed)


__all__ = ["einsum"]
