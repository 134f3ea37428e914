"""Object code by what it is made of, in memory and on disk across processes; and finished plans.

A file's name is the hash of everything that decides its content: the kernel's source or the
graph, the versions of Numba, LLVM and this package, and the CPU. A file holds a header with the
hash of its name and the content, so that a truncated, foreign or renamed file is found out; files
appear by an atomic rename, so that a reader sees a whole file or none. What cannot be read or
written costs a warning and a compilation, never more.

Machine code is only taken from a folder that the user alone can write. The folder is opened, the
open folder is checked, and files are found through it: who replaces it afterwards gains nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jitgrad import config, locks

MAGIC = b"jitgrad object 2\n"
SUFFIX = ".jgo"
UNFINISHED = ".new-"  # how the names of files begin while they are written
STALE = 3600  # seconds after which such a file must be of a process that was killed
KEEP = 0.75  # of the allowed size, when there is more
CHECKED = 64  # one store of as many looks at the size of the whole, whatever the process
_memory: dict[str, tuple[str, bytes]] = {}  # object code by its key
_warned: set[str] = set()
_lock = locks.leaf()
POSIX = os.name == "posix"
READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
READ |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class CacheWarning(UserWarning):
    """The disk cache cannot be used, or held something that it should not."""


def _warn(message: str) -> None:
    """Say it, once for each process."""
    with _lock:
        if message in _warned:
            return
        _warned.add(message)
    warnings.warn(message, CacheWarning, stacklevel=4)


# --- names ----------------------------------------------------------------------------------------


@functools.cache
def environment() -> bytes:
    """What object code depends on besides its source."""
    with locks.compiling:
        import llvmlite
        import llvmlite.binding as llvm

        cpu = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
        versions = _numba_version(), llvmlite.__version__, own_version("codegen")
        return "|".join([*versions, *cpu]).encode()


def _numba_version() -> str:
    """What Numba says about itself, read without importing it or looking for its metadata."""
    import importlib.util

    found = importlib.util.find_spec("numba")
    for folder in (found and found.submodule_search_locations) or ():
        with contextlib.suppress(OSError):
            return _sha256((Path(folder) / "_version.py").read_bytes()).hex()
    import importlib.metadata

    return importlib.metadata.version("numba")


def own_version(*folders: str) -> str:
    """A hash of the text of parts of this package: a change of ours makes other code."""
    root = Path(__file__).resolve().parent.parent
    paths = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
    return _sha256(*[path.read_bytes() for path in paths]).hex()


def _sha256(*parts: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(b"".join(parts)).digest()


def key_of(source: str) -> str:
    """The name under which a source's object code is kept."""
    return name_of(source.encode())


def name_of(*content: bytes) -> str:
    """The name of what is made of `content` in this environment."""
    return _sha256(MAGIC, environment(), _frontend(), *content).hex()[:40]


def _frontend() -> bytes:
    return f"\0{config.get('frontend')}\0".encode()


def directory() -> Path:
    """The cache's folder, whether it exists or not."""
    chosen = config.get("cache_dir")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "jitgrad"


# --- the folder -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder: files are named by `prefix` and a name, relative to the descriptor `fd`
    where the system has such.
    """

    prefix: str
    fd: int | None

    def open(self, name: str, flags: int) -> int:
        return os.open(self.prefix + name, flags, 0o600, dir_fd=self.fd)

    def rename(self, old: str, new: str) -> None:
        names = self.prefix + old, self.prefix + new
        os.replace(*names, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def delete(self, name: str) -> None:
        with contextlib.suppress(OSError):  # someone else was faster
            os.unlink(self.prefix + name, dir_fd=self.fd)

    def status(self) -> Iterator[tuple[str, os.stat_result]]:
        """Names and status of its files; those that vanish meanwhile are left out."""
        with os.scandir(self.prefix if self.fd is None else self.fd) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    yield entry.name, entry.stat(follow_symlinks=False)


@contextlib.contextmanager
def _folder(create: bool = False) -> Iterator[Folder | None]:
    """The cache's folder, or None if there is none that can be used and trusted."""
    path = directory()
    try:
        folder = _open_folder(path, create) if config.get("cache") else None
    except OSError as error:
        _warn(f"no disk cache: {error}")
        folder = None
    try:
        yield folder
    finally:
        if folder is not None and folder.fd is not None:
            os.close(folder.fd)


def _open_folder(path: Path, create: bool) -> Folder | None:
    if create:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not path.exists():
        return None
    if not POSIX:
        return Folder(f"{path}{os.sep}", None)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    reason = _distrust(os.fstat(fd))
    if reason:
        os.close(fd)
        _warn(f"no disk cache: {path} {reason}")
        return None
    return Folder("", fd)


def _distrust(status: os.stat_result) -> str:
    """Why machine code of a file or folder should not be run; nothing if it can."""
    if POSIX and status.st_uid != os.getuid():
        return "belongs to someone else"
    if POSIX and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "is writable by others"
    return ""


