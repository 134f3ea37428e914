"""What does not fit is refused by the call that is wrong: with the user's line, the real types, and
what to write instead; eagerly, while compiling and while differentiating alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, nn, ops
from jitgrad.errors import JitgradError
from tests.programs import type_of

HERE = Path(__file__).name
WAYS = {"eager": lambda f: f, "compiled": ms.jit, "differentiated": ms.grad}


def tensors(types: str) -> list[Tensor]:
    """Tensors 0, 1, 2, … of the types."""
    found = [type_of(text) for text in types.split()]
    return [Tensor(np.arange(t.size).reshape(t.shape).astype(t.dtype.numpy)) for t in found]


@dataclass(frozen=True)
class Row:
    """A wrong call on Tensors of `types`, the built-in class of its error, parts of the text."""

    call: Callable
    types: str
    kind: type[Exception]
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return re.sub(r"\W+", "-", self.parts[0])[:40].strip("-")


def wrong(call: Callable, types: str, kind: type[Exception], *parts: str) -> Row:
    return Row(call, types, kind, parts)


def refused(call: Callable[[], object], kind: type[Exception], line: int, *parts: str) -> None:
    """The call raises an error of ours of that class, which names the line and has the parts."""
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert isinstance(caught.value, JitgradError), text
    assert text.startswith(f"{HERE}:{line}: "), text
    for part in parts:
        assert part in text, text


def line_of(function: Callable) -> int:
    return function.__code__.co_firstlineno


# --- shapes, dtypes, types ----------------------------------------------------------------------

# fmt: off
WRONG = [
    wrong(lambda x, y: x + y, "f32[2,3] f32[4,5]", ValueError,
          "add got f32[2,3] and f32[4,5]", "shapes are matched from the last axis", "instead: "),
    wrong(lambda x, y: x * y, "f32[2,3] f64[2]", ValueError,
          "mul got f32[2,3] and f64[2]", "instead: ", ".reshape((2, 1))"),
    wrong(lambda x, y: ops.where(x > 0, x, y), "f32[2,3] f32[4,5]", ValueError,
          "where got bool[2,3], f32[2,3], f32[4,5]"),
    wrong(lambda x, y: x @ y, "f32[2,3] f32[4,5]", ValueError,
          "matmul got f32[2,3] and f32[4,5]", "3 elements", "4"),
    wrong(lambda x, y: ops.matmul(x, y), "f32[2,3] f64[3,2]", TypeError,
          "matmul got f32[2,3] and f64[3,2]", "instead: cast one of them, as in x.astype(y.dtype)"),
    wrong(lambda x: ops.matmul(x, 2.0), "f32[2,3]", ValueError,
          "matmul got f32[2,3] and f32[]", "instead: x * y"),
    wrong(lambda x, y: ops.einsum("ij,jk->ik", x, y), "f32[2,3] f32[4,5]", ValueError,
          "einsum got 'ij,jk->ik' and f32[2,3] and f32[4,5]", "'j' has the extents 3 and 4"),
    wrong(lambda x, y: ops.concat((x, y), 0), "f32[2,3] f32[4,5]", ValueError,
          "concat got f32[2,3] and f32[4,5] along axis 0"),
    wrong(lambda x: ops.concat([]), "f32[2,3]", ValueError, "concat got []", "at least one"),
    wrong(lambda x, y: ops.stack((x, y)), "f32[2,3] f32[4,5]", ValueError,
          "stack got f32[2,3] and f32[4,5]", "instead: ops.concat"),
    wrong(lambda x: x.reshape(4, 2), "f32[2,3]", ValueError,
          "reshape of f32[2,3] to (4, 2)", "6 elements"),
    wrong(lambda x: ops.broadcast_to(x, (4, 5)), "f32[2,3]", ValueError,
          "broadcast_to of f32[2,3] to (4, 5)"),
    wrong(lambda x: x.transpose((0, 0)), "f32[2,3]", ValueError, "transpose of f32[2,3] by (0, 0)"),
    wrong(lambda x: x.sum(axis=3), "f32[2,3]", IndexError,
          "sum got axis 3 for a Tensor of 2 dimensions", "-2 to 1"),
    wrong(lambda x: x.sum(axis=1.5), "f32[2,3]", TypeError, "sum got axis 1.5", "is an int"),
    wrong(lambda x: ops.split(x, [1, 1], axis=1), "f32[2,3]", ValueError,
          "split of f32[2,3] along axis 1 into sizes (1, 1)", "add up to 3"),
    wrong(lambda x: ops.topk(x, 9), "f32[2,3]", ValueError, "topk of f32[2,3]", "k=9"),
    wrong(lambda x: ops.pad(x, (1, 2, 3)), "f32[2,3]", ValueError, "pad of f32[2,3] by (1, 2, 3)"),
    wrong(lambda x: x.max(), "f32[0,3]", ValueError, "amax of f32[0,3]", "nothing to choose from"),
    wrong(lambda x: x & x, "f32[2]", TypeError,
          "bitwise_and got f32[2] and f32[2]", "x.astype(jitgrad.int32)"),
    wrong(lambda x: x << 1, "f32[2]", TypeError, "bitwise_left_shift got f32[2] and 1"),
    wrong(lambda x: x ** -1, "i32[3]", ValueError,
          "pow got i32[3] and the exponent -1", "x.astype(jitgrad.float32)"),
    wrong(lambda x: x + 1000, "i8[3]", ValueError,
          "add got int8 and the number 1000", "-128 to 127", "x.astype(jitgrad.int64)"),
    wrong(lambda x: ops.sin("a"), "f32[2]", TypeError, "sin got a str", "Tensors, NumPy arrays"),
    wrong(lambda x: x.astype("foo"), "f32[2]", TypeError, "'foo' is no dtype here", "float32"),
    wrong(lambda x: x[5], "f32[2,3]", IndexError,
          "index 5 is out of bounds for axis 0 of f32[2,3]", "from -2 to 1"),
    wrong(lambda x: x[0, 0, 0], "f32[2,3]", IndexError, "too many indices for f32[2,3]"),
    wrong(lambda x: x[1.5], "f32[2,3]", TypeError, "indexed with float 1.5"),
    wrong(lambda x, m: x[m > 0], "f32[2,3] f32[3]", IndexError, "a mask of shape (3,)", "f32[2,3]"),
    wrong(lambda x, y: x.__setitem__(0, y), "f32[2,3] f32[4]", ValueError,
          "f32[4] was written into", "of f32[2,3]"),
    wrong(lambda x, w: ops.conv2d(x, w), "f32[1,3,8,8] f32[4,2,3,3]", ValueError,
          "conv2d got x: f32[1,3,8,8] and w: f32[4,2,3,3]", "3 channels"),
    wrong(lambda x: ops.max_pool2d(x, 9), "f32[1,3,8,8]", ValueError, "9x9", "8x8", "instead: "),
    wrong(lambda x: nn.Dense(4, 2)(x), "f32[2,3]", ValueError,
          "Dense got an input of shape [2, 3]", "in_channels=4"),
    wrong(lambda x, y: nn.MSELoss()(x, y), "f32[2,3] f32[4,5]", ValueError,
          "mse_loss got f32[2,3] and f32[4,5]"),
    wrong(lambda x, y: ops.cross_entropy(x, y), "f32[3,3] i32[2]", ValueError,
          "cross_entropy got f32[3,3] and i32[2]", "without axis 1"),
    wrong(lambda x: Tensor([[1, 2], [3]]), "f32[2]", TypeError, "lists of different lengths"),
    wrong(lambda x: Tensor(["a"]), "f32[2]", TypeError, "Tensor got data of dtype <U1"),
    wrong(lambda x: Tensor(1j, ms.float32), "f32[2]", TypeError, "Tensor got complex numbers"),
    wrong(lambda x: x * 1j < x, "f32[2]", TypeError, "less got c64[2]", "ops.real(x)"),
    wrong(lambda x: (x * 1j).astype("float32"), "f32[2]", TypeError, "cannot cast c64[2]"),
    wrong(lambda x: x.__setitem__(0, 1j), "f32[2]", TypeError, "the complex number 1j"),
    wrong(lambda x: ops.linspace(0, 1, -2), "f32[2]", ValueError, "linspace got -2 steps"),
    wrong(lambda x: x if x > 0 else -x, "f32[2]", ValueError,
          "the truth value of a Tensor of shape [2] is ambiguous", "instead: t.any() or t.all()"),
]
# fmt: on


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", WRONG, ids=str)
def test_what_does_not_fit_is_refused(row: Row, way: str) -> None:
    if way == "differentiated" and not tensors(row.types)[0].dtype.is_float:
        pytest.skip("its gradient is refused for another reason")
    call = WAYS[way](row.call)
    refused(lambda: call(*tensors(row.types)), row.kind, line_of(row.call), *row.parts)


def test_python_words_its_own_errors() -> None:
    """Operands and arguments that Python itself refuses; its traceback ends at the user's line."""
    x = Tensor([1.0])
    for call, text in [
        (lambda: x + "a", "unsupported operand type(s) for +: 'Tensor' and 'str'"),
        (lambda: None * x, "unsupported operand type(s) for *: 'NoneType' and 'Tensor'"),
        (lambda: ops.sum(x, axes=1), "unexpected keyword argument 'axes'"),
        (lambda: ops.sin(), "missing 1 required positional argument"),
        (lambda: len(x.sum()), "len() of a 0-d Tensor"),
        (lambda: list(x.sum()), "iteration over a 0-d Tensor"),
    ]:
        with pytest.raises(TypeError, match=re.escape(text)):
            call()


