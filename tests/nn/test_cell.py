"""Cells: calling, names, collections, attributes, hooks, printing."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn, ops


class Scale(nn.Cell):
    def __init__(self, size: int = 2, name: str | None = None):
        super().__init__()
        self.factor = ms.Parameter(ms.Tensor(np.full(size, 2, np.float32)), name=name)

    def construct(self, x):
        return x * self.factor


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Dense(3, 4)
        self.inner = nn.SequentialCell(nn.Dense(4, 2, has_bias=False), nn.ReLU())
        self.shift = ms.Parameter(ms.Tensor([0.5, 0.25]))
        self.plain = [1, 2]

    def construct(self, x, scale=1.0):
        return self.inner(self.fc1(x)) * scale + self.shift


X = np.arange(6, dtype=np.float32).reshape(2, 3) / 6


def expected(net: Net, scale: float = 1.0) -> np.ndarray:
    h = X @ net.fc1.weight.asnumpy().T + net.fc1.bias.asnumpy()
    h = np.maximum(h @ net.inner[0].weight.asnumpy().T, 0)
    return h * scale + net.shift.asnumpy()


# --- calling ------------------------------------------------------------------------------------


def test_call(mode: str) -> None:
    net = Net()
    np.testing.assert_allclose(net(ms.Tensor(X)).asnumpy(), expected(net), rtol=1e-6)
    got = net(ms.Tensor(X), scale=3.0).asnumpy()
    np.testing.assert_allclose(got, expected(net, 3.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "Net was called with (): missing a required argument: 'x'"),
        ((1.0, 2.0, 3.0), {}, "Net was called with (float, float, float): too many positional"),
        ((1.0,), {"size": 2}, "Net was called with (float, size=int): got an unexpected keyword"),
    ],
)
def test_wrong_arguments_show_the_signature(mode: str, args, kwargs, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        Net()(*args, **kwargs)
    assert text in str(caught.value)
    assert "instead: its arguments are construct(x, scale=1.0)" in str(caught.value)


def test_type_errors_of_the_user_stay_as_they_are(mode: str) -> None:
    class Broken(nn.Cell):
        def construct(self, x):
            return len(3)

    with pytest.raises(TypeError, match="has no len"):
        Broken()(ms.Tensor(X))


def test_self_may_have_any_name(mode: str) -> None:
    class Odd(nn.Cell):
        def __init__(this):
            super().__init__()
            this.w = ms.Parameter(ms.Tensor([3.0]), name="w")

        def construct(me, x):
            return x * me.w

    assert Odd()(ms.Tensor([2.0])).asnumpy() == [6]


def test_without_construct_or_init() -> None:
    with pytest.raises(NotImplementedError, match="Empty does not define construct"):
        type("Empty", (nn.Cell,), {})()(ms.Tensor([1.0]))

    class Forgot(nn.Cell):
        def __init__(self):
            self.fc = nn.Dense(2, 2)

    with pytest.raises(AttributeError, match=r"Forgot\.fc is set before super"):
        Forgot()


# --- names and collections ----------------------------------------------------------------------


def test_names_follow_the_attributes() -> None:
    net = Net()
    names = ["shift", "fc1.weight", "fc1.bias", "inner.0.weight"]
    assert [p.name for p in net.get_parameters()] == names
    assert [name for name, _ in net.parameters_and_names()] == names
    assert list(net.parameters_dict()) == names
    assert [name for name, _ in net.parameters_and_names("top")] == [f"top.{n}" for n in names]
    assert [p.name for p in net.get_parameters(expand=False)] == ["shift"]
    outer = nn.SequentialCell(net)
    assert [p.name for p in outer.get_parameters()] == [f"0.{n}" for n in names]


@pytest.mark.parametrize(
    ("name", "own", "nested"),
    [(None, "factor", "net.factor"), ("special", "special", "net.factor")],
)
def test_explicit_names(name: str | None, own: str, nested: str) -> None:
    cell = Scale(name=name)
    assert cell.factor.name == own

    class Outer(nn.Cell):
        def __init__(self, prefix: bool):
            super().__init__(auto_prefix=prefix)
            self.net = Scale(name=name)

    assert Outer(True).net.factor.name == nested
    assert Outer(False).net.factor.name == own


def test_shared_parameters_are_listed_once() -> None:
    class Tied(nn.Cell):
        def __init__(self):
            super().__init__()
            self.a = Scale()
            self.b = Scale()
            self.b.factor = self.a.factor

    net = Tied()
    assert len(list(net.get_parameters())) == 1
    assert net.a.factor is net.b.factor


def test_trainable() -> None:
    net = nn.SequentialCell(nn.Dense(3, 3), nn.BatchNorm1d(3))
    assert [p.name for p in net.trainable_params()] == ["0.weight", "0.bias", "1.gamma", "1.beta"]
    moving = ["1.moving_mean", "1.moving_variance"]
    assert [p.name for p in net.untrainable_params()] == moving
    net[0].bias.requires_grad = False
    assert [p.name for p in net.untrainable_params()] == ["0.bias", *moving]


def test_cells() -> None:
    net = Net()
    assert net.cells() == [net.fc1, net.inner]
    assert list(net.name_cells()) == ["fc1", "inner"]
    assert [name for name, _ in net.cells_and_names()] == ["", "fc1", "inner", "inner.0", "inner.1"]
    seen: list[str] = []
    assert net.apply(lambda cell: seen.append(type(cell).__name__)) is net
    assert seen == ["Dense", "Dense", "ReLU", "SequentialCell", "Net"]


def test_set_train_and_grad() -> None:
    net = Net()
    assert not net.training
    assert net.set_train() is net
    assert all(cell.training for _, cell in net.cells_and_names())
    assert net.phase == "train"
    net.set_train(False)
    assert not any(cell.training for _, cell in net.cells_and_names())
    assert net.set_grad().requires_grad


def test_insert() -> None:
    net = nn.Cell()
    net.insert_param_to_cell("w", ms.Parameter(ms.Tensor([1.0])))
    net.insert_child_to_cell("fc", nn.Dense(2, 2))
    assert net.w.name == "w"
    assert net.fc.weight.name == "weight"
    bad = [
        (net.insert_param_to_cell, ("", net.w), KeyError),
        (net.insert_param_to_cell, ("a.b", net.w), KeyError),
        (net.insert_param_to_cell, ("fc", net.w), KeyError),
        (net.insert_param_to_cell, ("v", 3), TypeError),
        (net.insert_child_to_cell, ("a.b", net.fc), KeyError),
        (net.insert_child_to_cell, ("w", net.fc), KeyError),
        (net.insert_child_to_cell, ("v", 3), TypeError),
        (net.register_buffer, ("v", 3), TypeError),
    ]
    for method, args, kind in bad:
        with pytest.raises(kind):
            method(*args)


def test_check_names() -> None:
    net = nn.Cell()
    net.a = ms.Parameter(ms.Tensor([1.0]), name="same")
    net.check_names()
    net.b = ms.Parameter(ms.Tensor([1.0]), name="same")
    with pytest.raises(ValueError, match="two Parameters are named 'same'"):
        net.check_names()


def test_buffers(mode: str) -> None:
    class Buffered(nn.Cell):
        def __init__(self):
            super().__init__()
            self.register_buffer("offset", ms.Tensor([1.0]))
            self.plain = ms.Tensor([2.0])

        def construct(self, x):
            return x + self.offset + self.plain

    net = Buffered()
    assert [name for name, _ in net.named_buffers()] == ["offset"]
    assert list(net.get_parameters()) == []
    assert net(ms.Tensor([0.0])).asnumpy() == [3]
    net.offset = ms.Tensor([10.0])
    net.plain = ms.Tensor([20.0])
    assert net(ms.Tensor([0.0])).asnumpy() == [30]


def test_parameter_tuples() -> None:
    class Holder(nn.Cell):
        def __init__(self):
            super().__init__()
            self.held = ms.ParameterTuple(
                ms.Parameter(ms.Tensor([float(i)]), name=f"p{i}") for i in range(2)
            )

    assert [p.name for p in Holder().get_parameters()] == ["p0", "p1"]


# --- attributes ---------------------------------------------------------------------------------


def test_attributes() -> None:
    net = Net()
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'missing'"):
        net.missing  # noqa: B018
    assert {"fc1", "shift", "plain"} <= set(dir(net))
    with pytest.raises(TypeError, match=r"Net.shift is a Parameter and cannot become a int"):
        net.shift = 3
    with pytest.raises(TypeError, match=r"Net.fc1 is a Cell and cannot become a int"):
        net.fc1 = 3
    parameter = net.shift
    net.shift = ms.Tensor([7.0, 8.0])
    assert net.shift is parameter
    np.testing.assert_array_equal(parameter.asnumpy(), [7, 8])
    net.fc1 = None
    assert [p.name for p in net.get_parameters()] == ["shift", "inner.0.weight"]
    del net.shift
    assert not hasattr(net, "shift")
    net.shift = 3
    assert net.shift == 3
    net.shift = nn.ReLU()
    assert net.cells()[-1] is net.shift


def test_changes_are_seen_by_compiled_code(mode: str) -> None:
    class Switch(nn.Cell):
        def __init__(self):
            super().__init__()
            self.power = 1
            self.items = [1.0]
            self.w = ms.Parameter(ms.Tensor([2.0]), name="w")
            self.act = nn.Identity()

        def construct(self, x):
            y = self.act(x * self.w) * self.power * self.items[0]
            return -y if self.training else y

    net, x = Switch(), ms.Tensor([3.0])
    assert float(net(x)) == 6
    net.power = 2
    assert float(net(x)) == 12
    net.set_train()
    assert float(net(x)) == -12
    net.set_train(False)
    net.w.set_data(ms.Tensor([5.0]))
    assert float(net(x)) == 30
    net.w = ms.Parameter(ms.Tensor([1.0]), name="w")
    assert float(net(x)) == 6
    net.act = nn.Tanh()
    assert float(net(x)) == pytest.approx(2 * np.tanh(3), rel=1e-6)
    net.act = nn.Identity()
    assert float(net(x)) == 6
    net.items[0] = 10.0
    assert float(net(x)) == 60
    assert float(net(ms.Tensor([1.0]))) == 20


def test_writes_in_construct_persist(mode: str) -> None:
    class Counter(nn.Cell):
        def __init__(self):
            super().__init__()
            self.count = ms.Parameter(ms.Tensor([0.0]), name="count", requires_grad=False)

        def construct(self, x):
            self.count = self.count + 1
            y = x * self.count
            self.count += 1
            return y + self.count

    net = Counter()
    assert [float(net(ms.Tensor([10.0]))) for _ in range(2)] == [12, 34]
    assert float(net.count) == 4
    assert isinstance(net.count, ms.Parameter)


def test_copies() -> None:
    net = Net()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert [p.name for p in other.get_parameters()] == [p.name for p in net.get_parameters()]
        x = ms.Tensor(X)
        np.testing.assert_array_equal(other(x).asnumpy(), net(x).asnumpy())
        before = net(x).asnumpy()
        other.shift.set_data(ms.Tensor([9.0, 9.0]))
        np.testing.assert_array_equal(net(x).asnumpy(), before)


def test_to_float(mode: str) -> None:
    net = nn.Dense(3, 2).to_float(ms.float16)
    assert net(ms.Tensor(X)).dtype is ms.float16
    assert net.weight.dtype is ms.float32
    grads = ms.grad(lambda x: net(x).sum(), 0, net.trainable_params())(ms.Tensor(X))
    assert [g.dtype for g in (grads[0], *grads[1])] == [ms.float32] * 3
    with pytest.raises(TypeError, match="to_float takes"):
        net.to_float(ms.int32)


# --- hooks and bprop ----------------------------------------------------------------------------


def test_forward_hooks(mode: str) -> None:
    cell, x = nn.Identity(), ms.Tensor([1.0])
    first = cell.register_forward_pre_hook(lambda cell, inputs: inputs[0] * 2)
    second = cell.register_forward_hook(lambda cell, inputs, output: output + inputs[0])
    third = cell.register_forward_hook(lambda cell, inputs, output: None)
    assert float(cell(x)) == 4
    first.remove()
    assert float(cell(x)) == 2
    second.remove()
    third.remove()
    third.remove()
    assert float(cell(x)) == 1
    with pytest.raises(TypeError, match="a hook must be callable"):
        cell.register_forward_hook(3)


def test_backward_hooks() -> None:
    seen: list[tuple[float, float]] = []

    def watch(cell, grad_input, grad_output):
        seen.append((float(grad_input[0]), float(grad_output[0])))
        return (grad_input[0] * 10,)

    cell = Scale(1)
    handle = cell.register_backward_hook(watch)
    x = ms.Tensor([3.0])
    assert float(ms.grad(lambda x: cell(x) * 5)(x)) == 100
    assert seen == [(10, 5)]
    handle.remove()
    assert float(ms.grad(lambda x: cell(x) * 5)(x)) == 10


def test_backward_pre_hook(mode: str) -> None:
    cell = Scale(1)
    cell.register_backward_pre_hook(lambda cell, grads: grads[0] * 3)
    got = ms.grad(lambda x: cell(x) * 5, 0, cell.factor)(ms.Tensor([3.0]))
    assert [float(g) for g in got] == [30, 45]


def test_backward_hooks_of_both_kinds(mode: str) -> None:
    cell = Scale(1)
    cell.register_backward_pre_hook(lambda cell, grads: grads[0] * 3)
    handle = cell.register_backward_hook(lambda cell, inner, outer: (inner[0] + outer[0],))
    cell.register_backward_hook(lambda cell, inner, outer: None)
    gradient = ms.grad(lambda x: cell(x) * 5, 0, cell.factor)
    factor = float(cell.factor)
    for _ in range(3):  # 15 arrives at the output; it enters the gradient of the input once more
        assert [float(g) for g in gradient(ms.Tensor([3.0]))] == [15 * factor + 15, 45]
    handle.remove()
    assert [float(g) for g in gradient(ms.Tensor([3.0]))] == [15 * factor, 45]


def test_backward_hooks_see_values(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    def show(cell, inner, outer):
        print("in", inner[0], "out", outer[0])

    cell = nn.ReLU()
    cell.register_backward_hook(show)
    x = ms.Tensor([1.0, -2.0])
    for _ in range(3):
        ms.grad(lambda x: cell(x * x) * 3.0)(x)
        assert capsys.readouterr().out == "in [3. 3.] out [3. 3.]\n"


def test_bprop(mode: str) -> None:
    class Odd(nn.Cell):
        def construct(self, x, y):
            return x * y

        def bprop(self, x, y, out, dout):
            return dout * 100, out * dout

    x, y = ms.Tensor([2.0]), ms.Tensor([3.0])
    assert [float(g) for g in ms.grad(Odd(), (0, 1))(x, y)] == [100, 6]
    second = ms.grad(lambda x, y: ms.grad(Odd(), 1)(x, y).sum())
    assert float(second(x, y)) == 100  # d(out)/dx, again by bprop


# --- printing -----------------------------------------------------------------------------------

REPRS = [
    (nn.ReLU(), "ReLU()"),
    (nn.Dense(3, 4), "Dense(input_channels=3, output_channels=4, has_bias=True)"),
    (nn.SequentialCell(nn.ReLU(), nn.Tanh()), "SequentialCell(\n  (0): ReLU()\n  (1): Tanh()\n)"),
    (
        nn.SequentialCell(nn.SequentialCell(nn.ReLU())),
        "SequentialCell(\n  (0): SequentialCell(\n    (0): ReLU()\n  )\n)",
    ),
    (
        nn.Dense(2, 2, activation="relu"),
        "Dense(\n  input_channels=2, output_channels=2, has_bias=True, activation=ReLU()\n"
        "  (activation): ReLU()\n)",
    ),
    (nn.Dense(2, 2, has_bias=False), "Dense(input_channels=2, output_channels=2)"),
    (nn.Dropout(p=0.25), "Dropout(p=0.25)"),
    (nn.MaxPool2d(2, 2), "MaxPool2d(kernel_size=2, stride=2, pad_mode=VALID)"),
    (nn.MaxPool1d(2, 2), "MaxPool1d(kernel_size=(1, 2), stride=(1, 2), pad_mode=VALID)"),
    (
        nn.Conv1d(2, 3, 4, has_bias=True, weight_init="normal", bias_init="zeros"),
        "Conv1d(input_channels=2, output_channels=3, kernel_size=(1, 4), stride=(1, 1), "
        "pad_mode=same, padding=(0, 0, 0, 0), dilation=(1, 1), group=1, has_bias=True, "
        "weight_init=normal, bias_init=zeros, format=NCHW)",
    ),
    (
        nn.LayerNorm([3]),
        "LayerNorm(normalized_shape=[3], begin_norm_axis=-1, begin_params_axis=-1, "
        "gammaParameter (name=gamma, shape=(3,), dtype=Float32, requires_grad=True), "
        "beta=Parameter (name=beta, shape=(3,), dtype=Float32, requires_grad=True))",
    ),
    (nn.GRUCell(2, 3), "GRUCell()"),
]


@pytest.mark.parametrize(("cell", "text"), REPRS, ids=lambda v: type(v).__name__)
def test_repr(cell: nn.Cell, text: str) -> None:
    assert repr(cell) == str(cell) == text


# --- containers ---------------------------------------------------------------------------------


def names(cell: nn.Cell) -> list[str]:
    return [p.name for p in cell.get_parameters()]


def dense() -> nn.Dense:
    return nn.Dense(2, 2, has_bias=False)


@pytest.mark.parametrize("kind", [nn.SequentialCell, nn.CellList])
def test_indexed_containers(kind: type) -> None:
    box = kind([dense(), nn.ReLU(), dense()])
    assert len(box) == 3
    assert names(box) == ["0.weight", "2.weight"]
    assert box[-1] is box[2]
    assert [type(c).__name__ for c in box] == ["Dense", "ReLU", "Dense"]
    box.append(dense())
    box.insert(1, dense())
    assert names(box) == ["0.weight", "1.weight", "3.weight", "4.weight"]
    del box[0]
    assert names(box) == ["0.weight", "2.weight", "3.weight"]
    box[1] = dense()
    assert names(box) == ["0.weight", "1.weight", "2.weight", "3.weight"]
    part = box[1:3]
    assert type(part) is kind
    assert len(part) == 2
    assert part[0] is box[1]
    del box[1:]
    assert len(box) == 1
    box += [dense()]
    assert len(box) == 2
    bad = [
        (lambda: box[5], IndexError),
        (lambda: box["0"], TypeError),
        (lambda: box.append(3), TypeError),
        (lambda: box.extend(3), TypeError),
        (lambda: box.insert(9, dense()), IndexError),
    ]
    for call, error in bad:
        with pytest.raises(error):
            call()


def test_containers_keep_the_prefix_of_what_holds_them() -> None:
    class Holder(nn.Cell):
        def __init__(self):
            super().__init__()
            self.box = nn.CellList([dense()])

    net = Holder()
    net.box.append(dense())
    assert names(net) == ["box.0.weight", "box.1.weight"]


def test_sequential_forms(mode: str) -> None:
    x = ms.Tensor([[1.0, -2.0]])
    for net in (
        nn.SequentialCell(nn.ReLU(), nn.Tanh()),
        nn.SequentialCell([nn.ReLU(), nn.Tanh()]),
        nn.SequentialCell({"first": nn.ReLU(), "then": nn.Tanh()}),
    ):
        np.testing.assert_allclose(net(x).asnumpy(), [[np.tanh(1), 0]], rtol=1e-6)
    assert float(nn.SequentialCell()(ms.Tensor(3.0))) == 3


def test_cell_list_in_construct(mode: str) -> None:
    class Stack(nn.Cell):
        def __init__(self):
            super().__init__()
            self.layers = nn.CellList([Scale() for _ in range(3)])

        def construct(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    net = Stack()
    np.testing.assert_array_equal(net(ms.Tensor([1.0, 2.0])).asnumpy(), [8, 16])
    net.layers.append(Scale())
    np.testing.assert_array_equal(net(ms.Tensor([1.0, 2.0])).asnumpy(), [16, 32])


def test_cell_dict() -> None:
    box = nn.CellDict({"a": dense(), "b": nn.ReLU()})
    assert list(box) == ["a", "b"]
    assert "a" in box
    assert names(box) == ["a.weight"]
    box["c"] = dense()
    assert names(box) == ["a.weight", "c.weight"]
    assert type(box.pop("b")) is nn.ReLU
    del box["a"]
    assert list(box.keys()) == ["c"]
    assert len(list(box.items())) == len(list(box.values())) == 1
    box.clear()
    assert len(box) == 0
    assert bool(box)
    for key, cell in (("a.b", dense()), ("", dense()), ("x", 3)):
        with pytest.raises(TypeError):
            box[key] = cell


def test_ops_in_cells(mode: str) -> None:
    class Both(nn.Cell):
        def construct(self, x):
            return ops.concat((x, ops.exp(x)), 0), {"half": x / 2}

    out, extra = Both()(ms.Tensor([0.0, 1.0]))
    np.testing.assert_allclose(out.asnumpy(), [0, 1, 1, np.e], rtol=1e-6)
    np.testing.assert_allclose(extra["half"].asnumpy(), [0, 0.5])
