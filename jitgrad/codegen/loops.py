"""The kernel IR: a fused region as a loop nest, without a target.

A kernel reads and writes flat arrays at affine addresses, in loops over a collapsed index space.
Extents and strides are parameters (`dims`), and so are most numbers: one kernel serves every shape
whose axes collapse alike, and every learning rate. What stays in the text is only what changes the
machine code: which strides are 0, which are short, and the order of the loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jitgrad.ir.types import DType
from jitgrad.passes.access import Affine

LITERAL = 16  # elements: the longest stride, or distance of slices, that is part of the text


@dataclass(frozen=True, slots=True)
class Address:
    """Where a load or store goes: parameter names for the offset and each loop's stride.

    A stride is None where the loop does not move the address, and a number where that is small.
    `steps` are (k, parameter) for each loop that is written out, its k-th round; or k rounds ahead
    of where a loop is.
    """

    offset: str | None
    strides: tuple[str | None, ...]
    steps: tuple[tuple[int, str], ...] = ()

    def at(self, rounds: Mapping[int, int]) -> Address:
        """The address in some rounds of loops that are written out."""
        found = [(k, self.strides[d]) for d, k in rounds.items()]
        steps = tuple((k, stride) for k, stride in found if k and stride is not None)
        rest = tuple(None if d in rounds else s for d, s in enumerate(self.strides))
        return Address(self.offset, rest, steps)

    def ahead(self, dim: int, rounds: int) -> Address:
        """The address so many rounds of a loop later."""
        stride = self.strides[dim] if rounds else None
        if stride is None:
            return self
        return Address(self.offset, self.strides, (*self.steps, (rounds, stride)))

    def moved(self, elements: int) -> Address:
        """The address so many elements further on."""
        if not elements:
            return self
        sign = "-" if elements < 0 else "+"
        begin = f"{self.offset} {sign} {abs(elements)}" if self.offset else str(elements)
        return replace(self, offset=begin)

    def depth(self) -> int:
        """The innermost loop that moves it, -1 for none."""
        return max((d for d, s in enumerate(self.strides) if s is not None), default=-1)


def stride(name: str | None, values: Mapping[str, int]) -> int:
    """How far apart two rounds of a loop lie, for these values of parameters."""
    if name is None:
        return 0
    return values[name] if name in values else int(name)


@dataclass(frozen=True, slots=True)
class Load:
    """name = array[at]."""

    name: str
    array: str
    at: Address
    dtype: DType


@dataclass(frozen=True, slots=True)
class Running:
    """The value of an affine index itself (an iota)."""

    name: str
    at: Address
    dtype: DType


@dataclass(frozen=True, slots=True)
class Let:
    """name = text. Where it is a step of a reduction, `joined` makes two totals one."""

    name: str
    text: str
    joined: str = ""  # of {0} and {1}
    code: str = ""  # what a total is


@dataclass(frozen=True, slots=True)
class Store:
    """array[at] = text."""

    array: str
    at: Address
    text: str
    dtype: DType


@dataclass(slots=True)
class For:
    """A loop over dimension `dim`; "part" loops cover the range that the caller gives.

    With `taken`, each round does so many at once, as far as that goes; with `after`, the loop does
    what such a loop leaves.
    """

    dim: int
    part: bool = False
    body: list[Statement] = field(default_factory=list)
    taken: int = 1
    after: int = 1


@dataclass(slots=True)
class Blocks:
    """The loop over blocks: block c covers dimension 0 from c * block to before the next."""

    body: list[Statement] = field(default_factory=list)


Statement = Load | Running | Let | Store | For | Blocks


@dataclass(frozen=True, slots=True)
class Array:
    """A pointer argument: its name in the text and what it points to."""

    name: str
    dtype: DType


@dataclass(slots=True, eq=False)
class Kernel:
    """One kernel: arrays (inputs, then outputs), integer parameters, and statements."""

    arrays: list[Array]
    parameters: list[str]
    body: list[Statement]
    values: list[int]  # of the parameters, for the shapes it was lowered from
    extent: int  # of the range that the caller splits
    outer: int = 0  # loops around those of its reductions
    partial: int = 0  # blocks of partial results, if it makes such
    work: int = 0  # elements of the index space
    ops: tuple[str, ...] = ()  # that it computes
    notes: list[str] = field(default_factory=list)  # what was decided, and why


class Parameters:
    """Hands out names for run-time integers; equal values in equal roles share nothing, so that
    the text does not depend on accidental equality.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.values: list[int] = []

    def new(self, name: str, value: int) -> str:
        self.names.append(name)
        self.values.append(value)
        return name


