"""The loop nests: map, row, column, short, blocked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from jitgrad.codegen.keep import Keeper, Kept
from jitgrad.codegen.loops import Address, Blocks, For, Kernel, Let, Load, Statement, Store
from jitgrad.codegen.lower import Lowering, block_of
from jitgrad.codegen.scalar import accumulate, identity, working
from jitgrad.ir.node import Node
from jitgrad.passes.cost import work

Passes = Callable[[Lowering, list[Node], list[int]], list[Statement]]


def map_nest(low: Lowering) -> Kernel:
    """Loops over the domain; values are made in the outermost loop that knows them."""
    loops, outermost = low.nest(0, len(low.dims), part=0)
    assert outermost is not None
    low.fill(low.wanted(low.body.outputs), 0, lambda depth, made: _before_loop(loops[depth], made))
    loops[-1].body += low.stores_of(range(len(low.body.outputs)))
    return low.kernel([outermost], low.dims[0].extent)


def _before_loop(loop: For, made: Statement) -> None:
    """Append to a loop's body, ahead of the loops nested in it."""
    at = len(loop.body)
    while at and isinstance(loop.body[at - 1], For):
        at -= 1
    loop.body.insert(at, made)


class _Phases:
    """When each value of a row kernel can be made: full values in a pass over the row, row values
    between two passes.
    """

    def __init__(self, low: Lowering):
        self.phase: dict[Node, int] = {}
        for node in low.wanted(low.body.outputs):
            phases = [self.phase[i] for i in low.operands(node)]
            latest = max(phases, default=0)
            self.phase[node] = latest + 1 if node.op.kind == "reduce" else latest

    def __getitem__(self, node: Node) -> int:
        return self.phase[node]


def row_nest(low: Lowering) -> Kernel:
    """For each row, passes over its elements: each pass makes reductions that later ones read."""
    outer, outermost = low.nest(0, low.outer, part=0)
    assert outermost is not None
    row = outer[-1].body
    _rows(low, row, _pass)
    return low.kernel([outermost], low.dims[0].extent)


def short_nest(low: Lowering) -> Kernel:
    """As `row_nest`, but neighbouring rows fill a vector, and the passes are written out: what one
    pass has made is there in the next.
    """
    outer, outermost = low.nest(0, low.outer, part=0)
    assert outermost is not None
    rounds = [dict(zip(range(low.outer, len(low.dims)), at, strict=True)) for at in _indices(low)]
    kept: list[dict[Node, str]] = [{} for _ in rounds]

    def passes(low: Lowering, reductions: list[Node], full: list[int]) -> list[Statement]:
        return _written_out(low, reductions, full, rounds, kept)

    _rows(low, outer[-1].body, passes)
    return low.kernel([outermost], low.dims[0].extent)


def _indices(low: Lowering) -> Iterable[tuple[int, ...]]:
    return itertools.product(*(range(d.extent) for d in low.dims[low.outer :]))


def _written_out(
    low: Lowering,
    reductions: list[Node],
    full: list[int],
    rounds: list[dict[int, int]],
    kept: list[dict[Node, str]],
) -> list[Statement]:
    """One pass over all rounds of the reduced loops; `kept` has the full values of each round."""
    made: list[Statement] = []
    totals: dict[Node, str] = {}
    inside = low.wanted_in_pass(
        [n.inputs[0] for n in reductions] + [low.body.outputs[i] for i in full]
    )

    def put(_: int, statement: Statement) -> None:
        made.append(statement)

    for at, values in zip(rounds, kept, strict=True):
        low.rounds = at
        low.names.update(values)
        low.fill([n for n in inside if n not in low.names], low.outer - 1, put)
        for node in reductions:
            _count(low, node, totals, made)
        made += low.stores_of(full)
        for node in inside:
            if node in low.names:
                values[node] = low.names.pop(node)
    low.rounds = {}
    low.names.update(totals)
    return made


def _count(low: Lowering, node: Node, totals: dict[Node, str], made: list[Statement]) -> None:
    """One round of a reduction. The first starts from what there is, or is itself the total."""
    value = low.value(node.inputs[0])
    if node not in totals:
        if low.tile is None or not low.tile.adds:
            totals[node] = value
            return
        totals[node] = low.name("s")
        made.append(_start(low, node, totals[node]))
    name = low.name("s")
    low.depth[name] = low.outer - 1
    made.append(Let(name, accumulate(node.op, totals[node], value, node.dtype, False)))
    totals[node] = name


