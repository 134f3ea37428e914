"""Adam's second moments of a matrix in the memory of its rows and columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.errors import ArgumentError, fail
from jitgrad.nn.optim.base import Optimizer, State, counter, fraction, not_negative, write
from jitgrad.tensor import Parameter, ParameterTuple, Tensor


class AdaFactor(Optimizer):
    """Adafactor. Shazeer and Stern (2018).

    The mean square of the gradient of a matrix is kept as means of its rows and of its columns.
    Steps are the gradient over the root of that, cut to a root mean square of `clip_threshold`,
    times the learning rate and (`scale_parameter`) the root mean square of the Parameter.

    learning_rate  None for min(1 / sqrt(step), 1e-2), or 1e-6 * step instead of 1e-2 with
                   `warmup_init`; that needs `relative_step`.
    eps            what is added to squares of gradients, and the least size of a Parameter.
    decay_rate     the share of the old mean squares is 1 - step**-decay_rate.
    beta1          None, or the share of the step before in each step.
    compression    kept for MindSpore code: means are stored in the dtype of the Parameter.

    ValueError for arguments out of range or at odds with each other.

    >>> nn.AdaFactor(nn.Dense(2, 1).trainable_params())((ops.ones((1, 2)), ops.ones(1)))
    True
    """

    def __init__(
        self,
        params: Any,
        learning_rate: Any = None,
        eps: tuple[float, float] = (1e-30, 1e-3),
        clip_threshold: float = 1.0,
        decay_rate: float = 0.8,
        beta1: float | None = 0.9,
        weight_decay: float = 0.0,
        scale_parameter: bool = True,
        relative_step: bool = True,
        warmup_init: bool = False,
        compression: bool = False,
        loss_scale: float = 1.0,
    ):
        if (learning_rate is None) != relative_step or (warmup_init and not relative_step):
            raise fail(
                ArgumentError,
                f"AdaFactor got learning_rate={learning_rate}, relative_step={relative_step} and"
                f" warmup_init={warmup_init}",
                why="relative_step computes the learning rate, and warmup_init changes it",
                instead="give a learning rate and relative_step=False",
            )
        super().__init__(0.0 if learning_rate is None else learning_rate, params, 0.0, loss_scale)
        self.eps = tuple(not_negative(self, "eps", v) for v in eps)
        self.clip_threshold = not_negative(self, "clip_threshold", clip_threshold)
        self.decay_rate = fraction(self, "decay_rate", decay_rate)
        self.beta1 = not_negative(self, "beta1", beta1 or 0.0)
        self.decay = not_negative(self, "weight_decay", weight_decay)
        self.scale_parameter = scale_parameter and not self.dynamic_lr
        self.relative_step, self.warmup_init = relative_step, warmup_init
        self.step = counter("afactor_step", 0.0)
        self.exp_avg_sq_row = self._means("exp_avg_sq_row", lambda shape: shape[:-1])
        self.exp_avg_sq_col = self._means("exp_avg_sq_col", lambda shape: shape[:-2] + shape[-1:])
        if self.beta1:
            self.exp_avg = self.state("exp_avg", 0.0)

    def _means(self, name: str, reduced: Any) -> ParameterTuple:
        """Zeros for each Parameter: of the reduced shape of a matrix, of its own for a vector."""
        shapes = [reduced(p.shape) if p.ndim > 1 else p.shape for p in self.parameters]
        return ParameterTuple(
            Parameter(Tensor(np.zeros(s, p.dtype.numpy)), name=f"{name}.{p.name}",
                      requires_grad=False)
            for p, s in zip(self.parameters, shapes)
        )  # fmt: skip

    def prepared(self, gradients: Any) -> tuple[Tensor, ...]:
        return self.scale_grad(self.gradients_centralization(gradients))

    def begin(self) -> tuple[Any, ...]:
        step = self.step + 1
        write(self.step, step)
        most = 1e-6 * step if self.warmup_init else 1e-2
        rate = ops.minimum(1 / ops.sqrt(step), most) if self.relative_step else None
        return rate, 1 - ops.pow(step, -self.decay_rate)

    def update(
        self, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Any, index: int
    ) -> tuple[Tensor, State]:
        relative, share = step
        lr = lr if relative is None else relative
        if self.scale_parameter:
            lr = lr * ops.maximum(_size(p), self.eps[1])
        change = g * self._inverse_roots(index, g * g + self.eps[0], share)
        change = change * (lr / ops.maximum(_size(change) / self.clip_threshold, 1.0))
        if self.beta1:
            change = self.exp_avg[index] * self.beta1 + change * (1 - self.beta1)
            write(self.exp_avg[index], change)
        return p - p * (self.decay * lr) - change, {}

    def _inverse_roots(self, index: int, square: Tensor, share: Tensor) -> Tensor:
        """1 / sqrt of the mean squares, after those of this step have entered them."""
        rows, columns = self.exp_avg_sq_row[index], self.exp_avg_sq_col[index]
        if square.ndim < 2:
            new = rows * share + square * (1 - share)
            write(rows, new)
            return ops.rsqrt(new)
        new_rows = rows * share + ops.mean(square, -1) * (1 - share)
        new_columns = columns * share + ops.mean(square, -2) * (1 - share)
        write(rows, new_rows)
        write(columns, new_columns)
        of_rows = ops.rsqrt(new_rows / ops.mean(new_rows, -1, True))
        return ops.expand_dims(of_rows, -1) * ops.expand_dims(ops.rsqrt(new_columns), -2)


def _size(x: Tensor) -> Tensor:
    """The root of the mean square."""
    return ops.sqrt(ops.mean(x * x))
