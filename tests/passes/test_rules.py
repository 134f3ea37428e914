"""Every rule, instantiated: where it applies it keeps what its level of safety promises."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from jitgrad.errors import DTypeError, IRError
from jitgrad.ir.node import Graph, Node, constant_op, full, input_node
from jitgrad.ir.op import OPS, Op
from jitgrad.ir.pattern import (
    EXACT,
    EXACT_BUT_SIGNED_ZERO,
    FINITE,
    ROUNDING,
    Apply,
    Literal,
    Pattern,
    Rule,
    Rules,
    Safety,
    Variable,
    rule,
)
from jitgrad.ir.types import (
    DType,
    TensorType,
    bool_,
    dtype,
    float16,
    float32,
    float64,
    int8,
    int32,
    uint8,
)
from jitgrad.passes.arithmetic import ARITHMETIC
from jitgrad.passes.layout import LAYOUT
from jitgrad.passes.picks import PICKS
from jitgrad.passes.reductions import REDUCTION
from jitgrad.passes.simplify import RULES
from jitgrad.primitives.elementwise import add, div, equal, less, mul, neg, sqrt, sub, tanh
from jitgrad.primitives.shape import broadcast, cast, transpose
from tests.passes import rule_samples
from tests.strategies import values_of

DTYPES = (float64, float32, float16, int32, int8, uint8, bool_)
NUMBERS = (0, 1, -1, 2, 3, -0.5, 0.0, -0.0, np.inf, -np.inf, np.nan, 1e-3, 5e-324, 1e300)


# --- comparing two nodes ------------------------------------------------------------------------


def check(old: Node, new: Node, inputs: list[Node], arrays: list[np.ndarray], row: Rule) -> None:
    """Hold the rewritten value against the original, by the rule's own notion of equality."""
    graph = Graph("rule", inputs, [old, new])
    with np.errstate(all="ignore"):
        values = values_of(graph, arrays)
    a, b = values[old], values[new]
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    if a.dtype.kind != "f":
        np.testing.assert_array_equal(b, a)
    elif row.safety is EXACT:
        is_nan = np.isnan(a)
        np.testing.assert_array_equal(np.isnan(b), is_nan)
        np.testing.assert_array_equal(_bits(b[~is_nan]), _bits(a[~is_nan]))
    elif row.safety is EXACT_BUT_SIGNED_ZERO:
        np.testing.assert_array_equal(b, a)
    else:
        _check_rounding(values, old, new, row)


def _bits(a: np.ndarray) -> np.ndarray:
    return a.view(f"u{a.itemsize}")


def _check_rounding(values: dict[Node, np.ndarray], old: Node, new: Node, row: Rule) -> None:
    """A few last bits of the largest number on the way, where all is finite and no zero divides."""
    a, b = values[old], values[new]
    scale, usual = np.zeros(a.shape), np.ones(a.shape, bool)
    tiny = np.finfo(a.dtype).tiny
    for value in values.values():
        if value.shape == a.shape and value.dtype.kind == "f":
            size = np.abs(value.astype(np.float64))
            with np.errstate(invalid="ignore"):
                usual &= np.isfinite(size)
                if row.safety is FINITE:
                    usual &= size > tiny
                scale = np.maximum(scale, np.where(np.isfinite(size), size, 0))
    if row.safety is ROUNDING:  # what is not finite stays as it is, unless an overflow is avoided
        np.testing.assert_array_equal(np.isnan(b), np.isnan(a))
    difference = np.abs(a.astype(np.float64) - b.astype(np.float64), where=usual, out=scale * 0)
    assert (difference[usual] <= 8 * np.finfo(a.dtype).eps * scale[usual] + 8 * tiny).all()


# --- instantiating expressions ------------------------------------------------------------------


def variables(pattern: object) -> list[Variable]:
    if isinstance(pattern, Variable):
        return [pattern]
    found = {}
    if isinstance(pattern, Apply):
        for operand in pattern.inputs:
            for variable in variables(operand):
                if variable.op is not None or variable.name not in found:
                    found[variable.name] = variable
    return list(found.values())


def is_expression(row: Rule) -> bool:
    """Whether a pattern is made of ops without attributes, so that it can be built from text."""

    def plain(pattern: Pattern) -> bool:
        if isinstance(pattern, Apply):
            is_plain = pattern.op.kind == "elementwise" and bool(pattern.op.scalar)
            return is_plain and all(map(plain, pattern.inputs))
        return isinstance(pattern, (Literal, Variable))

    return plain(row.pattern)


