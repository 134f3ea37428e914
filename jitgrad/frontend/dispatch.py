"""The single place where an op meets Tensors: traced, or computed at once and recorded."""

from __future__ import annotations

import contextvars
import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, fail
from jitgrad.frontend import remote, tape
from jitgrad.frontend.pull import CALLS, Call, call_of
from jitgrad.ir.node import Node, builder, full, project, scalar
from jitgrad.ir.node import constant as constant_node
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType, TupleType, of_array
from jitgrad.primitives.elementwise import stop_gradient
from jitgrad.runtime.cuda.array import IN_USE, beside
from jitgrad.state import OFF, state
from jitgrad.tensor import Parameter, Tensor
from jitgrad.views import is_shared, propagate

# What NumPy does about overflows and the like is a context variable. To set it costs a tenth of
# `np.errstate`, which would be half the time of a small op.
_silent = contextvars.Context()
_silent.run(np.seterr, all="ignore")
((quiet, QUIET),) = _silent.items()

type_of = operator.attrgetter("_type")  # quicker than a comprehension

KNOWN_SIZE = 64  # up to so many elements, what follows from constants is computed while tracing


def apply(op: Op, *inputs: Tensor, **attrs: Any) -> Any:
    """An op on Tensors whose types fit it exactly; a Tensor, or a tuple of them.

    In a trace this makes a node. Otherwise it computes, and the tape keeps what it needs.
    """
    if state.trace is not None:
        return _traced(op, inputs, attrs)
    call = None if attrs else CALLS.get((op, *map(type_of, inputs)))
    return perform(call or call_of(op, tuple(map(type_of, inputs)), attrs), inputs)


def perform(call: Call, inputs: Sequence[Tensor]) -> Any:
    """What `apply` does outside of a trace, for a call that was looked up."""
    arrays, followed = [], False
    for x in inputs:
        array = x._data
        if array is None:
            x._array(f"given to {call.name}")  # raises
        arrays.append(array)
        if x._grad_fn is not None:
            followed = True
    if IN_USE:
        return _performed_there(call, inputs)
    token = quiet.set(QUIET)
    try:
        value = call.run(*arrays)
    finally:
        quiet.reset(token)
    if call.several:
        outputs = tuple([Tensor._wrap(v, t) for v, t in zip(value, call.results, strict=True)])
        if followed and (mode := state.grad):
            tape.record(call, inputs, outputs, mode)
        return outputs
    output = Tensor._wrap(value, call.type)
    if followed and (mode := state.grad):
        tape.record(call, inputs, (output,), mode)
    return output


def _performed_there(call: Call, inputs: Sequence[Tensor]) -> Any:
    """`perform` where there is a device: on it, if operands are there."""
    if remote.is_there(inputs):
        outputs = remote.apply(call.op, inputs, call.attrs)
    else:
        with np.errstate(all="ignore"):
            value = call.run(*[x._data for x in inputs])
        values = value if call.several else (value,)
        outputs = tuple([Tensor._wrap(v, t) for v, t in zip(values, call.results, strict=True)])
        remote.pass_on(inputs, outputs)
    if state.grad:
        tape.record(call, inputs, outputs, state.grad)
    return outputs if call.several else outputs[0]


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
        with np.errstate(all="ignore"):
            value = np.asarray(op.numpy(*arrays, **attrs), node.type.dtype.numpy)
        return Tensor._of_node(node, np.array(value, order="C"))
    return Tensor._of_node(node)


def stopped(node: Node) -> Node:
    """The value of a node; inside of `no_grad` it has no derivative."""
    if state.grad != OFF or not isinstance(node.type, TensorType) or not node.dtype.is_inexact:
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
    return np.broadcast_to(scalar(number, type.dtype), type.shape)


_repeated = functools.lru_cache(maxsize=1024)(_repeat)


def fill(number: Any, type: TensorType) -> Tensor:
    """One number repeated over a type."""
    if state.trace is not None:
        return splat(number, type)
    array = np.empty(type.shape, type.dtype.numpy)
    array.fill(number if number == 0 or number == 1 else scalar(number, type.dtype))
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


__all__ = ["apply", "assign", "constant", "fill", "of_array", "splat"]
