"""Nodes and graphs: pure, typed, immutable, interned.

A node is an op applied to nodes. The `Builder` keeps one node for each (op, inputs, attrs), so
structural equality is identity and common subexpressions cannot exist twice. Where a node came
from is kept beside the graph (`Graph.locs`), outside equality.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jitgrad import locks
from jitgrad.errors import IRError
from jitgrad.ir.op import Attrs, Op, register
from jitgrad.ir.types import DType, TapeType, TensorType, TupleType, Type
from jitgrad.locate import Location
from jitgrad.quiet import Quiet


class Constant:
    """A NumPy array as an attribute: read-only, compared bit by bit (so nan equals nan)."""

    __slots__ = ("_key", "array")

    def __init__(self, array: np.ndarray):
        if not (array.flags.c_contiguous and not array.flags.writeable):
            array = np.array(array, order="C", copy=True)
            array.setflags(write=False)
        self.array = array
        self._key = (array.dtype.str, array.shape, array.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Constant({self.array!r})"


if TYPE_CHECKING:

    class _Operator:
        def __call__(self, other: Any) -> Node: ...


class Node:
    """One value of a graph. `type` is a TensorType, or a TupleType for several results.

    Arithmetic operators build nodes (installed by `jitgrad.primitives`); operands must have one
    type, except Python numbers, which become constants of the other operand's type.
    """

    __slots__ = ("__weakref__", "attrs", "inputs", "op", "settled", "type")
    op: Op
    inputs: tuple[Node, ...]
    attrs: Attrs
    type: Any
    settled: int  # what is known to leave it alone, see `rebuild`

    if TYPE_CHECKING:  # the operators that `jitgrad.primitives` installs
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _Operator()
        __truediv__ = __rtruediv__ = __and__ = __rand__ = __or__ = __ror__ = _Operator()
        __lt__ = __le__ = __gt__ = __ge__ = _Operator()

        def __neg__(self) -> Node: ...

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    def __repr__(self) -> str:
        return f"<{self.op.name} : {self.type}>"

    def __bool__(self) -> bool:
        raise TypeError("a node of a graph has no truth value; compare nodes with 'is'")

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a node cannot be iterated; use project(node, index)")


class Builder:
    """The intern table of nodes, and the provenance of the nodes being made."""

    def __init__(self) -> None:
        self._table: weakref.WeakValueDictionary[tuple, Node] = weakref.WeakValueDictionary()
        self._lock = locks.leaf()
        self._provenance = threading.local()

    def make(self, op: Op, inputs: tuple[Node, ...], attrs: Attrs) -> Node:
        """The one node for (op, inputs, attrs); its type is inferred when it is first made."""
        items = tuple(sorted(attrs.items())) if len(attrs) > 1 else tuple(attrs.items())
        key = (op, inputs, items)
        node = self._table.get(key)
        if node is None:
            inferred = op.infer(tuple([n.type for n in inputs]), attrs)
            with self._lock:
                node = self._table.get(key)
                if node is None:
                    node = Node.__new__(Node)
                    node.op, node.inputs, node.attrs, node.type = op, inputs, dict(items), inferred
                    node.settled = 0
                    self._table[key] = node
        note = getattr(self._provenance, "note", None)
        if note is not None:
            note(node)
        return node

    @contextlib.contextmanager
    def recording(self, note: Callable[[Node], None] | None) -> Iterator[None]:
        """Call `note(node)` for every node made in the block (by this thread)."""
        before = getattr(self._provenance, "note", None)
        self._provenance.note = note
        try:
            yield
        finally:
            self._provenance.note = before


builder = Builder()


def make_from(op: Op, inputs: Sequence[Any], attrs: Attrs) -> Node:
    """`builder.make` for operands that may be Python numbers."""
    if all(type(x) is Node for x in inputs):
        return builder.make(op, tuple(inputs), attrs)
    nodes_given = [x for x in inputs if isinstance(x, Node)]
    numbers_given = [x for x in nodes_given if x.dtype.kind != "b"]
    like = next(iter(numbers_given or nodes_given), None)
    if like is None:
        for x in inputs:
            if hasattr(x, "applied"):  # a variable of `ir.pattern`: record what is done to it
                return x.applied(op, inputs, attrs)
        raise IRError(f"{op.name} needs at least one node among its operands, got {inputs!r}")
    nodes = tuple(x if isinstance(x, Node) else full(x, like.type) for x in inputs)
    return builder.make(op, nodes, attrs)


# --- leaves and projection: the ops that the IR itself needs ------------------------------------


def _input_type(types: tuple[Type, ...], attrs: Attrs) -> Type:
    return attrs["type"]


def _constant_type(types: tuple[Type, ...], attrs: Attrs) -> Type:
    value, shape = attrs["value"], attrs["shape"]
    if value.array.shape not in ((), shape):
        raise IRError(f"a constant of shape {shape} cannot hold {value.array.shape} values")
    from jitgrad.ir.types import BY_NUMPY

    return TensorType(BY_NUMPY[value.array.dtype], shape)


def _project_type(types: tuple[Type, ...], attrs: Attrs) -> Type:
    (of,) = types
    if not isinstance(of, TupleType) or not 0 <= attrs["index"] < len(of.items):
        raise IRError(f"project {{index={attrs['index']}}} of {of}")
    return of.items[attrs["index"]]


def _constant_numpy(value: Constant, shape: tuple[int, ...]) -> np.ndarray:
    array = value.array
    if array.shape == shape:
        return array
    return np.ndarray(shape, array.dtype, array, 0, (0,) * len(shape))  # `broadcast_to`, quicker


def _project_numpy(parts: Any, index: int) -> np.ndarray:
    return parts[index]


def _no_value(**attrs: Any) -> Any:
    raise IRError("an input has no value of its own")


def _project_jvp(node: Node, tangents: tuple[Any, ...]) -> Any:
    return tangents[0][node.attrs["index"]] if tangents[0] is not None else None


input_op = register(Op("input", "leaf", _input_type, _no_value, doc="A graph's input."))
constant_op = register(
    Op("constant", "leaf", _constant_type, _constant_numpy, doc="A literal, or one repeated.")
)
project_op = register(
    Op("project", "tuple", _project_type, _project_numpy, jvp=_project_jvp, doc="One result.")
)

_serial = itertools.count()


def input_node(name: str, type: TensorType | TapeType) -> Node:
    """An input of a graph. Inputs of one name and type are one node, whatever the graph."""
    return builder.make(input_op, (), {"name": name, "type": type})


def fresh_input(stem: str, type: TensorType | TapeType) -> Node:
    """An input that no other code can have: a placeholder to be substituted later."""
    return input_node(f"{stem}'{next(_serial)}", type)


def constant(array: Any, dtype: DType | None = None) -> Node:
    """A constant of an array's own shape."""
    array = np.asarray(array, dtype.numpy if dtype else None)
    return builder.make(constant_op, (), {"value": Constant(array), "shape": array.shape})


