"""What MindSpore's `ops.primitive` has: the base of the classes, and functions of constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad.ops.classes import Primitive


def constexpr(
    fn: Callable | None = None,
    get_instance: bool = True,
    name: str | None = None,
    reuse_result: bool = True,
    check: bool = True,
) -> Callable:
    """The function itself, also as ``@constexpr(…)``: what depends on no Tensor is computed while
    a function is traced.

    >>> @ops.constexpr
    ... def half(shape):
    ...     return tuple(n // 2 for n in shape)
    >>> ms.jit(lambda x: ops.ones(half(x.shape)))(ops.ones((4, 6))).shape
    (2, 3)
    """

    def decorated(function: Callable) -> Callable:
        return function

    return decorated if fn is None else fn


_primexpr: Any = constexpr

__all__ = ["Primitive", "constexpr"]
