"""Layers and losses against PyTorch's of the same weights: values and all gradients, in float64."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn, ops

torch = pytest.importorskip("torch")

Array = np.ndarray


def draw(*shape: int) -> Array:
    return np.random.default_rng(3 + sum(shape)).uniform(-1, 1, shape)


def distinct(*shape: int) -> Array:
    """Values far enough apart that a maximum stays one."""
    size = int(np.prod(shape))
    return (np.random.default_rng(5).permutation(size) * 0.37 - size / 5).reshape(shape)


# Ours, PyTorch's, and the inputs.
Case = tuple[Callable[[], nn.Cell], Callable[[], Any], Sequence[Array]]
tn = torch.nn

LAYERS: dict[str, Case] = {
    "bidense": (
        lambda: nn.BiDense(3, 4, 5), lambda: tn.Bilinear(3, 4, 5), [draw(2, 3), draw(2, 4)],
    ),
    "bidense_of_three_axes": (
        lambda: nn.BiDense(3, 4, 2, has_bias=False),
        lambda: tn.Bilinear(3, 4, 2, bias=False),
        [draw(2, 6, 3), draw(2, 6, 4)],
    ),
    "conv1d_transpose": (
        lambda: nn.Conv1dTranspose(4, 6, 3, 2, "pad", 1, 2, 2, True),
        lambda: tn.ConvTranspose1d(4, 6, 3, 2, 1, 0, 2, True, 2),
        [draw(2, 4, 5)],
    ),
    "conv2d_transpose": (
        lambda: nn.Conv2dTranspose(4, 6, (3, 2), 2, "pad", 1, 0, 1, 2, True),
        lambda: tn.ConvTranspose2d(4, 6, (3, 2), 2, 1, 0, 2, True, 1),
        [draw(2, 4, 3, 4)],
    ),
    "conv3d": (
        lambda: nn.Conv3d(2, 4, (2, 3, 2), (2, 1, 2), "pad", 1, 1, 2, True),
        lambda: tn.Conv3d(2, 4, (2, 3, 2), (2, 1, 2), 1, 1, 2),
        [draw(2, 2, 4, 3, 5)],
    ),
    "conv3d_transpose": (
        lambda: nn.Conv3dTranspose(
            4, 2, (2, 3, 2), (2, 1, 3), "pad", 1, (2, 1, 1), 2, (1, 0, 1), True
        ),
        lambda: tn.ConvTranspose3d(4, 2, (2, 3, 2), (2, 1, 3), 1, (1, 0, 1), 2, True, (2, 1, 1)),
        [draw(2, 4, 3, 3, 2)],
    ),
    "instance_norm1d": (
        lambda: nn.InstanceNorm1d(3), lambda: tn.InstanceNorm1d(3, affine=True), [draw(2, 3, 5)],
    ),
    "instance_norm3d": (
        lambda: nn.InstanceNorm3d(3), lambda: tn.InstanceNorm3d(3, affine=True),
        [draw(2, 3, 2, 3, 4)],
    ),
    "group_norm": (lambda: nn.GroupNorm(2, 6), lambda: tn.GroupNorm(2, 6), [draw(3, 6, 4, 5)]),
    "rms_norm": (lambda: nn.RMSNorm(5, 1e-6), lambda: tn.RMSNorm(5, 1e-6), [draw(3, 4, 5)]),
    "rms_norm_of_two_axes": (
        lambda: nn.RMSNorm((4, 5)), lambda: tn.RMSNorm((4, 5), 1e-6), [draw(3, 4, 5)],
    ),
    "layer_norm": (
        lambda: nn.LayerNorm((4, 5), 1, 1, epsilon=1e-5), lambda: tn.LayerNorm((4, 5)),
        [draw(3, 4, 5)],
    ),
    "batch_norm1d": (lambda: nn.BatchNorm1d(3), lambda: tn.BatchNorm1d(3), [draw(4, 3)]),
    "batch_norm3d": (lambda: nn.BatchNorm3d(3), lambda: tn.BatchNorm3d(3), [draw(4, 3, 2, 3, 2)]),
    "max_pool3d": (
        lambda: nn.MaxPool3d((2, 3, 2), 2, "pad", (1, 1, 0)),
        lambda: tn.MaxPool3d((2, 3, 2), 2, (1, 1, 0)),
        [distinct(2, 3, 5, 6, 4)],
    ),
    "max_pool3d_ceil": (
        lambda: nn.MaxPool3d(2, 3, ceil_mode=True), lambda: tn.MaxPool3d(2, 3, ceil_mode=True),
        [distinct(2, 5, 6, 4)],
    ),
    "avg_pool3d": (
        lambda: nn.AvgPool3d((2, 3, 2), 2, "pad", (1, 1, 0)),
        lambda: tn.AvgPool3d((2, 3, 2), 2, (1, 1, 0)),
        [draw(2, 3, 5, 6, 4)],
    ),
    "avg_pool3d_without_padding": (
        lambda: nn.AvgPool3d(3, 2, "pad", 1, True, False),
        lambda: tn.AvgPool3d(3, 2, 1, True, False),
        [draw(2, 3, 5, 6, 4)],
    ),
    "avg_pool3d_divisor": (
        lambda: nn.AvgPool3d(2, 2, divisor_override=3),
        lambda: tn.AvgPool3d(2, 2, divisor_override=3),
        [draw(2, 3, 4, 6, 4)],
    ),
    "adaptive_avg_pool1d": (
        lambda: nn.AdaptiveAvgPool1d(3), lambda: tn.AdaptiveAvgPool1d(3), [draw(2, 3, 7)],
    ),
    "adaptive_max_pool1d": (
        lambda: nn.AdaptiveMaxPool1d(3), lambda: tn.AdaptiveMaxPool1d(3), [distinct(2, 3, 7)],
    ),
    "adaptive_avg_pool3d": (
        lambda: nn.AdaptiveAvgPool3d((2, None, 3)), lambda: tn.AdaptiveAvgPool3d((2, None, 3)),
        [draw(2, 3, 5, 2, 7)],
    ),
    "adaptive_max_pool3d": (
        lambda: nn.AdaptiveMaxPool3d((2, 1, 3)), lambda: tn.AdaptiveMaxPool3d((2, 1, 3)),
        [distinct(2, 3, 5, 2, 7)],
    ),
    "lp_pool1d": (
        lambda: nn.LPPool1d(3, 2), lambda: tn.LPPool1d(3, 2), [np.abs(draw(2, 3, 7)) + 0.5],
    ),
    "lp_pool2d": (
        lambda: nn.LPPool2d(2, 2, 1), lambda: tn.LPPool2d(2, 2, 1), [draw(2, 3, 4, 5)],
    ),
    **{
        f"constant_pad{n}d": (
            lambda n=n: getattr(nn, f"ConstantPad{n}d")(tuple(range(1, 2 * n)) + (-1,), 1.5),
            lambda n=n: getattr(tn, f"ConstantPad{n}d")(tuple(range(1, 2 * n)) + (-1,), 1.5),
            [draw(2, 3, *(4, 5, 6)[:n])],
        )
        for n in (1, 2, 3)
    },
    **{
        f"{kind.lower()}_pad{n}d": (
            lambda n=n, kind=kind: getattr(nn, f"{kind}Pad{n}d")((2, 1) * n),
            lambda n=n, kind=kind: getattr(tn, f"{kind}Pad{n}d")((2, 1) * n),
            [draw(2, 3, *(4, 5, 6)[:n])],
        )
        for n in (1, 2, 3)
        for kind in ("Reflection", "Replication")
    },
    "zero_pad2d": (
        lambda: nn.ZeroPad2d((1, 2, 0, 3)), lambda: tn.ZeroPad2d((1, 2, 0, 3)), [draw(2, 3, 4, 5)],
    ),
    "channel_shuffle": (
        lambda: nn.ChannelShuffle(2), lambda: tn.ChannelShuffle(2), [draw(2, 6, 4, 5)],
    ),
    "fold": (
        lambda: nn.Fold((5, 4), (2, 3), 1, 1, 2), lambda: tn.Fold((5, 4), (2, 3), 1, 1, 2),
        [draw(2, 12, 6)],
    ),
    "pixel_shuffle": (lambda: nn.PixelShuffle(2), lambda: tn.PixelShuffle(2), [draw(2, 8, 3, 4)]),
    "upsample": (
        lambda: nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True),
        lambda: tn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True),
        [draw(2, 3, 4, 5)],
    ),
    **{
        f"lstm_{name}": (
            lambda s=settings: nn.LSTM(3, 4, 2, *s),
            lambda s=settings: tn.LSTM(3, 4, 2, *s),
            [draw(6, 5, 3)],
        )
        for name, settings in {
            "plain": (),
            "both": (True, True, 0.0, True),  # biases, batch first, no dropout, both directions
            "bare": (False,),
        }.items()
    },
    "gru": (
        lambda: nn.GRU(3, 4, bidirectional=True), lambda: tn.GRU(3, 4, bidirectional=True),
        [draw(6, 5, 3)],
    ),
    "rnn": (lambda: nn.RNN(3, 4, 2, "relu"), lambda: tn.RNN(3, 4, 2, "relu"), [draw(6, 5, 3)]),
    **{
        f"attention_{name}": (
            lambda s=settings: nn.MultiheadAttention(6, 2, 0.0, *s),
            lambda s=settings: tn.MultiheadAttention(6, 2, 0.0, *s),
            [draw(4, 3, 6), draw(5, 3, 6), draw(5, 3, 6) + 0.1],
        )
        for name, settings in {
            "plain": (),
            "bare": (False,),
            "more_keys": (True, True, True),
        }.items()
    },
    "encoder_layer": (
        lambda: nn.TransformerEncoderLayer(6, 2, 8, 0.0, "gelu", norm_first=True),
        lambda: tn.TransformerEncoderLayer(6, 2, 8, 0.0, "gelu", norm_first=True),
        [draw(4, 3, 6)],
    ),
    "decoder_layer": (
        lambda: nn.TransformerDecoderLayer(6, 2, 8, 0.0, batch_first=True),
        lambda: tn.TransformerDecoderLayer(6, 2, 8, 0.0, batch_first=True),
        [draw(3, 4, 6), draw(3, 5, 6)],
    ),
    "decoder_layer_norm_first": (
        lambda: nn.TransformerDecoderLayer(6, 2, 8, 0.0, norm_first=True),
        lambda: tn.TransformerDecoderLayer(6, 2, 8, 0.0, norm_first=True),
        [draw(4, 3, 6), draw(5, 3, 6)],
    ),
    "transformer": (
        lambda: nn.Transformer(6, 2, 1, 2, 8, 0.0),
        lambda: tn.Transformer(6, 2, 1, 2, 8, 0.0),
        [draw(4, 3, 6), draw(5, 3, 6)],
    ),
}  # fmt: skip

WEIGHT = np.array([0.5, 1.0, 2.0, 0.25])
TARGETS = np.array([[2, 2, 3], [0, 0, 2], [3, 0, 3]])
LABELS = np.array([2, 0, 3, 1, 2])
SIGNS = np.array([1.0, -1.0, 1.0, 1.0, -1.0])
SEVERAL = (draw(5, 4) > 0).astype(np.float64)
MARKED = np.array([[3, 0, -1, 1], [1, -1, 0, 0], [0, 1, 2, 3], [-1, 0, 0, 0], [2, 1, -1, 3]])


class Normalized(nn.Cell):
    """A loss of log-probabilities, of scores: PyTorch's gradient is right for such only."""

    def __init__(self, loss: nn.Cell):
        super().__init__()
        self.loss = loss

    def construct(self, x, *others):
        return self.loss(ops.log_softmax(x, -1), *others)


