"""vecmath: accuracy in ulp over the whole range, special cases, types, vectorization.

Every function is run twice, compiled by Numba into a loop over raw pointers and on NumPy arrays,
and both are held against a wider reference: float64 for float32, the x86 long double or mpmath for
float64.
"""

import ctypes
import itertools
import re
import subprocess
import sys
import warnings

import mpmath
import numpy as np
import pytest
import scipy.special

from jitgrad.codegen.vecmath import intrinsics, table

INF, NAN = np.inf, np.nan
PYTHON = intrinsics.namespace_python()
LONG = np.finfo(np.longdouble).nmant >= 63
TYPES = {code: np.dtype(name) for code, name in table.NUMPY_NAMES.items()}


# ------------------------------------------------------------------------------------- the kernels


def compile_text(lines):
    """A Numba C function (ptrs, n) with the given body."""
    from numba import cfunc, types

    space = dict(intrinsics.namespace_numba())
    exec("\n    ".join(["def kernel(ptrs, n):", *lines]), space)
    signature = types.void(types.CPointer(types.int64), types.int64)
    return cfunc(signature, error_model="numpy")(space["kernel"])


def compile_loop(expression, inputs, output, reduce=None):
    """out[i] = expression of a[i], b[i], c[i]; or out[0] = a reduction of it."""
    pointers = [f"{v} = {t}_ptr(ptrs, {k})" for k, (v, t) in enumerate(zip("abc", inputs))]
    pointers.append(f"out = {output}_ptr(ptrs, {len(inputs)})")
    loop = ["for i in range(n):", f"    out[i] = {expression}"]
    if reduce is not None:
        loop = ["acc = a[0]", "for i in range(1, n):", f"    acc = {reduce}(acc, {expression})",
                "out[0] = acc"]  # fmt: skip
    return compile_text(pointers + loop)


def call(kernel, arrays, size):
    """Run a kernel on the addresses of arrays."""
    addresses = np.array([x.ctypes.data for x in arrays], np.int64)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(kernel.address)
    function(addresses.ctypes.data, size)


def run(kernel, inputs, output):
    """What the kernel writes, for input arrays of one size."""
    inputs = [np.ascontiguousarray(x) for x in inputs]
    out = np.zeros(inputs[0].size, TYPES[output])
    call(kernel, [*inputs, out], out.size)
    return out


_compiled = {}


def compiled(name, arity=1):
    """The loop over one function of one dtype, compiled once."""
    if name not in _compiled:
        dtype = name.rsplit("_", 1)[1]
        operands = ", ".join(f"{v}[i]" for v in "abc"[:arity])
        _compiled[name] = compile_loop(f"{name}({operands})", [dtype] * arity, dtype)
    return _compiled[name]


def evaluate(name, *inputs):
    """(LLVM's values, NumPy's values), and no warning on the way."""
    dtype = name.rsplit("_", 1)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = PYTHON[name](*inputs)
    assert plain.dtype == TYPES[dtype]
    return run(compiled(name, len(inputs)), inputs, dtype), plain


# ------------------------------------------------------------------------------------ the yardstick


def ulps(got, want):
    """|got - want| in units of the last place of the exact value, for a wider ``want``."""
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        over = np.abs(want) >= want.dtype.type(info.max) * (1 + want.dtype.type(info.eps) / 4)
        want = np.where(over, np.copysign(INF, want), want)
        _, exponent = np.frexp(np.where(np.isfinite(want), want, 1))
        unit = np.ldexp(want.dtype.type(1), np.maximum(exponent - 1, info.minexp) - info.nmant)
        error = np.abs(got.astype(want.dtype) - want) / unit
    error[(got == want) | (np.isnan(got) & np.isnan(want))] = 0
    error[np.isnan(error)] = INF
    return error


