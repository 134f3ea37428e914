"""Finding what is inside a Cell: Parameters, buffers and Cells, with their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jitgrad.frontend import guards
from jitgrad.tensor import Parameter, Tensor


class Collection:
    """The part of `Cell` that keeps and lists members. Tables are dicts from name to member."""

    _params: dict[str, Parameter | None]
    _cells: dict[str, Any]
    _buffers: dict[str, Tensor]

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

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a Tensor that is state but no Parameter; `persistent` is accepted and ignored."""
        self._check_name("register_buffer", name, self._buffers, True)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer takes a Tensor, not a {type(tensor).__name__}")
        guards.bump()
        self._buffers[name] = tensor

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

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """The registered buffers with their dotted names."""
        for prefix, cell in self.cells_and_names():
            for name, buffer in cell._buffers.items():
                if buffer is not None:
                    yield (f"{prefix}.{name}" if prefix else name), buffer

    def init_parameters_data(self) -> dict[Parameter, Parameter]:
        """Kept for MindSpore code: Parameters here hold their data from the start."""
        return {parameter: parameter for parameter in self.get_parameters()}

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
