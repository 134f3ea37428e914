"""Values around the last axes: constants, mirrored, repeated."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Tensor


class _Around(Cell):
    """`padding`: an int for all ends, or (left, right, top, bottom, front, back) of the last axes.

    Negative amounts cut off. Axes before the padded ones are examples and channels.
    """

    spatial: int
    mode: str

    def __init__(self, padding: Any):
        super().__init__()
        given = padding
        if isinstance(padding, int) and not isinstance(padding, bool):
            given = (padding,) * (2 * self.spatial)
        valid = isinstance(given, (tuple, list)) and 2 <= len(given) <= 2 * self.spatial
        if not valid or len(given) % 2 or not all(type(n) is int for n in given):
            raise fail(
                DTypeError,
                f"{self.cls_name}: padding is {padding!r}",
                why=f"it is an int, or a pair of ints for each of up to {self.spatial} axes",
            )
        self.padding, self.value = tuple(given), 0

    def construct(self, x: Tensor) -> Tensor:
        if x.ndim < self.spatial:
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it pads {self.spatial} axes",
            )
        return ops.pad(x, self.padding, self.mode, self.value)


class _Constant(_Around):
    """`value` around."""

    mode = "constant"

    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise fail(DTypeError, f"{self.cls_name}: value must be a number, got {value!r}")
        self.value = value


class ConstantPad1d(_Constant):
    """`value` around the last axis: an int, or (left, right); negative amounts cut off.

    >>> nn.ConstantPad1d((1, 0), 9.0)(Tensor([[1.0, 2.0]])).tolist()
    [[9.0, 1.0, 2.0]]
    """

    spatial = 1


class ConstantPad2d(_Constant):
    """`value` around the last two axes: an int, or (left, right, top, bottom).

    >>> nn.ConstantPad2d(1, 9.0)(ops.zeros((1, 1, 2, 2))).shape
    (1, 1, 4, 4)
    """

    spatial = 2


class ConstantPad3d(_Constant):
    """`value` around the last three axes: an int, or (left, right, top, bottom, front, back).

    >>> nn.ConstantPad3d(1, 9.0)(ops.zeros((1, 1, 2, 2, 2))).shape
    (1, 1, 4, 4, 4)
    """

    spatial = 3


class ZeroPad2d(ConstantPad2d):
    """Zeros around the last two axes: an int, or (left, right, top, bottom).

    >>> nn.ZeroPad2d((1, 1, 0, 0))(ops.ones((1, 1, 2, 2))).shape
    (1, 1, 2, 4)
    """

    def __init__(self, padding: Any):
        super().__init__(padding, 0)


class _Reflection(_Around):
    mode = "reflect"


class ReflectionPad1d(_Reflection):
    """The last axis mirrored at its ends, which are not repeated.

    >>> nn.ReflectionPad1d(1)(Tensor([[1.0, 2.0, 3.0]])).tolist()
    [[2.0, 1.0, 2.0, 3.0, 2.0]]
    """

    spatial = 1


class ReflectionPad2d(_Reflection):
    """The last two axes mirrored at their ends, which are not repeated.

    >>> nn.ReflectionPad2d(1)(ops.ones((1, 3, 3))).shape
    (1, 5, 5)
    """

    spatial = 2


class ReflectionPad3d(_Reflection):
    """The last three axes mirrored at their ends, which are not repeated.

    >>> nn.ReflectionPad3d(1)(ops.ones((1, 3, 3, 3))).shape
    (1, 5, 5, 5)
    """

    spatial = 3


class _Replication(_Around):
    mode = "replicate"


class ReplicationPad1d(_Replication):
    """The ends of the last axis repeated.

    >>> nn.ReplicationPad1d(1)(Tensor([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0]]
    """

    spatial = 1


class ReplicationPad2d(_Replication):
    """The ends of the last two axes repeated.

    >>> nn.ReplicationPad2d(1)(ops.ones((1, 3, 3))).shape
    (1, 5, 5)
    """

    spatial = 2


class ReplicationPad3d(_Replication):
    """The ends of the last three axes repeated.

    >>> nn.ReplicationPad3d(1)(ops.ones((1, 3, 3, 3))).shape
    (1, 5, 5, 5)
    """

    spatial = 3
