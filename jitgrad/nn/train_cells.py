"""Cells for training: a network with its loss, one step of an optimizer, gradients as a Cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad import ops
from jitgrad.api.grad import grad, value_and_grad
from jitgrad.errors import DTypeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Parameter, ParameterTuple, Tensor


def _cell(owner: Cell, name: str, value: Any) -> Cell:
    if not isinstance(value, Cell):
        raise fail(DTypeError, f"{owner.cls_name}: {name} must be a Cell, got {value!r}")
    return value


class WithLossCell(Cell):
    """``loss_fn(backbone(data), label)`` as a Cell of data and label."""

    def __init__(self, backbone: Cell, loss_fn: Callable[..., Tensor]):
        super().__init__(auto_prefix=False)
        self._backbone = _cell(self, "backbone", backbone)
        self._loss_fn = loss_fn

    def construct(self, data: Any, label: Any) -> Tensor:
        """The loss of one batch."""
        return self._loss_fn(self._backbone(data), label)

    @property
    def backbone_network(self) -> Cell:
        """The network without its loss."""
        return self._backbone


class WithEvalCell(Cell):
    """Loss, outputs and labels of a batch."""

    def __init__(self, network: Cell, loss_fn: Callable[..., Tensor], add_cast_fp32: bool = False):
        super().__init__(auto_prefix=False)
        self._network, self._loss_fn = _cell(self, "network", network), loss_fn
        self.add_cast_fp32 = add_cast_fp32

    def construct(self, data: Any, label: Any) -> tuple[Tensor, Any, Any]:
        """Loss, outputs, labels."""
        outputs = self._network(data)
        if self.add_cast_fp32:
            from jitgrad.ir.types import float32

            outputs = ops.cast(outputs, float32)
        return self._loss_fn(outputs, label), outputs, label


class TrainOneStepCell(Cell):
    """One step: the loss of a batch, its gradients, and the optimizer's update of the weights.

    `network` returns the loss, or several values of which the first is the loss; the step returns
    what the network returned, from before the update. `sens` is the cotangent of the loss, that
    is, the loss scale that the optimizer divides by. Compiled, a step is one graph whose updates
    happen in place.
    """

    def __init__(self, network: Cell, optimizer: Cell, sens: Any = None, return_grad: bool = False):
        super().__init__(auto_prefix=False)
        self.network = _cell(self, "network", network)
        self.network.set_grad()
        self.optimizer = _cell(self, "optimizer", optimizer)
        self.weights = self.optimizer.parameters
        self.return_grad = return_grad
        self.sens = 1.0 if sens is None else sens

    def construct(self, *inputs: Any) -> Any:
        """What the network returned; with `return_grad` also the gradients by name."""
        scale = self.sens
        unit = isinstance(scale, (int, float)) and scale == 1

        def forward(*values: Any) -> Any:
            out = self.network(*values)
            loss = out[0] if isinstance(out, (tuple, list)) else out
            return (loss if unit else loss * scale), out

        (_, out), grads = value_and_grad(forward, None, self.weights, has_aux=True)(*inputs)
        self.optimizer(grads)
        if self.return_grad:
            return out, {p.name: g for p, g in zip(self.weights, grads, strict=True)}
        return out


class ForwardValueAndGrad(Cell):
    """Loss and gradients of a network: by its inputs (`get_all`), its weights (`get_by_list`) or
    both.
    """

    def __init__(
        self,
        network: Cell,
        weights: Any = None,
        get_all: bool = False,
        get_by_list: bool = False,
        sens_param: bool = False,
    ):
        super().__init__(auto_prefix=False)
        if not callable(network):
            raise fail(DTypeError, f"ForwardValueAndGrad: network must be callable: {network!r}")
        self.network = network
        given = weights if weights is not None else getattr(network, "trainable_params", list)()
        given = [given] if isinstance(given, Parameter) else given
        self.weights = ParameterTuple(given) if get_by_list else None
        self.get_all, self.sens_param = get_all, sens_param

    def construct(self, *inputs: Any) -> tuple[Any, Any]:
        """(loss, gradients)."""
        values = inputs[:-1] if self.sens_param else inputs
        positions = tuple(range(len(values))) if self.get_all else None
        if positions is None and self.weights is None:
            positions = 0
        loss = self.network(*values)
        gradient = grad(self.network, positions, self.weights, sens_param=self.sens_param)
        return loss, gradient(*inputs)


__all__ = [
    "ForwardValueAndGrad", "TrainOneStepCell", "WithEvalCell", "WithLossCell",
]  # fmt: skip
