"""Less memory for a gradient, by computing again what it would otherwise keep."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from jitgrad import tree
from jitgrad.errors import DTypeError, fail
from jitgrad.frontend import regions
from jitgrad.frontend.control import converted
from jitgrad.ops.loops import as_tensor
from jitgrad.tensor import Tensor


def recompute(fn: Callable, *args: Any, **kwargs: Any) -> Any:
    """A function that computes the same as `fn`, of whose intermediate values its gradient keeps
    none: it runs `fn` again. With arguments, the result of calling that function.

    On the tape the second run draws the random numbers of the first, and what `fn` writes to
    Parameters is written once. What it prints is printed twice, and what it reads must not change
    before the gradient is taken: trained Parameters are checked.

    >>> import jitgrad as ms
    >>> from jitgrad import Tensor, ops
    >>> f = recompute(lambda x: ops.sin(ops.exp(x)).sum())
    >>> ms.jit(ms.grad(f))(Tensor([0.0])).shape
    (1,)
    """
    if not callable(fn):
        raise fail(DTypeError, f"recompute got a {type(fn).__name__}", why="it takes a function")

    @functools.wraps(fn)
    def again(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        found: list[tree.Structure] = []

        def call(*tensors: Tensor) -> list[Tensor]:
            filled = list(leaves)
            for i, x in zip(places, tensors, strict=True):
                filled[i] = x
            inner_args, inner_kwargs = tree.unflatten(structure, filled)
            results, made = tree.flatten(converted(fn)(*inner_args, **inner_kwargs))
            found.append(made)
            return [as_tensor(x) for x in results]

        results = regions.once_more(call, [leaves[i] for i in places])
        return tree.unflatten(found[-1], results)

    return again(*args, **kwargs) if args or kwargs else again
