"""The layers of a Transformer, its encoder and its decoder. Vaswani et al. (2017)."""

from __future__ import annotations

import copy
from typing import Any

from jitgrad import ops
from jitgrad.errors import ShapeError, fail
from jitgrad.ir.types import float32
from jitgrad.nn.activations import as_activation
from jitgrad.nn.cell import Cell
from jitgrad.nn.containers import CellList
from jitgrad.nn.initializer import XavierUniform, initializer
from jitgrad.nn.layers.attention import MultiheadAttention
from jitgrad.nn.layers.basic import Dense, Dropout
from jitgrad.nn.layers.norm import LayerNorm
from jitgrad.tensor import Tensor


def _exact_gelu(x: Tensor) -> Tensor:
    return ops.gelu(x, approximate="none")


# As in the paper's implementations, "gelu" is the exact one. These two are no cells of the layer.
_FUNCTIONS = {"relu": ops.relu, "gelu": _exact_gelu}


def _activation(owner: str, activation: Any) -> Any:
    known = _FUNCTIONS.get(activation) if isinstance(activation, str) else None
    return known or as_activation(owner, activation)


class TransformerEncoderLayer(Cell):
    """Self-attention and two dense layers, each with dropout, a sum and a layer norm around it.

    src (l, n, d_model), or (n, l, d_model) with `batch_first`, to the same shape. `norm_first`
    normalizes before instead of after.

    >>> nn.TransformerEncoderLayer(8, 2, 16)(ops.ones((5, 2, 8))).shape
    (5, 2, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        dtype: Any = float32,
    ):
        super().__init__()
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, batch_first=batch_first, dtype=dtype
        )
        self.dense1 = Dense(d_model, dim_feedforward, dtype=dtype)
        self.dropout = Dropout(p=dropout)
        self.dense2 = Dense(dim_feedforward, d_model, dtype=dtype)
        self.norm1 = LayerNorm((d_model,), epsilon=layer_norm_eps, dtype=dtype)
        self.norm2 = LayerNorm((d_model,), epsilon=layer_norm_eps, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(p=dropout), Dropout(p=dropout)
        self.activation = _activation(self.cls_name, activation)
        self.norm_first = norm_first

    def construct(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        masks = (src_mask, src_key_padding_mask)
        if self.norm_first:
            x = src + self._attend(self.norm1(src), *masks)
            return x + self._feed(self.norm2(x))
        x = self.norm1(src + self._attend(src, *masks))
        return self.norm2(x + self._feed(x))

    def _attend(self, x: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor:
        (y,) = self.self_attn(x, x, x, padding, False, mask)
        return self.dropout1(y)

    def _feed(self, x: Tensor) -> Tensor:
        return self.dropout2(self.dense2(self.dropout(self.activation(self.dense1(x)))))


class TransformerDecoderLayer(Cell):
    """Self-attention, attention to the encoder's output `memory`, and two dense layers, each with
    dropout, a sum and a layer norm around it.

    tgt (l, n, d_model) and memory (s, n, d_model), or (n, l, d_model) and (n, s, d_model) with
    `batch_first`, to the shape of tgt.

    >>> nn.TransformerDecoderLayer(8, 2, 16)(ops.ones((3, 2, 8)), ops.ones((5, 2, 8))).shape
    (3, 2, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        dtype: Any = float32,
    ):
        super().__init__()
        settings = (d_model, nhead, dropout)
        self.self_attn = MultiheadAttention(*settings, batch_first=batch_first, dtype=dtype)
        self.multihead_attn = MultiheadAttention(*settings, batch_first=batch_first, dtype=dtype)
        self.dense1 = Dense(d_model, dim_feedforward, dtype=dtype)
        self.dropout = Dropout(p=dropout)
        self.dense2 = Dense(dim_feedforward, d_model, dtype=dtype)
        self.norm1 = LayerNorm((d_model,), epsilon=layer_norm_eps, dtype=dtype)
        self.norm2 = LayerNorm((d_model,), epsilon=layer_norm_eps, dtype=dtype)
        self.norm3 = LayerNorm((d_model,), epsilon=layer_norm_eps, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(p=dropout), Dropout(p=dropout)
        self.dropout3 = Dropout(p=dropout)
        self.activation = _activation(self.cls_name, activation)
        self.norm_first = norm_first

    def construct(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        own = (tgt_mask, tgt_key_padding_mask)
        other = (memory, memory_mask, memory_key_padding_mask)
        x = tgt
        if self.norm_first:
            x = x + self._attend(self.norm1(x), *own)
            x = x + self._look(self.norm2(x), *other)
            return x + self._feed(self.norm3(x))
        x = self.norm1(x + self._attend(x, *own))
        x = self.norm2(x + self._look(x, *other))
        return self.norm3(x + self._feed(x))

    def _attend(self, x: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor:
        (y,) = self.self_attn(x, x, x, padding, False, mask)
        return self.dropout1(y)

    def _look(
        self, x: Tensor, memory: Tensor, mask: Tensor | None, padding: Tensor | None
    ) -> Tensor:
        (y,) = self.multihead_attn(x, memory, memory, padding, False, mask)
        return self.dropout2(y)

    def _feed(self, x: Tensor) -> Tensor:
        return self.dropout3(self.dense2(self.dropout(self.activation(self.dense1(x)))))


class TransformerEncoder(Cell):
    """`num_layers` copies of an encoder layer, and a norm behind them.

    >>> nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2)(ops.ones((5, 2,
    ...     8))).shape
    (5, 2, 8)
    """

    def __init__(self, encoder_layer: Cell, num_layers: int, norm: Cell | None = None):
        super().__init__()
        self.layers = CellList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def construct(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        for layer in self.layers:
            src = layer(src, src_mask, src_key_padding_mask)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Cell):
    """`num_layers` copies of a decoder layer, and a norm behind them.

    >>> layer = nn.TransformerDecoderLayer(8, 2, 16)
    >>> nn.TransformerDecoder(layer, 2)(ops.ones((3, 2, 8)), ops.ones((5, 2, 8))).shape
    (3, 2, 8)
    """

    def __init__(self, decoder_layer: Cell, num_layers: int, norm: Cell | None = None):
        super().__init__()
        self.layers = CellList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def construct(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Cell):
    """An encoder of src and a decoder of tgt, which reads the encoder's output.

    src (s, n, d_model) and tgt (l, n, d_model), or with the first two axes exchanged if
    `batch_first`, to the shape of tgt. All matrices start as XavierUniform.

    >>> nn.Transformer(8, 2, 1, 1, 16)(ops.ones((5, 2, 8)), ops.ones((3, 2, 8))).shape
    (3, 2, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        custom_encoder: Cell | None = None,
        custom_decoder: Cell | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        dtype: Any = float32,
    ):
        super().__init__()
        settings = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        options = {"batch_first": batch_first, "norm_first": norm_first, "dtype": dtype}
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        if custom_encoder is None:
            norm = LayerNorm((d_model,), epsilon=layer_norm_eps, dtype=dtype)
            layer = TransformerEncoderLayer(*settings, **options)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is None:
            norm = LayerNorm((d_model,), epsilon=layer_norm_eps, dtype=dtype)
            layer = TransformerDecoderLayer(*settings, **options)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self.encoder, self.decoder = custom_encoder, custom_decoder
        for parameter in self.get_parameters():
            if parameter.ndim > 1:
                parameter.set_data(initializer(XavierUniform(), parameter.shape, parameter.dtype))

    def construct(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        batch = 0 if self.batch_first else 1
        if src.shape[batch] != tgt.shape[batch] or self.d_model not in (src.shape[-1],):
            raise fail(
                ShapeError,
                f"Transformer got src of shape {list(src.shape)} and tgt of {list(tgt.shape)}",
                why=f"they have as many examples, in axis {batch}, and d_model={self.d_model}"
                " values in the last",
            )
        memory = self.encoder(src, src_mask, src_key_padding_mask)
        return self.decoder(
            *(tgt, memory, tgt_mask, memory_mask),
            *(tgt_key_padding_mask, memory_key_padding_mask),
        )

    @staticmethod
    def generate_square_subsequent_mask(size: int) -> Tensor:
        """True above the diagonal: no position sees what comes after it."""
        return ops.triu(ops.ones((size, size)), 1) > 0
