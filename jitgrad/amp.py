"""Mixed precision: which Cells compute in float16, and scaling of the loss.

float16 is storage here: kernels read and write it, and compute in float32. So half precision saves
memory and its traffic, and costs what rounding to float16 between ops costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jitgrad import nn, ops, tree
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.ir.types import DType, float16, float32
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.nn.cell import Cell
from jitgrad.nn.hooks import cast_floats
from jitgrad.nn.optim.base import counter
from jitgrad.nn.wrap.cell_wrapper import TrainOneStepCell
from jitgrad.nn.wrap.loss_scale import (
    DynamicLossScaleUpdateCell,
    FixedLossScaleUpdateCell,
    TrainOneStepWithLossScaleCell,
    all_finite,
)
from jitgrad.tensor import Tensor

LEVELS = ("O0", "auto", "O1", "O2", "O3")
Kinds = Sequence[type[Cell]]

# Products gain from half precision; sums over many values lose by it.
_WHITE: tuple[type[Cell], ...] = (
    nn.Dense, nn.BiDense, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Conv1dTranspose, nn.Conv2dTranspose,
    nn.Conv3dTranspose, nn.GRUCell, nn.LSTMCell, nn.RNNCell, nn.GRU, nn.LSTM, nn.RNN, nn.PReLU,
)  # fmt: skip
_BLACK: tuple[type[Cell], ...] = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LayerNorm, nn.GroupNorm,
    nn.RMSNorm, nn.Softmax, nn.LogSoftmax, nn.LossBase,
)  # fmt: skip


def get_white_list() -> list[type[Cell]]:
    """The kinds of Cells that compute in half precision at level "O1"."""
    return list(_WHITE)


def get_black_list() -> list[type[Cell]]:
    """The kinds of Cells that do not at level "O2"."""
    return list(_BLACK)


def auto_mixed_precision(network: Cell, amp_level: str = "O0", dtype: Any = float16) -> Cell:
    """Set in which precision the Cells of a network compute; returns the network.

    "O0" changes nothing; "O1" and "auto" take half precision for products (`get_white_list`), "O2"
    for all but normalizations, softmax and losses (`get_black_list`), "O3" for everything. What
    a product of "O1" gives, and what the network gives, is cast back to float32. Weights keep their
    dtype; they are cast when used. ValueError and TypeError for other arguments.
    """
    _check_network(network)
    if amp_level not in LEVELS:
        raise fail(ArgumentError, f"no such amp_level: {amp_level!r}; have {LEVELS}")
    if amp_level in ("O1", "auto"):
        return custom_mixed_precision(network, white_list=_WHITE, dtype=dtype)
    if amp_level == "O2":
        return custom_mixed_precision(network, black_list=_BLACK, dtype=dtype)
    if amp_level == "O3":
        return custom_mixed_precision(network, black_list=(), dtype=dtype)
    return network


def custom_mixed_precision(
    network: Cell,
    *,
    white_list: Iterable[type[Cell]] | None = None,
    black_list: Iterable[type[Cell]] | None = None,
    dtype: Any = float16,
) -> Cell:
    """Half precision for the Cells of a white list, or for all but those of a black list."""
    _check_network(network)
    if (white_list is None) == (black_list is None):
        raise fail(ArgumentError, "custom_mixed_precision takes a white list or a black list")
    kinds = tuple(white_list if black_list is None else black_list)  # type: ignore[arg-type]
    for kind in kinds:
        if not isinstance(kind, type) or not issubclass(kind, Cell):
            raise fail(DTypeError, f"a list of Cells' classes has {kind!r}")
    half = _half(dtype)
    chosen = [cell for _, cell in network.cells_and_names() if isinstance(cell, kinds)]
    if black_list is not None:
        network.to_float(half)
    for cell in chosen:
        cell.to_float(half if black_list is None else float32)
    for cell in chosen if black_list is None else [network]:
        cell.register_forward_hook(_in_full)
    return network


def _in_full(cell: Cell, inputs: Any, output: Any) -> Any:
    """A hook: the output in float32."""
    return cast_floats(output, float32)


def store_in_half(network: Cell, black_list: Iterable[type[Cell]] = _BLACK) -> Cell:
    """Keep the float32 weights of a network in float16, half the memory, but for the Cells of a
    black list. Products of them compute in float32 all the same. Returns the network.
    """
    _check_network(network)
    kept = {
        id(p)
        for _, cell in network.cells_and_names()
        if isinstance(cell, tuple(black_list))
        for p in cell.get_parameters()
    }
    for p in network.get_parameters():
        if p.dtype is float32 and id(p) not in kept:
            p.set_dtype(float16)
    return network.to_float(float32)


def _check_network(network: Any) -> None:
    if not isinstance(network, Cell):
        raise fail(DTypeError, f"network must be a Cell, not a {type(network).__name__}")


def _half(dtype: Any) -> DType:
    if dtype_of(dtype) is not float16:
        raise fail(DTypeError, f"mixed precision with {dtype}: only float16 is there")
    return float16


# --- scaling of the loss ------------------------------------------------------------------------


class LossScaler:
    """Base of the scalers: `scale` before the gradient, `unscale` after, `adjust` at the end."""

    def scale(self, inputs: Any) -> Any:
        """A nest of Tensors times the scale."""
        return tree.map(lambda x: x * self.scale_value, inputs)

    def unscale(self, inputs: Any) -> Any:
        """A nest of Tensors over the scale."""
        return tree.map(lambda x: x / self.scale_value, inputs)

    def adjust(self, grads_finite: Any) -> bool:
        """Tell whether the gradients were finite; returns whether the scale may change."""
        return False

    scale_value: Any


class StaticLossScaler(LossScaler):
    """One scale, which stays."""

    def __init__(self, scale_value: float):
        _positive("scale_value", scale_value)
        self.scale_value = float(scale_value)


class DynamicLossScaler(LossScaler):
    """A scale that falls by `scale_factor` when gradients overflow, not below 1, and rises by it
    after `scale_window` steps without. `scale_value` and `counter` are Parameters.
    """

    def __init__(self, scale_value: float, scale_factor: float, scale_window: int):
        _positive("scale_value", scale_value)
        _positive("scale_window", scale_window)
        if scale_factor <= 1:
            raise fail(ArgumentError, f"scale_factor must be above 1, got {scale_factor}")
        self._update = DynamicLossScaleUpdateCell(scale_value, scale_factor, scale_window)
        self.scale_value = counter("scale_value", scale_value)
        self.counter = self._update.good_steps

    def adjust(self, grads_finite: Any) -> bool:
        self._update(self.scale_value, ops.logical_not(Tensor(grads_finite)))
        return True


class LossScaleManager:
    """Base of the managers: `get_loss_scale`, `update_loss_scale`, `get_update_cell`."""

    def get_loss_scale(self) -> float:
        """The scale."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_loss_scale")

    def update_loss_scale(self, overflow: Any) -> None:
        """Take in whether a step overflowed. A step does so itself, with its update cell."""

    def get_update_cell(self) -> Cell | None:
        """What a step with scaling is made with, or None if it needs none."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_update_cell")


class FixedLossScaleManager(LossScaleManager):
    """One scale for `Model`. With `drop_overflow_update` steps that overflow change nothing;
    otherwise the optimizer's `loss_scale` must be the same.
    """

    def __init__(self, loss_scale: float = 128.0, drop_overflow_update: bool = True):
        _positive("loss_scale", loss_scale)
        self._scale, self._drop = float(loss_scale), drop_overflow_update

    def get_loss_scale(self) -> float:
        """The scale."""
        return self._scale

    def get_drop_overflow_update(self) -> bool:
        """Whether steps that overflow change nothing."""
        return self._drop

    def get_update_cell(self) -> Cell | None:
        """What a step with scaling is made with, or None if it needs none."""
        return FixedLossScaleUpdateCell(self._scale) if self._drop else None


class DynamicLossScaleManager(LossScaleManager):
    """A scale for `Model` that follows overflows; see `DynamicLossScaler`."""

    def __init__(
        self, init_loss_scale: float = 2**24, scale_factor: int = 2, scale_window: int = 2000
    ):
        self._settings = (init_loss_scale, scale_factor, scale_window)
        DynamicLossScaler(*self._settings)  # checks them

    def get_loss_scale(self) -> float:
        """The scale at the beginning."""
        return float(self._settings[0])

    def get_drop_overflow_update(self) -> bool:
        """True: steps that overflow change nothing."""
        return True

    def get_update_cell(self) -> Cell:
        """What a step with scaling is made with."""
        return DynamicLossScaleUpdateCell(*self._settings)


def scaled_step(network: Cell, optimizer: Any, manager: Any) -> Cell:
    """The step of training that a manager of the loss's scale asks for."""
    if not hasattr(manager, "get_update_cell"):
        raise fail(DTypeError, f"loss_scale_manager is a {type(manager).__name__}")
    update = manager.get_update_cell()
    if update is None:
        return TrainOneStepCell(network, optimizer, manager.get_loss_scale())
    return TrainOneStepWithLossScaleCell(network, optimizer, update)


