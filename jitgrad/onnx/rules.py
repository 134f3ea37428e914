"""What each op of our graphs is in ONNX: a table of rules.

A rule takes the writer, the node and the names of its operands, and returns the name of its result,
or a list of names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad.errors import TraceError, fail
from jitgrad.ir.interp import evaluate
from jitgrad.ir.node import Node
from jitgrad.locate import Location
from jitgrad.primitives.flow import COUNT, FLAG, inner, parts

Names = Sequence[str]
Where = Location | None
Rule = Callable[[Any, Node, Names, Where], Any]


def _plain(kind: str, **attrs: Any) -> Rule:
    return lambda w, node, x, where: w.node(kind, x, **attrs)


def _number(w: Any, node: Node, value: float) -> str:
    """A number in the dtype of a node's first operand."""
    return w.constant(value, node.inputs[0].dtype.numpy)


def _composite(make: Callable[..., str]) -> Rule:
    """A rule written as an expression: of a function that adds nodes, operands and numbers."""

    def rule(w: Any, node: Node, x: Names, where: Where) -> str:
        def add(kind: str, *inputs: str, **attrs: Any) -> str:
            return w.node(kind, inputs, **attrs)

        return make(w, add, x, lambda value: _number(w, node, value))

    return rule


PLAIN = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "pow": "Pow",
    "minimum": "Min", "maximum": "Max", "abs": "Abs", "sign": "Sign", "floor": "Floor",
    "ceil": "Ceil", "rint": "Round", "relu": "Relu", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan",
    "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "sigmoid": "Sigmoid", "erf": "Erf", "equal": "Equal", "less": "Less",
    "less_equal": "LessOrEqual", "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
    "logical_not": "Not", "isnan": "IsNaN", "isinf": "IsInf", "select": "Where",
    "matmul": "MatMul", "det": "Det", "stop_gradient": "Identity", "bit_and": "BitwiseAnd",
    "bit_or": "BitwiseOr", "bit_xor": "BitwiseXor", "bit_not": "BitwiseNot",
}  # fmt: skip

COMPOSITE: dict[str, Callable[..., str]] = {
    "not_equal": lambda w, add, x, n: add("Not", add("Equal", *x)),
    "isfinite": lambda w, add, x, n: add("Not", add("Or", add("IsNaN", *x), add("IsInf", *x))),
    "rsqrt": lambda w, add, x, n: add("Reciprocal", add("Sqrt", *x)),
    "exp2": lambda w, add, x, n: add("Pow", n(2), *x),
    "expm1": lambda w, add, x, n: add("Sub", add("Exp", *x), n(1)),
    "log1p": lambda w, add, x, n: add("Log", add("Add", n(1), *x)),
    "log2": lambda w, add, x, n: add("Div", add("Log", *x), n(math.log(2))),
    "log10": lambda w, add, x, n: add("Div", add("Log", *x), n(math.log(10))),
    "erfc": lambda w, add, x, n: add("Sub", n(1), add("Erf", *x)),
    "trunc": lambda w, add, x, n: add("Mul", add("Sign", *x), add("Floor", add("Abs", *x))),
    "fmod": lambda w, add, x, n: add("Mod", *x, fmod=1),
}


def _floor_divided(w: Any, node: Node, x: Names, where: Where) -> str:
    if node.dtype.is_float:
        return w.node("Floor", [w.node("Div", x)])
    return w.node("Div", [w.node("Sub", [x[0], w.node("Mod", x)]), x[1]])


def _remainder(w: Any, node: Node, x: Names, where: Where) -> str:
    if not node.dtype.is_float:
        return w.node("Mod", x)
    return w.node("Sub", [x[0], w.node("Mul", [x[1], w.node("Floor", [w.node("Div", x)])])])


# --- values that are known, and shapes ----------------------------------------------------------


def _leaf(w: Any, node: Node, x: Names, where: Where) -> str:
    """A constant; one number repeated stays one number."""
    array = np.asarray(evaluate(node, []))
    flat = array.reshape(-1)
    if array.size <= 16 or not (flat == flat[0]).all():
        return w.constant(array, array.dtype)
    value = w.package.numpy_helper.from_array(flat[:1].copy())
    return w.node("ConstantOfShape", [w.constant(array.shape)], value=value)


def _broadcast(w: Any, node: Node, x: Names, where: Where) -> str:
    spread = [1] * node.ndim
    for axis, extent in zip(node.attrs["dims"], node.inputs[0].shape, strict=True):
        spread[axis] = extent
    wide = w.node("Reshape", [x[0], w.constant(spread)], allowzero=1)
    return w.node("Expand", [wide, w.constant(node.shape)])


def _reshape(w: Any, node: Node, x: Names, where: Where) -> str:
    return w.node("Reshape", [x[0], w.constant(node.shape)], allowzero=1)


def _slice(w: Any, node: Node, x: Names, where: Where) -> str:
    at, axes = node.attrs, range(node.ndim)
    given = (at["starts"], at["stops"], list(axes), at["steps"])
    return w.node("Slice", [x[0], *map(w.constant, given)])


