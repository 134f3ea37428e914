"""Tensors as PyTorch's programs make them: sizes as arguments of their own, `requires_grad`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from jitgrad import ops
from jitgrad.ops.older_methods import from_numpy
from jitgrad.tensor import Tensor

SIZED = ("zeros", "ones", "empty", "rand", "randn")
OTHERS = ("arange", "empty_like", "eye", "full", "full_like", "linspace", "ones_like", "zeros_like")


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor, as ``torch.tensor`` makes it.

    >>> import jitgrad as torch
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> (x * x).backward()
    >>> print(x.grad)
    4.0
    """
    return Tensor(data, dtype, requires_grad=requires_grad)


def _followed(function: Callable) -> Callable:
    @functools.wraps(function)
    def made(*args: Any, requires_grad: bool = False, **options: Any) -> Tensor:
        found = function(*args, **options)
        return found.requires_grad_() if requires_grad else found

    return made


def _sized(function: Callable) -> Callable:
    @functools.wraps(function)
    def made(*size: Any, **options: Any) -> Tensor:
        alone = len(size) == 1 and isinstance(size[0], (tuple, list))
        return function(*size, **options) if alone else function(size, **options)

    return made


TABLE: dict[str, Callable] = {name: _followed(getattr(ops, name)) for name in OTHERS}
TABLE.update({name: _followed(_sized(getattr(ops, name))) for name in SIZED})
TABLE["from_numpy"] = _followed(from_numpy)
