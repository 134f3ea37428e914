"""Loops and branches: eager, interpreted, compiled and differentiated programs agree."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, config, ops
from jitgrad.api.jit import Compiled
from jitgrad.errors import BranchError, CarryError, ConditionError, LimitError
from jitgrad.frontend import regions
from jitgrad.frontend.graphcall import compiled, interpreted
from jitgrad.frontend.trace import Argument, trace
from jitgrad.ir.text import parse
from jitgrad.ir.verify import verify
from jitgrad.passes.pipeline import optimize
from tests.frontend import region_programs

CALLS = list(region_programs.calls())
NAMES = [f"{program.__name__}-{i}" for i, (program, _) in enumerate(CALLS)]
RTOL = 1e-10  # of results computed in another order


def tensors(args):
    return tuple(Tensor(np.asarray(a)) for a in args)


def arrays(value):
    return [x.asnumpy() for x in ms.tree.flatten(value)[0]]


def gradient(program, count):
    return ms.grad(program, tuple(range(count)))


def second(program, count):
    """The gradient of the squares of the gradient."""

    def squares(*args):
        found = gradient(program, count)(*args)
        return sum((g * g).sum() for g in (found if count > 1 else (found,)))

    return gradient(squares, count)


def assert_close(got, wanted):
    for a, b in zip(arrays(got), arrays(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=1e-12)


@pytest.mark.parametrize(("program", "args"), CALLS, ids=NAMES)
def test_all_modes_agree(program, args):
    """The compiled gradient's forward part is the compiled program."""

    def function(*xs):
        return ms.value_and_grad(program, tuple(range(len(args))))(*xs)

    given = tensors(args)
    eager = function(*given)
    assert_close(Compiled(function, interpreted, functional=True)(*given), eager)
    assert_close(Compiled(function, compiled, functional=True)(*given), eager)


@pytest.mark.parametrize(("program", "args"), CALLS, ids=NAMES)
def test_second_order(program, args):
    given, function = tensors(args), second(program, len(args))
    eager = function(*given)
    assert_close(Compiled(function, interpreted, functional=True)(*given), eager)
    if program in region_programs.COMPILED_TWICE:
        assert_close(Compiled(function, compiled, functional=True)(*given), eager)


@pytest.mark.parametrize(("program", "args"), CALLS, ids=NAMES)
def test_gradients_are_slopes(program, args):
    given = tensors(args)
    found = gradient(program, len(args))(*given)
    found = found if len(args) > 1 else (found,)
    rng = np.random.default_rng(1)
    directions = [rng.uniform(-1, 1, np.shape(a)) for a in args]
    step = 1e-6
    up, down = (
        program(*tensors([a + s * step * d for a, d in zip(args, directions)])).asnumpy()
        for s in (1, -1)
    )
    slope = sum((g.asnumpy() * d).sum() for g, d in zip(found, directions))
    np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize(("program", "args"), CALLS, ids=NAMES)
def test_forward_mode(program, args):
    given = tensors(args)
    directions = tensors([np.cos(a) for a in args])

    def pushed(*xs):
        return ms.jvp(program, xs, directions)[1]

    found = gradient(program, len(args))(*given)
    found = found if len(args) > 1 else (found,)
    wanted = sum((g * d).sum() for g, d in zip(found, directions))
    make = compiled if program in region_programs.COMPILED_TWICE else interpreted
    assert_close(Compiled(pushed, make, functional=True)(*given), wanted)


@pytest.mark.parametrize(("program", "args"), CALLS, ids=NAMES)
def test_batches(program, args):
    """Examples that run for different times, and take different branches."""
    batch = tensors([np.stack([a, a * 0.8, a * 1.3]) for a in args])
    rows = [tuple(b[i] for b in batch) for i in range(3)]
    for function, make in (
        (program, interpreted),
        (gradient(program, len(args)), interpreted),
        (gradient(program, len(args)), compiled),
    ):
        if make is compiled and program not in region_programs.COMPILED_TWICE:
            continue
        mapped = Compiled(ms.vmap(function), make, functional=True)(*batch)
        wanted = [arrays(function(*row)) for row in rows]
        for found, column in zip(arrays(mapped), zip(*wanted), strict=True):
            np.testing.assert_allclose(found, np.stack(column), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("program", "args"), CALLS, ids=NAMES)
def test_graphs_are_sound(program, args):
    """Every graph verifies, and is what its text says."""
    given = tensors(args)
    traced = trace(
        lambda xs: second(program, len(args))(*xs), [Argument("x", x._type) for x in given], "f"
    )
    stages = [traced.graph]
    optimize(traced.graph, watch=lambda name, graph: stages.append(graph))
    for graph in dict.fromkeys(stages):
        verify(graph)
        assert parse(str(graph)) is graph


