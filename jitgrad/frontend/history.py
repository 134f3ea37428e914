"""PyTorch's way to ask for gradients: `backward` and `grad` on results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jitgrad.autodiff.reverse import cotangents
from jitgrad.errors import CountError, DTypeError, SeedError, TapeError, fail
from jitgrad.frontend.backward import accumulate, own, walk
from jitgrad.frontend.dispatch import fill
from jitgrad.frontend.graphcall import call_graph, interpreted
from jitgrad.frontend.trace import Argument, trace
from jitgrad.frontend.vectorize import vectorize
from jitgrad.state import Leaf, state
from jitgrad.tensor import Tensor

Tensors = Tensor | Sequence[Tensor]


def as_tuple(tensors: Any, what: str) -> tuple[Any, ...]:
    """One Tensor or several as a tuple; DTypeError for anything else."""
    found = (tensors,) if isinstance(tensors, Tensor) else tensors
    if not isinstance(found, (tuple, list)) or any(not isinstance(t, Tensor) for t in found):
        raise fail(DTypeError, f"{what} must be a Tensor or Tensors, got {tensors!r:.60}")
    return tuple(found)


def seeds_of(outputs: Sequence[Tensor], given: Any) -> list[Tensor]:
    """The cotangents of the outputs: those given, or ones for scalars."""
    if given is None:
        given = (None,) * len(outputs)
    elif not isinstance(given, (tuple, list)):
        given = (given,)
    if len(given) != len(outputs):
        raise fail(CountError, f"got {len(outputs)} tensors and {len(given)} gradients")
    seeds = []
    for y, g in zip(outputs, given):
        if g is None:
            if y.size != 1:
                raise fail(
                    TapeError,
                    "grad can be implicitly created only for scalar outputs,"
                    f" not for one of shape {list(y.shape)}",
                    instead="pass the cotangent: backward(gradient=…), grad(…, grad_outputs=…)",
                )
            if y.dtype.is_complex:
                raise fail(
                    TapeError,
                    f"grad can be implicitly created only for real outputs, not for {y._type}",
                    instead="pass the cotangent, or take ops.abs(y), ops.real(y), …",
                )
            g = fill(1, y._type)
        if isinstance(g, (np.ndarray, np.generic)):
            g = Tensor(g, y.dtype)
        if not isinstance(g, Tensor):
            raise fail(DTypeError, f"a gradient must be a Tensor or None, got a {type(g).__name__}")
        if g.shape != y.shape:
            raise fail(
                SeedError,
                f"Mismatch in shape: a gradient of shape {list(g.shape)} for an output of shape"
                f" {list(y.shape)}",
            )
        seeds.append(g if g.dtype is y.dtype else g.astype(y.dtype))  # type: ignore[attr-defined]
    return seeds


def _checked_outputs(outputs: Sequence[Tensor]) -> None:
    for position, y in enumerate(outputs):
        if y._grad_fn is None:
            raise fail(
                TapeError,
                f"element {position} of tensors does not require grad and does not have a grad_fn",
                instead="make an input with requires_grad=True",
            )


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of the tensors to `grad` of the leaves; see `jitgrad.autograd`."""
    outputs = as_tuple(tensors, "tensors")
    if state.trace is not None:
        raise fail(
            TapeError,
            "backward() in a compiled function",
            why="it writes into .grad of Tensors outside",
            instead="jitgrad.autograd.grad(outputs, inputs), which returns the gradients",
        )
    seeds = seeds_of(outputs, grad_tensors)
    _checked_outputs(outputs)
    spots = None
    chosen: tuple[Tensor, ...] = ()
    if inputs is not None:
        chosen = as_tuple(inputs, "inputs")
        if not chosen:
            raise fail(TapeError, "inputs argument to backward cannot be empty")
        spots = [_spot(x) for x in chosen]
    retain = create_graph if retain_graph is None else retain_graph
    starts = [_spot(y) for y in outputs]
    found = walk(starts, seeds, spots, create_graph=create_graph, retain_graph=retain)
    if spots is None:
        ends = [(leaf.tensor() if leaf.tensor is not None else None, leaf) for leaf, _ in found]
        pairs = [(t, leaf, found[leaf, 0]) for t, leaf in ends if t is not None]
    else:
        pairs = [(x, s[0], found[s]) for x, s in zip(chosen, spots, strict=True) if s in found]
    for tensor, _, value in pairs:
        accumulate(tensor, value)
    for tensor, origin, _ in pairs:
        for hook in list(origin.after.values()) if type(origin) is Leaf else ():
            hook(tensor)