# --- values of traced Tensors -------------------------------------------------------------------

# fmt: off
VALUES = {
    "range": (lambda x: list(range(x.sum().astype(ms.int32))), "turned into an int"),
    "item": (lambda x: x.sum().item(), "turned into a Python number"),
    "tolist": (lambda x: x.tolist(), "turned into a list"),
    "asnumpy": (lambda x: x.asnumpy(), "turned into a NumPy array"),
    "buffer": (lambda x: x.__array__(), "turned into a NumPy array"),
    "format": (lambda x: f"{x.sum():.2f}", "formatted"),
}
# fmt: on


@pytest.mark.parametrize("name", VALUES)
def test_a_traced_value_is_not_looked_at(name: str) -> None:
    function, asked = VALUES[name]
    x = Tensor([1.0, 2.0])
    function(x)  # eagerly it is fine
    parts = ("a traced Tensor of type ", asked)
    compiled = (*parts, "while the function is being compiled", "instead: ", "ops.where")
    refused(lambda: ms.jit(function)(x), RuntimeError, line_of(function), *compiled)
    refused(lambda: ms.vmap(function)(x[None]), RuntimeError, line_of(function), *parts)


NUMBERS = {
    **VALUES,
    "float": (lambda x: float(x.sum()), "turned into a float"),
    "array": (lambda x: np.array(x), "turned into a NumPy array"),  # of Tensors, if compiled
    "numpy": (lambda x: np.setxor1d(x, x), "turned into a NumPy array"),
}


