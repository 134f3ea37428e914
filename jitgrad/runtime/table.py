"""A plan as a table of int64 words, which native code runs.

    the header:      entries, most pointers of a launch, bytes of the arena before "local" memory,
                     then addresses: see `jitgrad.runtime.executor`
    for each entry:  its words, chunks, tiles, launches of start, body and tail, where body and
                     tail begin in it, bytes of "local" memory, whether threads may share it
    in each entry, for each launch: kernel address, number of the launch, position of its dims,
                     extent, step, pointers
    in each launch, for each pointer: base, byte offset, bytes a tile, bytes a chunk
    then all dims

Every entry is a strip: a single launch has its range cut into tiles of `step`, each of them a
chunk. Where they are cut depends on the launch alone, so that its results do not depend on who
runs what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from jitgrad.codegen.launch import Launch, Moving, Part, Pointer, Strip

ENTRY, LAUNCH, POINTER = 10, 6, 4  # words of each before what it contains
# What bases stand for: the arrays of the call from 0 on, and before them
STATUS, ABSOLUTE, LOCAL = -3, -2, -1
SPECIAL = 3

Locate = Callable[[Pointer], tuple[int, int]]
Entries = Sequence[tuple[int, Launch | Strip]]


def flattened(entries: Entries) -> list[tuple[int, Launch]]:
    """(step, launch) of every launch, each once: they are numbered in this order."""
    return [(position, launch) for position, entry in entries for launch in _all(entry)]


def _all(entry: Launch | Strip) -> tuple[Launch, ...]:
    return (entry,) if isinstance(entry, Launch) else (*entry.start, *entry.body)


def parts(entry: Launch | Strip) -> Iterator[Launch | Strip]:
    """Entries of the same range with a single launch of an entry each, as they are numbered."""
    if isinstance(entry, Launch):
        yield entry
        return
    for launch in entry.start:
        yield replace(entry, start=(launch,), body=(), tail=())
    for k, launch in enumerate(entry.body):
        yield replace(entry, start=(), body=(launch,), tail=entry.tail[k : k + 1])


def work(entry: Launch | Strip) -> int:
    """About how many elementary operations an entry makes."""
    if isinstance(entry, Launch):
        return entry.work
    whole = entry.tiles * sum(launch.work for launch in entry.body)
    return whole + entry.chunks * sum(launch.work for launch in entry.start)


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


class Table:
    """The words of entries. `locate` gives base and offset of a pointer, `address` of a source."""

    def __init__(self, entries: Entries, locate: Locate, address: Callable[[str], int]):
        self.locate, self.address = locate, address
        self.count = len(entries)
        self.dims: list[int] = []
        self.words: list[int] = []
        self.fixes: list[int] = []  # words that hold a position among the dims
        self.most = 1
        number = 0
        for _, entry in entries:
            self.words += self._entry(entry, number, len(self.words))
            number += len(_all(entry))

    def complete(self, header: Sequence[int]) -> list[int]:
        """Header, entries and dims."""
        words = [*header, *self.words]
        for place in self.fixes:
            words[len(header) + place] += len(words)
        return words + self.dims

    def _entry(self, entry: Launch | Strip, number: int, at: int) -> list[int]:
        if isinstance(entry, Launch):
            step = entry.extent
            entry = Strip((), (entry,), (), 1, 1, 0)
        else:
            step = 0
        words = [0] * ENTRY
        starts = []
        for part in (entry.start, entry.body, entry.tail):
            starts.append(len(words))
            first = number + (0 if part is entry.start else len(entry.start))
            for offset, launch in enumerate(part):
                words += self._launch(launch, first + offset, step, at + len(words))
        words[:ENTRY] = [
            len(words), entry.chunks, entry.tiles,
            len(entry.start), len(entry.body), len(entry.tail),
            starts[1], starts[2], entry.local, 0,
        ]  # fmt: skip
        return words

    def _launch(self, launch: Launch, number: int, step: int, at: int) -> list[int]:
        self.fixes.append(at + 2)
        words = [
            self.address(launch.source), number, len(self.dims),
            launch.extent, step, len(launch.pointers),
        ]  # fmt: skip
        self.dims += launch.dims
        self.most = max(self.most, len(launch.pointers))
        for pointer in launch.pointers:
            moving = pointer if isinstance(pointer, Moving) else None
            base, offset = self.locate(moving.pointer if moving else pointer)
            words += [base + SPECIAL, offset]
            words += [moving.tile, moving.chunk] if moving else [0, 0]
        return words
