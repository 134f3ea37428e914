"""Every setting in one table. Read from the environment once, overridable in a ``with`` block.

>>> from jitgrad import config
>>> with config.override(verify=True):
...     config.get("verify")
True
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: environment variable, parser, default and meaning."""

    variable: str
    parse: Callable[[str], Any]
    default: Any
    meaning: str


def _flag(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "false", "no", "off")


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"it is {' or '.join(choices)}")
        return text

    return parse


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("it is 0 or more")
    return number


SETTINGS: dict[str, Setting] = {
    "debug": Setting(
        "JITGRAD_DEBUG",
        _count,
        0,
        "1 compiles and re-traces, 2 passes, 3 graphs, 4 plans, 5 kernel sources, 6 machine code",
    ),
    "dump": Setting("JITGRAD_DUMP", str, "", "folder that receives every stage as a file"),
    "verify": Setting("JITGRAD_VERIFY", _flag, False, "verify the graph after every pass"),
    "jit": Setting("JITGRAD_JIT", _flag, True, "0 runs generated kernels as plain Python"),
    "math": Setting(
        "JITGRAD_MATH",
        _one_of("accurate", "fast"),
        "accurate",
        "fast allows functions 8 ulp of error instead of 2, where that gains time",
    ),
    "frontend": Setting(
        "JITGRAD_FRONTEND",
        _one_of("direct", "numba"),
        "direct",
        "numba sends all kernels through Numba's type inference, direct only those that need it",
    ),
    "threads": Setting(
        "JITGRAD_NUM_THREADS", _count, 0, "threads of a call; 0 for as many as there are cores"
    ),
    "cuda": Setting(
        "JITGRAD_CUDA",
        _one_of("driver", "emulate"),
        "driver",
        "emulate runs programs for GPUs as plain Python, every access watched",
    ),
    "cuda_sync": Setting(
        "JITGRAD_CUDA_SYNC", _flag, False, "wait after each launch on a GPU, and say which failed"
    ),
    "device": Setting(
        "JITGRAD_DEVICE", _one_of("CPU", "GPU"), "CPU", "CPU or GPU: where compiled functions run"
    ),
    "kept": Setting(
        "JITGRAD_KEPT_MEMORY", _count, 1024, "MB of large results' memory that is kept"
    ),
    "loop_limit": Setting(
        "JITGRAD_LOOP_LIMIT",
        _count,
        0,
        "iterations after which a while loop is an error; 0: no limit",
    ),
    "path_limit": Setting(
        "JITGRAD_PATH_LIMIT", _count, 256, "conditions that one variant decides by their values"
    ),
    "print_limit": Setting(
        "JITGRAD_PRINT_LIMIT", _count, 1000, "how often one `print` in a compiled loop is shown"
    ),
    "unroll": Setting(
        "JITGRAD_UNROLL", _count, 8, "iterations up to which a loop of known length is unrolled"
    ),
    "unroll_limit": Setting(
        "JITGRAD_UNROLL_LIMIT", _count, 4096, "iterations after which an unrolled loop is an error"
    ),
    "cache": Setting("JITGRAD_CACHE", _flag, True, "keep object code and plans on disk"),
    "cache_dir": Setting("JITGRAD_CACHE_DIR", str, "", "folder of the disk cache"),
    "cache_size": Setting("JITGRAD_CACHE_SIZE", _count, 512, "megabytes on disk; 0 is no limit"),
}


def _read(setting: Setting) -> Any:
    text = os.environ.get(setting.variable)
    if text is None or text == "":
        return setting.default
    return _parsed(setting, setting.variable, text)


def _parsed(setting: Setting, name: str, value: Any) -> Any:
    """A value as a setting has it, from a text or from what prints as one."""
    try:
        if value is None:
            raise ValueError("it has no value")
        return setting.parse(str(value))
    except ValueError as error:
        raise ValueError(f"{name}={value!r} cannot be read: {error}") from None


_values: dict[str, Any] = {name: _read(setting) for name, setting in SETTINGS.items()}


CODE = "jit", "math", "device"  # the settings that decide what code is generated
_codes: dict[tuple, tuple] = {}
current: list[tuple] = []  # the one that holds now, for those who ask at every call


def _note_code() -> None:
    values = tuple([_values[name] for name in CODE])
    current[:] = [_codes.setdefault(values, values)]


_note_code()


def code() -> tuple[bool, str, str]:
    """The settings that decide what code is generated: for the same values the same tuple."""
    return current[0]


def get(name: str) -> Any:
    """The value of a setting by its name in `SETTINGS`."""
    return _values[name]


_followers: dict[str, Callable[[Any], None]] = {}


def follow(name: str, change: Callable[[Any], None]) -> None:
    """Call `change` with the value of a setting, now and whenever it is changed."""
    _followers[name] = change
    change(_values[name])


def put(name: str, value: Any) -> None:
    """Change a setting from now on; ValueError for what it cannot be."""
    _values[name] = _parsed(SETTINGS[name], name, value)
    if name in CODE:
        _note_code()
    if name in _followers:
        _followers[name](_values[name])


@contextlib.contextmanager
def override(**values: Any) -> Iterator[None]:
    """Change settings inside a ``with`` block; KeyError for a name that does not exist."""
    unknown = values.keys() - SETTINGS.keys()
    if unknown:
        raise KeyError(f"no such setting: {', '.join(sorted(unknown))}; have {list(SETTINGS)}")
    before = {name: _values[name] for name in values}
    try:
        for name, value in values.items():
            put(name, value)
        yield
    finally:
        for name, value in before.items():
            put(name, value)
