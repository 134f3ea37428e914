"""`loop`, the one op for all iteration, and its derivatives, which are loops again.

Reverse mode runs the loop once more with further records (the pass `merge` makes one loop of the
two), and then a loop backwards over what was recorded.
"""

# A declaration reads as in `jitgrad.primitives`: plain functions in a class body.
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportSelfClsParameterName=false

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jitgrad.autodiff.backwards import Reverse
from jitgrad.autodiff.dual import pushed
from jitgrad.autodiff.masked import batched_loop
from jitgrad.autodiff.region import attributes
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, TensorType
from jitgrad.primitives.declare import structural
from jitgrad.primitives.flow import COUNT, loop_numpy, loop_type, position


@structural("region")
class loop:
    """Iteration: `length` times, `count` times (the first operand, if `counted`), or while `test`.

    loop([count,] carry…, slices…, invariants…) {body, test, carried, mapped, …}
    body(k, carry…, slice…, invariant…) -> (carry…, record…)    test(k, carry…, invariant…) -> bool

    k counts the iterations from 0; with `reverse` they run from the last to the first. Slices are
    stacked along a leading axis, or tapes; so are records. Results: the last carries, the records,
    and, if there is a test, the number of iterations. More than `limit` of them, if it is not 0,
    are an error. With `recompute` a reverse outside of it runs it again rather than recording
    results.
    """

    infer = loop_type
    numpy = loop_numpy

    def vjp(node: Node, g: Sequence[Any]):
        return Reverse(node, g).operands()

    def jvp(node: Node, tangents):
        return pushed(node, tangents)

    def batch(node: Node, inputs, batched, size: int):
        return batched_loop(node, inputs, batched, size)

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.is_float:
            x = np.array([0.5, 2.0, 1.5], dtype.numpy)
            yield Sample((x[0], x, x[1]), sample_attrs(dtype))


def sample_attrs(dtype: DType) -> dict[str, Any]:
    """c = c * x + p over three x, recording c."""
    one = TensorType(dtype, ())
    k, c, x, p = position("k", 0, COUNT), *(position(s, 0, one) for s in "cxp")
    body = Graph("body", (k, c, x, p), (c * x + p, c))
    return attributes(body, 1, 1, length=3)
