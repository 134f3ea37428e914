"""What a row kernel keeps from one pass over a row for later ones, and where.

A later pass needs values of earlier ones again. What is dear to compute is kept: in its own result,
or in the row of a result that is written later. The row is in the cache by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jitgrad.codegen.lower import Lowering
from jitgrad.ir.node import Node
from jitgrad.passes.cost import work

DEAR = 6  # additions: a store and a load of a row in the cache cost less


@dataclass(slots=True)
class Kept:
    """By pass: values to be stored in results (by position), and values to be loaded from them."""

    stores: dict[int, list[tuple[Node, int]]] = field(default_factory=dict)
    loads: dict[int, dict[Node, int]] = field(default_factory=dict)


class Keeper:
    """Decides pass by pass. `roots[p]` is what pass p computes on the whole row."""

    def __init__(self, low: Lowering, roots: Sequence[Sequence[Node]], written: Mapping[int, int]):
        self.low, self.roots = low, roots
        self.written = written  # full result -> the pass that writes it
        self.made: dict[Node, int] = {}  # value -> the pass that made it
        self.homes: dict[Node, int] = {}
        self.kept = Kept()

    def run(self) -> Kept:
        for number, roots in enumerate(self.roots):
            fresh: dict[Node, None] = {}
            loads: dict[Node, int] = {}
            costs: dict[Node, int] = {}
            pending = list(roots)
            while pending:
                node = pending.pop()
                if node in fresh or node in loads or not self.is_computed(node):
                    continue
                home = self.home(node, number, costs) if node in self.made else None
                if home is not None:
                    loads[node] = home
                    continue
                fresh[node] = None
                pending += self.low.operands(node)
            self.kept.loads[number] = loads
            for node in fresh:
                self.made.setdefault(node, number)
        return self.kept

    def is_computed(self, node: Node) -> bool:
        return self.low.is_full(node) and bool(list(self.low.operands(node)))

    def price(self, node: Node, costs: dict[Node, int]) -> int:
        """What computing a value again takes, up to what is loaded or kept."""
        stack = [node]
        while stack:
            top = stack[-1]
            inner = [i for i in self.low.operands(top) if self.is_computed(i)]
            waiting = [i for i in inner if i not in costs and i not in self.homes]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            own = 0 if self.low.repeats(top) else work(top)
            costs[top] = own + sum(costs.get(i, 1) for i in set(inner))
        return costs[node]

    def home(self, node: Node, number: int, costs: dict[Node, int]) -> int | None:
        """The result that keeps a value until a pass, if it is worth it and there is one."""
        known = self.homes.get(node)
        if known is not None:
            own = self.low.body.outputs[known] is node
            return known if own or self.written[known] >= number else None
        if self.price(node, costs) < DEAR:
            return None
        found = self.find_home(node, number)
        if found is not None:
            self.low.notes.append(
                f"keeps {node.op.name} in the row of result {found} for pass {number + 1}: "
                f"to compute it again costs {costs[node]}, a load less than {DEAR}"
            )
            self.homes[node] = found
            if self.low.body.outputs[found] is not node:
                self.kept.stores.setdefault(self.made[node], []).append((node, found))
        return found

    def find_home(self, node: Node, number: int) -> int | None:
        outputs = self.low.body.outputs
        for position, at in self.written.items():
            if outputs[position] is node and at <= self.made[node]:
                return position
        for position, at in self.written.items():
            taken = position in self.homes.values() or outputs[position] in self.homes
            if not taken and at >= number and outputs[position].type is node.type:
                return position
        return None