def full(value: Any, type: TensorType) -> Node:
    """One number repeated over a type: a *splat*, which costs nothing in code."""
    if isinstance(value, (int, float)):
        scalar = _number(value, math.copysign(1.0, value) if value == 0 else 0.0, type.dtype)
    else:
        scalar = _scalar(value, type.dtype)
    return builder.make(constant_op, (), {"value": scalar, "shape": type.shape})


def _scalar(value: Any, dtype: DType) -> Constant:
    with Quiet():  # a double beyond float32 is inf there, as in NumPy
        return Constant(np.asarray(value).astype(dtype.numpy))


@functools.lru_cache(maxsize=1024, typed=True)  # 1 is not 1.0
def _number(value: int | float, sign: float, dtype: DType) -> Constant:
    """A Python number; the `sign` of a zero tells 0.0 from -0.0, which are equal."""
    return _scalar(value, dtype)


def project(node: Node, index: int) -> Node:
    """Result `index` of a node with several results."""
    return builder.make(project_op, (node,), {"index": index})


def splat(node: Node) -> np.ndarray | None:
    """The number that a constant repeats (a 0-d array), or None."""
    if node.op is not constant_op:
        return None
    array = node.attrs["value"].array
    return array if array.ndim == 0 else None


# --- graphs -------------------------------------------------------------------------------------


def readers_of(graph: Graph) -> dict[Node, list[Node]]:
    """The nodes that read each value, as often as they do; what nobody reads is left out."""
    found: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        for x in node.inputs:
            found.setdefault(x, []).append(node)
    return found


