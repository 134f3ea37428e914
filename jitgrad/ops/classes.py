"""Primitive classes: ``ops.MatMul()``, ``ops.ReduceSum(keep_dims=True)`` and the like, all of them
rows of a table over the functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from jitgrad.ops.class_more import MORE_OPTIONS, MORE_PLAIN
from jitgrad.ops.class_table import PLAIN, WITH_OPTIONS


class Primitive:
    """An operation as an object: made with its options, called with its operands."""

    name: str
    make: Callable[..., Callable]

    def __init__(self, *args: Any, **options: Any):
        cls = type(self)
        if "make" not in vars(cls):  # Primitive("Add") and a class of the user's
            self.name = args[0] if args else cls.__name__
            return
        bound = cls.make.__signature__.bind(*args, **options)
        bound.apply_defaults()
        for option, value in bound.arguments.items():
            setattr(self, option, value)
        self._call = cls.make(*args, **options)

    def __call__(self, *operands: Any, **keywords: Any) -> Any:
        return self._call(*operands, **keywords)

    def __repr__(self) -> str:
        return f"Prim[{self.name}]"

    def add_prim_attr(self, name: str, value: Any) -> Primitive:
        """Kept for MindSpore code: remembered, without effect."""
        setattr(self, name, value)
        return self

    def set_device(self, device_target: str) -> Primitive:
        """Kept for MindSpore code, without effect."""
        return self

    def shard(self, *args: Any, **keywords: Any) -> Primitive:
        """Kept for MindSpore code, without effect: there is one device."""
        return self

    def recompute(self, mode: bool = True) -> Primitive:
        """Kept for MindSpore code, without effect."""
        return self


def _declare(name: str, make: Callable, doc: str) -> type[Primitive]:
    signature = inspect.signature(make)
    options = ", ".join(str(p) for p in signature.parameters.values())

    def making(*args: Any, **given: Any) -> Callable:
        return make(*args, **given)

    making.__signature__ = signature  # type: ignore[attr-defined]
    text = f"``{name}({options})(…)``: {doc}" if doc else f"``{name}({options})(…)``."
    body = {"name": name, "make": staticmethod(making), "__doc__": text, "__module__": __name__}
    return type(name, (Primitive,), body)


def _plain(function: Callable) -> Callable[[], Callable]:
    return lambda: function


CLASSES: dict[str, type[Primitive]] = {
    **{
        name: _declare(name, _plain(f), f.__doc__ or "")
        for name, f in {**PLAIN, **MORE_PLAIN}.items()
    },
    **{name: _declare(name, make, "") for name, make in {**WITH_OPTIONS, **MORE_OPTIONS}.items()},
}
globals().update(CLASSES)

__all__ = ["Primitive", *CLASSES]
