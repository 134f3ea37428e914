"""A Transformer learns six sonnets by heart, one character at a time."""

import numpy as np

import jitgrad as ms
from jitgrad import data, nn, ops
from jitgrad.experimental import optim
from jitgrad.tools.speed import speed

TEXT = data.verses()
LETTERS = sorted(set(TEXT))
CODES = np.array([LETTERS.index(c) for c in TEXT], np.int32)
LENGTH, WIDTH = 32, 48


class Reader(nn.Cell):
    """Characters [N, T] to scores of what comes next [N, T, C]."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), WIDTH)
        self.place = ms.Parameter(ms.Tensor(np.zeros((LENGTH, WIDTH), np.float32)), "place")
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 96, 0.0, "gelu", 1e-5, True, True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm((WIDTH,), epsilon=1e-5))
        self.future = nn.Transformer.generate_square_subsequent_mask(LENGTH)
        self.out = nn.Dense(WIDTH, len(LETTERS))

    def construct(self, codes):
        return self.out(self.layers(self.embedding(codes) + self.place, self.future))


class Loss(nn.Cell):
    """Mean cross entropy of the next characters, in nats."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def construct(self, codes):
        scores = self.net(codes[:, :-1])
        return ops.cross_entropy(scores.reshape(-1, len(LETTERS)), codes[:, 1:].reshape(-1))


def main():
    ms.set_seed(0)
    rng = np.random.default_rng(0)
    net = Reader()
    optimizer = optim.AdamW(net.trainable_params(), 4e-3)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 300, 1e-4)
    step = ms.train.TrainStep(Loss(net), optimizer, clip_norm=1.0)
    for _ in range(300):
        starts = rng.integers(0, len(CODES) - LENGTH, 16)
        batch = ms.Tensor(CODES[starts[:, None] + np.arange(LENGTH + 1)])
        loss = step(batch)
        schedule.step()
    print(f"loss {loss.item():.2f} nats a character")
    print(speed(step, batch, repeat=1))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
