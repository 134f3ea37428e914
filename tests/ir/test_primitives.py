"""Every declared op against its own declaration: types, derivatives of both modes, batching."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

import jitgrad.primitives  # noqa: F401  (fills the table of ops)
from jitgrad.autodiff.batch import batched
from jitgrad.autodiff.forward import tangents
from jitgrad.autodiff.reverse import cotangents
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node, builder, input_node, project
from jitgrad.ir.op import OPS, Op, Sample
from jitgrad.ir.types import COMPLEX, DTYPES, TensorType, TupleType, float64, of_array

STEP = 1e-5
CLOSE = {"rtol": 4e-6, "atol": 4e-6}

WITHOUT_SAMPLES = {
    "input": "a placeholder, which has no value",
    "constant": "its value is an attribute; tests/ir/test_text.py has every dtype and shape",
    "project": "takes results of other ops, and is in every test of an op with several",
    "fused": "made by the fuse pass, of any body; tests/passes has its laws",
    "gathered": "made by the gather pass, of any body; tests/passes has its laws",
    "strip": "made by the strips pass, of any steps; tests/codegen/test_cut.py has its laws",
}
# The derivative that is stated is not that of the values, on purpose.
STATED = {
    "stop_gradient": "has no derivative by definition",
    "value_of": "has none: who asks for it is told so",
    "custom": "has the derivative that the user gives",
    "nextafter": "differs from its operand by rounding only, and has its derivative",
}

NAMES = sorted(OPS.keys() - WITHOUT_SAMPLES.keys())


def samples(op: Op, dtype) -> list[Sample]:
    return list(op.samples(dtype))


def call(op: Op, sample: Sample, nodes: Sequence[Node]) -> list[Node]:
    """The results of an op on nodes."""
    node = builder.make(op, tuple(nodes), sample.attrs)
    if isinstance(node.type, TupleType):
        return [project(node, i) for i in range(len(node.type.items))]
    return [node]


def inputs_of(arrays: Sequence[np.ndarray], stem: str = "x") -> list[Node]:
    return [input_node(f"{stem}{i}", of_array(a)) for i, a in enumerate(arrays)]


def test_every_op_has_samples() -> None:
    every = (*DTYPES, *COMPLEX)
    without = {n for n, op in OPS.items() if not any(samples(op, d) for d in every)}
    assert without == WITHOUT_SAMPLES.keys()


def test_every_op_has_a_docstring() -> None:
    assert not [n for n, op in OPS.items() if not op.doc]


# --- types --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_types_are_those_of_the_reference(name: str) -> None:
    op = OPS[name]
    for dtype in DTYPES:
        for sample in samples(op, dtype):
            types = tuple(of_array(a) for a in sample.inputs)
            inferred = op.infer(types, sample.attrs)
            with np.errstate(all="ignore"):
                result = op.numpy(*sample.inputs, **sample.attrs)
            several = isinstance(inferred, TupleType)
            results = result if several else (result,)
            for type, value in zip(inferred.items if several else (inferred,), results):
                assert of_array(np.asarray(value)) is type, (dtype, sample)


# --- derivatives --------------------------------------------------------------------------------


class Function:
    """A differentiable function of float64 arrays: a graph, and which of its inputs move."""

    def __init__(self, inputs: Sequence[Node], outputs: Sequence[Node]):
        self.outputs = [o for o in outputs if o.dtype is float64]
        self.inputs = list(inputs)
        self.moving = [x for x in inputs if x.dtype is float64]

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return interpret(Graph("f", self.inputs, self.outputs), arrays)

    def pullback(self) -> tuple[Function, list[Node]]:
        """The gradient of sum(w * f) as a function of the inputs and w; inputs without one."""
        seeds = [input_node(f"w{i}'{len(self.inputs)}", o.type) for i, o in enumerate(self.outputs)]
        found = cotangents(self.outputs, seeds, self.moving)
        still = [x for x, g in zip(self.moving, found) if g is None]
        return Function([*self.inputs, *seeds], [g for g in found if g is not None]), still

    def forward(self, directions: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> list:
        seeds = {x: input_node(f"t{i}", x.type) for i, x in enumerate(self.moving)}
        found = tangents(self.outputs, seeds)
        graph = Graph("jvp", [*self.inputs, *seeds.values()], [t for t in found if t is not None])
        values = iter(interpret(graph, [*arrays, *directions]))
        return [
            np.zeros(o.shape) if t is None else next(values) for o, t in zip(self.outputs, found)
        ]


def check(function: Function, arrays: list[np.ndarray], rng: np.random.Generator) -> None:
    """Along a random direction: the difference quotient, forward mode and reverse mode agree."""
    weights = [rng.normal(size=o.shape) for o in function.outputs]
    directions = [rng.normal(size=x.shape) for x in function.moving]
    moves = dict(zip(function.moving, directions))

    def at(h: float) -> list[np.ndarray]:
        nodes = zip(function.inputs, arrays)
        return function([a + h * moves[x] if x in moves else a for x, a in nodes])

    quotient = [(a - b) / (2 * STEP) for a, b in zip(at(STEP), at(-STEP))]
    forward = function.forward(directions, arrays)
    for t, q in zip(forward, quotient):
        np.testing.assert_allclose(t, q, **CLOSE)
    pullback, still = function.pullback()
    gradients = pullback([*arrays, *weights])
    moved = [d for x, d in moves.items() if x not in still]
    by_reverse = sum(np.sum(g * d) for g, d in zip(gradients, moved, strict=True))
    by_forward = sum(np.sum(t * w) for t, w in zip(forward, weights))
    np.testing.assert_allclose(by_reverse, by_forward, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in STATED])
def test_derivatives_of_first_to_third_order(name: str) -> None:
    op, rng = OPS[name], np.random.default_rng(11)
    for position, sample in enumerate(samples(op, float64)):
        arrays = [np.array(a) for a in sample.inputs]
        inputs = inputs_of(arrays)
        function = Function(inputs, call(op, sample, inputs))
        if op.vjp is None or not function.moving:
            continue
        for _ in range(3 if position == 0 else 2):
            if not function.outputs:
                break
            check(function, arrays, rng)
            arrays += [rng.normal(size=o.shape) for o in function.outputs]
            function, _ = function.pullback()


def test_stop_gradient_stops() -> None:
    x = input_node("x", TensorType(float64, (3,)))
    y = OPS["stop_gradient"](x)
    assert cotangents([y], [y], [x]) == [None]
    assert tangents([y], {x: x}) == [None]


@pytest.mark.parametrize("name", NAMES)
def test_modes_agree_on_what_is_differentiable(name: str) -> None:
    assert (OPS[name].vjp is None) == (OPS[name].jvp is None)


# --- batching -----------------------------------------------------------------------------------

EXAMPLES = 3


@pytest.mark.parametrize("name", [n for n in NAMES if OPS[n].kind != "leaf"])
def test_batching_is_a_loop(name: str) -> None:
    op, rng = OPS[name], np.random.default_rng(12)
    for dtype in DTYPES:
        chosen = samples(op, dtype)
        for sample in chosen if dtype is float64 or name not in FLOATS else chosen[:1]:
            check_batching(op, sample, rng)


FLOATS = {n for n in NAMES if samples(OPS[n], float64)}


def check_batching(op: Op, sample: Sample, rng: np.random.Generator) -> None:
    plain = inputs_of(sample.inputs)
    outputs = call(op, sample, plain)
    for flags in itertools.product((False, True), repeat=len(plain)):
        if not any(flags) or sum(flags) > 3:
            continue
        stack = _multiples if op.name in REGULAR else _stack
        stacks = [stack(a, rng) if f else a for a, f in zip(sample.inputs, flags)]
        given = [input_node(f"b{i}", of_array(a)) for i, a in enumerate(stacks)]
        mixed = [x if f else g for x, g, f in zip(plain, given, flags)]
        sources = {x: g for x, g, f in zip(plain, given, flags) if f}
        spread = batched(call(op, sample, mixed), sources, EXAMPLES)
        together = interpret(Graph("batch", given, spread), stacks)
        for i in range(EXAMPLES):
            example = [s[i] if f else s for s, f in zip(stacks, flags)]
            alone = interpret(Graph("one", plain, outputs), example)
            for many, one in zip(together, alone, strict=True):
                tolerance = 1e-3 if one.dtype == np.float16 else 1e-5
                np.testing.assert_allclose(many[i], one, rtol=tolerance, atol=tolerance)


# Of these matrices, other orders of the elements may not be regular or positive definite.
REGULAR = ("cholesky", "det", "lu", "pinv", "slogdet", "solve", "triangular_solve")


def _multiples(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.stack([array * array.dtype.type(1 + i / 8) for i in range(EXAMPLES)])


def _stack(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Examples of the same values, in other orders where there is an order."""
    return np.stack([rng.permutation(array.ravel()).reshape(array.shape) for _ in range(EXAMPLES)])