@pytest.mark.parametrize(("program", "args"), CALLS, ids=NAMES)
def test_kernels_run_as_python(program, args):
    given = tensors(args)
    function = gradient(program, len(args))
    with config.override(jit=False):
        found = Compiled(function, compiled, functional=True)(*given)
    assert_close(found, function(*given))


# --- what goes wrong ------------------------------------------------------------------------------


def traced(function, *args):
    return Compiled(function, compiled, functional=True)(*tensors(args))


def both(function, *args):
    """Each way to call a function."""
    return [lambda: function(*tensors(args)), lambda: traced(function, *args)]


def test_a_condition_is_one_truth_value():
    for run in both(lambda v: regions.cond(v > 0, lambda: [v], lambda: [v], []), np.ones(3)):
        with pytest.raises(ConditionError, match=r"Float64|f64|bool\[3\]"):
            run()


def test_branches_agree():
    def f(x):
        return regions.cond(x > 0, lambda: [x], lambda: [ops.stack([x, x])], [], names=["total"])

    with pytest.raises(BranchError, match=r"'total' is f64\[\] where .* and f64\[2\] where") as e:
        traced(f, np.float64(1.0))
    assert e.value.name == "total"
    assert e.value.position == 0
    assert [str(t) for t in e.value.types] == ["f64[]", "f64[2]"]


def test_carries_keep_their_type():
    def f(x):
        return regions.while_loop(
            lambda i, y: i < 3, lambda i, y: [i + 1, ops.stack([x, x])], [Tensor(0), x],
            names=["i", "y"],
        )  # fmt: skip

    for run in both(f, np.float64(1.0)):
        with pytest.raises(CarryError, match=r"'y' is f64\[\] before .* f64\[2\] after") as e:
            run()
        assert (e.value.name, e.value.position) == ("y", 1)


def test_a_loop_has_a_limit():
    def f(x):
        return regions.while_loop(lambda y: y > 0, lambda y: [y + 1], [x], limit=100)

    for run in both(f, np.float64(1.0)):
        with pytest.raises(LimitError, match="100 times"):
            run()


def test_the_limit_is_a_setting():
    def f(x):
        return regions.while_loop(lambda y: y > 0, lambda y: [y + 1], [x])

    with config.override(loop_limit=50), pytest.raises(LimitError, match="50 times"):
        traced(f, np.float64(1.0))


def test_an_index_outside():
    def f(v):
        return regions.while_loop(lambda i, s: s < 9.0, lambda i, s: [i + 1, s + v[i]],
                                  [Tensor(0), v[0] * 0.0])  # fmt: skip

    for run in both(f, np.full(20, 0.1)):
        with pytest.raises(IndexError, match="20"):
            run()


# --- what is around a loop ------------------------------------------------------------------------


def test_parameters_are_written():
    def program():
        total, steps = ms.Parameter(Tensor(1.0), "total"), ms.Parameter(Tensor(0), "steps")

        def f(x):
            def body(i, c):
                ops.assign(total, total * x + c)
                regions.cond(c > 2.0, lambda: [ops.assign(steps, steps + 1)], lambda: [steps], [])
                return [c + total]

            (c,) = regions.fori(0, 4, 1, body, [x])
            return c + total

        return f, total, steps

    f, total, steps = program()
    g, traced_total, traced_steps = program()
    wanted, found = f(Tensor(1.2)), ms.jit(g)(Tensor(1.2))
    assert_close((found, traced_total, traced_steps), (wanted, total, steps))


def test_random_numbers_are_drawn_in_turn():
    def f(x):
        return regions.fori(0, 5, 1, lambda i, c: [c + ops.standard_normal((2,))], [x])[0]

    ms.set_seed(3)
    wanted = f(Tensor(np.zeros(2, np.float32)))
    ms.set_seed(3)
    found = ms.jit(f)(Tensor(np.zeros(2, np.float32)))
    np.testing.assert_allclose(found.asnumpy(), wanted.asnumpy(), rtol=1e-6)


def test_custom_gradients_inside():
    double = ops.InsertGradientOf(lambda g: g * 2)

    def f(x):
        return regions.fori(0, 3, 1, lambda i, c: [double(c) * 1.5], [x])[0]

    assert_close(ms.jit(ms.grad(f))(Tensor(1.0)), ms.grad(f)(Tensor(1.0)))
    assert ms.grad(f)(Tensor(1.0)).item() == (1.5 * 2) ** 3


