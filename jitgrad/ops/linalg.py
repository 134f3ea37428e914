"""Products of vectors, matrices and batches of them, and the diagonals of matrices.

Products do not promote dtypes: operands of different dtypes are a DTypeError (a TypeError).
"""

from __future__ import annotations

import builtins
import itertools
import math
from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.frontend.composed import composed
from jitgrad.ir.types import bool_
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.complex_numbers import conj
from jitgrad.ops.indexing import getitem, scattered, updated
from jitgrad.ops.joining import concat
from jitgrad.ops.promote import (
    apply,
    axis_of,
    describe,
    expand,
    fill,
    spellings,
    tensor,
)
from jitgrad.ops.shaping import permuted, reshaped, sliced
from jitgrad.ops.views import viewing
from jitgrad.primitives import linalg as primitive
from jitgrad.primitives.declare import NUMBER
from jitgrad.tensor import Tensor


def factors(name: str, *operands: Any) -> list[Tensor]:
    """The operands of a product; DTypeError unless they have one dtype."""
    found = [tensor(name, x, NUMBER) for x in operands]
    if builtins.any(x.dtype is not found[0].dtype for x in found):
        raise fail(
            DTypeError,
            f"{name} got {describe(found)}",
            why="products do not promote dtypes",
            instead="cast one of them, as in x.astype(y.dtype)",
        )
    return found


def _bad(name: str, a: Tensor, b: Tensor, why: str, instead: str = "") -> Exception:
    return fail(ShapeError, f"{name} got {describe((a, b))}", why=why, instead=instead)


# --- products -----------------------------------------------------------------------------------


@composed
def matmul(input, other):
    """Matrix product over the last two axes; the axes before are broadcast as a batch.

    A vector on the left is a row, on the right a column, and its axis disappears.

    Args:
        input: Tensor [..., n, k] or [k].
        other: Tensor [..., k, m] or [k], of the same dtype.

    >>> from jitgrad import Tensor, ops
    >>> ops.matmul(Tensor([[1.0, 2.0]]), Tensor([3.0, 4.0])).tolist()
    [11.0]
    """
    return product("matmul", input, other)


def product(name: str, input: Any, other: Any) -> Tensor:
    """`matmul` under the name of the function that was called."""
    a, b = factors(name, input, other)
    if not a.ndim or not b.ndim:
        raise _bad(name, a, b, "a scalar is no matrix", "x * y")
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        why = f"the last axis of the first has {a.shape[-1]} elements, the axis it meets {inner}"
        fits = b.ndim > 1 and b.shape[-1] == a.shape[-1]
        raise _bad(name, a, b, why, "x @ y.swapaxes(-1, -2)" if fits else "")
    row, column = a.ndim == 1, b.ndim == 1
    if row:
        a = reshaped(name, a, (1, *a.shape))
    if column:
        b = reshaped(name, b, (*b.shape, 1))
    out = _batched(name, a, b)
    shape = out.shape[:-2] + (() if row else out.shape[-2:-1]) + (() if column else out.shape[-1:])
    return reshaped(name, out, shape)


def _batched(name: str, a: Tensor, b: Tensor) -> Tensor:
    """The product of two Tensors of at least two axes whose inner extents agree."""
    if a.ndim == b.ndim == 2:
        return apply(primitive.matmul, a, b)
    if b.ndim == 2 and a.ndim > 2:  # one large product instead of many
        rows = reshaped(name, a, (math.prod(a.shape[:-1]), a.shape[-1]))
        return reshaped(name, apply(primitive.matmul, rows, b), (*a.shape[:-1], b.shape[-1]))
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise _bad(name, a, b, "the axes before the last two do not broadcast") from None
    a, b = expand(a, (*lead, *a.shape[-2:])), expand(b, (*lead, *b.shape[-2:]))
    return apply(primitive.matmul, a, b)


def _ranked(name: str, a: Tensor, b: Tensor, ranks: tuple[int, int]) -> None:
    if (a.ndim, b.ndim) != ranks:
        raise _bad(
            name,
            a,
            b,
            f"it takes Tensors of {ranks[0]} and {ranks[1]} dimensions",
            "ops.matmul(x, y), which takes all",
        )


def mm(input, mat2):
    """The product of two matrices.

    >>> ops.mm(Tensor([[1, 2]]), Tensor([[3], [4]])).tolist()
    [[11]]
    """
    a, b = factors("mm", input, mat2)
    _ranked("mm", a, b, (2, 2))
    return product("mm", a, b)


