"""`Metric`, and how inputs become arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.tensor import Tensor


class Metric:
    """Base of the metrics: `clear` begins, `update` takes a batch, `eval` gives the result.

    Inputs are Tensors, arrays or lists. `set_indexes` chooses which of the values that `update` is
    given are used, and in which order. Calling the metric clears, updates and evaluates at once.
    """

    def __init__(self) -> None:
        self._indexes: list[int] | None = None
        self.clear()

    def clear(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} does not define clear")

    def update(self, *inputs: Any) -> None:
        """Take a batch."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def eval(self) -> Any:
        """The result for all batches; RuntimeError if there are none."""
        raise NotImplementedError(f"{type(self).__name__} does not define eval")

    @property
    def indexes(self) -> list[int] | None:
        """What `set_indexes` chose."""
        return self._indexes

    def set_indexes(self, indexes: Sequence[int]) -> Metric:
        """Use these of the values given to `update`, in this order."""
        if not isinstance(indexes, (list, tuple)) or not all(type(i) is int for i in indexes):
            raise fail(DTypeError, f"{type(self).__name__}: indexes are ints, got {indexes!r}")
        self._indexes = list(indexes)
        return self

    def __call__(self, *inputs: Any) -> Any:
        self.clear()
        self.update(*inputs)
        return self.eval()

    def _convert_data(self, data: Any) -> np.ndarray:
        """An input of `update` as an array; TypeError for others than Tensors, arrays, lists."""
        if not isinstance(data, (Tensor, np.ndarray, list)):
            kind = type(data).__name__
            raise fail(DTypeError, f"{type(self).__name__} got a {kind} as values")
        return data.asnumpy() if isinstance(data, Tensor) else np.asarray(data)

    def _some(self, count: Any) -> None:
        if not count:
            raise RuntimeError(f"{type(self).__name__} has seen no batch: call update first")


def rearrange_inputs(update: Callable) -> Callable:
    """A decorator for `update`: the inputs that `set_indexes` chose."""

    @functools.wraps(update)
    def chosen(self: Metric, *inputs: Any) -> Any:
        if self.indexes is not None:
            inputs = tuple(inputs[i] for i in self.indexes)
        return update(self, *inputs)

    return chosen


def arrays(owner: Metric, count: int, inputs: Sequence[Any]) -> list[np.ndarray]:
    """Exactly `count` inputs as arrays; ValueError otherwise."""
    if len(inputs) != count:
        raise fail(
            ArgumentError,
            f"{type(owner).__name__} takes {count} inputs, got {len(inputs)}",
            instead="set_indexes([…]) chooses among them",
        )
    return [x.asnumpy() if isinstance(x, Tensor) else np.asarray(x) for x in inputs]
