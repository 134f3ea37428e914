"""Values that kernels could get wrong: specials, narrow integers, bool, half precision, casts."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.ir.node import Node, full
from jitgrad.ir.op import OPS
from jitgrad.ir.types import (
    DTYPES,
    DType,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int64,
    uint64,
)
from jitgrad.primitives.elementwise import exp, floordiv, logical_not, mod, select, tanh
from jitgrad.primitives.reduce import (
    reduce_all,
    reduce_any,
    reduce_max,
    reduce_min,
    reduce_prod,
    reduce_sum,
)
from jitgrad.primitives.shape import cast, flip, iota_of, transpose
from tests.codegen.backends import BACKENDS, Backend, compiled, reference
from tests.programs import graph_of

FLOATS = [d for d in DTYPES if d.is_float]
INTEGERS = [d for d in DTYPES if d.is_int]
everywhere = pytest.mark.parametrize("backend", BACKENDS)


def agrees(program, types: str, arrays: list[np.ndarray], backend: Backend) -> list[np.ndarray]:
    """The results, held against the reference bit by bit (zeros with their sign)."""
    graph = graph_of(program, types)
    results = backend(graph, arrays)
    for got, want in zip(results, reference(graph, arrays), strict=True):
        np.testing.assert_array_equal(got, want, strict=True)
        np.testing.assert_array_equal(np.signbit(got[got == 0]), np.signbit(want[want == 0]))
    return results


# --- reductions of specials -----------------------------------------------------------------------

NAN, INF = np.nan, np.inf
ROWS = [
    [1.0, 2.0, 3.0, -4.0, 0.5],
    [NAN, 1.0, 2.0, 3.0, 4.0],
    [1.0, 2.0, 3.0, 4.0, NAN],
    [NAN] * 5,
    [INF, 1.0, -INF, 2.0, 3.0],
    [-INF] * 5,
    [INF] * 5,
    [-INF, NAN, INF, 0.0, 1.0],
]


@everywhere
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("axis", [0, 1])
def test_extremes_of_specials(axis: int, dtype: DType, backend: Backend) -> None:
    """nan wins, wherever it stands; a row and a column kernel."""
    x = np.array(ROWS, dtype.numpy)
    x = x if axis else np.ascontiguousarray(x.T)

    def program(x: Node):
        return reduce_max(x, axes=(axis,)), reduce_min(x, axes=(axis,))

    agrees(program, f"{dtype.code}[{x.shape[0]},{x.shape[1]}]", [x], backend)


@pytest.mark.parametrize("position", [0, 4095, 40_000, 69_999])
def test_a_nan_in_a_long_reduction(position: int) -> None:
    x = np.ones(70_000, np.float32)
    x[position] = NAN

    def program(x: Node):
        return [op(x, axes=(0,)) for op in (reduce_max, reduce_min, reduce_sum, reduce_prod)]

    for result in agrees(program, "f32[70000]", [x], compiled):
        assert np.isnan(result)


# what a reduction of nothing gives
NOTHING = {reduce_sum: 0, reduce_prod: 1, reduce_any: False, reduce_all: True}


@everywhere
@pytest.mark.parametrize("op", NOTHING, ids=lambda op: op.name)
@pytest.mark.parametrize(("shape", "axes"), [((0,), (0,)), ((3, 0), (1,)), ((0, 3), (0,))])
def test_reductions_of_nothing(op, shape, axes, backend: Backend) -> None:
    code = "bool" if op in (reduce_any, reduce_all) else "f32"
    types = f"{code}[{','.join(map(str, shape))}]"
    x = graph_of(lambda x: x, types).inputs[0]
    (result,) = agrees(lambda x: op(x, axes=axes), types, [np.zeros(shape, x.dtype.numpy)], backend)
    assert np.all(result == NOTHING[op])


@everywhere
def test_products(backend: Backend) -> None:
    x = np.array([[2, 3, 0, 5], [1, -1, 4, NAN], [1e20, 1e20, 1, 1], [-0.0, 1, 1, 1]], np.float32)
    agrees(lambda x: reduce_prod(x, axes=(1,)), "f32[4,4]", [x], backend)


@everywhere
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_reductions(dtype: DType, backend: Backend) -> None:
    """Extremes of the whole range; sums and products wrap."""
    info = np.iinfo(dtype.numpy)
    x = np.array([[info.min, 0, 3], [info.max, info.max, 2], [info.min] * 3], dtype.numpy)

    def program(x: Node):
        ops = (reduce_max, reduce_min, reduce_sum, reduce_prod)
        return [op(x, axes=(axis,)) for op in ops for axis in (0, 1)]

    agrees(program, f"{dtype.code}[3,3]", [x], backend)


# --- integers wrap as in NumPy --------------------------------------------------------------------


def arithmetic(x: Node, y: Node) -> list[Node]:
    big = full(np.iinfo(x.dtype.numpy).max, x.type)
    made = [x + y, x - y, x * y, -x, big + x, big * x, big - x]
    # Compared, summed or widened before it is stored: a register must have wrapped as well.
    zero = full(0, x.type)
    later = [(x + y) < x, (big + x) < x, (x * y) > y, (-x) < y, (big - x) < zero]
    wide = [cast(v, dtype=float64) for v in made]
    halves = [floordiv(x * y + x, full(2, x.type)), mod(x + y, full(7, x.type))]
    return [*made, *later, *wide, *halves]


@everywhere
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_wrap(dtype: DType, backend: Backend) -> None:
    info = np.iinfo(dtype.numpy)
    x = np.array([info.min, info.max, info.max // 2 + 1, 1, info.max - 1, 7], dtype.numpy)
    y = np.array([info.min, info.max, 2, info.max, 100, 3], dtype.numpy)
    agrees(arithmetic, f"{dtype.code}[6] {dtype.code}[6]", [x, y], backend)


@everywhere
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_division_by_zero_and_of_the_least(dtype: DType, backend: Backend) -> None:
    info = np.iinfo(dtype.numpy)
    x = np.array([info.min, info.max, 7, 0, info.min, 5], dtype.numpy)
    y = np.array([0, 0, 0, 0, info.max if dtype.kind == "u" else -1, 3], dtype.numpy)
    types = f"{dtype.code}[6] {dtype.code}[6]"
    agrees(lambda x, y: (floordiv(x, y), mod(x, y), OPS["fmod"](x, y)), types, [x, y], backend)


def bits(x: Node, y: Node) -> list[Node]:
    binary = ("bit_and", "bit_or", "bit_xor", "shift_left", "shift_right")
    made = [OPS[name](x, y) for name in binary] + [OPS["bit_not"](x)]
    return made + [cast(v, dtype=float64) for v in made]


@everywhere
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_bits(dtype: DType, backend: Backend) -> None:
    """Shifts by all bits or more leave nothing, or the sign."""
    info, width = np.iinfo(dtype.numpy), dtype.size * 8
    x = np.array([info.min, info.max, 3, info.min // 2, 100, info.max], dtype.numpy)
    y = np.array([1, width - 1, width, width + 1, 0, min(100, info.max)], dtype.numpy)
    agrees(bits, f"{dtype.code}[6] {dtype.code}[6]", [x, y], backend)


# --- bool -----------------------------------------------------------------------------------------


@everywhere
def test_bools(backend: Backend) -> None:
    x = np.array([[True, False, True], [False, False, True]])
    y = np.array([[True, True, False], [False, True, True]])

    def program(x: Node, y: Node):
        binary = ("logical_and", "logical_or", "logical_xor", "equal", "less", "bit_xor")
        made = [OPS[name](x, y) for name in binary] + [logical_not(x), OPS["bit_not"](y)]
        read = [transpose(x, perm=(1, 0)), flip(logical_not(x), axes=(1,)), select(x, y, x)]
        rows = [reduce_any(x, axes=(1,)), reduce_all(y, axes=(0,)), reduce_any(x, axes=(0, 1))]
        numbers = [cast(x, dtype=d) for d in (float32, int8, uint64, float16)]
        return [*made, *read, *rows, *numbers, reduce_sum(cast(x, dtype=float32), axes=(1,))]

    agrees(program, "bool[2,3] bool[2,3]", [x, y], backend)


@everywhere
def test_any_number_but_zero_is_true(backend: Backend) -> None:
    x = np.array([0, -0.0, 1, 0.25, -3, NAN, 256, 1e-45], np.float32)
    (result,) = agrees(lambda x: cast(x, dtype=bool_), "f32[8]", [x], backend)
    assert list(result) == [False, False, True, True, True, True, True, True]


# --- half precision is a way to store a number ----------------------------------------------------


@everywhere
def test_halves_round_after_every_op(backend: Backend) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 5)).astype(np.float16)
    y = np.array([6e4, 6e4, -6e4, 1e-7, 65504], np.float16)  # overflows, and is subnormal

    def program(x: Node, y: Node):
        wide = cast(y, dtype=float32)
        made = [
            x + x * x - 1,
            x / 3,
            y + y,
            y * y,
            y * 0.25,
            y * y - y * y,
            cast(wide, dtype=float16),
        ]
        return [*made, transpose(x, perm=(1, 0)), x > 0.5, cast(x, dtype=int8)]

    agrees(program, "f16[3,5] f16[5]", [x, y], backend)


@everywhere
def test_functions_of_halves(backend: Backend) -> None:
    """Computed in single precision and rounded once: within one place of NumPy's."""
    x = np.random.default_rng(1).normal(size=100).astype(np.float16)
    graph = graph_of(lambda x: (exp(x), tanh(x)), "f16[100]")
    for got, want in zip(backend(graph, [x]), reference(graph, [x]), strict=True):
        np.testing.assert_array_max_ulp(got, want, 1)


