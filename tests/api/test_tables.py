"""What gradients return and which errors they raise: tables of programs and answers.

A line of `tables` is a program and, behind the arrow, what it shows or raises, word by word. Every
line runs eagerly and in graph mode; those of `returns` and `errors` inside of a compiled function
as well.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, ParameterTuple, Tensor, nn, ops

DATA = {"x": [1.0, 2.0], "y": [3.0, 4.0], "z": [5.0, 6.0]}


class Odd(nn.Cell):
    """A Cell whose derivative is what a function makes of the cotangent."""

    def __init__(self, rule: Callable):
        super().__init__()
        self.rule = rule

    def construct(self, x):
        return x * 2.0

    def bprop(self, x, out, dout):
        return self.rule(dout)


class Twice(ms.autograd.Function):
    """Returns a gradient too many."""

    @staticmethod
    def forward(ctx, x):
        return x * 2.0

    @staticmethod
    def backward(ctx, g):
        return g, g


class Two(nn.Cell):
    """Two outputs; their cotangents are a tuple."""

    def construct(self, x, y):
        return x * 2.0, y * 3.0

    def bprop(self, x, y, out, dout):
        return dout[0] * 20.0, dout[1] * 30.0


def space() -> dict[str, Any]:
    """What programs use, made anew for each."""
    w, b = (Parameter(Tensor(v), name=n) for n, v in (("w", [2.0, 3.0]), ("b", 7.0)))

    def f(x, y, z):
        """By x: y², by y: 2 x y, by z: 1."""
        return x * y * y + z

    def g(x, y):
        """By x: w, by y: 1, by w: x, by b: 1 for each element."""
        return x * w + y + b

    def aux(x, y):
        return x * y, x + y, y

    found = {**vars(ms), **{k: Tensor(v) for k, v in DATA.items()}, "f": f, "g": g, "aux": aux}
    leaves = {f"leaf_{k}": Tensor(v, requires_grad=True) for k, v in DATA.items()}
    more = {"np": np, "nn": nn, "ops": ops, "autograd": ms.autograd}
    more |= {"Odd": Odd, "Two": Two, "Twice": Twice}
    names = {"ParameterTuple": ParameterTuple, "GradOperation": ms.GradOperation}
    names["stop"] = ops.stop_gradient
    return {**found, **leaves, **more, **names, "w": w, "b": b, "backward": ms.autograd.backward}


def shown(value: Any) -> Any:
    """Nests of plain numbers."""
    if isinstance(value, Tensor):
        value = value.asnumpy()
        value = np.round(value.astype(np.float64), 5)
        return int(value) if value.ndim == 0 and value == np.rint(value) else _plain(value.tolist())
    if isinstance(value, np.ndarray):
        return f"array {_plain(np.round(value, 5).tolist())}"
    if isinstance(value, (tuple, list)):
        return type(value)(map(shown, value))
    return {k: shown(v) for k, v in value.items()} if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return int(value) if value == value and abs(value) < 1e9 and value == int(value) else value


def run(program: str, compiled: bool) -> str:
    """The last expression of a program, or what it raises, as text."""
    names = space()
    *before, last = ast.parse(program).body
    expression = compile(ast.Expression(last.value), "<program>", "eval")  # type: ignore[attr-defined]
    try:
        exec(compile(ast.Module(before, []), "<program>", "exec"), names)
        if not compiled:
            return str(shown(eval(expression, names)))

        def inside(**given: Tensor) -> Any:
            return eval(expression, {**names, **given})

        return str(shown(ms.jit(inside)(**{k: names[k] for k in DATA})))
    except Exception as error:
        kinds = [k for k in type(error).__mro__ if k.__module__ == "builtins"]
        own = [k for k in kinds if not any(issubclass(o, k) for o in kinds if o is not k)]
        text = re.sub(r"^[^ ]*\.py:\d+: |^<[^ ]+>:\d+: ", "", str(error))
        return f"{' and '.join(k.__name__ for k in own)}: {text.splitlines()[0]}"


def rows(table: str) -> list[Any]:
    """The programs of a table, with their answers."""
    lines = (Path(__file__).parent / "tables" / f"{table}.txt").read_text().splitlines()
    pairs = [line.split(" -> ") for line in lines if line and not line.startswith("#")]
    return [pytest.param(program, answer, id=program) for program, answer in pairs]


@pytest.mark.parametrize("inside", [False, True], ids=["", "jit"])
@pytest.mark.parametrize(("program", "answer"), [*rows("returns"), *rows("errors")])
def test_functions(mode: str, program: str, answer: str, inside: bool) -> None:
    assert run(program, inside) == answer


@pytest.mark.parametrize(("program", "answer"), rows("tape"))
def test_tape(mode: str, program: str, answer: str) -> None:
    assert run(program, False) == answer


@pytest.mark.parametrize("inside", [False, True], ids=["", "jit"])
@pytest.mark.parametrize("taken", ["x.asnumpy()", "float(x[0])", "x[0].item()", "x.tolist()"])
def test_values_are_not_taken_silently(mode: str, taken: str, inside: bool) -> None:
    found = run(f"grad(lambda x: Tensor({taken}) * x)(x)", inside)
    assert re.match("RuntimeError: a (traced )?Tensor .* was turned into a", found)


# --- all six parameters together ------------------------------------------------------------------

POSITIONS = (0, 1, (0,), (1, 0), None)
WEIGHTS = (None, "w", ["w"], ("w", "b"), [])
FLAGS = (False, True)
SLOPES = {0: [2, 3], 1: [1, 1], "w": [1, 2], "b": 2}


def expected(value: bool, position: Any, weights: Any, aux: bool, ids: bool, sens: bool) -> Any:
    """What `grad` and `value_and_grad` of g(x, y) return, put together from its slopes."""
    scale = 10 if sens else 1

    def slope(key: Any) -> Any:
        found = np.multiply(SLOPES[key], scale).tolist()
        return (key, found) if ids else found

    def part(keys: Any) -> Any:
        return tuple(map(slope, keys)) if isinstance(keys, (tuple, list)) else slope(keys)

    first = part(position[0] if position == (0,) else position) if position is not None else None
    second = part(weights) if weights is not None else None
    gradients = second if position is None else first if weights is None else (first, second)
    out = [12, 17]
    if value:
        return ((out, [4, 6]) if aux else out), gradients
    return (gradients, ([4, 6],)) if aux else gradients


@pytest.mark.parametrize("value", FLAGS, ids=["grad", "value_and_grad"])
@pytest.mark.parametrize("position", POSITIONS, ids=str)
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_all_parameters(mode: str, value: bool, position: Any, weights: Any) -> None:
    if position is None and weights is None:
        return  # an error, above
    names = space()
    x, y = names["x"], names["y"]
    chosen: Any = weights
    if weights:
        chosen = names[weights] if isinstance(weights, str) else [names[n] for n in weights]

    def with_aux(x, y):
        return names["g"](x, y), x + y

    make = ms.value_and_grad if value else ms.grad
    for aux, ids, sens in itertools.product(FLAGS, repeat=3):
        function = make(with_aux if aux else names["g"], position, chosen, aux, ids, sens)
        extra = (Tensor([10.0, 10.0]),) if sens else ()
        found = shown(function(x, y, *extra))
        assert found == expected(value, position, weights, aux, ids, sens), (aux, ids, sens)
