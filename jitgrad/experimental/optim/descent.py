"""Gradient descent, its averages, and optimizers that scale each value's step."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, fail
from jitgrad.experimental.optim.base import Group, Optimizer, State, decayed
from jitgrad.tensor import Tensor

Pair = tuple[float, float]


class SGD(Optimizer):
    """Gradient descent. With momentum v = momentum * v + (1 - dampening) * g, the first v being g;
    the step is -lr * v, or with `nesterov` -lr * (g + momentum * v).
    """

    slots = {"momentum_buffer": 0.0}

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        if nesterov and (momentum == 0 or dampening != 0):
            raise fail(
                ArgumentError,
                f"SGD with nesterov has momentum={momentum} and dampening={dampening}",
                why="Nesterov's step needs a momentum and no dampening",
            )
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening}
        more = {"weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize}
        super().__init__(params, {**settings, **more}, None if momentum else {})

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        g, momentum = decayed(p, g, group), group["momentum"]
        if not momentum or not state:
            return p - group["lr"] * g, {}
        running = momentum * state["momentum_buffer"] + (1 - group["dampening"]) * g
        v = ops.where(step > 1, running, g)
        change = g + momentum * v if group["nesterov"] else v
        return p - group["lr"] * change, {"momentum_buffer": v}


class Adagrad(Optimizer):
    """s = s + g²; the step is -lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps).
    Duchi et al. (2011).
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps}
        more = {"initial_accumulator_value": initial_accumulator_value, "maximize": maximize}
        super().__init__(params, {**settings, **more}, {"sum": initial_accumulator_value})

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        g = decayed(p, g, group)
        total = state["sum"] + g * g
        rate = group["lr"] / (1 + (step - 1) * group["lr_decay"])
        return p - rate * g / (ops.sqrt(total) + group["eps"]), {"sum": total}


class Adadelta(Optimizer):
    """Steps in the unit of the weights: a running mean of squared steps over one of g².
    Zeiler (2012).
    """

    slots = {"square_avg": 0.0, "acc_delta": 0.0}

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "maximize": maximize})

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        g, rho, eps = decayed(p, g, group), group["rho"], group["eps"]
        a = rho * state["square_avg"] + (1 - rho) * (g * g)
        u = ops.sqrt(state["acc_delta"] + eps) / ops.sqrt(a + eps) * g
        d = rho * state["acc_delta"] + (1 - rho) * (u * u)
        return p - group["lr"] * u, {"square_avg": a, "acc_delta": d}


class RMSprop(Optimizer):
    """s = alpha * s + (1 - alpha) * g²; the step is -lr * g / (sqrt(s) + eps), with momentum on
    that ratio. `centered` subtracts the square of a running mean of g from s.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        more = {"momentum": momentum, "centered": centered, "maximize": maximize}
        slots = {"square_avg": 0.0}
        slots |= {"momentum_buffer": 0.0} if momentum else {}
        slots |= {"grad_avg": 0.0} if centered else {}
        super().__init__(params, {**settings, **more}, slots)

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        g, alpha = decayed(p, g, group), group["alpha"]
        s = alpha * state["square_avg"] + (1 - alpha) * (g * g)
        kept, spread = {"square_avg": s}, s
        if group["centered"]:
            kept["grad_avg"] = mean = alpha * state["grad_avg"] + (1 - alpha) * g
            spread = s - mean * mean
        change = g / (ops.sqrt(spread) + group["eps"])
        if group["momentum"]:
            change = group["momentum"] * state["momentum_buffer"] + change
            kept["momentum_buffer"] = change
        return p - group["lr"] * change, kept


class Rprop(Optimizer):
    """Only the sign of the gradient counts. Riedmiller and Braun (1993).

    Each value has a step size, at first lr. It grows by ``etas[1]`` while the sign stays, and
    shrinks by ``etas[0]`` when it changes; then that value rests once. `step_sizes` are the bounds.
    """

    slots = {"prev": 0.0, "step_size": 0.0}

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        etas: Pair = (0.5, 1.2),
        step_sizes: Pair = (1e-6, 50.0),
        *,
        maximize: bool = False,
    ):
        if not 0 < etas[0] < 1 < etas[1]:
            raise fail(ArgumentError, f"Rprop: etas must be below and above 1, got {etas}")
        settings = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, settings)

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]
        before = ops.where(step > 1, state["step_size"], group["lr"])
        agreement = g * state["prev"]
        factor = ops.where(agreement > 0, grow, ops.where(agreement < 0, shrink, 1.0))
        size = ops.minimum(ops.maximum(before * factor, smallest), largest)
        g = ops.where(agreement < 0, 0.0, g)
        return p - ops.sign(g) * size, {"prev": g, "step_size": size}


class ASGD(Optimizer):
    """Averaged gradient descent. Polyak and Juditsky (1992).

    The step is -eta * g after a decay by (1 - lambd * eta); eta = lr / (1 + lambd * lr * k)^alpha
    after k steps. `ax` holds the average of the Parameters from step t0 on.
    """

    slots = {"ax": 0.0}

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0}
        super().__init__(params, {**settings, "weight_decay": weight_decay, "maximize": maximize})

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        g, lr, lambd = decayed(p, g, group), group["lr"], group["lambd"]
        eta = lr / ops.pow(1 + lambd * lr * (step - 1), group["alpha"])
        share = 1 / ops.maximum(step - 1 - group["t0"], 1.0)
        new = p * (1 - lambd * eta) - eta * g
        return new, {"ax": state["ax"] + (new - state["ax"]) * share}


class Lion(Optimizer):
    """Steps of one size, by the sign of beta1 * m + (1 - beta1) * g; m follows g by beta2, and
    weights shrink by lr * weight_decay. Chen et al. (2023).
    """

    slots = {"exp_avg": 0.0}

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: Pair = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, settings)

    def update(
        self, p: Tensor, g: Tensor, state: State, group: Group, step: Tensor
    ) -> tuple[Tensor, State]:
        (first, second), m = group["betas"], state["exp_avg"]
        p = p * (1 - group["lr"] * group["weight_decay"]) if group["weight_decay"] else p
        new = p - group["lr"] * ops.sign(first * m + (1 - first) * g)
        return new, {"exp_avg": second * m + (1 - second) * g}
