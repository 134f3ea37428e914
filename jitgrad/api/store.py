"""Compiled artefacts live on what they were compiled from.

So ``grad(f)`` made anew in every iteration finds what it made before, and it all goes when `f`
goes. A copy of the owner does not inherit them.
"""

from __future__ import annotations

import types
import weakref
from collections import OrderedDict
from typing import Any

NAME = "_jitgrad"
_strays: OrderedDict[int, tuple[Any, dict]] = OrderedDict()  # of what cannot hold attributes
STRAYS = 64


class Store(dict):
    """What was compiled from `owner`."""

    def __init__(self, owner: Any):
        super().__init__()
        self.owner = weakref.ref(owner)

    def __deepcopy__(self, memo: dict) -> dict:
        return {}

    def __copy__(self) -> dict:
        return {}

    def __reduce__(self) -> tuple:
        return dict, ()


def artefacts(thing: Any) -> dict:
    """The store of a function, a bound method, a Cell or any other object."""
    if isinstance(thing, types.MethodType):
        return artefacts(thing.__self__).setdefault(thing.__func__, {})
    own = getattr(thing, "__dict__", None)
    if type(own) is not dict:
        return _stray(thing)
    found = own.get(NAME)
    if type(found) is not Store or found.owner() is not thing:
        try:
            found = own[NAME] = Store(thing)
        except TypeError:  # no weak references to it
            return _stray(thing)
    return found


def _stray(thing: Any) -> dict:
    found = _strays.get(id(thing))
    if found is None:
        found = _strays[id(thing)] = thing, {}
        if len(_strays) > STRAYS:
            _strays.popitem(last=False)
    return found[1]
