"""A small graph as one Python function on arrays, with a line for each node.

The tape runs such functions thousands of times, so they are written out and compiled by Python:
nothing is looked up, and nothing computed that does not depend on the arguments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.ir.interp import evaluate
from jitgrad.ir.node import Graph, Node


@functools.lru_cache(maxsize=8192)
def straight(graph: Graph) -> Callable[..., tuple[np.ndarray, ...]]:
    """The function: arrays for the inputs, a tuple of arrays for the outputs.

    NumPy makes scalars of what has no axes. Between elementwise ops they may stay such; whoever
    else reads them gets an array.
    """
    names = {node: f"x{i}" for i, node in enumerate(graph.inputs)}
    arrays = {*graph.outputs}
    for node in graph.nodes:
        if node.op.kind != "elementwise":
            arrays.update(node.inputs)
    scope: dict[str, Any] = {"asarray": np.asarray}
    lines = [f"def pull({', '.join(names.values())}):"]
    for i, node in enumerate(graph.nodes):
        if node in names:
            continue
        name = names[node] = f"v{i}"
        if not node.inputs:
            scope[name] = evaluate(node, [])
            continue
        scope[f"f{i}"] = (
            functools.partial(node.op.numpy, **node.attrs) if node.attrs else node.op.numpy
        )
        value = f"f{i}({', '.join(names[x] for x in node.inputs)})"
        lines.append(f"    {name} = {f'asarray({value})' if _scalar(node, arrays) else value}")
    lines.append(f"    return ({''.join(f'{names[o]}, ' for o in graph.outputs)})")
    exec("\n".join(lines), scope)  # names made here, and functions of our table
    return scope["pull"]


def _scalar(node: Node, arrays: set[Node]) -> bool:
    """Whether what NumPy gives may be a scalar that is wanted as an array."""
    return node in arrays and getattr(node.type, "shape", None) == ()
