"""From a fused region to the kernel IR: index spaces, phases, loops."""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from jitgrad import config
from jitgrad.codegen.loops import (
    Address,
    Array,
    Dimension,
    For,
    Kernel,
    Let,
    Load,
    Parameters,
    Running,
    Slices,
    Statement,
    Store,
    Tile,
    collapse,
    place,
)
from jitgrad.codegen.scalar import (
    convert,
    expression,
    literal,
    number,
    of_bits,
    product,
    unrounded,
)
from jitgrad.ir.node import Graph, Node, input_op, splat, topological
from jitgrad.ir.op import Op
from jitgrad.passes.access import Affine, Index, linear, strides, walk
from jitgrad.passes.body import Body
from jitgrad.passes.cost import work
from jitgrad.passes.schedule import BLOCK, schedule


class Lowering(Body):
    """One region being lowered. `alias[i] = j`: output i is written over input j."""

    def __init__(
        self,
        body: Graph,
        domain: tuple[int, ...],
        axes: tuple[int, ...],
        alias: dict[int, int],
        stores: dict[int, Affine],
        kind: str = "",
        tile: Tile | None = None,
    ):
        super().__init__(body, domain, axes)
        self.kind = kind or schedule(domain, axes)
        self.tile = tile
        self.unrounded = unrounded(body)
        self.names: dict[Node, str] = {}
        self.depth: dict[str, int] = {}
        self.parameters = Parameters()
        self.numbers: dict[str, str] = {}  # the parameters that are numbers, as literals
        self.inputs = [Array(f"a{i}", x.dtype) for i, x in enumerate(body.inputs)]
        self.outputs = [
            self.inputs[alias[i]] if i in alias else Array(f"r{i}", o.dtype)
            for i, o in enumerate(body.outputs)
        ]
        self.stores, self.alias = stores, alias
        self.addresses = {n: self.read(n, *found) for n, found in self.reads().items()}
        self.writes = [self.store_address(i, o) for i, o in enumerate(body.outputs)]
        self.dims: list[Dimension] = []
        self.outer = 0  # loops outside of the reduction
        self.rounds: dict[int, int] = {}  # of loops that are written out, where we are
        self.ahead: tuple[int, int] = (0, 0)  # a loop, and how many of its rounds ahead we are
        self.loading: Mapping[Node, int] = {}  # values that this pass loads from results
        self.keeping: Sequence[tuple[Node, int]] = ()  # values that it stores there
        self.notes: list[str] = []
        self.arrange()

    def describe(self) -> list[str]:
        """The loops that were chosen, the numbers, and what an element costs."""
        shape = "x".join(map(str, self.domain)) or "one element"
        reduced = f", axes {self.axes} reduced" if self.axes else ""
        moved = sum(a.dtype.size for a in {*self.inputs, *self.outputs})
        operations = sum(map(work, (n for n in self.body.nodes if self.operands(n))))
        numbers = ", ".join(f"{name} = {text}" for name, text in self.numbers.items())
        return [
            f"loops: {self.kind} over {shape}{reduced}",
            *([f"numbers: {numbers}"] if numbers else []),
            f"about {operations} additions' time and {moved} bytes of arrays an element",
        ]

    # --- levels and addresses ---

    def read(self, node: Node, base: Node, place: Index | Affine) -> tuple[Node, Affine]:
        """The address of a load in its array, or the value of a running index."""
        if base.op is not input_op and splat(base) is None:
            assert not isinstance(place, Affine), "the fuse pass stores what is reshaped"
            return base, place[base.attrs["axis"]]
        if isinstance(place, Affine):
            return base, place
        return base, linear(place, self.memory_shape(base), len(self.domain))

    def memory_shape(self, node: Node, output: int = -1) -> tuple[int, ...]:
        """The shape of an array in memory: a tile's, if it lives for one tile only."""
        if self.tile is None:
            return node.shape
        at = output if output >= 0 else self.body.inputs.index(node)
        axis = dict(self.tile.outputs if output >= 0 else self.tile.inputs).get(at)
        if axis is None:
            return node.shape
        return (*node.shape[:axis], self.tile.full, *node.shape[axis + 1 :])

    def wanted_in_pass(self, outputs: Sequence[Node]) -> list[Node]:
        """Values on the whole domain that are needed for some outputs; those of rows are known."""
        wanted = self.wanted(outputs)
        known = {n: None for n in wanted if not list(self.operands(n)) or not self.is_full(n)}
        known |= dict.fromkeys(self.loading)
        inside = topological(outputs, stop=known)
        return [n for n in inside if self.is_full(n)]

    def store_address(self, position: int, output: Node) -> Affine:
        dense = Affine(0, strides(self.memory_shape(output, position)))
        index = self.index[self.is_full(output)]
        return walk(index, self.stores.get(position, dense), len(self.domain))

    # --- loops ---

    def arrange(self) -> None:
        accesses = [a for _, a in self.addresses.values()] + self.writes
        if self.kind == "column":
            last = max(a for a, n in enumerate(self.domain) if n > 1)
            order = [tuple(a for a in self.kept if a != last), self.axes, (last,)]
        else:
            order = [self.kept, self.axes]
        runs = collapse(order, self.domain, accesses, self.tile)
        self.outer = len(runs[0])
        self.dims = [d for run in runs for d in run]
        one = Dimension((), 1)
        if self.kind in ("map", "row", "short", "across") and self.outer == 0:
            self.dims.insert(0, one)
            self.outer = 1
        self.extents = [self.parameters.new(f"n{d}", x.extent) for d, x in enumerate(self.dims)]
        neighbours = self.kind in ("short", "across")  # that run side by side are rows
        vector = (self.outer if neighbours else len(self.dims)) - 1
        slices: dict[tuple[Node, tuple[int, ...]], Slices] = defaultdict(list)
        where = self.dims, self.parameters, vector
        self.load_at = {
            node: place(a, f"x{i}", *where, slices[base, a.coefficients])
            for i, (node, (base, a)) in enumerate(self.addresses.items())
        }
        # An array that is read and written at one place has one address: only if it is the same
        # text does LLVM know that the two cannot clash, and vectorize.
        known = {(base, a): self.load_at[node] for node, (base, a) in self.addresses.items()}
        self.store_at = []
        for i, a in enumerate(self.writes):
            target = self.body.inputs[self.alias[i]] if i in self.alias else None
            at = known.get((target, a)) if target is not None else None
            self.store_at.append(at or place(a, f"y{i}", *where, []))

    def nest(self, first: int, last: int, part: int | None) -> tuple[list[For], For | None]:
        loops = [For(d, part=d == part) for d in range(first, last)]
        for outer, inner in itertools.pairwise(loops):
            outer.body.append(inner)
        return loops, loops[0] if loops else None

    # --- statements ---

    def name(self, stem: str) -> str:
        return f"{stem}{len(self.depth)}"

    def constant(self, node: Node) -> np.ndarray | None:
        """The one number that a value is."""
        return splat(self.addresses[node][0] if node in self.addresses else node)

    def value(self, node: Node) -> str:
        """The text by which a value is used."""
        found = self.constant(node)
        if found is not None:
            return literal(found, node.dtype)
        if self.repeats(node):
            return self.value(node.inputs[0])
        return self.names[node]

    def define(self, node: Node, floor: int) -> tuple[int, Statement] | None:
        """The statement that makes a value and the loop it belongs in; None if it needs none."""
        if splat(node) is not None or self.repeats(node):
            return None
        if node in self.loading:
            home = self.loading[node]
            name, depth = self.name("v"), max(floor, self.store_at[home].depth())
            made: Statement = Load(name, self.outputs[home].name, self.store_at[home], node.dtype)
        elif node in self.addresses:
            base, at = self.addresses[node][0], self.here(self.load_at[node])
            name = self.name("v")
            depth = max(floor, at.depth())
            if splat(base) is not None:
                return None
            if base.op is input_op:
                array = self.inputs[self.body.inputs.index(base)].name
                made = Load(name, array, at, node.dtype)
            else:
                made = Running(name, at, node.dtype)
        else:
            name = self.name("v")
            depth = max([floor, *(self.depth.get(self.value(i), -1) for i in node.inputs)])
            made = Let(name, self.compute(node))
        self.names[node], self.depth[name] = name, depth
        return depth, made

    def compute(self, node: Node) -> str:
        operands = [self.operand(i, node.op) for i in node.inputs]
        if node in self.unrounded:
            return product(node, operands)
        if not node.op.scalar:  # a cast
            return convert(operands[0], node.inputs[0].dtype, node.dtype)
        return expression(node.op, operands, node.inputs[-1].dtype, node.dtype)

    def operand(self, node: Node, op: Op) -> str:
        """The text by which an op uses a value: numbers are parameters where that costs nothing."""
        value = self.constant(node)
        bits = number(value, op, node.dtype) if value is not None else None
        if bits is None:
            return self.value(node)
        if node not in self.names:
            name = f"k{len(self.parameters.names)}"
            self.names[node] = self.parameters.new(name, bits)
            self.numbers[name] = self.value(node)
        return of_bits(self.names[node], node.dtype)

    def here(self, at: Address) -> Address:
        """An address in the round that is being written."""
        return at.at(self.rounds).ahead(*self.ahead)

    def fill(
        self,
        nodes: Iterable[Node],
        floor: int,
        put: Callable[[int, Statement], None],
    ) -> None:
        for node in nodes:
            made = self.define(node, floor)
            if made is not None:
                put(*made)

    def kernel(self, body: list[Statement], extent: int, partial: int = 0) -> Kernel:
        arrays = self.inputs + [o for o in self.outputs if o not in self.inputs]
        work = math.prod(self.domain)
        if self.tile is not None:
            work = work // self.domain[self.tile.axis] * self.tile.extent
        parameters = self.parameters
        return Kernel(
            arrays, parameters.names, body, parameters.values, extent, self.outer, partial, work
        )

    def stores_of(self, outputs: Iterable[int]) -> list[Store]:
        return [
            Store(
                self.outputs[i].name,
                self.here(self.store_at[i]),
                self.value(self.body.outputs[i]),
                self.body.outputs[i].dtype,
            )
            for i in outputs
        ]


