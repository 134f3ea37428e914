"""Derive the polynomial coefficients of this package (a development tool; needs mpmath).

``minimax`` is Remez's exchange algorithm in 60-digit arithmetic: it finds the coefficients that
minimise ``max |weight(x) * (p(x) - f(x))|``.  ``rounded`` then rounds them to the format one by
one, from the constant term up, solving again (least squares) for the others after each, so that
the rounding of one coefficient is made good by those not rounded yet.

    python -m jitgrad.codegen.vecmath.derive [module[.TABLE]]     # prints the tables
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp

mp.mp.dps = 60
Function = Callable[[Any], Any]
Grid = list[tuple[Any, Any, Any]]  # x, f(x), weight(x)


def sample(f: Function, a: Any, b: Any, weight: Function, degree: int) -> Grid:
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
    f: Function,
    degree: int,
    a: Any,
    b: Any,
    width: int,
    weight: Function = lambda x: mp.mpf(1),
    fixed: Sequence[Any] = (),
) -> tuple[list[float], float]:
    """c[0..degree] rounded to the format and log2 of the error; c begins with ``fixed``."""
    grid = sample(f, a, b, weight, degree)
    best, _ = minimax(grid, degree)
    # sums of weight**2 x**k and of weight**2 x**k times the error: all that least squares needs
    power = [mp.fsum(w * w * x**k for x, _, w in grid) for k in range(2 * degree + 1)]
    left = [
        mp.fsum(w * w * x**k * (mp.polyval(best[::-1], x) - y) for x, y, w in grid)
        for k in range(degree + 1)
    ]
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
            left = [
                s + mp.fsum(d * power[i + j] for j, d in zip(rest, move))
                for i, s in enumerate(left)
            ]
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


def near_zero(exact: Function, series: Sequence[mp.mpf], radius: float = 1e-3) -> Function:
    """exact(z), or its power series where that cancels."""
    return lambda z: mp.polyval(list(series)[::-1], z) if abs(z) < radius else exact(z)


def _powers(term: Callable[[int], mp.mpf]) -> Function:
    """The sum of term(k) z**k, which converges fast."""
    terms = [mp.mpf(term(k)) for k in range(60)]
    return lambda z: mp.polyval(terms[::-1], z)


def _inverse_erf(w: mp.mpf) -> mp.mpf:
    """erfinv(x) / x for w = -log(1 - x**2)."""
    x = mp.sqrt(-mp.expm1(-w))
    missing = mp.exp(-w) / (1 + x)  # 1 - x
    y = mp.sqrt(w - mp.log(w * mp.pi) / 2) if w > 30 else mp.mpf(float(mp.erfinv(float(x))))
    for _ in range(6):  # Halley's iteration
        error = mp.erfc(y) - missing if x > 0.5 else x - mp.erf(y)
        step = error * mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
        y += step / (1 - y * step)
    return y / x


def erfcx(x: Any) -> Any:
    """exp(x**2) erfc(x)."""
    return mp.exp(x * x) * mp.erfc(x)


def _erfcx(k: int) -> Function:
    def f(t: mp.mpf) -> mp.mpf:
        x = k * (1 + t) / (1 - t)
        return (x + k) * erfcx(x)

    return f


def _stirling(u: mp.mpf) -> mp.mpf:
    x = 1 / mp.sqrt(u)
    return x * (mp.loggamma(x) - (x - 0.5) * mp.log(x) + x - mp.log(2 * mp.pi) / 2)


def _digamma_tail(u: mp.mpf) -> mp.mpf:
    x = 1 / mp.sqrt(u)
    return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) / u


HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.001")
SHORT_LN2 = (mp.sqrt(2) - 1) ** 2 / (mp.sqrt(2) + 1) ** 2 * mp.mpf("1.001")  # the largest s**2
LOG_LOW, LOG_HIGH = (mp.sqrt(0.5) - 1) * 1.001, (mp.sqrt(2) - 1) * 1.001
QUARTER = (mp.pi / 4) ** 2 * mp.mpf("1.02")
ROOT = mp.findroot(mp.digamma, 1.46)
exp_q = _powers(lambda k: 1 / mp.factorial(k + 2))
cosh_c = _powers(lambda k: 1 / mp.factorial(2 * k + 2))
sinh_s = _powers(lambda k: 1 / mp.factorial(2 * k + 3))
sin_s = _powers(lambda k: (-1) ** (k + 1) / mp.factorial(2 * k + 3))
cos_c = _powers(lambda k: (-1) ** k / mp.factorial(2 * k + 4))
log_p = near_zero(
    lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, [mp.mpf((-1) ** k) / (k + 3) for k in range(25)]
)
log_q = near_zero(
    lambda f: mp.log1p(f) / f / mp.log(2), [(-1) ** k / mp.log(2) / (k + 1) for k in range(25)]
)
pow_r = _powers(lambda k: 2 / mp.log(2) / (2 * k + 5))
atan_a = near_zero(
    lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z,
    [mp.mpf((-1) ** (k + 1)) / (2 * k + 3) for k in range(25)],
)
asin_s = near_zero(
    lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z,
    [mp.binomial(2 * k, k) / mp.mpf(4) ** k / (2 * k + 1) for k in range(1, 25)],
)
erf_p = near_zero(
    lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
    [2 / mp.sqrt(mp.pi) * (-1) ** k / mp.factorial(k) / (2 * k + 1) - (k == 0) for k in range(20)],
)


def two_parts(c: Any, width: int) -> list[Any]:
    """c as a constant term that is kept in two floats."""
    return [sum(mp.mpf(part) for part in pieces(c, [{32: 24, 64: 53}[width]], width))]


def tables(width: int) -> dict[str, Callable[[], tuple[list[float], float]]]:
    """Every table of polynomial coefficients in this package, by module and name."""
    single = width == 32

    def fit(f: Function, d32: int, d64: int, a: Any, b: Any, weight: Function, split: bool = False,
            bits: int = width) -> Callable[[], tuple[list[float], float]]:  # fmt: skip
        fixed = two_parts(f(mp.mpf(0)), width) if split else ()
        return lambda: rounded(f, d32 if single else d64, a, b, bits, weight, fixed)

    k = 3 if single else 4
    start, end = (mp.mpf(0.74), 10.2) if single else (mp.mpf(0.84), 27.3)
    q = _erfcx(k)
    turn, middle = mp.mpf(1.25 if single else 1.3), mp.mpf(2.5)
    lgamma = lambda t: mp.loggamma(2 + t).real / t if t else 1 - mp.euler  # noqa: E731
    digamma = lambda s: mp.digamma(s + 1.75) / (s + 1.75 - ROOT)  # noqa: E731
    inverse = {
        "middle": fit(lambda u: _inverse_erf(u + mp.mpf(2.5)), 9, 22, -2.5 * (1 - 1e-10), 2.5,
                      lambda u: 1 / _inverse_erf(u + mp.mpf(2.5)), True),
    }  # fmt: skip
    for name, shift, low, high in (
        [("tail", 3.0, 5, 17)] if single else [("tail", 3.0, 5, 14), ("far", 5.0, 14, 37)]
    ):
        g = lambda u, shift=shift: _inverse_erf((u + shift) ** 2)  # noqa: E731
        inverse[name] = fit(g, 11, 21, mp.sqrt(low) - shift, mp.sqrt(high) - shift,
                            lambda u, g=g: 1 / g(u), True)  # fmt: skip
    return {
        "exp.EXP_Q": fit(exp_q, 4, 9, -HALF_LN2, HALF_LN2, lambda r: r * r / mp.exp(r)),
        "exp.COSH": fit(cosh_c, 2, 4, 0, HALF_LN2**2, lambda z: z / (1 + z * cosh_c(z))),
        "exp.SINH": fit(sinh_s, 2, 4, 0, HALF_LN2**2, lambda z: z / (1 + z * sinh_s(z))),
        "log.CUBIC": fit(log_p, 7, 18, LOG_LOW, LOG_HIGH, lambda f: f**3 / mp.log1p(f)),
        "pow.LOG2": fit(log_q, 11, 11, LOG_LOW, LOG_HIGH, lambda f: 1 / log_q(f), bits=64),
        "pow.EXP2": fit(lambda r: 2**r, 6, 6, -0.5001, 0.5001, lambda r: 2**-r, bits=64),
        "pow.R": fit(pow_r, 6, 6, 0, SHORT_LN2, lambda z: z * z * mp.log(2) / 2),
        "trig.SIN": fit(sin_s, 2, 5, 0, QUARTER, lambda z: z / (1 + z * sin_s(z))),
        "trig.COS": fit(cos_c, 2, 5, 0, QUARTER,
                        lambda z: z * z / (1 - z / 2 + z * z * cos_c(z))),
        "arc.ATAN": fit(atan_a, 8, 19, 0, 1, lambda z: z / (1 + z * atan_a(z))),
        "arc.ASIN": fit(asin_s, 4, 11, 0, 0.2501, lambda z: z / (1 + z * asin_s(z))),
        "special.ERF_SMALL": fit(erf_p, 7, 13, 0, turn**2 * 1.001, lambda z: 1 / (1 + erf_p(z))),
        "special.ERF_LARGE": fit(lambda u: -erfcx(u + middle), 7, 18, turn - middle,
                                 (4.0 if single else 6.0) - middle,
                                 lambda u: mp.exp(-((u + middle) ** 2)) / mp.erf(u + middle)),
        "special.ERFC": fit(q, 8, 19, (start - k) / (start + k), (end - k) / (end + k),
                            lambda t: 1 / q(t), True),
        "gamma.LGAMMA": fit(lgamma, 8, 18, -0.5, 0.5, lambda t: 1 / lgamma(t), True),
        "gamma.STIRLING": fit(_stirling, 1, 5, 0, 1 / mp.mpf(7.5) ** 2, lambda u: mp.sqrt(u) / 7),
        "gamma.DIGAMMA": fit(digamma, 11, 25, -0.75, 0.75, lambda s: 1 / digamma(s)),
        "gamma.DIGAMMA_TAIL": fit(_digamma_tail, 2, 5, 0, 1 / mp.mpf(7.5) ** 2, lambda u: u / 2),
        **{f"erfinv.{name}": made for name, made in inverse.items()},
    }  # fmt: skip


if __name__ == "__main__":
    for bits in (32, 64):
        for name, made in tables(bits).items():
            if not sys.argv[1:] or name.startswith(sys.argv[1]):
                coefficients, error = made()
                print(f"{name} {bits}: error 2**{error}\n    {coefficients}", flush=True)
