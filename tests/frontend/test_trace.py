"""Traces: what becomes an input, what an output, and what cannot be traced."""

from __future__ import annotations

import operator
import sys

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, ops
from jitgrad.api.entry import Entry
from jitgrad.errors import LeakError, TraceError

x = Tensor([1.0, 2.0])


def entry(function, *args, **kwargs) -> Entry:
    return ms.jit(function).entry(args, kwargs)[0]


def test_inputs_are_named() -> None:
    w = Parameter(Tensor([1.0, 1.0]), name="net.fc1.weight")
    c = Tensor([0.5, 0.5])

    def f(x, pair, *rest, scale):
        return x * w + pair["a"] + c + rest[0] + scale

    traced = entry(f, x, {"a": x * 2.0}, x, scale=x * 3.0).traced
    names = [n.attrs["name"] for n in traced.graph.inputs]
    assert names == ["x", "pair_0", "rest_0", "scale", "net.fc1.weight", "captured"]
    assert traced.captures == (w, c)
    assert traced.graph.name == "f"


def test_names_that_collide() -> None:
    first, second = (Parameter(Tensor([1.0, 1.0]), name="x") for _ in range(2))
    other = Tensor([1.0, 1.0]), Tensor([2.0, 2.0])
    traced = entry(lambda x: x + first + second + other[0] + other[1], x).traced
    names = [n.attrs["name"] for n in traced.graph.inputs]
    assert len(set(names)) == 5
    assert names[0] == "x"
    assert traced.graph.name == "function"


def test_every_node_knows_its_line() -> None:
    def f(x):
        y = ops.sin(x)
        return ops.cos(y)

    graph = entry(f, x).traced.graph
    assert {n.op.name: loc.source for n, loc in graph.locs.items()} == {
        "sin": "y = ops.sin(x)",
        "cos": "return ops.cos(y)",
    }


def test_constants_are_constants() -> None:
    text = str(entry(lambda x: x * Tensor([2.0, 3.0]) + 1.0, x).traced.graph)
    assert text.count("= constant(") == 2
    assert "(%x: f32[2])" in text


def test_known_values_stay_known() -> None:
    def f(x):
        n = Tensor(0)
        while n < 3:  # made in here, so its value is known
            n = n + 1
            x = x + x
        return x * float(ops.sqrt(Tensor(4.0))), int(n)

    out, n = ms.jit(f)(x)
    assert (out.tolist(), n) == ([16, 32], 3)


def test_results_of_any_form() -> None:
    def f(x):
        return {"a": x, "b": [x * 2.0, (None, 3, "text")]}, x.shape

    for _ in range(4):
        out, shape = ms.jit(f)(x)
        assert out["a"].tolist() == [1, 2]
        assert out["b"][0].tolist() == [2, 4]
        assert out["b"][1] == (None, 3, "text")
        assert shape == (2,)


def test_results_are_fresh() -> None:
    w = Parameter(Tensor([5.0, 6.0]), name="w")
    f = ms.jit(lambda x: (x, x, w))
    for _ in range(4):
        a, b, c = f(x)
        a._data[0] = b._data[1] = c._data[0] = 9.0
        assert x.tolist() == [1, 2]
        assert w.tolist() == [5, 6]
        assert a.tolist() == [9, 2]
        assert type(c) is Tensor


VALUE_NEEDED = {
    "item": lambda x: x[0].item(),
    "asnumpy": lambda x: x.asnumpy(),
    "numpy": lambda x: x.numpy(),
    "tolist": lambda x: x.tolist(),
    "histogram": lambda x: np.histogram(x),
    "ufunc": lambda x: np.cbrt(x),
    "reduce": lambda x: np.add.reduce(x),
    "format": lambda x: f"{x[0]:.2f}",
    "index": lambda x: "ab"[x.astype(ms.int32)[0]],
    "list": lambda x: Tensor([x[0], x[1]]),
}


@pytest.mark.parametrize("name", VALUE_NEEDED)
def test_a_traced_tensor_has_no_value(name: str) -> None:
    with pytest.raises((TraceError, ValueError)) as error:
        ms.jit(VALUE_NEEDED[name])(x)
    assert str(error.value).startswith("test_trace.py:")
    assert "lambda x:" in str(error.value)
    assert ms.jit(lambda x: x * 2.0)(x).tolist() == [2, 4]  # the trace is over


def test_text_of_the_error() -> None:
    def f(x):
        return x.item()

    with pytest.raises(TraceError) as error:
        ms.jit(f)(Tensor(1.0))
    assert str(error.value) == (
        f"test_trace.py:{f.__code__.co_firstlineno + 1}:"
        " a traced Tensor of type f32[] was turned into a Python number\n"
        "    return x.item()\n"
        + ("           ^^^^^^^^\n" if sys.version_info >= (3, 11) else "")
        + "  because it has no value while the function is being compiled\n"
        "  instead: keep to Tensor operations (ops.where for a choice), or do it outside of jit"
    )


def test_many_elements_are_a_value_error_first() -> None:
    with pytest.raises(ValueError, match="truth value"):
        ms.jit(lambda x: x if x > 0 else -x)(x)


def test_numpys_functions_are_traced() -> None:
    out = ms.jit(lambda x: np.sin(x) + np.array([1.0, 2.0], np.float32) * x)(x)
    np.testing.assert_allclose(out.asnumpy(), np.sin([1, 2]) + [1, 4], rtol=1e-6)


