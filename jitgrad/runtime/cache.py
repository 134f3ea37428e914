"""Object code by content: in memory, and on disk across processes.

A file's name is the hash of everything that decides its content: the kernel's source, the
versions of Numba, LLVM and this package, and the CPU. A file holds a header with the hash of its
name and the code, so that a truncated, foreign or renamed file is found out; files appear by an
atomic rename, so that a reader sees a whole file or none. The folder must belong to the user alone.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from jitgrad import config

MAGIC = b"jitgrad object 2\n"
UNFINISHED = ".new-"  # how the names of files begin while they are written
_memory: dict[str, tuple[str, bytes]] = {}
_lock = threading.Lock()


class CacheWarning(UserWarning):
    """The disk cache cannot be used, or held something that it should not."""


@functools.cache
def environment() -> bytes:
    """What object code depends on besides its source."""
    import llvmlite.binding as llvm

    parts = [importlib.metadata.version(p) for p in ("numba", "llvmlite")]
    parts += [_own_version(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    return "|".join(parts).encode()


@functools.cache
def _own_version() -> str:
    """A hash of the code generator's own text: a change of ours makes other code."""
    folder = Path(__file__).resolve().parent.parent / "codegen"
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def directory() -> Path:
    """The cache's folder, whether it exists or not."""
    chosen = config.get("cache_dir")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "jitgrad"


@functools.cache
def _usable(folder: Path) -> bool:
    """Make the folder; False (with a warning) if it is not writable by the user alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        warnings.warn(f"no disk cache: {error}", CacheWarning, stacklevel=4)
        return False
    mine = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    shared = os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not mine or shared:
        reason = "belongs to someone else" if not mine else "is writable by others"
        warnings.warn(f"no disk cache: {folder} {reason}", CacheWarning, stacklevel=4)
        return False
    return True


def _path(key: str) -> Path | None:
    if not config.get("cache"):
        return None
    folder = directory()
    return folder / f"{key}.jgo" if _usable(folder) else None


def key_of(source: str) -> str:
    """The name under which a source's object code is kept."""
    return hashlib.sha256(MAGIC + environment() + b"\0" + source.encode()).hexdigest()[:40]


def load(source: str) -> tuple[str, bytes] | None:
    """Symbol and object code of a source, or None."""
    key = key_of(source)
    with _lock:
        if key in _memory:
            return _memory[key]
    path = _path(key)
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    found = _decode(key, content)
    if found is None:
        warnings.warn(f"ignoring the broken cache file {path}", CacheWarning, stacklevel=3)
        return None
    with _lock:
        _memory[key] = found
    return found


def store(source: str, symbol: str, code: bytes) -> None:
    """Keep object code; a disk that is full or read-only only costs a warning."""
    key = key_of(source)
    with _lock:
        _memory[key] = (symbol, code)
    path = _path(key)
    if path is None:
        return
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
        with os.fdopen(handle, "wb") as file:
            file.write(_encode(key, symbol, code))
        os.replace(name, path)
    except OSError as error:
        warnings.warn(f"object code is not kept: {error}", CacheWarning, stacklevel=3)
        if name is not None and os.path.exists(name):
            os.unlink(name)


def _digest(key: str, body: bytes) -> bytes:
    """Of the content, and of the name that belongs to it."""
    return hashlib.sha256(key.encode() + b"\n" + body).digest()


def _encode(key: str, symbol: str, code: bytes) -> bytes:
    body = symbol.encode() + b"\n" + code
    return MAGIC + _digest(key, body) + body


def _decode(key: str, content: bytes) -> tuple[str, bytes] | None:
    head = len(MAGIC) + 32
    body = content[head:]
    if not content.startswith(MAGIC) or _digest(key, body) != content[len(MAGIC) : head]:
        return None
    symbol, _, code = body.partition(b"\n")
    return symbol.decode(), code


def files() -> Iterator[Path]:
    """The cache's files on disk."""
    folder = directory()
    if folder.is_dir():
        yield from sorted(folder.glob("*.jgo"))


def clear() -> int:
    """Delete the cache's files; returns how many there were."""
    count = 0
    for path in files():
        path.unlink(missing_ok=True)
        count += 1
    for leftover in directory().glob(f"{UNFINISHED}*"):  # of processes that were killed
        leftover.unlink(missing_ok=True)
    with _lock:
        _memory.clear()
    return count
