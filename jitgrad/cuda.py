"""NVIDIA GPUs: whether there is one, what it is, and its memory.

>>> import jitgrad
>>> jitgrad.cuda.is_available() in (True, False)
True

A Tensor goes there by ``x.to("GPU")`` or ``x.cuda()``, a Cell's Parameters alike, and comes back by
``x.cpu()``. Operations run where their operands are, compiled functions where their arguments are;
with ``set_context(device_target="GPU")`` or ``jit(f, backend="cuda")`` on the GPU in any case.
Work is queued in order, and nothing waits for it until a value is read. An index out of bounds is
therefore an error when a value is read next, or with JITGRAD_CUDA_SYNC=1 at the launch itself.

All sizes are bytes. Under JITGRAD_CUDA=emulate the functions are about the emulated device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jitgrad import config

if TYPE_CHECKING:
    from jitgrad.runtime.cuda.device import Device
    from jitgrad.runtime.cuda.machine import Properties


def is_available() -> bool:
    """Whether compiled functions can run on a GPU here. It never raises."""
    return not reason()


def reason() -> str:
    """Why there is no GPU to run on, or "" where there is one.

    >>> import jitgrad
    >>> bool(jitgrad.cuda.reason()) is not jitgrad.cuda.is_available()
    True
    """
    if config.get("cuda") == "emulate":
        return ""
    from jitgrad.runtime.cuda.native import why_not

    return why_not()


def device_count() -> int:
    """How many GPUs the driver sees; 0 without a driver. One of them is used."""
    if config.get("cuda") == "emulate":
        return 1
    from jitgrad.runtime.cuda.native import device_count as count

    found = count()
    return found if isinstance(found, int) else 0


def get_device_properties(device: Any = 0) -> Properties:
    """Name, compute capability, memory and multiprocessors. DeviceError without a GPU.

    >>> from jitgrad import config, cuda
    >>> with config.override(cuda="emulate"):
    ...     cuda.get_device_properties().name
    'emulated in Python'
    """
    return _device(device).machine.properties()


def get_device_name(device: Any = 0) -> str:
    """The name of the GPU. DeviceError without one."""
    return get_device_properties(device).name


def get_device_capability(device: Any = 0) -> tuple[int, int]:
    """The compute capability, as (8, 0). DeviceError without a GPU."""
    found = get_device_properties(device)
    return found.major, found.minor


def synchronize(device: Any = 0) -> None:
    """Wait for all that was launched. What went wrong meanwhile is raised."""
    _device(device).synchronize()


def memory_allocated(device: Any = 0) -> int:
    """Memory of the arrays, constants and plans that are alive.

    >>> from jitgrad import Tensor, config, cuda
    >>> with config.override(cuda="emulate"):
    ...     before = cuda.memory_allocated()
    ...     x = Tensor([1.0] * 1000).cuda()
    ...     cuda.memory_allocated() - before
    4096
    """
    return _device(device).pool.allocated


def max_memory_allocated(device: Any = 0) -> int:
    """The most that `memory_allocated` has been since the start, or since the last
    `reset_peak_memory_stats`.
    """
    return _device(device).pool.peak


def reset_peak_memory_stats(device: Any = 0) -> None:
    """Let `max_memory_allocated` begin anew."""
    pool = _device(device).pool
    pool.peak = pool.allocated


def memory_reserved(device: Any = 0) -> int:
    """What was taken from the GPU: `memory_allocated`, and what is kept to be used again."""
    return _device(device).pool.reserved


def mem_get_info(device: Any = 0) -> tuple[int, int]:
    """What the GPU has free, and in all."""
    return _device(device).machine.memory()


def empty_cache() -> None:
    """Give back to the GPU what no array uses."""
    _device(0).pool.empty()


def _device(which: Any) -> Device:
    from jitgrad.ops.placement import place_named
    from jitgrad.runtime.cuda.device import device

    place_named(which if isinstance(which, str) else f"cuda:{0 if which is None else which}")
    return device()


__all__ = [
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "is_available",
    "max_memory_allocated",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "reason",
    "reset_peak_memory_stats",
    "synchronize",
]
