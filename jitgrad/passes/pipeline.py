"""The order of the passes, and what can be watched while they run."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from jitgrad import config
from jitgrad.ir.node import Graph
from jitgrad.ir.text import print_graph
from jitgrad.ir.verify import verify
from jitgrad.passes.cse import cse
from jitgrad.passes.dce import dce
from jitgrad.passes.fold import fold
from jitgrad.passes.inside import through
from jitgrad.passes.merge import merge
from jitgrad.passes.ranges import ranges
from jitgrad.passes.settle import settle
from jitgrad.passes.simplify import simplify
from jitgrad.passes.stabilize import stabilize

Pass = Callable[[Graph], Graph]
Watch = Callable[[str, Graph], None]

PASSES: dict[str, Pass] = {
    "cse": cse,
    "fold": fold,
    "simplify": simplify,
    "stabilize": stabilize,
    "merge": merge,
    "ranges": ranges,
    "settle": settle,
    "dce": dce,
}
# Constants first: gradient graphs are full of them, and rules look for numbers.
DEFAULT = ("merge", "ranges", "settle", "cse", "fold", "simplify", "fold", "stabilize", "dce")
ROUNDS = 4


def optimize(graph: Graph, passes: Sequence[str] = DEFAULT, watch: Watch | None = None) -> Graph:
    """Run the passes over and over until none changes the graph, four times at most.

    `watch(name, graph)` sees the result of each pass that was run.
    """
    settled: dict[str, Graph] = {}  # the graph that a pass has been seen to leave alone
    for _ in range(ROUNDS):
        before = graph
        for name in passes:
            if settled.get(name) is not graph:
                graph = settled[name] = run_pass(name, graph)
                if watch is not None:
                    watch(name, graph)
        if graph is before:
            break
    return graph


def run_pass(name: str, graph: Graph) -> Graph:
    """One pass over a graph and its regions: verified, dumped and reported as the settings say."""
    start = time.perf_counter()
    result = PASSES[name](through(PASSES[name], graph))
    if config.get("verify"):
        verify(result)
    if result is not graph:
        dump(name, result)
    if config.get("debug") >= 2:
        spent = (time.perf_counter() - start) * 1e3
        sizes = f"{len(graph.nodes):6d} -> {len(result.nodes):6d} nodes"
        print(f"jitgrad: {name:<10} @{graph.name}: {sizes} {spent:8.2f} ms", file=sys.stderr)
    if config.get("debug") >= 3:
        print(print_graph(result), file=sys.stderr)
    return result


_numbers: defaultdict[str, itertools.count] = defaultdict(itertools.count)


def dump(stage: str, text: Graph | str, suffix: str = "ir") -> None:
    """Write a stage as ``NN_stage.ir`` into the folder JITGRAD_DUMP, if there is one."""
    folder = config.get("dump")
    if folder:
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{next(_numbers[folder]):02d}_{stage}.{suffix}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text if isinstance(text, str) else print_graph(text) + "\n")
