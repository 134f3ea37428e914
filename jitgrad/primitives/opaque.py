"""Functions that the compiler calls and does not look into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad.errors import CountError, DTypeError, ShapeError, fail
from jitgrad.ir.node import Graph, Node, builder, input_node, project
from jitgrad.ir.op import OPS, Sample
from jitgrad.ir.types import DType, TensorType, TupleType, Type
from jitgrad.primitives.declare import structural
from jitgrad.primitives.flow import COUNT


@dataclass(frozen=True, slots=True, eq=False)
class Callee:
    """A function of NumPy arrays, called with arrays of certain types only.

    It gets copies, and numbers for what has no axes; it returns an array or a number, or a tuple of
    them if `several`.
    """

    function: Callable[..., Any]
    name: str
    operands: tuple[TensorType, ...]
    results: tuple[TensorType, ...]
    several: bool = False

    def __call__(self, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Its results, checked to be of the types that were promised."""
        found = self.function(*[a.copy() if a.ndim else a[()] for a in arrays])
        parts = found if self.several and isinstance(found, tuple) else (found,)
        if len(parts) != len(self.results):
            raise self.broken(CountError, f"{len(parts)} results, not {len(self.results)}")
        return tuple([self._result(p, t) for p, t in zip(parts, self.results, strict=True)])

    def _result(self, value: Any, type: TensorType) -> np.ndarray:
        array = np.asarray(value)
        if array.shape != type.shape:
            raise self.broken(ShapeError, f"a result of shape {list(array.shape)}, not {type}")
        if not np.can_cast(array.dtype, type.dtype.numpy, "same_kind"):
            raise self.broken(DTypeError, f"a result of dtype {array.dtype}, not {type}")
        return np.array(array, type.dtype.numpy, order="C")

    def broken(self, kind: type[Exception], what: str) -> Exception:
        """The error for a result that is not what was promised."""
        return fail(kind, f"{self.name} returned {what}", instead="opaque(…, like=…) that says so")


CALLEES: list[Callee] = []  # never freed: machine code knows where they are


def registered(callee: Callee) -> dict[str, Any]:
    """The attributes of calls of a function."""
    CALLEES.append(callee)
    number = len(CALLEES) - 1
    return {"callee": number, "function": callee.name, "results": callee.results}


@structural("call")
class opaque:
    """What a function of NumPy arrays returns, which may be one that Numba compiled. It has no
    derivative, and computes the same for the same operands.
    """

    vjp = None

    def infer(types, attrs) -> Type:
        return TupleType(attrs["results"])

    def numpy(*arrays, callee, function, results):
        return CALLEES[callee](arrays)

    def batch(node: Node, inputs, batched, size: int):
        """One call after the other, in a loop."""
        at = [i for i, is_in in enumerate(batched) if is_in]
        rest = [i for i, is_in in enumerate(batched) if not is_in]
        stand_ins = {i: input_node(f"x{i}", x.type) for i, x in enumerate(node.inputs)}
        call = builder.make(node.op, tuple(stand_ins.values()), node.attrs)
        outputs = [project(call, k) for k in range(len(node.type.items))]
        given = [stand_ins[i] for i in (*at, *rest)]
        body = Graph("body", (input_node("k0", COUNT), *given), outputs)
        attrs = {"body": body, "length": size, "carried": 0, "mapped": len(at), "counted": False}
        attrs |= {"limit": 0, "recompute": False, "reverse": False, "test": None}
        return builder.make(OPS["loop"], tuple([inputs[i] for i in (*at, *rest)]), attrs)

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.is_float and dtype.size > 2:
            x, one = np.array([0.5, 2.0, -1.0], dtype.numpy), np.array(3.0, dtype.numpy)
            yield Sample((x, one), _sample_attrs(dtype))


def _sample_attrs(dtype: DType) -> dict[str, Any]:
    vector, scalar = TensorType(dtype, (3,)), TensorType(dtype, ())

    def reversed_and_sum(x: np.ndarray, a: Any) -> tuple[np.ndarray, Any]:
        return x[::-1] * a, x.sum()

    name = reversed_and_sum.__name__
    return registered(Callee(reversed_and_sum, name, (vector, scalar), (vector, scalar), True))


__all__ = ["CALLEES", "Callee", "opaque", "registered"]
