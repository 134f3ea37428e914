"""What a workload file consists of.

A module of `benchmarks/` has `WORKLOAD`, `data()` and one function for each candidate. A candidate
takes the arrays of `data()`, prepares what a user would prepare once, and returns a callable of no
arguments, whose results are the workload's: nests of arrays, in the same order for all.

program(ms, arrays)    MindSpore's API: run by jitgrad with `ms = jitgrad`, and by MindSpore
hand(arrays)           what a careful person writes in Numba: the practical limit
jax, torch, autograd, pytensor (arrays)     the peers; `torch` also serves `torch.compile`
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Arrays = list[np.ndarray]
Run = Callable[[], Any]

FOLDER = Path(__file__).resolve().parent.parent
ROOT = FOLDER.parent


@dataclass(frozen=True, slots=True)
class Workload:
    """What is measured, and how closely results have to agree.

    `roundings` is the length of the longest chain of roundings behind a result, long sums counted
    by their blocks: results may differ from float64's by that many units of `dtype`, relative to
    the largest number of an array.
    """

    title: str
    dtype: str
    roundings: int
    label: str = ""  # the name in the table of targets

    @property
    def tolerance(self) -> float:
        """The largest relative difference from the reference in float64."""
        unit = np.finfo(self.dtype).eps
        return float(self.roundings * unit)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who can run a workload: the module it needs, and the function of a workload's file."""

    name: str
    module: str
    function: str


CANDIDATES = {
    c.name: c
    for c in (
        Candidate("jitgrad", "jitgrad", "program"),
        Candidate("hand", "numba", "hand"),
        Candidate("jax", "jax", "jax"),
        Candidate("torch", "torch", "torch"),
        Candidate("torch.compile", "torch", "torch"),
        Candidate("autograd", "autograd", "autograd"),
        Candidate("pytensor", "pytensor", "pytensor"),
        Candidate("mindspore", "mindspore", "program"),
    )
}
OURS = ("jitgrad", "hand")


def names() -> list[str]:
    """All workloads: the modules of this folder."""
    return sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_"))


def load(name: str) -> ModuleType:
    """The module of a workload, which imports no framework yet."""
    return importlib.import_module(f"benchmarks.{name}")


def prepare(name: str, candidate: str, arrays: Arrays) -> Run:
    """A candidate's callable for a workload."""
    chosen = CANDIDATES[candidate]
    make = getattr(load(name), chosen.function)
    if chosen.function == "program":
        return make(importlib.import_module(chosen.module), arrays)
    if candidate == "torch.compile":
        with compiling():
            return make(arrays)
    return make(arrays)


class compiling:
    """Inside, `torch_gradient` compiles what it is given."""

    active = False

    def __enter__(self) -> None:
        compiling.active = True

    def __exit__(self, *_: object) -> None:
        compiling.active = False


def flat(result: Any) -> Arrays:
    """All arrays of a nest of results, as copies."""
    if isinstance(result, tuple | list):
        return [a for part in result for a in flat(part)]
    if hasattr(result, "detach"):
        result = result.detach().numpy()
    elif hasattr(result, "asnumpy"):
        result = result.asnumpy()
    return [np.array(result)]
