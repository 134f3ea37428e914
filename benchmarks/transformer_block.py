"""A train step of a pre-norm Transformer block, 8 sequences of 128, width 256, 8 heads, float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import descent
from benchmarks.harness.workload import Arrays, Run, Workload

BATCH, TIME, WIDTH, HEADS = 8, 128, 256, 8
ROWS, DEPTH, WIDE, RATE, EPSILON = BATCH * TIME, WIDTH // HEADS, 4 * WIDTH, 0.01, 1e-5
SPLIT, ORDER = (BATCH, TIME, 3, HEADS, DEPTH), (2, 0, 3, 1, 4)
HIDDEN = -1e30  # what is added to scores of later times
WORKLOAD = Workload("Transformer block, train step", "float32", roundings=600, label="W6")


def data() -> Arrays:
    """Scale and shift, then weight and bias, of each layer in turn; input, and the target's."""
    rng = np.random.default_rng(0)
    found = []
    for n, m in ((WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, WIDE), (WIDE, WIDTH)):
        if (n, m) in ((WIDTH, 3 * WIDTH), (WIDTH, WIDE)):
            found += [np.ones(WIDTH), np.zeros(WIDTH)]
        found += [rng.standard_normal((n, m)) / np.sqrt(n), np.zeros(m)]
    found += [rng.standard_normal((ROWS, WIDTH)) for _ in range(2)]
    return [a.astype(np.float32) for a in found]


def mask(dtype: Any) -> np.ndarray:
    return np.where(np.tril(np.ones((TIME, TIME), bool)), 0, HIDDEN).astype(dtype)


def program(ms: Any, arrays: Arrays) -> Run:
    ops, nn = ms.ops, ms.nn
    *state, x, target = arrays
    weights = ms.ParameterTuple(
        [ms.Parameter(ms.Tensor(a), name=f"w{i}") for i, a in enumerate(state)]
    )
    hidden = ms.Tensor(mask(x.dtype))

    def loss(x, target):
        g1, b1, w_in, c_in, w_out, c_out, g2, b2, w_up, c_up, w_down, c_down = weights
        h = ops.layer_norm(x, (WIDTH,), g1, b1, EPSILON)
        q, k, v = ops.transpose(ops.reshape(h @ w_in + c_in, SPLIT), ORDER)
        scores = ops.softmax(q @ k.swapaxes(-1, -2) * DEPTH**-0.5 + hidden, -1)
        a = ops.reshape(ops.transpose(scores @ v, (0, 2, 1, 3)), (ROWS, WIDTH))
        x = x + a @ w_out + c_out
        h = ops.layer_norm(x, (WIDTH,), g2, b2, EPSILON)
        y = x + ops.gelu(h @ w_up + c_up, approximate="tanh") @ w_down + c_down
        return (y * target).mean()

    optimizer = nn.SGD(weights, RATE)
    gradient = ms.value_and_grad(loss, None, weights)

    @ms.jit
    def step(x, target):
        value, gradients = gradient(x, target)
        optimizer(gradients)
        return value, gradients

    given = ms.Tensor(x), ms.Tensor(target)
    return lambda: step(*given)


def hand(arrays: Arrays) -> Run:
    """BLAS for the products; attention row by row, without what is hidden."""
    *state, x, target = arrays
    state = [a.copy() for a in state]
    gradients = [np.empty_like(a) for a in state]
    rows = [np.empty((ROWS, n), np.float32) for n in [WIDTH] * 8 + [3 * WIDTH] * 2 + [WIDE] * 3]
    scales = [np.empty(ROWS, np.float32) for _ in range(2)]
    scores = np.empty((BATCH * HEADS, TIME, TIME), np.float32)
    step = hand_step()

    def run() -> Any:
        value = step(x, target, tuple(state), tuple(gradients), tuple(rows), tuple(scales), scores)
        return value, gradients

    return run


