"""Gauss and Seidel in place: the heat of a plate, and which edge warms its middle most."""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops

N = 12


def middle(edges):
    """The temperature in the middle of a plate whose four edges are held at given ones."""
    plate = ops.zeros((N, N), ms.float64)
    plate[0], plate[-1] = edges[0], edges[1]
    plate[:, 0], plate[:, -1] = edges[2], edges[3]
    change = edges[0] * 0.0 + 1.0
    sweeps = 0
    while change > 1e-6 and sweeps < 500:
        change = change * 0.0
        for i in range(1, N - 1):
            for j in range(1, N - 1):
                new = (plate[i - 1, j] + plate[i + 1, j] + plate[i, j - 1] + plate[i, j + 1]) / 4.0
                change = ops.maximum(change, ops.abs(ops.stop_gradient(new - plate[i, j])))
                plate[i, j] = new
        sweeps += 1
    return plate[N // 2, N // 2]


def main():
    edges = Tensor(np.array([1.0, 0.0, 0.5, 0.25]))
    value, slope = ms.jit(ms.value_and_grad(middle))(edges)
    print(f"middle {value.item():.4f}, by edge", [round(float(g), 3) for g in slope.asnumpy()])


if __name__ == "__main__":
    main()
