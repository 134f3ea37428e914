"""Unusual arrays and unusual values: they work as in NumPy or are refused, in both modes, and no
array of the user's is ever written to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, autograd, config, ops
from jitgrad.runtime import cache, executable, loader

BASE = np.arange(24, dtype=np.float32).reshape(4, 6)


def read_only() -> np.ndarray:
    array = BASE.copy()
    array.flags.writeable = False
    return array


def misaligned() -> np.ndarray:
    return np.frombuffer(b"x" + BASE.tobytes(), np.float32, offset=1)


ARRAYS = {
    "empty": np.zeros((0, 3), np.float32),
    "empty inside": np.zeros((3, 0, 2), np.float32),
    "0-d": np.array(2.5, np.float32),
    "transposed": BASE.T,
    "steps": BASE[::2, ::3],
    "backwards": BASE[::-1, ::-1],
    "a column": BASE[:, 1],
    "Fortran order": np.asfortranarray(BASE),
    "broadcast": np.broadcast_to(np.float32(3), (3, 4)),
    "read-only": read_only(),
    "byte-swapped": BASE.astype(">f4"),
    "misaligned": misaligned(),
    "read-only bytes": np.frombuffer(BASE.tobytes(), np.float32),
    "a subclass": BASE.view(np.memmap),
    "one element": np.ones((1, 1, 1), np.float64),
    "float16": np.arange(5, dtype=np.float16),
    "uint8": np.arange(5, dtype=np.uint8),
    "int64, swapped": np.arange(5, dtype=">i8"),
    "bool": np.array([True, False, True]),
}


def program(x: Tensor | np.ndarray) -> tuple:
    return x * 2 + 1, ops.sum(x), ops.flip(x, (0,)) if x.ndim else x


def in_numpy(a: np.ndarray) -> tuple:
    a = np.asarray(a, a.dtype.newbyteorder("="))
    return a * 2 + 1, a.sum(), np.flip(a, 0) if a.ndim else a


def without_gradient(a: np.ndarray) -> tuple:
    with autograd.no_grad():  # where compiled code may read the array itself
        return ms.jit(program)(a)


WAYS: dict[str, Callable[[np.ndarray], tuple]] = {
    "Tensor": lambda a: program(Tensor(a)),
    "argument of ops": lambda a: (ops.add(ops.mul(a, 2), 1), ops.sum(a), program(Tensor(a))[2]),
    "argument of jit": lambda a: ms.jit(program)(a),
    "argument, no_grad": without_gradient,
    "captured by jit": lambda a: ms.jit(lambda: program(ops.reshape(a, a.shape)))(),
    "Parameter": lambda a: ms.jit(program)(ms.Parameter(a)),
    "set_data": lambda a: program(ms.Parameter(Tensor(a) * 0).set_data(a)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ARRAYS)
def test_odd_arrays_work(name: str, way: str) -> None:
    array = ARRAYS[name]
    before = array.tobytes()
    if way == "set_data" and array.dtype.kind == "b":
        array = array.astype(np.int64)
    found = WAYS[way](array)
    for got, wanted in zip(found, in_numpy(array), strict=True):
        got = got.asnumpy()
        np.testing.assert_array_equal(got, wanted)
        assert got.flags.c_contiguous
        assert got.dtype.isnative
    for got in found:
        got.zero_()  # whatever is done to a result reaches no argument
    assert ARRAYS[name].tobytes() == before


@pytest.mark.parametrize("name", [n for n, a in ARRAYS.items() if a.dtype.kind == "f"])
def test_gradients_at_odd_arrays(name: str, mode: str) -> None:
    array = ARRAYS[name]
    before = array.tobytes()
    found = ms.grad(lambda x: (x * x).sum())(array)
    assert isinstance(found, np.ndarray | np.generic)
    np.testing.assert_array_equal(found, 2 * np.asarray(array))
    assert array.tobytes() == before


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3, [("a", np.float32)]),
        np.array([1, "a"], object),
        np.array(["a"]),
        np.zeros(2, np.clongdouble),
        np.zeros(2, np.longdouble),
        np.zeros(2, "datetime64[s]"),
        np.ma.array([1.0, 2.0], mask=[True, False]),
    ],
    ids=["struct", "object", "str", "complex", "longdouble", "datetime", "masked"],
)
def test_what_is_no_tensor_is_refused(array: np.ndarray) -> None:
    for call in (Tensor, ms.Parameter, ops.sin, ms.jit(ops.sin), ms.grad(ops.sin)):
        with pytest.raises(TypeError, match=r"^test_odd_arrays.py:\d+: (.*got|argument 0)"):
            call(array)


# --- memory that is shared ----------------------------------------------------------------------


def test_overlapping_arrays(mode: str) -> None:
    a = np.arange(5, dtype=np.float32)
    f = ms.jit(lambda x, y: x * 10 + y)
    np.testing.assert_array_equal(f(a[:-1], a[1:]).asnumpy(), [1, 12, 23, 34])
    np.testing.assert_array_equal(f(a, a[::-1]).asnumpy(), [4, 13, 22, 31, 40])
    np.testing.assert_array_equal(f(a, a).asnumpy(), a * 11)
    np.testing.assert_array_equal(a, np.arange(5))
    first, second = ms.grad(lambda x, y: (x * x * y).sum(), (0, 1))(a, a)
    np.testing.assert_array_equal(first, 2 * a * a)
    np.testing.assert_array_equal(second, a * a)


def test_one_tensor_twice_with_a_write() -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        x += 1
        return x * y

    for call in (f, ms.jit(f)):
        x = Tensor([1.0, 2.0])
        assert call(x, x).tolist() == [4.0, 9.0]
        assert x.tolist() == [2.0, 3.0]
        x, y = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])
        assert call(x, y).tolist() == [2.0, 6.0]


def test_one_tensor_twice_and_then_two(mode: str) -> None:
    """What was compiled for one Tensor in two places is not used for two Tensors."""
    f, x, y = ms.jit(lambda a, b: a - 2 * b), Tensor([1.0]), Tensor([5.0])
    gradient = ms.grad(lambda a, b: (a * a * b).sum(), (0, 1))
    for first, second, value, slopes in [
        (x, x, -1, (2, 1)),
        (x, y, -9, (10, 1)),
        (y, y, -5, (50, 25)),
        (x, x, -1, (2, 1)),
    ]:
        for _ in range(4):
            assert f(first, second).item() == value
            assert tuple(g.item() for g in gradient(first, second)) == slopes


def test_a_tensor_passed_and_captured(mode: str) -> None:
    p = ms.Parameter(Tensor([1.0]), name="p")
    assert ms.jit(lambda x: x - 2 * p)(p).item() == -1

    @ms.jit
    def add(x: Tensor) -> Tensor:
        ops.assign(p, p + x)
        return p * 1

    for k in (2, 3, 4, 5):
        assert add(Tensor([1.0])).item() == k
    with pytest.raises(RuntimeError, match="got a Tensor that it reads from outside as well"):
        add(p)
    assert p.item() == 5


def test_writing_in_place_reaches_no_array() -> None:
    def f(x: Tensor) -> Tensor:
        x[0] = 9.0
        return x.sum()

    a = np.ones(3, np.float32)
    with autograd.no_grad():
        for _ in range(4):
            assert ms.jit(f)(a).item() == 11.0
    assert a.tolist() == [1.0, 1.0, 1.0]
    x = Tensor(a)
    x += 1
    x.asnumpy()[:] = 7
    assert (a.tolist(), x.tolist()) == ([1.0] * 3, [2.0] * 3)


def test_results_of_a_compiled_function_are_nobody_elses(mode: str) -> None:
    w, x = Tensor([3.0, 4.0]), Tensor([1.0, 2.0])
    first, second, third = ms.jit(lambda x: (x, x, w))(x)
    first += 1
    third += 1
    value, _ = ms.value_and_grad(lambda x: x)(x)
    value += 1
    assert (x.tolist(), second.tolist(), w.tolist()) == ([1, 2], [1, 2], [3, 4])


# --- values that are no numbers -----------------------------------------------------------------

ODD = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 5e-324, 1e-40, 1e30])
UNARY = {
    "abs": np.abs, "neg": np.negative, "exp": np.exp, "log": np.log, "log1p": np.log1p,
    "expm1": np.expm1, "sqrt": np.sqrt, "square": np.square, "reciprocal": np.reciprocal,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "tanh": np.tanh, "sinh": np.sinh,
    "cosh": np.cosh, "atan": np.arctan, "asin": np.arcsin, "acosh": np.arccosh,
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.round, "sign": np.sign,
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite, "logical_not": np.logical_not,
}  # fmt: skip
BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power,
    "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin,
    "atan2": np.arctan2, "fmod": np.fmod, "remainder": np.remainder, "lt": np.less,
    "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal, "logical_and": np.logical_and,
    "floor_divide": np.floor_divide, "logaddexp": np.logaddexp, "copysign": np.copysign,
}  # fmt: skip
REDUCTIONS = {
    "sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min,
    "argmax": np.argmax, "argmin": np.argmin, "any": np.any, "all": np.all, "var": np.var,
    "cumsum": np.cumsum, "nansum": np.nansum,
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("table", [UNARY, BINARY, REDUCTIONS], ids=["unary", "binary", "reduced"])
def test_nan_and_inf_flow_as_in_numpy(table: dict[str, Callable], dtype: type) -> None:
    """All functions of a table in one graph, so that they are fused with each other as well."""
    with np.errstate(all="ignore"):
        odd = ODD.astype(dtype)
        grid = np.meshgrid(odd, odd)
        given = {id(UNARY): [odd], id(BINARY): grid, id(REDUCTIONS): [np.stack(grid, -1)]}
        arrays = given[id(table)]
        options = {"axis": -1} if table is REDUCTIONS else {}
        wanted = [f(*arrays, **options) for f in table.values()]
    arguments = [Tensor(a) for a in arrays]

    def every(*xs: Tensor) -> list[Tensor]:
        return [getattr(ops, name)(*xs, *options.values()) for name in table]

    for way, call in {"eager": every, "compiled": ms.jit(every)}.items():
        for name, got, want in zip(table, call(*arguments), wanted, strict=True):
            np.testing.assert_allclose(
                got.asnumpy(), want, rtol=32 * np.finfo(dtype).eps, atol=0, err_msg=f"{way} {name}"
            )


# --- cache files --------------------------------------------------------------------------------


def cut(files: list[bytes]) -> list[bytes]:
    return [content[: len(content) // 2] for content in files]


DAMAGE: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "empty": lambda files: [b"" for _ in files],
    "cut off": cut,
    "another program's": lambda files: [b"\x7fELF" + os.urandom(500) for _ in files],
    "one bit": lambda files: [f[:-9] + bytes([f[-9] ^ 1]) + f[-8:] for f in files],
    "exchanged": lambda files: files[1:] + files[:1],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_bad_cache_file_costs_a_warning(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new process finds it, ignores it, and puts a good one in its place."""
    functions = (lambda x: x * 3 - 1, lambda x: (x * 5 - 2).sum(), lambda x: ops.abs(x) * 7)
    x = Tensor(np.arange(4.0))
    wanted = [f(x).tolist() for f in functions]

    def run() -> list:
        """As in a new process."""
        monkeypatch.setattr(loader, "_addresses", {})
        monkeypatch.setattr(cache, "_memory", {})
        executable._compiled.cache_clear()
        return [ms.jit(f)(x).tolist() for f in functions]

    with config.override(cache_dir=str(tmp_path / "cache")):
        assert run() == wanted
        files = list(cache.files())
        assert len(files) >= 3
        contents = [path.read_bytes() for path in files]
        for path, content in zip(files, DAMAGE[name](contents), strict=True):
            path.write_bytes(content)
        with pytest.warns(cache.CacheWarning, match="ignoring the broken cache file"):
            assert run() == wanted
        assert run() == wanted  # a good file is in its place, or this would warn
