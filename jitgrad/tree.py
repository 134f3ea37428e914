"""Pytrees: nests of tuples, lists, dicts, dataclasses and None with leaves of any other type."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Structure:
    """The shape of a nest: the container's type, its keys, and the structures inside.

    `kind` is None for a leaf. `leaves` counts the leaves below.
    """

    kind: type | None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()
    leaves: int = 1


LEAF = Structure(None)


def parts(tree: Any) -> tuple[tuple[Any, ...], Sequence[Any]] | None:
    """Keys and children of a container, or None for a leaf."""
    if tree is None:
        return (), ()
    if isinstance(tree, (tuple, list)):
        return (), tree
    if isinstance(tree, dict):
        return tuple(tree), tuple(tree.values())
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type) and not _is_ours(type(tree)):
        names = tuple(f.name for f in dataclasses.fields(tree))
        return names, tuple(getattr(tree, name) for name in names)
    return None


def _is_ours(kind: type) -> bool:
    """A dtype, say: such values are one, and compared by identity."""
    return kind.__module__.partition(".")[0] == "jitgrad"


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves from left to right, and the structure that `unflatten` takes.

    >>> flatten({"a": 1, "b": (2, 3)})[0]
    [1, 2, 3]
    """
    leaves: list[Any] = []
    return leaves, _flatten_into(tree, leaves)


def _flatten_into(tree: Any, leaves: list[Any]) -> Structure:
    found = parts(tree)
    if found is None:
        leaves.append(tree)
        return LEAF
    keys, children = found
    inner = tuple(_flatten_into(child, leaves) for child in children)
    return Structure(type(tree), keys, inner, sum(child.leaves for child in inner))


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """Rebuild a nest; ValueError if the number of leaves is not the structure's."""
    if len(leaves) != structure.leaves:
        raise ValueError(f"structure has {structure.leaves} leaves, got {len(leaves)}")
    iterator = iter(leaves)
    return _build(structure, iterator)


def _build(structure: Structure, leaves: Any) -> Any:
    kind = structure.kind
    if kind is None:
        return next(leaves)
    return assembled(kind, structure.keys, [_build(child, leaves) for child in structure.children])


def assembled(kind: type, keys: tuple[Any, ...], children: Sequence[Any]) -> Any:
    """A container of a type, from its keys and children as `parts` gives them."""
    if kind is type(None):
        return None
    if issubclass(kind, dict):
        return kind(zip(keys, children, strict=True))
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, dict(zip(keys, children, strict=True)))
    if hasattr(kind, "_fields"):  # a namedtuple takes its fields one by one
        return kind(*children)
    return kind(children)


def paths(structure: Structure) -> list[str]:
    """How each leaf is reached, as one writes it in Python.

    >>> paths(flatten({"a": 1, "b": (2, 3)})[1])
    ["['a']", "['b'][0]", "['b'][1]"]
    """
    if structure.kind is None:
        return [""]
    keys: list[str]
    if issubclass(structure.kind, dict):
        keys = [f"[{key!r}]" for key in structure.keys]
    elif structure.keys:
        keys = [f".{name}" for name in structure.keys]
    else:
        keys = [f"[{i}]" for i in range(len(structure.children))]
    return [key + rest for key, child in zip(keys, structure.children) for rest in paths(child)]


def _dataclass(kind: type, values: dict[str, Any]) -> Any:
    """An instance of these values; its fields that `__init__` does not take are set afterwards."""
    taken = {field.name for field in dataclasses.fields(kind) if field.init}
    new = kind(**{name: value for name, value in values.items() if name in taken})
    for name in values.keys() - taken:
        object.__setattr__(new, name, values[name])
    return new


def map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply `function` leaf by leaf over nests of one structure.

    >>> map(lambda a, b: a + b, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for other in others:
        more, its_structure = flatten(other)
        if its_structure != structure:
            raise ValueError(f"structures differ: {structure} and {its_structure}")
        columns.append(more)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])
