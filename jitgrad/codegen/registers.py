"""Blocks of sums that stay in vector registers: what products and convolutions spend their time in.

Two shapes of block are enough. In both, one operand is read as vectors of neighbouring elements:

    taps    sums[b, j] = sum over c, t of  w[b, c, t] * x[c, j + shift[t]]
            a vector holds sums of neighbouring j; w's elements are broadcast
    pairs   sums[b, t] += sum over i, j of  y[b, i, j] * x[i, j + shift[t]]
            a vector holds parts of one sum, which are added up at the end

`b` runs over the B rows of a block, j over V vectors of a block of `taps`, t over the T columns of
a block of `pairs`; B, V and T are numbers in the kernel's text, everything else is in its dims.

A matrix whose rows run the other way is turned on its way into a packed one, square by square:

    turn    out[j, i] = x[i, j]   for as many i and j as a vector has elements
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from jitgrad.codegen.functions import Codes, Function, fixed, is_literal, literal

WORD = ir.IntType(64)
VECTOR = 64  # bytes of the longest vectors that any machine has; rows of elements are padded to it
DTYPES = ("f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")


def lanes(dtype: str) -> int:
    """Elements of a vector. It is the same on every machine: results have the same shape there."""
    return VECTOR // (int(dtype[1:]) // 8)


# --- LLVM ---------------------------------------------------------------------------------------


class Writer:
    """LLVM for vectors of one dtype."""

    def __init__(self, builder: ir.IRBuilder, dtype: str):
        self.builder: Any = builder
        self.is_float = dtype[0] == "f"
        bits = int(dtype[1:])
        floats = {32: ir.FloatType(), 64: ir.DoubleType()}
        self.element = floats[bits] if self.is_float else ir.IntType(bits)
        self.size, self.lanes = bits // 8, lanes(dtype)
        self.index = ir.IntType(32)
        self.vector = ir.VectorType(self.element, self.lanes)
        self.zero = ir.Constant(self.vector, None)

    def word(self, number: int) -> Any:
        return WORD(number)

    def at(self, pointer: Any, *offsets: Any) -> Any:
        """The address of an element, from offsets that are added up."""
        for offset in offsets:
            pointer = self.builder.gep(pointer, [offset], source_etype=self.element)
        return pointer

    def load(self, pointer: Any, whole: bool = True) -> Any:
        kind = self.vector if whole else self.element
        return self.builder.load(pointer, typ=kind, align=self.size)

    def store(self, value: Any, pointer: Any) -> None:
        place = self.builder.bitcast(pointer, value.type.as_pointer())
        self.builder.store(value, place, align=self.size)

    def broadcast(self, element: Any) -> Any:
        first = self.builder.insert_element(self.zero, element, ir.Constant(self.index, 0))
        mask = ir.Constant(ir.VectorType(self.index, self.lanes), None)
        return self.builder.shuffle_vector(first, self.zero, mask)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        if not self.is_float:
            return self.builder.add(self.builder.mul(a, b), c)
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.size}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        function = self.builder.module.globals.get(name)
        if function is None:
            function = ir.Function(self.builder.module, kind, name)
        return self.builder.call(function, [a, b, c])

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b) if self.is_float else self.builder.add(a, b)

    def half_sums(self, a: Any, b: Any) -> Any:
        """Sums of neighbours of a, then of b: as many as they have elements."""
        size = a.type.count
        kind = ir.VectorType(self.index, size)
        even, odd = (ir.Constant(kind, [2 * i + k for i in range(size)]) for k in (0, 1))
        pair = self.builder.shuffle_vector(a, b, even), self.builder.shuffle_vector(a, b, odd)
        return self.add(*pair)

    def exchanged(self, a: Any, b: Any, apart: int, side: int) -> Any:
        """Of every two elements of a at a distance the first or second, beside it that of b."""
        low = [lane & ~apart for lane in range(self.lanes)]
        chosen = [i + apart * side + (self.lanes if i != k else 0) for k, i in enumerate(low)]
        mask = ir.Constant(ir.VectorType(self.index, self.lanes), chosen)
        return self.builder.shuffle_vector(a, b, mask)

    def totals(self, vectors: list[Any]) -> list[Any]:
        """The sum of each vector's elements. All vectors are added up at once, in a tree."""
        found: list[Any] = []
        for first in range(0, len(vectors), self.lanes):
            level = vectors[first : first + self.lanes]
            count = len(level)
            level += [self.zero] * (self.lanes - count)
            while len(level) > 1:
                level = [self.half_sums(a, b) for a, b in zip(level[::2], level[1::2])]
            index = (ir.Constant(self.index, k) for k in range(count))
            found += [self.builder.extract_element(level[0], k) for k in index]
        return found

    def sums(self, count: int) -> list[Any]:
        """Variables that hold vectors of zeros; LLVM keeps them in registers."""
        with self.builder.goto_entry_block():
            slots = [self.builder.alloca(self.vector) for _ in range(count)]
        for slot in slots:
            self.builder.store(self.zero, slot)
        return slots

    def read_words(self, dims: Any, first: Any, count: int) -> list[Any]:
        """Some of a kernel's dims."""
        places = (self.builder.add(first, self.word(k)) for k in range(count))
        return [
            self.builder.load(self.builder.gep(dims, [p], source_etype=WORD), typ=WORD)
            for p in places
        ]

    @contextlib.contextmanager
    def loop(self, limit: Any, step: int = 1) -> Iterator[Any]:
        """Code for 0, `step`, … below a limit: gives the counter."""
        builder, before = self.builder, self.builder.block
        head, inside, end = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        counter = builder.phi(WORD)
        counter.add_incoming(self.word(0), before)
        builder.cbranch(builder.icmp_signed("<", counter, limit), inside, end)
        builder.position_at_end(inside)
        yield counter
        counter.add_incoming(builder.add(counter, self.word(step), flags=("nsw",)), builder.block)
        builder.branch(head)
        builder.position_at_end(end)


