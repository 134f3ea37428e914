"""The rows of which `classes` makes the Primitive classes.

A row is a function, for a class without options; or a function of the options that returns the
function to call.
"""

from __future__ import annotations

from collections.abc import Callable

from jitgrad.ir.types import int32, int64
from jitgrad.ops import (
    activation,
    conv,
    creation,
    decompose,
    einstein,
    gathering,
    joining,
    linalg,
    loops,
    loss,
    norms,
    random,
    searching,
    shaping,
    slicing,
    solving,
    sorting,
    special,
    splitting,
    state,
)
from jitgrad.ops import compare as c
from jitgrad.ops import complex_numbers as cx
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.promote import axis_of, static, tensor


def _real_div(x, y):
    """x / y; the quotient of integers without what is after the point, as on MindSpore's CPU."""
    both = [tensor("RealDiv", v) for v in (x, y)]
    return special.truncate_div(x, y) if all(v.dtype.is_int for v in both) else e.div(x, y)


# --- classes without options --------------------------------------------------------------------

PLAIN: dict[str, Callable] = {
    "ACos": e.acos, "Abs": e.abs, "AccumulateNV2": special.addn, "Acosh": e.acosh, "Add": e.add,
    "AddN": special.addn, "Addcdiv": special.addcdiv, "Addcmul": special.addcmul,
    "Angle": cx.angle, "Asin": e.asin, "Asinh": e.asinh, "Assign": state.assign,
    "AssignAdd": state.assign_add, "AssignSub": state.assign_sub, "Atan": e.atan, "Atan2": e.atan2,
    "Atanh": e.atanh, "BitwiseAnd": c.bitwise_and, "BitwiseOr": c.bitwise_or,
    "BitwiseXor": c.bitwise_xor, "Cast": state.cast, "Ceil": e.ceil,
    "Cholesky": decompose.cholesky, "Complex": cx.complex_, "ComplexAbs": e.abs,
    "Conj": cx.conj, "Cos": e.cos, "Cosh": e.cosh,
    "DType": state.dtype, "Dense": conv.dense, "Depend": state.depend, "Diag": linalg.diag,
    "DiagPart": linalg.diag_part, "Digamma": e.digamma, "Div": e.div,
    "DivNoNan": special.div_no_nan,
    "Equal": c.eq, "Erf": e.erf, "Erfc": e.erfc, "Erfinv": e.erfinv, "Exp": e.exp,
    "ExpandDims": shaping.expand_dims, "Expm1": e.expm1, "Eye": creation.eye,
    "FastGeLU": activation.fast_gelu, "Fill": creation.fill_, "Flatten": shaping.flatten,
    "Floor": e.floor, "FloorDiv": e.floor_divide, "FloorMod": e.remainder, "Fmax": special.fmax,
    "Fmin": special.fmin, "ForiLoop": loops.fori_loop, "GatherD": gathering.gather_d,
    "GatherNd": gathering.gather_nd, "Greater": c.gt, "GreaterEqual": c.ge,
    "HSigmoid": activation.hardsigmoid, "HSwish": activation.hardswish,
    "Heaviside": special.heaviside, "Hypot": special.hypot, "Identity": state.identity,
    "Imag": cx.imag, "Inv": e.reciprocal, "Invert": c.bitwise_not, "IsFinite": c.isfinite,
    "IsInf": c.isinf, "IsNan": c.isnan, "LeftShift": c.bitwise_left_shift, "Lerp": special.lerp,
    "Less": c.lt, "LessEqual": c.le, "Lgamma": e.lgamma, "LinSpace": creation.linspace,
    "Log": e.log, "Log1p": e.log1p, "LogMatrixDeterminant": solving.slogdet,
    "LogicalAnd": c.logical_and, "LogicalNot": c.logical_not, "LogicalOr": c.logical_or,
    "LogicalXor": c.logical_xor, "MaskedFill": gathering.masked_fill,
    "MaskedScatter": gathering.masked_scatter, "MaskedSelect": gathering.masked_select,
    "MatrixDeterminant": solving.det, "Maximum": e.maximum,
    "Minimum": e.minimum, "Mish": activation.mish, "Mod": e.fmod, "Mul": e.mul,
    "MulNoNan": special.mul_no_nan, "Neg": e.neg, "NonZero": searching.nonzero, "NotEqual": c.ne,
    "Ones": creation.ones, "OnesLike": creation.ones_like, "PReLU": activation.prelu,
    "PopulationCount": special.population_count, "Pow": e.pow, "Print": state.print_,
    "Polar": cx.polar, "Rank": state.rank, "ReLU": activation.relu, "ReLU6": activation.relu6,
    "Real": cx.real,
    "RealDiv": _real_div, "Reciprocal": e.reciprocal, "Reshape": shaping.reshape,
    "RightShift": c.bitwise_right_shift, "Rint": e.rint, "Round": e.round, "Rsqrt": e.rsqrt,
    "ScalarToTensor": state.scalar_to_tensor, "Scan": loops.scan,
    "ScatterNd": gathering.scatter_nd, "SeLU": activation.selu, "Select": c.where,
    "Shape": state.shape, "SiLU": activation.silu, "Sigmoid": e.sigmoid, "Sign": e.sign,
    "Sin": e.sin, "Sinc": special.sinc, "Sinh": e.sinh, "Size": state.size,
    "Slice": slicing.slice_, "SoftPlus": activation.softplus, "Softplus": activation.softplus,
    "Softsign": activation.softsign, "Sqrt": e.sqrt, "Square": e.square,
    "SquaredDifference": special.squared_difference, "StopGradient": e.stop_gradient, "Sub": e.sub,
    "Tan": e.tan, "Tanh": e.tanh, "TensorAdd": e.add,
    "TensorScatterAdd": gathering.tensor_scatter_add,
    "TensorScatterDiv": gathering.tensor_scatter_div,
    "TensorScatterMax": gathering.tensor_scatter_max,
    "TensorScatterMin": gathering.tensor_scatter_min,
    "TensorScatterMul": gathering.tensor_scatter_mul,
    "TensorScatterSub": gathering.tensor_scatter_sub,
    "TensorScatterUpdate": gathering.tensor_scatter_update, "TensorShape": state.dyn_shape,
    "Tile": joining.tile, "Trace": linalg.trace, "Transpose": shaping.transpose, "Trunc": e.trunc,
    "TruncateDiv": special.truncate_div, "TruncateMod": e.fmod,
    "TupleToArray": state.tuple_to_array, "Unique": searching.unique,
    "UnsortedSegmentMax": gathering.unsorted_segment_max,
    "UnsortedSegmentMin": gathering.unsorted_segment_min,
    "UnsortedSegmentProd": gathering.unsorted_segment_prod,
    "UnsortedSegmentSum": gathering.unsorted_segment_sum, "WhileLoop": loops.while_loop,
    "Xdivy": special.xdivy, "Xlogy": loss.xlogy, "Zeros": creation.zeros,
    "ZerosLike": creation.zeros_like,
}  # fmt: skip


