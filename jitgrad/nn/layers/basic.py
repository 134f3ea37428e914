"""Dense, dropout, embedding, and changes of shape."""

from __future__ import annotations

import math
from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, BoundsError, DTypeError, ShapeError, fail
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ir.types import float32
from jitgrad.nn.activations import as_activation
from jitgrad.nn.cell import Cell
from jitgrad.nn.initializer import HeUniform, Uniform, initializer
from jitgrad.nn.layers.windows import single
from jitgrad.ops.promote import one_of
from jitgrad.tensor import Parameter, Tensor


class Dense(Cell):
    """x @ weight.T + bias: (…, in_channels) to (…, out_channels).

    `weight` has shape (out_channels, in_channels) and starts as HeUniform(sqrt(5)), `bias` uniform
    within 1 / sqrt(in_channels). `activation` is a name or a Cell. TypeError and ValueError for
    arguments of another type or out of range.

    >>> Dense(3, 4)
    Dense(input_channels=3, output_channels=4, has_bias=True)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        weight_init: Any = None,
        bias_init: Any = None,
        has_bias: bool = True,
        activation: Any = None,
        dtype: Any = float32,
    ):
        super().__init__()
        self.in_channels = single("Dense", "in_channels", in_channels)
        self.out_channels = single("Dense", "out_channels", out_channels)
        if not isinstance(has_bias, bool):
            raise fail(DTypeError, f"Dense: has_bias must be a bool, got {has_bias!r}")
        self.has_bias, kind = has_bias, dtype_of(dtype)
        weight_init = HeUniform(math.sqrt(5)) if weight_init is None else weight_init
        shape = (out_channels, in_channels)
        self.weight = Parameter(initializer(weight_init, shape, kind), name="weight")
        self.bias = None
        if has_bias:
            bias_init = Uniform(1 / math.sqrt(in_channels)) if bias_init is None else bias_init
            self.bias = Parameter(initializer(bias_init, (out_channels,), kind), name="bias")
        self.activation = as_activation("Dense", activation)

    def construct(self, x: Tensor) -> Tensor:
        if x.ndim < 1 or x.shape[-1] != self.in_channels:
            raise fail(
                ShapeError,
                f"Dense got an input of shape {list(x.shape)}",
                why=f"its last axis must be in_channels={self.in_channels}",
                instead=f"reshape the input, or make it Dense({x.shape[-1:] or '…'}, …)",
            )
        y = ops.dense(x, self.weight, self.bias)
        return y if self.activation is None else self.activation(y)

    def extend_repr(self) -> str:
        text = f"input_channels={self.in_channels}, output_channels={self.out_channels}"
        text += ", has_bias=True" if self.has_bias else ""
        return text if self.activation is None else f"{text}, activation={self.activation}"


class BiDense(Cell):
    """x1 W x2 + bias: (…, in1_channels) and (…, in2_channels) to (…, out_channels).

    `weight` has shape (out_channels, in1_channels, in2_channels). Weight and bias start uniform
    within 1 / sqrt(in1_channels).

    >>> nn.BiDense(2, 3, 4)(ops.ones((5, 2)), ops.ones((5, 3))).shape
    (5, 4)
    """

    def __init__(
        self,
        in1_channels: int,
        in2_channels: int,
        out_channels: int,
        weight_init: Any = None,
        bias_init: Any = None,
        has_bias: bool = True,
        dtype: Any = float32,
    ):
        super().__init__()
        self.in1_channels = single("BiDense", "in1_channels", in1_channels)
        self.in2_channels = single("BiDense", "in2_channels", in2_channels)
        self.out_channels = single("BiDense", "out_channels", out_channels)
        if not isinstance(has_bias, bool):
            raise fail(DTypeError, f"BiDense: has_bias must be a bool, got {has_bias!r}")
        self.has_bias, kind = has_bias, dtype_of(dtype)
        bound = Uniform(1 / math.sqrt(in1_channels))
        shape = (out_channels, in1_channels, in2_channels)
        values = initializer(bound if weight_init is None else weight_init, shape, kind)
        self.weight, self.bias = Parameter(values, name="weight"), None
        if has_bias:
            values = initializer(bound if bias_init is None else bias_init, shape[:1], kind)
            self.bias = Parameter(values, name="bias")

    def construct(self, input1: Tensor, input2: Tensor) -> Tensor:
        wanted = (self.in1_channels, self.in2_channels)
        if (*input1.shape[-1:], *input2.shape[-1:]) != wanted or input1.ndim != input2.ndim:
            raise fail(
                ShapeError,
                f"BiDense got inputs of shapes {list(input1.shape)} and {list(input2.shape)}",
                why=f"they have equal axes but for the last, of {wanted[0]} and {wanted[1]}",
            )
        rows = ops.reshape(self.weight, (-1, self.in2_channels))
        right = ops.matmul(input2, ops.transpose(rows, (1, 0)))
        right = ops.reshape(right, (*input2.shape[:-1], self.out_channels, self.in1_channels))
        y = ops.sum(right * ops.expand_dims(input1, -2), -1)
        return y if self.bias is None else y + self.bias

    def extend_repr(self) -> str:
        return (
            f"in1_channels={self.in1_channels}, in2_channels={self.in2_channels},"
            f" output_channels={self.out_channels}, has_bias={self.has_bias}"
        )


class Dropout(Cell):
    """In training, zeros for a share `p` of the values and 1 / (1 - p) times the others;
    otherwise the input itself. `keep_prob` is 1 - p, for older code.

    >>> nn.Dropout(p=0.5).set_train(False)(Tensor([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """

    def __init__(
        self, keep_prob: float | None = None, p: float | None = None, dtype: Any = float32
    ):
        super().__init__()
        if keep_prob is not None and p is not None:
            raise fail(ArgumentError, "Dropout takes keep_prob or p, not both")
        if keep_prob is not None:
            if not 0 < keep_prob <= 1:
                raise fail(ArgumentError, f"Dropout: keep_prob must be in (0, 1]: {keep_prob!r}")
            p = 1 - keep_prob
        p = 0.5 if p is None else p
        if isinstance(p, bool) or not isinstance(p, (int, float)):
            raise fail(DTypeError, f"Dropout: p must be a number, got {p!r}")
        if not 0 <= p < 1:
            raise fail(ArgumentError, f"Dropout: p must be in [0, 1), got {p!r}")
        self.p = float(p)

    def construct(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return ops.dropout(x, self.p, True)

    def extend_repr(self) -> str:
        return f"p={self.p}"


class _ChannelDropout(Cell):
    """In training, zeros for whole channels, each with probability p."""

    spatial: int

    def __init__(self, p: float = 0.5):
        super().__init__()
        if not 0 <= p < 1:
            raise fail(ArgumentError, f"{self.cls_name}: p must be in [0, 1), got {p!r}")
        self.p = float(p)

    def construct(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if x.ndim not in (self.spatial + 1, self.spatial + 2):
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it takes examples and channels (or channels) and {self.spatial} axes more",
            )
        kept = x.ndim - self.spatial
        ones = ops.ones((*x.shape[:kept], *(1,) * self.spatial), x.dtype)
        return x * ops.dropout(ones, self.p, True)

    def extend_repr(self) -> str:
        return f"p={self.p}"


class Dropout1d(_ChannelDropout):
    """In training, zeros for whole channels of (n, c, l) or (c, l), each with probability p.

    >>> nn.Dropout1d(p=0.5).set_train(False)(ops.ones((2, 3))).shape
    (2, 3)
    """

    spatial = 1


class Dropout2d(_ChannelDropout):
    """In training, zeros for whole channels of (n, c, h, w), each with probability p.

    >>> nn.Dropout2d(p=0.5).set_train(False)(ops.ones((1, 2, 3, 3))).shape
    (1, 2, 3, 3)
    """

    spatial = 2


class Dropout3d(_ChannelDropout):
    """In training, zeros for whole channels of (n, c, d, h, w), each with probability p.

    >>> nn.Dropout3d(p=0.5).set_train(False)(ops.ones((1, 2, 3, 3, 3))).shape
    (1, 2, 3, 3, 3)
    """

    spatial = 3


class Flatten(Cell):
    """Axes start_dim to end_dim as one; by default all but the first.

    >>> nn.Flatten()(ops.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        for name, value in (("start_dim", start_dim), ("end_dim", end_dim)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise fail(DTypeError, f"Flatten: {name} must be an int, got {value!r}")
        self.start_dim, self.end_dim = start_dim, end_dim

    def construct(self, x: Tensor) -> Tensor:
        if x.ndim == 0:
            return ops.reshape(x, (1,))
        for name, axis in (("start_dim", self.start_dim), ("end_dim", self.end_dim)):
            if not -x.ndim <= axis < max(x.ndim, 2):
                raise fail(BoundsError, f"Flatten: {name}={axis} for shape {list(x.shape)}")
        if x.ndim == 1:
            return x
        first, last = self.start_dim % x.ndim, self.end_dim % x.ndim
        if first > last:
            raise fail(
                ArgumentError, f"Flatten: axis {first} is behind axis {last} in {list(x.shape)}"
            )
        extent = math.prod(x.shape[first : last + 1])
        return ops.reshape(x, (*x.shape[:first], extent, *x.shape[last + 1 :]))


class Unflatten(Cell):
    """One axis as several.

    >>> nn.Unflatten(1, (2, 3))(ops.ones((4, 6))).shape
    (4, 2, 3)
    """

    def __init__(self, axis: int, unflattened_size: Any):
        super().__init__()
        self.axis, self.unflattened_size = axis, tuple(unflattened_size)

    def construct(self, x: Tensor) -> Tensor:
        axis = self.axis % x.ndim
        return ops.reshape(x, (*x.shape[:axis], *self.unflattened_size, *x.shape[axis + 1 :]))


class Identity(Cell):
    """The input itself.

    >>> nn.Identity()(Tensor([1.0])).tolist()
    [1.0]
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def construct(self, x: Any) -> Any:
        return x


class EmbeddingLookup(Cell):
    """Rows of `embedding_table` by number; an id that is no row gives zeros. `max_norm` scales
    longer rows down to that length. The other arguments are MindSpore's and change nothing.

    >>> nn.EmbeddingLookup(10, 4)(Tensor([[1, 2, 9]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        param_init: Any = "normal",
        target: str = "CPU",
        slice_mode: str = "batch_slice",
        manual_shapes: Any = None,
        max_norm: float | None = None,
        sparse: bool = True,
        vocab_cache_size: int = 0,
        dtype: Any = float32,
    ):
        super().__init__()
        self.vocab_size = single(self.cls_name, "vocab_size", vocab_size)
        self.embedding_size = single(self.cls_name, "embedding_size", embedding_size)
        self.max_norm = max_norm
        values = initializer(param_init, (vocab_size, embedding_size), dtype_of(dtype))
        self.embedding_table = Parameter(values, name="embedding_table")

    def construct(self, indices: Tensor) -> Tensor:
        inside = ops.logical_and(indices >= 0, indices < self.vocab_size)
        rows = ops.gather(self.embedding_table, ops.where(inside, indices, 0), 0)
        rows = ops.where(ops.expand_dims(inside, -1), rows, 0.0)
        if self.max_norm is None:
            return rows
        square = ops.sum(rows * rows, -1, True)
        long = square > self.max_norm**2
        length = ops.sqrt(ops.where(long, square, 1.0))
        return ops.where(long, rows * (self.max_norm / length), rows)


class MultiFieldEmbeddingLookup(EmbeddingLookup):
    """Rows of `embedding_table` by number, times a value each, combined field by field.

    Indices, values and numbers of fields (batch, n) give (batch, field_size, embedding_size). The
    operator is "SUM", "MEAN" (over the sum of absolute values) or "MAX", which leaves out entries
    whose value is 0; a field without entries gives zeros.

    >>> ids, values, fields = Tensor([[2, 4]]), Tensor([[1.0, 0.5]]), Tensor([[0, 1]])
    >>> nn.MultiFieldEmbeddingLookup(10, 3, 2)(ids, values, fields).shape
    (1, 2, 3)
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        field_size: int,
        param_init: Any = "normal",
        target: str = "CPU",
        slice_mode: str = "batch_slice",
        feature_num_list: Any = None,
        max_norm: float | None = None,
        sparse: bool = True,
        operator: str = "SUM",
        dtype: Any = float32,
    ):
        super().__init__(vocab_size, embedding_size, param_init, max_norm=max_norm, dtype=dtype)
        self.field_size = single(self.cls_name, "field_size", field_size)
        self.operator = one_of(self.cls_name, "operator", operator, ("SUM", "MEAN", "MAX"))

    def construct(self, input_indices: Tensor, input_values: Tensor, field_ids: Tensor) -> Tensor:
        batch = input_indices.shape[0]
        rows = super().construct(input_indices) * ops.expand_dims(input_values, -1)
        # A field's place among those of the whole batch; entries that do not count go behind.
        first = ops.expand_dims(ops.arange(batch) * self.field_size, 1)
        at = field_ids + ops.cast(first, field_ids.dtype)
        count = batch * self.field_size
        total = ops.unsorted_segment_sum(ops.abs(input_values), at, count)
        some = ops.expand_dims(total != 0, -1)
        if self.operator == "MAX":
            at = ops.where(input_values != 0, at, count)
            merged = ops.unsorted_segment_max(rows, at, count + 1)[:count]
            merged = ops.where(some, merged, 0.0)
        else:
            merged = ops.unsorted_segment_sum(rows, at, count)
        if self.operator == "MEAN":
            merged = ops.where(some, merged / ops.where(some, ops.expand_dims(total, -1), 1.0), 0.0)
        return ops.reshape(merged, (batch, self.field_size, -1))


class Embedding(Cell):
    """Rows of `embedding_table` (vocab_size, embedding_size) by number; ids of any int dtype.

    The row `padding_idx` starts as zeros. With `use_one_hot` the rows are read by a matrix product.

    >>> nn.Embedding(10, 4)(Tensor([[1, 2, 9]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        use_one_hot: bool = False,
        embedding_table: Any = "normal",
        dtype: Any = float32,
        padding_idx: int | None = None,
    ):
        super().__init__()
        self.vocab_size = single("Embedding", "vocab_size", vocab_size)
        self.embedding_size = single("Embedding", "embedding_size", embedding_size)
        self.use_one_hot, self.padding_idx = use_one_hot, padding_idx
        values = initializer(embedding_table, (vocab_size, embedding_size), dtype_of(dtype))
        if padding_idx is not None:
            if not 0 <= padding_idx < vocab_size:
                raise fail(
                    ArgumentError,
                    f"Embedding: padding_idx={padding_idx} is no row of {vocab_size}",
                )
            array = values.asnumpy()
            array[padding_idx] = 0
            values = Tensor(array)
        self.embedding_table = Parameter(values, name="embedding_table")

    def construct(self, ids: Tensor) -> Tensor:
        if ids.dtype.kind not in "iu":
            raise fail(
                DTypeError,
                f"Embedding got ids of dtype {ids.dtype}",
                instead="cast them, as in ids.astype(jitgrad.int32)",
            )
        if self.use_one_hot:
            rows = ops.one_hot(ops.reshape(ids, (-1,)), self.vocab_size)
            out = ops.matmul(ops.cast(rows, self.embedding_table.dtype), self.embedding_table)
            return ops.reshape(out, (*ids.shape, self.embedding_size))
        return ops.gather(self.embedding_table, ids, 0)

    def extend_repr(self) -> str:
        return (
            f"vocab_size={self.vocab_size}, embedding_size={self.embedding_size},"
            f" use_one_hot={self.use_one_hot}, embedding_table={self.embedding_table},"
            f" dtype={self.embedding_table.dtype}, padding_idx={self.padding_idx}"
        )
