"""PyTorch's own samples of its operators, where PyTorch is installed: values and gradients."""

from __future__ import annotations

import warnings

import pytest

RANDOM = "draws other random numbers"
EMPTY = "the values do not matter"
OTHER = "other arguments or results, as MindSpore has them"
SCALARS = "PyTorch takes 0-d Tensors for vectors here"
# Operators that differ, and why.
DIFFERENT = {
    **dict.fromkeys(
        ("normal:in_place", "randn_like", "rand_like", "randint_like", "multinomial", "normal"),
        RANDOM,
    ),
    **dict.fromkeys(("normal:number_mean", "bernoulli", "nn.functional.rrelu"), RANDOM),
    **{f"nn.functional.{name}": RANDOM for name in ("dropout", "dropout2d", "dropout3d")},
    **{f"nn.functional.fractional_max_pool{n}d": RANDOM for n in (2, 3)},
    **dict.fromkeys(("empty_like", "new_empty"), EMPTY),
    **dict.fromkeys(("allclose", "nanmedian", "aminmax", "bincount", "take_along_dim"), OTHER),
    **dict.fromkeys(("nn.functional.rms_norm", "unfold", "squeeze:multiple"), OTHER),
    "nn.functional.ctc_loss": OTHER,
    **dict.fromkeys(("nonzero", "argwhere", "linalg.vander", "nn.functional.prelu"), SCALARS),
    **dict.fromkeys(("imag", "nn.functional.silu:complex"), "complex"),
    **dict.fromkeys(
        ("cholesky_inverse", "cholesky_solve"),
        "its derivative is not 0 in the triangle that it does not read",
    ),
    **{
        f"nn.functional.max_unpool{n}d": "its derivative is not that of places written twice"
        for n in (1, 2, 3)
    },
    **{f"special.bessel_{name}": "it is accurate to 1e-7 only" for name in ("j0", "j1", "y1")},
    "as_strided:partial_views": "Tensors here have no memory between their elements",
    "cov": "it computes weights of float32 in float32",
    "linalg.pinv:hermitian": "its derivative is not symmetric",
    "linalg.eigh": "eigenvectors have either sign",
    "linalg.norm:subgradients_at_zero": "the derivative of a norm at 0 is nan here",
}
LEAST = 450  # operators that agree


@pytest.mark.slow
def test_operators_agree() -> None:
    """Every sample that our function takes; at least one of each operator that counts."""
    agreed, failures = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torch", reason="PyTorch's samples come with it")
        from tests.ops import torch_samples as samples

        for name, op in samples.operators().items():
            if name.partition(".")[0] in ("fft", "masked", "sparse", "torch", "signal"):
                continue
            if name in DIFFERENT or samples.counterpart(name) is None:
                continue
            taken, failure = samples.tried(name, op)
            if failure:
                failures.append(f"{name}: {failure}")
            elif taken:
                agreed.append(name)
    assert not failures, "\n".join(failures)
    assert len(agreed) >= LEAST
