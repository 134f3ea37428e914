"""Newton's iteration: the roots of an equation, and how they move with its coefficients."""

import jitgrad as ms
from jitgrad import Tensor


def root(a, b, start):
    """A root of t³ + a t + b, as exactly as float64 allows."""
    t = start
    step = t * 0.0 + 1.0
    while abs(step) > 1e-12:
        step = (t * t * t + a * t + b) / (3.0 * t * t + a)
        t = t - step
    return t


def main():
    a, b, start = (Tensor(v, ms.float64) for v in (-2.0, -5.0, 2.0))
    t, (da, db) = ms.jit(ms.value_and_grad(root, (0, 1)))(a, b, start)
    print(f"root {t.item():.6f}, by a {da.item():.6f}, by b {db.item():.6f}")


if __name__ == "__main__":
    main()
