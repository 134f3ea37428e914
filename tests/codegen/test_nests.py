"""Loop nests: every way to read an array, in every kind of nest, at every kind of extent."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from jitgrad import config
from jitgrad.codegen import lower
from jitgrad.ir.node import Node
from jitgrad.passes import schedule
from jitgrad.primitives.elementwise import maximum
from jitgrad.primitives.reduce import (
    expand,
    reduce_all,
    reduce_any,
    reduce_max,
    reduce_min,
    reduce_prod,
    reduce_sum,
)
from jitgrad.primitives.shape import broadcast, flip, iota_of, reshape, slice_, transpose
from jitgrad.runtime.executable import Executable
from tests.codegen.backends import BACKENDS, Backend, compiled, reference
from tests.programs import along, graph_of, row_sum
from tests.strategies import integral_arrays

# --- reading --------------------------------------------------------------------------------------

SHAPE = (3, 4, 5)
FULL = "i32[3,4,5]"


def strided(x: Node) -> Node:
    return slice_(x, starts=(1, 0, 0), stops=(6, 8, 5), steps=(2, 2, 1))


# what is stored, and how an array of SHAPE is read from it
VIEWS = {
    "as it lies": (FULL, lambda x: x),
    "transposed": ("i32[5,3,4]", lambda x: transpose(x, perm=(1, 2, 0))),
    "inner axes swapped": ("i32[3,5,4]", lambda x: transpose(x, perm=(0, 2, 1))),
    "flipped": (FULL, lambda x: flip(x, axes=(0, 2))),
    "reversed": (FULL, lambda x: flip(x, axes=(0, 1, 2))),
    "strided": ("i32[6,9,5]", strided),
    "a number": ("i32[]", lambda x: broadcast(x, shape=SHAPE, dims=())),
    "rows": ("i32[4,5]", lambda x: broadcast(x, shape=SHAPE, dims=(1, 2))),
    "columns": ("i32[3]", lambda x: broadcast(x, shape=SHAPE, dims=(0,))),
    "outer and inner": ("i32[3,5]", lambda x: broadcast(x, shape=SHAPE, dims=(0, 2))),
    "reshaped": ("i32[12,5]", lambda x: reshape(x, shape=SHAPE)),
    "without unit axes": ("i32[3,1,4,5,1]", lambda x: reshape(x, shape=SHAPE)),
    "reshaped and flipped": ("i32[60]", lambda x: flip(reshape(x, shape=SHAPE), axes=(1,))),
    "flipped and reshaped": ("i32[60]", lambda x: reshape(flip(x, axes=(0,)), shape=SHAPE)),
    "transposed and reshaped": (
        "i32[5,12]",
        lambda x: reshape(transpose(x, perm=(1, 0)), shape=SHAPE),
    ),
    "all at once": (
        "i32[5,9]",
        lambda x: broadcast(
            flip(
                slice_(transpose(x, perm=(1, 0)), starts=(2, 0), stops=(9, 5), steps=(2, 1)),
                axes=(0,),
            ),
            shape=SHAPE,
            dims=(1, 2),
        ),
    ),
    "a ramp": ("i32[]", lambda x: flip(iota_of(SHAPE, 1, x.dtype), axes=(1,))),
}


def reduced(x: Node, *axes: int) -> Node:
    return reduce_sum(x, axes=axes)


def centered(x: Node, *axes: int) -> Node:
    return x - expand(reduced(x, *axes), x.shape, axes)


# of a view and of an array that is read as it lies
NESTS = {
    "map": lambda x, y: (x * 2 + y, maximum(x, y)),
    "row": lambda x, y: reduced(x * y, 2),
    "row, two axes": lambda x, y: reduced(x * y, 1, 2),
    "row, outer and inner": lambda x, y: reduced(x + y, 0, 2),
    "row, everything": lambda x, y: reduced(x * y, 0, 1, 2),
    "row, three passes": lambda x, y: centered(centered(x, 2) * y, 2),
    "row, with its elements": lambda x, y: (x * y, reduced(x * y, 2) * 3, reduce_max(x, axes=(2,))),
    "column": lambda x, y: reduced(x * y, 0),
    "column, the middle": lambda x, y: reduced(x * y, 1),
    "column, two axes": lambda x, y: (x + y, reduced(x + y, 0, 1) * 2),
    "logic": lambda x, y: (reduce_any(x < y, axes=(2,)), reduce_all(x < y, axes=(0,))),
}


# The text of all is run; every third is compiled.
READS = [
    pytest.param(view, nest, *backend.values, id=f"{nest}-{view}-{backend.id}", marks=backend.marks)
    for i, view in enumerate(VIEWS)
    for j, nest in enumerate(NESTS)
    for backend in BACKENDS
    if backend.id != "compiled" or (i + j) % 3 == 0
]


@pytest.mark.parametrize(("view", "nest", "backend"), READS)
def test_every_view_in_every_nest(view: str, nest: str, backend: Backend) -> None:
    types, read = VIEWS[view]
    graph = graph_of(lambda x, y: NESTS[nest](read(x), y), f"{types} {FULL}")
    check(graph, backend)


def check(graph, backend: Backend, seed: int = 0) -> None:
    arrays = integral_arrays([x.type for x in graph.inputs], seed)
    for got, want in zip(backend(graph, arrays), reference(graph, arrays), strict=True):
        np.testing.assert_array_equal(got, want, strict=True)


# --- extents --------------------------------------------------------------------------------------

# Nothing, one, primes, and one more than a vector, than the threads of the grid in the simulator.
SHAPES = [(0, 3), (3, 0), (1, 1), (1, 7), (7, 1), (2, 3), (13, 11), (9, 67), (33, 5)]

PROGRAMS = {
    "map": lambda x: x * 2 + 1,
    "map by rows": lambda x: x * along(row_sum(x), x),
    "row": row_sum,
    "column": lambda x: reduced(x, 0) + 1,
    "everything": lambda x: reduced(x, 0, 1),
    "turned": lambda x: transpose(x, perm=(1, 0)),
    "products": lambda x: (reduce_prod(x, axes=(0,)), reduce_prod(x, axes=(1,))),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("program", PROGRAMS)
def test_extents(program: str, shape: tuple[int, ...], backend: Backend) -> None:
    check(graph_of(PROGRAMS[program], f"i32[{shape[0]},{shape[1]}]"), backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("extent", [0, 1, 2, 7, 8, 9, 65])
def test_vectors(extent: int, backend: Backend) -> None:
    check(graph_of(lambda x: (x * 2, reduced(x, 0), flip(x, axes=(0,))), f"i32[{extent}]"), backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers(backend: Backend) -> None:
    check(graph_of(lambda x: (x * 2, reduced(x)), "i32[]"), backend)


@pytest.mark.parametrize("program", PROGRAMS)
def test_extents_are_arguments_of_the_kernel(program: str) -> None:
    """A new shape compiles nothing, unless a reduction is short enough to be written out, or a
    stride short enough to be a literal.
    """

    def sources(types: str) -> list[str]:
        with config.override(jit=False):
            executable = Executable(graph_of(PROGRAMS[program], types), {})
        return [launch.source for _, launch in executable.program.launches]

    assert sources("f32[13,21]") == sources("f32[2,17]") == sources("f32[19,670]")


def test_text_does_not_depend_on_accidents() -> None:
    """Square arrays are not special, nor is an operand used twice at one place."""

    def sources(types: str) -> list[str]:
        graph = graph_of(lambda x, y: x * transpose(y, perm=(1, 0)) + x, types)
        with config.override(jit=False):
            return [launch.source for _, launch in Executable(graph, {}).program.launches]

    assert sources("f32[40,40] f32[40,40]") == sources("f32[30,50] f32[50,30]")


# --- long reductions ------------------------------------------------------------------------------


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reductions are split from 11 elements on, into blocks of 4."""
    monkeypatch.setattr(schedule, "LONGEST_ROW", 10)
    monkeypatch.setattr(lower, "BLOCK", 4)


