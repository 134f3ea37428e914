"""Plans: where every value lies, that none is overwritten too early, and updates in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitgrad import config
from jitgrad.codegen.calls import scratch
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node, constant, full, project_op
from jitgrad.ir.types import ALIGNMENT
from jitgrad.passes.access import Affine
from jitgrad.passes.fuse import fuse
from jitgrad.passes.plan import Arena, Buffer, Plan, plan
from jitgrad.primitives.elementwise import exp, relu, sin, tanh
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import concat, flip, lead, reshape, transpose
from jitgrad.runtime.executable import Executable
from tests.programs import along, graph_of, row_sum
from tests.strategies import INTEGRAL, graphs, integral_arrays, values_of

Updates = dict[int, int]


def planned(graph: Graph, updates: Updates | None = None) -> Plan:
    return plan(fuse(graph), updates or {}, scratch)


# --- a machine that knows which value lies where --------------------------------------------------


def value_of(node: Node) -> object:
    """What a planned value is called here: a node that is no view, with the result's number."""
    while node.op.kind == "view":
        node = node.inputs[0]
    if node.op is project_op:
        return node.inputs[0], node.attrs["index"]
    return node, 0


Place = tuple[str, int, int, Affine | None]


class Memory:
    """Which value every piece of memory holds."""

    def __init__(self, plan: Plan):
        self.held: dict[Place, object] = {}
        for node, buffer in zip(plan.graph.inputs, plan.inputs, strict=True):
            self.held[place(buffer)] = value_of(node)

    def read(self, buffer: Buffer) -> object:
        if buffer.home == "constant":
            return "constant", buffer.at
        return self.held.get(place(buffer))

    def write(self, buffer: Buffer, value: object) -> None:
        for other in [p for p in self.held if overlap(p, place(buffer))]:
            del self.held[other]
        self.held[place(buffer)] = value


def place(buffer: Buffer) -> Place:
    """Where a buffer is, and which part of that it is: its offset and steps."""
    at = buffer.memory()
    return at.home, at.at, at.nbytes, buffer.place


def overlap(a: Place, b: Place) -> bool:
    if a[:3] == b[:3] and a[3] is not None and b[3] is not None:
        return a[3].offset == b[3].offset  # parts of one join
    if a[0] != "arena" or b[0] != "arena":
        return a[:2] == b[:2]
    return a[1] < b[1] + b[2] and b[1] < a[1] + a[2] and a[2] > 0 < b[2]


def check(plan: Plan, updates: Updates) -> None:
    """Run the plan on names of values: every read finds the value that the graph says."""
    memory = Memory(plan)
    constants: dict[object, object] = {}
    for step in plan.steps:
        if step.node is None:
            memory.write(step.writes[0], memory.read(step.reads[0]))
            continue
        for operand, buffer in zip(step.node.inputs, step.reads, strict=True):
            found = memory.read(buffer)
            if buffer.home == "constant":
                assert constants.setdefault(value_of(operand), found) == found
            else:
                assert found == value_of(operand)
        check_step(step)
        for index, buffer in enumerate(step.writes):
            memory.write(buffer, (step.node, index))
    inputs = {value_of(x): x for x in plan.graph.inputs}
    for position, node in enumerate(plan.graph.outputs):
        home = plan.inputs[updates[position]] if position in updates else None
        if home is None:
            home = plan.outputs[sum(i not in updates for i in range(position))]
        want = value_of(node)
        found = memory.read(home)
        assert found in (want, constants.get(want, ("constant", 0))), (position, inputs)


def check_step(step) -> None:
    """Buffers of one step lie apart, other than results written over operands."""
    writes = [*step.writes, *step.scratch]
    for i, buffer in enumerate(writes):
        whole = buffer.memory()
        assert whole.at >= 0
        assert whole.home != "arena" or whole.at % ALIGNMENT == 0
        assert not any(overlap(place(buffer), place(other)) for other in writes[:i])
        for j, operand in enumerate(step.reads):
            if operand.whole is not buffer and overlap(place(buffer), place(operand)):
                assert step.alias.get(i) == j
    for i, j in step.alias.items():
        assert place(step.writes[i]) == place(step.reads[j])
    assert len(set(step.alias.values())) == len(step.alias)


