"""Optimizers that scale each value's step by the gradients it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.nn.optim.base import (
    Optimizer,
    State,
    counter,
    flag,
    not_negative,
    positive,
    write,
)
from jitgrad.tensor import Tensor


class Adagrad(Optimizer):
    """a = a + g²; the step is -lr * g / sqrt(a). Duchi et al. (2011).

    `accum` is the first a; with ``update_slots=False`` it stays.

    >>> nn.Adagrad(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    def __init__(
        self,
        params: Any,
        accum: float = 0.1,
        learning_rate: Any = 0.001,
        update_slots: bool = True,
        loss_scale: float = 1.0,
        weight_decay: Any = 0.0,
    ):
        slots = {"accum": accum}
        super().__init__(learning_rate, params, weight_decay, loss_scale, slots)
        not_negative(self, "accum", accum)
        self.update_slots = flag(self, "update_slots", update_slots)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        a = state["accum"] + g * g if self.update_slots else state["accum"]
        return p - lr * g / ops.sqrt(a), {"accum": a} if self.update_slots else {}


class Adadelta(Optimizer):
    """a = rho * a + (1 - rho) * g², u = sqrt(d + eps) / sqrt(a + eps) * g, d likewise from u²; the
    step is -lr * u. Zeiler (2012).

    >>> nn.Adadelta(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    slots = {"accum": 0.0, "accum_update": 0.0}

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 1.0,
        rho: float = 0.9,
        epsilon: float = 1e-6,
        loss_scale: float = 1.0,
        weight_decay: Any = 0.0,
    ):
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        self.rho = not_negative(self, "rho", rho)
        if self.rho > 1:
            raise fail(ArgumentError, f"Adadelta: rho must be at most 1, got {rho}")
        self.epsilon = not_negative(self, "epsilon", epsilon)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        a = self.rho * state["accum"] + (1 - self.rho) * (g * g)
        u = ops.sqrt(state["accum_update"] + self.epsilon) / ops.sqrt(a + self.epsilon) * g
        d = self.rho * state["accum_update"] + (1 - self.rho) * (u * u)
        return p - lr * u, {"accum": a, "accum_update": d}


class RMSProp(Optimizer):
    """s = decay * s + (1 - decay) * g², m = momentum * m + lr * g / sqrt(s + eps); the step is -m.

    s starts as 1. `centered` subtracts the square of a running mean of g from s.

    >>> nn.RMSProp(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 0.1,
        decay: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        loss_scale: float = 1.0,
        weight_decay: Any = 0.0,
    ):
        slots = ({"mean_grad": 0.0} if centered else {}) | {"mean_square": 1.0, "moment": 0.0}
        super().__init__(learning_rate, params, weight_decay, loss_scale, slots)
        self.decay = not_negative(self, "decay", decay)
        self.momentum = not_negative(self, "momentum", momentum)
        self.epsilon = positive(self, "epsilon", epsilon)
        self.centered = flag(self, "centered", centered)
        flag(self, "use_locking", use_locking)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        s = self.decay * state["mean_square"] + (1 - self.decay) * (g * g)
        kept, spread = {"mean_square": s}, s
        if self.centered:
            mean = self.decay * state["mean_grad"] + (1 - self.decay) * g
            kept["mean_grad"], spread = mean, s - mean * mean
        m = self.momentum * state["moment"] + lr * g / ops.sqrt(spread + self.epsilon)
        return p - m, {**kept, "moment": m}


class Rprop(Optimizer):
    """Only the sign of the gradient counts. Riedmiller and Braun (1993).

    Each value has a step size, at first `learning_rate`. It grows by ``etas[1]`` while the sign
    stays, and shrinks by ``etas[0]`` when it changes; then that value rests once. `step_sizes` are
    the bounds.

    >>> nn.Rprop(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    slots = {"prev": 0.0, "step_size": 0.0}

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 0.1,
        etas: Sequence[float] = (0.5, 1.2),
        step_sizes: Sequence[float] = (1e-6, 50.0),
        weight_decay: Any = 0.0,
    ):
        super().__init__(learning_rate, params, weight_decay)
        self.shrink, self.grow = _pair(self, "etas", etas)
        self.smallest, self.largest = _pair(self, "step_sizes", step_sizes)
        if not 0 < self.shrink < 1 < self.grow:
            raise fail(ArgumentError, f"Rprop: etas must be below and above 1, got {etas}")
        if not 0 < self.smallest < self.largest:
            raise fail(ArgumentError, f"Rprop: step_sizes must be positive and grow: {step_sizes}")

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        # A step size of zero is one that was never set: the first step takes the learning rate.
        before = ops.where(state["step_size"] > 0, state["step_size"], lr)
        agreement = g * state["prev"]
        factor = ops.where(agreement > 0, self.grow, ops.where(agreement < 0, self.shrink, 1.0))
        size = ops.minimum(ops.maximum(before * factor, self.smallest), self.largest)
        g = ops.where(agreement < 0, 0.0, g)
        return p - ops.sign(g) * size, {"prev": g, "step_size": size}


def _pair(owner: Optimizer, name: str, values: Any) -> tuple[float, float]:
    if not isinstance(values, (tuple, list)) or len(values) != 2:
        raise fail(DTypeError, f"{owner.cls_name}: {name} must be a pair, got {values!r}")
    return positive(owner, name, values[0]), positive(owner, name, values[1])


class ASGD(Optimizer):
    """Averaged gradient descent. Polyak and Juditsky (1992).

    The step is -eta * g after a decay by (1 - lambd * eta); eta = lr / (1 + lambd * lr * k)^alpha
    after k steps. `ax` holds the average of the Parameters from step t0 on.

    >>> nn.ASGD(nn.Dense(2, 1).trainable_params(), 0.1)
    ASGD()
    """

    slots = {"ax": 0.0}

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 0.1,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: Any = 0.0,
    ):
        super().__init__(learning_rate, params, weight_decay)
        self.lambd = not_negative(self, "lambd", lambd)
        self.alpha = not_negative(self, "alpha", alpha)
        self.t0 = not_negative(self, "t0", t0)
        self.steps = counter("steps", 0.0)

    def begin(self) -> tuple[Tensor, Tensor]:
        before = self.steps * 1.0
        write(self.steps, before + 1)
        return before, 1 / ops.maximum(before + 1 - self.t0, 1.0)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        before, share = step
        eta = lr / ops.pow(1 + self.lambd * lr * before, self.alpha)
        new = p * (1 - self.lambd * eta) - eta * g
        return new, {"ax": state["ax"] + (new - state["ax"]) * share}
