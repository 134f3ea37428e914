"""Matrix products and convolutions: tiles in shared memory, blocks of them in registers.

All are one product, c[i, j] = sum over p of a[i, p] b[p, j], and differ in where an element lies.
A convolution's columns are never stored: the tiles are read from the image. A block of 256 threads
makes a tile of c with `16 r` rows and columns, r x r elements a thread, 16 p at a time. Large ones
of float16 go to tensor cores (`tensor`). All totals are float32 at least.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass

from jitgrad.codegen.conv.geometry import Geometry, geometry_of
from jitgrad.codegen.cpu import INDENT
from jitgrad.codegen.cuda import tensor
from jitgrad.codegen.cuda.grid import NARROW, Grid, blocks_for, signature
from jitgrad.codegen.scalar import working
from jitgrad.ir.node import Node
from jitgrad.ir.types import DType, float16
from jitgrad.passes.plan import Step

SIDE = 16  # threads along each side of a tile, and the depth of a step
THREADS = SIDE * SIDE
LARGE = 64  # edges from which a thread makes 4 x 4 elements


@dataclass(frozen=True, slots=True)
class Operand:
    """How an element is read: the lines that make `at` and, unless it is "", the condition `inside`
    under which it is there. `by_depth`: neighbouring elements in memory differ in p.
    """

    lines: tuple[str, ...]
    by_depth: bool
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """The parts of a text: `store` makes `at` for an element (i, j) of the result; `integers` are
    the names that the lines use, m, n, k and batches among them.
    """

    dtype: DType
    a: Operand
    b: Operand
    store: tuple[str, ...]
    integers: tuple[str, ...]
    accumulate: bool = False


def text_of(product: Product, r: int) -> str:
    """The kernel's text, with r x r elements a thread; 0 for tensor cores."""
    edge = SIDE * (r or 4)
    tile, inner = _on_tensor_cores(product) if r == 0 else _in_registers(product, r)
    body = [
        f"tile_a = cuda.shared.array({tile})",
        f"tile_b = cuda.shared.array({tile})",
        "thread = cuda.threadIdx.x",
        *(LANES if r == 0 else (f"row = thread // {SIDE}", f"column = thread % {SIDE}")),
        f"rows = (m + {edge - 1}) // {edge}",
        f"columns = (n + {edge - 1}) // {edge}",
        "for tile in range(cuda.blockIdx.x, rows * columns * batches, cuda.gridDim.x):",
        f"{INDENT}batch = tile // (rows * columns)",
        f"{INDENT}i0 = tile // columns % rows * {edge}",
        f"{INDENT}j0 = tile % columns * {edge}",
        *(INDENT + line for line in inner),
    ]
    head = signature(["a", "b", "c", *product.integers])
    return "\n".join([head, *(INDENT + line for line in body), ""])


def _in_registers(product: Product, r: int) -> tuple[str, list[str]]:
    """What a tile is, and the lines for one of the result: r x r elements a thread."""
    code, pitch = working(product.dtype).code, SIDE * r + 1
    unpack = "unpack_f16({})" if product.dtype is float16 else "{}"
    at = f"q * {pitch} + e"
    step = [
        *_load("tile_a", at, "a", "i", "m", product.a, code, unpack, r),
        *_load("tile_b", at, "b", "j", "n", product.b, code, unpack, r),
        "cuda.syncthreads()",
        f"for q in range({SIDE}):",
    ]
    rounds = range(r)
    both = [(x, y) for x in rounds for y in rounds]
    ahead = [f"left{x} = tile_a[q * {pitch} + row + {SIDE * x}]" for x in rounds]
    ahead += [f"right{y} = tile_b[q * {pitch} + column + {SIDE * y}]" for y in rounds]
    ahead += [
        f"c{x}{y} = {_multiplied(product.dtype, f'c{x}{y}', f'left{x}', f'right{y}')}"
        for x, y in both
    ]
    step += [*(INDENT + line for line in ahead), "cuda.syncthreads()"]
    lines = [f"c{x}{y} = {code}(0)" for x, y in both]
    lines += [f"for p0 in range(0, k, {SIDE}):", *(INDENT + line for line in step)]
    for x, y in both:
        lines += _store(product, f"c{x}{y}", f"row + {SIDE * x}", f"column + {SIDE * y}")
    return f"{SIDE * pitch}, {code}", lines


# Eight warps share a tile: four below each other, two side by side.
LANES = (
    "lane, warp = thread % 32, thread // 32",
    f"row, column = warp % 4 * {tensor.ROWS}, warp // 4 * {4 * tensor.COLUMNS}",
)


