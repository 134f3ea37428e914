"""Tensors on a device: single operations there, and that all operands are in one place.

An op is a program of its own, small graphs of the tape are one. Numbers come along from the host.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import config
from jitgrad.errors import DeviceError, fail
from jitgrad.ir.node import Graph, input_node, project
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType, TupleType
from jitgrad.primitives.shape import broadcast
from jitgrad.runtime.cuda.array import DeviceArray, host
from jitgrad.tensor import Tensor


def apply(op: Op, inputs: Sequence[Tensor], attrs: dict[str, Any]) -> tuple[Tensor, ...]:
    """The results of an op, on the device where its operands are."""
    arrays = [x._data for x in inputs]
    together(op.name, [("", x) for x in inputs])
    numbers = tuple([is_number(a) for a in arrays])
    types = tuple([x._type for x in inputs])
    try:
        graph = _graph(op, types, numbers, tuple(attrs.items()))
    except TypeError:  # an attribute that cannot be a key
        graph = _graph.__wrapped__(op, types, numbers, tuple(attrs.items()))
    given = [
        a.reshape(-1)[:1].reshape(()) if n else a for a, n in zip(arrays, numbers, strict=True)
    ]
    results = run(graph)(*given)
    return tuple([Tensor._wrap(r, o.type) for r, o in zip(results, graph.outputs, strict=True)])


def run(graph: Graph) -> Callable[..., Sequence[DeviceArray]]:
    """A graph as a function of arrays, of which some are on the device where it is computed."""
    from jitgrad.runtime.cuda.program import device_program

    program = device_program(graph, {})
    return lambda *arrays: device_of(arrays).run(program, *arrays)


def device_of(arrays: Sequence[Any]) -> Any:
    """The device of the first array that is on one."""
    return next(a.device for a in arrays if type(a) is DeviceArray)


def pass_on(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """What is made only of what may be anywhere may be anywhere, too."""
    if all(hasattr(x, "_anywhere") for x in inputs):
        for out in outputs:
            out._anywhere = True


def is_there(values: Sequence[Tensor]) -> bool:
    """Whether a device is where these Tensors belong, as data of the user's is there. What else is
    there, the state of random streams, comes to the host if not.
    """
    there = [x for x in values if type(x._data) is DeviceArray]
    if any(not hasattr(x, "_anywhere") for x in there):
        return True
    for x in there:
        x._data = host(x._data)
    return False


def together(what: str, operands: Sequence[tuple[str, Tensor]]) -> None:
    """DeviceError if operands, each with its name or "", are in different places. Numbers, and what
    was made without data of the user's, come along; and all does if the GPU is the target.
    """
    if config.get("device") == "GPU":
        return  # where all is to run: what is not there yet is meant to be
    there = [(n, x) for n, x in operands if type(x._data) is DeviceArray]
    here = [(n, x) for n, x in operands if not (type(x._data) is DeviceArray or _joins(x))]
    if there and here:
        raise fail(
            DeviceError,
            f"{what} got {_named(*there[0])} on the GPU, and {_named(*here[0])} on the CPU",
            why="operands have to be in one place, and nothing moves unasked",
            instead="x.to('GPU') or x.to('CPU') for one of them",
        )


def _joins(x: Tensor) -> bool:
    return hasattr(x, "_anywhere") or is_number(x._data)


def _named(name: str, x: Tensor) -> str:
    return f"{name}, {x._type}," if name else str(x._type)


def is_number(array: Any) -> bool:
    """Whether a host array is one number, repeated or not."""
    return type(array) is not DeviceArray and (array.ndim == 0 or not any(array.strides))


@functools.lru_cache(maxsize=2048)
def _graph(
    op: Op, types: tuple[TensorType, ...], numbers: tuple[bool, ...], attrs: tuple[Any, ...]
) -> Graph:
    """An op alone. Of an operand that repeats a number, the number is the input."""
    inputs, operands = [], []
    for i, (type, is_number) in enumerate(zip(types, numbers, strict=True)):
        x = input_node(f"x{i}", type.with_shape(()) if is_number else type)
        inputs.append(x)
        operands.append(broadcast(x, shape=type.shape, dims=()) if x.type is not type else x)
    made = op(*operands, **dict(attrs))
    several = isinstance(made.type, TupleType)
    outputs = [project(made, i) for i in range(len(made.type.items))] if several else [made]
    return Graph(op.name, inputs, outputs)