def test_a_known_condition_is_decided_while_tracing():
    def f(x):
        return regions.cond(Tensor(1.0) * 0.0 > 1.0, lambda: [x], lambda: [x, x], [])

    assert len(ms.jit(f)(Tensor(1.0))) in (1, 2)


def test_only_one_branch_runs():
    """The other one would fail."""

    def f(v, i):
        return regions.cond(i < 5, lambda: [v[i]], lambda: [v[0]], [])[0]

    assert ms.jit(f)(Tensor([1.0, 2.0, 3.0]), Tensor(7)).item() == 1.0


def test_the_nests_of_ops():
    def f(x):
        state = ops.while_loop(
            lambda s: s["n"] < 4, lambda s: {"n": s["n"] + 1, "y": (s["y"][0] * x,)},
            {"n": 0, "y": (x,)},
        )  # fmt: skip
        return ops.cond(x > 1, lambda: [state["y"][0]], lambda: [x])[0]

    assert_close(ms.jit(ms.grad(f))(Tensor(1.5)), ms.grad(f)(Tensor(1.5)))


def test_compile_time_does_not_depend_on_the_trip_count():
    def sources(n):
        def f(x):
            return regions.fori(0, n, 1, lambda i, c: [ops.sin(c) * x], [x])[0]

        lowered = ms.jit(ms.grad(f)).lower(Tensor(np.float64(0.5)))
        return [k.source for k in lowered.kernels]

    assert sources(10) == sources(100_000)


def test_recompute():
    f = ms.recompute(lambda x, y: {"z": ops.sin(ops.exp(x) * y).sum()})
    plain = lambda x, y: ops.sin(ops.exp(x) * y).sum()  # noqa: E731
    given = tensors((VECTOR, VECTOR * 0.5))
    found = ms.jit(ms.grad(lambda x, y: f(x, y)["z"], (0, 1)))(*given)
    assert_close(found, ms.grad(plain, (0, 1))(*given))


@pytest.mark.parametrize("checkpoint", ["sqrt", "binomial"])
def test_memory_of_a_long_loop(checkpoint):
    """Ten million steps of three float64: 240 MB if all of them were recorded."""

    def step(i, state):
        x, y, z = state
        return y * 0.5 + 1e-7, z * x, x + y * 1e-7

    def f(x, y, z):
        return sum(ops.fori_loop(0, 10_000_000, step, (x, y, z), checkpoint=checkpoint))

    plan = ms.jit(ms.grad(f, (0, 1, 2))).lower(*tensors([0.1, 0.2, 0.3])).plan
    assert plan.arena < 2**20


def test_checkpoints_that_do_not_exist():
    f = ms.grad(lambda x: ops.fori_loop(0, 9, lambda i, v: v * x, x, checkpoint="cube"))
    with pytest.raises(ValueError, match="it is a number of iterations, 'sqrt' or 'binomial'"):
        ms.jit(f)(Tensor(1.0))


def test_recompute_keeps_nothing():
    def loss(x):
        return (ms.recompute(lambda x: ops.sin(ops.exp(x)))(x) * x).sum()

    given = tensors((np.linspace(0.0, 1.0, 40),))
    traced = trace(lambda xs: ms.grad(loss)(*xs), [Argument("x", given[0]._type)], "f")
    forward = [n for n in optimize(traced.graph).nodes if "carried" in n.attrs]
    assert all(len(n.inputs) <= 2 for n in forward)
    assert_close(ms.jit(ms.grad(loss))(*given), ms.grad(loss)(*given))


VECTOR = np.linspace(0.1, 0.9, 5)


def test_an_index_error_names_the_line():
    def f(v):
        return regions.while_loop(
            lambda i, s: s < 9.0, lambda i, s: [i + 1, s + v[i]], [Tensor(0), v[0] * 0.0]
        )

    with pytest.raises(IndexError, match=r"test_regions.py:\d+: index 20 is out of bounds"):
        traced(f, np.full(20, 0.1))


def test_tapes_are_freed():
    """Those that pass from kernel to kernel as well; also by a kernel that reports an error."""

    def f(v):
        _, y = regions.while_loop(
            lambda i, y: i < 9, lambda i, y: [i + 1, y * v], [Tensor(0), v * 0.5]
        )
        return (y * y).sum()

    lowered = ms.jit(ms.grad(f)).lower(Tensor(np.linspace(0.5, 1.0, 40)))
    passed = len(lowered.plan.tapes)
    released = [k for k in lowered.kernels if "free_tape" in k.source]
    assert passed >= 1
    assert len(released) >= passed
