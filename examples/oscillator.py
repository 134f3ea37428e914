"""Differentiate through a simulation: find a spring's stiffness and friction from its motion."""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops

STEP, STEPS = 0.05, 60


def motion(stiffness, friction):
    """Positions of a mass on a spring that starts at 1, at rest."""
    position, speed, seen = 1.0, 0.0, []
    for _ in range(STEPS):
        speed = speed - STEP * (stiffness * position + friction * speed)
        position = position + STEP * speed
        seen.append(position)
    return seen


observed = Tensor(np.array(motion(4.0, 0.3)))


def residual(p):
    return ops.stack(motion(p[0], p[1])) - observed


def better(p):
    """One step of Gauss and Newton: least squares on the linearized motion."""
    slope, error = ms.jacfwd(residual)(p), residual(p)
    return p - ops.matrix_solve(slope.T @ slope, (slope.T @ error)[:, None])[:, 0]


def main():
    p = Tensor(np.array([2.0, 0.0]))
    for _ in range(8):
        p = better(p)
    print(f"stiffness {p[0].item():.3f}, friction {p[1].item():.3f}")


if __name__ == "__main__":
    main()
