"""What a compiled function took from its surroundings, and whether it is still so.

A trace bakes in the globals, closure cells, attributes and contents of containers that the
function's code reads. `Guards` notes them before the trace, by looking at the code, and checks them
at each call: by identity, a dict lookup each. Attributes of Cells announce their changes (`bump`),
so those are only looked at again after one. Tensors are checked by identity: their values are
inputs. NumPy arrays are compared with a copy.

What code does without naming it stays unseen: `globals()["k"]`, `os.environ`, files, the clock.
"""

from __future__ import annotations

import collections
import dis
import functools
import os
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad.locate import PACKAGE
from jitgrad.state import bump, epoch
from jitgrad.tensor import Parameter, Tensor

MISSING = type("MISSING", (), {"__repr__": lambda self: "MISSING"})()
PLAIN = (bool, int, float, complex, str, bytes, type(None))
SHORT = 40  # characters of a value in a message
EXPLICIT = 8  # so many items of a container are compared one by one in the generated text
OWN_TABLES = ("_params", "_cells", "_buffers")  # of a Cell: their changes bump
OURS = ("_entry", "_jitgrad")  # compiled artefacts that are kept on their owner
CELL_STATE = ("training", "requires_grad", "phase")


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """One thing to look at: `kind` says how to find it in `holder` under `key`."""

    kind: str
    holder: Any
    key: Any
    expected: Any

    def holds(self) -> bool:
        """Whether it is what it was; plain values may be equal objects."""
        read = KINDS[self.kind][0]
        try:
            if self.kind in WHOLE:
                return read(self.holder, self.expected)
            found = read(self.holder, self.key)
        except Exception:  # emptied cells, shortened lists: whatever it is, it has changed
            return False
        return found is self.expected or _equal(found, self.expected)

    def changed(self) -> str:
        """What is different, in words: ``global 'k': 2 -> 3``."""
        kind = self.kind.replace("cell", "closure variable").replace("keys", "container")
        named = f" {self.key!r}" if isinstance(self.key, (str, int)) else ""
        owner = "" if self.kind in ("global", "cell") else f" of a {type(self.holder).__name__}"
        if self.kind in WHOLE:
            return f"the contents{owner}"
        try:
            now = short(KINDS[self.kind][0](self.holder, self.key))
        except Exception:
            now = "gone"
        return f"{kind}{named}{owner}: {short(self.expected)} -> {now}"

    def text(self, name: Callable[[str, Any], str]) -> str:
        """The same as an expression, by identity; `name(stem, value)` makes a value a name."""
        text = KINDS[self.kind][1]
        if self.kind == "global" and self.expected is MISSING:
            text = "{k!r} not in {h}"
        expected = name("is", self.expected) if "{e}" in text else ""
        return text.format(h=name("of", self.holder), e=expected, k=self.key)


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and type(a) in PLAIN and repr(a) == repr(b)


def short(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, (types.FunctionType, type)):
        return getattr(value, "__qualname__", repr(value))
    text = repr(value) if type(value) in (*PLAIN, tuple, list, dict) else ""
    return text if 0 < len(text) <= SHORT else f"a {type(value).__name__}"


def _attribute(holder: Any, key: str) -> Any:
    return holder.__dict__.get(key, MISSING)


def all_same(found: Iterable[Any], expected: tuple) -> bool:
    """Whether the items are the same objects."""
    found = tuple(found)
    return len(found) == len(expected) and all(a is b for a, b in zip(found, expected))


def same_array(array: np.ndarray, copy: np.ndarray) -> bool:
    """Whether an array still has the type, shape and bits of its copy."""
    return (
        array.shape == copy.shape
        and array.dtype == copy.dtype
        and array.tobytes() == copy.tobytes()
    )