@dataclass(frozen=True, slots=True)
class Dimension:
    """A loop after collapsing: the axes of the domain it covers, and its extent."""

    axes: tuple[int, ...]
    extent: int


@dataclass(frozen=True, slots=True)
class Tile:
    """The part of a region that one call runs: `extent` indices of the loop `axis`.

    `inputs` and `outputs` (position, axis) that live for one tile only have `full` indices along
    that axis; if it `adds`, reductions go on from what their results hold.
    """

    axis: int
    extent: int
    full: int
    inputs: tuple[tuple[int, int], ...] = ()
    outputs: tuple[tuple[int, int], ...] = ()
    adds: bool = False


def collapse(
    order: Sequence[tuple[int, ...]],
    domain: Sequence[int],
    accesses: Sequence[Affine],
    tile: Tile | None = None,
) -> list[list[Dimension]]:
    """Merge neighbouring axes, within each run of `order`, that every access walks as one.

    What is cut into tiles stays a loop whatever its extent, and no inner part of another: the last
    tile may be shorter, and runs the same kernel.
    """
    result = []
    for run in order:
        merged: list[Dimension] = []
        for axis in run:
            is_cut = tile is not None and axis == tile.axis
            if domain[axis] == 1 and not is_cut:
                continue
            extent = tile.extent if tile is not None and is_cut else domain[axis]
            new = Dimension((axis,), extent)
            if merged and not is_cut and _walk_as_one(merged[-1], new, accesses):
                last = merged.pop()
                new = Dimension((*last.axes, axis), last.extent * extent)
            merged.append(new)
        result.append(merged)
    return result


def _walk_as_one(outer: Dimension, inner: Dimension, accesses: Sequence[Affine]) -> bool:
    a, b = outer.axes[-1], inner.axes[0]
    return all(
        access.coefficients[a] == access.coefficients[b] * inner.extent for access in accesses
    )


Slices = list[tuple[int, Address]]  # of one array: where each begins, and its address


def place(
    access: Affine,
    stem: str,
    dims: Sequence[Dimension],
    parameters: Parameters,
    vector: int,
    slices: Slices,
) -> Address:
    """Give an access its parameters. Along the `vector` dimension short strides are literals: LLVM
    makes wide loads and shuffles of those, but one load for each element of any other.

    `slices` are the accesses of the same array that differ only in where they begin, and this one
    is added. They share their strides, and what begins near another has its distance as a literal:
    so LLVM has a few pointers to keep, and not one for each slice of a signal.
    """
    for begin, at in slices:
        if abs(access.offset - begin) <= LITERAL:
            return at.moved(access.offset - begin)
    strides = slices[0][1].strides if slices else _strides(access, stem, dims, parameters, vector)
    offset = parameters.new(f"{stem}_o", access.offset) if access.offset else None
    slices.append((access.offset, Address(offset, strides)))
    return slices[-1][1]


def _strides(
    access: Affine, stem: str, dims: Sequence[Dimension], parameters: Parameters, vector: int
) -> tuple[str | None, ...]:
    strides: list[str | None] = []
    for position, dim in enumerate(dims):
        stride = access.coefficients[dim.axes[-1]] if dim.axes else 0
        if stride == 0:
            strides.append(None)
        elif abs(stride) <= LITERAL and position == vector:
            strides.append(str(stride))
        else:
            strides.append(parameters.new(f"{stem}_s{position}", stride))
    return tuple(strides)
