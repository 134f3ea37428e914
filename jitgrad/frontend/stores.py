"""Where a traced function stores things, and what of that outlives it: leaks."""

from __future__ import annotations

import collections
import gc
import sys
import types
from dataclasses import dataclass
from typing import Any

from jitgrad import tree
from jitgrad.errors import LeakError, fail
from jitgrad.locate import Location
from jitgrad.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Store:
    """Where the function stored something: an attribute, a global or variable of an outer function
    (`holder`: its cell), the items of a container.
    """

    holder: Any
    attribute: str | None
    where: Location | None

    def found(self, trace: Any) -> Tensor | None:
        """A Tensor of the trace that is stored there, if there is one."""
        content = self.holder
        if isinstance(content, types.CellType):
            content = content.cell_contents if _is_bound(content) else None
        elif self.attribute is not None:
            table = content if isinstance(content, dict) else getattr(content, "__dict__", {})
            content = table.get(self.attribute)
        elif isinstance(content, (set, collections.deque)):
            content = list(content)
        tensors = [x for x in tree.flatten(content)[0] if isinstance(x, Tensor)]
        return next((t for t in tensors if t._data is None and t._trace is trace), None)

    def is_known(self, trace: Any) -> bool:
        """Whether somebody else knows the holder."""
        ours = sum(s.holder is self.holder for s in trace.stores.values())
        return sys.getrefcount(self.holder) > ours + 1

    def error(self, trace: Any) -> Exception:
        kind = type(self.holder)
        place = f"the attribute '{self.attribute}' of a {kind.__name__}"
        if self.attribute is None:
            place = f"a {kind.__name__} that outlives the call"
        elif kind is dict:
            place = f"the global '{self.attribute}'"
        elif kind is types.CellType:
            place = f"the variable '{self.attribute}' of an outer function"
        tensor = self.found(trace)
        assert tensor is not None
        return fail(
            LeakError,
            f"a traced Tensor of type {tensor._type} is stored in {place}",
            why="it has no value there: only what a compiled function returns has one",
            instead="return it, or keep it in a Parameter",
            where=self.where,
        )


def leaks(trace: Any) -> list[Store]:
    """The places where a Tensor of a trace is stored that is over, and that outlive it. Others are
    forgotten: what they held is known to nobody then.
    """
    for collected in (False, True):
        while gone := [key for key, s in trace.stores.items() if not s.is_known(trace)]:
            for key in gone:
                del trace.stores[key]
        found = [s for s in trace.stores.values() if s.found(trace) is not None]
        if found and not collected:
            found = []  # which refer to what they found
            gc.collect()  # what only refers to itself does not outlive anything
    return found


def _is_bound(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
