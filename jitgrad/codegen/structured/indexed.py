"""Elements of arrays in memory, at places known when the program runs; updates happen in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jitgrad.codegen.canonical.index import UPDATES as STEPS
from jitgrad.codegen.scalar import working
from jitgrad.codegen.structured.writer import SMALL, Elements, Memory, Unsupported, Value, Writer
from jitgrad.ir.node import Node
from jitgrad.ir.types import TensorType, int64
from jitgrad.locate import Location
from jitgrad.passes.access import strides
from jitgrad.passes.ranges import Range

Rule = Callable[[Writer, Node, Sequence[Value], "Site"], Value]


@dataclass(frozen=True, slots=True)
class Site:
    """Where an access stands in the user's program, and whether its indices are known to fit."""

    where: Location | None
    fits: bool


def site(node: Node, where: Location | None, known: Mapping[Node, Range]) -> Site:
    """The site of an access, given what is known of integers."""
    x, at = node.inputs[0], node.inputs[1:]
    if node.op.name in ROWS:
        starts, room = at[:1], [x.shape[0] - 1]
    else:
        sizes = node.attrs.get("sizes", at[0].shape)
        starts = at[-x.ndim :]
        room = [extent - size for extent, size in zip(x.shape, sizes, strict=True)]
    ranges = [known.get(s) for s in starts]
    return Site(where, all(r and r[0] >= 0 and r[1] <= most for r, most in zip(ranges, room)))


def _wide(text: str, node: Node) -> str:
    return text if node.dtype is int64 else f"to_i64({text})"


def _index(w: Writer, text: str, node: Node) -> str:
    """An index as a variable."""
    text = _wide(text, node)
    return text if text.isidentifier() else w.let(text, "i")


def _row(w: Writer, index: str, x: Node, size: int, at: Site) -> str:
    """The place of row `index` of an array, checked to be there."""
    extent = x.shape[0]
    if not at.fits:
        with w.block(f"if {index} < 0 or {index} >= {w.number(extent)}:"):
            w.fault("index", at.where, index, extent)
    return index if size == 1 else w.let(f"{index} * {w.number(size)}", "at")


def take(w: Writer, node: Node, operands: Sequence[Value], site: Site) -> Value:
    """Rows of an array."""
    x, idx = node.inputs
    source = w.in_memory(operands[0])
    size = x.type.size // x.shape[0] if x.shape[0] else 0
    if node.type.size > SMALL:
        if idx.type.size != 1:
            raise Unsupported(f"take of {idx.type} rows of {x.type}")
        (text,) = w.elements(operands[1])
        at = _row(w, _index(w, text, idx), x, size, site)
        return Memory(source.base, _sum(source.offset, at), node.type)
    texts = []
    for text in w.elements(operands[1]):
        at = _row(w, _index(w, text, idx), x, size, site)
        texts += [w.load(source, _sum(at, str(r) if r else "")) for r in range(size)]
    return Elements(tuple(texts), node.type)


def scatter(w: Writer, node: Node, operands: Sequence[Value], site: Site) -> Value:
    """Rows of an array, overwritten."""
    base, idx, updates = node.inputs
    target = operands[0]
    assert isinstance(target, Memory)
    size = base.type.size // base.shape[0] if base.shape[0] else 0
    dtype, form = working(base.dtype).code, STEPS[node.attrs["mode"]]
    if base.dtype.is_float:
        form = re.sub(r"to_\{C\}\((old . new)\)", r"\1", form)
    rows = w.elements(operands[1])
    if updates.type.size > SMALL:
        if len(rows) != 1:
            raise Unsupported(f"scatter of {updates.type}")
        at = _row(w, _index(w, rows[0], idx), base, size, site)
        _write_run(w, target, at, operands[2], updates.type, form.replace("{C}", dtype))
        return Memory(target.base, target.offset, node.type, private=True)
    news = iter(w.elements(operands[2]))
    for text in rows:
        at = _row(w, _index(w, text, idx), base, size, site)
        for r in range(size):
            place = _sum(at, str(r) if r else "")
            new = next(news)
            old = w.load(target, place) if "old" in form else ""
            w.store(target, place, _words(form.replace("{C}", dtype), old=old, new=new))
    return Memory(target.base, target.offset, node.type, private=True)


