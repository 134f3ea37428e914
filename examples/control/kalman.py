"""A Kalman filter: learn how noisy a sensor is from what it reports, missing reports included."""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops

STEP = 0.1


def surprise(noise, readings, known):
    """Minus the log likelihood of positions read from something that moves on its own.

    noise: log of the variances of acceleration and of the sensor; known: whether one is there.
    """
    q, r = ops.exp(noise[0]), ops.exp(noise[1])
    position, speed = readings[0] * 0.0, readings[0] * 0.0
    pp, pv, vv = readings[0] * 0.0 + 1.0, readings[0] * 0.0, readings[0] * 0.0 + 1.0
    total = readings[0] * 0.0
    for i in range(len(readings)):
        position = position + STEP * speed
        pp = pp + STEP * (2.0 * pv + STEP * vv) + q * STEP**3 / 3.0
        pv = pv + STEP * vv + q * STEP**2 / 2.0
        vv = vv + q * STEP
        if not known[i]:
            continue
        error, variance = readings[i] - position, pp + r
        total = total + 0.5 * (ops.log(variance) + error * error / variance)
        position, speed = position + pp / variance * error, speed + pv / variance * error
        pp, pv, vv = pp - pp * pp / variance, pv - pv * pp / variance, vv - pv * pv / variance
    return total


def main():
    rng = np.random.default_rng(0)
    speed = np.cumsum(rng.normal(size=300) * np.sqrt(0.5 * STEP))
    readings = Tensor(np.cumsum(speed) * STEP + rng.normal(size=300) * 0.2)
    known = Tensor(rng.random(300) > 0.2)
    gradient = ms.jit(ms.value_and_grad(surprise))
    noise = Tensor(np.zeros(2))
    for _ in range(200):
        _, slope = gradient(noise, readings, known)
        noise = noise - 0.02 * slope / ops.maximum(1.0, ops.norm(slope) / 10.0)
    q, r = np.exp(noise.asnumpy())
    print(f"variance of acceleration {q:.2f} (0.50), of the sensor {r:.3f} (0.040)")


if __name__ == "__main__":
    main()
