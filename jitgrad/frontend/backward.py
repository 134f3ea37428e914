"""From outputs to leaves: the walk over the tape, and what PyTorch hangs on it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, SeedError, TapeError, fail
from jitgrad.frontend import remote
from jitgrad.frontend.dispatch import apply
from jitgrad.frontend.tape import TapeNode
from jitgrad.primitives.elementwise import add
from jitgrad.quiet import QUIET, quiet
from jitgrad.runtime.cuda.array import IN_USE
from jitgrad.state import FUNCTIONAL, OFF, ON, Leaf, state
from jitgrad.tensor import Tensor

Spot = tuple[Any, int]  # a result of a node, or a Leaf
Slots = list[Tensor | None]  # the cotangents of the results of a node, or of a Leaf


def walk(
    outputs: Sequence[Spot | None],
    seeds: Sequence[Tensor | None],
    wanted: Iterable[Spot] | None,
    *,
    create_graph: bool = False,
    retain_graph: bool = False,
    ends: bool = False,
) -> dict[Spot, Tensor]:
    """The cotangents at the `wanted` spots (None: at every leaf), given those at the outputs. With
    `ends` none of them is passed, to others that are wanted.

    Iterative, newest node first: a node is made after all that it uses, so when its turn comes
    its cotangents are complete. Nothing is freed or kept for `retain_grad` until all went well, so
    that an error, of a hook for instance, leaves the tape as it was.
    """
    targets = None if wanted is None else set(wanted)
    useful = _wanted(outputs, targets, ends)
    found: dict[Any, Slots] = {}
    result: dict[Spot, Tensor] = {}
    queue: list[tuple[int, Any]] = []  # serials are never the same
    passed: list[tuple[TapeNode, Slots]] = []
    before, state.grad = state.grad, _mode(create_graph)

    sent: Iterable[tuple[Spot | None, Tensor | None]] = zip(outputs, seeds, strict=True)
    token = quiet.set(QUIET)
    try:
        while True:
            for spot, value in sent:
                if spot is None or value is None or not (useful is None or spot[0] in useful):
                    continue
                node, index = spot
                slots = found.get(node)
                if slots is None:
                    is_leaf = type(node) is Leaf
                    slots = found[node] = [None] * (1 if is_leaf else len(node.types))
                    if not is_leaf:
                        heapq.heappush(queue, (-node.serial, node))
                known = slots[index]
                slots[index] = value if known is None else plus(known, value)
            if not queue:
                break
            node = heapq.heappop(queue)[1]
            slots = found.pop(node)
            if node.hooks:
                slots = _all_hooked(node, slots)
            sent = ()
            if targets is not None:
                result.update(_at(node, slots, targets))
            if useful is not None and not useful[node]:
                continue
            passed.append((node, slots))
            sent = zip(node.edges, node.cotangents(slots))
        for leaf, slots in found.items():  # all that is left
            [result[leaf, 0]] = _all_hooked(leaf, slots) if leaf.hooks else slots  # type: ignore[misc]
    finally:
        quiet.reset(token)
        state.grad = before
    _settle(passed, retain_graph)
    return result


def _settle(passed: list[tuple[TapeNode, Slots]], retain_graph: bool) -> None:
    """What is done once all went well: `retain_grad`, and nodes that are no longer needed freed."""
    for node, slots in passed:
        if node.retained:
            _retain(node, slots)
        if not retain_graph:
            node.release()


def _wanted(
    outputs: Sequence[Spot | None], targets: set[Spot] | None, ends: bool
) -> dict[Any, bool] | None:
    """The nodes on the way to the targets; to get to all leaves, every node is: None."""
    if targets is None:
        return None
    return _useful([spot[0] for spot in outputs if spot is not None], targets, ends)


def _at(node: Any, slots: Slots, targets: set[Spot]) -> dict[Spot, Tensor]:
    """What is wanted of a node's results."""
    pairs = [((node, i), value) for i, value in enumerate(slots) if value is not None]
    return {spot: value for spot, value in pairs if spot in targets}


