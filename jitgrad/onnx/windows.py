"""ONNX's convolutions, poolings and normalizations. Sequences and images; volumes are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, fail
from jitgrad.frontend.dispatch import apply
from jitgrad.onnx.node import Node, Op, tensor
from jitgrad.ops.conv import paddings
from jitgrad.primitives import conv as primitive
from jitgrad.tensor import Tensor

Values = dict[str, Any]
Pair = tuple[int, int]


def _pair(node: Node, name: str, count: int) -> Pair:
    """An attribute of a number an axis; a sequence is an image of one row."""
    values = tuple(node.attrs.get(name, (1,) * count))
    return (1, values[0]) if count == 1 else values  # type: ignore[return-value]


def _image(node: Node, x: Any) -> tuple[Tensor, int]:
    """The operand as images, and how many axes it had besides examples and channels."""
    y = tensor(x)
    if y.ndim not in (3, 4):
        raise fail(
            ArgumentError, f"{node.kind} of shape {list(y.shape)}: only (n, c, l) and images"
        )
    return (ops.expand_dims(y, 2), 1) if y.ndim == 3 else (y, 2)


def _pads(node: Node, count: int, image: Any, kernel: Pair, stride: Pair, gaps: Pair) -> tuple:
    """Top, bottom, left, right."""
    auto = node.attrs.get("auto_pad", "NOTSET")
    if auto == "VALID":
        return (0, 0, 0, 0)
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        top, bottom, left, right = paddings(node.kind, "same", 0, image, kernel, stride, gaps)
        lower = auto == "SAME_LOWER"  # the odd one goes before instead of behind
        return (bottom, top, right, left) if lower else (top, bottom, left, right)
    given = tuple(node.attrs.get("pads", (0,) * (2 * count)))
    if count == 1:
        return (0, 0, *given)
    return (given[0], given[2], given[1], given[3])


def _flat(y: Tensor, count: int) -> Tensor:
    return ops.squeeze(y, 2) if count == 1 else y


def _biased(y: Tensor, x: Sequence[Any]) -> Tensor:
    return y if len(x) < 3 or x[2] is None else ops.bias_add(y, tensor(x[2]))


def _conv(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    y, count = _image(node, x[0])
    w, _ = _image(node, x[1])
    stride, gaps = _pair(node, "strides", count), _pair(node, "dilations", count)
    pads = _pads(node, count, y.shape[2:], w.shape[2:], stride, gaps)
    groups = node.attrs.get("group", 1)
    y = apply(primitive.conv2d, y, w, stride=stride, pad=pads, dilation=gaps, groups=groups)
    return _flat(_biased(y, x), count)


def _conv_transpose(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    y, count = _image(node, x[0])
    w, _ = _image(node, x[1])
    stride, gaps = _pair(node, "strides", count), _pair(node, "dilations", count)
    if node.attrs.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in node.attrs:
        raise fail(ArgumentError, "ConvTranspose by auto_pad or output_shape is not there")
    more = node.attrs.get("output_padding", (0,) * count)
    more = (0, more[0]) if count == 1 else tuple(more)
    pads = _pads(node, count, y.shape[2:], w.shape[2:], stride, gaps)
    size = tuple(
        (n - 1) * s + d * (k - 1) + 1 + m - a - b
        for n, s, d, k, m, a, b in zip(
            y.shape[2:], stride, gaps, w.shape[2:], more, pads[::2], pads[1::2]
        )
    )
    y = apply(
        primitive.conv2d_input,
        *(y, w),
        stride=stride,
        pad=pads,
        dilation=gaps,
        groups=node.attrs.get("group", 1),
        size=size,
    )
    return _flat(_biased(y, x), count)


def _pooled(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    y, count = _image(node, x[0])
    kernel, stride = _pair(node, "kernel_shape", count), _pair(node, "strides", count)
    gaps = _pair(node, "dilations", count)
    pads, ceil = _pads(node, count, y.shape[2:], kernel, stride, gaps), node.attrs.get("ceil_mode")
    if node.kind == "MaxPool":
        if len(node.outputs) > 1:
            raise fail(ArgumentError, "MaxPool with indices is not there")
        y = ops.max_pool2d(y, kernel, stride, pads, gaps, False, bool(ceil))
    else:
        counted = bool(node.attrs.get("count_include_pad", 0))
        y = ops.avg_pool2d(y, kernel, stride, pads, bool(ceil), counted)
    return _flat(y, count)


def _global(function: Callable[..., Any]) -> Op:
    def op(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
        y = tensor(x[0])
        return function(y, tuple(range(2, y.ndim)), True)

    return op


# --- normalization ------------------------------------------------------------------------------


def _column(value: Any, ndim: int) -> Tensor:
    return ops.reshape(tensor(value), (1, -1, *(1,) * (ndim - 2)))


def _batch_norm(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    if node.attrs.get("training_mode"):
        raise fail(ArgumentError, "BatchNormalization in training mode is not there")
    y, eps = tensor(x[0]), node.attrs.get("epsilon", 1e-5)
    gamma, beta, mean, variance = (_column(v, y.ndim) for v in x[1:5])
    return (y - mean) * ops.rsqrt(variance + eps) * gamma + beta


def _normalized(y: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    apart = y - ops.mean(y, axes, True)
    return apart * ops.rsqrt(ops.mean(apart * apart, axes, True) + eps)


def _instance_norm(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    y = tensor(x[0])
    z = _normalized(y, tuple(range(2, y.ndim)), node.attrs.get("epsilon", 1e-5))
    return z * _column(x[1], y.ndim) + _column(x[2], y.ndim)


def _layer_norm(node: Node, x: Sequence[Any], values: Values, run: Any) -> Any:
    if len([name for name in node.outputs if name]) > 1:
        raise fail(ArgumentError, "LayerNormalization with mean and deviation is not there")
    y = tensor(x[0])
    axes = tuple(range(node.attrs.get("axis", -1) % y.ndim, y.ndim))
    z = _normalized(y, axes, node.attrs.get("epsilon", 1e-5)) * tensor(x[1])
    return z if len(x) < 3 or x[2] is None else z + tensor(x[2])


WINDOWS: dict[str, Op] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _pooled,
    "AveragePool": _pooled,
    "GlobalAveragePool": _global(ops.mean),
    "GlobalMaxPool": _global(ops.amax),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
}