def exact_ulps(got, want):
    """``ulps`` for a list of mpmath numbers."""
    info, out = np.finfo(got.dtype), []
    for g, w in zip(got.tolist(), want):
        if mpmath.isnan(w) or g != g:
            out.append(0.0 if mpmath.isnan(w) and g != g else INF)
        elif w == 0 or np.isinf(g) or mpmath.isinf(w):
            beyond = abs(w) > mpmath.mpf(float(info.max))
            out.append(0.0 if g == w or (np.isinf(g) and beyond) else INF)
        else:
            exponent = max(int(mpmath.floor(mpmath.log(abs(w), 2))), info.minexp)
            out.append(float(abs(mpmath.mpf(g) - w) / mpmath.mpf(2) ** (exponent - info.nmant)))
    return np.array(out)


def same(got, want):
    """Equal bit for bit, any nan being equal to any other."""
    nan = np.isnan(got) & np.isnan(want)
    return (got == want) & (np.signbit(got) == np.signbit(want)) | nan


def assert_small(name, error, bound, inputs, got, want):
    worst = int(np.argmax(error))
    where = [repr(x[worst]) for x in inputs]
    assert error[worst] <= bound, (
        f"{name}{where}: {got[worst]!r}, exact {want[worst]!r}: {error[worst]:.2f} ulp"
    )


# --------------------------------------------------------------------------------------- the inputs


def specials(dtype):
    """±0, ±inf, nan, the ends of the formats, numbers next to 1 and thresholds of the functions."""
    info = np.finfo(dtype)
    positive = [0, 1, 2, 3, 0.5, 1.5, 10, INF, info.max, info.tiny, info.smallest_subnormal,
                1 + info.eps, 1 - info.epsneg, info.tiny * (1 - info.eps), np.pi, np.pi / 2,
                88.722839, 88.72284, 103.27893, 103.97208, 709.7827128933840, 709.782712893385,
                744.4400719213812, 745.1332191019412, 89.415985, 710.4758600739439]  # fmt: skip
    values = np.array(positive + [-x for x in positive] + [NAN], dtype=np.float64)
    with np.errstate(all="ignore"):
        values = values.astype(dtype)
        return np.concatenate([values, np.nextafter(values, dtype(INF))])


def dense_float32():
    """Every exponent, subnormals too, with 150 mantissas each, and the specials."""
    rng = np.random.default_rng(1)
    exponent = np.repeat(np.arange(255, dtype=np.uint32), 150)
    mantissa = rng.integers(0, 1 << 23, exponent.size, dtype=np.uint32)
    half = (exponent << np.uint32(23) | mantissa).view(np.float32)
    spread = rng.uniform(-12, 12, 60_000).astype(np.float32)
    unit = rng.uniform(-1, 1, 20_000).astype(np.float32)
    return np.concatenate([half, -half, spread, unit, specials(np.float32)])


def sampled_float64(size):
    """All exponents, and more where the functions are not constant, in every proportion."""
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 1 << 64, size, dtype=np.uint64).view(np.float64)
    near = rng.choice([-1, 1], size) * 2.0 ** rng.uniform(-60, 12, size)
    return np.concatenate([bits[np.isfinite(bits)], near, rng.uniform(-12, 12, size),
                           rng.uniform(-1, 1, size), specials(np.float64)])  # fmt: skip


FLOAT32 = dense_float32()
FLOAT64 = sampled_float64(20_000)


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


