"""``jitgrad cache``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jitgrad import config
from jitgrad.runtime import cache as kernels
from jitgrad.tools import cache


@pytest.fixture
def folder(tmp_path: Path):
    with config.override(cache_dir=str(tmp_path / "kernels")):
        yield tmp_path / "kernels"


def fill(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for name, count, when in (("a", 1500, 0), ("b", 500, 86400 * 365)):
        (folder / f"{name}.jgo").write_bytes(b"x" * count)
        os.utime(folder / f"{name}.jgo", (when, when))
    (folder / "other.txt").write_text("not ours")


def test_info(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cache.main(["info"]) == 0
    text = capsys.readouterr().out
    assert f"{folder} (not made yet)" in text
    assert "files     0" in text
    assert "compiled" not in text
    fill(folder)
    assert cache.main(["info"]) == 0
    text = capsys.readouterr().out
    assert "files     2\nsize      2.0 kB" in text
    assert "in use    yes" in text
    assert " to 197" in text  # two times, both of the seventies
    with config.override(cache=False):
        assert "no: JITGRAD_CACHE is 0" in str(cache.info())


def test_clear(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(folder)
    assert cache.main(["clear"]) == 0
    assert capsys.readouterr().out == f"deleted 2 files, 2.0 kB, from {folder}\n"
    assert list(kernels.files()) == []
    assert (folder / "other.txt").exists()


def test_an_action_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cache.main([])
    assert end.value.code == 2
    assert "required: action" in capsys.readouterr().err


def test_sizes() -> None:
    assert [cache.size(n) for n in (0, 1, 999, 1000, 123456, 5e9, 7e12)] == [
        "0 B", "1 B", "999 B", "1.0 kB", "123.5 kB", "5.0 GB", "7000.0 GB",
    ]  # fmt: skip
