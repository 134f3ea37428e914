"""Products of float16 on tensor cores: warps multiply tiles of shared memory, and add in float32.

A step is 16 x 8 results of 16 products each, two instructions `mma.sync.m16n8k8`, which all
architectures from sm 75 on have. Their operands are bits as they lie in memory, two at a time: the
tiles have rows of p for each i and each j. In plain Python a thread computes the four results that
the instruction would leave it, from the same elements of the tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DEPTH = 16  # products of a step
PITCH = DEPTH + 8  # elements from row to row: eight rows lie in different banks
ROWS, COLUMNS = 16, 8  # results of a step
ASSEMBLY = (
    "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32"
    " {$0, $1, $2, $3}, {$4, $5}, {$6}, {$7, $8, $9, $10};"
)
CONSTRAINTS = "=f,=f,=f,=f,r,r,r,f,f,f,f"


def intrinsic() -> Any:
    """`mma_f16(tile_a, at_a, tile_b, at_b, lane, c0, c1, c2, c3)`: the four with the step added."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    word, single = ir.IntType(32), ir.FloatType()
    four = ir.LiteralStructType([single] * 4)
    instruction = ir.FunctionType(four, [word] * 3 + [single] * 4)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        tile_a, at_a, tile_b, at_b, lane, *totals = args
        halves = [
            context.make_array(kind)(context, builder, tile).data
            for kind, tile in zip((signature.args[0], signature.args[2]), (tile_a, tile_b))
        ]
        size = lane.type
        row, pair = builder.udiv(lane, size(4)), builder.urem(lane, size(4))
        here = builder.add(builder.mul(row, size(PITCH)), builder.mul(pair, size(2)))

        def two(tile: Any, at: Any, further: int) -> Any:
            """Two neighbouring elements, as a word."""
            place = builder.add(builder.add(at, here), size(further))
            return builder.load(builder.bitcast(builder.gep(tile, [place]), word.as_pointer()))

        for p in (0, DEPTH // 2):
            left = [two(halves[0], at_a, p), two(halves[0], at_a, p + ROWS // 2 * PITCH)]
            given = [*left, two(halves[1], at_b, p), *totals]
            made = builder.asm(instruction, ASSEMBLY, CONSTRAINTS, given, True)
            totals = [builder.extract_value(made, k) for k in range(4)]
        return context.make_tuple(builder, signature.return_type, totals)

    def typer(context: Any, tile_a: Any, at_a: Any, tile_b: Any, at_b: Any, lane: Any,
              c0: Any, c1: Any, c2: Any, c3: Any) -> Any:  # fmt: skip
        places = tile_a, types.int64, tile_b, types.int64, types.int64
        single = types.float32
        return types.UniTuple(single, 4)(*places, *[single] * 4), codegen

    typer.__name__ = typer.__qualname__ = "mma_f16"
    return intrinsic(typer)


def in_python(unpack: Callable[[Any], Any]) -> Callable[..., tuple]:
    """The same in plain Python; `unpack` makes a float32 of the bits of a float16."""

    def mma_f16(tile_a: Any, at_a: int, tile_b: Any, at_b: int, lane: int, *totals: Any) -> tuple:
        row, column = lane // 4, lane % 4 * 2
        places = [(row, column), (row, column + 1), (row + 8, column), (row + 8, column + 1)]
        return tuple(
            sum(
                (
                    unpack(tile_a[at_a + i * PITCH + p]) * unpack(tile_b[at_b + j * PITCH + p])
                    for p in range(DEPTH)
                ),
                total,
            )
            for (i, j), total in zip(places, totals)
        )

    return mma_f16
