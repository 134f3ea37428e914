"""Recurrent layers and attention against plain NumPy in float64, and their gradients."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

import jitgrad as ms
from jitgrad import nn

_spec = importlib.util.spec_from_file_location(
    "nn_reference", Path(__file__).with_name("reference.py")
)
ref = sys.modules.setdefault("nn_reference", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(ref)

Array = np.ndarray
rng = np.random.default_rng(4)


def draw(*shape: int) -> Array:
    return rng.uniform(-1, 1, shape)


def double(cell: nn.Cell) -> nn.Cell:
    for number, p in enumerate(cell.get_parameters()):
        p.set_dtype(ms.float64)
        p.set_data(ms.Tensor(np.random.default_rng(number).uniform(-1, 1, p.shape)))
    return cell


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def step(kind: str, x: Array, state: tuple[Array, ...], w: list[Array]) -> tuple[Array, ...]:
    size = state[0].shape[1]
    i, s = x @ w[0].T + w[2], state[0] @ w[1].T + w[3]
    i, s = ([a[:, k : k + size] for k in range(0, a.shape[1], size)] for a in (i, s))
    if kind in ("tanh", "relu"):
        return (np.tanh(i[0] + s[0]) if kind == "tanh" else np.maximum(i[0] + s[0], 0),)
    if kind == "gru":
        r, z = sigmoid(i[0] + s[0]), sigmoid(i[1] + s[1])
        n = np.tanh(i[2] + r * s[2])
        return ((1 - z) * n + z * state[0],)
    c = sigmoid(i[1] + s[1]) * state[1] + sigmoid(i[0] + s[0]) * np.tanh(i[2] + s[2])
    return sigmoid(i[3] + s[3]) * np.tanh(c), c


STEPS = {
    "tanh": lambda: nn.RNNCell(3, 2),
    "relu": lambda: nn.RNNCell(3, 2, nonlinearity="relu"),
    "gru": lambda: nn.GRUCell(3, 2),
    "lstm": lambda: nn.LSTMCell(3, 2),
}


@pytest.mark.parametrize("kind", STEPS)
def test_steps(mode: str, kind: str) -> None:
    cell = double(STEPS[kind]())
    x, state = draw(4, 3), (draw(4, 2),) * (2 if kind == "lstm" else 1)
    given = tuple(ms.Tensor(s) for s in state)
    got = cell(ms.Tensor(x), given if kind == "lstm" else given[0])
    wanted = step(kind, x, state, [p.asnumpy() for p in cell.get_parameters()])
    for a, b in zip(got if kind == "lstm" else (got,), wanted, strict=True):
        np.testing.assert_allclose(a.asnumpy(), b, rtol=1e-10)


SEQUENCES = {
    "tanh": lambda **s: nn.RNN(3, 2, **s),
    "gru": lambda **s: nn.GRU(3, 2, **s),
    "lstm": lambda **s: nn.LSTM(3, 2, **s),
}


def unrolled(kind: str, x: Array, cell: nn.Cell, layers: int, both: bool) -> Array:
    """Outputs (length, n, size) from zero states."""
    for layer in range(layers):
        lanes = []
        for end in ("", "_reverse")[: 2 if both else 1]:
            stems = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            own = {p.name: p.asnumpy() for p in cell.get_parameters()}
            w = [own[f"{stem}_l{layer}{end}"] for stem in stems]
            state = (np.zeros((x.shape[1], 2)),) * (2 if kind == "lstm" else 1)
            outputs = []
            for part in x[::-1] if end else x:
                state = step(kind, part, state, w)
                outputs.append(state[0])
            lanes.append(np.stack(outputs[::-1] if end else outputs))
        x = np.concatenate(lanes, 2)
    return x


@pytest.mark.parametrize(("layers", "both", "batch_first"), [(1, False, True), (2, True, False)])
@pytest.mark.parametrize(
    ("mode", "kind"),
    [*(("pynative", kind) for kind in SEQUENCES), ("graph", "gru"), ("graph", "lstm")],
    indirect=["mode"],
)
def test_sequences(mode: str, kind: str, layers: int, both: bool, batch_first: bool) -> None:
    cell = SEQUENCES[kind](num_layers=layers, bidirectional=both, batch_first=batch_first)
    double(cell)
    x = draw(3, 4, 3)
    wanted = unrolled(kind, x, cell, layers, both)
    given = x.transpose(1, 0, 2) if batch_first else x
    y, last = cell(ms.Tensor(given))
    np.testing.assert_allclose(
        y.asnumpy(), wanted.transpose(1, 0, 2) if batch_first else wanted, rtol=1e-9
    )
    h = last[0] if kind == "lstm" else last
    np.testing.assert_allclose(h.asnumpy()[-1 - both], wanted[-1][:, :2], rtol=1e-9)
    if mode == "pynative":
        gradient = ms.grad(lambda x: cell(x)[0].sum())(ms.Tensor(given)).asnumpy()
        ref.assert_gradient(
            lambda v: float(
                unrolled(kind, v.transpose(1, 0, 2) if batch_first else v, cell, layers, both).sum()
            ),
            given,
            gradient,
        )


# --- attention ----------------------------------------------------------------------------------


def attended(q: Array, k: Array, v: Array, cell: nn.Cell, mask: Array) -> tuple[Array, Array]:
    """(n, l, e) and (n, s, e) to the output and the weights of each head."""
    w = {name: p.asnumpy() for name, p in cell.parameters_and_names()}
    size, heads = cell.embed_dim, cell.num_heads
    ws, bs = np.split(w["in_proj_weight"], 3), np.split(w["in_proj_bias"], 3)
    parts = []
    for x, weight, bias in zip((q, k, v), ws, bs, strict=True):
        y = x @ weight.T + bias
        parts.append(y.reshape(*y.shape[:2], heads, size // heads).transpose(0, 2, 1, 3))
    scores = parts[0] @ parts[1].swapaxes(2, 3) / np.sqrt(size // heads)
    share = ref.softmax(np.where(mask, -1e30, scores))
    out = (share @ parts[2]).transpose(0, 2, 1, 3).reshape(q.shape)
    return out @ w["out_proj.weight"].T + w["out_proj.bias"], share


def test_attention(mode: str) -> None:
    cell = double(nn.MultiheadAttention(4, 2, batch_first=True))
    q, k, v = draw(2, 3, 4), draw(2, 5, 4), draw(2, 5, 4)
    none = np.zeros((1, 1, 3, 5), bool)
    wanted, share = attended(q, k, v, cell, none)
    got, average = cell(ms.Tensor(q), ms.Tensor(k), ms.Tensor(v))
    np.testing.assert_allclose(got.asnumpy(), wanted, rtol=1e-9)
    np.testing.assert_allclose(average.asnumpy(), share.mean(1), rtol=1e-9)

    padding, pairs = np.zeros((2, 5), bool), np.triu(np.ones((3, 5), bool), 3)
    padding[1, 3:] = True
    wanted, share = attended(q, k, v, cell, padding[:, None, None] | pairs)
    got, each = cell(
        *(ms.Tensor(q), ms.Tensor(k), ms.Tensor(v), ms.Tensor(padding)),
        attn_mask=ms.Tensor(pairs),
        average_attn_weights=False,
    )
    np.testing.assert_allclose(got.asnumpy(), wanted, rtol=1e-9)
    np.testing.assert_allclose(each.asnumpy(), share, rtol=1e-9, atol=1e-300)


def test_attention_of_other_widths() -> None:
    cell = nn.MultiheadAttention(4, 2, kdim=3, vdim=5)
    (y,) = cell(*(ms.ops.ones((n, 2, w)) for n, w in ((3, 4), (6, 3), (6, 5))), None, False)
    assert y.shape == (3, 2, 4)


def test_the_cells_of_an_encoder_layer_are_mindspores() -> None:
    cells = [name for name, _ in nn.TransformerEncoderLayer(4, 2, 6).cells_and_names()]
    assert cells == [
        *("", "self_attn", "self_attn.out_proj", "dense1", "dropout", "dense2", "norm1", "norm2"),
        *("dropout1", "dropout2"),
    ]


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder(mode: str, norm_first: bool) -> None:
    layer = double(
        nn.TransformerEncoderLayer(
            4, 2, 6, dropout=0.0, batch_first=True, norm_first=norm_first, activation="gelu"
        )
    )
    x = ms.Tensor(draw(2, 3, 4))

    def normal(cell: nn.Cell, v: Array) -> Array:
        return ref.normalized(v, (2,), 1e-5) * cell.gamma.asnumpy() + cell.beta.asnumpy()

    def dense(cell: nn.Cell, v: Array) -> Array:
        return v @ cell.weight.asnumpy().T + cell.bias.asnumpy()

    def feed(v: Array) -> Array:
        h = dense(layer.dense1, v)
        h = 0.5 * h * (1 + special.erf(h / np.sqrt(2)))
        return dense(layer.dense2, h)

    def attend(v: Array) -> Array:
        return attended(v, v, v, layer.self_attn, np.zeros((1, 1, 3, 3), bool))[0]

    v = x.asnumpy()
    if norm_first:
        h = v + attend(normal(layer.norm1, v))
        wanted = h + feed(normal(layer.norm2, h))
    else:
        h = normal(layer.norm1, v + attend(v))
        wanted = normal(layer.norm2, h + feed(h))
    np.testing.assert_allclose(layer(x).asnumpy(), wanted, rtol=1e-8)
    stack = nn.TransformerEncoder(layer, 2)
    assert len(stack.trainable_params()) == 2 * len(layer.trainable_params())
    np.testing.assert_allclose(stack(x).asnumpy(), layer(layer(x)).asnumpy(), rtol=1e-9)


# --- errors -------------------------------------------------------------------------------------

BAD = [
    (lambda: nn.RNNCell(3, 2, nonlinearity="sin"), ValueError, "nonlinearity must be tanh or relu"),
    (lambda: nn.GRU(3, 0), ValueError, "hidden_size must be at least 1"),
    (lambda: nn.LSTM(3, 2, dropout=1.0), ValueError, r"dropout must be in \[0, 1\)"),
    (
        lambda: nn.GRUCell(3, 2)(ms.ops.ones((2, 4)), ms.ops.ones((2, 2))),
        ValueError,
        "input_size=3",
    ),
    (lambda: nn.LSTM(3, 2)(ms.ops.ones((2, 4))), ValueError, "takes three axes"),
    (lambda: nn.MultiheadAttention(5, 2), ValueError, "5 values in 2 heads"),
    (
        lambda: nn.MultiheadAttention(4, 2)(*(ms.ops.ones((2, 3, 5)),) * 3),
        ValueError,
        "got query of shape",
    ),
]


@pytest.mark.parametrize(("make", "kind", "text"), BAD, ids=[text for *_, text in BAD])
def test_errors(make, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        make()