BLOCKED = {
    "a vector": ("i32[{n}]", lambda x: reduced(x, 0)),
    "several, and its elements": (
        "i32[{n}]",
        lambda x: (reduced(x * x, 0), reduce_max(x, axes=(0,)), reduce_min(x, axes=(0,)), x * x),
    ),
    "a matrix": ("i32[{n},3]", lambda x: reduced(x, 0, 1)),
    "a wide matrix": ("i32[3,{n}]", lambda x: reduced(transpose(x, perm=(1, 0)), 0, 1)),
    "a unit axis kept": ("i32[1,{n}]", lambda x: reduced(x, 1) + 1),
    "logic": ("i32[{n}]", lambda x: (reduce_any(x < 0, axes=(0,)), reduce_all(x < 9, axes=(0,)))),
    "a long softmax's sum": ("i32[{n}]", lambda x: centered(centered(x, 0), 0)),
}


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize("backend", [b for b in BACKENDS if b.id != "compiled"])
@pytest.mark.parametrize("extent", [10, 11, 12, 13, 97, 401])  # 401: more partial sums than a row
@pytest.mark.parametrize("program", BLOCKED)
def test_blocks(program: str, extent: int, backend: Backend) -> None:
    types, function = BLOCKED[program]
    check(graph_of(function, types.format(n=extent)), backend)