def _on_tensor_cores(product: Product) -> tuple[str, list[str]]:
    """The same for tensor cores: 16 x 32 elements a warp."""
    pitch, edge = tensor.PITCH, 4 * SIDE
    at = f"e * {pitch} + q"
    step = [
        *_load("tile_a", at, "a", "i", "m", product.a, "u16", "{}", 4),
        *_load("tile_b", at, "b", "j", "n", product.b, "u16", "{}", 4),
        "cuda.syncthreads()",
    ]
    names = [[f"c{y}{k}" for k in range(4)] for y in range(4)]
    for y, held in enumerate(names):
        places = f"tile_a, row * {pitch}, tile_b, (column + {tensor.COLUMNS * y}) * {pitch}"
        four = ", ".join(held)
        step.append(f"{four} = mma_f16({places}, lane, {four})")
    step.append("cuda.syncthreads()")
    lines = [f"{name} = f32(0)" for held in names for name in held]
    lines += [f"for p0 in range(0, k, {tensor.DEPTH}):", *(INDENT + line for line in step)]
    for y, held in enumerate(names):
        for k, name in enumerate(held):
            down = "row + lane // 4" + (" + 8" if k > 1 else "")
            lines += _store(product, name, down, f"column + lane % 4 * 2 + {8 * y + k % 2}")
    return f"{edge * pitch}, u16", lines


def with_division(text: str, largest: int) -> str:
    """The text with divisions of the width that its numbers need."""
    bits = 32 if largest < NARROW else 64
    return re.sub(r"\b(quotient|remainder)\(", rf"\g<1>{bits}(", text)


def _multiplied(dtype: DType, total: str, a: str, b: str) -> str:
    text = f"{total} + {a} * {b}"
    return text if working(dtype).is_float else f"to_{dtype.code}({text})"


def _load(
    tile: str,
    place: str,
    array: str,
    index: str,
    extent: str,
    operand: Operand,
    code: str,
    unpack: str,
    r: int,
) -> list[str]:
    """The lines by which the threads of a block load a tile of an operand, `16 r` long: its
    element (q, e) to a `place`.
    """
    lines, edge = [], SIDE * r
    for round in range(r):
        if operand.by_depth:  # neighbouring threads take neighbouring p
            lines.append(f"q, e = thread % {SIDE}, thread // {SIDE} + {SIDE * round}")
        else:
            at = f"(thread + {THREADS * round})" if round else "thread"
            lines.append(f"q, e = {at} // {edge}, {at} % {edge}")
        lines += [f"p, {index} = p0 + q, {index}0 + e", f"value = {code}(0)"]
        lines.append(f"if p < k and {index} < {extent}:")
        read = unpack.format(f"{array}[at]")
        found = [*operand.lines]
        if operand.inside:
            found += [f"if {operand.inside}:", f"{INDENT}value = {read}"]
        else:
            found.append(f"value = {read}")
        lines += [INDENT + line for line in found]
        lines.append(f"{tile}[{place}] = value")
    return lines


def _store(product: Product, total: str, down: str, across: str) -> list[str]:
    is_half = product.dtype is float16
    if product.accumulate:
        old = "unpack_f16(c[at])" if is_half else "c[at]"
        total = f"{old} + {total}"
        if not working(product.dtype).is_float:
            total = f"to_{product.dtype.code}({total})"
    stored = f"pack_f16({total})" if is_half else total
    return [
        f"i, j = i0 + {down}, j0 + {across}",
        "if i < m and j < n:",
        *(INDENT + line for line in product.store),
        f"{INDENT}c[at] = {stored}",
    ]