# name -> (reference for arrays of any float type, ulp bound)
ARRAYS = {
    "exp": (np.exp, 1.2), "exp2": (np.exp2, 1.2), "expm1": (np.expm1, 1.6),
    "sinh": (np.sinh, 2), "cosh": (np.cosh, 2), "tanh": (np.tanh, 2), "sigmoid": (sigmoid, 2),
    "log": (np.log, 1), "log1p": (np.log1p, 1.1), "log2": (np.log2, 1.2), "log10": (np.log10, 1.2),
    "asinh": (np.arcsinh, 1.5), "acosh": (np.arccosh, 1.6), "atanh": (np.arctanh, 1.7),
    "sin": (np.sin, 1), "cos": (np.cos, 1), "tan": (np.tan, 1.5),
    "asin": (np.arcsin, 1.5), "acos": (np.arccos, 1.5), "atan": (np.arctan, 1.5),
    "sqrt": (np.sqrt, 0.5), "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5),
    "floor": (np.floor, 0), "ceil": (np.ceil, 0), "trunc": (np.trunc, 0), "rint": (np.rint, 0),
    "abs": (np.abs, 0),
}  # fmt: skip
# name -> (NumPy reference for float64, mpmath reference, ulp bound)
SPECIAL = {
    "erf": (scipy.special.erf, mpmath.erf, 1.5),
    "erfc": (scipy.special.erfc, mpmath.erfc, 2),
    "erfinv": (scipy.special.erfinv, None, 3),
    "lgamma": (scipy.special.gammaln, lambda x: mpmath.loggamma(x).real, 4),
    "digamma": (scipy.special.digamma, mpmath.digamma, 4),
}
# where a special function promises its bound in ulp of the result
POSITIVE = {"lgamma": -0.5, "digamma": 0.0}


# --------------------------------------------------------------------------------------- accuracy


@pytest.mark.parametrize("name", [*ARRAYS, "erf", "erfc", "erfinv", "lgamma", "digamma"])
def test_float32_accuracy(name):
    reference, *_, bound = ARRAYS.get(name) or SPECIAL[name]
    x = FLOAT32
    if name in POSITIVE:
        x = x[~(x <= POSITIVE[name])]
    got, plain = evaluate(f"{name}_f32", x)
    with np.errstate(all="ignore"):
        want = reference(x.astype(np.float64))
    assert_small(name, ulps(got, want), bound, [x], got, want)
    assert_small(name, ulps(plain, want), bound, [x], plain, want)
    assert_small(f"{name}: LLVM against NumPy", ulps(got, plain.astype(float)), 1, [x], got, plain)


@pytest.mark.skipif(not LONG, reason="no extended precision here: nothing to compare with")
@pytest.mark.parametrize("name", ARRAYS)
def test_float64_accuracy(name):
    reference, bound = ARRAYS[name]
    got, plain = evaluate(f"{name}_f64", FLOAT64)
    with np.errstate(all="ignore"):
        want = np.asarray(reference(FLOAT64.astype(np.longdouble)))
    assert_small(name, ulps(got, want), bound, [FLOAT64], got, want)
    assert_small(name, ulps(plain, want), max(bound, 1.3 * bound), [FLOAT64], plain, want)
    difference = ulps(got, plain.astype(np.longdouble))
    assert_small(f"{name}: LLVM against NumPy", difference, 2, [FLOAT64], got, plain)


def gamma_points(rng):
    return np.concatenate([rng.uniform(-0.5, 9, 250), 2.0 ** rng.uniform(-30, 60, 60),
                           1 + rng.normal(0, 1e-3, 30), 2 + rng.normal(0, 1e-3, 30),
                           1.4616321449683622 + rng.normal(0, 1e-4, 30)])  # fmt: skip


@pytest.mark.parametrize("name", ["erf", "erfc", "lgamma", "digamma"])
def test_special_functions_in_float64(name):
    _, exact, bound = SPECIAL[name]
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(-6, 27, 250), rng.uniform(-2, 2, 150)])
    if name in POSITIVE:
        x = gamma_points(rng)
        x = x[x > POSITIVE[name]]
    got, plain = evaluate(f"{name}_f64", x)
    with mpmath.workdps(40):
        want = [exact(mpmath.mpf(v)) for v in x.tolist()]
        assert_small(name, exact_ulps(got, want), bound, [x], got, want)
        assert_small(name, exact_ulps(plain, want), bound * 1.3, [x], plain, want)


