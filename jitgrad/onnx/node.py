"""A node of an ONNX file, and how its operands are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, fail
from jitgrad.tensor import Tensor

LARGEST = 1 << 30  # bytes of a constant that a file may ask for


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node of a file."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]


Op = Callable[[Node, Sequence[Any], dict[str, Any], Callable], Any]


def known(node: Node, value: Any, what: str) -> list[int]:
    """Ints that must be known while tracing; ValueError if they are computed from inputs."""
    if isinstance(value, Tensor):
        raise fail(
            ArgumentError,
            f"{node.kind} takes its {what} from a computed Tensor",
            why="shapes and axes must be known when the graph is built",
        )
    return [int(v) for v in np.asarray(value).reshape(-1)]


def limited(node: Node, shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """A shape that a file asks for; ValueError if it is too large to be meant."""
    if math.prod(shape) * itemsize > LARGEST:
        raise fail(ArgumentError, f"{node.kind} makes an array of shape {list(shape)}")
    return tuple(shape)


def tensor(value: Any) -> Tensor:
    """A Tensor of an operand."""
    return value if isinstance(value, Tensor) else Tensor(np.asarray(value))