def lower(
    body: Graph,
    domain: tuple[int, ...],
    axes: tuple[int, ...],
    alias: dict[int, int] | None = None,
    stores: dict[int, Affine] | None = None,
    kind: str = "",
    tile: Tile | None = None,
) -> Kernel:
    """The kernel of a fused region. `stores` places outputs elsewhere than densely, by steps along
    their own axes; `kind` asks for another loop nest than the region's schedule; `tile` for a part
    of the domain.
    """
    given = tuple((alias or {}).items()), tuple((stores or {}).items())
    return _lowered(body, domain, axes, *given, kind, tile, config.code())


@functools.lru_cache(maxsize=512)  # layers that are alike have one body: graphs are interned
def _lowered(
    body: Graph,
    domain: tuple[int, ...],
    axes: tuple[int, ...],
    alias: tuple[tuple[int, int], ...],
    stores: tuple[tuple[int, Affine], ...],
    kind: str,
    tile: Tile | None,
    code: object,
) -> Kernel:
    from jitgrad.codegen.nests import NESTS

    lowering = Lowering(body, domain, axes, dict(alias), dict(stores), kind, tile)
    kernel = NESTS[lowering.kind](lowering)
    kernel.ops = tuple(n.op.name for n in body.nodes if n.op.kind in ("elementwise", "reduce"))
    kernel.notes = [*lowering.describe(), *lowering.notes]
    return kernel


def block_of(domain: tuple[int, ...], outermost: int) -> int:
    """How many indices of the outermost loop make a block of about `BLOCK` elements."""
    total = 1
    for n in domain:
        total *= n
    return max(1, BLOCK * outermost // total)


def block_count(domain: tuple[int, ...]) -> int:
    """The most blocks a blocked region of this domain makes, however its loops collapse."""
    total = 1
    for n in domain:
        total *= n
    return 2 * -(-total // BLOCK) + 1