def build(pattern: Pattern, bound: dict[str, Node], like: TensorType) -> Node:
    if isinstance(pattern, Variable):
        return bound[pattern.name]
    if isinstance(pattern, Literal):
        is_bool = isinstance(pattern.value, bool)
        return full(pattern.value, like.with_dtype(bool_) if is_bool else like)
    assert isinstance(pattern, Apply)
    return pattern.op(*[build(x, bound, like) for x in pattern.inputs])


def grid(dtypes: list[DType], rng: np.random.Generator) -> list[np.ndarray]:
    """Every combination of special values, and random ones."""
    columns = []
    for d in dtypes:
        if d.kind == "b":
            columns.append(np.array([False, True]))
        elif d.is_int:
            limits = np.iinfo(d.numpy)
            columns.append(np.array([0, 1, 2, 3, 7, limits.min, limits.max], d.numpy))
        else:
            info = np.finfo(d.numpy)
            edges = [info.tiny, info.smallest_subnormal, info.max, info.eps, 1 + info.eps]
            special = [0.0, np.inf, 1.0, 2.0, 0.3, *edges]
            values = np.array([*special, *[-s for s in special], np.nan], d.numpy)
            columns.append(np.concatenate([values, rng.normal(size=9).astype(d.numpy)]))
    mesh = np.meshgrid(*columns, indexing="ij")
    return [np.ascontiguousarray(m.reshape(-1)) for m in mesh]


def instances(row: Rule) -> Iterator[tuple[Node, list[Node], list[np.ndarray]]]:
    """Nodes of the pattern's form: for all dtypes it can have, and various constants."""
    rng = np.random.default_rng(1)
    free = [v for v in variables(row.pattern) if v.op is None]
    held = [v for v in variables(row.pattern) if v.op is constant_op]
    mixed = [dict.fromkeys((v.name for v in (*free, *held)), d) for d in DTYPES]
    mixed += [{**m, v.name: bool_} for m in mixed for v in free]
    seen = set()
    for choice in mixed:
        key = tuple(choice.values())
        if key in seen:
            continue
        seen.add(key)
        arrays = grid([choice[v.name] for v in free], rng)
        like = TensorType(_main(choice), arrays[0].shape)
        inputs = [input_node(v.name, like.with_dtype(choice[v.name])) for v in free]
        for numbers in itertools.product(NUMBERS, repeat=len(held)):
            bound = dict(zip([v.name for v in free], inputs))
            if like.dtype.is_int and not all(float(n).is_integer() for n in numbers):
                continue
            if like.dtype.kind == "u" and any(n < 0 for n in numbers):
                continue
            bound |= {v.name: full(n, like) for v, n in zip(held, numbers)}
            try:
                yield build(row.pattern, bound, like), inputs, arrays
            except DTypeError:
                break


def _main(choice: dict[str, DType]) -> DType:
    return next((d for d in choice.values() if d.kind != "b"), bool_)


EXPRESSIONS = [r for r in RULES if is_expression(r) and r not in REDUCTION]


@pytest.mark.parametrize("row", EXPRESSIONS, ids=lambda r: r.name)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_expressions(row: Rule) -> None:
    applied = 0
    for node, inputs, arrays in instances(row):
        new = row.apply(node)
        if new is not None:
            applied += 1
            check(node, new, inputs, arrays, row)
    assert applied


# --- rules of shape and reduction, by samples ---------------------------------------------------


def sample_nodes(samples: list) -> Iterator[tuple[Node, Node]]:
    for shape, function in samples:
        for d in (float64, float32, int32, bool_):
            x = input_node("x", TensorType(d, shape))
            try:
                yield x, function(x)
            except DTypeError:
                continue


def number(shape: tuple[int, ...], d: DType) -> np.ndarray:
    rng = np.random.default_rng(2)
    values = rng.integers(-3, 4, shape)  # sums are exact in any order
    if d.is_float and shape:
        values = np.where(rng.random(shape) < 0.1, rng.choice([np.nan, np.inf, -0.0]), values)
    with np.errstate(invalid="ignore"):
        return np.asarray(values).astype(d.numpy)


SAMPLED = {**rule_samples.LAYOUT, **rule_samples.REDUCTION, **rule_samples.PICKS}
BY_NAME = {row.name: row for row in RULES}


