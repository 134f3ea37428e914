"""Small squares of elements, a vector of squares at a time: Winograd's transforms.

A convolution with 3 × 3 elements at stride 1 makes each square of 2 × 2 outputs from 16 products of
sums over a square of 4 × 4 elements d, instead of from 36 (Lavin and Gray 2016, F(2×2, 3×3)):

    y = Aᵀ [ (G w Gᵀ) ∘ (Bᵀ d B) ] A

with the matrices below. Three functions are enough; each has a matrix M, and is M s Mᵀ of a vector
of squares s:

    cut      from rows of an image, with zeros beside it, to a vector for each place of a square
    join     from a vector for each place of a square to rows of an image
    lattice  from elements at any distance to vectors
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from jitgrad.codegen.functions import Codes, Function, is_literal, literal
from jitgrad.codegen.registers import WORD, Emit, Writer, lanes

Matrix = tuple[tuple[float, ...], ...]

MATRICES: dict[str, Matrix] = {
    "image": ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    "filter": ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    "output": ((1, 1, 1, 0), (0, 1, -1, -1)),
}
DTYPES = ("f32", "f64")


class Squares(Writer):
    """LLVM for vectors of squares."""

    def combined(self, factors: Sequence[float], vectors: Sequence[Any]) -> Any:
        """The sum of some vectors times ±1 or ±1/2."""
        total = None
        for factor, vector in zip(factors, vectors):
            if abs(factor) not in (0, 1):
                number = ir.Constant(self.vector, [abs(factor)] * self.lanes)
                vector = self.builder.fmul(vector, number)
            if factor and total is None:
                total = vector if factor > 0 else self.builder.fneg(vector)
            elif factor:
                both = self.builder.fadd if factor > 0 else self.builder.fsub
                total = both(total, vector)
        return total

    def sandwich(self, matrix: Matrix, square: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """M s Mᵀ."""
        left = [[self.combined(row, column) for column in zip(*square)] for row in matrix]
        return [[self.combined(row, found) for row in matrix] for found in left]

    def words(self, numbers: Sequence[int]) -> Any:
        return ir.Constant(ir.VectorType(WORD, self.lanes), list(numbers))

    def everywhere(self, word: Any) -> Any:
        """A vector of one word."""
        first = self.builder.insert_element(self.words([0] * self.lanes), word, self.index(0))
        lane = ir.Constant(ir.VectorType(self.index, self.lanes), None)
        return self.builder.shuffle_vector(first, first, lane)

    def mask(self, first: Any, limit: Any) -> Any:
        """Which of the elements from `first` on are in [0, limit)."""
        at = self.builder.add(self.everywhere(first), self.words(range(self.lanes)))
        return self.builder.icmp_unsigned("<", at, self.everywhere(limit))

    def addresses(self, pointer: Any, many: int, near: Any, far: Any) -> Any:
        """Of a vector's elements: `many` lie `near` each other, and the next as many `far` away."""
        at, span = self.everywhere(self.builder.ptrtoint(pointer, WORD)), range(self.lanes)
        for step, times in ((near, [k % many for k in span]), (far, [k // many for k in span])):
            size = self.everywhere(self.builder.mul(step, self.word(self.size)))
            at = self.builder.add(at, self.builder.mul(size, self.words(times)))
        return at

    def ahead(self, addresses: Any, offset: Any) -> Any:
        """Addresses so many elements further on."""
        size = self.builder.mul(offset, self.word(self.size))
        return self.builder.add(addresses, self.everywhere(size))

    def gather(self, addresses: Any) -> Any:
        """The elements at some addresses."""
        kind = ir.VectorType(self.element.as_pointer(), self.lanes)
        bit = ir.VectorType(ir.IntType(1), self.lanes)
        mask = ir.Constant(bit, [1] * self.lanes)
        places = self.builder.inttoptr(addresses, kind)
        given = places, self.index(self.size), mask, self.zero
        return self._masked("gather", self.vector, *given)

    def load_masked(self, pointer: Any, mask: Any) -> Any:
        """The elements in a mask, and 0 for the others, which are not touched."""
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        return self._masked("load", self.vector, place, self.index(self.size), mask, self.zero)

    def store_masked(self, value: Any, pointer: Any, mask: Any) -> None:
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        self._masked("store", ir.VoidType(), value, place, self.index(self.size), mask)

    def _masked(self, name: str, result: Any, *operands: Any) -> Any:
        many = f"v{self.lanes}"
        place = f"{many}p0" if name == "gather" else "p0"
        full = f"llvm.masked.{name}.{many}f{8 * self.size}.{place}"
        function = self.builder.module.globals.get(full)
        if function is None:
            kind = ir.FunctionType(result, [o.type for o in operands])
            function = ir.Function(self.builder.module, kind, full)
        return self.builder.call(function, operands)

    def picked(self, a: Any, b: Any, chosen: Sequence[int]) -> Any:
        """Some elements of two vectors, one behind the other."""
        mask = ir.Constant(ir.VectorType(self.index, self.lanes), list(chosen))
        return self.builder.shuffle_vector(a, b, mask)

    def store_all(self, made: Sequence[Sequence[Any]], out: Any, step: Any) -> None:
        """The vectors of a square, `step` apart."""
        for k, vector in enumerate(v for row in made for v in row):
            self.store(vector, self.at(out, self.builder.mul(step, self.word(k))))


def _cut(dtype: str, matrix: Matrix) -> Emit:
    """(x, x_at, row, column, high, wide, out, out_at, out_step): squares whose corners are two
    columns apart, from (row, column) of the image at x_at on; elements beside the image are 0.
    """

    def emit(builder: Any, args: Sequence[Any], codes: Codes) -> None:
        x, x_at, row, column, high, wide, out, out_at, out_step = args
        to = Squares(builder, dtype)
        square = []
        for k in range(len(matrix[0])):
            y = builder.add(row, to.word(k))
            inside = builder.icmp_unsigned("<", y, high)
            limit = builder.select(inside, wide, to.word(0))
            line = to.at(x, builder.add(x_at, builder.mul(y, wide)))
            found: list[Any] = []
            for first in range(0, len(matrix[0]), 2):
                near, far = (builder.add(column, to.word(first + half)) for half in (0, to.lanes))
                a, b = (to.load_masked(to.at(line, at), to.mask(at, limit)) for at in (near, far))
                found += [to.picked(a, b, range(k, 2 * to.lanes, 2)) for k in (0, 1)]
            square.append(found)
        to.store_all(to.sandwich(matrix, square), to.at(out, out_at), out_step)

    return emit


def _join(dtype: str, matrix: Matrix) -> Emit:
    """(x, x_at, x_step, out, out_at, row, column, high, wide): squares to (row, column) of the
    image at out_at, but what is beside it.
    """

    def emit(builder: Any, args: Sequence[Any], codes: Codes) -> None:
        x, x_at, x_step, out, out_at, row, column, high, wide = args
        to, size = Squares(builder, dtype), len(matrix[0])
        here = to.at(x, x_at)
        places = (to.at(here, builder.mul(x_step, to.word(k))) for k in range(size * size))
        found = [to.load(place) for place in places]
        square = [found[k : k + size] for k in range(0, size * size, size)]
        for k, (even, odd) in enumerate(to.sandwich(matrix, square)):
            y = builder.add(row, to.word(k))
            inside = builder.icmp_unsigned("<", y, high)
            limit = builder.select(inside, wide, to.word(0))
            line = to.at(out, builder.add(out_at, builder.mul(y, wide)))
            for half in (0, to.lanes):
                at = builder.add(column, to.word(half))
                chosen = [(half + i) // 2 + (i % 2) * to.lanes for i in range(to.lanes)]
                value = to.picked(even, odd, chosen)
                to.store_masked(value, to.at(line, at), to.mask(at, limit))

    return emit


def _lattice(dtype: str, matrix: Matrix) -> Emit:
    """(many, x, x_at, near, far, x_step, out, out_at, out_step): squares whose elements are
    `x_step` apart; `many` squares lie `near` each other, and the next as many are `far` away.
    """

    def emit(builder: Any, args: Sequence[Any], codes: Codes) -> None:
        many = literal(codes[0])
        _, x, x_at, near, far, x_step, out, out_at, out_step = args
        to, size = Squares(builder, dtype), len(matrix[0])
        first = to.addresses(to.at(x, x_at), many, near, far)
        places = (to.ahead(first, builder.mul(x_step, to.word(k))) for k in range(size * size))
        found = [to.gather(place) for place in places]
        square = [found[k : k + size] for k in range(0, size * size, size)]
        to.store_all(to.sandwich(matrix, square), to.at(out, out_at), out_step)

    return emit


def _all(dtype: str, made: Callable[[str, str, Matrix], Any]) -> dict[str, Any]:
    """Every function that is used, by name."""
    used = (("cut", "image"), ("join", "output"), ("lattice", "filter"))
    return {f"{form}_{name}_{dtype}": made(form, dtype, MATRICES[name]) for form, name in used}


EMITTED = {"cut": _cut, "join": _join, "lattice": _lattice}


@functools.cache
def functions() -> dict[str, Function]:
    """`cut_image_f32` and so on, by name."""
    return {name: f for dtype in DTYPES for name, f in _all(dtype, _function).items()}


def _function(form: str, dtype: str, matrix: Matrix) -> Function:
    emit, array = EMITTED[form](dtype, matrix), f"*{dtype}"
    operands = {
        "cut": (array, *["i64"] * 5, array, "i64", "i64"),
        "join": (array, "i64", "i64", array, *["i64"] * 5),
        "lattice": ("=", array, *["i64"] * 4, array, "i64", "i64"),
    }[form]
    literals = operands.count("=")

    def rule(codes: Codes) -> str | None:
        given = all(map(is_literal, codes[:literals]))
        return "" if given and codes[literals:] == operands[literals:] else None

    return Function(len(operands), rule, emit, literals=literals)


# --- Python -------------------------------------------------------------------------------------


def _plain(form: str, dtype: str, matrix: Matrix) -> Any:
    many = np.array(matrix)
    size, span = len(matrix[0]), range(lanes(dtype))

    def cut(x, x_at, row, column, high, wide, out, out_at, out_step):
        for lane in span:
            square = np.zeros((size, size))
            for y in range(row, row + size):
                for z in range(column + 2 * lane, column + 2 * lane + size):
                    if 0 <= y < high and 0 <= z < wide:
                        square[y - row, z - column - 2 * lane] = x[x_at + y * wide + z]
            spread(square, out, out_at + lane, out_step)

    def join(x, x_at, x_step, out, out_at, row, column, high, wide):
        for lane in span:
            places = x_at + lane + x_step * np.arange(size * size)
            square = many @ x[places].reshape(size, size) @ many.T
            for i, k in np.ndindex(square.shape):
                y, z = row + i, column + 2 * lane + k
                if y < high and z < wide:
                    out[out_at + y * wide + z] = square[i, k]

    def lattice(count, x, x_at, near, far, x_step, out, out_at, out_step):
        for lane in span:
            first = x_at + lane % count * near + lane // count * far
            places = first + x_step * np.arange(size * size)
            spread(x[places].reshape(size, size), out, out_at + lane, out_step)

    def spread(square, out, first, step):
        for k, value in enumerate((many @ square @ many.T).flat):
            out[first + k * step] = value

    return {"cut": cut, "join": join, "lattice": lattice}[form]


@functools.cache
def namespace_python() -> dict[str, Any]:
    """The same on flat arrays."""
    return {name: f for dtype in DTYPES for name, f in _all(dtype, _plain).items()}
