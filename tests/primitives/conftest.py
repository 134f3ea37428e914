"""`laws`: what must hold of any function of nodes, checked on arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import jitgrad.primitives  # noqa: F401  (fills the table of ops)
from jitgrad.autodiff.batch import batched
from jitgrad.autodiff.forward import tangents
from jitgrad.autodiff.reverse import cotangents
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node, input_node, project
from jitgrad.ir.op import Op, Sample
from jitgrad.ir.types import DTYPES, TensorType, TupleType, float64, of_array

Arrays = Sequence[np.ndarray]
Function = Callable[..., Any]


def inputs_of(arrays: Arrays, stem: str = "x") -> list[Node]:
    return [input_node(f"{stem}{i}", of_array(a)) for i, a in enumerate(arrays)]


def outputs_of(function: Function, nodes: Sequence[Node]) -> list[Node]:
    result = function(*nodes)
    if isinstance(result, Node) and isinstance(result.type, TupleType):
        return [project(result, i) for i in range(len(result.type.items))]
    return list(result) if isinstance(result, (tuple, list)) else [result]


def run(function: Function, *arrays: np.ndarray) -> list[np.ndarray]:
    """The function's results on arrays; their types are held against those inferred."""
    nodes = inputs_of(arrays)
    outputs = outputs_of(function, nodes)
    results = interpret(Graph("f", nodes, outputs), arrays)
    for node, array in zip(outputs, results):
        assert of_array(np.asarray(array)) is node.type
    return results


class Laws:
    """The laws by name; each takes a function of nodes and arrays to call it on."""

    inputs_of = staticmethod(inputs_of)
    run = staticmethod(run)

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)

    def one(self, function: Function, *arrays: np.ndarray) -> np.ndarray:
        return run(function, *arrays)[0]

    def gradients(self, function: Function, arrays: Arrays) -> tuple[Function, list[np.ndarray]]:
        """The VJP as a function of the float inputs and the seeds, and these arrays."""
        nodes = inputs_of(arrays)
        outputs = [o for o in outputs_of(function, nodes) if o.dtype.is_float]
        seeds = [self.rng.standard_normal(o.shape) for o in outputs]

        def vjp(*given: Node) -> list[Node]:
            outputs = [o for o in outputs_of(function, given[: len(nodes)]) if o.dtype.is_float]
            wrt = [x for x in given[: len(nodes)] if x.dtype.is_float]
            found = cotangents(outputs, given[len(nodes) :], wrt)
            return [0 * x if g is None else g for x, g in zip(wrt, found)]

        return vjp, [*arrays, *seeds]

    def derivative(self, function: Function, arrays: Arrays, step: float = 1e-5) -> None:
        """Along a random direction: forward mode = central difference = reverse mode."""
        nodes = inputs_of(arrays)
        outputs = [o for o in outputs_of(function, nodes) if o.dtype.is_float]
        assert outputs
        moving = [x.dtype is float64 for x in nodes]
        directions = [
            self.rng.standard_normal(a.shape) if m else None for a, m in zip(arrays, moving)
        ]
        seeds = {x: input_node(f"t{i}", x.type) for i, (x, m) in enumerate(zip(nodes, moving)) if m}
        given = [a for a in directions if a is not None]
        forward = [0 * o if t is None else t for o, t in zip(outputs, tangents(outputs, seeds))]
        graph = Graph("jvp", [*nodes, *seeds.values()], forward)
        jvp = interpret(graph, [*arrays, *given])

        def at(h: float) -> list[np.ndarray]:
            moved = [a if d is None else a + h * d for a, d in zip(arrays, directions)]
            return interpret(Graph("f", nodes, outputs), moved)

        for t, above, below in zip(jvp, at(step), at(-step)):
            np.testing.assert_allclose(t, (above - below) / (2 * step), rtol=2e-6, atol=2e-6)
        vjp, arguments = self.gradients(function, arrays)
        pulled = run(vjp, *arguments)
        left = sum(np.sum(t * g) for t, g in zip(jvp, arguments[len(arrays) :]))
        right = sum(np.sum(p * d) for p, d in zip(pulled, given))
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9)

    def twice(self, function: Function, arrays: Arrays) -> None:
        """`derivative` of the function, and of its gradient."""
        self.derivative(function, arrays)
        self.derivative(*self.gradients(function, arrays))

    def batching(self, function: Function, arrays: Arrays, size: int = 3) -> None:
        """Every choice of batched inputs gives what a loop over the examples gives."""
        nodes = inputs_of(arrays)
        outputs = outputs_of(function, nodes)
        for flags in itertools.product((False, True), repeat=len(arrays)):
            if not any(flags):
                continue
            stacks = [self._stack(a, size) if f else a for a, f in zip(arrays, flags)]
            given = inputs_of(stacks, "b")
            sources = {n: g for n, g, f in zip(nodes, given, flags) if f}
            plain = {n: g for n, g, f in zip(nodes, given, flags) if not f}
            merged = [plain.get(n, n) for n in nodes]
            spread = batched(outputs_of(function, merged), sources, size)
            got = interpret(Graph("batched", given, spread), stacks)
            for i in range(size):
                example = [s[i] if f else s for s, f in zip(stacks, flags)]
                one = interpret(Graph("f", nodes, outputs), example)
                for many, single in zip(got, one):
                    np.testing.assert_allclose(many[i], single, rtol=1e-12, atol=1e-12)
            empty = [s[:0] if f else s for s, f in zip(stacks, flags)]
            given = inputs_of(empty, "e")
            sources = {n: g for n, g, f in zip(nodes, given, flags) if f}
            merged = [n if f else g for n, g, f in zip(nodes, given, flags)]
            for o, none in zip(outputs, batched(outputs_of(function, merged), sources, 0)):
                assert none.type is TensorType(o.dtype, (0, *o.shape))

    def _stack(self, array: np.ndarray, size: int) -> np.ndarray:
        """Examples like the array: the same values in other orders; smaller scalar indices."""
        if array.ndim == 0 and array.dtype.kind == "i":
            return self.rng.integers(min(array, 0), array + 1, size, array.dtype)
        shuffled = [self.rng.permutation(array.reshape(-1)) for _ in range(size)]
        return np.stack([s.reshape(array.shape) for s in shuffled])

    def of_sample(self, op: Op, sample: Sample) -> None:
        """All laws for one sample of an op."""

        def call(*nodes: Node) -> Node:
            return op(*nodes, **sample.attrs)

        outputs = run(call, *sample.inputs)
        self.batching(call, sample.inputs)
        smooth = any(o.dtype == np.float64 for o in outputs)
        if smooth and sum(a.size for a in sample.inputs if a.dtype == np.float64):
            self.twice(call, sample.inputs)

    def of_op(self, op: Op) -> None:
        """All laws for all float64 samples; values and batching for those of other dtypes."""
        for dtype in DTYPES:
            for sample in op.samples(dtype):
                if dtype is float64:
                    self.of_sample(op, sample)
                else:
                    run(lambda *nodes, sample=sample: op(*nodes, **sample.attrs), *sample.inputs)


@pytest.fixture
def laws() -> Laws:
    return Laws()