def mv(mat, vec):
    """The product of a matrix and a vector.

    >>> ops.mv(Tensor([[1, 2], [0, 1]]), Tensor([3, 4])).tolist()
    [11, 4]
    """
    a, b = factors("mv", mat, vec)
    _ranked("mv", a, b, (2, 1))
    return product("mv", a, b)


def bmm(input_x, mat2):
    """The products of two batches of matrices: [..., n, k] and [..., k, m].

    >>> ops.bmm(ops.ones((2, 1, 3)), ops.ones((2, 3, 1))).tolist()
    [[[3.0]], [[3.0]]]
    """
    a, b = factors("bmm", input_x, mat2)
    if a.ndim < 3 or a.ndim != b.ndim or a.shape[:-2] != b.shape[:-2]:
        raise _bad("bmm", a, b, "both are batches of matrices, of one size", "ops.matmul(x, y)")
    return product("bmm", a, b)


def dot(input, other):
    """The sum of products over the last axis of the first and the second-last of the second.

    >>> ops.dot(Tensor([1, 2]), Tensor([3, 4])).item()
    11
    """
    a, b = factors("dot", input, other)
    if not a.ndim or not b.ndim:
        return e.mul(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (builtins.max(b.ndim - 2, 0),)))


def inner(input, other):
    """The sum of products over the last axes of both.

    >>> ops.inner(Tensor([1, 2]), Tensor([[3, 4], [5, 6]])).tolist()
    [11, 17]
    """
    a, b = factors("inner", input, other)
    return e.mul(a, b) if not a.ndim or not b.ndim else tensordot(a, b, ((-1,), (-1,)))


def vecdot(x, y, *, axis=-1):
    """The sum of products along an axis, the others broadcast; of complex numbers, x conjugated.

    >>> ops.vecdot(Tensor([[1, 2], [3, 4]]), Tensor([1, 1])).tolist()
    [3, 7]
    """
    a, b = factors("vecdot", x, y)
    return r.sum(e.mul(conj(a), b), axis)


def outer(input, vec2):
    """All products of an element of one vector and one of another: [n, m].

    >>> ops.outer(Tensor([1, 2]), Tensor([3, 4])).tolist()
    [[3, 4], [6, 8]]
    """
    a, b = factors("outer", input, vec2)
    _ranked("outer", a, b, (1, 1))
    return e.mul(reshaped("outer", a, (a.shape[0], 1)), b)


def tensordot(x1, x2, axes=2):
    """The sum of products over pairs of axes: the last `axes` with the first, or two lists.

    >>> from jitgrad import Tensor, ops
    >>> ops.tensor_dot(Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]]), ((1,), (1,))).tolist()
    [[11.0]]
    """
    a, b = factors("tensor_dot", x1, x2)
    if isinstance(axes, int):
        axes = (tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes)))
    pair = [(v,) if isinstance(v, int) else tuple(v) for v in axes]
    left = [axis_of("tensor_dot", v, a.ndim) for v in pair[0]]
    right = [axis_of("tensor_dot", v, b.ndim) for v in pair[1]]
    if [a.shape[v] for v in left] != [b.shape[v] for v in right]:
        raise _bad("tensor_dot", a, b, f"axes {left} and {right} have different extents")
    kept = [v for v in range(a.ndim) if v not in left], [v for v in range(b.ndim) if v not in right]
    count = math.prod(a.shape[v] for v in left)
    shapes = [a.shape[v] for v in kept[0]], [b.shape[v] for v in kept[1]]
    rows = reshaped("tensor_dot", permuted("tensor_dot", a, [*kept[0], *left]),
                    (math.prod(shapes[0]), count))  # fmt: skip
    columns = reshaped("tensor_dot", permuted("tensor_dot", b, [*right, *kept[1]]),
                       (count, math.prod(shapes[1])))  # fmt: skip
    out = apply(primitive.matmul, rows, columns)
    return reshaped("tensor_dot", out, (*shapes[0], *shapes[1]))


def kron(input, other):
    """The Kronecker product: every element of one times the whole of the other.

    >>> ops.kron(Tensor([1, 2]), Tensor([1, 10])).tolist()
    [1, 10, 2, 20]
    """
    a, b = tensor("kron", input), tensor("kron", other)
    ndim = builtins.max(a.ndim, b.ndim)
    a, b = (reshaped("kron", x, (1,) * (ndim - x.ndim) + x.shape) for x in (a, b))
    wide = reshaped("kron", a, tuple(n for extent in a.shape for n in (extent, 1)))
    other = reshaped("kron", b, tuple(n for extent in b.shape for n in (1, extent)))
    return reshaped("kron", e.mul(wide, other), tuple(m * n for m, n in zip(a.shape, b.shape)))


