"""``file.py:function``: a function of a user's file, and arguments to call it with."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from jitgrad.errors import JitgradError
from jitgrad.locate import PACKAGE

EXAMPLES = "example_inputs"

HELP = f"""\
The file is run as if it were imported, with its folder on the path. FUNCTION is a function, a
Cell, or a class of Cells that can be made without arguments. What it is called with:

  1. what {EXAMPLES}() of the same file returns: a tuple of arguments, or a dict from names of
     functions to such tuples where a file has several;
  2. else the defaults of its own parameters.

NumPy arrays among them are made Tensors. For example:

    import numpy as np
    from jitgrad import ops

    def loss(x, w):
        return ops.tanh(x * w).sum()

    def {EXAMPLES}():
        return np.ones(1000, np.float32), np.full(1000, 0.5, np.float32)
"""


class TargetError(JitgradError, ValueError):
    """A function that cannot be found or called as asked."""


@dataclass(frozen=True, slots=True)
class Target:
    """A function and arguments to call it with."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def load(spec: str) -> Target:
    """The target of ``file.py:function``; TargetError says what is wrong."""
    path, colon, name = spec.rpartition(":")
    if not colon or not name or not path:
        module = load_file(Path(spec)) if not colon else None
        known = f"\n  instead: {_choices(spec, module)}" if module is not None else ""
        raise TargetError(f"{spec!r} names no function: write file.py:function{known}")
    module = load_file(Path(path))
    found = _find(module, path, name)
    return Target(name, found, _arguments(module, path, name, found))


def load_file(path: Path) -> ModuleType:
    """The module that a file is, run with its folder on the path."""
    if not path.is_file():
        raise TargetError(f"{path}: there is no such file")
    loader = SourceFileLoader(path.stem, str(path.resolve()))
    spec = importlib.util.spec_from_loader(path.stem, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module  # dataclasses and the like look their module up
    sys.path.insert(0, folder)
    try:
        loader.exec_module(module)
    except Exception as error:
        _put_back(path.stem, before)
        raise TargetError(f"{path} cannot be run\n{_traceback(error)}") from error
    finally:
        sys.path.remove(folder)
    if before is not None:
        _put_back(path.stem, before)
    return module


def _put_back(name: str, module: ModuleType | None) -> None:
    if module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module


def _traceback(error: Exception) -> str:
    """The traceback of a user's error, from the user's first line on."""
    at = error.__traceback__
    while at is not None and _is_ours(at.tb_frame.f_code.co_filename):
        at = at.tb_next
    return "".join(traceback.format_exception(type(error), error, at)).rstrip()


def _is_ours(path: str) -> bool:
    return path.startswith((PACKAGE, "<frozen"))


def _find(module: ModuleType, path: str, name: str) -> Callable[..., Any]:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise TargetError(f"{path} has no {name!r}\n  instead: {_choices(path, module, name)}")
        found = getattr(found, part)
    if isinstance(found, type):
        found = _instance(found, path, name)
    if not callable(found):
        raise TargetError(f"{path}: {name} is a {type(found).__name__}, which cannot be called")
    return found


def _instance(kind: type, path: str, name: str) -> Any:
    if not hasattr(kind, "construct"):
        raise TargetError(f"{path}: {name} is a class, and no Cell")
    try:
        return kind()
    except TypeError as error:
        raise TargetError(
            f"{path}: {name} cannot be made without arguments: {error}\n"
            f"  instead: make one in the file, as in net = {name}(...), and name that"
        ) from error


def _choices(path: str, module: ModuleType, wrong: str = "") -> str:
    names = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
        if not name.startswith("_") and name != EXAMPLES
    ]
    near = difflib.get_close_matches(wrong, names, 1) or names
    if not near:
        return f"define a function in {path}"
    return " or ".join([f"{path}:{name}" for name in near])


# --- arguments ----------------------------------------------------------------------------------


def _arguments(
    module: ModuleType, path: str, name: str, function: Callable[..., Any]
) -> tuple[Any, ...]:
    examples = getattr(module, EXAMPLES, None)
    if examples is None:
        return tuple([as_tensors(value) for value in _defaults(path, name, function)])
    given = examples() if callable(examples) else examples
    if isinstance(given, Mapping):
        if name not in given:
            known = ", ".join(map(str, given))
            raise TargetError(f"{path}: {EXAMPLES}() has arguments for {known}, none for {name}")
        given = given[name]
    if not isinstance(given, (tuple, list)):
        given = (given,)
    return tuple([as_tensors(value) for value in given])


def _defaults(path: str, name: str, function: Callable[..., Any]) -> list[Any]:
    parameters = inspect.signature(getattr(function, "construct", function)).parameters.values()
    asked = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    bare = [p.name for p in asked if p.default is p.empty]
    if bare:
        raise TargetError(
            f"{path}: there is nothing to call {name} with: {', '.join(bare)} has no default\n"
            f"  instead: define {EXAMPLES}() in {path}, which returns a tuple of arguments"
        )
    return [p.default for p in asked]


def as_tensors(value: Any) -> Any:
    """NumPy arrays as Tensors, in tuples, lists and dicts too."""
    import numpy as np

    from jitgrad import tree
    from jitgrad.tensor import Tensor

    leaves, structure = tree.flatten(value)
    made = [Tensor(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in leaves]
    return tree.unflatten(structure, made)
