"""What follows a product at once: maps over its result take each total from its register.

The product is then never stored. That may be where nobody else reads it, where the map reads its
elements in their order, and where nothing that the map writes lies over the product's operands,
which other blocks still read.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitgrad.codegen.cpu import simple
from jitgrad.codegen.cuda import frame, products
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.loops import Kernel, Load, Statement, stride
from jitgrad.codegen.lower import lower
from jitgrad.ir.types import float16
from jitgrad.passes.access import strides
from jitgrad.passes.plan import Buffer, Step

MOST = 24  # statements: they are written out for each element of a thread


def finished(step: Step, after: Step) -> Grid | None:
    """The launch of a product and of the map behind it; None if they are no such two."""
    if not _fit(step, after):
        return None
    node = after.node
    assert node is not None
    kernel = lower(node.attrs["body"], node.attrs["domain"], (), after.alias, {}, "map")
    dims, inside = frame.chain(kernel.body, kernel.outer)
    number = after.reads.index(step.writes[0])
    name = kernel.arrays[number].name
    mine = [s for s in inside if isinstance(s, Load) and s.array == name]
    if len(inside) > MOST or not all(_in_order(s, dims, kernel) for s in mine):
        return None
    fresh = [w for i, w in enumerate(after.writes) if i not in after.alias]
    pointers = [*after.reads, *fresh]
    return products.grid_of(_call(step), _finish(kernel, dims, inside, mine, pointers, step))


def _fit(step: Step, after: Step) -> bool:
    product, node = step.node, after.node
    if product is None or node is None or product.op.name not in products.CALLS:
        return False
    if "domain" not in node.attrs or node.attrs["axes"] or after.scratch or not product.type.size:
        return False
    (made,) = step.writes
    parts = any(b.whole is not None for b in (made, *after.reads, *after.writes))
    return (
        not parts
        and made.home == "arena"
        and made.last == made.first + 1
        and after.reads.count(made) == 1
        and not any(_overlap(w, r) for w in after.writes for r in step.reads)
    )


def _overlap(one: Buffer, other: Buffer) -> bool:
    one, other = one.memory(), other.memory()
    if one.home != other.home:
        return False
    if one.home != "arena":
        return one.at == other.at
    return one.at < other.at + other.nbytes and other.at < one.at + one.nbytes


def _in_order(s: Load, dims: Sequence[int], kernel: Kernel) -> bool:
    """Whether a load takes the elements as they are numbered."""
    values = dict(zip(kernel.parameters, kernel.values, strict=True))
    extents = [values[f"n{d}"] for d in dims]
    steps = [stride(s.at.strides[d], values) for d in dims]
    wanted = strides(tuple(extents))
    return s.at.offset is None and all(
        step == far or extent == 1 for step, far, extent in zip(steps, wanted, extents, strict=True)
    )


def _finish(
    kernel: Kernel,
    dims: Sequence[int],
    inside: Sequence[Statement],
    mine: Sequence[Load],
    pointers: Sequence[Buffer],
    step: Step,
) -> products.Finish:
    assert step.node is not None
    total = "round_f16({total})" if step.node.dtype is float16 else "{total}"
    values = dict(zip(kernel.parameters, kernel.values, strict=True))
    lines = [f"{frame.named('at', dims)} = at"] if len(dims) == 1 else []
    lines += frame.numbered(values, "at", dims)
    lines += [f"{s.name} = {total}" if s in mine else simple(s) for s in inside]
    used = frame.words("\n".join(lines))
    arrays = [(a, p) for a, p in zip(kernel.arrays, pointers, strict=True) if a.name in used]
    return products.Finish(
        tuple(lines),
        tuple(a.name for a, _ in arrays),
        tuple(a.dtype.code for a, _ in arrays),
        tuple(p for _, p in arrays),
        {name: value for name, value in values.items() if name in used},
        kernel.work,
    )


def _call(step: Step) -> products.Call:
    assert step.node is not None
    return products.CALLS[step.node.op.name](step)
