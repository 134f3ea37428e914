"""Every way in which control flow cannot be compiled, as a table: the class of the error, its first
line, and the user's line below it. `test_errors` has the whole texts of the most frequent.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, config, errors, ops

X, V, K = Tensor(2.0), Tensor([1.0, 2.0, 3.0]), Tensor(3)
OUTSIDE = np.zeros(3)
kept_list: list = []
kept_dict: dict = {}
kept_set: set = set()
held = None


class Holder:
    last = None


@dataclass(frozen=True)
class Row:
    """A program and its error. `marked`: the user's line in it; `settings`: limits; `each`: it is
    mapped, so that no path can be followed.
    """

    program: Callable
    args: tuple
    kind: type[Exception]
    text: str
    marked: str
    settings: dict
    each: bool


ROWS: list[Row] = []


def fails(
    kind: type[Exception], text: str, marked: str, *args: Any, each: bool = False, **settings: Any
) -> Callable:
    """Adds a program to the table."""

    def add(program: Callable) -> Callable:
        ROWS.append(Row(program, args or (X,), kind, text, marked, settings, each))
        return program

    return add


# fmt: off
# --- branches, loops and variables ----------------------------------------------------------------

@fails(errors.BranchError, "'y' is f32[2] where the condition holds and f32[] where it does not",
       "if x > 0:", each=True)
def shapes_of_branches(x):
    if x > 0:
        y = ops.stack([x, x])
    else:
        y = x
    return y.sum()


@fails(errors.BranchError,
       "the value is f64[] where the condition holds and f32[] where it does not",
       "return x.astype(ms.float64) if x > 0 else x", each=True)
def dtypes_of_branches(x):
    return x.astype(ms.float64) if x > 0 else x


@fails(errors.CarryError, "'x' is f32[] before an iteration of a loop and f64[] after it",
       "while x < 5.0:", each=True)
def a_carry_that_changes(x):
    while x < 5.0:
        x = (x + 1.0).astype(ms.float64)
    return x


@fails(errors.UndefinedError, "'z' may be used before it is bound", "if x > 0:", each=True)
def an_unbound_variable(x):
    if x > 0:
        z = x
    return z


@fails(errors.LimitError, "a loop has run 100 times and goes on", "while x > 0:", loop_limit=100)
def a_loop_that_goes_on(x):
    while x > 0:
        x = x * 1.01
    return x


@fails(errors.LimitError, "a loop that begins here never ends", "while x > 0:")
def a_loop_without_progress(x):
    while x > 0:
        pass
    return x


@fails(errors.LimitError, "a loop was unrolled 20 times and is not over", "while True:",
       unroll_limit=20)
def a_loop_of_python_values(x):
    n = 0
    while True:
        n = n + 1
        str(n)
    return x


@fails(errors.LimitError, "one call decides more than 5 conditions by their values",
       "while x < 50.0:", path_limit=5)
def too_many_paths(x):
    sizes = {}
    while x < 50.0:
        sizes[len(sizes)] = x
        x = x + 1.0
    return sizes


@fails(errors.TraceError, "a list that may be one of two is changed", "rows[k - 2][0] = x", X, K)
def a_list_that_is_one_of_two(x, k):
    rows = [[x * 1.0], [x * 2.0]]
    rows[k - 2][0] = x
    return rows[0][0]


# --- conditions of many elements ------------------------------------------------------------------

AMBIGUOUS = "the truth value of a Tensor of shape [3] is ambiguous"


@fails(errors.ConditionError, AMBIGUOUS, "if v > 0:", V)
def an_if_of_many(v):
    if v > 0:
        return v
    return -v


@fails(errors.ConditionError, AMBIGUOUS, "while v > 0:", V)
def a_while_of_many(v):
    while v > 0:
        v = v - 1.0
    return v


@fails(errors.ConditionError, AMBIGUOUS, "return v if v > 0 else -v", V)
def a_choice_of_many(v):
    return v if v > 0 else -v


@fails(errors.ConditionError, AMBIGUOUS, "assert v > 0", V)
def an_assert_of_many(v):
    assert v > 0
    return v


@fails(errors.ConditionError, AMBIGUOUS, "return v > 0 and v", V)
def an_and_of_many(v):
    return v > 0 and v


@fails(errors.ConditionError, AMBIGUOUS, "return v * (not v > 0)", V)
def a_not_of_many(v):
    return v * (not v > 0)


# --- leaks ----------------------------------------------------------------------------------------

LEAKS = "a traced Tensor of type f32[] is stored in "


@fails(errors.LeakError, LEAKS + "the global 'held'", "global held")
def into_a_global(x):
    global held
    held = x * 2.0
    return x


@fails(errors.LeakError, LEAKS + "the attribute 'last' of a type", "Holder.last = x * 2.0")
def into_an_attribute(x):
    Holder.last = x * 2.0
    return x


@fails(errors.LeakError, LEAKS + "a list that outlives the call", "kept_list.append(x * 2.0)")
def into_a_list(x):
    kept_list.append(x * 2.0)
    return x


@fails(errors.LeakError, LEAKS + "a dict that outlives the call", 'kept_dict["x"] = x * 2.0')
def into_a_dict(x):
    kept_dict["x"] = x * 2.0
    return x


@fails(errors.LeakError, LEAKS + "a set that outlives the call", "kept_set.add(x * 2.0)")
def into_a_set(x):
    kept_set.add(x * 2.0)
    return x


# --- statements and functions that stay as they are -----------------------------------------------

ASKED = "a traced Tensor of type bool[] was asked whether it is true"


@fails(errors.UnsupportedError, ASKED, "if x > 0:")
def a_jump_out_of_finally(x):
    try:
        y = x * 2.0
    finally:
        if x > 0:
            return x  # noqa: B012
    return y


@fails(errors.UnsupportedError, ASKED, "scale = 2.0 if x > 0 else 1.0")
def the_body_of_a_class(x):
    class Settings:
        scale = 2.0 if x > 0 else 1.0

    return x * Settings.scale


def choose(x):
    return x if x > 0 else -x


made: dict = {"choose": choose}
exec("def without_source(x):\n    if x > 0:\n        return x\n    return -x\n", made)
exec("def calls_what_has_source(x):\n    return choose(x)\n", made)
ROWS.append(Row(made["without_source"], (X,), errors.SourceError, ASKED, "", {}, False))
ROWS.append(Row(made["calls_what_has_source"], (X,), errors.SourceError, ASKED,
                "return x if x > 0 else -x", {}, False))


# --- values that are not there --------------------------------------------------------------------

@fails(errors.TraceError, "a slice of f32[3] has traced bounds, and its length is not known",
       "return v[:k]", V, K)
def a_slice_of_unknown_length(v, k):
    return v[:k]


@fails(errors.TraceError, "f32[3] was indexed with a traced mask", "return v[v > 1.0]", V)
def a_mask(v):
    return v[v > 1.0]


@fails(errors.TraceError, "a traced value is written into a NumPy array of shape [3]",
       "OUTSIDE[0] = x")
def an_array_from_outside(x):
    OUTSIDE[0] = x
    return x


@fails(errors.TraceError, "a traced Tensor of type f32[] was turned into a Python number",
       "return x * x.item()")
def an_item(x):
    return x * x.item()


@fails(errors.TraceError, "a traced Tensor of type f32[3] was turned into a NumPy array",
       "return v * v.asnumpy()[0]", V)
def an_array(v):
    return v * v.asnumpy()[0]


@fails(errors.TraceError,
       "an iterator is used again after a loop that data may have ended early",
       "for _ in rows:", V)
def an_iterator_used_again(v):
    rows, total = enumerate(v), v[0] * 0.0
    for i, x in rows:
        total = total + x * i
        if total > 3.0:
            break
    for _ in rows:
        total = total + 1.0
    return total
# fmt: on


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.program.__name__)
@pytest.mark.parametrize("way", ["compiled", "differentiated", "eager"])
def test_errors(row: Row, way: str) -> None:
    program, args = row.program, row.args
    if way == "eager" and row.kind is not errors.ConditionError:
        pytest.skip("eagerly it is fine, or never ends")
    if way == "differentiated":
        program = ms.grad(program)
    if row.each:
        program, args = ms.vmap(program), tuple([ops.stack([a, a]) for a in args])
    with config.override(**row.settings), pytest.raises(row.kind) as error:
        (program if way == "eager" else ms.jit(program))(*args)
    assert type(error.value) is row.kind
    first, *rest = str(error.value).split("\n")
    place, _, text = first.partition(": ")
    assert text == row.text
    if row.marked:
        name, _, line = place.partition(":")
        assert name == "test_error_table.py"
        assert linecache.getline(__file__, int(line)).strip() == rest[0].strip() == row.marked
    assert any(line.startswith(("  because ", "  instead: ")) for line in rest)
