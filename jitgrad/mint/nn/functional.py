"""`mint.nn.functional`: activations, losses and layers with PyTorch's parameters."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import no_name as _no_name
from jitgrad.ops.activation import limited as _limited
from jitgrad.ops.image import largest_of_bins as _largest_of_bins

# Functions that are the same there.
SAME = (
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d"
    " conv_transpose2d cosine_embedding_loss cross_entropy embedding fold gelu group_norm"
    " hardshrink hardsigmoid hardswish interpolate l1_loss layer_norm linear mish mse_loss"
    " pixel_shuffle prelu selu sigmoid soft_margin_loss softplus softshrink tanh unfold upsample"
)
_FOUND: dict[str, Any] = {name: getattr(ops, name) for name in SAME.split()}


def _written(input, out, inplace):
    return input.copy_(out) if inplace else out


def relu(input, inplace=False):
    """max(x, 0)."""
    return _written(input, ops.relu(input), inplace)


def relu6(input, inplace=False):
    """min(max(x, 0), 6)."""
    return _written(input, ops.relu6(input), inplace)


def elu(input, alpha=1.0, inplace=False):
    """x where positive, else alpha (exp(x) - 1)."""
    return _written(input, ops.elu(input, alpha), inplace)


def silu(input, inplace=False):
    """x * sigmoid(x)."""
    return _written(input, ops.silu(input), inplace)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x within limits, and the limits outside; the derivative on the limits is 0."""
    return _written(input, _limited("hardtanh", input, min_val, max_val), inplace)


def threshold(input, threshold, value, inplace=False):
    """x where it is above the threshold, else the value."""
    return _written(input, ops.threshold(input, threshold, value), inplace)


def relu_(input):
    """max(x, 0), in place."""
    return relu(input, True)


def elu_(input, alpha=1.0):
    """x where positive, else alpha (exp(x) - 1), in place."""
    return elu(input, alpha, True)


def sigmoid_(input):
    """1 / (1 + exp(-x)), in place."""
    return input.copy_(ops.sigmoid(input))


def hardtanh_(input, min_val=-1.0, max_val=1.0):
    """x within limits, and the limits outside, in place."""
    return hardtanh(input, min_val, max_val, True)


def threshold_(input, threshold, value):
    """x where it is above the threshold, else the value, in place."""
    return _written(input, ops.threshold(input, threshold, value), True)


def logsigmoid(input):
    """log(sigmoid(x)), without overflow."""
    return ops.logsigmoid(input)


def glu(input, dim=-1):
    """One half of an axis times the sigmoid of the other."""
    return ops.glu(input, dim)


def flatten(input, start_dim=0, end_dim=-1):
    """Axes start_dim to end_dim joined into one."""
    return ops.flatten(input, start_dim=start_dim, end_dim=end_dim)


