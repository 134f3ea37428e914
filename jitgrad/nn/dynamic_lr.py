"""Learning rates as lists: one for each step, to be given to an optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.nn.schedule import _rate as rate
from jitgrad.nn.schedule import _steps as positive_int


def _by_epoch(total_step: int, step_per_epoch: int, of: Callable[[int], float]) -> list[float]:
    """The rate of each step from that of its epoch."""
    total = positive_int("total_step", total_step)
    each = positive_int("step_per_epoch", step_per_epoch)
    return [of(step // each) for step in range(total)]


def piecewise_constant_lr(milestone: Sequence[int], learning_rates: Sequence[float]) -> list[float]:
    """``learning_rates[i]`` up to step ``milestone[i]``.

    >>> piecewise_constant_lr([2, 3], [0.1, 0.05])
    [0.1, 0.1, 0.05]
    """
    if len(milestone) != len(learning_rates) or not milestone:
        raise fail(
            ArgumentError,
            f"{len(milestone)} milestones and {len(learning_rates)} learning rates",
            why="each stretch needs an end and a rate",
        )
    rates: list[float] = []
    for end, value in zip(milestone, learning_rates, strict=True):
        if not isinstance(value, float):
            raise fail(DTypeError, f"a learning rate must be a float, got {value!r}")
        if positive_int("milestone", end) <= len(rates):
            raise fail(ArgumentError, f"milestones must grow: {list(milestone)}")
        rates += [rate("learning_rates", value)] * (end - len(rates))
    return rates


def _decay(
    shape: Callable[[float], float],
    learning_rate: float,
    total_step: int,
    step_per_epoch: int,
    decay_epoch: int,
    is_stair: bool,
) -> list[float]:
    first, span = rate("learning_rate", learning_rate), positive_int("decay_epoch", decay_epoch)

    def of(epoch: int) -> float:
        return first * shape(epoch // span if is_stair else epoch / span)

    return _by_epoch(total_step, step_per_epoch, of)


def exponential_decay_lr(
    learning_rate: float,
    decay_rate: float,
    total_step: int,
    step_per_epoch: int,
    decay_epoch: int,
    is_stair: bool = False,
) -> list[float]:
    """learning_rate * decay_rate ^ (epoch / decay_epoch).

    >>> nn.exponential_decay_lr(1.0, 0.5, 4, 2, 1)
    [1.0, 1.0, 0.5, 0.5]
    """
    q = rate("decay_rate", decay_rate)
    return _decay(lambda p: q**p, learning_rate, total_step, step_per_epoch, decay_epoch, is_stair)


def natural_exp_decay_lr(
    learning_rate: float,
    decay_rate: float,
    total_step: int,
    step_per_epoch: int,
    decay_epoch: int,
    is_stair: bool = False,
) -> list[float]:
    """learning_rate * exp(-decay_rate * epoch), the epoch rounded down to a multiple of
    decay_epoch if `is_stair`.

    >>> [round(v, 3) for v in nn.natural_exp_decay_lr(1.0, 1.0, 4, 2, 1)]
    [1.0, 1.0, 0.368, 0.368]
    """
    q = rate("decay_rate", decay_rate)
    span = positive_int("decay_epoch", decay_epoch)
    return _decay(
        lambda p: math.exp(-q * p * span),
        *(learning_rate, total_step, step_per_epoch, decay_epoch, is_stair),
    )


def inverse_decay_lr(
    learning_rate: float,
    decay_rate: float,
    total_step: int,
    step_per_epoch: int,
    decay_epoch: int,
    is_stair: bool = False,
) -> list[float]:
    """learning_rate / (1 + decay_rate * epoch / decay_epoch).

    >>> nn.inverse_decay_lr(1.0, 1.0, 4, 2, 1)
    [1.0, 1.0, 0.5, 0.5]
    """
    q = rate("decay_rate", decay_rate)
    return _decay(
        lambda p: 1 / (1 + q * p),
        *(learning_rate, total_step, step_per_epoch, decay_epoch, is_stair),
    )


def cosine_decay_lr(
    min_lr: float, max_lr: float, total_step: int, step_per_epoch: int, decay_epoch: int
) -> list[float]:
    """Half a cosine from max_lr down to min_lr in decay_epoch epochs.

    >>> [round(v, 3) for v in nn.cosine_decay_lr(0.0, 1.0, 4, 2, 2)]
    [1.0, 1.0, 0.5, 0.5]
    """
    low, high = rate("min_lr", min_lr), rate("max_lr", max_lr)
    if low >= high:
        raise fail(ArgumentError, f"min_lr={min_lr} must be below max_lr={max_lr}")
    span = positive_int("decay_epoch", decay_epoch)
    return _by_epoch(
        total_step,
        step_per_epoch,
        lambda e: low + 0.5 * (high - low) * (1 + math.cos(math.pi * min(e, span) / span)),
    )


def polynomial_decay_lr(
    learning_rate: float,
    end_learning_rate: float,
    total_step: int,
    step_per_epoch: int,
    decay_epoch: int,
    power: float,
    update_decay_epoch: bool = False,
) -> list[float]:
    """(learning_rate - end) * (1 - epoch / decay_epoch) ^ power + end.

    >>> nn.polynomial_decay_lr(1.0, 0.0, 4, 2, 2, 1.0)
    [1.0, 1.0, 0.5, 0.5]
    """
    first, end = rate("learning_rate", learning_rate), rate("end_learning_rate", end_learning_rate)
    span = positive_int("decay_epoch", decay_epoch)
    exponent = rate("power", power)

    def of(epoch: int) -> float:
        stretch = span * max(math.ceil(epoch / span), 1) if update_decay_epoch else span
        return (first - end) * (1 - min(epoch, stretch) / stretch) ** exponent + end

    return _by_epoch(total_step, step_per_epoch, of)


def warmup_lr(
    learning_rate: float, total_step: int, step_per_epoch: int, warmup_epoch: int
) -> list[float]:
    """Up from 0 to learning_rate in warmup_epoch epochs, in a line.

    >>> nn.warmup_lr(1.0, 4, 2, 2)
    [0.0, 0.0, 0.5, 0.5]
    """
    top = rate("learning_rate", learning_rate)
    if isinstance(warmup_epoch, bool) or not isinstance(warmup_epoch, int) or warmup_epoch < 0:
        raise fail(ArgumentError, f"warmup_epoch must be an int of at least 0: {warmup_epoch!r}")

    def of(epoch: int) -> float:
        return top * epoch / warmup_epoch if epoch < warmup_epoch else top

    return _by_epoch(total_step, step_per_epoch, of)


__all__ = [
    "cosine_decay_lr", "exponential_decay_lr", "inverse_decay_lr", "natural_exp_decay_lr",
    "piecewise_constant_lr", "polynomial_decay_lr", "warmup_lr",
]  # fmt: skip
