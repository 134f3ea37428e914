"""ONNX files: onnxruntime computes what the Cell does, and so does the Cell that is read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn, ops

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from jitgrad.onnx import export, load  # noqa: E402

rng = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


class Function(nn.Cell):
    """A function of Tensors as a Cell."""

    def __init__(self, function: Callable):
        super().__init__()
        self.function = function

    def construct(self, *inputs: Any) -> Any:
        return self.function(*inputs)


class Recurrent(nn.Cell):
    def __init__(self, memory: nn.Cell):
        super().__init__()
        self.memory = memory

    def construct(self, x: Any) -> Any:
        y, state = self.memory(x)
        return y, state[0] if isinstance(state, tuple) else state


def steps(x: Any) -> Any:
    for i in range(5):
        x = ops.tanh(x * i + 0.5)
    return x


CELLS: dict[str, tuple[Callable[[], nn.Cell], list[np.ndarray]]] = {
    "dense": (lambda: nn.Dense(3, 4, activation="relu"), [draw(5, 3)]),
    "conv": (
        lambda: nn.SequentialCell(
            nn.Conv2d(2, 4, 3, 2, has_bias=True),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2, 1),
            nn.AvgPool2d(2, 1, "pad", 1),
            nn.Flatten(),
            nn.Dropout(p=0.5),
            nn.Dense(64, 3),
            nn.Softmax(),
        ),
        [draw(2, 2, 8, 8)],
    ),
    "conv1d": (lambda: nn.Conv1d(2, 4, 3, dilation=2, group=2), [draw(2, 2, 9)]),
    "transposed": (
        lambda: nn.Conv2dTranspose(3, 2, 3, 2, "pad", 1, 1, has_bias=True),
        [draw(2, 3, 4, 5)],
    ),
    "norms": (
        lambda: nn.SequentialCell(nn.LayerNorm((6,)), nn.RMSNorm(6), nn.GELU(False)),
        [draw(4, 6)],
    ),
    "group_norm": (lambda: nn.GroupNorm(2, 4), [draw(2, 4, 3, 3)]),
    "embedding": (lambda: nn.Embedding(10, 4), [np.array([[1, 2], [9, 0]], np.int32)]),
    "lstm": (lambda: Recurrent(nn.LSTM(3, 4, 2, bidirectional=True)), [draw(6, 2, 3)]),
    "gru": (lambda: Recurrent(nn.GRU(3, 4)), [draw(6, 2, 3)]),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True, norm_first=True),
        [draw(2, 5, 8)],
    ),
    "loop": (lambda: Function(steps), [draw(4)]),
    "branch": (
        lambda: Function(lambda x: ops.cond(x.sum() > 0, lambda v: v * 2, lambda v: v - 1, x)),
        [draw(4)],
    ),
    "moves": (
        lambda: Function(
            lambda x: (ops.flip(x[:, 1::2], (0,)).sum(1), ops.concat((x, x * 2), 1).T)
        ),
        [draw(3, 5)],
    ),
    "pads": (lambda: Function(lambda x: ops.pad(x, (1, 2, 0, 1), value=1.5)), [draw(3, 5)]),
    "reductions": (
        lambda: Function(
            lambda x: (ops.amax(x, 0), ops.amin(x, (0, 1)), ops.prod(x, 1), ops.argmax(x, 1))
        ),
        [draw(3, 5)],
    ),
    "truth": (
        lambda: Function(lambda x, y: (ops.any(x > y, 1), ops.where(x != y, x, 0 * y), x // y)),
        [draw(3, 5), draw(3, 5)],
    ),
    "elementwise": (
        lambda: Function(
            lambda x: ops.expm1(x) + ops.rsqrt(x * x + 1) + ops.log1p(x * x) + ops.erf(x)
            + ops.floor(x) + ops.trunc(x) + ops.remainder(x, 0.7) + ops.pow(x * x, 1.5)
        ),
        [draw(3, 5)],
    ),
    "orders": (
        lambda: Function(lambda x: (*ops.sort(x, 1), *ops.topk(x, 2), ops.argsort(x, 0, True))),
        [draw(3, 5)],
    ),
    "scatters": (
        lambda: Function(
            lambda x, i: (
                ops.tensor_scatter_add(x, i, x[:2]), ops.tensor_scatter_max(x, i, -x[:2]),
                ops.tensor_scatter_elements(x, i, x[:2, :1] * 2, 1),
            )
        ),
        [draw(3, 5), np.array([[2], [0]], np.int32)],
    ),
    "det": (lambda: Function(lambda x: (ops.det(x), ops.tril(x))), [draw(2, 3, 3)]),
    "until": (
        lambda: Function(
            lambda x, y: ops.while_loop(
                lambda v: v[0].sum() < 100.0, lambda v: (v[0] * 2 + y, v[1] + 1), (x, y * 0)
            )
        ),
        [draw(4) ** 2 + 1, draw(4) ** 2],
    ),
    "counted": (
        lambda: Function(lambda x, n: ops.fori_loop(0, n, lambda i, v: v * 0.5 + i, x)),
        [draw(4), np.array(3)],
    ),
    "volumes": (
        lambda: nn.SequentialCell(nn.Conv3d(2, 3, 2), nn.MaxPool3d(2, 2), nn.AvgPool3d(2, 1)),
        [draw(1, 2, 4, 5, 6)],
    ),
    "cumsum": (lambda: Function(lambda x: ops.cumsum(x, 1)), [draw(3, 5)]),
    "integers": (
        lambda: Function(
            lambda i: (i * 2 + 1, i.astype(ms.float32) / 2, i // 4, i % 4, i // -3, i % -3)
        ),
        [np.arange(-3, 3, dtype=np.int32).reshape(2, 3)],
    ),
}  # fmt: skip


def flat(value: Any) -> list[np.ndarray]:
    values = value if isinstance(value, tuple) else (value,)
    return [v.asnumpy() for v in values]


def random_weights(cell: nn.Cell) -> nn.Cell:
    for p in cell.get_parameters():
        p.set_data(np.random.default_rng(p.size).uniform(0.2, 1, p.shape).astype(np.float32))
    return cell


@pytest.mark.parametrize("name", CELLS)
def test_round_trip(tmp_path: Path, name: str) -> None:
    make, inputs = CELLS[name]
    cell = random_weights(make())
    given = [ms.Tensor(x) for x in inputs]
    wanted = flat(cell(*given))
    export(cell, *given, file_name=tmp_path / "net", file_format="ONNX")
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    feeds = {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)}
    back = load(tmp_path / "net.onnx")
    for found in (session.run(None, feeds), flat(back(*given))):
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            # Sums of up to 64 products of float32, in another order.
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=64 * 2**-23)
    assert not cell.training


def test_reading_compiles_and_trains(tmp_path: Path) -> None:
    net = nn.SequentialCell(nn.Dense(3, 4), nn.Tanh(), nn.Dense(4, 1))
    x, y = ms.Tensor(draw(8, 3)), ms.Tensor(draw(8, 1))
    export(net, x, file_name=tmp_path / "net.onnx")
    back = load(tmp_path / "net.onnx")
    names = {p.name for p in back.trainable_params()}
    assert names == {p.name for p in net.get_parameters()}
    step = nn.TrainOneStepCell(
        nn.WithLossCell(back, nn.MSELoss()), nn.Adam(back.trainable_params(), 0.05)
    )
    before = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        losses = [step(x, y).item() for _ in range(60)]
    finally:
        ms.set_context(mode=before)
    assert losses[-1] < 0.5 * losses[0]


def test_what_others_write(tmp_path: Path) -> None:
    """A file of older style: Gemm, shapes computed from shapes, attributes for axes."""
    h = onnx.helper
    w, b = draw(4, 6), draw(4)
    nodes = [
        h.make_node("Shape", ["x"], ["shape"]),
        h.make_node("Gather", ["shape", "zero"], ["n"]),
        h.make_node("Unsqueeze", ["n", "axis"], ["n1"]),
        h.make_node("Concat", ["n1", "rest"], ["wanted"], axis=0),
        h.make_node("Reshape", ["x", "wanted"], ["flat"]),
        h.make_node("Gemm", ["flat", "w", "b"], ["y"], transB=1, alpha=0.5, beta=2.0),
        h.make_node("Clip", ["y", "low"], ["z"]),
        h.make_node("LeakyRelu", ["y"], ["v"], alpha=0.2),
        h.make_node("Add", ["z", "v"], ["out"]),
    ]
    constants = {
        "zero": np.int64(0), "axis": np.array([0]), "rest": np.array([-1]), "w": w, "b": b,
        "low": np.float32(0.1),
    }  # fmt: skip
    values = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    info = h.make_tensor_value_info
    graph = h.make_graph(
        nodes, "g", [info("x", 1, ["n", 2, 3])], [info("out", 1, ["n", 4])], values
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=9)
    path = tmp_path / "x.onnx"
    onnx.save_model(model, str(path))
    cell = load(path)
    for n in (2, 5):
        x = draw(n, 2, 3)
        y = 0.5 * x.reshape(n, 6) @ w.T + 2 * b
        wanted = np.maximum(y, np.float32(0.1)) + np.where(y > 0, y, 0.2 * y)
        np.testing.assert_allclose(cell(ms.Tensor(x)).asnumpy(), wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match="takes 1 inputs, got 0"):
        cell()


def written(
    path: Path, nodes: list, values: dict | None = None, x: Any = (2,), ndims: tuple = (1,)
) -> Path:
    """A model of x to y, h and c, as many as `ndims` has."""
    h = onnx.helper
    held = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in (values or {}).items()]
    graph = h.make_graph(
        nodes, "g", [h.make_tensor_value_info("x", 1, x)],
        [h.make_tensor_value_info(name, 1, [None] * n) for name, n in zip("yhc", ndims)], held,
    )  # fmt: skip
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


LAYERS = {
    "lstm": ("LSTM", 4, {}, ("B", "lengths", "first")),
    "plain lstm": ("LSTM", 4, {"direction": "reverse"}, ()),
    "gru": ("GRU", 3, {"linear_before_reset": 1, "direction": "bidirectional"}, ("B", "lengths")),
    "gru that resets first": ("GRU", 3, {"direction": "reverse"}, ("B", "first")),
    "rnn": ("RNN", 1, {"direction": "bidirectional"}, ("first",)),
    "rnn of relu": ("RNN", 1, {"activations": ["Relu"]}, ("B",)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_layers_of_others(tmp_path: Path, name: str) -> None:
    """Gates in ONNX's order, a row of weights for each direction."""
    kind, gates, attrs, parts = LAYERS[name]
    d, hidden, size, n, length = 1 + (attrs.get("direction") == "bidirectional"), 3, 2, 4, 5
    start = "first" if "first" in parts else ""
    values = {
        "W": draw(d, gates * hidden, size), "R": draw(d, gates * hidden, hidden),
        "B": draw(d, 2 * gates * hidden), "lengths": np.array([5, 2, 3, 5], np.int32),
        "first": draw(d, n, hidden),
    }  # fmt: skip
    held = {k: v for k, v in values.items() if k in ("W", "R", *parts)}
    operands = ["x", "W", "R", *(p if p in parts else "" for p in ("B", "lengths")), start]
    operands += [start] if kind == "LSTM" else []
    results = ["y", "h", "c"] if kind == "LSTM" else ["y", "h"]
    node = onnx.helper.make_node(kind, operands, results, hidden_size=hidden, **attrs)
    path = written(tmp_path / "x.onnx", [node], held, (length, n, size), (4, 3, 3)[: len(results)])
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = draw(length, n, size)
    cell = load(path)
    for a, b in zip(session.run(None, {"x": x}), flat(cell(ms.Tensor(x))), strict=True):
        assert a.shape == b.shape
        # Five steps of sums of up to ten products of float32, through slopes of at most one.
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=64 * 2**-23)
    assert {p.name for p in cell.trainable_params()} == set(held) - {"lengths"}


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    with pytest.raises(FileNotFoundError):
        load(path)
    for data in (b"", b"no model", b"\x80\x04\x95cos\nsystem\n."):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="is no ONNX model, or a damaged one"):
            load(path)
    node = onnx.helper.make_node
    whole = written(path, [node("Relu", ["x"], ["y"])]).read_bytes()
    for size in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="onnx"):
            load(path)
    written(path, [node("Hardmax", ["x"], ["z"]), node("Bernoulli", ["z"], ["y"])])
    with pytest.raises(ValueError, match="has the ops Bernoulli, Hardmax, which are not there"):
        load(path)
    layer = node("LSTM", ["x", "W", "R"], ["y"], hidden_size=1, clip=1.0)
    written(path, [layer], {"W": draw(1, 4, 1), "R": draw(1, 4, 1)}, (2, 1, 1), (4,))
    with pytest.raises(ValueError, match="LSTM with clip is not there"):
        load(path)(ms.Tensor(draw(2, 1, 1)))
    written(path, [node("ConstantOfShape", ["s"], ["y"])], {"s": np.array([2**40])})
    with pytest.raises(ValueError, match="makes an array of shape"):
        load(path)(ms.Tensor([1.0, 2.0]))


def test_data_in_other_files_are_not_read(tmp_path: Path) -> None:
    path, secret = tmp_path / "x.onnx", tmp_path / "secret"
    secret.write_bytes(b"\0" * 8)
    written(path, [onnx.helper.make_node("Add", ["x", "w"], ["y"])], {"w": np.zeros(2, np.float32)})
    model = onnx.load_model(str(path))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", str(secret)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"another file|no ONNX model"):
        load(path)


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    x = ms.Tensor(draw(3, 4))
    with pytest.raises(TypeError, match="export takes a Cell"):
        export(abs, x, file_name=tmp_path / "x")
    with pytest.raises(ValueError, match="no such file_format: 'MINDIR'"):
        export(nn.ReLU(), x, file_name=tmp_path / "x", file_format="MINDIR")
    with pytest.raises(RuntimeError, match="draws random numbers"):
        export(Function(lambda v: v + ops.randn(3, 4)), x, file_name=tmp_path / "x")
    with pytest.raises(RuntimeError, match="cumprod cannot be exported to ONNX") as caught:
        export(Function(lambda v: ops.cumprod(v, 0)), x, file_name=tmp_path / "x")
    assert "test_onnx.py" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
