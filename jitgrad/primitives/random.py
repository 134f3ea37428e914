"""Random numbers as pure functions of a key and a counter.

The generator is *squares* (Widynski, arXiv 2004.06278): 32 bits for each (counter, key). A caller
keeps (key, counter), both uint64 scalars, and adds `consumed(...)` to the counter after each draw;
the same key and counter give the same numbers in both modes and on every machine. A draw of
several words an element uses counter + i, counter + size + i, … for element i.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.ir.node import Node, full
from jitgrad.ir.types import DType, TensorType, float16, float32, float64, int32, uint64
from jitgrad.primitives.elementwise import (
    bit_and,
    bit_or,
    cos,
    less,
    log,
    mod,
    shift_left,
    shift_right,
    sqrt,
    squares32,
)
from jitgrad.primitives.shape import broadcast, cast, iota_of, reshape
from jitgrad.primitives.sort import argsort

Shape = tuple[int, ...]
MASK64 = 2**64 - 1


# --- keys ---------------------------------------------------------------------------------------


def make_key(seed: int) -> int:
    """A key for a seed (taken modulo 2**64), of the form that the generator needs.

    In hexadecimal: the lower eight digits are all different and not zero, and the last one is odd;
    so are, but for the oddness, the upper eight, and the ninth from below differs from the eighth.
    Such irregular digits are the paper's condition for good streams; odd makes counter * key a
    permutation of the counters. The digits are drawn by splitmix64 from the seed.
    """
    state = seed & MASK64

    def draw(below: int) -> int:
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & MASK64
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
        return ((z ^ (z >> 31)) * below) >> 64

    def eight(first: list[int]) -> list[int]:
        """Different digits, from the lowest; the lowest is one of `first`."""
        digits = [first[draw(len(first))]]
        rest = [d for d in range(1, 16) if d != digits[0]]
        for _ in range(7):
            digits.append(rest.pop(draw(len(rest))))
        return digits

    low = eight([1, 3, 5, 7, 9, 11, 13, 15])
    high = eight([d for d in range(1, 16) if d != low[-1]])
    return sum(digit << (4 * place) for place, digit in enumerate(low + high))


# --- bits ---------------------------------------------------------------------------------------


def _words(key: Node, counter: Node, shape: Shape, count: int) -> list[Node]:
    """`count` independent words of 32 bits for each element, as uint64."""
    scalar = TensorType(uint64, ())
    if key.type is not scalar or counter.type is not scalar:
        raise fail(
            DTypeError, f"random got key {key.type}, counter {counter.type}", why="both are u64[]"
        )
    if any(n < 0 for n in shape):
        raise fail(ShapeError, f"random got shape {shape}", why="extents are not negative")
    size = math.prod(shape)
    place = reshape(iota_of((size,), 0, uint64), shape=shape)
    spread = broadcast(key, shape=shape, dims=())
    words = []
    for number in range(count):
        start = counter + number * size if number else counter
        words.append(squares32(broadcast(start, shape=shape, dims=()) + place, spread))
    return words


def random_bits(key: Node, counter: Node, shape: Shape) -> Node:
    """32 random bits for each element, in a uint64. Consumes one counter an element."""
    return _words(key, counter, shape, 1)[0]


def _small(word: Node, bits: int, dtype: DType) -> Node:
    """The upper `bits` (at most 31) of a word as a float. By way of int32, which vectorizes."""
    return cast(cast(shift_right(word, 32 - bits), dtype=int32), dtype=dtype)


def _fraction(words: list[Node], dtype: DType) -> Node:
    """Words as a float in [0, 1): a multiple of 2**-11, 2**-24 or 2**-53."""
    if dtype is float64:
        high, low = words
        return (_small(high, 27, dtype) * 2.0**26 + _small(low, 26, dtype)) * 2.0**-53
    bits = 11 if dtype is float16 else 24
    return _small(words[0], bits, dtype) * 2.0**-bits


def _fine_fraction(words: list[Node], dtype: DType) -> Node:
    """Words as a float in (0, 1], never 0, and the finer the smaller: for the tail of a log."""
    if dtype is float64:
        high, low = words
        coarse = _small(high, 27, dtype) * 2.0**-27
        return coarse + (_small(low, 31, dtype) + 0.5) * 2.0**-58
    tail = cast(cast(bit_and(words[0], 255), dtype=int32), dtype=dtype)
    return _small(words[0], 24, dtype) * 2.0**-24 + (tail + 0.5) * 2.0**-32


def _check_float(name: str, dtype: DType) -> None:
    if not dtype.is_float:
        raise fail(DTypeError, f"{name} got dtype {dtype}", why="it makes floats")


# --- distributions ------------------------------------------------------------------------------


def uniform(key: Node, counter: Node, shape: Shape, dtype: DType) -> Node:
    """Uniform in [0, 1), with as many bits as the dtype can hold there (11, 24 or 53).

    Consumes one counter an element, two for float64.
    """
    _check_float("uniform", dtype)
    return _fraction(_words(key, counter, shape, _WORDS[uniform](dtype)), dtype)


def normal(key: Node, counter: Node, shape: Shape, dtype: DType) -> Node:
    """Standard normal, by Box and Muller's sqrt(-2 log u) cos(2 pi v), which is elementwise.

    Reaches 6.7 deviations in float32 and 9 in float64; float16 is rounded from float32. Consumes
    two counters an element, four for float64.
    """
    _check_float("normal", dtype)
    of = float32 if dtype is float16 else dtype
    words = _words(key, counter, shape, _WORDS[normal](dtype))
    half = len(words) // 2
    radius = sqrt(log(_fine_fraction(words[:half], of)) * -2.0)
    angle = (_fraction(words[half:], of) - 0.5) * (2 * math.pi)
    value = radius * cos(angle)
    return value if dtype is of else cast(value, dtype=dtype)


def bernoulli(key: Node, counter: Node, shape: Shape, p: float | Node) -> Node:
    """True with probability p, rounded to a multiple of 2**-24: a bool node.

    p is a number in 0..1, or a float32 node of the shape or of no axes. Consumes one counter an
    element.
    """
    u = uniform(key, counter, shape, float32)
    if isinstance(p, Node) and p.shape != shape:
        p = broadcast(p, shape=shape, dims=())
    return less(u, p)


def randint(
    key: Node, counter: Node, shape: Shape, low: int, high: int, dtype: DType = int32
) -> Node:
    """Integers low <= i < high, by multiplication of 32 bits with the range (remainder of 64 bits
    for a range beyond 2**32); no value is favoured by more than range / 2**32 (2**64).

    Consumes one counter an element, two for a range beyond 2**32.
    """
    least, greatest = _limits(dtype)
    if not least <= low < high <= greatest + 1:
        raise fail(
            ArgumentError,
            f"randint got low={low}, high={high} for {dtype}",
            why=f"it needs {least} <= low < high <= {greatest + 1}",
        )
    span = high - low
    words = _words(key, counter, shape, 1 if span <= 2**32 else 2)
    if span <= 2**32:
        offset = shift_right(words[0] * span, 32)
    else:
        offset = _long(words)
        offset = offset if span == 2**64 else mod(offset, span)
    value = cast(offset, dtype=dtype)
    return value + full(low, value.type) if low else value


def _limits(dtype: DType) -> tuple[int, int]:
    if not dtype.is_int:
        raise fail(DTypeError, f"randint got dtype {dtype}", why="it makes integers")
    bits = 8 * dtype.size
    return (0, 2**bits - 1) if dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _long(words: list[Node]) -> Node:
    return bit_or(shift_left(words[0], 32), words[1])


def permutation(key: Node, counter: Node, n: int, dtype: DType = int32) -> Node:
    """0 … n-1 in random order: the order of n random numbers of 64 bits. Consumes 2 n counters."""
    return argsort(_long(_words(key, counter, (n,), 2)), axis=0, descending=False, dtype=dtype)


# --- counters -----------------------------------------------------------------------------------

# How many words an element takes.
_WORDS: dict[Callable, Callable[[DType], int]] = {
    random_bits: lambda dtype: 1,
    uniform: lambda dtype: 2 if dtype is float64 else 1,
    normal: lambda dtype: 4 if dtype is float64 else 2,
    bernoulli: lambda dtype: 1,
    permutation: lambda dtype: 2,
}


def consumed(draw: Callable, shape: Shape, dtype: DType = float32, span: int = 1) -> int:
    """How many counters one call consumes: what to add to the counter before the next.

    draw is one of this module's functions; dtype is that of the result, span is high - low of
    `randint`, and the shape of a `permutation` is (n,).
    """
    words = (1 if span <= 2**32 else 2) if draw is randint else _WORDS[draw](dtype)
    return words * math.prod(shape)


__all__ = [
    "bernoulli", "consumed", "make_key", "normal", "permutation", "randint", "random_bits",
    "uniform",
]  # fmt: skip