def normalized(loss: Any) -> Any:
    class Module(tn.Module):
        def forward(self, x, *others):
            return loss(torch.log_softmax(x, -1), *others)

    return Module()


LOSSES: dict[str, Case] = {
    **{
        f"multi_margin_{p}_{reduction}": (
            lambda p=p, r=reduction: nn.MultiMarginLoss(p, 0.7, r, ms.Tensor(WEIGHT)),
            lambda p=p, r=reduction: tn.MultiMarginLoss(
                p, 0.7, torch.tensor(WEIGHT), reduction=r
            ),
            [draw(5, 4), LABELS],
        )
        for p, reduction in ((1, "mean"), (2, "none"), (1, "sum"))
    },
    "multilabel_margin": (
        lambda: nn.MultilabelMarginLoss(), lambda: tn.MultiLabelMarginLoss(), [draw(5, 4), MARKED],
    ),
    "multilabel_soft_margin": (
        lambda: nn.MultiLabelSoftMarginLoss(ms.Tensor(WEIGHT), "sum"),
        lambda: tn.MultiLabelSoftMarginLoss(torch.tensor(WEIGHT), reduction="sum"),
        [draw(5, 4), SEVERAL],
    ),
    **{
        f"ctc_{reduction}": (
            lambda reduction=reduction: Normalized(nn.CTCLoss(1, reduction)),
            lambda reduction=reduction: normalized(tn.CTCLoss(1, reduction)),
            [draw(7, 3, 4), TARGETS, np.array([7, 5, 6]), np.array([3, 1, 2])],
        )
        for reduction in ("mean", "sum", "none")
    },
    "ctc_in_one_row": (
        lambda: Normalized(nn.CTCLoss(1)), lambda: normalized(tn.CTCLoss(1)),
        [draw(7, 3, 4), TARGETS.reshape(-1)[:6], np.array([7, 5, 6]), np.array([3, 1, 2])],
    ),
    "ctc_that_does_not_fit": (
        lambda: Normalized(nn.CTCLoss(1, zero_infinity=True)),
        lambda: normalized(tn.CTCLoss(1, zero_infinity=True)),
        [draw(4, 3, 4), TARGETS, np.array([4, 3, 2]), np.array([3, 3, 3])],
    ),
    "cross_entropy": (
        lambda: nn.CrossEntropyLoss(ms.Tensor(WEIGHT), label_smoothing=0.1),
        lambda: tn.CrossEntropyLoss(torch.tensor(WEIGHT), label_smoothing=0.1),
        [draw(5, 4), LABELS],
    ),
    "cosine": (
        lambda: nn.CosineEmbeddingLoss(0.2), lambda: tn.CosineEmbeddingLoss(0.2),
        [draw(5, 4), draw(5, 4) * 0.5 + 0.1, SIGNS],
    ),
    "triplet": (
        lambda: nn.TripletMarginLoss(), lambda: tn.TripletMarginLoss(),
        [draw(5, 4), draw(5, 4) * 0.5, draw(5, 4) + 0.3],
    ),
    "gaussian": (
        lambda: nn.GaussianNLLLoss(full=True), lambda: tn.GaussianNLLLoss(full=True),
        [draw(5, 4), draw(5, 4) + 0.1, draw(5, 4) ** 2 + 0.2],
    ),
}  # fmt: skip


