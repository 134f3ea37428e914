"""What the eager mode does at a call: it computes at once, and leaves a node on the tape.

Both are decided by the types of the operands and by the other arguments. So each kind of call has a
`step`, one function of Tensors. Its text depends on how many operands there are, and that of what
it records on which of them are followed and read again. These functions are called for each op of
a program, so they are written out and compiled by Python: they contain no loops and no choices that
are known.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from jitgrad.frontend import remote
from jitgrad.frontend.prepared import of_graph, prepared
from jitgrad.frontend.pull import Pull, derivative, pull_of
from jitgrad.frontend.tape import NONE, TapeNode, edge_of, followed, serials
from jitgrad.ir.node import Graph, builder
from jitgrad.ir.op import Op, title
from jitgrad.ir.types import TensorType, TupleType
from jitgrad.quiet import QUIET, Quiet, quiet
from jitgrad.runtime.cuda.array import IN_USE
from jitgrad.state import FUNCTIONAL, ON, Leaf, state
from jitgrad.tensor import Tensor

KEPT = 8192  # calls that are known


class Call:
    """All calls of an op on operands of the same types, with the same attributes.

    name     what it computes.
    type     of the result.
    several  whether that is a tuple of results.
    results  the type of each.
    moves    whether all that is computed are views, copied.
    run      computes it: arrays to an array, or several, that share memory with nobody.
    nodes    what records it, by which operands are followed.
    step     all of it: Tensors to a Tensor, or several.
    """

    __slots__ = (
        "attrs", "moves", "name", "nodes", "op", "operands", "results", "run", "several", "step",
        "type",
    )  # fmt: skip

    def __init__(self, op: Op, operands: tuple[TensorType, ...], attrs: dict[str, Any]):
        self.op, self.operands, self.attrs, self.name = op, operands, attrs, title(op, attrs)
        self.type: Any = op.infer(operands, attrs)
        self.several = type(self.type) is TupleType
        self.results: tuple = self.type.items if self.several else (self.type,)
        self.moves = op.kind == "view"
        self.run = prepared(op, operands, attrs, self.results, self.several)
        self._steps()

    def _steps(self) -> None:
        self.nodes: dict[tuple[bool, ...], Callable[..., None]] = {}
        self.step = _step(len(self.operands), self.several, self.moves)(self)

    def recorder(self, needed: tuple[bool, ...]) -> Callable[..., None]:
        """What records a call where the operands marked in `needed` are followed."""
        pull = self.pull(needed) if any(needed) else None
        if not any(needed) or (pull is not None and not pull.targets):
            found = _nothing  # constant in every operand that is followed
        else:
            integers = any(n and not t.dtype.is_float for n, t in zip(needed, self.operands))
            follows = followed(self.results, integers)
            uses = (pull.uses_inputs, pull.uses_results) if pull is not None else ((), ())
            made = _node(*uses, follows, self.several)
            found = made(self.name, self.results, pull)
        self.nodes[needed] = found
        return found

    def pull(self, needed: tuple[bool, ...]) -> Pull | None:
        """The derivative in the operands marked in `needed`; None for an op without one."""
        return pull_of(self.op, self.operands, self.attrs, needed)


class Composite(Call):
    """All calls of a function that is a graph with one result."""

    __slots__ = ("graph",)

    def __init__(self, graph: Graph):
        self.graph, self.name, self.attrs = graph, graph.name, {}
        self.operands = tuple([x.type for x in graph.inputs])
        self.results = (graph.outputs[0].type,)
        (self.type,), self.several = self.results, False
        self.moves = all(node.op.kind == "view" for node in graph.nodes if node.inputs)
        self.run = of_graph(graph, self.moves)
        self._steps()

    def pull(self, needed: tuple[bool, ...]) -> Pull:
        graph = self.graph
        with builder.recording(None):
            return derivative(graph.name, graph.inputs, graph.outputs, needed, graph.outputs)


CALLS: dict[tuple, Call] = {}  # by op, operands, and attributes with their names


def call_of(op: Op, operands: tuple[TensorType, ...], attrs: dict[str, Any]) -> Call:
    """What is known of a call. Errors are not kept."""
    key = (op, *operands, *attrs.items())
    try:
        return CALLS[key]
    except (KeyError, TypeError):  # or an attribute that cannot be a key
        pass
    found = Call(op, operands, attrs)
    try:
        if len(CALLS) >= KEPT:
            CALLS.clear()
        CALLS[key] = found
    except TypeError:
        pass
    return found


# --- the texts ----------------------------------------------------------------------------------

FEW = 6  # operands that are written out; of more there is a list

STEP = """
def bind(call):
    run, type, results, nodes = call.run, call.type, call.results, call.nodes
    def step({operands}):
        if {missing}:
            refuse(call, ({xs}))
        if IN_USE:
            return there(call, ({xs}))
        {compute}
        out = {wrapped}
        if ({followed}) and (mode := state.grad):
            {edge_names} = ({edges})
            needed = ({needed})
            (nodes.get(needed) or call.recorder(needed))(out, ({xs}), edges, mode == ON)
        return out
    return step
