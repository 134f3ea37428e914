"""Loops and branches that stay on a device: one thread, or one for each of many lanes.

Where all that a loop computes keeps the elements of one axis apart, as a loop under `vmap` does,
each thread runs the whole loop for its element, in registers. What is scalar is one thread's; any
other loop is driven by the host (`jitgrad.runtime.cuda.driven`).
"""

from __future__ import annotations

from collections.abc import Sequence

from jitgrad.codegen import structured
from jitgrad.codegen.cuda import tables
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.launch import Launch, Status
from jitgrad.codegen.structured.order import is_large
from jitgrad.ir.node import Graph, Node
from jitgrad.passes.access import strides
from jitgrad.passes.interchange import Lanes, for_lanes, lanes_of
from jitgrad.passes.plan import Step
from jitgrad.passes.tiles import results
from jitgrad.primitives import control


def fits(node: Node) -> bool:
    """Whether a node can be part of a kernel with loops and branches."""
    if not structured.fits(node):
        return False
    if node.op.kind != "region":
        return not any(is_large(i) for i in node.inputs) or node.op.kind == "view"
    region = _alone(node)
    return not is_too_much(region) and (
        lanes_of(region, ends=True) is not None or not _works_on_arrays(region)
    )


def _alone(node: Node) -> Node:
    """A region gathered by itself. How often a loop with a test ran is no lane's, and nobody reads
    that of a loop over lanes.
    """
    region = structured.alone(node)
    if node.attrs.get("test") is None:
        return region
    body: Graph = region.attrs["body"]
    return control.gathered(*region.inputs, body=Graph(body.name, body.inputs, body.outputs[:-1]))


def is_too_much(node: Node) -> bool:
    """Whether a region of loops and branches calls kernels, or records what has no known length."""
    if "body" not in node.attrs or "domain" in node.attrs or "loops" in node.attrs:
        return False
    made = _lowered(node)
    return bool(made.others) or made.grows


def gathered(step: Step) -> list[Grid]:
    """The launch of a region."""
    node = step.node
    assert node is not None
    made = _lowered(node)
    lanes = lanes_of(node, ends=True)
    pointers = (*step.reads, *step.writes, *step.scratch, Status())
    count = 1 if lanes is None else lanes.extent
    work = made.work if lanes is None else count
    launch = Launch(made.source, pointers, made.dims, count, work, faults=made.faults)
    return [tables.shared(launch)]


def scratch(node: Node) -> Sequence[int]:
    """Bytes of working memory; each lane has its own."""
    lanes = lanes_of(node, ends=True)
    return [n * (1 if lanes is None else lanes.extent) for n in _lowered(node).scratch]


def _lowered(region: Node) -> structured.Structured:
    """A region's kernel: for one lane, if it has lanes."""
    lanes = lanes_of(region, ends=True)
    if lanes is None:
        return structured.lowered(region)
    rows, steps = [], []
    for value, axis in _cut(region, lanes):
        far = strides(value.shape)
        steps.append(far[axis] if axis >= 0 else 0)
        rows.append(far[0] if axis == 1 else 0)
    return structured.lowered(
        for_lanes(region, 1, ends=True), tuple(rows), tuple(steps), lanes.extent
    )


def _cut(region: Node, lanes: Lanes) -> list[tuple[Node, int]]:
    """Operands and results, each with its axis of lanes."""
    body: Graph = region.attrs["body"]
    values = zip((*region.inputs, *results(region)), (*body.inputs, *body.outputs), strict=True)
    return [(value, lanes.axis[inside]) for value, inside in values]


def _works_on_arrays(region: Node) -> bool:
    """Whether a region computes with arrays that variables cannot hold."""
    graphs = [g for g in region.attrs.values() if isinstance(g, Graph)]
    while graphs:
        for node in graphs.pop().nodes:
            graphs += [g for g in node.attrs.values() if isinstance(g, Graph)]
            arithmetic = node.op.kind in ("elementwise", "reduce")
            if arithmetic and any(is_large(x) for x in (node, *node.inputs)):
                return True
    return False
