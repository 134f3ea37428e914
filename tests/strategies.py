"""Hypothesis strategies: well-typed random graphs over the registry, and arrays to run them on."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

import jitgrad.primitives  # noqa: F401  (fills the table of ops)
from jitgrad.ir.interp import evaluate
from jitgrad.ir.node import Graph, Node, constant, full, input_node, input_op
from jitgrad.ir.op import OPS, Op
from jitgrad.ir.types import DType, TensorType, bool_, float32, float64, int32, int64, uint8
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.shape import broadcast, cast, concat, flip, pad, reshape, slice_, transpose

SIZE = 60  # elements of the largest value
EXTENTS = (1, 2, 3, 5)  # no two extents in one shape are equal by habit: never square
NUMBERS = (0, 1, -1, 2, 3, -0.0, 0.5, -2.0, 4.0, 0.1)
SPECIALS = (0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 5e-324, 1e-40, 1e308, -1e300)

ELEMENTWISE = {name for name, op in OPS.items() if op.kind == "elementwise" and op.scalar}
REDUCTIONS = {name for name, op in OPS.items() if op.kind == "reduce"}
VIEWS = {"broadcast", "reshape", "transpose", "slice", "flip", "pad", "concat"}


@dataclass(frozen=True, repr=False)
class Palette:
    """What a random graph is made of: names of ops, and the dtypes of inputs and casts."""

    ops: frozenset[str]
    dtypes: tuple[DType, ...] = (float64, float32)
    numbers: tuple[float, ...] = NUMBERS  # of constants


ALL = Palette(
    frozenset({*ELEMENTWISE, *REDUCTIONS, *VIEWS, "matmul", "cast"}),
    (float64, float32, int32, int64, uint8, bool_),
)
# Results that are the same whatever the order of a sum, on integers of moderate size.
INTEGRAL = Palette(
    frozenset(
        {
            *("add", "sub", "mul", "neg", "abs", "sign", "minimum", "maximum", "select"),
            *("floor", "ceil", "trunc", "rint", "stop_gradient", "floordiv", "mod"),
            *("equal", "not_equal", "less", "less_equal", "isnan", "isfinite"),
            *(name for name in ELEMENTWISE if name.startswith(("logical_", "bit_"))),
            *(REDUCTIONS - {"reduce_prod"}),
            *VIEWS,
            *("matmul", "cast"),
        }
    ),
    (float64, float32, int32, bool_),
    tuple(n for n in NUMBERS if n != 0.1),
)
# No sums, whose order passes may change: what is left gives the same bits.
BITWISE = Palette(
    frozenset({*ELEMENTWISE, "reduce_max", "reduce_min", *VIEWS, "cast"}),
    (float64, float32, bool_),
)
# Continuous, so that a last bit stays a last bit.
SMOOTH = Palette(
    frozenset(
        {
            *("add", "sub", "mul", "div", "neg", "exp", "log", "log1p", "expm1", "sqrt", "sin"),
            *("cos", "tanh", "sigmoid", "erf", "erfc", "pow", "minimum", "maximum", "abs"),
            *("reduce_sum", "reduce_max", "matmul", *VIEWS),
        }
    ),
    (float64,),
)


@functools.cache
def signatures(palette: Palette) -> tuple[tuple[Op, tuple[DType, ...]], ...]:
    """Elementwise ops with the dtypes of operands they take, read off their samples."""
    found = []
    for name in sorted(palette.ops & ELEMENTWISE):
        for dtype in palette.dtypes:
            if name == "pow" and not dtype.is_float:
                continue  # a negative power of an integer has no value
            sample = next(iter(OPS[name].samples(dtype)), None)
            if sample is not None:
                dtypes = tuple(_dtype(a) for a in sample.inputs)
                if (OPS[name], dtypes) not in found:
                    found.append((OPS[name], dtypes))
    return tuple(found)


def _dtype(array: np.ndarray) -> DType:
    from jitgrad.ir.types import dtype

    return dtype(array.dtype)


@st.composite
def graphs(draw: st.DrawFn, palette: Palette = ALL, steps: int = 10) -> Graph:
    """A graph of one to three inputs, up to `steps` ops, and one to three outputs."""
    types = draw(st.lists(_types(palette), min_size=1, max_size=3))
    inputs = [input_node(f"x{i}", type) for i, type in enumerate(types)]
    values = list(inputs)
    makers = [_elementwise]
    makers += [m for name, m in _MAKERS.items() if name in palette.ops]
    makers += [_reduction] if palette.ops & REDUCTIONS else []
    for _ in range(draw(st.integers(1, steps))):
        maker = draw(st.sampled_from([_elementwise, *makers]))
        made = maker(draw, values, palette)
        if made is not None and made.type.size <= SIZE:
            values.append(made)
    count = draw(st.integers(1, 3))
    last = values[-count:]
    return Graph("random", inputs, last)


def _types(palette: Palette) -> st.SearchStrategy[TensorType]:
    shapes = st.lists(st.sampled_from(EXTENTS), max_size=3, unique=True).map(tuple)
    numbers = [d for d in palette.dtypes if d.kind != "b"]
    return st.builds(TensorType, st.sampled_from(numbers), shapes)


def _pick(draw: st.DrawFn, values: Sequence[Node], kinds: str = "biuf") -> Node | None:
    fitting = [v for v in values if v.dtype.kind in kinds]
    # Recent values more often, so that graphs grow deep.
    return fitting[-1 - draw(st.integers(0, len(fitting) - 1))] if fitting else None


def _operand(draw: st.DrawFn, values: Sequence[Node], type: TensorType, palette: Palette) -> Node:
    same = [v for v in values if v.type is type]
    if same and draw(st.integers(0, 3)):
        return draw(st.sampled_from(same))
    if type.dtype.kind == "b":
        return full(draw(st.booleans()), type)
    number = draw(st.sampled_from(palette.numbers))
    number = (
        number if type.dtype.is_float else int(abs(number) if type.dtype.kind == "u" else number)
    )
    if type.size <= 6 and draw(st.integers(0, 3)) == 0:
        ramp = np.arange(type.size).reshape(type.shape) + number
        return constant(ramp.astype(type.dtype.numpy))
    return full(number, type)


def _elementwise(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    like = _pick(draw, values)
    assert like is not None
    fitting = [(op, ds) for op, ds in signatures(palette) if like.dtype in ds]
    if not fitting:
        return None
    op, dtypes = draw(st.sampled_from(fitting))
    operands = [_operand(draw, values, TensorType(d, like.shape), palette) for d in dtypes]
    place = draw(st.sampled_from([i for i, d in enumerate(dtypes) if d is like.dtype]))
    operands[place] = like
    return op(*operands)


def _reduction(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    name = draw(st.sampled_from(sorted(palette.ops & REDUCTIONS)))
    logical = name in ("reduce_any", "reduce_all")
    x = _pick(draw, values, "b" if logical else "iuf")
    if x is None or x.type.size == 0:  # nothing has no largest value
        return None
    return OPS[name](x, axes=_axes(draw, x.ndim))


def _axes(draw: st.DrawFn, ndim: int) -> tuple[int, ...]:
    return tuple(a for a in range(ndim) if draw(st.booleans()))


def _broadcast(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    x = _pick(draw, values)
    shape, dims = [], []
    for extent in x.shape:
        shape += draw(st.lists(st.sampled_from(EXTENTS), max_size=1))
        dims.append(len(shape))
        shape.append(extent)
    shape += draw(st.lists(st.sampled_from(EXTENTS), max_size=1))
    if math.prod(shape) > SIZE:
        return None
    return broadcast(x, shape=tuple(shape), dims=tuple(dims))


def _reshape(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    x = _pick(draw, values)
    rest, shape = x.type.size, []
    for extent in (2, 3, 5):
        while rest and rest % extent == 0 and draw(st.booleans()):
            shape.append(extent)
            rest //= extent
    shape += [rest]
    shape += [1] * draw(st.integers(0, 1))
    return reshape(x, shape=tuple(draw(st.permutations(shape))))


def _transpose(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    x = _pick(draw, values)
    return transpose(x, perm=tuple(draw(st.permutations(range(x.ndim)))))


def _slice(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    x = _pick(draw, values)
    starts = [draw(st.integers(0, max(n - 1, 0))) for n in x.shape]
    stops = [draw(st.integers(a, n)) for a, n in zip(starts, x.shape)]
    steps = [draw(st.integers(1, 2)) for _ in x.shape]
    if any(a == b for a, b in zip(starts, stops)) and draw(st.integers(0, 4)):
        stops = list(x.shape)
    return slice_(x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))


def _flip(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    x = _pick(draw, values)
    return flip(x, axes=_axes(draw, x.ndim))


def _pad(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    x = _pick(draw, values)
    widths = [tuple(draw(st.integers(0, 2)) for _ in x.shape) for _ in range(2)]
    interior = tuple(draw(st.sampled_from((0, 0, 1))) for _ in x.shape)
    return pad(x, low=widths[0], high=widths[1], interior=interior)


def _concat(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    x = _pick(draw, values)
    if not x.ndim:
        return None
    axis = draw(st.integers(0, x.ndim - 1))

    def frame(v: Node) -> tuple:
        return v.dtype, v.ndim, v.shape[:axis], v.shape[axis + 1 :]

    fitting = [v for v in values if v.ndim == x.ndim and frame(v) == frame(x)]
    return concat(x, *draw(st.lists(st.sampled_from(fitting), max_size=2)), axis=axis)


def _cast(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    x = _pick(draw, values)
    return cast(x, dtype=draw(st.sampled_from(palette.dtypes)))


def _matmul(draw: st.DrawFn, values: Sequence[Node], palette: Palette) -> Node | None:
    a = _pick(draw, [v for v in values if v.ndim >= 2], "iuf")
    if a is None:
        return None
    columns = draw(st.sampled_from(EXTENTS))
    b = _operand(draw, values, TensorType(a.dtype, (*a.shape[:-2], a.shape[-1], columns)), palette)
    return matmul(a, b)


_MAKERS = {
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "flip": _flip,
    "pad": _pad,
    "concat": _concat,
    "cast": _cast,
    "matmul": _matmul,
}


# --- arrays and evaluation ----------------------------------------------------------------------


def integral_arrays(types: Iterable[TensorType], seed: int) -> list[np.ndarray]:
    """Small integers of each type."""
    rng = np.random.default_rng(seed)
    low = {"u": 0, "b": 0}
    return [
        np.asarray(rng.integers(low.get(t.dtype.kind, -3), 4, t.shape)).astype(t.dtype.numpy)
        for t in types
    ]


def real_arrays(types: Iterable[TensorType], seed: int, specials: bool) -> list[np.ndarray]:
    """Normally distributed numbers of each type, infinities, nans and zeros among them if asked."""
    rng = np.random.default_rng(seed)
    arrays = []
    for t in types:
        values = rng.normal(size=t.shape)
        if specials:
            values = np.where(rng.random(t.shape) < 0.25, rng.choice(SPECIALS, t.shape), values)
        with np.errstate(all="ignore"):
            if not t.dtype.is_float:
                values = np.nan_to_num(values * 2, posinf=3, neginf=-3).clip(-100, 100)
                values = np.abs(values) if t.dtype.kind == "u" else values
            arrays.append(np.asarray(values).astype(t.dtype.numpy))
    return arrays


def values_of(graph: Graph, arrays: Sequence[np.ndarray]) -> dict[Node, np.ndarray]:
    """Every value of a graph. As `interpret`, but each is contiguous: so the bits do not depend
    on which of NumPy's loops the strides select."""
    values: dict[Node, np.ndarray] = dict(zip(graph.inputs, arrays, strict=True))
    for node in graph.nodes:
        if node.op is not input_op:
            result = evaluate(node, [values[i] for i in node.inputs])
            values[node] = np.ascontiguousarray(result).reshape(node.shape)
    return values


def run(graph: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    values = values_of(graph, arrays)
    return [values[o] for o in graph.outputs]
