"""How a call computes at once: its op's NumPy reference, as a function of arrays that gives arrays
which share their memory with nobody.

Most elementwise ops are a ufunc of NumPy's. That is called itself, and what it gives is always its
own; what others give is looked at, and copied if it is an operand, or a view of one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad.frontend.straight import straight
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
    numpy = functools.partial(op.numpy, **attrs) if attrs else op.numpy
    dtypes = [t.dtype.numpy for t in results]
    if isinstance(numpy, np.ufunc):
        found = numpy.resolve_dtypes((*[t.dtype.numpy for t in operands], None))
        if found[-1] == dtypes[0]:
            return numpy if results[0].shape else _of_numbers(numpy, dtypes[0])
    if several:
        return lambda *arrays: [
            own(v, dtype, arrays) for v, dtype in zip(numpy(*arrays), dtypes, strict=True)
        ]
    (dtype,) = dtypes
    return lambda *arrays: own(numpy(*arrays), dtype, arrays)


def of_graph(graph: Graph) -> Callable[..., np.ndarray]:
    """A graph with one result as a function of arrays."""
    function, dtype = straight(graph), graph.outputs[0].dtype.numpy
    return lambda *arrays: own(function(*arrays)[0], dtype, arrays)


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
