"""Nothing captured is ever stale: what a compiled function read is seen to change."""

from __future__ import annotations

import functools
import types
from dataclasses import dataclass

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, nn, ops

x = Tensor([1.0, 2.0])
K = 2.0
TABLE = [1.0, 2.0]
NAMES = {"scale": 2.0}


def helper(t):
    return t * K


module = types.ModuleType("settings")
module.rate = 2.0


class Thing:
    bias = 0.0

    def __init__(self):
        self.k = 2.0
        self.unused = 0

    def method(self, t):
        return t * self.k + self.bias

    @property
    def scale(self):
        return self.k * 2.0


def check(function, change, before, after, *args) -> None:
    """The values before and after a change, also on the shortest call; and no trace but one."""
    compiled = ms.jit(function)
    args = args or (x,)
    for _ in range(4):
        assert compiled(*args).tolist() == before
    (entries,) = compiled._entries.values()
    assert len(entries) == 1, "traced again without a reason"
    change()
    for _ in range(4):
        assert compiled(*args).tolist() == after


def rebind(name: str, value):
    return lambda: globals().__setitem__(name, value)


@pytest.fixture(autouse=True)
def restored():
    saved = {name: globals()[name] for name in ("K", "helper")}
    yield
    globals().update(saved)
    TABLE[:] = [1.0, 2.0]
    NAMES.clear()
    NAMES["scale"] = 2.0
    module.rate = 2.0
    Thing.bias = 0.0


def test_global() -> None:
    check(lambda t: t * K, rebind("K", 3.0), [2, 4], [3, 6])


def test_global_of_a_helper() -> None:
    check(lambda t: helper(t), rebind("K", 3.0), [2, 4], [3, 6])


def test_global_function() -> None:
    check(lambda t: helper(t), rebind("helper", lambda t: t * 5.0), [2, 4], [5, 10])


def test_global_read_in_a_nested_function() -> None:
    def f(t):
        def inner(u):
            return sum([u * K for _ in range(1)])

        return inner(t)

    check(f, rebind("K", 3.0), [2, 4], [3, 6])


def test_list_content() -> None:
    check(lambda t: t * TABLE[0], lambda: TABLE.__setitem__(0, 3.0), [1, 2], [3, 6])


def test_list_length() -> None:
    check(lambda t: sum([t * v for v in TABLE]), lambda: TABLE.append(1.0), [3, 6], [4, 8])


def test_long_list() -> None:
    values = [1.0] * 20
    check(lambda t: t * sum(values), lambda: values.__setitem__(19, 2.0), [20, 40], [21, 42])


def test_nested_containers() -> None:
    values = {"a": [(1.0, [2.0])]}

    def change() -> None:
        values["a"][0][1][0] = 3.0

    check(lambda t: t * values["a"][0][1][0], change, [2, 4], [3, 6])


def test_dict() -> None:
    check(lambda t: t * NAMES["scale"], lambda: NAMES.update(scale=3.0), [2, 4], [3, 6])


def test_dict_with_other_keys() -> None:
    table = {(1, 2): 2.0}
    check(lambda t: t * table[1, 2], lambda: table.update({(1, 2): 3.0}), [2, 4], [3, 6])


def test_set() -> None:
    names = {"double"}

    def f(t):
        return t * 2.0 if "double" in names else t

    check(f, names.clear, [2, 4], [1, 2])


def test_numpy_array_content() -> None:
    array = np.array([1.0, 1.0], np.float32)
    check(lambda t: t * array, lambda: array.__setitem__(0, 3.0), [1, 2], [3, 2])


def test_closure_cell() -> None:
    k = 2.0

    def change() -> None:
        nonlocal k
        k = 3.0

    check(lambda t: t * k, change, [2, 4], [3, 6])


def test_closure_over_a_tensor() -> None:
    c = Tensor([1.0, 1.0])

    def rebind() -> None:
        nonlocal c
        c = Tensor([3.0, 3.0])

    check(lambda t: t * c, rebind, [1, 2], [3, 6])
    check(lambda t: t * c, lambda: c.__setitem__(0, 5.0), [3, 6], [5, 6])


def test_defaults() -> None:
    def f(t, k=2.0, *, b=[0.0]):  # noqa: B006
        return t * k + b[0]

    check(f, lambda: setattr(f, "__defaults__", (3.0,)), [2, 4], [3, 6])
    check(f, lambda: f.__kwdefaults__["b"].__setitem__(0, 1.0), [3, 6], [4, 7])


def test_attribute_of_an_object() -> None:
    thing = Thing()
    check(thing.method, lambda: setattr(thing, "k", 3.0), [2, 4], [3, 6])
    check(lambda t: t * thing.k, lambda: setattr(thing, "k", 4.0), [3, 6], [4, 8])


def test_attribute_of_a_class() -> None:
    thing = Thing()
    check(thing.method, lambda: setattr(Thing, "bias", 1.0), [2, 4], [3, 5])
    check(thing.method, lambda: setattr(thing, "bias", 2.0), [3, 5], [4, 6])


def test_property() -> None:
    thing = Thing()
    check(lambda t: t * thing.scale, lambda: setattr(thing, "k", 3.0), [4, 8], [6, 12])


def test_attribute_of_a_module() -> None:
    check(lambda t: t * module.rate, lambda: setattr(module, "rate", 3.0), [2, 4], [3, 6])


def test_attribute_by_name() -> None:
    thing = Thing()
    check(lambda t: t * getattr(thing, "k"), lambda: setattr(thing, "k", 3.0), [2, 4], [3, 6])  # noqa: B009


