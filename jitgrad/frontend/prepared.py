"""How a call computes at once: its op's NumPy reference, as a function of arrays that gives arrays
which share their memory with nobody.

Most elementwise ops are a ufunc of NumPy's. That is called itself, and what it gives is always its
own; what others give is looked at, and copied if it is an operand, or a view of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad.frontend.straight import spelled, straight
from jitgrad.ir.node import Graph
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType


def prepared(
    op: Op,
    operands: Sequence[TensorType],
    attrs: Mapping[str, Any],
    results: Sequence[TensorType],
    several: bool,
) -> Callable[..., Any]:
    """The function of arrays for operands of these types: an array, or `several`."""
    numpy = spelled(op.numpy, attrs) if attrs else op.numpy
    dtypes = [t.dtype.numpy for t in results]
    if isinstance(numpy, np.ufunc):
        found = numpy.resolve_dtypes((*[t.dtype.numpy for t in operands], None))
        if found[-1] == dtypes[0]:
            return numpy if results[0].shape else _of_numbers(numpy, dtypes[0])
    if several:
        return lambda *arrays: [
            own(v, dtype, arrays) for v, dtype in zip(numpy(*arrays), dtypes, strict=True)
        ]
    return _single(numpy, operands, results[0], op.kind == "view")


def of_graph(graph: Graph, moves: bool) -> Callable[..., np.ndarray]:
    """A graph with one result, which may be views of views, as a function of arrays."""
    function = straight(graph)
    operands, result = [x.type for x in graph.inputs], graph.outputs[0].type
    return _single(lambda *arrays: function(*arrays)[0], operands, result, moves)


def _single(
    numpy: Callable[..., Any], operands: Sequence[TensorType], result: TensorType, moves: bool
) -> Callable[..., np.ndarray]:
    """A function of arrays whose only result is an array of its own."""
    dtype = result.dtype.numpy

    def owned(*arrays: np.ndarray) -> np.ndarray:
        return own(numpy(*arrays), dtype, arrays)

    return (_window(numpy, operands[0], owned) if moves and result.size else None) or owned


def _window(
    numpy: Callable[..., Any], operand: TensorType, owned: Callable[..., np.ndarray]
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Views of views of an array, copied: they come to an offset and strides, which are found on an
    array of the same type. None where one of them copies.
    """
    whole = np.empty(operand.shape, operand.dtype.numpy)
    part = numpy(whole)
    if not np.may_share_memory(part, whole):
        return None
    ends = [x.__array_interface__["data"][0] for x in (part, whole)]
    shape, dtype, offset, strides = part.shape, part.dtype, ends[0] - ends[1], part.strides
    ndarray = np.ndarray

    def copied(array: np.ndarray) -> np.ndarray:
        try:
            return ndarray(shape, dtype, array, offset, strides).copy()
        except ValueError:  # an operand that is not contiguous: one number, repeated
            return owned(array)

    return copied


def _of_numbers(ufunc: np.ufunc, dtype: np.dtype) -> Callable[..., np.ndarray]:
    """For arrays without axes, of which a ufunc would make a scalar."""
    return lambda *arrays: ufunc(*arrays, out=np.empty((), dtype))


def own(value: Any, dtype: np.dtype, operands: Sequence[np.ndarray]) -> np.ndarray:
    """An array in C order that shares its memory with nobody."""
    array = np.asarray(value, dtype)
    flags = array.flags
    if not (flags.owndata and flags.c_contiguous):
        return np.array(array, order="C", copy=True)
    for operand in operands:
        if array is operand:
            return array.copy()
    return array
