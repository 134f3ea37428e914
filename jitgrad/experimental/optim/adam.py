"""Adam and its relatives: running means of the gradient and of its square."""

from __future__ import annotations

import math
from typing import Any

from jitgrad import ops
from jitgrad.experimental.optim.base import Group, Optimizer, State, decayed
from jitgrad.tensor import Tensor

Betas = tuple[float, float]


class _Moments(Optimizer):
    """Two running means with the factors `betas`."""

    slots = {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def _means(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor]:
        first, second = group["betas"]
        return (
            first * state["exp_avg"] + (1 - first) * g,
            second * state["exp_avg_sq"] + (1 - second) * (g * g),
        )

    def _rests(self, group: Group, step: Tensor) -> tuple[Tensor, Tensor]:
        """1 - beta^step for both, without the cancellation of a beta close to 1."""
        first, second = (_rest(beta, step) for beta in group["betas"])
        return first, second


def _rest(beta: float, step: Tensor) -> Tensor:
    return -ops.expm1(step * math.log(beta)) if beta > 0 else ops.ones_like(step)


class Adam(_Moments):
    """Kingma and Ba (2015): the step is -lr * m' / (sqrt(v') + eps) with the bias-corrected means
    m' of g and v' of g². Weight decay is part of g; `amsgrad` takes the largest v so far.
    """

    decoupled = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        slots = dict(self.slots) | ({"max_exp_avg_sq": 0.0} if amsgrad else {})
        super().__init__(params, {**settings, "amsgrad": amsgrad, "maximize": maximize}, slots)

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        if not self.decoupled:
            g = decayed(p, g, group)
        elif group["weight_decay"]:
            p = p * (1 - group["lr"] * group["weight_decay"])
        m, v = self._means(g, state, group)
        kept = {"exp_avg": m, "exp_avg_sq": v}
        if group["amsgrad"]:
            kept["max_exp_avg_sq"] = v = ops.maximum(state["max_exp_avg_sq"], v)
        rest1, rest2 = self._rests(group, step)
        spread = ops.sqrt(v) / ops.sqrt(rest2) + group["eps"]
        return p - (group["lr"] / rest1) * (m / spread), kept


class AdamW(Adam):
    """Adam whose weight decay shrinks the weights directly: p * (1 - lr * weight_decay) before the
    step. Loshchilov and Hutter (2019).
    """

    decoupled = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class Adamax(_Moments):
    """Adam with u = max(beta2 * u, |g| + eps) for sqrt(v). Kingma and Ba (2015), section 7."""

    slots = {"exp_avg": 0.0, "exp_inf": 0.0}

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "maximize": maximize})

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        first, second = group["betas"]
        g = decayed(p, g, group)
        m = first * state["exp_avg"] + (1 - first) * g
        u = ops.maximum(second * state["exp_inf"], ops.abs(g) + group["eps"])
        rate = group["lr"] / _rest(first, step)
        return p - rate * (m / u), {"exp_avg": m, "exp_inf": u}


class NAdam(_Moments):
    """Adam with Nesterov's momentum, which grows: beta1 * (1 - 0.96^(t * momentum_decay) / 2).
    Dozat (2016).
    """

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
    ):
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        slots = {**self.slots, "mu_product": 1.0}
        super().__init__(params, {**settings, "momentum_decay": momentum_decay}, slots)

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        g = decayed(p, g, group)
        m, v = self._means(g, state, group)
        now, after = (self._momentum(group, step + more) for more in (0.0, 1.0))
        product = state["mu_product"] * now
        spread = ops.sqrt(v / self._rests(group, step)[1]) + group["eps"]
        ahead = g * (1 - now) / (1 - product) + m * after / (1 - product * after)
        kept = {"exp_avg": m, "exp_avg_sq": v, "mu_product": product}
        return p - group["lr"] * (ahead / spread), kept

    def _momentum(self, group: Group, step: Tensor) -> Tensor:
        shrunk = ops.exp(step * (group["momentum_decay"] * math.log(0.96)))
        return group["betas"][0] * (1 - 0.5 * shrunk)


class RAdam(_Moments):
    """Adam that takes plain steps until the variance of its rate is small. Liu et al. (2020)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, settings)

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        g = decayed(p, g, group)
        m, v = self._means(g, state, group)
        rest1, rest2 = self._rests(group, step)
        longest = 2 / (1 - group["betas"][1]) - 1
        length = longest - 2 * step * (1 - rest2) / rest2
        safe = ops.maximum(length, 5.0)
        share = (safe - 4) * (safe - 2) * longest / ((longest - 4) * (longest - 2) * safe)
        scaled = ops.sqrt(share * rest2) / (ops.sqrt(v) + group["eps"])
        change = (m / rest1) * ops.where(length > 5, scaled, 1.0)
        return p - group["lr"] * change, {"exp_avg": m, "exp_avg_sq": v}
