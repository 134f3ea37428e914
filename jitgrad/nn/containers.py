"""Cells that hold Cells: `SequentialCell`, `CellList` and `CellDict`."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from jitgrad.errors import BoundsError, DTypeError, fail
from jitgrad.frontend import guards
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Parameter

Index = int | slice


class _Indexed(Cell):
    """A Cell whose children are numbered; their Parameters are named by number."""

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[Cell]:
        return iter(list(self._cells.values()))

    def __bool__(self) -> bool:
        return True  # an empty container is a Cell like any other

    def __getitem__(self, index: Index) -> Any:
        if isinstance(index, slice):
            return self._sliced(list(self._cells.items())[index])
        return self._cells[self._key(index)]

    def __setitem__(self, index: int, cell: Cell) -> None:
        key = self._key(index)
        self._put(key, cell)

    def __delitem__(self, index: Index) -> None:
        keys = list(self._cells)
        doomed = keys[index] if isinstance(index, slice) else [self._key(index)]
        self._renumber([cell for key, cell in self._cells.items() if key not in doomed])

    def append(self, cell: Cell) -> Any:
        """Put a Cell at the end; TypeError if it is no Cell."""
        number = len(self)
        while str(number) in self._cells:  # a slice keeps the numbers of what it was cut from
            number += 1
        self._put(str(number), cell)
        return self

    def extend(self, cells: Iterable[Cell]) -> Any:
        """Put several Cells at the end; TypeError if they are no Cells."""
        if not isinstance(cells, Iterable) or isinstance(cells, (str, Mapping)):
            kind = type(cells).__name__
            raise fail(DTypeError, f"{self.cls_name} takes a list of Cells, not a {kind}")
        for cell in list(cells):
            self.append(cell)
        return self

    def insert(self, index: int, cell: Cell) -> None:
        """Put a Cell before the one at `index`; IndexError if there is no such place."""
        size = len(self)
        if not isinstance(index, int) or not -size <= index <= size:
            raise fail(BoundsError, f"{self.cls_name} of {size} has no place {index!r}")
        cells = list(self._cells.values())
        cells.insert(index, self._checked(cell))
        self._renumber(cells)

    def __iadd__(self, cells: Iterable[Cell]) -> Any:
        return self.extend(cells)

    # --- inside ---------------------------------------------------------------------------------

    def _sliced(self, items: list[tuple[str, Cell]]) -> Any:
        """A new container of the same Cells; the names of their Parameters stay."""
        part = type(self)()
        for number, (_, cell) in enumerate(items):
            part.insert_child_to_cell(str(number), cell)
        return part

    def _key(self, index: Any) -> str:
        size = len(self)
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            kind = type(index).__name__
            raise fail(DTypeError, f"{self.cls_name} is indexed by int or slice, not by {kind}")
        number = index.__index__()
        if not -size <= number < size:
            raise fail(BoundsError, f"{self.cls_name} of {size} has no Cell {number}")
        return list(self._cells)[number]

    def _checked(self, cell: Any) -> Cell:
        if not isinstance(cell, Cell):
            raise fail(DTypeError, f"{self.cls_name} takes Cells, got a {type(cell).__name__}")
        return cell

    def _put(self, key: str, cell: Any) -> None:
        self._checked(cell)
        guards.bump()
        if self._auto_prefix:
            cell.update_parameters_name(f"{self._prefix()}{key}.")
        self._cells[key] = cell

    def _renumber(self, cells: list[Cell]) -> None:
        prefix = self._prefix()
        guards.bump()
        self._cells.clear()
        for number, cell in enumerate(cells):
            if self._auto_prefix:
                cell.update_parameters_name(f"{prefix}{number}.")
            self._cells[str(number)] = cell

    def _prefix(self) -> str:
        """What stands before this container's own names, once it is part of another Cell."""
        for place, parameter in self.parameters_and_names():
            if parameter.name.endswith("." + place):
                return parameter.name[: -len(place)]
        return ""


