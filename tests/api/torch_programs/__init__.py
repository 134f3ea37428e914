"""Programs for PyTorch: each takes the module as `torch`, and shows what it computes.

`answers.json` holds what PyTorch answers: ``python -m tests.api.torch_programs`` writes it, where
PyTorch is installed.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

from tests.api.torch_programs import backward, custom, functional, modes, ops, tutorials

MODULES = (backward, modes, custom, functional, ops, tutorials)
HELPERS = ("leaf", "plain", "pulled")


def programs() -> Iterator[tuple[str, Callable]]:
    """All of them by name."""
    for module in MODULES:
        for name, thing in list(vars(module).items()):
            own = isinstance(thing, types.FunctionType) and thing.__module__ == module.__name__
            if own and name not in HELPERS:
                yield f"{module.__name__.rpartition('.')[2]}.{name}", thing


def run(program: Callable, torch: Any) -> tuple[list, Exception | None]:
    """What a program shows with a module, as numbers, lists and texts, and how it failed."""
    shown: list = []
    try:
        program(torch, lambda *values: shown.append(_plain(values)))
    except Exception as error:
        return shown, error
    finally:
        torch.set_grad_enabled(True)
    return shown, None


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(x) for x in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if value is None or isinstance(value, (bool, str)):
        return value
    return float(f"{float(value):.8g}")


def kind(error: Exception | None) -> str | None:
    """The built-in class of an exception."""
    if error is None:
        return None
    return next(c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")
