"""Primitive classes that are one step of an optimizer: they write to Parameters, in place.

Each is made of its options, and returns what it has written to.
"""

from __future__ import annotations

from collections.abc import Callable

from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.state import assign, assign_sub

# --- averages of gradients ----------------------------------------------------------------------


def momentum(use_locking=False, use_nesterov=False, gradient_scale=1.0):
    """The average keeps all gradients: v = momentum v + g."""

    def call(variable, accumulation, learning_rate, gradient, momentum):
        step = gradient * gradient_scale
        assign(accumulation, accumulation * momentum + step)
        change = step + accumulation * momentum if use_nesterov else accumulation
        return assign_sub(variable, change * learning_rate)

    return call


def keras_momentum(use_locking=False, use_nesterov=False):
    """The average has the learning rate in it: v = momentum v - lr g."""

    def call(var, accum, lr, grad, momentum):
        assign(accum, accum * momentum - grad * lr)
        step = accum * momentum - grad * lr if use_nesterov else accum
        return assign(var, var + step), accum

    return call


def sgd(dampening=0.0, weight_decay=0.0, nesterov=False):
    """With a decay of the weights; where `stat` is not 0, the average begins with the gradient."""

    def call(parameters, gradient, learning_rate, accum, momentum, stat):
        gradient = gradient + parameters * weight_decay if weight_decay else gradient
        moved = accum * momentum + gradient * (1 - dampening)
        assign(accum, c.where(c.gt(stat, 0), gradient, moved))
        assign(stat, stat * 0)
        step = gradient + accum * momentum if nesterov else accum
        return assign_sub(parameters, step * learning_rate)

    return call


def _signed(scale: Callable) -> Callable:
    """Steps that depend on whether the gradient has the sign of its average."""

    def call(var, m, lr, strength, sign_decay, beta, grad):
        assign(m, m * beta + grad * (1 - beta))
        agreed = e.sign(grad) * e.sign(m) * sign_decay
        return assign_sub(var, scale(strength, agreed) * grad * lr), m

    return call


add_sign = _signed(lambda alpha, agreed: agreed + alpha)
power_sign = _signed(lambda logbase, agreed: e.exp(agreed * logbase))

# --- averages of squares ------------------------------------------------------------------------


def _moments(m, v, beta1, beta2, gradient) -> None:
    assign(m, m * beta1 + gradient * (1 - beta1))
    assign(v, v * beta2 + e.square(gradient) * (1 - beta2))


def _rate(lr, beta1_power, beta2_power):
    return lr * e.sqrt(e.sub(1.0, beta2_power)) / e.sub(1.0, beta1_power)


def adam(use_locking=False, use_nesterov=False):
    """Kingma and Ba (2014)."""

    def call(var, m, v, beta1_power, beta2_power, lr, beta1, beta2, epsilon, gradient):
        _moments(m, v, beta1, beta2, gradient)
        ahead = m * beta1 + gradient * (1 - beta1) if use_nesterov else m
        step = ahead / (e.sqrt(v) + epsilon) * _rate(lr, beta1_power, beta2_power)
        return assign_sub(var, step), m, v

    return call


def adam_weight_decay(use_locking=False):
    """Without a correction of the first averages, with a decay of the weights."""

    def call(var, m, v, lr, beta1, beta2, epsilon, decay, gradient):
        _moments(m, v, beta1, beta2, gradient)
        return assign_sub(var, (m / (e.sqrt(v) + epsilon) + var * decay) * lr), m, v

    return call


def _amsgrad(var, m, v, vhat, beta1_power, beta2_power, lr, beta1, beta2, epsilon, grad):
    _moments(m, v, beta1, beta2, grad)
    assign(vhat, e.maximum(vhat, v))
    step = m / (e.sqrt(vhat) + epsilon) * _rate(lr, beta1_power, beta2_power)
    return assign_sub(var, step), m, v, vhat


def amsgrad(beta1=0.9, beta2=0.999, epsilon=1e-8, use_locking=False):
    """The average of squares never falls. Reddi, Kale and Kumar (2018)."""

    def call(var, m, v, vhat, beta1_power, beta2_power, lr, grad):
        powers = (beta1_power, beta2_power)
        return _amsgrad(var, m, v, vhat, *powers, lr, beta1, beta2, epsilon, grad)

    return call


def _adamax(var, m, v, beta1_power, lr, beta1, beta2, epsilon, grad):
    assign(m, m * beta1 + grad * (1 - beta1))
    assign(v, e.maximum(v * beta2, e.abs(grad)))
    return assign_sub(var, m / (v + epsilon) * (lr / e.sub(1.0, beta1_power))), m, v


