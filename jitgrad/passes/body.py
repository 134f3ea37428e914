"""What the body of a fused region reads and makes, and at which level of its loops.

A value is *full* if it lives on the whole domain, else it is one of the kept axes (a row value).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jitgrad.ir.node import Graph, Node, input_op, splat, topological
from jitgrad.passes.access import Affine, Index, descend, loop_indices
from jitgrad.passes.schedule import kept


class Body:
    """A region's body over its loops."""

    def __init__(self, body: Graph, domain: tuple[int, ...], axes: tuple[int, ...]):
        self.body, self.domain, self.axes = body, domain, axes
        self.kept = kept(domain, axes)
        every = loop_indices(len(domain))
        self.index = {True: every, False: [every[a] for a in self.kept]}

    def is_full(self, node: Node) -> bool:
        """Whether a value lives on the whole domain (else on the kept axes)."""
        return not self.axes or node.ndim == len(self.domain)

    def is_read(self, node: Node) -> bool:
        """Loaded, or made from the loop indices alone."""
        return node.op.kind in ("view", "leaf") and splat(node) is None

    def repeats(self, node: Node) -> bool:
        """A row value used over the whole row: no view of memory, only a change of level."""
        return node.op.kind == "view" and node.inputs[0].op.kind in ("elementwise", "reduce")

    def operands(self, node: Node) -> Iterable[Node]:
        """What a value is computed from; nothing for loads and leaves."""
        if node.op.kind in ("elementwise", "reduce") or self.repeats(node):
            return node.inputs
        return ()

    def wanted(self, outputs: Sequence[Node]) -> list[Node]:
        """Values needed for some outputs, operands first; views of memory count as leaves."""
        leaves = {n: None for n in self.body.nodes if not list(self.operands(n))}
        return topological(outputs, stop=leaves)

    def reads(self) -> dict[Node, tuple[Node, Index | Affine]]:
        """Each value that is loaded or made from loop indices: the input or leaf that it comes
        from, and where in that (see `access.descend`).
        """
        return {
            node: descend(node, self.index[self.is_full(node)], len(self.domain))
            for node in self.wanted(self.body.outputs)
            if self.is_read(node) and not self.repeats(node)
        }

    def loads(self) -> dict[Node, list[Index | Affine]]:
        """The places at which each input is read."""
        found: dict[Node, list[Index | Affine]] = {}
        for base, place in self.reads().values():
            if base.op is input_op:
                found.setdefault(base, []).append(place)
        return found

    def running(self) -> list[Affine]:
        """The values that are made from loop indices alone, as these."""
        reads = self.reads().values()
        return [
            place[base.attrs["axis"]]
            for base, place in reads
            if base.op is not input_op and splat(base) is None and not isinstance(place, Affine)
        ]
