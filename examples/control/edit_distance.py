"""Edit distance by dynamic programming, softened: what each letter costs can be learned."""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops


def soft_min(a, b, c, heat=0.1):
    least = ops.minimum(a, ops.minimum(b, c))
    total = ops.exp((least - a) / heat) + ops.exp((least - b) / heat) + ops.exp((least - c) / heat)
    return least - heat * ops.log(total)


def edit_distance(costs, first, second):
    """The least total cost of making one word of the other.

    costs: of inserting, of deleting and of replacing a letter.
    """
    insert, delete, replace = costs[0], costs[1], costs[2]
    n, m = len(first), len(second)
    table = ops.zeros((n + 1, m + 1), ms.float64)
    for i in range(1, n + 1):
        table[i, 0] = table[i - 1, 0] + delete
    for j in range(1, m + 1):
        table[0, j] = table[0, j - 1] + insert
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            change = costs[0] * 0.0 if first[i - 1] == second[j - 1] else replace
            table[i, j] = soft_min(
                table[i - 1, j] + delete, table[i, j - 1] + insert, table[i - 1, j - 1] + change
            )
    return table[n, m]


def letters(word):
    return Tensor(np.frombuffer(word.encode(), np.uint8).astype(np.int32))


def main():
    costs = Tensor(np.array([1.0, 1.0, 1.5]))
    value, slope = ms.jit(ms.value_and_grad(edit_distance))(
        costs, letters("differentiation"), letters("indifferent notion")
    )
    print(f"distance {value.item():.3f}; used", [round(float(g), 2) for g in slope.asnumpy()])


if __name__ == "__main__":
    main()
