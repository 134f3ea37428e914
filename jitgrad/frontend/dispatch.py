"""The single place where an op meets Tensors: traced, or computed at once and recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, fail
from jitgrad.frontend import remote, tape
from jitgrad.ir.node import Node, builder, full, project
from jitgrad.ir.node import constant as constant_node
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType, TupleType, of_array
from jitgrad.primitives.elementwise import stop_gradient
from jitgrad.runtime.cuda.array import IN_USE, DeviceArray, beside
from jitgrad.state import OFF, state
from jitgrad.tensor import Parameter, Tensor
from jitgrad.views import is_shared, propagate

KNOWN_SIZE = 64  # up to so many elements, what follows from constants is computed while tracing


def apply(op: Op, *inputs: Tensor, **attrs: Any) -> Any:
    """An op on Tensors whose types fit it exactly; a Tensor, or a tuple of them.

    In a trace this makes a node. Otherwise it computes, and the tape keeps what it needs.
    """
    if state.trace is not None:
        return _traced(op, inputs, attrs)
    arrays = [x._data for x in inputs]
    on_device = False
    for x, array in zip(inputs, arrays):
        if array.__class__ is not np.ndarray:
            if array is None:
                x._array(f"given to {op.name}")  # raises
            on_device = on_device or array.__class__ is DeviceArray
    inferred = _inferred(op, tuple([x._type for x in inputs]), attrs)
    if on_device:
        outputs = remote.apply(op, inputs, attrs)
    else:
        with np.errstate(all="ignore"):
            value = op.numpy(*arrays, **attrs)
        if type(inferred) is TupleType:
            parts = zip(value, inferred.items, strict=True)
            outputs = tuple([_own(v, t, arrays) for v, t in parts])
        else:
            outputs = (_own(value, inferred, arrays),)
        if IN_USE and all(hasattr(x, "_anywhere") for x in inputs):
            for out in outputs:
                out._anywhere = True
    if state.grad:
        for x in inputs:
            if x._grad_fn is not None:
                tape.record(op, inputs, attrs, outputs)
                break
    return outputs if type(inferred) is TupleType else outputs[0]


_types: dict[tuple, Any] = {}  # of results, by op, types of operands, and attributes
TYPES = 8192


def _inferred(op: Op, types: tuple[TensorType, ...], attrs: dict[str, Any]) -> Any:
    """The type of the result. Errors are not kept."""
    key = (op, types, *attrs.items()) if attrs else (op, types)
    try:
        return _types[key]
    except (KeyError, TypeError):  # or an attribute that cannot be a key
        pass
    found = op.infer(types, attrs)
    try:
        if len(_types) >= TYPES:
            _types.clear()
        _types[key] = found
    except TypeError:
        pass
    return found


def _own(value: Any, type: TensorType, arrays: list[Any]) -> Tensor:
    """A Tensor that shares its memory with nobody."""
    array = np.asarray(value, type.dtype.numpy)
    flags = array.flags
    if not (flags.owndata and flags.c_contiguous) or any(array is a for a in arrays):
        array = np.array(array, order="C", copy=True)
    return Tensor._wrap(array, type)


def _traced(op: Op, inputs: tuple[Tensor, ...], attrs: dict[str, Any]) -> Any:
    trace = state.trace
    node = builder.make(op, tuple([trace.read(x) for x in inputs]), attrs)
    arrays = [x._data if x._node is not None else None for x in inputs]
    known = inputs and all(a is not None for a in arrays)
    if type(node.type) is TupleType:
        parts = [project(node, i) for i in range(len(node.type.items))]
        return tuple([Tensor._of_node(_constant(part)) for part in parts])
    node = _constant(node)
    if known and node.type.size <= KNOWN_SIZE and op.kind != "region":
        with np.errstate(all="ignore"):
            value = np.asarray(op.numpy(*arrays, **attrs), node.type.dtype.numpy)
        return Tensor._of_node(node, np.array(value, order="C"))
    return Tensor._of_node(node)


def _constant(node: Node) -> Node:
    """The value of a node; inside of `no_grad` it has no derivative."""
    if state.grad != OFF or not isinstance(node.type, TensorType) or not node.dtype.is_float:
        return node
    return builder.make(stop_gradient, (node,), {})


def splat(number: Any, type: TensorType) -> Tensor:
    """One number repeated over a type, at no cost: a splat constant, or an array of strides 0.

    It is meant as an operand; `fill` makes a Tensor to keep.
    """
    if state.trace is not None:
        node = full(number, type)
        known = type.size <= KNOWN_SIZE
        return Tensor._of_node(node, node.op.numpy(**node.attrs) if known else None)
    with np.errstate(over="ignore"):  # a double beyond float32 is inf there, as in NumPy
        value = np.asarray(number).astype(type.dtype.numpy)
    return _anywhere(Tensor._wrap(np.broadcast_to(value, type.shape), type))


def fill(number: Any, type: TensorType) -> Tensor:
    """One number repeated over a type."""
    if state.trace is not None:
        return splat(number, type)
    if number == 0 or number == 1:
        return _anywhere(Tensor._wrap(np.full(type.shape, number, type.dtype.numpy), type))
    with np.errstate(over="ignore"):
        return _anywhere(Tensor._wrap(np.full(type.shape, number, type.dtype.numpy), type))


def _anywhere(made: Tensor) -> Tensor:
    """A Tensor that joins operands on a device."""
    if IN_USE:
        made._anywhere = True
    return made


def constant(array: np.ndarray) -> Tensor:
    """A Tensor of a fresh array's values; in a trace a constant of the graph."""
    if state.trace is None:
        return _anywhere(Tensor._wrap(array))
    return Tensor._of_node(constant_node(array), np.array(array, order="C"))


def assign(target: Tensor, value: Tensor) -> Tensor:
    """Overwrite a Parameter (or another Tensor) with a value of the same type; returns `target`.

    The written value has no derivative: reading the Parameter afterwards gives a constant.
    """
    if value._type is not target._type:
        raise fail(
            DTypeError if value.shape == target.shape else ValueError,
            f"cannot assign {value._type} to {target._type}",
            instead="cast or reshape the value first",
        )
    if isinstance(target, Parameter):
        target._become(value)
        return target
    if state.trace is not None:
        state.trace.write(target, value, keep_gradient=False)
    else:
        target._set(beside(target._data, value._held("assigned").copy()), value._type)
        if not target.is_leaf:
            target._grad_fn = None
    if is_shared(target):
        propagate(target)
    return target


__all__ = ["apply", "assign", "constant", "fill", "of_array", "splat"]
