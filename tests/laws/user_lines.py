"""The lines of random programs: makers that choose an expression over the values so far.

An expression is Python text. It stays away from where it is not smooth (ties, kinks, poles) by more
than rounding can bridge, which its maker sees from the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops

SIZE = 420  # elements of the largest value
MARGIN = 1e-3  # least distance from a tie or a kink
FLOATS = ("float64", "float32")

Values = dict[str, Tensor]
Maker = Callable[[Random, Values], "str | None"]


def updated(x: Tensor, key: object, value: object) -> Tensor:
    """A copy of x with a part written in place."""
    x = x.copy()
    x[key] = value
    return x


NAMES = {"ms": ms, "np": np, "ops": ops, "updated": updated, "Tensor": Tensor}


# --- what fits ---------------------------------------------------------------------------------


def pick(r: Random, values: Values, fits: Callable[[Tensor], bool]) -> str | None:
    """A value that fits; later ones more often, so that programs grow deep."""
    names = [name for name, x in values.items() if fits(x)]
    return names[-1 - r.randint(0, len(names) - 1)] if names else None


def is_float(x: Tensor) -> bool:
    return x.dtype.is_float


def away(x: Tensor, *points: float) -> bool:
    """Whether no element is near one of the points."""
    a = x.asnumpy().astype(float)
    return all(bool(np.all(np.abs(a - p) > MARGIN)) for p in points)


def apart(x: Tensor, axis: object = None) -> bool:
    """Whether no two elements along the axes are near each other."""
    a = x.asnumpy().astype(float)
    axes = range(a.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = [k % a.ndim for k in axes]
    rest = [k for k in range(a.ndim) if k not in axes]
    rows = a.transpose(*rest, *axes).reshape(math.prod(a.shape[k] for k in rest), -1)
    return bool(np.all(np.diff(np.sort(rows, -1), axis=-1) > MARGIN))


SMOOTH = (
    "sin", "cos", "tanh", "sigmoid", "erf", "exp", "expm1", "square", "atan", "softplus", "silu",
    "gelu", "sinh", "asinh", "neg", "erfc", "logsigmoid", "mish", "softsign",
)  # fmt: skip
POSITIVE = ("log", "sqrt", "rsqrt", "log2", "log1p", "lgamma", "reciprocal")
KINKED = {
    "abs": (0.0,), "relu": (0.0,), "leaky_relu": (0.0,), "sign": (0.0,), "relu6": (0.0, 6.0),
    "elu": (0.0,), "hardswish": (-3.0, 3.0), "hardtanh": (-1.0, 1.0),
}  # fmt: skip


def unary(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.dtype.kind != "b")
    if x is None:
        return None
    kind = r.randint(0, 3)
    if kind == 0 and is_float(values[x]) and np.all(values[x].asnumpy() > MARGIN):
        return f"ops.{r.choice(POSITIVE)}({x})"
    if kind == 1 and is_float(values[x]):
        name = r.choice(sorted(KINKED))
        return f"ops.{name}({x})" if away(values[x], *KINKED[name]) else None
    name = r.choice(SMOOTH)
    method = name in ("sin", "cos", "tanh", "sigmoid", "exp", "square") and r.random() < 0.5
    return f"{x}.{name}()" if method else f"ops.{name}({x})"


def rounding(r: Random, values: Values) -> str | None:
    x = pick(r, values, is_float)
    if x is None or not away(values[x] * 2 - (values[x] * 2).round(), 0.0):
        return None
    return f"ops.{r.choice(('floor', 'ceil', 'round', 'trunc'))}({x})"


def beside(r: Random, values: Values, x: str) -> str:
    """An operand that broadcasts with x: another value, a number, or a NumPy array."""
    shape = values[x].shape
    others = [n for n, y in values.items() if y.dtype.kind != "b" and fits(shape, y.shape)]
    kind = r.randint(0, 3)
    if others and kind > 1:
        return r.choice(others)
    if kind == 1 and shape:
        row = [r.randint(-3, 3) + 0.25 for _ in range(shape[-1])]
        return f"np.array({row}, np.{r.choice(FLOATS)})"
    return repr(r.choice((2, -1, 0.5, 3, -1.5, True)))


def fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return math.prod(shape) <= SIZE


def binary(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.dtype.kind != "b")
    if x is None:
        return None
    y = beside(r, values, x)
    a, b = (x, y) if r.random() < 0.5 else (y, x)
    op = r.choice(("+", "-", "*", "+", "-", "*", "/", "maximum", "minimum", "atan2"))
    if op == "/":
        return f"{a} / {b}" if away(value(b, values), 0.0) else None
    if len(op) == 1:
        return f"{a} {op} {b}"
    if op == "atan2" and away(value(a, values), 0.0) and away(value(b, values), 0.0):
        return f"ops.atan2({a}, {b})"
    if op == "atan2" or not away(value(a, values) - value(b, values), 0.0):
        return None
    return f"ops.{op}({a}, {b})"


def value(text: str, values: Values) -> Tensor:
    """What an expression is, as float64."""
    x = eval(text, dict(NAMES), dict(values))
    return (x if isinstance(x, Tensor) else Tensor(x)).astype(ms.float64)


def power(r: Random, values: Values) -> str | None:
    x = pick(r, values, is_float)
    if x is None:
        return None
    if np.all(values[x].asnumpy() > MARGIN) and r.random() < 0.5:
        return f"{x} ** {r.choice((0.5, 1.5, -0.5, 2.5))}"
    exponent = r.choice((2, 3, 0, 1, -1))
    return f"{x} ** {exponent}" if exponent >= 0 or away(values[x], 0.0) else None


def integers(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.dtype.is_int)
    if x is None:
        return None
    return r.choice((f"{x} % 3", f"{x} // 2", f"{x} & 5", f"{x} ^ 1", f"-{x}", f"abs({x})"))


def choice(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.dtype.kind != "b")
    if x is None:
        return None
    y = beside(r, values, x)
    relation = r.choice(("<", "<=", ">", ">=", "==", "!="))
    integral = values[x].dtype.is_int and value(y, values).asnumpy().dtype.kind == "i"
    if not integral and not away(value(x, values) - value(y, values), 0.0):
        return None
    other = r.choice((f"{x} * 0.5", "1.25", x))
    return f"ops.where({x} {relation} {y}, {x}, {other})"


def bounded(r: Random, values: Values) -> str | None:
    x = pick(r, values, is_float)
    if x is None or not away(values[x], -0.75, 1.5):
        return None
    return r.choice((f"{x}.clamp(-0.75, 1.5)", f"ops.clip({x}, None, 1.5)"))


def cast(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: True)
    dtype = r.choice((*FLOATS, "int32", "bool_", "int64"))
    lossy = dtype not in FLOATS and is_float(values[x])
    if lossy and not away(values[x] - values[x].round(), 0.0):
        return None
    return f"{x}.astype(ms.{dtype})"


# --- reductions and shapes ----------------------------------------------------------------------


def axis_of(r: Random, x: Tensor) -> int | None:
    return r.randint(-x.ndim, x.ndim - 1) if x.ndim else None


def reduction(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.dtype.kind != "b")
    if x is None:
        return None
    v = values[x]
    axis = r.choice((None, axis_of(r, v), -1 if v.ndim else None))
    if v.ndim > 1 and r.randint(0, 3) == 0:
        axis = (0, -1)
    name = r.choice(("sum", "mean", "amax", "amin", "prod", "logsumexp", "var", "norm"))
    if v.dtype.is_int and name in ("norm", "var", "logsumexp"):
        return None
    if name in ("amax", "amin", "logsumexp", "mean", "var") and v.size == 0:
        return None
    if name in ("amax", "amin") and not (v.dtype.is_int or apart(v, axis)):
        return None
    if name == "norm" and not away(v, 0.0):
        return None
    keep = r.random() < 0.5
    if name == "norm":
        return f"ops.norm({x}, dim={axis}, keepdim={keep})" if v.size else None
    if name == "logsumexp":
        axis = tuple(range(v.ndim)) if axis is None else axis
        return f"ops.logsumexp({x}, {axis}, {keep})" if v.ndim else None
    if name == "var":
        return f"ops.var({x}, axis={axis}, keepdims={keep})"
    return f"ops.{name}({x}, axis={axis}, keepdims={keep})"


def logical(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.dtype.is_float and bool(v.size))
    if x is None or not away(values[x], 0.0):
        return None
    form = r.choice(("({x} > 0).any()", "({x} > 0).all()", "ops.logical_not({x} < 0)"))
    return form.format(x=x)


def reshaped(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: True)
    v = values[x]
    kind = r.randint(0, 6)
    if kind == 0:
        return f"{x}.reshape(-1)" if v.size else f"{x}.reshape({v.shape + (1,)})"
    if kind == 1:
        order = r.sample(range(v.ndim), v.ndim)
        return f"ops.transpose({x}, {tuple(order)})" if v.ndim else None
    if kind == 2:
        return f"ops.expand_dims({x}, {r.randint(-v.ndim - 1, v.ndim)})"
    if kind == 3:
        return f"{x}.squeeze()"
    if kind == 4 and 0 < v.size * 2 <= SIZE:
        return f"ops.tile({x}, {(2,) + (1,) * (v.ndim - 1)})"
    if kind == 5 and v.size * 3 <= SIZE:
        return f"ops.broadcast_to({x}, {(3, *v.shape)})"
    return f"{x}.T" if v.ndim == 2 else None


def sliced(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.ndim > 0)
    if x is None:
        return None
    n = values[x].shape[0]
    keys = ["::-1", "::2", "...", "None", "1:", ":-1", "-2:"]
    if n:
        keys += ["0", "-1", str([n - 1, 0, n - 1]), str([k % 2 == 0 for k in range(n)])]
    if values[x].ndim > 1:
        keys += [":, 1:", "..., ::-1", ":, None"]
    return f"{x}[{r.choice(keys)}]"


def moved(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.ndim > 0)
    if x is None:
        return None
    axis = axis_of(r, values[x])
    forms = [f"ops.flip({x}, ({axis},))", f"ops.roll({x}, 1, {axis})"]
    if values[x].ndim == 2:
        forms += [f"ops.tril({x})", f"ops.triu({x}, 1)", f"ops.diagonal({x})"]
    return r.choice(forms)


def joined(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.ndim > 0 and v.size * 2 <= SIZE)
    if x is None:
        return None
    same = [n for n, y in values.items() if y.shape == values[x].shape and y.dtype.kind != "b"]
    y = r.choice([x, *same])
    axis = axis_of(r, values[x])
    if values[x].dtype is not values[y].dtype:
        y = x
    return r.choice((f"ops.concat(({x}, {y}), {axis})", f"ops.stack([{x}, {y}], {axis})",
             f"ops.concat(({x}, {y}, {x}[:1]), 0)"))  # fmt: skip


def padded(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.ndim > 0 and v.dtype.is_float)
    if x is None or math.prod(values[x].shape[:-1]) * (values[x].shape[-1] + 3) > SIZE:
        return None
    number = r.choice((0.0, 1.5))
    return f"ops.pad({x}, (1, 2), 'constant', {number})"


def split(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.ndim > 0 and v.shape[0] > 1)
    if x is None:
        return None
    return r.choice((f"ops.unbind({x})[1]", f"ops.split({x}, 1)[0]", f"ops.chunk({x}, 2)[1]"))


# --- products, rows and indices -----------------------------------------------------------------


def product(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.dtype.is_float and v.ndim > 0)
    if x is None:
        return None
    v = values[x]
    fitting = [
        n for n, y in values.items()
        if y.dtype is v.dtype and y.ndim > 0 and v.shape[-1] == y.shape[-2 if y.ndim > 1 else 0]
        and (v.ndim < 3 or y.ndim < 3)
    ]  # fmt: skip
    if fitting and r.random() < 0.5:
        return f"{x} @ {r.choice(fitting)}"
    if v.ndim == 1 and v.size**2 <= SIZE:
        return r.choice((f"ops.outer({x}, {x})", f"ops.dot({x}, {x})"))
    if v.ndim == 2 and v.shape[0] ** 2 <= SIZE:
        return r.choice((f"{x} @ {x}.T", f"ops.einsum('ij,kj->ik', {x}, {x})"))
    return None


def rows(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.dtype.is_float and v.ndim > 0 and bool(v.size))
    if x is None:
        return None
    axis = axis_of(r, values[x])
    name = r.choice(("softmax", "log_softmax", "cumsum", "cumprod", "sort", "top", "norm"))
    if name == "norm":
        n = values[x].shape[-1]
        return f"ops.layer_norm({x}, [{n}], ops.ones({n}, {x}.dtype), ops.zeros({n}, {x}.dtype))"
    if name == "top":
        return f"ops.topk({x}, 1)[0]" if apart(values[x], -1) else None
    if name == "sort":
        return f"ops.sort({x}, {axis})[0]" if apart(values[x], axis) else None
    return f"ops.{name}({x}, {axis})"


def gathered(r: Random, values: Values) -> str | None:
    x = pick(r, values, lambda v: v.ndim > 0 and v.shape[0] > 0)
    if x is None:
        return None
    v = values[x]
    n = v.shape[0]
    given = pick(r, values, lambda i: i.dtype.is_int and i.ndim < 3 and bool(i.size))
    row = max(v.size // n, 1)
    if given is not None and values[given].size * row <= SIZE:
        forms = [f"{x}[{given} % {n}]", f"ops.gather({x}, {given} % {n}, 0)"]
    else:
        forms = [f"ops.gather({x}, Tensor([{n - 1}, 0]), 0)", f"ops.take({x}, Tensor([0]), 0)"]
    if v.dtype.is_float:
        forms += [f"updated({x}, 0, 1.5)", f"updated({x}, slice(None, None, 2), {x}[:1])"]
    return r.choice(forms)


MAKERS: tuple[Maker, ...] = (
    unary, binary, unary, binary, rounding, power, integers, choice, bounded, cast, reduction,
    reduction, logical, reshaped, sliced, moved, joined, padded, split, product, rows, gathered,
    product, rows, gathered,
)  # fmt: skip
