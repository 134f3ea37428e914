"""One declaration per op. Importing this package fills the table `jitgrad.ir.op.OPS`."""

from jitgrad.primitives import (
    block,
    control,
    conv,
    elementwise,
    factor,
    gather,
    index,
    linalg,
    pool,
    random,
    reduce,
    scan,
    shape,
    solve,
    sort,
    special,
)

__all__ = [
    "block",
    "control",
    "conv",
    "elementwise",
    "factor",
    "gather",
    "index",
    "linalg",
    "pool",
    "random",
    "reduce",
    "scan",
    "shape",
    "solve",
    "sort",
    "special",
]
