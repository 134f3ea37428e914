"""An LSTM over 100 steps of 32 sequences, 128 wide: a loss of its states, and three gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

STEPS, BATCH, WIDE = 100, 32, 128
COUNT = STEPS * BATCH * WIDE
WORKLOAD = Workload("LSTM, 100 steps × 32 × 128", "float32", roundings=500, label="W9b")


def data() -> Arrays:
    """Sequences, the weights of inputs and states, the bias; gates are side by side."""
    rng = np.random.default_rng(0)
    shapes = (STEPS, BATCH, WIDE), (WIDE, 4 * WIDE), (WIDE, 4 * WIDE)
    x, w, r = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    scale = np.float32(1 / np.sqrt(WIDE))
    return [x, w * scale, r * scale, np.zeros(4 * WIDE, np.float32)]


def cell(z, c, sigmoid, tanh):
    """Input, forget, cell and output gates of one step."""
    i, f, g, o = (z[:, k * WIDE : (k + 1) * WIDE] for k in range(4))
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def program(ms: Any, arrays: Arrays) -> Run:
    ops = ms.ops

    def loss(x, w, r, b):
        inputs = ops.matmul(x, w) + b
        h = c = ops.zeros((BATCH, WIDE), ms.float32)
        total = 0.0
        for t in range(STEPS):
            h, c = cell(inputs[t] + ops.matmul(h, r), c, ops.sigmoid, ops.tanh)
            total = total + (h * h).sum()
        return total / COUNT

    return peers.program_gradient(ms, loss, (1, 2, 3), arrays)


def hand(arrays: Arrays) -> Run:
    """Products by BLAS; two loops over a step's elements, and the weights' gradients at the end."""
    from benchmarks.harness.hand import add_f32, exp_f32, f32, inlined, njit, tanh_f32

    @inlined
    def sigmoid(x):
        return f32(1) / (f32(1) + exp_f32(-x))

    @njit
    def forward(z, a, b, old, c, h, t):
        total = f32(0)
        for j in range(WIDE):
            i, f = sigmoid(z[j] + a[j] + b[j]), sigmoid(z[WIDE + j] + a[WIDE + j] + b[WIDE + j])
            g = tanh_f32(z[2 * WIDE + j] + a[2 * WIDE + j] + b[2 * WIDE + j])
            o = sigmoid(z[3 * WIDE + j] + a[3 * WIDE + j] + b[3 * WIDE + j])
            a[j], a[WIDE + j], a[2 * WIDE + j], a[3 * WIDE + j] = i, f, g, o
            c[j] = f * old[j] + i * g
            t[j] = tanh_f32(c[j])
            h[j] = o * t[j]
            total = add_f32(total, h[j] * h[j])
        return total

    @njit
    def backward(a, old, h, t, gh, gc, gb):
        one = f32(1)
        for j in range(WIDE):
            i, f, g, o = a[j], a[WIDE + j], a[2 * WIDE + j], a[3 * WIDE + j]
            u = gh[j] + f32(2.0 / COUNT) * h[j]
            v = gc[j] + u * o * (one - t[j] * t[j])
            gc[j] = v * f
            gi, gf = v * g * i * (one - i), v * old[j] * f * (one - f)
            gg, go = v * i * (one - g * g), u * t[j] * o * (one - o)
            a[j], a[WIDE + j], a[2 * WIDE + j], a[3 * WIDE + j] = gi, gf, gg, go
            gb[j] += gi
            gb[WIDE + j] += gf
            gb[2 * WIDE + j] += gg
            gb[3 * WIDE + j] += go

    @njit
    def kernel(x, w, r, b, a, hs, cs, ts, z, gh, gc, gb):
        rows = STEPS * BATCH
        np.dot(x.reshape(rows, WIDE), w, a.reshape(rows, 4 * WIDE))
        total = 0.0
        for k in range(STEPS):
            np.dot(hs[k], r, z)
            for n in range(BATCH):
                total += forward(z[n], a[k, n], b, cs[k, n], cs[k + 1, n], hs[k + 1, n], ts[k, n])
        back = np.ascontiguousarray(r.T)
        gh[:], gc[:], gb[:] = 0.0, 0.0, 0.0
        for k in range(STEPS - 1, -1, -1):
            for n in range(BATCH):
                backward(a[k, n], cs[k, n], hs[k + 1, n], ts[k, n], gh[n], gc[n], gb)
            np.dot(a[k], back, gh)
        flat = a.reshape(rows, 4 * WIDE)
        gw = np.dot(x.reshape(rows, WIDE).T, flat)
        return total / COUNT, gw, np.dot(hs[:STEPS].reshape(rows, WIDE).T, flat), gb

    state, gates = (BATCH, WIDE), (BATCH, 4 * WIDE)
    shapes = (STEPS, *gates), (STEPS + 1, *state), (STEPS + 1, *state), (STEPS, *state)
    work = [np.zeros(s, np.float32) for s in (*shapes, gates, state, state, 4 * WIDE)]

    def run() -> Any:
        value, *gradients = kernel(*arrays, *work)
        return value, gradients

    return run


def jax(arrays: Arrays) -> Run:
    import jax as j
    from jax import lax, numpy

    def loss(x, w, r, b):
        def one(carry, a):
            h, c = cell(a + carry[0] @ r, carry[1], j.nn.sigmoid, numpy.tanh)
            return (h, c), h

        zero = numpy.zeros((BATCH, WIDE), x.dtype)
        return (lax.scan(one, (zero, zero), x @ w + b)[1] ** 2).mean()

    return peers.jax_gradient(loss, (1, 2, 3), arrays)


def torch(arrays: Arrays) -> Run:
    """The library's own layer, whose backward pass is written by hand."""
    import torch as t

    x, w, r, b = (t.from_numpy(a) for a in arrays)
    net = t.nn.LSTM(WIDE, WIDE, dtype=x.dtype)
    weights = net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0
    with t.no_grad():
        for weight, value in zip(weights, (w.T, r.T, b), strict=True):
            weight.copy_(value)
        net.bias_hh_l0.zero_()

    def run() -> Any:
        value = (net(x)[0] ** 2).mean()
        gw, gr, gb = t.autograd.grad(value, weights)
        return value, (gw.T, gr.T, gb)

    return run
