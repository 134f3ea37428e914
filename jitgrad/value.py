"""`Tensor` and `Parameter`: arrays that know their type, their history and, in a trace, their node.

This module knows no op. Operators and methods are attached by `jitgrad.ops`, what belongs to the
eager tape (`backward`, `detach`, …) by `jitgrad.frontend.tape`.

No two Tensors share memory, and none shares it with an array of the user's. Where one is a view of
another, a write to it is computed for both (`jitgrad.views`).
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jitgrad.arrays import array_text, dtype_asked, initialized, leaves, scalar_text, to_array
from jitgrad.errors import (
    ArgumentError,
    ConditionError,
    DTypeError,
    LeakError,
    SeedError,
    TapeError,
    TraceError,
    fail,
    gradient_lost,
)  # fmt: skip
from jitgrad.ir.node import Node, constant
from jitgrad.ir.types import DType, TensorType, float32, of_array
from jitgrad.runtime.cuda.array import Array, beside, host
from jitgrad.state import FUNCTIONAL, OFF, Leaf, bump, state
from jitgrad.views import become, check_leaf

if TYPE_CHECKING:
    from typing import Self

    from jitgrad.views import View


class Tensor:
    """An array of one dtype on which derivatives can be taken.

    Tensor(input_data, dtype=None, *, requires_grad=False) copies a number, a nested list, a NumPy
    array or another Tensor. Python numbers become Int64, Float32, Bool and Complex128, NumPy's keep
    their dtype. TypeError for strings and objects.

    >>> Tensor([1.0, 2.0])
    Tensor(shape=[2], dtype=Float32, value= [ 1.00000000e+00,  2.00000000e+00])
    >>> Tensor(3)
    Tensor(shape=[], dtype=Int64, value= 3)
    """

    __slots__ = (
        "__weakref__",
        "_anywhere",  # set if no data of the user's went into it: it may join operands on a device
        "_data",  # np.ndarray, C-contiguous, or DeviceArray; None for a traced Tensor
        "_grad",  # the gradient that was accumulated, or None
        "_grad_fn",  # tape node that made this Tensor, its Leaf, or None
        "_index",  # which result of `_grad_fn` it is
        "_node",  # ir.Node while traced
        "_trace",  # to which `_node` belongs; unset where there is none
        "_type",
        "_version",  # counts in-place changes
        "_view",  # of what it is a view, or None
        "_views",  # references to its views, or None
    )
    _data: Any
    _grad: Tensor | None
    _node: Node | None
    _type: TensorType
    _view: View | None
    _views: list[weakref.ReferenceType[Tensor]] | None
    __array_priority__ = 1000

    def __init__(
        self,
        input_data: Any = None,
        dtype: Any = None,
        shape: Any = None,
        init: Any = None,
        *,
        requires_grad: bool = False,
    ):
        wanted = None if dtype is None else dtype_asked(dtype)
        self._begin()
        self._node = None
        if init is not None:
            input_data = initialized(shape, wanted or float32, init)
        if isinstance(input_data, Tensor):
            self._alias(input_data, wanted)
        elif input_data is None:
            raise fail(DTypeError, "Tensor() needs data", instead="Tensor([1.0, 2.0])")
        else:
            if isinstance(input_data, (list, tuple)):
                _check_list(input_data)
            self._data = to_array(input_data, wanted)
            self._type = of_array(self._data)
            if state.trace is not None:
                self._node = constant(self._data)
        if requires_grad:
            self.requires_grad = True

    def _begin(self) -> None:
        """No history, no gradient and no views so far."""
        self._grad_fn, self._index, self._version, self._grad = None, 0, 0, None
        self._view = self._views = None

    def _alias(self, other: Tensor, wanted: DType | None) -> None:
        """Copy another Tensor, history included: making a Tensor of a Tensor loses no gradient."""
        if wanted is not None and wanted is not other.dtype:
            other = other.astype(wanted)  # type: ignore[attr-defined]
        elif state.trace is not None and other._node is None:
            self._node = state.trace.read(other)
        self._type = other._type
        self._data = None if other._data is None else other._data.copy()
        if other._node is not None:
            self._node = other._node
        self._trace = state.trace
        if self._node is not None and other._node is None:
            self._data = None  # captured: its value may differ at the next call
        self._grad_fn, self._index = other._grad_fn, other._index
        if type(self._grad_fn) is Leaf:
            self._grad_fn = None if self._grad_fn.tensor is not None else self._grad_fn

    @staticmethod
    def _wrap(array: Any, type: TensorType | None = None) -> Tensor:
        """A Tensor that owns `array`; nobody else may write to it."""
        self = _new(Tensor)
        if type is None:
            type = of_array(array)
            if not array.flags.c_contiguous:
                array = np.ascontiguousarray(array).reshape(type.shape)
        self._data, self._type, self._node = array, type, None
        self._grad_fn, self._index, self._version, self._grad = None, 0, 0, None
        self._view = self._views = None
        return self

    @staticmethod
    def _of_node(node: Node, array: np.ndarray | None = None) -> Tensor:
        """A traced Tensor; with `array`, a constant whose value is known."""
        self = _new(Tensor)
        self._data, self._type, self._node = array, node.type, node
        self._begin()
        self._trace = state.trace
        return self

    # --- type -----------------------------------------------------------------------------------

    @property
    def dtype(self) -> DType:
        return self._type.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self._type.shape

    @property
    def ndim(self) -> int:
        return len(self._type.shape)

    @property
    def size(self) -> int:
        return self._type.size

    @property
    def itemsize(self) -> int:
        return self._type.dtype.size

    @property
    def nbytes(self) -> int:
        return self._type.nbytes

    # --- history --------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether the tape follows this Tensor."""
        return self._grad_fn is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not value:
            if self._grad_fn is not None and not self.is_leaf:
                raise fail(
                    TapeError,
                    "you can only change requires_grad flags of leaf variables",
                    instead="t.detach() for the same value without history",
                )
            self._grad_fn = None
        elif self._grad_fn is None:
            if not self.dtype.is_inexact:
                raise fail(
                    TapeError,
                    "only Tensors of floating point and complex dtype can require gradients, not"
                    f" {self._type}",
                )
            self._grad_fn, self._index = Leaf(weakref.ref(self)), 0

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this Tensor."""
        return self._grad_fn is None or type(self._grad_fn) is Leaf

    @property
    def grad_fn(self) -> Any:
        """The recorded operation that made this Tensor, or None for a leaf."""
        return None if self.is_leaf else self._grad_fn

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` added up for this Tensor, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise fail(DTypeError, f"grad must be a Tensor or None, got a {type(value).__name__}")
        if value is not None and value._type is not self._type:
            raise fail(
                SeedError if value.shape != self.shape else TapeError,
                f"a Tensor of type {self._type} is given a grad of type {value._type}",
                instead="a gradient has the shape and dtype of its Tensor",
            )
        self._grad = value

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` and return the Tensor itself."""
        self.requires_grad = requires_grad
        return self

    _become = become

    def _take(self, other: Tensor) -> None:
        """Take another Tensor's value and history in place; views do not learn of it."""
        if state.trace is not None:
            state.trace.write(self, other)
            return
        check_leaf(self)
        self._set(beside(self._data, other._held("written in place")), other._type)
        if state.grad != OFF:  # switched off, writing leaves the history as it is
            self._grad_fn, self._index = other._grad_fn, other._index

    def _set(self, array: Array, type: TensorType) -> None:
        """Hold another array, which this Tensor then owns."""
        if type is not self._type:
            bump()
        state.note(self)
        self._data, self._type, self._node = array, type, None
        self._version += 1

    def init_data(self, *args: Any, **kwargs: Any) -> Self:
        """Kept for MindSpore code: Tensors here hold their data from the start."""
        return self

    # --- the value ------------------------------------------------------------------------------

    def _array(self, asked: str) -> np.ndarray:
        """The array itself, never to be written to; TraceError if there is no value yet."""
        return host(self._held(asked))

    def _held(self, asked: str) -> Array:
        """The same, or the array on a device."""
        if state.trace is not None and self._node is None:
            state.trace.value_of(self, asked)
        if self._data is None:
            raise no_value(self, asked)
        return self._data

    def _untracked(self, asked: str) -> np.ndarray:
        """The array; an error where taking it would silently cut a gradient."""
        array = self._array(asked)
        fn = self._grad_fn
        if fn is not None and state.grad == FUNCTIONAL and not getattr(fn, "parameter", False):
            raise gradient_lost(asked)
        return array

    def asnumpy(self) -> np.ndarray:
        """The value as a NumPy array: a copy."""
        return self._untracked("turned into a NumPy array").copy()

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array: a copy."""
        return self.asnumpy()

    def item(self, *index: Any) -> Any:
        """The only element as a Python number; with an index, that element.

        ValueError if there are several and no index.
        """
        array = self._untracked("turned into a Python number")
        if index:
            return array.item(*index)
        return self._only(array, "item()").item()

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        return self._untracked("turned into a list").tolist()

    def _only(self, array: np.ndarray, asked: str) -> np.ndarray:
        if array.size != 1:
            raise fail(
                ArgumentError,
                f"{asked} of a Tensor of shape {list(self.shape)}",
                why=f"it has {array.size} elements, not one",
            )
        return array

    def __bool__(self) -> bool:
        if self.size != 1:
            what = f"the truth value of a Tensor of shape {list(self.shape)} is ambiguous"
            raise fail(ConditionError, what, instead="t.any() or t.all()")
        return bool(self._array("asked whether it is true").item())

    def __float__(self) -> float:
        return float(self._only(self._untracked("turned into a float"), "float()").item())

    def __int__(self) -> int:
        return int(self._only(self._array("turned into an int"), "int()").item())

    def __index__(self) -> int:
        if not self.dtype.is_int:
            raise TypeError(f"a Tensor of dtype {self.dtype} cannot be used as an index")
        return self.__int__()

    def __complex__(self) -> complex:
        return complex(self._only(self._untracked("turned into a complex"), "complex()").item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d Tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a 0-d Tensor")
        return (self[i] for i in range(self.shape[0]))  # type: ignore[index]

    # --- NumPy ----------------------------------------------------------------------------------

    @property
    def _numba_type_(self) -> Any:
        """Asked for by Numba when one of its functions gets a Tensor."""
        raise fail(
            DTypeError,
            "a Tensor was passed to a function that Numba compiled",
            why="run eagerly, it takes NumPy arrays and numbers",
            instead="jitgrad.jit for the function that calls it, jitgrad.opaque around this one, or"
            " x.asnumpy()",
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self._untracked("turned into a NumPy array")
        if dtype is not None and np.dtype(dtype) != array.dtype:
            return array.astype(dtype)
        if copy is False:
            array = array.view()
            array.flags.writeable = False
            return array
        return array.copy()

    # --- text -----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        if self._data is None:
            body = " <traced>"
        elif not self.shape:
            body = f" {scalar_text(host(self._data))}"
        else:
            body = (" " if self.ndim == 1 else "\n") + array_text(host(self._data))
        return f"Tensor(shape={list(self.shape)}, dtype={self.dtype}, value={body})"

    def __str__(self) -> str:
        return repr(self) if self._data is None else str(host(self._data))

    def __format__(self, spec: str) -> str:
        return format(self._array("formatted").item(), spec) if spec else str(self)

    # --- copies ---------------------------------------------------------------------------------

    def __copy__(self) -> Self:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict) -> Self:
        if self._grad_fn is not None and not self.is_leaf:
            raise fail(
                TapeError,
                "only leaf Tensors can be copied by the copy module",
                instead="t.copy(), or t.detach() without history",
            )
        new = _new(type(self))
        new._data = None if self._data is None else self._data.copy()
        new._type, new._node, new._trace = self._type, self._node, state.trace
        new._begin()
        new._grad = copy.deepcopy(self._grad, memo)
        memo[id(self)] = new
        if self._grad_fn is not None:
            new._grad_fn = Leaf(weakref.ref(new), self._grad_fn.parameter)
        return new

    def __reduce__(self) -> tuple:
        array = self._array("pickled")
        return _restore, (type(self), array, self.requires_grad, getattr(self, "__dict__", None))


_new = object.__new__


def _restore(kind: type, array: np.ndarray, requires_grad: bool, attributes: dict | None) -> Any:
    """Undo `Tensor.__reduce__`."""
    new = _new(kind)
    Tensor.__init__(new, array)
    if attributes:
        new.__dict__.update(attributes)
    if requires_grad:
        new.requires_grad = True
    return new


def _check_list(data: Any) -> None:
    """A list of Tensors is fine if copying their values loses nothing."""
    tensors = [x for x in leaves(data) if isinstance(x, Tensor)]
    if any(x._data is None or (x._grad_fn is not None and not x.is_leaf) for x in tensors):
        raise fail(
            TraceError,
            "Tensor got a list of Tensors that are traced or tracked",
            why="their values would be copied without their history",
            instead="ops.stack(list_of_tensors)",
        )


def no_value(tensor: Tensor, asked: str) -> Exception:
    """The error for asking a traced Tensor for its value."""
    if state.trace is None:
        return fail(
            LeakError,
            f"a traced Tensor of type {tensor._type} was {asked} after its trace",
            why="it stands for a value inside of a compiled function and has none outside",
            instead="return it from the compiled function",
        )
    kind, reason, remedy = state.trace.unread()
    return fail(
        kind, f"a traced Tensor of type {tensor._type} was {asked}", why=reason, instead=remedy
    )
