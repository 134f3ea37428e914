"""Recurrent layers: single steps, and layers over whole sequences.

Weights of all gates lie one below the other: (gates * hidden_size, size). All start uniform within
1 / sqrt(hidden_size).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
Step = Callable[[Tensor, Tensor, State], State]


# --- one step -----------------------------------------------------------------------------------
# A step takes the input and the state, both multiplied by their weights, and the state itself.


def _gates(x: Tensor, count: int) -> list[Tensor]:
    size = x.shape[-1] // count
    return [x[:, k * size : (k + 1) * size] for k in range(count)]


def tanh_step(i: Tensor, s: Tensor, state: State) -> State:
    """h' = tanh(W x + b + U h + c)."""
    return (ops.tanh(i + s),)


def relu_step(i: Tensor, s: Tensor, state: State) -> State:
    """h' = relu(W x + b + U h + c)."""
    return (ops.relu(i + s),)


def gru_step(i: Tensor, s: Tensor, state: State) -> State:
    """h' = n + z (h - n) with gates r, z and n = tanh(i + r s). Cho et al. (2014)."""
    (h,) = state
    (i_r, i_z, i_n), (s_r, s_z, s_n) = _gates(i, 3), _gates(s, 3)
    r, z = ops.sigmoid(i_r + s_r), ops.sigmoid(i_z + s_z)
    n = ops.tanh(i_n + r * s_n)
    return (n + z * (h - n),)


def lstm_step(i: Tensor, s: Tensor, state: State) -> State:
    """c' = f c + i g and h' = o tanh(c') with gates i, f, g, o. Hochreiter, Schmidhuber (1997)."""
    write, keep, new, out = _gates(i + s, 4)
    c = ops.sigmoid(keep) * state[1] + ops.sigmoid(write) * ops.tanh(new)
    return ops.sigmoid(out) * ops.tanh(c), c


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
        i = ops.dense(x, self.weight_ih, self.bias_ih)
        return STEPS[self.kind](i, ops.dense(state[0], self.weight_hh, self.bias_hh), state)


class RNNCell(_StepCell):
    """h' = tanh(W x + b + U h + c): x (n, input_size), h (n, hidden_size) to h'.

    >>> nn.RNNCell(3, 4)(ops.ones((2, 3)), ops.zeros((2, 4))).shape
    (2, 4)
    """

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
    """A step of a gated recurrent unit: x (n, input_size), h (n, hidden_size) to h'.

    >>> nn.GRUCell(3, 4)(ops.ones((2, 3)), ops.zeros((2, 4))).shape
    (2, 4)
    """

    def __init__(
        self, input_size: int, hidden_size: int, has_bias: bool = True, dtype: Any = float32
    ):
        super().__init__("gru", input_size, hidden_size, has_bias, dtype)

    def construct(self, x: Tensor, hx: Tensor) -> Tensor:
        return self._step(x, (hx,))[0]


