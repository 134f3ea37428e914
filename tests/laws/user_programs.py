"""Random programs as a user writes them: Python text over `jitgrad.ops`, methods and operators.

A program is drawn line by line and run as it grows, so that each line fits the values it uses. As
no line is near a tie or a kink (`user_lines`), two ways to run it differ by rounding only, and
`tolerances` measures how much that can be: it runs the program with each line disturbed in its last
bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from hypothesis import strategies as st

from jitgrad import Tensor, tree
from tests.laws.user_lines import FLOATS, MAKERS, NAMES, SIZE

EXTENTS = (1, 2, 3, 5)
LONG = 70  # more than the kernels' loops take in one step
LARGEST = 30.0  # magnitude of the largest value
ULPS = 8  # what one op may be wrong by: 4.4 of the worst function, and a sum's order


@dataclass(frozen=True, repr=False)
class Program:
    """The lines ``v = expression`` of a program, what it returns, and the arrays it runs on."""

    lines: tuple[tuple[str, str], ...]
    returns: str
    inputs: dict[str, np.ndarray]

    @property
    def source(self) -> str:
        """The program as a function."""
        head = f"def program({', '.join(self.inputs)}):"
        body = [f"    {name} = {text}" for name, text in self.lines]
        return "\n".join([head, *body, f"    return {self.returns}"])

    def __repr__(self) -> str:
        given = [f"{k} = np.{a!r}  # {a.dtype}{list(a.shape)}" for k, a in self.inputs.items()]
        return "\n".join(["", self.source, *given, ""])

    def function(self, noise: Callable[[Tensor], Tensor] | None = None) -> Callable:
        """The program; `noise` is applied to the result of each line."""
        names = dict(NAMES)
        shown = self
        if noise is not None:
            names["noise"] = noise
            lines = tuple([(name, f"noise({text})") for name, text in self.lines])
            shown = Program(lines, self.returns, self.inputs)
        exec(shown.source, names)
        return names["program"]

    def widened(self) -> Program:
        """The same in float64, as far as dtypes are written down."""
        lines = tuple([(name, text.replace("float32", "float64")) for name, text in self.lines])
        wide = {k: a.astype(a.dtype.str.replace("f4", "f8")) for k, a in self.inputs.items()}
        return Program(lines, self.returns, wide)

    def coarsest(self) -> float:
        """The relative step of the narrowest float dtype of all values."""
        found = [np.finfo(a.dtype).eps for a in self.inputs.values() if a.dtype.kind == "f"]

        def look(x: Tensor) -> Tensor:
            if x.dtype.is_float:
                found.append(np.finfo(x.dtype.numpy).eps)
            return x

        self.function(look)(*self.tensors())
        return float(max(found))

    def tensors(self) -> list[Tensor]:
        """The inputs."""
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


# --- drawing ------------------------------------------------------------------------------------


def programs(lines: int = 7) -> st.SearchStrategy[Program]:
    """Programs of up to `lines` lines. A shorter one of the same seed is the first part of it."""
    return st.builds(program, st.integers(0, 2**32 - 1), st.integers(3, lines))


def program(seed: int, lines: int) -> Program:
    """A program on one to three inputs, the first of which is a float."""
    r = Random(seed)
    kinds = [r.choice(FLOATS), *r.choices((*FLOATS, "int32"), k=r.randint(0, 2))]
    inputs = {f"x{k}": _array(r, kind) for k, kind in enumerate(kinds)}
    returned = r.random()
    values = {name: Tensor(a) for name, a in inputs.items()}
    found: list[tuple[str, str]] = []
    while len(found) < lines:
        text = r.choice(MAKERS)(r, values)
        if text is None:
            continue
        made = eval(text, dict(NAMES), dict(values))
        if made.size <= SIZE and usual(made):
            found.append((f"v{len(found)}", text))
            values[found[-1][0]] = made
    return Program(tuple(found), _returned(returned, [*values]), inputs)


def usual(x: Tensor) -> bool:
    """Whether all elements are finite and of moderate size."""
    a = x.asnumpy()
    return bool(np.all(np.isfinite(a)) and np.all(np.abs(a.astype(float)) <= LARGEST))


def _array(r: Random, dtype: str) -> np.ndarray:
    """Irregular numbers, whose sums and products are not near each other either."""
    shape = r.sample(EXTENTS, r.randint(0, 3))
    if r.randint(0, 9) == 0:
        shape = [*shape[:1], 0]
    elif r.randint(0, 4) == 0:
        shape = [*shape[:2], LONG]
    rng = np.random.default_rng(r.randint(0, 999))
    if dtype == "int32":
        return np.asarray(rng.integers(-3, 9, shape), np.int32)
    return np.asarray(rng.uniform(0.1, 2.0, shape) * rng.choice((1, -1, 1), shape)).astype(dtype)


def _returned(random: float, names: list[str]) -> str:
    """What a program returns: its last value, alone or with others in a nest."""
    last, other = names[-1], names[int(random * 997) % len(names)]
    nests = (f"({last}, {other})", f"{{'a': {other}, 'b': [{last}]}}", f"[{last}, ({other},)]")
    return (last, *nests)[int(random * 4)]