def translated(name: str) -> str:
    """PyTorch's name of a Parameter."""
    for ours, theirs in ((r"gamma$", "weight"), (r"beta$", "bias"), (r"\bdense(?=\d)", "linear")):
        name = re.sub(ours, theirs, name)
    return name


def parameters(cell: nn.Cell, module: Any) -> list[tuple[ms.Parameter, Any]]:
    """Pairs of ours and PyTorch's Parameters, set to the same values."""
    theirs = dict(module.named_parameters())
    pairs = []
    for number, (name, ours) in enumerate(cell.parameters_and_names()):
        if not ours.requires_grad:
            ours.set_dtype(ms.float64)
            continue
        other = theirs.pop(translated(ours.name if "_l" in ours.name[-12:] else name))
        values = np.random.default_rng(number).uniform(-1, 1, tuple(other.shape))
        ours.set_dtype(ms.float64)
        ours.set_data(ms.Tensor(values.reshape(ours.shape)))
        other.data = torch.tensor(values)
        pairs.append((ours, other))
    assert not theirs
    return pairs


def flat(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in flat(part)]
    return [] if value is None else [value]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", LAYERS)
def test_layers(mode: str, name: str) -> None:
    ours, theirs, inputs = LAYERS[name]
    cell, module = ours(), theirs().double()
    cell.set_train()
    compare(cell, module, inputs)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(mode: str, name: str) -> None:
    ours, theirs, inputs = LOSSES[name]
    compare(ours(), theirs(), inputs)


