"""Calls in converted code: what is called instead of what the user wrote.

A user's function is called in its converted form; builtins and `math` functions that would ask a
traced value for its value are called as ops; what changes a list or dict in place is noted first.
Everything else, library functions above all, is called as it is.
"""

from __future__ import annotations

import collections
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.frontend.aliases import check_mixed
from jitgrad.frontend.control import builtin
from jitgrad.frontend.control.arrays import is_maker, making
from jitgrad.frontend.control.attempt import ArrayPlace, DictPlace, ListPlace, Place, attempt
from jitgrad.frontend.control.build import twin
from jitgrad.frontend.control.growing import settled
from jitgrad.frontend.control.ordering import sort_list
from jitgrad.frontend.control.paths import Blocked
from jitgrad.frontend.guards import is_cell, is_library
from jitgrad.state import state

CONTAINERS = (list, dict, set, collections.deque)
CHANGES = {
    "append", "appendleft", "clear", "extend", "extendleft", "insert", "pop", "popleft", "popitem",
    "remove", "reverse", "rotate", "sort", "add", "discard", "setdefault", "update",
    "difference_update", "intersection_update", "symmetric_difference_update", "fill",
    "__setitem__", "__delitem__",
}  # fmt: skip


def place_of(thing: Any) -> Place | None:
    """Something that changes in place, if its contents are what matters."""
    if isinstance(thing, (list, collections.deque)):
        return ListPlace(thing)
    if isinstance(thing, (dict, set)):
        return DictPlace(thing)
    return ArrayPlace(thing) if isinstance(thing, np.ndarray) else None


def python_of(function: Any) -> Any:
    """The Python function of one that Numba compiles; anything else as it is."""
    kind = type(function)
    if kind is type and function.__module__ == "numba.misc.special":
        return range if function.__name__ == "prange" else function
    return function.py_func if kind.__module__ == "numba.core.registry" else function


def callee(function: Any) -> Any:
    """What to call for a function that a user's code calls."""
    trace = state.trace
    function = python_of(function)
    if trace is None:
        return function
    if is_maker(function):
        return making(function, sys._getframe(1))
    kind = type(function)
    if kind is types.FunctionType:
        return _user(function)
    if kind is types.MethodType:
        inner = callee(function.__func__)
        return (
            function if inner is function.__func__ else types.MethodType(inner, function.__self__)
        )
    if kind is types.BuiltinFunctionType or kind is type or kind is types.BuiltinMethodType:
        return _builtin(function)
    if kind is functools.partial:
        inner = callee(function.func)
        same = inner is function.func
        return function if same else functools.partial(inner, *function.args, **function.keywords)
    call = getattr(kind, "__call__", None)  # noqa: B004  the method itself is wanted
    if type(call) is types.FunctionType and not is_library(call.__code__.co_filename):
        return types.MethodType(_user(call), function)
    return function


def _user(function: types.FunctionType) -> Callable:
    new = twin(function)
    if new is function and is_library(function.__code__.co_filename):
        ours = function.__module__.partition(".")[0] == "jitgrad"
        return function if ours else _with_twins(function)
    if state.trace.trials and _is_running(new.__code__):
        raise Blocked(f"{function.__name__} calls itself")
    return new


def _is_running(code: types.CodeType) -> bool:
    """Whether a function runs around the block that is on trial: which calls it again."""
    frame, tried = sys._getframe(3), False
    while frame is not None:
        if frame.f_code is attempt.__code__:
            tried = True
        elif tried and frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def _builtin(function: Any) -> Any:
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, (types.ModuleType, type)):
        if isinstance(owner, (*CONTAINERS, np.ndarray)) and function.__name__ in CHANGES:
            if function.__name__ not in ("append", "extend"):
                settled(owner)
            log = state.trace.log
            place = place_of(owner)
            state.trace.store(owner, None)
            if state.trace.mixed:
                check_mixed(state.trace, owner)
            if log is not None and place is not None:
                log.touch(place)
            if function.__name__ == "sort":
                return functools.partial(sort_list, owner)
        return _with_twins(function)
    replaced = builtin.TABLE.get(function)
    if replaced is not None:
        return replaced
    if isinstance(function, type) and function not in (map, filter):
        return _class(function)
    return _with_twins(function)


def _class(kind: type) -> Any:
    """A user's class whose `__init__` is plain is made with it converted."""
    init = kind.__init__
    plain = kind.__new__ is object.__new__ and type(init) is types.FunctionType
    if not plain or is_library(init.__code__.co_filename):
        return kind

    def make(*args: Any, **kwargs: Any) -> Any:
        new = kind.__new__(kind)
        _user(init)(new, *args, **kwargs)  # type: ignore[arg-type]
        return new

    return make


def _with_twins(function: Callable) -> Callable:
    """A library's function, which is given the converted form of a user's functions."""

    def call(*args: Any, **kwargs: Any) -> Any:
        new_args = [_argument(a) for a in args]
        return function(*new_args, **{k: _argument(v) for k, v in kwargs.items()})

    return call


def _argument(value: Any) -> Any:
    if type(value) in (types.FunctionType, types.MethodType):
        return callee(value)
    return settled(value)


def converted(function: Callable) -> Callable:
    """What to call for a function that a transform (`grad`, `vmap`, a Cell) was given."""
    function = python_of(function)
    if state.trace is None or is_cell(function):
        return function
    return callee(function)
