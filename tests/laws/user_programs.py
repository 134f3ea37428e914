"""Random programs as a user writes them: Python text over `jitgrad.ops`, methods and operators.

A program is drawn line by line and run as it grows, so that each line fits the values it uses. It
stays away from where it is not smooth (ties, kinks, poles), by more than rounding can bridge. What
is left of the difference between two ways to run it is rounding, and `tolerance` measures how much
that can be: it runs the program with every line disturbed in its last bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

import jitgrad as ms
from jitgrad import Tensor, ops, tree

EXTENTS = (1, 2, 3, 5)
SIZE = 60  # elements of the largest value
LARGEST = 30.0  # magnitude of the largest value
MARGIN = 1e-2  # least distance from a tie or a kink
ULPS = 8  # what one op may be wrong by: 4.4 of the worst function, and a sum's order

FLOATS = ("float64", "float32")
Values = dict[str, Tensor]
Draw = st.DrawFn


# --- programs -----------------------------------------------------------------------------------


def updated(x: Tensor, key: object, value: object) -> Tensor:
    """A copy of x with a part written in place."""
    x = x.copy()
    x[key] = value
    return x


NAMES = {"ms": ms, "np": np, "ops": ops, "updated": updated, "Tensor": Tensor}


@dataclass(frozen=True, repr=False)
class Program:
    """The lines ``v = expression`` of a program, what it returns, and the arrays it runs on."""

    lines: tuple[tuple[str, str], ...]
    returns: str
    inputs: dict[str, np.ndarray]

    @property
    def source(self) -> str:
        """The program as a function."""
        body = [f"    {name} = {text}" for name, text in self.lines]
        return "\n".join(
            [f"def program({', '.join(self.inputs)}):", *body, f"    return {self.returns}"]
        )

    def __repr__(self) -> str:
        given = "\n".join(
            f"{k} = np.{v!r}  # {v.dtype}{list(v.shape)}" for k, v in self.inputs.items()
        )
        return f"\n{self.source}\n{given}\n"

    def function(self, noise: Callable[[Tensor], Tensor] | None = None) -> Callable:
        """The program; `noise` is applied to the result of each line."""
        names = dict(NAMES)
        if noise is None:
            exec(self.source, names)
        else:
            names["noise"] = noise
            lines = tuple([(name, f"noise({text})") for name, text in self.lines])
            exec(Program(lines, self.returns, self.inputs).source, names)
        return names["program"]

    def tensors(self) -> list[Tensor]:
        return [Tensor(a) for a in self.inputs.values()]

    @property
    def positions(self) -> tuple[int, ...]:
        """The inputs that can be differentiated in."""
        return tuple([i for i, a in enumerate(self.inputs.values()) if a.dtype.kind == "f"])


def weighted(function: Callable) -> Callable:
    """The function as one number: the sum of its float outputs, each element with a weight."""

    def loss(*xs: Tensor) -> Tensor:
        leaves = [y for y in tree.flatten(function(*xs))[0] if y.dtype.is_float]
        total = Tensor(np.float64(0))
        for k, y in enumerate(leaves):
            weights = 0.5 + np.cos(np.arange(y.size) + k).reshape(y.shape)
            total = total + (y * Tensor(weights.astype(y.dtype.numpy))).sum()
        return total

    return loss


def noise(seed: int) -> Callable[[Tensor], Tensor]:
    """Disturbs each element of a float Tensor by as much as one op may be wrong by."""
    rng = np.random.default_rng(seed)

    def disturb(x: Tensor) -> Tensor:
        if not x.dtype.is_float:
            return x
        step = ULPS * np.finfo(x.dtype.numpy).eps
        return x * Tensor((1 + step * rng.choice((-1, 1), x.shape)).astype(x.dtype.numpy))

    return disturb


def arrays(nest: object) -> list[np.ndarray]:
    """The Tensors in a nest as arrays."""
    return [x.asnumpy() for x in tree.flatten(nest)[0]]


def tolerances(
    program: Program, run: Callable[[Callable], object], runs: int = 4
) -> Iterator[float]:
    """For each array that ``run(function)`` gives, how far off it may be: the largest deviation
    seen when every line is disturbed, for each line, as they may all err in the worst direction.
    """
    exact = arrays(run(program.function()))
    disturbed = [arrays(run(program.function(noise(seed)))) for seed in range(runs)]
    count = len(program.lines) + 1
    for k, wanted in enumerate(exact):
        if wanted.dtype.kind != "f":
            yield 0.0 if all(np.array_equal(wanted, d[k]) for d in disturbed) else math.inf
            continue
        with np.errstate(invalid="ignore"):
            apart = [np.abs(d[k].astype(float) - wanted.astype(float)) for d in disturbed]
        seen = max((float(np.nanmax(a, initial=0)) for a in apart), default=0.0)
        size = float(np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0))
        yield count * (seen + ULPS * float(np.finfo(wanted.dtype).eps) * size)


def assert_close(
    got: object, wanted: object, within: Sequence[float], what: str, program: Program
) -> None:
    """The two nests hold arrays of the same types, and of values this close to each other."""
    first, second = arrays(got), arrays(wanted)
    assert len(first) == len(second) == len(within), f"{what} of {program}"
    for a, b, limit in zip(first, second, within):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{what} of {program}"
        same = (a == b) | (np.isnan(a.astype(float)) & np.isnan(b.astype(float)))
        with np.errstate(invalid="ignore"):
            apart = np.abs(a.astype(float) - b.astype(float))
        assert np.all(same | (apart <= limit)), (
            f"{what}: {a} and {b} differ by more than {limit:.3g} in {program}"
        )


# --- lines --------------------------------------------------------------------------------------
# A maker draws an expression over the values so far, or None if it has none to offer.

Maker = Callable[[Draw, Values], "str | None"]


def pick(draw: Draw, values: Values, fits: Callable[[Tensor], bool]) -> str | None:
    """A value that fits; later ones more often, so that programs grow deep."""
    names = [name for name, x in values.items() if fits(x)]
    return names[-1 - draw(st.integers(0, len(names) - 1))] if names else None


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
    "sin cos tanh sigmoid erf exp expm1 square atan softplus silu gelu sinh asinh neg erfc"
    " logsigmoid mish softsign"
).split()
POSITIVE = ("log", "sqrt", "rsqrt", "log2", "log1p", "lgamma", "reciprocal")
KINKED = {
    "abs": (0.0,), "relu": (0.0,), "leaky_relu": (0.0,), "sign": (0.0,), "relu6": (0.0, 6.0),
    "elu": (0.0,), "hardswish": (-3.0, 3.0), "hardtanh": (-1.0, 1.0),
}  # fmt: skip


def unary(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.dtype.kind != "b")
    if x is None:
        return None
    kind = draw(st.integers(0, 3))
    if kind == 0 and is_float(values[x]) and np.all(values[x].asnumpy() > MARGIN):
        return f"ops.{draw(st.sampled_from(POSITIVE))}({x})"
    if kind == 1 and is_float(values[x]):
        name = draw(st.sampled_from(sorted(KINKED)))
        return f"ops.{name}({x})" if away(values[x], *KINKED[name]) else None
    name = draw(st.sampled_from(SMOOTH))
    method = name in ("sin", "cos", "tanh", "sigmoid", "exp", "square") and draw(st.booleans())
    return f"{x}.{name}()" if method else f"ops.{name}({x})"


def rounding(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, is_float)
    if x is None or not away(values[x] * 2 - (values[x] * 2).round(), 0.0):
        return None
    return f"ops.{draw(st.sampled_from(('floor', 'ceil', 'round', 'trunc')))}({x})"


def beside(draw: Draw, values: Values, x: str) -> str:
    """An operand that broadcasts with x: another value, a number, or a NumPy array."""
    shape = values[x].shape
    others = [n for n, y in values.items() if y.dtype.kind != "b" and fits(shape, y.shape)]
    kind = draw(st.integers(0, 3))
    if others and kind > 1:
        return draw(st.sampled_from(others))
    if kind == 1 and shape:
        row = [draw(st.integers(-3, 3)) + 0.25 for _ in range(shape[-1])]
        return f"np.array({row}, np.{draw(st.sampled_from(FLOATS))})"
    return repr(draw(st.sampled_from((2, -1, 0.5, 3, -1.5, True))))


def fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return math.prod(shape) <= SIZE


def binary(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.dtype.kind != "b")
    if x is None:
        return None
    y = beside(draw, values, x)
    a, b = (x, y) if draw(st.booleans()) else (y, x)
    op = draw(st.sampled_from(("+", "-", "*", "+", "-", "*", "/", "maximum", "minimum", "atan2")))
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


def power(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, is_float)
    if x is None:
        return None
    if np.all(values[x].asnumpy() > MARGIN) and draw(st.booleans()):
        return f"{x} ** {draw(st.sampled_from((0.5, 1.5, -0.5, 2.5)))}"
    exponent = draw(st.sampled_from((2, 3, 0, 1, -1)))
    return f"{x} ** {exponent}" if exponent >= 0 or away(values[x], 0.0) else None


def integers(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.dtype.is_int)
    if x is None:
        return None
    return draw(
        st.sampled_from((f"{x} % 3", f"{x} // 2", f"{x} & 5", f"{x} ^ 1", f"-{x}", f"abs({x})"))
    )


def choice(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.dtype.kind != "b")
    if x is None:
        return None
    y = beside(draw, values, x)
    relation = draw(st.sampled_from(("<", "<=", ">", ">=", "==", "!=")))
    integral = values[x].dtype.is_int and value(y, values).asnumpy().dtype.kind == "i"
    if not integral and not away(value(x, values) - value(y, values), 0.0):
        return None
    other = draw(st.sampled_from((f"{x} * 0.5", "1.25", x)))
    return f"ops.where({x} {relation} {y}, {x}, {other})"


def bounded(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, is_float)
    if x is None or not away(values[x], -0.75, 1.5):
        return None
    return draw(st.sampled_from((f"{x}.clamp(-0.75, 1.5)", f"ops.clip({x}, None, 1.5)")))


def cast(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: True)
    dtype = draw(st.sampled_from((*FLOATS, "int32", "bool_", "int64")))
    lossy = dtype not in FLOATS and is_float(values[x])
    if lossy and not away(values[x] - values[x].round(), 0.0):
        return None
    return f"{x}.astype(ms.{dtype})"


# --- reductions and shapes ----------------------------------------------------------------------


def axis_of(draw: Draw, x: Tensor) -> int | None:
    return draw(st.integers(-x.ndim, x.ndim - 1)) if x.ndim else None


def reduction(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.dtype.kind != "b")
    if x is None:
        return None
    v = values[x]
    axis = draw(st.sampled_from((None, axis_of(draw, v), -1 if v.ndim else None)))
    if v.ndim > 1 and draw(st.integers(0, 3)) == 0:
        axis = (0, -1)
    name = draw(
        st.sampled_from(("sum", "mean", "amax", "amin", "prod", "logsumexp", "var", "norm"))
    )
    if v.dtype.is_int and name in ("norm", "var", "logsumexp"):
        return None
    if name in ("amax", "amin", "logsumexp", "mean", "var") and v.size == 0:
        return None
    if name in ("amax", "amin") and not (v.dtype.is_int or apart(v, axis)):
        return None
    if name == "norm" and not away(v, 0.0):
        return None
    keep = draw(st.booleans())
    if name == "norm":
        return f"ops.norm({x}, dim={axis}, keepdim={keep})" if v.size else None
    if name == "logsumexp":
        axis = tuple(range(v.ndim)) if axis is None else axis
        return f"ops.logsumexp({x}, {axis}, {keep})" if v.ndim else None
    if name == "var":
        return f"ops.var({x}, axis={axis}, keepdims={keep})"
    return f"ops.{name}({x}, axis={axis}, keepdims={keep})"


def logical(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.dtype.is_float and bool(v.size))
    if x is None or not away(values[x], 0.0):
        return None
    form = draw(st.sampled_from(("({x} > 0).any()", "({x} > 0).all()", "ops.logical_not({x} < 0)")))
    return form.format(x=x)


def reshaped(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: True)
    v = values[x]
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return f"{x}.reshape(-1)" if v.size else f"{x}.reshape({v.shape + (1,)})"
    if kind == 1:
        order = draw(st.permutations(range(v.ndim)))
        return f"ops.transpose({x}, {tuple(order)})" if v.ndim else None
    if kind == 2:
        return f"ops.expand_dims({x}, {draw(st.integers(-v.ndim - 1, v.ndim))})"
    if kind == 3:
        return f"{x}.squeeze()"
    if kind == 4 and 0 < v.size * 2 <= SIZE:
        return f"ops.tile({x}, {(2,) + (1,) * (v.ndim - 1)})"
    if kind == 5 and v.size * 3 <= SIZE:
        return f"ops.broadcast_to({x}, {(3, *v.shape)})"
    return f"{x}.T" if v.ndim == 2 else None


def sliced(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.ndim > 0)
    if x is None:
        return None
    n = values[x].shape[0]
    keys = ["::-1", "::2", "...", "None", "1:", ":-1", "-2:"]
    if n:
        keys += ["0", "-1", str([n - 1, 0, n - 1]), str([k % 2 == 0 for k in range(n)])]
    if values[x].ndim > 1:
        keys += [":, 1:", "..., ::-1", ":, None"]
    return f"{x}[{draw(st.sampled_from(keys))}]"


def moved(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.ndim > 0)
    if x is None:
        return None
    axis = axis_of(draw, values[x])
    forms = [f"ops.flip({x}, ({axis},))", f"ops.roll({x}, 1, {axis})"]
    if values[x].ndim == 2:
        forms += [f"ops.tril({x})", f"ops.triu({x}, 1)", f"ops.diagonal({x})"]
    return draw(st.sampled_from(forms))


def joined(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.ndim > 0 and v.size * 2 <= SIZE)
    if x is None:
        return None
    same = [n for n, y in values.items() if y.shape == values[x].shape and y.dtype.kind != "b"]
    y = draw(st.sampled_from([x, *same]))
    axis = axis_of(draw, values[x])
    if values[x].dtype is not values[y].dtype:
        y = x
    return draw(
        st.sampled_from(
            (f"ops.concat(({x}, {y}), {axis})", f"ops.stack([{x}, {y}], {axis})",
             f"ops.concat(({x}, {y}, {x}[:1]), 0)")
        )
    )  # fmt: skip


def padded(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.ndim > 0 and v.dtype.is_float)
    if x is None or math.prod(values[x].shape[:-1]) * (values[x].shape[-1] + 3) > SIZE:
        return None
    number = draw(st.sampled_from((0.0, 1.5)))
    return f"ops.pad({x}, (1, 2), 'constant', {number})"


def split(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.ndim > 0 and v.shape[0] > 1)
    if x is None:
        return None
    return draw(
        st.sampled_from((f"ops.unbind({x})[1]", f"ops.split({x}, 1)[0]", f"ops.chunk({x}, 2)[1]"))
    )


# --- products, rows and indices -----------------------------------------------------------------


def product(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.dtype.is_float and v.ndim > 0)
    if x is None:
        return None
    v = values[x]
    fitting = [
        n for n, y in values.items()
        if y.dtype is v.dtype and y.ndim > 0 and v.shape[-1] == y.shape[-2 if y.ndim > 1 else 0]
        and (v.ndim < 3 or y.ndim < 3)
    ]  # fmt: skip
    if fitting and draw(st.booleans()):
        return f"{x} @ {draw(st.sampled_from(fitting))}"
    if v.ndim == 1 and v.size**2 <= SIZE:
        return draw(st.sampled_from((f"ops.outer({x}, {x})", f"ops.dot({x}, {x})")))
    if v.ndim == 2 and v.shape[0] ** 2 <= SIZE:
        return draw(st.sampled_from((f"{x} @ {x}.T", f"ops.einsum('ij,kj->ik', {x}, {x})")))
    return None


def rows(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.dtype.is_float and v.ndim > 0 and bool(v.size))
    if x is None:
        return None
    axis = axis_of(draw, values[x])
    name = draw(st.sampled_from(("softmax", "log_softmax", "cumsum", "cumprod", "sort", "top")))
    if name == "top":
        return f"ops.topk({x}, 1)[0]" if apart(values[x], -1) else None
    if name == "sort":
        return f"ops.sort({x}, {axis})[0]" if apart(values[x], axis) else None
    return f"ops.{name}({x}, {axis})"


def gathered(draw: Draw, values: Values) -> str | None:
    x = pick(draw, values, lambda v: v.ndim > 0 and v.shape[0] > 0)
    if x is None:
        return None
    v = values[x]
    n = v.shape[0]
    given = pick(draw, values, lambda i: i.dtype.is_int and i.ndim < 3 and bool(i.size))
    row = max(v.size // n, 1)
    if given is not None and values[given].size * row <= SIZE:
        forms = [f"{x}[{given} % {n}]", f"ops.gather({x}, {given} % {n}, 0)"]
    else:
        forms = [f"ops.gather({x}, Tensor([{n - 1}, 0]), 0)", f"ops.take({x}, Tensor([0]), 0)"]
    if v.dtype.is_float:
        forms += [f"updated({x}, 0, 1.5)", f"updated({x}, slice(None, None, 2), {x}[:1])"]
    return draw(st.sampled_from(forms))


MAKERS: tuple[Maker, ...] = (
    unary, binary, unary, binary, rounding, power, integers, choice, bounded, cast, reduction,
    reduction, logical, reshaped, sliced, moved, joined, padded, split, product, rows, gathered,
)  # fmt: skip


# --- drawing ------------------------------------------------------------------------------------


@st.composite
def programs(
    draw: Draw, lines: int = 6, dtypes: Sequence[str] = ("float32", "float64", "int32")
) -> Program:
    """A program of up to `lines` lines on one to three inputs, the first of which is a float."""
    count = draw(st.integers(1, 3))
    kinds = [draw(st.sampled_from([d for d in dtypes if k or d in FLOATS])) for k in range(count)]
    inputs = {f"x{k}": _array(draw, kind, k) for k, kind in enumerate(kinds)}
    values = {name: Tensor(a) for name, a in inputs.items()}
    found: list[tuple[str, str]] = []
    wanted = draw(st.integers(2, lines))
    for _ in range(3 * lines):
        if len(found) == wanted:
            break
        text = draw(st.sampled_from(MAKERS))(draw, values)
        if text is None:
            continue
        made = eval(text, dict(NAMES), dict(values))
        if made.size <= SIZE and usual(made):
            found.append((f"v{len(found)}", text))
            values[found[-1][0]] = made
    return Program(tuple(found), _returned(draw, [*values]), inputs)


def usual(x: Tensor) -> bool:
    """Whether all elements are finite and of moderate size."""
    a = x.asnumpy()
    return bool(np.all(np.isfinite(a)) and np.all(np.abs(a.astype(float)) <= LARGEST))


def _array(draw: Draw, dtype: str, seed: int) -> np.ndarray:
    """Irregular numbers, whose sums and products are not near each other either."""
    shape = draw(st.lists(st.sampled_from(EXTENTS), max_size=3, unique=True))
    if draw(st.integers(0, 7)) == 0:
        shape = [*shape[:1], 0]
    rng = np.random.default_rng(draw(st.integers(0, 9)) * 10 + seed)
    if dtype == "int32":
        return np.asarray(rng.integers(-3, 9, shape), np.int32)
    return np.asarray(rng.uniform(0.1, 2.0, shape) * rng.choice((1, -1, 1), shape)).astype(dtype)


def _returned(draw: Draw, names: list[str]) -> str:
    """What a program returns: its last value, alone or with others in a nest."""
    last, other = names[-1], draw(st.sampled_from(names))
    forms = (
        last,
        last,
        f"({last}, {other})",
        f"{{'a': {other}, 'b': [{last}]}}",
        f"[{last}, ({other},)]",
    )
    return draw(st.sampled_from(forms))