class SequentialCell(_Indexed):
    """Cells that are called one after the other.

    Takes Cells, one list of Cells, or one dict from names to Cells.

    >>> from jitgrad import nn
    >>> nn.SequentialCell(nn.ReLU(), nn.Tanh())
    SequentialCell(
      (0): ReLU()
      (1): Tanh()
    )
    """

    def __init__(self, *args: Any):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, cell in args[0].items():
                self.insert_child_to_cell(name, self._checked(cell))
                cell.update_parameters_name(name + ".")
        elif len(args) == 1 and not isinstance(args[0], Cell):
            self.extend(args[0])
        else:
            self.extend(args)

    @property
    def cell_list(self) -> list[Cell]:
        """The Cells in order."""
        return list(self._cells.values())

    def construct(self, input_data: Any) -> Any:
        """Each Cell on the result of the one before."""
        for cell in self._cells.values():
            input_data = cell(input_data)
        return input_data

    def _sliced(self, items: list[tuple[str, Cell]]) -> Any:
        part = type(self)()
        for name, cell in items:
            part.insert_child_to_cell(name, cell)
        return part


class CellList(_Indexed):
    """A list whose Cells are registered. It cannot be called itself.

    >>> cells = nn.CellList([nn.ReLU()])
    >>> cells = cells.append(nn.Tanh())
    >>> len(cells)
    2
    """

    def __init__(self, *args: Any, auto_prefix: bool = True):
        super().__init__(auto_prefix)
        if len(args) == 2 and isinstance(args[1], bool):
            self.__dict__["_auto_prefix"], args = args[1], args[:1]
        if len(args) > 1:
            raise fail(DTypeError, f"CellList takes one list of Cells, got {len(args)} arguments")
        for cells in args:
            self.extend(cells)


class ParameterList(Cell):
    """A list whose Parameters are registered, under their numbers.

    >>> len(nn.ParameterList([ms.Parameter(Tensor([1.0]))]))
    1
    """

    def __init__(self, parameters: Iterable[Parameter] = ()):
        super().__init__()
        self.extend(parameters)

    def append(self, parameter: Parameter) -> ParameterList:
        """Put a Parameter at the end; TypeError if it is none."""
        self.insert_param_to_cell(str(len(self._params)), parameter)
        return self

    def extend(self, parameters: Iterable[Parameter]) -> ParameterList:
        """Put several Parameters at the end."""
        for parameter in parameters:
            self.append(parameter)
        return self

    def __len__(self) -> int:
        return len(self._params)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, name) for name in self._params])

    def __getitem__(self, index: Index) -> Any:
        names = list(self._params)
        if isinstance(index, slice):
            return [getattr(self, name) for name in names[index]]
        if not -len(names) <= index < len(names):
            raise fail(BoundsError, f"ParameterList of {len(names)} has no Parameter {index}")
        return getattr(self, names[index])

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, list(self._params)[index], value)


class CellDict(Cell):
    """A dict whose Cells are registered under its keys. It cannot be called itself.

    >>> cells = nn.CellDict({"a": nn.ReLU(), "b": nn.Tanh()})
    >>> list(cells.keys())
    ['a', 'b']
    """

    def __init__(self, *args: Any):
        super().__init__()
        if len(args) > 1:
            raise fail(DTypeError, f"CellDict takes one mapping, got {len(args)} arguments")
        for cells in args:
            self.update(cells)

    def __len__(self) -> int:
        return len(self._cells)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._cells))

    def __contains__(self, key: object) -> bool:
        return key in self._cells

    def __getitem__(self, key: str) -> Cell:
        return self._cells[key]

    def __setitem__(self, key: str, cell: Cell) -> None:
        if not isinstance(key, str) or not key or "." in key:
            raise fail(DTypeError, f"a key of CellDict is a name without dots, not {key!r}")
        if not isinstance(cell, Cell):
            raise fail(DTypeError, f"CellDict takes Cells, got a {type(cell).__name__}")
        guards.bump()
        if self._auto_prefix:
            cell.update_parameters_name(key + ".")
        self._cells[key] = cell

    def __delitem__(self, key: str) -> None:
        guards.bump()
        del self._cells[key]

    def pop(self, key: str) -> Cell:
        """Take the Cell of a key out; KeyError if there is none."""
        guards.bump()
        return self._cells.pop(key)

    def clear(self) -> None:
        """Take all Cells out."""
        guards.bump()
        self._cells.clear()

    def keys(self) -> KeysView[str]:
        return self._cells.keys()

    def values(self) -> ValuesView[Cell]:
        return self._cells.values()

    def items(self) -> ItemsView[str, Cell]:
        return self._cells.items()

    def update(self, cells: Any) -> None:
        """Add the pairs of a mapping, of another CellDict, or of an iterable of pairs."""
        pairs = cells.items() if isinstance(cells, (Mapping, CellDict)) else cells
        for key, cell in pairs:
            self[key] = cell
