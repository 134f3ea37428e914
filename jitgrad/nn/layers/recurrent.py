"""Recurrent layers: single steps, and layers over whole sequences.

Weights of all gates lie one below the other: (gates * hidden_size, size). All start uniform within
1 / sqrt(hidden_size).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ir.types import float32
from jitgrad.nn.cell import Cell
from jitgrad.nn.initializer import Uniform, initializer
from jitgrad.nn.layers.windows import single
from jitgrad.tensor import Parameter, ParameterTuple, Tensor

State = tuple[Tensor, ...]  # (h,), or (h, c) of an LSTM
Weights = Sequence[Tensor | None]  # of the input, of the state, and their biases


# --- one step -----------------------------------------------------------------------------------


def _gates(x: Tensor, h: Tensor, weights: Weights, count: int) -> tuple[list, list]:
    """The parts of every gate that come from the input, and from the state."""
    w_in, w_state, b_in, b_state = weights
    of_input, of_state = ops.dense(x, w_in, b_in), ops.dense(h, w_state, b_state)
    size = h.shape[-1]
    cuts = [slice(k * size, (k + 1) * size) for k in range(count)]
    return [of_input[:, c] for c in cuts], [of_state[:, c] for c in cuts]


def tanh_step(x: Tensor, state: State, weights: Weights) -> State:
    """h' = tanh(W x + b + U h + c)."""
    (i,), (s,) = _gates(x, state[0], weights, 1)
    return (ops.tanh(i + s),)


def relu_step(x: Tensor, state: State, weights: Weights) -> State:
    """h' = relu(W x + b + U h + c)."""
    (i,), (s,) = _gates(x, state[0], weights, 1)
    return (ops.relu(i + s),)


def gru_step(x: Tensor, state: State, weights: Weights) -> State:
    """h' = n + z (h - n) with gates r, z and n = tanh(i + r s). Cho et al. (2014)."""
    (h,) = state
    i, s = _gates(x, h, weights, 3)
    r, z = ops.sigmoid(i[0] + s[0]), ops.sigmoid(i[1] + s[1])
    n = ops.tanh(i[2] + r * s[2])
    return (n + z * (h - n),)


def lstm_step(x: Tensor, state: State, weights: Weights) -> State:
    """c' = f c + i g and h' = o tanh(c') with gates i, f, g, o. Hochreiter, Schmidhuber (1997)."""
    h, c = state
    from_input, from_state = _gates(x, h, weights, 4)
    i, f, g, o = (a + b for a, b in zip(from_input, from_state, strict=True))
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    return ops.sigmoid(o) * ops.tanh(c), c


STEPS = {"tanh": tanh_step, "relu": relu_step, "gru": gru_step, "lstm": lstm_step}
GATES = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}


class _StepCell(Cell):
    """One step: x (n, input_size) and the state (n, hidden_size)."""

    def __init__(self, kind: str, input_size: int, hidden_size: int, has_bias: bool, dtype: Any):
        super().__init__()
        name = self.cls_name
        self.input_size = single(name, "input_size", input_size)
        self.hidden_size = single(name, "hidden_size", hidden_size)
        if not isinstance(has_bias, bool):
            raise fail(DTypeError, f"{name}: has_bias must be a bool, got {has_bias!r}")
        self.has_bias, self.kind = has_bias, kind
        rows = GATES[kind] * hidden_size
        bound, made = Uniform(1 / math.sqrt(hidden_size)), dtype_of(dtype)
        self.weight_ih = Parameter(initializer(bound, (rows, input_size), made), "weight_ih")
        self.weight_hh = Parameter(initializer(bound, (rows, hidden_size), made), "weight_hh")
        self.bias_ih = self.bias_hh = None
        if has_bias:
            self.bias_ih = Parameter(initializer(bound, (rows,), made), "bias_ih")
            self.bias_hh = Parameter(initializer(bound, (rows,), made), "bias_hh")

    def _step(self, x: Tensor, state: State) -> State:
        if x.ndim != 2 or x.shape[1] != self.input_size:
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it takes (n, input_size={self.input_size})",
            )
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return STEPS[self.kind](x, state, weights)

    def extend_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, has_bias={self.has_bias}"


class RNNCell(_StepCell):
    """h' = tanh(W x + b + U h + c): x (n, input_size), h (n, hidden_size) to h'."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        has_bias: bool = True,
        nonlinearity: str = "tanh",
        dtype: Any = float32,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise fail(ArgumentError, f"nonlinearity must be tanh or relu, got {nonlinearity!r}")
        super().__init__(nonlinearity, input_size, hidden_size, has_bias, dtype)

    def construct(self, x: Tensor, hx: Tensor) -> Tensor:
        return self._step(x, (hx,))[0]


class GRUCell(_StepCell):
    """A step of a gated recurrent unit: x (n, input_size), h (n, hidden_size) to h'."""

    def __init__(
        self, input_size: int, hidden_size: int, has_bias: bool = True, dtype: Any = float32
    ):
        super().__init__("gru", input_size, hidden_size, has_bias, dtype)

    def construct(self, x: Tensor, hx: Tensor) -> Tensor:
        return self._step(x, (hx,))[0]


