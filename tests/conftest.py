"""What all tests share: a kernel cache of their own, golden files, Hypothesis profiles, GPU skips.

This file is imported before jitgrad is, which the first lines rely on.
"""

from __future__ import annotations

import atexit
import ctypes
import difflib
import functools
import gc
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

GOLDEN = Path(__file__).parent / "golden"

# ------------------------------------------------------------------------------- the environment
# Kernels compiled here stay out of the user's cache. pytest-xdist starts its workers with this
# process's environment, so they share the folder, and each kernel is compiled once for all.

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

if not IS_WORKER:
    CACHE_DIR = tempfile.mkdtemp(prefix="jitgrad-test-cache-")
    atexit.register(shutil.rmtree, CACHE_DIR, ignore_errors=True)
    os.environ["JITGRAD_CACHE_DIR"] = CACHE_DIR
else:
    # Idle BLAS threads spin; with a worker on every core they would slow each other a hundredfold.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

os.environ.setdefault("MPLBACKEND", "Agg")

IS_SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") != "0"


@pytest.fixture(autouse=True, scope="session")
def kernel_cache() -> Path:
    """The folder of compiled kernels of this test run, for all workers the same."""
    folder = Path(os.environ["JITGRAD_CACHE_DIR"])
    config = sys.modules.get("jitgrad.config")
    if config is not None:
        assert config.get("cache_dir") == str(folder), "jitgrad was imported before conftest.py"
    return folder


# ------------------------------------------------------------------------------------ Hypothesis
# No deadlines: the first example of a test may compile.

settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


# ---------------------------------------------------------------------------------- golden files


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="run only the tests that use golden files, and rewrite the files from the results",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(name, text)`` holds `text` against the file tests/golden/<name>."""
    update = request.config.getoption("--update-golden")
    return functools.partial(check_golden, update=update)


def check_golden(name: str, text: str, *, update: bool = False, folder: Path = GOLDEN) -> None:
    """Compare with the golden file or, when `update` is set, write it."""
    __tracebackhide__ = True
    text = text.rstrip("\n") + "\n"
    path = folder / name
    old = path.read_text(encoding="utf-8") if path.exists() else None
    if text == old:
        return
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        return
    remedy = "If the new text is right: make golden, and read the diff before committing."
    if old is None:
        pytest.fail(f"there is no golden file {name}. {remedy}\n\n{text}", pytrace=False)
    diff = difflib.unified_diff(
        old.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm=""
    )
    pytest.fail(f"golden/{name} differs. {remedy}\n\n" + "\n".join(diff), pytrace=False)


# --------------------------------------------------------------------------------- which tests run


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--update-golden"):
        parts: tuple[list[pytest.Item], list[pytest.Item]] = ([], [])
        for item in items:
            parts["golden" in getattr(item, "fixturenames", ())].append(item)
        others, items[:] = parts
        config.hook.pytest_deselected(items=others)
    for item in items:
        if item.get_closest_marker("gpu") and (reason := no_gpu()):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    """What is imported and collected stays. A look for garbage, of which some tests ask for many,
    takes a tenth of a second without this.
    """
    gc.collect()
    gc.freeze()


@functools.cache
def no_gpu() -> str:
    """Why tests marked `gpu` cannot run here, or an empty string. Asks the driver, not Numba."""
    if IS_SIMULATED:
        return "no GPU: NUMBA_ENABLE_CUDASIM replaces it by the simulator"
    if importlib.util.find_spec("numba_cuda") is None:
        return "no GPU: jitgrad[cuda] is not installed"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "no GPU: there is no NVIDIA driver"
    count = ctypes.c_int(0)
    if error := driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return f"no GPU: the NVIDIA driver answers with error {error}"
    return "" if count.value else "no GPU: the NVIDIA driver sees no device"


# Numba reads this when it is first imported, which nothing has done yet. Code for the CPU is not
# affected; where there is a GPU, its tests run instead of the simulator's.
if no_gpu():
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")