@pytest.mark.parametrize("program", BLOCKED)
@pytest.mark.parametrize("extent", [schedule.LONGEST_ROW + 1, 3 * schedule.BLOCK * 17])
def test_blocks_compiled(program: str, extent: int) -> None:
    types, function = BLOCKED[program]
    check(graph_of(function, types.format(n=extent)), compiled)


@functools.cache
def tenths(shape: tuple[int, ...]) -> np.ndarray:
    """A sum of these loses all of its digits if it is made one by one: each is rounded alike."""
    return np.full(shape, 0.1, np.float32)


def random(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("values", [tenths, random])
@pytest.mark.parametrize("count", [1 << 20, (1 << 20) + 4097])
def test_accuracy_of_long_sums(count: int, values) -> None:
    """Each element is rounded once for each addition that it goes through: those of its block,
    those of the partial sums. So |error| <= u (block + blocks) * sum |x|, with u = 2^-24.
    """
    x = values((count,))
    (total,) = compiled(graph_of(lambda x: reduced(x, 0), f"f32[{count}]"), [x])
    unit = float(np.finfo(np.float32).eps) / 2
    block = schedule.BLOCK
    bound = unit * (2 * block + 2 * count / block) * np.abs(x).sum(dtype=np.float64)
    assert abs(float(total) - x.sum(dtype=np.float64)) <= bound


@pytest.mark.parametrize("axis", [0, 1])
def test_accuracy_of_rows_and_columns(axis: int) -> None:
    """|error| <= u n sum |x| in any order (Higham, Accuracy and Stability, section 4.2)."""
    x = random((1009, 1013))
    (got,) = compiled(graph_of(lambda x: reduced(x, axis), "f32[1009,1013]"), [x])
    unit = float(np.finfo(np.float32).eps) / 2
    bound = unit * x.shape[axis] * np.abs(x).sum(axis, dtype=np.float64)
    assert np.all(np.abs(got - x.sum(axis, dtype=np.float64)) <= bound)


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_accumulates_in_single(backend: Backend) -> None:
    """In half precision the sum would not grow beyond 16384, where 8 is half a last place."""
    (mean,) = backend(
        graph_of(lambda x: reduced(x, 0) / 5000, "f16[5000]"), [np.full(5000, 8.0, np.float16)]
    )
    assert mean == 8