Emit = Callable[[ir.IRBuilder, Sequence[Any], Codes], None]


def _taps(dtype: str) -> Emit:
    """(vectors, rows, x, x_at, w, w_at, out, out_at, dims, first). dims from `first` on: channels,
    taps, elements from one channel to the next in x and in w, from one row to the next in w and in
    out, whether to add to what is there; then for each tap its shift in x and in w.
    """

    def emit(builder: ir.IRBuilder, args: Sequence[Any], codes: Codes) -> None:
        many, high = (literal(code) for code in codes[:2])
        _, _, x, x_at, w, w_at, out, out_at, dims, first = args
        to = Writer(builder, dtype)
        channels, taps, x_step, w_step, w_row, out_row, adds = to.read_words(dims, first, 7)
        table = builder.add(first, to.word(7))
        sums = to.sums(many * high)
        x, w, out = to.at(x, x_at), to.at(w, w_at), to.at(out, out_at)
        places = [
            to.at(out, builder.mul(out_row, to.word(row)), to.word(v * to.lanes))
            for row in range(high)
            for v in range(many)
        ]
        with builder.if_then(builder.icmp_signed("!=", adds, to.word(0))):
            for slot, place in zip(sums, places):
                builder.store(to.load(place), slot)
        with to.loop(channels) as channel:
            here = to.at(x, builder.mul(channel, x_step))
            weights = to.at(w, builder.mul(channel, w_step))
            with to.loop(taps) as tap:
                place = builder.add(table, builder.mul(tap, to.word(2)))
                shift, w_shift = to.read_words(dims, place, 2)
                near, weight = to.at(here, shift), to.at(weights, w_shift)
                found = [to.load(to.at(near, to.word(v * to.lanes))) for v in range(many)]
                for row in range(high):
                    place = to.at(weight, builder.mul(w_row, to.word(row)))
                    factor = to.broadcast(to.load(place, whole=False))
                    for v in range(many):
                        slot = sums[row * many + v]
                        total = to.multiply_add(found[v], factor, builder.load(slot))
                        builder.store(total, slot)
        for slot, place in zip(sums, places):
            to.store(builder.load(slot), place)

    return emit


