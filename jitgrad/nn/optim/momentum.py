"""Gradient descent, with and without momentum."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, fail
from jitgrad.nn.optim.base import Optimizer, State, counter, flag, not_negative, write
from jitgrad.tensor import Tensor


class SGD(Optimizer):
    """Stochastic gradient descent.

    With momentum: v = momentum * v + (1 - dampening) * g, except that the first v is g itself;
    the step is -lr * v, or with `nesterov` -lr * (g + momentum * v). Weight decay applies to all
    Parameters.

    >>> p = ms.Parameter(Tensor([1.0]), name="p")
    >>> nn.SGD([p], learning_rate=0.5)((Tensor([1.0]),)), p.tolist()
    (True, [0.5])
    """

    slots = {"accum": 0.0}

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 0.1,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: Any = 0.0,
        nesterov: bool = False,
        loss_scale: float = 1.0,
    ):
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        self.momentum = not_negative(self, "momentum", momentum)
        self.dampening = not_negative(self, "dampening", dampening)
        self.nesterov = flag(self, "nesterov", nesterov)
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise fail(
                ArgumentError,
                f"SGD with nesterov has momentum={momentum} and dampening={dampening}",
                why="Nesterov's step needs a momentum and no dampening",
            )
        self.stat = counter("stat", 1.0)  # 1 until the first step, which takes v = g

    def prepared(self, gradients: Any) -> tuple[Tensor, ...]:
        """Decay is added after the loss scale is taken out, to every Parameter."""
        gradients = self.scale_grad(self.gradients_centralization(gradients))
        return tuple(
            g if isinstance(decay, float) and decay == 0 else g + p * decay
            for g, p, decay in zip(gradients, self.parameters, self.get_weight_decay(), strict=True)
        )

    def begin(self) -> Tensor | None:
        if self.momentum == 0:
            return None
        first = self.stat.value() > 0
        write(self.stat, self.stat * 0)
        return first

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        if self.momentum == 0:
            return p - lr * g, {}
        v = ops.where(step, g, self.momentum * state["accum"] + (1 - self.dampening) * g)
        return p - lr * (g + self.momentum * v if self.nesterov else v), {"accum": v}


class Momentum(Optimizer):
    """v = momentum * v + g; the step is -lr * v.

    `use_nesterov` is accepted and changes nothing, which is what MindSpore does on the CPU;
    `SGD` with ``nesterov=True`` takes Nesterov's step.

    >>> p = ms.Parameter(Tensor([1.0]), name="p")
    >>> nn.Momentum([p], 0.5, 0.9)((Tensor([1.0]),)), p.tolist()
    (True, [0.5])
    """

    slots = {"moments": 0.0}

    def __init__(
        self,
        params: Any,
        learning_rate: Any,
        momentum: float,
        weight_decay: Any = 0.0,
        loss_scale: float = 1.0,
        use_nesterov: bool = False,
    ):
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        self.momentum = not_negative(self, "momentum", momentum)
        self.use_nesterov = flag(self, "use_nesterov", use_nesterov)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        v = self.momentum * state["moments"] + g
        return p - lr * v, {"moments": v}