def test_erfinv_in_float64():
    """Through erf and erfc, which are easier to have exactly."""
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.uniform(-1, 1, 300), 1 - 2.0 ** rng.uniform(-53, -1, 200)])
    got, plain = evaluate("erfinv_f64", x)
    with mpmath.workdps(40):
        for y in (got, plain):
            for a, b in zip(x.tolist(), y.tolist()):
                a, b = abs(mpmath.mpf(a)), abs(mpmath.mpf(b))
                miss = mpmath.erf(b) - a if a < 0.5 else (1 - a) - mpmath.erfc(b)
                slope = 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-b * b)
                assert abs(miss / slope) <= 4 * np.spacing(float(b))


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_huge_arguments(name):
    """The float64 nearest to a multiple of pi/2, the largest float, and many large ones."""
    worst = 6381956970095103.0 * 2.0**797
    rng = np.random.default_rng(5)
    spread = 2.0 ** rng.uniform(10, 1023, 100)
    near = np.arange(1, 60) * (np.pi / 2)
    x = np.array([worst, -worst, 1.7976931348623157e308, 1e22, 2.0**1023, *spread, *near])
    got, plain = evaluate(f"{name}_f64", x)
    with mpmath.workprec(1300):
        want = [getattr(mpmath, name)(mpmath.mpf(v)) for v in x.tolist()]
        assert_small(name, exact_ulps(got, want), 1.3, [x], got, want)
        assert_small(name, exact_ulps(plain, want), 1.3, [x], plain, want)


@pytest.mark.parametrize("dtype", table.FLOATS)
def test_negative_gamma(dtype):
    """Below -1/2 the error is bounded in ulp of 1, of the result, or of the reflected term."""
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.uniform(-20, -0.5, 200), -(2.0 ** rng.uniform(0, 10, 60))])
    x = x.astype(TYPES[dtype])
    eps = float(np.finfo(x.dtype).eps)
    low, _ = evaluate(f"lgamma_{dtype}", x)
    psi, _ = evaluate(f"digamma_{dtype}", x)
    with mpmath.workdps(40):
        for v, got, derivative in zip(x.tolist(), low.tolist(), psi.tolist()):
            v = mpmath.mpf(v)
            want = mpmath.log(abs(mpmath.gamma(v)))
            assert abs(got - want) <= 4 * eps * max(1, abs(want))
            want, turned = mpmath.digamma(v), mpmath.pi * mpmath.cot(mpmath.pi * v)
            assert abs(derivative - want) <= 4 * eps * max(1, abs(want), abs(turned))


@pytest.mark.parametrize("dtype", table.FLOATS)
def test_gamma_at_its_poles(dtype):
    x = np.array([0.0, -0.0, -1, -2, -100, INF, -INF, NAN, 1, 2], TYPES[dtype])
    for got in evaluate(f"lgamma_{dtype}", x):
        assert same(got, np.array([INF, INF, INF, INF, INF, INF, INF, NAN, 0, 0], got.dtype)).all()
    for got in evaluate(f"digamma_{dtype}", x[:8]):
        want = np.array([-INF, INF, NAN, NAN, NAN, INF, NAN, NAN], got.dtype)
        assert same(got, want).all()


# ------------------------------------------------------------------------------- two operands


CORNERS = [0.0, 1, 2, 0.5, 3, INF, 1.5, 1e-45, 5e-324, 3e38, 1e300, 2.0**23 + 0.5, 2.0**24 - 1,
           2.0**52 + 0.5, 2.0**53 - 1, 2.0**53]  # fmt: skip


def corner_pairs(dtype):
    values = np.array([s * v for v in CORNERS for s in (1, -1)] + [NAN])
    with np.errstate(all="ignore"):
        values = values.astype(dtype)
    return (np.array(column) for column in zip(*itertools.product(values, values)))


def is_exact(want):
    """Where a result has no rounding in it: 0, 1, inf, nan and their negatives."""
    return ~np.isfinite(want) | np.isin(np.abs(want), [0, 1])