# --- classes with options -----------------------------------------------------------------------


def _product(function: Callable) -> Callable:
    def make(transpose_a=False, transpose_b=False):
        def call(input, mat2):
            a, b = tensor("MatMul", input), tensor("MatMul", mat2)
            a = shaping.swapaxes(a, -1, -2) if transpose_a else a
            return function(a, shaping.swapaxes(b, -1, -2) if transpose_b else b)

        return call

    return make


def _reduction(function: Callable) -> Callable:
    def make(keep_dims=False, skip_mode=False):
        def call(x, axis=()):
            if skip_mode and axis in ((), []):
                return state.identity(x)
            return function(x, axis, keep_dims)

        return call

    return make


def _extreme(function: Callable) -> Callable:
    def make(axis=0, keep_dims=False):
        def call(input):
            values, at = function(input, axis, keep_dims)
            return at, values

        return call

    return make


def _place(function: Callable) -> Callable:
    def make(axis=-1, output_type=int32):
        return lambda input: state.cast(function(input, axis), output_type)

    return make


def _running(function: Callable) -> Callable:
    def make(exclusive=False, reverse=False):
        return lambda input, axis: function(input, axis, exclusive, reverse)

    return make


def _locked(function: Callable) -> Callable:
    def make(use_locking=False):
        return function

    return make


