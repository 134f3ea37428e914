"""Optimizers with L1 and L2 penalties, which set small values to zero exactly."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, fail
from jitgrad.nn.optim.base import Optimizer, State, flag, not_negative, positive
from jitgrad.tensor import Tensor


class FTRL(Optimizer):
    """Follow the regularized leader. McMahan et al. (2013).

    b = a + g², z = z + g - (b^-power - a^-power) / lr * p with power = `lr_power`; the new p is
    (sign(z) * l1 - z) / (b^-power / lr + 2 * l2) where |z| > l1, and 0 elsewhere.

    >>> nn.FTRL(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    def __init__(
        self,
        params: Any,
        initial_accum: float = 0.1,
        learning_rate: Any = 0.001,
        lr_power: float = -0.5,
        l1: float = 0.0,
        l2: float = 0.0,
        use_locking: bool = False,
        loss_scale: float = 1.0,
        weight_decay: Any = 0.0,
    ):
        slots = {"moments": initial_accum, "linear": 0.0}
        super().__init__(learning_rate, params, weight_decay, loss_scale, slots)
        not_negative(self, "initial_accum", initial_accum)
        self.l1, self.l2 = not_negative(self, "l1", l1), not_negative(self, "l2", l2)
        if not isinstance(lr_power, (int, float)) or lr_power > 0:
            raise fail(ArgumentError, f"FTRL: lr_power must be at most 0, got {lr_power!r}")
        self.lr_power = float(lr_power)
        flag(self, "use_locking", use_locking)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        a = state["moments"]
        b = a + g * g
        before, after = self._power(a), self._power(b)
        z = state["linear"] + g - (after - before) / lr * p
        new = (ops.sign(z) * self.l1 - z) / (after / lr + 2 * self.l2)
        return ops.where(ops.abs(z) > self.l1, new, 0.0), {"moments": b, "linear": z}

    def _power(self, x: Tensor) -> Tensor:
        return ops.sqrt(x) if self.lr_power == -0.5 else ops.pow(x, -self.lr_power)


class ProximalAdagrad(Optimizer):
    """Adagrad with penalties: a = a + g², q = p - e * g with e = lr / sqrt(a); the new p is
    sign(q) * max(|q| - e * l1, 0) / (1 + e * l2).

    >>> nn.ProximalAdagrad(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    def __init__(
        self,
        params: Any,
        accum: float = 0.1,
        learning_rate: Any = 0.001,
        l1: float = 0.0,
        l2: float = 0.0,
        use_locking: bool = False,
        loss_scale: float = 1.0,
        weight_decay: Any = 0.0,
    ):
        slots = {"accum": accum}
        super().__init__(learning_rate, params, weight_decay, loss_scale, slots)
        positive(self, "accum", accum)
        self.l1, self.l2 = not_negative(self, "l1", l1), not_negative(self, "l2", l2)
        flag(self, "use_locking", use_locking)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        a = state["accum"] + g * g
        e = lr / ops.sqrt(a)
        q = p - e * g
        if self.l1 > 0:
            q = ops.sign(q) * ops.maximum(ops.abs(q) - e * self.l1, 0.0)
        return q / (1 + e * self.l2), {"accum": a}