@pytest.mark.parametrize("dtype", table.FLOATS)
@pytest.mark.parametrize(
    ("name", "reference"), [("pow", np.power), ("atan2", np.arctan2), ("fmod", np.fmod),
                            ("mod", np.remainder), ("floordiv", np.floor_divide),
                            ("copysign", np.copysign)],
)  # fmt: skip
def test_special_cases_of_two_operands(name, reference, dtype):
    x, y = corner_pairs(TYPES[dtype])
    with np.errstate(all="ignore"):
        want = reference(x, y)
    exact = is_exact(want) if name in ("pow", "atan2") else np.ones(want.shape, bool)
    for got in evaluate(f"{name}_{dtype}", x, y):
        bad = exact & ~same(got, want)
        assert not bad.any(), list(zip(x[bad], y[bad], got[bad], want[bad]))[:5]
        assert ulps(got, want.astype(np.longdouble))[~bad].max() <= 3


def power_operands(dtype, size):
    """x**y over the whole range of results, x near 1 with huge y, and modest numbers."""
    rng = np.random.default_rng(7)
    top = np.finfo(dtype).maxexp
    near = 1 + rng.choice([-1, 1], size) * 2.0 ** rng.uniform(-top.bit_length() * 2.5, -1, size)
    x = np.concatenate([2.0 ** rng.uniform(-top - 20, top, size), near, rng.uniform(0, 9, size)])
    with np.errstate(all="ignore"):
        x = x.astype(dtype)
        y = rng.uniform(-top - 30, top + 5, x.size) / np.log2(x.astype(np.longdouble))
        y[-size:] = rng.uniform(-20, 20, size)
        x[::5] *= -1
        y[::5] = np.rint(y[::5])
        return x, y.astype(dtype)


@pytest.mark.parametrize("dtype", table.FLOATS)
def test_pow_accuracy(dtype):
    if dtype == "f64" and not LONG:
        pytest.skip("no extended precision here: nothing to compare with")
    x, y = power_operands(TYPES[dtype].type, 20_000)
    wide = np.float64 if dtype == "f32" else np.longdouble
    with np.errstate(all="ignore"):
        want = np.power(x.astype(wide), y.astype(wide))
    for got in evaluate(f"pow_{dtype}", x, y):
        assert_small("pow", ulps(got, want), 1.5, [x, y], got, want)


@pytest.mark.parametrize("dtype", table.FLOATS)
def test_atan2_accuracy(dtype):
    if dtype == "f64" and not LONG:
        pytest.skip("no extended precision here: nothing to compare with")
    rng = np.random.default_rng(8)
    y, x = ((rng.choice([-1, 1], 40_000) * 2.0 ** rng.uniform(-20, 20, 40_000))
            .astype(TYPES[dtype]) for _ in range(2))  # fmt: skip
    wide = np.float64 if dtype == "f32" else np.longdouble
    want = np.arctan2(y.astype(wide), x.astype(wide))
    for got in evaluate(f"atan2_{dtype}", y, x):
        assert_small("atan2", ulps(got, want), 2, [y, x], got, want)


@pytest.mark.parametrize("dtype", [*table.FLOATS, *table.INTEGERS])
def test_minimum_and_maximum(dtype):
    x, y = corner_pairs(TYPES[dtype]) if dtype in table.FLOATS else integer_pairs(dtype)
    for name, reference in (("minimum", np.minimum), ("maximum", np.maximum)):
        for got in evaluate(f"{name}_{dtype}", x, y):
            assert np.array_equal(got, reference(x, y), equal_nan=dtype in table.FLOATS)


# --------------------------------------------------------------------------------------- integers


def integer_pairs(dtype):
    info = np.iinfo(TYPES[dtype])
    values = {info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 7, 10, 100}
    values |= {-v for v in values if info.min <= -v <= info.max}
    pairs = itertools.product(sorted(values), repeat=2)
    return (np.array(column, TYPES[dtype]) for column in zip(*pairs))


