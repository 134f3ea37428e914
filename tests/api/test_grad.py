"""`grad` and `value_and_grad`: the table of SEMANTICS, row by row, in both modes."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import GradOperation, Parameter, ParameterTuple, Tensor, nn, ops
from jitgrad.errors import JitgradError

X, Y, Z = Tensor([1.0, 2.0]), Tensor([3.0, 4.0]), Tensor([5.0, 6.0])


def f(x, y, z):
    return x * y + y * z * z


FX, FY, FZ = [3, 4], [26, 38], [30, 48]


def lists(value):
    """Tensors and arrays as lists, tuples as they are."""
    if isinstance(value, tuple):
        return tuple(lists(v) for v in value)
    if isinstance(value, dict):
        return {k: lists(v) for k, v in value.items()}
    return value.tolist() if isinstance(value, (Tensor, np.ndarray, np.generic)) else value


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (0, FX),
        (1, FY),
        ((0,), FX),
        ((2,), FZ),
        ((2, 0), (FZ, FX)),
        ((0, 1, 2), (FX, FY, FZ)),
        (np.int64(1), FY),
    ],
)
def test_positions(mode: str, position, expected) -> None:
    for _ in range(4):
        assert lists(ms.grad(f, position)(X, Y, Z)) == expected
    value, gradients = ms.value_and_grad(f, position)(X, Y, Z)
    assert value.tolist() == f(X, Y, Z).tolist()
    assert lists(gradients) == expected


def test_weights(mode: str) -> None:
    w, b = Parameter(Tensor([2.0, 3.0]), name="w"), Parameter(Tensor([1.0, 1.0]), name="b")

    def g(x, y):
        return x * w * y + b

    gw, gb, gx, gy = [3.0, 8.0], [1.0, 1.0], [6.0, 12.0], [2.0, 6.0]
    cases = [
        ((None, w), gw),
        ((None, [w]), (gw,)),
        ((None, (w, b)), (gw, gb)),
        ((None, ParameterTuple([b, w])), (gb, gw)),
        ((None, []), ()),
        ((0, w), (gx, gw)),
        ((0, [w, b]), (gx, (gw, gb))),
        (((0,), [b]), (gx, (gb,))),
        (((0, 1), [w]), ((gx, gy), (gw,))),
        ((0, []), (gx, ())),
        ((None, [w, w]), (gw, gw)),
    ]
    for arguments, expected in cases:
        for _ in range(3):
            assert lists(ms.grad(g, *arguments)(X, Y)) == expected


def test_return_ids_and_get_grad(mode: str) -> None:
    w, b = Parameter(Tensor([2.0, 3.0]), name="w"), Parameter(Tensor([1.0, 1.0]), name="b")

    def g(x, y):
        return x * w * y + b

    def ids(*arguments):
        return ms.grad(g, *arguments, return_ids=True)(X, Y)

    assert lists(ids(0)) == (0, [6, 12])
    assert lists(ids((1, 0))) == ((1, [2, 6]), (0, [6, 12]))
    assert lists(ids(None, w)) == ("w", [3, 8])
    assert lists(ids(None, [w, b])) == (("w", [3, 8]), ("b", [1, 1]))
    both = ids((0, 1), [w, b])
    assert lists(both) == (((0, [6, 12]), (1, [2, 6])), (("w", [3, 8]), ("b", [1, 1])))
    assert ms.get_grad(both, 1).tolist() == [2, 6]
    assert ms.get_grad(both, b).tolist() == [1, 1]
    assert ms.get_grad(ids(0), 0).tolist() == [6, 12]
    with pytest.raises(RuntimeError, match="no gradient of 5"):
        ms.get_grad(both, 5)
    with pytest.raises(RuntimeError, match="no gradient of 'other'"):
        ms.get_grad(both, Parameter(1.0, "other"))
    with pytest.raises(TypeError, match="a position or a Parameter, got 'w'"):
        ms.get_grad(both, "w")


def test_has_aux(mode: str) -> None:
    def g(x):
        return (x * x).sum(), x * 10.0, {"n": 3, "x": x}

    gradient, aux = ms.grad(g, has_aux=True)(X)
    assert gradient.tolist() == [2, 4]
    assert isinstance(aux, tuple)
    assert lists(aux) == ([10, 20], {"n": 3, "x": [1, 2]})
    out, gradient = ms.value_and_grad(g, has_aux=True)(X)
    assert lists(out) == (5, [10, 20], {"n": 3, "x": [1, 2]})
    assert gradient.tolist() == [2, 4]
    w = Parameter(Tensor([2.0, 3.0]), name="w")
    (gx, gw), (aux,) = ms.grad(lambda x: (x * w, x), 0, w, has_aux=True)(X)
    assert (gx.tolist(), gw.tolist(), aux.tolist()) == ([2, 3], [1, 2], [1, 2])


def test_outputs_are_summed(mode: str) -> None:
    assert ms.grad(lambda x: (x * x, [x, {"a": x * 3.0}]))(X).tolist() == [6, 8]
    assert ms.grad(lambda x: (x, 5, None, "text"))(X).tolist() == [1, 1]
    assert ms.grad(lambda x: (x > 0, x.argmax(), x * x))(X).tolist() == [2, 4]
    assert ms.grad(lambda x: 5.0)(X).tolist() == [0, 0]


def test_unused_is_zero(mode: str) -> None:
    w = Parameter(Tensor([[1, 2, 3]], ms.float64), name="w")
    gx, gw = ms.grad(lambda x, y: y * 1.0, 0, w)(Tensor([[1.0]], ms.float16), X)
    assert (gx.dtype, gx.tolist()) == (ms.float16, [[0]])
    assert (gw.dtype, gw.tolist()) == (ms.float64, [[0, 0, 0]])
    frozen = Parameter(Tensor([2.0, 2.0]), name="frozen", requires_grad=False)
    assert lists(ms.grad(lambda x: x * frozen, None, [frozen])(X)) == ([0, 0],)


def test_sens_param(mode: str) -> None:
    g = ms.grad(lambda x, y: x * y, (0, 1), sens_param=True)
    assert lists(g(X, Y, Tensor([1.0, 10.0]))) == ([3, 40], [1, 20])
    pair = ms.grad(lambda x: (x * x, x), sens_param=True)
    assert pair(X, (Tensor([1.0, 1.0]), Tensor([0.0, 10.0]))).tolist() == [2, 14]
    with pytest.raises(ValueError, match=r"cotangent of shape \[3\] for an output of f32\[2\]"):
        g(X, Y, Tensor([1.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="got 1 cotangents for 2 outputs"):
        pair(X, X)


BUILD_ERRORS = [
    ((f, -1), ValueError, "grad_position must not be negative, got -1"),
    ((f, (0, -2)), ValueError, r"grad_position must not be negative, got \(0, -2\)"),
    ((f, (0, 0)), ValueError, r"grad_position must not repeat itself, got \(0, 0\)"),
    ((f, None), ValueError, "grad_position and weights cannot both be None"),
    ((f, None, None), ValueError, "cannot both be None"),
    ((f, [0]), TypeError, r"an int or a tuple of ints, got \[0\]"),
    ((f, 0.5), TypeError, "an int or a tuple of ints, got 0.5"),
    ((f, "x"), TypeError, "an int or a tuple of ints, got 'x'"),
    ((f, True), TypeError, "an int or a tuple of ints, got True"),
    ((f, (0, 1.0)), TypeError, "an int or a tuple of ints"),
    ((f, ()), RuntimeError, r"grad_position is \(\)"),
    ((5,), TypeError, "got a int to differentiate"),
    ((None,), TypeError, "got a NoneType to differentiate"),
    ((f, 0, X), TypeError, "weights must be a Parameter .*, got Tensor"),
    ((f, 0, [X]), TypeError, "weights must be a Parameter .*, got list"),
    ((f, 0, "w"), TypeError, "weights must be a Parameter .*, got str"),
    ((f, 0, None, 1), TypeError, "has_aux, return_ids and sens_param are bools, got 1"),
]


@pytest.mark.parametrize("make", [ms.grad, ms.value_and_grad])
@pytest.mark.parametrize(("arguments", "error", "message"), BUILD_ERRORS)
def test_errors_when_built(mode: str, make, arguments, error, message) -> None:
    with pytest.raises(error, match=message) as raised:
        make(*arguments)
    assert isinstance(raised.value, JitgradError)
    assert str(raised.value).startswith("test_grad.py:")


def two(x, y):
    return x * y


CALL_ERRORS = [
    (3, (X, Y), IndexError, r"there is no argument at position 3 of two\(x, y\)"),
    (1, (X, None), TypeError, r"argument 1 \(y\) of two is None"),
    (1, (X, 3), TypeError, r"argument 1 \(y\) of two is the int 3"),
    (1, (X, True), TypeError, r"argument 1 \(y\) of two is the bool True"),
    (1, (X, "a"), TypeError, r"argument 1 \(y\) of two is the str 'a'"),
    (1, (X, Tensor([True, False])), TypeError, r"argument 1 \(y\) of two is of dtype Bool"),
    (1, (X, np.array([True])), TypeError, r"argument 1 \(y\) of two is of dtype bool"),
    (0, ([X, 1], Y), TypeError, r"argument 0 \(x\) of two is the int 1"),
]


@pytest.mark.parametrize(("position", "arguments", "error", "message"), CALL_ERRORS)
def test_errors_when_called(mode: str, position, arguments, error, message) -> None:
    gradient = ms.grad(two, position)
    with pytest.raises(error, match=message) as raised:
        gradient(*arguments)
    assert str(raised.value).startswith("test_grad.py:")


def test_has_aux_needs_two_outputs(mode: str) -> None:
    for single in (lambda x: x, lambda x: (x,)):
        with pytest.raises(ValueError) as raised:
            ms.grad(single, has_aux=True)(X)
        text = "When has_aux is True, origin fn requires more than one outputs."
        assert text in str(raised.value)


# --- what can be differentiated, and in what ----------------------------------------------------


class Thing:
    k = 3.0

    def method(self, x):
        return x * self.k

    def __call__(self, x):
        return x * 4.0


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.w = Parameter(Tensor([2.0, 2.0]), name="w")

    def construct(self, x):
        return x * self.w


def from_exec():
    names: dict = {}
    exec("def made(x):\n    return x * 6.0", names)
    return names["made"]


CALLABLES = {
    "function": (lambda: lambda x: x * 2.0, [2, 2]),
    "method": (lambda: Thing().method, [3, 3]),
    "object": (Thing, [4, 4]),
    "partial": (lambda: functools.partial(two, Tensor([5.0, 5.0])), [5, 5]),
    "exec": (from_exec, [6, 6]),
    "cell": (Net, [2, 2]),
    "construct": (lambda: Net().construct, [2, 2]),
    "ops": (lambda: ops.square, [2, 4]),
    "Primitive": (lambda: ops.Square(), [2, 4]),
    "jit": (lambda: ms.jit(lambda x: x * 7.0), [7, 7]),
    "builtin": (lambda: abs, [1, 1]),
    "grad": (lambda: ms.grad(lambda x: x * x * x), [6, 12]),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_callables(mode: str, name: str) -> None:
    make, expected = CALLABLES[name]
    function = make()
    for _ in range(3):
        assert ms.grad(function)(X).tolist() == expected


def test_numpy_and_floats(mode: str) -> None:
    cube = ms.grad(lambda x: x * x * x)
    for array in (
        np.array([1.0, 2.0]),
        np.array([1.0, 2.0], np.float32),
        np.array([1.0, 0.0, 2.0, 0.0])[::2],
        np.array([1.0, 2.0], ">f8"),
        np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
    ):
        array.setflags(write=False)
        for _ in range(3):
            got = cube(array)
            assert type(got) is np.ndarray
            assert got.dtype == array.dtype.newbyteorder("=")
            np.testing.assert_allclose(got, 3 * array**2)
    assert type(cube(np.float64(2.0))) is np.float64
    got = cube(2.0)
    assert (type(got), got.dtype, got.item()) == (Tensor, ms.float32, 12)
    value, (gx, gy) = ms.value_and_grad(two, (0, 1))(np.array([2.0]), np.array([3.0]))
    assert (type(value), gx.item(), gy.item()) == (np.ndarray, 3, 2)
    value, (gx, gy) = ms.value_and_grad(two, (0, 1))(np.array([2.0]), Tensor([3.0]))
    assert (type(value), type(gx), type(gy)) == (Tensor, np.ndarray, Tensor)
    assert ms.grad(two)(X, np.array([3.0, 4.0], np.float32)).tolist() == [3, 4]
    assert ms.grad(lambda x, n: x**n)(X, 3).tolist() == [3, 12]


def test_nests_at_a_position(mode: str) -> None:
    def g(p, s):
        return p["a"] * p["b"][0] * s

    gradient = ms.grad(g)({"a": X, "b": (Y,)}, 2.0)
    assert lists(gradient) == {"a": [6, 8], "b": ([2, 4],)}
    got = ms.grad(lambda xs: sum(x * x for x in xs))([X, np.array([5.0, 6.0], np.float32)])
    assert isinstance(got, list)
    assert got[0].tolist() == [2, 4]
    assert type(got[1]) is np.ndarray
    assert got[1].tolist() == [10, 12]


def test_keyword_arguments(mode: str) -> None:
    def g(x, y=Y, *, scale=1.0):
        return x * y * scale

    for _ in range(3):
        assert lists(ms.grad(g, (0, 1))(X, y=Z)) == ([5, 6], [1, 2])
        assert lists(ms.grad(g, (1, 0))(y=Z, x=X, scale=2.0)) == ([2, 4], [10, 12])
        assert ms.grad(g)(X).tolist() == [3, 4]
    with pytest.raises(IndexError, match=r"position 1 of g\(x, y\)"):
        ms.grad(g, 1)(X)


def test_integers(mode: str) -> None:
    got = ms.grad(lambda x: x * x * x)(Tensor([1, 2], ms.int32))
    assert (got.dtype, got.tolist()) == (ms.int32, [3, 12])
    assert ms.grad(lambda x: x.astype(ms.int32) * 2)(X).tolist() == [0, 0]


def test_mixed_dtypes(mode: str) -> None:
    ga, gb = ms.grad(lambda a, b: a * b, (0, 1))(X, Tensor([3.0, 4.0], ms.float64))
    assert (ga.dtype, gb.dtype) == (ms.float32, ms.float64)


def test_made_anew_it_is_found_again() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        for _ in range(5):
            assert ms.grad(two, (0, 1))(X, Y)[0].tolist() == [3, 4]
        assert ms.grad(two, (0, 1)) is ms.grad(two, (0, 1))
        (entries,) = ms.grad(two, (0, 1))._jitted._entries.values()
        assert len(entries) == 1
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)


def test_python_effects_happen_at_every_call(mode: str) -> None:
    """Such a function is traced at each call, so that it means the same in both modes."""
    seen = []

    def g(x):
        seen.append(1)
        return x * x

    for _ in range(5):
        assert ms.grad(g)(X).tolist() == [2, 4]
    assert len(seen) == 5


def test_errors_in_the_function_pass_through(mode: str) -> None:
    def g(x):
        raise KeyError("mine")

    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            ms.grad(g)(X)
    w = Parameter(Tensor([1.0, 1.0]), name="w")
    with pytest.raises(KeyError):
        ms.grad(g, None, w)(X)
    assert ms.grad(lambda x: x * w, None, w)(X).tolist() == [1, 2]


# --- losing a gradient is never silent ----------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x * float(x.sum()),
        lambda x: x * x.sum().item(),
        lambda x: x * x.asnumpy(),
        lambda x: x * np.cbrt(x),
        lambda x: x * x.tolist()[0],
    ],
)
def test_taking_the_value_is_an_error(mode: str, use) -> None:
    with pytest.raises(RuntimeError):
        ms.grad(use)(X)


def test_taking_the_value_of_a_constant_is_fine() -> None:
    c = Tensor(2.0)
    assert ms.grad(lambda x: x * float(ops.stop_gradient(x.sum())) * c.item())(X).tolist() == [6, 6]


# --- GradOperation ------------------------------------------------------------------------------


def test_gradoperation(mode: str) -> None:
    net = Net()
    for _ in range(3):
        assert GradOperation()(two)(X, Y).tolist() == [3, 4]
        assert lists(GradOperation(get_all=True)(two)(X, Y)) == ([3, 4], [1, 2])
        assert lists(GradOperation(get_all=True)(lambda x, n: x * n)(X, 3)) == ([3, 3],)
        assert lists(GradOperation(get_by_list=True)(net)(X)) == ([1, 2],)
        assert lists(GradOperation(get_by_list=True)(net, net.w)(X)) == [1, 2]
        both = GradOperation(get_all=True, get_by_list=True)(net, ParameterTuple([net.w]))
        assert lists(both(X)) == (([2, 2],), ([1, 2],))
        sens = GradOperation(sens_param=True)(two)
        assert sens(X, Y, Tensor([1.0, 10.0])).tolist() == [3, 40]
    assert ops.GradOperation is GradOperation
    with pytest.raises(TypeError, match="get_all must be a bool"):
        GradOperation(get_all=1)
    with pytest.raises(TypeError, match="got a int to differentiate"):
        GradOperation()(5)
    with pytest.raises(TypeError, match="needs weights"):
        GradOperation(get_by_list=True)(two)


def test_no_derivative_through_a_number_of_a_compiled_function() -> None:
    """Which was traced without anybody asking for one."""
    compiled = ms.jit(lambda x: (x * float(x.sum())).sum())
    assert compiled(X).item() == 9.0
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = compiled(x)
    for differentiate in (y.backward, lambda: ms.grad(compiled)(X)):
        with pytest.raises(RuntimeError, match="turned into a number"):
            differentiate()
    constant = ms.jit(lambda x, c: (x * float(c.sum())).sum())
    constant(x, Tensor([1.0, 1.0])).backward()
    assert x.grad.tolist() == [2.0, 2.0]
