"""The programs with control flow: in a trace they do what they do eagerly, and their gradients
agree with finite differences.
"""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, tree
from jitgrad.api.jit import Compiled
from jitgrad.frontend import graphcall

FOLDER = Path(__file__).parents[2] / "examples" / "control"


def load(name: str) -> Any:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"control_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def double(*values: Any) -> tuple[Tensor, ...]:
    return tuple([Tensor(np.array(v, np.float64)) for v in values])


def newton(m: Any) -> tuple:
    return lambda a, b: m.root(a, b, Tensor(2.0, ms.float64)), double(-2.0, -5.0)


def bisection(m: Any) -> tuple:
    return m.tension, double(100.0, 104.0)


def kalman(m: Any) -> tuple:
    rng = np.random.default_rng(0)
    readings, known = Tensor(rng.normal(size=20)), Tensor(rng.random(20) > 0.3)
    return lambda noise: m.surprise(noise, readings, known), double([0.1, -0.5])


def rk45(m: Any) -> tuple:
    end = Tensor(0.5, ms.float64)
    return lambda a, s: m.swing(a, s, end, 1e-6)[0], double(2.0, 0.3)


def ray_marching(m: Any) -> tuple:
    x, y = double(0.1, -0.15)
    return lambda light: m.brightness(light, x, y), double([2.0, 3.0, 0.0])


def edit_distance(m: Any) -> tuple:
    first, second = m.letters("loop"), m.letters("pool")
    return lambda costs: m.edit_distance(costs, first, second), double([1.0, 1.1, 1.5])


def gauss_seidel(m: Any) -> tuple:
    m.N = 5
    return m.middle, double([1.0, 0.0, 0.5, 0.25])


def particle_filter(m: Any) -> tuple:
    rng = np.random.default_rng(0)
    m.PARTICLES = 8
    kicks, places = Tensor(rng.normal(size=(3, 8)) * 0.2), Tensor(rng.random(3))
    readings = Tensor(np.array([0.3, 0.7, 0.8]))
    return lambda drift: m.evidence(drift, readings, kicks, places)[0], double(0.3)


def beam_search(m: Any) -> tuple:
    rng = np.random.default_rng(1)
    start = Tensor(5, ms.int32)
    return lambda scores: m.best(scores, start)[0], double(rng.normal(size=(8, 8)) * 1.5)


def lstm(m: Any) -> tuple:
    rng = np.random.default_rng(0)
    net = m.Reader(rng)
    return lambda x: (net(x.astype(ms.float32)) ** 2).mean(), double(rng.normal(size=(2, 4)))


PROGRAMS: dict[str, Callable] = {
    f.__name__: f
    for f in (
        newton, bisection, kalman, rk45, ray_marching, edit_distance, gauss_seidel,
        particle_filter, beam_search, lstm,
    )
}  # fmt: skip
FLOATS = {"lstm": 2e-3}  # computed in float32: differences are coarse
STEPS = {"lstm": 1e-2}


def interpreted(function: Callable) -> Callable:
    """In a trace, run node by node."""
    return Compiled(function, graphcall.interpreted)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients(name: str) -> None:
    function, args = PROGRAMS[name](load(name))
    gradient = ms.value_and_grad(function, tuple(range(len(args))))
    value, slopes = gradient(*args)
    got_value, got_slopes = interpreted(gradient)(*args)
    np.testing.assert_allclose(got_value.asnumpy(), value.asnumpy(), rtol=1e-6)
    rng, h = np.random.default_rng(2), STEPS.get(name, 1e-6)
    ways = [rng.normal(size=a.shape) for a in args]
    moved = [
        function(*[Tensor(a.asnumpy() + s * h * w) for a, w in zip(args, ways)]).item()
        for s in (1.0, -1.0)
    ]
    along = sum(float((g.asnumpy() * w).sum()) for g, w in zip(tree.flatten(slopes)[0], ways))
    tolerance = FLOATS.get(name, 1e-5)
    np.testing.assert_allclose(along, (moved[0] - moved[1]) / (2 * h), rtol=tolerance, atol=1e-7)
    for g, want in zip(tree.flatten(got_slopes)[0], tree.flatten(slopes)[0], strict=True):
        np.testing.assert_allclose(g.asnumpy(), want.asnumpy(), rtol=1e-5, atol=1e-6)


PRINTS = {
    "beam_search": r"words \[2, 6, 4, 1, 7, .*\] log probability -\d\.\d+\nraise first \(.*\)",
    "bisection": r"tension 102\.6689, by span 14\.2173, by length -12\.6833",
    "edit_distance": r"distance 5\.887; used \[3\.03, 0\.03, 1\.97\]",
    "gauss_seidel": r"middle 0\.3906, by edge \[0\.212, 0\.287, 0\.212, 0\.287\]",
    "kalman": r"variance of acceleration 0\.58 \(0\.50\), of the sensor 0\.040 \(0\.040\)",
    "lstm": r"loss 0\.0\d\d, (9\d|100)% right",
    "newton": r"root 2\.094551, by a -0\.187660, by b -0\.089594",
    "particle_filter": r"drift 0\.\d\d \(0\.30\), resampled \d+ times, surprise .*",
    "ray_marching": r"(.{24}\n){12}brighter towards \[-0\.0197, 0\.0204, 0\.0083\]",
    "rk45": r"angle -0\.61637 after 3805 steps, by angle 1\.10380, by speed 0\.92931",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTS)
def test_programs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As they are, compiled."""
    before = ms.get_context("mode")
    try:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    finally:
        ms.set_context(mode=before)
    printed = capsys.readouterr().out.rstrip()
    assert re.fullmatch(PRINTS[name], printed), printed


def test_no_example_is_forgotten() -> None:
    assert {p.stem for p in FOLDER.glob("*.py")} == PROGRAMS.keys()
