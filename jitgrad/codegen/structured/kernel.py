"""A region that is a step of a plan, as one kernel under the uniform signature."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jitgrad.codegen.launch import Launch, Pointer, Status
from jitgrad.codegen.structured.body import Body, indexed_inputs
from jitgrad.codegen.structured.order import is_large
from jitgrad.codegen.structured.scalars import is_pick, rule_for
from jitgrad.codegen.structured.steps import prepared
from jitgrad.codegen.structured.writer import (
    INDENT,
    SMALL,
    Elements,
    Fault,
    Memory,
    Tape,
    Unsupported,
    Value,
    Writer,
)
from jitgrad.ir.node import Graph, Node, input_node, project_op
from jitgrad.ir.types import TapeType, TensorType
from jitgrad.passes.plan import Plan, Step
from jitgrad.passes.tiles import results
from jitgrad.primitives.control import gathered
from jitgrad.primitives.flow import parts

RELEASE = """def kernel(ptrs, dims, lo, hi):
    free_tape(i64_ptr(ptrs, 0))
"""
WORK = 1 << 14  # of a loop: nobody knows; enough to let other Python threads run


@dataclass(frozen=True, slots=True)
class Structured:
    """A region's kernel. `scratch`: bytes of working memory; `grows`: whether it records what has
    no known length.
    """

    source: str
    dims: tuple[int, ...]
    scratch: tuple[int, ...]
    faults: tuple[Fault, ...]
    others: tuple[Pointer, ...]
    work: int
    grows: bool


def structured_scratch(node: Node, rows: tuple[int, ...] = ()) -> Sequence[int]:
    """The working memory of a region's kernel."""
    return lowered(node, rows).scratch


def structured(step: Step, rows: tuple[int, ...] = ()) -> list[Launch]:
    """The launch of a region. `rows`: for each operand and result how far its rows are from each
    other, if it is a part of a larger array, else 0.
    """
    assert step.node is not None
    made = lowered(step.node, rows)
    pointers = (*step.reads, *step.writes, *step.scratch, Status(), *made.others)
    return [Launch(made.source, pointers, made.dims, 1, made.work, faults=made.faults)]


@functools.lru_cache(maxsize=512)
def lowered(
    node: Node, rows: tuple[int, ...] = (), steps: tuple[int, ...] = (), lanes: int = 0
) -> Structured:
    """The kernel of a `gathered` region; Unsupported if it is too much for one.

    `lanes`: the kernel is run for each `lo` of so many; `steps`: for each operand and result, how
    far it is from one to the next.
    """
    graph = prepared(node.attrs["body"])
    w, head = Writer(), []
    w.lanes = lanes
    names = [f"a{i}" for i in range(len(graph.inputs))]
    names += [f"r{i}" for i in range(len(graph.outputs))]
    w.counts["r"], w.given = len(graph.outputs), names[: len(graph.inputs)]
    every = zip(names, (*graph.inputs, *graph.outputs), strict=True)
    w.passed = [name for name, x in every if isinstance(x.type, TapeType)]
    for i, (name, x) in enumerate(zip(names, (*graph.inputs, *graph.outputs), strict=True)):
        kind = "i64" if isinstance(x.type, TapeType) else x.dtype.code
        head.append(f"{name} = {kind}_ptr(ptrs, {i})")
    row = {n: w.number(r, "row") for n, r in zip(names, rows) if r}
    start = {n: w.of_lane(step) for n, step in zip(names, steps)}
    values = _opened(w, graph, names, row, start)
    homes: list[Memory | Tape] = []
    fresh: list[str] = []  # tapes that are made here
    body = Body(w, graph, values)
    for name, o in zip(names[len(graph.inputs) :], graph.outputs, strict=True):
        if isinstance(o.type, TapeType):
            homes.append(Tape(name, o.type.item))
            fresh.append(name)
        else:
            homes.append(Memory(name, start.get(name, ""), o.type, True, row.get(name, "")))
        if o.op is project_op:
            body.places[o.inputs[0], o.attrs["index"]] = homes[-1]
    for home, result in zip(homes, body.write(), strict=True):
        if isinstance(home, Memory):
            w.copy(home, result)
    for tape in w.tapes:
        w.line(f"free_tape({tape})")
    source = _source(head, len(names), w, fresh)
    dims, scratch, grows = tuple(w.parameters.values), tuple(w.scratch), bool(w.tapes or w.passed)
    return Structured(source, dims, scratch, tuple(w.faults), tuple(w.others), WORK, grows)


def _opened(
    w: Writer, graph: Graph, names: list[str], row: Mapping[str, str], start: Mapping[str, str]
) -> dict[Node, Value]:
    """The operands: small ones in variables, unless they are read at computed places."""
    indexed, stacks = indexed_inputs(graph), _stacks(graph)
    values: dict[Node, Value] = {}
    for x, name in zip(graph.inputs, names):
        if isinstance(x.type, TapeType):
            values[x] = Tape(name, x.type.item)
            continue
        memory = Memory(name, start.get(name, ""), x.type, row=row.get(name, ""))
        in_memory = is_large(x) or x in indexed or x in stacks
        values[x] = memory if in_memory else Elements(w.elements(memory), x.type)
    return values


def _stacks(graph: Graph) -> set[Node]:
    """What loops run over."""
    loops = [n for n in graph.nodes if "carried" in n.attrs]
    return {x for n in loops for x in parts(n.attrs, n.inputs).slices}


def fits(node: Node) -> bool:
    """Whether a node can be part of a structured kernel."""
    if node.op.kind != "region":
        small = isinstance(node.type, TensorType) and node.type.size <= SMALL
        return small and (is_pick(node) or rule_for(node) is not None)
    try:
        lowered(alone(node))
    except Unsupported:
        return False
    return True


def alone(region: Node) -> Node:
    """A region gathered by itself, over operands of its own."""
    inputs = [input_node(f"a{i}", x.type) for i, x in enumerate(region.inputs)]
    inside = region.op(*inputs, **region.attrs)
    return gathered(*inputs, body=Graph("body", inputs, results(inside)))


def _opened_as(pointer: str, at: int) -> str:
    return f"table_at(ptrs[{at}])" if pointer == "table" else f"{pointer}(ptrs, {at})"


def releases(plan: Plan) -> list[tuple[int, Launch]]:
    """What frees the tapes of a plan, after its last step."""
    last = len(plan.steps) - 1
    return [(last, Launch(RELEASE, (tape,), (), 1, 1)) for tape in plan.tapes]


def _source(head: list[str], count: int, w: Writer, fresh: list[str]) -> str:
    lines = list(head)
    for i, (name, pointer) in enumerate(w.scratch_names):
        at = count + i
        lines.append(f"{name} = {_opened_as(pointer, at)}")
    count += len(w.scratch_names)
    lines.append(f"status = i64_ptr(ptrs, {count})")
    lines += [f"{name} = ptrs[{count + 1 + i}]" for i, name in enumerate(w.others.values())]
    text = "\n".join([*w.first, *w.lines])
    used = set(re.findall(r"\w+", text))
    lines = [line for line in lines if line.split(" ")[0] in used]
    lines += [f"{p} = dims[{i}]" for i, p in enumerate(w.parameters.names) if p in used]
    lines += [f"{tape}[{i}] = 0" for tape in (*fresh, *w.tapes) for i in range(3)]
    text = "\n".join([*(INDENT + line for line in lines), text])
    return f"def kernel(ptrs, dims, lo, hi):\n{text}\n"
