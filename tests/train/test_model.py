"""`Model`: training learns, callbacks see what happens, and a pause changes no bit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import amp, data, nn, ops, train

X = np.random.default_rng(0).normal(size=(48, 3)).astype(np.float32)
Y = (X @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 0.25).astype(np.float32)


@pytest.fixture(params=["pynative", "graph"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    before = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE if request.param == "graph" else ms.PYNATIVE_MODE)
    yield request.param
    ms.set_context(mode=before)


def batches(size: int = 16) -> data.Batches:
    return data.Batches((X, Y), size, shuffle=True, seed=3)


def model(metrics: Any = None, dropout: float = 0.0, rate: Any = 0.02, **options: Any) -> ms.Model:
    ms.set_seed(1)
    net = nn.SequentialCell(nn.Dense(3, 8), nn.Tanh(), nn.Dropout(p=dropout), nn.Dense(8, 1))
    optimizer = nn.Adam(net.trainable_params(), rate)
    return ms.Model(net, nn.MSELoss(), optimizer, metrics, **options)


def weights(m: ms.Model) -> list[np.ndarray]:
    return [p.asnumpy().copy() for p in m.train_network.get_parameters()]


def test_training_and_evaluation(mode: str, capsys: pytest.CaptureFixture) -> None:
    m, history = model({"loss", "mae"}), train.History()
    before = m.eval(batches())
    m.fit(12, batches(), batches(48), 3, [history, train.LossMonitor(3), train.TimeMonitor()])
    after = m.eval(batches())
    assert set(before) == {"loss", "mae"}
    assert after["loss"] < 0.2 * before["loss"]
    assert history.epoch["epoch"] == list(range(1, 13))
    assert len(history.history["net_output"]) == 12
    assert len(history.history["mae"]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("epoch: 2 step: 3, loss is ") for line in lines) == 1
    assert sum(line.startswith("Train epoch time: ") for line in lines) == 12
    assert m.predict(X[:5]).shape == (5, 1)


@pytest.mark.parametrize("bars", [True, False])
def test_progress(
    bars: bool, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar for each epoch, or a line where `rich` is not installed."""
    if bars:
        pytest.importorskip("rich")
    else:
        monkeypatch.setitem(sys.modules, "rich.progress", None)
    model().train(2, batches(), train.Progress())
    printed = capsys.readouterr().out
    assert "epoch 1/2" in printed
    assert "epoch 2/2" in printed
    assert "loss" in printed