def test_partial() -> None:
    table = [2.0]
    partial = functools.partial(lambda table, t: t * table[0], table)
    check(partial, lambda: table.__setitem__(0, 3.0), [2, 4], [3, 6])


def test_objects_as_arguments() -> None:
    thing = Thing()
    check(lambda t, o: t * o.k, lambda: setattr(thing, "k", 3.0), [2, 4], [3, 6], x, thing)


def test_what_is_not_read_does_not_matter() -> None:
    thing = Thing()
    compiled = ms.jit(thing.method)
    for i in range(6):
        thing.unused = i
        globals()["unrelated"] = i
        compiled(x)
    (entries,) = compiled._entries.values()
    assert len(entries) == 1


def test_equal_values_are_no_change() -> None:
    compiled = ms.jit(lambda t: t * K)
    for _ in range(6):
        globals()["K"] = float("2.0")  # another object each time
        assert compiled(x).tolist() == [2, 4]
    (entries,) = compiled._entries.values()
    assert len(entries) == 1


def test_changing_back_finds_the_old_trace() -> None:
    compiled = ms.jit(lambda t: t * K)
    for value in (2.0, 3.0, 2.0, 3.0, 2.0):
        globals()["K"] = value
        assert compiled(x).tolist() == [value, 2 * value]
    (entries,) = compiled._entries.values()
    assert len(entries) == 2


# --- Parameters and Cells -----------------------------------------------------------------------


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.w = Parameter(Tensor([2.0, 2.0]), name="w")
        self.k = 1.0
        self.layers = [Scale(1.0)]

    def construct(self, t):
        out = t * self.w * self.k
        for layer in self.layers:
            out = layer(out)
        return out if not self.training else out + 100.0


class Scale(nn.Cell):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def construct(self, t):
        return t * self.by


CHANGES = {
    "set_data": (lambda net: net.w.set_data(Tensor([3.0, 3.0])), [3, 6]),
    "in place": (lambda net: net.w.__iadd__(1.0), [3, 6]),
    "assign": (lambda net: ops.assign(net.w, Tensor([3.0, 3.0])), [3, 6]),
    "another Parameter": (lambda net: setattr(net, "w", Parameter(Tensor([3.0, 3.0]))), [3, 6]),
    "attribute": (lambda net: setattr(net, "k", 2.0), [4, 8]),
    "list": (lambda net: net.layers.append(Scale(3.0)), [6, 12]),
    "in the list": (lambda net: setattr(net.layers[0], "by", 3.0), [6, 12]),
    "set_train": (lambda net: net.set_train(), [102, 104]),
    "dtype": (lambda net: net.w.set_dtype(ms.float64), [2, 4]),
    "shape": (lambda net: net.w.set_data(Tensor([3.0]), slice_shape=True), [3, 6]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_cells(name: str, mode: str) -> None:
    change, after = CHANGES[name]
    net = Net()
    gradient = ms.grad(net)
    for _ in range(4):
        assert net(x).tolist() == [2, 4]
        assert gradient(x).tolist() == [2, 2]
    change(net)
    for _ in range(4):
        assert net(x).tolist() == after
        assert (gradient(x) * x).sum().item() == sum(after) - 200 * (name == "set_train")


def test_requires_grad(mode: str) -> None:
    net = Net()
    gradient = ms.grad(net, None, net.w)
    for flag in (True, False, True):
        net.w.requires_grad = flag
        for _ in range(3):
            assert gradient(x).tolist() == ([1, 2] if flag else [0, 0])


def test_the_mode_is_seen() -> None:
    net = Net()
    try:
        for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE) * 2:
            ms.set_context(mode=mode)
            for _ in range(3):
                assert net(x).tolist() == [2, 4]
                assert ms.grad(net)(x).tolist() == [2, 2]
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)


# --- arguments ----------------------------------------------------------------------------------


@dataclass
class Pair:
    a: Tensor
    n: int


def test_static_arguments() -> None:
    compiled = ms.jit(lambda t, n, flag=False: t * n + (1.0 if flag else 0.0))
    for _ in range(3):
        assert compiled(x, 2).tolist() == [2, 4]
        assert compiled(x, 2.5).tolist() == [2.5, 5]
        assert compiled(x, True).tolist() == [1, 2]
        assert compiled(x, 2, flag=True).tolist() == [3, 5]
        assert compiled(x, np.float32(2)).tolist() == [2, 4]
    assert compiled(x, 0.0).tolist() == [0, 0]
    assert np.signbit(compiled(x, -0.0).asnumpy()).all()


def test_mutable_numbers() -> None:
    compiled = ms.jit(lambda t, n, pair: t * n + pair[0])
    for n in (2.0, 3.0, 4.5):
        assert compiled(x, ms.mutable(n), ms.mutable((n, 1))).tolist() == [2 * n, 3 * n]
    assert len(compiled._entries) == 1
    with pytest.raises(TypeError, match="mutable got a str"):
        ms.mutable("a")


def test_dataclasses_and_nests_as_arguments() -> None:
    compiled = ms.jit(lambda p, ts: p.a * p.n + ts["k"][0])
    for n in (1, 2, 2, 3):
        assert compiled(Pair(x, n), {"k": [x]}).tolist() == [n + 1, 2 * n + 2]


def test_types_of_arguments() -> None:
    compiled = ms.jit(lambda t: t * 2.0)
    for _ in range(3):
        for value in ([1.0, 2.0], [[1.0]], [1, 2], [1.0]):
            assert compiled(Tensor(value)).tolist() == (Tensor(value) * 2.0).tolist()
        assert compiled(np.array([1.0, 2.0])).dtype is ms.float64
        assert compiled(np.arange(6.0).reshape(2, 3).T).shape == (3, 2)
