"""ONNX's ops that make, move and reduce values. What is known stays known: shapes are arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.errors import ArgumentError, fail
from jitgrad.onnx.node import Node, Op, known, limited, tensor
from jitgrad.tensor import Tensor

Values = dict[str, Any]


def _constant(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    if "value" in node.attrs:
        return node.attrs["value"]
    for name, dtype in (("value_float", np.float32), ("value_floats", np.float32),
                        ("value_int", np.int64), ("value_ints", np.int64)):  # fmt: skip
        if name in node.attrs:
            return np.asarray(node.attrs[name], dtype)
    raise fail(ArgumentError, f"a Constant of {sorted(node.attrs)} is not there")


def _filled(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    value = node.attrs.get("value", np.zeros(1, np.float32))
    shape = limited(node, known(node, x[0], "shape"), value.itemsize)
    return ops.full(shape, value.reshape(-1)[0].item(), dtype=value.dtype) if shape else value[0]


def _shape(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    start, end = node.attrs.get("start", 0), node.attrs.get("end", None)
    return np.asarray(x[0].shape, np.int64)[start:end]


def _range(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    start, stop, step = (np.asarray(v).item() for v in x if not isinstance(v, Tensor))
    limited(node, [max(0, int((stop - start) / step))], 8)
    return np.arange(start, stop, step, np.asarray(x[0]).dtype)


def _moved(on_tensors: Callable[..., Any], on_arrays: Callable[..., Any]) -> Op:
    """An op whose second operand or attribute says how; arrays stay arrays."""

    def op(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
        function = on_tensors if isinstance(x[0], Tensor) else on_arrays
        return function(node, x)

    return op


def _new_shape(node: Node, x: Sequence[Any]) -> tuple[int, ...]:
    wanted = known(node, x[1], "shape")
    if not node.attrs.get("allowzero"):
        wanted = [n or x[0].shape[i] for i, n in enumerate(wanted)]
    return tuple(wanted)


def _axes(node: Node, x: Sequence[Any], place: int = 1) -> tuple[int, ...] | None:
    """Axes, an operand in newer files and an attribute in older ones."""
    if len(x) > place and x[place] is not None:
        return tuple(known(node, x[place], "axes"))
    return tuple(node.attrs["axes"]) if "axes" in node.attrs else None


def _squeezed(node: Node, x: Sequence[Any]) -> Any:
    axes = _axes(node, x)
    ones = tuple(i for i, n in enumerate(x[0].shape) if n == 1)
    drop = ones if axes is None else tuple(a % x[0].ndim for a in axes)
    return x[0].reshape(tuple(n for i, n in enumerate(x[0].shape) if i not in drop))


def _unsqueezed(node: Node, x: Sequence[Any]) -> Any:
    axes = _axes(node, x) or ()
    ndim = x[0].ndim + len(axes)
    places, sizes = {a % ndim for a in axes}, iter(x[0].shape)
    return x[0].reshape(tuple(1 if i in places else next(sizes) for i in range(ndim)))


def _sliced(node: Node, x: Sequence[Any]) -> Any:
    if len(x) > 1:
        starts, ends = (known(node, v, "bounds") for v in x[1:3])
        steps = known(node, x[4], "steps") if len(x) > 4 and x[4] is not None else None
        axes = _axes(node, x, 3)
    else:
        starts, ends, steps = list(node.attrs["starts"]), list(node.attrs["ends"]), None
        axes = _axes(node, x, 3)
    axes = tuple(range(len(starts))) if axes is None else axes
    y, key = x[0], [slice(None)] * x[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps or [1] * len(starts)):
        extent = y.shape[axis]
        if step > 0:
            key[axis] = slice(start, end, step)
            continue
        start = min(start + extent if start < 0 else start, extent - 1)
        end = max(end + extent if end < 0 else end, -1)
        places = np.arange(start, end, step)
        y = y[(slice(None),) * (axis % y.ndim) + (places,)] if isinstance(y, np.ndarray) else (
            ops.gather(y, Tensor(places), axis)
        )  # fmt: skip
    return y[tuple(key)]


def _gather(node: Node, x: Sequence[Any]) -> Any:
    axis, at = node.attrs.get("axis", 0), x[1]
    if isinstance(at, np.ndarray) and isinstance(x[0], np.ndarray):
        return np.take(x[0], at, axis)
    y, at = tensor(x[0]), tensor(at)
    return ops.gather(y, ops.where(at < 0, at + y.shape[axis], at), axis)


def _split(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    y, axis, count = tensor(x[0]), node.attrs.get("axis", 0), len(node.outputs)
    if len(x) > 1 and x[1] is not None:
        sizes = known(node, x[1], "sizes")
    elif "split" in node.attrs:
        sizes = list(node.attrs["split"])
    else:
        part = -(-y.shape[axis] // count)
        sizes = [min(part, y.shape[axis] - i * part) for i in range(count)]
    places, found = np.cumsum([0, *sizes]), []
    for start, end in itertools.pairwise(places):
        key = [slice(None)] * y.ndim
        key[axis] = slice(int(start), int(end))
        found.append(y[tuple(key)])
    return tuple(found)


def _concat(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    if not any(isinstance(v, Tensor) for v in x):
        return np.concatenate(x, node.attrs["axis"])
    return ops.concat([tensor(v) for v in x], node.attrs["axis"])


def _expand(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    y = tensor(x[0])
    shape = np.broadcast_shapes(tuple(known(node, x[1], "shape")), y.shape)
    return ops.broadcast_to(y, limited(node, shape, y.itemsize))


def _tile(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    y, repeats = tensor(x[0]), known(node, x[1], "repeats")
    limited(node, [n * r for n, r in zip(y.shape, repeats)], y.itemsize)
    return ops.tile(y, tuple(repeats))


def _pad(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    y = tensor(x[0])
    ends = known(node, x[1], "pads") if len(x) > 1 else list(node.attrs["pads"])
    value = np.asarray(x[2]).item() if len(x) > 2 and x[2] is not None else 0
    axes = _axes(node, x, 3) or tuple(range(y.ndim))
    pairs = [(0, 0)] * y.ndim
    for i, axis in enumerate(axes):
        pairs[axis] = (ends[i], ends[len(axes) + i])
    mode = {"edge": "replicate", "wrap": "circular"}.get(*[node.attrs.get("mode", "constant")] * 2)
    limited(node, [n + a + b for n, (a, b) in zip(y.shape, pairs)], y.itemsize)
    return ops.pad(y, tuple(n for pair in reversed(pairs) for n in pair), mode, value)


def _flatten(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    axis = node.attrs.get("axis", 1)
    first = int(np.prod(x[0].shape[:axis]))
    return tensor(x[0]).reshape((first, -1))


def _transpose(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    perm = node.attrs.get("perm") or range(x[0].ndim)[::-1]
    return ops.transpose(tensor(x[0]), tuple(perm))


def _one_hot(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    (depth,), axis = known(node, x[1], "depth"), node.attrs.get("axis", -1)
    off, on = np.asarray(x[2])
    marks = ops.one_hot(tensor(x[0]), depth, axis=axis).astype(on.dtype)
    return marks * (on - off).item() + off.item()


def _elements(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    return ops.gather_elements(tensor(x[0]), node.attrs.get("axis", 0), tensor(x[1]))


# --- reductions ---------------------------------------------------------------------------------


def _reduced(function: Callable[..., Any]) -> Op:
    def op(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
        y, axes = tensor(x[0]), _axes(node, x)
        if not axes:
            if node.attrs.get("noop_with_empty_axes"):
                return y
            axes = tuple(range(y.ndim))
        return function(y, axes, bool(node.attrs.get("keepdims", 1))).astype(y.dtype)

    return op


def _best(function: Callable[..., Any]) -> Op:
    def op(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
        axis, keep = node.attrs.get("axis", 0), bool(node.attrs.get("keepdims", 1))
        y = tensor(x[0])
        y = ops.flip(y, (axis,)) if node.attrs.get("select_last_index") else y
        found = function(y, axis, keep).astype("int64")
        return y.shape[axis] - 1 - found if node.attrs.get("select_last_index") else found

    return op


def _cumsum(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    y, (axis,) = tensor(x[0]), known(node, x[1], "axis")
    turned = ops.flip(y, (axis,)) if node.attrs.get("reverse") else y
    total = ops.cumsum(turned, axis)
    total = total - turned if node.attrs.get("exclusive") else total
    return ops.flip(total, (axis,)) if node.attrs.get("reverse") else total


def _einsum(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    return ops.einsum(node.attrs["equation"], *map(tensor, x))


def _top(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    (count,) = known(node, x[1], "k")
    axis, largest = node.attrs.get("axis", -1), bool(node.attrs.get("largest", 1))
    found, at = ops.sort(tensor(x[0]), axis, largest)
    found, at = (ops.narrow(v, axis, 0, count) for v in (found, at))
    return found, ops.cast(at, "int64")


def _gathered(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    if node.attrs.get("batch_dims"):
        raise fail(ArgumentError, "GatherND of batches is not there")
    return ops.gather_nd(*map(tensor, x))


def _scattered(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    how = node.attrs.get("reduction", "none").replace("none", "update")
    data, at, updates = map(tensor, x)
    return getattr(ops, f"tensor_scatter_{how}")(data, at, updates)


def _scattered_elements(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    axis, how = node.attrs.get("axis", 0), node.attrs.get("reduction", "none")
    return ops.tensor_scatter_elements(*map(tensor, x), axis, how)


def _triangle(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    diagonal = known(node, x[1], "k")[0] if len(x) > 1 and x[1] is not None else 0
    return (ops.triu if node.attrs.get("upper", 1) else ops.tril)(tensor(x[0]), diagonal)


SHAPES: dict[str, Op] = {
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Shape": _shape,
    "Size": lambda node, x, values, run: np.int64(np.prod(x[0].shape)),
    "Range": _range,
    "Reshape": _moved(*[lambda node, x: x[0].reshape(_new_shape(node, x))] * 2),
    "Squeeze": _moved(_squeezed, _squeezed),
    "Unsqueeze": _moved(_unsqueezed, _unsqueezed),
    "Slice": _moved(_sliced, _sliced),
    "Gather": _moved(_gather, _gather),
    "GatherElements": _elements,
    "GatherND": _gathered,
    "ScatterND": _scattered,
    "ScatterElements": _scattered_elements,
    "TopK": _top,
    "Trilu": _triangle,
    "Split": _split,
    "Concat": _concat,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "OneHot": _one_hot,
    "Einsum": _einsum,
    "CumSum": _cumsum,
    "ReduceSum": _reduced(ops.sum),
    "ReduceMean": _reduced(ops.mean),
    "ReduceMax": _reduced(ops.amax),
    "ReduceMin": _reduced(ops.amin),
    "ReduceProd": _reduced(ops.prod),
    "ReduceL1": _reduced(lambda x, axes, keep: ops.sum(ops.abs(x), axes, keep)),
    "ReduceL2": _reduced(lambda x, axes, keep: ops.sqrt(ops.sum(x * x, axes, keep))),
    "ReduceSumSquare": _reduced(lambda x, axes, keep: ops.sum(x * x, axes, keep)),
    "ReduceLogSumExp": _reduced(ops.logsumexp),
    "ArgMax": _best(ops.argmax),
    "ArgMin": _best(ops.argmin),
}
