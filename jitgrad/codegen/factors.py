"""Launches of matrix factorizations and what follows from them: LAPACK, matrix by matrix.

Each matrix has working memory of its own, so that threads can share a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jitgrad.codegen.canonical import factor
from jitgrad.codegen.launch import Launch, Library, Pointer, Status
from jitgrad.codegen.structured.writer import Fault
from jitgrad.ir.node import Node
from jitgrad.ir.types import float32
from jitgrad.passes.plan import Step

BLOCK = 32  # columns that LAPACK treats together


def _sizes(node: Node) -> tuple[int, int, int]:
    """Matrices, their rows and columns."""
    shape = node.inputs[0].shape
    return math.prod(shape[:-2]), shape[-2], shape[-1]


def _stride(n: int) -> int:
    """The distance between columns, which LAPACK wants to be positive."""
    return max(1, n)


def _launch(
    step: Step,
    text: Callable[[str], str],
    dims: Sequence[int],
    routines: str,
    wrong: str = "",
    work: int = 0,
) -> list[Launch]:
    """Operands, results, working memory, the status if something can go wrong, the routines."""
    node = step.node
    assert node is not None
    count, rows, columns = _sizes(node)
    dtype = node.inputs[0].dtype
    letter = "s" if dtype is float32 else "d"
    pointers: tuple[Pointer, ...] = (step.reads[0], *step.reads[1:], *step.writes, *step.scratch)
    if wrong:
        pointers += (Status(),)
    pointers += tuple(Library(letter + name) for name in routines.split())
    faults = (Fault(wrong, None, columns),) if wrong else ()
    steps = count * max(work, rows * columns * min(rows, columns))
    return [Launch(text(dtype.code), pointers, tuple(dims), count, steps, faults=faults)]


def _real(node: Node, count: int) -> int:
    return max(1, count) * node.inputs[0].dtype.size


def _node(step: Step) -> Node:
    assert step.node is not None
    return step.node


# --- one rule for each op -------------------------------------------------------------------------


def cholesky(step: Step) -> list[Launch]:
    """In place in the result."""
    _, n, _ = _sizes(_node(step))
    return _launch(step, factor.cholesky, (n, _stride(n)), "potrf", "definite")


def solve(step: Step) -> list[Launch]:
    """By the factors with pivots."""
    node = _node(step)
    (_, n, _), k = _sizes(node), node.shape[-1]
    dims = (n, k, _stride(n), int(node.attrs["transpose"]))
    return _launch(step, factor.solve, dims, "getrf getrs", "singular", n * n * (n + k))


def _solve_scratch(node: Node) -> tuple[int, ...]:
    count, n, _ = _sizes(node)
    return _real(node, count * n * (n + node.shape[-1])), 4 * max(1, count * n)


def triangular_solve(step: Step) -> list[Launch]:
    """In place in the result: our right side is the transpose of BLAS's, and stands on the left."""
    node = _node(step)
    (_, n, _), k, at = _sizes(node), node.shape[-1], node.attrs
    letters = "UL"[not at["lower"]], "NT"[at["transpose"]], "NU"[at["unit"]]
    dims = (n, k, _stride(n), _stride(k), *map(ord, letters))
    return _launch(step, factor.triangular_solve, dims, "trsm", "singular", n * n * k)


def _one_scratch(node: Node) -> tuple[int, ...]:
    return (_real(node, 1),)


def _determinant(text: Callable[[str], str]) -> Callable[[Step], list[Launch]]:
    def rule(step: Step) -> list[Launch]:
        _, n, _ = _sizes(_node(step))
        return _launch(step, text, (n, _stride(n)), "getrf")

    return rule


def _factor_scratch(node: Node) -> tuple[int, ...]:
    count, n, _ = _sizes(node)
    return _real(node, count * n * n), 4 * max(1, count * n)


def lu(step: Step) -> list[Launch]:
    """Of a copy whose columns lie together."""
    _, rows, n = _sizes(_node(step))
    return _launch(step, factor.lu, (rows, n, min(rows, n), _stride(rows)), "getrf")


def _copy_scratch(node: Node) -> tuple[int, ...]:
    return (_real(node, node.inputs[0].type.size),)


def _qr_sizes(node: Node) -> tuple[int, ...]:
    """Rows, columns, columns of q, the stride of the working matrix, room for the routines."""
    _, rows, n = _sizes(node)
    c = node.type.items[0].shape[-1]  # type: ignore[union-attr]
    stride = _stride(max(n, c))
    return rows, n, c, stride, BLOCK * stride


