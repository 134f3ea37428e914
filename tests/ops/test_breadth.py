"""Names of MindSpore that are made of others: against NumPy, or by what undoes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import jitgrad as ms
import jitgrad.numpy as mnp
from jitgrad import Tensor, mint, ops

RNG = np.random.default_rng(4)
X, Y = RNG.uniform(-2, 2, (3, 4)), RNG.uniform(-2, 2, (3, 4))
V, W = RNG.uniform(-2, 2, 7), RNG.uniform(-2, 2, 3)
N = np.where(RNG.random((3, 4)) < 0.3, np.nan, X)
P, J = RNG.integers(0, 6, (3, 4)), RNG.integers(0, 6, 4)
VOLUME = RNG.uniform(-2, 2, (2, 3, 6, 4, 5))

NUMPY = {
    "apply_over_axes": (np.sum, X, [0, 1]), "array_equiv": (X, X[None]), "bartlett": (7,),
    "bincount": (J,), "blackman": (6,), "cbrt": (X,), "choose": (P % 3, [X, Y, X + 1]),
    "convolve": (V, W, "same"), "copy": (X,), "corrcoef": (X,), "correlate": (W, V, "full"),
    "cov": (X,), "cross": (X[:, :3], Y[:, :3]), "diag_indices": (3,), "digitize": (V, np.sort(W)),
    "divmod": (X, 0.7), "ediff1d": (X, 9.0, 8.0), "gcd": (P, J), "geomspace": (1.0, 16.0, 5),
    "gradient": (X, 0.5), "hamming": (5,), "hanning": (5,), "histogram": (V, 4),
    "histogram2d": (X[0], X[1], 3), "histogram_bin_edges": (V, 4), "in1d": (J, [1, 2]),
    "indices": ((2, 3),), "interp": (V, np.sort(W), W), "isin": (P, [1, 2]), "isscalar": (3,),
    "ix_": ([0, 2], [1, 3]), "lcm": (P, J), "logspace": (0.0, 2.0, 5),
    "matrix_power": (X[:, :3], 3),
    "nancumsum": (N, 1), "nanmax": (N, 1), "nanmin": (N,), "nanstd": (N, 0), "nanvar": (N, 1),
    "percentile": (X, 30.0, 1), "polyadd": (V, W), "polyder": (V, 2), "polyint": (V, 2),
    "polymul": (V, W), "polysub": (V, W), "polyval": (V, X), "quantile": (X, 0.3, 0),
    "ravel_multi_index": (np.array([[0, 2], [1, 3]]), (3, 4)), "rollaxis": (VOLUME, 3, 1),
    "select": ([X > 1, X > 0], [X, Y], 7.0), "tri": (3, 4, 1), "tril_indices": (4, 1),
    "tril_indices_from": (X, -1), "triu_indices": (4,), "triu_indices_from": (X,),
    "unravel_index": (P, (2, 3)), "unwrap": (3 * V,), "empty_like": (X,),
    "piecewise": (X, [X < 0, X > 1], [-1.0, lambda v: v * 2, 0.5]),
}  # fmt: skip
SHAPE_ONLY = {"empty_like"}


def wrapped(x):
    if isinstance(x, np.ndarray):
        return Tensor(x)
    if isinstance(x, list) and any(isinstance(v, np.ndarray) for v in x):
        return [wrapped(v) for v in x]
    return x


@pytest.mark.parametrize("name", NUMPY)
def test_numpy(name: str) -> None:
    args = NUMPY[name]
    function = getattr(mnp, name)
    if name == "apply_over_axes":
        found = function(ops.sum, *map(wrapped, args[1:]))
    else:
        found = function(*map(wrapped, args))
    theirs = {"in1d": np.isin, "matrix_power": np.linalg.matrix_power}.get(name) or getattr(
        np, name
    )
    wanted = theirs(*args)
    parts = found if isinstance(found, (tuple, list)) else [found]
    wanted = list(wanted) if name == "indices" else wanted
    others = wanted if isinstance(wanted, (tuple, list)) else [wanted]
    assert len(parts) == len(others)
    for ours, other in zip(parts, others):
        ours = ours.asnumpy() if isinstance(ours, Tensor) else ours
        assert np.shape(ours) == np.shape(other)
        if name not in SHAPE_ONLY:
            np.testing.assert_allclose(ours, other, rtol=2e-6, atol=2e-6)


def test_numpy_grids_and_dtypes() -> None:
    np.testing.assert_array_equal(mnp.mgrid[0:2, 0:3].asnumpy(), np.mgrid[0:2, 0:3])
    for ours, theirs in zip(mnp.ogrid[0:2, 0:3], np.ogrid[0:2, 0:3]):
        np.testing.assert_array_equal(ours.asnumpy(), theirs)
    assert mnp.promote_types("int8", "float16") is ms.float16
    assert mnp.result_type(Tensor(np.int8(1)), "float64", 2.0) is ms.float64
    found = mnp.apply_along_axis(lambda v: ops.stack([v.sum(), v.max()]), 1, Tensor(X))
    np.testing.assert_allclose(found.asnumpy(), np.stack([X.sum(1), X.max(1)], 1))
    assert mnp.array_str(Tensor([1, 2])) == "[1 2]"


# --- moves --------------------------------------------------------------------------------------


def test_blocks() -> None:
    x = Tensor(RNG.normal(size=(2, 3, 4, 6)))
    deep = ops.space_to_depth(x, 2)
    assert deep.shape == (2, 12, 2, 3)
    np.testing.assert_array_equal(ops.depth_to_space(deep, 2).asnumpy(), x.asnumpy())
    np.testing.assert_array_equal(deep.asnumpy()[:, :3], x.asnumpy()[..., ::2, ::2])
    batch = ops.space_to_batch_nd(x, [2, 3], [[0, 0], [1, 2]])
    assert batch.shape == (12, 3, 2, 3)
    back = ops.batch_to_space_nd(batch, [2, 3], [[0, 0], [1, 2]])
    np.testing.assert_array_equal(back.asnumpy(), x.asnumpy())
    columns = ops.unfold(x, 2, stride=2)
    columns = columns.reshape(2, 3, 4, 6)
    images = ops.col2im(columns, (4, 6), 2, 1, 0, 2)
    np.testing.assert_allclose(images.asnumpy(), x.asnumpy())


@pytest.mark.parametrize("k", [0, 1, -1, (-1, 1)])
@pytest.mark.parametrize("align", ["RIGHT_LEFT", "LEFT_RIGHT", "LEFT_LEFT", "RIGHT_RIGHT"])
def test_diagonals(k, align: str) -> None:
    x = Tensor(X[None].repeat(2, 0))
    part = ops.matrix_diag_part(x, k, 0, align)
    low, high = (k, k) if isinstance(k, int) else k
    rows, columns = np.indices((3, 4))
    band = (columns - rows >= low) & (columns - rows <= high)
    whole = ops.matrix_diag(part, k, 3, 4, 0, align).asnumpy()
    np.testing.assert_array_equal(whole[0], np.where(band, X, 0))
    other = ops.matrix_set_diag(x * 0 + 9, part, k, align).asnumpy()
    np.testing.assert_array_equal(other[1], np.where(band, X, 9))
    if isinstance(k, int):
        np.testing.assert_array_equal(part.asnumpy()[0], np.diagonal(X, k))


def test_choices() -> None:
    x = Tensor(P)
    value, place = ops.mode(x, 1)
    for row, v, p in zip(P, value.tolist(), place.tolist()):
        counts = np.bincount(row)
        assert v == np.argmax(counts)
        assert row[p] == v
        assert v not in row[p + 1 :]
    scores = Tensor(X)
    best = ops.intopk(scores, Tensor(np.argmax(X, 1)), 1)
    assert best.tolist() == [True] * 3
    values, at = ops.unique_with_pad(Tensor([3, 1, 3]), 0)
    assert values.tolist() == [3, 1, 0]
    assert at.tolist() == [0, 1, 0]
    means = ops.sparse_segment_mean(Tensor(X), Tensor([0, 2, 1]), Tensor([0, 0, 2]))
    np.testing.assert_allclose(means.asnumpy(), [(X[0] + X[2]) / 2, X[1] * 0, X[1]])
    np.testing.assert_allclose(ops.batch_dot(scores, Tensor(Y), 1).asnumpy()[:, 0], (X * Y).sum(1))
    assert ops.invert_permutation((2, 0, 1)) == (1, 2, 0)
    assert ops.dist(scores, Tensor(Y), 3.0).item() == pytest.approx(
        (abs(X - Y) ** 3).sum() ** (1 / 3)
    )
    found = ops.cumulative_trapezoid(scores, dim=1).asnumpy()
    np.testing.assert_allclose(found, np.cumsum((X[:, 1:] + X[:, :-1]) / 2, 1))
    assert ops.padding(Tensor([[1.0]]), 3).tolist() == [[1, 0, 0]]
    assert ops.fill_diagonal(Tensor(X), 5.0).asnumpy().diagonal().tolist() == [5.0] * 3


# --- pooling ------------------------------------------------------------------------------------


def windows(x, kernel, stride, of):
    out = [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], kernel, stride)]
    found = np.empty((*x.shape[:2], *out))
    for at in np.ndindex(*out):
        box = tuple(slice(i * s, i * s + k) for i, s, k in zip(at, stride, kernel))
        found[(slice(None), slice(None), *at)] = of(x[(slice(None), slice(None), *box)], (2, 3, 4))
    return found


def test_volumes() -> None:
    x, kernel, stride = Tensor(VOLUME), (2, 3, 2), (2, 1, 1)
    found = ops.avg_pool3d(x, kernel, stride).asnumpy()
    np.testing.assert_allclose(found, windows(VOLUME, kernel, stride, np.mean))
    found = ops.max_pool3d(x, kernel, stride).asnumpy()
    np.testing.assert_array_equal(found, windows(VOLUME, kernel, stride, np.max))
    wide = np.pad(VOLUME, ((0, 0), (0, 0), (1, 1), (1, 1), (1, 1)))
    found = ops.avg_pool3d(x, 3, 1, 1).asnumpy()
    np.testing.assert_allclose(found, windows(wide, (3, 3, 3), (1, 1, 1), np.mean))
    found = ops.adaptive_avg_pool3d(x, (3, 2, None)).asnumpy()
    np.testing.assert_allclose(found, windows(VOLUME, (2, 2, 1), (2, 2, 1), np.mean))
    found = ops.adaptive_max_pool3d(x, (3, 2, 5)).asnumpy()
    np.testing.assert_array_equal(found, windows(VOLUME, (2, 2, 1), (2, 2, 1), np.max))
    line = Tensor(X[None])
    found = ops.lp_pool1d(line, 2, 2).asnumpy()
    np.testing.assert_allclose(found[0, :, 0], np.sqrt((X[:, :2] ** 2).sum(1)))


def test_areas_of_sequences_and_volumes() -> None:
    line = Tensor(X[None])
    found = ops.interpolate(line, size=2, mode="area").asnumpy()
    np.testing.assert_allclose(found[0], X.reshape(3, 2, 2).mean(2))
    found = ops.interpolate(Tensor(VOLUME), size=(3, 2, 5), mode="area").asnumpy()
    np.testing.assert_allclose(found, windows(VOLUME, (2, 2, 1), (2, 2, 1), np.mean))


def test_unpooling() -> None:
    x = Tensor(VOLUME[:, :, 0, :, :4])
    values, places = ops.max_pool2d(x, 2, 2, return_indices=True)
    back = ops.max_unpool2d(values, places, 2).asnumpy()
    assert back.shape == x.shape
    again = ops.max_pool2d(Tensor(np.where(back == 0, -9, back)), 2, 2)
    np.testing.assert_array_equal(again.asnumpy(), values.asnumpy())


# --- images -------------------------------------------------------------------------------------


def test_sampling() -> None:
    """At the centres of pixels, `grid_sample` gives the image; shifted by one, its neighbours."""
    x = Tensor(VOLUME[:, :, 0])
    unit = np.broadcast_to(np.array([[1.0, 0, 0], [0, 1, 0]]), (2, 2, 3))
    for corners in (False, True):
        grid = ops.affine_grid(Tensor(unit.copy()), x.shape, corners)
        for mode in ("bilinear", "nearest"):
            found = ops.grid_sample(x, grid, mode, "border", corners).asnumpy()
            np.testing.assert_allclose(found, x.asnumpy(), atol=1e-12)
    step = np.array([[1.0, 0, 2 / 5], [0, 1, 0]])
    grid = ops.affine_grid(Tensor(np.stack([step, step])), x.shape)
    outside = {"zeros": 0.0, "border": x.asnumpy()[..., -1], "reflection": x.asnumpy()[..., -1]}
    for padding, last in outside.items():
        found = ops.grid_sample(x, grid, "bilinear", padding).asnumpy()
        np.testing.assert_allclose(found[..., :-1], x.asnumpy()[..., 1:], atol=1e-12)
        np.testing.assert_allclose(
            found[..., -1], np.broadcast_to(last, found[..., -1].shape), atol=1e-12
        )
    volume = Tensor(VOLUME)
    unit = np.broadcast_to(np.eye(3, 4), (2, 3, 4))
    grid = ops.affine_grid(Tensor(unit.copy()), volume.shape)
    np.testing.assert_allclose(ops.grid_sample(volume, grid).asnumpy(), VOLUME, atol=1e-12)


def test_boxes() -> None:
    a = np.array([[0.0, 0, 9, 9], [5, 5, 14, 9]])
    found = ops.iou(Tensor(a), Tensor(a)).asnumpy()
    np.testing.assert_allclose(found, [[1, 25 / 125], [25 / 125, 1]])
    b = a + np.array([1.0, 2, 3, 4])
    deltas = ops.bounding_box_encode(Tensor(a), Tensor(b))
    back = ops.bounding_box_decode(Tensor(a), deltas, (100, 100)).asnumpy()
    np.testing.assert_allclose(back, b)
    assert ops.check_valid(Tensor(a), Tensor([12.0, 12.0, 1.0])).tolist() == [True, False]
    x = np.abs(VOLUME[:, :, 0])
    found = ops.lrn(Tensor(x), 1, 1.0, 0.5, 0.75).asnumpy()
    sums = sum(np.pad(x**2, ((0, 0), (1, 1), (0, 0), (0, 0)))[:, i : i + 3] for i in range(3))
    np.testing.assert_allclose(found, x / (1 + 0.5 * sums) ** 0.75)


# --- losses -------------------------------------------------------------------------------------


def test_margins() -> None:
    target = np.array([1, 0, 3])
    hinge = np.maximum(0, 1 - X[np.arange(3), target][:, None] + X)
    hinge[np.arange(3), target] = 0
    found = ops.multi_margin_loss(Tensor(X), Tensor(target), reduction="none").asnumpy()
    np.testing.assert_allclose(found, hinge.sum(1) / 4)
    labels = np.array([[1, 3, -1, 0], [2, -1, 0, 1], [-1, 0, 0, 0]])
    wanted = []
    for row, classes in zip(X, labels):
        own = list(classes[: list(classes).index(-1)])
        rest = [i for i in range(4) if i not in own]
        wanted.append(sum(max(0, 1 - (row[j] - row[i])) for j in own for i in rest) / 4)
    found = ops.multilabel_margin_loss(Tensor(X), Tensor(labels), "none").asnumpy()
    np.testing.assert_allclose(found, wanted)
    y = (Y > 0).astype(float)
    wanted = np.logaddexp(0, X) - X * y
    found = ops.multilabel_soft_margin_loss(Tensor(X), Tensor(y)).item()
    assert found == pytest.approx(wanted.mean())


# --- classes and methods ------------------------------------------------------------------------

A = RNG.uniform(-1, 1, (3, 3)) + 2 * np.eye(3)
IMAGE = VOLUME[:, :, 0]
CLASSES = {
    "BesselI0": ((), (X,), "bessel_i0"), "Igamma": ((), (abs(X), abs(Y)), "igamma"),
    "Gcd": ((), (P, P + 1), "gcd"),
    "Cross": ((1,), (X[:, :3], Y[:, :3]), lambda a, b: ops.cross(a, b, 1)),
    "CholeskySolve": ((), (A, A), "cholesky_solve"), "MatrixExp": ((), (A,), "matrix_exp"),
    "MatrixSolve": ((), (A, A), "matrix_solve"), "Qr": ((), (A,), "qr"),
    "Svd": ((), (A,), "svd"), "Lstsq": ((), (A, A), "lstsq"), "Geqrf": ((), (A,), "geqrf"),
    "MatrixTriangularSolve": ((), (A, A), "matrix_triangular_solve"),
    "Mvlgamma": ((2,), (abs(X) + 1,), lambda x: ops.mvlgamma(x, 2)),
    "SpaceToDepth": ((2,), (IMAGE[..., :4],), lambda x: ops.space_to_depth(x, 2)),
    "InTopK": ((2,), (X, np.array([0, 1, 2])), lambda x, y: ops.intopk(x, y, 2)),
    "ReduceStd": ((1,), (X,), lambda x: ops.std_mean(x, 1, 1)),
    "SplitV": (([1, 3], 1), (X,), lambda x: ops.split(x, [1, 3], 1)),
    "EuclideanNorm": ((), (X, [0, 1]), lambda x, axes: ops.sqrt((x * x).sum())),
    "EqualCount": ((), (P, P), lambda x, y: Tensor([12]).astype("int32")),
    "NthElement": ((True,), (X, 1), lambda x, n: ops.sort(x, 1, True)[0][:, 1]),
    "LowerBound": ((), (np.sort(X, 1), Y), lambda x, y: ops.searchsorted(x, y).astype("int32")),
    "SegmentSum": ((), (X, [0, 0, 1]), lambda x, i: ops.stack([x[0] + x[1], x[2]])),
    "SegmentMean": ((), (X, [0, 0, 1]), lambda x, i: ops.stack([(x[0] + x[1]) / 2, x[2]])),
    "SquareSumAll": ((), (X, Y), lambda x, y: ((x * x).sum(), (y * y).sum())),
    "ResizeBilinear": (
        ((8, 6), False, True), (IMAGE,), lambda x: ops.interpolate(x, (8, 6), mode="bilinear"),
    ),
    "Im2Col": ((2,), (IMAGE,), lambda x: ops.unfold(x, 2).reshape(2, 3, 4, -1)),
    "TrilIndices": ((3, 4), (), lambda: ops.tril_indices(3, 4).astype("int32")),
    "LogSpace": ((4,), (0.0, 1.0), lambda a, b: ops.logspace(a, b, 4)),
    "CumulativeLogsumexp": (
        (False, True), (X, 1), lambda x, n: ops.flip(ops.logcumsumexp(ops.flip(x, (1,)), 1), (1,)),
    ),
    "TripletMarginLoss": (
        (), (X, Y, X + Y, 1.0), lambda a, b, c, m: ops.triplet_margin_loss(a, b, c),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name: str) -> None:
    options, args, function = CLASSES[name]
    given = [Tensor(a) if isinstance(a, np.ndarray) else a for a in args]
    found = getattr(ops, name)(*options)(*given)
    wanted = (getattr(ops, function) if isinstance(function, str) else function)(*given)
    for ours, other in zip(*(v if isinstance(v, (tuple, list)) else [v] for v in (found, wanted))):
        assert ours.dtype is other.dtype
        np.testing.assert_allclose(ours.asnumpy(), other.asnumpy())


def test_tridiagonal_and_transposed_convolution() -> None:
    above, own, below = (RNG.normal(size=(1, 3)) for _ in range(3))
    whole = np.diag(own[0]) + np.diag(above[0, :2], 1) + np.diag(below[0, 1:], -1)
    found = ops.TridiagonalMatMul()(*(Tensor(d) for d in (above, own, below)), Tensor(A))
    np.testing.assert_allclose(found.asnumpy(), whole @ A)
    x, w = Tensor(IMAGE), Tensor(RNG.normal(size=(4, 3, 2, 2)))
    out = ops.conv2d(x, w, stride=2)
    back = ops.Conv2DTranspose(4, 2, stride=2)(out, w, x.shape)
    wanted = ms.grad(lambda x: (ops.conv2d(x, w, stride=2) * ops.stop_gradient(out)).sum())(x)
    np.testing.assert_allclose(back.asnumpy(), wanted.asnumpy())


def test_update_rules() -> None:
    w, m, v = (ms.Parameter(Tensor([1.0, -2.0]), name=n) for n in "wmv")
    g = Tensor([0.5, 0.25])
    ops.ApplyGradientDescent()(w, 0.1, g)
    assert w.asnumpy() == pytest.approx([0.95, -2.025])
    ops.ApplyMomentum()(w, m, 0.1, g, 0.9)
    assert m.asnumpy() == pytest.approx([1.4, -1.55])
    assert w.asnumpy() == pytest.approx([0.81, -1.87])
    m.set_data(Tensor([0.0, 0.0]))
    v.set_data(Tensor([0.0, 0.0]))
    ops.Adam()(w, m, v, 0.9, 0.999, 0.1, 0.9, 0.999, 1e-8, g)
    assert w.asnumpy() == pytest.approx([0.71, -1.97], rel=1e-5)


def test_methods() -> None:
    x = Tensor(X)
    values, at = x.argmax_with_value(1)
    assert at.tolist() == X.argmax(1).tolist()
    assert values.tolist() == X.max(1).tolist()
    flat = X.ravel().tolist()
    assert x.as_strided((2, 3), (1, 2), 1).tolist() == [flat[1:7:2], flat[2:8:2]]
    picked = Tensor(P % 3).choose([x, Tensor(Y), x + 1])
    np.testing.assert_array_equal(picked.asnumpy(), np.choose(P % 3, [X, Y, X + 1]))
    assert x.sum_to_size(1, 4).asnumpy() == pytest.approx(X.sum(0, keepdims=True))
    assert x.resize(2, 2).tolist() == X.ravel()[:4].reshape(2, 2).tolist()
    assert x.resize(14).tolist() == [*X.ravel().tolist(), 0, 0]
    changed = x.itemset((1, 2), 5.0)
    assert changed[1, 2].item() == 5.0
    assert x[1, 2].item() == X[1, 2]
    assert x.scatter_mul(Tensor([[0, 1]]), Tensor([2.0])).asnumpy()[0, 1] == X[0, 1] * 2
    put = x.put_along_axis(Tensor([[0], [1], [2]]), 9.0, 1).asnumpy()
    assert [put[i, i] for i in range(3)] == [9.0] * 3
    assert Tensor.from_numpy(X).shape == (3, 4)
    assert x.is_signed()
    assert not x.has_init
    assert x.approximate_equal(x).all()


def test_gradients_of_what_is_new() -> None:
    """Against central differences, along one direction."""
    grid = RNG.uniform(-0.9, 0.9, (2, 3, 3, 2))
    cases = [
        (lambda x: ops.grid_sample(x, Tensor(grid)), VOLUME[:, :, 0]),
        (lambda g: ops.grid_sample(Tensor(VOLUME[:, :, 0]), g), grid),
        (lambda x: ops.max_pool3d(x, 2), VOLUME),
        (lambda x: ops.avg_pool3d(x, 2), VOLUME),
        (lambda x: ops.matrix_diag_part(x, (-1, 1)), X),
        (lambda x: ops.multi_margin_loss(x, Tensor([1, 0, 3])), X),
        (lambda x: ops.space_to_batch_nd(x, 2, [[1, 1], [0, 0]]), VOLUME[0, 0, :5, :, :4]),
        (lambda x: mnp.interp(x, Tensor(np.sort(W)), Tensor(W)), V / 4),
        (lambda x: mnp.unwrap(x), V),
        (lambda x: ops.lrn(x, 1), VOLUME[:, :, 0]),
    ]
    for function, x in cases:
        direction = RNG.normal(size=x.shape)

        def along(t, function=function, x=x, direction=direction):
            return ops.sin(function(Tensor(x) + t * Tensor(direction))).sum()

        slope = ms.jit(ms.grad(along))(Tensor(np.float64(0))).item()
        ends = [along(Tensor(np.float64(s * 1e-6))).item() for s in (1, -1)]
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6)
    assert math.isfinite(slope)
    assert mint.special.sinc is ops.sinc
