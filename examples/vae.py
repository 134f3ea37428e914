"""A variational autoencoder of handwritten digits: each is a normal distribution in the plane."""

import jitgrad as ms
from jitgrad import data, nn, ops
from jitgrad.tools.speed import speed


class Autoencoder(nn.Cell):
    """Images [N, 64] to the negative evidence lower bound, in nats an image. Kingma and Welling
    (2014).
    """

    def __init__(self, hidden=64, size=2):
        super().__init__()
        self.encoder = nn.SequentialCell(
            nn.Dense(64, hidden), nn.Tanh(), nn.Dense(hidden, 2 * size)
        )
        self.decoder = nn.SequentialCell(nn.Dense(size, hidden), nn.Tanh(), nn.Dense(hidden, 64))
        self.size = size

    def construct(self, x):
        code = self.encoder(x)
        mean, log_variance = code[:, : self.size], code[:, self.size :]
        sample = mean + ops.exp(log_variance / 2) * ops.randn_like(mean)
        misfit = ops.binary_cross_entropy_with_logits(self.decoder(sample), x, reduction="none")
        spread = (mean**2 + ops.exp(log_variance) - 1 - log_variance) / 2
        return (misfit.sum(1) + spread.sum(1)).mean()


def main():
    ms.set_seed(0)
    (images, _), (test_images, _) = data.digits()
    images, test_images = images.reshape(-1, 64), test_images.reshape(-1, 64)
    net = Autoencoder()
    before = net(ms.Tensor(test_images)).item()
    step = nn.TrainOneStepCell(net, nn.Adam(net.trainable_params(), 5e-3))
    batches = data.Batches(images, 120, shuffle=True)
    for _ in range(40):
        for batch in batches:
            step(batch)
    after = net(ms.Tensor(test_images)).item()
    print(f"bound {before:.1f} -> {after:.1f} nats an image")
    print(speed(step, batch))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