@pytest.mark.parametrize("dtype", table.INTEGERS)
def test_integer_division(dtype):
    x, y = integer_pairs(dtype)
    with np.errstate(all="ignore"):
        cases = {"floordiv": np.floor_divide(x, y), "mod": np.remainder(x, y),
                 "fmod": np.fmod(x, y)}  # fmt: skip
    for name, want in cases.items():
        for got in evaluate(f"{name}_{dtype}", x, y):
            assert np.array_equal(got, want), name


@pytest.mark.parametrize("dtype", table.INTEGERS)
def test_integer_power(dtype):
    x, y = integer_pairs(dtype)
    negative = np.zeros(x.shape, bool) if dtype[0] == "u" else y < 0
    want = np.power(x, np.where(negative, 0, y).astype(x.dtype))
    units = np.where(x == 1, 1, np.where(np.abs(x.astype(float)) == 1, 1 - 2 * (y % 2 == 1), 0))
    want = np.where(negative, units, want.astype(object)).astype(x.dtype)
    for got in evaluate(f"pow_{dtype}", x, y):
        assert np.array_equal(got, want)


@pytest.mark.parametrize("dtype", [t for t in table.INTEGERS if t[0] == "i"])
def test_integer_magnitude(dtype):
    x, _ = integer_pairs(dtype)
    for got in evaluate(f"abs_{dtype}", x):
        assert np.array_equal(got, np.abs(x))


# ------------------------------------------------------------------------------ casts, select, sums


def cast_values(source):
    if source == "bool":
        return np.array([False, True])
    if source in table.FLOATS:
        values = [0.0, -0.0, 0.5, 1, 1.5, 2.5, 100.75, 127, NAN, INF, 255, 3e9, 1e19, 2.0**63]
        if source == "f64":
            values += [1e300, 1e-300, 0.1]
        return np.array(values, TYPES[source])
    return np.unique(next(integer_pairs(source)))


def cast_all(target, sources):
    """Every source array cast by one kernel; they are repeated up to one size."""
    size = max(x.size for x in sources.values())
    outs = {source: np.zeros(size, TYPES[target]) for source in sources}
    pointers, loop, arrays = [], ["for i in range(n):"], []
    for k, (source, x) in enumerate(sources.items()):
        pointers.append(f"a{k} = {source}_ptr(ptrs, {2 * k})")
        pointers.append(f"out{k} = {target}_ptr(ptrs, {2 * k + 1})")
        loop.append(f"    out{k}[i] = to_{target}(a{k}[i])")
        arrays += [np.resize(x, size), outs[source]]
    call(compile_text(pointers + loop), arrays, size)
    return {source: out[: sources[source].size] for source, out in outs.items()}


@pytest.mark.parametrize("target", table.DTYPES)
def test_casts(target):
    """astype, from every type, of the values that fit; both versions agree on more."""
    sources = {source: cast_values(source) for source in table.DTYPES}
    compiled_casts, to = cast_all(target, sources), TYPES[target]
    for source, x in sources.items():
        got = compiled_casts[source]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plain = np.array([PYTHON[f"to_{target}"](v) for v in x], to)
            assert np.array_equal(PYTHON[f"to_{target}"](x), plain, equal_nan=to.kind == "f")
        with np.errstate(all="ignore"):
            want = x.astype(to)
        fits = np.ones(x.shape, bool)
        if source in table.FLOATS and target in table.INTEGERS:
            info = np.iinfo(to)
            fits = (x > float(info.min) - 1) & (x < float(info.max)) | (x == 0)
            known = np.abs(x) < 2.0**31  # beyond, LLVM's conversion is poison
            assert np.array_equal(got[known], plain[known]), source
        for y in (got, plain):
            assert np.array_equal(y[fits], want[fits], equal_nan=to.kind == "f"), source


def test_negative_floats_wrap_in_unsigned_integers():
    x = np.array([-1.0, -2.5, -255.0], np.float32)
    for target in ("u8", "u16", "u32", "u64"):
        got = run(compile_loop(f"to_{target}(a[i])", ["f32"], target), [x], target)
        want = x.astype(np.int64).astype(TYPES[target])
        assert np.array_equal(got, want)
        assert np.array_equal(PYTHON[f"to_{target}"](x), want)


