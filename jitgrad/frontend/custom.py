"""Functions with a derivative that the user wrote: `bprop` of a Cell, `custom_vjp`, hooks.

``bprop(*args, out, dout)`` returns one cotangent for each argument. It is a program like any
other, so it may use Parameters, and is itself differentiated for higher orders.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import tree
from jitgrad.autodiff.custom import custom, observers
from jitgrad.errors import CountError, DTypeError, SeedError, TraceError, fail
from jitgrad.frontend import tape
from jitgrad.frontend.backward import own
from jitgrad.frontend.control import converted
from jitgrad.frontend.trace import Trace
from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    constant_op,
    fresh_input,
    full,
    input_node,
    project,
    topological,
)
from jitgrad.state import state
from jitgrad.tensor import Tensor

_numbers = itertools.count()


def with_custom_vjp(
    function: Callable[..., Any], bprop: Callable[..., Any], args: Sequence[Any], name: str = ""
) -> Any:
    """Call ``function(*args)`` so that its derivative is what `bprop` says.

    Parameters read inside of `function` get no gradient. ArgumentError, ShapeError or DTypeError
    if `bprop` returns something else than one cotangent, of its type, for each argument.
    """
    name = name or getattr(bprop, "__qualname__", "bprop")
    if state.trace is not None:
        return _in_trace(state.trace, function, bprop, args, name)
    return _on_tape(function, bprop, args, name)


def checked(name: str, args: Sequence[Any], results: Any) -> list[Tensor | None]:
    """The cotangents of the Tensors among `args`, from what a bprop returned."""
    if isinstance(results, list):
        results = tuple(results)
    if not isinstance(results, tuple):
        results = (results,)
    if len(results) != len(args):
        raise fail(
            CountError,
            f"{name} returned {len(results)} gradients for {len(args)} inputs",
            instead="return a tuple with one gradient for each input",
        )
    found: list[Tensor | None] = []
    for position, (arg, result) in enumerate(zip(args, results, strict=True)):
        wanted, _ = tree.flatten(arg)
        given, _ = tree.flatten(result)
        tensors = [x for x in wanted if isinstance(x, Tensor)]
        if not tensors:
            continue
        if result is None:
            found.extend([None] * len(tensors))
            continue
        if len(given) != len(wanted):
            raise fail(CountError, f"{name} returned {len(given)} gradients for input {position}")
        for x, g in zip(wanted, given, strict=True):
            if isinstance(x, Tensor):
                found.append(_fitting(name, position, x, g))
    return found


def _fitting(name: str, position: int, x: Tensor, g: Any) -> Tensor:
    if not isinstance(g, Tensor):
        raise fail(
            DTypeError,
            f"{name} returned a {type(g).__name__} as the gradient of input {position}",
            instead=f"return a Tensor of type {x._type}",
        )
    if g._type is not x._type:
        raise fail(
            SeedError if g.shape != x.shape else DTypeError,
            f"{name} returned a gradient of type {g._type} for input {position}",
            why=f"the input is of type {x._type}",
        )
    return g


# --- on the tape --------------------------------------------------------------------------------


class CustomNode(tape.TapeNode):
    """A call whose derivative is a Python function."""

    __slots__ = ("args", "bprop", "results", "structure")

    def cotangents(self, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        values = iter(self.values())
        args = tree.map(lambda x: next(values) if isinstance(x, Tensor) else x, self.args)
        outs = [next(values) if isinstance(x, tape.Saved) else x for x in self.results]
        seeds = iter([tape.zeros(t) if g is None else own(g) for g, t in zip(given, self.types)])
        douts = [next(seeds) if isinstance(x, tape.Saved) else None for x in self.results]
        out = tree.unflatten(self.structure, outs)
        dout = tree.unflatten(self.structure, douts)
        return checked(self.label, args, self.bprop(*args, out, dout))

    def release(self) -> None:
        self.saved = None


def _on_tape(function: Callable, bprop: Callable, args: Sequence[Any], name: str) -> Any:
    args = tuple(args)
    inputs = [x for x in tree.flatten(args)[0] if isinstance(x, Tensor)]
    edges = [tape.edge_of(x) for x in inputs]
    with tape.no_grad():
        out = function(*args)
    if not state.grad or not any(edge is not None for edge in edges):
        return out
    leaves, structure = tree.flatten(out)
    leaves = [Tensor._wrap(x._data.copy(), x._type) if isinstance(x, Tensor) else x for x in leaves]
    outputs = [x for x in leaves if isinstance(x, Tensor)]
    node = CustomNode(name, edges, [y._type for y in outputs])
    tape.attach(node, outputs)
    saved = [tape.saved(x, e, x) for x, e in zip(inputs, edges)]
    held = [tape.saved(y, i, weakref.ref(y)) for i, y in enumerate(outputs)]
    node.saved = (*saved, *held)
    kept = iter(held)
    node.args, node.bprop, node.structure = args, bprop, structure
    node.results = [next(kept) if isinstance(x, Tensor) else x for x in leaves]
    return tree.unflatten(structure, leaves)


# --- in a trace ---------------------------------------------------------------------------------


def _in_trace(
    trace: Trace, function: Callable, bprop: Callable, args: Sequence[Any], name: str
) -> Any:
    flat, args_structure = tree.flatten(tuple(args))
    inputs = [trace.read(x) for x in flat if isinstance(x, Tensor)]
    function, bprop = converted(function), converted(bprop)
    leaves, structure = tree.flatten(function(*args))
    results = trace.resolve([trace.read(x) for x in leaves if isinstance(x, Tensor)])
    if not results or not inputs:
        return tree.unflatten(structure, leaves)

    xs, ys, gs = ([fresh_input("b", n.type) for n in part] for part in (inputs, results, results))
    stand_ins = iter([Tensor._of_node(n) for n in xs])
    call_args = tree.unflatten(
        args_structure, [next(stand_ins) if isinstance(x, Tensor) else x for x in flat]
    )
    out, dout = (_filled(structure, leaves, part) for part in (ys, gs))
    mark = len(trace.effects)
    found = checked(name, call_args, bprop(*call_args, out, dout))
    printed = trace.effects[mark:]
    del trace.effects[mark:]
    nodes = [full(0, x.type) if g is None else trace.read(g) for x, g in zip(xs, found)]
    nodes += [n for effect in printed for n in effect.nodes]
    title = f"backward_{next(_numbers)}" if printed else "backward"  # no two that print are one
    backward, rest = _closed(title, trace.resolve(nodes), [*xs, *ys, *gs], len(xs), len(ys))
    if printed:
        observers[backward] = functools.partial(_print, name, printed)
    attrs = {"outs": len(results), "backward": backward}
    node = builder.make(custom, (*results, *inputs, *rest), attrs)
    made = [project(node, i) for i in range(len(results))]
    return _filled(structure, leaves, made)


# --- hooks on both sides of a call --------------------------------------------------------------


def between_hooks(
    trace: Trace,
    call: Callable[..., Any],
    args: tuple[Any, ...],
    entering: Callable[[tuple, tuple], tuple],
    leaving: Callable[[tuple], tuple],
) -> Any:
    """``call(*args)`` in a trace, with hooks in its backward pass: the gradients of the outputs go
    through ``leaving(gradients)``, those of the arguments through ``entering(gradients, of the
    outputs)``.

    Two identities do that, one before the call and one behind it. The first has further results,
    which the second takes and which are nothing but a way back for the gradients of the outputs.
    """
    leaves, structure = tree.flatten(args)
    places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
    given = [leaves[i] for i in places]
    real = [trace.read(x) for x in given]
    stand_ins = [fresh_input("h", n.type) for n in real]
    trace.standing.update(zip(stand_ins, real))
    before = dict(trace.values)
    out, found = tree.flatten(call(*_filled(structure, leaves, stand_ins)))
    raw = trace.resolve([trace.read(y) for y in out if isinstance(y, Tensor)])

    def first(*xs: Tensor) -> tuple[Tensor, ...]:
        return (*xs, *(Tensor._of_node(full(0, n.type)) for n in raw))

    def first_back(*values: Any) -> tuple:
        gradients = values[-1]
        return entering(gradients[: len(given)], gradients[len(given) :])

    def second_back(*values: Any) -> tuple:
        gradients = leaving(values[-1])
        return (*gradients, *gradients)

    ways = _tuple(with_custom_vjp(first, first_back, given, "a backward hook"))
    mapped = dict(zip(stand_ins, map(trace.read, ways)))
    trace.end_of(mapped, before)
    ys = [Tensor._of_node(n) for n in trace.substitute(raw, dict(mapped))]
    passed = _tuple(
        with_custom_vjp(
            lambda *values: values[: len(ys)],
            second_back,
            (*ys, *ways[len(given) :]),
            "a backward hook",
        )
    )
    return _filled(found, out, [trace.read(y) for y in passed])


def _tuple(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def _filled(structure: tree.Structure, leaves: Sequence[Any], nodes: Sequence[Node]) -> Any:
    """The nest with traced Tensors of `nodes` in the place of its Tensors."""
    given = iter(nodes)
    filled = [Tensor._of_node(next(given)) if isinstance(x, Tensor) else x for x in leaves]
    return tree.unflatten(structure, filled)


def _print(name: str, effects: Sequence[Any], nodes: Sequence[Node]) -> None:
    """What a derivative prints belongs to the function in which it is taken."""
    if state.trace is None:
        raise fail(
            TraceError,
            f"{name} prints, in a compiled function that is differentiated on the tape",
            instead="jitgrad.grad of the function, or run it in PYNATIVE_MODE",
        )
    given = iter(nodes)
    for effect in effects:
        state.trace.effects.append(effect.at([next(given) for _ in effect.nodes]))


def _closed(
    title: str, outputs: Sequence[Node], stand_ins: Sequence[Node], xs: int, ys: int
) -> tuple[Graph, list[Node]]:
    """A graph of the outputs alone, and the values from around it that it takes besides."""
    order = topological(outputs)
    inside = set(stand_ins)
    for node in order:
        if any(i in inside for i in node.inputs):
            inside.add(node)
    rest: dict[Node, Node] = {}
    users = [n for n in order if n in inside and n not in stand_ins]
    for value in (*(i for n in users for i in n.inputs), *outputs):
        if value not in inside and value.op is not constant_op and value not in rest:
            rest[value] = input_node(f"c{len(rest)}", value.type)
    names = [f"x{i}" for i in range(xs)] + [f"y{i}" for i in range(ys)]
    names += [f"g{i}" for i in range(ys)]
    final = {n: input_node(name, n.type) for n, name in zip(stand_ins, names, strict=True)}
    final.update(rest)
    with builder.recording(None):
        from jitgrad.ir.node import substitute

        return Graph(title, list(final.values()), substitute(outputs, final)), list(rest)
