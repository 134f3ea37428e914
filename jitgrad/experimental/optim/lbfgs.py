"""Newton's method with an inverse Hessian that is built from the last few gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.experimental.optim.base import Optimizer
from jitgrad.tensor import Tensor

Closure = Callable[[], tuple[Any, Any]]


class LBFGS(Optimizer):
    """Limited-memory BFGS. Nocedal (1980).

    One `step(closure)` takes up to `max_iter` steps. `closure()` returns the loss and its gradients
    at the present weights, as ``value_and_grad(loss, None, net.trainable_params())`` does. The
    memory holds `history_size` pairs of steps and changes of the gradient. `line_search_fn` is None
    (steps of length lr) or "strong_wolfe".

    >>> import jitgrad as ms
    >>> w = ms.Parameter(ms.Tensor([3.0, -2.0]), name="w")
    >>> descent = LBFGS([w], line_search_fn="strong_wolfe")
    >>> loss = descent.step(ms.value_and_grad(lambda: ((w - 1.0) ** 2).sum(), None, [w]))
    >>> print(w.asnumpy().round(4))
    [1. 1.]
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        super().__init__(params, {"lr": lr})
        if len(self.param_groups) > 1:
            raise fail(ArgumentError, "LBFGS takes one group: its memory is of all Parameters")
        if line_search_fn not in (None, "strong_wolfe"):
            raise fail(
                ArgumentError,
                f"LBFGS: no such line_search_fn: {line_search_fn!r}; have None, 'strong_wolfe'",
            )
        self.max_iter, self.history_size = max_iter, history_size
        self.max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        self.tolerance_grad, self.tolerance_change = tolerance_grad, tolerance_change
        self.line_search_fn = line_search_fn
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._last: tuple[np.ndarray, np.ndarray] | None = None  # weights and gradient

    def construct(self, closure: Any) -> Any:
        """An LBFGS evaluates the loss several times in a step: it is called by `step`."""
        raise fail(
            DTypeError,
            "LBFGS takes no gradients",
            why="it evaluates the loss several times in one step",
            instead="optimizer.step(closure), where closure() returns (loss, gradients)",
        )

    def step(self, closure: Closure) -> Any:
        """Take up to `max_iter` steps; returns the loss before them."""
        first, gradient = self._evaluated(closure)
        loss, evaluations, weights = float(first), 1, self._weights()
        for _ in range(self.max_iter):
            if np.abs(gradient).max() <= self.tolerance_grad or evaluations >= self.max_eval:
                break
            self._remember(weights, gradient)
            direction = self._direction(gradient)
            slope = gradient @ direction
            if slope > -self.tolerance_change:
                break
            length = self._length(gradient)
            if self.line_search_fn is not None:
                length, count = self._search(closure, weights, direction, gradient, loss)
                evaluations += count
            change = length * direction
            before, weights = loss, weights + change
            self._write(weights)
            found, gradient = self._evaluated(closure)
            loss, evaluations = float(found), evaluations + 1
            if np.abs(change).max() <= self.tolerance_change:
                break
            if abs(loss - before) < self.tolerance_change:
                break
        return first

    def _length(self, gradient: np.ndarray) -> float:
        rate = float(self.param_groups[0]["lr"].asnumpy())
        return rate if self._pairs else min(1.0, 1.0 / np.abs(gradient).sum()) * rate

    def _search(
        self,
        closure: Closure,
        weights: np.ndarray,
        direction: np.ndarray,
        gradient: np.ndarray,
        loss: float,
    ) -> tuple[float, int]:
        """A length that meets the strong Wolfe conditions, and the evaluations it took."""
        from scipy.optimize import line_search

        known: dict[bytes, tuple[float, np.ndarray]] = {}

        def at(place: np.ndarray) -> tuple[float, np.ndarray]:
            key = place.tobytes()
            if key not in known:
                self._write(place)
                value, slopes = self._evaluated(closure)
                known[key] = float(value), slopes
            return known[key]

        found = line_search(
            lambda w: at(w)[0], lambda w: at(w)[1], weights, direction, gradient, loss, maxiter=25
        )
        length = found[0] if found[0] is not None else self._length(gradient) * 1e-2
        return float(length), len(known)

    def _remember(self, weights: np.ndarray, gradient: np.ndarray) -> None:
        if self._last is not None:
            step, change = weights - self._last[0], gradient - self._last[1]
            if step @ change > 1e-10:
                self._pairs = [*self._pairs, (step, change)][-self.history_size :]
        self._last = weights.copy(), gradient.copy()

    def _direction(self, gradient: np.ndarray) -> np.ndarray:
        """- H g by the two loops over the memory."""
        q, shares = -gradient, []
        for step, change in reversed(self._pairs):
            share = (step @ q) / (step @ change)
            shares.append(share)
            q = q - share * change
        if self._pairs:
            step, change = self._pairs[-1]
            q = q * ((step @ change) / (change @ change))
        for (step, change), share in zip(self._pairs, reversed(shares), strict=True):
            q = q + (share - (change @ q) / (step @ change)) * step
        return q

    # --- all weights as one vector of float64 ---------------------------------------------------

    def _evaluated(self, closure: Closure) -> tuple[Any, np.ndarray]:
        loss, gradients = closure()
        gradients = (gradients,) if isinstance(gradients, Tensor) else gradients
        parts = [g.asnumpy().astype(np.float64).ravel() for g in gradients]
        return loss, np.concatenate(parts)

    def _weights(self) -> np.ndarray:
        return np.concatenate([p.asnumpy().astype(np.float64).ravel() for p in self.parameters])

    def _write(self, weights: np.ndarray) -> None:
        place = 0
        for p in self.parameters:
            part = weights[place : place + p.size]
            p.set_data(Tensor(part.reshape(p.shape).astype(p.dtype.numpy)))
            place += p.size
