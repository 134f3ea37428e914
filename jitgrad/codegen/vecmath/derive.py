"""Derive the polynomial coefficients of this package (a development tool; needs mpmath).

``minimax`` is Remez's exchange algorithm in 60-digit arithmetic: it finds the coefficients that
minimise ``max |weight(x) * (p(x) - f(x))|``.  ``rounded`` then rounds them to the format one by
one, from the constant term up, solving again (least squares) for the others after each, so that
the rounding of one coefficient is made good by those not rounded yet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import mpmath as mp

mp.mp.dps = 60
Function = Callable[[mp.mpf], mp.mpf]
Grid = list[tuple[mp.mpf, mp.mpf, mp.mpf]]  # x, f(x), weight(x)


def sample(f: Function, a: float, b: float, weight: Function, degree: int) -> Grid:
    """(x, f(x), weight(x)) on a Chebyshev grid of about 24 points per coefficient."""
    m = 24 * (degree + 2)
    a, b = mp.mpf(a), mp.mpf(b)
    xs = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * m)) for i in range(m)]
    return [(x, mp.mpf(f(x)), abs(mp.mpf(weight(x)))) for x in xs]


def minimax(grid: Grid, degree: int) -> tuple[list[mp.mpf], mp.mpf]:
    """Coefficients c[0..degree] of the best polynomial on the grid, and its weighted error."""
    n = degree + 2
    last = len(grid) - 1
    picks = [round((1 - mp.cos(mp.pi * i / (n - 1))) / 2 * last) for i in range(n)]
    for _ in range(30):
        system, right = mp.matrix(n, n), mp.matrix(n, 1)
        for i, (x, y, w) in enumerate(grid[p] for p in picks):
            for j in range(n - 1):
                system[i, j] = x**j
            system[i, n - 1] = (-1) ** i / w
            right[i] = y
        solution = mp.lu_solve(system, right)
        coef = list(solution[: n - 1])
        error = [w * (mp.polyval(coef[::-1], x) - y) for x, y, w in grid]
        worst = max(map(abs, error))
        if worst <= abs(solution[n - 1]) * mp.mpf("1.01"):
            break
        picks = _exchange(error, n, picks)
    return coef, worst


def _exchange(error: list[mp.mpf], n: int, old: list[int]) -> list[int]:
    """The n grid points where the error alternates in sign and is largest."""
    peaks: list[int] = []
    for i, e in enumerate(error):
        if peaks and (error[peaks[-1]] > 0) == (e > 0):
            if abs(e) > abs(error[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > n:  # drop the smaller end
        peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
    return peaks if len(peaks) == n else old


def to_format(c: mp.mpf, width: int) -> mp.mpf:
    """c rounded to float32 or float64."""
    c = mp.mpf(float(c))
    return c if width == 64 else mp.mpf(struct.unpack("f", struct.pack("f", float(c)))[0])


def rounded(
    f: Function, degree: int, a: float, b: float, width: int,
    weight: Function = lambda x: mp.mpf(1), fixed: Sequence[float] = (),
) -> tuple[list[float], float]:
    """c[0..degree] rounded to the format and log2 of the error; c begins with ``fixed``."""
    grid = sample(f, a, b, weight, degree)
    best, _ = minimax(grid, degree)
    # sums of weight**2 x**k and of weight**2 x**k times the error: all that least squares needs
    power = [mp.fsum(w * w * x**k for x, _, w in grid) for k in range(2 * degree + 1)]
    left = [mp.fsum(w * w * x**k * (mp.polyval(best[::-1], x) - y) for x, y, w in grid)
            for k in range(degree + 1)]
    done: list[mp.mpf] = []
    for k in range(degree + 1):
        c = mp.mpf(fixed[k]) if k < len(fixed) else to_format(best[k], width)
        left = [s + (c - best[k]) * power[k + j] for j, s in enumerate(left)]
        done.append(c)
        rest = range(k + 1, degree + 1)
        if rest:  # move the others so that the squared error is least again
            move = mp.lu_solve(
                mp.matrix([[power[i + j] for j in rest] for i in rest]),
                mp.matrix([-left[i] for i in rest]),
            )
            for j, d in zip(rest, move):
                best[j] += d
            left = [s + mp.fsum(d * power[i + j] for j, d in zip(rest, move))
                    for i, s in enumerate(left)]
    error = max(w * abs(mp.polyval(done[::-1], x) - y) for x, y, w in grid)
    return [float(c) for c in done], round(float(mp.log(error, 2)), 1)


def pieces(c: mp.mpf, bits: Sequence[int], width: int) -> list[float]:
    """c as a sum of floats: each of the given number of bits, the last of full precision."""
    out = []
    for n in bits:
        e = int(mp.floor(mp.log(abs(c), 2))) + 1
        head = mp.ldexp(mp.nint(mp.ldexp(c, n - e)), e - n)
        out.append(float(head))
        c -= head
    return [*out, float(to_format(c, width))]