def build_train_network(
    network: Cell,
    optimizer: Any,
    loss_fn: Any = None,
    level: str = "O0",
    boost_level: str = "O0",
    *,
    loss_scale_manager: Any = None,
    cast_model_type: Any = None,
    keep_batchnorm_fp32: bool | None = None,
) -> Cell:
    """One step of training in mixed precision; see `auto_mixed_precision`.

    cast_model_type      float16 or float32, instead of what the level says.
    keep_batchnorm_fp32  whether normalizations stay in float32, instead of what the level says.

    `boost_level` is accepted, and changes nothing.
    """
    if cast_model_type is not None or keep_batchnorm_fp32 is not None:
        kind = dtype_of(cast_model_type or (float16 if level in ("O2", "O3") else float32))
        keeps = level == "O2" if keep_batchnorm_fp32 is None else keep_batchnorm_fp32
        level = "O0" if kind is float32 else "O2" if keeps else "O3"
    auto_mixed_precision(network, level)
    with_loss = network if loss_fn is None else nn.WithLossCell(network, loss_fn)
    if loss_scale_manager is None:
        return TrainOneStepCell(with_loss, optimizer)
    return scaled_step(with_loss, optimizer, loss_scale_manager)


def _positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise fail(DTypeError, f"{name} must be a number, got {value!r}")
    if value <= 0:
        raise fail(ArgumentError, f"{name} must be above 0, got {value}")


__all__ = [
    "DynamicLossScaleManager", "DynamicLossScaler", "FixedLossScaleManager", "LossScaleManager",
    "LossScaler", "StaticLossScaler", "all_finite", "auto_mixed_precision", "build_train_network",
    "custom_mixed_precision", "get_black_list", "get_white_list", "scaled_step", "store_in_half",
]  # fmt: skip