@pytest.mark.parametrize("name", SAMPLED)
def test_samples(name: str) -> None:
    row = BY_NAME[name]
    checked = set()
    for x, node in sample_nodes(SAMPLED[name]):
        new = row.apply(node)
        if new is None and node.dtype.is_float and "sum of broadcast" in name:
            continue  # one product in the place of a sum rounds differently: see `stabilize`
        assert new is not None, node
        check(node, new, [x], [number(x.shape, x.dtype)], row)
        checked.add(x.dtype)
    assert checked


@pytest.mark.parametrize(("source", "via", "target"), rule_samples.CASTS, ids=str)
def test_casts_that_keep_values(source: DType, via: DType, target: DType) -> None:
    row = BY_NAME["cast of lossless cast"]
    rng = np.random.default_rng(3)
    array = rng.integers(0, 256, 64 * source.size, np.uint8).view(source.numpy)
    if source.kind == "b":
        array = rng.integers(0, 2, 64).astype(bool)
    x = input_node("x", TensorType(source, array.shape))
    node = cast(cast(x, dtype=via), dtype=target)
    new = row.apply(node)
    assert new is cast(x, dtype=target)
    check(node, new, [x], [array], row)


@pytest.mark.parametrize(("source", "via", "target"), rule_samples.CASTS_TO_KEEP, ids=str)
def test_casts_that_lose_values(source: DType, via: DType, target: DType) -> None:
    x = input_node("x", TensorType(source, (3,)))
    assert BY_NAME["cast of lossless cast"].apply(cast(cast(x, dtype=via), dtype=target)) is None


HOISTED = [r for r in REDUCTION if r.name.endswith("of broadcasts")]


@pytest.mark.parametrize("row", HOISTED, ids=lambda r: r.name)
def test_elementwise_ops_of_broadcasts(row: Rule) -> None:
    op = row.pattern.op
    if op is cast:
        x = input_node("x", TensorType(float32, (3,)))
        node = cast(broadcast(x, shape=(2, 3), dims=(1,)), dtype=int32)
        assert row.apply(node) is broadcast(cast(x, dtype=int32), shape=(2, 3), dims=(1,))
        return
    for d in DTYPES:
        for sample in itertools.islice(op.samples(d), 2):
            check_hoisting(row, op, list(sample.inputs))


def check_hoisting(row: Rule, op: Op, arrays: list[np.ndarray]) -> None:
    inputs = [
        input_node(f"x{i}", TensorType(dtype(a.dtype), a.shape)) for i, a in enumerate(arrays)
    ]
    (shape,) = {x.shape for x in inputs}
    wide = (*shape[:1], 4, *shape[1:])
    dims = tuple(i if i < 1 else i + 1 for i in range(len(shape)))
    spread = [broadcast(x, shape=wide, dims=dims) for x in inputs]
    node = op(*spread)
    new = row.apply(node)
    assert new is broadcast(op(*inputs), shape=wide, dims=dims)
    check(node, new, inputs, arrays, row)
    if len(spread) > 1:
        mixed = op(*spread[:-1], full(1, spread[-1].type))
        small = op(*inputs[:-1], full(1, inputs[-1].type))
        assert row.apply(mixed) is broadcast(small, shape=wide, dims=dims)


def test_truth_of_a_number_made_from_truth() -> None:
    row = BY_NAME["truth of a number made from truth"]
    for source, applies in ((bool_, True), (int32, False)):
        x = input_node("x", TensorType(source, (3,)))
        node = OPS["not_equal"](cast(x, dtype=float32), 0)
        assert (row.apply(node) is x) == applies


def test_every_rule_is_tested() -> None:
    tested = {*(r.name for r in EXPRESSIONS), *SAMPLED, *(r.name for r in HOISTED)}
    tested |= {"cast of lossless cast", "truth of a number made from truth"}
    assert {r.name for r in RULES} == tested


def test_names_are_unique() -> None:
    names = [r.name for r in RULES]
    assert len(names) == len(set(names))
    assert len(RULES.rules) == len((*ARITHMETIC, *LAYOUT, *REDUCTION, *PICKS))
    assert all(r.doc for r in RULES)


# --- matching -----------------------------------------------------------------------------------

F = TensorType(float32, (3,))
X, Y = input_node("x", F), input_node("y", F)


def test_a_repeated_variable_is_one_node() -> None:
    row = rule("x + x", lambda x: (add(x, x), x * 2), EXACT)
    assert row.apply(add(X, X)) is X * 2
    assert row.apply(add(X, Y)) is None


