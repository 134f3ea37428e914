"""Parts of joins and paddings in a loop's body, written where they belong by the nests that make
them; as `passes.placing` has it for steps of plans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from jitgrad.codegen.loops import Kernel
from jitgrad.codegen.lower import lower
from jitgrad.codegen.structured.order import is_large
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.types import TensorType
from jitgrad.passes.access import Affine
from jitgrad.passes.placing import HOLDERS, inside
from jitgrad.passes.tiles import sums


def homes_in(graph: Graph) -> dict[Node, tuple[Node, Affine]]:
    """The regions whose result is a part of one join or padding and of nothing else: which, and the
    steps there.
    """
    holders = [n for n in graph.nodes if n.op.name in HOLDERS and is_large(n)]
    if not holders:
        return {}
    readers = Counter(i for node in graph.nodes for i in node.inputs)
    readers.update(graph.outputs)
    found = {}
    for holder in holders:
        offsets = HOLDERS[holder.op.name](holder)
        for part, offset in zip(holder.inputs, offsets or (), strict=offsets is not None):
            alone = readers[part] == 1 and _is_nest(part)
            at = inside(part.type, part, holder.shape, offset) if alone else None
            if at is not None:
                found[part] = holder, at
    return found


def _is_nest(part: Node) -> bool:
    """Whether a value is the one result of a loop nest that stores each element once."""
    if "domain" not in part.attrs or not isinstance(part.type, TensorType) or 0 in sums(part):
        return False
    calls = any(n.op.kind == "call" for n in part.attrs["body"].nodes)
    return not calls and nest_of(part, {}) is not None


def nest_of(
    node: Node, alias: Mapping[int, int], stores: Mapping[int, Affine] | None = None
) -> Kernel | None:
    """The loop nest of a region, if it is one. `alias`: results that are written over operands;
    `stores`: those that go elsewhere than densely.
    """
    if "domain" not in node.attrs:
        return None
    attrs = node.attrs
    made = lower(attrs["body"], attrs["domain"], attrs["axes"], dict(alias), dict(stores or {}))
    return None if made.partial else made
