"""A network learns the right-hand side of a differential equation from a path along it."""

import numpy as np

import jitgrad as ms
from jitgrad import nn, ops
from jitgrad.tools.speed import speed

STEPS, H = 20, 0.1


class Field(nn.Cell):
    """Velocities at places [N, 2]."""

    def __init__(self):
        super().__init__()
        self.net = nn.SequentialCell(nn.Dense(2, 32), nn.Tanh(), nn.Dense(32, 2))

    def construct(self, x):
        return self.net(x**3)


class Paths(nn.Cell):
    """Places [N, 2] to paths from there [STEPS, N, 2], in steps of Runge and Kutta."""

    def __init__(self, field):
        super().__init__()
        self.field = field

    def construct(self, x):
        def step(x, _):
            k1 = self.field(x)
            k2 = self.field(x + H / 2 * k1)
            k3 = self.field(x + H / 2 * k2)
            k4 = self.field(x + H * k3)
            x = x + H / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return x, x

        return ops.scan(step, x, None, STEPS)[1]


def truth(x):
    """Paths of a damped spiral, x' = A x³. Chen et al. (2018)."""
    a, path = np.array([[-0.1, 2.0], [-2.0, -0.1]]), []
    for _ in range(STEPS):
        for _ in range(20):
            x = x + H / 20 * (x + H / 40 * (x**3 @ a.T)) ** 3 @ a.T
        path.append(x)
    return np.stack(path).astype(np.float32)


def main():
    ms.set_seed(0)
    rng = np.random.default_rng(0)
    start = rng.uniform(-1.5, 1.5, (64, 2)).astype(np.float32)
    x, wanted = ms.Tensor(start), ms.Tensor(truth(start))
    paths = Paths(Field())
    loss = nn.WithLossCell(paths, nn.MSELoss())
    rate = nn.cosine_decay_lr(1e-4, 2e-2, 400, 400, 1)
    step = nn.TrainOneStepCell(loss, nn.Adam(paths.trainable_params(), rate))
    before = loss(x, wanted).item()
    for _ in range(400):
        step(x, wanted)
    print(f"mean square error {before:.2f} -> {loss(x, wanted).item():.4f}")
    print(speed(step, x, wanted))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
