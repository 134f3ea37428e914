"""Attention. Vaswani et al. (2017)."""

from __future__ import annotations

import math
from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ir.types import float32
from jitgrad.nn.cell import Cell
from jitgrad.nn.initializer import XavierNormal, XavierUniform, initializer
from jitgrad.nn.layers.basic import Dense
from jitgrad.nn.layers.windows import single
from jitgrad.tensor import Parameter, Tensor


class MultiheadAttention(Cell):
    """softmax(q kᵀ / sqrt(d)) v in several heads, with projections before and after.

    query (l, n, embed_dim), key (s, n, kdim) and value (s, n, vdim), or (n, l, …) with
    `batch_first`, to a tuple: the output, shaped as the query, and, unless ``need_weights=False``,
    the weights (n, l, s), averaged over the heads unless ``average_attn_weights=False``.
    key_padding_mask (n, s) is True where a key counts for nothing; attn_mask (l, s) is True where
    a pair does not count, or a float that is added to the scores. `add_bias_kv` adds a key and a
    value that are trained, `add_zero_attn` one of zeros.

    >>> x = ops.ones((5, 2, 8))
    >>> output, weights = nn.MultiheadAttention(8, 2)(x, x, x)
    >>> output.shape, weights.shape
    ((5, 2, 8), (2, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        has_bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        dtype: Any = float32,
    ):
        super().__init__()
        name = self.cls_name
        self.embed_dim = single(name, "embed_dim", embed_dim)
        self.num_heads = single(name, "num_heads", num_heads)
        if embed_dim % num_heads:
            raise fail(ArgumentError, f"{name}: {embed_dim} values in {num_heads} heads")
        self.add_zero_attn = add_zero_attn
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.dropout, self.batch_first, self.has_bias = float(dropout), batch_first, has_bias
        kind, xavier = dtype_of(dtype), XavierUniform()
        self.packed = self.kdim == self.vdim == embed_dim
        if self.packed:
            shape = (3 * embed_dim, embed_dim)
            self.in_proj_weight = Parameter(initializer(xavier, shape, kind), "in_proj_weight")
        else:
            for what, width in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
                values = initializer(xavier, (embed_dim, width), kind)
                setattr(self, f"{what}_proj_weight", Parameter(values, f"{what}_proj_weight"))
        self.in_proj_bias = None
        if has_bias:
            values = initializer("zeros", (3 * embed_dim,), kind)
            self.in_proj_bias = Parameter(values, "in_proj_bias")
        self.bias_k = self.bias_v = None
        if add_bias_kv:
            for what in ("bias_k", "bias_v"):
                values = initializer(XavierNormal(), (1, 1, embed_dim), kind)
                setattr(self, what, Parameter(values, what))
        bias = "zeros" if has_bias else None
        self.out_proj = Dense(embed_dim, embed_dim, None, bias, has_bias, dtype=dtype)

    def construct(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
    ) -> tuple[Tensor, ...]:
        q, k, v = (self._heads(x, which) for which, x in enumerate((query, key, value)))
        more = k.shape[2] - key.shape[1 if self.batch_first else 0]
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / math.sqrt(q.shape[-1])
        if attn_mask is not None:
            mask = attn_mask
            if mask.ndim == 3:
                mask = ops.reshape(mask, (-1, self.num_heads, *mask.shape[1:]))
            scores = _masked(scores, mask, more)
        if key_padding_mask is not None:
            n, s = key_padding_mask.shape
            scores = _masked(scores, ops.reshape(key_padding_mask, (n, 1, 1, s)), more)
        weights = ops.softmax(scores, -1)
        if self.training and self.dropout:
            weights = ops.dropout(weights, self.dropout, True)
        mixed = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))
        y = self.out_proj(ops.reshape(mixed, (*mixed.shape[:2], self.embed_dim)))
        y = y if self.batch_first else ops.transpose(y, (1, 0, 2))
        if not need_weights:
            return (y,)
        return y, ops.mean(weights, 1) if average_attn_weights else weights

    def _heads(self, x: Tensor, which: int) -> Tensor:
        """Query (0), key (1) or value (2), projected: (n, heads, length, embed_dim / heads)."""
        width = (self.embed_dim, self.kdim, self.vdim)[which]
        if x.ndim != 3 or x.shape[-1] != width:
            raise fail(
                ShapeError,
                f"{self.cls_name} got {['query', 'key', 'value'][which]} of shape {list(x.shape)}",
                why=f"it takes three axes, the last of {width}",
            )
        e = self.embed_dim
        part = slice(which * e, (which + 1) * e)
        if self.packed:
            weight = self.in_proj_weight[part]
        else:
            weight = getattr(self, f"{'qkv'[which]}_proj_weight")
        bias = None if self.in_proj_bias is None else self.in_proj_bias[part]
        y = ops.dense(x if self.batch_first else ops.transpose(x, (1, 0, 2)), weight, bias)
        extra = (None, self.bias_k, self.bias_v)[which]
        if extra is not None:
            y = ops.concat((y, ops.broadcast_to(extra, (y.shape[0], 1, e))), 1)
        if which and self.add_zero_attn:
            y = ops.pad(y, (0, 0, 0, 1))
        y = ops.reshape(y, (*y.shape[:2], self.num_heads, e // self.num_heads))
        return ops.transpose(y, (0, 2, 1, 3))


def _masked(scores: Tensor, mask: Tensor, more: int) -> Tensor:
    """Scores where the mask allows them; the last `more` keys are added ones and always count."""
    if mask.ndim > 4 or mask.shape[-1] + more != scores.shape[-1]:
        raise fail(
            ShapeError,
            f"a mask of shape {list(mask.shape)} for scores of shape {list(scores.shape)}",
            why="its last axis has one value for each key",
        )
    if more:
        mask = ops.pad(mask, (0, more))
    if mask.dtype.kind == "b":
        return ops.where(mask, -math.inf, scores)
    return scores + mask
