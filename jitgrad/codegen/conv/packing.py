"""How images are packed for sums over them, and how sums get to their places.

There are two ways. *Shifts*: each image lies there once, with its border of zeros, and an element
of the kernel meets it at a distance from the output's place. *Patches*: there is a copy for every
element of the kernel, of just what it meets, and the images lie side by side. They take more
memory, and more time to pack; but no sums are made beside the outputs, and small images fill whole
vectors.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import conv
from jitgrad.codegen.conv.geometry import Geometry
from jitgrad.codegen.launch import Launch, Pointer
from jitgrad.ir.types import DType

Pair = tuple[int, int]
Shifts = tuple[Pair, ...]  # of each element of the kernel, in the packed image and in w


@dataclass(frozen=True, slots=True)
class Packed:
    """How the planes of images are packed: `size` elements for each phase, rows at a pitch.

    A phase is every `step`-th row and column of an image from its origin on.
    """

    source: Pair
    step: Pair
    origins: tuple[Pair, ...]
    rows: int
    pitch: int
    size: int
    beside: int = 0  # images that lie side by side in a plane, unless each has its own

    @property
    def plane(self) -> int:
        """Elements of all phases of a plane."""
        return self.size * len(self.origins)

    @property
    def is_source(self) -> bool:
        """Whether images are packed as they are."""
        alone = not self.beside and self.origins == ((0, 0),) and self.step == (1, 1)
        return alone and self.source == (self.rows, self.pitch) and self.size == _area(self.source)

    @property
    def time(self) -> int:
        """Half cycles for a plane of one image."""
        return sum(moving(rows, columns, self.step[1]) for _, _, rows, columns in self.parts())

    def parts(self) -> list[tuple[int, int, int, int]]:
        """What is copied for each phase: from where in the source, where to, rows and columns."""
        (high, wide), (down, right) = self.source, self.step
        found = []
        for y, x in self.origins:
            rows, columns = _inside(y, down, high, self.rows), _inside(x, right, wide, self.pitch)
            start = (y + rows.start * down) * wide + x + columns.start * right
            sizes = len(rows), len(columns)
            if self.step == (1, 1) and sizes[1] == wide == self.pitch:
                sizes = 1, _area(sizes)
            found.append((start, rows.start * self.pitch + columns.start, *sizes))
        return found

    def launch(
        self, dtype: DType, source: Pointer, target: Pointer, images: int, channels: int
    ) -> Launch:
        """Pack some images."""
        planes, (down, right) = images * channels, self.step
        dims = [
            _area(self.source), channels if self.beside else planes, max(self.beside, 1),
            self.rows * self.pitch, self.size, self.pitch, down * self.source[1], right,
            len(self.origins), *itertools.chain(*self.parts()),
        ]  # fmt: skip
        text = conv.pack(dtype.code, right)
        return Launch(text, (source, target), tuple(dims), planes, planes * self.plane)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the sums of a plane belong: rows and columns from `start` on, some steps apart."""

    rows: int
    columns: int
    pitch: int  # of sums
    plane: int  # elements of a plane, where they belong
    start: int
    row_step: int
    step: int

    @property
    def sizes(self) -> Pair:
        """Rows and columns; rows that follow each other on both sides are a single one."""
        alike = self.pitch == self.columns and self.row_step == self.columns * self.step
        return (1, self.rows * self.columns) if alike else (self.rows, self.columns)

    def is_target(self, row: int) -> bool:
        """Whether sums, of which a plane has `row`, are where they belong."""
        return self.sizes == (1, row) and row == self.plane

    @property
    def time(self) -> int:
        """Half cycles for a plane."""
        return moving(*self.sizes, self.step)

    def launch(
        self, dtype: DType, sums: Pointer, target: Pointer, planes: Pair, row: int, image: int
    ) -> Launch:
        """Place the sums of so many images and planes of each. In a plane of `row` sums, an image
        has `image`; if 0, each has planes of its own.
        """
        count = _area(planes)
        dims = (
            row, self.pitch, *self.sizes, self.start, self.plane, self.row_step, self.step,
            planes[1] if image else count, image,
        )  # fmt: skip
        work = count * self.rows * self.columns
        return Launch(conv.unpack(dtype.code), (sums, target), dims, count, work)


def moving(rows: int, columns: int, step: int) -> int:
    """Half cycles in which so many elements are copied."""
    return rows * (20 + columns * (1 if step == 1 else 3))


def _area(pair: Pair) -> int:
    return pair[0] * pair[1]


def _inside(first: int, step: int, size: int, count: int) -> range:
    """The i < count for which first + i * step is inside of an image of some size."""
    start = min(max(-(first // step), 0), count)
    return range(start, max(min((size - 1 - first) // step + 1, count), start))


def whole(count: int, dtype: DType) -> int:
    """So many elements in whole vectors."""
    lanes = registers.lanes(dtype.code)
    return -(-count // lanes) * lanes


def pitch_of(before: int, size: int, columns: int) -> int:
    """Elements from row to row: the zeros behind one row are those before the next."""
    behind = columns - before - size
    return columns - max(min(before, behind), 0)


# --- x, for the places of the outputs -------------------------------------------------------------


def image_pitch(g: Geometry) -> int:
    """The pitch at which x is packed for shifts."""
    c = g.columns
    wide = c.out + c.reach
    return pitch_of(c.before, c.size, wide) if c.stride == 1 else wide


def places_of(g: Geometry, pitch: int) -> int:
    """Places of the outputs, from the first to the last, in whole vectors."""
    return whole((g.rows.out - 1) * pitch + g.columns.out, g.dtype)


def shifted(g: Geometry, span: int, pitch: int) -> tuple[Packed, Shifts]:
    """x's planes as they are. `span`: places that are read from each shift on."""
    r, c = g.rows, g.columns
    size = whole(r.reach * pitch + c.reach + span, g.dtype)
    shifts = tuple(
        (
            (i % r.phases * c.phases + k % c.phases) * size
            + i * r.dilation // r.stride * pitch
            + k * c.dilation // c.stride,
            i * c.kernel + k,
        )
        for i in range(r.kernel)
        for k in range(c.kernel)
    )
    origins = tuple(
        (i * r.dilation % r.stride - r.before, k * c.dilation % c.stride - c.before)
        for i in range(r.phases)
        for k in range(c.phases)
    )
    step = r.stride, c.stride
    return Packed((r.size, c.size), step, origins, r.out + r.reach, pitch, size), shifts


def patches(g: Geometry, images: int, size: int) -> tuple[Packed, Shifts]:
    """What each element of the kernel meets of x."""
    r, c = g.rows, g.columns
    origins = tuple(
        (i * r.dilation - r.before, k * c.dilation - c.before)
        for i in range(r.kernel)
        for k in range(c.kernel)
    )
    source, step = (r.size, c.size), (r.stride, c.stride)
    packed = Packed(source, step, origins, r.out, c.out, size, images)
    return packed, tuple((t * size, t) for t in range(g.area))
