"""One declaration per op. Importing this package fills the table `jitgrad.ir.op.OPS`."""

from jitgrad.primitives import (
    block,
    control,
    conv,
    elementwise,
    gather,
    index,
    linalg,
    pool,
    random,
    reduce,
    scan,
    shape,
    sort,
)

__all__ = [
    "block",
    "control",
    "conv",
    "elementwise",
    "gather",
    "index",
    "linalg",
    "pool",
    "random",
    "reduce",
    "scan",
    "shape",
    "sort",
]
