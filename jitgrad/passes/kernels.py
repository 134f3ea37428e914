"""From an optimized graph to one whose nodes are kernels: the second half of the passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jitgrad.ir.node import Graph
from jitgrad.passes.batches import batches
from jitgrad.passes.columns import columns
from jitgrad.passes.fuse import fuse
from jitgrad.passes.gather import Fits, gather
from jitgrad.passes.inside import through
from jitgrad.passes.joins import joins
from jitgrad.passes.lanes import lanes_last
from jitgrad.passes.lift import lift
from jitgrad.passes.margins import margins
from jitgrad.passes.nested import nested
from jitgrad.passes.orient import orient
from jitgrad.passes.outside import outside
from jitgrad.passes.parts import parts
from jitgrad.passes.pipeline import dump, optimize
from jitgrad.passes.reciprocals import reciprocals
from jitgrad.passes.sooner import sooner
from jitgrad.passes.squeeze import squeeze
from jitgrad.passes.strips import strips
from jitgrad.passes.unload import unload
from jitgrad.passes.vectors import thin, vectors
from jitgrad.passes.widen import widen, widen_sums

Pass = Callable[..., Graph]
PASSES: tuple[Pass, ...] = (
    unload,  # what loops carry without need
    widen,  # what is accumulated in which dtype
    orient,  # products the way they are read
    vectors,  # products that are reductions
    joins,  # sums of parts that are joins
    columns,  # of short rows
    squeeze,  # no axes of extent 1
    batches,  # one axis for many matrices
    optimize,  # what these have left
    reciprocals,  # of what many are divided by
    sooner,  # sums that need not wait for others
    outside,  # factors of what is summed
    lanes_last,  # long axes inside of short ones
    thin,  # products that are sums of a few
    optimize,
    margins,  # values padded to several places
    nested,  # sums of everything as sums of rows
    lift,  # arrays of constants out of loops
    gather,  # loops and branches, and what is scalar around them
    fuse,  # what shares its loops
    strips,  # what shares one of them
)

# These also rewrite the bodies of loops and branches.
INSIDE: tuple[Pass, ...] = (orient, vectors, joins, reciprocals)
# Where no cache would fit a strip, and products are kernels of our own, which what follows joins.
ON_DEVICE = tuple(widen_sums if p is widen else p for p in PASSES if p not in (strips, thin))


def into_kernels(
    graph: Graph, fits: Fits = lambda node: False, passes: Sequence[Pass] = PASSES
) -> Graph:
    """Choose layouts, and group ops into regions: one kernel each, or one strip of kernels. `fits`:
    whether a node can be part of a kernel with loops and branches.
    """
    for rewrite in passes:
        before = graph
        if rewrite in INSIDE:
            graph = through(rewrite, graph)
        if rewrite is gather:
            graph = through(parts, graph)
        graph = rewrite(graph, fits) if rewrite is gather else rewrite(graph)
        if graph is not before and rewrite is not optimize:
            dump(rewrite.__name__, graph)
    return graph
