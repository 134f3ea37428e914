"""Bisection: where a cable that sags under its weight has a given length."""

import jitgrad as ms
from jitgrad import Tensor, ops


def excess(tension, span, length):
    """How much longer than wanted a cable with this tension is."""
    return 2.0 * tension * ops.sinh(span / (2.0 * tension)) - length


def tension(span, length):
    """The tension of a cable of a length over a span, found between two bounds; one last Newton
    step makes it depend smoothly on both.
    """
    low, high = span * 0.05, span * 100.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2.0
        if excess(middle, span, length) > 0:
            low = middle
        else:
            high = middle
    found = ops.stop_gradient((low + high) / 2.0)
    slope = 2.0 * ops.sinh(span / (2.0 * found)) - span / found * ops.cosh(span / (2.0 * found))
    return found - excess(found, span, length) / ops.stop_gradient(slope)


def main():
    span, length = Tensor(100.0, ms.float64), Tensor(104.0, ms.float64)
    value, (by_span, by_length) = ms.jit(ms.value_and_grad(tension, (0, 1)))(span, length)
    print(f"tension {value.item():.4f}, by span {by_span.item():.4f}", end=", ")
    print(f"by length {by_length.item():.4f}")


if __name__ == "__main__":
    main()
