"""Finding what is inside a Cell: Parameters, buffers and Cells, with their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jitgrad.frontend import guards
from jitgrad.tensor import Parameter, Tensor


class Collection:
    """The part of `Cell` that keeps and lists members. Tables are dicts from name to member."""

    _params: dict[str, Parameter | None]
    _cells: dict[str, Any]
    _buffers: dict[str, Tensor | None]
    _passing: set[str]  # buffers that are not saved

    # --- putting in -----------------------------------------------------------------------------

    def insert_param_to_cell(
        self, param_name: str, param: Parameter | None, check_name_contain_dot: bool = True
    ) -> None:
        """Add a Parameter. One without a name of its own takes this one.

        KeyError for an empty name, one with a dot, or one that is taken; TypeError if `param` is
        no Parameter.
        """
        self._check_name("insert_param_to_cell", param_name, self._params, check_name_contain_dot)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"insert_param_to_cell takes a Parameter, not a {type(param).__name__}")
        if param is not None and not param.has_name:
            param.name = param_name
        guards.bump()
        self._params[param_name] = param

    def insert_child_to_cell(self, child_name: str, child_cell: Any) -> None:
        """Add a Cell without touching the names of its Parameters; errors as for Parameters."""
        self._check_name("insert_child_to_cell", child_name, self._cells, True)
        if child_cell is not None and not isinstance(child_cell, Collection):
            raise TypeError(f"insert_child_to_cell takes a Cell, not a {type(child_cell).__name__}")
        guards.bump()
        self._cells[child_name] = child_cell

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """`insert_param_to_cell`, as PyTorch calls it."""
        self.insert_param_to_cell(name, param)

    def register_module(self, name: str, cell: Any) -> None:
        """Add a Cell, whose Parameters' names get this one in front."""
        self.insert_child_to_cell(name, cell)
        if cell is not None:
            cell.update_parameters_name(name + ".")

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a Tensor that is state but no Parameter; in `state_dict` if `persistent`."""
        self._check_name("register_buffer", name, self._buffers, True)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer takes a Tensor, not a {type(tensor).__name__}")
        guards.bump()
        self._buffers[name] = tensor
        self.__dict__.setdefault("_passing", set())
        (self._passing.discard if persistent else self._passing.add)(name)

    def _check_name(self, what: str, name: Any, table: dict[str, Any], no_dot: bool) -> None:
        if not isinstance(name, str) or not name:
            raise KeyError(f"{what} needs a name, got {name!r}")
        if no_dot and "." in name:
            raise KeyError(f"{what}: the name {name!r} contains a dot")
        if name not in table and hasattr(self, name):
            raise KeyError(f"{what}: {type(self).__name__} has an attribute {name!r} already")

    def update_parameters_name(self, prefix: str = "", recurse: bool = True) -> None:
        """Name every Parameter by its place, behind `prefix`: ``prefix + "fc1.weight"``."""
        if not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, not a {type(prefix).__name__}")
        for name, parameter in self.parameters_and_names(expand=recurse):
            parameter.name = prefix + name

    def check_names(self) -> None:
        """ValueError if two Parameters have one name."""
        seen: dict[str, Parameter] = {}
        for parameter in self.get_parameters():
            if parameter.name in seen:
                raise ValueError(f"two Parameters are named {parameter.name!r}")
            seen[parameter.name] = parameter

    # --- listing Parameters ---------------------------------------------------------------------

    def parameters_and_names(
        self, name_prefix: str = "", expand: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Each Parameter once, with its place as a dotted name: this Cell's own, then, if
        `expand`, those of the Cells in it, depth first.
        """
        owners = self.cells_and_names(name_prefix=name_prefix) if expand else [(name_prefix, self)]
        seen: set[int] = set()
        for prefix, cell in owners:
            for name, parameter in cell._params.items():
                if parameter is not None and id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield (f"{prefix}.{name}" if prefix else name), parameter

    def get_parameters(self, expand: bool = True) -> Iterator[Parameter]:
        """Each Parameter once, in the order of `parameters_and_names`."""
        return (parameter for _, parameter in self.parameters_and_names(expand=expand))

    def trainable_params(self, recurse: bool = True) -> list[Parameter]:
        """The Parameters with `requires_grad`."""
        return [p for p in self.get_parameters(recurse) if p.requires_grad]

    def untrainable_params(self, recurse: bool = True) -> list[Parameter]:
        """The Parameters without `requires_grad`."""
        return [p for p in self.get_parameters(recurse) if not p.requires_grad]

    def parameters_dict(self, recurse: bool = True) -> dict[str, Parameter]:
        """The Parameters by their own names."""
        return {parameter.name: parameter for parameter in self.get_parameters(recurse)}

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """`parameters_and_names`, as PyTorch calls it."""
        return self.parameters_and_names(prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """`get_parameters`, as PyTorch calls it."""
        return self.get_parameters(recurse)

    def buffers(self) -> Iterator[Tensor]:
        """The registered buffers."""
        return (buffer for _, buffer in self.named_buffers())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """The registered buffers with their dotted names."""
        for prefix, cell in self.cells_and_names():
            for name, buffer in cell._buffers.items():
                if buffer is not None:
                    yield (f"{prefix}.{name}" if prefix else name), buffer

    def init_parameters_data(self) -> dict[Parameter, Parameter]:
        """Kept for MindSpore code: Parameters here hold their data from the start."""
        return {parameter: parameter for parameter in self.get_parameters()}

    # --- state ----------------------------------------------------------------------------------

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The Parameters and the persistent buffers by their places, as dotted names."""
        found: dict[str, Tensor] = {}
        for place, cell in self.cells_and_names(name_prefix=prefix.rstrip(".")):
            start = f"{place}." if place else ""
            passing = cell.__dict__.get("_passing", ())
            found |= {start + n: p for n, p in cell._params.items() if p is not None}
            found |= {
                start + n: b for n, b in cell._buffers.items() if b is not None and n not in passing
            }
        return found

    def load_state_dict(
        self, state_dict: Mapping[str, Tensor], strict: bool = True
    ) -> tuple[list[str], list[str]]:
        """Write values by the names of `state_dict`.

        Returns the names that are missing and those that are not known. RuntimeError for such
        names unless `strict` is False, ValueError for other shapes; nothing is written then.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state_dict]
        unknown = [name for name in state_dict if name not in own]
        if strict and (missing or unknown):
            raise RuntimeError(
                f"load_state_dict of {type(self).__name__}: missing {missing}, unknown {unknown}"
            )
        both = [name for name in own if name in state_dict]
        for name in both:
            wanted, given = tuple(own[name].shape), tuple(state_dict[name].shape)
            if wanted != given:
                raise ValueError(f"{name} has shape {list(wanted)}, the given value {list(given)}")
        for name in both:
            held = own[name]
            if isinstance(held, Parameter):
                held.set_data(state_dict[name])
            else:
                place, _, last = name.rpartition(".")
                setattr(self.get_sub_cell(place), last, Tensor(state_dict[name].asnumpy()))
        return missing, unknown

    def get_sub_cell(self, target: str) -> Any:
        """The Cell at a dotted place; "" is this one. AttributeError if there is none."""
        cell = self
        for name in filter(None, target.split(".")):
            found = cell._cells.get(name)
            if found is None:
                raise AttributeError(f"{type(cell).__name__} has no Cell {name!r}")
            cell = found
        return cell

    def get_parameter(self, target: str) -> Parameter:
        """The Parameter at a dotted place; AttributeError if there is none."""
        return self._at(target, "_params", "Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted place; AttributeError if there is none."""
        return self._at(target, "_buffers", "buffer")

    def _at(self, target: str, table: str, what: str) -> Any:
        place, _, name = target.rpartition(".")
        cell = self.get_sub_cell(place)
        if getattr(cell, table).get(name) is None:
            raise AttributeError(f"{type(cell).__name__} has no {what} {name!r}")
        return getattr(cell, table)[name]

    # --- listing Cells --------------------------------------------------------------------------

    def cells(self) -> list[Any]:
        """The Cells directly in this one."""
        return [cell for cell in self._cells.values() if cell is not None]

    def name_cells(self) -> dict[str, Any]:
        """The Cells directly in this one, each once, by name."""
        found: dict[str, Any] = {}
        for name, cell in self._cells.items():
            if cell is not None and not any(cell is other for other in found.values()):
                found[name] = cell
        return found

    def children(self) -> Iterator[Any]:
        """The Cells directly in this one, each once."""
        return iter(self.name_cells().values())

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """The Cells directly in this one, each once, with their names."""
        return iter(self.name_cells().items())

    def modules(self) -> Iterator[Any]:
        """This Cell and all in it, each once."""
        return (cell for _, cell in self.cells_and_names())

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        """`cells_and_names`, as PyTorch calls it."""
        return self.cells_and_names()

    def cells_and_names(
        self, cells: set[Any] | None = None, name_prefix: str = ""
    ) -> Iterator[tuple[str, Any]]:
        """This Cell and all in it, each once, with dotted names, depth first."""
        seen = set() if cells is None else cells
        if self in seen:
            return
        seen.add(self)
        yield name_prefix, self
        for name, cell in self._cells.items():
            if cell is not None:
                inner = f"{name_prefix}.{name}" if name_prefix else name
                yield from cell.cells_and_names(seen, inner)

    def apply(self, fn: Callable[[Any], Any]) -> Any:
        """Call `fn` on every Cell inside, innermost first, and last on this one."""
        for cell in self.cells():
            cell.apply(fn)
        fn(self)
        return self