def topological(outputs: Iterable[Node], stop: Mapping[Node, Any] | None = None) -> list[Node]:
    """All nodes below `outputs`, inputs before users, without recursion.

    Nodes in `stop` are listed but not entered.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Node | None] = [*outputs]
    stack.reverse()
    while stack:
        node = stack.pop()
        if node is None:  # all inputs of the node below are listed
            order.append(stack.pop())  # type: ignore[arg-type]
        elif node not in seen:
            seen.add(node)
            inputs = node.inputs
            if not inputs or (stop is not None and node in stop):
                order.append(node)
            else:
                stack += (node, None, *inputs[::-1])
    return order


class Graph:
    """A function from inputs to outputs. Interned like nodes; `locs` maps nodes to user lines."""

    __slots__ = ("__weakref__", "_nodes", "inputs", "locs", "name", "outputs")
    _table: weakref.WeakValueDictionary[tuple, Graph] = weakref.WeakValueDictionary()
    _lock = locks.leaf()
    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    locs: Mapping[Node, Location]
    _nodes: tuple[Node, ...]

    def __new__(
        cls,
        name: str,
        inputs: Sequence[Node],
        outputs: Sequence[Node],
        locs: Mapping[Node, Location] | None = None,
    ) -> Graph:
        nodes = tuple(topological((*inputs, *outputs)))
        places = tuple(map(locs.get, nodes)) if locs else ()
        if not any(places):
            places = ()
        key = (name, tuple(inputs), tuple(outputs), places)
        with cls._lock:
            found = cls._table.get(key)
            if found is None:
                found = super().__new__(cls)
                found.name, found.inputs, found.outputs = name, key[1], key[2]
                found.locs = {n: at for n, at in zip(nodes, places) if at is not None}
                found._nodes = nodes
                cls._table[key] = found
        return found

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, inputs first, then each after what it uses."""
        return self._nodes

    def replace(
        self, outputs: Sequence[Node], locs: Mapping[Node, Location] | None = None
    ) -> Graph:
        """The same inputs with other outputs."""
        return Graph(self.name, self.inputs, outputs, locs if locs is not None else self.locs)

    def __str__(self) -> str:
        from jitgrad.ir.text import print_graph

        return print_graph(self)

    def __repr__(self) -> str:
        types = ", ".join(str(o.type) for o in self.outputs)
        return f"<graph @{self.name} {len(self.nodes)} nodes -> ({types})>"


Rewrite = Callable[[Node, tuple[Node, ...]], Node]


def with_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node itself on other inputs."""
    if node.inputs is inputs or node.inputs == inputs:  # nodes are equal if they are one
        return node
    return builder.make(node.op, inputs, node.attrs)


_bits = itertools.count()


def settling() -> int:
    """A new number to give to `rebuild` with one rewrite."""
    return 1 << next(_bits)


def rebuild(graph: Graph, rewrite: Rewrite, settled: int = 0) -> Graph:
    """Map every node, given its already mapped inputs, and carry locations along.

    `settled` is for rewrites that look at nothing but a node and what it is made of, and leave
    alone what they have made: no node is rewritten twice, whatever graph it is in.
    """
    changed: dict[Node, Node] = {}  # most passes leave most nodes alone
    locs: dict[Node, Location] = {}
    known = graph.locs
    here: Location | None = None

    def note(node: Node) -> None:
        if here is not None and node not in known:
            locs.setdefault(node, here)

    with builder.recording(note):
        for node in graph.nodes:
            if node.op is input_op:
                continue
            inputs = node.inputs
            if changed:
                for i in inputs:
                    if i in changed:
                        inputs = tuple([changed.get(i, i) for i in inputs])
                        break
            if node.settled & settled and inputs is node.inputs:
                continue
            here = known.get(node)
            new = rewrite(node, inputs)
            new.settled |= settled
            if new is not node:
                changed[node] = new
    if not changed:
        return graph
    return graph.replace([changed.get(o, o) for o in graph.outputs], {**known, **locs})


def substitute(outputs: Sequence[Node], mapping: Mapping[Node, Node]) -> list[Node]:
    """The outputs with some nodes replaced by others."""
    mapped: dict[Node, Node] = dict(mapping)
    for node in topological(outputs, stop=mapping):
        if node not in mapped:
            mapped[node] = with_inputs(node, tuple([mapped[i] for i in node.inputs]))
    return [mapped[o] for o in outputs]


def inline(graph: Graph, arguments: Sequence[Node]) -> list[Node]:
    """The graph's outputs with `arguments` in the place of its inputs."""
    return substitute(graph.outputs, dict(zip(graph.inputs, arguments, strict=True)))
