"""Every stabilizing rule: results no farther from the exact ones, which mpmath computes."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from mpmath import mp
from scipy import special

from jitgrad.autodiff.reverse import reverse
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node, constant_op, full, input_node, splat
from jitgrad.ir.pattern import ROUNDING, Rule
from jitgrad.ir.types import DType, TensorType, float32, float64
from jitgrad.passes.simplify import simplify
from jitgrad.passes.stabilize import RULES, stabilize
from jitgrad.primitives.elementwise import exp, log, sigmoid, sub
from jitgrad.primitives.reduce import expand, reduce_max, reduce_sum
from jitgrad.primitives.shape import broadcast, reshape
from tests.passes.test_rules import build, is_expression, variables


@pytest.fixture(autouse=True)
def _digits():
    """exp(-800) beside 1 needs as many digits."""
    with mpmath.workdps(400):
        yield


MEANING = {
    "add": mpmath.fadd,
    "sub": mpmath.fsub,
    "mul": mpmath.fmul,
    "div": mpmath.fdiv,
    "neg": mpmath.fneg,
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "cos": mpmath.cos,
    "sin": mpmath.sin,
    "sqrt": mpmath.sqrt,
    "pow": mpmath.power,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
}
EXPRESSIONS = [r for r in RULES if is_expression(r)]
GUARDS = [r for r in RULES if not is_expression(r)]


def exact(node: Node, values: dict[Node, mpmath.mpf]) -> mpmath.mpf | None:
    """The value of an expression in 400 digits; None where it is not a real number."""
    if node in values:
        return values[node]
    if node.op is constant_op:
        return mp.mpf(float(splat(node)))
    operands = [exact(i, values) for i in node.inputs]
    if None in operands:
        return None
    try:
        result = MEANING[node.op.name](*operands)
    except (ZeroDivisionError, ValueError):
        return None
    is_real = isinstance(result, mpmath.mpf) and mpmath.isfinite(result)
    return result if is_real else None


def points(dtype: DType) -> np.ndarray:
    rng = np.random.default_rng(5)
    limit = {float32: 30, float64: 250}[dtype]
    small = 10.0 ** rng.uniform(-limit, 0, 12)
    large = [0.5, 1.0, 3.0, 10.0, 20.0, 50.0, 90.0, 120.0, 720.0, 800.0]
    values = [*small, *large, *rng.uniform(0, 30, 8)]
    values = [0.0, *values, *[-v for v in values]]
    return np.array(values).astype(dtype.numpy)


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("row", EXPRESSIONS, ids=lambda r: r.name)
def test_closer_to_the_exact_value(row: Rule, dtype: DType) -> None:
    names = [v.name for v in variables(row.pattern)]
    given = points(dtype)
    mesh = np.meshgrid(*[given if i == 0 else given[::5] for i in range(len(names))])
    arrays = [m.reshape(-1) for m in mesh]
    type = TensorType(dtype, arrays[0].shape)
    inputs = [input_node(n, type) for n in names]
    old = build(row.pattern, dict(zip(names, inputs)), type)
    new = row.apply(old)
    assert new is not None
    before, after = interpret(Graph("rule", inputs, [old, new]), arrays)
    eps, tiny = np.finfo(dtype.numpy).eps, float(np.finfo(dtype.numpy).tiny)
    compared = 0
    for i, (a, b) in enumerate(zip(before, after)):
        scalars = [input_node(n, TensorType(dtype, ())) for n in names]
        scalar = build(row.pattern, dict(zip(names, scalars)), TensorType(dtype, ()))
        true = exact(scalar, {s: mp.mpf(float(x[i])) for s, x in zip(scalars, arrays)})
        if true is None or abs(true) > float(np.finfo(dtype.numpy).max):
            assert np.isnan(a) or a == b or not np.isfinite(a)
            continue
        compared += 1
        assert np.isfinite(b), (a, b, [x[i] for x in arrays])
        allowed = 6 * eps * abs(true) + tiny  # NumPy's functions flush some subnormals to 0
        if np.isfinite(a):
            allowed = max(allowed, abs(mp.mpf(float(a)) - true))
        assert abs(mp.mpf(float(b)) - true) <= allowed, (a, b, true, [x[i] for x in arrays])
    assert compared > 10


@pytest.mark.parametrize("row", EXPRESSIONS, ids=lambda r: r.name)
def test_special_values(row: Rule) -> None:
    """Infinities and nan stay, but for the nan that only an intermediate value made."""
    names = [v.name for v in variables(row.pattern)]
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0])
    arrays = [m.reshape(-1) for m in np.meshgrid(*[special] * len(names))]
    type = TensorType(float64, arrays[0].shape)
    inputs = [input_node(n, type) for n in names]
    old = build(row.pattern, dict(zip(names, inputs)), type)
    before, after = interpret(Graph("rule", inputs, [old, row.apply(old)]), arrays)
    from_nan = np.any([np.isnan(a) for a in arrays], axis=0)
    own_making = np.isnan(before) & ~from_nan
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    close = np.isclose(before, after, rtol=1e-15)
    assert (same | own_making | close).all(), (before, after)


# --- sums of exponentials -----------------------------------------------------------------------

F = TensorType(float64, (4, 3))
X = input_node("x", F)
ROWS = np.array(
    [[0.1, -0.3, 2.0], [1000.0, 1001.0, 998.0], [-1000.0, -1001.0, -1003.0], [0.0, -np.inf, 5.0]]
)


def log_sum_exp(x: np.ndarray) -> np.ndarray:
    largest = x.max(axis=1)
    return largest + np.log(np.exp(x - largest[:, None]).sum(axis=1))


def log_soft_max(x: np.ndarray) -> np.ndarray:
    less = x - x.max(axis=1)[:, None]
    return less - np.log(np.exp(less).sum(axis=1))[:, None]


def soft_max(x: np.ndarray) -> np.ndarray:
    return np.exp(x - log_sum_exp(x)[:, None])


def total() -> Node:
    return reduce_sum(exp(X), axes=(1,))


def run(node: Node, x: np.ndarray = ROWS) -> np.ndarray:
    return interpret(Graph("f", [X], [node]), [x])[0]


def stabilized(node: Node) -> Node:
    graph = stabilize(simplify(stabilize(Graph("f", [X], [node]))))
    assert stabilize(graph) is graph
    return graph.outputs[0]


def share_gradient() -> Node:
    """As differentiation makes it: of exp(X) / sum(exp(X)), for cotangents between 0 and 1."""
    g, e, rows = sigmoid(X), exp(X), (1,)
    once = g * expand(1 / total(), F.shape, rows)
    p = e / expand(total(), F.shape, rows)
    return (once + expand(reduce_sum(-once * p, axes=rows), F.shape, rows)) * e


def wanted_share_gradient(x: np.ndarray) -> np.ndarray:
    g, p = special.expit(x), soft_max(x)
    return p * (g - (g * p).sum(axis=1)[:, None])


GUARDED = {
    "log of a sum of exponentials": (log(total()), log_sum_exp(ROWS)),
    "log of a reshaped sum of exponentials": (
        log(reshape(total(), shape=(4, 1))),
        log_sum_exp(ROWS)[:, None],
    ),
    "softmax": (exp(X) / expand(total(), F.shape, (1,)), soft_max(ROWS)),
    "log of softmax": (
        log(exp(X) / expand(total(), F.shape, (1,))),
        log_soft_max(ROWS),
    ),
    "gradient of log of a sum of exponentials": (
        expand(full(3, F.with_shape((4,))) / total(), F.shape, (1,)) * exp(X),
        3 * soft_max(ROWS),
    ),
    "gradient of a share": (share_gradient(), wanted_share_gradient(ROWS)),
}


@pytest.mark.parametrize("name", GUARDED)
def test_guards(name: str) -> None:
    node, wanted = GUARDED[name]
    eps = np.finfo(np.float64).eps  # differences of numbers up to 1, of a few roundings each
    np.testing.assert_allclose(run(stabilized(node)), wanted, rtol=1e-14, atol=8 * eps)
    assert not np.allclose(run(node), wanted, equal_nan=False)


@pytest.mark.parametrize("name", GUARDED)
def test_guards_at_infinities(name: str) -> None:
    node, _ = GUARDED[name]
    nan, inf = np.nan, np.inf
    rows = np.array([[-inf, -inf, -inf], [inf, 0, 1], [nan, 0, 1], [inf, inf, -inf]])
    before, after = run(node, rows), run(stabilized(node), rows)
    known = ~np.isnan(before)
    np.testing.assert_array_equal(after[known], before[known])


def test_guards_leave_what_is_guarded() -> None:
    shifted = sub(X, expand(reduce_max(X, axes=(1,)), F.shape, (1,)))
    for node in (
        log(reduce_sum(exp(shifted), axes=(1,))),
        exp(shifted) / expand(reduce_sum(exp(shifted), axes=(1,)), F.shape, (1,)),
    ):
        graph = Graph("f", [X], [node])
        assert stabilize(graph) is graph


def test_guards_need_the_axes_of_the_sum() -> None:
    square = input_node("x", TensorType(float64, (3, 3)))
    total = reduce_sum(exp(square), axes=(1,))
    graph = Graph("f", [square], [exp(square) / broadcast(total, shape=(3, 3), dims=(1,))])
    assert stabilize(graph) is graph


def test_guards_of_nothing() -> None:
    empty = input_node("x", TensorType(float64, (2, 0)))
    graph = Graph("f", [empty], [log(reduce_sum(exp(empty), axes=(1,)))])
    assert stabilize(graph) is graph


def test_softplus_is_written_once() -> None:
    graph = stabilize(Graph("f", [X], [log(1 + exp(X)), log(sigmoid(X))]))
    assert stabilize(graph) is graph
    np.testing.assert_array_equal(run(graph.outputs[0])[1], ROWS[1])
    np.testing.assert_array_equal(run(graph.outputs[1])[2], ROWS[2])


def test_gradients_through_unguarded_code() -> None:
    """What a user wrote without care has a gradient without overflow."""
    loss = reduce_sum(log(total()) + log(1 + exp(reduce_sum(X, axes=(1,)))), axes=(0,))
    graph = reverse(Graph("f", [X], [loss]), [0])
    careful = stabilize(simplify(stabilize(simplify(graph))))
    rows = np.where(np.isinf(ROWS), 0, ROWS)
    value, gradient = interpret(careful, [rows])
    plus = special.expit(rows.sum(axis=1))
    np.testing.assert_allclose(gradient, soft_max(rows) + plus[:, None], rtol=1e-13)
    assert np.isfinite(value)
    assert np.isnan(interpret(graph, [rows])[1]).any()


def test_sum_of_repeated_numbers() -> None:
    row = input_node("x", TensorType(float32, (3,)))
    wide = broadcast(row, shape=(7, 3, 1000), dims=(1,))
    graph = simplify(stabilize(Graph("f", [row], [reduce_sum(wide, axes=(0, 2))])))
    assert graph.outputs[0] is row * 7000
    graph = simplify(stabilize(Graph("f", [row], [reduce_sum(wide, axes=(0, 1, 2))])))
    assert graph.outputs[0] is reduce_sum(row, axes=(0,)) * 7000
    many = broadcast(row, shape=(2**24 + 1, 3), dims=(1,))
    graph = Graph("f", [row], [reduce_sum(many, axes=(0,))])
    assert stabilize(graph) is graph  # float32 has no such number


def test_every_rule_is_of_one_level_and_tested() -> None:
    assert {r.safety for r in RULES} == {ROUNDING}
    tested = {*GUARDED, "softplus", "sum of repeated numbers", *(r.name for r in EXPRESSIONS)}
    assert {r.name for r in RULES} <= tested
    assert {r.name for r in GUARDS} <= {*GUARDED, "sum of repeated numbers"}
