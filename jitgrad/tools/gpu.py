"""``python -m jitgrad cuda``: what kernels become on NVIDIA GPUs, and whether they are right there.

    cuda check            compile the kernels of every op, and run them if there is a GPU
    cuda inspect TARGET   launch by launch: text, PTX, registers, occupancy, bytes, the least time
    cuda ops              the kernels of each op, as a table

Compiling needs ``pip install jitgrad[cuda]``, and no GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad.codegen.cuda import grids, offline
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.errors import DeviceError
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, input_node, project
from jitgrad.ir.op import OPS, Op, Sample
from jitgrad.ir.types import DTYPES, DType, TupleType, of_array
from jitgrad.runtime.cuda.device import device
from jitgrad.runtime.cuda.native import why_not
from jitgrad.runtime.cuda.program import DeviceProgram
from jitgrad.tools.tables import columns, markdown

CAPABILITIES = ((7, 5), (8, 0), (9, 0))
ENOUGH = 8  # kernels to compile for which a process of its own pays
KINDS = ("elementwise", "reduce", "view", "call")
# Of an A100 and an H100: bytes a second from memory, operations a second in float32 and float64.
PEAKS = {(8, 0): (1.555e12, 19.5e12, 9.7e12), (9, 0): (3.35e12, 67e12, 34e12)}


@dataclass(frozen=True, slots=True)
class Roof:
    """The least time of a launch on a device, by memory and by arithmetic, in seconds."""

    memory: float
    arithmetic: float


def roof(grid: Grid, capability: tuple[int, int]) -> Roof:
    """The bound of the roofline model (Williams, Waterman and Patterson, 2009)."""
    moved, single, double = PEAKS[capability]
    return Roof(grid.bytes / moved, grid.work / (double if "f64" in grid.source else single))


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``cuda``."""
    options = _parser().parse_args(argv)
    simulated = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") != "0"
    if simulated and options.what != "ops":
        raise DeviceError("NUMBA_ENABLE_CUDASIM is set: Numba's simulator compiles nothing")
    return {"check": _check, "inspect": _inspect, "ops": _ops}[options.what](options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jitgrad cuda",
        description="What kernels become on NVIDIA GPUs.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="what", required=True, metavar="check | inspect | ops")
    check = commands.add_parser("check", help="compile every op's kernels; run them on a GPU")
    check.add_argument("--ops", default="", metavar="A,B", help="these ops only")
    check.add_argument("--dtypes", default="", metavar="A,B", help="these dtypes only, as float32")
    inspect = commands.add_parser("inspect", help="each launch of a function")
    inspect.add_argument("target", metavar="TARGET", help="file.py:function")
    inspect.add_argument("--grad", action="store_true", help="with its gradient")
    inspect.add_argument("--ptx", action="store_true", help="print the PTX as well")
    listed = commands.add_parser("ops", help="the kernels of each op")
    listed.add_argument("--markdown", action="store_true", help="print a Markdown table")
    for command in (check, inspect):
        command.add_argument(
            "--sm", default="75,80,90", metavar="A,B", help="architectures (default: 75,80,90)"
        )
    return parser


def _capabilities(options: argparse.Namespace) -> list[tuple[int, int]]:
    return [divmod(int(sm), 10) for sm in options.sm.split(",")]


# --- check --------------------------------------------------------------------------------------


def programs(ops: set[str], dtypes: set[str]) -> Iterator[tuple[Op, DType, DeviceProgram, list]]:
    """A program for each op and dtype, of the op's largest sample, and its operands."""
    import jitgrad.primitives  # noqa: F401  declares the ops

    for op in OPS.values():
        is_wanted = op.kind in KINDS and (not ops or op.name in ops)
        if not is_wanted:
            continue
        for dtype in DTYPES:
            samples = [s for s in op.samples(dtype) if s.inputs]
            if not samples or (dtypes and dtype.name not in dtypes):
                continue
            largest = max(samples, key=lambda s: sum(np.size(a) for a in s.inputs))
            graph = graph_of(op, largest)
            arrays = [np.array(a, order="C") for a in largest.inputs]
            yield op, dtype, DeviceProgram(graph, {}), arrays


def graph_of(op: Op, sample: Sample) -> Graph:
    """An op alone."""
    inputs = [input_node(f"x{i}", of_array(a)) for i, a in enumerate(sample.inputs)]
    made = op(*inputs, **sample.attrs)
    several = isinstance(made.type, TupleType)
    outputs = [project(made, i) for i in range(len(made.type.items))] if several else [made]
    return Graph(op.name, inputs, outputs)


def _check(options: argparse.Namespace) -> int:
    names, dtypes = ({x for x in text.split(",") if x} for text in (options.ops, options.dtypes))
    absent = why_not()
    run = device().run if not absent else None
    kernels: dict[tuple, tuple[str, str, Grid]] = {}
    wrong = compared = 0
    for op, dtype, program, arrays in programs(names, dtypes):
        for _, grid in program.grids:
            alone = dataclasses.replace(grid, pointers=(), faults=())
            kernels.setdefault((grid.source, grid.codes), (op.name, dtype.name, alone))
        if run is not None:
            compared += 1
            got = [found.numpy() for found in run(program, *arrays)]
            wrong += not _is_right(got, interpret(program.graph, arrays))
    figures = functools.partial(_figures, capabilities=_capabilities(options))
    rows = [row for rows in _shared(figures, list(kernels.values())) for row in rows]
    head = ("op", "dtype", "sm", "registers", "shared", "occupancy", "spilled", "double")
    if rows:
        print(columns(head, rows, right=(3, 4, 5, 6)))
    print(
        f"{len(kernels)} kernels compiled for sm {options.sm};"
        f" {len(rows)} spill or compute in double"
    )
    spilled = any(row[6] != "0" for row in rows)
    if run is None:
        print(f"not run: {absent}")
    else:
        print(f"{compared} programs run on the GPU, {wrong} differ from the reference")
    return int(wrong > 0 or spilled)


def _shared(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """A function of each item, by as many processes as there are processors."""
    workers = min(os.cpu_count() or 1, len(items) // ENOUGH)
    if workers < 2:
        return list(map(function, items))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(function, items))


def _figures(
    kernel: tuple[str, str, Grid], capabilities: Sequence[tuple[int, int]]
) -> list[tuple[str, ...]]:
    """A row for each architecture on which a kernel spills, or computes in double for float32."""
    name, dtype, grid = kernel
    rows = []
    for capability in capabilities:
        found = offline.needs(grid, capability)
        wide = dtype == "float32" and ".f64" in offline.ptx(grid, capability)
        if found.spills or wide:
            figures = found.registers, found.shared, f"{found.occupancy:.0%}", found.spills
            sm = "{}{}".format(*capability)
            rows.append((name, dtype, sm, *map(str, figures), "yes" if wide else ""))
    return rows


def _is_right(got: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> bool:
    return all(
        np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)
        for a, b in zip(got, want, strict=True)
    )


# --- inspect ------------------------------------------------------------------------------------


def _inspect(options: argparse.Namespace) -> int:
    from jitgrad.tools.subject import lower
    from jitgrad.tools.target import load

    target = load(options.target)
    lowered = lower(target.function, target.arguments, grad=options.grad)
    program = DeviceProgram(lowered.stages[0][1], {})
    for number, (position, grid) in enumerate(program.grids):
        node = program.plan.steps[position].node
        print(f"# launch {number}: {node.op.name if node is not None else 'copy'}, {grid.blocks}")
        print(f"# blocks of {grid.threads} threads; {grid.bytes} bytes, {grid.work} operations")
        print(grid.source)
        print(_table(grid, _capabilities(options)))
        print()
        if options.ptx:
            print(offline.ptx(grid, _capabilities(options)[0]))
    return 0


def _table(grid: Grid, capabilities: Sequence[tuple[int, int]]) -> str:
    rows = []
    for capability in capabilities:
        n = offline.needs(grid, capability)
        bound = ""
        if capability in PEAKS:
            least = roof(grid, capability)
            bound = f"{max(least.memory, least.arithmetic) * 1e6:.2f} µs"
        rows.append(
            (
                "{}{}".format(*capability),
                n.registers,
                n.shared,
                n.spills,
                f"{n.occupancy:.0%}",
                bound,
            )
        )
    head = ("sm", "registers", "shared", "spilled", "occupancy", "at least")
    return columns(head, [[str(c) for c in row] for row in rows], right=(1, 2, 3, 4, 5))


# --- ops ----------------------------------------------------------------------------------------

BY_KIND = {
    "elementwise": "part of map, row and column kernels, 16 bytes a thread at a time",
    "reduce": "part of row, column and blocked kernels: totals joined in shared memory",
    "view": "part of what reads it: another address",
    "region": "a kernel of one thread, or one a lane; larger bodies are driven by the host",
}
FLOW = ("cond", "loop")  # the other regions are what passes make
BY_MODULE = {
    "products": "tiles in shared memory, 4 x 4 elements a thread",
    "flow": BY_KIND["region"],
    "matrices": "one thread a matrix",
    "specials": "one thread an element: series and continued fractions, in float64",
}
BY_HOST = "none: the host waits for the operands, calls the function, and copies the results back"


def _ops(options: argparse.Namespace) -> int:
    import jitgrad.autodiff.branch
    import jitgrad.autodiff.loop
    import jitgrad.primitives  # noqa: F401  declares the ops

    by_how: dict[str, list[str]] = {}
    for _, op in sorted(OPS.items()):
        is_shown = op.name in FLOW if op.kind == "region" else _has_samples(op)
        if is_shown and op.kind in (*BY_KIND, "call"):
            by_how.setdefault(how(op), []).append(op.name)
    head = ("on a GPU", "ops")
    if options.markdown:
        quoted = [(text, ", ".join([f"`{n}`" for n in names])) for text, names in by_how.items()]
        print(markdown(head, quoted))
    else:
        print(columns(head, [(text, " ".join(names)) for text, names in by_how.items()]))
    return 0


def _has_samples(op: Op) -> bool:
    """Whether it is an op of users, not one that only derivatives or passes make."""
    return any(next(iter(op.samples(dtype)), None) is not None for dtype in DTYPES)


def how(op: Op) -> str:
    """What an op becomes on a GPU, in words."""
    rule = grids.RULES.get(op.name)
    if rule is None:
        return BY_KIND.get(op.kind, BY_HOST)
    module = rule.__module__.rpartition(".")[2]
    return BY_MODULE.get(module, "a kernel of its own; threads share the rows or elements")
