"""State by name, lists of Parameters, and the smaller layers and cells around networks."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn, ops

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.layers = nn.SequentialCell(nn.Dense(3, 4), nn.Dense(4, 2))
        self.register_buffer("shift", ms.Tensor([1.0, 2.0]))
        self.register_buffer("passing", ms.Tensor([0.0]), persistent=False)

    def construct(self, x):
        return self.layers(x) + self.shift


def test_state_by_name() -> None:
    net, other = Net(), Net()
    state = net.state_dict()
    assert list(state) == ["shift", *(f"layers.{i}.{n}" for i in "01" for n in ("weight", "bias"))]
    state["shift"] = ms.Tensor([3.0, 4.0])
    assert other.load_state_dict(state) == ([], [])
    assert other.shift.asnumpy().tolist() == [3.0, 4.0]
    np.testing.assert_allclose(
        other(ms.Tensor(X)).asnumpy(), net(ms.Tensor(X)).asnumpy() + 2, rtol=1e-6
    )
    before = other.layers[0].weight.asnumpy()
    wrong = {**net.state_dict(), "more": ms.Tensor([1.0])}
    del wrong["shift"]
    with pytest.raises(RuntimeError, match=r"missing \['shift'\], unknown \['more'\]"):
        other.load_state_dict(wrong)
    with pytest.raises(ValueError, match=r"layers.0.bias has shape \[4\], the given value \[1\]"):
        other.load_state_dict({"layers.0.bias": ms.Tensor([1.0])}, strict=False)
    np.testing.assert_array_equal(before, other.layers[0].weight.asnumpy())
    assert net.get_parameter("layers.1.bias") is net.layers[1].bias
    assert net.get_buffer("shift") is net.shift
    assert net.get_sub_cell("layers.0") is net.layers[0]
    with pytest.raises(AttributeError, match="SequentialCell has no Cell '7'"):
        net.get_sub_cell("layers.7")


def test_shared_parameters_are_saved_under_both_places() -> None:
    net = Net()
    net.twin = net.layers[0]
    state = net.state_dict()
    assert len(list(net.get_parameters())) == 4
    assert net.load_state_dict(state) == ([], [])


def test_freezing(mode: str) -> None:
    net = Net()
    net.layers[0].freeze()
    assert [p.name for p in net.trainable_params()] == ["layers.1.weight", "layers.1.bias"]
    assert len(net.untrainable_params()) == 2
    step = nn.TrainOneStepCell(
        nn.WithLossCell(net, nn.MSELoss()), nn.SGD(net.trainable_params(), 0.1)
    )
    before = [p.asnumpy().copy() for p in net.get_parameters()]
    step(ms.Tensor(X), ms.Tensor(X[:, :2]))
    changed = [bool((p.asnumpy() != b).any()) for p, b in zip(net.get_parameters(), before)]
    assert changed == [False, False, True, True]
    assert net.freeze(False).untrainable_params() == []
    assert net.train().training
    assert not net.eval().training


class Powers(nn.Cell):
    def __init__(self):
        super().__init__()
        made = [ms.Parameter(ms.Tensor([float(i)]), name=f"c{i}") for i in range(3)]
        self.factors = nn.ParameterList(made)

    def construct(self, x):
        total = 0.0
        for i, factor in enumerate(self.factors):
            total = total + factor * x**i
        return total


def test_parameter_list(mode: str) -> None:
    net = Powers()
    assert net(ms.Tensor([2.0])).asnumpy().tolist() == [0 + 2 + 8]
    assert len(net.trainable_params()) == len(net.factors) == 3
    net.factors[1].set_data(ms.Tensor([5.0]))
    assert net(ms.Tensor([2.0])).asnumpy().tolist() == [18]
    assert net.factors[-1] is net.factors[2]
    with pytest.raises(IndexError, match="no Parameter 3"):
        net.factors[3]
    with pytest.raises(TypeError, match="takes a Parameter"):
        net.factors.append(ms.Tensor([1.0]))


def test_lookup(mode: str) -> None:
    cell = nn.EmbeddingLookup(3, 2, ms.Tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 0.5]]), max_norm=1.0)
    found = cell(ms.Tensor([[1, 5], [2, -1]]))
    wanted = [[[0.6, 0.8], [0, 0]], [[0, 0.5], [0, 0]]]
    np.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("operator", ["SUM", "MEAN", "MAX"])
def test_fields(mode: str, operator: str) -> None:
    rng = np.random.default_rng(3)
    table, values = rng.normal(size=(9, 2)), rng.normal(size=(2, 4)) * [[1, 1, 0, 1], [1, 1, 1, 0]]
    ids, fields = rng.integers(0, 9, (2, 4)), np.array([[0, 2, 0, 0], [0, 1, 1, 2]])
    cell = nn.MultiFieldEmbeddingLookup(9, 2, 3, ms.Tensor(table), operator=operator)
    wanted = np.zeros((2, 3, 2))
    for n, f in np.ndindex(2, 3):
        chosen = (fields[n] == f) & (values[n] != 0)
        if chosen.any():
            rows, weights = table[ids[n, chosen]], values[n, chosen]
            each = rows * weights[:, None]
            wanted[n, f] = each.max(0) if operator == "MAX" else each.sum(0)
            if operator == "MEAN":
                wanted[n, f] /= np.abs(weights).sum()
    found = cell(*(ms.Tensor(a) for a in (ids, values, fields)))
    np.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-5)


def test_local_response(mode: str) -> None:
    x = np.random.default_rng(1).normal(size=(2, 5, 3, 2))
    found = nn.LRN(1, 2.0, 0.5, 0.75)(ms.Tensor(x)).asnumpy()
    total = np.stack([(x[:, max(c - 1, 0) : c + 2] ** 2).sum(1) for c in range(5)], 1)
    np.testing.assert_allclose(found, x / (2 + 0.5 * total) ** 0.75, rtol=1e-10)


@pytest.mark.parametrize("beside", [None, 0])
def test_time(mode: str, beside: int | None) -> None:
    layer = nn.Dense(3, 2)
    x = np.random.default_rng(2).normal(size=(4, 5, 3)).astype(np.float32)
    found = nn.TimeDistributed(layer, 1, beside)(ms.Tensor(x))
    np.testing.assert_allclose(found.asnumpy(), layer(ms.Tensor(x)).asnumpy(), rtol=1e-5)


def test_gradients_as_a_cell(mode: str) -> None:
    net, x, y = nn.Dense(3, 2), ms.Tensor(X), ms.Tensor(X[:, :2])
    gradients = nn.WithGradCell(net, nn.MSELoss())(x, y)
    wanted = ms.grad(lambda: nn.MSELoss()(net(x), y), None, net.trainable_params())
    for a, b in zip(gradients, wanted(), strict=True):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-5)


def test_parameter_update(mode: str) -> None:
    p = ms.Parameter(ms.Tensor([1.0, 2.0]), name="p")
    assert nn.ParameterUpdate(p)(ms.Tensor([3.0, 4.0])).asnumpy().tolist() == [3.0, 4.0]
    assert p.asnumpy().tolist() == [3.0, 4.0]


@pytest.mark.parametrize("clip", [False, True])
def test_lars(mode: str, clip: bool) -> None:
    rng = np.random.default_rng(0)
    values, gradients = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    p = ms.Parameter(ms.Tensor(values.copy()), name="weight")
    b = ms.Parameter(ms.Tensor(values[0].copy()), name="bias")
    inner = nn.SGD([p, b], 0.5, weight_decay=0.25)
    nn.LARS(inner, 1e-5, 0.1, clip)((ms.Tensor(gradients), ms.Tensor(gradients[0])))
    size, length = np.linalg.norm(values), np.linalg.norm(gradients)
    ratio = 0.1 * size / (length + 0.25 * size + 1e-5)
    ratio = min(ratio / 0.5, 1) if clip else ratio
    wanted = values - 0.5 * ratio * (gradients + 0.25 * values)
    np.testing.assert_allclose(p.asnumpy(), wanted, rtol=1e-6)
    with pytest.raises(TypeError, match="LARS takes an optimizer of nn"):
        nn.LARS(3)


def test_random_state() -> None:
    ms.set_seed(4)
    ops.randn(3)
    state = ms.get_rng_state()
    first = ops.randn(3).asnumpy()
    ms.set_seed(5)
    ms.set_rng_state(state)
    np.testing.assert_array_equal(ops.randn(3).asnumpy(), first)
    assert ms.initial_seed() == 5
    with pytest.raises(ValueError, match="a random state is two uint64"):
        ms.set_rng_state(ms.Tensor([1.0]))


def test_unfold_layer(mode: str) -> None:
    """Windows as channels: rows, columns and input channels, the last fastest."""
    x = np.arange(2 * 2 * 4 * 5, dtype=np.float64).reshape(2, 2, 4, 5)
    found = nn.Unfold([1, 2, 2, 1], [1, 2, 1, 1], [1, 1, 2, 1])(ms.Tensor(x)).asnumpy()
    assert found.shape == (2, 8, 2, 3)
    for i in range(2):
        for j in range(3):
            window = x[:, :, 2 * i : 2 * i + 2, j : j + 3 : 2]
            np.testing.assert_array_equal(
                found[:, :, i, j], window.transpose(0, 2, 3, 1).reshape(2, 8)
            )


def test_unpooling(mode: str) -> None:
    x = np.random.default_rng(0).permutation(2 * 3 * 4 * 6).reshape(2, 3, 4, 6).astype(np.float64)
    largest, places = nn.MaxPool2d(2, 2, return_indices=True)(ms.Tensor(x))
    back = nn.MaxUnpool2d(2, 2)(largest, places).asnumpy()
    kept = back != 0
    np.testing.assert_array_equal(back[kept], x[kept])
    assert np.count_nonzero(back) == np.count_nonzero(largest.asnumpy())
    with pytest.raises(ValueError, match="MaxUnpool2d got values of shape"):
        nn.MaxUnpool2d(2)(largest, places[:1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_sequences_of_different_lengths(mode: str, kind: type) -> None:
    """As each sequence alone; zeros behind its end; both directions."""
    layer = kind(3, 4, 2, bidirectional=True)
    x = np.random.default_rng(0).normal(size=(6, 3, 3)).astype(np.float32)
    lengths = [6, 2, 4]
    y, state = layer(ms.Tensor(x), None, ms.Tensor(lengths))
    h = (state[0] if isinstance(state, tuple) else state).asnumpy()
    for i, n in enumerate(lengths):
        one, last = layer(ms.Tensor(x[:n, i : i + 1]))
        last = (last[0] if isinstance(last, tuple) else last).asnumpy()
        np.testing.assert_allclose(y.asnumpy()[:n, i], one.asnumpy()[:, 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(h[:, i], last[:, 0], rtol=1e-5, atol=1e-6)
        assert not y.asnumpy()[n:, i].any()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.BiDense(3, 4, 2)(ms.Tensor(X), ms.Tensor(X)), ValueError, "BiDense got inputs"),
        (lambda: nn.RMSNorm(4)(ms.Tensor(X)), ValueError, "RMSNorm got an input"),
        (lambda: nn.InstanceNorm1d(3)(ms.Tensor(X)), ValueError, "it takes 3 axes"),
        (lambda: nn.Dropout3d(1.5), ValueError, "p must be in"),
        (lambda: nn.Dropout1d().train()(ms.Tensor([1.0])), ValueError, "Dropout1d got an input"),
        (lambda: nn.ConstantPad2d((1, 2, 3), 0), TypeError, "padding is"),
        (lambda: nn.ConstantPad1d(1, "a"), TypeError, "value must be a number"),
        (lambda: nn.MaxPool3d(2, padding=1), ValueError, "padding=1"),
        (lambda: nn.MaxPool3d(2, 1, "pad", 2), ValueError, "more than half"),
        (lambda: nn.AvgPool3d((2, 2)), TypeError, "one or three ints"),
        (lambda: nn.AdaptiveAvgPool3d((2, 2)), TypeError, "one or three ints"),
        (lambda: nn.LPPool2d(0, 2), ValueError, "norm_type must not be 0"),
        (lambda: nn.Unfold([1, 2, 2], [1] * 4, [1] * 4), ValueError, "rows, columns"),
        (lambda: nn.Unfold(2, [1] * 4, [1] * 4), TypeError, "ksizes must be"),
        (lambda: nn.Conv3dTranspose(2, 2, 3, output_padding=1), ValueError, 'pad_mode="pad"'),
        (lambda: nn.MultiMarginLoss(3), ValueError, "p must be 1 or 2"),
        (lambda: nn.MultiMarginLoss()(ms.Tensor(X), ms.Tensor(X[:, 0])), TypeError, "class number"),
        (lambda: nn.FocalLoss(gamma="2"), TypeError, "gamma must be a number"),
        (lambda: nn.CTCLoss(9)(ms.Tensor(X), ms.Tensor([1]), [4], [1]), ValueError, "blank=9"),
        (lambda: nn.LSTM(3, 2)(ms.Tensor(X)), ValueError, "it takes three axes"),
        (
            lambda: nn.GRU(3, 2)(ms.Tensor(X[None]), None, ms.Tensor([1])),
            ValueError,
            "one length for each of the 4 sequences",
        ),
        (lambda: nn.GRU(3, 2)(ms.Tensor(X[None]), ms.Tensor(X)), ValueError, "got a state of"),
        (lambda: nn.LRN(norm_region="ALL"), ValueError, "norm_region"),
    ],
)  # fmt: skip
def test_bad_input(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call()


def test_focal_loss(mode: str) -> None:
    logits = ms.Tensor(np.array([[0.8, 1.4], [0.5, 0.9], [1.2, 0.9]], np.float32))
    labels = ms.Tensor(np.array([[1], [1], [0]], np.int32))
    p = np.exp(logits.asnumpy()) / np.exp(logits.asnumpy()).sum(1, keepdims=True)
    p = np.take_along_axis(p, labels.asnumpy(), 1)[:, 0]
    wanted = (np.array([2, 2, 1]) * -((1 - p) ** 2) * np.log(p)).mean()
    loss = nn.FocalLoss(weight=ms.Tensor([1, 2]), gamma=2.0)(logits, labels)
    np.testing.assert_allclose(loss.item(), wanted, rtol=1e-6)


def test_dice_of_classes(mode: str) -> None:
    x = np.random.default_rng(0).uniform(0.1, 1, (5, 3))
    y = np.eye(3)[[0, 2, 1, 1, 0]]
    loss = nn.MultiClassDiceLoss(ms.Tensor([0.5, 1.0, 2.0]), 1, None)(ms.Tensor(x), ms.Tensor(y))
    binary = nn.DiceLoss(1e-5)
    each = [binary(ms.Tensor(x[:, k]), ms.Tensor(y[:, k])).item() for k in (0, 2)]
    np.testing.assert_allclose(loss.item(), (0.5 * each[0] + 2 * each[1]) / 3, rtol=1e-6)