def _flip(w: Any, node: Node, x: Names, where: Where) -> str:
    axes = node.attrs["axes"]
    past = np.iinfo(np.int64).min
    given = ([-1] * len(axes), [past] * len(axes), list(axes), [-1] * len(axes))
    return w.node("Slice", [x[0], *map(w.constant, given)])


def _pad(w: Any, node: Node, x: Names, where: Where) -> str:
    at, source = node.attrs, x[0]
    shape = list(node.inputs[0].shape)
    for axis, gap in enumerate(at["interior"]):
        if gap:  # zeros between the elements: behind each of them, and a few too many at the end
            shape.insert(axis + 1, 1)
            source = w.node("Reshape", [source, w.constant(shape)], allowzero=1)
            ends = [0] * (2 * len(shape))
            ends[len(shape) + axis + 1] = gap
            source = w.node("Pad", [source, w.constant(ends)])
            extent = shape[axis] * (1 + gap)
            shape[axis : axis + 2] = [extent]
            source = w.node("Reshape", [source, w.constant(shape)], allowzero=1)
    high = [h - gap for h, gap in zip(at["high"], at["interior"], strict=True)]
    return w.node("Pad", [source, w.constant([*at["low"], *high])])


def _cast(w: Any, node: Node, x: Names, where: Where) -> str:
    return w.node("Cast", x, to=w.dtype(node.dtype.numpy))


def _take(w: Any, node: Node, x: Names, where: Where) -> str:
    return w.node("Gather", x, axis=0)


def _scatter(w: Any, node: Node, x: Names, where: Where) -> str:
    """Rows combined with those of a Tensor. Rows that are set must be different ones."""
    base, at, updates = x
    at = w.node("Cast", [at], to=w.dtype(np.int64))
    wide = w.node("Reshape", [at, w.constant([*node.inputs[1].shape, 1])], allowzero=1)
    how = node.attrs["mode"].replace("set", "none")
    return w.node("ScatterND", [base, wide, updates], reduction=how)


def _sort(w: Any, node: Node, x: Names, where: Where) -> list[str]:
    at = node.attrs
    extent = w.constant([node.inputs[0].shape[at["axis"]]])
    values, places = w.nodes_of(
        "TopK", [x[0], extent], 2, axis=at["axis"], largest=int(at["descending"])
    )
    return [values, w.node("Cast", [places], to=w.dtype(at["dtype"].numpy))]


# --- reductions and windows ---------------------------------------------------------------------


def _reduce(kind: str) -> Rule:
    def rule(w: Any, node: Node, x: Names, where: Where) -> str:
        return w.node(kind, [x[0], w.constant(node.attrs["axes"])], keepdims=0)

    return rule


def _truth(kind: str) -> Rule:
    """any and all, as the largest and the smallest of zeros and ones."""

    def rule(w: Any, node: Node, x: Names, where: Where) -> str:
        bits = w.node("Cast", x, to=w.dtype(np.int32))
        found = w.node(kind, [bits, w.constant(node.attrs["axes"])], keepdims=0)
        return w.node("Cast", [found], to=w.dtype(np.bool_))

    return rule


def _best(kind: str) -> Rule:
    def rule(w: Any, node: Node, x: Names, where: Where) -> str:
        found = w.node(kind, x, axis=node.attrs["axis"], keepdims=0)
        return w.node("Cast", [found], to=w.dtype(node.dtype.numpy))

    return rule


def _cumsum(w: Any, node: Node, x: Names, where: Where) -> str:
    axis = w.constant(np.int64(node.attrs["axis"]))
    return w.node("CumSum", [x[0], axis], reverse=int(bool(node.attrs.get("reverse", False))))


def _ends(pad: Sequence[int]) -> list[int]:
    """Top, bottom, left, right as ONNX has them: both starts, both ends."""
    return [pad[0], pad[2], pad[1], pad[3]]


def _conv(w: Any, node: Node, x: Names, where: Where) -> str:
    at = node.attrs
    return w.node(
        *("Conv", x),
        strides=at["stride"], pads=_ends(at["pad"]), dilations=at["dilation"], group=at["groups"],
    )  # fmt: skip


def _conv_input(w: Any, node: Node, x: Names, where: Where) -> str:
    at, kernel = node.attrs, node.inputs[1].shape[2:]
    least = [
        (n - 1) * s + d * (k - 1) + 1 - a - b
        for n, s, d, k, a, b in zip(
            *(node.inputs[0].shape[2:], at["stride"], at["dilation"], kernel),
            *(at["pad"][::2], at["pad"][1::2]),
        )
    ]
    more = [size - smallest for size, smallest in zip(at["size"], least, strict=True)]
    return w.node(
        *("ConvTranspose", x),
        strides=at["stride"], pads=_ends(at["pad"]), dilations=at["dilation"], group=at["groups"],
        output_padding=more,
    )  # fmt: skip


def _max_pool(w: Any, node: Node, x: Names, where: Where) -> str:
    at = node.attrs
    return w.node(
        "MaxPool", x, kernel_shape=at["kernel"], strides=at["stride"], pads=_ends(at["pad"])
    )


