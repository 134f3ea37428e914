"""Cells that differentiate another one: MindSpore's `nn.Jvp` and `nn.Vjp`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad.api.transforms import jvp, vjp
from jitgrad.nn.cell import Cell


class Jvp(Cell):
    """``Jvp(fn)(*inputs, v)`` is the output of `fn`, and how it changes in the direction `v`: a
    Tensor, or a tuple of one for each input.

    >>> from jitgrad import Tensor
    >>> print(Jvp(lambda x: x * x)(Tensor([1.0, 2.0]), Tensor([1.0, 10.0]))[1])
    [ 2. 40.]
    """

    def __init__(self, fn: Callable):
        super().__init__()
        self.fn = fn

    def construct(self, *inputs: Any) -> tuple:
        *given, v = inputs
        return jvp(self.fn, tuple(given), v)


class Vjp(Cell):
    """``Vjp(fn)(*inputs, v)`` is the output of `fn`, and the cotangents of its inputs, one or a
    tuple, for the cotangent `v` of the output: a Tensor, or a tuple for several outputs.

    >>> from jitgrad import Tensor
    >>> print(Vjp(lambda x: x * x)(Tensor([1.0, 2.0]), Tensor([1.0, 10.0]))[1])
    [ 2. 40.]
    """

    def __init__(self, fn: Callable):
        super().__init__()
        self.fn = fn

    def construct(self, *inputs: Any) -> tuple:
        *given, v = inputs
        out, pull = vjp(self.fn, *given)
        found = pull(*v) if isinstance(v, (tuple, list)) else pull(v)
        return out, found[0] if len(found) == 1 else found


__all__ = ["Jvp", "Vjp"]