def test_numbers_are_matched_bit_by_bit() -> None:
    zero = rule("x + 0", lambda x: (x + 0.0, x), EXACT)
    assert zero.apply(X + 0) is X
    assert zero.apply(0 + X) is X
    assert zero.apply(X + -0.0) is None
    assert zero.apply(X + Y) is None
    third = rule("x * (1/3)", lambda x: (x * (1 / 3), x), EXACT)
    assert third.apply(X * (1 / 3)) is X
    assert third.apply(X * 0.333) is None
    huge = rule("x * 1e300", lambda x: (x * 1e300, x), EXACT)
    assert huge.apply(X * np.inf) is None


def test_numbers_keep_their_kind() -> None:
    half = rule("x * 0.5", lambda x: (mul(x, 0.5), x), EXACT)
    one = rule("x == True", lambda x: (equal(x, True), x), EXACT)
    n = input_node("n", TensorType(int32, (3,)))
    b = input_node("b", TensorType(bool_, (3,)))
    assert half.apply(mul(n, full(0, n.type))) is None
    assert one.apply(equal(b, full(True, b.type))) is b
    assert one.apply(equal(n, full(1, n.type))) is None
    minus = rule("x * -1", lambda x: (mul(x, -1), -x), EXACT)
    u = input_node("u", TensorType(uint8, (3,)))
    assert minus.apply(mul(u, full(255, u.type))) is None


def test_commutative_ops_match_in_both_orders_at_every_depth() -> None:
    row = rule("x * y + 1", lambda x, y: (x * tanh(y) + 1, x - y), EXACT)
    for product in (mul(X, tanh(Y)), mul(tanh(Y), X)):
        for total in (add(product, full(1, F)), add(full(1, F), product)):
            assert row.apply(total) is X - Y
    assert rule("x - 1", lambda x: (x - 1, x), EXACT).apply(sub(full(1, F), X)) is None


def test_conditions() -> None:
    row = rule("x * -y", lambda x, y: (x * y, y), EXACT, where=lambda y: y.op is neg)
    assert row.apply(X * Y) is None
    assert row.apply(X * -Y) is -Y
    assert rule("x * y", lambda x, y: (x * y, y), EXACT, on="iu").apply(X * Y) is None
    row = rule("x * y", lambda x, y: (x * y, y), EXACT, where=lambda node, y: node.ndim == 1)
    assert row.apply(X * Y) is Y


def test_attributes_bind() -> None:
    wide = broadcast(X, shape=(2, 3), dims=(1,))
    again = rule(
        "the same again",
        lambda x, p: (transpose(transpose(x, perm=p), perm=p), x),
        EXACT,
    )
    assert again.apply(transpose(transpose(wide, perm=(1, 0)), perm=(1, 0))) is wide
    assert again.apply(transpose(transpose(wide, perm=(0, 1)), perm=(1, 0))) is None


def test_a_rule_that_changes_the_type_is_refused() -> None:
    row = rule("bad", lambda x: (tanh(x), less(x, x)), EXACT)
    with pytest.raises(IRError, match=r"rule 'bad' turns f32\[3\] into bool\[3\]"):
        row.apply(tanh(X))


def test_patterns_are_made_of_patterns() -> None:
    with pytest.raises(IRError, match="a pattern is made of variables, numbers and ops"):
        rule("bad", lambda x: (add(x, "1"), x), EXACT)


def test_rules_that_chase_each_other_end() -> None:
    rules = Rules(
        [
            rule("a", lambda x: (tanh(x), neg(x)), EXACT),
            rule("b", lambda x: (neg(x), tanh(x)), EXACT),
        ]
    )
    graph = Graph("f", [X], [tanh(X)])
    assert rules.fixpoint(graph, EXACT).outputs[0] in (tanh(X), neg(X))


def test_levels() -> None:
    assert list(Safety) == [EXACT, EXACT_BUT_SIGNED_ZERO, ROUNDING, FINITE]
    assert RULES.rewrite(X + 0, EXACT) is X + 0
    assert RULES.rewrite(X + 0, EXACT_BUT_SIGNED_ZERO) is X
    assert RULES.rewrite(X / 3, EXACT_BUT_SIGNED_ZERO) is X / 3
    assert RULES.rewrite(X / 3, ROUNDING) is X * (1 / 3)
    assert RULES.rewrite(div(X, X), ROUNDING) is X / X
    assert RULES.rewrite(div(X, X), FINITE) is full(1, F)


def test_what_floats_forbid() -> None:
    for node in (X * 0, X - X, X / X, sqrt(X) * sqrt(X), equal(X, X), X * 0.5 * 3, (X + 1) + 3):
        assert RULES.rewrite(node, EXACT_BUT_SIGNED_ZERO) is node