def qr(step: Step) -> list[Launch]:
    """The transpose as a lower triangle times orthonormal rows."""
    return _launch(step, factor.qr, _qr_sizes(_node(step)), "gelqf orglq")


def _qr_scratch(node: Node) -> tuple[int, ...]:
    count = _sizes(node)[0]
    rows, n, _, stride, room = _qr_sizes(node)
    return (_real(node, count * (rows * stride + min(rows, n) + room)),)


def _eigh_sizes(node: Node) -> tuple[int, int]:
    """Room for numbers and for integers: what LAPACK asks for, and blocks."""
    n = _sizes(node)[1]
    return 1 + (6 + BLOCK) * n + 2 * n * n, 3 + 5 * n


def eigh(step: Step) -> list[Launch]:
    """By divide and conquer, of a copy."""
    _, n, _ = _sizes(_node(step))
    dims = (n, _stride(n), *_eigh_sizes(_node(step)))
    return _launch(step, factor.eigh, dims, "syevd", "converge", 9 * n**3)


def _eigh_scratch(node: Node) -> tuple[int, ...]:
    (count, n, _), (room, integers) = _sizes(node), _eigh_sizes(node)
    return _real(node, count * (n * n + room)), 4 * max(1, count * integers)


def _svd_room(node: Node) -> int:
    _, rows, n = _sizes(node)
    k = min(rows, n)
    return 4 * k * k + 7 * k + (1 + BLOCK) * (rows + n) + 1


def svd(step: Step) -> list[Launch]:
    """By divide and conquer, of a copy; the factors of the transpose are ours in place."""
    node = _node(step)
    _, rows, n = _sizes(node)
    left, _, right = node.type.items  # type: ignore[union-attr]
    p, q = left.shape[-1], right.shape[-2]
    letter = ord("A" if node.attrs["full"] else "S")
    dims = (rows, n, min(rows, n), _stride(n), letter, _stride(p), q, _svd_room(node))
    return _launch(step, factor.svd, dims, "gesdd", "converge", 20 * rows * n * min(rows, n))


def _svd_scratch(node: Node) -> tuple[int, ...]:
    count, rows, n = _sizes(node)
    integers = 32 * max(1, count * min(rows, n))
    return _real(node, count * (rows * n + _svd_room(node))), integers


def pinv(step: Step) -> list[Launch]:
    """The singular values turned round, and one product."""
    _, rows, n = _sizes(_node(step))
    k = min(rows, n)
    dims = (rows, n, k, _stride(n), _stride(rows), _stride(k), 0, _svd_room(_node(step)))
    return _launch(step, factor.pinv, dims, "gesdd gemm", "converge", 20 * rows * n * k)


def _pinv_scratch(node: Node) -> tuple[int, ...]:
    count, rows, n = _sizes(node)
    k = min(rows, n)
    size = rows * n + _svd_room(node) + k * (rows + n + 1)
    return _real(node, count * size), 32 * max(1, count * k)


def expm(step: Step) -> list[Launch]:
    """Products and one system."""
    _, n, _ = _sizes(_node(step))
    return _launch(step, factor.expm, (n, _stride(n)), "gemm getrf getrs", work=20 * n**3)


def _expm_scratch(node: Node) -> tuple[int, ...]:
    count, n, _ = _sizes(node)
    return _real(node, 6 * count * n * n), 4 * max(1, count * n)


RULES: dict[str, Callable[[Step], list[Launch]]] = {
    "cholesky": cholesky,
    "det": _determinant(factor.det),
    "eigh": eigh,
    "expm": expm,
    "lu": lu,
    "pinv": pinv,
    "qr": qr,
    "slogdet": _determinant(factor.slogdet),
    "solve": solve,
    "svd": svd,
    "triangular_solve": triangular_solve,
}
SCRATCH: dict[str, Callable[[Node], tuple[int, ...]]] = {
    "det": _factor_scratch,
    "eigh": _eigh_scratch,
    "expm": _expm_scratch,
    "lu": _copy_scratch,
    "pinv": _pinv_scratch,
    "qr": _qr_scratch,
    "slogdet": _factor_scratch,
    "solve": _solve_scratch,
    "svd": _svd_scratch,
    "triangular_solve": _one_scratch,
}
