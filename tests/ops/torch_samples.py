"""PyTorch's own samples of its operators (`torch.testing._internal`), run through ours."""

from __future__ import annotations

import contextlib
import itertools
import sys
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import jitgrad as ms
import jitgrad.mint.nn.functional as functional
from jitgrad import Tensor, mint, ops
from jitgrad.errors import JitgradError

SAMPLES = 6  # of an operator that are tried


def operators() -> dict[str, Any]:
    """PyTorch's operators by name; a variant has its name after a colon."""
    try:
        import expecttest  # noqa: F401
    except ImportError:  # PyTorch's test tools import it, and the samples do not need it
        module = types.ModuleType("expecttest")
        module.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        sys.modules["expecttest"] = module
    from torch.testing._internal.common_methods_invocations import op_db

    found = {}
    for op in op_db:
        variant = op.variant_test_name
        found[f"{op.name}:{variant}" if variant else op.name] = op
    return found


# Operators whose counterpart has another name.
OTHER_NAMES: dict[str, Callable[..., Any]] = {
    "__radd__": lambda x, y: y + x,
    "__rdiv__": lambda x, y: y / x,
    "__rmul__": lambda x, y: y * x,
    "__rsub__": lambda x, y: y - x,
    "__rpow__": lambda x, y: y**x,
    "__rmod__": lambda x, y: y % x,
    "__rmatmul__": lambda x, y: y @ x,
    "__rand__": lambda x, y: y & x,
    "__ror__": lambda x, y: y | x,
    "__rxor__": lambda x, y: y ^ x,
    "__getitem__": lambda x, *key: x[key[0]],
    "clamp_max": lambda x, y: ops.minimum(x, y),
    "clamp_min": lambda x, y: ops.maximum(x, y),
    "diagonal_copy": lambda x, **k: ops.diagonal(x, **k),
    "true_divide": ops.div,
    "unsafe_chunk": mint.chunk,
    "unsafe_split": mint.split,
    "split_with_sizes": mint.split,
    "split_with_sizes_copy": mint.split,
    "transpose_copy": mint.transpose,
    "unsqueeze_copy": mint.unsqueeze,
    "squeeze_copy": mint.squeeze,
    "squeeze:multiple": mint.squeeze,
    "permute_copy": mint.permute,
    "expand_copy": lambda x, size: x.expand(size),
    "expand": lambda x, size: x.expand(size),
    "view_copy": lambda x, shape: x.view(shape),
    "view": lambda x, shape: x.view(shape),
    "reshape": lambda x, shape: x.reshape(shape),
    "unbind_copy": mint.unbind,
    "narrow_copy": mint.narrow,
    "t_copy": mint.t,
    "pinverse": lambda x, rcond=1e-15: mint.linalg.pinv(x, rtol=rcond),
    "trapezoid": lambda y, x=None, dx=1.0, dim=-1: ops.trapz(y, x, dx=dx, dim=dim),
    "einsum": lambda operands, equation: mint.einsum(equation, *operands),
    "tensordot": lambda x, y, dims: ops.tensordot(x, y, dims),
    "where": lambda x, condition, y: mint.where(condition, x, y),
    "max:reduction_no_dim": mint.max,
    "nn.functional.embedding": lambda at, weight, **k: functional.embedding(at, weight),
    "unravel_index": lambda at, shape: ops.unbind(ops.unravel_index(at, shape), 0),
    "take_along_dim": lambda x, at, dim: mint.gather(x, dim, at),
    "gradient": None,  # type: ignore[dict-item]
    **{f"polygamma:polygamma_n_{n}": lambda x, n: ops.polygamma(n, x) for n in range(5)},
    "vdot": ops.dot,
    "conj_physical": ops.conj,
    "resolve_conj": ops.conj,
    "resolve_neg": ops.identity if hasattr(ops, "identity") else ops.conj,
    "max:binary": mint.maximum,
    "min:binary": mint.minimum,
    "mvlgamma:mvlgamma_p_1": ops.mvlgamma,
    "mvlgamma:mvlgamma_p_3": ops.mvlgamma,
    "mvlgamma:mvlgamma_p_5": ops.mvlgamma,
    "rsub": lambda x, y, alpha=1: ops.sub(y, ops.mul(x, alpha)),
    "linalg.householder_product": ops.orgqr,
    "linalg.vecdot": lambda x, y, dim=-1: ops.vecdot(x, y, axis=dim),
    "index_fill": ops.index_fill,
    "masked_select": ops.masked_select,
    "take": lambda x, at: ops.take(x, at),
    "kthvalue": ops.kthvalue,
    "svd": None,  # type: ignore[dict-item]
    "nn.functional.mse_loss": ops.mse_loss,
    "nn.functional.l1_loss": ops.l1_loss,
    "nn.functional.relu": ops.relu,
    "nn.functional.pairwise_distance": None,  # type: ignore[dict-item]
    "nn.functional.local_response_norm": None,  # type: ignore[dict-item]
    "nn.functional.pdist": ops.pdist,
    "nn.functional.softmin": lambda x, dim, dtype=None: ops.softmin(x, dim),
    "special.polygamma:special_polygamma_n_0": lambda x, n: ops.polygamma(n, x),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
}