@pytest.mark.parametrize("name", ["float", "item", "tolist", "asnumpy", "buffer", "array", "numpy"])
def test_a_gradient_is_not_lost_to_a_number(name: str) -> None:
    function, asked = NUMBERS[name]
    parts = ("a Tensor that is being differentiated was", asked, "its gradient would be lost")
    refused(lambda: ms.grad(function)(Tensor([1.0])), RuntimeError, line_of(function), *parts)


def test_a_tensor_that_leaks_is_named() -> None:
    kept = []
    leak = lambda x: kept.append(x * 2)  # noqa: E731
    parts = ("f32[1]", "a list that outlives the call", "instead: return it")
    refused(lambda: ms.jit(leak)(Tensor([1.0])), RuntimeError, line_of(leak), *parts)


# --- calls --------------------------------------------------------------------------------------


class Pair(nn.Cell):
    def construct(self, x: Tensor, y: Tensor, *, k: int = 1) -> Tensor:
        return x + y * k


@pytest.mark.parametrize(
    ("args", "keywords", "got", "why"),
    [
        ((), {}, "()", "missing a required argument: 'x'"),
        ((Tensor(1.0),), {}, "(Tensor)", "missing a required argument: 'y'"),
        ((Tensor(1.0),) * 3, {}, "(Tensor, Tensor, Tensor)", "too many positional arguments"),
        (
            (Tensor(1.0),) * 2,
            {"z": 3},
            "(Tensor, Tensor, z=int)",
            "unexpected keyword argument 'z'",
        ),
    ],
)
def test_a_cell_shows_its_signature(
    args: tuple, keywords: dict, got: str, why: str, mode: str
) -> None:
    call = lambda: Pair()(*args, **keywords)  # noqa: E731
    parts = (f"Pair was called with {got}", why, "instead: its arguments are construct(x: 'Tensor'")
    refused(call, TypeError, line_of(call), *parts)