def _pairs(dtype: str) -> Emit:
    """(columns, rows, x, x_at, y, y_at, out, out_at, dims, first, taps). dims from `first` on:
    images, elements from one image to the next in x and in y, length (of j), elements from one row
    to the next in y and in out. dims from `taps` on: for each column its shift in x and in out.
    """

    def emit(builder: ir.IRBuilder, args: Sequence[Any], codes: Codes) -> None:
        wide, high = (literal(code) for code in codes[:2])
        _, _, x, x_at, y, y_at, out, out_at, dims, first, taps = args
        to = Writer(builder, dtype)
        images, x_step, y_step, length, y_row, out_row = to.read_words(dims, first, 6)
        table = to.read_words(dims, taps, 2 * wide)
        sums = to.sums(wide * high)
        x, y = to.at(x, x_at), to.at(y, y_at)
        with to.loop(images) as image:
            xs = to.at(x, builder.mul(image, x_step))
            ys = to.at(y, builder.mul(image, y_step))
            xs = [to.at(xs, shift) for shift in table[::2]]
            ys = [to.at(ys, builder.mul(y_row, to.word(row))) for row in range(high)]
            with to.loop(length, to.lanes) as j:
                found = [to.load(to.at(place, j)) for place in xs]
                for row in range(high):
                    factor = to.load(to.at(ys[row], j))
                    for column in range(wide):
                        slot = sums[row * wide + column]
                        total = to.multiply_add(found[column], factor, builder.load(slot))
                        builder.store(total, slot)
        out = to.at(out, out_at)
        for k, total in enumerate(to.totals([builder.load(slot) for slot in sums])):
            row = builder.mul(out_row, to.word(k // wide))
            place = to.at(out, row, table[2 * (k % wide) + 1])
            to.store(to.add(to.load(place, whole=False), total), place)

    return emit


def _turn(dtype: str) -> Function:
    """x, the place of the first element in it, elements from one row to the next; the same of out.

    In each round, rows at one distance exchange halves: of every two of their elements at that
    distance, the one on the other side of the diagonal.
    """

    def emit(builder: Any, args: Sequence[Any]) -> None:
        x, x_at, x_row, out, out_at, out_row = args
        to = Writer(builder, dtype)
        x, out = to.at(x, x_at), to.at(out, out_at)
        rows = [to.load(to.at(x, builder.mul(x_row, to.word(i)))) for i in range(to.lanes)]
        apart = 1
        while apart < to.lanes:
            for i in range(to.lanes):
                if not i & apart:
                    pair = rows[i], rows[i + apart]
                    rows[i], rows[i + apart] = (to.exchanged(*pair, apart, k) for k in (0, 1))
            apart *= 2
        for j, row in enumerate(rows):
            to.store(row, to.at(out, builder.mul(out_row, to.word(j))))

    row = (f"*{dtype}", "i64", "i64")
    return fixed((*row, *row), "", emit)


def _block(dtype: str, emit: Emit, words: int) -> Function:
    """A function of two literals, three arrays with a position in each, dims, and some words."""
    array = f"*{dtype}", "i64"
    rest = (*array, *array, *array, "*i64", *["i64"] * words)

    def rule(codes: Codes) -> str | None:
        return "" if all(map(is_literal, codes[:2])) and codes[2:] == rest else None

    return Function(2 + len(rest), rule, emit, literals=2)


@functools.cache
def functions() -> dict[str, Function]:
    """`turn_f32`, `taps_f32` and so on, by name."""
    made = {f"turn_{dtype}": _turn(dtype) for dtype in ("f32", "f64")}
    for dtype in DTYPES:
        made[f"taps_{dtype}"] = _block(dtype, _taps(dtype), 1)
        made[f"pairs_{dtype}"] = _block(dtype, _pairs(dtype), 2)
    return made


# --- Python -------------------------------------------------------------------------------------


def _plain_taps(dtype: str) -> Any:
    def block(vectors, rows, x, x_at, w, w_at, out, out_at, dims, first):
        channels, taps, x_step, w_step, w_row, out_row, adds = dims[first : first + 7]
        wide, kind = vectors * lanes(dtype), out.dtype
        sums = np.zeros((rows, wide), kind)
        places = w_row * np.arange(rows)
        for channel in range(channels):
            for tap in range(taps):
                shift, w_shift = dims[first + 7 + 2 * tap : first + 9 + 2 * tap]
                here = x_at + channel * x_step + shift
                weights = w[places + (w_at + channel * w_step + w_shift)]
                sums += weights[:, None] * x[here : here + wide]
        for row in range(rows):
            to = out_at + row * out_row
            out[to : to + wide] = sums[row] + (out[to : to + wide] if adds else 0)

    return block


def _plain_pairs(dtype: str) -> Any:
    def block(columns, rows, x, x_at, y, y_at, out, out_at, dims, first, taps):
        images, x_step, y_step, length, y_row, out_row = dims[first : first + 6]
        for image in range(images):
            for column in range(columns):
                shift, to = dims[taps + 2 * column : taps + 2 * column + 2]
                here = x_at + image * x_step + shift
                for row in range(rows):
                    there = y_at + image * y_step + row * y_row
                    total = np.dot(x[here : here + length], y[there : there + length])
                    out[out_at + row * out_row + to] += total

    return block


def _plain_turn(dtype: str) -> Any:
    def turn(x, x_at, x_row, out, out_at, out_row):
        for i in range(lanes(dtype)):
            for j in range(lanes(dtype)):
                out[out_at + j * out_row + i] = x[x_at + i * x_row + j]

    return turn


@functools.cache
def namespace_python() -> dict[str, Any]:
    """The same on flat arrays."""
    made: dict[str, Any] = {f"turn_{dtype}": _plain_turn(dtype) for dtype in ("f32", "f64")}
    for dtype in DTYPES:
        made[f"taps_{dtype}"] = _plain_taps(dtype)
        made[f"pairs_{dtype}"] = _plain_pairs(dtype)
    return made