def test_data_sets() -> None:
    """Lists of tuples, dicts, and Tensors do as well; a used generator does not."""
    for dataset in (
        [(X[:8], Y[:8]), (X[8:], Y[8:])],
        [{"data": X, "label": Y}],
        [(ms.Tensor(X), ms.Tensor(Y))],
    ):
        m = model()
        m.train(2, dataset)
        assert m.position.step == 2 * len(dataset)
    with pytest.raises(ValueError, match="epoch 2 has no batch"):
        model().train(2, (batch for batch in [(X, Y)]))
    with pytest.raises(TypeError, match="is no data set"):
        model().train(1, 3)


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_a_pause_changes_no_bit(mode: str, tmp_path: Path, ending: str) -> None:
    """Dropout, shuffling, a schedule and Adam's state go on where they were."""
    whole = model(dropout=0.3, rate=nn.ExponentialDecayLR(0.02, 0.9, 3))
    whole.train(4, batches())
    first = model(dropout=0.3, rate=nn.ExponentialDecayLR(0.02, 0.9, 3))
    first.train(2, batches())
    first.save(tmp_path / f"half.{ending}")
    ms.set_seed(99)
    second = model(dropout=0.3, rate=nn.ExponentialDecayLR(0.02, 0.9, 3))
    second.restore(tmp_path / f"half.{ending}")
    assert (second.position.epoch, second.position.step) == (2, 6)
    second.train(4, batches())
    for a, b in zip(weights(whole), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_second_call_begins_at_the_first_epoch() -> None:
    m, seen = model(), []
    watch = train.LambdaCallback(
        on_train_step_end=lambda c: seen.append(
            (c.original_args().cur_epoch_num, c.original_args().cur_step_num)
        )
    )
    for _ in range(2):
        m.train(1, batches(), watch)
    assert seen == [(1, 1), (1, 2), (1, 3)] * 2


def test_restoring_something_else(tmp_path: Path) -> None:
    m = model()
    m.save(tmp_path / "state")
    other = ms.Model(nn.Dense(3, 1), nn.MSELoss())
    before = weights(other)
    with pytest.raises(ValueError, match="is not the state of this WithLossCell"):
        other.restore(tmp_path / "state")
    ms.save_checkpoint(m.train_network, tmp_path / "weights.ckpt")
    with pytest.raises(ValueError, match=r"it lacks \['epoch', 'random', 'step'\]"):
        m.restore(tmp_path / "weights.ckpt")
    for a, b in zip(before, weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoints(tmp_path: Path) -> None:
    config = train.CheckpointConfig(2, keep_checkpoint_max=2, append_info=["epoch_num", "step_num"])
    keeper = train.ModelCheckpoint("net", tmp_path / "folder", config)
    m = model()
    m.train(3, batches(), keeper)  # 9 steps: after 2, 4, 6, 8 and at the end
    found = sorted(p.name for p in (tmp_path / "folder").iterdir())
    assert found == ["net-3_2.ckpt", "net-3_3.ckpt"]
    last = ms.load_checkpoint(keeper.latest_ckpt_file_name)
    assert (last["epoch_num"].item(), last["step_num"].item()) == (3, 9)
    missing, extra = ms.load_param_into_net(m.train_network, last)
    assert (missing, extra) == ([], ["epoch_num", "step_num"])
    again = train.ModelCheckpoint("net", tmp_path / "folder", config)
    m.train(4, batches(), again)
    assert again.latest_ckpt_file_name.endswith("net_1-4_3.ckpt")


def test_stopping_early() -> None:
    stopper = train.EarlyStopping("loss", patience=2, min_delta=1e9, restore_best_weights=True)
    m, seen = model({"loss"}), []
    recorder = train.LambdaCallback(on_train_epoch_end=lambda c: seen.append(weights(m)))
    m.fit(9, batches(), batches(), callbacks=[recorder, stopper])
    assert stopper.stopped_epoch == 3
    for best, now in zip(seen[0], weights(m), strict=True):
        np.testing.assert_array_equal(best, now)
    with pytest.raises(ValueError, match="EarlyStopping watches 'eval_f1'"):
        model({"loss"}).fit(1, batches(), batches(), callbacks=train.EarlyStopping("eval_f1"))


def test_rates() -> None:
    m, rates = model(rate=0.5), []
    optimizer = m._optimizer
    watch = train.LambdaCallback(
        on_train_step_end=lambda c: rates.append(float(optimizer.learning_rate.asnumpy()))
    )
    halve = train.LearningRateScheduler(lambda rate, step: rate / 2 if step % 3 == 0 else rate)
    m.train(2, batches(), [watch, halve])
    assert rates == [0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    lower = train.ReduceLROnPlateau("loss", 0.5, patience=2, min_delta=1e9, min_lr=0.05)
    m.train(7, batches(), lower)
    assert float(optimizer.learning_rate.asnumpy()) == np.float32(0.05)  # after epochs 3 and 5
    scheduled = model(rate=[0.1, 0.2])
    with pytest.raises(TypeError, match="schedule of its own"):
        scheduled.train(1, batches(), halve)


class Loss(nn.Cell):
    """Of which the logarithm is nan once a weight is negative."""

    def construct(self, found, wanted):
        scale = ops.log(wanted[0, 0])
        return ops.mean((found - wanted) ** 2) + 0 * scale


def test_nan_is_found(mode: str) -> None:
    bad = Y.copy()
    bad[0, 0] = -1.0
    net = nn.Dense(3, 1)
    m = ms.Model(net, Loss(), nn.SGD(net.trainable_params(), 0.01))
    good = Y.copy()
    good[0, 0] = 1.0
    before: list[np.ndarray] = []
    watch = train.LambdaCallback(on_train_step_begin=lambda c: before.append(net.weight.asnumpy()))
    with pytest.raises(FloatingPointError) as caught:
        m.train(1, [(X, good), (X, good), (X, bad), (X, good)], [watch, train.StopAtNaN()])
    text = str(caught.value)
    assert "step 3 (epoch 1): the loss is nan; log(f32[]) is the first that is not finite" in text
    assert "scale = ops.log(wanted[0, 0])" in text
    assert "test_model.py:" in text
    np.testing.assert_array_equal(net.weight.asnumpy(), before[2])
    with pytest.raises(ValueError, match="StopAtNaN"):
        m.train(2, [(X, bad)], train.LossMonitor())


def test_clipping_accumulation_and_averages(mode: str) -> None:
    """Two halves of a batch do what the whole does; the average follows."""
    whole, halves = nn.Dense(3, 1), nn.Dense(3, 1)
    ms.load_param_into_net(halves, whole.parameters_dict())
    optimizers = [nn.Momentum(net.trainable_params(), 0.1, 0.9) for net in (whole, halves)]
    average = train.EMA(halves.trainable_params(), 0.5)
    one = train.TrainStep(
        nn.WithLossCell(whole, nn.MSELoss()), optimizers[0], clip_norm=0.5, clip_value=0.3
    )
    two = train.TrainStep(
        nn.WithLossCell(halves, nn.MSELoss()), optimizers[1], 0.3, 0.5, accumulate=2,
        average=average,
    )  # fmt: skip
    means = [p.asnumpy().astype(np.float64) for p in halves.get_parameters()]
    for _ in range(3):
        one(ms.Tensor(X), ms.Tensor(Y))
        before = halves.weight.asnumpy().copy()
        two(ms.Tensor(X[:24]), ms.Tensor(Y[:24]))
        np.testing.assert_array_equal(halves.weight.asnumpy(), before)
        two(ms.Tensor(X[24:]), ms.Tensor(Y[24:]))
        for i, (a, b) in enumerate(zip(whole.get_parameters(), halves.get_parameters())):
            np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-5, atol=1e-6)
            means[i] = 0.5 * means[i] + 0.5 * b.asnumpy()
    for mean, held in zip(means, average.averages, strict=True):
        np.testing.assert_allclose(held.asnumpy(), mean, rtol=1e-6)
    now = halves.weight.asnumpy().copy()
    with average.applied():
        np.testing.assert_array_equal(halves.weight.asnumpy(), average.averages[0].asnumpy())
    np.testing.assert_array_equal(halves.weight.asnumpy(), now)


def test_gradients_are_clipped() -> None:
    """By value to 0.3 each, then all together to a norm of 0.5."""
    net = nn.Dense(3, 1, weight_init="zeros", bias_init="zeros")
    step = train.TrainStep(
        nn.WithLossCell(net, nn.MSELoss()), nn.SGD(net.trainable_params(), 1.0), 0.3, 0.5
    )
    gradients = [(-2 * Y * X).mean(0), (-2 * Y).mean(0)]
    step(ms.Tensor(X), ms.Tensor(Y))
    clipped = [np.clip(g, -0.3, 0.3) for g in gradients]
    norm = np.sqrt(sum((g**2).sum() for g in clipped))
    assert norm > 0.5
    np.testing.assert_allclose(net.weight.asnumpy()[0], -clipped[0] * 0.5 / norm, rtol=1e-4)


@pytest.mark.parametrize("level", ["O1", "O2", "O3"])
def test_mixed_precision(mode: str, level: str) -> None:
    """It learns, products round to half precision, weights stay float32."""
    ms.set_seed(0)
    net = nn.SequentialCell(nn.Dense(3, 8), nn.LayerNorm((8,)), nn.Dense(8, 1))
    manager = amp.DynamicLossScaleManager(2.0**10, 2, 1000)
    m = ms.Model(
        net, nn.MSELoss(), nn.Adam(net.trainable_params(), 0.02), {"loss"},
        amp_level=level, loss_scale_manager=manager,
    )  # fmt: skip
    assert net(ms.Tensor(X)).dtype is ms.float32
    assert net[1]._float is {"O1": None, "O2": ms.float32, "O3": ms.float16}[level]
    before = m.eval(batches())["loss"]
    m.train(15, batches())
    assert m.eval(batches())["loss"] < 0.3 * before
    assert all(p.dtype is ms.float32 for p in net.trainable_params())


def test_overflow_changes_nothing(mode: str) -> None:
    net = nn.Dense(3, 1)
    scaling = nn.DynamicLossScaleUpdateCell(2.0**20, 2, 3)
    step = nn.TrainOneStepWithLossScaleCell(
        nn.WithLossCell(net, nn.MSELoss()), nn.Adam(net.trainable_params(), 0.01), scaling
    )
    before = net.weight.asnumpy().copy()
    _, overflow, scale = step(ms.Tensor(X), ms.Tensor(Y * np.float32(1e37)))
    assert bool(overflow.asnumpy())
    assert scale.item() == 2.0**20
    np.testing.assert_array_equal(net.weight.asnumpy(), before)
    assert step.scale_sense.item() == 2.0**19
    for _ in range(3):
        _, overflow, _ = step(ms.Tensor(X), ms.Tensor(Y))
        assert not bool(overflow.asnumpy())
    assert step.scale_sense.item() == 2.0**20
    assert (net.weight.asnumpy() != before).all()


def test_weights_stored_in_half(mode: str) -> None:
    ms.set_seed(0)
    net = nn.SequentialCell(nn.Dense(3, 8), nn.LayerNorm((8,)), nn.Dense(8, 1))
    wanted = net(ms.Tensor(X)).asnumpy()
    amp.store_in_half(net)
    kinds = [str(p.dtype) for p in net.get_parameters()]
    assert kinds == ["Float16"] * 2 + ["Float32"] * 2 + ["Float16"] * 2
    found = net(ms.Tensor(X))
    assert found.dtype is ms.float32
    # Weights are rounded to 11 bits; 3 + 8 products of them add up.
    np.testing.assert_allclose(found.asnumpy(), wanted, atol=12 * 2**-11)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ms.Model(3), TypeError, "network must be a Cell"),
        (lambda: ms.Model(nn.Dense(3, 1), 3), TypeError, "loss_fn must be callable"),
        (lambda: ms.Model(nn.Dense(3, 1), metrics={"acc"}), ValueError, "need a loss_fn"),
        (lambda: model({"best"}), ValueError, "no metric is named 'best'"),
        (lambda: model({"a": 3}), TypeError, "the metric 'a' is a int"),
        (lambda: model().eval(batches()), ValueError, "has none"),
        (lambda: model().train(-1, batches()), ValueError, "at least 0"),
        (lambda: model().train("1", batches()), TypeError, "epoch must be an int"),
        (lambda: model().train(1, batches(), [print]), TypeError, "is no Callback"),
        (lambda: model(amp_level="O9"), ValueError, "no such amp_level"),
        (lambda: train.CheckpointConfig(0), ValueError, "neither steps nor seconds"),
        (lambda: train.CheckpointConfig(1.5), TypeError, "must be an int"),
        (lambda: train.ModelCheckpoint("a/b"), ValueError, "prefix must be a name"),
        (lambda: train.LossMonitor(-1), ValueError, "per_print_times"),
        (lambda: train.LambdaCallback(on_end=print), ValueError, "no event 'on_end'"),
        (lambda: train.EarlyStopping(mode="best"), ValueError, "mode must be one of"),
        (
            lambda: ms.Model(nn.ReLU(), nn.PReLU(), nn.SGD(nn.Dense(3, 1).trainable_params())),
            ValueError,
            "are none of the network's",
        ),
        (lambda: train.EMA([], 1.0), ValueError, "decay must be in"),
        (lambda: amp.custom_mixed_precision(nn.ReLU()), ValueError, "a white list or a black"),
        (lambda: amp.custom_mixed_precision(nn.ReLU(), white_list=[3]), TypeError, "has 3"),
    ],
)  # fmt: skip
def test_bad_input(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call()