def test_a_gradient_names_what_it_cannot_differentiate(mode: str) -> None:
    def forgets(x: Tensor) -> None:
        x * x

    f = ms.grad(lambda x, y: x * y)
    # fmt: off
    calls = [
        (lambda: f(3, Tensor(1.0)), TypeError, "argument 0 (x)", "the int 3", "instead: "),
        (lambda: f(True, Tensor(1.0)), TypeError, "argument 0 (x)", "the bool True"),
        (lambda: f("a", Tensor(1.0)), TypeError, "argument 0 (x)", "the str 'a'"),
        (lambda: f(Tensor(True), Tensor(1.0)), TypeError, "argument 0 (x)", "of dtype Bool"),
        (lambda: ms.grad(lambda x, y: x, 5)(1.0, 2.0), IndexError, "position 5", "(x, y)"),
        (lambda: ms.grad(forgets)(Tensor(1.0)), TypeError, "forgets returned None", "instead: "),
        (lambda: ms.grad(3), TypeError, "grad got a int"),
        (lambda: ms.jit(3), TypeError, "jit got a int"),
        (lambda: ms.vmap(lambda x, y: x + y)(Tensor([1.0]), Tensor([1.0, 2.0])), ValueError,
         "f32[1] along 0, f32[2] along 0", "mapped axes have one extent"),
    ]
    # fmt: on
    for call, kind, *parts in calls:
        refused(call, kind, line_of(call), *parts)


# --- indices that are known only when it runs ---------------------------------------------------

# fmt: off
READS = {
    "getitem": lambda x, i: x[i],
    "gather": lambda x, i: ops.gather(x, i, 0),
    "take": lambda x, i: ops.take(x, i),
    "gather_elements": lambda x, i: ops.gather_elements(x, 0, i),
    "embedding": lambda x, i: ops.embedding(i, x[:, None]),
    "index_add": lambda x, i: ops.index_add(x, i, x[:1], 0),
    "scatter": lambda x, i: ops.tensor_scatter_update(x, i[:, None], x[:1]),
    "cross_entropy": lambda x, i: ops.cross_entropy(x[None], i),
}
# fmt: on


@pytest.mark.parametrize("place", [3, 2**30, -4, -(2**30)])
@pytest.mark.parametrize("name", READS)
def test_an_index_out_of_range(name: str, place: int) -> None:
    function, line = READS[name], line_of(READS[name])
    good, bad = (Tensor(np.array([i], np.int32)) for i in (1, place))
    x = Tensor([1.0, 2.0, 3.0])
    wanted = function(x, good).tolist()
    refused(lambda: function(x, bad), IndexError, line)
    compiled = ms.jit(function)
    for _ in range(2):  # an error leaves it usable
        np.testing.assert_allclose(compiled(x, good).asnumpy(), wanted, 1e-6)
        refused(lambda: compiled(x, bad), IndexError, line)
    refused(lambda: ms.jit(ms.grad(function))(x, bad), IndexError, line)


def test_a_class_does_not_count_from_the_end() -> None:
    """As in PyTorch; a label of -1 would train the last class silently."""
    x, labels = Tensor(np.eye(3)), Tensor(np.array([0, -1, 2], np.int32))
    call = lambda x, y: ops.cross_entropy(x, y)  # noqa: E731
    wanted = ("cross_entropy got the class -1", "3 classes", "ignore_index")
    refused(lambda: call(x, labels), IndexError, line_of(call), *wanted)
    refused(lambda: ms.jit(call)(x, labels), IndexError, line_of(call))
    ignoring = lambda x, y: ops.cross_entropy(x, y, ignore_index=-1)  # noqa: E731
    assert ms.jit(ignoring)(x, labels).tolist() == pytest.approx(ignoring(x, labels).tolist())