# --- leaves ---------------------------------------------------------------------------------------

LARGE = {"f16": 65504, "f32": 3.4028235e38, "f64": 1.7976931348623157e308}


@everywhere
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_literals(dtype: DType, backend: Backend) -> None:
    """Numbers in the text of a kernel: the extremes, specials, and ones that decimals round."""
    if dtype.is_float:
        tiny = np.finfo(dtype.numpy).smallest_subnormal
        numbers = [0.1, 1 / 3, -0.0, INF, -INF, NAN, LARGE[dtype.code], -LARGE[dtype.code], tiny]
    elif dtype.is_int:
        info = np.iinfo(dtype.numpy)
        numbers = [info.min, info.max, info.max // 3, 0, 1]
    else:
        numbers = [False, True]

    def program(x: Node):
        c = x > 0 if x.dtype is not bool_ else x
        made = [full(n, x.type) for n in numbers]
        return made + [select(c, v, x) for v in made]

    x = np.array([0, 1, 1], dtype.numpy)
    agrees(program, f"{dtype.code}[3]", [x], backend)


@everywhere
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d is not bool_], ids=str)
def test_ramps(dtype: DType, backend: Backend) -> None:
    """A running index as a result, behind views, and beside what is read."""

    def program(x: Node):
        ramp = iota_of((4, 5), 1, x.dtype)
        return ramp, transpose(ramp, perm=(1, 0)), flip(ramp, axes=(1,)) + x

    agrees(program, f"{dtype.code}[4,5]", [np.ones((4, 5), dtype.numpy)], backend)


# --- casts ----------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("target", DTYPES, ids=str)
def test_casts_in_range(target: DType, backend: Backend) -> None:
    """Every dtype to every other, on numbers that both have, in one kernel each and in chains."""
    sources = {
        d: np.array([0, 1, 2, 3.75, 100] if d.is_float else [0, 1, 2, 3, 100]).astype(d.numpy)
        for d in DTYPES
    }

    def program(*xs: Node):
        once = [cast(x, dtype=target) for x in xs]
        chains = [cast(cast(x, dtype=int8), dtype=target) for x in xs]
        return once + chains

    types = " ".join(f"{d.code}[5]" for d in sources)
    agrees(program, types, list(sources.values()), backend)


@everywhere
def test_integers_are_cut_off(backend: Backend) -> None:
    x = np.array([-1, 255, 256, 300, -129, 1 << 40, -(1 << 63)], np.int64)
    targets = [d for d in INTEGERS if d is not int64]
    agrees(lambda x: [cast(x, dtype=d) for d in targets], "i64[7]", [x], backend)
