"""`jit`: decorating functions and methods, and the forms of calls."""

from __future__ import annotations

import copy
import gc
import sys
import threading
import traceback
from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, config, nn, ops
from jitgrad.api.jit import Compiled
from jitgrad.api.shortest import MISS, Writer
from jitgrad.errors import BoundsError, ShapeError
from jitgrad.frontend.steps import EDGE

X = Tensor([1.0, 2.0])


def test_ways_to_decorate() -> None:
    @ms.jit
    def a(x):
        """Doc."""
        return x * 2.0

    @ms.jit(jit_level="O1", capture_mode="ast", fullgraph=False, backend="")
    def b(x):
        return a(x) + 1.0

    assert (a.__name__, a.__doc__, a.__wrapped__.__name__) == ("a", "Doc.", "a")
    assert repr(a).startswith("<jit of <function")
    assert isinstance(b, Compiled)
    assert ms.jit(a) is a
    assert b(X).tolist() == [3, 5]
    with pytest.raises(TypeError, match="jit got a int"):
        ms.jit(5)


class Thing:
    def __init__(self, k):
        self.k = k

    @ms.jit
    def scaled(self, x):
        return x * self.k


def test_methods() -> None:
    one, two = Thing(2.0), Thing(3.0)
    for _ in range(4):
        assert one.scaled(X).tolist() == [2, 4]
        assert two.scaled(X).tolist() == [3, 6]
    assert one.scaled is one.scaled
    one.k = 5.0
    assert one.scaled(X).tolist() == [5, 10]
    assert Thing.scaled.__name__ == "scaled"


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.fc = nn.Dense(2, 2)

    @ms.jit
    def construct(self, x):
        return self.fc(x)

    @ms.jit
    def loss(self, x, y):
        return ((self.construct(x) - y) ** 2).mean()


def test_methods_of_cells(mode: str) -> None:
    net = Net()
    x = Tensor([[1.0, 2.0]])
    w, b = net.fc.weight.asnumpy(), net.fc.bias.asnumpy()
    want = x.asnumpy() @ w.T + b
    for _ in range(4):
        np.testing.assert_allclose(net(x).asnumpy(), want, rtol=1e-6)
        assert net.loss(x, Tensor(want)).item() == pytest.approx(0, abs=1e-10)
        g = ms.grad(net, None, net.fc.bias)(x)
        assert g.tolist() == [1, 1]


def test_forms_of_arguments() -> None:
    @ms.jit
    def f(x, *args, k=1.0, **kwargs):
        return x * k + sum(args) + kwargs.get("extra", 0.0)

    for _ in range(3):
        assert f(X).tolist() == [1, 2]
        assert f(X, X, X).tolist() == [3, 6]
        assert f(X, k=2.0).tolist() == [2, 4]
        assert f(x=X, k=X).tolist() == [1, 4]
        assert f(X, extra=X).tolist() == [2, 4]
    with pytest.raises(TypeError):
        ms.jit(lambda x: x)()


def test_no_arguments_and_no_tensors() -> None:
    f = ms.jit(lambda: ops.ones((2,), ms.float32))
    g = ms.jit(lambda n: n + 1)
    for _ in range(4):
        assert f().tolist() == [1, 1]
        assert g(1) == 2


def test_recursion_and_nesting() -> None:
    @ms.jit
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    for _ in range(3):
        assert power(X, 5).tolist() == [1, 32]


def test_what_is_kept_is_bounded() -> None:
    f = ms.jit(lambda x, k: x)
    for k in range(530):
        f._entries[k] = []
    f(X, 2.0)
    assert len(f._entries) == 530  # one came, one went


def test_copies() -> None:
    class Holder(nn.Cell):
        def __init__(self):
            super().__init__()
            self.net = nn.Dense(2, 1)
            self.gradient = ms.grad(self.net)
            self.doubled = ms.jit(self.twice)
            self.mapped = ms.vmap(self.net)

        def twice(self, x):
            return self.net(x) * 2.0

        def construct(self, x):
            return self.doubled(x) + self.gradient(x).sum() + self.mapped(x)

    one, x = Holder(), Tensor([[1.0, 2.0]])
    before = one(x).asnumpy()
    two = copy.deepcopy(one)
    np.testing.assert_allclose(two(x).asnumpy(), before, rtol=1e-6)
    two.net.weight.set_data(Tensor([[0.0, 0.0]]))
    two.net.bias.set_data(Tensor([3.0]))
    assert two(x).tolist() == [[9]]
    np.testing.assert_allclose(one(x).asnumpy(), before, rtol=1e-6)


