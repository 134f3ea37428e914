"""Graphs as launches on a device."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad import config
from jitgrad.codegen.cuda import flow
from jitgrad.codegen.cuda.finish import finished
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.cuda.grids import grids, has_rule, scratch
from jitgrad.codegen.launch import Part, Pointer, Status
from jitgrad.errors import BoundsError, fail
from jitgrad.ir.node import Graph
from jitgrad.locate import Location
from jitgrad.passes.kernels import ON_DEVICE, into_kernels
from jitgrad.passes.pipeline import optimize
from jitgrad.passes.plan import Buffer, Plan, Step, plan
from jitgrad.runtime import faults
from jitgrad.runtime.cuda.driven import Driven, driven, is_driven

STATUS_BYTES = 16  # the words into which a kernel writes that an index does not exist


class DeviceProgram:
    """A graph as launches on a device. `updates` maps an output to the input it overwrites."""

    def __init__(self, graph: Graph, updates: Mapping[int, int]):
        self.graph, self.updates = graph, dict(updates)
        self.optimized = optimize(graph)
        self.fused = into_kernels(self.optimized, flow.fits, ON_DEVICE)
        self.plan: Plan = plan(self.fused, updates, scratch)
        self.launches = self.all_launches()
        outputs = [o for i, o in enumerate(graph.outputs) if i not in updates]
        self.outputs = [(o.shape, o.dtype.numpy) for o in outputs]
        self.labels = [str(o.type) for o in outputs]
        self.loaded: dict[Any, Any] = {}  # by device

    def all_launches(self) -> list[tuple[int, Grid | Driven]]:
        """By step; a product and what is done with its elements are one launch."""
        found: list[tuple[int, Grid | Driven]] = []
        steps, position = self.plan.steps, 0
        while position < len(steps):
            both = finished(*steps[position : position + 2]) if steps[position + 1 :] else None
            if both is not None:
                position += 1
                found.append((position, both))
            else:
                found += [(position, launch) for launch in self.launches_of(steps[position])]
            position += 1
        return found

    def launches_of(self, step: Step) -> Sequence[Grid | Driven]:
        node = step.node
        if node is None or has_rule(node) or not is_driven(node):
            return grids(step, self.fused.locs.get(node) if node is not None else None)
        return [driven(step, self.fused.locs.get(node))]

    @property
    def grids(self) -> list[tuple[int, Grid]]:
        """The launches of kernels."""
        return [(at, launch) for at, launch in self.launches if isinstance(launch, Grid)]

    def name(self, position: int) -> str:
        """What a step computes."""
        node = self.plan.steps[position].node
        if node is None:
            return "copy"
        body = node.attrs["body"].nodes if "body" in node.attrs else ()
        return " ".join([n.op.name for n in body if n.op.kind not in ("leaf", "view")] or [
            node.op.name
        ])  # fmt: skip

    def where(self, position: int) -> Location | None:
        """The user's line that a step comes from."""
        node = self.plan.steps[position].node
        return self.fused.locs.get(node) if node is not None else None

    def explain(self, status: np.ndarray, number: int) -> None:
        """Raise BoundsError, or what else the words that a launch can write say."""
        position, launch = self.launches[number]
        node = self.plan.steps[position].node
        if status[0] and isinstance(launch, Grid) and launch.faults:
            raise faults.error(launch.faults, int(status[1]), self.where(position))
        if status[0] and node is not None:
            raise fail(
                BoundsError,
                f"{node.op.name}: index {status[1]} is out of bounds for an axis of extent"
                f" {node.inputs[0].shape[0]}",
                instead="run it without jit to see the index and what it indexes",
                where=self.where(position),
            )


def span(pointer: Pointer) -> tuple[str, int, int, int]:
    """Where a pointer points: home, position in it, and the bytes from `first` to `last`."""
    if isinstance(pointer, Status):
        return "status", 0, 0, STATUS_BYTES
    if isinstance(pointer, Part):
        home, at, first, last = span(pointer.buffer)
        return home, at, first + pointer.offset, last
    assert isinstance(pointer, Buffer)
    if pointer.home == "arena":
        return "arena", 0, pointer.at, pointer.at + pointer.nbytes
    return pointer.home, pointer.at, 0, pointer.nbytes


@functools.lru_cache(maxsize=256)
def _program(graph: Graph, updates: tuple[tuple[int, int], ...], code: object) -> DeviceProgram:
    return DeviceProgram(graph, dict(updates))


def device_program(graph: Graph, updates: Mapping[int, int]) -> DeviceProgram:
    """The program of a graph, made once."""
    return _program(graph, tuple(sorted(updates.items())), config.code())
