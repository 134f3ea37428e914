"""A step of gradient descent as the peers write it: value, gradients, and the state moved on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.harness.workload import Run, compiling


def in_jax(loss: Callable[..., Any], state: list[Any], given: Sequence[Any], rate: float) -> Run:
    """``loss(state, *given)``, compiled with its gradient and the update."""
    import jax

    def step(state, *given):
        value, gradients = jax.value_and_grad(loss)(state, *given)
        return value, gradients, [w - rate * g for w, g in zip(state, gradients)]

    compiled, held = jax.jit(step), [state]

    def run() -> Any:
        value, gradients, held[0] = compiled(held[0], *given)
        return jax.block_until_ready((value, gradients))

    return run


def in_torch(loss: Callable[..., Any], state: list[Any], given: Sequence[Any], rate: float) -> Run:
    """``loss(*given, *state)``, its backward pass, and the fused optimizer."""
    import torch

    called = torch.compile(loss) if compiling.active else loss
    optimizer = torch.optim.SGD(state, lr=rate, fused=True)

    def run() -> Any:
        value = called(*given, *state)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        return value, [w.grad for w in state]

    return run
