"""PyTorch's way: leaves, backward() and .grad; the penalty on a slope needs create_graph."""

import numpy as np

import jitgrad as torch
from jitgrad import ops

rng = np.random.default_rng(0)
real = torch.tensor(rng.normal(1.0, 0.5, (64, 2)).astype(np.float32))
made = torch.tensor(rng.normal(-1.0, 0.5, (64, 2)).astype(np.float32))
w1 = torch.tensor(rng.normal(0, 0.5, (2, 16)).astype(np.float32), requires_grad=True)
w2 = torch.tensor(rng.normal(0, 0.5, (16, 1)).astype(np.float32), requires_grad=True)


def critic(x):
    return ops.tanh(x @ w1) @ w2


def penalty(x):
    """How far the critic's slope is from 1, at points x."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return ((slope.norm(dim=1) - 1) ** 2).mean()


def main():
    for _ in range(150):
        loss = critic(made).mean() - critic(real).mean() + 5 * penalty((real + made) / 2)
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= 0.05 * w.grad
                w.grad = None
    apart = critic(real).mean() - critic(made).mean()
    print(f"apart by {apart.item():.2f}, penalty {penalty(real).item():.3f}")


if __name__ == "__main__":
    main()
