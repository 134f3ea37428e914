"""Operands: Tensors, NumPy arrays and Python numbers become Tensors of one dtype and one shape.

Tensors promote as in ``torch.promote_types``, 0-d ones counting fully. Python (and NumPy) scalars
are weak: they raise only the kind (bool < int < float), to the default dtype of that kind.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np

from jitgrad.arrays import leaves
from jitgrad.errors import ArgumentError, AxisError, DTypeError, ShapeError, fail
from jitgrad.frontend.dispatch import apply, assign, constant, fill, splat, steps_of
from jitgrad.frontend.number import Number
from jitgrad.ir.types import (
    DType,
    TensorType,
    bool_,
    float32,
    int16,
    int32,
    int64,
)
from jitgrad.primitives import elementwise as scalar
from jitgrad.primitives import shape as structure
from jitgrad.primitives.declare import ANY, Policy, accepts, policy_name
from jitgrad.runtime.cuda.array import host
from jitgrad.state import state
from jitgrad.tensor import Tensor

NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)
PLAIN = (float, int)
RANK = {"b": 0, "u": 1, "i": 1, "f": 2}
WEAK = (bool_, int64, float32)  # what a Python scalar of each rank is on its own
WIDER = {8: int16, 16: int32, 32: int64}  # the signed dtype that holds an unsigned one


def is_number(value: object) -> bool:
    """Whether a value is a Python or NumPy scalar."""
    return isinstance(value, NUMBERS)


@functools.cache
def promote_types(a: DType, b: DType) -> DType:
    """The dtype of a result of two Tensors, as ``torch.promote_types`` has it.

    Raises DTypeError for uint64 with a signed dtype, which no integer dtype covers.

    >>> from jitgrad.ir.types import dtype
    >>> promote_types(dtype("int64"), dtype("float16"))
    jitgrad.float16
    >>> promote_types(dtype("uint8"), dtype("int8"))
    jitgrad.int16
    """
    if a is b:
        return a
    if RANK[a.kind] != RANK[b.kind]:
        return a if RANK[a.kind] > RANK[b.kind] else b
    if a.kind == b.kind:
        return a if a.size > b.size else b
    signed, unsigned = (a, b) if a.kind == "i" else (b, a)
    if signed.size > unsigned.size:
        return signed
    if unsigned.size == 8:
        raise fail(
            DTypeError,
            f"no integer dtype holds both {a.name} and {b.name}",
            instead="cast one of them, as in x.astype(jitgrad.int64)",
        )
    return WIDER[unsigned.size * 8]


def rank_of(number: Any) -> int:
    """0 for a bool, 1 for an int, 2 for a float."""
    if isinstance(number, (bool, np.bool_)):
        return 0
    return 1 if isinstance(number, (int, np.integer)) else 2


def result_dtype(operands: Sequence[Any]) -> DType:
    """The dtype of a result of Tensors and numbers."""
    strong: DType | None = None
    weak = -1
    for operand in operands:
        if isinstance(operand, Number):
            weak = max(weak, RANK[operand.dtype.kind])
        elif isinstance(operand, Tensor):
            dtype = operand.dtype
            strong = dtype if strong is None else promote_types(strong, dtype)
        else:
            weak = max(weak, rank_of(operand))
    if strong is None or (weak >= 0 and weak > RANK[strong.kind]):
        return WEAK[weak]
    return strong


def convert(name: str, value: Any) -> Tensor | Any:
    """A Tensor, or a number left as it is; DTypeError for anything else."""
    if isinstance(value, Tensor) or is_number(value):
        return value
    if isinstance(value, np.ndarray):
        return Tensor(value)
    if isinstance(value, (list, tuple)):
        if all(is_number(v) for v in leaves(value)):
            return Tensor(value)
        raise fail(
            DTypeError,
            f"{name} got a {type(value).__name__}",
            why="it takes Tensors, NumPy arrays and numbers",
            instead="join Tensors first, as in ops.stack(tensors)",
        )
    raise fail(
        DTypeError,
        f"{name} got a {type(value).__name__}",
        why="it takes Tensors, NumPy arrays and numbers",
    )


def tensor(name: str, value: Any, takes: Policy = ANY) -> Tensor:
    """One operand as a Tensor; DTypeError if its dtype is not among those that `name` takes."""
    if isinstance(value, Number):
        value = value.strong()
    if not isinstance(value, Tensor):
        value = convert(name, value)
        if is_number(value):
            value = fill(value, TensorType(WEAK[rank_of(value)], ()))
    if takes is not ANY and not accepts(takes, value.dtype):
        raise refused(name, (value,), takes)
    return value


def like(name: str, value: Any, x: Tensor) -> Tensor:
    """A value as a Tensor in the dtype of another."""
    if is_number(value):
        return splat(value, x._type.with_shape(()))
    return cast(tensor(name, value), x.dtype)


def floating(name: str, value: Any) -> Tensor:
    """One operand as a Tensor of floats; integers and bools become float32."""
    if value.__class__ is not Tensor:
        value = tensor(name, value)
    return value if value.dtype.is_float else cast(value, float32)


def refused(name: str, operands: Sequence[Any], takes: Policy) -> Exception:
    """The error for operands of a dtype that an op does not take."""
    kind = policy_name(takes)
    example = "bool_" if takes == "b" else "float32" if "f" in str(takes) else "int32"
    return fail(
        DTypeError,
        f"{name} got {describe(operands)}",
        why=f"it takes {kind}",
        instead=f"cast it first, as in x.astype(jitgrad.{example})",
    )


def describe(operands: Sequence[Any]) -> str:
    """Operands in an error message: types of Tensors, numbers as they are."""
    words = [str(x._type) if isinstance(x, Tensor) else repr(x) for x in operands]
    return " and ".join(words) if len(words) < 3 else ", ".join(words)


# --- one dtype, one shape -----------------------------------------------------------------------


def align(
    name: str,
    *operands: Any,
    dtype: DType | None = None,
    takes: Policy = ANY,
    integers_as: DType | None = None,
) -> list[Tensor]:
    """The operands as Tensors of one dtype and one shape.

    dtype        the dtype wanted; None promotes.
    takes        the dtypes that the op takes after promotion; DTypeError otherwise.
    integers_as  the dtype in whose place integers and bools compute.
    """
    if dtype is None and len(operands) == 2:  # the common cases, quickly
        quick = pair(*operands)
        if quick is not None:
            common = quick[0]._type.dtype
            fits = takes is ANY or accepts(takes, common)
            if fits and (integers_as is None or common.is_float):
                return quick
    operands = tuple([convert(name, x) for x in operands])
    if dtype is None:
        dtype = result_dtype(operands)
        if integers_as is not None and not dtype.is_float:
            dtype = integers_as
    if not accepts(takes, dtype):
        raise refused(name, operands, takes)
    shape = broadcast_shape(name, operands)
    type = TensorType(dtype, shape)
    return [
        expand(cast(x, dtype), shape) if isinstance(x, Tensor) else weak(name, x, type)
        for x in operands
    ]


def pair(x: Any, y: Any) -> list[Tensor] | None:
    """Two Tensors of one type, or one of floats and a number beside it; None for others."""
    if isinstance(x, Tensor):
        if isinstance(y, Tensor):
            return [x, y] if x._type is y._type else None
        return [x, splat(y, x._type)] if y.__class__ in PLAIN and _leads(x) else None
    return [splat(x, y._type), y] if x.__class__ in PLAIN and _leads(y) else None


def _leads(x: Any) -> bool:
    """Whether a number beside it takes its dtype."""
    return isinstance(x, Tensor) and x._type.dtype.kind == "f" and not isinstance(x, Number)


def spread(name: str, *operands: Any) -> list[Tensor]:
    """The operands as Tensors of one shape, each of its own dtype."""
    tensors = [tensor(name, x) for x in operands]
    shape = broadcast_shape(name, tensors)
    return [expand(x, shape) for x in tensors]


def weak(name: str, number: Any, type: TensorType) -> Tensor:
    """A number in the dtype of the Tensor beside it; ArgumentError if it does not fit."""
    if type.dtype.is_int and rank_of(number) == 1:
        limits = np.iinfo(type.dtype.numpy)
        if not limits.min <= number <= limits.max:
            raise fail(
                ArgumentError,
                f"{name} got {type.dtype.name} and the number {number}",
                why=f"{type.dtype.name} holds {limits.min} to {limits.max}",
                instead="cast the Tensor to a wider dtype, as in x.astype(jitgrad.int64)",
            )
    return splat(number, type)


def cast(x: Tensor, dtype: DType) -> Tensor:
    """Convert, unless there is nothing to convert."""
    return x if x.dtype is dtype else apply(structure.cast, x, dtype=dtype)


def broadcast_shape(name: str, operands: Sequence[Any]) -> tuple[int, ...]:
    """The common shape of Tensors by NumPy's rules; ShapeError that says what to write."""
    shape: tuple[int, ...] = ()
    for operand in operands:
        if isinstance(operand, Tensor) and operand.shape != shape:
            joined = _join(shape, operand.shape)
            if joined is None:
                raise _mismatch(name, operands)
            shape = joined
    return shape


