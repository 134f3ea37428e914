"""The disk cache: shared by processes, proof against accidents, never stale, never needed."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from jitgrad import config
from jitgrad.runtime import cache
from jitgrad.runtime.cache import CacheWarning
from tests.runtime.caching import (
    COUNT,
    DENSE,
    PROGRAM,
    ROOT,
    SOFTMAX,
    SOURCE,
    answer,
    forget,
    posix,
    run_softmax,
    start,
    whole,
)

# --- processes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("frontend", ["direct", "numba"])
def test_the_second_process_compiles_nothing_and_never_imports_numba(
    tmp_path: Path, frontend: str
) -> None:
    folder, program = tmp_path / "cache", SOFTMAX + DENSE + COUNT
    compiled, imported = answer(start(folder, program, JITGRAD_FRONTEND=frontend)).split()
    assert int(compiled) > 3
    assert imported == str(frontend == "numba")
    assert answer(start(folder, program, JITGRAD_FRONTEND=frontend)) == "0 False"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_six_processes_share_an_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for process in [start(folder) for _ in range(6)]:
        assert int(answer(process).split()[0]) >= 0
    assert not list(folder.glob(".new-*"))
    assert answer(start(folder)) == "0 False"


# Replaces what is written by something slower than any signal.
WRITING = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from jitgrad.runtime import cache

def slowly(handle, mode):
    file = real(handle, mode)
    write = file.write
    def half(content):
        write(content[: len(content) // 2])
        file.flush()
        print("writing", flush=True)
        time.sleep(300)
    class Slow:
        def __enter__(self): return self
        def __exit__(self, *of): file.close()
    slow = Slow()
    slow.write = half
    return slow

real, os.fdopen = os.fdopen, slowly
cache.store("some source", "symbol", b"code" * 1000)
"""
# Stores the same few entries for ever.
STORING = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from jitgrad.runtime import cache
print("storing", flush=True)
while True:
    for i in range(8):
        cache.store(f"source {{i}}", f"symbol {{i}}", bytes([i]) * 200_000)
