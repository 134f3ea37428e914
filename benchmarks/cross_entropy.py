"""Cross-entropy of 512 rows of 10,000 float32 logits: softmax regression's loss and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

ROWS, CLASSES = 512, 10_000
WORKLOAD = Workload("cross-entropy, 512 × 10,000", "float32", roundings=60)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    logits = 3 * rng.standard_normal((ROWS, CLASSES)).astype(np.float32)
    return [logits, rng.integers(0, CLASSES, ROWS).astype(np.int32)]


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, ms.ops.cross_entropy, (0,), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f32, exp_f32, f32, highest, njit

    @njit
    def kernel(x, labels, gradient):
        total = 0.0
        for r in range(x.shape[0]):
            row, out = x[r], gradient[r]
            top = highest(row)
            s = f32(0)
            for c in range(row.size):
                e = exp_f32(row[c] - top)
                out[c] = e
                s = add_f32(s, e)
            scale = f32(1) / (s * f32(x.shape[0]))
            for c in range(row.size):
                out[c] *= scale
            label = labels[r]
            out[label] -= f32(1) / f32(x.shape[0])
            total += np.log(s) + top - row[label]
        return total / x.shape[0]

    gradient = np.empty_like(arrays[0])
    return lambda: (kernel(*arrays, gradient), gradient)


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    def loss(logits, labels):
        logs = jax.nn.log_softmax(logits)
        return -jnp.mean(jnp.take_along_axis(logs, labels[:, None], 1))

    return peers.jax_gradient(loss, (0,), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    def loss(logits, labels):
        return torch.nn.functional.cross_entropy(logits, labels)

    return peers.torch_gradient(loss, (0,), [arrays[0], arrays[1].astype(np.int64)])