# How to get at the thing, and the expression that is true while it is the same.
KINDS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "global": (lambda h, k: h.get(k, MISSING), "{h}[{k!r}] is {e}"),
    "cell": (lambda h, k: h.cell_contents, "{h}.cell_contents is {e}"),
    "attribute": (
        lambda h, k: h.__dict__.get(k, MISSING),
        "{h}.__dict__.get({k!r}, MISSING) is {e}",
    ),
    "slot": (lambda h, k: getattr(h, k, MISSING), "getattr({h}, {k!r}, MISSING) is {e}"),
    "defaults": (lambda h, k: getattr(h, k), "{h}.{k} is {e}"),
    "type": (lambda h, k: h._type, "{h}._type is {e}"),
    "item": (lambda h, k: h[k], "{h}[{k!r}] is {e}"),
    "length": (lambda h, k: len(h), "len({h}) == {e}"),
    "keys": (lambda h, k: all_same(h, k), "all_same({h}, {e})"),
    "values": (lambda h, k: all_same(h.values(), k), "all_same({h}.values(), {e})"),
    "array": (lambda h, k: same_array(h, k), "same_array({h}, {e})"),
}
NAMESPACE = {"MISSING": MISSING, "all_same": all_same, "same_array": same_array}  # of the texts
WHOLE = ("keys", "values", "array")  # the key is what is expected, the answer whether it is so


class Guards:
    """All checks of one compiled entry."""

    def __init__(self) -> None:
        self.always: list[Check] = []
        self.rarely: list[Check] = []  # only after `bump`
        self.epoch = epoch.value
        self.failed: Check | None = None

    def watch_types(self, captures: Iterable[Tensor]) -> None:
        """The captured Tensors must keep their types; a change of one bumps."""
        self.rarely += [Check("type", t, None, t._type) for t in captures]

    def hold(self) -> bool:
        """Whether everything is as it was when the entry was traced."""
        checks = self.always if self.epoch == epoch.value else [*self.always, *self.rarely]
        now = epoch.value
        for check in checks:
            if not check.holds():
                self.failed = check
                return False
        self.epoch = now
        return True

    def text(self, name: Callable[[str, Any], str]) -> list[str]:
        """Expressions for the checks made at each call, each once."""
        return list(dict.fromkeys(check.text(name) for check in self.always))


# --- finding what a function reads --------------------------------------------------------------


@functools.cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return (PACKAGE, "<frozen", *(os.path.join(os.path.abspath(f), "") for f in folders))


@functools.lru_cache(maxsize=4096)
def is_library(path: str | None) -> bool:
    """Whether a file belongs to Python, an installed package or this one: it is not watched."""
    return path is not None and path.startswith(_library_folders())


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "jitgrad"


def _module_is_library(module: types.ModuleType) -> bool:
    if module.__name__ in sys.builtin_module_names or _is_ours(module.__name__):
        return True
    path = getattr(module, "__file__", None)
    return is_library(path) if path else hasattr(module, "__path__")


