"""Random loops over arrays: compiled, they and their gradients give what they give eagerly."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import jitgrad as ms
from jitgrad import Tensor

HEAD = "from jitgrad import ops\n\n\ndef program(x, w, p):\n"
# x: [rows, lanes], w: [lanes], p: [3]; a and b are carried, total is a sum.
VALUES = ["a", "b", "w", "x[t]", "p[0] * a", "p[1] * b", "row", "ops.tanh(a)", "ops.sin(b)"]
STATEMENTS = [
    "a = 0.9 * a + 0.1 * ({0})",
    "b = ({0}) * ({1}) * 0.3 + 0.2",
    "a, b = b * 0.5 + 0.1 * ({0}), a - 0.1 * ({1})",
    "total = total + (({0}) * ({1})).sum()",
    "total = total + 0.5 * (({0}) * p[2]).mean()",
    "out[t] = ({0}) + 0.1 * ({1})",
    "last = ({0}) * 0.7",
    "a = a - 0.05 * a.mean()",
    "b = b + 0.1 * last",
]
INNER = [
    "a = a - 0.1 * ops.sin(a) * ({0})",
    "b = 0.8 * b + 0.1 * ({0})",
    "total = total + (({0}) * ({0})).sum()",
]


@st.composite
def programs(draw) -> tuple[str, int, int]:
    """The text of a program, its rows and its lanes."""
    value = st.sampled_from(VALUES)

    def lines(choices: list[str], count: int, indent: str) -> list[str]:
        texts = draw(st.lists(st.sampled_from(choices), min_size=1, max_size=count))
        return [f"{indent}{t.format(draw(value), draw(value))}" for t in texts]

    body = [
        "    a, b, last, total = w * 1.0, w * 0.5, x[0] * 0.1, 0.0",
        "    out = x * 0.0",
        "    for t in range(x.shape[0]):",
        "        row = x[t] * 0.5",
        *lines(STATEMENTS, 5, "        "),
    ]
    if draw(st.booleans()):
        body += ["        for _ in range(12):", *lines(INNER, 2, "            ")]
    body += ["    return total + (a * b).sum() + (out * out).mean() + (last * a).mean()"]
    text = HEAD + "\n".join(body) + "\n"
    return text, draw(st.sampled_from([9, 14])), draw(st.sampled_from([5, 40, 700, 3001]))


def run(text: str, rows: int, lanes: int, folder: Path) -> None:
    path = folder / "program.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("program", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, s) for s in ((rows, lanes), (lanes,), (3,))]
    args = [Tensor(a) for a in arrays]
    gradient = ms.value_and_grad(module.program, (0, 1, 2))
    value, slopes = gradient(*args)
    got, found = ms.jit(gradient)(*args)
    np.testing.assert_allclose(got.asnumpy(), value.asnumpy(), rtol=1e-9, err_msg=text)
    for a, b in zip(found, slopes, strict=True):
        scale = np.abs(b.asnumpy()).max() + 1e-9
        np.testing.assert_allclose(
            a.asnumpy(), b.asnumpy(), rtol=0, atol=1e-9 * scale, err_msg=text
        )


@pytest.mark.slow
@given(programs())
@settings(
    max_examples=4,
    phases=[Phase.generate],
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_programs(tmp_path_factory: pytest.TempPathFactory, made: tuple[str, int, int]) -> None:
    run(*made, tmp_path_factory.mktemp("programs"))


def turned(x, w, p):
    """Rows of a transpose, of what the same iteration has written."""
    y, total = x * 1.0, p[0] * w[0]
    for t in range(x.shape[0]):
        y[t, 3] = total * p[1] + 1.0
        total = 0.5 * total + y.T[t][3] * w[1]
    return total + p[2]


def constants(x, w, p):
    """Its gradient has arrays of zeros and a one, which are known before it runs."""
    y, total = x * 1.0, p[0] * w[0]
    for t in range(x.shape[0]):
        y = y * p[1]
        total = total + y.T[t][3]
    return total + p[2]


@pytest.mark.parametrize("function", [turned, constants])
def test_views_and_constants(function: Callable) -> None:
    rng = np.random.default_rng(0)
    args = [Tensor(rng.uniform(-1, 1, s)) for s in ((23, 23), (23,), (3,))]
    gradient = ms.value_and_grad(function, (0, 1, 2))
    value, slopes = gradient(*args)
    got, found = ms.jit(gradient)(*args)
    np.testing.assert_allclose(got.asnumpy(), value.asnumpy(), rtol=1e-10)
    for a, b in zip(found, slopes, strict=True):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), atol=1e-10)