def _rows(low: Lowering, row: list[Statement], passes: Passes) -> None:
    phases = _Phases(low)
    wanted = low.wanted(low.body.outputs)
    reductions = [n for n in wanted if n.op.kind == "reduce"]
    outputs = list(enumerate(low.body.outputs))
    last = max([phases[n] for n in wanted], default=0)
    level = low.outer - 1

    def append(_: int, made: Statement) -> None:
        row.append(made)

    counted = [[n for n in reductions if phases[n] == p + 1] for p in range(last + 1)]
    stored = [[i for i, o in outputs if low.is_full(o) and phases[o] == p] for p in range(last + 1)]
    kept = Kept()
    if low.kind == "row":
        roots = [
            [n.inputs[0] for n in counted[p]] + [low.body.outputs[i] for i in stored[p]]
            for p in range(last + 1)
        ]
        kept = Keeper(low, roots, {i: p for p in range(last + 1) for i in stored[p]}).run()
    for phase in range(last + 1):
        ready = [n for n in wanted if not low.is_full(n) and phases[n] == phase]
        low.fill([n for n in ready if n.op.kind != "reduce"], level, append)
        if counted[phase] or stored[phase]:
            low.loading, low.keeping = kept.loads.get(phase, {}), kept.stores.get(phase, [])
            row += passes(low, counted[phase], stored[phase])
    row += low.stores_of(i for i, o in outputs if not low.is_full(o))


def _pass(low: Lowering, reductions: list[Node], full: list[int]) -> list[Statement]:
    """One pass over a row. Of what earlier passes have made some is loaded, the rest made again."""
    made: list[Statement] = []
    for node in reductions:
        name = low.name("s")
        low.names[node], low.depth[name] = name, low.outer - 1
        made.append(_start(low, node, name))
    roots = [n.inputs[0] for n in reductions] + [low.body.outputs[i] for i in full]
    inside = low.wanted_in_pass([*roots, *(node for node, _ in low.keeping)])
    loops, first = low.nest(low.outer, len(low.dims), part=None)
    known = dict(low.names)

    def put(depth: int, statement: Statement) -> None:
        if depth < low.outer:
            made.append(statement)
        else:
            _before_loop(loops[depth - low.outer], statement)

    low.fill(inside, low.outer - 1, put)
    body = loops[-1].body if loops else made
    body += [step_of(low, n) for n in reductions]
    body += low.stores_of(full)
    body += [
        Store(low.outputs[at].name, low.store_at[at], low.value(node), node.dtype)
        for node, at in low.keeping
    ]
    if first is not None:
        made.append(first)
    for node in inside:  # a later pass has to make them anew
        if node in low.names and node not in known:
            del low.names[node]
    return made


def step_of(low: Lowering, node: Node) -> Let:
    """The step of a reduction that counts one more value."""
    name = low.names[node]
    text = accumulate(node.op, name, low.value(node.inputs[0]), node.dtype, False)
    joined = accumulate(node.op, "{0}", "{1}", node.dtype, False)
    return Let(name, text, joined, working(node.dtype).code)


def _start(low: Lowering, node: Node, name: str) -> Statement:
    """What a reduction starts from: nothing, or what earlier tiles have made of it."""
    if low.tile is None or not low.tile.adds:
        return Let(name, identity(node.op, node.dtype))
    i = low.body.outputs.index(node)
    return Load(name, low.outputs[i].name, low.store_at[i], node.dtype)


def column_nest(low: Lowering) -> Kernel:
    """A row of results accumulates in memory while the reduced axes go by."""
    inner = len(low.dims) - 1
    outer, outermost = low.nest(0, low.outer, part=0)
    body: list[Statement] = outer[-1].body if outer else []
    part = None if outer else inner
    outputs = list(enumerate(low.body.outputs))
    wanted = low.wanted(low.body.outputs)
    reductions = [n for n in wanted if n.op.kind == "reduce"]
    target = {o: i for i, o in outputs}

    start = For(inner, part=part == inner)
    for node in reductions:
        i = target[node]
        zero = identity(node.op, node.dtype)
        start.body.append(Store(low.outputs[i].name, low.store_at[i], zero, node.dtype))
    if low.tile is None or not low.tile.adds:
        body.append(start)

    loops, first = low.nest(low.outer, inner + 1, part=part)
    assert first is not None
    body.append(first)
    taken = _at_once(low) if len(loops) > 1 else 1
    _column_pass(low, loops, taken)
    if taken > 1:
        loops[-2].taken = taken
        rest = For(inner - 1, after=taken, body=[For(inner, part=part == inner)])
        (loops[-3].body if len(loops) > 2 else body).append(rest)
        _column_pass(low, [*loops[:-2], rest, rest.body[0]], 1)  # type: ignore[list-item]

    after = [n for n in wanted if not low.is_full(n)]
    if any(n.op.kind == "elementwise" for n in after):
        end = For(inner, part=part == inner)
        for node in reductions:
            name = low.name("t")
            low.names[node], low.depth[name] = name, inner
            i = target[node]
            end.body.append(Load(name, low.outputs[i].name, low.store_at[i], node.dtype))
        low.fill(
            [n for n in after if n.op.kind != "reduce"],
            inner,
            lambda _, made: end.body.append(made),
        )
        end.body += low.stores_of(
            i for i, o in outputs if not low.is_full(o) and o.op.kind != "reduce"
        )
        body.append(end)
    extent = low.dims[0].extent if outer else low.dims[inner].extent
    return low.kernel([outermost] if outermost is not None else body, extent)