def _join(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """NumPy's broadcast of two shapes, or None."""
    if len(a) < len(b):
        a, b = b, a
    lead = len(a) - len(b)
    out = list(a)
    for axis, extent in enumerate(b, lead):
        if out[axis] == 1:
            out[axis] = extent
        elif extent not in (1, out[axis]):
            return None
    return tuple(out)


def _mismatch(name: str, operands: Sequence[Any]) -> Exception:
    shapes = [x.shape for x in operands if isinstance(x, Tensor)]
    why = "shapes are matched from the last axis, where extents must be equal or 1"
    return fail(ShapeError, f"{name} got {describe(operands)}", why=why, instead=_remedy(shapes))


def _remedy(shapes: Sequence[tuple[int, ...]]) -> str:
    """What to write where two shapes do not fit: the axes of the shorter one may belong left."""
    if len(shapes) == 2:
        short, long = sorted(shapes, key=len)
        padded = short + (1,) * (len(long) - len(short))
        if len(short) < len(long) and _join(padded, long) is not None:
            return f"give the one of shape {short} unit axes at the end: .reshape({padded})"
    return "reshape or slice one of them"


def expand(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Broadcast to a shape that is known to fit: unit axes are dropped, then repeated."""
    old = x.shape
    if old == shape:
        return x
    lead = len(shape) - len(old)
    kept = [a for a, extent in enumerate(old) if extent == shape[lead + a]]
    if len(kept) < len(old):
        x = apply(structure.reshape, x, shape=tuple(old[a] for a in kept))
    return apply(structure.broadcast, x, shape=shape, dims=tuple(lead + a for a in kept))


# --- arguments that are not Tensors -------------------------------------------------------------


def axis_of(name: str, axis: Any, ndim: int, *, insert: bool = False) -> int:
    """A non-negative axis; `insert` counts the places between axes. AxisError outside."""
    if isinstance(axis, (bool, np.bool_)) or not isinstance(axis, (int, np.integer)):
        raise fail(DTypeError, f"{name} got axis {axis!r}", why="an axis is an int")
    count = ndim + 1 if insert else max(ndim, 1)
    if not -count <= axis < count:
        raise fail(
            AxisError,
            f"{name} got axis {axis} for a Tensor of {ndim} dimensions",
            why=f"axes here are {-count} to {count - 1}",
        )
    return int(axis) % count


def axes_of(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """Sorted non-negative axes of an int, a sequence, or None and () for all."""
    if axis is None or (isinstance(axis, (tuple, list)) and not axis):
        return tuple(range(ndim))
    if isinstance(axis, Tensor):
        axis = static(name, "axis", axis)
    if not isinstance(axis, (tuple, list)):
        axis = (axis,)
    found = sorted(axis_of(name, a, ndim) for a in axis)
    if len(set(found)) != len(found):
        raise fail(
            ArgumentError, f"{name} got axes {tuple(axis)}", why="an axis stands there twice"
        )
    return tuple(found) if ndim else ()


def known(x: Tensor) -> np.ndarray | None:
    """The value of a Tensor if it cannot change: outside of a trace, or a constant made in it.

    A Tensor from outside that a compiled function reads may hold another value at the next call.
    """
    return host(x._data) if state.trace is None or x._node is not None else None


def static(name: str, what: str, value: Any) -> Any:
    """A Python number or list in the place of a Tensor whose value is known."""
    if isinstance(value, Tensor):
        return value._array(f"given to {name} as its {what}").tolist()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def shape_of(name: str, shape: Any) -> tuple[int, ...]:
    """A shape given as an int, a sequence of ints or a Tensor whose value is known."""
    shape = static(name, "shape", shape)
    if isinstance(shape, (int, np.integer)) and not isinstance(shape, bool):
        shape = (shape,)
    if not isinstance(shape, (tuple, list)):
        raise fail(DTypeError, f"{name} got shape {shape!r}", why="a shape is a tuple of ints")
    extents = tuple([static(name, "shape", extent) for extent in shape])
    for extent in extents:
        if isinstance(extent, (bool, np.bool_)) or not isinstance(extent, (int, np.integer)):
            raise fail(DTypeError, f"{name} got shape {shape!r}", why="a shape is a tuple of ints")
    return tuple([int(extent) for extent in extents])


def one_of(name: str, what: str, value: Any, allowed: Sequence[Any]) -> Any:
    """The value itself; ArgumentError if it is not among `allowed`."""
    if value not in allowed:
        listed = ", ".join(map(repr, allowed))
        raise fail(ArgumentError, f"{name} got {what}={value!r}", why=f"it is one of {listed}")
    return value


SPELLINGS = (
    {"axis", "dim", "dims"},
    {"keepdims", "keepdim", "keep_dims"},
    {"input", "x", "input_x"},
)


def other_names(own: Set[str]) -> dict[str, str]:
    """Other spellings of parameters, each with the parameter that it means."""
    return {other: mine for group in SPELLINGS for mine in group & own for other in group - {mine}}


def spellings(function: Callable) -> Callable:
    """Let keywords be written as in NumPy, PyTorch or MindSpore: axis or dim, keepdims or keepdim
    or keep_dims, input or x. The signature shows this function's own.
    """
    own = frozenset(inspect.signature(function).parameters)
    also = other_names(own)

    @functools.wraps(function)
    def call(*args, **kwargs):
        if kwargs and not kwargs.keys() <= own:
            kwargs = {also.get(key, key): value for key, value in kwargs.items()}
        return function(*args, **kwargs)

    return call


def fresh(function: Callable) -> Callable:
    """Never give back an operand itself: Tensors are values, and a later write to the result must
    not reach the operand, whether or not there was anything to do.
    """

    @functools.wraps(function)
    def call(*args, **kwargs):
        out = function(*args, **kwargs)
        given = args[0] if args else next(iter(kwargs.values()), None)
        return copied(out) if out is given and isinstance(out, Tensor) else out

    return call


def copied(x: Tensor) -> Tensor:
    """The same value and history, as another Tensor with memory of its own."""
    if state.trace is not None:
        array = None if x._node is None else x._data
        return Tensor._of_node(state.trace.read(x), array)
    return apply(structure.reshape, x, shape=x.shape)


def named(function: Callable, name: str, doc: str) -> Callable:
    """Give a function made from a table its public name and docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


__all__ = [
    "WEAK", "align", "apply", "assign", "axes_of", "axis_of", "broadcast_shape", "cast",
    "constant", "convert", "copied", "describe", "expand", "fill", "floating", "fresh",
    "is_number", "known", "like", "named", "one_of", "pair", "promote_types", "rank_of", "refused",
    "result_dtype", "scalar", "shape_of", "spellings", "splat", "spread", "static",
    "steps_of", "structure", "tensor", "weak",
]  # fmt: skip