@st.composite
def updated_graphs(draw: st.DrawFn) -> tuple[Graph, Updates]:
    """A graph and updates of some of its inputs by any of its values."""
    graph = draw(graphs(INTEGRAL))
    outputs, updates = list(graph.outputs), {}
    for position, node in enumerate(graph.inputs):
        fitting = [n for n in graph.nodes if n.type is node.type]
        if draw(st.booleans()):
            updates[len(outputs)] = position
            outputs.append(draw(st.sampled_from(fitting)))
    return graph.replace(outputs), updates


@given(case=updated_graphs())
def test_every_read_finds_its_value(case: tuple[Graph, Updates]) -> None:
    graph, updates = case
    check(planned(graph, updates), updates)


def assert_runs(graph: Graph, updates: Updates, arrays: Sequence[np.ndarray]) -> Executable:
    """The plan run as plain Python gives the reference's values, and updates the inputs."""
    values = values_of(graph, arrays)
    want = [values[o].copy() for o in graph.outputs]
    expected = [a.copy() for a in arrays]
    for output, target in updates.items():
        expected[target] = want[output]
    kept = [w for i, w in enumerate(want) if i not in updates]
    with config.override(jit=False):
        executable = Executable(graph, updates)
        got = [a.copy() for a in arrays]
        results = executable(*got)
    for a, b in zip([*results, *got], [*kept, *expected], strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    return executable


@given(case=updated_graphs(), seed=st.integers(0, 99))
def test_plans_run(case: tuple[Graph, Updates], seed: int) -> None:
    graph, updates = case
    assert_runs(graph, updates, integral_arrays([x.type for x in graph.inputs], seed))


def test_parts_of_a_join_are_written_where_they_belong() -> None:
    """Columns, and rows that are long, need no copy; what is read elsewhere as well does."""

    def columns(x: Node, y: Node) -> tuple[Node, Node]:
        parts = [reshape(x * y, shape=(200, 1)), reshape(x - y, shape=(200, 1))]
        kept = reshape(x + y, shape=(200, 1))
        return concat(*parts, kept, axis=1), kept

    def rows(x: Node, y: Node) -> Node:
        return concat(x * y, y, x - y, axis=0)

    rng = np.random.default_rng(0)
    arrays = [rng.integers(-9, 9, 200).astype(np.float32) for _ in range(2)]
    for program, copies in ((columns, 1), (rows, 1)):
        executable = assert_runs(graph_of(program, "f32[200] f32[200]"), {}, arrays)
        nodes = [step.node for step in executable.program.plan.steps]
        joined = [
            n
            for at, _ in executable.program.launches
            if (n := nodes[at]) is not None and n.op is concat
        ]
        assert len(joined) == copies


# --- results and updates -------------------------------------------------------------------------


def swapped(x: Node) -> Node:
    return transpose(x, perm=(1, 0))


def momentum(p: Node, m: Node, g: Node):
    new = m * 0.5 + g
    return p - new * 2, new


# program, updates, copies that the plan makes
UPDATES = {
    "in place": (lambda x, y: x - y, {0: 0}, 0),
    "over an operand that is not an element's own": (lambda x, y: x - swapped(x), {0: 0}, 1),
    "unread target": (lambda x, y: x * x, {0: 1}, 0),
    "momentum": (lambda x, y: momentum(x, y, full(1, x.type)), {0: 0, 1: 1}, 0),
    "swap": (lambda x, y: (y, x), {0: 0, 1: 1}, 3),
    "down a register": (lambda x, y: (y, x + 1), {0: 0, 1: 1}, 2),
    "up a register": (lambda x, y: (x + y, x), {0: 0, 1: 1}, 2),
    "each reads the other's old value": (lambda x, y: (x - y, y - x), {0: 0, 1: 1}, 0),
    "new values read across": (lambda x, y: (x - y, y * (x - y)), {0: 0, 1: 1}, 0),
    "old value read by a later step": (
        lambda x, y: (x * 2, matmul(matmul(x, y), x)), {0: 0, 1: 1}, 1),
    "one value to both": (lambda x, y: (x + y, x + y), {0: 0, 1: 1}, 1),
    "the same input to both": (lambda x, y: (x, x), {0: 0, 1: 1}, 1),
    "itself": (lambda x, y: (x, y * y), {0: 0}, 0),
    "a constant": (lambda x, y: full(3, x.type), {0: 0}, 0),
    "a literal": (lambda x, y: constant(np.arange(9.0).reshape(3, 3)), {0: 0}, 1),
    "a view of itself": (lambda x, y: swapped(x), {0: 0}, 1),
    "a reshaped view of itself": (
        lambda x, y: reshape(reshape(x, shape=(9,)), shape=(3, 3)), {0: 0}, 0),
    "also an output": (lambda x, y: (x * y, x * y), {0: 0}, 1),
    "the old value is an output": (lambda x, y: (x, x * y), {1: 0}, 2),
    "the old value twice": (lambda x, y: (x, x, x * y), {2: 0}, 3),
    "a product": (lambda x, y: matmul(x, y), {0: 0}, 1),
    "rows": (lambda x, y: x - along(row_sum(x), x), {0: 0}, 1),
    "columns": (lambda x, y: x - lead(reduce_sum(x, axes=(0,)), 3), {0: 0}, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", UPDATES)
def test_updates(name: str) -> None:
    program, updates, copies = UPDATES[name]
    graph = graph_of(program, "f64[3,3] f64[3,3]")
    made = planned(graph, updates)
    check(made, updates)
    assert sum(step.node is None for step in made.steps) == copies, made
    assert_runs(graph, updates, integral_arrays([x.type for x in graph.inputs], 1))


RESULTS = {
    "an input": lambda x: x,
    "an input twice": lambda x: (x, x),
    "a constant": lambda x: full(2, x.type),
    "a literal twice": lambda x: (constant(np.ones(3)),) * 2,
    "one value twice": lambda x: (exp(x), exp(x)),
    "a value and its other shape": lambda x: (x * 2, reshape(x * 2, shape=(4, 2))),
    "a value that is read again": lambda x: (x * 2, matmul(x * 2, swapped(x))),
    "a value reversed": lambda x: flip(x * 2, axes=(0, 1)),
    "nothing": lambda x: (),
    "no elements": lambda x: (full(2, x.type.with_shape((0, 3))), x),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results(name: str) -> None:
    graph = graph_of(RESULTS[name], "f64[2,4]")
    check(planned(graph), {})
    arrays = integral_arrays([x.type for x in graph.inputs], 1)
    assert_runs(graph, {}, arrays)
    with config.override(jit=False):
        results = Executable(graph, {})(*arrays)
    for i, a in enumerate(results):  # fresh memory, each its own
        assert not any(np.shares_memory(a, b) for b in [*arrays, *results[:i]] if b.size)


# --- in place -------------------------------------------------------------------------------------


def before(x: Node) -> Node:
    """Something that is computed, and not by the region that reads it."""
    return matmul(x, x)


# program of computed values p and q, results written over operands
IN_PLACE = {
    "elementwise": (lambda p, q: exp(p) + q, 1),
    "two results, two operands": (lambda p, q: (exp(p + q), sin(p + q)), 2),
    "two results, one operand": (lambda p, q: (exp(p), sin(p)), 1),
    "read twice, at the same place": (lambda p, q: p * exp(p), 1),
    "read at another place": (lambda p, q: exp(p) + flip(p, axes=(0,)), 0),
    "read transposed only": (lambda p, q: exp(swapped(p)), 0),
    "another dtype": (lambda p, q: exp(p) > 1, 0),
    "reduced in a row": (lambda p, q: tanh(along(row_sum(p), p)) * p, 0),
    "full result beside column sums": (lambda p, q: (relu(p), reduce_sum(relu(p), axes=(0,))), 1),
    "column sums": (lambda p, q: reduce_sum(p, axes=(0,)), 0),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_results_take_over_dying_operands(name: str) -> None:
    program, count = IN_PLACE[name]

    def around(x: Node, y: Node):
        outputs = program(before(x), before(y))
        outputs = [outputs] if isinstance(outputs, Node) else outputs
        # read once more, so that results lie in the arena
        return [matmul(o, o) if o.ndim == 2 and o.dtype.is_float else o for o in outputs]

    graph = graph_of(around, "f64[3,3] f64[3,3]")
    made = planned(graph)
    check(made, {})
    assert sum(len(step.alias) for step in made.steps) == count, made
    arrays = integral_arrays([x.type for x in graph.inputs], 1)
    with config.override(jit=False):
        got = Executable(graph, {})(*arrays)
    for a, b in zip(got, interpret(graph, arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def three_registers(x: Node, y: Node, z: Node):
    return y, z, x


def test_a_rotation_needs_one_copy_more_than_registers() -> None:
    graph = graph_of(three_registers, "f64[3] f64[3] f64[3]")
    updates = {0: 0, 1: 1, 2: 2}
    made = planned(graph, updates)
    check(made, updates)
    assert len(made.steps) == 4
    assert_runs(graph, updates, integral_arrays([x.type for x in graph.inputs], 1))


# Column sums grow in the result's memory, from the first row on: nothing that is read at the end
# may lie there.
COLUMN_UPDATES = {
    "a bias": (lambda g, bias: (bias - column_sums(g), column_sums(g) + bias), {0: 1}),
    "a bias, the other way": (
        lambda g, bias: (bias - column_sums(g), column_sums(g) + bias),
        {1: 1},
    ),
    "sums, the old value read": (lambda g, bias: (column_sums(g), bias - column_sums(g)), {0: 1}),
    "sums, the old value unread": (lambda g, bias: (column_sums(g), bias), {0: 1}),
}


def column_sums(x: Node) -> Node:
    return reduce_sum(x, axes=(0,))


@pytest.mark.parametrize("name", COLUMN_UPDATES)
def test_column_sums_update_a_row(name: str) -> None:
    program, updates = COLUMN_UPDATES[name]
    graph = graph_of(program, "f64[4,3] f64[3]")
    check(planned(graph, updates), updates)
    assert_runs(graph, updates, integral_arrays([x.type for x in graph.inputs], 1))


# --- the arena ------------------------------------------------------------------------------------


@given(data=st.data())
def test_intervals_of_the_arena_lie_apart(data: st.DataObject) -> None:
    arena = Arena()
    taken: list[tuple[int, int]] = []
    most = 0
    for _ in range(data.draw(st.integers(1, 30))):
        if taken and data.draw(st.booleans()):
            arena.free(*taken.pop(data.draw(st.integers(0, len(taken) - 1))))
            continue
        nbytes = data.draw(st.integers(0, 300))
        at = arena.take(nbytes)
        assert at % ALIGNMENT == 0
        assert at + nbytes <= arena.size
        assert all(at >= b + n or b >= at + max(nbytes, 1) for b, n in taken if n)
        taken.append((at, nbytes))
        most = max(most, sum(n + ALIGNMENT for _, n in taken))
    while taken:
        arena.free(*taken.pop())
    if arena.size:
        assert arena.holes == [(0, arena.size)]  # nothing is lost, and holes grow together


@pytest.mark.parametrize("length", [2, 5, 50])
def test_a_chain_needs_two_buffers(length: int) -> None:
    def program(x: Node) -> Node:
        y = x
        for _ in range(length):
            y = tanh(matmul(y, x))
        return y

    nbytes = 16 * 16 * 8
    made = planned(graph_of(program, "f64[16,16]"))
    assert made.arena <= 2 * nbytes
    check(made, {})


def test_a_chain_of_maps_needs_one_buffer() -> None:
    """Separate kernels, each in place: transposed results are copied, so use limits instead."""

    def program(x: Node) -> Node:
        for i in range(2000):
            x = sin(x) if i % 2 else x * 1.25
        return x

    assert planned(graph_of(program, "f64[16,16]")).arena <= 16 * 16 * 8


def test_everything_that_is_live_at_once_fits_and_nothing_more() -> None:
    """Eight products, all read at the end: eight buffers, and one for the sum."""

    def program(x: Node) -> Node:
        products = [matmul(x + float(i), x) for i in range(8)]
        return matmul(sum(products[1:], products[0]), x)

    made = planned(graph_of(program, "f64[16,16]"))
    assert 8 * 2048 <= made.arena <= 10 * 2048
    check(made, {})
