"""What a loop has to record for its reverse: a cut of least weight through its body.

The reverse reads some values of the body (the *wanted*). They can be computed again from the number
of the iteration and the loop's operands, which are at hand; from values that were carried; and from
results too costly to compute twice. Of the last two it needs a record. The cheapest set of records
that suffices separates these sources from what is wanted: a minimal vertex cut, weighted by bytes.
Of several such sets it is the one nearest to what is wanted, which saves computing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from jitgrad.ir.node import Node, constant_op, project_op, topological
from jitgrad.ir.types import TapeType, TensorType

NEVER = 1 << 60  # the weight of what cannot be recorded
SMALL = 16  # elements up to which a reduction or a product is cheap


def is_costly(node: Node) -> bool:
    """Whether a result is recorded rather than computed again: functions, products, loops."""
    kind = node.op.kind
    if kind == "elementwise":
        return "(" in node.op.scalar.replace("select(", "")
    if kind == "region":
        return _loops(node) and not node.attrs.get("recompute") and not _has_tape(node)
    if kind in ("reduce", "call"):
        return (
            sum(i.type.size for i in node.inputs) > SMALL
            and node.type is not None
            and (kind == "reduce" or _is_large(node))
        )
    return False


def _loops(node: Node) -> bool:
    return "carried" in node.attrs


def _has_tape(node: Node) -> bool:
    return any(isinstance(t, TapeType) for t in node.type.items)


def _is_large(node: Node) -> bool:
    """A call that makes many elements; picking a few out of an array is cheap."""
    return isinstance(node.type, TensorType) and node.type.size > SMALL


def minimal_cut(wanted: Iterable[Node], carried: Iterable[Node], costly: bool = True) -> list[Node]:
    """The values to record, in the order of computation, so that all `wanted` can be computed again
    where `carried` are not at hand. Unless `costly`, everything is cheap.
    """
    wanted = list(wanted)
    order = topological(wanted)
    sources = set(carried)
    network = _Network()
    below: dict[Node, bool] = {}  # whether a value depends on a source
    ends = set(wanted)
    for node in order:
        start = node in sources or (costly and is_costly(node))
        below[node] = start or any(below[i] for i in node.inputs)
        if not below[node]:
            continue
        network.add((node, 0), (node, 1), _weight(node))
        if start:
            network.add("source", (node, 0), NEVER)
        else:
            for operand in node.inputs:
                if below[operand]:
                    network.add((operand, 1), (node, 0), NEVER)
        if node in ends:
            network.add((node, 1), "sink", NEVER)
    behind = network.behind("source", "sink")
    return [n for n in order if below[n] and (n, 0) not in behind and (n, 1) in behind]


def _weight(node: Node) -> int:
    if not isinstance(node.type, TensorType) or node.op is constant_op:
        return NEVER
    return node.type.nbytes + 1 if node.op is not project_op else node.type.nbytes


class _Network:
    """Maximal flow by shortest augmenting paths (Edmonds and Karp). Networks here are small."""

    def __init__(self) -> None:
        self.room: dict[object, dict[object, int]] = {}

    def add(self, a: object, b: object, capacity: int) -> None:
        """An edge."""
        self.room.setdefault(a, {})[b] = self.room.get(a, {}).get(b, 0) + capacity
        self.room.setdefault(b, {}).setdefault(a, 0)

    def behind(self, source: object, sink: object) -> set[object]:
        """The sink's side of the minimal cut that is nearest to the sink."""
        while self._augment(source, sink):
            pass
        return self._search(sink, lambda here, there: self.room[there][here] > 0)[0]

    def _search(
        self, start: object, open: Callable[[object, object], bool], goal: object = None
    ) -> tuple[set[object], dict[object, object]]:
        seen, came, queue = {start}, {}, deque([start])
        while queue:
            here = queue.popleft()
            if goal is not None and here == goal:
                break
            for there in self.room.get(here, ()):
                if there not in seen and open(here, there):
                    seen.add(there)
                    came[there] = here
                    queue.append(there)
        return seen, came

    def _augment(self, source: object, sink: object) -> int:
        seen, came = self._search(source, lambda here, there: self.room[here][there] > 0, sink)
        if sink not in seen:
            return 0
        path, at = [], sink
        while at != source:
            path.append((came[at], at))
            at = came[at]
        flow = min(self.room[a][b] for a, b in path)
        for a, b in path:
            self.room[a][b] -= flow
            self.room[b][a] += flow
        return flow
