"""Where training stands: saved and restored so that it goes on bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jitgrad.errors import ArgumentError, fail
from jitgrad.frontend.random import get_rng_state, set_rng_state
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Parameter, Tensor
from jitgrad.train.serialization import load_checkpoint, load_param_into_net, save_checkpoint

MARK = "jitgrad."  # before the names of what is no Parameter of the network


@dataclass(slots=True)
class Position:
    """Epochs and steps that are done."""

    epoch: int = 0
    step: int = 0


def save(cell: Cell, position: Position, path: Any) -> None:
    """Write the Parameters of a Cell, buffers, the random stream and the position, as safetensors
    unless the name says otherwise.
    """
    more = {
        "random": get_rng_state(),
        "epoch": position.epoch,
        "step": position.step,
    }
    more |= {f"buffer.{name}": buffer for name, buffer in _buffers(cell).items()}
    save_checkpoint(cell, _named(path), append_dict={MARK + k: v for k, v in more.items()})


def restore(cell: Cell, path: Any) -> Position:
    """Read what `save` has written into the same Cell, and set the random stream.

    ValueError, and nothing is changed, if it is the state of something else.
    """
    found = load_checkpoint(_named(path))
    own = {name: p for name, p in found.items() if not name.startswith(MARK)}
    more = {name.removeprefix(MARK): p for name, p in found.items() if name.startswith(MARK)}
    names = cell.parameters_dict()
    missing = [name for name in names if name not in own]
    extra = [name for name in own if name not in names]
    held = _buffers(cell)
    buffers = {f"buffer.{name}" for name in held}
    rest = {"random", "epoch", "step", *buffers} - set(more)
    if missing or extra or rest:
        raise fail(
            ArgumentError,
            f"{path} is not the state of this {cell.cls_name}",
            why=f"it lacks {sorted([*missing, *rest])} and has {extra} besides",
        )
    load_param_into_net(cell, own, strict_load=True)
    cell.load_state_dict({n: more[f"buffer.{n}"] for n in held}, strict=False)
    set_rng_state(more["random"])
    return Position(int(more["epoch"].item()), int(more["step"].item()))


def _buffers(cell: Cell) -> dict[str, Tensor]:
    """The persistent buffers by their places."""
    state = cell.state_dict()
    return {name: value for name, value in state.items() if not isinstance(value, Parameter)}


def _named(path: Any) -> Path:
    path = Path(path)
    return path if path.suffix else path.with_name(path.name + ".safetensors")
