"""The mode: whether Cells and gradients compile (GRAPH_MODE) or run eagerly (PYNATIVE_MODE)."""

from __future__ import annotations

from typing import Any

from jitgrad import config
from jitgrad.errors import ArgumentError, fail
from jitgrad.state import bump

GRAPH_MODE, PYNATIVE_MODE = 0, 1

_settings: dict[str, Any] = {
    "mode": PYNATIVE_MODE,
    "device_target": config.get("device"),
    "device_id": 0,
}


def is_graph_mode() -> bool:
    """Whether Cells and gradients compile."""
    return _settings["mode"] == GRAPH_MODE


def set_context(**settings: Any) -> None:
    """Set the mode, and keep the other settings that MindSpore programs make.

    device_target   "CPU", or "GPU": there compiled functions run from then on; eager ones do not.

    ArgumentError for a mode that is neither GRAPH_MODE (0) nor PYNATIVE_MODE (1), and for another
    device.

    >>> ms.set_context(mode=ms.PYNATIVE_MODE)
    >>> ms.get_context("mode") == ms.PYNATIVE_MODE
    True
    """
    mode = settings.get("mode", _settings["mode"])
    if isinstance(mode, bool) or mode not in (GRAPH_MODE, PYNATIVE_MODE):
        raise fail(
            ArgumentError,
            f"set_context got mode={mode!r}",
            instead="mode=jitgrad.GRAPH_MODE or mode=jitgrad.PYNATIVE_MODE",
        )
    device = settings.get("device_target", _settings["device_target"])
    if device not in ("CPU", "GPU"):
        raise fail(
            ArgumentError,
            f"set_context got device_target={device!r}",
            instead="device_target='CPU' or device_target='GPU' (NVIDIA)",
        )
    if mode != _settings["mode"]:
        bump()
    if "device_target" in settings:
        config.put("device", device)
    _settings.update(settings)


def get_context(name: str) -> Any:
    """A setting by its name; ArgumentError if it was never set.

    >>> ms.get_context("mode") == ms.PYNATIVE_MODE
    True
    """
    try:
        return _settings[name]
    except KeyError:
        raise fail(ArgumentError, f"there is no setting {name!r}") from None


def set_device(device_target: str, device_id: int = 0) -> None:
    """Where compiled functions run: ``set_context(device_target=…, device_id=…)``."""
    set_context(device_target=device_target, device_id=device_id)
