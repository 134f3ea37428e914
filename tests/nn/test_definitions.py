"""The rarer layers and losses against their definitions in NumPy, and their gradients."""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn

_spec = importlib.util.spec_from_file_location(
    "nn_reference", Path(__file__).with_name("reference.py")
)
ref = sys.modules.setdefault("nn_reference", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(ref)

Array = np.ndarray
Values = dict[str, Array]


def draw(*shape: int, low: float = -1.0) -> Array:
    return np.random.default_rng(sum(shape)).uniform(low, 1, shape)


def distinct(*shape: int) -> Array:
    """Values far enough apart that a maximum stays one."""
    size = math.prod(shape)
    return (np.random.default_rng(5).permutation(size) * 0.37 - size / 5).reshape(shape)


def windows(x: Array, size: Sequence[int], stride: Sequence[int], pad: Sequence[int]) -> Array:
    """All windows of the last axes, as further axes; padding is nan."""
    spatial = len(size)
    widths = [(0, 0)] * (x.ndim - spatial) + [(p, p) for p in pad]
    x = np.pad(x, widths, constant_values=np.nan)
    axes = tuple(range(x.ndim - spatial, x.ndim))
    found = np.lib.stride_tricks.sliding_window_view(x, size, axes)
    steps = [slice(None)] * (x.ndim - spatial) + [slice(None, None, s) for s in stride]
    return found[tuple(steps)]


def adaptive(x: Array, sizes: Sequence[int], reduce: Callable[..., Array]) -> Array:
    spatial = len(sizes)
    out = np.zeros((*x.shape[: x.ndim - spatial], *sizes))
    for place in itertools.product(*map(range, sizes)):
        cut = tuple(
            slice(i * n // m, -(-(i + 1) * n // m))
            for i, n, m in zip(place, x.shape[-spatial:], sizes, strict=True)
        )
        out[(..., *place)] = reduce(x[(..., *cut)], axis=tuple(range(-spatial, 0)))
    return out


def conv_transpose(
    x: Array, w: Array, stride: Sequence[int], pad: Sequence[int], groups: int = 1
) -> Array:
    """Every value spreads its kernel; any number of axes."""
    (n, c, *size), (_, each, *kernel) = x.shape, w.shape
    full = [(m - 1) * s + k for m, s, k in zip(size, stride, kernel, strict=True)]
    out = np.zeros((n, each * groups, *full))
    for b, i, *place in itertools.product(range(n), range(c), *map(range, size)):
        first = i // (c // groups) * each
        cut = tuple(slice(p * s, p * s + k) for p, s, k in zip(place, stride, kernel, strict=True))
        out[(b, slice(first, first + each), *cut)] += x[(b, i, *place)] * w[i]
    inside = tuple(slice(p, m - p) for p, m in zip(pad, full, strict=True))
    return out[(..., *inside)]


def instance(x: Array, w: Values) -> Array:
    column = (1, -1, *(1,) * (x.ndim - 2))
    y = ref.normalized(x, tuple(range(2, x.ndim)), 1e-5)
    return y * w["gamma"].reshape(column) + w["beta"].reshape(column)


def folded(x: Array) -> Array:
    """Windows of 2 x 3 with stride 2 and padding 1, into images of 5 x 4."""
    out = np.zeros((x.shape[0], 2, 7, 6))
    columns = x.reshape(x.shape[0], 2, 2, 3, 3, 2)
    for i, j in itertools.product(range(3), range(2)):
        out[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 3] += columns[:, :, :, :, i, j]
    return out[:, :, 1:6, 1:5]


LAYERS: dict[str, tuple[Callable[[], nn.Cell], Array, Callable[[Array, Values], Array]]] = {
    "conv1d_transpose": (
        lambda: nn.Conv1dTranspose(4, 2, 3, 2, "pad", 1, group=2, has_bias=True),
        draw(2, 4, 5),
        lambda x, w: (
            conv_transpose(x, w["weight"][:, :, 0], (2,), (1,), 2) + w["bias"].reshape(1, -1, 1)
        ),
    ),
    "conv3d_transpose": (
        lambda: nn.Conv3dTranspose(2, 3, (2, 1, 3), (1, 2, 2), "pad", (1, 0, 1)),
        draw(1, 2, 3, 2, 2),
        lambda x, w: conv_transpose(x, w["weight"], (1, 2, 2), (1, 0, 1)),
    ),
    "instance_norm1d": (lambda: nn.InstanceNorm1d(3), draw(2, 3, 5), instance),
    "instance_norm3d": (lambda: nn.InstanceNorm3d(2), draw(2, 2, 2, 3, 2), instance),
    "rms_norm": (
        lambda: nn.RMSNorm(5, 1e-3),
        draw(3, 5),
        lambda x, w: x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3) * w["gamma"],
    ),
    "max_pool3d": (
        lambda: nn.MaxPool3d((2, 1, 3), (2, 1, 2), "pad", (1, 0, 1)),
        distinct(2, 1, 4, 2, 5),
        lambda x, w: np.nanmax(windows(x, (2, 1, 3), (2, 1, 2), (1, 0, 1)), (-3, -2, -1)),
    ),
    "avg_pool3d": (
        lambda: nn.AvgPool3d((2, 1, 3), (2, 1, 2), "pad", (1, 0, 1)),
        draw(2, 1, 4, 2, 5),
        lambda x, w: np.nansum(windows(x, (2, 1, 3), (2, 1, 2), (1, 0, 1)), (-3, -2, -1)) / 6,
    ),
    "avg_pool3d_without_padding": (
        lambda: nn.AvgPool3d((2, 1, 3), (2, 1, 2), "pad", (1, 0, 1), count_include_pad=False),
        draw(2, 1, 4, 2, 5),
        lambda x, w: np.nanmean(windows(x, (2, 1, 3), (2, 1, 2), (1, 0, 1)), (-3, -2, -1)),
    ),
    "adaptive_avg_pool1d": (
        lambda: nn.AdaptiveAvgPool1d(3),
        draw(2, 2, 7),
        lambda x, w: adaptive(x, (3,), np.mean),
    ),
    "adaptive_max_pool3d": (
        lambda: nn.AdaptiveMaxPool3d((2, 1, 3)),
        distinct(1, 2, 3, 2, 5),
        lambda x, w: adaptive(x, (2, 1, 3), np.max),
    ),
    "lp_pool1d": (
        lambda: nn.LPPool1d(3, 2),
        draw(2, 3, 6, low=0.2),
        lambda x, w: (windows(x, (2,), (2,), (0,)) ** 3).sum(-1) ** (1 / 3),
    ),
    "constant_pad2d": (
        lambda: nn.ConstantPad2d((1, 2, 0, -1), 0.5),
        draw(2, 3, 4),
        lambda x, w: np.pad(x[:, :-1], ((0, 0), (0, 0), (1, 2)), constant_values=0.5),
    ),
    "reflection_pad3d": (
        lambda: nn.ReflectionPad3d((1, 0, 0, 2, 1, 1)),
        draw(2, 3, 4, 2),
        lambda x, w: np.pad(x, ((0, 0), (1, 1), (0, 2), (1, 0)), mode="reflect"),
    ),
    "replication_pad1d": (
        lambda: nn.ReplicationPad1d((3, 1)),
        draw(2, 3, 4),
        lambda x, w: np.pad(x, ((0, 0), (0, 0), (3, 1)), mode="edge"),
    ),
    "channel_shuffle": (
        lambda: nn.ChannelShuffle(2),
        draw(2, 6, 2),
        lambda x, w: x[:, [0, 3, 1, 4, 2, 5]],
    ),
    "fold": (lambda: nn.Fold((5, 4), (2, 3), 1, 1, 2), draw(2, 12, 6), lambda x, w: folded(x)),
}


def double(cell: nn.Cell) -> nn.Cell:
    for number, p in enumerate(cell.get_parameters()):
        p.set_dtype(ms.float64)
        p.set_data(ms.Tensor(np.random.default_rng(number).uniform(0.5, 1.5, p.shape)))
    return cell


# Compiling the gradient of every layer takes minutes; these stand for the others.
COMPILED = ("conv3d_transpose", "instance_norm1d", "max_pool3d", "constant_pad2d", "fold")


@pytest.mark.parametrize(
    ("mode", "name"),
    [*(("pynative", name) for name in LAYERS), *(("graph", name) for name in COMPILED)],
    indirect=["mode"],
)
def test_layers(mode: str, name: str) -> None:
    make, x, expected = LAYERS[name]
    cell = double(make())
    weights = {n: p.asnumpy() for n, p in cell.parameters_and_names()}
    wanted = expected(x, weights)
    found = cell(ms.Tensor(x)).asnumpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    seed = np.random.default_rng(1).uniform(0.5, 1.5, wanted.shape)
    names = [p.name for p in cell.trainable_params()]
    gradient = ms.grad(
        lambda v: (cell(v) * ms.Tensor(seed)).sum(), 0, cell.trainable_params() or None
    )(ms.Tensor(x))
    by_input, by_weights = gradient if names else (gradient, ())
    ref.assert_gradient(
        lambda v: float((expected(v, weights) * seed).sum()), x, by_input.asnumpy(), name
    )
    for weight, got in zip(names, by_weights, strict=True):
        ref.assert_gradient(
            lambda v, weight=weight: float((expected(x, {**weights, weight: v}) * seed).sum()),
            weights[weight],
            got.asnumpy(),
            f"{name}.{weight}",
        )


def test_bilinear(mode: str) -> None:
    cell = double(nn.BiDense(3, 4, 2))
    x, y = draw(2, 5, 3), draw(2, 5, 4)
    w, b = cell.weight.asnumpy(), cell.bias.asnumpy()
    wanted = np.einsum("nti,oij,ntj->nto", x, w, y) + b
    found = cell(ms.Tensor(x), ms.Tensor(y))
    np.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-12)
    by_x, by_y = ms.grad(lambda a, b: cell(a, b).sum(), (0, 1))(ms.Tensor(x), ms.Tensor(y))
    np.testing.assert_allclose(by_x.asnumpy(), np.einsum("oij,ntj->nti", w, y), rtol=1e-10)
    np.testing.assert_allclose(by_y.asnumpy(), np.einsum("nti,oij->ntj", x, w), rtol=1e-10)


