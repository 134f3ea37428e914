"""A device for tests: it counts what it is made to do, and stands where the GPU would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from jitgrad.codegen.cuda.grid import Grid
from jitgrad.runtime.cuda import device as devices
from jitgrad.runtime.cuda.device import Device
from jitgrad.runtime.cuda.emulated import Emulated
from jitgrad.tensor import Tensor

RNG = np.random.default_rng(3)


class Counting(Emulated):
    """Counts what a program makes the machine do."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.uploads = self.downloads = self.launches = self.recordings = self.replays = 0

    def upload(self, array: np.ndarray, address: int) -> None:
        self.uploads += 1
        super().upload(array, address)

    def download(self, address: int, array: np.ndarray) -> None:
        self.downloads += 1
        super().download(address, array)

    def run(self, grid: Grid, memory: Sequence[np.ndarray], blocks: int) -> None:
        self.launches += 1
        super().run(grid, memory, blocks)

    def record(self, launches: Callable[[], None]) -> Callable[[], None]:
        self.recordings += 1

        def replay() -> None:
            self.replays += 1
            launches()

        return replay


def installed(monkeypatch: pytest.MonkeyPatch, machine: Emulated) -> Device:
    device = Device(machine)
    monkeypatch.setattr(devices, "emulated", lambda: device)
    return device


def normal(*shape: int) -> Tensor:
    return Tensor(RNG.standard_normal(shape).astype(np.float32))
