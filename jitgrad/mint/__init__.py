"""MindSpore's `mint`: the functions of `ops` with PyTorch's parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.errors import no_name as _no_name
from jitgrad.ops.absent import ABSENT
from jitgrad.ops.searching import distinct as _distinct

# Functions that are the same there.
SAME = (
    "abs acos acosh addbmm addcdiv addcmul addmm addmv arange arccos arccosh arcsin"
    " arcsinh arctan arctan2 arctanh argmax asin asinh atan atan2 atanh baddbmm bincount"
    " bitwise_and bitwise_not bitwise_or bitwise_xor bmm broadcast_to cat cdist ceil chunk clamp"
    " clip concat cos cosh cross cummax cumprod cumsum diff div divide dot dstack einsum"
    " empty empty_like eq erf erfc erfinv exp exp2 expm1 eye flip float_power floor floor_divide"
    " fmod frac full full_like ge greater greater_equal gt histc hstack imag index_add"
    " index_select inverse isclose isfinite isinf isnan isneginf kthvalue le lerp less less_equal"
    " linspace log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or"
    " logical_xor logsumexp lt masked_select matmul maximum minimum mm mul mv nan_to_num nansum"
    " narrow ne neg negative nonzero not_equal ones ones_like outer polar pow prod ravel real"
    " reciprocal remainder reshape roll round rsqrt searchsorted sigmoid sign"
    " sin sinc sinh softmax split sqrt square squeeze stack swapaxes t take tan tanh tile topk"
    " trace tril triu trunc unbind unique_consecutive unsqueeze where xlogy zeros zeros_like"
)
_FOUND: dict[str, Any] = {name: getattr(ops, name) for name in SAME.split()}


def add(input, other, *, alpha=1):
    """input + alpha * other."""
    return ops.add(input, other if alpha == 1 else ops.mul(other, alpha))


def sub(input, other, *, alpha=1):
    """input - alpha * other."""
    return ops.subtract(input, other, alpha=alpha)


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close: a bool, and in a trace a 0-d Tensor."""
    return input.allclose(other, rtol, atol, equal_nan)


def all(input, dim=None, keepdim=False):
    """Whether all elements are true over axes."""
    return ops.all(input, dim, keepdim)


def any(input, dim=None, keepdim=False):
    """Whether any element is true over axes."""
    return ops.any(input, dim, keepdim)


def amax(input, dim=(), keepdim=False):
    """Largest over axes."""
    return ops.amax(input, dim, keepdim)


def amin(input, dim=(), keepdim=False):
    """Smallest over axes."""
    return ops.amin(input, dim, keepdim)


def argsort(input, dim=-1, descending=False, stable=False):
    """Where the values in order along an axis are (int64)."""
    return sort(input, dim=dim, descending=descending)[1]


def argmin(input, dim=None, keepdim=False):
    """Where the smallest is along an axis (int64); None: in the flattened Tensor."""
    return ops.cast(ops.argmin(input, dim, keepdim), "int64")


def cummin(input, dim):
    """Running minimum along an axis, and where it was attained last (int64)."""
    values, indices = ops.cummin(input, dim)
    return values, ops.cast(indices, "int64")


def count_nonzero(input, dim=None):
    """How many elements are not 0 over axes (int64)."""
    return ops.count_nonzero(input, dim, dtype="int64")


def clone(input):
    """A copy."""
    return ops.deepcopy(input)


def diag(input, diagonal=0):
    """A vector as a diagonal of a matrix, or a diagonal of a matrix as a vector."""
    if ops.rank(input) == 1:
        return ops.diag_embed(input, diagonal)
    return ops.diagonal(input, diagonal)


def equal(input, other):
    """Whether shapes and all elements agree: a bool."""
    same = ops.shape(input) == ops.shape(other)
    return same and bool(ops.all(ops.eq(input, other)))


def flatten(input, start_dim=0, end_dim=-1):
    """Axes start_dim to end_dim joined into one."""
    return ops.flatten(input, start_dim=start_dim, end_dim=end_dim)


def gather(input, dim, index):
    """out[i, j, …] = input[i, …, index[i, j, …], …], with the index in the place of `dim`."""
    return ops.gather_elements(input, dim, index)


def max(input, dim=None, keepdim=False):
    """The largest of all; with `dim`, values and indices along it; with a Tensor, elementwise."""
    return _extreme(ops.max, ops.maximum, input, dim, keepdim)


def min(input, dim=None, keepdim=False):
    """The smallest of all; with `dim`, values and indices along it; with a Tensor, elementwise."""
    return _extreme(ops.min, ops.minimum, input, dim, keepdim)


def _extreme(along, pairwise, input, dim, keepdim):
    if ops.is_tensor(dim):
        return pairwise(input, dim)
    found = along(input, dim, keepdim)
    return found[0] if dim is None else found


def mean(input, dim=None, keepdim=False, *, dtype=None):
    """Arithmetic mean over axes."""
    return ops.mean(input if dtype is None else ops.cast(input, dtype), dim, keepdim)


def median(input, dim=None, keepdim=False):
    """The lower median of all; with `dim`, values and indices along it."""
    if dim is None:
        return ops.median(ops.ravel(input))[0]
    return ops.median(input, dim, keepdim)


def meshgrid(*tensors, indexing="ij"):
    """Grids of coordinates."""
    return ops.meshgrid(*tensors, indexing=indexing)


