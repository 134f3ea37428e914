"""``python -m jitgrad cache info`` and ``cache clear``: compiled kernels and plans on disk."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jitgrad import config
from jitgrad.runtime import cache


@dataclass(frozen=True, slots=True)
class Info:
    """What the cache holds. `seconds` are the times of its oldest and its newest file."""

    folder: Path
    enabled: bool
    files: int
    nbytes: int
    seconds: tuple[float, float] | None

    def __str__(self) -> str:
        rows = [
            ("folder", f"{self.folder}{'' if self.folder.is_dir() else ' (not made yet)'}"),
            ("in use", "yes" if self.enabled else "no: JITGRAD_CACHE is 0"),
            ("files", str(self.files)),
            ("size", size(self.nbytes)),
        ]
        if self.seconds is not None:
            first, last = (
                datetime.fromtimestamp(s).strftime("%Y-%m-%d %H:%M") for s in self.seconds
            )
            rows.append(("compiled", first if first == last else f"{first} to {last}"))
        return "\n".join([f"{name:<9} {value}" for name, value in rows])


def size(nbytes: float) -> str:
    """A number of bytes for people.

    >>> size(999), size(2_500), size(3_000_000)
    ('999 B', '2.5 kB', '3.0 MB')
    """
    if nbytes < 1000:
        return f"{nbytes:.0f} B"
    power = min(int(math.log10(nbytes) / 3), 3)
    return f"{nbytes / 1000**power:.1f} {' kMG'[power]}B"


def info() -> Info:
    """What the cache holds now. Files that vanish meanwhile are not counted."""
    status = []
    for path in cache.files():
        try:
            status.append(path.stat())
        except OSError:
            continue
    times = [s.st_mtime for s in status]
    return Info(
        cache.directory(),
        config.get("cache"),
        len(status),
        sum(s.st_size for s in status),
        (min(times), max(times)) if times else None,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``cache``."""
    parser = argparse.ArgumentParser(
        prog="jitgrad cache",
        description="The cache of compiled kernels and of plans, by what they are made of: it can"
        " be cleared at any time, and what is needed is made anew. JITGRAD_CACHE_DIR chooses its"
        " folder and JITGRAD_CACHE=0 turns it off.",
    )
    parser.add_argument("action", choices=("info", "clear"), help="what to do with it")
    options = parser.parse_args(argv)
    if options.action == "info":
        print(info())
        return 0
    before = info()
    count = cache.clear()
    print(f"deleted {count} files, {size(before.nbytes)}, from {before.folder}")
    return 0
