"""The parts of a Transformer block between its products, as a person writes them in Numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness.hand import add_f32, exp_f32, f32, njit

TWICE = f32(1.5957691216057308)  # 2 sqrt(2 / pi)
CUBIC = f32(0.044715)


@njit
def norm(x: Any, g: Any, b: Any, out: Any, normal: Any, scale: Any) -> None:
    """out = normal * g + b for rows `normal` of mean 0 and variance 1; scale: what they took."""
    n = f32(x.shape[1])
    for i in range(x.shape[0]):
        row, s = x[i], f32(0)
        for j in range(row.size):
            s = add_f32(s, row[j])
        mean, s = s / n, f32(0)
        for j in range(row.size):
            s = add_f32(s, (row[j] - mean) * (row[j] - mean))
        q = f32(1) / np.sqrt(s / n + f32(1e-5))
        scale[i] = q
        for j in range(row.size):
            h = (row[j] - mean) * q
            normal[i, j] = h
            out[i, j] = h * g[j] + b[j]


@njit
def norm_back(dy: Any, normal: Any, scale: Any, g: Any, dx: Any, dg: Any, db: Any) -> None:
    """What the cotangent dy of `norm` adds to dx, and what it makes for g and b."""
    dg[:] = f32(0)
    db[:] = f32(0)
    n = f32(g.size)
    for i in range(dy.shape[0]):
        y, h, out = dy[i], normal[i], dx[i]
        mean, along = f32(0), f32(0)
        for j in range(g.size):
            q = y[j] * g[j]
            mean = add_f32(mean, q)
            along = add_f32(along, q * h[j])
            dg[j] += y[j] * h[j]
            db[j] += y[j]
        mean, along = mean / n, along / n
        for j in range(g.size):
            out[j] += scale[i] * (y[j] * g[j] - mean - h[j] * along)


@njit
def add_rows(x: Any, b: Any, out: Any, both: bool) -> None:
    """out = x + b, or out += x + b."""
    for i in range(x.shape[0]):
        row, to = x[i], out[i]
        if both:
            for j in range(b.size):
                to[j] += row[j] + b[j]
        else:
            for j in range(b.size):
                to[j] = row[j] + b[j]


@njit
def column_sums(x: Any, out: Any) -> None:
    out[:] = f32(0)
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(out.size):
            out[j] += row[j]


@njit
def gelu(u: Any, b: Any, out: Any) -> None:
    """u += b; out = gelu(u), by tanh."""
    for i in range(u.shape[0]):
        row, to = u[i], out[i]
        for j in range(b.size):
            z = row[j] + b[j]
            row[j] = z
            to[j] = z / (f32(1) + exp_f32(-TWICE * (z + CUBIC * z * z * z)))


@njit
def gelu_back(u: Any, du: Any, db: Any) -> None:
    """du *= gelu'(u), and its column sums."""
    db[:] = f32(0)
    for i in range(u.shape[0]):
        row, out = u[i], du[i]
        for j in range(db.size):
            z = row[j]
            s = f32(1) / (f32(1) + exp_f32(-TWICE * (z + CUBIC * z * z * z)))
            slope = s + z * s * (f32(1) - s) * TWICE * (f32(1) + f32(3) * CUBIC * z * z)
            out[j] *= slope
            db[j] += out[j]


@njit
def split(qkv: Any, b: int, h: int, part: int, heads: int, out: Any, turned: bool) -> None:
    """The part (0 q, 1 k, 2 v) of one head of a sequence: [time, depth], or turned."""
    time, depth = (out.shape[1], out.shape[0]) if turned else out.shape
    first = part * heads * depth + h * depth
    for t in range(time):
        row = qkv[b * time + t]
        for e in range(depth):
            if turned:
                out[e, t] = row[first + e]
            else:
                out[t, e] = row[first + e]


@njit
def attention(qkv: Any, a: Any, scores: Any, heads: int) -> None:
    """Causal attention; `scores` keeps the weights of each row."""
    time, depth = scores.shape[1], a.shape[1] // heads
    q, v = np.empty((time, depth), np.float32), np.empty((time, depth), np.float32)
    k = np.empty((depth, time), np.float32)
    scale = f32(1) / np.sqrt(f32(depth))
    for w in range(scores.shape[0]):
        b, h = w // heads, w % heads
        split(qkv, b, h, 0, heads, q, False)
        split(qkv, b, h, 1, heads, k, True)
        split(qkv, b, h, 2, heads, v, False)
        for t in range(time):
            s, out = scores[w, t], a[b * time + t, h * depth : h * depth + depth]
            s[:] = f32(0)
            for e in range(depth):
                for j in range(t + 1):
                    s[j] += q[t, e] * scale * k[e, j]
            top, total = s[0], f32(0)
            for j in range(t + 1):
                top = max(top, s[j])
            for j in range(t + 1):
                s[j] = exp_f32(s[j] - top)
                total = add_f32(total, s[j])
            out[:] = f32(0)
            for j in range(t + 1):
                s[j] /= total
                for e in range(depth):
                    out[e] += s[j] * v[j, e]


@njit
def attention_back(qkv: Any, scores: Any, da: Any, dqkv: Any, heads: int) -> None:
    time, depth = scores.shape[1], da.shape[1] // heads
    q, k = np.empty((time, depth), np.float32), np.empty((time, depth), np.float32)
    v, slope = np.empty((depth, time), np.float32), np.empty(time, np.float32)
    dk, dv = np.empty((time, depth), np.float32), np.empty((time, depth), np.float32)
    scale, width = f32(1) / np.sqrt(f32(depth)), heads * depth
    for w in range(scores.shape[0]):
        b, h = w // heads, w % heads
        split(qkv, b, h, 0, heads, q, False)
        split(qkv, b, h, 1, heads, k, False)
        split(qkv, b, h, 2, heads, v, True)
        dk[:], dv[:] = f32(0), f32(0)
        for t in range(time):
            s, out = scores[w, t], da[b * time + t, h * depth : h * depth + depth]
            dq = dqkv[b * time + t, h * depth : h * depth + depth]
            slope[:] = f32(0)
            for e in range(depth):
                for j in range(t + 1):
                    slope[j] += out[e] * v[e, j]
            mean = f32(0)
            for j in range(t + 1):
                mean = add_f32(mean, slope[j] * s[j])
            dq[:] = f32(0)
            for j in range(t + 1):
                d = s[j] * (slope[j] - mean) * scale
                for e in range(depth):
                    dv[j, e] += s[j] * out[e]
                    dk[j, e] += d * q[t, e]
                    dq[e] += d * k[j, e]
        for t in range(time):
            row = dqkv[b * time + t]
            for e in range(depth):
                row[width + h * depth + e] = dk[t, e]
                row[2 * width + h * depth + e] = dv[t, e]


@njit
def update(w: Any, g: Any, rate: Any) -> None:
    w, g = w.reshape(-1), g.reshape(-1)
    for i in range(w.size):
        w[i] -= rate * g[i]
