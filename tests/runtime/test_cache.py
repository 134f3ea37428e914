"""The disk cache: shared by processes, proof against accidents, never stale, never needed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jitgrad import config
from jitgrad.runtime import cache, loader
from jitgrad.runtime.cache import CacheWarning
from jitgrad.runtime.executable import Executable
from tests.programs import graph_of, softmax

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """def kernel(ptrs, dims, lo, hi):
    r0 = f32_ptr(ptrs, 0)
    for i0 in range(lo, hi):
        r0[i0] = f32(3.0)
"""

# Runs a program and prints how many kernels were compiled and whether Numba was imported.
SOFTMAX = f"""
import sys, warnings
warnings.simplefilter("error")
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from jitgrad.runtime import loader
from jitgrad.runtime.executable import Executable
from tests.programs import graph_of, softmax, square_loss

x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
(got,) = Executable(graph_of(softmax, "f32[8,5]"), {{}})(x)
e = np.exp(x - x.max(1, keepdims=True))
assert np.allclose(got, e / e.sum(1, keepdims=True), atol=1e-6)
"""
DENSE = """
graph = graph_of(square_loss, "f32[8,20] f32[20,24] f32[24] f32[8,24]", (1, 2))
arrays = [np.ones(i.shape, np.float32) for i in graph.inputs]
assert np.isfinite(Executable(graph, {})(*arrays)[0])
"""
COUNT = """
print(loader.compiled, "numba" in sys.modules)
"""
PROGRAM = SOFTMAX + COUNT


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty cache for this test, in memory and on disk."""
    path = tmp_path / "cache"
    kept, cache._memory = cache._memory, {}
    with config.override(cache_dir=str(path), cache=True):
        yield path
    cache._memory = kept


def forget() -> None:
    """What a new process knows: nothing."""
    cache._memory.clear()


def start(folder: Path | str, program: str = PROGRAM, **more: str) -> subprocess.Popen:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JITGRAD_")}
    environment |= {"JITGRAD_CACHE_DIR": str(folder), **more}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


# --- processes ------------------------------------------------------------------------------------


def test_the_second_process_compiles_nothing_and_never_imports_numba(tmp_path: Path) -> None:
    folder, program = tmp_path / "cache", SOFTMAX + DENSE + COUNT
    compiled, imported = answer(start(folder, program)).split()
    assert int(compiled) > 3
    assert imported == "True"
    assert answer(start(folder, program)) == "0 False"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_six_processes_share_an_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for process in [start(folder) for _ in range(6)]:
        assert int(answer(process).split()[0]) >= 0
    assert not list(folder.glob(".new-*"))
    assert answer(start(folder)) == "0 False"


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


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill -9")
def test_a_process_killed_while_it_writes(folder: Path) -> None:
    process = start(folder, WRITING)
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


# --- files that are not what they should be -------------------------------------------------------


def whole() -> bytes:
    """The content of the only file."""
    (path,) = cache.files()
    return path.read_bytes()


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
    assert cache.load(SOURCE) is None
    with pytest.warns(CacheWarning, match="not kept"):
        cache.store(SOURCE, "symbol", b"code")
    assert cache.load(SOURCE) == ("symbol", b"code")


def test_damaged_files_are_compiled_again(folder: Path) -> None:
    """From end to end: wrong code is never run."""
    assert answer(start(folder)).endswith("True")
    for path in folder.glob("*.jgo"):
        path.write_bytes(path.read_bytes()[:-7])
    quiet = PROGRAM.replace('simplefilter("error")', 'simplefilter("ignore")')
    compiled, _ = answer(start(folder, quiet)).split()
    assert int(compiled) == len(list(folder.glob("*.jgo")))
    assert answer(start(folder)) == "0 False"


# --- disks that do not take files -----------------------------------------------------------------


def failing(code: int):
    def fail(*args: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def run_softmax() -> None:
    """Compile and run something, whatever the linker already has."""
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    loader_addresses, loader._addresses = loader._addresses, {}
    try:
        before = loader.compiled
        (got,) = Executable(graph_of(softmax, "f32[4,3]"), {})(x)
        assert loader.compiled > before
    finally:
        loader._addresses = loader_addresses
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("where", ["tempfile.mkstemp", "os.replace"])
def test_a_disk_that_takes_no_files(
    where: str, code: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, failing(code))
    with pytest.warns(CacheWarning, match=f"not kept: .*{os.strerror(code)}"):
        run_softmax()
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with config.override(cache_dir=str(tmp_path / "file" / "cache")):
        kept, cache._memory = cache._memory, {}
        try:
            with pytest.warns(CacheWarning, match="no disk cache") as warned:
                run_softmax()
        finally:
            cache._memory = kept
    assert len([w for w in warned if "no disk cache" in str(w.message)]) == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o770, 0o777, 0o720, 0o702])
def test_a_folder_that_others_can_write_is_refused(mode: int, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.warns(CacheWarning, match="writable by others"):
        cache.store(SOURCE, "symbol", b"code")
    assert list(folder.iterdir()) == []
    forget()
    assert cache.load(SOURCE) is None


@pytest.mark.skipif(os.name != "posix", reason="owners of POSIX")
def test_a_folder_of_someone_else_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.warns(CacheWarning, match="belongs to someone else"):
        cache.store(SOURCE, "symbol", b"code")
    assert list(folder.iterdir()) == []


# --- what a file's name depends on ----------------------------------------------------------------

CHANGES = {
    "Numba": ("importlib.metadata.version", lambda package: "99.0"),
    "the CPU": ("llvmlite.binding.get_host_cpu_name", lambda: "another"),
    "our code generator": ("jitgrad.runtime.cache._own_version", lambda: "another"),
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
        versions.add(cache._own_version.__wrapped__())
    assert len(versions) == 2


def test_the_source_is_part_of_the_name() -> None:
    assert cache.key_of(SOURCE) != cache.key_of(SOURCE.replace("3.0", "4.0"))


# --- settings -------------------------------------------------------------------------------------


def test_switched_off(folder: Path) -> None:
    with config.override(cache=False):
        run_softmax()
        assert not folder.exists()
    assert answer(start(folder, JITGRAD_CACHE="0")).endswith("True")
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