class LSTMCell(_StepCell):
    """A step of a long short-term memory: x (n, input_size), (h, c) to (h', c')."""

    def __init__(
        self, input_size: int, hidden_size: int, has_bias: bool = True, dtype: Any = float32
    ):
        super().__init__("lstm", input_size, hidden_size, has_bias, dtype)

    def construct(self, x: Tensor, hx: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = self._step(x, tuple(hx))
        return h, c


# --- sequences ----------------------------------------------------------------------------------


class _Sequence(Cell):
    """Layers of steps over sequences, one after the other, in one or both directions."""

    def __init__(
        self,
        kind: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        has_bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        dtype: Any,
    ):
        super().__init__()
        name = self.cls_name
        self.input_size = single(name, "input_size", input_size)
        self.hidden_size = single(name, "hidden_size", hidden_size)
        self.num_layers = single(name, "num_layers", num_layers)
        if not 0 <= dropout < 1:
            raise fail(ArgumentError, f"{name}: dropout must be in [0, 1), got {dropout!r}")
        self.kind, self.has_bias, self.dropout = kind, has_bias, float(dropout)
        self.batch_first, self.bidirectional = batch_first, bidirectional
        self.directions = 2 if bidirectional else 1
        rows = GATES[kind] * hidden_size
        inner = hidden_size * self.directions
        sizes = [(rows, input_size if layer == 0 else inner) for layer in range(num_layers)]
        self.w_ih_list = self._made("weight_ih", sizes, dtype)
        self.w_hh_list = self._made("weight_hh", [(rows, hidden_size)] * num_layers, dtype)
        if has_bias:
            self.b_ih_list = self._made("bias_ih", [(rows,)] * num_layers, dtype)
            self.b_hh_list = self._made("bias_hh", [(rows,)] * num_layers, dtype)

    def _made(self, stem: str, shapes: Sequence[tuple[int, ...]], dtype: Any) -> ParameterTuple:
        bound = Uniform(1 / math.sqrt(self.hidden_size))
        ends = ("", "_reverse")[: self.directions]
        return ParameterTuple(
            Parameter(initializer(bound, shape, dtype_of(dtype)), f"{stem}_l{layer}{end}")
            for layer, shape in enumerate(shapes)
            for end in ends
        )

    def _weights(self, place: int) -> Weights:
        biases = (self.b_ih_list[place], self.b_hh_list[place]) if self.has_bias else (None, None)
        return (self.w_ih_list[place], self.w_hh_list[place], *biases)

    def _run_layers(self, x: Tensor, states: Sequence[State]) -> tuple[Tensor, list[State]]:
        """x (length, n, size); a state for each layer and direction."""
        if x.ndim != 3 or x.shape[-1] != self.input_size:
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it takes three axes, the last of input_size={self.input_size}",
            )
        steps = [x[t] for t in range(x.shape[0])]
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout:
                steps = [ops.dropout(s, self.dropout, True) for s in steps]
            lanes = []
            for direction in range(self.directions):
                place = layer * self.directions + direction
                outputs, last = self._lane(steps, states[place], place, bool(direction))
                lanes.append(outputs)
                finals.append(last)
            steps = [ops.concat(parts, 1) if len(lanes) > 1 else parts[0] for parts in zip(*lanes)]
        return ops.stack(steps, 0), finals

    def _lane(
        self, steps: Sequence[Tensor], state: State, place: int, backwards: bool
    ) -> tuple[list[Tensor], State]:
        outputs = []
        for x in reversed(steps) if backwards else steps:
            state = STEPS[self.kind](x, state, self._weights(place))
            outputs.append(state[0])
        return outputs[::-1] if backwards else outputs, state

    def _call(self, x: Tensor, hx: Any, parts: int) -> tuple[Tensor, list[Tensor]]:
        """The outputs, and each part of the last states: (layers * directions, n, hidden_size)."""
        x = ops.transpose(x, (1, 0, 2)) if self.batch_first and x.ndim == 3 else x
        count = self.num_layers * self.directions
        if hx is None:
            zero = ops.zeros((count, x.shape[1], self.hidden_size), x.dtype)
            hx = (zero,) * parts
        states = [tuple(part[k] for part in hx) for k in range(count)]
        y, finals = self._run_layers(x, states)
        y = ops.transpose(y, (1, 0, 2)) if self.batch_first else y
        return y, [ops.stack([state[k] for state in finals], 0) for k in range(parts)]

    def extend_repr(self) -> str:
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers},"
            f" has_bias={self.has_bias}, batch_first={self.batch_first},"
            f" bidirectional={self.bidirectional}"
        )


class RNN(_Sequence):
    """x (length, n, input_size) and h (layers, n, hidden_size) to the outputs of all steps and the
    last h. With `batch_first` x and the outputs are (n, length, …).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        has_bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = float32,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise fail(ArgumentError, f"nonlinearity must be tanh or relu, got {nonlinearity!r}")
        super().__init__(
            *(nonlinearity, input_size, hidden_size, num_layers, has_bias, batch_first),
            *(dropout, bidirectional, dtype),
        )

    def construct(self, x: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        y, (h,) = self._call(x, None if hx is None else (hx,), 1)
        return y, h


class GRU(_Sequence):
    """Gated recurrent units over sequences; see `RNN`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        has_bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = float32,
    ):
        super().__init__(
            *("gru", input_size, hidden_size, num_layers, has_bias, batch_first),
            *(dropout, bidirectional, dtype),
        )

    def construct(self, x: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        y, (h,) = self._call(x, None if hx is None else (hx,), 1)
        return y, h


class LSTM(_Sequence):
    """Long short-term memory over sequences; see `RNN`. The state is a pair (h, c)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        has_bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = float32,
    ):
        super().__init__(
            *("lstm", input_size, hidden_size, num_layers, has_bias, batch_first),
            *(dropout, bidirectional, dtype),
        )

    def construct(
        self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, (h, c) = self._call(x, hx, 2)
        return y, (h, c)
