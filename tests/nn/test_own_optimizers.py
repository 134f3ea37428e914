"""Optimizers, schedules and losses that programs define on the bases, as MindSpore's guides do."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, nn, ops
from jitgrad.experimental import optim

X = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)


class OwnMomentum(nn.Optimizer):
    """Kept in copies of the Parameters, updated by a Primitive class."""

    def __init__(self, parameters, learning_rate, momentum=0.9):
        super().__init__(learning_rate, parameters)
        self.moments = self.parameters.clone(prefix="moments", init="zeros")
        self.momentum, self.step = momentum, ops.ApplyMomentum()

    def construct(self, gradients):
        rate = self.get_lr()
        gradients = self.scale_grad(self.gradients_centralization(self.decay_weight(gradients)))
        for parameter, moment, gradient in zip(self.parameters, self.moments, gradients):
            self.step(parameter, moment, rate, gradient, self.momentum)
        return True


class OwnDescent(optim.Optimizer):
    """Over `param_groups`, whose settings differ."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    def construct(self, gradients):
        for group, start in zip(self.param_groups, self.group_start_id):
            for i, parameter in enumerate(group["params"]):
                ops.assign(parameter, parameter - gradients[start + i] * group["lr"])


class Halved(optim.lr_scheduler.LRScheduler):
    def get_lr(self):
        return [rate * (0.5 if self.last_epoch else 1.0) for rate in self._last_lr]


def trained(make) -> list[np.ndarray]:
    ms.set_seed(2)
    net = nn.Dense(2, 3)
    step = make(net.trainable_params())
    gradient = ms.value_and_grad(lambda x: (net(x) ** 2).mean(), None, step.parameters)
    for _ in range(3):
        step(gradient(Tensor(X))[1])
    return [p.asnumpy() for p in net.trainable_params()]


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_own_momentum_is_ours(mode: int) -> None:
    ms.set_context(mode=mode)
    mine, ours = trained(lambda p: OwnMomentum(p, 0.1)), trained(lambda p: nn.Momentum(p, 0.1, 0.9))
    for a, b in zip(mine, ours, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    assert OwnMomentum(nn.Dense(2, 1).trainable_params(), 0.1).target == "CPU"


def test_groups_that_come_later() -> None:
    net, extra = nn.Dense(2, 3), Parameter(Tensor([1.0, 2.0]), name="extra")
    step = OwnDescent(net.trainable_params(), 0.1)
    step.add_param_group({"params": extra, "lr": 0.5})
    assert step.group_start_id == [0, 2]
    step(
        [Tensor(np.zeros((3, 2), np.float32)), Tensor(np.zeros(3, np.float32)), Tensor([1.0, 1.0])]
    )
    assert extra.tolist() == [0.5, 1.5]
    with pytest.raises(ValueError, match="given twice"):
        step.add_param_group({"params": extra})
    with pytest.raises(ValueError, match="sets \\['momentum'\\]"):
        step.add_param_group({"params": [Parameter(Tensor([1.0]))], "momentum": 0.9})


def test_states_of_earlier_groups_stay() -> None:
    weight, extra = (Parameter(Tensor([1.0]), name=name) for name in ("weight", "extra"))
    step = optim.Adam([weight], 0.1)
    step([Tensor([2.0])])
    held = [getattr(step, name)[0].asnumpy().copy() for name in step.slots]
    step.add_param_group({"params": extra})
    kept = [getattr(step, name)[0].asnumpy() for name in step.slots]
    np.testing.assert_array_equal(held, kept)
    step([Tensor([2.0]), Tensor([1.0])])
    assert extra.item() < 1.0


def test_own_schedule() -> None:
    step = OwnDescent([Parameter(Tensor([1.0]), name="weight")], 0.8)
    schedule = Halved(step)
    rates = []
    for _ in range(3):
        rates += schedule.get_last_lr()
        schedule.step()
    np.testing.assert_allclose(rates, [0.8, 0.4, 0.2], rtol=1e-6)


def test_own_loss() -> None:
    class Loss(nn.LossBase):
        def construct(self, logits, labels):
            x = ops.abs(logits - labels)
            return self.get_loss(x), self.get_axis(x)

    value, axes = Loss()(Tensor(X), Tensor(X + 1))
    assert value.item() == pytest.approx(1)
    assert axes == (0, 1)


def test_triplets_with_a_distance() -> None:
    x, near, far = (Tensor(v) for v in ([[0.3, 0.7], [0.5, 0.5]], [[0.4, 0.6]] * 2,
                                        [[0.2, 0.9], [0.3, 0.7]]))  # fmt: skip
    # The value that MindSpore 2.10 gives.
    assert nn.TripletMarginWithDistanceLoss()(x, near, far).item() == pytest.approx(0.8881966)
    city = nn.TripletMarginWithDistanceLoss(lambda a, b: ops.abs(a - b).sum(-1), True, "none", 0.5)
    np.testing.assert_allclose(city(x, near, far).asnumpy(), [0.4, 0.5], rtol=1e-5)
    with pytest.raises(ValueError, match="no filling with 'normal'"):
        Parameter(Tensor([1.0]), name="p").clone("normal")