def pad(input, pad, mode="constant", value=None):
    """Padded around its edges: (before, after) of the last axis, then of the one before it."""
    return ops.pad(input, pad, mode, value)


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """-x[y] of log-probabilities, scaled by the weights of the classes."""
    return ops.nll_loss(input, target, weight, ignore_index, reduction)


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-05):  # fmt: skip
    """Normalized over all axes but the second, by the statistics of the batch or given ones."""
    return ops.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The largest of windows of sequences, `output_size` of them, and where it is."""
    if not return_indices:
        return ops.adaptive_max_pool1d(input, output_size)
    size = output_size if isinstance(output_size, int) else output_size[0]
    return _largest_of_bins("adaptive_max_pool1d", input, (size,))


def _padded_mode(padding: Any) -> tuple[str, Any]:
    if isinstance(padding, str):
        return padding, 0
    return "pad", padding


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of images, padded by an amount, or as "same" or "valid" say."""
    mode, amount = _padded_mode(padding)
    return ops.conv2d(input, weight, bias, stride, mode, amount, dilation, groups)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of sequences, padded by an amount, or as "same" or "valid" say."""
    mode, amount = _padded_mode(padding)
    return ops.conv1d(input, weight, bias, stride, mode, amount, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of volumes, padded by an amount, or as "same" or "valid" say."""
    mode, amount = _padded_mode(padding)
    return ops.conv3d(input, weight, bias, stride, mode, amount, dilation, groups)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):  # fmt: skip
    """The largest of each window."""
    return ops.max_pool2d(input, kernel_size, stride, padding, dilation, return_indices, ceil_mode)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=None):  # fmt: skip
    """The mean of each window, by default one beside the other."""
    stride = kernel_size if stride is None else stride
    return ops.avg_pool2d(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True):  # fmt: skip
    """The mean of each window of sequences, by default one beside the other."""
    stride = kernel_size if stride is None else stride
    return ops.avg_pool1d(input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """-(y log(p) + (1 - y) log(1 - p)) of probabilities."""
    return ops.binary_cross_entropy(input, target, weight, reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean",
                                     pos_weight=None):  # fmt: skip
    """The binary cross entropy of sigmoid(x), computed without it."""
    return ops.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction)


def dropout(input, p=0.5, training=True, inplace=False):
    """Each element 0 with probability p, the others divided by 1 - p."""
    return _written(input, ops.dropout(input, p, training), inplace)


def kl_div(input, target, reduction="mean", log_target=False):
    """y (log(y) - x) for log-probabilities x and (log-)probabilities y."""
    if not log_target:
        return ops.kl_div(input, target, reduction)
    return ops.kl_div(input, ops.exp(target), reduction)


def leaky_relu(input, negative_slope=0.01):
    """x where positive, else negative_slope * x."""
    return ops.leaky_relu(input, negative_slope)


def softmax(input, dim=None, dtype=None):
    """exp(x) over its sum along an axis; None: the first for 0, 1 or 3 axes, else the second."""
    return ops.softmax(input, _axis(input, dim), dtype=dtype)


def log_softmax(input, dim=None, *, dtype=None):
    """The logarithm of the softmax along an axis."""
    return ops.log_softmax(input, _axis(input, dim), dtype=dtype)


def _axis(input, dim):
    return (0 if input.ndim in (0, 1, 3) else 1) if dim is None else dim


def normalize(input, p=2.0, dim=1, eps=1e-12):
    """x over its p-norm along an axis, which counts as eps at least."""
    size = ops.vector_norm(input, p, dim, True)
    return ops.div(input, ops.clamp(size, eps))


def one_hot(tensor, num_classes=-1):
    """A last axis with 1 at the index; -1 takes as many classes as there are."""
    if num_classes == -1:
        num_classes = int(ops.amax(tensor)) + 1
    return ops.one_hot(tensor, num_classes)


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """The absolute difference less beta / 2, below beta its square over 2 beta."""
    return ops.smooth_l1_loss(input, target, beta, reduction)


def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=None):  # fmt: skip
    """The mean of each window of volumes, by default one beside the other."""
    return ops.avg_pool3d(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Each channel 0 with probability p, the others divided by 1 - p."""
    return _written(input, ops.dropout2d(input, p, training), inplace)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Values of `max_pool2d` back at their places, zeros elsewhere."""
    return ops.max_unpool2d(input, indices, kernel_size, stride, padding, output_size)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors along an axis."""
    return ops.cosine_similarity(x1, x2, dim, eps)


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=False):
    """Values of images at places given from -1 to 1."""
    return ops.grid_sample(input, grid, mode, padding_mode, align_corners)


globals().update({name: found for name, found in _FOUND.items() if name not in globals()})
__all__ = sorted(
    {*_FOUND, *(n for n, f in globals().items() if callable(f) and not n.startswith("_"))} - {"Any"}
)


def __getattr__(name: str) -> Any:
    raise _no_name(__name__, name, __all__)