def _mode(create_graph: bool) -> int:
    if not create_graph:
        return OFF
    return FUNCTIONAL if state.grad == FUNCTIONAL else ON


def plus(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two cotangents, recorded if the tape is on, or a trace active."""
    if state.grad != OFF or state.trace is not None:
        return apply(add, a, b)
    return _sum(a, b)


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two Tensors that the tape does not follow, in memory of its own."""
    if IN_USE and remote.is_there((a, b)):
        return remote.apply(add, (a, b), {})[0]
    return Tensor._wrap(np.asarray(np.add(a._data, b._data)), a._type)


def _useful(roots: Sequence[Any], targets: set[Spot], stop: bool) -> dict[Any, bool]:
    """The nodes on a way from the roots to a target, each with whether the way goes on, which with
    `stop` it never does from a target.
    """
    ends = {node for node, _ in targets}
    useful: dict[Any, bool] = {}
    seen: set[Any] = set()
    stack = [(node, False) for node in roots]
    while stack:
        node, done = stack.pop()
        if done:
            on = any(edge is not None and edge[0] in useful for edge in node.edges)
            if on or node in ends:
                useful[node] = on
        elif node not in seen:
            seen.add(node)
            if type(node) is Leaf or (stop and node in ends):
                if node in ends:
                    useful[node] = False
                continue
            stack.append((node, True))
            stack.extend((edge[0], False) for edge in node.edges if edge is not None)
    return useful


def reaches_before(roots: Iterable[Any], serial: int, own: set[Any]) -> bool:
    """Whether anything recorded before `serial`, or a leaf that is not ours, is below the roots."""
    stack, seen = list(roots), set()
    while stack:
        node = stack.pop()
        if node in seen or node in own:
            continue
        seen.add(node)
        if node.serial < serial:
            return True
        stack.extend(edge[0] for edge in node.edges if edge is not None)
    return False


def _all_hooked(node: Any, slots: Slots) -> Slots:
    return [None if value is None else _hooked(node, i, value) for i, value in enumerate(slots)]


def _hooked(node: Any, index: int, value: Tensor) -> Tensor:
    for hook in list(node.hooks.get(index, {}).values()):
        changed = hook(own(value))
        if changed is not None:
            value = fitting("a hook", value, changed)
    return value


def fitting(name: str, value: Tensor, changed: Any) -> Tensor:
    """What a hook returned in the place of a gradient; an error if it is of another type."""
    if not isinstance(changed, Tensor):
        raise fail(
            DTypeError,
            f"{name} on a gradient of type {value._type} returned a {type(changed).__name__}",
            instead="return a Tensor, or None to leave the gradient as it is",
        )
    if changed._type is not value._type:
        raise fail(
            SeedError if changed.shape != value.shape else TapeError,
            f"{name} on a gradient of type {value._type} returned {changed._type}",
        )
    return changed


def _retain(node: TapeNode, slots: Slots) -> None:
    """Give the gradient to Tensors that asked for it with `retain_grad`."""
    for index, reference in node.retained.items():
        tensor, value = reference(), slots[index]
        if tensor is not None and value is not None:
            accumulate(tensor, value)


def accumulate(tensor: Tensor, value: Tensor) -> None:
    """Add to `tensor.grad`: in place, unless the sum is to be differentiated."""
    known = tensor._grad
    if known is None:
        tensor._grad = own(value)
    elif value._grad_fn is None and known._grad_fn is None:
        known._set(_sum(known, value)._data, value._type)
    else:
        before, state.grad = state.grad, ON
        try:
            tensor._grad = apply(add, known, value)
        finally:
            state.grad = before


def own(value: Tensor) -> Tensor:
    """The same value and history in memory of its own."""
    if value._node is not None:
        return Tensor._of_node(value._node, value._data)
    copy = Tensor._wrap(value._data.copy(), value._type)
    copy._grad_fn, copy._index = value._grad_fn, value._index
    return copy
