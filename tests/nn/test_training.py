"""Training: one step is one graph with updates; both modes give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn, ops
from jitgrad.data import digits

X = np.random.default_rng(1).uniform(-1, 1, (6, 3)).astype(np.float32)
Y = np.random.default_rng(2).uniform(-1, 1, (6, 2)).astype(np.float32)


def network() -> nn.SequentialCell:
    ms.set_seed(2)
    return nn.SequentialCell(nn.Dense(3, 5), nn.Tanh(), nn.Dense(5, 2))


def step_cell(make=nn.Adam, **settings) -> nn.TrainOneStepCell:
    net = network()
    optimizer = make(net.trainable_params(), 0.1, **settings)
    return nn.TrainOneStepCell(nn.WithLossCell(net, nn.MSELoss()), optimizer).set_train()


def traced(cell: nn.Cell, *args):
    """What the compiler was given for a Cell that was just called."""
    (entries,) = cell._compiled()._entries.values()
    (entry,) = entries
    return entry.traced


# --- one graph ----------------------------------------------------------------------------------


def test_a_step_is_one_graph_with_updates() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        step = step_cell()
        losses = [float(step(ms.Tensor(X), ms.Tensor(Y))) for _ in range(3)]
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    assert losses[2] < losses[0]
    found = traced(step)
    assert found.count == 1  # the loss
    # Four weights, their two moments each, two powers of beta and the step: all written back.
    assert len(found.writes) == 4 * 3 + 3
    inputs = [node.attrs["name"] for node in found.graph.inputs]
    assert inputs[:2] == ["inputs_0", "inputs_1"]
    assert {"_0.weight", "moment1.0.weight", "beta1_power", "learning_rate"} <= set(inputs)
    written = {inputs[place] for _, place in found.writes}
    assert "learning_rate" not in written
    assert {"_0.weight", "_2.bias", "moment2.2.bias", "beta2_power", "global_step"} <= written


def test_a_jitted_function_is_a_step_too() -> None:
    net = network()
    optimizer = nn.Momentum(net.trainable_params(), 0.1, 0.9)
    loss = nn.MSELoss()
    value_and_grad = ms.value_and_grad(lambda x, y: loss(net(x), y), None, net.trainable_params())

    def step(x, y):
        value, grads = value_and_grad(x, y)
        optimizer(grads)
        return value

    compiled = ms.jit(step)
    got = [float(compiled(ms.Tensor(X), ms.Tensor(Y))) for _ in range(4)]
    (entries,) = compiled._entries.values()
    assert len(entries) == 1
    assert len(entries[0].traced.writes) == 4 * 2 + 1
    net = network()
    optimizer = nn.Momentum(net.trainable_params(), 0.1, 0.9)
    value_and_grad = ms.value_and_grad(lambda x, y: loss(net(x), y), None, net.trainable_params())
    assert got == pytest.approx([float(step(ms.Tensor(X), ms.Tensor(Y))) for _ in range(4)])


def test_updates_happen_in_place() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        step = step_cell()
        weight = step.weights[0]
        step(ms.Tensor(X), ms.Tensor(Y))
        array = weight._data
        before = array.copy()
        step(ms.Tensor(X), ms.Tensor(Y))
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    assert weight._data is array
    assert not np.array_equal(before, array)


# --- both modes ---------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": (nn.SGD, {"momentum": 0.9}),
    "momentum": (nn.Momentum, {"momentum": 0.9}),
    "adam": (nn.Adam, {}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_both_modes_train_alike(name: str) -> None:
    make, settings = OPTIMIZERS[name]
    results = []
    for mode in (ms.PYNATIVE_MODE, ms.GRAPH_MODE):
        ms.set_context(mode=mode)
        step = step_cell(make, **settings)
        losses = [float(step(ms.Tensor(X), ms.Tensor(Y))) for _ in range(10)]
        results.append((losses, [p.asnumpy() for p in step.weights]))
    ms.set_context(mode=ms.PYNATIVE_MODE)
    (eager, weights), (compiled, others) = results
    assert eager[-1] < 0.5 * eager[0]
    assert compiled == pytest.approx(eager, rel=1e-5)
    for a, b in zip(weights, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_sens_and_loss_scale_cancel(mode: str) -> None:
    x, y = ms.Tensor(X), ms.Tensor(Y)
    plain = step_cell(nn.SGD)
    wanted = [float(plain(x, y)) for _ in range(3)]
    net = network()
    optimizer = nn.SGD(net.trainable_params(), 0.1, loss_scale=8.0)
    scaled = nn.TrainOneStepCell(nn.WithLossCell(net, nn.MSELoss()), optimizer, sens=8.0)
    assert [float(scaled(x, y)) for _ in range(3)] == pytest.approx(wanted, rel=1e-6)


def test_step_can_return_gradients(mode: str) -> None:
    net = network()
    step = nn.TrainOneStepCell(
        nn.WithLossCell(net, nn.MSELoss()), nn.SGD(net.trainable_params(), 0.0), return_grad=True
    )
    loss, gradients = step(ms.Tensor(X), ms.Tensor(Y))
    assert list(gradients) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    got = float(nn.MSELoss()(net(ms.Tensor(X)), ms.Tensor(Y)))
    assert float(loss) == pytest.approx(got)


def test_with_eval_and_forward_value_and_grad(mode: str) -> None:
    net = network()
    x, y = ms.Tensor(X), ms.Tensor(Y)
    loss, _, labels = nn.WithEvalCell(net, nn.MSELoss())(x, y)
    np.testing.assert_array_equal(labels.asnumpy(), Y)
    with_loss = nn.WithLossCell(net, nn.MSELoss())
    assert with_loss.backbone_network is net
    value, (by_input, by_weight) = nn.ForwardValueAndGrad(
        with_loss, net.trainable_params(), get_all=True, get_by_list=True
    )(x, y)
    assert float(value) == pytest.approx(float(loss))
    assert [g.shape for g in by_input] == [(6, 3), (6, 2)]
    assert [g.shape for g in by_weight] == [p.shape for p in net.trainable_params()]


def test_clipped(mode: str) -> None:
    net = network()
    optimizer = nn.SGD(net.trainable_params(), 1.0)
    before = [p.asnumpy() for p in net.trainable_params()]
    loss = nn.MSELoss("sum")
    gradient = ms.grad(lambda x, y: loss(net(x), y), None, net.trainable_params())
    optimizer(ops.clip_by_global_norm(gradient(ms.Tensor(X), ms.Tensor(Y)), 0.5))
    moved = [a - p.asnumpy() for a, p in zip(before, net.trainable_params(), strict=True)]
    assert np.sqrt(sum((m**2).sum() for m in moved)) == pytest.approx(0.5, rel=1e-5)


def test_frozen_weights_stay(mode: str) -> None:
    net = network()
    net[0].weight.requires_grad = False
    before = net[0].weight.asnumpy()
    optimizer = nn.Adam(net.trainable_params(), 0.1)
    step = nn.TrainOneStepCell(nn.WithLossCell(net, nn.MSELoss()), optimizer)
    first, second = (float(step(ms.Tensor(X), ms.Tensor(Y))) for _ in range(2))
    assert second < first
    np.testing.assert_array_equal(net[0].weight.asnumpy(), before)


def test_wrong_parts() -> None:
    net = network()
    with pytest.raises(TypeError, match="network must be a Cell"):
        nn.TrainOneStepCell(3, nn.SGD(net.trainable_params()))
    with pytest.raises(TypeError, match="backbone must be a Cell"):
        nn.WithLossCell(lambda x: x, nn.MSELoss())


def test_digits_are_learned(mode: str) -> None:
    (images, labels), _ = digits()
    ms.set_seed(1)
    net = nn.SequentialCell(nn.Flatten(), nn.Dense(64, 32, activation="relu"), nn.Dense(32, 10))
    optimizer = nn.Adam(net.trainable_params(), 0.01)
    step = nn.TrainOneStepCell(nn.WithLossCell(net, nn.CrossEntropyLoss()), optimizer)
    losses = []
    for start in range(0, 1280, 128):
        chosen = slice(start, start + 128)
        losses.append(float(step(ms.Tensor(images[chosen]), ms.Tensor(labels[chosen]))))
    assert losses[0] > 2.2
    assert losses[-1] < 1.9


# --- steps of one's own -------------------------------------------------------------------------

clip = ops.MultitypeFuncGraph("clip")


@clip.register("Number", "Tensor")
def _clip(most, gradient):
    return nn.ClipByNorm()(gradient, ops.cast(ops.tuple_to_array((most,)), gradient.dtype))


class OwnStep(nn.TrainOneStepCell):
    """As programs write it: the gradient function takes the scale as the loss's cotangent."""

    def construct(self, *inputs):
        loss = self.network(*inputs)
        sens = ops.fill(loss.dtype, loss.shape, self.sens)
        gradients = self.grad(self.network, self.weights)(*inputs, sens)
        gradients = ops.HyperMap()(ops.partial(clip, 1e3), gradients)
        return ops.depend(loss, self.optimizer(self.grad_reducer(gradients)))


