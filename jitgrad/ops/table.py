"""The public names of `jitgrad.ops`: those of the modules, and the other names of functions."""

from __future__ import annotations

from typing import Any

from jitgrad.ops import (
    activation,
    classes,
    compare,
    control,
    conv,
    conv3d,
    creation,
    ctc,
    decompose,
    detection,
    einstein,
    elementwise,
    fractional,
    gathering,
    image,
    joining,
    linalg,
    loops,
    loss,
    margins,
    norms,
    primitive,
    random,
    rearranging,
    reduce,
    sampling,
    scientific,
    searching,
    shaping,
    slicing,
    solving,
    sorting,
    special,
    splitting,
    state,
    vision,
    volumes,
)

MODULES = (
    elementwise, compare, special, reduce, shaping, joining, splitting, gathering, sorting,
    searching, creation, linalg, einstein, decompose, solving, scientific, activation, norms,
    loss, margins, ctc, conv, image, volumes, conv3d, fractional, vision, detection, rearranging,
    slicing, random, sampling, state, control, loops, classes, primitive,
)  # fmt: skip

# What modules share with each other, but not with users.
INTERNAL = {
    "Partial", "argument", "around", "as_tensor", "atleast", "average_pool", "batched",
    "blended", "broadcasted", "ceil_more", "combine", "condition", "diagonal_places",
    "distinct", "draw", "draw_uniform", "factors", "fill_", "flipped", "fori_loop",
    "indices_of", "joint_shape", "largest_of_bins", "limited", "log1pexp", "matrices",
    "maximum_pool", "nd_key", "padded", "paddings", "pair", "permuted", "picked", "planes_of",
    "planes_summed", "product", "promote_types", "range_", "reduce_loss", "reshaped", "resized",
    "running_product", "running_sum", "same", "scan", "singular", "slice_", "sliced", "solved",
    "square_matrices", "symmetric", "to_dtype", "transposed", "triple", "truth", "turned",
    "unit", "while_loop", "written",
}  # fmt: skip

# Other names of functions.
ALSO: dict[str, str] = {
    "absolute": "abs", "accumulate_n": "addn", "arccos": "acos", "arccosh": "acosh",
    "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh",
    "clip": "clamp", "divide": "div", "expand": "broadcast_to", "floor_div": "floor_divide",
    "floor_mod": "remainder", "floordiv": "floor_divide", "floormod": "remainder", "ger": "outer",
    "greater": "gt", "greater_equal": "ge", "i0": "bessel_i0", "inv": "reciprocal",
    "invert": "bitwise_not",
    "less": "lt", "less_equal": "le", "log_matrix_determinant": "slogdet",
    "matrix_determinant": "det", "mod": "remainder", "mse_loss_ext": "mse_loss", "multiply": "mul",
    "negative": "neg", "pows": "pow", "select": "where", "sgn": "sign",
    "soft_shrink": "softshrink", "swish": "silu", "tensor_add": "add", "tensor_div": "div",
    "tensor_exp": "exp", "tensor_expm1": "expm1", "tensor_floordiv": "floor_divide",
    "tensor_ge": "ge", "tensor_gt": "gt", "tensor_le": "le", "tensor_lt": "lt",
    "tensor_mod": "remainder", "tensor_mul": "mul", "tensor_pow": "pow", "tensor_sub": "sub",
    "true_divide": "div", "truncate_mod": "fmod", "typeof": "dtype",
}  # fmt: skip

# Functions whose public name a module's own name would hide from Python, or that it shares.
RENAMED: dict[str, Any] = {
    "fill": creation.fill_,
    "fori_loop": loops.fori_loop,
    "range": creation.range_,
    "slice": slicing.slice_,
    "tensor_slice": slicing.slice_,
    "scan": loops.scan,
    "tensor_dot": linalg.tensordot,
    "tensordot": linalg.tensordot,
    "while_loop": loops.while_loop,
    "Partial": control.Partial,
    "partial": control.Partial(),
}


def _public() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for module in MODULES:
        for name in module.__all__:
            if name not in INTERNAL:
                found[name] = getattr(module, name)
    found.update({name: found[of] for name, of in ALSO.items()})
    found.update(RENAMED)
    return found


NAMES: dict[str, Any] = _public()

__all__ = ["NAMES"]