def test_names_in_the_graph(mode: str) -> None:
    net = nn.Dense(2, 1)
    x = Tensor([[1.0, 2.0]])
    net(x)
    found = {
        "Dense": net._entry if mode == "graph" else None,
        "grad_of_Dense": ms.grad(net)._jitted,
    }
    for name, compiled in found.items():
        if compiled is not None:
            graph = compiled.entry((x,), {})[0].traced.graph
            assert graph.name == name
            assert [n.attrs["name"] for n in graph.inputs] == ["x", "weight", "bias"]


def test_zero_sizes_and_scalars() -> None:
    f = ms.jit(lambda x: (x * 2.0, x.sum()))
    for _ in range(3):
        for array in (np.zeros((0, 3), np.float32), np.float32(3), np.ones((1, 1, 1))):
            a, b = f(Tensor(array))
            np.testing.assert_allclose(a.asnumpy(), array * 2)
            assert b.item() == array.sum()


def test_kinds_of_arrays() -> None:
    f = ms.jit(lambda x: x * 2.0)
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    raw = np.zeros(base.nbytes + 1, np.uint8)
    odd = raw[1:].view(np.float32).reshape(3, 4)
    odd[...] = base
    for array in (base, base.T, base[::2], base[:, ::-1], base.astype(">f4"), odd):
        held = array.copy()
        array.setflags(write=False)
        for grad in (ms.no_grad(), ms.enable_grad()):
            with grad:
                assert f(array).tolist() == (held * 2).tolist()


def test_without_native_code() -> None:
    f = ms.jit(lambda x: ops.tanh(x) * 2.0)
    native = [f(X) for _ in range(4)][-1]
    with config.override(jit=False):
        plain = [f(X) for _ in range(4)][-1]
    np.testing.assert_allclose(native.asnumpy(), plain.asnumpy(), rtol=1e-6)


def test_threads() -> None:
    f = ms.jit(lambda x, n: ops.sin(x) * n)
    wrong = []

    def work(n: int) -> None:
        for k in range(8):
            x = Tensor(np.full(2 + k % 3, n, np.float32))
            got = f(x, n).asnumpy()
            if not np.allclose(got, np.sin(x.asnumpy()) * n, rtol=1e-5):
                wrong.append((n, k))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_text_of_the_shortest_call() -> None:
    w = Parameter(Tensor([1.0, 2.0]), name="w")

    def f(x, n, *, y):
        return x * n, [y * w, None], {"n": n}

    entry = ms.jit(f).entry((X, 2), {"y": X})[0]
    source = Writer(entry).source()
    for x in ("a0", "a2", "captured_3"):
        source = source.replace(EDGE.format(x), f"<{x}>")
    assert source == SHORTEST


SHORTEST = """\
def call(args, kwargs):
    if len(args) != 2 or len(kwargs) != 1:
        return MISS
    a0, a1, = args
    try:
        a2 = kwargs['y']
        if not (type(a0) is Tensor and a0._type is type_0
            and type(a1) is kind_2 and a1 == value_1
            and type(a2) is Tensor and a2._type is type_0
            and a2 is a0
            and epoch.value == guards.epoch
            and current[0] is code
            and of_4.cell_contents is captured_3):
            return MISS
    except Exception:
        return MISS
    if mode := state.grad:
        outcome = follow((a0, a2, captured_3, ), (<a0>, <a2>, <captured_3>, ))
    else:
        outcome = execute(a0._data, a2._data, captured_3._data)
        if type(outcome) is not tuple:
            failed(outcome)
            return MISS
    y0, y1, = outcome
    return (y0, [y1, None], {'n': value_1}, )"""


