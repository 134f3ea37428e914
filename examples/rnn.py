"""A recurrent cell, unrolled by hand, learns to add up the bits it has seen, modulo two."""

import numpy as np

import jitgrad as ms
from jitgrad import nn, ops


class Parity(nn.Cell):
    """Reads one bit at a time: [N, T] -> one logit for each of N sequences."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.cell = nn.Dense(1 + width, width, activation="tanh")
        self.out = nn.Dense(width, 1)

    def construct(self, bits):
        state = ops.zeros((bits.shape[0], self.width))
        for t in range(bits.shape[1]):
            state = self.cell(ops.concat((bits[:, t : t + 1], state), 1))
        return self.out(state)[:, 0]


def main():
    ms.set_seed(0)
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (256, 5)).astype(np.float32)
    odd = (bits.sum(1) % 2).astype(np.float32)
    net = Parity(16)
    loss = nn.WithLossCell(net, nn.BCEWithLogitsLoss())
    step = nn.TrainOneStepCell(loss, nn.Adam(net.trainable_params(), 1e-2)).set_train()
    for _ in range(250):
        error = step(ms.Tensor(bits), ms.Tensor(odd))
    right = np.mean((net(ms.Tensor(bits)).asnumpy() > 0) == odd)
    print(f"loss {error.item():.4f}, accuracy {right:.1%}")


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