def _avg_pool(w: Any, node: Node, x: Names, where: Where) -> str:
    at = node.attrs
    return w.node(
        *("AveragePool", x),
        kernel_shape=at["kernel"], strides=at["stride"], pads=_ends(at["pad"]),
        count_include_pad=int(at["count_include_pad"]),
    )  # fmt: skip


# --- control flow -------------------------------------------------------------------------------


def _loop(w: Any, node: Node, x: Names, where: Where) -> list[str]:
    """A loop of known length as a Scan, which stacks what each iteration gives."""
    at, body = node.attrs, node.attrs["body"]
    if at["test"] is not None or at["counted"] or at["length"] is None:
        return _while(w, node, x, where)
    given, sources = parts(at, tuple(x)), inner(at, body.inputs)
    known = dict(zip(sources.rest, given.rest, strict=True))
    declared = []
    for source in (*sources.carry, sources.count, *sources.slices):
        known[source] = w.fresh("x")
        declared.append(w.info(known[source], source.type))
    backwards = int(at["reverse"])
    numbers = w.constant(np.arange(at["length"])[:: -1 if backwards else 1])
    results, carried = len(body.outputs), len(given.carry)
    return w.nodes_of(
        *("Scan", [*given.carry, numbers, *given.slices], results),
        body=w.body(body, known, declared),
        num_scan_inputs=1 + len(given.slices),
        scan_input_directions=[0] + [backwards] * len(given.slices),
        scan_output_directions=[backwards] * (results - carried),
    )


def _while(w: Any, node: Node, x: Names, where: Where) -> list[str]:
    """A loop of unknown length as a Loop, which also counts its iterations."""
    at, body, test = node.attrs, node.attrs["body"], node.attrs["test"]
    given, sources = parts(at, tuple(x)), inner(at, body.inputs)
    if given.slices or len(body.outputs) > len(given.carry):
        raise fail(
            TraceError,
            "a loop of unknown length that keeps what each iteration gives cannot be exported to"
            " ONNX",
            where=where,
        )

    def goes_on(w: Any, count: str, carry: Names) -> str:
        known = dict(zip(test.inputs, (count, *carry, *given.rest), strict=True))
        w.graph(test, known)
        return known[test.outputs[0]]

    inside, zero = w.inner(), w.constant(np.int64(0))
    number, flag, trips = (w.fresh(name) for name in ("number", "flag", "trips"))
    known = dict(zip(sources.rest, given.rest, strict=True))
    known |= {source: w.fresh("x") for source in (*sources.carry, sources.count)}
    known[sources.count] = number
    declared = [w.info(number, COUNT), w.info(flag, FLAG)]
    declared += [w.info(known[source], source.type) for source in sources.carry]
    inside.graph(body, known)
    found = [known[o] for o in body.outputs]
    after = inside.node("Add", [number, w.constant(np.int64(1))])
    again = flag if test is None else goes_on(inside, after, found)
    results = [inside.node("Identity", [name]) for name in (again, *found, after)]
    types = [FLAG, *(o.type for o in body.outputs), COUNT]
    infos = [w.info(name, type) for name, type in zip(results, types, strict=True)]
    made = w.package.helper.make_graph(
        inside.nodes, "body", [*declared, w.info(trips, COUNT)], infos
    )
    limit = given.count or ("" if at["length"] is None else w.constant(np.int64(at["length"])))
    start = "" if test is None else goes_on(w, zero, given.carry)
    return w.nodes_of("Loop", [limit, start, *given.carry, zero], len(found) + 1, body=made)


def _cond(w: Any, node: Node, x: Names, where: Where) -> list[str]:
    branches = {}
    for ours, theirs in (("then", "then_branch"), ("orelse", "else_branch")):
        graph = node.attrs[ours]
        known = dict(zip(graph.inputs, x[1:], strict=True))
        branches[theirs] = w.body(graph, known, ())
    return w.nodes_of("If", x[:1], len(node.attrs["then"].outputs), **branches)


RULES: dict[str, Rule] = {
    **{name: _plain(kind) for name, kind in PLAIN.items()},
    **{name: _composite(make) for name, make in COMPOSITE.items()},
    "floordiv": _floor_divided,
    "mod": _remainder,
    "constant": _leaf,
    "iota": _leaf,
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": lambda w, node, x, where: w.node("Transpose", x, perm=node.attrs["perm"]),
    "slice": _slice,
    "flip": _flip,
    "pad": _pad,
    "concat": lambda w, node, x, where: w.node("Concat", x, axis=node.attrs["axis"]),
    "cast": _cast,
    "take": _take,
    "scatter": _scatter,
    "sort": _sort,
    "reduce_sum": _reduce("ReduceSum"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_prod": _reduce("ReduceProd"),
    "reduce_any": _truth("ReduceMax"),
    "reduce_all": _truth("ReduceMin"),
    "argmax": _best("ArgMax"),
    "argmin": _best("ArgMin"),
    "cumsum": _cumsum,
    "conv2d": _conv,
    "conv2d_input": _conv_input,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "loop": _loop,
    "cond": _cond,
}
