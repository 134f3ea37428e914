"""Paddings of one value to several places as slices of the value with a margin of zeros.

What a filter reads at 32 offsets gets 32 gradients that are padded at 32 offsets and added. Each is
the same array times a number, moved: with a margin around that array all of them are views of it,
and the sum is one kernel.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jitgrad.ir.node import Graph, Node, full, rebuild, splat, with_inputs
from jitgrad.ir.op import op
from jitgrad.ir.types import uint32

PADS = frozenset({"pad"})
# Ops that make zeros of zeros, by the operands that have to be 0: in one of these ways.
ZEROS: dict[str, tuple[tuple[int, ...], ...]] = {
    "neg": ((0,),),
    "add": ((0, 1),),
    "sub": ((0, 1),),
    "mul": ((0,), (1,)),
    "div": ((0,),),
}
MOST_OPS = 4  # that are computed again in each place
MOST_GROWTH = 2  # of an array by its margin


@dataclass(frozen=True, slots=True)
class Padded:
    """A padding of `inside` (operands first), computed from `bases`: arrays that get a margin.

    It is `exact` if what is computed from zeros is 0 for sure: inf times 0 is not.
    """

    inside: tuple[Node, ...]
    bases: tuple[Node, ...]
    exact: bool


def margins(graph: Graph) -> Graph:
    """Rewrite paddings of values that are padded to two places or more."""
    uses = Counter(i for node in graph.nodes for i in node.inputs)
    uses.update(graph.outputs)
    summed = {i for node in graph.nodes if node.op.kind == "elementwise" for i in node.inputs}
    found = {p: _padded(p, uses) for p in graph.nodes if p in summed and _is_plain(p)}
    places: dict[Node, set[tuple[int, ...]]] = {}
    for p, padded in found.items():
        for base in padded.bases:
            places.setdefault(base, set()).add(p.attrs["low"])
    found = {p: f for p, f in found.items() if all(len(places[b]) > 1 for b in f.bases)}
    margin = _margins(found)
    mapped: dict[Node, Node] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in found and all(b in margin for b in found[node].bases):
            mapped[node] = _moved(node, found[node], margin, mapped)
        else:
            mapped[node] = with_inputs(node, inputs)
        return mapped[node]

    return rebuild(graph, rewrite) if margin else graph


def _is_plain(node: Node) -> bool:
    return node.op.name in PADS and not any(node.attrs["interior"]) and node.type.size > 0


def _padded(p: Node, uses: Counter[Node]) -> Padded:
    """What a padding pads, down to values that are needed elsewhere too."""
    inside: list[Node] = []
    bases: dict[Node, None] = {}
    exact, pending = True, [p.inputs[0]]
    while pending:
        node = pending.pop()
        ways = ZEROS.get(node.op.name, ()) if uses[node] == 1 and len(inside) < MOST_OPS else ()
        for way in ways:
            rest = [i for k, i in enumerate(node.inputs) if k not in way]
            if all(_repeats(i, p) for i in rest):
                inside.append(node)
                pending += [node.inputs[k] for k in way]
                exact = exact and all(_is_harmless(i) for i in rest)
                break
        else:
            bases[node] = None
    return Padded(tuple(reversed(inside)), tuple(bases), exact)


def _repeats(x: Node, p: Node) -> bool:
    """Whether a value is the same all along the axes that a padding makes longer."""
    if x.op.kind != "view":
        return splat(x) is not None
    dims = x.attrs.get("dims")
    longer = [a for a in range(p.ndim) if p.shape[a] != x.shape[a]]
    return dims is not None and not any(a in dims for a in longer)


def _is_harmless(x: Node) -> bool:
    """Whether 0 times or through a value is 0."""
    number = splat(x)
    return number is not None and math.isfinite(float(number)) and float(number) != 0


def _margins(found: dict[Node, Padded]) -> dict[Node, tuple[tuple[int, ...], tuple[int, ...]]]:
    """The widest zeros before and behind each base along each axis, where that is not too much."""
    wide: dict[Node, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for p, padded in found.items():
        for base in padded.bases:
            low, high = wide.get(base, ((0,) * p.ndim, (0,) * p.ndim))
            low = tuple(map(max, low, p.attrs["low"]))
            wide[base] = low, tuple(map(max, high, p.attrs["high"]))
    return {
        base: (low, high)
        for base, (low, high) in wide.items()
        if math.prod(map(sum, zip(base.shape, low, high))) <= MOST_GROWTH * base.type.size
    }


def _moved(
    p: Node,
    padded: Padded,
    margin: dict[Node, tuple[tuple[int, ...], tuple[int, ...]]],
    mapped: dict[Node, Node],
) -> Node:
    """The padding, computed from bases with margins where the padding puts them."""
    made: dict[Node, Node] = {}
    for base in padded.bases:
        low, high = margin[base]
        none = (0,) * p.ndim
        wide = op("pad")(mapped.get(base, base), low=low, high=high, interior=none)
        starts = tuple(a - b for a, b in zip(low, p.attrs["low"], strict=True))
        stops = tuple(a + n for a, n in zip(starts, p.shape, strict=True))
        made[base] = op("slice")(wide, starts=starts, stops=stops, steps=(1,) * p.ndim)
    for node in padded.inside:
        operands = [made[i] if i in made else _longer(i, p, mapped) for i in node.inputs]
        made[node] = node.op(*operands, **node.attrs)
    value = made[p.inputs[0]]
    return value if padded.exact else op("select")(_within(p), value, full(0, p.type))


def _longer(x: Node, p: Node, mapped: dict[Node, Node]) -> Node:
    """What is the same all along an axis, along a longer one."""
    number = splat(x)
    if number is not None:
        return full(number, x.type.with_shape(p.shape))
    source = mapped.get(x.inputs[0], x.inputs[0])
    return x.op(source, shape=p.shape, dims=x.attrs["dims"])


def _within(p: Node) -> Node:
    """Where a padding holds its operand."""
    found: list[Node] = []
    shapes: Sequence[int] = p.inputs[0].shape
    for axis, (low, n) in enumerate(zip(p.attrs["low"], shapes, strict=True)):
        if n == p.shape[axis]:
            continue
        at = op("iota")(shape=p.shape, axis=axis, dtype=uint32)
        # What lies before is a very large number without a sign.
        found.append(op("less")(at - full(low, at.type), full(n, at.type)))
    inside = found[0]
    for more in found[1:]:
        inside = op("logical_and")(inside, more)
    return inside
