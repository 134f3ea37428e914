from __future__ import annotations

import subprocess
import sys

from jitgrad.ir.node import Graph, constant, full, input_node
from jitgrad.ir.types import TensorType, float32
from jitgrad.locate import Location
from jitgrad.passes.cse import cse
from jitgrad.primitives.elementwise import add, exp, mul, neg, sub

F = TensorType(float32, (3,))
X, Y = input_node("x", F), input_node("y", F)


def outputs(*nodes):
    return cse(Graph("f", [X, Y], nodes)).outputs


def test_one_order_of_operands() -> None:
    assert outputs(X * Y, Y * X) == (X * Y, X * Y)
    assert outputs(Y * X, X * Y) == (Y * X, Y * X)  # the order met first
    assert outputs(sub(X, Y), sub(Y, X)) == (sub(X, Y), sub(Y, X))
    assert outputs(X * X) == (X * X,)


def test_constants_come_last() -> None:
    assert outputs(2 * X) == (X * 2,)
    dense = constant([1, 2, 3], float32)
    assert outputs(mul(dense, X)) == (mul(X, dense),)
    assert outputs(add(dense, full(2, F))) == (add(dense, full(2, F)),)
    assert outputs(2 - X) == (2 - X,)


def test_merged_operands_merge_their_users() -> None:
    left, right = exp(X * Y), exp(Y * X)
    assert outputs(left + right, right + left) == (left + left,) * 2


def test_locations_are_kept() -> None:
    here = Location("a.py", 1)
    result = cse(Graph("f", [X], [neg(2 * X)], {2 * X: here}))
    assert result.locs[X * 2] is here


def test_the_result_depends_on_nothing_but_the_graph() -> None:
    """Addresses and hash seeds change from process to process; the text does not."""
    program = (
        "from jitgrad.ir.node import *; from jitgrad.ir.types import *\n"
        "import jitgrad.primitives; from jitgrad.passes.pipeline import optimize\n"
        "n = [input_node(c, TensorType(float32, ())) for c in 'abcdefgh']\n"
        "t = n[0]\n"
        "for i in range(40): t = n[i * 5 % 8] * t + t * n[i * 3 % 8]\n"
        "print(optimize(Graph('f', n, [t])))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
