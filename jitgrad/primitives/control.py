"""Regions: ops whose meaning is a graph of their own."""

from __future__ import annotations

from jitgrad.ir.interp import interpret
from jitgrad.ir.types import TupleType, Type
from jitgrad.primitives.declare import structural


@structural("region")
class fused:
    """One kernel: `body` over the index space `domain`, of which `axes` are reduced.

    Made by the fuse pass, after differentiation; the results are the body's outputs.
    """

    vjp = None

    def infer(types, attrs) -> Type:
        outputs = attrs["body"].outputs
        if len(outputs) == 1:
            return outputs[0].type
        return TupleType(tuple(o.type for o in outputs))

    def numpy(*arrays, body, domain, axes):
        results = interpret(body, arrays)
        return results[0] if len(results) == 1 else tuple(results)


@structural("region")
class strip:
    """Steps that run together over one tile of a long axis after the other: `body` of regions and
    calls, whose loops `loops` (one for each step of the body, in order) go over the axis.

    Made by the strips pass, after fusion; the results are the body's outputs.
    """

    vjp = None

    def infer(types, attrs) -> Type:
        return fused.infer(types, attrs)

    def numpy(*arrays, body, loops, extent):
        results = interpret(body, arrays)
        return results[0] if len(results) == 1 else tuple(results)


@structural("region")
class gathered:
    """One kernel: loops and branches, and the arithmetic on small arrays around them.

    Made by the gather pass, after differentiation; the results are the body's outputs.
    """

    vjp = None

    def infer(types, attrs) -> Type:
        return TupleType(tuple(o.type for o in attrs["body"].outputs))

    def numpy(*arrays, body):
        return tuple(interpret(body, arrays))