class Scan:
    """Walks from a function over what its code can reach, and collects the checks.

    Of objects and modules only the attributes are watched whose names occur in the code reached.
    New names can come up late, so objects are visited until nothing new is found.
    """

    def __init__(self) -> None:
        self.guards = Guards()
        self.names: set[str] = set()
        self.seen: dict[int, Any] = {}  # keeps them alive: an id must stay taken
        self.open: list[tuple[Any, set[str]]] = []  # objects, and the attributes noted so far
        self.noted: set[tuple[str, int, Any]] = set()

    def add(self, roots: Iterable[Any]) -> Guards:
        """The guards of everything reachable from the roots."""
        for root in roots:
            self.visit(root)
        before = -1
        while before != len(self.names) + len(self.seen):
            before = len(self.names) + len(self.seen)
            for thing, noted in list(self.open):
                self.attributes(thing, noted)
        return self.guards

    def note(
        self, kind: str, holder: Any, key: Any, expected: Any, *, rarely: bool = False
    ) -> None:
        name = kind, id(holder), key if isinstance(key, (str, int)) else None
        if name not in self.noted:
            self.noted.add(name)
            checks = self.guards.rarely if rarely else self.guards.always
            checks.append(Check(kind, holder, key, expected))

    def visit(self, value: Any) -> None:
        if type(value) in PLAIN or id(value) in self.seen:
            return
        self.seen[id(value)] = value
        if isinstance(value, Parameter):  # its `requires_grad` bumps
            self.note("attribute", value, "_trained", value._trained, rarely=True)
        elif isinstance(value, Tensor):
            pass
        elif isinstance(value, np.ndarray):
            self.note("array", value, None, value.copy())
        elif isinstance(value, (tuple, list, dict, set, frozenset, collections.deque)):
            self.container(value)
        elif isinstance(value, types.FunctionType):
            self.function(value)
        elif isinstance(value, types.MethodType):
            self.visit(value.__func__)
            self.visit(value.__self__)
        elif isinstance(value, functools.partial):
            for part in (value.func, value.args, value.keywords):
                self.visit(part)
        elif isinstance(value, types.ModuleType):
            if not _module_is_library(value):
                self.open.append((value, set()))
        elif hasattr(value, "__dict__") or _slots(type(value)):
            self.instance(value)

    def container(self, value: Any, rarely: bool = False) -> None:
        """Its contents: one by one, or as a whole where there are many."""
        items = tuple(value.values()) if isinstance(value, dict) else tuple(value)
        keys = tuple(value) if isinstance(value, dict) else range(len(items))
        if isinstance(value, (tuple, frozenset)):
            pass
        elif len(items) > EXPLICIT or not all(isinstance(k, (str, int)) for k in keys):
            self.note("keys", value, None, tuple(value), rarely=rarely)
            if isinstance(value, dict):
                self.note("values", value, None, items, rarely=rarely)
        elif isinstance(value, set):
            self.note("keys", value, None, items, rarely=rarely)
        else:
            self.note("length", value, None, len(items), rarely=rarely)
            for key, item in zip(keys, items):
                self.note("item", value, key, item, rarely=rarely)
        for item in items:
            self.visit(item)

    def function(self, value: types.FunctionType) -> None:
        self.visit(getattr(value, "__wrapped__", None))
        if is_library(value.__code__.co_filename):
            return
        for kind in ("__defaults__", "__kwdefaults__"):
            defaults = getattr(value, kind)
            if defaults:
                self.note("defaults", value, kind, defaults)
                self.visit(defaults)
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or ()):
            try:
                contents = cell.cell_contents
            except ValueError:  # empty so far
                continue
            self.note("cell", cell, name, contents)
            self.visit(contents)
        table = value.__globals__
        globals_read, attributes_read = _reads(value.__code__)
        self.names |= attributes_read
        if value.__dict__:
            self.open.append((value, set()))
        for name in globals_read:
            self.note("global", table, name, table.get(name, MISSING))
            self.visit(table.get(name))

    def instance(self, value: Any) -> None:
        own = getattr(value, "__dict__", {})
        self.visit(own.get("__wrapped__"))
        if "_watched" in own:  # the rules of a custom derivative
            self.note("attribute", value, "_watched", own["_watched"])
            self.visit(own["_watched"])
        kind = value if isinstance(value, type) else type(value)
        if is_cell(value):
            self.cell(value)
        elif not _class_is_library(kind):
            self.open.append((value, set()))
            self.special(kind, isinstance(value, type))
        elif not isinstance(value, type) and not _is_ours(kind.__module__):
            self.open.append((value, set()))  # an argparse.Namespace, say

    def special(self, kind: type, called: bool) -> None:
        """The methods that code calls without naming them. `called`: the class is, to make one."""
        for owner in kind.__mro__:
            if not _class_is_library(owner):
                for name, found in vars(owner).items():
                    if name.startswith("__") and (called or name not in ("__init__", "__new__")):
                        for function in _functions_of(found):
                            if isinstance(function, types.FunctionType):
                                self.visit(function)

    def cell(self, value: Any) -> None:
        """A Cell. Its attributes are watched rarely: their changes bump."""
        kind = type(value)
        library = _class_is_library(kind)
        for name in ("construct", "bprop"):
            self.inherited(value, name, True)
        for name, item in value.__dict__.items():
            if name in OWN_TABLES:
                self.seen[id(item)] = item
                self.container(item, rarely=True)
            elif name not in OURS and (library or name.startswith("_") or name in CELL_STATE):
                self.note("attribute", value, name, item, rarely=True)
                self.visit(item)
        if not library:
            self.open.append((value, set()))
            self.special(kind, False)

    def attributes(self, thing: Any, noted: set[str]) -> None:
        """Watch the attributes of an object whose names have come up."""
        own, rarely = getattr(thing, "__dict__", {}), is_cell(thing)
        all_of_them = "__dict__" in self.names and not _class_is_library(type(thing))
        wanted = set(own) | self.names if all_of_them else self.names
        for name in sorted(wanted - noted - set(OURS)):
            noted.add(name)
            if name in own:
                self.note("attribute", thing, name, own[name], rarely=rarely)
                self.visit(own[name])
            elif name in _slots(type(thing)):
                self.note("slot", thing, name, found := getattr(thing, name, MISSING))
                self.visit(found)
            elif not isinstance(thing, types.ModuleType):
                self.inherited(thing, name, rarely)

    def inherited(self, thing: Any, name: str, rarely: bool) -> None:
        kind = thing if isinstance(thing, type) else type(thing)
        for owner in kind.__mro__:
            if name in vars(owner) and not _class_is_library(owner):
                if not isinstance(thing, type) and hasattr(thing, "__dict__"):
                    self.note("attribute", thing, name, MISSING, rarely=rarely)
                found = vars(owner)[name]
                self.note("attribute", owner, name, found)
                for function in _functions_of(found):
                    self.visit(function)
                return


