"""`Parameter` and `ParameterTuple`; and `Tensor`, whose other half is `jitgrad.value`."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jitgrad.arrays import dtype_asked, initialized
from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.runtime.cuda.array import beside
from jitgrad.state import Leaf, bump, epoch, state
from jitgrad.value import Tensor

if TYPE_CHECKING:
    from typing import Self


class Parameter(Tensor):
    """A Tensor that belongs to a network: it has a name, and is changed in place.

    `requires_grad` says whether it is trained. Writing to a Parameter (`set_data`, `ops.assign`)
    keeps the object; compiled code reads its current value at each call.

    >>> Parameter(Tensor([1.0]), name="a")
    Parameter (name=a, shape=(1,), dtype=Float32, requires_grad=True)
    """

    def __init__(
        self,
        default_input: Any,
        name: str | None = None,
        requires_grad: bool = True,
        layerwise_parallel: bool = False,
        parallel_optimizer: bool = True,
        storage_format: str = "",
    ):
        if name is not None and not isinstance(name, str):
            raise fail(DTypeError, f"Parameter got the name {name!r}", why="a name is a str")
        if isinstance(default_input, Tensor):
            default_input = default_input._array("made a Parameter")
        Tensor.__init__(self, default_input)
        self.has_name = name is not None
        self._name = name if name is not None else "Parameter"
        self.requires_grad = requires_grad
        self.layerwise_parallel = layerwise_parallel
        self.parallel_optimizer = parallel_optimizer
        self.storage_format = storage_format

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        if not isinstance(value, str):
            raise fail(DTypeError, f"Parameter got the name {value!r}", why="a name is a str")
        self._name, self.has_name = value, True

    @property
    def requires_grad(self) -> bool:
        """Whether this Parameter is trained."""
        return self._trained

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        bump()
        self._trained = bool(value)
        tracked = self._trained and self.dtype.is_inexact
        self._grad_fn = Leaf(weakref.ref(self), parameter=True) if tracked else None

    def set_data(self, data: Any, slice_shape: bool = False) -> Self:
        """Change the value in place; the dtype stays.

        ShapeError for another shape unless `slice_shape`; DTypeError for floats into integers.
        """
        new = data if isinstance(data, Tensor) else Tensor(data)
        if new.shape != self.shape and not slice_shape:
            raise fail(
                ShapeError,
                f"Parameter {self.name} of shape {list(self.shape)} got data of shape"
                f" {list(new.shape)}",
                instead="set_data(data, slice_shape=True) where the shape is meant to change",
            )
        if new.dtype is not self.dtype:
            if new.dtype.is_inexact and not self.dtype.is_inexact:
                raise fail(
                    DTypeError, f"Parameter {self.name} of dtype {self.dtype} got {new.dtype} data"
                )
            new = new.astype(self.dtype)  # type: ignore[attr-defined]
        self._become(new)
        return self

    assign_value = set_data

    def _assign(self, new: Tensor) -> None:
        """Take another Tensor's value. Read afterwards, it is a constant to every derivative."""
        if state.trace is not None:
            state.trace.write(self, new)
            return
        self._set(beside(self._data, new._held("assigned").copy()), new._type)
        if self._grad_fn is not None and not getattr(self._grad_fn, "parameter", False):
            self._grad_fn = None

    _take = _assign

    def set_dtype(self, dtype: Any) -> Self:
        """Change the dtype in place."""
        wanted = dtype_asked(dtype)
        self._set(self._array("cast").astype(wanted.numpy), self._type.with_dtype(wanted))
        self.requires_grad = self._trained
        return self

    @property
    def data(self) -> Self:
        """The Parameter itself."""
        return self

    @data.setter
    def data(self, value: Any) -> None:
        self.set_data(value)

    def clone(self, init: Any = "same") -> Parameter:
        """A copy of the same name, or filled by `init`: a number or an initializer."""
        array = self._array("cloned")
        if not (isinstance(init, str) and init == "same"):
            array = initialized(self.shape, self.dtype, init)
        new = Parameter(array, self._name, self.requires_grad, self.layerwise_parallel)
        new.has_name = self.has_name
        return new

    def __deepcopy__(self, memo: dict) -> Self:
        new = super().__deepcopy__(memo)
        new.__dict__.update(self.__dict__)
        return new

    def __repr__(self) -> str:
        return (
            f"Parameter (name={self.name}, shape={self.shape}, dtype={self.dtype},"
            f" requires_grad={self.requires_grad})"
        )

    __str__ = __repr__


class ParameterTuple(tuple):
    """A tuple of Parameters, as `weights` of `grad`. TypeError for anything else.

    >>> [p.name for p in ms.ParameterTuple([ms.Parameter(Tensor([1.0]), name="w")])]
    ['w']
    """

    __slots__ = ()

    def __new__(cls, parameters: Iterable[Parameter]) -> ParameterTuple:
        found = tuple(parameters)
        for p in found:
            if not isinstance(p, Parameter):
                raise fail(DTypeError, f"ParameterTuple got a {type(p).__name__}")
        return super().__new__(cls, found)

    def clone(self, prefix: str, init: Any = "same") -> ParameterTuple:
        """Copies of all, named ``prefix.name``."""
        clones = []
        for parameter in self:
            new = parameter.clone(init)
            new.name = f"{prefix}.{parameter.name}"
            clones.append(new)
        return ParameterTuple(clones)


__all__ = ["Leaf", "Parameter", "ParameterTuple", "Tensor", "bump", "epoch", "state"]
