"""Writing to Parameters, and what programs ask about Tensors."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.ops import elementwise as e
from jitgrad.ops import promote
from jitgrad.ops.gathering import combine, indices_of, nd_key
from jitgrad.ops.promote import RANK, fill, fresh, tensor
from jitgrad.tensor import Tensor

# --- assignment ---------------------------------------------------------------------------------


def _variable(name: str, variable: Any) -> Tensor:
    if not isinstance(variable, Tensor):
        raise fail(
            DTypeError,
            f"{name} got a {type(variable).__name__} to write to",
            why="it writes to a Parameter",
        )
    return variable


def written(name: str, variable: Any, value: Any) -> Tensor:
    """Overwrite a Parameter (or Tensor) with a value of its shape, or a number; returns it.

    The value is cast to the variable's dtype, but a float into integers is a DTypeError.
    """
    target = _variable(name, variable)
    value = fill(value, target._type) if promote.is_number(value) else tensor(name, value)
    if value.shape != target.shape:
        raise fail(
            ShapeError, f"{name} of {value._type} to {target._type}", why="the shapes must be equal"
        )
    if RANK[value.dtype.kind] > RANK[target.dtype.kind]:
        raise fail(
            DTypeError,
            f"{name} of {value._type} to {target._type}",
            why="the value would be cut off",
            instead="cast it first, as in value.astype(variable.dtype)",
        )
    return promote.assign(target, promote.cast(value, target.dtype))


def assign(variable, value):
    """Overwrite a Parameter in place with a value of its shape; returns the Parameter.

    What is read afterwards is a constant to every gradient.

    >>> from jitgrad import Parameter, Tensor, ops
    >>> p = Parameter(Tensor([1.0]), name="p")
    >>> ops.assign(p, Tensor([2.0])).tolist()
    [2.0]
    """
    return written("assign", variable, value)


def _moved(name: str, variable: Any, change: Any, how) -> Tensor:
    target = _variable(name, variable)
    if isinstance(change, Tensor) and change.shape != target.shape:
        promote.broadcast_shape(name, (target, change))
    return written(name, target, how(target, change))


def assign_add(variable, value):
    """Add to a Parameter in place; returns the Parameter.

    >>> p = ms.Parameter(Tensor([1.0]))
    >>> ops.assign_add(p, Tensor([2.0])).tolist()
    [3.0]
    """
    return _moved("assign_add", variable, value, e.add)


def assign_sub(variable, value):
    """Subtract from a Parameter in place; returns the Parameter.

    >>> p = ms.Parameter(Tensor([1.0]))
    >>> ops.assign_sub(p, Tensor([2.0])).tolist()
    [-1.0]
    """
    return _moved("assign_sub", variable, value, e.sub)


def _scatter(mode: str, nd: bool):
    name = f"scatter_nd_{mode}" if nd else f"scatter_{mode}"

    def function(input_x, indices, updates, use_locking=False):
        x = _variable(name, input_x)
        key = nd_key(name, indices) if nd else (indices_of(name, indices),)
        return written(name, x, combine(name, x, key, updates, mode))

    where = "at index tuples along the last axis" if nd else "of the first axis"
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Combine updates ({mode}) into slices of a Parameter {where}, in place.

    Returns the Parameter. Repeated indices combine one after another.
    """
    return function


scatter_update, scatter_nd_update = _scatter("update", False), _scatter("update", True)
scatter_add, scatter_nd_add = _scatter("add", False), _scatter("add", True)
scatter_sub, scatter_nd_sub = _scatter("sub", False), _scatter("sub", True)
scatter_mul, scatter_nd_mul = _scatter("mul", False), _scatter("mul", True)
scatter_div, scatter_nd_div = _scatter("div", False), _scatter("div", True)
scatter_max, scatter_nd_max = _scatter("max", False), _scatter("max", True)
scatter_min, scatter_nd_min = _scatter("min", False), _scatter("min", True)

# --- dtypes and shapes --------------------------------------------------------------------------


@fresh
def cast(input, dtype):
    """The values in another dtype. A cast of floats to integers has gradient 0.

    >>> import jitgrad as ms
    >>> from jitgrad import Tensor, ops
    >>> ops.cast(Tensor([1.7, -1.7]), ms.int32).tolist()
    [1, -1]
    """
    return e.to_dtype("cast", input, dtype)