def _adadelta(var, accum, accum_update, lr, rho, epsilon, grad):
    assign(accum, accum * rho + e.square(grad) * (1 - rho))
    step = e.sqrt(accum_update + epsilon) / e.sqrt(accum + epsilon) * grad
    assign(accum_update, accum_update * rho + e.square(step) * (1 - rho))
    return assign_sub(var, step * lr), accum, accum_update


def _rmsprop(var, mean_square, moment, learning_rate, grad, decay, momentum, epsilon):
    assign(mean_square, mean_square * decay + e.square(grad) * (1 - decay))
    assign(moment, moment * momentum + grad * learning_rate / e.sqrt(mean_square + epsilon))
    return assign_sub(var, moment)


def _centered_rmsprop(var, mean_gradient, mean_square, moment, grad, learning_rate, decay,
                      momentum, epsilon):  # fmt: skip
    _moments(mean_gradient, mean_square, decay, decay, grad)
    spread = e.sqrt(mean_square - e.square(mean_gradient) + epsilon)
    assign(moment, moment * momentum + grad * learning_rate / spread)
    return assign_sub(var, moment)


# --- sums of squares ----------------------------------------------------------------------------


def adagrad(update_slots=True, epsilon=0.0):
    """Duchi, Hazan and Singer (2011)."""

    def call(var, accum, lr, grad):
        if update_slots:
            assign(accum, accum + e.square(grad))
        return assign_sub(var, grad * lr / (e.sqrt(accum) + epsilon)), accum

    return call


def _adagrad_da(var, gradient_accumulator, gradient_squared_accumulator, grad, lr, l1, l2,
                global_step):  # fmt: skip
    total = assign(gradient_accumulator, gradient_accumulator + grad)
    squares = gradient_squared_accumulator
    assign(squares, squares + e.square(grad))
    new = -_shrunk(total, l1 * global_step) * lr / (e.sqrt(squares) + l2 * global_step * lr)
    return assign(var, new)


def _shrunk(x, amount):
    """Nearer to 0 by an amount, at most to 0."""
    return e.sign(x) * e.maximum(e.abs(x) - amount, 0.0)


def _proximal(x, rate, l1, l2):
    return _shrunk(x, rate * l1) / (rate * l2 + 1.0)


def _proximal_adagrad(var, accum, lr, l1, l2, grad):
    assign(accum, accum + e.square(grad))
    rate = lr / e.sqrt(accum)
    return assign(var, _proximal(var - grad * rate, rate, l1, l2)), accum


def _proximal_descent(var, alpha, l1, l2, delta):
    return assign(var, _proximal(var - delta * alpha, alpha, l1, l2))


def _ftrl(var, accum, linear, grad, lr, l1, l2, lr_power):
    before, after = e.pow(accum, -lr_power), e.pow(accum + e.square(grad), -lr_power)
    assign(linear, linear + grad - (after - before) / lr * var)
    assign(accum, accum + e.square(grad))
    return assign(var, -_shrunk(linear, l1) / (after / lr + 2 * l2))


def lars(epsilon=1e-05, hyperpara=0.001, use_clip=False):
    """A gradient scaled by the ratio of the norms of weights and gradients; writes to nothing."""

    def call(weight, gradient, norm_weight, norm_gradient, weight_decay, learning_rate):
        ratio = norm_weight * hyperpara / (norm_gradient + norm_weight * weight_decay + epsilon)
        ratio = e.minimum(ratio / learning_rate, 1.0) if use_clip else ratio
        return (gradient + weight * weight_decay) * ratio

    return call


def _locked(function: Callable) -> Callable:
    return lambda use_locking=False: function


CLASSES: dict[str, Callable] = {
    "Adam": adam, "AdamWeightDecay": adam_weight_decay, "ApplyAdaMax": lambda: _adamax,
    "ApplyAdadelta": lambda: _adadelta, "ApplyAdagrad": lambda update_slots=True: adagrad(
        update_slots
    ),
    "ApplyAdagradDA": _locked(_adagrad_da),
    "ApplyAdagradV2": lambda epsilon, update_slots=True: adagrad(update_slots, epsilon),
    "ApplyAdamWithAmsgrad": amsgrad, "ApplyAdamWithAmsgradV2": _locked(_amsgrad),
    "ApplyAddSign": lambda: add_sign, "ApplyCenteredRMSProp": _locked(_centered_rmsprop),
    "ApplyFtrl": _locked(_ftrl), "ApplyKerasMomentum": keras_momentum, "ApplyMomentum": momentum,
    "ApplyPowerSign": lambda: power_sign, "ApplyProximalAdagrad": _locked(_proximal_adagrad),
    "ApplyProximalGradientDescent": lambda: _proximal_descent, "ApplyRMSProp": _locked(_rmsprop),
    "ApplyGradientDescent": lambda: lambda var, alpha, delta: assign_sub(var, delta * alpha),
    "LARSUpdate": lars, "SGD": sgd,
}  # fmt: skip

__all__ = ["CLASSES"]
