"""Every function of the table: values and gradients, eagerly and traced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor
from jitgrad.frontend.trace import Argument, trace
from jitgrad.ir.interp import interpret
from tests.ops import table
from tests.ops.table import Row
from tests.ops.table_linalg import LINALG
from tests.ops.table_special import SPECIAL

ROWS = [*table.ROWS, *LINALG, *SPECIAL]

IDS = [f"{i}-{row.name}" for i, row in enumerate(ROWS)]
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=IDS)


def parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def arrays_of(results: Any) -> list[np.ndarray]:
    return [r.asnumpy() for r in parts(results)]


def tensors(row: Row, dtype: str = "float64") -> list[Tensor]:
    return [Tensor(x.astype(dtype)) for x in row.inputs]


def close(found: np.ndarray, wanted: Any, tolerance: float) -> None:
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@EVERY_ROW
def test_value(row: Row) -> None:
    wanted = parts(row.reference(*row.inputs))
    found = arrays_of(row.call(*tensors(row)))
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted):
        close(ours, theirs, 1e-10)


@EVERY_ROW
def test_float32_stays(row: Row) -> None:
    """Float32 in, float32 out, and the values of float64 but for rounding."""
    wanted = parts(row.call(*tensors(row)))
    found = parts(row.call(*tensors(row, "float32")))
    for ours, theirs in zip(found, wanted):
        if theirs.dtype is ms.float64:
            assert ours.dtype is ms.float32
        close(ours.asnumpy().astype(float), theirs.asnumpy(), 2e-4)


def traced(call: Any, inputs: list[Tensor]) -> list[np.ndarray]:
    """The call as a graph, on the reference interpreter."""
    arguments = [Argument(f"x{i}", x._type) for i, x in enumerate(inputs)]
    graph = trace(lambda xs: parts(call(*xs)), arguments, "call").graph
    return interpret(graph, [x.asnumpy() for x in inputs])


@EVERY_ROW
def test_traced(row: Row) -> None:
    inputs = tensors(row)
    wanted = arrays_of(row.call(*inputs))
    found = traced(row.call, inputs)
    for ours, theirs in zip(found, wanted):
        assert ours.dtype == theirs.dtype
        close(ours, theirs, 1e-13)


def scalar_loss(row: Row):
    """The sum of the float results, each element with a weight of its own."""

    def loss(*inputs: Tensor) -> Tensor:
        total = None
        for result in parts(row.call(*inputs)):
            if not result.dtype.is_float:
                continue
            weights = np.cos(np.arange(result.size) * 0.7 + 0.3) + 0.2
            term = (result * Tensor(weights.reshape(result.shape))).sum()
            total = term if total is None else total + term
        return total

    return loss


WITH_GRADIENT = [row for row in ROWS if row.grad]


@pytest.mark.parametrize(
    "row", WITH_GRADIENT, ids=[f"{i}-{row.name}" for i, row in enumerate(WITH_GRADIENT)]
)
def test_gradient(row: Row) -> None:
    """Against central differences, in float64; the traced gradient agrees."""
    inputs = tensors(row)
    loss = scalar_loss(row)
    positions = tuple(range(len(inputs)))
    gradients = parts(ms.grad(loss, positions)(*inputs))
    rng = np.random.default_rng(1)
    for position, gradient in enumerate(gradients):
        direction = rng.standard_normal(inputs[position].shape)
        step = 1e-6
        values = []
        for sign in (1, -1):
            moved = list(inputs)
            moved[position] = Tensor(inputs[position].asnumpy() + sign * step * direction)
            values.append(loss(*moved).item())
        wanted = (values[0] - values[1]) / (2 * step)
        found = float((gradient.asnumpy() * direction).sum())
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)
    found = traced(ms.grad(loss, positions), inputs)
    for ours, theirs in zip(found, gradients):
        close(ours, theirs.asnumpy(), 1e-11)


@pytest.mark.parametrize(
    "row", WITH_GRADIENT, ids=[f"{i}-{row.name}" for i, row in enumerate(WITH_GRADIENT)]
)
def test_second_derivative(row: Row) -> None:
    """A directional derivative of the gradient in the first input, against central differences."""
    first, *rest = tensors(row)
    rng = np.random.default_rng(2)
    left, right = rng.standard_normal((2, *first.shape))

    def slope(x: Tensor) -> Tensor:
        return (ms.grad(scalar_loss(row))(x, *rest) * Tensor(left)).sum()

    found = float((ms.grad(slope)(first).asnumpy() * right).sum())
    step = 1e-5
    ends = [slope(Tensor(first.asnumpy() + s * step * right)).item() for s in (1, -1)]
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-6)


def one_result(row: Row, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    return tuple(parts(row.call(*inputs)))


@EVERY_ROW
def test_batched(row: Row) -> None:
    """vmap over three examples is a loop over them."""
    if row.name == "masked_select":
        pytest.skip("the shape depends on values")
    several = [Tensor(np.stack((x, x * 1.01, x * 0.99))) for x in row.inputs]
    found = ms.vmap(lambda *inputs: one_result(row, list(inputs)))(*several)
    for example in range(3):
        wanted = one_result(row, [x[example] for x in several])
        for ours, theirs in zip(found, wanted):
            close(ours.asnumpy()[example], theirs.asnumpy(), 1e-9)


FAMILIES = {
    "elementwise": table.ELEMENTWISE,
    "reductions": table.REDUCTIONS,
    "shapes": table.SHAPES,
    "gathers": [r for r in table.GATHERS if r.name not in ("masked_select",)],
    "products": table.PRODUCTS,
    "activations": table.ACTIVATIONS,
    "losses": table.LOSSES,
    "layers": table.LAYERS,
    "linear algebra": LINALG,
    "special": SPECIAL,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_compiled(name: str) -> None:
    """A family compiled as one function, with its gradients."""
    rows = FAMILIES[name]
    inputs = [x for row in rows for x in tensors(row)]

    def family(*flat: Tensor) -> list[Tensor]:
        results, left = [], list(flat)
        for row in rows:
            mine, left = left[: len(row.inputs)], left[len(row.inputs) :]
            results += parts(row.call(*mine))
        return results

    wanted = family(*inputs)
    for ours, theirs in zip(ms.jit(family)(*inputs), wanted):
        assert ours.dtype is theirs.dtype
        close(ours.asnumpy(), theirs.asnumpy(), 1e-9)
