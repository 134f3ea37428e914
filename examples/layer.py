"""One step of gradient descent for one layer: the program that docs/architecture.md follows.

python -m jitgrad lower examples/layer.py:step
python -m jitgrad compare examples/layer.py:step --no-grad
"""

import numpy as np

import jitgrad as ms
from jitgrad import ops

rng = np.random.default_rng(0)
w = ms.Parameter(rng.standard_normal((20, 10), np.float32), name="w")
b = ms.Parameter(np.zeros(10, np.float32), name="b")


def loss(x, y):
    """Mean squared error of tanh(x @ w + b)."""
    error = ops.tanh(x @ w + b) - y
    return (error * error).mean()


gradient = ms.value_and_grad(loss, None, [w, b])


def step(x, y):
    """Move w and b against their gradients; returns the loss before that."""
    value, (dw, db) = gradient(x, y)
    ops.assign(w, w - 0.1 * dw)
    ops.assign(b, b - 0.1 * db)
    return value


def example_inputs():
    """64 examples."""
    return rng.standard_normal((64, 20), np.float32), np.ones((64, 10), np.float32)