"""

COMPUTE = """token = set(QUIET)
        try:
            value = run({arrays})
        finally:
            reset(token)"""

# As `edge_of` does, without a call.
EDGE = (
    "None if {0}._grad_fn is None or (mode == FUNCTIONAL and {0}._grad_fn.__class__ is Leaf"
    " and {0}._grad_fn.parameter) else ({0}._grad_fn, {0}._index)"
)

NODE = """
def bind(label, results, pull):
    def record({out}, xs, edges, strict):
        node = new(TapeNode)
        node.label, node.types, node.pull, node.edges = label, results, pull, edges
        node.serial, node.hooks, node.retained = serial(), NONE, NONE
        {follow}
        node.saved = ({kept})
    return record
"""


@functools.lru_cache(maxsize=256)
def _step(count: int, several: bool, moves: bool) -> Callable[[Call], Callable[..., Any]]:
    """What makes the step of a call with so many operands. If it only `moves` elements, NumPy finds
    nothing to complain of.
    """
    few = count <= FEW

    # The same of each operand (or edge), as elements of a tuple; and whether it holds for one.
    def each(text: str, of: str = "x") -> str:
        if few:
            return "".join([f"{text.format(f'{of}{k}')}, " for k in range(count)])
        return f"*[{text.format(of)} for {of} in {'xs' if of == 'x' else 'edges'}], "

    def either(text: str) -> str:
        if few:
            return " or ".join([text.format(f"x{k}") for k in range(count)]) or "False"
        return f"any([{text.format('x')} for x in xs])"

    one, each_one = "wrap(value, type)", "wrap(v, t) for v, t in zip(value, results, strict=True)"
    compute = "value = run({arrays})" if moves else COMPUTE
    return _bind(
        STEP.format(
            operands=each("{}") if few else "*xs",
            xs=each("{}"),
            missing=either("{}._data is None"),
            compute=compute.format(arrays=each("{}._data")),
            wrapped=f"tuple([{each_one}])" if several else one,
            followed=either("{}._grad_fn is not None"),
            edge_names=f"{each('{}', 'e')} = edges" if few and count else "edges",
            edges=each(EDGE),
            needed=each("{} is not None", "e"),
        )
    )


@functools.lru_cache(maxsize=1024)
def _node(
    inputs: Sequence[int], outputs: Sequence[int], follows: Sequence[int], several: bool
) -> Callable[..., Callable[..., None]]:
    """What makes the recorder of a call whose derivative reads some operands and results again."""

    def kept(held: str, edge: str) -> str:
        return f"({held}, x._data, x._type, x._version, {edge}, strict), "

    def result(k: int) -> str:
        return f"outs[{k}]" if several else "out"

    follow = [f"{result(k)}._grad_fn, {result(k)}._index = node, {k}" for k in follows]
    results = [kept(f"weak(x := {result(k)})", str(k if k in follows else None)) for k in outputs]
    return _bind(
        NODE.format(
            out="outs" if several else "out",
            follow="\n        ".join(follow) or "pass",
            kept="".join([*[kept(f"x := xs[{k}]", f"edges[{k}]") for k in inputs], *results]),
        )
    )


def _bind(text: str) -> Callable[..., Any]:
    found: dict[str, Any] = {}
    exec(text, SCOPE, found)  # made here of names and positions
    return found["bind"]


def _nothing(outputs: Any, inputs: Any, edges: Any, strict: bool) -> None:
    """Record nothing."""


def _refuse(call: Call, inputs: Sequence[Tensor]) -> None:
    """The error for traced Tensors that were kept beyond their trace."""
    for x in inputs:
        x._array(f"given to {call.name}")


def _there(call: Call, inputs: Sequence[Tensor]) -> Any:
    """The step of a call where there is a device: on it, if operands are there."""
    if remote.is_there(inputs):
        outputs = remote.apply(call.op, inputs, call.attrs)
    else:
        with Quiet():
            value = call.run(*[x._data for x in inputs])
        values = value if call.several else (value,)
        outputs = tuple([Tensor._wrap(v, t) for v, t in zip(values, call.results, strict=True)])
        remote.pass_on(inputs, outputs)
    out = outputs if call.several else outputs[0]
    if state.grad:
        edges = tuple([edge_of(x) for x in inputs])
        needed = tuple([edge is not None for edge in edges])
        record = call.nodes.get(needed) or call.recorder(needed)
        record(out, inputs, edges, state.grad == ON)
    return out


SCOPE: dict[str, Any] = {
    "FUNCTIONAL": FUNCTIONAL, "IN_USE": IN_USE, "Leaf": Leaf, "NONE": NONE, "ON": ON,
    "QUIET": QUIET, "TapeNode": TapeNode, "new": object.__new__, "refuse": _refuse,
    "reset": quiet.reset, "serial": serials.__next__, "set": quiet.set, "state": state,
    "there": _there, "weak": weakref.ref, "wrap": Tensor._wrap,
}  # fmt: skip
