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
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jitgrad.codegen.conv.geometry import Geometry, geometry_of
from jitgrad.codegen.cpu import INDENT
from jitgrad.codegen.cuda import tensor
from jitgrad.codegen.cuda.grid import NARROW, Grid, blocks_for, signature
from jitgrad.codegen.launch import Pointer
from jitgrad.codegen.scalar import working
from jitgrad.ir.node import Node
from jitgrad.ir.types import DType, float16
from jitgrad.passes.plan import Buffer, Step

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


@dataclass(frozen=True, slots=True)
class Call:
    """A product with what it is called with: pointers to a, b and c, the sizes m, n and k, and the
    integers beside them.
    """

    product: Product
    pointers: tuple[Pointer, ...]
    sizes: tuple[int, int, int]
    batches: int
    dims: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done with an element instead of storing it in c: lines about `{total}` at `at`, and
    the arrays and integers that these name.
    """

    lines: tuple[str, ...]
    arrays: tuple[str, ...]
    codes: tuple[str, ...]
    pointers: tuple[Pointer, ...]
    integers: Mapping[str, int]
    work: int


def _stored(dtype: DType) -> Finish:
    """The usual: it is stored."""
    total = "pack_f16({total})" if dtype is float16 else "{total}"
    return Finish((f"c[at] = {total}",), ("c",), (dtype.code,), (), {}, 0)


def text_of(product: Product, r: int, end: Finish) -> str:
    """The kernel's text, with r x r elements a thread; 0 for tensor cores."""
    edge = SIDE * (r or 4)
    tile, inner = _on_tensor_cores(product, end) if r == 0 else _in_registers(product, r, end)
    body = [
        f"tile_a = cuda.shared.array({tile})",
        f"tile_b = cuda.shared.array({tile})",
        "thread = cuda.threadIdx.x",
        *(LANES if r == 0 else (f"row = thread // {SIDE}", f"column = thread % {SIDE}")),
        f"rows = (m + {edge - 1}) // {edge}",
        f"columns = (n + {edge - 1}) // {edge}",
        "for tile in range(cuda.blockIdx.x, rows * columns * batches, cuda.gridDim.x):",
        f"{INDENT}batch = tile // (rows * columns)",
        f"{INDENT}from_i = tile // columns % rows * {edge}",
        f"{INDENT}from_j = tile % columns * {edge}",
        *(INDENT + line for line in inner),
    ]
    head = signature(["a", "b", *end.arrays, *product.integers, *end.integers])
    return "\n".join([head, *(INDENT + line for line in body), ""])


def _in_registers(product: Product, r: int, end: Finish) -> tuple[str, list[str]]:
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
        lines += _finished(product, end, f"c{x}{y}", f"row + {SIDE * x}", f"column + {SIDE * y}")
    return f"{SIDE * pitch}, {code}", lines


# Eight warps share a tile: four below each other, two side by side.
LANES = (
    "lane, warp = thread % 32, thread // 32",
    f"row, column = warp % 4 * {tensor.ROWS}, warp // 4 * {4 * tensor.COLUMNS}",
)


def _on_tensor_cores(product: Product, end: Finish) -> tuple[str, list[str]]:
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
            lines += _finished(product, end, name, down, f"column + lane % 4 * 2 + {8 * y + k % 2}")
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
        lines += [f"p, {index} = p0 + q, from_{index} + e", f"value = {code}(0)"]
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


def _finished(product: Product, end: Finish, total: str, down: str, across: str) -> list[str]:
    return [
        f"i, j = from_i + {down}, from_j + {across}",
        "if i < m and j < n:",
        *(INDENT + line for line in product.store),
        *(INDENT + line.replace("{total}", total) for line in end.lines),
    ]


def grid_of(call: Call, end: Finish | None = None) -> Grid:
    """The launch of a product, and of what is done with its elements at once."""
    product, (m, n, k) = call.product, call.sizes
    pointers, finish = call.pointers, _stored(product.dtype)
    if end is not None:
        pointers, finish = (*call.pointers[:2], *end.pointers), end
    r = 4 if min(m, n) >= LARGE else 2 if min(m, n) > SIDE else 1
    if product.dtype is float16 and min(m, n) >= LARGE // 2 and k >= tensor.DEPTH:
        r = 0
    edge = SIDE * (r or 4)
    tiles = -(-m // edge) * -(-n // edge) * call.batches
    given = {"m": m, "n": n, "k": k, "batches": call.batches, **call.dims}
    code = product.dtype.code
    read = call.batches * (m * k + k * n) * product.dtype.size
    moved = read + sum(p.nbytes for p in pointers[2:] if isinstance(p, Buffer))
    text = with_division(text_of(product, r, finish), max(m, n, k) * call.batches)
    dims = *(given[i] for i in product.integers), *finish.integers.values()
    work = 2 * call.batches * m * n * k + finish.work
    codes = (code, code, *finish.codes)
    return Grid(text, pointers, codes, dims, blocks_for(tiles, 1), THREADS, moved, work)


# --- matrix products ----------------------------------------------------------------------------

SIZES = ("m", "n", "k", "batches")


def matmul(step: Step) -> Call:
    """Batched products; an operand may be stored with its last two axes swapped."""
    node = _node(step)
    left, right = (x.op.kind == "view" and "perm" in x.attrs for x in node.inputs)
    a = "at = (batch * k + p) * m + i" if left else "at = (batch * m + i) * k + p"
    b = "at = (batch * n + j) * k + p" if right else "at = (batch * k + p) * n + j"
    store = ("at = (batch * m + i) * n + j",)
    product = Product(node.dtype, Operand((a,), not left), Operand((b,), right), store, SIZES)
    sizes = node.shape[-2], node.shape[-1], node.inputs[0].shape[-1]
    pointers = (step.reads[0], step.reads[1], step.writes[0])
    return Call(product, pointers, sizes, math.prod(node.shape[:-2]), {})


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


def conv2d(step: Step) -> Call:
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


def conv2d_weight(step: Step) -> Call:
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


def conv2d_input(step: Step) -> Call:
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
) -> Call:
    along = [(r, c) for r, c in zip(dataclasses.astuple(g.rows), dataclasses.astuple(g.columns))]
    size, kernel, out, stride, dilation, before = along
    image = (g.channels, g.filters, g.groups, *size, *kernel, *out)
    values = (*image, *stride, *dilation, *before)
    dims: dict[str, int] = dict(zip((*IMAGE, *STRIDES), values, strict=True))
    product = Product(g.dtype, a, b, store, NAMES)
    return Call(product, pointers, sizes, g.groups, dims)


CALLS = {
    "matmul": matmul,
    "conv2d": conv2d,
    "conv2d_input": conv2d_input,
    "conv2d_weight": conv2d_weight,
}


def _rule(call: Callable[[Step], Call]) -> Callable[[Step], list[Grid]]:
    return lambda step: [grid_of(call(step))]


RULES = {name: _rule(call) for name, call in CALLS.items()}