def compare(cell: nn.Cell, module: Any, inputs: Sequence[Array]) -> None:
    """Hold values and gradients by inputs and Parameters against PyTorch's."""
    pairs = parameters(cell, module)
    given = [torch.tensor(x, requires_grad=x.dtype == np.float64) for x in inputs]
    outputs = [y for y in flat(module(*given)) if y.is_floating_point()]
    shapes = [tuple(y.shape) for y in outputs]
    seeds = [np.random.default_rng(9).uniform(0.5, 1.5, tuple(y.shape)) for y in outputs]
    total = sum((y * torch.tensor(s)).sum() for y, s in zip(outputs, seeds, strict=True))
    total.backward()

    def weighted(*xs: ms.Tensor) -> ms.Tensor:
        found = [y for y in flat(cell(*xs)) if y.dtype.is_float]
        assert [tuple(y.shape) for y in found] == shapes
        parts = [(y * ms.Tensor(s)).sum() for y, s in zip(found, seeds, strict=True)]
        return sum(parts[1:], parts[0])

    places = tuple(i for i, x in enumerate(inputs) if x.dtype == np.float64)
    weights = [p for p, _ in pairs]
    step = ms.value_and_grad(weighted, places, weights or None)
    value, grads = step(*[ms.Tensor(x) for x in inputs])
    np.testing.assert_allclose(value.item(), total.item(), rtol=1e-9, atol=1e-9)
    wanted = [given[i].grad for i in places] + [other.grad for _, other in pairs]
    for got, other in zip(flat(grads), wanted, strict=True):
        other = np.zeros(got.shape) if other is None else other.numpy().reshape(got.shape)
        np.testing.assert_allclose(got.asnumpy(), other, rtol=1e-8, atol=1e-9)
