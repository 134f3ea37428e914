"""Steps of a loop's body that are kernels of their own: products, and arithmetic on large arrays.

They are lowered as in any plan, and called by address from within the loop.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Mapping

from jitgrad.codegen.launch import Callback, Entry, Launch, Library, Part, Pointer, Status
from jitgrad.codegen.structured.indexed import is_direct
from jitgrad.codegen.structured.inline import write_nest
from jitgrad.codegen.structured.joins import nest_of
from jitgrad.codegen.structured.order import is_access, is_large, views_of
from jitgrad.codegen.structured.scalars import rule_for
from jitgrad.codegen.structured.writer import (
    Elements,
    Memory,
    Unsupported,
    Value,
    Writer,
)
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.types import TensorType, TupleType, float16
from jitgrad.locate import Location
from jitgrad.passes.access import Affine, keeps_order
from jitgrad.passes.fuse import fuse
from jitgrad.passes.plan import Buffer, Step


@functools.lru_cache(maxsize=1024)
def prepared(graph: Graph) -> Graph:
    """The graph with its arithmetic on large arrays fused."""
    large = any(n.op.kind in ("elementwise", "reduce") and _is_big(n) for n in graph.nodes)
    return fuse(graph) if large or any(_needs_copies(n) for n in graph.nodes) else graph


def _needs_copies(node: Node) -> bool:
    """Whether a large value, or what a call reads, is a view in another order than the memory."""
    is_step = node.op.kind == "call" and not is_inline(node)
    return any(
        x.op.kind == "view" and not keeps_order(x) and (is_step or is_large(x))
        for x in (node, *node.inputs)
    )


def is_inline(call: Node) -> bool:
    """Whether a call is written out, rather than made."""
    return is_direct(call) if is_access(call) else rule_for(call) is not None


def _is_big(node: Node) -> bool:
    return is_large(node) or any(is_large(i) for i in node.inputs)


def is_small(region: Node) -> bool:
    """Whether a fused region is arithmetic on scalars and small arrays."""
    inside = [n for n in region.attrs["body"].nodes if n.op.kind != "leaf"]
    return all(rule_for(n) is not None for n in inside)


def is_number(value: Value) -> bool:
    """Whether a value is one variable that a loop nest can use as it is."""
    single = isinstance(value, Elements) and len(value.texts) == 1
    return single and value.type.dtype is not float16  # type: ignore[union-attr]


def write_step(
    w: Writer,
    node: Node,
    values: dict[Node, Value],
    homes: dict[int, Memory],
    alias: dict[int, int],
    where: Location | None,
    stores: Mapping[int, Affine] | None = None,
    there: Container[int] = (),
) -> list[Value]:
    """The lines that call a node's kernels; returns its results, in memory.

    `homes` is where some of them go; `alias[i] = j`: result i is written over operand j; `stores`:
    results that go elsewhere than densely; `there`: operands that are in the result already.
    """
    from jitgrad.codegen.calls import launches, scratch

    types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    if not all(isinstance(t, TensorType) for t in types):
        raise Unsupported(f"{node.op.name} : {node.type}")
    results = [homes.get(i) or w.new_memory(t) for i, t in enumerate(types)]  # type: ignore[arg-type]
    given = [values[views_of(i)] for i in node.inputs]
    kernel = nest_of(node, alias, stores)
    if kernel is not None:
        fresh = [m for i, m in enumerate(results) if i not in alias]
        write_nest(w, kernel, (*(x if is_number(x) else w.in_memory(x) for x in given), *fresh))  # type: ignore[arg-type]
        return list(results)
    reads = [w.in_memory(x) for x in given]
    memory: dict[Buffer, Memory] = {}

    def buffer(value: Memory) -> Buffer:
        made = Buffer(value.type.nbytes)
        memory[made] = value
        return made

    read = tuple(buffer(m) for m in reads)
    written = tuple(read[alias[i]] if i in alias else buffer(m) for i, m in enumerate(results))
    for i, operand in enumerate(read):
        operand.whole = written[0] if i in there else None
    working = tuple(buffer(w.new_bytes(n)) for n in scratch(node))
    for entry in launches(Step(node, read, written, working, alias)):
        if not isinstance(entry, Launch):
            raise Unsupported("a strip inside of a loop")
        own = {p.buffer if isinstance(p, Part) else p for p in entry.pointers} - {*working}
        with w.before_all(entry.once and all(w.is_given(memory[p]) for p in own)):  # type: ignore[index]
            _call(w, entry, memory, where)
    return list(results)


def _call(w: Writer, launch: Launch, memory: dict[Buffer, Memory], where: Location | None) -> None:
    """One call: its pointers in a table, its integers among ours."""
    table = w.new_table(len(launch.pointers))
    for i, pointer in enumerate(launch.pointers):
        w.line(f"{table}[{i}] = {_address(w, pointer, memory)}")
    first = w.constants(launch.dims)
    extent = w.number(launch.extent)
    entry = w.pointer(Entry(launch.source), "f")
    w.line(f"call_kernel({entry}, {table}, dims, {first}, {extent})")
    if any(isinstance(p, Status) for p in launch.pointers):
        with w.block("if status[0] != 0:"):
            if launch.faults:
                w.fault(launch.faults[0].kind, where, extent=launch.faults[0].extent)
            else:
                w.fault("index", where, "status[1]")


def _address(w: Writer, pointer: Pointer, memory: dict[Buffer, Memory]) -> str:
    if isinstance(pointer, (Callback, Library)):
        return w.pointer(pointer, "f")
    if isinstance(pointer, Status):
        return "address_of(status)"
    extra = ""
    if isinstance(pointer, Part):
        extra, pointer = w.number(pointer.offset), pointer.buffer
    value = memory[pointer]  # type: ignore[index]
    size = value.type.dtype.size
    offset = f"({value.offset}) * {size}" if value.offset else ""
    return " + ".join(t for t in (f"address_of({value.base})", offset, extra) if t)