ROWS = 4  # added at once to a row of results: each is loaded and stored so much less often
MOST_AT_ONCE = 64  # additions, that such rows may take to compute


def _at_once(low: Lowering) -> int:
    """How many rounds of the innermost reduced loop a column kernel takes together."""
    computed = [n for n in low.wanted(low.body.outputs) if n.op.kind == "elementwise"]
    total = sum(work(n) for n in computed if low.is_full(n))
    return ROWS if ROWS * total <= MOST_AT_ONCE else 1


def _column_pass(low: Lowering, loops: list[For], taken: int) -> None:
    """Add so many rounds of the loop around the innermost one to the results."""
    wanted = low.wanted(low.body.outputs)
    reductions = [n for n in wanted if n.op.kind == "reduce"]
    full = [n for n in wanted if low.is_full(n)]
    at, inner = loops[-1].dim - 1, loops[-1]
    for node in full:  # what another loop has made is not there in this one
        if low.depth.get(low.names.get(node, ""), -1) >= at:
            del low.names[node]

    def put(depth: int, made: Statement) -> None:
        _before_loop(loops[max(depth - low.outer, 0)], made)

    values: dict[Node, list[str]] = {node: [] for node in reductions}
    stores: list[Store] = []
    moving = _moving(low, full, at)
    for ahead in range(taken):
        low.ahead = (at, ahead)
        low.fill([n for n in full if n not in low.names], low.outer, put)
        for node in reductions:
            values[node].append(low.value(node.inputs[0]))
        stores += low.stores_of(i for i, o in enumerate(low.body.outputs) if low.is_full(o))
        for node in moving if ahead + 1 < taken else ():
            low.names.pop(node, None)
    low.ahead = (0, 0)
    for node in reductions:
        i, total = low.body.outputs.index(node), low.name("s")
        low.depth[total] = inner.dim
        inner.body.append(Load(total, low.outputs[i].name, low.store_at[i], node.dtype))
        for value in values[node][:-1]:
            text, name = accumulate(node.op, total, value, node.dtype, False), low.name("s")
            inner.body.append(Let(name, text))
            total, low.depth[name] = name, inner.dim
        text = accumulate(node.op, total, values[node][-1], node.dtype, False)
        inner.body.append(Store(low.outputs[i].name, low.store_at[i], text, node.dtype))
    inner.body += stores


def _moving(low: Lowering, full: list[Node], dim: int) -> set[Node]:
    """Values that differ from one round of a loop to the next."""
    found: set[Node] = set()
    for node in full:
        at = low.load_at.get(node)
        moves = at is not None and at.strides[dim] is not None
        if moves or any(i in found for i in low.operands(node)):
            found.add(node)
    return found


def blocked_nest(low: Lowering) -> Kernel:
    """Everything is reduced: each block of the outermost loop makes partial results."""
    blocks = Blocks()
    outermost = low.dims[0].extent
    block = block_of(low.domain, outermost)
    low.parameters.new("block", block)
    made = _blocked_pass(low)
    blocks.body += made
    count = -(-outermost // block)
    return low.kernel([blocks], count, partial=count)


def _blocked_pass(low: Lowering) -> list[Statement]:
    outputs = list(enumerate(low.body.outputs))
    reductions = [o for _, o in outputs if o.op.kind == "reduce"]
    full = [i for i, o in outputs if low.is_full(o)]
    made = _pass(low, reductions, full)
    for i, output in outputs:
        if output.op.kind == "reduce":
            at = Address("c", ())
            made.append(Store(low.outputs[i].name, at, low.names[output], output.dtype))
    return made


NESTS = {
    "map": map_nest,
    "row": row_nest,
    "column": column_nest,
    "short": short_nest,
    "across": row_nest,
    "blocked": blocked_nest,
}
