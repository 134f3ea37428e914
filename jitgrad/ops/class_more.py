"""More rows of which `classes` makes the Primitive classes; see `class_table`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.ir.types import float32, int32, int64
from jitgrad.ops import (
    class_images,
    conv,
    creation,
    ctc,
    decompose,
    fourier,
    gathering,
    image,
    joining,
    linalg,
    loss,
    margins,
    norms,
    random,
    rearranging,
    scientific,
    searching,
    shaping,
    slicing,
    solving,
    sorting,
    special,
    splitting,
    state,
    updates,
    vision,
    volumes,
)
from jitgrad.ops import compare as c
from jitgrad.ops import complex_numbers as cx
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.conv3d import conv3d
from jitgrad.ops.promote import floating, static, tensor

BESSEL = {
    f"Bessel{name[0].upper()}{name[1:]}": getattr(scientific, f"bessel_{name}")
    for name in ("i0", "i0e", "i1", "i1e", "j0", "j1", "k0", "k0e", "k1", "k1e", "y0", "y1")
}


def _segments(kind: str) -> Callable:
    """Segments of ids in ascending order: as many as the last id says."""
    function = getattr(gathering, f"unsorted_segment_{kind}")

    def call(input_x, segment_ids):
        ids = static(f"Segment{kind}", "segment_ids", tensor("Segment", segment_ids))
        return function(input_x, segment_ids, (ids[-1] if ids else -1) + 1)

    return call


def _segment_mean(input_x, segment_ids):
    x = floating("SegmentMean", input_x)
    sums = _segments("sum")(x, segment_ids)
    counts = _segments("sum")(creation.ones((x.shape[0],), x.dtype), segment_ids)
    shape = (sums.shape[0], *(1,) * (x.ndim - 1))
    return e.div(sums, e.maximum(shaping.reshape(counts, shape), 1))


def _sigmoid_cross_entropy(logits, label):
    return loss.binary_cross_entropy_with_logits(logits, label, reduction="none")


def _tridiagonal(superdiag, maindiag, subdiag, rhs):
    """A matrix of three diagonals times another; each diagonal has as many elements as rows."""
    above, own, below = (tensor("TridiagonalMatMul", d)[..., 0, :] for d in
                         (superdiag, maindiag, subdiag))  # fmt: skip
    x = tensor("TridiagonalMatMul", rhs)
    zero = x[..., :1, :] * 0
    up = joining.concat((x[..., 1:, :], zero), -2)
    down = joining.concat((zero, x[..., :-1, :]), -2)
    parts = ((above, up), (own, x), (below, down))
    return special.addn([e.mul(shaping.expand_dims(d, -1), v) for d, v in parts])


def _bound(right: bool) -> Callable:
    return lambda out_type=int32: (
        lambda sorted_x, values: state.cast(
            searching.searchsorted(sorted_x, values, right=right), out_type
        )
    )


def _embedding_lookup(input_params, input_indices, offset):
    """Rows by index, less an offset; zeros for an index outside."""
    at = e.sub(gathering.indices_of("EmbeddingLookup", input_indices), offset)
    table = tensor("EmbeddingLookup", input_params)
    inside = c.logical_and(c.ge(at, 0), c.lt(at, table.shape[0]))
    rows = gathering.gather(table, c.where(inside, at, 0), 0)
    return c.where(shaping.reshape(inside, (*at.shape, *(1,) * (table.ndim - 1))), rows, 0)


def _hamming_window(periodic=True, alpha=0.54, beta=0.46, dtype=float32):
    def call(length):
        (count,) = np.ravel(static("HammingWindow", "length", length))
        return creation.hamming_window(int(count), periodic, alpha, beta, dtype=dtype)

    return call


MORE_PLAIN: dict[str, Callable] = {
    **BESSEL,
    **class_images.PLAIN,
    **{f"Segment{kind.title()}": _segments(kind) for kind in ("sum", "max", "min", "prod")},
    "Betainc": scientific.betainc, "Bincount": lambda array, size, weights: gathering.bincount(
        array, weights if tensor("Bincount", weights).size else None, int(size)
    ),
    "CheckValid": vision.check_valid,
    "ConjugateTranspose": lambda x, perm: cx.conj(shaping.transpose(x, perm)),
    "Dawsn": scientific.dawsn, "EmbeddingLookup": _embedding_lookup,
    "Eps": slicing.eps, "EqualCount": lambda x, y: shaping.reshape(
        state.cast(r.count_nonzero(c.eq(x, y)), int32), (1,)
    ),
    "Expand": joining.broadcast_to, "Expint": scientific.expint,
    "FillV2": lambda shape, value: creation.full(shape, value), "Gcd": scientific.gcd,
    "Geqrf": decompose.geqrf, "Ger": linalg.outer,
    "IdentityN": lambda x: tuple(map(state.identity, x)), "Igamma": scientific.igamma,
    "Igammac": scientific.igammac, "IndexFill": gathering.index_fill,
    "InvertPermutation": rearranging.invert_permutation, "Lcm": scientific.lcm,
    "LuSolve": decompose.lu_solve,
    "MatrixBandPart": slicing.matrix_band_part, "MatrixExp": solving.matrix_exp,
    "NextAfter": scientific.nextafter, "Orgqr": decompose.orgqr,
    "ParallelConcat": lambda values: joining.concat(values, 0),
    "Polygamma": lambda a, x: scientific.polygamma(static("Polygamma", "a", a), x),
    "ScalarCast": rearranging.scalar_cast, "ScatterNonAliasingAdd": state.scatter_nd_add,
    "SegmentMean": _segment_mean, "SigmoidCrossEntropyWithLogits": _sigmoid_cross_entropy,
    "SparseGatherV2": lambda input_params, input_indices, axis: gathering.gather(
        input_params, input_indices, axis
    ),
    "Spence": scientific.spence,
    "SquareSumAll": lambda input_x, input_y: tuple(
        r.sum(e.square(v)) for v in (input_x, input_y)
    ),
    "TridiagonalMatMul": _tridiagonal, "UniqueWithPad": rearranging.unique_with_pad,
    "UnravelIndex": rearranging.unravel_index, "Zeta": scientific.zeta,
}  # fmt: skip


def _running_logsumexp(x: Any, axis: int, exclusive: bool, reverse: bool) -> Any:
    x = floating("CumulativeLogsumexp", x)
    x = shaping.flip(x, (axis,)) if reverse else x
    out = sorting.logcumsumexp(x, axis)
    if exclusive:
        first = splitting.narrow(out, axis, 0, 1) * 0 + float("-inf")
        out = joining.concat((first, splitting.narrow(out, axis, 0, x.shape[axis] - 1)), axis)
    return shaping.flip(out, (axis,)) if reverse else out


def _last(x: Any, n: Any, reverse: bool) -> Any:
    place = int(static("NthElement", "n", n))
    return sorting.sort(x, -1, reverse)[0][..., place]


def _batch_norm(is_training=False, epsilon=1e-5, momentum=0.1, data_format="NCHW"):
    def call(input_x, scale, bias, mean, variance):
        out = norms.batch_norm(input_x, mean, variance, scale, bias, is_training, momentum, epsilon)
        return out, mean, variance, mean, variance

    return call


def _conv_transpose(out_channel=0, kernel_size=0, pad_mode="valid", pad=0, pad_list=None, mode=1,
                    stride=1, dilation=1, group=1, data_format="NCHW"):  # fmt: skip
    def call(dout, weight, input_size):
        size = tuple(static("Conv2DTranspose", "input_size", input_size))
        x, w = tensor("Conv2DTranspose", dout), tensor("Conv2DTranspose", weight)
        steps, spread = (conv.pair("Conv2DTranspose", "option", v) for v in (stride, dilation))
        pads = conv.paddings("Conv2DTranspose", pad_mode, pad, size[2:], w.shape[2:], steps, spread)
        reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], spread, strict=True)]
        spans = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], steps, reach, strict=True)]
        more = [n + pads[2 * i] + pads[2 * i + 1] - spans[i] for i, n in enumerate(size[2:])]
        return conv.transposed("Conv2DTranspose", x, w, None, steps, pads, spread, group, more)

    return call


def _pooled_volumes(name: str, kernel_size, strides, pad_mode, pad, pool: Callable) -> Callable:
    kernel, stride = (v if isinstance(v, tuple) else (v,) * 3 for v in (kernel_size, strides))

    def call(x):
        x = tensor(name, x)
        return pool(x, kernel, stride, volumes.around(name, pad_mode, pad, x, kernel, stride))

    return call


def _conv3d(out_channel, kernel_size, mode=1, pad_mode="valid", pad=0, stride=1, dilation=1,
            group=1, data_format="NCDHW"):  # fmt: skip
    return lambda x, weight, bias=None: conv3d(
        x, weight, bias, stride, pad_mode, pad, dilation, group
    )


def _channels_dropped(function: Callable) -> Callable:
    """What is left, and where: the class gives the share that is kept."""

    def make(keep_prob=0.5):
        def call(x):
            kept = function(creation.ones_like(x), 1 - keep_prob)
            return e.mul(x, kept), c.ne(kept, 0)

        return call

    return make


def _windows(ksizes, strides=1, dilations=1, pads=0):
    def call(x):
        x = tensor("Im2Col", x)
        found = image.unfold(x, ksizes, dilations, pads, strides)
        return shaping.reshape(found, (x.shape[0], x.shape[1], -1, found.shape[-1]))

    return call


MORE_OPTIONS: dict[str, Callable] = {
    **class_images.OPTIONS,
    **updates.CLASSES,
    "CTCGreedyDecoder": lambda merge_repeated=True: lambda inputs, sequence_length: (
        ctc.ctc_greedy_decoder(inputs, sequence_length, merge_repeated)
    ),
    "Conv3D": _conv3d,
    "Dropout2D": _channels_dropped(random.dropout2d),
    "Dropout3D": _channels_dropped(random.dropout3d),
    "AdaptiveMaxPool3D": lambda: lambda x, output_size: volumes.adaptive_max_pool3d(
        x, tuple(static("AdaptiveMaxPool3D", "output_size", output_size)), True
    ),
    "MultilabelMarginLoss": lambda reduction="mean": lambda x, target: (
        margins.multilabel_margin_loss(x, target, reduction)
    ),
    "Ormqr": lambda left=True, transpose=False: lambda x, tau, other: decompose.ormqr(
        x, tau, other, left, transpose
    ),
    "Pdist": lambda p=2.0: lambda x: slicing.pdist(x, p),
    "RandomShuffle": lambda seed=0, seed2=0: lambda x: random.shuffle(x, seed or None),
    "AdaptiveAvgPool2D": lambda output_size: lambda x: image.adaptive_avg_pool2d(x, output_size),
    "AdaptiveAvgPool3D": lambda output_size: lambda x: volumes.adaptive_avg_pool3d(x, output_size),
    "AdaptiveMaxPool2D": lambda output_size: lambda x: image.adaptive_max_pool2d(
        x, output_size, True
    ),
    "AffineGrid": lambda align_corners=False: lambda theta, output_size: vision.affine_grid(
        theta, output_size, align_corners
    ),
    "AvgPool3D": lambda kernel_size=1, strides=1, pad_mode="valid", pad=0, ceil_mode=False,
    count_include_pad=True, divisor_override=0, data_format="NCDHW": _pooled_volumes(
        "AvgPool3D", kernel_size, strides, pad_mode, pad, lambda x, *sizes: volumes.avg_pool3d(
            x, *sizes, ceil_mode, count_include_pad and pad_mode.lower() == "pad", divisor_override
        ),
    ),
    "BatchNorm": _batch_norm,
    "BatchToSpace": lambda block_size, crops: lambda x: rearranging.batch_to_space_nd(
        x, [block_size] * 2, crops
    ),
    "BatchToSpaceND": lambda block_shape, crops: lambda x: rearranging.batch_to_space_nd(
        x, block_shape, crops
    ),
    "Bernoulli": lambda seed=-1, offset=0: lambda x, p: random.bernoulli(x, p),
    "BoundingBoxDecode": lambda max_shape, means=(0.0,) * 4, stds=(1.0,) * 4,
    wh_ratio_clip=0.016: lambda anchor_box, deltas: vision.bounding_box_decode(
        anchor_box, deltas, max_shape, means, stds, wh_ratio_clip
    ),
    "BoundingBoxEncode": lambda means=(0.0,) * 4, stds=(1.0,) * 4: lambda anchor_box, box: (
        vision.bounding_box_encode(anchor_box, box, means, stds)
    ),
    "Bucketize": lambda boundaries: lambda input: searching.bucketize(
        input, boundaries, right=True
    ),
    "CholeskyInverse": lambda upper=False: lambda x: decompose.cholesky_inverse(x, upper),
    "CholeskySolve": lambda upper=False: lambda x1, x2: decompose.cholesky_solve(x1, x2, upper),
    "Col2Im": lambda kernel_size, dilation=1, padding=0, stride=1: lambda x, output_size: (
        rearranging.col2im(x, output_size, kernel_size, dilation, padding, stride)
    ),
    "Conv2DTranspose": _conv_transpose,
    "Cross": lambda dim=-65530: lambda x1, x2: linalg.cross(
        x1, x2, None if dim == -65530 else dim
    ),
    "CumulativeLogsumexp": lambda exclusive=False, reverse=False: lambda x, axis: (
        _running_logsumexp(x, int(static("CumulativeLogsumexp", "axis", axis)), exclusive, reverse)
    ),
    "DepthToSpace": lambda block_size: lambda x: rearranging.depth_to_space(x, block_size),
    "Eig": lambda compute_v=False: lambda x: decompose.eig(x) if compute_v else (
        decompose.eigvals(x)
    ),
    "EuclideanNorm": lambda keep_dims=False: lambda x, axes: norms.vector_norm(
        x, 2, tuple(static("EuclideanNorm", "axes", axes)), keep_dims
    ),
    "FillDiagonal": lambda fill_value, wrap=False: lambda x: rearranging.fill_diagonal(
        x, fill_value, wrap
    ),
    "GridSampler2D": lambda interpolation_mode="bilinear", padding_mode="zeros",
    align_corners=False: lambda x, grid: vision.grid_sample(
        x, grid, interpolation_mode, padding_mode, align_corners
    ),
    "FFTWithSize": fourier.with_size,
    "GridSampler3D": lambda interpolation_mode="bilinear", padding_mode="zeros",
    align_corners=False: lambda x, grid: vision.grid_sample(
        x, grid, interpolation_mode, padding_mode, align_corners
    ),
    "HammingWindow": _hamming_window,
    "Histogram": lambda bins=100, min=0.0, max=0.0: lambda x: searching.histc(x, bins, min, max),
    "IOU": lambda mode="iou": lambda anchor_boxes, gt_boxes: vision.iou(
        anchor_boxes, gt_boxes, mode
    ),
    "Im2Col": _windows,
    "InTopK": lambda k: lambda x1, x2: rearranging.intopk(x1, x2, k),
    "LowerBound": _bound(False),
    "LRN": lambda depth_radius=5, bias=1.0, alpha=1.0, beta=0.5, norm_region="ACROSS_CHANNELS": (
        lambda x: vision.lrn(x, depth_radius, bias, alpha, beta, norm_region)
    ),
    "LogSpace": lambda steps=10, base=10, dtype=float32: lambda start, end: creation.logspace(
        start, end, steps, base, dtype=dtype
    ),
    "Lstsq": lambda fast=True, l2_regularizer=0.0: lambda x, a: solving.lstsq(x, a),
    "LuUnpack": lambda unpack_data=True, unpack_pivots=True: lambda data, pivots: (
        decompose.lu_unpack(data, pivots, unpack_data, unpack_pivots)
    ),
    "MatrixDiagPartV3": lambda align="RIGHT_LEFT": lambda x, k, padding_value: (
        rearranging.matrix_diag_part(x, k, padding_value, align)
    ),
    "MatrixDiagV3": lambda align="RIGHT_LEFT": lambda x, k, rows, columns, padding_value: (
        rearranging.matrix_diag(x, k, rows, columns, padding_value, align)
    ),
    "MatrixPower": lambda n: lambda x: solving.matrix_power(x, n),
    "MatrixSetDiagV3": lambda align="RIGHT_LEFT": lambda x, diagonal, k: (
        rearranging.matrix_set_diag(x, diagonal, k, align)
    ),
    "MatrixSolve": lambda adjoint=False: lambda matrix, rhs: solving.matrix_solve(
        matrix, rhs, adjoint
    ),
    "MatrixTriangularSolve": lambda lower=True, adjoint=False: lambda matrix, rhs: (
        solving.matrix_triangular_solve(matrix, rhs, lower, adjoint)
    ),
    "MaxPool3D": lambda kernel_size=1, strides=1, pad_mode="VALID", pad_list=0, ceil_mode=None,
    data_format="NCDHW": _pooled_volumes(
        "MaxPool3D", kernel_size, strides, pad_mode, pad_list,
        lambda x, *sizes: volumes.max_pool3d(x, *sizes, 1, bool(ceil_mode)),
    ),
    "MaxUnpool2D": lambda ksize, strides=0, pads=0, output_shape=(): lambda x, argmax: (
        volumes.max_unpool2d(x, argmax, ksize, strides or None, pads, output_shape)
    ),
    "MultiMarginLoss": lambda p=1, margin=1.0, reduction="mean": lambda x, target, weight=None: (
        margins.multi_margin_loss(x, target, p, margin, weight, reduction)
    ),
    "Multinomial": lambda seed=0, seed2=0, dtype=int32: lambda x, num_samples: state.cast(
        random.multinomial(x, num_samples, True, seed or None), dtype
    ),
    "Mvlgamma": lambda p: lambda x: special.mvlgamma(x, p),
    "NthElement": lambda reverse=False: lambda input, n: _last(input, n, reverse),
    "Padding": lambda pad_dim_size=8: lambda x: rearranging.padding(x, pad_dim_size),
    "Qr": lambda full_matrices=False: lambda x: decompose.qr(
        x, "complete" if full_matrices else "reduced"
    ),
    "Randperm": lambda max_length=1, pad=-1, dtype=int32: lambda n: random.randperm(
        int(static("Randperm", "n", n)), dtype=dtype
    ),
    "ReduceStd": lambda axis=(), unbiased=True, keep_dims=False: lambda x: r.std_mean(
        x, axis or None, int(unbiased), keep_dims
    ),
    "SearchSorted": lambda dtype=int64, right=False: lambda sorted_sequence, values: state.cast(
        searching.searchsorted(sorted_sequence, values, right=right), dtype
    ),
    "SpaceToBatchND": lambda block_shape, paddings: lambda x: rearranging.space_to_batch_nd(
        x, block_shape, paddings
    ),
    "SpaceToDepth": lambda block_size: lambda x: rearranging.space_to_depth(x, block_size),
    "SplitV": lambda size_splits, split_dim, num_split=0: lambda x: splitting.split(
        x, list(size_splits), split_dim
    ),
    "STFT": lambda n_fft, hop_length, win_length, normalized, onesided, return_complex: (
        lambda x, window: fourier.stft(
            x, n_fft, hop_length, win_length, window, False, "REFLECT", normalized, onesided,
            return_complex,
        )
    ),
    "StandardLaplace": lambda seed=0, seed2=0: lambda shape: random.standard_laplace(
        shape, seed or None
    ),
    "Svd": lambda full_matrices=False, compute_uv=True: lambda input: decompose.svd(
        input, full_matrices, compute_uv
    ),
    "TrilIndices": lambda row, col, offset=0, dtype=int32: lambda: creation.tril_indices(
        row, col, offset, dtype=dtype
    ),
    "TriuIndices": lambda row, col, offset=0, dtype=int32: lambda: creation.triu_indices(
        row, col, offset, dtype=dtype
    ),
    "TripletMarginLoss": lambda p=2, swap=False, eps=1e-6, reduction="mean": (
        lambda x, positive, negative, margin: loss.triplet_margin_loss(
            x, positive, negative, static("TripletMarginLoss", "margin", margin), p, eps, swap,
            reduction,
        )
    ),
    "TruncatedNormal": lambda seed=0, seed2=0, dtype=float32: lambda shape: (
        random.truncated_normal(shape, dtype, seed or None)
    ),
    "UniformInt": lambda seed=0, seed2=0: lambda shape, minval, maxval: random.uniform(
        shape, minval, maxval, seed or None, int32
    ),
    "UpperBound": _bound(True),
    "UniqueConsecutive": lambda return_inverse=False, return_counts=False, dim=None: lambda x: (
        searching.unique_consecutive(x, return_inverse, return_counts, dim)
    ),
}  # fmt: skip

__all__ = ["MORE_OPTIONS", "MORE_PLAIN"]