def gradients(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """The gradients of the outputs' sum with respect to the inputs; see `jitgrad.autograd`."""
    ys, xs = as_tuple(outputs, "outputs"), _differentiated(inputs)
    seeds = seeds_of(ys, grad_outputs)
    if state.trace is not None:
        found = _in_trace(ys, xs, seeds)
    else:
        _checked_outputs(ys)
        retain = create_graph if retain_graph is None else retain_graph
        found = _by_walk(ys, xs, seeds, create_graph, retain)
    _check_used(ys, xs, found, allow_unused)
    return tuple(found)


def _differentiated(inputs: Tensors) -> tuple[Tensor, ...]:
    xs = as_tuple(inputs, "inputs")
    if not xs:
        raise fail(TapeError, "inputs argument to grad cannot be empty")
    return xs


def _by_walk(
    ys: Sequence[Tensor],
    xs: Sequence[Tensor],
    seeds: Sequence[Tensor],
    create_graph: bool,
    retain_graph: bool,
) -> list[Tensor | None]:
    spots = [_spot(x) for x in xs]
    starts = [_spot(y) for y in ys]
    at = walk(starts, seeds, spots, create_graph=create_graph, retain_graph=retain_graph)
    return [own(at[spot]) if spot in at else None for spot in spots]


def _check_used(
    ys: Sequence[Tensor],
    xs: Sequence[Tensor],
    found: Sequence[Tensor | None],
    allow_unused: bool | None,
) -> None:
    if allow_unused or all(g is not None for g in found):
        return
    position = next(i for i, g in enumerate(found) if g is None)
    names = " and ".join([f"{getattr(y.grad_fn, 'label', 'the output')} {y._type}" for y in ys])
    raise fail(
        TapeError,
        f"the differentiated Tensor at index {position}, of type {xs[position]._type}, appears to"
        f" not have been used in the graph of {names}",
        instead="allow_unused=True, if this is the desired behavior",
    )


def _in_trace(
    ys: Sequence[Tensor], xs: Sequence[Tensor], seeds: Sequence[Tensor]
) -> list[Tensor | None]:
    trace = state.trace
    nodes = trace.resolve([trace.read(y) for y in ys])
    found = cotangents(
        nodes, [trace.read(s) for s in seeds], [trace.read(x) for x in xs], trace.locs
    )
    return [None if g is None else Tensor._of_node(g) for g in found]


def _spot(x: Tensor) -> tuple[Any, int]:
    if x._grad_fn is None:
        raise fail(
            TapeError,
            "One of the differentiated Tensors does not require grad",
            instead="x.requires_grad_() before the computation",
        )
    return x._grad_fn, x._index


def batched_gradients(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """`gradients` for a batch of cotangents along a leading axis, as one batched program."""
    ys, xs = as_tuple(outputs, "outputs"), _differentiated(inputs)
    batch = as_tuple(grad_outputs, "grad_outputs")
    if len(batch) != len(ys):
        raise fail(CountError, f"got {len(ys)} tensors and {len(batch)} gradients")
    sizes = {g.shape[:1] for g in batch}
    if len(sizes) != 1 or any(g.shape[1:] != y.shape for g, y in zip(batch, ys)):
        given = ", ".join(f"{g._type} for {y._type}" for g, y in zip(batch, ys))
        raise fail(
            SeedError,
            f"Mismatch in shape: got batches of gradients {given}",
            why="with is_grads_batched they have one more, leading axis, of one extent",
        )
    _checked_outputs(ys)
    ((size,),) = sizes
    retain = create_graph if retain_graph is None else retain_graph
    used: list[bool] = []

    def one(seeds: list[Tensor]) -> list[Tensor]:
        found = _by_walk(ys, xs, seeds_of(ys, seeds), create_graph, retain)
        used[:] = [g is not None for g in found]
        return [g for g in found if g is not None]

    arguments = [Argument(f"g{i}", g._type) for i, g in enumerate(batch)]
    traced = trace(lambda given: vectorize(one, given, size)[0], arguments, "batched_gradients")
    results = iter(call_graph(traced.graph, [*batch, *traced.captures], interpreted))
    found = [next(results) if there else None for there in used]
    _check_used(ys, xs, found, allow_unused)
    return tuple(found)


__all__ = ["backward", "batched_gradients", "gradients"]
