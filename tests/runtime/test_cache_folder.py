"""The disk cache's folder: full, gone, of someone else, replaced, too large."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path

import pytest

from jitgrad import config
from jitgrad.runtime import cache
from jitgrad.runtime.cache import CacheWarning
from tests.runtime.caching import PROGRAM, SOURCE, answer, forget, posix, run_softmax, start, whole

# --- disks that do not take files -----------------------------------------------------------------


def failing(code: int):
    def fail(*args: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("where", ["os.fdopen", "os.replace"])
def test_a_disk_that_takes_no_files(
    where: str, code: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, failing(code))
    with pytest.warns(CacheWarning, match=f"not kept: .*{os.strerror(code)}"):
        run_softmax()
    assert list(folder.iterdir()) == []


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
"""


@posix
def test_files_that_cannot_grow(folder: Path) -> None:
    """The system itself refuses the rest of the bytes, as on a full disk."""
    quiet = (FULL + PROGRAM).replace('simplefilter("error")', 'simplefilter("ignore")')
    assert not answer(start(folder, quiet)).startswith("0 ")
    assert list(folder.iterdir()) == []
    assert not answer(start(folder)).startswith("0 ")
    assert answer(start(folder)) == "0 False"


def test_the_folder_vanishes_while_it_is_used(folder: Path) -> None:
    cache.store("one", "symbol", b"code")
    shutil.rmtree(folder)
    forget()
    assert cache.load("one") is None
    cache.store("two", "symbol", b"code")
    forget()
    assert cache.load("two") == ("symbol", b"code")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with config.override(cache_dir=str(tmp_path / "file" / "cache")):
        kept, cache._memory = cache._memory, {}
        cache._warned.clear()
        try:
            with pytest.warns(CacheWarning, match="no disk cache") as warned:
                run_softmax()
        finally:
            cache._memory = kept
    assert len([w for w in warned if "no disk cache" in str(w.message)]) == 1


@posix
@pytest.mark.parametrize("mode", [0o770, 0o777, 0o720, 0o702])
def test_a_folder_that_others_can_write_is_refused(mode: int, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.warns(CacheWarning, match="writable by others"):
        cache.store(SOURCE, "symbol", b"code")
    assert list(folder.iterdir()) == []
    forget()
    assert cache.load(SOURCE) is None


@posix
def test_a_folder_of_someone_else_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.warns(CacheWarning, match="belongs to someone else"):
        cache.store(SOURCE, "symbol", b"code")
    assert list(folder.iterdir()) == []


@posix
def test_a_folder_replaced_while_it_is_used(folder: Path) -> None:
    """By one that others can write, with a file of the right name and content in it."""
    cache.store(SOURCE, "symbol", b"code")
    folder.rename(folder.parent / "mine")
    shutil.copytree(folder.parent / "mine", folder)
    folder.chmod(0o777)
    forget()
    with pytest.warns(CacheWarning, match="writable by others"):
        assert cache.load(SOURCE) is None
    cache.store(SOURCE, "symbol", b"new")
    assert cache.load(SOURCE) == ("symbol", b"new")  # in memory
    assert whole().endswith(b"code")


@posix
def test_a_link_to_a_folder_of_ones_own(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")
    cache.store(SOURCE, "symbol", b"code")
    forget()
    assert cache.load(SOURCE) == ("symbol", b"code")


# --- its size -------------------------------------------------------------------------------------


def sized(folder: Path, count: int, nbytes: int) -> None:
    """Entries 0, 1, …: used one after the other, the last one a century from now."""
    for i in range(count):
        cache.store(f"source {i}", "symbol", b"x" * nbytes)
        late = 4e9 + i
        os.utime(folder / f"{cache.key_of(f'source {i}')}.jgo", (late, late))
    forget()


def evict() -> None:
    with cache._folder() as opened:
        assert opened is not None
        cache.evict(opened)


def test_what_was_used_longest_ago_goes_first(folder: Path) -> None:
    with config.override(cache_size=0):
        sized(folder, 16, 100_000)
        evict()
        assert len(list(cache.files())) == 16  # 0: no limit
    with config.override(cache_size=1):
        evict()
    kept = [i for i in range(16) if cache.load(f"source {i}") is not None]
    assert kept == list(range(9, 16))  # 0.75 MB


def test_a_cache_within_its_size_is_left_alone(folder: Path) -> None:
    with config.override(cache_size=1):
        sized(folder, 9, 100_000)
        evict()
    assert len(list(cache.files())) == 9


def test_a_store_looks_at_the_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHECKED", 1)
    with config.override(cache_size=1):
        for i in range(30):
            cache.store(f"source {i}", "symbol", b"x" * 100_000)
            assert len(list(cache.files())) <= 9


def test_leftovers_of_killed_processes_go_as_well(folder: Path) -> None:
    sized(folder, 1, 10)
    for name, age in (("old", 7200), ("new", 60)):
        (folder / f".new-{name}").write_bytes(b"")
        os.utime(folder / f".new-{name}", (4e9 - age, 4e9 - age))
    evict()
    assert [path.name for path in folder.glob(".new-*")] == [".new-new"]


def test_use_is_noted_once_a_day(folder: Path) -> None:
    """Also where the clock went wrong: the time of the last use may lie in the future."""
    sized(folder, 1, 10)
    (path,) = cache.files()
    cache.load("source 0")
    noted = path.stat().st_mtime
    assert abs(noted - time.time()) < 3600
    forget()
    cache.load("source 0")
    assert path.stat().st_mtime == noted
