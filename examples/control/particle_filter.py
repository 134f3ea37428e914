"""A particle filter: follow something through noise, resampling when too few particles are left."""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops

PARTICLES = 64


def evidence(drift, readings, kicks, places):
    """Minus the log likelihood of readings of a random walk with a drift.

    kicks: the randomness of the walk, [time, particle]; places: that of resampling, [time].
    """
    particles = kicks[0] * 0.0
    weights = particles + 1.0 / PARTICLES
    total = readings[0] * 0.0
    resampled, slots = 0, ops.arange(PARTICLES)
    for t in range(len(readings)):
        particles = particles + drift + 0.5 * kicks[t]
        weights = weights * ops.exp(-2.0 * (readings[t] - particles) ** 2)
        mean = weights.sum()
        total = total - ops.log(mean)
        weights = weights / mean
        if 1.0 / (weights * weights).sum() < PARTICLES / 2:
            edges = ops.cumsum(ops.stop_gradient(weights), 0)
            at = (slots + places[t]) / PARTICLES
            chosen = ops.minimum(ops.searchsorted(edges, at), PARTICLES - 1)
            kept = weights[chosen]
            particles = particles[chosen]
            weights = kept / ops.stop_gradient(kept) / PARTICLES
            resampled += 1
    return total, resampled


def main():
    rng = np.random.default_rng(0)
    path = np.cumsum(0.3 + 0.5 * rng.normal(size=40))
    readings = Tensor((path + 0.5 * rng.normal(size=40)).astype(np.float32))
    kicks = Tensor(rng.normal(size=(40, PARTICLES)).astype(np.float32))
    places = Tensor(rng.random(40).astype(np.float32))
    gradient = ms.jit(ms.value_and_grad(evidence, has_aux=True))
    drift = Tensor(0.0)
    for _ in range(60):
        (value, resampled), slope = gradient(drift, readings, kicks, places)
        drift = drift - 0.0002 * slope
    print(f"drift {drift.item():.2f} (0.30), resampled {int(resampled)} times", end=", ")
    print(f"surprise {value.item():.1f}")


if __name__ == "__main__":
    main()
