"""Derivatives checked against differences, element by element."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.api.points import differentiable, title
from jitgrad.api.transforms import jvp, vjp
from jitgrad.errors import ArgumentError, JitgradError, fail
from jitgrad.frontend.dispatch import fill
from jitgrad.frontend.guards import is_cell
from jitgrad.ir.types import float64
from jitgrad.tensor import Tensor

Floats = list[Tensor]
Call = Callable[..., list[Tensor]]

MODES = {"fwd": "forward", "rev": "reverse"}


class GradientError(JitgradError, AssertionError):
    """A derivative that is not the one that differences give."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A Jacobian beside the one of differences, and the element at which they differ most.

    what       how it was computed: "order 2, forward over reverse".
    element    the element: of which output, with respect to which input.
    computed, numeric, allowed  there: the derivative, the difference quotient, how far they may be
               apart.
    wrong, count  how many elements are further apart than they may be, and how many there are.
    """

    what: str
    element: str
    computed: float
    numeric: float
    allowed: float
    wrong: int
    count: int

    def __str__(self) -> str:
        apart = abs(self.computed - self.numeric)
        return (
            f"{self.what}: {self.element} is {self.computed:.9g}, by differences"
            f" {self.numeric:.9g}: {apart:.2g} apart, {self.allowed:.2g} allowed"
            f" ({self.wrong} of {self.count} elements are wrong)"
        )


def check_grads(
    fn: Callable,
    *args: Any,
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    rtol: float | None = None,
    atol: float | None = None,
) -> list[Comparison]:
    """Compare the derivatives of `fn` at `args` with central differences of float64.

    fn     takes and returns Tensors, or nests of them. All floats among the arguments are varied,
           in float64; other arguments are constants. Of a Cell a copy in float64 is called.
    order  up to this order: derivatives of derivatives, in every combination of `modes`.
    modes  "fwd" and "rev": forward and reverse mode.
    rtol, atol  how far a derivative may be from the difference quotient, relative to it, and in
           multiples of the largest value of the function. Both are by default what differences of
           the output's dtype can tell.

    Returns one `Comparison` for each Jacobian. GradientError, which is an AssertionError, names the
    worst element if any is wrong. ValueError for another mode, order < 1, or nothing to vary.

    >>> import jitgrad as ms
    >>> from jitgrad import ops
    >>> len(ms.check_grads(lambda x: ops.sin(x) * x, Tensor([0.5, 1.5])))
    6
    """
    _check_options(order, modes)
    leaves, structure = tree.flatten(args)
    places = [i for i, x in enumerate(leaves) if _is_varied(x)]
    if not places:
        raise fail(ArgumentError, f"check_grads of {title(fn)} got no floats to vary")
    xs = [_double(leaves[i]) for i in places]
    fn = _in_double(fn)

    def call(*given: Tensor) -> list[Tensor]:
        filled = list(leaves)
        for i, x in zip(places, given, strict=True):
            filled[i] = x
        found = tree.flatten(fn(*tree.unflatten(structure, filled)))[0]
        return [y for y in found if isinstance(y, Tensor) and y.dtype.is_float]

    paths = tree.paths(structure)
    names = [f"args{paths[i]}" for i in places]
    random = np.random.default_rng(0)
    reports: list[Comparison] = []
    functions: list[tuple[str, Call]] = [("", call)]
    for k in range(1, order + 1):
        following: list[tuple[str, Call]] = []
        for inner, function in functions:
            slopes = numeric_jacobian(function, xs)
            for mode in modes:
                what = f"order {k}, {MODES[mode]}{inner}"
                found = (_by_columns if mode == "fwd" else _by_rows)(function, xs)
                reports.append(compare(what, found, slopes, names, rtol, atol))
                following.append((f" over {MODES[mode]}{inner}", _next(function, xs, mode, random)))
        functions = following
    bad = [r for r in reports if r.wrong]
    if bad:
        report = "\n".join([f"  {r}" for r in bad])
        raise fail(GradientError, f"the derivative of {title(fn)} is wrong\n{report}")
    return reports


def _check_options(order: int, modes: Sequence[str]) -> None:
    unknown = [m for m in modes if m not in MODES]
    if unknown or not modes:
        raise fail(
            ArgumentError, f"check_grads got modes={modes!r}", instead='"fwd", "rev" or both'
        )
    if order < 1:
        raise fail(ArgumentError, f"check_grads got order={order}", instead="1 or more")


def _is_varied(x: Any) -> bool:
    found = differentiable(x)
    return found is not None and found.dtype.is_float


def _double(x: Any) -> Tensor:
    found = differentiable(x)
    assert found is not None
    return Tensor(np.asarray(found.detach().asnumpy(), np.float64))  # type: ignore[attr-defined]


def _in_double(fn: Callable) -> Callable:
    if not is_cell(fn):
        return fn
    net = copy.deepcopy(fn)
    for parameter in net.get_parameters():
        if parameter.dtype.is_float:
            parameter.set_dtype(float64)
    return net


def _next(function: Call, xs: Floats, mode: str, random: np.random.Generator) -> Call:
    """A derivative of the function in one direction, to be differentiated in turn."""
    if mode == "fwd":
        vs = [Tensor(random.uniform(0.5, 1.5, x.shape)) for x in xs]
        return lambda *given: list(jvp(function, given, tuple(vs))[1])
    shapes = [(y.shape, y.dtype) for y in function(*xs)]
    us = [Tensor(np.asarray(random.uniform(0.5, 1.5, s), d.numpy)) for s, d in shapes]
    return lambda *given: list(vjp(function, *given)[1](us))


def _by_rows(function: Call, xs: Floats) -> list[list[np.ndarray]]:
    ys, pull = vjp(function, *xs)
    found: list[list[np.ndarray]] = []
    for k, y in enumerate(ys):
        rows = [np.zeros((y.size, x.size)) for x in xs]
        for i in range(y.size):
            seeds = [_unit(z, i) if j == k else fill(0, z._type) for j, z in enumerate(ys)]
            for row, g in zip(rows, pull(seeds), strict=True):
                row[i] = g.asnumpy().ravel()
        found.append(rows)
    return found


def _by_columns(function: Call, xs: Floats) -> list[list[np.ndarray]]:
    sizes = [y.size for y in function(*xs)]
    found = [[np.zeros((size, x.size)) for x in xs] for size in sizes]
    for j, x in enumerate(xs):
        for i in range(x.size):
            vs = [_unit(z, i) if k == j else fill(0, z._type) for k, z in enumerate(xs)]
            for rows, t in zip(found, jvp(function, tuple(xs), tuple(vs))[1], strict=True):
                rows[j][:, i] = t.asnumpy().ravel()
    return found


def _unit(x: Tensor, i: int) -> Tensor:
    values = np.zeros(x.size, x.dtype.numpy)
    values[i] = 1
    return Tensor(values.reshape(x.shape))


@dataclass(frozen=True, slots=True)
class Slopes:
    """Difference quotients of one output: for each input a matrix, how uncertain its elements are
    by rounding, and the shapes of both.
    """

    matrices: list[np.ndarray]
    rounding: list[np.ndarray]
    shape: tuple[int, ...]
    shapes: list[tuple[int, ...]]
    digits: float


def numeric_jacobian(function: Call, xs: Floats) -> list[Slopes]:
    """The Jacobian by central differences of fourth order."""
    ys = [y.asnumpy() for y in function(*xs)]
    digits = [float(np.finfo(y.dtype).eps) for y in ys]
    step = max(digits, default=2e-16) ** 0.2  # where rounding and truncation balance
    found = [
        Slopes(
            [np.zeros((y.size, x.size)) for x in xs],
            [np.zeros((y.size, x.size)) for x in xs],
            y.shape,
            [x.shape for x in xs],
            eps,
        )
        for y, eps in zip(ys, digits)
    ]
    for j, x in enumerate(xs):
        values = x.asnumpy()
        for i in range(x.size):
            h = step * max(abs(float(values.flat[i])), 1e-2)
            samples = []
            for k in (-2, -1, 1, 2):
                moved = values.copy()
                moved.flat[i] += k * h
                given = [Tensor(moved) if z is x else z for z in xs]
                samples.append([np.asarray(y.asnumpy(), float).ravel() for y in function(*given)])
            for slopes, (a, b, c, d) in zip(found, zip(*samples), strict=True):
                slopes.matrices[j][:, i] = (8 * (c - b) - (d - a)) / (12 * h)
                slopes.rounding[j][:, i] = slopes.digits * (abs(b) + abs(c) + 1e-3) / h
    return found


def compare(
    what: str,
    computed: list[list[np.ndarray]],
    slopes: Sequence[Slopes],
    names: Sequence[str],
    rtol: float | None,
    atol: float | None,
) -> Comparison:
    """One Jacobian beside another: its worst element."""
    worst: tuple[float, Comparison] | None = None
    wrong = count = 0
    for k, (rows, slope) in enumerate(zip(computed, slopes, strict=True)):
        relative = 100 * slope.digits**0.6 if rtol is None else rtol
        for j, (a, n) in enumerate(zip(rows, slope.matrices, strict=True)):
            if not a.size:
                continue
            least = 100 * slope.rounding[j] if atol is None else np.full(a.shape, atol)
            allowed = least + relative * np.abs(n)
            same = (a == n) | (np.isnan(a) & np.isnan(n))
            apart = np.where(same, 0.0, np.abs(a - n))
            ratio = np.where(np.isnan(apart), math.inf, apart / np.maximum(allowed, 1e-300))
            wrong, count = wrong + int((ratio > 1).sum()), count + a.size
            at = int(np.argmax(ratio))
            if worst is None or ratio.flat[at] > worst[0]:
                row, column = divmod(at, a.shape[1])
                element = (
                    f"d output[{k}]{_index(row, slope.shape)} /"
                    f" d {names[j]}{_index(column, slope.shapes[j])}"
                )
                values = [float(m.flat[at]) for m in (a, n, allowed)]
                worst = float(ratio.flat[at]), Comparison(what, element, *values, 0, 0)
    if worst is None:
        return Comparison(what, "nothing", 0.0, 0.0, 0.0, 0, 0)
    w = worst[1]
    return Comparison(what, w.element, w.computed, w.numeric, w.allowed, wrong, count)


def _index(flat: int, shape: tuple[int, ...]) -> str:
    return "[" + ", ".join([str(i) for i in np.unravel_index(flat, shape)]) + "]" if shape else ""


__all__ = ["Comparison", "GradientError", "check_grads", "compare", "numeric_jacobian"]
