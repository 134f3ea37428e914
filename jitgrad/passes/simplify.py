"""Simplification: one table of rules, applied up to a level of float safety."""

from __future__ import annotations

from jitgrad.ir.node import Graph
from jitgrad.ir.pattern import EXACT_BUT_SIGNED_ZERO, Rules, Safety
from jitgrad.passes.arithmetic import ARITHMETIC
from jitgrad.passes.layout import LAYOUT
from jitgrad.passes.picks import PICKS
from jitgrad.passes.reductions import REDUCTION

RULES = Rules((*ARITHMETIC, *LAYOUT, *REDUCTION, *PICKS))


def simplify(graph: Graph, level: Safety = EXACT_BUT_SIGNED_ZERO) -> Graph:
    """Apply every rule up to `level` until none applies."""
    return RULES.fixpoint(graph, level)
