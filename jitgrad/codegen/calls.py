"""From a plan's steps to launches: one rule for each op that is a step.

`SCRATCH` says how much working memory an op's kernels need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jitgrad.codegen import callbacks, factors, placed, products, rows, specials, strips
from jitgrad.codegen.conv import images, weight
from jitgrad.codegen.launch import Launch, Strip, add_up, copy, of_kernel
from jitgrad.codegen.loops import Kernel
from jitgrad.codegen.lower import block_count, lower
from jitgrad.codegen.structured import structured, structured_scratch
from jitgrad.ir.node import Node
from jitgrad.passes.plan import Buffer, Step
from jitgrad.passes.schedule import schedule

Rule = Callable[[Step], Sequence[Launch | Strip]]
CALLS: dict[str, Rule] = {}
SCRATCH: dict[str, Callable[[Node], Sequence[int]]] = {}


def scratch(node: Node) -> Sequence[int]:
    """Bytes of working memory of a node's launches."""
    rule = SCRATCH.get(node.op.name)
    return rule(node) if rule else ()


def launches(step: Step) -> Sequence[Launch | Strip]:
    """The kernel calls of a step."""
    if step.node is None:
        return [copy(step.reads[0], step.writes[0])]
    return CALLS[step.node.op.name](step)


# --- regions ------------------------------------------------------------------------------------


def _region(step: Step) -> list[Launch]:
    node = step.node
    assert node is not None
    attrs = node.attrs
    stores = {i: w.place for i, w in enumerate(step.writes) if w.place is not None}
    kernel = lower(attrs["body"], attrs["domain"], attrs["axes"], step.alias, stores)
    fresh = [w.memory() for i, w in enumerate(step.writes) if i not in step.alias]
    if not kernel.partial:
        return [of_kernel(kernel, (*step.reads, *fresh))]
    return _blocked(step, kernel)


def _blocked(step: Step, kernel: Kernel) -> list[Launch]:
    """Partial results by block, then one short reduction of the partials for each result."""
    assert step.node is not None
    body = step.node.attrs["body"]
    partials = iter(step.scratch)
    pointers: list[Buffer] = list(step.reads)
    finish: list[Launch] = []
    for index, output in enumerate(body.outputs):
        if output.op.kind == "reduce":
            part = next(partials)
            pointers.append(part)
            finish.append(add_up(output.op, part, step.writes[index], output.type, kernel.partial))
        elif index not in step.alias:
            pointers.append(step.writes[index].memory())
    return [of_kernel(kernel, tuple(pointers)), *finish]


def _region_scratch(node: Node) -> Sequence[int]:
    domain, axes = node.attrs["domain"], node.attrs["axes"]
    if schedule(domain, axes) != "blocked":
        return ()
    count = block_count(domain)
    reductions = [o for o in node.attrs["body"].outputs if o.op.kind == "reduce"]
    return [count * o.dtype.size for o in reductions]


CALLS |= {"gathered": structured}
SCRATCH |= {"gathered": structured_scratch}
CALLS |= {"fused": _region, "pad": placed.pad, "concat": placed.concat, **rows.RULES}
CALLS |= {**factors.RULES, **specials.RULES}
CALLS |= {
    "matmul": products.matmul,
    "opaque": callbacks.opaque,
    "strip": strips.strip,
    "conv2d": images.convolution,
    "conv2d_input": images.convolution,
    "conv2d_weight": weight.conv2d_weight,
}
SCRATCH |= {"fused": _region_scratch, "strip": strips.scratch, "sort": rows.sort_scratch}
SCRATCH |= factors.SCRATCH
SCRATCH |= {"opaque": callbacks.opaque_scratch}
SCRATCH |= dict.fromkeys(images.MAPS, images.convolution_scratch)
SCRATCH |= {"matmul": products.matmul_scratch, "conv2d_weight": weight.weight_scratch}