def multinomial(input, num_samples, replacement=False, *, generator=None):
    """Indices drawn with the weights along the last axis (int64)."""
    return ops.cast(ops.multinomial(input, num_samples, replacement, generator), "int64")


def norm(input, p="fro", dim=None, keepdim=False, *, dtype=None):
    """The p-norm of all elements, or of vectors along axes; of matrices for "nuc"."""
    if p == "nuc":
        return ops.matrix_norm(input, p, (0, 1) if dim is None else dim, keepdim, dtype=dtype)
    return ops.vector_norm(input, 2 if p == "fro" else p, dim, keepdim, dtype=dtype)


def index_add(input, dim, index, source, *, alpha=1):
    """A copy with slices of `source`, times alpha, added at indices of an axis."""
    return ops.index_add(input, index, source if alpha == 1 else ops.mul(source, alpha), dim)


def linspace(start, end, steps, *, dtype=None):
    """`steps` values at equal distances from start to end."""
    line = ops.linspace(start, end, steps)
    return line if dtype is None else ops.cast(line, dtype)


def permute(input, dims):
    """Axes in another order."""
    return ops.permute(input, dims)


def transpose(input, dim0, dim1):
    """Two axes exchanged."""
    return ops.swapaxes(input, dim0, dim1)


def scatter(input, dim, index, src):
    """A copy with values written at places along an axis."""
    return ops.scatter(input, dim, index, src)


def scatter_add(input, dim, index, src):
    """A copy with values added at places along an axis."""
    return ops.tensor_scatter_elements(input, index, src, dim, "add")


def select(input, dim, index):
    """The slice at an index along an axis."""
    return input.select(dim, index)


def sort(input, *, dim=-1, descending=False, stable=False):
    """Values in order along an axis, and where they came from (int64)."""
    values, indices = ops.sort(input, dim, descending)
    return values, ops.cast(indices, "int64")


def sum(input, dim=None, keepdim=False, *, dtype=None):
    """Sum over axes."""
    return ops.sum(input, dim, keepdim, dtype=dtype)


def _spread(function):
    def call(input, dim=None, *, correction=1, keepdim=False):
        return function(input, dim, correction, keepdim)

    call.__doc__ = function.__doc__
    return call


std, var = _spread(ops.std), _spread(ops.var)
std_mean, var_mean = _spread(ops.std_mean), _spread(ops.var_mean)


def repeat_interleave(input, repeats, dim=None, *, output_size=None):
    """Each element repeated, along an axis or in the flattened Tensor."""
    return ops.repeat_interleave(input, repeats, dim)


def rand(*size, generator=None, dtype=None):
    """Uniform in [0, 1), of a shape."""
    return ops.rand(*size, dtype=dtype, seed=generator)


def randn(*size, generator=None, dtype=None):
    """Standard normal, of a shape."""
    return ops.randn(*size, dtype=dtype, seed=generator)


def rand_like(input, *, dtype=None):
    """Uniform in [0, 1), of the input's shape and dtype."""
    return ops.rand_like(input, dtype=dtype)


def randn_like(input, *, dtype=None):
    """Standard normal, of the input's shape and dtype."""
    return ops.randn_like(input, dtype=dtype)


def randint(low, high=None, size=None, *, generator=None, dtype=None):
    """Integers low <= i < high, of a shape; ``randint(high, size)`` starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    return ops.randint(low, high, size, generator, dtype=dtype)


def randperm(n, *, generator=None, dtype="int64"):
    """0 … n - 1 in random order."""
    return ops.randperm(n, generator or 0, 0, dtype)


def bernoulli(input, *, generator=None):
    """1 with the probability that each element is, else 0."""
    return ops.bernoulli(input, input, generator)


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements, or slices along `dim`, in order; no trace.

    >>> values, counts = mint.unique(Tensor([3, 1, 3]), return_counts=True)
    >>> values.tolist(), counts.tolist()
    ([1, 3], [1, 2])
    """
    return _distinct(input, return_inverse, return_counts, dim)


def new_full(input, size, fill_value, *, dtype=None):
    """One value in a shape, in the dtype of a Tensor."""
    return ops.full(size, fill_value, dtype=dtype or input.dtype)


def normal(mean=0.0, std=1.0, size=None, generator=None):
    """Normal of means and standard deviations, of their shape or a given one."""
    if size is None:
        shapes = [x.shape for x in (mean, std) if ops.is_tensor(x)]
        size = np.broadcast_shapes(*shapes)
    return ops.add(ops.mul(ops.standard_normal(size, generator), std), mean)


def randint_like(input, low, high=None, *, dtype=None):
    """Integers low <= i < high, or below `low`, of the input's shape and dtype."""
    low, high = (0, low) if high is None else (low, high)
    return ops.randint_like(input, low, high, dtype=dtype)


def triangular_solve(b, A, upper=True, transpose=False, unitriangular=False):
    """The X with T @ X = b, where T is one triangle of A; and A, as a tuple."""
    return ops.solve_triangular(A, b, int(transpose), not upper, unitriangular), A


absolute, fix, hypot = ops.abs, ops.trunc, ops.hypot
globals().update({name: found for name, found in _FOUND.items() if name not in globals()})
__all__ = sorted(
    {*_FOUND, *(n for n, f in globals().items() if callable(f) and not n.startswith("_"))} - {"Any"}
)

_LATER = ("linalg", "nn", "optim", "special")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        import importlib

        return importlib.import_module(f"jitgrad.mint.{name}")
    raise _no_name(__name__, name, __all__, ABSENT.get(name, ""))
