"""Images between red, green, blue and hue, saturation, value: the last axis of Tensors."""

from __future__ import annotations

from jitgrad.errors import ShapeError, fail
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.joining import stack
from jitgrad.ops.promote import floating
from jitgrad.ops.splitting import unbind
from jitgrad.tensor import Tensor


def _channels(name: str, images) -> tuple[Tensor, ...]:
    x = floating(name, images)
    if not x.ndim or x.shape[-1] != 3:
        raise fail(ShapeError, f"{name} of {x._type}", why="the last axis has three channels")
    return unbind(x, -1)


def rgb_to_hsv(images):
    """Hue, saturation and value, each from 0 to 1."""
    red, green, blue = _channels("RGBToHSV", images)
    value = e.maximum(e.maximum(red, green), blue)
    span = e.sub(value, e.minimum(e.minimum(red, green), blue))
    some = c.where(c.gt(span, 0), span, 1.0)
    saturation = c.where(c.gt(value, 0), e.div(span, c.where(c.gt(value, 0), value, 1.0)), 0.0)
    sixths = c.where(
        c.eq(value, red),
        e.div(e.sub(green, blue), some),
        c.where(
            c.eq(value, green),
            e.add(e.div(e.sub(blue, red), some), 2),
            e.add(e.div(e.sub(red, green), some), 4),
        ),
    )
    return stack((e.remainder(e.div(sixths, 6), 1), saturation, value), -1)


def hsv_to_rgb(images):
    """Red, green and blue of hue, saturation and value."""
    hue, saturation, value = _channels("HSVToRGB", images)
    parts = []
    for first in (5, 3, 1):
        turn = e.remainder(e.add(e.mul(hue, 6), first), 6)
        share = c.clamp(e.minimum(turn, e.sub(4, turn)), 0, 1)
        parts.append(e.mul(value, e.sub(1, e.mul(saturation, share))))
    return stack(parts, -1)


def adjust_hue(images, delta):
    """Hues turned by a share of the circle."""
    hue, saturation, value = unbind(rgb_to_hsv(images), -1)
    return hsv_to_rgb(stack((e.remainder(e.add(hue, delta), 1), saturation, value), -1))


def adjust_saturation(images, scale):
    """Saturations times a factor, at most 1."""
    hue, saturation, value = unbind(rgb_to_hsv(images), -1)
    return hsv_to_rgb(stack((hue, c.clamp(e.mul(saturation, scale), 0, 1), value), -1))


__all__ = ["adjust_hue", "adjust_saturation", "hsv_to_rgb", "rgb_to_hsv"]
