"""Fit a line: Parameters, a loss, its gradient, and a step that is compiled as a whole."""

import numpy as np

import jitgrad as ms
from jitgrad import ops

rng = np.random.default_rng(0)
x = rng.normal(size=(200, 3)).astype(np.float32)
y = x @ np.array([2.0, -3.0, 0.5], np.float32) + 1 + 0.1 * rng.normal(size=200).astype(np.float32)

w = ms.Parameter(np.zeros(3, np.float32), name="w")
b = ms.Parameter(np.float32(0), name="b")


def loss(x, y):
    """Mean squared error."""
    return ((x @ w + b - y) ** 2).mean()


gradient = ms.value_and_grad(loss, None, [w, b])


@ms.jit
def step(x, y):
    """Forward, gradient and update: one compiled call, which writes w and b in place."""
    value, (dw, db) = gradient(x, y)
    ops.assign(w, w - 0.1 * dw)
    ops.assign(b, b - 0.1 * db)
    return value


def main():
    for _ in range(100):
        error = step(x, y)
    print(f"w = {w.asnumpy().round(2)}, b = {b.item():.2f}, loss {error.item():.4f}")


if __name__ == "__main__":
    main()