def test_the_shortest_call_takes_arrays() -> None:
    """NumPy arrays take the short way too, if they fit; and the long way if they do not."""
    g = ms.jit(lambda x, y: x * y + 1.0)
    x, y = np.array([1.0, 2.0], np.float32), np.array([3.0, 5.0], np.float32)
    for _ in range(4):
        np.testing.assert_array_equal(g(x, y).asnumpy(), x * y + 1)
    assert "ndarray" in Writer(g.entry((x, y), {})[0]).source()
    fast = g._fast
    assert fast((x, y), {}) is not MISS
    assert fast((x, Tensor(y)), {}) is not MISS
    wide = np.arange(8, dtype=np.float32)
    strange = [
        x.astype(np.float64), x[None], x[:1], wide[::4], x.astype(">f4"),
        np.ma.array(x), [1.0, 2.0], None, 3.0,
    ]  # fmt: skip
    for other in strange:
        assert fast((other, y), {}) is MISS
    np.testing.assert_array_equal(g(wide[::4], y).asnumpy(), wide[::4] * y + 1)
    np.testing.assert_array_equal(g(x.astype(">f4"), y).asnumpy(), x * y + 1)
    assert g(x.astype(np.float64), y).shape == (2,)


def test_results_of_the_shortest_call_are_tensors_like_all_others() -> None:
    g = ms.jit(lambda x: (x * 2.0, (x * x).sum()))
    x = Tensor([1.0, 2.0])
    slow = g(x)
    for _ in range(3):
        fast = g(x)
    for a, b in zip(slow, fast, strict=True):
        assert type(a) is type(b)
        for name in Tensor.__slots__:
            if name not in ("__weakref__", "_data", "_trace"):
                assert getattr(a, name, None) is getattr(b, name, None)
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())
        assert b._data.flags.owndata
    assert len({id(t._data) for t in (*fast, *g(x))}) == 4


def test_the_shortest_call_leaks_nothing() -> None:
    g = ms.jit(lambda x: (x * 2.0, (x * x).sum()))
    x = Tensor([1.0, 2.0])
    for _ in range(5):
        g(x)
    counted = (None, x._data, x._type, Tensor, np.dtype(np.float32), g(x)[1]._type)
    gc.collect()
    before = [sys.getrefcount(o) for o in counted]
    for _ in range(1000):
        g(x)
    gc.collect()
    after = [sys.getrefcount(o) for o in counted]
    assert all(abs(a - b) < 100 for a, b in zip(after, before, strict=True))


def test_an_index_out_of_bounds_in_the_shortest_call() -> None:
    g = ms.jit(lambda x, i: x[i])
    x, good = Tensor([1.0, 2.0, 3.0]), Tensor([2, 0])
    for _ in range(4):
        np.testing.assert_array_equal(g(x, good).asnumpy(), [3.0, 1.0])
    for _ in range(2):
        with pytest.raises(BoundsError, match="out of bounds"):
            g(x, Tensor([7, 0]))
    np.testing.assert_array_equal(g(x, good).asnumpy(), [3.0, 1.0])


def test_nobody_looks_for_garbage_while_a_function_is_traced() -> None:
    seen: list[bool] = []

    def program(x: Tensor, fails: bool) -> Tensor:
        seen.append(gc.isenabled())
        if fails:
            raise ValueError("no")
        return x + 1.0

    compiled = ms.jit(program)
    compiled(Tensor([1.0]), False)
    with pytest.raises(ValueError, match="no"):
        compiled(Tensor([1.0]), True)
    assert seen == [False, False]
    assert gc.isenabled()


# --- tracebacks ---------------------------------------------------------------------------------


def reshaped(x: Tensor) -> Tensor:
    return x.reshape(7)


def around(x: Tensor) -> Tensor:
    return reshaped(x) * 2


def frames(call: Callable, x: Tensor) -> list[str]:
    """The functions in the traceback of a failing call, without the test's own."""
    with pytest.raises((ShapeError, ZeroDivisionError, TypeError)) as error:
        call(x)
    return [frame.name for frame in traceback.extract_tb(error.value.__traceback__)[2:]]


@pytest.mark.parametrize("transform", [ms.jit, ms.grad, lambda f: ms.jit(ms.grad(f))])
def test_tracebacks_show_the_programs_lines(transform: Callable) -> None:
    x = Tensor([1.0, 2.0])
    assert frames(transform(around), x) == ["around", "reshaped"]
    assert frames(transform(lambda x: x * (1 // 0)), x) == ["<lambda>"]
    with config.override(debug=1):
        shown = frames(transform(around), x)
    assert len(shown) > 4
    assert [name for name in shown if name == "around"]


def test_mistakes_of_this_package_keep_their_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jitgrad.api.jit.guards_of", None)
    assert frames(ms.jit(around), Tensor([1.0, 2.0])) == ["__call__", "entry", "_trace"]
