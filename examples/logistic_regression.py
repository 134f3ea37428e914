"""Logistic regression by Newton's method: gradient and Hessian from one line of loss."""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.tools.speed import speed

TRUE = np.array([1.5, -2.0, 0.5, 0.0])


def loss(w, x, y):
    """Mean negative log-likelihood of labels 0 or 1, and a small penalty."""
    return ops.binary_cross_entropy_with_logits(x @ w, y) + 1e-3 * (w * w).sum() / 2


def main():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 4))
    y = (rng.uniform(size=4000) < 1 / (1 + np.exp(-x @ TRUE))).astype(np.float64)
    w, x, y = Tensor(np.zeros(4)), Tensor(x), Tensor(y)
    gradient, hessian = ms.grad(loss), ms.jacfwd(ms.grad(loss))
    for steps in range(1, 20):  # noqa: B007  the number is used below
        slope = gradient(w, x, y)
        if np.abs(slope.asnumpy()).max() < 1e-10:
            break
        w = w - Tensor(np.linalg.solve(hessian(w, x, y).asnumpy(), slope.asnumpy()))
    right = np.mean((x.asnumpy() @ w.asnumpy() > 0) == y.asnumpy())
    print(f"w = {np.round(w.asnumpy(), 2)} after {steps - 1} steps, accuracy {right:.1%}")
    print(speed(gradient, w, x, y))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
