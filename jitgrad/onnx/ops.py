"""What each of ONNX's ops is here: a table of functions.

A function takes the node, its operands (Tensors, NumPy arrays for what is known, None for what is
left out), all values by name and the function that runs nodes, the last two for bodies of loops and
branches. It returns a result or a tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.errors import ArgumentError, fail
from jitgrad.onnx.node import Node, Op, tensor
from jitgrad.onnx.package import onnx
from jitgrad.onnx.recurrent import RECURRENT
from jitgrad.onnx.shapes import SHAPES
from jitgrad.onnx.windows import WINDOWS
from jitgrad.tensor import Tensor

# --- functions of their operands ----------------------------------------------------------------


def _simple(function: Callable[..., Any], on_arrays: Callable[..., Any] | None = None) -> Op:
    """An op without attributes; on arrays only it is computed at once, if NumPy has it."""

    def op(node: Node, x: Sequence[Any], values: Any, run: Any) -> Any:
        if on_arrays is not None and not any(isinstance(v, Tensor) for v in x):
            return np.asarray(on_arrays(*x))
        return function(*map(tensor, x))

    return op


def _folded(function: Callable[..., Any]) -> Op:
    """Of any number of operands, two at a time."""

    def op(node: Node, x: Sequence[Any], values: Any, run: Any) -> Any:
        total = tensor(x[0])
        for other in x[1:]:
            total = function(total, tensor(other))
        return total

    return op


def _quotient(a: Tensor, b: Tensor) -> Tensor:
    """Of integers it is rounded towards zero."""
    return ops.div(a, b) if a.dtype.is_float else ops.div(a, b, rounding_mode="trunc")


def _quotient_of_arrays(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a / b if a.dtype.kind == "f" else np.trunc(a / b).astype(a.dtype)


SIMPLE: dict[str, Op] = {
    "Add": _simple(ops.add, np.add), "Sub": _simple(ops.sub, np.subtract),
    "Mul": _simple(ops.mul, np.multiply),
    "Div": _simple(_quotient, _quotient_of_arrays),
    "Pow": _simple(lambda a, b: ops.pow(a, b).astype(a.dtype)),
    "Neg": _simple(ops.neg, np.negative),
    "Abs": _simple(ops.abs), "Sign": _simple(ops.sign), "Floor": _simple(ops.floor, np.floor),
    "Ceil": _simple(ops.ceil, np.ceil), "Round": _simple(ops.rint), "Exp": _simple(ops.exp),
    "Log": _simple(ops.log), "Sqrt": _simple(ops.sqrt, np.sqrt),
    "Reciprocal": _simple(ops.reciprocal),
    "Sin": _simple(ops.sin), "Cos": _simple(ops.cos), "Tan": _simple(ops.tan),
    "Asin": _simple(ops.asin), "Acos": _simple(ops.acos), "Atan": _simple(ops.atan),
    "Sinh": _simple(ops.sinh), "Cosh": _simple(ops.cosh), "Tanh": _simple(ops.tanh),
    "Asinh": _simple(ops.asinh), "Acosh": _simple(ops.acosh), "Atanh": _simple(ops.atanh),
    "Sigmoid": _simple(ops.sigmoid), "Erf": _simple(ops.erf), "Relu": _simple(ops.relu),
    "Softplus": _simple(ops.softplus), "Softsign": _simple(ops.softsign),
    "Mish": _simple(ops.mish), "HardSwish": _simple(ops.hardswish),
    "PRelu": _simple(lambda x, slope: ops.where(x < 0, x * slope, x)),
    "Equal": _simple(ops.equal, np.equal), "Less": _simple(ops.less, np.less),
    "LessOrEqual": _simple(ops.less_equal), "Greater": _simple(ops.greater, np.greater),
    "GreaterOrEqual": _simple(ops.greater_equal), "And": _simple(ops.logical_and),
    "Or": _simple(ops.logical_or), "Xor": _simple(ops.logical_xor),
    "Not": _simple(ops.logical_not, np.logical_not), "IsNaN": _simple(ops.isnan),
    "IsInf": _simple(ops.isinf), "Where": _simple(ops.where, np.where),
    "BitwiseAnd": _simple(ops.bitwise_and), "BitwiseOr": _simple(ops.bitwise_or),
    "BitwiseXor": _simple(ops.bitwise_xor), "BitwiseNot": _simple(ops.bitwise_not),
    "MatMul": _simple(ops.matmul), "Det": _simple(ops.det), "Sum": _folded(ops.add),
    "Min": _folded(ops.minimum), "Max": _folded(ops.maximum),
}  # fmt: skip


def _with(function: Callable[..., Any], **defaults: Any) -> Op:
    """An op of one operand and of numbers among the attributes."""

    def op(node: Node, x: Sequence[Any], values: Any, run: Any) -> Any:
        return function(tensor(x[0]), *({**defaults, **node.attrs}[name] for name in defaults))

    return op


def _gelu(x: Tensor, approximate: str) -> Tensor:
    return ops.gelu(x, approximate=approximate)


ACTIVATIONS: dict[str, Op] = {
    "LeakyRelu": _with(ops.leaky_relu, alpha=0.01),
    "Elu": _with(ops.elu, alpha=1.0),
    "Celu": _with(ops.celu, alpha=1.0),
    "Selu": _with(
        lambda x, a, g: g * ops.where(x > 0, x, a * ops.expm1(ops.minimum(x, 0.0))),
        alpha=1.67326319217681884765625, gamma=1.05070102214813232421875,
    ),
    "HardSigmoid": _with(lambda x, a, b: ops.clamp(a * x + b, 0.0, 1.0), alpha=0.2, beta=0.5),
    "Gelu": _with(_gelu, approximate="none"),
    "Softmax": _with(ops.softmax, axis=-1),
    "LogSoftmax": _with(ops.log_softmax, axis=-1),
}  # fmt: skip


def _identity(node: Node, x: Sequence[Any], values: Any, run: Any) -> Any:
    return x[0]


def _cast(node: Node, x: Sequence[Any], values: Any, run: Any) -> Any:
    dtype = onnx().helper.tensor_dtype_to_np_dtype(node.attrs["to"])
    return x[0].astype(dtype) if isinstance(x[0], np.ndarray) else ops.cast(x[0], dtype)


def _clip(node: Node, x: Sequence[Any], values: Any, run: Any) -> Any:
    y = tensor(x[0])
    bounds = [*x[1:], None, None][:2]
    bounds = [
        node.attrs.get(name) if given is None else given
        for given, name in zip(bounds, ("min", "max"))
    ]
    y = y if bounds[0] is None else ops.maximum(y, tensor(bounds[0]).astype(y.dtype))
    return y if bounds[1] is None else ops.minimum(y, tensor(bounds[1]).astype(y.dtype))


def _mod(node: Node, x: Sequence[Any], values: Any, run: Any) -> Any:
    return (ops.fmod if node.attrs.get("fmod") else ops.floor_mod)(*map(tensor, x))


def _gemm(node: Node, x: Sequence[Any], values: Any, run: Any) -> Any:
    a, b = (tensor(v) for v in x[:2])
    a = ops.transpose(a, (1, 0)) if node.attrs.get("transA") else a
    b = ops.transpose(b, (1, 0)) if node.attrs.get("transB") else b
    y, alpha, beta = ops.matmul(a, b), node.attrs.get("alpha", 1.0), node.attrs.get("beta", 1.0)
    y = y if alpha == 1 else y * alpha
    if len(x) < 3 or x[2] is None:
        return y
    return y + (tensor(x[2]) if beta == 1 else tensor(x[2]) * beta)


# --- control flow -------------------------------------------------------------------------------


def _scan(node: Node, x: Sequence[Any], values: dict[str, Any], run: Callable) -> Any:
    nodes, constants, names, outputs = node.attrs["body"]
    scanned = node.attrs["num_scan_inputs"]
    carried = len(x) - scanned
    for name in ("scan_input_axes", "scan_output_axes"):
        if any(node.attrs.get(name, ())):
            raise fail(ArgumentError, f"Scan along another axis than the first: {name}")
    turned = node.attrs.get("scan_input_directions") or [0] * scanned
    back = node.attrs.get("scan_output_directions") or [0] * (len(outputs) - carried)
    rows = [tensor(v) for v in x[carried:]]
    rows = [ops.flip(v, (0,)) if t else v for v, t in zip(rows, turned, strict=True)]

    def step(carry: Any, number: Any) -> Any:
        state, _ = carry
        parts = [ops.gather(v, number, 0) for v in rows]
        inner = {**values, **constants, **dict(zip(names, (*state, *parts), strict=True))}
        run(nodes, inner)
        found = [tensor(inner[name]) for name in outputs]
        return (tuple(found[:carried]), number), tuple(found[carried:])

    first = tuple(tensor(v) for v in x[:carried])
    numbers = ops.arange(rows[0].shape[0])
    (state, _), stacked = ops.scan(step, (first, numbers[0]), numbers)
    stacked = [ops.flip(y, (0,)) if t else y for y, t in zip(stacked, back, strict=True)]
    return (*state, *stacked)


def _loop(node: Node, x: Sequence[Any], values: dict[str, Any], run: Callable) -> Any:
    nodes, constants, names, outputs = node.attrs["body"]
    if len(outputs) != len(x) - 1:
        raise fail(ArgumentError, "Loop that stacks what each iteration gives is not there")
    most = None if x[0] is None else ops.reshape(tensor(x[0]), ())
    start = ops.full((), True) if x[1] is None else ops.reshape(tensor(x[1]), ())

    def goes_on(state: Any) -> Any:
        number, flag, _ = state
        return flag if most is None else ops.logical_and(flag, number < most)

    def step(state: Any) -> Any:
        number, flag, carry = state
        inner = {**values, **constants, **dict(zip(names, (number, flag, *carry), strict=True))}
        run(nodes, inner)
        flag, *carry = (tensor(inner[name]) for name in outputs)
        return number + 1, ops.reshape(flag, ()), tuple(carry)

    first = (ops.zeros((), "int64"), start, tuple(tensor(v) for v in x[2:]))
    return ops.while_loop(goes_on, step, first)[2]


def _if(node: Node, x: Sequence[Any], values: dict[str, Any], run: Callable) -> Any:
    def branch(name: str) -> Callable[[], tuple]:
        nodes, constants, _, outputs = node.attrs[name]

        def call() -> tuple:
            inner = {**values, **constants}
            run(nodes, inner)
            return tuple(tensor(inner[output]) for output in outputs)

        return call

    condition = x[0]
    if isinstance(condition, np.ndarray):
        return branch("then_branch" if condition.all() else "else_branch")()
    condition = ops.reshape(condition, ())
    return ops.cond(condition, branch("then_branch"), branch("else_branch"))


OPS: dict[str, Op] = {
    **SIMPLE,
    **ACTIVATIONS,
    **SHAPES,
    **WINDOWS,
    **RECURRENT,
    "Identity": _identity,
    "Dropout": _identity,
    "Cast": _cast,
    "Clip": _clip,
    "Mod": _mod,
    "Gemm": _gemm,
    "Loop": _loop,
    "Scan": _scan,
    "If": _if,
}
