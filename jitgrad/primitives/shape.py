"""Views and rearrangements: linear ops whose transpose is another of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np

from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.ir.node import Node
from jitgrad.ir.op import Sample, op
from jitgrad.ir.types import DType, TensorType, Type, float16
from jitgrad.primitives.declare import structural, tensor_type, zeros


def _numbers(shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    """Distinct small values of a dtype, for samples."""
    count = math.prod(shape)
    values = (np.arange(count) * 7 % max(count, 1)) - (0 if dtype.kind == "u" else count // 2)
    return values.reshape(shape).astype(dtype.numpy)


def _batch_dims(dims: tuple[int, ...]) -> tuple[int, ...]:
    return (0, *(d + 1 for d in dims))


@structural("elementwise")
class cast:
    """Convert to another dtype, as NumPy's astype. Gradients flow between numbers of one kind
    and from int to float; a cast from float to int has gradient 0.
    """

    def infer(types, attrs) -> Type:
        x, target = tensor_type("cast", types[0]), attrs["dtype"]
        if x.dtype.is_complex and not target.is_complex:
            raise fail(
                DTypeError,
                f"cannot cast {x} to {target}",
                why="the imaginary part would be lost",
                instead="take ops.real(x), ops.imag(x) or ops.abs(x)",
            )
        return x.with_dtype(target)

    def numpy(x, dtype):
        if dtype is float16:  # through float32, as kernels do, which compute in it
            x = x.astype(np.float32)
        return x.astype(dtype.numpy)

    def vjp(node: Node, cotangent: Node):
        source = node.inputs[0].dtype
        if not _cast_is_smooth(source, node.dtype):
            return (None,)
        if node.dtype.is_complex and not source.is_complex:
            cotangent = op("real")(cotangent)
        return (cast(cotangent, dtype=source),)

    def jvp(node: Node, tangents):
        (t,) = tangents
        smooth = t is not None and _cast_is_smooth(t.dtype, node.dtype)
        return cast(t, dtype=node.dtype) if smooth else None

    def batch(node: Node, inputs, batched, size: int):
        return cast(inputs[0], dtype=node.dtype)

    def samples(dtype: DType) -> Iterable[Sample]:
        from jitgrad.ir.types import DTYPES

        for other in DTYPES:
            values = (
                np.abs(_numbers((2, 3), dtype)) if other.kind == "u" else _numbers((2, 3), dtype)
            )
            yield Sample((values,), {"dtype": other})


def _cast_is_smooth(source: DType, target: DType) -> bool:
    return "b" not in (source.kind, target.kind) and (not source.is_inexact or target.is_inexact)


@structural("view")
class broadcast:
    """Repeat along new axes: input axis i becomes axis dims[i] of `shape`."""

    linear = True

    def infer(types, attrs) -> Type:
        x, shape, dims = tensor_type("broadcast", types[0]), attrs["shape"], attrs["dims"]
        fits = len(dims) == x.ndim and all(a < b for a, b in itertools.pairwise(dims))
        if not (fits and all(0 <= d < len(shape) for d in dims)) or x.shape != tuple(
            shape[d] for d in dims
        ):
            raise fail(ShapeError, f"cannot broadcast {x} to {shape} along axes {dims}")
        return x.with_shape(shape)

    def numpy(x, shape, dims):
        if not dims:  # one number: what `broadcast_to` does takes ten times as long
            view = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
            view.flags.writeable = False
            return view
        spread = [1] * len(shape)
        for axis, extent in zip(dims, x.shape, strict=True):
            spread[axis] = extent
        return np.broadcast_to(x.reshape(spread), shape)

    def transpose(node: Node, cotangent: Node):
        from jitgrad.primitives.reduce import reduce_sum

        axes = tuple(a for a in range(node.ndim) if a not in node.attrs["dims"])
        return (reduce_sum(cotangent, axes=axes) if axes else cotangent,)

    def batch(node: Node, inputs, batched, size: int):
        shape = (size, *node.attrs["shape"])
        return broadcast(inputs[0], shape=shape, dims=_batch_dims(node.attrs["dims"]))

    def samples(dtype: DType) -> Iterable[Sample]:
        yield Sample((_numbers((3,), dtype),), {"shape": (2, 3), "dims": (1,)})
        yield Sample((_numbers((2,), dtype),), {"shape": (2, 3, 2), "dims": (0,)})
        yield Sample((_numbers((), dtype),), {"shape": (2, 2), "dims": ()})
        yield Sample((_numbers((2,), dtype),), {"shape": (2, 0), "dims": (0,)})


@structural("view")
class reshape:
    """The same elements in C order under another shape."""

    linear = True

    def infer(types, attrs) -> Type:
        x, shape = tensor_type("reshape", types[0]), attrs["shape"]
        if math.prod(shape) != x.size or any(extent < 0 for extent in shape):
            raise fail(
                ShapeError,
                f"cannot reshape {x} to {shape}",
                why=f"{x.size} elements do not fill a shape of {math.prod(shape)}",
            )
        return x.with_shape(shape)

    def numpy(x, shape):
        return x.reshape(shape)

    def transpose(node: Node, cotangent: Node):
        return (reshape(cotangent, shape=node.inputs[0].shape),)

    def batch(node: Node, inputs, batched, size: int):
        return reshape(inputs[0], shape=(size, *node.shape))

    def samples(dtype: DType) -> Iterable[Sample]:
        yield Sample((_numbers((2, 6), dtype),), {"shape": (3, 4)})
        yield Sample((_numbers((1, 1), dtype),), {"shape": ()})
        yield Sample((_numbers((0, 3), dtype),), {"shape": (2, 0)})


@structural("view")
class transpose:
    """Axes in another order: axis i of the result is axis perm[i] of the input."""

    linear = True

    def infer(types, attrs) -> Type:
        x, perm = tensor_type("transpose", types[0]), attrs["perm"]
        if sorted(perm) != list(range(x.ndim)):
            raise fail(ShapeError, f"cannot permute the axes of {x} by {perm}")
        return x.with_shape(tuple(x.shape[p] for p in perm))

    def numpy(x, perm):
        return np.transpose(x, perm)

    def transpose(node: Node, cotangent: Node):
        inverse = tuple(int(p) for p in np.argsort(node.attrs["perm"]))
        return (transpose(cotangent, perm=inverse),)

    def batch(node: Node, inputs, batched, size: int):
        return transpose(inputs[0], perm=_batch_dims(node.attrs["perm"]))

    def samples(dtype: DType) -> Iterable[Sample]:
        yield Sample((_numbers((2, 3), dtype),), {"perm": (1, 0)})
        yield Sample((_numbers((2, 3, 4), dtype),), {"perm": (2, 0, 1)})
        yield Sample((_numbers((), dtype),), {"perm": ()})


@structural("view")
class slice_:
    """Every step-th element from start to before stop, per axis; steps are positive."""

    linear = True

    def infer(types, attrs) -> Type:
        x = tensor_type("slice", types[0])
        triples = list(zip(attrs["starts"], attrs["stops"], attrs["steps"], strict=True))
        fits = len(triples) == x.ndim and all(
            0 <= start <= stop <= extent and step > 0
            for (start, stop, step), extent in zip(triples, x.shape, strict=True)
        )
        if not fits:
            raise fail(ShapeError, f"cannot slice {x} by {triples}")
        return x.with_shape(tuple(len(range(*triple)) for triple in triples))

    def numpy(x, starts, stops, steps):
        return x[tuple(map(slice, starts, stops, steps))]

    def transpose(node: Node, cotangent: Node):
        (x,), at = node.inputs, node.attrs
        steps, interior, high = at["steps"], [], []
        for extent, start, step, count in zip(
            x.shape, at["starts"], steps, node.shape, strict=True
        ):
            interior.append(step - 1)
            high.append(extent - start - (max(count - 1, 0) * step + min(count, 1)))
        return (pad(cotangent, low=at["starts"], high=tuple(high), interior=tuple(interior)),)

    def batch(node: Node, inputs, batched, size: int):
        at = node.attrs
        return slice_(
            inputs[0],
            starts=(0, *at["starts"]),
            stops=(size, *at["stops"]),
            steps=(1, *at["steps"]),
        )

    def samples(dtype: DType) -> Iterable[Sample]:
        x = _numbers((5, 4), dtype)
        yield Sample((x,), {"starts": (1, 0), "stops": (4, 4), "steps": (1, 3)})
        yield Sample((x,), {"starts": (0, 1), "stops": (5, 4), "steps": (2, 2)})
        yield Sample((x,), {"starts": (2, 0), "stops": (2, 4), "steps": (1, 1)})


@structural("view")
class flip:
    """Reverse the order along `axes`."""

    linear = True

    def infer(types, attrs) -> Type:
        x = tensor_type("flip", types[0])
        if any(not 0 <= a < x.ndim for a in attrs["axes"]):
            raise fail(ShapeError, f"cannot flip axes {attrs['axes']} of {x}")
        return x

    def numpy(x, axes):
        return np.flip(x, axes)

    def transpose(node: Node, cotangent: Node):
        return (flip(cotangent, axes=node.attrs["axes"]),)

    def batch(node: Node, inputs, batched, size: int):
        return flip(inputs[0], axes=tuple(a + 1 for a in node.attrs["axes"]))

    def samples(dtype: DType) -> Iterable[Sample]:
        yield Sample((_numbers((2, 3), dtype),), {"axes": (1,)})
        yield Sample((_numbers((2, 3), dtype),), {"axes": (0, 1)})


@structural("call")
class pad:
    """Zeros around (`low`, `high`) and between (`interior`) the elements, per axis."""

    linear = True

    def infer(types, attrs) -> Type:
        x = tensor_type("pad", types[0])
        widths = list(zip(attrs["low"], attrs["high"], attrs["interior"], strict=True))
        if len(widths) != x.ndim or any(w < 0 for row in widths for w in row):
            raise fail(ShapeError, f"cannot pad {x} by {widths}")
        return x.with_shape(
            tuple(
                low + high + n + max(n - 1, 0) * between
                for n, (low, high, between) in zip(x.shape, widths, strict=True)
            )
        )

    def numpy(x, low, high, interior):
        shape = tuple(
            a + b + n + max(n - 1, 0) * i
            for n, a, b, i in zip(x.shape, low, high, interior, strict=True)
        )
        out = np.zeros(shape, x.dtype)
        if x.size:
            spans = zip(x.shape, low, interior, strict=True)
            out[tuple(slice(a, a + (n - 1) * (i + 1) + 1, i + 1) for n, a, i in spans)] = x
        return out

    def transpose(node: Node, cotangent: Node):
        (x,), at = node.inputs, node.attrs
        steps = tuple(i + 1 for i in at["interior"])
        stops = tuple(
            low + (max(n - 1, 0) * step + min(n, 1))
            for n, low, step in zip(x.shape, at["low"], steps, strict=True)
        )
        return (slice_(cotangent, starts=at["low"], stops=stops, steps=steps),)

    def batch(node: Node, inputs, batched, size: int):
        return pad(inputs[0], **{name: (0, *widths) for name, widths in node.attrs.items()})

    def samples(dtype: DType) -> Iterable[Sample]:
        x = _numbers((2, 3), dtype)
        yield Sample((x,), {"low": (1, 0), "high": (0, 2), "interior": (0, 0)})
        yield Sample((x,), {"low": (0, 1), "high": (1, 0), "interior": (2, 1)})
        yield Sample((x[:0],), {"low": (1, 0), "high": (1, 0), "interior": (0, 0)})


@structural("call")
class concat:
    """Join along `axis`."""

    linear = True

    def infer(types, attrs) -> Type:
        axis = attrs["axis"]
        first = tensor_type("concat", types[0])
        rest = [tensor_type("concat", t) for t in types]

        def frame(t: TensorType):
            return t.dtype, t.shape[:axis], t.shape[axis + 1 :]

        if not 0 <= axis < first.ndim or any(frame(t) != frame(first) for t in rest):
            listed = ", ".join(map(str, types))
            raise fail(
                ShapeError,
                f"cannot concat {listed} along axis {axis}",
                why="dtypes and all other extents must agree",
            )
        total = sum(t.shape[axis] for t in rest)
        return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))

    def numpy(*arrays, axis):
        return np.concatenate(arrays, axis)

    def transpose(node: Node, cotangent: Node):
        axis, at, parts = node.attrs["axis"], 0, []
        ones = (1,) * node.ndim
        for x in node.inputs:
            starts, stops = [0] * node.ndim, list(node.shape)
            starts[axis], stops[axis] = at, at + x.shape[axis]
            at = stops[axis]
            parts.append(slice_(cotangent, starts=tuple(starts), stops=tuple(stops), steps=ones))
        return tuple(parts)

    def batch(node: Node, inputs, batched, size: int):
        spread = [x if is_in else lead(x, size) for x, is_in in zip(inputs, batched, strict=True)]
        return concat(*spread, axis=node.attrs["axis"] + 1)

    def samples(dtype: DType) -> Iterable[Sample]:
        a, b = _numbers((2, 3), dtype), _numbers((2, 1), dtype)
        yield Sample((a, b), {"axis": 1})
        yield Sample((a, a[:0], a), {"axis": 0})


@structural("leaf")
class iota:
    """0, 1, 2, … along `axis` of a shape."""

    vjp = None

    def infer(types, attrs) -> Type:
        return TensorType(attrs["dtype"], attrs["shape"])

    def numpy(shape, axis, dtype):
        spread = [1] * len(shape)
        spread[axis] = shape[axis]
        return np.broadcast_to(np.arange(shape[axis], dtype=dtype.numpy).reshape(spread), shape)

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.kind != "b":
            yield Sample((), {"shape": (2, 3), "axis": 1, "dtype": dtype})


def lead(x: Node, size: int) -> Node:
    """Repeat along a new leading axis."""
    return broadcast(x, shape=(size, *x.shape), dims=tuple(range(1, x.ndim + 1)))


def transpose_last(x: Node) -> Node:
    """Swap the last two axes."""
    order = tuple(range(x.ndim))
    return transpose(x, perm=(*order[:-2], order[-1], order[-2]))


def swaps_last(node: Node) -> bool:
    """Whether a node swaps the last two axes, and does nothing else."""
    if node.op is not transpose or node.ndim < 2:
        return False
    n = node.ndim
    return node.attrs["perm"] == (*range(n - 2), n - 1, n - 2)


def iota_of(shape: tuple[int, ...], axis: int, dtype: DType) -> Node:
    """An `iota` node (the op has no inputs to take a type from)."""
    from jitgrad.ir.node import builder

    return builder.make(iota, (), {"shape": shape, "axis": axis, "dtype": dtype})


__all__ = [
    "broadcast", "cast", "concat", "flip", "iota", "iota_of", "lead", "pad", "reshape",
    "slice_", "swaps_last", "transpose", "transpose_last", "zeros",
]  # fmt: skip
