"""From a plan's steps to launches: one rule for each op that is a step.

`SCRATCH` says how much working memory an op's kernels need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jitgrad.codegen import callbacks, factors, products, rows, specials, strips
from jitgrad.codegen.conv import images, weight
from jitgrad.codegen.launch import Launch, Strip, add_up, copy, of_kernel, zero
from jitgrad.codegen.loops import Kernel
from jitgrad.codegen.lower import block_count, lower
from jitgrad.codegen.structured import structured, structured_scratch
from jitgrad.ir.node import Graph, Node, full, input_node
from jitgrad.ir.types import TensorType
from jitgrad.passes.access import Affine, strides
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


# --- placing arrays in arrays ---------------------------------------------------------------------


def _placed(source: TensorType, target: Affine, operand: Buffer, result: Buffer) -> Launch:
    """Copy an array into part of another: element [i, j] to an affine address."""
    value = input_node("a0", source)
    body = Graph("body", (value,), (value,))
    kernel = lower(body, source.shape, (), stores={0: target})
    return of_kernel(kernel, (operand, result))


def _pad(step: Step) -> list[Launch]:
    node = step.node
    assert node is not None
    (x,), at = node.inputs, node.attrs
    steps = strides(node.shape)
    if step.reads[0].whole is not None:
        return [of_kernel(kernel, (step.writes[0],)) for kernel in margin(node)]
    offset = sum(low * stride for low, stride in zip(at["low"], steps, strict=True))
    spread = tuple((i + 1) * stride for i, stride in zip(at["interior"], steps, strict=True))
    moved = _placed(x.type, Affine(offset, spread), step.reads[0], step.writes[0])
    cleared = zero(step.writes[0], node.type.nbytes)
    return [cleared, moved] if x.type.size else [cleared]


def margin(node: Node) -> list[Kernel]:
    """Zeros before and behind what a padding holds, along each axis."""
    (x,), steps, made = node.inputs, strides(node.shape), []
    for axis, (low, high) in enumerate(zip(node.attrs["low"], node.attrs["high"], strict=True)):
        for start, extent in ((0, low), (low + x.shape[axis], high)):
            shape = (*node.shape[:axis], extent, *node.shape[axis + 1 :])
            if math.prod(shape):
                zeros = Graph("body", (), (full(0, node.type.with_shape(shape)),))
                target = Affine(start * steps[axis], steps)
                made.append(lower(zeros, shape, (), stores={0: target}))
    return made


def _concat(step: Step) -> list[Launch]:
    node = step.node
    assert node is not None
    steps, axis, at = strides(node.shape), node.attrs["axis"], 0
    made = []
    for operand, x in zip(step.reads, node.inputs, strict=True):
        if x.type.size and operand.whole is None:
            target = Affine(at * steps[axis], steps)
            made.append(_placed(x.type, target, operand, step.writes[0]))
        at += x.shape[axis]
    return made


CALLS |= {"gathered": structured}
SCRATCH |= {"gathered": structured_scratch}
CALLS |= {"fused": _region, "pad": _pad, "concat": _concat, **rows.RULES}
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