# --- losses -------------------------------------------------------------------------------------

LABELS = np.array([2, 0, 3])
MARKED = np.array([[3, 0, -1, 1], [1, -1, 0, 0], [-1, 2, 0, 0]])
BOTH = np.array([[1.0, 0, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1]])


def margins(x: Array) -> Array:
    return np.array(
        [sum(max(0, 0.7 - r[y] + r[i]) ** 2 for i in range(4) if i != y) / 4
         for r, y in zip(x, LABELS, strict=True)]
    )  # fmt: skip


def label_margins(x: Array) -> Array:
    found = []
    for row, marks in zip(x, MARKED, strict=True):
        labels = list(itertools.takewhile(lambda y: y >= 0, marks))
        others = [i for i in range(4) if i not in labels]
        found.append(sum(max(0, 1 - row[y] + row[i]) for y in labels for i in others) / 4)
    return np.array(found)


def soft_margins(x: Array) -> Array:
    return (BOTH * np.log1p(np.exp(-x)) + (1 - BOTH) * np.log1p(np.exp(x))).mean(1)


LOSSES: dict[str, tuple[Callable[[str], nn.Cell], Array, Callable[[Array], Array]]] = {
    "multi_margin": (lambda r: nn.MultiMarginLoss(2, 0.7, r), LABELS, margins),
    "multilabel_margin": (lambda r: nn.MultilabelMarginLoss(r), MARKED, label_margins),
    "multilabel_soft_margin": (
        lambda r: nn.MultiLabelSoftMarginLoss(reduction=r), BOTH, soft_margins,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses(mode: str, name: str) -> None:
    for reduction in ("none", "mean", "sum"):
        check_loss(name, reduction)


def check_loss(name: str, reduction: str) -> None:
    make, labels, expected = LOSSES[name]
    loss, x = make(reduction), draw(3, 4)
    reduce = {"none": lambda v: v, "mean": np.mean, "sum": np.sum}[reduction]
    found = loss(ms.Tensor(x), ms.Tensor(labels)).asnumpy()
    np.testing.assert_allclose(found, reduce(expected(x)), rtol=1e-10)
    if reduction == "sum":
        gradient = ms.grad(loss, 0)(ms.Tensor(x), ms.Tensor(labels))
        ref.assert_gradient(lambda v: expected(v).sum(), x, gradient.asnumpy(), name)


def alignments(p: Array, target: Sequence[int], blank: int) -> float:
    """The probability of a target: over all paths that give it without repeats and blanks."""
    total = 0.0
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        kept = [label for label, _ in itertools.groupby(path) if label != blank]
        if kept == list(target):
            total += math.prod(p[t, label] for t, label in enumerate(path))
    return total


@pytest.mark.parametrize("blank", [0, 2])
def test_ctc(mode: str, blank: int) -> None:
    """Against all paths; different lengths; a target that repeats, and an empty one."""
    p = ref.softmax(draw(4, 3, 3), -1)
    labels = [k for k in range(3) if k != blank]
    targets = np.array([[labels[0], labels[0]], [labels[1], labels[0]], [labels[1], 0]])
    times, counts = [4, 3, 4], [2, 2, 0]
    wanted = [
        -math.log(alignments(p[:t, i], targets[i, :n], blank))
        for i, (t, n) in enumerate(zip(times, counts, strict=True))
    ]
    given = (ms.Tensor(np.log(p)), ms.Tensor(targets), ms.Tensor(times), ms.Tensor(counts))
    found = nn.CTCLoss(blank, "none")(*given).asnumpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    mean = nn.CTCLoss(blank)(*given).item()
    np.testing.assert_allclose(mean, np.mean(np.array(wanted) / np.maximum(counts, 1)), rtol=1e-10)


def test_ctc_of_targets_that_do_not_fit(mode: str) -> None:
    """Two equal labels take three steps; there are two."""
    p = ms.Tensor(np.log(ref.softmax(draw(2, 1, 3), -1)))
    target, lengths = ms.Tensor([[1, 1]]), (ms.Tensor([2]), ms.Tensor([2]))
    assert nn.CTCLoss()(p, target, *lengths).item() == math.inf
    zero = nn.CTCLoss(zero_infinity=True)
    assert zero(p, target, *lengths).item() == 0
    assert not ms.grad(zero, 0)(p, target, *lengths).asnumpy().any()
