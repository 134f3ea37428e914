"""Images sampled at computed places, and boxes in them."""

from __future__ import annotations

import math

import numpy as np

from jitgrad.errors import ShapeError, fail
from jitgrad.ir.types import int32
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.conv import avg_pool2d
from jitgrad.ops.indexing import getitem
from jitgrad.ops.joining import stack
from jitgrad.ops.linalg import factors, matmul
from jitgrad.ops.promote import cast, constant, expand, floating, one_of, tensor
from jitgrad.ops.shaping import permuted, reshaped, swapaxes
from jitgrad.ops.splitting import unbind
from jitgrad.tensor import Tensor

# --- sampling -----------------------------------------------------------------------------------


def affine_grid(theta, size, align_corners=False):
    """Where `grid_sample` shall look for an affine map: [N, 2, 3] -> [N, H, W, 2], or of volumes.

    Args:
        theta: Tensor [N, 2, 3] or [N, 3, 4].
        size: the extents (N, C, H, W) or (N, C, D, H, W) of the result.

    >>> ops.affine_grid(Tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2)).tolist()
    [[[[-0.5, 0.0], [0.5, 0.0]]]]
    """
    theta = floating("affine_grid", theta)
    extents = tuple(size)[2:]
    lines = [_line(n, align_corners).astype(theta.dtype.numpy) for n in extents]
    grids = np.meshgrid(*lines, indexing="ij")
    points = np.stack([*reversed(grids), np.ones_like(grids[0])], -1).reshape(-1, len(lines) + 1)
    found = matmul(constant(points), swapaxes(theta, -1, -2))
    return reshaped("affine_grid", found, (theta.shape[0], *extents, len(extents)))


def _line(count: int, align_corners: bool) -> np.ndarray:
    """Coordinates of pixels from -1 to 1: of their centres, or with the corners at the ends."""
    if align_corners:
        return np.linspace(-1, 1, count)
    return (np.arange(count) * 2 + 1) / count - 1


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=False):
    """Values of images at places given from -1 to 1: [N, C, H, W] and [N, P, Q, 2] -> [N, C, P, Q];
    volumes [N, C, D, H, W] likewise with three coordinates.

    Args:
        grid: the places as (x, y) or (x, y, z).
        mode: "bilinear" or "nearest".
        padding_mode: what is outside: "zeros", the "border", or a "reflection".

    >>> ops.grid_sample(Tensor([[[[1.0, 3.0]]]]), Tensor([[[[0.0, 0.0]]]])).tolist()
    [[[[2.0]]]]
    """
    x, places = factors("grid_sample", floating("grid_sample", input), grid)
    one_of("grid_sample", "mode", mode, ("bilinear", "nearest"))
    one_of("grid_sample", "padding_mode", padding_mode, ("zeros", "border", "reflection"))
    count = x.ndim - 2
    if count not in (2, 3) or places.ndim != x.ndim or places.shape[-1] != count:
        raise fail(
            ShapeError,
            f"grid_sample got {x._type} and {places._type}",
            why="it takes [N, C, H, W] and [N, P, Q, 2], or [N, C, D, H, W] and [N, O, P, Q, 3]",
        )
    coordinates = []
    for place, extent in zip(reversed(unbind(places, -1)), x.shape[2:], strict=True):
        at = _unnormalized(place, extent, align_corners)
        coordinates.append(_inside(at, extent, padding_mode, align_corners))
    if mode == "nearest":
        return picked(x, [e.rint(at) for at in coordinates])
    return blended(x, coordinates)


def _unnormalized(at: Tensor, extent: int, align_corners: bool) -> Tensor:
    if align_corners:
        return e.mul(e.add(at, 1), (extent - 1) / 2)
    return e.div(e.sub(e.mul(e.add(at, 1), extent), 1), 2)


def _inside(at: Tensor, extent: int, padding_mode: str, align_corners: bool) -> Tensor:
    """Coordinates brought into the image, unless what is outside is zeros."""
    if padding_mode == "reflection":
        low, span = (0.0, extent - 1) if align_corners else (-0.5, extent)
        if span == 0:
            return e.mul(at, 0)
        away = e.abs(e.sub(at, low))
        turns = e.floor(e.div(away, span))
        rest = e.sub(away, e.mul(turns, span))
        odd = c.eq(e.remainder(turns, 2), 1)
        at = e.add(c.where(odd, e.sub(span, rest), rest), low)
    return at if padding_mode == "zeros" else c.clamp(at, 0, extent - 1)