def test_traced_tensors_print_as_such() -> None:
    seen: list[str] = []
    ms.jit(lambda x: seen.append(f"{x} {x!r}") or x)(x)
    assert seen == [" ".join(["Tensor(shape=[2], dtype=Float32, value= <traced>)"] * 2)]


# --- leaks --------------------------------------------------------------------------------------


def leaked() -> Tensor:
    """A traced Tensor that escapes unseen, through a function of a library."""
    kept: list[Tensor] = [x]

    def f(x):
        operator.setitem(kept, 0, x * 2.0)
        return x

    ms.jit(f)(x)
    return kept[0]


def test_leak_out_of_the_trace() -> None:
    kept = leaked()
    for use in (lambda t: t + 1.0, lambda t: t.asnumpy(), lambda t: ms.jit(lambda a: a)(t)):
        with pytest.raises(LeakError, match="after its trace"):
            use(kept)


def test_leak_into_another_trace() -> None:
    kept = leaked()

    def f(y):
        z = y * y
        return z + kept

    with pytest.raises(LeakError) as error:
        ms.jit(f)(x)
    assert "a traced Tensor of type f32[2] is used outside of its trace" in str(error.value)
    assert f"test_trace.py:{f.__code__.co_firstlineno + 2}" in str(error.value)


def test_stored_while_differentiated(mode: str) -> None:
    """What an inner function stores away is a value of the outer one, gradient included."""

    class Recorder:
        last = None

    def inner(x):
        Recorder.last = ops.sin(x)
        return Recorder.last.sum()

    def outer(x):
        ms.grad(inner)(x * x)
        found, Recorder.last = Recorder.last, None
        return (found * x).sum()

    if mode == "graph":
        got = ms.grad(outer)(x)
        want = np.sin([1, 4]) + 2 * np.square([1, 2]) * np.cos([1, 4])
        np.testing.assert_allclose(got.asnumpy(), want, rtol=1e-5)


# --- writes -------------------------------------------------------------------------------------


def test_parameter_writes_keep_program_order(mode: str) -> None:
    p = Parameter(Tensor([1.0]), name="p")

    @ms.jit
    def f(x):
        before = p * 1.0
        ops.assign(p, p + x)
        between = p * 1.0
        p.set_data(p * 2.0)
        return before, between, p * 1.0

    for _ in range(4):
        p.set_data(Tensor([1.0]))
        outs = f(Tensor([10.0]))
        assert [o.item() for o in outs] == [1, 11, 22]
        assert p.item() == 22


def test_written_parameter_is_a_constant(mode: str) -> None:
    p = Parameter(Tensor([3.0]), name="p")

    def f(x):
        ops.assign(p, x * x)
        return p * x

    for _ in range(3):
        assert ms.grad(f)(Tensor([2.0])).item() == 4
        assert p.item() == 4


def test_gradient_of_a_weight_that_is_written(mode: str) -> None:
    w = Parameter(Tensor([3.0]), name="w")

    def f(x):
        y = w * w * x
        ops.assign(w, w + 1.0)
        return y + w * x

    assert ms.grad(f, None, w)(Tensor([2.0])).item() == 12
    assert w.item() == 4
    w += 1.0
    assert (w.item(), type(w)) == (5, Parameter)


def test_parameters_as_arguments() -> None:
    @ms.jit
    def step(p, g, rate):
        ops.assign(p, p - g * rate)
        return p.sum()

    p, q = (Parameter(Tensor([1.0, 2.0]), name=n) for n in "pq")
    with ms.no_grad():
        for i in range(1, 5):
            for parameter in (p, q):
                held = parameter._data
                out = step(parameter, x, 1.0)
                np.testing.assert_allclose(parameter.asnumpy(), np.array([1, 2]) * (1 - i))
                assert parameter._data is held  # in place
                assert out.item() == 3 * (1 - i)
    assert len(next(iter(step._entries.values()))) == 1  # one trace for both


def test_writes_to_arguments_and_captured_tensors() -> None:
    total = Tensor([0.0, 0.0])

    @ms.jit
    def f(t):
        t[0] = 7.0
        total[1] = t[1] + total[1]
        return t * 1.0

    for i in range(1, 5):
        t = Tensor([1.0, 2.0])
        assert f(t).tolist() == [7, 2]
        assert t.tolist() == [7, 2]
        assert total.tolist() == [0, 2 * i]
    array = np.array([1.0, 2.0], np.float32)
    with ms.no_grad():
        for _ in range(4):
            f(array)
    assert array.tolist() == [1, 2]  # NumPy's arrays are never written to


def test_aliased_arguments() -> None:
    def f(a, b):
        a[0] = 5.0
        return a + b

    compiled = ms.jit(f)
    for _ in range(4):
        for function in (f, compiled):
            both = Tensor([1.0, 2.0])
            assert function(both, both).tolist() == [10, 4]
            assert both.tolist() == [5, 2]
            assert function(Tensor([1.0, 2.0]), Tensor([1.0, 2.0])).tolist() == [6, 4]


def test_a_write_of_another_type_is_refused() -> None:
    p = Parameter(Tensor([1.0]), name="p")
    with pytest.raises(
        TraceError, match=r"f32\[1\] from outside is given a value of type f32\[2\]"
    ):
        ms.jit(lambda x: p.set_data(x, slice_shape=True))(x)


def test_values_that_decided_are_watched() -> None:
    scale = Tensor(2)
    f = ms.jit(lambda x: x * int(scale))
    for _ in range(4):
        assert f(x).tolist() == [2, 4]
    ops.assign(scale, Tensor(3))
    for _ in range(4):
        assert f(x).tolist() == [3, 6]
