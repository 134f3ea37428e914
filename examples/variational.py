"""A variational fit: a normal distribution as close as can be to a posterior, by sampling it."""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, nn, ops
from jitgrad.tools.speed import speed

NOISE = 0.5


class Fit(nn.Cell):
    """The negative evidence lower bound of a linear model with known noise and prior N(0, 1).

    The distribution of the weights is N(mean, L Lᵀ), and gradients go through its samples.
    """

    def __init__(self, size, samples):
        super().__init__()
        self.mean = ms.Parameter(Tensor(np.zeros(size, np.float32)), name="mean")
        self.factor = ms.Parameter(Tensor(np.eye(size, dtype=np.float32)), name="factor")
        self.samples = samples

    def construct(self, x, y):
        factor = ops.tril(self.factor)
        w = self.mean + ops.randn(self.samples, self.mean.shape[0]) @ factor.T
        misfit = ((y - w @ x.T) ** 2).sum(1) / (2 * NOISE**2)
        prior = (w * w).sum(1) / 2
        return (misfit + prior).mean() - ops.log(ops.abs(ops.diagonal(factor))).sum()


def main():
    ms.set_seed(0)
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(40, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.5], [0, 0, 1]])).astype("f4")
    y = (x @ [1.0, -1.0, 0.5] + NOISE * rng.normal(size=40)).astype(np.float32)
    covariance = np.linalg.inv(x.T @ x / NOISE**2 + np.eye(3))  # what it should find
    mean = covariance @ x.T @ y / NOISE**2
    fit = Fit(3, 64)
    rates = nn.cosine_decay_lr(1e-4, 0.05, 800, 800, 1)
    step = nn.TrainOneStepCell(fit, nn.Adam(fit.trainable_params(), rates))
    given = (Tensor(x), Tensor(y))
    for _ in range(800):
        step(*given)
    factor = np.tril(fit.factor.asnumpy())
    off = np.abs(fit.mean.asnumpy() - mean).max()
    ratio = np.abs(np.sqrt(np.diag(factor @ factor.T) / np.diag(covariance)) - 1).max()
    print(f"mean off by {off:.3f}, deviations by {ratio:.1%}")
    print(speed(step, *given))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