def _pooled(function: Callable) -> Callable:
    def make(kernel_size=1, strides=1, pad_mode="valid", data_format="NCHW"):
        return lambda x: function(x, kernel_size, strides, pad_mode)

    return make


def _conv2d(out_channel, kernel_size, mode=1, pad_mode="valid", pad=0, stride=1, dilation=1,
            group=1, data_format="NCHW"):  # fmt: skip
    def call(x, weight):
        return conv.conv2d(x, weight, None, stride, pad_mode, pad, dilation, group)

    return call


def _dropout(keep_prob=0.5, Seed0=0, Seed1=0):
    def call(x):
        kept = random.dropout(creation.ones_like(x), 1 - keep_prob)
        return e.mul(x, kept), state.cast(c.ne(kept, 0), tensor("Dropout", x).dtype)

    return call


def _layer_norm(begin_norm_axis=1, begin_params_axis=1, epsilon=1e-07):
    def call(input_x, gamma, beta):
        x = tensor("LayerNorm", input_x)
        first = axis_of("LayerNorm", begin_norm_axis, x.ndim)
        variance, centre = r.var_mean(x, tuple(range(first, x.ndim)), 0, True)
        out = norms.layer_norm(x, x.shape[first:], None, None, epsilon)
        return e.add(e.mul(out, gamma), beta), centre, variance

    return call


def _softmax_cross_entropy():
    def call(logits, labels):
        log = activation.log_softmax(logits, -1)
        losses = e.neg(r.sum(e.mul(log, labels), -1))
        return losses, e.stop_gradient(e.sub(e.exp(log), labels))

    return call


def _sparse_cross_entropy(is_grad=False):
    def call(logits, labels):
        if not is_grad:
            return loss.cross_entropy(logits, labels)
        x = tensor("SparseSoftmaxCrossEntropyWithLogits", logits)
        hot = state.cast(gathering.one_hot(labels, x.shape[-1]), x.dtype)
        return e.div(e.sub(activation.softmax(x), hot), x.shape[0])

    return call


def _nll_loss(reduction="mean", ignore_index=-100):
    def call(logits, labels, weight):
        kept = c.ne(labels, ignore_index)
        weights = gathering.gather(weight, c.where(kept, labels, 0), 0)
        total = r.sum(c.where(kept, weights, 0.0))
        return loss.nll_loss(logits, labels, weight, ignore_index, reduction), total

    return call


def _pad(paddings):
    return lambda x: splitting.padded(
        tensor("Pad", x), [tuple(pair) for pair in paddings], "constant"
    )


def _mirror_pad(mode="REFLECT"):
    def call(x, paddings):
        pairs = [tuple(map(int, pair)) for pair in static("MirrorPad", "paddings", paddings)]
        return splitting.padded(tensor("MirrorPad", x), pairs, mode.lower())

    return call


def _split(axis=0, output_num=1):
    return lambda input_x: splitting.tensor_split(input_x, output_num, axis)