@functools.lru_cache(maxsize=4096)
def _slots(kind: type) -> frozenset[str]:
    """The attributes that a user's class keeps in slots."""
    owners = [owner for owner in kind.__mro__ if not _class_is_library(owner)]
    return frozenset(
        name
        for owner in owners
        for name, found in vars(owner).items()
        if isinstance(found, types.MemberDescriptorType)
    )


def _functions_of(found: Any) -> Iterator[Any]:
    if isinstance(found, property):
        yield from (f for f in (found.fget, found.fset) if f is not None)
    else:
        yield getattr(found, "__func__", found)


def is_cell(value: Any) -> bool:
    """Whether a value is a Cell: an object that keeps tables of Cells and Parameters, and bumps."""
    own = getattr(value, "__dict__", None)
    return type(own) is dict and "_cells" in own and "_params" in own


@functools.lru_cache(maxsize=4096)
def _reads(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The globals that code reads, and all other names in it: attributes, for the most part."""
    globals_read: set[str] = set()
    others: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            globals_read.add(instruction.argval)
        elif instruction.opcode in dis.hasname:
            others.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner_globals, inner_others = _reads(constant)
            globals_read |= inner_globals
            others |= inner_others
    if not globals_read.isdisjoint(("getattr", "vars")):
        others.add("__dict__")
    return frozenset(globals_read), frozenset(others)


@functools.cache
def _class_is_library(kind: type) -> bool:
    if kind.__module__ == "builtins":
        return True
    module = sys.modules.get(kind.__module__)
    return module is not None and _module_is_library(module)


def guards_of(roots: Iterable[Any]) -> Guards:
    """The guards of a function (or several things) as they are now."""
    return Scan().add(roots)


__all__ = ["Check", "Guards", "bump", "guards_of", "is_cell", "is_library"]
