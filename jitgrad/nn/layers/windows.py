"""Windows that slide over images: kernel sizes, strides and paddings as users write them."""

from __future__ import annotations

from typing import Any

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.ops.conv import paddings

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]  # top, bottom, left, right
MODES = ("same", "valid", "pad")


def pair(owner: str, name: str, value: Any, low: int = 1) -> Pair:
    """(rows, columns) from an int or a pair; TypeError or ValueError otherwise."""
    values = (value, value) if isinstance(value, int) else value
    if isinstance(value, bool) or not isinstance(values, (tuple, list)):
        raise fail(DTypeError, f"{owner}: {name} must be an int or two of them, got {value!r}")
    if len(values) == 4 and values[:2] == (1, 1):
        values = values[2:]
    if len(values) != 2 or any(isinstance(v, bool) or not isinstance(v, int) for v in values):
        raise fail(DTypeError, f"{owner}: {name} must be an int or two of them, got {value!r}")
    if min(values) < low:
        raise fail(ArgumentError, f"{owner}: {name} must be at least {low}, got {value!r}")
    return values[0], values[1]


def single(owner: str, name: str, value: Any, low: int = 1) -> int:
    """An int from an int or a tuple of one."""
    if isinstance(value, (tuple, list)) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int):
        raise fail(DTypeError, f"{owner}: {name} must be an int, got {value!r}")
    if value < low:
        raise fail(ArgumentError, f"{owner}: {name} must be at least {low}, got {value!r}")
    return value


def triple(owner: str, name: str, value: Any, low: int = 1) -> tuple[int, int, int]:
    """(planes, rows, columns) from an int or three; TypeError or ValueError otherwise."""
    values = (value,) * 3 if isinstance(value, int) else value
    if not isinstance(values, (tuple, list)) or len(values) != 3:
        raise fail(DTypeError, f"{owner}: {name} must be one or three ints, got {value!r}")
    planes, rows, columns = (single(owner, name, v, low) for v in values)
    return planes, rows, columns


def four(owner: str, padding: Any) -> Pads:
    """(top, bottom, left, right) from an int, a pair (rows, columns) or four ints."""
    values = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
    if len(values) == 2:
        values = (values[0], values[0], values[1], values[1])
    if len(values) != 4 or any(isinstance(v, bool) or not isinstance(v, int) for v in values):
        raise fail(DTypeError, f"{owner}: padding must be one, two or four ints, got {padding!r}")
    if min(values) < 0:
        raise fail(ArgumentError, f"{owner}: padding must be at least 0, got {padding!r}")
    return values


def six(owner: str, padding: Any) -> tuple[int, ...]:
    """Padding before and behind each of three axes from an int, three of them or six."""
    if not isinstance(padding, (tuple, list)) or len(padding) != 6:
        return tuple(n for n in triple(owner, "padding", padding, 0) for _ in range(2))
    return tuple(single(owner, "padding", n, 0) for n in padding)


def mode(owner: str, pad_mode: Any, padding: Any) -> str:
    """The padding mode, checked against the padding, which only "pad" takes."""
    if not isinstance(pad_mode, str) or pad_mode.lower() not in MODES:
        raise fail(ArgumentError, f"{owner}: pad_mode must be one of {MODES}, got {pad_mode!r}")
    pad_mode = pad_mode.lower()
    given = padding if isinstance(padding, (tuple, list)) else (padding,)
    if pad_mode != "pad" and any(given):
        raise fail(
            ArgumentError,
            f"{owner}: padding={padding!r} with pad_mode={pad_mode!r}",
            why='only pad_mode="pad" takes a padding',
            instead='use pad_mode="pad", or padding=0',
        )
    return pad_mode


def transposed(
    pad_mode: str,
    padding: Pads,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    extra: Pair = (0, 0),
) -> tuple[Pair, Pads]:
    """Size and padding of the image whose convolution has the given size."""
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel))
    if pad_mode == "pad":
        around = (padding[0] + padding[1], padding[2] + padding[3])
        out = tuple(
            (n - 1) * s - p + r + e for n, s, p, r, e in zip(size, stride, around, reach, extra)
        )
        return (out[0], out[1]), padding
    if pad_mode == "valid":
        out = tuple(n * s + max(r - s, 0) for n, s, r in zip(size, stride, reach))
        return (out[0], out[1]), (0, 0, 0, 0)
    out = (size[0] * stride[0], size[1] * stride[1])
    return out, paddings("Conv2dTranspose", "same", 0, out, kernel, stride, dilation)
