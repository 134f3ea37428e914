"""What the host does between launches: loops, branches, and calls of functions of NumPy arrays.

The bodies of loops and branches are programs of their own. That is for bodies of several kernels;
what fits one kernel never leaves the device (`jitgrad.codegen.cuda.flow`). The host waits only
where data decides: for a branch's condition, for the test of a loop whose end is not known, and for
the operands of a call. Where a loop with records would be a kernel if its length were known, a
first one finds that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jitgrad.autodiff.custom import erase
from jitgrad.codegen.cuda import flow
from jitgrad.codegen.launch import Pointer
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.types import TapeType, TensorType, TupleType
from jitgrad.locate import Location
from jitgrad.passes.counted import counting, of_length
from jitgrad.passes.plan import Step
from jitgrad.primitives.flow import parts, too_long
from jitgrad.primitives.opaque import CALLEES
from jitgrad.runtime.cuda.array import DeviceArray
from jitgrad.runtime.cuda.pool import Block

if TYPE_CHECKING:
    from jitgrad.runtime.cuda.device import Device

LENGTH = 1 << 10  # of a loop: nobody knows
Values = list[Any]  # arrays on the device, or tapes: lists of them


@dataclass(frozen=True, slots=True)
class Driven:
    """A node in the place of a launch: operands and results by address, in this order.
    `is_counted`: it is a loop whose length is found first.
    """

    node: Node
    pointers: tuple[Pointer, ...]
    where: Location | None = None
    is_counted: bool = False

    def bind(self, device: Device, words: np.ndarray) -> Callable[[], None]:
        """What runs it over memory at these addresses."""
        types = [x.type for x in self.node.inputs]
        made = self.node.type.items if isinstance(self.node.type, TupleType) else (self.node.type,)
        addresses = words.tolist()
        run = _counted if self.is_counted else next(f for k, f in BY_HOST if k in self.node.attrs)

        def launch() -> None:
            given = [_value(device, t, a) for t, a in zip(types, addresses)]
            results = run(self, device, given)
            for type, address, result in zip(made, addresses[len(types) :], results, strict=True):
                if isinstance(type, TapeType):
                    device.tapes[address] = result
                elif result.nbytes:
                    device.machine.duplicate(result.address, address, result.nbytes)

        return launch


def is_driven(node: Node) -> bool:
    """Whether a node without a kernel is the host's to do."""
    return any(key in node.attrs for key, _ in BY_HOST)


def driven(step: Step, where: Location | None) -> Driven:
    """The node of a step."""
    node = step.node
    assert node is not None
    graphs = [g for g in node.attrs.values() if isinstance(g, Graph)]
    passed = [x for graph in graphs for x in (*graph.inputs, *graph.outputs)]
    # Derivatives run an inner loop again where they need its records, in the same graph.
    assert not any(isinstance(x.type, TapeType) for x in passed)
    return Driven(node, (*step.reads, *step.writes), where, _is_kernel_of_length(node))


def _is_kernel_of_length(node: Node) -> bool:
    """Whether a loop of unknown length would be a kernel if it had one, and so is what counts."""
    at = node.attrs
    if at.get("length", 0) is not None or (at["test"] is not None and at["mapped"]):
        return False
    graphs = [of_length(node, LENGTH), *([counting(node)] if at["test"] is not None else [])]
    return all(flow.fits(n) for graph in graphs for n in graph.nodes if n.op is node.op)


def _value(device: Device, type: Any, address: int) -> Any:
    if isinstance(type, TapeType):
        return device.tapes[address]
    assert isinstance(type, TensorType)
    return DeviceArray(device, Block(address, type.nbytes, None), type.shape, type.dtype.numpy)


def _row(stack: Any, number: int) -> DeviceArray:
    """What one iteration sees of a stacked operand."""
    if isinstance(stack, list):
        return stack[number]
    shape = stack.shape[1:]
    nbytes = stack.nbytes // stack.shape[0]
    block = Block(stack.address + number * nbytes, nbytes, stack.block)
    return DeviceArray(stack.device, block, shape, stack.dtype)


def _run(device: Device, graph: Graph, given: Sequence[DeviceArray]) -> list[DeviceArray]:
    from jitgrad.runtime.cuda.program import device_program

    return device.run(device_program(erase(graph), {}), *given)


def _branch(region: Driven, device: Device, given: Values) -> Values:
    chosen = "then" if bool(given[0].numpy()) else "orelse"
    return _run(device, region.node.attrs[chosen], given[1:])


def _counted(region: Driven, device: Device, given: Values) -> Values:
    """A loop of unknown length, by a kernel that counts its iterations and one of that length."""
    node, at = region.node, region.node.attrs
    with_test, first = at["test"] is not None, int(at["counted"])
    count = _run(device, counting(node), given)[0] if with_test else given[0]
    length = int(count.numpy())
    held = []
    for x, value in zip(node.inputs[first:], given[first:], strict=True):
        is_list = isinstance(x.type, TapeType) and isinstance(value, list)
        held.append(_stacked(device, x.type.item, value) if is_list else value)
    return [*_run(device, of_length(node, length), held), *([count] if with_test else [])]


def _loop(region: Driven, device: Device, given: Values) -> Values:
    at = region.node.attrs
    body, test, carried = at["body"], at["test"], at["carried"]
    operands = parts(at, given)
    most = at["length"]
    if operands.count is not None:
        most = int(operands.count.numpy())
    carry, records, k = list(operands.carry), [], 0
    while most is None or k < most:
        index = most - 1 - k if at["reverse"] and most is not None else k
        number = device.put(np.asarray(index, np.int64))
        if test is not None:
            (going,) = _run(device, test, [number, *carry, *operands.rest])
            if not going.numpy():
                break
        if at["limit"] and k == at["limit"]:
            raise too_long(at["limit"], region.where)
        rows = [_row(x, index) for x in operands.slices]
        results = _run(device, body, [number, *carry, *rows, *operands.rest])
        carry = results[:carried]
        records.append(results[carried:])
        k += 1
    if at["reverse"]:
        records.reverse()
    items = [o.type for o in body.outputs[carried:]]
    stacks: Values = [[r[i] for r in records] for i in range(len(items))]
    if at["length"] is not None:
        stacks = [_stacked(device, t, rows) for t, rows in zip(items, stacks, strict=True)]
    counted = [device.put(np.asarray(k, np.int64))] if test is not None else []
    return [*carry, *stacks, *counted]


def _called(call: Driven, device: Device, given: Values) -> Values:
    """A function of NumPy arrays: what it is given is copied there, and its results back."""
    results = CALLEES[call.node.attrs["callee"]]([x.numpy() for x in given])
    return [device.put(array) for array in results]


# By an attribute that such nodes have.
BY_HOST = (("carried", _loop), ("orelse", _branch), ("callee", _called))


def _stacked(device: Device, item: TensorType, rows: Sequence[DeviceArray]) -> DeviceArray:
    """Records of equal length as one array."""
    stack = device.empty((len(rows), *item.shape), np.dtype(item.dtype.numpy), f"records of {item}")
    for number, row in enumerate(rows):
        if row.nbytes:
            target = _row(stack, number)
            device.machine.duplicate(row.address, target.address, row.nbytes)
    return stack
