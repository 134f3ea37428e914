"""Second derivatives: walk down Rosenbrock's valley by Newton's method, two ways.

With the whole Hessian, as columns of the gradient's Jacobian; and without ever forming it, by
conjugate gradients on Hessian-vector products.
"""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops


def f(x):
    """Zero at (1, 1, …), at the end of a long curved valley."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


gradient = ms.jit(ms.grad(f))
hessian = ms.jit(ms.jacfwd(ms.grad(f)))


@ms.jit
def product(x, v):
    """The Hessian at x times v: how the gradient changes along v."""
    return ms.jvp(ms.grad(f), x, v)[1]


def newton_step(x):
    return ops.matrix_solve(hessian(x), gradient(x)[:, None])[:, 0]


def matrix_free_step(x):
    """Conjugate gradients, at most as many rounds as there are unknowns."""
    left = gradient(x)
    step, along = ops.zeros_like(x), left
    for _ in range(x.size):
        image = product(x, along)
        length = (left * left).sum() / (along * image).sum()
        step, rest = step + length * along, left - length * image
        if float((rest * rest).sum()) < 1e-20:
            break
        along = rest + (rest * rest).sum() / (left * left).sum() * along
        left = rest
    return step


def main():
    for name, step in {"Newton": newton_step, "matrix-free": matrix_free_step}.items():
        x, count = Tensor(np.array([-1.2, 1.0, 1.5])), 0
        while float(ops.abs(gradient(x)).max()) > 1e-8:
            x, count = x - step(x), count + 1
        print(f"{name}: {x.asnumpy().round(6)} after {count} steps")


if __name__ == "__main__":
    main()
