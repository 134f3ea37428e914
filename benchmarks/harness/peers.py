"""Value and gradient in each peer's own words, for workloads that need nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from benchmarks.harness.workload import CANDIDATES, OURS, Arrays, Run, compiling


def jax_gradient(loss: Callable[..., Any], wrt: Sequence[int], arrays: Arrays) -> Run:
    """`jax.jit(jax.value_and_grad(loss))`, in float64 if there is an array of that."""
    import jax

    gradient = jax_function(jax.value_and_grad(loss, tuple(wrt)), arrays)
    return gradient


def jax_function(function: Callable[..., Any], arrays: Arrays) -> Run:
    """`jax.jit(function)` of arrays that stay on the device."""
    import jax
    import jax.numpy as jnp

    if any(a.dtype == np.float64 for a in arrays):
        jax.config.update("jax_enable_x64", True)
    compiled, given = jax.jit(function), [jnp.asarray(a) for a in arrays]
    return lambda: jax.block_until_ready(compiled(*given))


def torch_gradient(loss: Callable[..., Any], wrt: Sequence[int], arrays: Arrays) -> Run:
    """`torch.autograd.grad` of a loss, or of `torch.compile(loss)`."""
    import torch

    given = [torch.from_numpy(a).clone() for a in arrays]
    leaves = [given[k].requires_grad_() for k in wrt]
    called = torch.compile(loss) if compiling.active else loss

    def run() -> Any:
        value = called(*given)
        return value, torch.autograd.grad(value, leaves)

    return run


def autograd_gradient(loss: Callable[..., Any], wrt: Sequence[int], arrays: Arrays) -> Run:
    """`autograd.value_and_grad`, which works on NumPy arrays."""
    import autograd

    gradient = autograd.value_and_grad(loss, tuple(wrt))
    return lambda: gradient(*arrays)


def pytensor_gradient(loss: Callable[..., Any], wrt: Sequence[int], arrays: Arrays) -> Run:
    """`pytensor.function` of a loss and its `pytensor.grad`, on NumPy arrays."""
    import pytensor
    from pytensor.tensor import TensorType

    given = [TensorType(a.dtype.name, (None,) * a.ndim)() for a in arrays]
    value = loss(*given)
    inputs = [pytensor.In(v, borrow=True) for v in given]
    compiled = pytensor.function(inputs, [value, *pytensor.grad(value, [given[k] for k in wrt])])
    compiled.trust_input = True
    return lambda: compiled(*arrays)


def program_gradient(ms: Any, loss: Callable[..., Any], wrt: Sequence[int], arrays: Arrays) -> Run:
    """`jit(value_and_grad(loss))` as MindSpore spells it; the value is waited for."""
    position = tuple(wrt) if len(wrt) > 1 else wrt[0]
    gradient = ms.jit(ms.value_and_grad(loss, position))
    return program_function(ms, gradient, arrays)


def program_function(ms: Any, compiled: Callable[..., Any], arrays: Arrays) -> Run:
    """A compiled function of Tensors."""
    given = [ms.Tensor(a) for a in arrays]
    return lambda: compiled(*given)


# ------------------------------------------------------------------------------ who is installed


@cache
def interpreters() -> dict[str, str]:
    """The Python that has each candidate's module: this one, or that of JITGRAD_BENCH_PYTHON."""
    modules = [c.module for c in CANDIDATES.values()]
    found = {m: sys.executable for m in modules if importlib.util.find_spec(m) is not None}
    other = os.environ.get("JITGRAD_BENCH_PYTHON")
    if other:
        code = (
            "import importlib.util as u, json, sys\n"
            "print(json.dumps([m for m in sys.argv[1:] if u.find_spec(m) is not None]))"
        )
        done = subprocess.run([other, "-c", code, *modules], capture_output=True, check=True)
        for module in json.loads(done.stdout):
            found.setdefault(module, other)
    return {name: found[c.module] for name, c in CANDIDATES.items() if c.module in found}


def available(wanted: Sequence[str], module: Any) -> tuple[list[str], list[str]]:
    """Which of the wanted candidates can run a workload, and which are not installed."""
    written = [n for n in wanted if hasattr(module, CANDIDATES[n].function)]
    there = [n for n in written if n in interpreters()]
    return there, [n for n in written if n not in there and n not in OURS]
