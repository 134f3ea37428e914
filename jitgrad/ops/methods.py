"""The operators and methods of Tensor, as tables over the functions.

Operators in place (``t += 1``, ``t[0] = 1``, ``t.add_(1)``) compute a new value, which the Tensor
then holds: other Tensors never see it, in neither mode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.frontend import number
from jitgrad.ops import (
    activation,
    creation,
    decompose,
    gathering,
    indexing,
    interop,
    linalg,
    loss,
    norms,
    older_methods,
    placement,
    random,
    scientific,
    searching,
    shaping,
    slicing,
    solving,
    sorting,
    special,
    splitting,
    state,
    tensor_methods,
)
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.promote import NUMBERS, RANK, cast
from jitgrad.tensor import Tensor
from jitgrad.views import before

OPERANDS = (Tensor, np.ndarray, list, tuple, *NUMBERS)

# --- operators ----------------------------------------------------------------------------------

BINARY: dict[str, Callable] = {
    "add": e.add, "sub": e.sub, "mul": e.mul, "truediv": e.div, "floordiv": e.floor_divide,
    "mod": e.remainder, "pow": e.pow, "matmul": linalg.matmul, "and": c.bitwise_and,
    "or": c.bitwise_or, "xor": c.bitwise_xor, "lshift": c.bitwise_left_shift,
    "rshift": c.bitwise_right_shift,
}  # fmt: skip
COMPARISON: dict[str, Callable] = {
    "eq": c.eq, "ne": c.ne, "lt": c.lt, "le": c.le, "gt": c.gt, "ge": c.ge,
}  # fmt: skip
UNARY: dict[str, Callable] = {
    "neg": e.neg, "pos": e.positive, "abs": e.abs, "invert": c.bitwise_not,
}  # fmt: skip


def _operator(function: Callable) -> Callable:
    def method(self: Tensor, other: Any) -> Any:
        if other.__class__ is Tensor or isinstance(other, OPERANDS):
            return function(self, other)
        return NotImplemented

    return method


def _reflected(function: Callable) -> Callable:
    def method(self: Tensor, other: Any) -> Any:
        return function(other, self) if isinstance(other, OPERANDS) else NotImplemented

    return method


def in_place(name: str, function: Callable) -> Callable:
    """A method after which the Tensor holds what `function` makes of it; it returns itself.

    ShapeError if the shape would change; DTypeError if a float would have to go into integers.
    """

    @functools.wraps(function)
    def method(self: Tensor, *args: Any, **keywords: Any) -> Tensor:
        new = function(before(self), *args, **keywords)
        if new.shape != self.shape:
            raise fail(
                ShapeError,
                f"{name} in place of {self._type} gives {new._type}",
                why="a Tensor keeps its shape",
                instead="compute a new Tensor, as in y = x + other",
            )
        if RANK[new.dtype.kind] > RANK[self.dtype.kind]:
            raise fail(
                DTypeError,
                f"{name} in place of {self._type} gives {new._type}",
                why="a Tensor keeps its dtype, and the result would be cut off",
                instead="compute a new Tensor, as in y = x + other",
            )
        self._become(cast(new, self.dtype))
        return self

    method.__name__ = name
    method.__doc__ = f"In place: {function.__doc__ or ''}"
    return method


def _setitem(self: Tensor, key: Any, value: Any) -> None:
    self._become(indexing.updated(self, key, value))


def _divmod(self: Tensor, other: Any) -> Any:
    return e.floor_divide(self, other), e.remainder(self, other)


def _round(self: Tensor, digits: int | None = None) -> Tensor:
    return e.round(self, decimals=digits or 0)


def operators() -> dict[str, Callable]:
    """The special methods by name."""
    found: dict[str, Callable] = {}
    for name, function in BINARY.items():
        found[f"__{name}__"] = _operator(function)
        found[f"__r{name}__"] = _reflected(function)
        found[f"__i{name}__"] = in_place(f"__i{name}__", function)
    found.update({f"__{name}__": _operator(function) for name, function in COMPARISON.items()})
    found.update({f"__{name}__": function for name, function in UNARY.items()})
    return {
        **found,
        "__getitem__": indexing.getitem,
        "__setitem__": _setitem,
        "__divmod__": _divmod,
        "__round__": _round,
        "__hash__": object.__hash__,
    }


# --- methods ------------------------------------------------------------------------------------

# Functions whose first parameter is the Tensor, under their own names.
SAME: dict[Any, str] = {
    e: "abs acos acosh add asin asinh atan atan2 atanh ceil cos cosh digamma div erf erfc erfinv"
    " exp exp2 expm1 floor floor_divide fmod lgamma log log10 log1p log2 maximum minimum mul neg"
    " positive pow reciprocal remainder rint round rsqrt sigmoid sign sin sinh sqrt square sub"
    " subtract tan tanh trunc",
    c: "bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor clamp"
    " eq ge gt isclose isfinite isinf isnan le logical_and logical_not logical_or logical_xor lt"
    " ne not_equal",
    r: "all allclose amax amin aminmax any argmin count_nonzero logsumexp nanmean nansum prod ptp",
    shaping: "expand_dims flip fliplr flipud moveaxis movedim ravel roll rot90 squeeze"
    " swapaxes swapdims t unsqueeze",
    splitting: "chunk dsplit hsplit narrow repeat_interleave split tensor_split unbind vsplit",
    gathering: "bincount gather_elements gather_nd index_add index_fill index_select masked_fill"
    " masked_scatter masked_select scatter unsorted_segment_max unsorted_segment_min"
    " unsorted_segment_prod unsorted_segment_sum",
    searching: "argwhere histc nonzero unique_consecutive",
    sorting: "argsort cummax cummin cumprod diff kthvalue logcumsumexp median"
    " msort nanquantile quantile sort topk",
    linalg: "addbmm addmm addmv addr baddbmm bmm cross diag diagflat diagonal dot inner matmul"
    " mm mv outer",
    norms: "norm",
    special: "addcdiv addcmul angle conj copysign deg2rad float_power fmax fmin frac heaviside"
    " hypot imag isneginf isposinf isreal ldexp lerp logaddexp logaddexp2 mvlgamma nan_to_num"
    " rad2deg real signbit sinc xdivy",
    loss: "xlogy",
    scientific: "bessel_i0 gcd igamma igammac lcm nextafter polygamma",
    activation: "hardshrink log_softmax logit relu softmax softshrink",
    creation: "tril triu",
    decompose: "cholesky cholesky_inverse cholesky_solve eigvals geqrf lu_solve orgqr ormqr qr svd",
    solving: "det inverse logdet lstsq matrix_exp matrix_power pinv slogdet",
    slicing: "adjoint diagonal_scatter fills renorm reverse_sequence select_scatter slice_scatter",
    random: "multinomial",
    state: "is_complex is_floating_point numel type_as",
}

# Other names of methods.
ALSO: dict[str, str] = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin",
    "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh",
    "clip": "clamp", "divide": "div", "ger": "outer", "greater": "gt", "greater_equal": "ge",
    "i0": "bessel_i0", "invert": "bitwise_not", "less": "lt", "less_equal": "le", "multiply": "mul",
    "negative": "neg", "nelement": "numel", "ndimension": "dim", "reverse": "flip",
    "sgn": "sign", "true_divide": "div",
    "soft_shrink": "softshrink", "inv": "inverse",
    "matrix_determinant": "det", "log_matrix_determinant": "slogdet",
}  # fmt: skip

# Methods that work in place, by the name without the underscore.
IN_PLACE = (
    "abs add addcdiv addcmul addmm bitwise_and bitwise_or bitwise_xor ceil clamp clip copysign cos"
    " div erf exp expm1 fill floor floor_divide index_add index_fill log log1p log2 masked_fill"
    " masked_scatter mul neg pow reciprocal relu remainder round rsqrt scatter sigmoid sign sin"
    " sqrt square sub subtract tan tanh tril triu trunc zero copy fill_diagonal lerp nan_to_num"
    " uniform normal bernoulli put index_put index_copy scatter_add multiply divide"
)


def methods() -> dict[str, Any]:
    """All methods and properties by name."""
    found: dict[str, Any] = {}
    for module, names in SAME.items():
        found.update({name: getattr(module, name) for name in names.split()})
    found.update(older_methods.METHODS)
    found.update(tensor_methods.METHODS)
    found.update(placement.METHODS)
    found.update(interop.METHODS)
    found.update({name: found[of] for name, of in ALSO.items() if of in found})
    for name in IN_PLACE.split():
        function = tensor_methods.FOR_WRITING.get(name, found.get(name))
        if function is not None:
            found[f"{name}_"] = in_place(f"{name}_", function)
    return found


def install() -> None:
    """Attach operators and methods to Tensor; what `tensor` defines itself is left alone."""
    own = vars(Tensor)
    for name, function in {**methods(), **operators()}.items():
        if name not in own or name.startswith("__"):
            setattr(Tensor, name, function)
    number.attach()
    for name, getter in {**tensor_methods.PROPERTIES, **interop.PROPERTIES}.items():
        if name not in own:
            setattr(Tensor, name, property(getter, doc=getter.__doc__))


__all__ = ["in_place", "install", "methods", "operators"]
