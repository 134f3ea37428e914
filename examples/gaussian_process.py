"""A Gaussian process: its length scale, height and noise by the marginal likelihood."""

import numpy as np

import jitgrad as ms
from jitgrad import Parameter, Tensor, ops
from jitgrad.experimental import optim
from jitgrad.tools.speed import speed


def kernel(x, z, scale, height):
    """The squared exponential covariance of places x and z."""
    apart = (x[:, None] - z[None, :]) / scale
    return height**2 * ops.exp(-(apart**2) / 2)


def misfit(x, y, log_scale, log_height, log_noise):
    """The negative log marginal likelihood, by a Cholesky factor. Rasmussen and Williams (2006)."""
    eye = ops.eye(x.shape[0], dtype=x.dtype)
    k = kernel(x, x, ops.exp(log_scale), ops.exp(log_height)) + ops.exp(2 * log_noise) * eye
    factor = ops.cholesky(k)
    weights = ops.cholesky_solve(y[:, None], factor)[:, 0]
    return (y * weights).sum() / 2 + ops.log(ops.diagonal(factor)).sum()


def main():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-3, 3, 60))
    truth = np.sin(2 * x)
    x, y = Tensor(x), Tensor(truth + 0.1 * rng.normal(size=60))
    names = ("log_scale", "log_height", "log_noise")
    logs = [Parameter(Tensor(np.array(0.0)), name=name) for name in names]
    value = ms.value_and_grad(lambda: misfit(x, y, *logs), None, logs)
    descent = optim.LBFGS(logs, max_iter=40, line_search_fn="strong_wolfe")
    before = descent.step(value).item()
    after = value()[0].item()
    scale, height, noise = (float(np.exp(p.asnumpy())) for p in logs)
    k = kernel(x, x, scale, height).asnumpy() + noise**2 * np.eye(60)
    mean = kernel(x, x, scale, height).asnumpy() @ np.linalg.solve(k, y.asnumpy())
    error = np.sqrt(np.mean((mean - truth) ** 2))
    print(f"misfit {before:.1f} -> {after:.1f}: scale {scale:.2f}, noise {noise:.3f}")
    print(f"error of the mean {error:.3f}")
    print(speed(value))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