def grid_of(
    product: Product,
    pointers: tuple,
    sizes: tuple[int, int, int],
    batches: int,
    dims: dict[str, int],
) -> Grid:
    """The launch of a product of these sizes; `dims` has the integers that it names."""
    m, n, k = sizes
    r = 4 if min(m, n) >= LARGE else 2 if min(m, n) > SIDE else 1
    if product.dtype is float16 and min(m, n) >= LARGE // 2 and k >= tensor.DEPTH:
        r = 0
    edge = SIDE * (r or 4)
    tiles = -(-m // edge) * -(-n // edge) * batches
    given = {"m": m, "n": n, "k": k, "batches": batches, **dims}
    code = product.dtype.code
    moved = batches * (m * k + k * n + m * n) * product.dtype.size
    text = with_division(text_of(product, r), max(m, n, k) * batches)
    return Grid(
        text, pointers, (code,) * 3, tuple(given[i] for i in product.integers),
        blocks_for(tiles, 1), THREADS, moved, 2 * batches * m * n * k,
    )  # fmt: skip


# --- matrix products ----------------------------------------------------------------------------

SIZES = ("m", "n", "k", "batches")


def matmul(step: Step, accumulate: bool = False) -> list[Grid]:
    """Batched products; an operand may be stored with its last two axes swapped."""
    node = _node(step)
    left, right = (x.op.kind == "view" and "perm" in x.attrs for x in node.inputs)
    a = "at = (batch * k + p) * m + i" if left else "at = (batch * m + i) * k + p"
    b = "at = (batch * n + j) * k + p" if right else "at = (batch * k + p) * n + j"
    store = ("at = (batch * m + i) * n + j",)
    product = Product(
        node.dtype, Operand((a,), not left), Operand((b,), right), store, SIZES,
        accumulate=accumulate,
    )  # fmt: skip
    sizes = node.shape[-2], node.shape[-1], node.inputs[0].shape[-1]
    pointers = (step.reads[0], step.reads[1], step.writes[0])
    return [grid_of(product, pointers, sizes, math.prod(node.shape[:-2]), {})]


def _node(step: Step) -> Node:
    assert step.node is not None
    return step.node


# --- convolutions -------------------------------------------------------------------------------

IMAGE = ("channels", "filters", "groups", "h", "w", "kh", "kw", "oh", "ow")
STRIDES = ("sy", "sx", "dy", "dx", "top", "left")
NAMES = (*SIZES, *IMAGE, *STRIDES)
# An element of the image under element (y, x) of the window at (oy, ox) of the result.
UNDER = ("py, px = oy * sy + y * dy - top, ox * sx + x * dx - left",)
WITHIN = "py >= 0 and py < h and px >= 0 and px < w"
IN_IMAGE = "at = ((image * groups + batch) * channels + channel) * h * w + py * w + px"
IN_RESULT = "at = ((image * groups + batch) * filters + {0}) * oh * ow + oy * ow + ox"


def _split(number: str, *names: str) -> tuple[str, ...]:
    """A number of three digits: (first, second, third) with the extents of the last two."""
    first, second, third, n2, n3 = names
    return (
        f"{third} = remainder({number}, {n3})",
        f"{second} = remainder(quotient({number}, {n3}), {n2})",
        f"{first} = quotient({number}, {n2} * {n3})",
    )


def conv2d(step: Step) -> list[Grid]:
    """c[filter, (image, oy, ox)] = sum over (channel, y, x) of the filter times the image."""
    node = _node(step)
    g = geometry_of(node, node.inputs[0].shape, node.inputs[1].shape, node.shape)
    a = Operand(("at = (batch * filters + i) * k + p",), True)
    place = _split("j", "image", "oy", "ox", "oh", "ow")
    b = Operand(
        (*place, *_split("p", "channel", "y", "x", "kh", "kw"), *UNDER, IN_IMAGE), False, WITHIN
    )
    store = (*place, IN_RESULT.format("i"))
    (x, w), out = step.reads, step.writes[0]
    return _convolution(g, a, b, store, (w, x, out), (g.filters, _places(g), _taps(g)))


def conv2d_weight(step: Step) -> list[Grid]:
    """c[filter, (channel, y, x)] = sum over (image, oy, ox) of the cotangent times the image."""
    node = _node(step)
    g = geometry_of(node, node.inputs[0].shape, node.shape, node.inputs[1].shape)
    place = _split("p", "image", "oy", "ox", "oh", "ow")
    a = Operand((*place, IN_RESULT.format("i")), True)
    b = Operand(
        (*place, *_split("j", "channel", "y", "x", "kh", "kw"), *UNDER, IN_IMAGE), True, WITHIN
    )
    store = ("at = (batch * filters + i) * n + j",)
    (x, cotangent), out = step.reads, step.writes[0]
    return _convolution(g, a, b, store, (cotangent, x, out), (g.filters, _taps(g), _places(g)))


def conv2d_input(step: Step) -> list[Grid]:
    """c[channel, (image, py, px)] = sum over (filter, y, x) of the filter times the cotangent that
    the element went into there.
    """
    node = _node(step)
    g = geometry_of(node, node.shape, node.inputs[1].shape, node.inputs[0].shape)
    window = _split("p", "filter", "y", "x", "kh", "kw")
    a = Operand(
        (*window, "at = (((batch * filters + filter) * channels + i) * kh + y) * kw + x"), True
    )
    place = _split("j", "image", "py", "px", "h", "w")
    under = ("fy, fx = py + top - y * dy, px + left - x * dx", "oy, ox = fy // sy, fx // sx")
    inside = "fy >= 0 and fx >= 0 and fy % sy == 0 and fx % sx == 0 and oy < oh and ox < ow"
    b = Operand((*place, *window, *under, IN_RESULT.format("filter")), False, inside)
    store = (*place, "at = ((image * groups + batch) * channels + i) * h * w + py * w + px")
    (cotangent, w), out = step.reads, step.writes[0]
    sizes = g.channels, g.images * g.rows.size * g.columns.size, g.filters * g.area
    return _convolution(g, a, b, store, (w, cotangent, out), sizes)


def _places(g: Geometry) -> int:
    return g.images * g.rows.out * g.columns.out


def _taps(g: Geometry) -> int:
    return g.channels * g.area


def _convolution(
    g: Geometry, a: Operand, b: Operand, store: tuple, pointers: tuple, sizes: tuple[int, int, int]
) -> list[Grid]:
    along = [(r, c) for r, c in zip(dataclasses.astuple(g.rows), dataclasses.astuple(g.columns))]
    size, kernel, out, stride, dilation, before = along
    image = (g.channels, g.filters, g.groups, *size, *kernel, *out)
    values = (*image, *stride, *dilation, *before)
    dims: dict[str, int] = dict(zip((*IMAGE, *STRIDES), values, strict=True))
    product = Product(g.dtype, a, b, store, NAMES)
    return [grid_of(product, pointers, sizes, g.groups, dims)]
