"""The handwritten digits: the values we ship, and how they are split."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import numpy as np
import pytest

from jitgrad.data import digits

COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # of 0, 1, … 9, as the source says
SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def together(seed: int = 0, **options: float) -> tuple[np.ndarray, np.ndarray]:
    (x_train, y_train), (x_test, y_test) = digits(seed=seed, **options)
    return np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])


def test_shipped_file_is_small_plain_and_unchanged() -> None:
    path = files("jitgrad.data") / "digits.npz"
    assert len(path.read_bytes()) < 100_000
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
    assert (images.shape, images.dtype) == ((1797, 8, 8), np.uint8)
    assert (labels.shape, labels.dtype) == ((1797,), np.uint8)
    assert images.min() == 0
    assert images.max() == 16
    assert np.bincount(labels).tolist() == COUNTS
    assert hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == SHA256


def test_attribution_ships_with_the_data() -> None:
    text = (files("jitgrad.data") / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for words in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0"):
        assert words in text


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.2, 0.5, 0.999])
def test_shapes_and_dtypes(fraction: float) -> None:
    (x_train, y_train), (x_test, y_test) = digits(test_fraction=fraction)
    size = round(fraction * 1797)
    for x, y, n in ((x_train, y_train, 1797 - size), (x_test, y_test, size)):
        assert (x.shape, x.dtype) == ((n, 1, 8, 8), np.float32)
        assert (y.shape, y.dtype) == ((n,), np.int32)
        assert x.flags.c_contiguous
        assert x.flags.owndata
        assert y.flags.c_contiguous


def test_values_are_sixteenths() -> None:
    x, _ = together()
    assert np.array_equal(np.unique(x), np.arange(17, dtype=np.float32) / 16)


@pytest.mark.parametrize("seed", [0, 1, 2024])
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.37])
def test_every_digit_has_its_share(fraction: float, seed: int) -> None:
    (_, y_train), (_, y_test) = digits(fraction, seed)
    wanted = fraction * np.array(COUNTS)
    assert np.abs(np.bincount(y_test, minlength=10) - wanted).max() < 1
    assert np.bincount(np.concatenate([y_train, y_test])).tolist() == COUNTS


def test_a_split_loses_and_repeats_nothing() -> None:
    def rows(x: np.ndarray, y: np.ndarray) -> list[bytes]:
        return sorted(image.tobytes() + label.tobytes() for image, label in zip(x, y, strict=True))

    assert rows(*together(seed=0)) == rows(*together(seed=7, test_fraction=0.5))


def test_the_seed_decides() -> None:
    assert all(np.array_equal(a, b) for a, b in zip(together(3), together(3), strict=True))
    assert not np.array_equal(together(3)[1], together(4)[1])


def test_the_arrays_are_the_callers() -> None:
    (x, _), _ = digits()
    x[:] = -1
    assert digits()[0][0].min() == 0


def test_parts_are_shuffled() -> None:
    (_, y_train), (_, y_test) = digits()
    for y in (y_train, y_test):
        assert np.count_nonzero(np.diff(y)) > 0.8 * len(y)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="test_fraction must be at least 0 and below 1, not"):
        digits(test_fraction=fraction)
