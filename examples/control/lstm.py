"""An LSTM cell in a plain loop: learn to say whether brackets are balanced."""

import numpy as np

import jitgrad as ms
import jitgrad.nn as nn
from jitgrad import Parameter, Tensor, ops

HIDDEN, LENGTH = 16, 10


class Reader(nn.Cell):
    """Reads a sequence [batch, time] of 0 and 1, and answers with one score each."""

    def __init__(self, rng):
        super().__init__()
        w = rng.normal(size=(HIDDEN + 1, 4 * HIDDEN)).astype(np.float32) * 0.3
        self.w = Parameter(Tensor(w), name="w")
        self.b = Parameter(Tensor(np.zeros(4 * HIDDEN, np.float32)), name="b")
        self.out = Parameter(Tensor(rng.normal(size=HIDDEN).astype(np.float32)), name="out")

    def construct(self, x):
        h = c = ops.zeros((x.shape[0], HIDDEN))
        for t in range(x.shape[1]):
            gates = ops.concat([x[:, t : t + 1], h], 1) @ self.w + self.b
            i, f, o, g = ops.split(gates, HIDDEN, 1)
            c = ops.sigmoid(f + 1.0) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
        return h @ self.out


def balanced(rows):
    """Whether each row of +1 and -1 never goes below zero and ends there."""
    depth = np.cumsum(rows, 1)
    return (depth.min(1) >= 0) & (depth[:, -1] == 0)


def main():
    ms.set_context(mode=ms.GRAPH_MODE)
    rng = np.random.default_rng(0)
    rows = rng.choice([-1.0, 1.0], size=(4000, LENGTH)).astype(np.float32)
    good = balanced(rows)
    keep = np.concatenate([np.flatnonzero(good), np.flatnonzero(~good)[: good.sum()]])
    x, y = Tensor(rows[keep]), Tensor(balanced(rows[keep]).astype(np.float32))
    net = Reader(rng)
    optimizer = nn.Adam(net.trainable_params(), 0.02)
    loss = ms.value_and_grad(
        lambda: ops.binary_cross_entropy_with_logits(net(x), y, ops.ones_like(y), ops.ones_like(y)),
        None,
        optimizer.parameters,
    )
    for _ in range(100):
        value, gradients = loss()
        optimizer(gradients)
    right = np.mean((net(x).asnumpy() > 0) == (y.asnumpy() > 0.5))
    print(f"loss {value.item():.3f}, {right:.0%} right")


if __name__ == "__main__":
    main()