class LSTMCell(_StepCell):
    """A step of a long short-term memory: x (n, input_size), (h, c) to (h', c').

    >>> h, c = nn.LSTMCell(3, 4)(ops.ones((2, 3)), (ops.zeros((2, 4)), ops.zeros((2, 4))))
    >>> h.shape
    (2, 4)
    """

    def __init__(
        self, input_size: int, hidden_size: int, has_bias: bool = True, dtype: Any = float32
    ):
        super().__init__("lstm", input_size, hidden_size, has_bias, dtype)

    def construct(self, x: Tensor, hx: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = self._step(x, tuple(hx))
        return h, c


# --- sequences ----------------------------------------------------------------------------------


def lane(
    step: Step,
    x: Tensor,
    state: State,
    weights: Sequence[Tensor | None],
    lengths: Tensor | None = None,
    backwards: Any = False,
) -> tuple[Tensor, State]:
    """One layer in one direction over x (length, n, size): its outputs, and its state at the end.

    step     what `STEPS` has: of the products of input and state, and the state
    weights  of the input and of the state, and their biases or None
    lengths  (n,) where sequences end: their state stays behind that, and their output is zero

    The input's product is done before the loop over time.
    """
    w_in, w_state, b_in, b_state = weights
    inputs = ops.dense(_reversed(x, lengths) if backwards else x, w_in, b_in)
    if lengths is None:

        def body(state: State, i: Tensor) -> tuple[State, Tensor]:
            state = step(i, ops.dense(state[0], w_state, b_state), state)
            return state, state[0]

        state, y = ops.scan(body, state, inputs)
    else:
        numbers = ops.arange(x.shape[0])

        def guarded(carry: Any, i: Tensor) -> tuple[Any, Tensor]:
            state, number = carry
            new = step(i, ops.dense(state[0], w_state, b_state), state)
            alive = ops.expand_dims(lengths > number, 1)
            kept = tuple(ops.where(alive, a, b) for a, b in zip(new, state, strict=True))
            return (kept, number + 1), ops.where(alive, new[0], 0.0)

        (state, _), y = ops.scan(guarded, (state, numbers[0]), inputs)
    return (_reversed(y, lengths) if backwards else y), state


def _reversed(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Sequences (length, n, size) from their last element to their first."""
    return ops.flip(x, (0,)) if lengths is None else ops.reverse_sequence(x, lengths, 0, 1)


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

    def _weights(self, place: int) -> tuple[Tensor | None, ...]:
        """Of the input, of the state, and their biases."""
        biases = (self.b_ih_list[place], self.b_hh_list[place]) if self.has_bias else (None, None)
        return (self.w_ih_list[place], self.w_hh_list[place], *biases)

    def _run_layers(
        self, x: Tensor, states: Sequence[State], lengths: Tensor | None
    ) -> tuple[Tensor, list[State]]:
        """x (length, n, size); a state for each layer and direction."""
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout:
                x = ops.dropout(x, self.dropout, True)
            lanes = []
            for direction in range(self.directions):
                place = layer * self.directions + direction
                y, last = lane(
                    STEPS[self.kind], x, states[place], self._weights(place), lengths, direction
                )
                lanes.append(y)
                finals.append(last)
            x = ops.concat(lanes, 2) if len(lanes) > 1 else lanes[0]
        return x, finals

    def _call(
        self, x: Tensor, hx: Any, lengths: Tensor | None, parts: int
    ) -> tuple[Tensor, list[Tensor]]:
        """The outputs, and each part of the last states: (layers * directions, n, hidden_size)."""
        if x.ndim != 3 or x.shape[-1] != self.input_size:
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it takes three axes, the last of input_size={self.input_size}",
            )
        x = ops.transpose(x, (1, 0, 2)) if self.batch_first else x
        count = self.num_layers * self.directions
        shape = (count, x.shape[1], self.hidden_size)
        if hx is None:
            hx = (ops.zeros(shape, x.dtype),) * parts
        for part in hx:
            if tuple(part.shape) != shape:
                raise fail(
                    ShapeError,
                    f"{self.cls_name} got a state of shape {list(part.shape)}",
                    why=f"it is {list(shape)}: layers times directions, n, hidden_size",
                )
        if lengths is not None and tuple(lengths.shape) != shape[1:2]:
            raise fail(
                ShapeError,
                f"{self.cls_name} got seq_length of shape {list(lengths.shape)}",
                why=f"it has one length for each of the {shape[1]} sequences",
            )
        states = [tuple(part[k] for part in hx) for k in range(count)]
        y, finals = self._run_layers(x, states, lengths)
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
    last h. With `batch_first` x and the outputs are (n, length, …). `seq_length` (n,) says where
    sequences end; behind that outputs are zero and the state stays. Compiled, the steps are a loop.

    >>> output, hidden = nn.RNN(3, 4)(ops.ones((5, 2, 3)))
    >>> output.shape, hidden.shape
    ((5, 2, 4), (1, 2, 4))
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

    def construct(
        self, x: Tensor, hx: Tensor | None = None, seq_length: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        y, (h,) = self._call(x, None if hx is None else (hx,), seq_length, 1)
        return y, h


class GRU(_Sequence):
    """Gated recurrent units over sequences; see `RNN`.

    >>> output, hidden = nn.GRU(3, 4)(ops.ones((5, 2, 3)))
    >>> output.shape, hidden.shape
    ((5, 2, 4), (1, 2, 4))
    """

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

    def construct(
        self, x: Tensor, hx: Tensor | None = None, seq_length: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        y, (h,) = self._call(x, None if hx is None else (hx,), seq_length, 1)
        return y, h


class LSTM(_Sequence):
    """Long short-term memory over sequences; see `RNN`. The state is a pair (h, c).

    >>> output, (h, c) = nn.LSTM(3, 4, batch_first=True)(ops.ones((2, 5, 3)))
    >>> output.shape, h.shape
    ((2, 5, 4), (1, 2, 4))
    """

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
        self,
        x: Tensor,
        hx: tuple[Tensor, Tensor] | None = None,
        seq_length: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, (h, c) = self._call(x, hx, seq_length, 2)
        return y, (h, c)