def _write_run(
    w: Writer, target: Memory, at: str, value: Value, type: TensorType, form: str
) -> None:
    """Neighbouring elements of an array, from the place `at` on, overwritten in a loop."""
    source = w.in_memory(value)
    if target.row or source.row:
        raise Unsupported("elements of a stack of parts")
    if source.base == target.base:  # a part of what is written to, which may overlap
        source = w.new_memory(type)
        w.copy(source, value)
    run = Memory(target.base, _sum(target.offset, at), type)
    e = w.name("e")
    with w.block(f"for {e} in range({w.number(type.size)}):"):
        old = w.load(run, e) if "old" in form else ""
        w.store(run, e, _words(form, old=old, new=w.load(source, e)))


def _words(text: str, **names: str) -> str:
    return re.sub(r"\b(old|new)\b", lambda m: names[m[0]], text)


def _sum(*terms: str) -> str:
    return " + ".join(t for t in terms if t and t != "0")


def _corner(
    w: Writer,
    x: Node,
    sizes: Sequence[int],
    starts: Sequence[Node],
    values: Sequence[Value],
    fits: bool,
) -> str:
    """The place of a block's first element; a start that would let it stick out is clamped."""
    terms = []
    for start, value, extent, size, stride in zip(
        starts, values, x.shape, sizes, strides(x.shape), strict=True
    ):
        if extent == size:
            continue
        (text,) = w.elements(value)
        at = _wide(text, start)
        if not fits:
            last = w.number(extent - size)
            at = w.let(f"minimum_i64(maximum_i64({at}, 0), {last})", "i")
        terms.append(at if stride == 1 else f"{at} * {w.number(stride)}")
    text = _sum(*terms)
    return w.let(text, "at") if len(terms) > 1 or "*" in text else text


def _places(w: Writer, x: Node, sizes: Sequence[int]) -> list[str]:
    """Where the elements of a block lie behind its first."""
    steps = strides(x.shape)
    found = []
    for index in np.ndindex(*sizes):
        offset = sum(i * s for i, s in zip(index, steps, strict=True))
        found.append("" if offset == 0 else w.number(offset))
    return found


def dynamic_slice(w: Writer, node: Node, operands: Sequence[Value], site: Site) -> Value:
    """A block of an array."""
    x, *starts = node.inputs
    source, sizes = w.in_memory(operands[0]), node.attrs["sizes"]
    corner = _corner(w, x, sizes, starts, operands[1:], site.fits)
    if node.type.size > SMALL:
        if not _is_run(x, sizes):
            raise Unsupported(f"dynamic_slice of {x.type} by {sizes}")
        return Memory(source.base, _sum(source.offset, corner), node.type)
    texts = [w.load(source, _sum(corner, at)) for at in _places(w, x, sizes)]
    return Elements(tuple(texts), node.type)


def dynamic_update_slice(w: Writer, node: Node, operands: Sequence[Value], site: Site) -> Value:
    """A block of an array, overwritten."""
    x, update, *starts = node.inputs
    target = operands[0]
    assert isinstance(target, Memory)
    corner = _corner(w, x, update.shape, starts, operands[2:], site.fits)
    if update.type.size > SMALL:
        _write_run(w, target, corner, operands[1], update.type, "new")
        return Memory(target.base, target.offset, node.type, private=True)
    for at, text in zip(_places(w, x, update.shape), w.elements(operands[1]), strict=True):
        w.store(target, _sum(corner, at), text)
    return Memory(target.base, target.offset, node.type, private=True)


def is_direct(node: Node) -> bool:
    """Whether an access is written out: element by element, as a loop over neighbours, or as a mere
    change of address.
    """
    x, *rest = node.inputs
    if node.op.name in WRITES:
        part = rest[1] if node.op.name in ROWS else rest[0]
        if any(i.type.size > SMALL for i in rest if i is not part):
            return False
    else:
        part = node
    if part.type.size <= SMALL:
        return True
    return rest[0].type.size == 1 if node.op.name in ROWS else _is_run(x, part.shape)


def _is_run(x: Node, sizes: Sequence[int]) -> bool:
    """Whether the elements of a block are neighbours in memory."""
    long = [d for d, n in enumerate(sizes) if n != 1]
    return all(sizes[d] == x.shape[d] for d in range(long[0] + 1, len(sizes)))


# Ops that take rows; an index that has none is an error. Others clamp.
ROWS = frozenset({"take", "scatter"})
# Ops that read an array at computed places, and those that write into their first operand.
READS: dict[str, Rule] = {"take": take, "dynamic_slice": dynamic_slice}
WRITES: dict[str, Rule] = {"scatter": scatter, "dynamic_update_slice": dynamic_update_slice}
