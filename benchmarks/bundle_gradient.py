"""Bundle adjustment, 100,000 observations in float64: the sum of squares and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

COUNT = 100_000
WORKLOAD = Workload("bundle adjustment, 100,000: gradient", "float64", roundings=5000)


def data() -> Arrays:
    """Cameras (COUNT, 11): rotation 3, centre 3, focal length, middle 2, distortion 2; points
    (COUNT, 3); where they were seen (COUNT, 2).
    """
    rng = np.random.default_rng(0)
    scale = np.array([0.3] * 3 + [0.2] * 3 + [0.1] + [0.1] * 2 + [0.05] * 2)
    cameras = scale * rng.standard_normal((COUNT, 11)) + np.array([0.0] * 6 + [1.0] + [0.0] * 4)
    points = rng.uniform(-1, 1, (COUNT, 3)) + np.array([0.0, 0.0, 6.0])
    return [cameras, points, 0.2 * rng.standard_normal((COUNT, 2))]


def residual(m, camera, point, seen):
    """Both residuals of one or many observations; `m` has sqrt, sin and cos."""
    r, c = camera[..., :3], camera[..., 3:6]
    x, y, z = (point[..., k] - c[..., k] for k in range(3))
    a, b, d = (r[..., k] for k in range(3))
    angle = m.sqrt(a * a + b * b + d * d)
    sine, cosine = m.sin(angle), m.cos(angle)
    a, b, d = a / angle, b / angle, d / angle
    along = (a * x + b * y + d * z) * (1.0 - cosine)
    u = x * cosine + (b * z - d * y) * sine + a * along
    v = y * cosine + (d * x - a * z) * sine + b * along
    w = z * cosine + (a * y - b * x) * sine + d * along
    u, v = u / w, v / w
    q = u * u + v * v
    bent = 1.0 + camera[..., 9] * q + camera[..., 10] * q * q
    scale = camera[..., 6] * bent
    return (
        scale * u + camera[..., 7] - seen[..., 0],
        scale * v + camera[..., 8] - seen[..., 1],
    )


def loss(m):
    """Half the sum of squares."""

    def squares(cameras, points, seen):
        e, f = residual(m, cameras, points, seen)
        return 0.5 * (e * e + f * f).sum()

    return squares


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss(ms.ops), (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import njit

    forward, backward = hand_parts()
    load = hand_load()

    @njit
    def block(at):
        for i in range(LANES):
            e, f, kept = forward(
                at[i], at[64 + i], at[128 + i], at[192 + i], at[256 + i], at[320 + i],
                at[384 + i], at[448 + i], at[512 + i], at[576 + i], at[640 + i], at[704 + i],
                at[768 + i], at[832 + i], at[896 + i], at[960 + i],
            )  # fmt: skip
            g = backward(e, f, at[384 + i], at[576 + i], at[640 + i], kept)
            at[1024 + i], at[1088 + i], at[1152 + i], at[1216 + i], at[1280 + i] = g[:5]
            at[1344 + i], at[1408 + i], at[1472 + i], at[1536 + i], at[1600 + i] = g[5:10]
            at[1664 + i], at[1728 + i], at[1792 + i], at[1856 + i] = g[10:]
            at[1920 + i] = e * e + f * f

    @njit
    def kernel(cameras, points, seen, gcameras, gpoints):
        total, at = 0.0, np.ones(31 * LANES)
        for start in range(0, cameras.shape[0], LANES):
            n = min(LANES, cameras.shape[0] - start)
            load(cameras, points, seen, start, n, at)
            block(at)
            for i in range(n):
                for k in range(11):
                    gcameras[start + i, k] = at[(16 + k) * LANES + i]
                for k in range(3):
                    gpoints[start + i, k] = at[(27 + k) * LANES + i]
                total += at[30 * LANES + i]
        return 0.5 * total

    gradients = [np.empty_like(a) for a in arrays[:2]]
    return lambda: (kernel(*arrays, *gradients), gradients)


LANES = 64  # observations side by side: all their numbers in one array, so that LLVM sees no alias


def hand_load() -> Any:
    """Copies up to `LANES` observations, each into a column."""
    from benchmarks.harness.hand import njit

    @njit
    def load(cameras, points, seen, start, n, at):
        for i in range(n):
            for k in range(11):
                at[k * LANES + i] = cameras[start + i, k]
            for k in range(3):
                at[(11 + k) * LANES + i] = points[start + i, k]
            for k in range(2):
                at[(14 + k) * LANES + i] = seen[start + i, k]

    return load


def hand_parts() -> tuple[Any, Any]:
    """Residuals of one observation with what their derivatives need, and the way back."""
    from benchmarks.harness.hand import cos_f64, inlined, sin_f64

    @inlined
    def forward(r0, r1, r2, c0, c1, c2, focal, m0, m1, k1, k2, p0, p1, p2, o0, o1):
        x, y, z = p0 - c0, p1 - c1, p2 - c2
        angle = np.sqrt(r0 * r0 + r1 * r1 + r2 * r2)
        inverse = 1.0 / angle
        sine, cosine = sin_f64(angle), cos_f64(angle)
        a, b, d = r0 * inverse, r1 * inverse, r2 * inverse
        dot = a * x + b * y + d * z
        along = dot * (1.0 - cosine)
        w = 1.0 / (z * cosine + (a * y - b * x) * sine + d * along)
        u = (x * cosine + (b * z - d * y) * sine + a * along) * w
        v = (y * cosine + (d * x - a * z) * sine + b * along) * w
        q = u * u + v * v
        bent = 1.0 + q * (k1 + k2 * q)
        e, f = focal * bent * u + m0 - o0, focal * bent * v + m1 - o1
        return e, f, (x, y, z, a, b, d, inverse, sine, cosine, dot, u, v, w, q, bent)

    @inlined
    def backward(e, f, focal, k1, k2, kept):
        x, y, z, a, b, d, inverse, sine, cosine, dot, u, v, w, q, bent = kept
        scale = focal * bent
        both = e * u + f * v
        gbent = focal * both
        gq = gbent * (k1 + 2.0 * k2 * q)
        gu, gv = e * scale + 2.0 * gq * u, f * scale + 2.0 * gq * v
        # Through the division: of the rotated point (U, V, W), u = U / W and w = 1 / W.
        hu, hv, hw = gu * w, gv * w, -(gu * u + gv * v) * w
        # U = X cos + (axis × X) sin + axis (axis · X) (1 - cos)
        rest = 1.0 - cosine
        galong = hu * a + hv * b + hw * d
        gdot = galong * rest
        gx = hu * cosine + (hv * d - hw * b) * sine + gdot * a
        gy = hv * cosine + (hw * a - hu * d) * sine + gdot * b
        gz = hw * cosine + (hu * b - hv * a) * sine + gdot * d
        along = dot * rest
        ga = (hw * y - hv * z) * sine + hu * along + gdot * x
        gb = (hu * z - hw * x) * sine + hv * along + gdot * y
        gd = (hv * x - hu * y) * sine + hw * along + gdot * z
        turned = hu * (b * z - d * y) + hv * (d * x - a * z) + hw * (a * y - b * x)
        gangle = turned * cosine + sine * (galong * dot - (hu * x + hv * y + hw * z))
        # axis = r / angle
        inner = (ga * a + gb * b + gd * d) * inverse
        g0 = ga * inverse + a * (gangle - inner)
        g1 = gb * inverse + b * (gangle - inner)
        g2 = gd * inverse + d * (gangle - inner)
        return (
            g0, g1, g2, -gx, -gy, -gz, bent * both, e, f, gbent * q, gbent * q * q, gx, gy, gz,
        )  # fmt: skip

    return forward, backward


def jax(arrays: Arrays) -> Run:
    import jax.numpy as jnp

    return peers.jax_gradient(loss(jnp), (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    return peers.torch_gradient(loss(torch), (0, 1), arrays)