def type_as(input, other):
    """The values in the dtype of another Tensor.

    >>> ops.type_as(Tensor([1.9]), Tensor([1])).tolist()
    [1]
    """
    return cast(input, tensor("type_as", other).dtype)


def shape(input_x):
    """The shape, a tuple of ints.

    >>> ops.shape(ops.zeros((2, 3)))
    (2, 3)
    """
    return tensor("shape", input_x).shape


def dyn_shape(input_x):
    """The shape as a Tensor (int64).

    >>> ops.dyn_shape(ops.zeros((2, 3))).tolist()
    [2, 3]
    """
    return Tensor(tensor("dyn_shape", input_x).shape)


def size(input_x):
    """The number of elements.

    >>> ops.size(ops.zeros((2, 3)))
    6
    """
    return tensor("size", input_x).size


def numel(input):
    """The number of elements.

    >>> ops.numel(ops.zeros((2, 3)))
    6
    """
    return tensor("numel", input).size


def rank(input_x):
    """The number of dimensions.

    >>> ops.rank(ops.zeros((2, 3)))
    2
    """
    return tensor("rank", input_x).ndim


def dtype(x):
    """The dtype.

    >>> ops.dtype(Tensor([1.0]))
    jitgrad.float32
    """
    return tensor("dtype", x).dtype


def is_tensor(obj):
    """Whether an object is a Tensor.

    >>> ops.is_tensor([1.0])
    False
    """
    return isinstance(obj, Tensor)


def is_floating_point(input):
    """Whether the dtype is a float dtype.

    >>> ops.is_floating_point(Tensor([1.0]))
    True
    """
    return tensor("is_floating_point", input).dtype.is_float


def is_nonzero(input):
    """Whether the only element is not 0.

    >>> ops.is_nonzero(Tensor([0.5]))
    True
    """
    return bool(input)


@fresh
def identity(x):
    """The input itself.

    >>> ops.identity(Tensor([1.0])).tolist()
    [1.0]
    """
    return tensor("identity", x)


@fresh
def deepcopy(input_x):
    """A copy.

    >>> ops.deepcopy(Tensor([1.0])).tolist()
    [1.0]
    """
    return tensor("deepcopy", input_x)


def scalar_to_tensor(input_x, dtype=promote.WEAK[2]):
    """A number as a 0-d Tensor, float32 by default.

    >>> ops.scalar_to_tensor(3)
    Tensor(shape=[], dtype=Float32, value= 3)
    """
    return e.to_dtype("scalar_to_tensor", Tensor(input_x), dtype)


def tuple_to_array(input_x):
    """A tuple of numbers as a Tensor: int32 or float32.

    >>> ops.tuple_to_array((1, 2)).tolist()
    [1, 2]
    """
    values = np.asarray(input_x)
    return Tensor(values.astype(np.float32 if values.dtype.kind == "f" else np.int32))


def depend(value, expr):
    """The value: order is that of the program here, so there is nothing to state.

    >>> ops.depend(Tensor([1.0]), Tensor([2.0])).tolist()
    [1.0]
    """
    return value


def print_(*input_x):
    """Print values; a traced Tensor has none, which is a TraceError.

    >>> ops.print_(Tensor([1.0]))
    [1.]
    """
    for x in input_x:
        if isinstance(x, Tensor):
            x._array("printed")
    builtins.print(*input_x)


__all__ = [
    "assign", "assign_add", "assign_sub", "cast", "deepcopy", "depend", "dtype", "dyn_shape",
    "identity", "is_floating_point", "is_nonzero", "is_tensor", "numel", "print_",
    "rank", "scalar_to_tensor", "scatter_add", "scatter_div", "scatter_max", "scatter_min",
    "scatter_mul", "scatter_nd_add", "scatter_nd_div", "scatter_nd_max", "scatter_nd_min",
    "scatter_nd_mul", "scatter_nd_sub", "scatter_nd_update", "scatter_sub", "scatter_update",
    "shape", "size", "tuple_to_array", "type_as", "written",
]  # fmt: skip
