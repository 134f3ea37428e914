"""Adam and its relatives: running means of the gradient and of its square."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.nn.optim.base import (
    Optimizer,
    State,
    counter,
    flag,
    fraction,
    positive,
    write,
)
from jitgrad.tensor import Tensor


class _Moments(Optimizer):
    """Two running means with factors beta1 and beta2, and a small eps."""

    def _set_betas(self, beta1: float, beta2: float, eps: float) -> None:
        self.beta1 = fraction(self, "beta1", beta1)
        self.beta2 = fraction(self, "beta2", beta2)
        self.eps = positive(self, "eps", eps)

    def _means(self, g: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return (
            self.beta1 * m + (1 - self.beta1) * g,
            self.beta2 * v + (1 - self.beta2) * (g * g),
        )


class Adam(_Moments):
    """Kingma and Ba (2015).

    m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g²; the step is
    -lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps). `use_nesterov` takes
    beta1 * m + (1 - beta1) * g for m in the step; `use_amsgrad` takes the largest v so far.

    >>> p = ms.Parameter(Tensor([1.0]), name="p")
    >>> done = nn.Adam([p], learning_rate=0.5)((Tensor([7.0]),))
    >>> print(p.asnumpy().round(4))
    [0.5]
    """

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        use_locking: bool = False,
        use_nesterov: bool = False,
        weight_decay: Any = 0.0,
        loss_scale: float = 1.0,
        use_amsgrad: bool = False,
    ):
        slots = {"moment1": 0.0, "moment2": 0.0} | ({"vhat": 0.0} if use_amsgrad else {})
        super().__init__(learning_rate, params, weight_decay, loss_scale, slots)
        self._set_betas(beta1, beta2, eps)
        self.use_nesterov = flag(self, "use_nesterov", use_nesterov)
        self.use_amsgrad = flag(self, "use_amsgrad", use_amsgrad)
        flag(self, "use_locking", use_locking)
        self.beta1_power = counter("beta1_power", 1.0)
        self.beta2_power = counter("beta2_power", 1.0)

    def begin(self) -> Tensor:
        power1, power2 = self.beta1_power * self.beta1, self.beta2_power * self.beta2
        write(self.beta1_power, power1)
        write(self.beta2_power, power2)
        return ops.sqrt(1 - power2) / (1 - power1)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        m, v = self._means(g, state["moment1"], state["moment2"])
        kept = {"moment1": m, "moment2": v}
        if self.use_amsgrad:
            kept["vhat"] = v = ops.maximum(state["vhat"], v)
        ahead = self.beta1 * m + (1 - self.beta1) * g if self.use_nesterov else m
        return p - (lr * step) * ahead / (ops.sqrt(v) + self.eps), kept


class LazyAdam(Adam):
    """Adam. Gradients here are dense, so there is nothing to be lazy about.

    >>> nn.LazyAdam(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """


class AdamOffload(Adam):
    """Adam. There is no other device to move the step to.

    >>> nn.AdamOffload(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """


class AdamWeightDecay(_Moments):
    """Adam without bias correction; the decay is added to the step, not to the gradient.

    Loshchilov and Hutter (2019): the step is -lr * (m / (sqrt(v) + eps) + weight_decay * p).

    >>> nn.AdamWeightDecay(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    slots = {"adam_m": 0.0, "adam_v": 0.0}

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: Any = 0.0,
    ):
        super().__init__(learning_rate, params, weight_decay)
        self._set_betas(beta1, beta2, eps)

    def prepared(self, gradients: Any) -> tuple[Tensor, ...]:
        return self.gradients_centralization(gradients)

    def begin(self) -> tuple[Any, ...]:
        return self.get_weight_decay()

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        m, v = self._means(g, state["adam_m"], state["adam_v"])
        change = m / (ops.sqrt(v) + self.eps)
        if self.decay_flags[index]:
            change = change + p * step[index]
        return p - lr * change, {"adam_m": m, "adam_v": v}


class AdaMax(_Moments):
    """Adam with the largest gradient so far instead of the second mean; Kingma and Ba (2015), 7.

    v = max(beta2 * v, |g|); the step is -lr / (1 - beta1^t) * m / (v + eps).

    >>> nn.AdaMax(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    slots = {"moment1": 0.0, "moment2": 0.0}

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: Any = 0.0,
        loss_scale: float = 1.0,
    ):
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        self._set_betas(beta1, beta2, eps)
        self.beta1_power = counter("beta1_power", 1.0)

    def begin(self) -> Tensor:
        power = self.beta1_power * self.beta1
        write(self.beta1_power, power)
        return 1 / (1 - power)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        m = self.beta1 * state["moment1"] + (1 - self.beta1) * g
        v = ops.maximum(self.beta2 * state["moment2"], ops.abs(g))
        return p - (lr * step) * m / (v + self.eps), {"moment1": m, "moment2": v}


class Lamb(_Moments):
    """Adam's step scaled to the size of the Parameter. You et al. (2020).

    The step is -lr * |p| / |u| * u with u = m' / (sqrt(v') + eps) + weight_decay * p, where m' and
    v' are bias-corrected; the ratio is 1 where one of the norms is 0.

    >>> nn.Lamb(nn.Dense(2, 1).trainable_params(), 0.1)((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    slots = {"lamb_m": 0.0, "lamb_v": 0.0}

    def __init__(
        self,
        params: Any,
        learning_rate: Any,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: Any = 0.0,
    ):
        super().__init__(learning_rate, params, weight_decay)
        self._set_betas(beta1, beta2, eps)
        self.beta1_power = counter("beta1_power", 1.0)
        self.beta2_power = counter("beta2_power", 1.0)

    def prepared(self, gradients: Any) -> tuple[Tensor, ...]:
        return self.gradients_centralization(gradients)

    def begin(self) -> tuple[Any, ...]:
        power1, power2 = self.beta1_power * self.beta1, self.beta2_power * self.beta2
        write(self.beta1_power, power1)
        write(self.beta2_power, power2)
        return 1 - power1, 1 - power2, self.get_weight_decay()

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        rest1, rest2, decays = step
        m, v = self._means(g, state["lamb_m"], state["lamb_v"])
        change = (m / rest1) / (ops.sqrt(v / rest2) + self.eps)
        if self.decay_flags[index]:
            change = change + p * decays[index]
        size, length = ops.sqrt(ops.sum(p * p)), ops.sqrt(ops.sum(change * change))
        usable = ops.logical_and(size > 0, length > 0)
        ratio = ops.where(usable, size / ops.where(usable, length, 1.0), 1.0)
        return p - (lr * ratio) * change, {"lamb_m": m, "lamb_v": v}
