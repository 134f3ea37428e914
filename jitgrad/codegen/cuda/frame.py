"""The CUDA frame: a kernel of the kernel IR as one function of a grid of threads.

    kernel(a0, …, r0, …, n1, x0_s0, …, count)

Arrays are flat device arrays, then come the integers that the text uses. The loops of the kernel IR
become index arithmetic: what they enumerate is numbered, and the grid shares the numbers.

map      every thread takes elements; where they lie side by side, 16 bytes of them at a time.
         What is read across its rows is turned in shared memory, tile by tile.
row      every row is reduced by `lanes` neighbouring threads of a block, which then add up their
         totals in shared memory. A block takes `columns` rows.
across   so, but neighbouring threads take neighbouring rows: their elements lie side by side.
blocked  every block of the kernel IR is reduced by a block of threads.

Where totals are added up depends on the shapes alone, so results are the same at every run.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jitgrad.codegen.cpu import INDENT, simple
from jitgrad.codegen.cuda import turned, wide
from jitgrad.codegen.cuda.grid import NARROW, signature
from jitgrad.codegen.loops import Blocks, For, Kernel, Let, Load, Statement, Store
from jitgrad.codegen.scalar import literal

THREADS = 256  # of a block, where there is enough to do
LANES = 8  # threads that share a row, where rows are side by side
WARP = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """How the threads of a block share rows: `columns` of them, each by `lanes` threads."""

    columns: int
    lanes: int
    across: bool

    @property
    def threads(self) -> int:
        return self.columns * self.lanes


def shape_of(kind: str, rows: int, length: int) -> Shape:
    """The shape for rows of a length: as many threads as have something to do."""
    if kind == "across":
        lanes = min(LANES, _power(length)) if length > LANES and rows < NARROW >> 15 else 1
        return Shape(THREADS // lanes if lanes == 1 else WARP, lanes, True)
    lanes = min(THREADS, _power(length))
    if kind == "blocked":
        return Shape(1, lanes, False)
    return Shape(max(1, min(THREADS // lanes, _power(rows))), lanes, False)


def _power(n: int) -> int:
    """The largest power of two that is not above n, 1 at least."""
    return 1 << max(n.bit_length() - 1, 0)


def source(kernel: Kernel, shape: Shape) -> tuple[str, list[str], int]:
    """The kernel's text, the names of its integers, and how many tiles it goes through."""
    frame = _Frame(kernel, shape)
    first = kernel.body[0] if kernel.body else None
    if isinstance(first, Blocks):
        lines = frame.blocks(first)
    elif kernel.outer and not frame.reduces:
        lines = frame.map()
    else:
        lines = frame.rows()
    text = "\n".join(lines)
    used = words(text)
    names = [p for p in (*kernel.parameters, "count") if p in used]
    head = signature([*(a.name for a in kernel.arrays), *names])
    return "\n".join([head, *frame.head(used), text, ""]), names, frame.tiles


