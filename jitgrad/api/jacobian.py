"""`jacrev` and `jacfwd`: whole Jacobians, as one batched program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import tree
from jitgrad.api.bygraph import ByGraph
from jitgrad.api.grad import checked_positions, ones_seed, replaced
from jitgrad.api.points import Point, point, title
from jitgrad.api.store import artefacts
from jitgrad.api.transforms import with_aux
from jitgrad.errors import DTypeError, fail
from jitgrad.frontend import dispatch
from jitgrad.frontend.control import converted
from jitgrad.frontend.linear import Linear, linearize
from jitgrad.frontend.vectorize import vectorize
from jitgrad.ir.types import TensorType, int64
from jitgrad.primitives.elementwise import equal
from jitgrad.primitives.shape import cast, iota, reshape, transpose
from jitgrad.tensor import Tensor


def jacrev(fn: Callable, grad_position: Any = 0, has_aux: bool = False) -> Callable:
    """The function that returns the Jacobian of `fn`, computed row by row in reverse mode.

    For an output of shape `out` and an argument of shape `in` it is of shape ``(*out, *in)``.
    Several outputs give a tuple of Jacobians, a tuple of positions a tuple inside of it, and a nest
    at a position a nest. With `has_aux` only the first output is differentiated, and
    ``(jacobian, aux)`` returned.

    >>> import jitgrad.ops
    >>> from jitgrad.tensor import Tensor
    >>> print(jacrev(lambda x: x * x)(Tensor([1.0, 2.0])))
    [[2. 0.]
     [0. 4.]]
    """
    return _jacobian(fn, grad_position, has_aux, True)


def jacfwd(fn: Callable, grad_position: Any = 0, has_aux: bool = False) -> Callable:
    """The function that returns the Jacobian of `fn`, computed column by column in forward mode.

    Arguments and results are those of `jacrev`; better where outputs outnumber inputs. Where there
    are at least twice as many inputs as outputs, rows take so much less that they are computed
    instead, in reverse mode.

    >>> ms.jacfwd(lambda x: x * x)(Tensor([1.0, 3.0])).tolist()
    [[2.0, 0.0], [0.0, 6.0]]
    """
    return _jacobian(fn, grad_position, has_aux, False)


def _jacobian(fn: Callable, position: Any, has_aux: bool, reverse: bool) -> Callable:
    if not callable(fn):
        raise fail(DTypeError, f"a Jacobian of a {type(fn).__name__} was asked for")
    positions = checked_positions(position)
    store = artefacts(fn)
    key = "jacobian", position, has_aux, reverse
    if key not in store:
        store[key] = ByGraph(Jacobian(fn, positions, isinstance(position, int), has_aux, reverse))
    return store[key]


class Jacobian:
    """The computation of `jacrev` and `jacfwd`; runs in a trace."""

    def __init__(
        self, fn: Callable, positions: tuple[int, ...], alone: bool, has_aux: bool, reverse: bool
    ):
        self.__wrapped__, self.positions, self.alone = fn, positions, alone
        self.has_aux, self.reverse = has_aux, reverse
        self.__name__ = f"{'jacrev' if reverse else 'jacfwd'}_of_{title(fn)}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        fn = self.__wrapped__
        points = [p for i in self.positions if (p := point(fn, i, args, kwargs))]
        xs = [x for p in points for x in p.leaves]

        def call(stand_ins: list[Tensor]) -> Any:
            given = iter(stand_ins)
            groups = [[next(given) for _ in p.leaves] for p in points]
            new_args, new_kwargs = replaced(points, groups, args, kwargs)
            return converted(fn)(*new_args, **new_kwargs)

        out, linear = linearize(call, xs)
        aux: tuple = ()
        if self.has_aux:
            out, aux = with_aux(out)
        ys, structure = tree.flatten(out)
        if not ys or not all(isinstance(y, Tensor) for y in ys):
            odd = next((y for y in ys if not isinstance(y, Tensor)), out)
            raise fail(
                DTypeError,
                f"{title(fn)} returned {odd!r}, which has no Jacobian",
                instead="return Tensors to differentiate, and what else there is with has_aux",
            )
        by_rows = self.reverse or 2 * sum(y.size for y in ys) <= sum(x.size for x in xs)
        rows = self.by_rows(linear, xs, ys) if by_rows else self.by_columns(linear, xs, ys)
        parts = [self.nested(points, row) for row in rows]
        result = tree.unflatten(structure, parts)
        return (result, aux[0] if len(aux) == 1 else aux) if self.has_aux else result

    def nested(self, points: Sequence[Point], row: Sequence[Tensor]) -> Any:
        """The derivatives of one output, nested as the arguments are."""
        given = iter(row)
        parts = tuple([p.rebuilt([next(given) for _ in p.leaves]) for p in points])
        return parts[0] if self.alone else parts

    def by_rows(self, linear: Linear, xs: list, ys: list) -> list[list[Tensor]]:
        rows = []
        for k, y in enumerate(ys):
            if ones_seed(y, False) is None:
                rows.append([_zeros((*y.shape, *x.shape), x) for x in xs])
                continue

            def pull(seeds: list[Tensor], k: int = k) -> tuple:
                given: list[Tensor | None] = [None] * len(linear.outputs)
                given[k] = seeds[0]
                return tuple(linear.pull(given)[: len(xs)])

            found, _ = vectorize(pull, [basis(y._type)], y.size)
            rows.append(
                [
                    dispatch.apply(reshape, g, shape=(*y.shape, *x.shape))
                    for g, x in zip(found, xs, strict=True)
                ]
            )
        return rows

    def by_columns(self, linear: Linear, xs: list, ys: list) -> list[list[Tensor]]:
        rows: list[list[Tensor]] = [[] for _ in ys]
        for j, x in enumerate(xs):

            def push(seeds: list[Tensor], j: int = j) -> tuple:
                given: list[Tensor | None] = [None] * len(xs)
                given[j] = seeds[0]
                return tuple(linear.push(given)[: len(ys)])

            found, _ = vectorize(push, [basis(x._type)], x.size)
            for row, t, y in zip(rows, found, ys, strict=True):
                last = dispatch.apply(transpose, t, perm=(*range(1, t.ndim), 0))
                row.append(dispatch.apply(reshape, last, shape=(*y.shape, *x.shape)))
        return rows


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return dispatch.fill(0, TensorType(like.dtype, shape))


def basis(type: TensorType) -> Tensor:
    """All unit vectors of a type, along a new leading axis."""
    n = math.prod(type.shape)
    rows, columns = (dispatch.apply(iota, shape=(n, n), axis=axis, dtype=int64) for axis in (0, 1))
    eye = dispatch.apply(cast, dispatch.apply(equal, rows, columns), dtype=type.dtype)
    return dispatch.apply(reshape, eye, shape=(n, *type.shape))
