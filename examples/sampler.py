"""A sampler written in Numba, with the gradient from jitgrad: Hamiltonian Monte Carlo.

The model is a robust regression: errors follow Student's t, so that outliers do not count. Its
logarithmic density and gradient are one compiled function that the loops below call without
returning to Python.
"""

import numba
import numpy as np

import jitgrad as ms
from jitgrad import ops

rng = np.random.default_rng(0)
x = rng.uniform(-2.0, 2.0, 40)
y = 1.0 + 2.0 * x + 0.1 * rng.standard_t(2.0, 40)


def density(position):
    """Logarithm of the posterior of intercept, slope and log(scale), up to a constant."""
    intercept, slope, log_scale = position[0], position[1], position[2]
    error = (y - intercept - slope * x) * ops.exp(-log_scale)
    return -(1.5 * ops.log1p(error * error / 2.0) + log_scale).sum() - 0.5 * (position**2).sum()


density_and_slope = ms.as_njit(ms.value_and_grad(density), np.zeros(3))


@numba.njit
def sample(position, count, step, steps):
    """A chain of `count` positions, each after a path of leapfrog steps; and how many moved."""
    chain, accepted = np.empty((count, len(position))), 0
    value, slope = density_and_slope(position)
    for k in range(count):
        momentum = np.random.standard_normal(len(position))
        energy = value - 0.5 * (momentum**2).sum()
        there, value_there, slope_there = position, value, slope
        for _ in range(steps):
            momentum = momentum + 0.5 * step * slope_there
            there = there + step * momentum
            value_there, slope_there = density_and_slope(there)
            momentum = momentum + 0.5 * step * slope_there
        gain = value_there - 0.5 * (momentum**2).sum() - energy
        if np.log(np.random.random()) < gain:
            position, value, slope = there, value_there, slope_there
            accepted += 1
        chain[k] = position
    return chain, accepted


@numba.njit
def seed(number):
    """Numba draws from a generator of its own."""
    np.random.seed(number)


def main():
    seed(1)
    chain, accepted = sample(np.zeros(3), 4000, 0.02, 20)
    intercept, slope, _ = chain[500:].mean(0)
    print(f"intercept {intercept:.2f}, slope {slope:.2f}, {accepted / 40:.0f}% accepted")


if __name__ == "__main__":
    main()
