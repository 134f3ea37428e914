"""Order along an axis: the place of the extreme, and sorting."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from jitgrad.errors import ArgumentError, fail
from jitgrad.ir.node import Node, project
from jitgrad.ir.op import Attrs, Op, Sample, register
from jitgrad.ir.types import DType, TupleType, Type, int32, int64
from jitgrad.primitives.declare import ORDERED, structural, zeros
from jitgrad.primitives.gather import scatter_elements, take_along_axis
from jitgrad.primitives.scan import axis_type, result_index
from jitgrad.primitives.shape import slice_


def _shift_axis(node: Node, inputs, batched, size: int) -> Node:
    return node.op(inputs[0], **{**node.attrs, "axis": node.attrs["axis"] + 1})


def _draw(dtype: DType) -> np.ndarray:
    """A few ties among distinct values."""
    values = np.random.default_rng(13).permutation(24).reshape(2, 4, 3) // 2
    if dtype.kind == "b":
        return values % 2 == 1
    return (values - (0 if dtype.kind == "u" else 5)).astype(dtype.numpy)


def _distinct(dtype: DType) -> np.ndarray:
    values = np.random.default_rng(17).permutation(24).reshape(2, 4, 3)
    return values.astype(dtype.numpy)


def _declare_arg(name: str, function: Callable, doc: str) -> Op:
    def infer(types: tuple[Type, ...], attrs: Attrs) -> Type:
        axis = attrs["axis"]
        x = axis_type(name, types[0], axis, ORDERED)
        shape = (*x.shape[:axis], *x.shape[axis + 1 :])
        if x.shape[axis] == 0 and 0 not in shape:
            raise fail(
                ArgumentError, f"{name} of {x} along axis {axis}", why="the axis has no elements"
            )
        return x.with_shape(shape).with_dtype(result_index(name, attrs["dtype"]))

    def numpy(x: np.ndarray, axis: int, dtype: DType) -> np.ndarray:
        if x.size == 0:
            return np.zeros((*x.shape[:axis], *x.shape[axis + 1 :]), dtype.numpy)
        return function(x, axis).astype(dtype.numpy)

    def vjp(node: Node, g: Node) -> tuple[None]:
        return (None,)

    def jvp(node: Node, tangents) -> None:
        return None

    def samples(dtype: DType) -> Iterable[Sample]:
        x = _draw(dtype)
        for axis, index in ((0, int32), (1, int64), (2, int32)):
            yield Sample((x,), {"axis": axis, "dtype": index})
        yield Sample((x[0, :, 0],), {"axis": 0, "dtype": int32})
        yield Sample((x[:0],), {"axis": 1, "dtype": int64})

    return register(Op(name, "call", infer, numpy, vjp, jvp, _shift_axis, samples=samples, doc=doc))


_ARG = """Where the {what} along `axis` is first attained, in `dtype`; the axis disappears.

for a, b:  v = x[a, 0, b];  i = 0
           for k after 0:  if x[a, k, b] {order} v, or it is nan and v is not:
                               v = x[a, k, b];  i = k
           out[a, b] = i

The first nan counts as the extreme. Not differentiable."""

argmax = _declare_arg("argmax", np.argmax, _ARG.format(what="maximum", order=">"))
argmin = _declare_arg("argmin", np.argmin, _ARG.format(what="minimum", order="<"))


@structural("call")
class sort:
    """x in order along `axis`, and where each element came from (in `dtype`).

    for a, b:  indices[a, :, b] = the stable order of x[a, :, b]
               values[a, k, b] = x[a, indices[a, k, b], b]

    Equal elements keep their order, in a descending sort too; nan comes last in both.
    """

    batch = _shift_axis

    def infer(types, attrs) -> Type:
        x = axis_type("sort", types[0], attrs["axis"], ORDERED)
        return TupleType((x, x.with_dtype(result_index("sort", attrs["dtype"]))))

    def numpy(x, axis, descending, dtype):
        key = x
        if descending:
            # Both turn the order round; ~ where the smallest integer has no negative.
            key = -x if x.dtype.kind == "f" else ~x
        order = np.argsort(key, axis, kind="stable")
        return np.take_along_axis(x, order, axis), order.astype(dtype.numpy)

    def vjp(node: Node, cotangents):
        (x,), at = node.inputs, project(node, 1)
        axis = node.attrs["axis"]
        return (scatter_elements(zeros(x.type), at, cotangents[0], axis, "add", trusted=True),)

    def jvp(node: Node, tangents):
        if tangents[0] is None:
            return None
        at = project(node, 1)
        return take_along_axis(tangents[0], at, node.attrs["axis"], trusted=True), None

    def samples(dtype: DType) -> Iterable[Sample]:
        x, ties = _distinct(dtype), _draw(dtype)
        for axis, descending in ((2, False), (1, True), (0, False)):
            yield Sample((x,), {"axis": axis, "descending": descending, "dtype": int32})
        if not dtype.is_float:  # where elements tie, the sorted values have a kink
            yield Sample((ties,), {"axis": 1, "descending": True, "dtype": int64})
        yield Sample((x[0, :, 0],), {"axis": 0, "descending": True, "dtype": int64})
        yield Sample((x[:, :0],), {"axis": 1, "descending": False, "dtype": int32})


def argsort(x: Node, axis: int, descending: bool, dtype: DType) -> Node:
    """The indices of `sort`."""
    return project(sort(x, axis=axis, descending=descending, dtype=dtype), 1)


def topk(x: Node, k: int, axis: int, largest: bool, dtype: DType) -> tuple[Node, Node]:
    """The k largest (or smallest) along `axis` in order, and where they are; nan only at need."""
    x_axis = axis_type("topk", x.type, axis, ORDERED).shape[axis]
    if not 0 <= k <= x_axis:
        raise fail(ArgumentError, f"topk of {x.type} along axis {axis} got k={k}",
                   why=f"k goes from 0 to the extent {x_axis}")  # fmt: skip
    both = sort(x, axis=axis, descending=largest, dtype=dtype)
    stops = list(x.shape)
    stops[axis] = k
    starts, steps = (0,) * x.ndim, (1,) * x.ndim
    values, indices = (
        slice_(project(both, i), starts=starts, stops=tuple(stops), steps=steps) for i in (0, 1)
    )
    return values, indices


__all__ = ["argmax", "argmin", "argsort", "sort", "topk"]