def hand_step() -> Any:
    from benchmarks.harness import transformer as parts
    from benchmarks.harness.hand import f32, njit

    norm, norm_back, gelu, gelu_back = parts.norm, parts.norm_back, parts.gelu, parts.gelu_back
    attention, attention_back, update = parts.attention, parts.attention_back, parts.update
    add_rows, column_sums = parts.add_rows, parts.column_sums
    heads, share, rate = HEADS, f32(1 / (ROWS * WIDTH)), f32(RATE)

    @njit
    def step(x, target, state, gradients, rows, scales, scores):
        g1, b1, w_in, c_in, w_out, c_out, g2, b2, w_up, c_up, w_down, c_down = state
        dg1, db1, dw_in, dc_in, dw_out, dc_out, dg2, db2, dw_up, dc_up, dw_down, dc_down = gradients
        h1, n1, a, x1, h2, n2, y, dy, qkv, dqkv, u, act, du = rows
        s1, s2 = scales
        norm(x, g1, b1, h1, n1, s1)
        np.dot(h1, w_in, qkv)
        add_rows(qkv, c_in, qkv, False)
        attention(qkv, a, scores, heads)
        np.dot(a, w_out, x1)
        add_rows(x, c_out, x1, True)
        norm(x1, g2, b2, h2, n2, s2)
        np.dot(h2, w_up, u)
        gelu(u, c_up, act)
        np.dot(act, w_down, y)
        add_rows(x1, c_down, y, True)
        value = f32(0)
        for i in range(y.shape[0]):
            part = f32(0)
            for j in range(y.shape[1]):
                part += y[i, j] * target[i, j]
                dy[i, j] = target[i, j] * share
            value += part
        column_sums(dy, dc_down)
        np.dot(act.T, dy, dw_down)
        np.dot(dy, w_down.T, du)
        gelu_back(u, du, dc_up)
        np.dot(h2.T, du, dw_up)
        np.dot(du, w_up.T, h2)
        norm_back(h2, n2, s2, g2, dy, dg2, db2)
        column_sums(dy, dc_out)
        np.dot(a.T, dy, dw_out)
        np.dot(dy, w_out.T, a)
        attention_back(qkv, scores, a, dqkv, heads)
        column_sums(dqkv, dc_in)
        np.dot(h1.T, dqkv, dw_in)
        np.dot(dqkv, w_in.T, h1)
        norm_back(h1, n1, s1, g1, dy, dg1, db1)
        update(w_in, dw_in, rate)
        update(w_out, dw_out, rate)
        update(w_up, dw_up, rate)
        update(w_down, dw_down, rate)
        for w, g in ((g1, dg1), (b1, db1), (c_in, dc_in), (c_out, dc_out), (g2, dg2), (b2, db2),
                     (c_up, dc_up), (c_down, dc_down)):  # fmt: skip
            for i in range(w.size):
                w[i] -= rate * g[i]
        return value * share

    return step


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    if arrays[0].dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
    *state, x, target = [jnp.array(a) for a in arrays]
    hidden = mask(arrays[0].dtype)

    def norm(x, g, b):
        centred = x - x.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + EPSILON) * g + b

    def loss(state, x, target):
        g1, b1, w_in, c_in, w_out, c_out, g2, b2, w_up, c_up, w_down, c_down = state
        q, k, v = (norm(x, g1, b1) @ w_in + c_in).reshape(SPLIT).transpose(ORDER)
        scores = jax.nn.softmax(q @ k.swapaxes(-1, -2) * DEPTH**-0.5 + hidden, -1)
        a = (scores @ v).transpose(0, 2, 1, 3).reshape(ROWS, WIDTH)
        x = x + a @ w_out + c_out
        h = jax.nn.gelu(norm(x, g2, b2) @ w_up + c_up, approximate=True)
        return ((x + h @ w_down + c_down) * target).mean()

    return descent.in_jax(loss, state, (x, target), RATE)


def torch(arrays: Arrays) -> Run:
    import torch

    functional = torch.nn.functional
    *state, x, target = [torch.from_numpy(np.array(a)) for a in arrays]
    state = [a.requires_grad_() for a in state]

    def loss(x, target, *state):
        g1, b1, w_in, c_in, w_out, c_out, g2, b2, w_up, c_up, w_down, c_down = state
        h = functional.layer_norm(x, (WIDTH,), g1, b1, EPSILON)
        q, k, v = (h @ w_in + c_in).view(SPLIT).permute(ORDER)
        a = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + a.transpose(1, 2).reshape(ROWS, WIDTH) @ w_out + c_out
        h = functional.layer_norm(x, (WIDTH,), g2, b2, EPSILON)
        y = x + functional.gelu(h @ w_up + c_up, approximate="tanh") @ w_down + c_down
        return (y * target).mean()

    return descent.in_torch(loss, state, (x, target), RATE)
