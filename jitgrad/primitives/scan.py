"""Running totals along an axis, forwards or (`reverse`) from the end."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.ir.node import Node, full, project
from jitgrad.ir.op import Attrs, Op, Sample, register
from jitgrad.ir.types import DType, TensorType, TupleType, Type, int32, int64
from jitgrad.primitives.declare import NUMBER, REAL, add_all, structural, tensor_type, zeros
from jitgrad.primitives.gather import scatter_elements, take_along_axis
from jitgrad.primitives.shape import concat, lead, slice_


def axis_type(name: str, type: Type, axis: int, policy: str = REAL) -> TensorType:
    """The type itself, checked to have the axis."""
    x = tensor_type(name, type, policy)
    if not 0 <= axis < x.ndim:
        raise fail(ShapeError, f"{name} of {x} along axis {axis}", why="there is no such axis")
    return x


def result_index(name: str, dtype: DType) -> DType:
    """The dtype itself, checked to be one for indices."""
    if dtype not in (int32, int64):
        raise fail(DTypeError, f"{name} got dtype {dtype}", why="indices are int32 or int64")
    return dtype


def _one_type(name: str, policy: str = REAL):
    def infer(types: tuple[Type, ...], attrs: Attrs) -> Type:
        return axis_type(name, types[0], attrs["axis"], policy)

    return infer


def _next_axis(node: Node, inputs, batched, size: int) -> Node:
    spread = [x if is_in else lead(x, size) for x, is_in in zip(inputs, batched, strict=True)]
    return node.op(*spread, **{**node.attrs, "axis": node.attrs["axis"] + 1})


def _ordered(x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    return np.flip(x, axis) if reverse else x


def _previous(x: Node, axis: int, reverse: bool, first: float) -> Node:
    """For each element the one before it in the order of the scan; `first` for the first."""
    count = x.shape[axis]
    if count == 0:
        return x
    starts, stops = [0] * x.ndim, list(x.shape)
    starts[axis], stops[axis] = (1, count) if reverse else (0, count - 1)
    rest = slice_(x, starts=tuple(starts), stops=tuple(stops), steps=(1,) * x.ndim)
    shape = list(x.shape)
    shape[axis] = 1
    edge = full(first, x.type.with_shape(tuple(shape)))
    return concat(*((rest, edge) if reverse else (edge, rest)), axis=axis)


def _scan_samples(inputs: int):
    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.kind not in REAL:
            return
        rng = np.random.default_rng(11)

        def draw(*shape: int) -> np.ndarray:
            low = 0 if dtype.kind == "u" else -2
            values = rng.uniform(low, 2, shape) if dtype.is_float else rng.integers(low, 3, shape)
            return values.astype(dtype.numpy)

        for shape, axis in (((5,), 0), ((2, 3), 1), ((3, 2), 0), ((2, 4, 3), 1), ((2, 0), 1)):
            for reverse in (False, True):
                arrays = tuple(draw(*shape) for _ in range(inputs))
                yield Sample(arrays, {"axis": axis, "reverse": reverse})

    return samples


@structural("call")
class cumsum:
    """Running sum along `axis`, in the input's dtype.

    for a, b:  s = 0;  for k in order:  s += x[a, k, b];  out[a, k, b] = s

    (a and b run over the axes before and after; the order is 0, 1, … or, with `reverse`, back.)
    """

    linear = True
    infer = _one_type("cumsum", NUMBER)
    batch = _next_axis
    samples = _scan_samples(1)

    def numpy(x, axis, reverse):
        return _ordered(np.cumsum(_ordered(x, axis, reverse), axis, x.dtype), axis, reverse)

    def transpose(node: Node, g: Node):
        axis, reverse = node.attrs["axis"], node.attrs["reverse"]
        return (cumsum(g, axis=axis, reverse=not reverse),)


@structural("call")
class cumprod:
    """Running product along `axis`, in the input's dtype.

    for a, b:  s = 1;  for k in order:  s *= x[a, k, b];  out[a, k, b] = s

    Its derivatives are recurrences, exact also where elements are zero.
    """

    infer = _one_type("cumprod")
    batch = _next_axis
    samples = _scan_samples(1)

    def numpy(x, axis, reverse):
        return _ordered(np.cumprod(_ordered(x, axis, reverse), axis, x.dtype), axis, reverse)

    def vjp(node: Node, g: Node):
        (x,), axis, reverse = node.inputs, node.attrs["axis"], node.attrs["reverse"]
        later = _previous(x, axis, not reverse, 0)
        total = recurrence(later, g, axis=axis, reverse=not reverse)
        return (total * _previous(node, axis, reverse, 1),)

    def jvp(node: Node, tangents):
        (x,), (t,), axis = node.inputs, tangents, node.attrs["axis"]
        if t is None:
            return None
        return recurrence(x, t * _previous(node, axis, node.attrs["reverse"], 1), **node.attrs)


@structural("call")
class recurrence:
    """The linear recurrence s[k] = a[k] * s[k-1] + b[k] along `axis`; a's first is not used.

    for i, j:  s = b[i, first, j];  out[i, first, j] = s
               for k after first in order:  s = a[i, k, j] * s + b[i, k, j];  out[i, k, j] = s
    """

    batch = _next_axis
    samples = _scan_samples(2)

    def infer(types, attrs) -> Type:
        a, b = (axis_type("recurrence", t, attrs["axis"]) for t in types)
        if a is not b:
            raise fail(ShapeError, f"recurrence got {a} and {b}", why="their types must be equal")
        return a

    def numpy(a, b, axis, reverse):
        out = np.empty_like(b)
        steps, factors, terms = (np.moveaxis(v, axis, 0) for v in (out, a, b))
        order = range(len(terms))
        state = None
        for k in reversed(order) if reverse else order:
            state = terms[k] if state is None else factors[k] * state + terms[k]
            steps[k] = state
        return out

    def vjp(node: Node, g: Node):
        (a, _), axis, reverse = node.inputs, node.attrs["axis"], node.attrs["reverse"]
        later = _previous(a, axis, not reverse, 0)
        total = recurrence(later, g, axis=axis, reverse=not reverse)
        return total * _previous(node, axis, reverse, 0), total

    def jvp(node: Node, tangents):
        (a, _), (ta, tb), axis = node.inputs, tangents, node.attrs["axis"]
        terms = [] if tb is None else [tb]
        if ta is not None:
            terms.append(ta * _previous(node, axis, node.attrs["reverse"], 0))
        return recurrence(a, add_all(terms), **node.attrs) if terms else None


def _declare_extreme(name: str, ufunc: np.ufunc, doc: str) -> Op:
    def infer(types: tuple[Type, ...], attrs: Attrs) -> Type:
        x = axis_type(name, types[0], attrs["axis"])
        return TupleType((x, x.with_dtype(result_index(name, attrs["dtype"]))))

    def numpy(x: np.ndarray, axis: int, dtype: DType):
        values = ufunc.accumulate(x, axis)
        spread = [1] * x.ndim
        spread[axis] = x.shape[axis]
        here = np.arange(x.shape[axis], dtype=dtype.numpy).reshape(spread)
        attained = (values == x) | (x != x)
        return values, np.maximum.accumulate(np.where(attained, here, here.dtype.type(0)), axis)

    def vjp(node: Node, cotangents):
        (x,), g = node.inputs, cotangents[0]
        at, axis = project(node, 1), node.attrs["axis"]
        return (scatter_elements(zeros(x.type), at, g, axis, "add", trusted=True),)

    def jvp(node: Node, tangents):
        if tangents[0] is None:
            return None
        at = project(node, 1)
        return take_along_axis(tangents[0], at, node.attrs["axis"], trusted=True), None

    def samples(dtype: DType) -> Iterable[Sample]:
        for sample in _scan_samples(1)(dtype):
            if not sample.attrs["reverse"]:
                yield Sample(sample.inputs, {"axis": sample.attrs["axis"], "dtype": int32})
                yield Sample(sample.inputs, {"axis": sample.attrs["axis"], "dtype": int64})

    return register(Op(name, "call", infer, numpy, vjp, jvp, _next_axis, samples=samples, doc=doc))


_EXTREME = """Running {what} along `axis`, and where it was attained last (in `dtype`).

for a, b:  v = x[a, 0, b];  i = 0
           for k:  if x[a, k, b] {order} v or x[a, k, b] is nan, and v is not nan unless so is x:
                       v = x[a, k, b];  i = k
                   values[a, k, b] = v;  indices[a, k, b] = i

A nan stays. Gradient goes to the element attained: among ties the latest, as in PyTorch."""

cummax = _declare_extreme("cummax", np.maximum, _EXTREME.format(what="maximum", order=">="))
cummin = _declare_extreme("cummin", np.minimum, _EXTREME.format(what="minimum", order="<="))

__all__ = ["axis_type", "cummax", "cummin", "cumprod", "cumsum", "recurrence", "result_index"]
