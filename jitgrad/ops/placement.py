"""Where a Tensor's elements are: in the host's memory, or on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad.errors import ArgumentError, fail
from jitgrad.frontend import tape
from jitgrad.ops.promote import copied
from jitgrad.runtime.cuda.array import Array, DeviceArray, host
from jitgrad.state import state
from jitgrad.tensor import Tensor

PLACES = {"cpu": "CPU", "gpu": "GPU", "cuda": "GPU"}
IGNORED = ("ascend",)  # of MindSpore programs: there is no such device here


def place_named(name: Any) -> str:
    """CPU or GPU for what a user calls a device, "" for what is no device; ArgumentError for a
    second GPU.
    """
    kind, _, number = str(name).lower().partition(":")
    if kind in PLACES and number not in ("", "0"):
        raise fail(
            ArgumentError,
            f"there is no device {name!r}",
            why="jitgrad uses one GPU",
            instead="CUDA_VISIBLE_DEVICES chooses which, before Python starts",
        )
    return "CPU" if kind in IGNORED else PLACES.get(kind, "")


def put(array: Array, place: str) -> Array:
    """An array's elements in a place: the array itself if that is where it is. DeviceError."""
    if place == "CPU":
        return host(array)
    from jitgrad.runtime.cuda.device import device

    return device().put(array)


class Moved(tape.TapeNode):
    """A Tensor that was copied to another place: its gradient goes the way back."""

    __slots__ = ("back",)

    def cotangents(self, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        return [None if g is None else moved(g, self.back) for g in given]


def moved(x: Tensor, place: str) -> Tensor:
    """A copy in a place, through which gradients flow. In a compiled function all is where the
    function runs, and this is the value itself.
    """
    if state.trace is not None or where(x) == place:
        return copied(x)
    out = Tensor._wrap(put(x._held(f"moved to the {place}"), place), x._type)
    if tape.is_tracked(x):
        node = Moved(f"to {place}", [tape.edge_of(x)], [x._type])
        node.back = where(x)
        tape.attach(node, [out])
    return out


def where(x: Tensor) -> str:
    """Where a Tensor's elements are: "CPU" or "GPU"."""
    return "GPU" if type(x._data) is DeviceArray else "CPU"


def cpu(self: Tensor) -> Tensor:
    """A copy in the host's memory, after all that it depends on has been computed."""
    return moved(self, "CPU")


def cuda(self: Tensor, device: Any = None) -> Tensor:
    """A copy on the GPU: operations on it, and compiled functions of it, run there. DeviceError
    where there is none.
    """
    if device is not None:
        place_named(device if isinstance(device, str) else f"cuda:{device}")
    return moved(self, "GPU")


METHODS = {"cpu": cpu, "cuda": cuda}

__all__ = ["METHODS", "Moved", "moved", "place_named", "put", "where"]
