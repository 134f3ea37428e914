"""Checkpoints: the Parameters of a network in a file, and back.

Two formats, by the name's end: ``.safetensors``, and ``.ckpt``, which is MindSpore's. Neither holds
code, and nothing is ever unpickled. See docs/decisions/0021-checkpoints.md.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.onnx import export
from jitgrad.tensor import Parameter, Tensor
from jitgrad.train import ckpt, safetensors

FROZEN = "not_trained"  # the metadata's list of Parameters without requires_grad
FORMATS = ("ckpt", "safetensors")
Name = str | os.PathLike


def save_checkpoint(
    save_obj: Any,
    ckpt_file_name: Name,
    integrated_save: bool = True,
    async_save: bool = False,
    append_dict: Mapping[str, Any] | None = None,
    choice_func: Callable[[str], bool] | None = None,
    format: str | None = None,
    **options: Any,
) -> None:
    """Write the Parameters of a Cell (or a dict or list of them) into a file.

    A list has dicts ``{"name": …, "data": Tensor}``, as in MindSpore. `format` is "safetensors" or
    "ckpt", by default what the name ends with, and "ckpt" if it ends with neither; then the ending
    is added. `append_dict` has further Tensors and numbers by name. `choice_func` says of each name
    whether it is written. The file appears under its name only when it is complete. Other options
    are MindSpore's; they are accepted and ignored, but for encryption, which is refused.

    TypeError for other objects, ValueError for two Parameters of one name or an unknown format.
    """
    if options.get("enc_key") is not None:
        raise fail(ArgumentError, "save_checkpoint does not encrypt")
    arrays: dict[str, np.ndarray] = {}
    frozen: list[str] = []
    for name, tensor in [*_named(save_obj), *_appended(append_dict or {})]:
        if choice_func is not None and not choice_func(name):
            continue
        if name in arrays:
            raise fail(ArgumentError, f"two Parameters are named {name!r}")
        if isinstance(tensor, Parameter) and not tensor.requires_grad:
            frozen.append(name)
        arrays[name] = tensor.asnumpy()
    path, kind = _path(ckpt_file_name, format)

    def write(file: Any) -> None:
        if kind == "ckpt":
            ckpt.write(file, arrays)
        else:
            marks = {FROZEN: "\n".join(frozen)} if frozen else {}
            safetensors.write(file, arrays, marks)

    _replace(path, write)


def _replace(path: Path, write: Callable[[Any], None]) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent or ".", prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load_checkpoint(
    ckpt_file_name: Name,
    net: Cell | None = None,
    strict_load: bool = False,
    filter_prefix: str | Iterable[str] | None = None,
    choice_func: Callable[[str], bool] | None = None,
    format: str | None = None,
    **options: Any,
) -> dict[str, Parameter]:
    """The Parameters in a file by name; with `net`, also loaded into it.

    Names that begin with one of `filter_prefix` are left out, and those that `choice_func` does not
    want. `format` as in `save_checkpoint`. Only a safetensors file that was written here knows
    which Parameters were not trained.

    FileNotFoundError if there is no such file, ValueError if it is no checkpoint, or none is left.
    """
    if options.get("dec_key") is not None:
        raise fail(ArgumentError, "load_checkpoint does not decrypt")
    path, kind = _path(ckpt_file_name, format)
    try:
        data = memoryview(path.read_bytes())
        arrays, metadata = (ckpt.read(data), {}) if kind == "ckpt" else safetensors.read(data)
    except safetensors.Damaged as error:
        raise fail(
            ArgumentError,
            f"{path} is no checkpoint, or a damaged one",
            why=str(error),
            instead="format='safetensors' or 'ckpt' says which it is",
        ) from None
    left_out = (filter_prefix,) if isinstance(filter_prefix, str) else tuple(filter_prefix or ())
    frozen = set(metadata.get(FROZEN, "").split("\n"))
    found = {
        name: Parameter(array, name=name, requires_grad=name not in frozen)
        for name, array in arrays.items()
        if not name.startswith(left_out or ("\0",)) and (choice_func is None or choice_func(name))
    }
    if not found:
        raise fail(ArgumentError, f"{path} has no Parameters, or all of them are left out")
    if net is not None:
        load_param_into_net(net, found, strict_load)
    return found


def ckpt_to_safetensors(file_path: Name, save_path: Name | None = None) -> None:
    """Write a .ckpt file as safetensors, beside it or to `save_path`."""
    _converted(file_path, save_path, "ckpt", "safetensors")


def safetensors_to_ckpt(file_path: Name, save_path: Name | None = None) -> None:
    """Write a safetensors file as .ckpt, beside it or to `save_path`."""
    _converted(file_path, save_path, "safetensors", "ckpt")


def _converted(source: Name, target: Name | None, old: str, new: str) -> None:
    target = Path(source).with_suffix(f".{new}") if target is None else target
    save_checkpoint(load_checkpoint(source, format=old), target, format=new)


def load_param_into_net(
    net: Cell, parameter_dict: Mapping[str, Tensor], strict_load: bool = False, **options: Any
) -> tuple[list[str], list[str]]:
    """Write values into a network's Parameters by name.

    Returns the names of the network's Parameters that were not given, and the names given that the
    network does not have. Floats of another dtype are cast, unless `strict_load`.

    TypeError for other arguments and for dtypes that do not fit, ValueError for another shape;
    nothing is written then.
    """
    if not isinstance(net, Cell):
        raise fail(DTypeError, f"net must be a Cell, not a {type(net).__name__}")
    if not isinstance(parameter_dict, Mapping):
        raise fail(DTypeError, f"parameter_dict is a {type(parameter_dict).__name__}, no dict")
    own = net.parameters_dict()
    both = [name for name in own if name in parameter_dict]
    for name in both:
        _check(own[name], parameter_dict[name], strict_load)
    for name in both:
        own[name].set_data(parameter_dict[name])
    missing = [name for name in own if name not in parameter_dict]
    return missing, [name for name in parameter_dict if name not in own]


def _check(own: Parameter, given: Any, strict: bool) -> None:
    """TypeError or ValueError if a value cannot be written into a Parameter."""
    if not isinstance(given, Tensor):
        raise fail(DTypeError, f"the value of {own.name!r} is a {type(given).__name__}")
    if given.shape != own.shape:
        raise fail(
            ShapeError,
            f"{own.name} has shape {list(own.shape)}, the given value {list(given.shape)}",
        )
    if given.dtype is own.dtype:
        return
    if strict or not (given.dtype.is_float and own.dtype.is_float):
        raise fail(
            DTypeError,
            f"{own.name} has dtype {own.dtype}, the given value {given.dtype}",
            instead="" if not strict else "strict_load=False casts floats",
        )


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


def _appended(values: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    found = []
    for name, value in values.items():
        if not isinstance(value, (Tensor, bool, int, float, np.ndarray)):
            raise fail(
                DTypeError,
                f"append_dict[{name!r}] is a {type(value).__name__}",
                why="it takes Tensors and numbers",
            )
        number = isinstance(value, (bool, int, float))
        found.append((name, Tensor(np.asarray(value)) if number else Tensor(value)))
    return found


def _path(name: Name, format: str | None) -> tuple[Path, str]:
    """The file, and its format."""
    if not isinstance(name, (str, os.PathLike)):
        raise fail(DTypeError, f"the name of a checkpoint is a {type(name).__name__}")
    path = Path(name)
    ending = path.suffix.removeprefix(".")
    kind = format or (ending if ending in FORMATS else "ckpt")
    if kind not in FORMATS:
        raise fail(ArgumentError, f"no such format of checkpoints: {kind!r}; have {FORMATS}")
    return (path if ending == kind else path.with_name(f"{path.name}.{kind}")), kind


__all__ = [
    "FORMATS", "FROZEN", "ckpt_to_safetensors", "export", "load_checkpoint", "load_param_into_net",
    "safetensors_to_ckpt", "save_checkpoint",
]  # fmt: skip
