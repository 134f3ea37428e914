"""Methods of Tensor whose arguments are not those of the function of that name."""

from __future__ import annotations

from typing import Any

from jitgrad.arrays import steps
from jitgrad.errors import DTypeError, fail
from jitgrad.frontend.composed import composed
from jitgrad.ir.types import (
    DType,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ops import (
    choosing_methods,
    creation,
    joining,
    linalg,
    placement,
    random,
    searching,
    shaping,
    sorting,
    state,
)
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.promote import constant, copied, fresh, shape_of, spellings
from jitgrad.ops.views import viewing
from jitgrad.primitives import sort as order
from jitgrad.tensor import Tensor


def _flat(arguments: tuple) -> Any:
    """Extents given one by one, or as one sequence."""
    return arguments[0] if len(arguments) == 1 else arguments


# --- shapes -------------------------------------------------------------------------------------


def reshape(self, *shape_):
    """The same elements in C order under another shape, given as a tuple or one by one."""
    return shaping.reshape(self, _flat(shape_) if shape_ else ())


def view(self, *shape_):
    """As `reshape`; a dtype gives the elements' bytes read as that dtype: a copy, and no trace.

    >>> Tensor([1.0]).view(ms.int32).tolist()
    [1065353216]
    """
    if len(shape_) == 1 and isinstance(shape_[0], DType):
        bits = self._array("read as another dtype").copy()
        return constant(bits.view(shape_[0].numpy))
    return shaping.reshape(self, _flat(shape_) if shape_ else ())


def unique(self, sorted=None, return_inverse=False, return_counts=False, dim=None):
    """The different elements in order, as `mint.unique`; without arguments as `ops.unique`."""
    if sorted is None and dim is None and not (return_inverse or return_counts):
        return searching.unique(self)
    return searching.distinct(self, return_inverse, return_counts, dim)


def reshape_as(self, other):
    """The same elements under the shape of another Tensor."""
    return shaping.reshape(self, other.shape)


def permute(self, *axis):
    """The axes in the order given, as a tuple or one by one."""
    return shaping.permute(self, _flat(axis))


def transpose(self, *axes, dim0=None, dim1=None):
    """The axes in reverse order, or in the order given.

    Two ints, ``t.transpose(0, 2)``, exchange these two axes, as in PyTorch.
    """
    axes = axes if dim0 is None else (*axes, dim0)
    axes = axes if dim1 is None else (*axes, dim1)
    if len(axes) == 2:
        return shaping.swapaxes(self, *axes)
    return shaping.transpose(self, _flat(axes) if axes else tuple(reversed(range(self.ndim))))


@fresh
def flatten(self, *dims, order="C", start_dim=0, end_dim=-1):
    """Axes start_dim to end_dim, by default all, joined into one: ``t.flatten(1)``.

    The order may come first too: ``t.flatten("F")``.
    """
    if dims and isinstance(dims[0], str):
        order, dims = dims[0], dims[1:]
    start_dim, end_dim = (*dims, *(start_dim, end_dim)[len(dims) :])
    return shaping.flatten(self, order, start_dim=start_dim, end_dim=end_dim)


@fresh
def expand_(self, *size):
    """Repeated to a shape; -1 keeps an extent."""
    return joining.broadcasted("expand", self, shape_of("expand", _flat(size)))


def broadcast_to(self, *shape_):
    """Repeated to a shape by NumPy's rules."""
    return joining.broadcast_to(self, shape_of("broadcast_to", _flat(shape_)))


def expand_as(self, x):
    """Repeated to the shape of another Tensor."""
    return expand_(self, x.shape)


def tile(self, *dims):
    """The whole repeated along axes."""
    return joining.tile(self, _flat(dims))


def repeat(self, *repeats, axis=None):
    """The whole repeated along axes, as PyTorch; with `axis`, each element, as NumPy."""
    if axis is not None:
        from jitgrad.ops.splitting import repeat_interleave

        return repeat_interleave(self, _flat(repeats), axis)
    return joining.tile(self, _flat(repeats))


def unfold(self, kernel_size, dilation=1, padding=0, stride=1):
    """All windows of an image as columns."""
    from jitgrad.ops.image import unfold as windows

    return windows(self, kernel_size, dilation, padding, stride)


# --- dtypes and copies --------------------------------------------------------------------------


def astype(self, dtype, copy=True):
    """The values in another dtype."""
    return state.cast(self, dtype)


def to(self, dtype, *args, **keywords):
    """The values in another dtype, that of another Tensor, or on a device: "GPU" or "CPU"."""
    if isinstance(dtype, Tensor):
        return state.cast(self, dtype.dtype)
    if isinstance(dtype, str) and (place := placement.place_named(dtype)):
        return placement.moved(self, place)
    return state.cast(self, dtype)


def _caster(name: str, dtype: Any):
    def method(self):
        return state.cast(self, dtype)

    method.__name__ = name
    method.__doc__ = f"The values as {dtype.name}."
    return method


CASTERS = {
    "float": float32, "half": float16, "double": float64, "int": int32, "long": int64,
    "short": int16, "char": int8, "byte": uint8, "bool": bool_,
}  # fmt: skip


def type_(self, dtype=None):
    """The name of the dtype; with a dtype, the values in it."""
    return str(self.dtype) if dtype is None else state.cast(self, dtype)


def copy(self):
    """A copy, through which gradients flow."""
    return copied(self)


def contiguous(self):
    """The Tensor itself: all are."""
    return self


def is_contiguous(self):
    """Whether in C order: always."""
    return True


def stride(self, dim=None):
    """Elements from one to the next along each axis, or along one."""
    steps = tuple(step // self.itemsize for step in self.strides)
    return steps if dim is None else steps[dim]


def element_size(self):
    """Bytes of an element."""
    return self.itemsize


def dim(self):
    """The number of dimensions."""
    return self.ndim


# --- reductions ---------------------------------------------------------------------------------


@composed
@spellings
def sum_(self, axis=None, dtype=None, keepdims=False, initial=None):
    """Sum over axes. Integers and bools sum to int64, unless `dtype` says otherwise."""
    if isinstance(dtype, bool):  # PyTorch's order: dim, keepdim
        dtype, keepdims = None, dtype
    total = r.sum(self, axis, keepdims, dtype=dtype)
    return total if initial is None else e.add(total, initial)


@composed
@spellings
def mean(self, axis=None, keep_dims=False):
    """Arithmetic mean over axes."""
    return r.mean(self, axis, keep_dims)


def _extreme(name: str, value, op):
    def method(self, *args, axis=None, keepdims=None, initial=None, where=None,
               return_indices=False, **spelled):  # fmt: skip
        dims = args[:1] or tuple(spelled.pop(k) for k in ("dim",) if k in spelled)
        if dims and isinstance(dims[0], Tensor):
            return (e.maximum if name == "max" else e.minimum)(self, dims[0])
        old = keepdims is not None  # MindSpore's own name of it: values alone
        keepdims = args[1] if len(args) > 1 else spelled.pop("keepdim", bool(keepdims))
        keepdims = spelled.pop("keep_dims", keepdims)
        if spelled:
            raise fail(DTypeError, f"{name} got an unknown argument {next(iter(spelled))!r}")
        chosen = dims[0] if dims else axis
        values = value(self, chosen, keepdims, initial=initial, where=where)
        indices = return_indices or (dims and not old)
        if chosen is None or isinstance(chosen, (tuple, list)) or not indices:
            return values
        return values, r.argument(name, op, self, chosen, keepdims)

    method.__name__ = name
    method.__doc__ = f"""The {name}imum of all, or along an axis.

    ``t.{name}(axis=0)`` gives the values, ``t.{name}(0)`` and ``t.{name}(dim=0)`` values and
    indices (with `keepdims`, which is MindSpore's older spelling, the values),
    ``t.{name}(other)`` the elementwise {name}imum.
    """
    return method


@spellings
def argmax(self, axis=None, keepdims=False):
    """Where the largest is along an axis, or (None) in the flattened Tensor; int64."""
    return r.argmax(self, axis, keepdims)


@spellings
def var(self, axis=None, ddof=0, keepdims=False, unbiased=None, correction=None):
    """Variance: squares around the mean over (count - ddof)."""
    return r.var(self, axis, _freedom(ddof, unbiased, correction), keepdims)


@spellings
def std(self, axis=None, ddof=0, keepdims=False, unbiased=None, correction=None):
    """Standard deviation: the root of the variance."""
    return r.std(self, axis, _freedom(ddof, unbiased, correction), keepdims)


def _freedom(ddof, unbiased, correction):
    given = [v for v in (unbiased, correction) if v is not None]
    return given[0] if given else ddof


def trace(self, offset=0, axis1=0, axis2=1, dtype=None):
    """The sum of a diagonal."""
    total = r.sum(linalg.diagonal(self, offset, axis1, axis2), -1, dtype=dtype or self.dtype)
    return total


def equal(self, other):
    """Elementwise equality."""
    return c.eq(self, other)


def allclose(self, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close: a bool, and in a trace a 0-d Tensor."""
    return known(r.allclose(self, other, rtol, atol, equal_nan))


def known(x):
    """The bool in a 0-d Tensor, unless it is traced."""
    return x if x._node is not None else bool(x)


def add(self, other, *, alpha=1):
    """self + alpha * other."""
    return e.add(self, other if alpha == 1 else e.mul(other, alpha))


def repeat_interleave(self, repeats, dim=None, *, axis=None, output_size=None):
    """Each element repeated, along an axis or in the flattened Tensor."""
    from jitgrad.ops.splitting import repeat_interleave as repeated

    return repeated(self, repeats, axis if dim is None else dim)


# --- random numbers -----------------------------------------------------------------------------


def uniform(self, from_=0.0, to=1.0, generator=None):
    """Uniform numbers of the shape and dtype."""
    unit = random.draw_uniform(self.shape, self.dtype, generator)
    return e.add(e.mul(unit, to - from_), from_)


def normal(self, mean=0.0, std=1.0, *, generator=None):
    """Normal numbers of the shape and dtype."""
    return e.add(e.mul(random.randn_like(self, generator), std), mean)


def bernoulli(self, *, generator=None):
    """1 with the probability that each element is, else 0."""
    return random.bernoulli(self, self, generator)


def bernoulli_with(self, p=0.5, *, generator=None):
    """1 with probability p, else 0."""
    return random.bernoulli(self, p, generator)


def _new(function):
    def method(self, size, *rest, dtype=None):
        return function(size, *rest, dtype=self.dtype if dtype is None else dtype_of(dtype))

    method.__doc__ = function.__doc__
    return method


METHODS: dict[str, Any] = {
    **choosing_methods.METHODS,
    "add": add, "allclose": allclose, "argmax": argmax, "astype": astype,
    "bernoulli": bernoulli, "broadcast_to": broadcast_to,
    "clone": copy, "contiguous": contiguous, "copy": copy, "dim": dim,
    "element_size": element_size, "equal": equal, "expand": expand_, "expand_as": expand_as,
    "flatten": flatten,
    "is_contiguous": is_contiguous,
    "max": _extreme("max", r.amax, order.argmax), "mean": mean,
    "min": _extreme("min", r.amin, order.argmin), "new_full": _new(creation.full),
    "new_ones": _new(creation.ones), "new_zeros": _new(creation.zeros),
    "new_empty": _new(creation.zeros), "permute": permute, "repeat": repeat,
    "repeat_interleave": repeat_interleave, "reshape": reshape,
    "reshape_as": reshape_as, "std": std,
    "stride": stride, "sub": e.subtract, "sum": sum_, "tile": tile, "to": to, "top_k": sorting.topk,
    "trace": trace, "transpose": transpose, "type": type_, "unfold": unfold, "unique": unique,
    "var": var,
    "view": view, "view_as": reshape_as,
    **{name: _caster(name, dtype) for name, dtype in CASTERS.items()},
}  # fmt: skip

# What the methods in place compute, where that is no method of its own.
FOR_WRITING: dict[str, Any] = {
    **choosing_methods.FOR_WRITING,
    "bernoulli": bernoulli_with, "normal": normal,
    "uniform": uniform,
}  # fmt: skip


@viewing(lambda view, base: _transposed(view))
def _transposed(self):
    """The axes in reverse order."""
    return shaping.permuted("transpose", self, range(self.ndim)[::-1])


def _last_two(self):
    """The last two axes exchanged."""
    return shaping.swapaxes(self, -1, -2)


def _device(self):
    """Where the elements are: "CPU" or "GPU"."""
    return placement.where(self)


def _strides(self):
    """Bytes from one element to the next, per axis: always those of C order."""
    return steps(self.shape, self.itemsize)


PROPERTIES: dict[str, Any] = {
    "device": _device, "strides": _strides,
    "T": _transposed, "H": _transposed, "mT": _last_two, "mH": _last_two,
}  # fmt: skip

__all__ = ["FOR_WRITING", "METHODS", "PROPERTIES"]
