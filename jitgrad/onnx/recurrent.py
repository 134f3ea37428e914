"""ONNX's recurrent layers: LSTM, GRU and RNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, fail
from jitgrad.nn.layers.recurrent import STEPS, State, Step, lane
from jitgrad.onnx.node import Node, Op, tensor
from jitgrad.tensor import Tensor

OPERANDS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
# Where our gates are among theirs: an LSTM's i o f c, a GRU's z r h.
GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


def _recurrent(node: Node, x: Sequence[Any], values: Any, run: Any) -> tuple[Tensor, ...]:
    """X (length, n, size), and W, R and B with a row for each direction, to Y (length, directions,
    n, hidden), and the last h, and of an LSTM c: (directions, n, hidden).
    """
    given = {name: tensor(v) for name, v in zip(OPERANDS, x) if v is not None}
    kind = _checked(node, given)
    inputs, recurrent = given["X"], given["R"]
    count, hidden = recurrent.shape[0], recurrent.shape[2]
    zeros = ops.zeros((count, inputs.shape[1], hidden), inputs.dtype)
    names = ("initial_h", "initial_c") if node.kind == "LSTM" else ("initial_h",)
    first = [given.get(name, zeros) for name in names]
    lanes = []
    for k in range(count):
        step, weights = _weights(node, kind, given, k, hidden)
        backwards = k == 1 or node.attrs.get("direction") == "reverse"
        state = tuple(part[k] for part in first)
        lengths = given.get("sequence_lens")
        lanes.append(lane(step, inputs, state, weights, lengths, backwards))
    ends = (ops.stack([state[p] for _, state in lanes], 0) for p in range(len(names)))
    return ops.stack([y for y, _ in lanes], 1), *ends


def _checked(node: Node, given: dict[str, Tensor]) -> str:
    """The kind of step; ValueError for variants that are not there."""
    count = given["W"].shape[0]
    activations = tuple(node.attrs.get("activations") or ACTIVATIONS[node.kind] * count)
    if node.kind == "RNN" and activations == ("Relu",) * count:
        kind = "relu"
    elif activations == ACTIVATIONS[node.kind] * count:
        kind = "tanh" if node.kind == "RNN" else node.kind.lower()
    else:
        raise fail(ArgumentError, f"{node.kind} with activations {list(activations)} is not there")
    others = [name for name in ("clip", "input_forget", "layout") if node.attrs.get(name)]
    others += ["peepholes"] if "P" in given else []
    if others:
        raise fail(ArgumentError, f"{node.kind} with {' and '.join(others)} is not there")
    return kind


def _weights(
    node: Node, kind: str, given: dict[str, Tensor], direction: int, hidden: int
) -> tuple[Step, list[Tensor | None]]:
    """The step of a direction, and the weights that `lane` takes, with our order of the gates."""

    def ordered(rows: Tensor) -> Tensor:
        return ops.concat([rows[g * hidden : (g + 1) * hidden] for g in GATES[node.kind]], 0)

    weights: list[Any] = [ordered(given[name][direction]) for name in ("W", "R")]
    weights += [None, None]
    if "B" in given:
        weights[2:] = map(ordered, ops.split(given["B"][direction], len(weights[0]), 0))
    if node.kind == "GRU" and not node.attrs.get("linear_before_reset"):
        (w, b), most = weights[1::2], 2 * hidden
        weights[1::2] = w[:most], None if b is None else b[:most]
        return _reset_first(w[most:], None if b is None else b[most:]), weights
    return STEPS[kind], weights


def _reset_first(w: Tensor, b: Tensor | None) -> Step:
    """A step of a GRU that takes the new gate's product of r h instead of h."""

    def step(i: Tensor, s: Tensor, state: State) -> State:
        (h,), size = state, w.shape[0]
        gates = ops.sigmoid(i[:, : 2 * size] + s)
        r, z = gates[:, :size], gates[:, size:]
        n = ops.tanh(i[:, 2 * size :] + ops.dense(r * h, w, b))
        return (n + z * (h - n),)

    return step


RECURRENT: dict[str, Op] = {"LSTM": _recurrent, "GRU": _recurrent, "RNN": _recurrent}
