"""The single place where an op meets Tensors: traced, or computed at once and recorded."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, fail
from jitgrad.frontend.steps import CALLS, KEPT, call_of
from jitgrad.ir.node import Node, builder, full, project
from jitgrad.ir.node import constant as constant_node
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType, TupleType, of_array
from jitgrad.primitives.elementwise import stop_gradient
from jitgrad.quiet import Quiet
from jitgrad.runtime.cuda.array import IN_USE, beside
from jitgrad.state import OFF, state
from jitgrad.tensor import Parameter, Tensor
from jitgrad.views import is_shared, propagate

type_of = operator.attrgetter("_type")  # quicker than a comprehension

KNOWN_SIZE = 64  # up to so many elements, what follows from constants is computed while tracing


def apply(op: Op, *inputs: Tensor, **attrs: Any) -> Any:
    """An op on Tensors whose types fit it exactly; a Tensor, or a tuple of them.

    In a trace this makes a node. Otherwise it computes, and the tape keeps what it needs.
    """
    if state.trace is not None:
        return _traced(op, inputs, attrs)
    types = tuple(map(type_of, inputs))
    call = None if attrs else CALLS.get((op, *types))
    return (call or call_of(op, types, attrs)).step(*inputs)


def steps_of(op: Op, count: int) -> Callable[[TensorType], Callable[..., Any]]:
    """What `apply` does outside of a trace to so many Tensors of one type, by that type."""
    return functools.lru_cache(maxsize=KEPT)(lambda type: call_of(op, (type,) * count, {}).step)


def _traced(op: Op, inputs: tuple[Tensor, ...], attrs: dict[str, Any]) -> Any:
    trace = state.trace
    if trace.caught:
        from jitgrad.frontend.control.caught import check_index

        check_index(trace, op, inputs)
    node = builder.make(op, tuple([trace.read(x) for x in inputs]), attrs)
    arrays = [x._data if x._node is not None else None for x in inputs]
    known = inputs and all(a is not None for a in arrays)
    if type(node.type) is TupleType:
        parts = [project(node, i) for i in range(len(node.type.items))]
        return tuple([Tensor._of_node(stopped(part)) for part in parts])
    node = stopped(node)
    if known and node.type.size <= KNOWN_SIZE and op.kind != "region":
        with Quiet():
            value = np.asarray(op.numpy(*arrays, **attrs), node.type.dtype.numpy)
        return Tensor._of_node(node, np.array(value, order="C"))
    return Tensor._of_node(node)


def stopped(node: Node) -> Node:
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
    kept = isinstance(number, (int, float)) and number  # 0.0 and -0.0 would be one key
    return _anywhere(Tensor._wrap((_repeated if kept else _repeat)(number, type), type))


def _repeat(number: Any, type: TensorType) -> np.ndarray:
    with Quiet():  # a double beyond float32 is inf there, as in NumPy
        value = np.asarray(number).astype(type.dtype.numpy)
    return np.broadcast_to(value, type.shape)


_repeated = functools.lru_cache(maxsize=1024)(_repeat)


def fill(number: Any, type: TensorType) -> Tensor:
    """One number repeated over a type."""
    if state.trace is not None:
        return splat(number, type)
    array = np.empty(type.shape, type.dtype.numpy)
    if number == 0 or number == 1:
        array.fill(number)
    else:
        with Quiet():
            array.fill(number)
    return _anywhere(Tensor._wrap(array, type))


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


__all__ = ["apply", "assign", "constant", "fill", "of_array", "splat", "steps_of"]