@spellings
def cross(input, other, dim=None):
    """The cross product along an axis of extent 3; None takes the first such axis.

    >>> ops.cross(Tensor([1, 0, 0]), Tensor([0, 1, 0])).tolist()
    [0, 0, 1]
    """
    a, b = tensor("cross", input), tensor("cross", other)
    shape = np.broadcast_shapes(a.shape, b.shape)
    if dim is None:
        dim = next((axis for axis, extent in enumerate(shape) if extent == 3), -1)
    a, b = expand(a, shape), expand(b, shape)
    axis = axis_of("cross", dim, len(shape))
    if not shape or shape[axis] != 3:
        raise _bad("cross", a, b, "it takes an axis of extent 3")
    u, v = ([sliced(x, axis, i, i + 1) for i in range(3)] for x in (a, b))
    parts = [
        e.sub(e.mul(u[(i + 1) % 3], v[(i + 2) % 3]), e.mul(u[(i + 2) % 3], v[(i + 1) % 3]))
        for i in range(3)
    ]
    return concat(parts, axis)


# --- sums of products ---------------------------------------------------------------------------


def _added(name: str, input, beta, product, alpha) -> Tensor:
    """beta * input + alpha * product; an input times 0 is left out, with its nans."""
    product = product if _is(alpha, 1) else e.mul(product, alpha)
    if _is(beta, 0):
        return product
    input = tensor(name, input)
    return e.add(input if _is(beta, 1) else e.mul(input, beta), product)


def _is(value: Any, number: int) -> bool:
    return not isinstance(value, Tensor) and value == number


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta * input + alpha * (mat1 @ mat2).

    >>> ops.addmm(ops.ones((1, 1)), Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]]),
    ...     beta=10).tolist()
    [[21.0]]
    """
    return _added("addmm", input, beta, mm(mat1, mat2), alpha)


def addmv(input, mat, vec, *, beta=1, alpha=1):
    """beta * input + alpha * (mat @ vec).

    >>> ops.addmv(Tensor([1.0]), Tensor([[1.0, 2.0]]), Tensor([3.0, 4.0])).tolist()
    [12.0]
    """
    return _added("addmv", input, beta, mv(mat, vec), alpha)


def addr(x, vec1, vec2, *, beta=1, alpha=1):
    """beta * x + alpha * outer(vec1, vec2).

    >>> ops.addr(ops.ones((2, 2)), Tensor([1.0, 2.0]), Tensor([3.0, 4.0])).tolist()
    [[4.0, 5.0], [7.0, 9.0]]
    """
    return _added("addr", x, beta, outer(vec1, vec2), alpha)


def baddbmm(input, batch1, batch2, beta=1, alpha=1):
    """beta * input + alpha * (batch1 @ batch2), batch by batch.

    >>> ops.baddbmm(ops.ones((2, 1, 1)), ops.ones((2, 1, 3)), ops.ones((2, 3, 1))).tolist()
    [[[4.0]], [[4.0]]]
    """
    return _added("baddbmm", input, beta, bmm(batch1, batch2), alpha)


def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta * input + alpha * the sum over the batch of batch1 @ batch2.

    >>> ops.addbmm(ops.ones((1, 1)), ops.ones((2, 1, 3)), ops.ones((2, 3, 1))).tolist()
    [[7.0]]
    """
    return _added("addbmm", input, beta, r.sum(bmm(batch1, batch2), 0), alpha)


# --- diagonals ----------------------------------------------------------------------------------


