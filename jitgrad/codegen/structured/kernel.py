"""A region that is a step of a plan, as one kernel under the uniform signature."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from jitgrad.codegen.launch import Launch, Status
from jitgrad.codegen.structured.body import Body, indexed_inputs
from jitgrad.codegen.structured.order import is_large
from jitgrad.codegen.structured.writer import INDENT, Elements, Fault, Memory, Tape, Value, Writer
from jitgrad.ir.node import Graph, Node, input_node, project
from jitgrad.ir.types import TapeType, TupleType
from jitgrad.passes.plan import Step


@dataclass(frozen=True, slots=True)
class Structured:
    """A region's kernel. `scratch`: bytes of working memory, or TAPE for a tape's descriptor."""

    source: str
    dims: tuple[int, ...]
    scratch: tuple[int, ...]
    faults: tuple[Fault, ...]
    work: int


def structured_scratch(node: Node) -> Sequence[int]:
    """The working memory of a region's kernel."""
    return lowered(node).scratch


def structured(step: Step) -> list[Launch]:
    """The launch of a region."""
    assert step.node is not None
    made = lowered(step.node)
    pointers = (*step.reads, *step.writes, *step.scratch, Status())
    return [Launch(made.source, pointers, made.dims, 1, made.work, faults=made.faults)]


@functools.lru_cache(maxsize=512)
def lowered(node: Node) -> Structured:
    """The kernel of a region; Unsupported if it is too much for one."""
    w = Writer()
    inputs = [input_node(f"a{i}", x.type) for i, x in enumerate(node.inputs)]
    inside = node.op(*inputs, **node.attrs)
    types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    outputs = [project(inside, i) for i in range(len(types))]
    graph = Graph("kernel", inputs, outputs, {inside: _location(node)} if _location(node) else None)
    head: list[str] = []
    values: dict[Node, Value] = {}
    names = [f"a{i}" for i in range(len(inputs))] + [f"r{i}" for i in range(len(outputs))]
    for i, (name, type) in enumerate(zip(names, (*(x.type for x in inputs), *types), strict=True)):
        kind = "i64" if isinstance(type, TapeType) else type.dtype.code
        head.append(f"{name} = {kind}_ptr(ptrs, {i})")
    w.counts["r"] = len(outputs)
    indexed = indexed_inputs(graph)
    for x, name in zip(inputs, names):
        if isinstance(x.type, TapeType):
            values[x] = Tape(name, x.type.item)
            continue
        memory = Memory(name, "", x.type)
        small = not is_large(x) and x not in indexed and not _is_stack(node, inputs.index(x))
        values[x] = Elements(w.elements(memory), x.type) if small else memory
    body = _Top(w, graph, values)
    for i, (name, type) in enumerate(zip(names[len(inputs) :], types, strict=True)):
        home = Tape(name, type.item) if isinstance(type, TapeType) else Memory(name, "", type, True)
        body.places[inside, i] = home
        body.homes[i] = home
    results = body.write()
    for result, home in zip(results, body.homes.values()):
        if isinstance(home, Memory):
            w.copy(home, result)
    return Structured(
        _source(head, len(names), w),
        tuple(w.parameters.values),
        tuple(w.scratch),
        tuple(w.faults),
        1 << 14,
    )


def _location(node: Node):
    return None


def _is_stack(node: Node, index: int) -> bool:
    """Whether an operand is run over by a loop."""
    if "carried" not in node.attrs:
        return False
    first = int(node.attrs["counted"]) + node.attrs["carried"]
    return first <= index < first + node.attrs["mapped"]


class _Top(Body):
    """The kernel's own graph: what it may overwrite are its results."""

    def __init__(self, w: Writer, graph: Graph, values: dict[Node, Value]):
        super().__init__(w, graph, values)
        self.homes: dict[int, Value] = {}

    def owned(self, writer: Node, operand: Node) -> Memory:
        """A carry that is memory lives where the result is wanted."""
        if "carried" in writer.attrs:
            first = int(writer.attrs["counted"])
            at = writer.inputs[first : first + writer.attrs["carried"]]
            free = [i for i, x in enumerate(at) if x is operand and i not in self.taken]
            home = self.homes.get(free[0]) if free else None
            if isinstance(home, Memory):
                self.taken.add(free[0])
                self.w.copy(home, self.values[operand])
                return home
        return super().owned(writer, operand)

    @property
    def taken(self) -> set[int]:
        """Results that a carry lives in already."""
        if not hasattr(self, "_taken"):
            self._taken: set[int] = set()
        return self._taken


def _source(head: list[str], count: int, w: Writer) -> str:
    import re

    lines = list(head)
    for i, (name, pointer) in enumerate(w.scratch_names):
        lines.append(f"{name} = {pointer}(ptrs, {count + i})")
    lines.append(f"status = i64_ptr(ptrs, {count + len(w.scratch_names)})")
    text = "\n".join(w.lines)
    used = set(re.findall(r"\w+", text))
    lines = [line for line in lines if line.split(" ")[0] in used]
    lines += [f"{p} = dims[{i}]" for i, p in enumerate(w.parameters.names) if p in used]
    text = "\n".join([*(INDENT + line for line in lines), text])
    return f"def kernel(ptrs, dims, lo, hi):\n{text}\n"
