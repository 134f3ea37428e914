"""The gradient of each example, by vmap: clip them one by one, as private training does."""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops


def loss(w, x, label):
    """Cross entropy of one example."""
    return ops.cross_entropy((x @ w)[None], label[None])


@ms.jit
def private_step(w, x, labels):
    """Descend along the mean of gradients that are no longer than 1, with some noise."""
    each = ms.vmap(ms.grad(loss), in_axes=(None, 0, 0))(w, x, labels)
    lengths = ops.sqrt((each * each).sum((1, 2), keepdims=True))
    clipped = each / ops.maximum(lengths, 1.0)
    noise = 0.05 * ops.randn(*w.shape)
    return w - 0.5 * (clipped.mean(0) + noise), lengths.max()


def main():
    ms.set_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 4)).astype(np.float32)
    labels = (x[:, 0] + x[:, 1] > 0).astype(np.int32)
    w = Tensor(np.zeros((4, 2), np.float32))
    for _ in range(50):
        w, longest = private_step(w, x, labels)
    right = np.mean(np.argmax(x @ w.asnumpy(), 1) == labels)
    print(f"accuracy {right:.1%}, longest gradient {longest.item():.2f} before clipping")


if __name__ == "__main__":
    main()
