"""A plan as a table of int64 words, which native code runs.

    the header:      `HEADER` words, see `jitgrad.runtime.executor`
    for each entry:  its words, chunks, tiles, launches of start, body and tail, where body and
                     tail begin in it, bytes of "local" memory, whether threads share it, the
                     range of a tile
    in each entry, for each launch: kernel address, number of the launch, position of its dims,
                     extent, pointers
    in each launch, for each pointer: base, byte offset, bytes a tile, bytes a chunk
    then all dims, and what is known of the arrays

Every entry is a strip: a single launch has its range cut into tiles of `step`, each of them a
chunk. Where they are cut depends on the launch alone, so that its results do not depend on who
runs what: also one thread alone goes part by part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from jitgrad.codegen.launch import Entry, Launch, Library, Moving, Part, Pointer, Strip
from jitgrad.codegen.loops import Blocks, For, Let, Statement
from jitgrad.ir.types import ALIGNMENT
from jitgrad.runtime import cache
from jitgrad.runtime.links import ENTRY, HEADER, SPECIAL, Place, Symbol, Unlinked

# Measured on two cores: a kernel that only moves data which the caller's core has in its cache
# gains from 2**18 elements on, one that computes tanh from 2**12 on.
HEAVY = 1 << 14  # cost from which releasing Python's lock pays
PARALLEL = 1 << 18  # cost from which sharing an entry pays
STEP, FUNCTION = 0.5, 16  # cost of an operation, and of a function such as tanh, in elements moved
PRODUCT = 4  # multiplications of a library at the cost of an element
CALL = re.compile(r"\b(\w+)_f(?:32|64)\(")
CHEAP = re.compile(r"^(to|number|fma|abs|copysign|maximum|minimum|select|sqrt|\w+_reassoc)$")
PARTS = 64  # of a range, at most: enough to share evenly among threads that are not alike
LINE = 64  # elements: whole vectors, and no cache line in two parts

Locate = Callable[[Pointer], Place]
Entries = Sequence[tuple[int, Launch | Strip]]


def flattened(entries: Entries) -> list[tuple[int, Launch]]:
    """(step, launch) of every launch, each once: they are numbered in this order."""
    return [(position, launch) for position, entry in entries for launch in _all(entry)]


def _all(entry: Launch | Strip) -> tuple[Launch, ...]:
    return (entry,) if isinstance(entry, Launch) else (*entry.start, *entry.body)


def is_product(launch: Launch) -> bool:
    """Whether a launch calls a library over its range."""
    return any(isinstance(pointer, Library) for pointer in launch.pointers)


def cost(entry: Launch | Strip) -> int:
    """About how long an entry takes, in elements that are read, scaled and written."""
    if isinstance(entry, Launch):
        if is_product(entry):
            return entry.work // PRODUCT
        return int(entry.work * (weight(entry.kernel.body) if entry.kernel is not None else 1))
    whole = entry.tiles * sum(cost(launch) for launch in entry.body)
    return whole + entry.chunks * sum(cost(launch) for launch in entry.start)


def weight(body: Sequence[Statement]) -> float:
    """What a kernel computes for an element, in multiples of moving it."""
    total = 1.0
    for statement in body:
        if isinstance(statement, (For, Blocks)):
            total += weight(statement.body) - 1
        elif isinstance(statement, Let):
            slow = [name for name in CALL.findall(statement.text) if not CHEAP.search(name)]
            total += FUNCTION * len(slow) + STEP
    return total


def parts(entry: Launch | Strip) -> Iterator[Launch | Strip]:
    """Entries of the same range with a single launch of an entry each, as they are numbered."""
    if isinstance(entry, Launch):
        yield entry
        return
    for launch in entry.start:
        yield replace(entry, start=(launch,), body=(), tail=())
    for k, launch in enumerate(entry.body):
        yield replace(entry, start=(), body=(launch,), tail=entry.tail[k : k + 1])


def room(entry: Launch | Strip) -> int:
    """Bytes of "local" memory of each thread, so that the next thread's is aligned as well."""
    return -(-entry.local // ALIGNMENT) * ALIGNMENT if isinstance(entry, Strip) else 0


def part(launch: Launch) -> int:
    """How much of a launch's range makes a part; it depends on nothing but the launch."""
    parts = min(2 * cost(launch) // PARALLEL, PARTS, launch.extent // launch.grain)
    step = max(-(-launch.extent // max(parts, 1)), 1)
    along = launch.kernel is not None and is_vector(launch.kernel.body)
    return -(-step // LINE) * LINE if along or step > 4 * LINE else step


def is_vector(body: Sequence[Statement]) -> bool:
    """Whether the range is an innermost loop."""
    for loop in body:
        if isinstance(loop, For):
            inner = any(isinstance(s, For) for s in loop.body)
            return not inner if loop.part else is_vector(loop.body)
    return False


def unrolled(entry: Launch | Strip) -> Iterator[tuple[int, Launch]]:
    """(number within the entry, launch) in the order of one thread, with pointers that stand."""
    if isinstance(entry, Launch):
        yield 0, entry
        return
    for chunk in range(entry.chunks):
        for number, launch in enumerate(entry.start):
            yield number, standing(launch, 0, chunk)
        first, last = (c * entry.tiles // entry.chunks for c in (chunk, chunk + 1))
        for tile in range(first, last):
            body = entry.tail if entry.tail and tile == entry.tiles - 1 else entry.body
            for number, launch in enumerate(body, len(entry.start)):
                yield number, standing(launch, tile, chunk)


def standing(launch: Launch, tile: int, chunk: int) -> Launch:
    """A strip's launch as it is for one tile."""

    def place(pointer: Pointer) -> Pointer:
        if not isinstance(pointer, Moving):
            return pointer
        inner, moved = pointer.pointer, tile * pointer.tile + chunk * pointer.chunk
        if isinstance(inner, Part):
            return Part(inner.buffer, inner.offset + moved)
        return Part(inner, moved)

    return replace(launch, pointers=tuple(place(p) for p in launch.pointers))


def sources(entries: Entries) -> list[str]:
    """The texts of all kernels, those of a last tile that is smaller among them."""
    tails = [launch for _, e in entries if isinstance(e, Strip) for launch in e.tail]
    found: dict[str, None] = {}
    for launch in (*(launch for _, launch in flattened(entries)), *tails):
        called = [p.source for p in launch.pointers if isinstance(p, Entry)]
        found.update(dict.fromkeys([*called, launch.source]))
    return list(found)


def unlinked(
    entries: Entries,
    locate: Locate,
    room: tuple[int, int],
    constants: Sequence[np.ndarray],
) -> Unlinked:
    """The table of entries. `locate` says where a pointer points; for `room` see `Unlinked`."""
    table = Table(entries, locate)
    heavy = sum(cost(entry) for _, entry in entries) >= HEAVY
    return Unlinked(
        table.words + table.dims, table.symbols, len(entries), table.most, room, heavy,
        table.shared, constants,
    )  # fmt: skip


class Table:
    """The words of entries."""

    def __init__(self, entries: Entries, locate: Locate):
        self.locate = locate
        self.dims: list[int] = []
        self.words: list[int] = []
        self.symbols: list[tuple[int, Symbol]] = []
        self.fixes: list[int] = []  # words that hold a position among the dims
        self.most = 1
        self.shared = False
        number = 0
        for _, entry in entries:
            self.words += self._entry(entry, number, len(self.words))
            number += len(_all(entry))
        for at in self.fixes:
            self.words[at] += HEADER + len(self.words)

    def _entry(self, entry: Launch | Strip, number: int, at: int) -> list[int]:
        shared = cost(entry) >= PARALLEL
        step = 0
        if isinstance(entry, Launch):
            step = part(entry) if shared else max(entry.extent, 1)
            tiles = -(-entry.extent // step)
            entry = Strip((), (entry,), (), tiles, tiles, 0)
        shared = shared and entry.chunks > 1
        self.shared = self.shared or shared
        words = [0] * ENTRY
        starts = []
        for launches in (entry.start, entry.body, entry.tail):
            starts.append(len(words))
            first = number + (0 if launches is entry.start else len(entry.start))
            for offset, launch in enumerate(launches):
                words += self._launch(launch, first + offset, at + len(words))
        words[:ENTRY] = [
            len(words), entry.chunks, entry.tiles,
            len(entry.start), len(entry.body), len(entry.tail),
            starts[1], starts[2], room(entry), int(shared), step,
        ]  # fmt: skip
        return words

    def _launch(self, launch: Launch, number: int, at: int) -> list[int]:
        self.symbols.append((at, kernel(launch.source)))
        self.fixes.append(at + 2)
        words = [0, number, len(self.dims), launch.extent, len(launch.pointers)]
        self.dims += launch.dims
        self.most = max(self.most, len(launch.pointers))
        for pointer in launch.pointers:
            moving = pointer if isinstance(pointer, Moving) else None
            place = self.locate(moving.pointer if moving else pointer)
            if place.symbol is not None:
                self.symbols.append((at + len(words) + 1, place.symbol))
            words += [place.base + SPECIAL, place.offset]
            words += [moving.tile, moving.chunk] if moving else [0, 0]
        return words


def kernel(source: str) -> Symbol:
    """The kernel of a text."""
    return Symbol("kernel", cache.key_of(source))
