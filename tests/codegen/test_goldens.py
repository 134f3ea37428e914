"""The text of kernels and plans, and what LLVM makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from jitgrad import config
from jitgrad.codegen.compile import optimized_module
from jitgrad.ir.node import Node, full
from jitgrad.ir.op import OPS
from jitgrad.ir.types import float32
from jitgrad.primitives.elementwise import select, sqrt
from jitgrad.primitives.reduce import reduce_max, reduce_prod, reduce_sum
from jitgrad.primitives.shape import flip, transpose
from jitgrad.runtime.executable import Executable
from jitgrad.runtime.lowered import Lowered
from tests import programs
from tests.programs import graph_of


def bias_gradient(g: Node, y: Node):
    masked = select(y > 0, g, full(0, g.type))
    return masked, reduce_sum(masked, axes=(0,))


def norm(x: Node) -> Node:
    return sqrt(reduce_sum(x * x, axes=(0,)))


def momentum_step(weight: Node, speed: Node, gradient: Node):
    faster = speed * 0.9 + gradient
    return weight - faster * 0.1, faster


# name: program, types, gradients in these inputs, updates in place
PROGRAMS: dict[str, tuple] = {
    "two_inputs": (programs.two_inputs, "f32[8,5] f32[8,5]", (0, 1), {}),
    "softmax": (programs.softmax, "f32[8,5]", (), {}),
    "layer_norm": (programs.layer_norm, "f32[8,5] f32[5] f32[5]", (), {}),
    "bias_gradient": (bias_gradient, "f32[8,5] f32[8,5]", (), {}),
    "norm": (norm, "f32[100000]", (), {}),
    "dense": (programs.square_loss, "f32[32,20] f32[20,24] f32[24] f32[32,24]", (1, 2), {}),
    "momentum_step": (momentum_step, "f32[8,5] f32[8,5] f32[8,5]", (), {0: 0, 1: 1}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_kernels_and_plans(name: str, golden: Callable[[str, str], None]) -> None:
    program, types, wrt, updates = PROGRAMS[name]
    with config.override(jit=False):
        lowered = Lowered(graph_of(program, types, wrt), updates)
    golden(f"codegen/{name}.plan", str(lowered.plan))
    golden(f"codegen/{name}.cpu.py", "\n\n".join(k.text for k in lowered.kernels))
    golden(f"codegen/{name}.cuda.py", "\n\n".join(k.cuda for k in lowered.kernels if k.cuda))


# --- machine code ---------------------------------------------------------------------------------


def modules(program, types: str) -> list[str]:
    """The optimized LLVM text of a program's region kernels."""
    with config.override(jit=False):
        executable = Executable(graph_of(program, types), {})
    sources = [
        launch.source for _, launch in executable.program.launches if launch.kernel is not None
    ]
    return [str(optimized_module(source)) for source in sources]


def host_features() -> dict[str, bool]:
    import llvmlite.binding as llvm

    return dict(llvm.get_host_cpu_features())


wide_vectors = pytest.mark.skipif(
    not host_features().get("avx2"), reason="this CPU has no AVX2, so its vectors are shorter"
)
UNARY = [
    op.name
    for op in OPS.values()
    if op.kind == "elementwise"
    and len(op.operands) == 1
    and any(s.inputs[0].dtype == float32.numpy for s in op.samples(float32))
]
FUNCTIONS = [UNARY[i : i + 8] for i in range(0, len(UNARY), 8)]


@pytest.mark.parametrize("names", FUNCTIONS, ids=lambda names: names[0])
@wide_vectors
def test_functions_of_float32_stay_in_float32_vectors(names: list[str]) -> None:
    """No double, and no call of a foreign function for one number at a time."""
    (text,) = modules(lambda x: [OPS[name](x * 2) for name in names], "f32[1000]")
    assert not re.findall(r"\bdouble\b", text)
    assert not re.findall(r"call (?:fast )?float @(?!llvm|jitgrad_)\w+", text)
    assert re.search(r"store <(8|16) x float>", text)


# What the loops of these kernels do, and what must be done in vectors.
FLOATS = r"<(?:8|16) x float>"
VECTORS = {
    "map": (programs.chain, "f32[1000]", [f"store {FLOATS}", f"fdiv {FLOATS}|fmul {FLOATS}"]),
    "map of three results": (programs.two_inputs, "f32[30,50] f32[30,50]", [f"store {FLOATS}"]),
    "map of repeated rows": (
        lambda x, b: x * programs.lead(b, 30),
        "f32[30,50] f32[50]",
        [f"fmul {FLOATS}", f"store {FLOATS}"],
    ),
    "map of reversed rows": (lambda x: flip(x, axes=(1,)) * 2, "f32[30,50]", [f"store {FLOATS}"]),
    "row sum": (
        lambda x: reduce_sum(x, axes=(1,)), "f32[30,50]", [f"fadd reassoc(?: \\w+)* {FLOATS}"]),
    "row maximum": (lambda x: reduce_max(x, axes=(1,)), "f32[30,50]", [FLOATS]),
    "row product": (
        lambda x: reduce_prod(x, axes=(1,)), "f32[30,50]", [f"fmul reassoc(?: \\w+)* {FLOATS}"]),
    "softmax": (programs.softmax, "f32[30,50]", [f"fdiv {FLOATS}", f"store {FLOATS}"]),
    "layer norm": (
        programs.layer_norm, "f32[30,50] f32[50] f32[50]",
        [f"fadd reassoc(?: \\w+)* {FLOATS}", f"store {FLOATS}"]),
    "column sum": (
        lambda x: reduce_sum(x, axes=(0,)), "f32[30,50]", [f"fadd(?: \\w+)* {FLOATS}"]),
    "bias gradient": (
        bias_gradient, "f32[30,50] f32[30,50]",
        [f"fadd(?: \\w+)* {FLOATS}", f"select .*{FLOATS}"]),
    "blocked sum": (
        lambda x: reduce_sum(x * x, axes=(0, 1)), "f32[300,5000]",
        [f"fadd reassoc(?: \\w+)* {FLOATS}"]),
    "transposed": (
        lambda x, y: transpose(x, perm=(1, 0)) + y, "f32[50,30] f32[30,50]", [f"fadd {FLOATS}"]),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
@wide_vectors
def test_loops_are_vectorized(name: str) -> None:
    program, types, wanted = VECTORS[name]
    text = modules(program, types)[0]
    assert not re.findall(r"\bdouble\b", text)
    for pattern in wanted:
        assert re.search(pattern, text), pattern


@wide_vectors
@pytest.mark.parametrize("updates", [{0: 0, 1: 1}, {}])
def test_updates_in_place_are_vectorized(updates: dict[int, int]) -> None:
    """A result written over an operand is no reason to fear that they clash."""
    with config.override(jit=False):
        executable = Executable(graph_of(momentum_step, "f32[1000] f32[1000] f32[1000]"), updates)
    ((_, launch),) = executable.program.launches
    assert re.search(f"store {FLOATS}", str(optimized_module(launch.source)))


@wide_vectors
@pytest.mark.parametrize("read", [1, 4, 12, 22])
def test_many_arrays_are_vectorized(read: int) -> None:
    """As many as fusion allows in one kernel."""

    def program(*xs: Node):
        total = sum(xs[1:], xs[0])
        return [total * float(i) for i in range(20)]

    for text in modules(program, "f32[1000] " * read):
        assert re.search(f"store {FLOATS}", text)