def picked(x: Tensor, coordinates: list[Tensor], image: Tensor | None = None) -> Tensor:
    """Values [N, C, …] at whole coordinates [N, …], zeros outside.

    Args:
        image: which one each of the N takes its values from; by default its own.
    """
    inside, key = None, []
    for at, extent in zip(coordinates, x.shape[2:], strict=True):
        known = c.logical_and(c.ge(at, 0), c.le(at, extent - 1))
        inside = known if inside is None else c.logical_and(inside, known)
        key.append(cast(c.where(known, at, 0), int32))
    image = constant(np.arange(x.shape[0])) if image is None else image
    image = reshaped("picked", image, (-1, *(1,) * (key[0].ndim - 1)))
    last = permuted("picked", x, [0, *range(2, x.ndim), 1])
    values = getitem(last, (expand(image, key[0].shape), *key))
    values = c.where(reshaped("picked", inside, (*inside.shape, 1)), values, 0)
    return permuted("picked", values, [0, values.ndim - 1, *range(1, values.ndim - 1)])


def blended(x: Tensor, coordinates: list[Tensor], image: Tensor | None = None) -> Tensor:
    """As `picked` between whole coordinates: the corners, weighted by how near they are."""
    low = [e.floor(at) for at in coordinates]
    share = [e.sub(at, start) for at, start in zip(coordinates, low, strict=True)]
    total = None
    for corner in np.ndindex((2,) * len(low)):
        weight = None
        for k, part in zip(corner, share, strict=True):
            factor = part if k else e.sub(1, part)
            weight = factor if weight is None else e.mul(weight, factor)
        at = [e.add(start, k) if k else start for k, start in zip(corner, low, strict=True)]
        spread = reshaped("blended", weight, (weight.shape[0], 1, *weight.shape[1:]))
        term = e.mul(picked(x, at, image), spread)
        total = term if total is None else e.add(total, term)
    return total


def lrn(x, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5, norm_region="ACROSS_CHANNELS"):
    """Local response normalization over neighbouring channels of [N, C, H, W].

    >>> ops.lrn(ops.ones((1, 2, 1, 1)), 1, beta=1.0).shape
    (1, 2, 1, 1)
    """
    x = floating("lrn", x)
    one_of("lrn", "norm_region", norm_region, ("ACROSS_CHANNELS",))
    size = 2 * depth_radius + 1
    squares = reshaped("lrn", e.square(x), (x.shape[0], 1, x.shape[1], math.prod(x.shape[2:])))
    sums = e.mul(avg_pool2d(squares, (size, 1), 1, (depth_radius, 0)), size)
    sums = reshaped("lrn", sums, x.shape)
    return e.div(x, e.pow(e.add(e.mul(sums, alpha), bias), beta))


# --- boxes --------------------------------------------------------------------------------------


def _edges(x: Tensor) -> list[Tensor]:
    return list(unbind(x, -1))


def iou(anchor_boxes, gt_boxes, mode="iou"):
    """The shares of area that boxes [N, 4] and [M, 4] have in common, of their union ("iou") or of
    the second ("iof"): [M, N]. A box is (x0, y0, x1, y1), its last pixel included.

    >>> print(ops.iou(Tensor([[0.0, 0.0, 1.0, 1.0]]), Tensor([[0.0, 0.0, 1.0, 3.0]])))
    [[0.5]]
    """
    one_of("iou", "mode", mode, ("iou", "iof"))
    a, b = factors("iou", floating("iou", anchor_boxes), gt_boxes)
    a = _edges(reshaped("iou", a, (1, *a.shape)))
    b = _edges(reshaped("iou", b, (b.shape[0], 1, b.shape[1])))

    def extent(low: Tensor, high: Tensor) -> Tensor:
        return c.clamp(e.add(e.sub(high, low), 1), 0)

    common = e.mul(
        extent(e.maximum(a[0], b[0]), e.minimum(a[2], b[2])),
        extent(e.maximum(a[1], b[1]), e.minimum(a[3], b[3])),
    )
    first, second = (e.mul(extent(v[0], v[2]), extent(v[1], v[3])) for v in (a, b))
    whole = second if mode == "iof" else e.sub(e.add(first, second), common)
    return e.div(common, whole)


