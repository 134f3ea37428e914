"""Checkpoints: the Parameters of a network in a file, and back.

The file is NumPy's ``.npz``, whatever its name: one array for each Parameter, no code.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Parameter, Tensor

FROZEN = "not trained: "  # before the names of Parameters without requires_grad


def save_checkpoint(save_obj: Any, ckpt_file_name: str | os.PathLike, **options: Any) -> None:
    """Write the Parameters of a Cell (or a dict or list of them) into a file.

    A list has dicts ``{"name": …, "data": Tensor}``, as in MindSpore. The file appears under its
    name only when it is complete. `options` are MindSpore's; they are accepted and ignored.

    TypeError for other objects, ValueError for two Parameters of one name.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in _named(save_obj):
        frozen = isinstance(tensor, Parameter) and not tensor.requires_grad
        key = FROZEN * frozen + name
        if key in arrays:
            raise fail(ArgumentError, f"two Parameters are named {name!r}")
        arrays[key] = tensor.asnumpy()
    path = _path(ckpt_file_name)
    handle, temporary = tempfile.mkstemp(dir=path.parent or ".", prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load_checkpoint(
    ckpt_file_name: str | os.PathLike, net: Cell | None = None, **options: Any
) -> dict[str, Parameter]:
    """The Parameters in a file by name; with `net`, also loaded into it.

    FileNotFoundError if there is no such file, ValueError if it is no checkpoint.
    """
    path = _path(ckpt_file_name)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile, AttributeError, EOFError) as error:
        raise fail(ArgumentError, f"{path} is no checkpoint", why=str(error)) from None
    found = {}
    for key, array in arrays.items():
        name = key.removeprefix(FROZEN)
        found[name] = Parameter(Tensor(array), name=name, requires_grad=key == name)
    if net is not None:
        load_param_into_net(net, found)
    return found


def load_param_into_net(
    net: Cell, parameter_dict: Mapping[str, Tensor], strict_load: bool = False, **options: Any
) -> tuple[list[str], list[str]]:
    """Write values into a network's Parameters by name.

    Returns the names of the network's Parameters that were not given, and the names given that the
    network does not have. TypeError for other arguments, ValueError for another shape; nothing is
    written then.
    """
    if not isinstance(net, Cell):
        raise fail(DTypeError, f"net must be a Cell, not a {type(net).__name__}")
    if not isinstance(parameter_dict, Mapping):
        raise fail(DTypeError, f"parameter_dict is a {type(parameter_dict).__name__}, no dict")
    own = net.parameters_dict()
    both = [name for name in own if name in parameter_dict]
    for name in both:
        given = parameter_dict[name]
        if not isinstance(given, Tensor):
            raise fail(DTypeError, f"the value of {name!r} is a {type(given).__name__}")
        if given.shape != own[name].shape:
            raise fail(
                ShapeError,
                f"{name} has shape {list(own[name].shape)}, the given value {list(given.shape)}",
            )
    for name in both:
        own[name].set_data(parameter_dict[name])
    missing = [name for name in own if name not in parameter_dict]
    return missing, [name for name in parameter_dict if name not in own]


def _named(save_obj: Any) -> list[tuple[str, Tensor]]:
    if isinstance(save_obj, Cell):
        return [(p.name, p) for p in save_obj.get_parameters()]
    if isinstance(save_obj, Mapping):
        pairs = list(save_obj.items())
    elif isinstance(save_obj, (list, tuple)):
        pairs = [(entry["name"], entry["data"]) for entry in save_obj]
    else:
        raise fail(
            DTypeError,
            f"save_checkpoint got a {type(save_obj).__name__}",
            why="it takes a Cell, a dict, or a list of dicts with 'name' and 'data'",
        )
    for name, tensor in pairs:
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise fail(DTypeError, f"{name!r}: {type(tensor).__name__} is no named Tensor")
    return pairs


def _path(name: str | os.PathLike) -> Path:
    path = Path(name)
    return path if path.suffix == ".ckpt" else path.with_name(path.name + ".ckpt")