def counterpart(name: str) -> Callable[..., Any] | None:
    """Our function for an operator of PyTorch's, or None."""
    if name in OTHER_NAMES:
        return OTHER_NAMES[name]
    base = name.partition(":")[0]
    spaces = {"linalg": mint.linalg, "special": mint.special, "nn.functional": functional}
    space, _, last = base.rpartition(".")
    places = [spaces[space], ops] if space in spaces else [mint, ops, Tensor] if not space else []
    for place in places:
        with contextlib.suppress(AttributeError):
            found = getattr(place, last)
            if callable(found):
                return found
    return None


# --- arguments and results ------------------------------------------------------------------------


def ours(value: Any, leaves: list[tuple[Any, Tensor]]) -> Any:
    """An argument of PyTorch's as one of ours; pairs of differentiable Tensors are noted."""
    import torch

    if isinstance(value, torch.Tensor):
        array = value.detach().numpy()
        made = Tensor(array.copy(), requires_grad=True) if value.requires_grad else Tensor(array)
        if value.requires_grad:
            leaves.append((value, made))
        return made
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, (list, tuple)):
        made = [ours(v, leaves) for v in value]
        return tuple(made) if isinstance(value, tuple) else made
    return value


def flat(value: Any, kind: type) -> list[Any]:
    """The Tensors in a result."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, (list, tuple)):
        return [v for item in value for v in flat(item, kind)]
    return []


def sample_inputs(op: Any) -> Iterator[Any]:
    """The first samples of an operator, in float64 if it takes that."""
    import torch

    dtypes = op.supported_dtypes("cpu")
    wanted = (torch.float64, torch.float32, torch.int64, torch.bool)
    dtype = next((d for d in wanted if d in dtypes), None)
    if dtype is None:
        return iter(())
    gradient = op.supports_autograd and dtype is torch.float64
    samples = op.sample_inputs("cpu", dtype, requires_grad=gradient)
    return itertools.islice(samples, SAMPLES)


class Refused(Exception):
    """A sample whose arguments our function does not take."""


def check(name: str, op: Any, sample: Any) -> None:
    """One sample: values, and gradients where PyTorch has them."""
    import torch

    function = counterpart(name)
    assert function is not None
    leaves: list[tuple[Any, Tensor]] = []
    arguments = [ours(a, leaves) for a in (sample.input, *sample.args)]
    keywords = {k: ours(v, leaves) for k, v in sample.kwargs.items()}
    wanted = op(sample.input, *sample.args, **sample.kwargs)
    try:
        found = function(*arguments, **keywords)
    except (TypeError, JitgradError, AttributeError) as error:
        raise Refused(str(error)) from error
    theirs, mine = flat(wanted, torch.Tensor), flat(found, Tensor)
    if not theirs and not mine:
        assert found == wanted
        return
    assert len(theirs) == len(mine)
    for t, m in zip(theirs, mine, strict=True):
        close(m, t)
    smooth = [(t, m) for t, m in zip(theirs, mine, strict=True) if t.requires_grad and t.numel()]
    if smooth and leaves:
        gradients(leaves, smooth)


def close(m: Tensor, t: Any) -> None:
    want, have = t.detach().numpy(), m.asnumpy()
    assert have.shape == want.shape
    assert (have.dtype.kind == "f") == (want.dtype.kind == "f")
    tolerance = 1e-5 if want.dtype == np.float32 or have.dtype == np.float32 else 1e-8
    np.testing.assert_allclose(have, want, rtol=tolerance, atol=tolerance)


def gradients(leaves: list[tuple[Any, Tensor]], results: list[tuple[Any, Tensor]]) -> None:
    """Of the same random weights of the results, in all differentiable operands."""
    import torch

    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.5, 1.5, t.shape) for t, _ in results]
    wanted = torch.autograd.grad(
        [t for t, _ in results],
        [t for t, _ in leaves],
        [
            torch.from_numpy(np.asarray(w, t.detach().numpy().dtype))
            for w, (t, _) in zip(weights, results)
        ],
        allow_unused=True,
    )
    moving = [(w, m) for w, (_, m) in zip(weights, results, strict=True) if m.requires_grad]
    found = [None] * len(leaves)
    if moving:
        found = ms.autograd.grad(
            [m for _, m in moving],
            [m for _, m in leaves],
            [Tensor(np.asarray(w, m.dtype.numpy)) for w, m in moving],
            allow_unused=True,
        )
    for t, m in zip(wanted, found, strict=True):
        have = 0.0 if m is None else m.asnumpy()
        np.testing.assert_allclose(
            have,
            0.0 if t is None else t.numpy(force=True),
            rtol=1e-6,
            atol=1e-8,
            err_msg="gradient",
        )


def tried(name: str, op: Any) -> tuple[int, str]:
    """How many samples of an operator our function took, and what went wrong first."""
    taken = 0
    try:
        for sample in sample_inputs(op):
            try:
                check(name, op, sample)
                taken += 1
            except Refused:
                continue
    except Exception as error:
        return taken, f"{type(error).__name__} {str(error).strip()[:200]}"
    return taken, ""
