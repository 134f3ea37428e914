"""Maps that read an operand across its rows: tiles of it are turned in shared memory.

Neighbouring threads first read neighbouring elements, along the loop in which those of the operand
lie side by side, then compute along the innermost loop, in which those of the results do. A tile's
rows are one element longer than it is wide, so that a column lies in as many banks of the memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jitgrad.codegen.cpu import INDENT, index, loaded, simple
from jitgrad.codegen.cuda.wide import in_memory
from jitgrad.codegen.loops import Load, Statement, stride

TILE, ROWS = 32, 8  # edge of a tile, and rows of threads that share it
THREADS = TILE * ROWS
SHORT = 8  # extents up to which neighbours do not matter


@dataclass(frozen=True, slots=True)
class Tiles:
    """Loops `last`, along which results lie, and `turned`, along which operands do; `others` are
    around them. `staged` is what is read through shared memory.
    """

    last: int
    turned: int
    others: tuple[int, ...]
    staged: tuple[Load, ...]

    def count(self, values: Mapping[str, int]) -> int:
        """How many tiles there are."""
        both = [-(-values[f"n{d}"] // TILE) for d in (self.last, self.turned)]
        return math.prod([*both, *[values[f"n{d}"] for d in self.others]])


def tiles_of(
    body: Sequence[Statement], dims: Sequence[int], values: Mapping[str, int]
) -> Tiles | None:
    """How a map's loops go through tiles; None where all is read as it lies."""
    loads = [s for s in body if isinstance(s, Load)]
    along = [_along(s, dims, values) for s in loads]
    found = [d for d in along if d is not None]
    if not found:
        return None
    others = tuple(d for d in dims[:-1] if d != found[0])
    staged = tuple(s for s, d in zip(loads, along, strict=True) if d == found[0])
    return Tiles(dims[-1], found[0], others, staged)


def loops(
    body: Sequence[Statement], tiles: Tiles, numbered: Callable[[str, Sequence[int]], list[str]]
) -> list[str]:
    """The lines for all tiles; `numbered` makes loops' indices from the number of an element."""
    last, turned, pitch = f"{tiles.last}", f"{tiles.turned}", TILE + 1
    lines = [
        f"tile_{s.name} = cuda.shared.array({TILE * pitch}, {in_memory(s.dtype)})"
        for s in tiles.staged
    ]
    lines += [
        f"near, far = cuda.threadIdx.x % {TILE}, cuda.threadIdx.x // {TILE}",
        f"wide, high = (n{last} + {TILE - 1}) // {TILE}, (n{turned} + {TILE - 1}) // {TILE}",
        "for tile in range(cuda.blockIdx.x, count, cuda.gridDim.x):",
    ]
    inner = [f"left, top = tile % wide * {TILE}, tile // wide % high * {TILE}"]
    if tiles.others:
        name = f"i{tiles.others[0]}" if len(tiles.others) == 1 else "at"
        inner += [f"{name} = tile // (wide * high)", *numbered("at", tiles.others)]
    reads = [f"tile_{s.name}[q * {pitch} + near] = {s.array}[{index(s.at)}]" for s in tiles.staged]
    inner += _rounds(f"i{last}, i{turned} = left + q, top + near", tiles, reads)
    inner += _rounds(f"i{turned}, i{last} = top + q, left + near", tiles, [
        f"{s.name} = {loaded(f'tile_{s.name}[near * {pitch} + q]', s.dtype)}"
        if isinstance(s, Load) and s in tiles.staged else simple(s) for s in body
    ])  # fmt: skip
    return [INDENT + line for line in (*lines, *(INDENT + line for line in inner))]


def _rounds(indices: str, tiles: Tiles, lines: Sequence[str]) -> list[str]:
    """All threads' elements of a tile, as far as there are such."""
    return [
        f"for q in range(far, {TILE}, {ROWS}):",
        INDENT + indices,
        f"{INDENT}if i{tiles.last} < n{tiles.last} and i{tiles.turned} < n{tiles.turned}:",
        *(INDENT * 2 + line for line in lines),
        "cuda.syncthreads()",
    ]


def _along(s: Load, dims: Sequence[int], values: Mapping[str, int]) -> int | None:
    """The loop along which an operand's elements lie side by side, if the innermost is not it."""
    steps = {d: stride(s.at.strides[d], values) for d in dims}
    if s.at.steps or steps[dims[-1]] in (0, 1) or values[f"n{dims[-1]}"] <= SHORT:
        return None
    beside = [d for d in dims[:-1] if steps[d] == 1 and values[f"n{d}"] > SHORT]
    return beside[0] if beside else None