def _centres(box: Tensor) -> tuple[Tensor, ...]:
    """Centre and extent of boxes."""
    x0, y0, x1, y1 = _edges(box)
    width, height = (e.add(e.sub(high, low), 1) for low, high in ((x0, x1), (y0, y1)))
    return e.mul(e.add(x0, x1), 0.5), e.mul(e.add(y0, y1), 0.5), width, height


FOUR = tuple[float, float, float, float]


def bounding_box_encode(anchor_box, groundtruth_box, means: FOUR = (0.0,) * 4,
                        stds: FOUR = (1.0,) * 4):  # fmt: skip
    """What leads from anchors to boxes, normalized: shifts in extents, and logarithms of ratios.

    >>> ops.bounding_box_encode(Tensor([[0.0, 0.0, 1.0, 1.0]]), Tensor([[1.0, 0.0, 2.0,
    ...     1.0]])).tolist()
    [[0.5, 0.0, 0.0, 0.0]]
    """
    a, b = _centres(floating("bounding_box_encode", anchor_box)), _centres(groundtruth_box)
    moves = [e.div(e.sub(b[i], a[i]), a[i + 2]) for i in (0, 1)]
    moves += [e.log(e.div(b[i], a[i])) for i in (2, 3)]
    return stack([e.div(e.sub(v, m), s) for v, m, s in zip(moves, means, stds, strict=True)], -1)


def bounding_box_decode(anchor_box, deltas, max_shape, means: FOUR = (0.0,) * 4,
                        stds: FOUR = (1.0,) * 4, wh_ratio_clip=0.016):  # fmt: skip
    """The boxes to which deltas lead from anchors, within an image of (height, width).

    >>> ops.bounding_box_decode(Tensor([[0.0, 0.0, 1.0, 1.0]]), Tensor([[0.5, 0.0, 0.0,
    ...     0.0]]), (9, 9)).tolist()
    [[1.0, 0.0, 2.0, 1.0]]
    """
    x, y, width, height = _centres(floating("bounding_box_decode", anchor_box))
    parts = _edges(floating("bounding_box_decode", deltas))
    dx, dy, dw, dh = (e.add(e.mul(v, s), m) for v, m, s in zip(parts, means, stds, strict=True))
    most = abs(math.log(wh_ratio_clip))
    w, h = (e.mul(n, e.exp(c.clamp(d, -most, most))) for n, d in ((width, dw), (height, dh)))
    cx, cy = e.add(x, e.mul(dx, width)), e.add(y, e.mul(dy, height))
    rows, columns = max_shape
    ends = []
    for centre, extent, limit in ((cx, w, columns), (cy, h, rows)):
        half = e.mul(e.sub(extent, 1), 0.5)
        ends.append([c.clamp(f(centre, half), 0, limit - 1) for f in (e.sub, e.add)])
    return stack([ends[0][0], ends[1][0], ends[0][1], ends[1][1]], -1)


def check_valid(bboxes, img_metas):
    """Whether boxes lie in an image of (height, width, ratio).

    >>> ops.check_valid(Tensor([[0.0, 0.0, 1.0, 9.0]]), Tensor([5.0, 5.0, 1.0])).tolist()
    [False]
    """
    box, metas = tensor("check_valid", bboxes), tensor("check_valid", img_metas)
    height, width = (e.mul(getitem(metas, i), getitem(metas, 2)) for i in (0, 1))
    x0, y0, x1, y1 = _edges(box)
    low = c.logical_and(c.ge(x0, 0), c.ge(y0, 0))
    high = c.logical_and(c.le(x1, e.sub(width, 1)), c.le(y1, e.sub(height, 1)))
    return c.logical_and(low, high)


__all__ = [
    "affine_grid", "blended", "bounding_box_decode", "bounding_box_encode", "check_valid",
    "grid_sample", "iou", "lrn", "picked",
]  # fmt: skip