class _Frame:
    """One kernel being written."""

    def __init__(self, kernel: Kernel, shape: Shape):
        self.kernel, self.shape = kernel, shape
        self.extents = dict(zip(kernel.parameters, kernel.values, strict=True))
        self.reduces = _reduces(kernel.body)
        self.tiles = 0
        self.shared: dict[str, str] = {}  # the shared array of each total, by what it holds

    def head(self, used: set[str]) -> list[str]:
        """What every thread begins with."""
        s = self.shape
        lines = [f"{w} = cuda.shared.array({s.threads}, {code})" for code, w in self.shared.items()]
        if "lane" in used or "column" in used or self.shared:
            lines.append("thread = cuda.threadIdx.x")
        if s.across:
            places = f"thread % {s.columns}", f"thread // {s.columns}"
        else:
            places = f"thread // {s.lanes}", f"thread % {s.lanes}"
        both = zip(("column", "lane"), places, (s.columns, s.lanes), strict=True)
        lines += [
            f"{name} = {at if count > 1 else 0}" if s.threads != count else f"{name} = thread"
            for name, at, count in both
            if name in used
        ]
        return [INDENT + line for line in lines]

    # --- the loops ---

    def map(self) -> list[str]:
        """Every thread takes elements."""
        dims, inside = chain(self.kernel.body, self.kernel.outer)
        if len(dims) == 1 and wide.fits(inside):
            return wide.loops(inside, f"i{dims[0]}")
        tiles = turned.tiles_of(inside, dims, self.extents)
        if tiles is not None:
            self.tiles = tiles.count(self.extents)
            return turned.loops(inside, tiles, functools.partial(numbered, self.extents))
        at = named("at", dims)
        lines = [f"{INDENT}for {at} in range(cuda.grid(1), count, cuda.gridsize(1)):"]
        lines += [INDENT * 2 + line for line in numbered(self.extents, "at", dims)]
        return lines + [INDENT * 2 + simple(s) for s in inside]

    def rows(self) -> list[str]:
        """Every block takes rows."""
        dims, inside = chain(self.kernel.body, self.kernel.outer)
        s, c = self.shape, self.shape.columns
        live, at = "", named("at", dims)
        if s.lanes == 1:
            lines = [f"{INDENT}for {at} in range(cuda.grid(1), count, cuda.gridsize(1)):"]
        elif c == 1:
            lines = [f"{INDENT}for {at} in range(cuda.blockIdx.x, count, cuda.gridDim.x):"]
        else:  # all threads of a block come to its barriers, those without a row too
            live = "live"
            lines = [
                f"{INDENT}for first in range(cuda.blockIdx.x * {c}, count, cuda.gridDim.x * {c}):",
                f"{INDENT * 2}live = first + column < count",
                f"{INDENT * 2}{at} = first + column if live else 0",
            ]
        lines += [INDENT * 2 + line for line in numbered(self.extents, "at", dims)]
        return lines + self.row(inside, live, None)

    def blocks(self, blocks: Blocks) -> list[str]:
        """Every block of threads takes blocks of the outermost loop."""
        lines = [
            f"{INDENT}for c in range(cuda.blockIdx.x, count, cuda.gridDim.x):",
            f"{INDENT * 2}start = c * block",
            f"{INDENT * 2}stop = start + block if start + block < n0 else n0",
        ]
        return lines + self.row(blocks.body, "", 0)

    def row(self, body: Sequence[Statement], live: str, split: int | None) -> list[str]:
        """A row's statements; loops are shared by its lanes. `live`: whether there is such a row;
        `split`: the loop of which only a part is the row's.
        """
        lines: list[str] = []
        alone = [f"{live} and lane == 0" if live else "lane == 0"]
        if self.shape.lanes == 1:
            alone = [live] if live else []
        for statement in body:
            if isinstance(statement, For):
                lines += self.shared_loop(statement, live, split)
            elif isinstance(statement, Store) and alone:
                lines += [f"{INDENT * 2}if {alone[0]}:", INDENT * 3 + simple(statement)]
            elif isinstance(statement, Load) and live:
                nothing = literal(np.zeros(()), statement.dtype)
                lines.append(f"{INDENT * 2}{simple(statement)} if {live} else {nothing}")
            else:
                assert not isinstance(statement, Blocks)
                lines.append(INDENT * 2 + simple(statement))
        return lines

    def shared_loop(self, loop: For, live: str, split: int | None) -> list[str]:
        """A loop nest over the elements of a row, its numbers shared by the lanes."""
        dims, inside = chain([loop], 99)
        sizes = [f"n{d}" for d in dims]
        first, last = "0", " * ".join(sizes)
        if split is not None and dims[0] == split:
            rest = "".join(f" * {n}" for n in sizes[1:])
            first, last = f"start{rest}", f"stop{rest}"
        if live:
            last = f"{last} if {live} else 0"
        if self.shape.lanes > 1:
            first = "lane" if first == "0" else f"{first} + lane"
        step = f", {self.shape.lanes}" if self.shape.lanes > 1 else ""
        lines = [f"{INDENT * 2}for {named('j', dims)} in range({first}, {last}{step}):"]
        lines += [INDENT * 3 + line for line in numbered(self.extents, "j", dims)]
        lines += [INDENT * 3 + simple(s) for s in inside]
        totals = [s for s in inside if isinstance(s, Let) and s.joined]
        return lines + (self.joined(totals) if self.shape.lanes > 1 else [])

    def joined(self, totals: Sequence[Let]) -> list[str]:
        """The lanes' totals become the row's, which all of them then know."""
        lines: list[str] = []
        s = self.shape
        away = f" * {s.columns}" if s.across else ""
        home = "column" if s.across else "thread - lane"
        for total in totals:
            shared = self.shared.setdefault(total.code, f"shared_{total.code}")
            other = total.joined.format(f"{shared}[thread]", f"{shared}[thread + half{away}]")
            lines += [
                f"{shared}[thread] = {total.name}",
                f"half = {s.lanes}",
                "while half > 1:",
                f"{INDENT}half //= 2",
                f"{INDENT}cuda.syncthreads()",
                f"{INDENT}if lane < half:",
                f"{INDENT * 2}{shared}[thread] = {other}",
                "cuda.syncthreads()",
                f"{total.name} = {shared}[{home}]",
                "cuda.syncthreads()",
            ]
        return [INDENT * 2 + line for line in lines]


def numbered(extents: Mapping[str, int], name: str, dims: Sequence[int]) -> list[str]:
    """The index of each loop, from the number of an element; one alone is that number."""
    lines = []
    total = math.prod(max(extents[f"n{d}"], 1) for d in dims)
    bits = 32 if total < NARROW else 64
    for d in reversed(dims[1:]):
        lines.append(f"i{d} = remainder{bits}({name}, n{d})")
        rest = f"{name}_{d}" if d != dims[1] else f"i{dims[0]}"
        lines.append(f"{rest} = quotient{bits}({name}, n{d})")
        name = rest
    return lines


def words(text: str) -> set[str]:
    """The names in a text, and whatever else looks like one."""
    return set(re.findall(r"\w+", text))


def named(name: str, dims: Sequence[int]) -> str:
    """What the number of an element is called."""
    return f"i{dims[0]}" if len(dims) == 1 else name


def chain(body: Sequence[Statement], depth: int) -> tuple[list[int], list[Statement]]:
    """The first loops of a nest, at most `depth`, and what is inside of them, in order."""
    dims: list[int] = []
    inside: list[Statement] = []
    while True:
        loops = [s for s in body if isinstance(s, For)]
        if len(dims) == depth or not loops:
            return dims, inside + list(body)
        assert loops == body[-1:], "one loop, last, in each loop"
        inside += body[:-1]
        dims.append(loops[0].dim)
        body = loops[0].body


def _reduces(body: Sequence[Statement]) -> bool:
    """Whether there is a reduction in a nest."""
    return any(
        _reduces(s.body) if isinstance(s, (For, Blocks)) else isinstance(s, Let) and bool(s.joined)
        for s in body
    )
