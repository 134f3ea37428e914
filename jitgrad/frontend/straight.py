"""A small graph as one Python function on arrays, with a line for each node.

The tape runs such functions thousands of times, so they are written out and compiled by Python:
nothing is looked up, and nothing computed that does not depend on the arguments.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad.ir.interp import evaluate
from jitgrad.ir.node import Graph, Node
from jitgrad.primitives.reference import NAMESPACE
from jitgrad.primitives.shape import broadcast


@functools.lru_cache(maxsize=8192)
def straight(graph: Graph) -> Callable[..., tuple[np.ndarray, ...]]:
    """The function: arrays for the inputs, a tuple of arrays for the outputs.

    What has no axes is a scalar of NumPy's between elementwise ops, which is faster; whoever else
    reads it gets an array.
    """
    names = {node: f"x{i}" for i, node in enumerate(graph.inputs)}
    reads = {node: _read(node) for node in graph.nodes}
    arrays, used = {*graph.outputs}, {*graph.outputs}
    for node in reversed(graph.nodes):
        if node in used:
            used.update(reads[node])
            if not _is_inline(node):
                arrays.update(node.inputs)
    scope: dict[str, Any] = {**NAMESPACE, "asarray": np.asarray}
    lines = [f"def pull({', '.join(names.values())}):"]
    scalars = [x for node, x in names.items() if node not in arrays and node.shape == ()]
    lines += [f"    {x} = {x}[()]" for x in scalars]
    for i, node in enumerate(graph.nodes):
        if node in names or node not in used:
            continue
        name = names[node] = f"v{i}"
        if not node.inputs:
            scope[name] = evaluate(node, [])
            continue
        operands = [names[x] for x in reads[node]]
        if _is_inline(node):
            value = _written(node.op.scalar, dict(zip(node.op.operands, operands, strict=True)))
        else:
            scope[f"f{i}"] = node.op.numpy
            value = _call(f"f{i}", operands, node.attrs, scope)
        scalar = node in arrays and getattr(node.type, "shape", None) == ()
        lines.append(f"    {name} = {f'asarray({value})' if scalar else value}")
    lines.append(f"    return ({''.join(f'{names[o]}, ' for o in graph.outputs)})")
    exec("\n".join(lines), scope)  # names made here, and functions of our tables
    return scope["pull"]


def spelled(function: Callable[..., Any], attrs: Mapping[str, Any]) -> Callable[..., Any]:
    """A function of arrays with its other arguments, written as a call: `functools.partial` takes
    several times as long.
    """
    scope: dict[str, Any] = {"f": function}
    return eval(f"lambda *arrays: {_call('f', ['*arrays'], attrs, scope)}", scope)


def _call(name: str, operands: Sequence[str], attrs: Mapping[str, Any], scope: dict) -> str:
    """A call whose keyword arguments are constants in the scope."""
    scope |= {f"{name}_{key}": value for key, value in attrs.items()}
    return f"{name}({', '.join([*operands, *[f'{key}={name}_{key}' for key in attrs]])})"


def _read(node: Node) -> Sequence[Node]:
    """What a line reads: what is broadcast as NumPy does it by itself is read as it is."""
    spread = [x.op is broadcast and _is_trailing(x) for x in node.inputs]
    if not _is_inline(node) or all(spread):
        return node.inputs
    return [x.inputs[0] if s else x for x, s in zip(node.inputs, spread, strict=True)]


def _is_trailing(node: Node) -> bool:
    """Whether a broadcast's operand has the last axes of its result."""
    dims, ndim = node.attrs["dims"], node.ndim
    return dims == tuple(range(ndim - len(dims), ndim))


def _is_inline(node: Node) -> bool:
    """Whether a node is a line of its own: one expression, the same for scalars and arrays."""
    return node.op.kind == "elementwise" and bool(node.op.scalar) and not node.attrs


def _written(expression: str, names: Mapping[str, str]) -> str:
    """An expression of operands in other names."""
    tree = ast.parse(expression, mode="eval")
    for part in ast.walk(tree):
        if isinstance(part, ast.Name) and part.id in names:
            part.id = names[part.id]
    return ast.unparse(tree)
