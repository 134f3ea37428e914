"""Matrices as panels: so many columns of all rows side by side, one panel after the other."""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill

COPIED = """def kernel(ptrs, dims, lo, hi):
    # panels[b, p, i, j] = matrices[b, i, p * width + j]; the range is rows of all matrices
    matrices = {T}_ptr(ptrs, 0)
    panels = {T}_ptr(ptrs, 1)
    k, n, width, count, size = dims[0], dims[1], dims[2], dims[3], dims[4]
    for at in range(lo, hi):
        row = at // k * size + at % k * width
        for panel in range(count):
            here, to = at * n + panel * width, row + panel * k * width
            for j in range(width):
                panels[to + j] = matrices[here + j]
"""

TURNED = """def kernel(ptrs, dims, lo, hi):
    # panels[p, i, j] = matrix[p * width + j, i], by squares; the last ones may overlap others
    matrix = {T}_ptr(ptrs, 0)
    panels = {T}_ptr(ptrs, 1)
    k, width = dims[0], dims[1]
    for panel in range(lo, hi):
        for j in range(0, width, {lanes}):
            row = panel * width + j
            for i in range(0, k, {lanes}):
                column = minimum_i64(i, k - {lanes})
                to = (panel * k + column) * width + j
                turn_{T}(matrix, row * k + column, k, panels, to, width)
"""


def copied(dtype: str) -> str:
    """Panels of matrices that are stored by rows.

    ptrs   matrices[batch, k, n], panels[batch, count, k, width]
    dims   k, n, width, count, elements from the panels of one matrix to those of the next
    range  rows of all matrices
    """
    return fill(COPIED, dtype)


def turned(dtype: str, lanes: int) -> str:
    """Panels of matrices that are stored by columns, which have `lanes` elements at least.

    ptrs   matrix[n, k], panels[n / width, k, width]
    dims   k, width
    range  panels; those of a batch follow each other
    """
    return fill(TURNED, dtype, lanes=str(lanes))
