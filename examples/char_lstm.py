"""An LSTM learns six sonnets by heart, one character at a time, and goes on from a few words."""

import numpy as np

import jitgrad as ms
from jitgrad import data, nn, ops
from jitgrad.tools.speed import speed

TEXT = data.verses()
LETTERS = sorted(set(TEXT))
CODES = np.array([LETTERS.index(c) for c in TEXT], np.int32)
LENGTH = 24


class Reader(nn.Cell):
    """Characters [N, T] and a state to scores of what comes next [N, T, C], and the state."""

    def __init__(self, width):
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), 24)
        self.memory = nn.LSTM(24, width, batch_first=True)
        self.out = nn.Dense(width, len(LETTERS))

    def construct(self, codes, state=None):
        y, state = self.memory(self.embedding(codes), state)
        return self.out(y), state


class Loss(nn.Cell):
    """Mean cross entropy of the next characters, in nats."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def construct(self, codes):
        scores, _ = self.net(codes[:, :-1])
        return ops.cross_entropy(scores.reshape(-1, len(LETTERS)), codes[:, 1:].reshape(-1))


def written(net, start, count):
    """`count` characters more, each the likeliest."""
    scores, state = net(ms.Tensor([[LETTERS.index(c) for c in start]]))
    text = start
    for _ in range(count):
        code = int(scores[0, -1].asnumpy().argmax())
        text += LETTERS[code]
        scores, state = net(ms.Tensor([[code]]), state)
    return text


def main():
    ms.set_seed(0)
    rng = np.random.default_rng(0)
    net = Reader(96)
    optimizer = nn.Adam(net.trainable_params(), nn.cosine_decay_lr(1e-4, 1e-2, 300, 300, 1))
    step = ms.train.TrainStep(Loss(net), optimizer, clip_norm=1.0)
    for _ in range(300):
        starts = rng.integers(0, len(CODES) - LENGTH, 24)
        batch = ms.Tensor(CODES[starts[:, None] + np.arange(LENGTH + 1)])
        loss = step(batch)
    print(f"loss {loss.item():.2f} nats a character")
    print(written(net, "Shall I ", 31))
    print(speed(step, batch, repeat=1))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
