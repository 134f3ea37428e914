"""Two networks against each other: one makes points, the other tells them from those of a ring."""

import numpy as np

import jitgrad as ms
from jitgrad import nn, ops
from jitgrad.tools.speed import speed


def network(inputs, outputs):
    return nn.SequentialCell(
        *(nn.Dense(inputs, 32), nn.LeakyReLU(0.2), nn.Dense(32, 32), nn.LeakyReLU(0.2)),
        nn.Dense(32, outputs),
    )


class Game(nn.Cell):
    """One step of both: `maker` turns noise into points, `judge` scores them. Goodfellow et al.
    (2014), with the loss that does not saturate.
    """

    def __init__(self, maker, judge):
        super().__init__()
        self.maker, self.judge = maker, judge
        self.maker_step = nn.Adam(maker.trainable_params(), 1e-3, 0.5)
        self.judge_step = nn.Adam(judge.trainable_params(), 2e-3, 0.5)

    def judged(self, real, made):
        """How wrong the judge is: it should score the real above zero, the made below."""
        return ops.softplus(-self.judge(real)).mean() + ops.softplus(self.judge(made)).mean()

    def fooled(self, noise):
        """How well the judge sees through the maker."""
        return ops.softplus(-self.judge(self.maker(noise))).mean()

    def construct(self, real):
        noise = ops.randn(real.shape[0], 2)
        judging = ms.value_and_grad(self.judged, None, self.judge_step.parameters)
        wrong, gradients = judging(real, ops.stop_gradient(self.maker(noise)))
        self.judge_step(gradients)
        making = ms.value_and_grad(self.fooled, None, self.maker_step.parameters)
        seen, gradients = making(noise)
        self.maker_step(gradients)
        return wrong, seen


def main():
    ms.set_seed(0)
    rng = np.random.default_rng(0)
    maker = network(2, 2)
    game = Game(maker, network(2, 1))
    for _ in range(1500):
        angle = rng.uniform(0, 2 * np.pi, 128)
        real = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * rng.normal(size=(128, 2))
        batch = ms.Tensor(real.astype(np.float32))
        game(batch)
    points = maker(ops.randn(1000, 2)).asnumpy()
    radius = np.hypot(*points.T)
    quarters = np.bincount((np.arctan2(*points.T) // (np.pi / 2)).astype(int) + 2, minlength=4)
    print(f"radius {radius.mean():.2f} +- {radius.std():.2f}, in quarters {quarters / 1000}")
    print(speed(game, batch))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
