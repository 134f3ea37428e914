"""Joins and paddings: arrays placed in larger arrays."""

from __future__ import annotations

import math

from jitgrad.codegen.launch import Launch, of_kernel, zero
from jitgrad.codegen.loops import Kernel
from jitgrad.codegen.lower import lower
from jitgrad.ir.node import Graph, Node, full, input_node
from jitgrad.ir.types import TensorType
from jitgrad.passes.access import Affine, strides
from jitgrad.passes.plan import Buffer, Step


def _placed(source: TensorType, target: Affine, operand: Buffer, result: Buffer) -> Launch:
    """Copy an array into part of another: element [i, j] to an affine address."""
    value = input_node("a0", source)
    body = Graph("body", (value,), (value,))
    kernel = lower(body, source.shape, (), stores={0: target})
    return of_kernel(kernel, (operand, result))


def pad(step: Step) -> list[Launch]:
    """Zeros, and the operand in between; only the zeros around an operand that is there already."""
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


def concat(step: Step) -> list[Launch]:
    """Operands side by side, but for those that are in their places already."""
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