def diagonal_places(rows: int, columns: int, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of a diagonal's elements."""
    first = np.arange(builtins.max(builtins.min(rows + builtins.min(offset, 0),
                                                columns - builtins.max(offset, 0)), 0))  # fmt: skip
    return first - builtins.min(offset, 0), first + builtins.max(offset, 0)


def _diagonal_back(view, base, offset=0, dim1=0, dim2=1):
    order, places = _diagonal(base, offset, dim1, dim2)
    whole = updated(permuted("diagonal", base, order), places, view)
    return permuted("diagonal", whole, sorted(range(base.ndim), key=order.__getitem__))


@spellings
@viewing(_diagonal_back)
def diagonal(input, offset=0, dim1=0, dim2=1):
    """A diagonal of the matrices in two axes, which become the last axis of the result.

    >>> ops.diagonal(Tensor([[1, 2], [3, 4]])).tolist()
    [1, 4]
    """
    x = tensor("diagonal", input)
    order, places = _diagonal(x, offset, dim1, dim2)
    return getitem(permuted("diagonal", x, order), places)


def _diagonal(x: Tensor, offset: int, dim1: int, dim2: int) -> tuple[list[int], tuple]:
    """The order of axes that puts the matrices last, and the key of their diagonals."""
    a, b = (axis_of("diagonal", d, x.ndim) for d in (dim1, dim2))
    if x.ndim < 2 or a == b:
        raise fail(ShapeError, f"diagonal of {x._type}", why="it takes two different axes")
    order = [*(v for v in range(x.ndim) if v not in (a, b)), a, b]
    return order, (..., *diagonal_places(x.shape[a], x.shape[b], offset))


def diag(input):
    """The elements as the diagonal of a Tensor with every axis twice: out[i, j, i, j] = x[i, j].

    `diagonal` takes the diagonal of a matrix.

    >>> ops.diag(Tensor([1, 2])).tolist()
    [[1, 0], [0, 2]]
    """
    x = tensor("diag", input)
    if x.ndim == 0:
        raise fail(ShapeError, f"diag of {x._type}", why="it takes a Tensor with axes")
    return reshaped("diag", diagflat(x), x.shape * 2)


def diag_part(input):
    """The inverse of `diag`: out[i, j] = x[i, j, i, j].

    >>> ops.DiagPart()(Tensor([[1, 2], [3, 4]])).tolist()
    [1, 4]
    """
    x = tensor("DiagPart", input)
    half = x.shape[: x.ndim // 2]
    if x.ndim == 0 or x.shape != half * 2:
        raise fail(ShapeError, f"DiagPart of {x._type}", why="its axes are not those of `diag`")
    count = math.prod(half)
    return reshaped("DiagPart", diagonal(reshaped("DiagPart", x, (count, count))), half)


def diagflat(input, offset=0):
    """The elements of the input as a diagonal of a matrix.

    >>> ops.diagflat(Tensor([[1, 2]]), 1).tolist()
    [[0, 1, 0], [0, 0, 2], [0, 0, 0]]
    """
    x = tensor("diagflat", input)
    return diag_embed(reshaped("diagflat", x, (x._type.size,)), offset)


def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """The last axis as a diagonal of matrices in two axes of the result.

    >>> ops.diag_embed(Tensor([[1, 2], [3, 4]])).tolist()
    [[[1, 0], [0, 2]], [[3, 0], [0, 4]]]
    """
    x = tensor("diag_embed", input)
    extent = x.shape[-1] + builtins.abs(offset)
    base = fill(
        0 if x.dtype is not bool_ else False,
        x._type.with_shape((*x.shape, extent)[:-2] + (extent, extent)),
    )
    out = scattered(base, (..., *diagonal_places(extent, extent, offset)), x, "set")
    a, b = (axis_of("diag_embed", d, out.ndim) for d in (dim1, dim2))
    order = list(range(out.ndim - 2))
    for axis, source in sorted(((a, out.ndim - 2), (b, out.ndim - 1))):
        order.insert(axis, source)
    return permuted("diag_embed", out, order)


def trace(input):
    """The sum of the diagonal of a matrix, in its dtype.

    >>> ops.trace(Tensor([[1, 2], [3, 4]])).item()
    5
    """
    x = tensor("trace", input)
    if x.ndim != 2:
        raise fail(ShapeError, f"trace of {x._type}", why="it takes a matrix")
    return r.reduce_sum(diagonal(x))


def combinations(input, r=2, with_replacement=False):
    """All combinations of r elements of a vector, as rows.

    >>> ops.combinations(Tensor([1, 2, 3]), 2).tolist()
    [[1, 2], [1, 3], [2, 3]]
    """
    x = tensor("combinations", input)
    pick = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(pick(range(x.shape[0]), r)), np.int64).reshape(-1, r)
    return getitem(x, rows)


__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "combinations", "cross", "diag",
    "diag_embed", "diagflat", "diagonal", "diagonal_places", "dot", "factors", "inner", "kron",
    "matmul", "mm", "mv", "outer", "product", "tensordot", "trace", "vecdot",
]  # fmt: skip