"""
needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")


@needs_kill
def test_a_process_killed_while_it_writes(folder: Path) -> None:
    process = start(folder, WRITING)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.kill()
    process.communicate()
    assert list(folder.glob(".new-*"))
    assert list(cache.files()) == []
    assert cache.load("some source") is None
    cache.store("some source", "symbol", b"code")
    forget()
    assert cache.load("some source") == ("symbol", b"code")
    assert cache.clear() == 1
    assert list(folder.iterdir()) == []  # what the killed process left is gone as well


@needs_kill
def test_processes_that_write_the_same_entries_are_killed(folder: Path) -> None:
    """At any moment, again and again: whatever is there is whole."""
    rng = np.random.default_rng(0)
    for _ in range(4):
        processes = [start(folder, STORING) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "storing\n"
        time.sleep(rng.uniform(0, 0.05))
        for process in processes:
            process.kill()
            process.communicate()
        forget()
        for i in range(8):
            found = cache.load(f"source {i}")
            assert found in (None, (f"symbol {i}", bytes([i]) * 200_000))
    cache.store("source 0", "symbol 0", b"new")
    forget()
    assert cache.load("source 0") == ("symbol 0", b"new")


def test_threads_write_the_same_entry(folder: Path) -> None:
    def write() -> None:
        for _ in range(50):
            cache.store(SOURCE, "symbol", b"code" * 1000)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    forget()
    assert cache.load(SOURCE) == ("symbol", b"code" * 1000)
    assert len(list(folder.iterdir())) == 1


# --- files that are not what they should be -------------------------------------------------------


DAMAGE = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[:-1],
    "cut off in the header": lambda content: content[:20],
    "garbage": lambda content: b"\x7fELF" + os.urandom(3000),
    "one bit flipped": lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
    "another format": lambda content: content.replace(b"object 2", b"object 1", 1),
    "longer": lambda content: content + b"more",
    "text": lambda content: b"not object code\n",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_ignored(damage: str, folder: Path) -> None:
    cache.store(SOURCE, "symbol", b"code" * 100)
    (path,) = cache.files()
    path.write_bytes(DAMAGE[damage](whole()))
    forget()
    with pytest.warns(CacheWarning, match=f"ignoring the broken cache file .*{path.name}"):
        assert cache.load(SOURCE) is None
    cache.store(SOURCE, "symbol", b"code")
    forget()
    assert cache.load(SOURCE) == ("symbol", b"code")  # written anew


def test_a_file_cut_off_anywhere(folder: Path) -> None:
    cache.store(SOURCE, "symbol", b"code")
    (path,) = cache.files()
    content = whole()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        forget()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            assert cache.load(SOURCE) is None
    path.write_bytes(content)
    assert cache.load(SOURCE) == ("symbol", b"code")


def test_a_file_of_another_source_is_not_taken_for_its_own(folder: Path) -> None:
    """Someone renamed it."""
    cache.store("another source", "other", b"other code")
    (path,) = cache.files()
    path.rename(folder / f"{cache.key_of(SOURCE)}.jgo")
    forget()
    with pytest.warns(CacheWarning, match="ignoring"):
        assert cache.load(SOURCE) is None


def test_a_directory_in_the_place_of_a_file(folder: Path) -> None:
    cache.store("some source", "symbol", b"code")
    (folder / f"{cache.key_of(SOURCE)}.jgo").mkdir()
    with pytest.warns(CacheWarning, match="ignoring"):
        assert cache.load(SOURCE) is None
    with pytest.warns(CacheWarning, match="not kept"):
        cache.store(SOURCE, "symbol", b"code")
    assert cache.load(SOURCE) == ("symbol", b"code")


def stored_outside(folder: Path) -> tuple[Path, Path]:
    """A good file, moved out of the folder, and where it was."""
    cache.store(SOURCE, "symbol", b"code")
    (path,) = cache.files()
    outside = folder.parent / "outside"
    path.rename(outside)
    forget()
    return outside, path


@posix
def test_a_link_in_the_place_of_a_file(folder: Path) -> None:
    outside, path = stored_outside(folder)
    path.symlink_to(outside)
    with pytest.warns(CacheWarning, match="ignoring"):
        assert cache.load(SOURCE) is None
    cache.store(SOURCE, "symbol", b"new")
    forget()
    assert cache.load(SOURCE) == ("symbol", b"new")
    assert outside.read_bytes().endswith(b"code")  # replaced is the link, not what it leads to


@posix
def test_a_pipe_in_the_place_of_a_file(folder: Path) -> None:
    """To read it would wait for ever."""
    _, path = stored_outside(folder)
    os.mkfifo(path)
    with pytest.warns(CacheWarning, match="ignoring"):
        assert cache.load(SOURCE) is None


@posix
def test_a_file_that_others_can_write(folder: Path) -> None:
    outside, path = stored_outside(folder)
    outside.chmod(0o666)
    outside.rename(path)
    with pytest.warns(CacheWarning, match="ignoring"):
        assert cache.load(SOURCE) is None


def test_damaged_files_are_compiled_again(folder: Path) -> None:
    """From end to end: wrong code is never run."""
    assert not answer(start(folder)).startswith("0 ")
    for path in folder.glob("*.jgo"):
        path.write_bytes(path.read_bytes()[:-7])
    quiet = PROGRAM.replace('simplefilter("error")', 'simplefilter("ignore")')
    compiled, _ = answer(start(folder, quiet)).split()
    assert int(compiled) == len(list(folder.glob("*.jgo")))
    assert answer(start(folder)) == "0 False"


# --- what a file's name depends on ----------------------------------------------------------------

CHANGES = {
    "Numba": ("jitgrad.runtime.cache._numba_version", lambda: "99.0"),
    "the CPU": ("llvmlite.binding.get_host_cpu_name", lambda: "another"),
    "our code generator": ("jitgrad.runtime.cache.own_version", lambda *folders: "another"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_makes_code(
    change: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.store(SOURCE, "symbol", b"code")
    before = cache.key_of(SOURCE)
    cache.environment.cache_clear()
    try:
        monkeypatch.setattr(*CHANGES[change])
        assert cache.key_of(SOURCE) != before
        assert cache.load(SOURCE) is None
    finally:
        monkeypatch.undo()
        cache.environment.cache_clear()
    assert cache.key_of(SOURCE) == before
    assert cache.load(SOURCE) == ("symbol", b"code")


def test_the_code_generators_text_is_part_of_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "codegen").mkdir()
    (tmp_path / "runtime").mkdir()
    text = tmp_path / "codegen" / "cpu.py"
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "runtime" / "cache.py"))
    versions = set()
    for content in ("a = 1", "a = 2"):
        text.write_text(content)
        versions.add(cache.own_version("codegen"))
    assert len(versions) == 2


def test_the_source_is_part_of_the_name() -> None:
    assert cache.key_of(SOURCE) != cache.key_of(SOURCE.replace("3.0", "4.0"))


# --- settings -------------------------------------------------------------------------------------


def test_switched_off(folder: Path) -> None:
    with config.override(cache=False):
        run_softmax()
        assert not folder.exists()
    assert not answer(start(folder, JITGRAD_CACHE="0")).startswith("0 ")
    assert not folder.exists()


def test_the_folder_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with config.override(cache_dir=""):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache.directory() == tmp_path / "jitgrad"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache.directory() == tmp_path / ".cache" / "jitgrad"


def test_clear(folder: Path) -> None:
    for i in range(3):
        cache.store(f"source {i}", "symbol", b"code")
    assert len(list(cache.files())) == 3
    assert cache.clear() == 3
    assert list(cache.files()) == []
    assert cache.load("source 0") is None
    assert cache.clear() == 0