WITH_OPTIONS: dict[str, Callable] = {
    "ApproximateEqual": lambda tolerance=1e-05: lambda x, y: special.approximate_equal(
        x, y, tolerance
    ),
    "ArgMaxWithValue": _extreme(r.max),
    "ArgMinWithValue": _extreme(r.min),
    "Argmax": _place(r.argmax),
    "Argmin": _place(r.argmin),
    "AvgPool": _pooled(conv.average_pool),
    "BatchMatMul": _product(linalg.matmul),
    "BCEWithLogitsLoss": lambda reduction="mean": lambda input, target, weight=None, pos=None: (
        loss.binary_cross_entropy_with_logits(input, target, weight, pos, reduction)
    ),
    "BiasAdd": lambda data_format="NCHW": conv.bias_add,
    "BinaryCrossEntropy": lambda reduction="mean": lambda logits, labels, weight=None: (
        loss.binary_cross_entropy(logits, labels, weight, reduction)
    ),
    "BroadcastTo": lambda shape: lambda input: joining.broadcast_to(input, shape),
    "CeLU": lambda alpha=1.0: lambda x: activation.celu(x, alpha),
    "Concat": lambda axis=0: lambda tensors: joining.concat(tensors, axis),
    "Conv2D": _conv2d,
    "CountNonZero": lambda dims=None: lambda x: r.count_nonzero(x, dims),
    "CumProd": _running(sorting.running_product),
    "CumSum": _running(sorting.running_sum),
    "Cummax": lambda axis: lambda input: sorting.cummax(input, axis),
    "Cummin": lambda axis: lambda input: sorting.cummin(input, axis),
    "Dropout": _dropout,
    "Einsum": lambda equation: lambda inputs: einstein.einsum(equation, *inputs),
    "Elu": lambda alpha=1.0: lambda input_x: activation.elu(input_x, alpha),
    "Gather": lambda batch_dims=0: lambda params, indices, axis: gathering.gather(
        params, indices, axis, batch_dims
    ),
    "GeLU": lambda: lambda input: activation.gelu(input, "tanh"),
    "GLU": lambda axis=-1: lambda x: activation.glu(x, axis),
    "HShrink": lambda lambd=0.5: lambda input: activation.hardshrink(input, lambd),
    "IndexAdd": lambda axis, use_lock=True, check_index_bound=True: lambda x, indices, y: (
        gathering.index_add(x, indices, y, axis)
    ),
    "IsClose": lambda rtol=1e-05, atol=1e-08, equal_nan=False: lambda input, other: c.isclose(
        input, other, rtol, atol, equal_nan
    ),
    "KLDivLoss": lambda reduction="mean": lambda logits, labels: loss.kl_div(
        logits, labels, reduction
    ),
    "L2Loss": lambda: lambda x: e.div(r.sum(e.square(x)), 2),
    "L2Normalize": lambda axis=0, epsilon=0.0001: lambda x: norms.l2_normalize(x, axis, epsilon),
    "LayerNorm": _layer_norm,
    "LogSoftmax": lambda axis=-1: lambda logits: activation.log_softmax(logits, axis),
    "Logit": lambda eps=-1.0: lambda input: activation.logit(input, eps),
    "MatMul": _product(linalg.mm),
    "MaxPool": _pooled(conv.maximum_pool),
    "Meshgrid": lambda indexing="xy": lambda inputs: splitting.meshgrid(*inputs, indexing=indexing),
    "MirrorPad": _mirror_pad,
    "NanToNum": lambda nan=None, posinf=None, neginf=None: lambda input: special.nan_to_num(
        input, nan, posinf, neginf
    ),
    "OneHot": lambda axis=-1: lambda indices, depth, on_value, off_value: gathering.one_hot(
        indices, depth, on_value, off_value, axis
    ),
    "Pack": lambda axis=0: lambda tensors: joining.stack(tensors, axis),
    "Pad": _pad,
    "RandomCategorical": lambda dtype=int64: lambda logits, num_sample, seed=None: (
        random.random_categorical(logits, num_sample, seed, dtype)
    ),
    "Range": lambda maxlen=1000000: lambda start, end, step: creation.arange(start, end, step),
    "ReduceAll": _reduction(r.all),
    "ReduceAny": _reduction(r.any),
    "ReduceMax": _reduction(r.amax),
    "ReduceMean": _reduction(r.mean),
    "ReduceMin": _reduction(r.amin),
    "ReduceProd": _reduction(r.reduce_prod),
    "ReduceSum": _reduction(r.reduce_sum),
    "ReverseV2": lambda axis: lambda input: shaping.flip(input, axis),
    "RmsNorm": lambda epsilon=1e-06: lambda x, gamma: norms.rms_norm(x, gamma, epsilon),
    "Roll": lambda shifts, dims=None: lambda input: shaping.roll(input, shifts, dims),
    "MatrixInverse": lambda adjoint=False: lambda x: solving.inverse(
        shaping.swapaxes(x, -1, -2) if adjoint else x
    ),
    "NLLLoss": _nll_loss,
    "Renorm": lambda p, dim, maxnorm: lambda input: slicing.renorm(input, p, dim, maxnorm),
    "ReverseSequence": lambda seq_dim, batch_dim=0: lambda x, lengths: slicing.reverse_sequence(
        x, lengths, seq_dim, batch_dim
    ),
    "StridedSlice": lambda begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0,
    shrink_axis_mask=0: lambda input_x, begin, end, strides: slicing.strided_slice(
        input_x, begin, end, strides, begin_mask, end_mask, ellipsis_mask, new_axis_mask,
        shrink_axis_mask,
    ),
    "Cdist": lambda p=2.0: lambda x1, x2: norms.cdist(x1, x2, p),
    "LpNorm": lambda axis, p=2, keep_dims=False, epsilon=1e-12: lambda input: norms.vector_norm(
        input, p, axis, keep_dims
    ),
    "InplaceUpdate": lambda indices: lambda x, v: slicing.inplace_update(x, v, indices),
    "InplaceAdd": lambda indices: lambda x, v: slicing.inplace_add(x, v, indices),
    "InplaceSub": lambda indices: lambda x, v: slicing.inplace_sub(x, v, indices),
    "SmoothL1Loss": lambda beta=1.0, reduction="none": lambda prediction, target: (
        loss.smooth_l1_loss(prediction, target, beta, reduction)
    ),
    "SoftMarginLoss": lambda reduction="mean": lambda input, target: loss.soft_margin_loss(
        input, target, reduction
    ),
    "SoftShrink": lambda lambd=0.5: lambda input: activation.softshrink(input, lambd),
    "Softmax": lambda axis=-1: lambda input: activation.softmax(input, axis),
    "SoftmaxCrossEntropyWithLogits": _softmax_cross_entropy,
    "Sort": lambda axis=-1, descending=False: lambda x: sorting.sort(x, axis, descending),
    "SparseSoftmaxCrossEntropyWithLogits": _sparse_cross_entropy,
    "Split": _split,
    "Squeeze": lambda axis=(): lambda input: shaping.squeeze(input, axis),
    "Stack": lambda axis=0: lambda tensors: joining.stack(tensors, axis),
    "StandardNormal": lambda seed=0, seed2=0: lambda shape: random.standard_normal(
        shape, seed or None
    ),
    "TensorScatterElements": lambda axis=0, reduction="none": lambda data, indices, updates: (
        gathering.tensor_scatter_elements(data, indices, updates, axis, reduction)
    ),
    "TopK": lambda sorted=True: lambda input_x, k: sorting.topk(input_x, k),
    "Tril": lambda diagonal=0: lambda x: creation.tril(x, diagonal),
    "Triu": lambda diagonal=0: lambda x: creation.triu(x, diagonal),
    "UniformReal": lambda seed=0, seed2=0: lambda shape: random.uniform(
        shape, 0.0, 1.0, seed or None
    ),
    "Unstack": lambda axis=0, num=None: lambda input_x: splitting.unbind(input_x, axis),
    "Unpack": lambda axis=0: lambda input_x: splitting.unbind(input_x, axis),
    **{
        f"Scatter{kind}": _locked(getattr(state, f"scatter_{name}"))
        for kind, name in {
            "Update": "update", "Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div",
            "Max": "max", "Min": "min", "NdUpdate": "nd_update", "NdAdd": "nd_add",
            "NdSub": "nd_sub", "NdMul": "nd_mul", "NdDiv": "nd_div", "NdMax": "nd_max",
            "NdMin": "nd_min",
        }.items()
    },
}  # fmt: skip


__all__ = ["PLAIN", "WITH_OPTIONS"]