class OwnScaledStep(nn.TrainOneStepWithLossScaleCell):
    def construct(self, *inputs):
        loss = self.network(*inputs)
        status, scale = self.start_overflow_check(loss, self.scale_sense.value())
        gradients = self.grad(self.network, self.weights)(*inputs, ops.ones_like(loss) * scale)
        gradients = self.hyper_map(ops.partial(unscale, scale), gradients)
        overflow = self.process_loss_scale(self.get_overflow_status(status, gradients))
        if not overflow:
            loss = ops.depend(loss, self.optimizer(gradients))
        return loss, overflow, scale


unscale = ops.MultitypeFuncGraph("unscale")


@unscale.register("Tensor", "Tensor")
def _unscale(scale, gradient):
    return gradient * ops.reciprocal(scale)


@pytest.mark.parametrize("scaled", [False, True])
def test_steps_of_ones_own(mode: str, scaled: bool) -> None:
    """They do what the library's steps do; a step that overflows changes the scale only."""
    found = []
    for own in (True, False):
        net = network()
        loss, optimizer = nn.WithLossCell(net, nn.MSELoss()), nn.Adam(net.trainable_params(), 0.1)
        if scaled:
            kind = OwnScaledStep if own else nn.TrainOneStepWithLossScaleCell
            step = kind(loss, optimizer, nn.DynamicLossScaleUpdateCell(2.0**9, 2, 2))
        else:
            step = (OwnStep if own else nn.TrainOneStepCell)(loss, optimizer)
        batches = [Y, Y * np.float32(1e37), Y, Y] if scaled else [Y] * 3
        results = [step(ms.Tensor(X), ms.Tensor(y)) for y in batches]
        if scaled:
            assert [bool(overflow) for _, overflow, _ in results] == [False, True, False, False]
            assert [r[2].item() for r in results] == [512, 512, 256, 256]
            assert step.scale_sense.item() == 512
        weights = [p.asnumpy() for p in net.get_parameters()]
        found.append([r[0].asnumpy() if scaled else r.asnumpy() for r in results] + weights)
    for a, b in zip(*found, strict=True):
        # A gradient scaled by a power of two is exact; clipping multiplies and divides once.
        np.testing.assert_allclose(a, b, rtol=2**-18, atol=2**-20)
