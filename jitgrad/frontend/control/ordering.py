"""`min`, `max`, `sorted` and `list.sort` where what they compare depends on data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import tree
from jitgrad.frontend import rows
from jitgrad.frontend.aliases import torn
from jitgrad.frontend.control.growing import settled
from jitgrad.frontend.control.merge import Disagreement, common, is_numeric, of_type, same
from jitgrad.frontend.control.paths import decide, kept
from jitgrad.frontend.control.traced import is_traced
from jitgrad.frontend.dispatch import apply
from jitgrad.frontend.number import Number, wide
from jitgrad.ir.types import int32
from jitgrad.primitives import sort
from jitgrad.primitives.index import take
from jitgrad.state import state
from jitgrad.tensor import Tensor
from jitgrad.views import connect

Key = Callable[[Any], Any] | None


def _keys(items: Sequence[Any], key: Key) -> list[Any]:
    from jitgrad.frontend.control.calls import callee

    return list(items) if key is None else [callee(key)(x) for x in items]


def extremum(name: str, plain: Callable) -> Callable:
    """`min` or `max`."""

    def call(*args: Any, key: Key = None, **rest: Any) -> Any:
        from jitgrad.frontend.control.run import choose

        items = list(args if len(args) > 1 else settled(args[0]))
        keys = _keys(items, key)
        if not any(is_traced(k) for k in keys):
            known = iter(keys)
            return plain(items, key=lambda _: next(known), **rest)
        best = items[0], keys[0]
        for pair in zip(items[1:], keys[1:], strict=True):
            takes = pair[1] < best[1] if name == "min" else pair[1] > best[1]
            best = choose(takes, lambda pair=pair: pair, lambda best=best: best)
        return best[0]

    return call


def ordered(items: Any, *, key: Key = None, reverse: Any = False) -> list[Any]:
    """`sorted`: by one sort of the keys, if what is sorted can be rows."""
    items = list(settled(items))
    keys = _keys(items, key)
    if not any(is_traced(k) for k in keys):
        known = iter(keys)
        return sorted(items, key=lambda _: next(known), reverse=reverse)
    try:
        return _by_sorting(items, keys, bool(reverse))
    except Disagreement as disagreement:
        reason = kept(disagreement)

    def before(a: Any, b: Any) -> bool:
        """Whether a comes before b, for the arguments of this trace."""
        return decide(state.trace, a < b, reason) if is_traced(a < b) else a < b

    compared = functools.cmp_to_key(lambda a, b: int(before(b, a)) - int(before(a, b)))
    known = map(compared, keys)
    return sorted(items, key=lambda _: next(known), reverse=bool(reverse))


def sort_list(items: list[Any], *, key: Key = None, reverse: Any = False) -> None:
    """`list.sort`."""
    items[:] = ordered(items, key=key, reverse=reverse)


def _by_sorting(items: list[Any], keys: list[Any], descending: bool) -> list[Any]:
    order = apply(sort.sort, _column(keys, "a key"), axis=0, descending=descending, dtype=int32)[1]
    nests = [tree.flatten(x) for x in items]
    if any(structure != nests[0][1] for _, structure in nests):
        raise Disagreement("an item", ("of one kind", "of another one"))
    columns = [_sorted(list(c), order) for c in zip(*(leaves for leaves, _ in nests), strict=True)]
    structure = nests[0][1]
    return [tree.unflatten(structure, [c[i] for c in columns]) for i in range(len(items))]


def _column(values: list[Any], what: str) -> Tensor:
    """Values of one type along a new axis."""
    if not all(map(is_numeric, values)):
        raise Disagreement(what, ("a number", "something else"))
    found = values[0]
    for value in values[1:]:
        if isinstance(found, Tensor) and isinstance(value, Tensor) and found._type is value._type:
            continue
        type_, weak = common(found, value, what)
        found = of_type(found, type_)
        found = Number.of(found) if weak else found
    type_ = common(found, found, what)[0]
    if type_.shape and what == "a key":
        raise ValueError("the truth value of an array is ambiguous: a key is one number")
    return rows.joined([of_type(v, type_) for v in values])


def _sorted(values: list[Any], order: Tensor) -> list[Any]:
    """A leaf of all items, in another order. The Tensors are new ones: since nobody knows which of
    the old ones each is, neither can be written to in place.
    """
    if not any(isinstance(v, Tensor) for v in values) and all(same(v, values[0]) for v in values):
        return values
    weak = not any(isinstance(v, Tensor) and not isinstance(v, Number) for v in values)
    found: list[Any] = list(rows.rows(apply(take, _column(values, "an item"), order)))
    if weak:
        return [wide(Number.of(x)) for x in found]
    for new, old in zip(found, values, strict=True):
        if isinstance(old, Tensor) and not isinstance(old, Number):
            connect(new, torn(new, old))
    return found