# --- load and store -------------------------------------------------------------------------------


def load(source: str) -> tuple[str, bytes] | None:
    """Symbol and object code of a source, or None."""
    return load_object(key_of(source))


def load_object(key: str) -> tuple[str, bytes] | None:
    """Symbol and object code of that name, or None."""
    with _lock:
        if key in _memory:
            return _memory[key]
    body = fetch(key)
    if body is None:
        return None
    symbol, _, code = body.partition(b"\n")
    with _lock:
        _memory[key] = symbol.decode(), code
        return _memory[key]


def fetch(key: str) -> bytes | None:
    """What is on disk under a name, or None."""
    with _folder() as folder:
        return _read(folder, key) if folder is not None else None


def _read(folder: Folder, key: str) -> bytes | None:
    try:
        file = folder.open(key + SUFFIX, READ)
    except FileNotFoundError:
        return None
    except OSError as error:  # a link, or without permission
        _warn(f"ignoring the cache file {key}{SUFFIX}: {error.strerror}")
        return None
    try:
        status = os.fstat(file)
        regular = stat.S_ISREG(status.st_mode) and not _distrust(status)
        found = _decode(key, _read_all(file, status.st_size)) if regular else None
        if found is None:
            _warn(f"ignoring the broken cache file {directory() / key}{SUFFIX}")
        else:
            _mark_used(file, status)
        return found
    except OSError as error:
        _warn(f"ignoring the cache file {key}{SUFFIX}: {error.strerror}")
        return None
    finally:
        os.close(file)


def _read_all(file: int, size: int) -> bytes:
    parts = []
    while part := os.read(file, size + 1):
        parts.append(part)
    return b"".join(parts)


def _mark_used(file: int, status: os.stat_result) -> None:
    """Once a day: what was used longest ago is deleted first."""
    import time

    if abs(time.time() - status.st_mtime) > 86400 and os.utime in os.supports_fd:
        with contextlib.suppress(OSError):
            os.utime(file)


def store(source: str, symbol: str, code: bytes) -> None:
    """Keep object code; a disk that is full or read-only only costs a warning."""
    store_object(key_of(source), symbol, code)


def store_object(key: str, symbol: str, code: bytes) -> None:
    """Keep object code under its name, as `store` does."""
    with _lock:
        _memory[key] = symbol, code
    keep(key, symbol.encode() + b"\n" + code)


def keep(key: str, body: bytes) -> None:
    """Keep something on disk under its name, as `store` does."""
    with _folder(create=True) as folder:
        if folder is None:
            return
        _write(folder, key, MAGIC + _digest(key, body) + body)
        if int(key[:8], 16) % CHECKED == 0:
            evict(folder)


def _write(folder: Folder, key: str, content: bytes) -> None:
    name = f"{UNFINISHED}{os.getpid()}-{os.urandom(8).hex()}"
    try:
        with os.fdopen(folder.open(name, WRITE), "wb") as file:
            file.write(content)
        folder.rename(name, key + SUFFIX)
    except OSError as error:
        _warn(f"object code is not kept: {error}")
        folder.delete(name)


def evict(folder: Folder) -> None:
    """Delete what was used longest ago if there is more than `cache_size` allows, and what killed
    processes left. Times are compared with each other, never with this machine's clock.
    """
    files = sorted(folder.status(), key=lambda item: item[1].st_mtime, reverse=True)
    newest = files[0][1].st_mtime if files else 0.0
    limit = config.get("cache_size") * 1e6
    total = sum(status.st_size for name, status in files if name.endswith(SUFFIX))
    excess = total - KEEP * limit if 0 < limit < total else 0.0
    for name, status in reversed(files):
        if name.startswith(UNFINISHED) and newest - status.st_mtime > STALE:
            folder.delete(name)
        elif name.endswith(SUFFIX) and excess > 0:
            folder.delete(name)
            excess -= status.st_size


# --- the content of a file ------------------------------------------------------------------------


def _digest(key: str, body: bytes) -> bytes:
    """Of the content, and of the name that belongs to it."""
    return _sha256(key.encode(), b"\n", body)


def _decode(key: str, content: bytes) -> bytes | None:
    head = len(MAGIC) + 32
    body = content[head:]
    if not content.startswith(MAGIC) or _digest(key, body) != content[len(MAGIC) : head]:
        return None
    return body


# --- for people -----------------------------------------------------------------------------------


def files() -> Iterator[Path]:
    """The cache's files on disk."""
    folder = directory()
    if folder.is_dir():
        yield from sorted(folder.glob(f"*{SUFFIX}"))


def clear() -> int:
    """Delete the cache's files; returns how many there were."""
    count = 0
    for path in files():
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            count += 1
    for leftover in directory().glob(f"{UNFINISHED}*"):  # of processes that were killed
        leftover.unlink(missing_ok=True)
    with _lock:
        _memory.clear()
    return count
