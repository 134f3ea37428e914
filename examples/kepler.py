"""Newton's method in a parallel loop of Numba, with the derivative from jitgrad.

Kepler's equation says where a planet is on its ellipse: E - e sin E = M, to be solved for E. The
equation is a function that Numba compiles; its derivative is captured from the same source.
"""

import math

import numba
import numpy as np

import jitgrad as ms


@numba.njit
def equation(anomaly, eccentricity, mean):
    return anomaly - eccentricity * math.sin(anomaly) - mean


value_and_slope = ms.as_njit(ms.value_and_grad(equation), 0.0, 0.0, 0.0)


@numba.njit(parallel=True)
def solve(eccentricity, mean):
    """The anomaly for each mean anomaly."""
    found = mean + 0.0
    for i in numba.prange(len(mean)):
        for _ in range(50):
            value, slope = value_and_slope(found[i], eccentricity, mean[i])
            found[i] -= value / slope
            if abs(value) < 1e-13:
                break
    return found


def main():
    mean = np.linspace(0.0, math.pi, 100_001)
    found = solve(0.6, mean)
    residual = np.abs(found - 0.6 * np.sin(found) - mean).max()
    print(f"E({mean[50_000]:.4f}) = {found[50_000]:.4f}, all solved: {residual < 1e-12}")


if __name__ == "__main__":
    main()
