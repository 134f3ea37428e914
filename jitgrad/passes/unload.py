"""What loops carry without need: rows that are read or written in turn, and sums.

What reads row k in iteration k is given it; what only writes row k records it. What is computed
element by element for the loop alone, or repeated, is made inside. A sum of products, such as the
gradient of a weight, is one product of what all iterations have recorded. A sum over long rows in
each iteration becomes a row of sums, added up after the loop, where that keeps the elements of the
row apart (see `interchange`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from jitgrad.autodiff.region import NUMBER, Inputs
from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    full,
    input_node,
    project,
    project_op,
    readers_of,
    rebuild,
    splat,
    substitute,
    topological,
    with_inputs,
)
from jitgrad.passes.interchange import SHORTEST, lanes_of
from jitgrad.passes.tiles import results
from jitgrad.primitives.control import gathered
from jitgrad.primitives.declare import zeros
from jitgrad.primitives.flow import inner, item_type, parts
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.shape import reshape, swaps_last, transpose_last

READS = frozenset({"take"})
WRITES = frozenset({"scatter"})
SUMS = frozenset({"reduce_sum"})
REPEATS = frozenset({"broadcast"})
ADD = frozenset({"add"})
PRODUCTS = frozenset({"matmul"})
# What is linear in all operands together, in the first, and in either.
JOINTLY = frozenset({"add", "sub", "neg", "reshape", "broadcast", "transpose", "pad", "concat"})
SCALED = frozenset({"div"})
EITHER = frozenset({"mul"})


def unload(graph: Graph) -> Graph:
    """The graph with loops that carry less."""
    if not any("carried" in n.attrs for n in graph.nodes):
        return graph
    made: dict[Node, list[Node]] = {}
    uses = Counter(i for node in graph.nodes for i in node.inputs)
    uses.update(graph.outputs)
    once: set[Node] = set()  # what one node reads, in the new graph

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is project_op and node.inputs[0] in made:
            return made[node.inputs[0]][node.attrs["index"]]
        if "carried" not in node.attrs or node.attrs["length"] is None:
            new = with_inputs(node, inputs)
            if uses[node] == 1:
                once.add(new)
            return new
        body = unload(node.attrs["body"])
        plain = builder.make(node.op, inputs, {**node.attrs, "body": body})
        if node.attrs["test"] is None:
            made[node] = unloaded(plain, once)
        return plain

    return rebuild(graph, rewrite)


def unloaded(node: Node, once: Set[Node]) -> list[Node]:
    """The results of a loop, of one that carries less if there is such. What is in `once` can be
    computed inside.
    """
    plain, summed = _Loop(node, once), _Loop(node, once)
    if summed.sums():
        found = summed.made()
        if lanes_of(_alone(summed.loop)) is not None:
            return found
    return plain.made() if plain.changed else results(node)


def _alone(loop: Node) -> Node:
    inputs = [input_node(f"a{i}", x.type) for i, x in enumerate(loop.inputs)]
    inside = builder.make(loop.op, tuple(inputs), loop.attrs)
    return builder.make(gathered, tuple(inputs), {"body": Graph("body", inputs, results(inside))})


@dataclass(slots=True)
class _Carry:
    """A carry: inside, before the loop, and after an iteration. `after` the loop it may be another
    expression of what the loop makes: `sums` are the values whose sums stand in it.
    """

    x: Node
    start: Node
    new: Node
    sums: Sequence[Node] = ()


class _Loop:
    """A loop being rewritten."""

    def __init__(self, node: Node, once: Set[Node]):
        self.once = once
        self.node, attrs, self.body = node, node.attrs, node.attrs["body"]
        self.own, self.given = inner(attrs, self.body.inputs), parts(attrs, node.inputs)
        self.length, self.carried = attrs["length"], attrs["carried"]
        self.carry = [_Carry(*c) for c in zip(self.own.carry, self.given.carry, self.body.outputs)]
        self.readers = readers_of(self.body)
        self.slices: dict[Node, Node] = {}  # what is read in turn, and what it is a row of
        self.records: dict[int, Node] = {}  # by carry
        self.inside: dict[Node, tuple[Node, Node]] = {}  # an invariant: a broadcast, its operand
        self.known: dict[int, Node] = {}  # records that are there already
        self.products: dict[int, tuple[Node, Node]] = {}  # carries that are sums of a' b
        self.rows()
        self.find_products()
        kept = {*self.body.outputs, *(n for pair in self.products.values() for n in pair)}
        self.sunk = {
            row
            for row, operand in self.stacks().items()
            if operand in once and operand.op.kind == "elementwise" and row not in kept
        }
        found = (self.slices, self.inside, self.records, self.known, self.products, self.sunk)
        self.changed = any(found)

    def rows(self) -> None:
        """Find what is read or written row by row, and what is a broadcast."""
        outputs = set(self.body.outputs)
        for x, operand in zip(self.own.rest, self.given.rest, strict=True):
            readers = self.readers.get(x, [])
            if x not in outputs and readers and all(self.is_turn(r, x) for r in readers):
                self.slices.update(dict.fromkeys(readers, operand))
            elif operand.op.name in REPEATS and 2 * operand.inputs[0].type.size <= x.type.size:  # type: ignore[union-attr]
                self.inside[x] = operand, operand.inputs[0]
        for i, c in enumerate(self.carry):
            writes = c.new.op.name in WRITES and self.is_turn(c.new, c.x)
            adds = writes and c.new.attrs["mode"] == "add"
            only = self.readers.get(c.x) == [c.new] and c.new not in self.readers
            only = only and self.body.outputs.count(c.new) == 1
            if only and writes and (not adds or splat(c.start) == 0):
                self.records[i] = c.new.inputs[2]
        ends = enumerate(self.body.outputs[self.carried :], self.carried)
        self.known = {i: self.stacks()[o] for i, o in ends if o in self.stacks()}

    def stacks(self) -> dict[Node, Node]:
        """Values of all iterations that are there before the loop."""
        given = zip(self.own.slices, self.given.slices, strict=True)
        return {**dict(given), **self.slices}

    def is_turn(self, node: Node, x: Node) -> bool:
        """Whether an op reads, or writes, row k of an array with as many rows as iterations."""
        if node.op.name not in READS | WRITES or node.inputs[0] is not x:
            return False
        return node.inputs[1] is self.own.count and x.shape[0] == self.length

    # --- sums ---

    def added(self, i: int) -> Node | None:
        """What each iteration adds to a carry, if that is all that happens to it."""
        c = self.carry[i]
        alone = self.readers.get(c.x) == [c.new] and c.new not in self.readers
        if not alone or c.new.op.name not in ADD or self.body.outputs.count(c.new) != 1:
            return None
        others = [t for t in c.new.inputs if t is not c.x]
        return others[0] if len(others) == 1 else None

    def find_products(self) -> None:
        """Carries to which each iteration adds a' b, if little more has to be recorded for one
        product in their place.
        """
        room = sum(x.type.nbytes for x in self.given.slices)  # type: ignore[union-attr]
        for i in range(self.carried):
            term = self.added(i)
            if term is None or term.op.name not in PRODUCTS or term.ndim != 2:
                continue
            left, b = term.inputs
            if not swaps_last(left) or self.node.attrs["recompute"]:
                continue
            pair = left.inputs[0], b
            there = {*self.stacks(), *self.body.outputs[self.carried :]}
            extra = sum(n.type.nbytes * self.length for n in pair if n not in there)  # type: ignore[union-attr]
            if extra <= room and not any(n in self.own.rest for n in pair):
                self.products[i] = pair

    def sums(self) -> bool:
        """Find carries that are sums of sums; whether there are any."""
        ways = topological(self.body.outputs)
        moving = {self.own.count, *self.own.carry, *self.own.slices, *self.slices}
        for n in ways:
            if any(i in moving for i in n.inputs):
                moving.add(n)
        found = False
        for i, c in enumerate(self.carry):
            term = self.added(i)
            if term is None or i in self.records or i in self.products:
                continue
            leaves: dict[Node, None] = {}
            if _is_linear(term, moving, leaves) and leaves:
                self.carry[i] = _Carry(c.x, c.start, term, tuple(leaves))
                found = True
        return found

    # --- the new loop ---

    def made(self) -> list[Node]:
        """The loop's results."""
        new, values = Inputs(), {self.own.count: NUMBER}
        outputs: list[Node] = []
        places: dict[int, int] = {}  # of the results that the new loop has as well
        for i, c in enumerate(self.carry):
            if i not in self.records and i not in self.products and not c.sums:
                places[i] = len(outputs)
                values[c.x] = new.add("c", c.x.type, c.start)  # type: ignore[arg-type]
                outputs.append(c.new)
        leaves = dict.fromkeys(leaf for c in self.carry for leaf in c.sums)
        summed = {leaf: len(outputs) + j for j, leaf in enumerate(leaves)}
        for leaf in leaves:
            (y,) = leaf.inputs
            outputs.append(new.add("c", y.type, zeros(y.type)) + y)  # type: ignore[arg-type]
        for row, operand in self.stacks().items():
            values[row] = self.row(operand, new, row in self.sunk)
        self.add_rest(new, values)
        for i in [*self.records, *range(self.carried, len(self.body.outputs))]:
            if i not in self.known:
                places[i] = len(outputs)
                outputs.append(self.records[i] if i in self.records else self.body.outputs[i])
        recorded = {
            outputs[at]: at for i, at in places.items() if i in self.records or i >= self.carried
        }
        for n in dict.fromkeys(n for pair in self.products.values() for n in pair):
            if n not in recorded and n not in self.stacks():
                recorded[n] = len(outputs)
                outputs.append(n)
        keep = ("length", "limit", "recompute", "reverse")
        self.loop = new.loop(
            self.node.op,
            None,
            substitute(outputs, values),
            **{name: self.node.attrs[name] for name in keep},
        )
        stacks = {n: project(self.loop, at) for n, at in recorded.items()} | self.stacks()
        totals = {n: n.op(project(self.loop, at), **n.attrs) for n, at in summed.items()}
        return [self.result(i, places, stacks, totals) for i in range(len(self.body.outputs))]

    def result(
        self,
        i: int,
        places: Mapping[int, int],
        stacks: Mapping[Node, Node],
        totals: Mapping[Node, Node],
    ) -> Node:
        """One of the old results, of what the new loop makes."""
        if i in self.known:
            return self.known[i]
        if i in places:
            return project(self.loop, places[i])
        c = self.carry[i]
        if i in self.products:
            a, b = (_as_rows(stacks[n]) for n in self.products[i])
            total = matmul(transpose_last(a), b)
        else:
            fixed = dict(zip(self.own.rest, self.given.rest, strict=True))
            (total,) = substitute([c.new], {**fixed, **totals})
        return total if splat(c.start) == 0 else c.start + total

    def row(self, operand: Node, new: Inputs, sinks: bool) -> Node:
        """A row of a stack: computed from rows of what that is computed from, if nobody else needs
        it, or given.
        """
        item = item_type(operand.type)
        number = splat(operand)
        if number is not None and sinks:
            return full(number, item)
        if sinks and operand.op.kind == "elementwise" and operand in self.once:
            rows = [self.row(i, new, sinks) for i in operand.inputs]
            return operand.op(*rows, **operand.attrs)
        if sinks and operand.op.name in REPEATS and 0 not in operand.attrs["dims"]:
            (x,) = operand.inputs
            dims = tuple([d - 1 for d in operand.attrs["dims"]])
            x = new.add("p", x.type, x)  # type: ignore[arg-type]
            return operand.op(x, shape=item.shape, dims=dims)
        return new.add("x", item, operand)

    def add_rest(self, new: Inputs, values: dict[Node, Node]) -> None:
        """Invariants that are still read, and broadcasts."""
        gone = {row.inputs[0] for row in self.slices}
        for x, operand in zip(self.own.rest, self.given.rest, strict=True):
            if x in gone:
                continue
            if x in self.inside:
                view, below = self.inside[x]
                values[x] = view.op(new.add("p", below.type, below), **view.attrs)  # type: ignore[arg-type]
            else:
                values[x] = new.add("p", x.type, operand)  # type: ignore[arg-type]


def _as_rows(stack: Node) -> Node:
    """The rows of all iterations, one after the other."""
    length, rows, columns = stack.shape
    return reshape(stack, shape=(length * rows, columns))


def _is_linear(node: Node, moving: set[Node], leaves: dict[Node, None]) -> bool:
    """Whether a value is a linear function of sums over long axes, which become `leaves`, with
    factors that do not change from one iteration to the next.
    """
    if node not in moving:
        return False
    name = node.op.name
    if name in SUMS and node.inputs[0].type.size >= SHORTEST * max(node.type.size, 1):  # type: ignore[union-attr]
        leaves[node] = None
        return True
    if name in JOINTLY:
        return all(_is_linear(i, moving, leaves) for i in node.inputs)
    if name in SCALED:
        return node.inputs[1] not in moving and _is_linear(node.inputs[0], moving, leaves)
    if name in EITHER:
        a, b = node.inputs
        fixed, other = (a, b) if a not in moving else (b, a)
        return fixed not in moving and _is_linear(other, moving, leaves)
    return False