@pytest.mark.parametrize("dtype", ["f32", "f64", "i8", "u16", "i64"])
def test_select(dtype):
    rng = np.random.default_rng(9)
    condition = rng.integers(0, 2, 50).astype(bool)
    x, y = (rng.integers(0, 100, 50).astype(TYPES[dtype]) for _ in range(2))
    kernel = compile_loop("select(a[i], b[i], c[i])", ["bool", dtype, dtype], dtype)
    want = np.where(condition, x, y)
    assert np.array_equal(run(kernel, [condition, x, y], dtype), want)
    assert np.array_equal(PYTHON["select"](condition, x, y), want)
    assert PYTHON["select"](True, x[0], y[0]) == x[0]


def test_select_of_a_comparison_and_a_stored_boolean():
    x = np.array([1, -2, 3, NAN], np.float32)
    kernel = compile_loop("to_bool(select(a[i] < b[i], a[i], b[i]))", ["f32", "f32"], "bool")
    assert run(kernel, [x, np.zeros(4, np.float32)], "bool").tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("dtype", table.FLOATS)
@pytest.mark.parametrize("op", table.REASSOC)
def test_accumulators_vectorize_and_keep_nan(op, dtype):
    name = f"{op}_{dtype}"
    kernel = compile_loop("a[i]", [dtype], dtype, reduce=name)
    assert widest(kernel, dtype) >= 2
    x = np.random.default_rng(10).uniform(0.9, 1.1, 1003).astype(TYPES[dtype])
    reference = {"add": np.sum, "mul": np.prod, "max": np.max, "min": np.min}[op[:3]]
    assert np.isclose(run(kernel, [x], dtype)[0], reference(x.astype(float)), rtol=1e-4)
    for place in (0, 500, 1002):
        holed = x.copy()
        holed[place] = NAN
        assert np.isnan(run(kernel, [holed], dtype)[0])
    assert PYTHON[name](x[0], x[1]) == reference(x[:2])


# ------------------------------------------------------------------------------- what is compiled


def widest(kernel, dtype):
    """Lanes of the widest vectors of a float type in the optimized LLVM."""
    word = {"f32": "float", "f64": "double"}[dtype]
    found = re.findall(rf"<(\d+) x {word}>", kernel.inspect_llvm())
    return max(map(int, found), default=1)


@pytest.mark.parametrize("dtype", table.FLOATS)
@pytest.mark.parametrize("name", [f.__name__ for f in table.UNARY if f.__name__ != "absolute"])
def test_functions_vectorize_in_their_own_width(name, dtype):
    kernel = compiled(f"{name}_{dtype}")
    text = kernel.inspect_llvm()
    assert widest(kernel, dtype) >= (4 if dtype == "f32" else 2)
    if dtype == "f32":
        assert "double" not in text
    assert "jitgrad_" not in text  # nothing is left to call: neither ours ...
    calls = set(re.findall(r"\bcall [^@\n]*@\"?([\w.]+)", text))
    assert all(c.startswith("llvm.") or "kernel" in c for c in calls), calls  # ... nor libm's


def test_pow_vectorizes_in_its_own_width():
    text = compiled("pow_f32", 2).inspect_llvm()
    assert re.search(r"<\d+ x float>", text)
    assert "double" not in text


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


def test_wrong_types_do_not_compile():
    from numba.core.errors import TypingError

    for expression, inputs in (("exp_f32(a[i])", ["f64"]), ("exp_f32(1.0)", ["f32"]),
                               ("select(a[i] < a[i], a[i], 1.0)", ["f32"])):  # fmt: skip
        with pytest.raises(TypingError):
            compile_loop(expression, inputs, "f32")


def test_numba_is_imported_only_when_asked_for():
    code = (
        "import sys, jitgrad.codegen.vecmath.intrinsics as i; i.namespace_python();"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
