"""What is compiled: vectors, in the functions' own width, and nothing foreign."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from jitgrad import config
from jitgrad.codegen import native
from jitgrad.codegen.vecmath import intrinsics, table
from jitgrad.errors import IRError
from tests.codegen.vecmath.yardstick import (
    PYTHON,
    TYPES,
    Kernel,
    compile_loop,
    compiled,
    run,
    widest,
)

IN_DOUBLE = {"pow"}  # of float32, through float64


@pytest.mark.parametrize("dtype", table.FLOATS)
@pytest.mark.parametrize(
    "name",
    [n for n, (f, _) in table.FLOAT_FUNCTIONS.items() if n not in ("fmod", "mod", "floordiv")],
)
def test_functions_vectorize_in_their_own_width(name, dtype):
    text = compiled(f"{name}_{dtype}", table.FLOAT_FUNCTIONS[name][1]).llvm()
    if name not in table.CALLED:
        assert "jitgrad_" not in text  # it is inlined
        assert widest(text, dtype) >= (4 if dtype == "f32" else 2)
    else:  # the loop calls the version for vectors, which stays in this module
        symbol = rf"@jitgrad_{name}_{dtype}_x(\d+)\("
        assert max(map(int, re.findall(rf"call <[^@]*{symbol}", text))) >= 2
        assert re.search(rf"define internal [^@]*{symbol}", text)
    if dtype == "f32" and name not in IN_DOUBLE:
        assert not re.search(r"\bdouble\b", text)
    calls = set(re.findall(r"\bcall [^@\n]*@\"?([\w.]+)", text))
    assert all(c.startswith(("llvm.", "jitgrad_")) for c in calls), calls  # nothing of libm's


def test_a_long_function_is_there_once():
    def bodies(uses):
        expression = "a[i]"
        for _ in range(uses):
            expression = f"sin_f64({expression})"
        text = compile_loop(expression, ["f64"], "f64").llvm()
        return re.findall(r"define internal [^@]*@(\w+)", text)

    assert len(bodies(12)) <= 4  # for vectors, for shorter ones, and for the rest of the loop


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("dtype", table.FLOATS)
def test_called_functions_on_vectors_of_any_size(bits, dtype, monkeypatch):
    """Loops of other vectors than the function's, and single numbers, get the same bits."""
    monkeypatch.setattr(native, "vector_bits", lambda: bits)
    x = np.linspace(-3, 3, 1003).astype(TYPES[dtype])
    x[::50] *= 1e6  # rare cases, in some vectors
    loop = ["for i in range(n):", f"    # {bits} bits", f"    out[i] = sin_{dtype}(a[i])"]
    for body in (loop, [f"# {bits} bits", f"out[0] = sin_{dtype}(a[0])"]):
        kernel = Kernel([f"a = {dtype}_ptr(ptrs, 0)", f"out = {dtype}_ptr(ptrs, 1)", *body])
        usual = run(compiled(f"sin_{dtype}"), [x], dtype)
        same_size = usual if body is loop else np.where(np.arange(x.size) < 1, usual, 0)
        assert np.array_equal(run(kernel, [x], dtype), same_size)


def test_names_are_the_same_everywhere():
    assert set(PYTHON) == set(intrinsics.namespace_numba()) == set(table.NAMES)


def test_scalars_stay_in_their_type_and_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, (_, arity, dtype) in table.functions().items():
            one = TYPES[dtype].type(1)
            result = PYTHON[name](*[one] * arity)
            assert type(result) is TYPES[dtype].type, name
        assert PYTHON["exp_f32"](1.0).dtype == np.float32  # a literal is taken as a float32
        with pytest.raises(TypeError):
            PYTHON["exp_f32"](np.float64(1))


@pytest.mark.parametrize("frontend", ["direct", "numba"])
def test_wrong_types_do_not_compile(frontend):
    from numba.core.errors import TypingError

    for expression, inputs in (("exp_f32(a[i])", ["f64"]), ("exp_f32(1.0)", ["f32"]),
                               ("select(a[i] < a[i], a[i], 1.0)", ["f32"])):  # fmt: skip
        with config.override(frontend=frontend), pytest.raises((TypingError, IRError)):
            compile_loop(expression, inputs, "f32")


def test_the_same_names_in_kernels_and_in_plain_numba_functions() -> None:
    """Neither target gets what was made for the other, in either order."""
    import numba

    import jitgrad as ms

    x = 0.75
    for first in (True, False):
        for name, op in (("cos", ms.ops.cos), ("tanh", ms.ops.tanh), ("erfc", ms.ops.erfc)):
            call = intrinsics.namespace_numba()[f"{name}_f64"]
            program = ms.jit(lambda t, op=op, first=first: op(t) * (1.75 + first))
            with config.override(cache=False):
                if first:
                    program(ms.Tensor([x], ms.float64))
                found = numba.njit(lambda v, call=call: call(v))(x)
                if not first:
                    program(ms.Tensor([x], ms.float64))
            expected = float(op(ms.Tensor(x, ms.float64)))
            assert found == pytest.approx(expected, rel=4 * np.finfo(np.float64).eps)


def test_numba_is_imported_only_when_asked_for():
    code = (
        "import sys, jitgrad.codegen.vecmath.intrinsics as i; i.namespace_python();"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
