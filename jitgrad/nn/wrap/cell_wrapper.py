"""Cells for training: a network with its loss, one step of an optimizer, gradients as a Cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad import ops
from jitgrad.api.grad import grad, value_and_grad
from jitgrad.api.operation import GradOperation
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.ir.types import float32
from jitgrad.nn.cell import Cell
from jitgrad.nn.layers.basic import Identity
from jitgrad.nn.optim.base import write
from jitgrad.tensor import Parameter, ParameterTuple, Tensor


def _cell(owner: Cell, name: str, value: Any) -> Cell:
    if not isinstance(value, Cell):
        raise fail(DTypeError, f"{owner.cls_name}: {name} must be a Cell, got {value!r}")
    return value


def check_parameters(owner: Cell, network: Cell, optimizer: Cell) -> None:
    """ValueError if an optimizer has none of a network's Parameters, which then never change."""
    own = {id(p) for p in network.get_parameters()}
    given = optimizer.parameters
    if own and not any(id(p) in own for p in given):
        names = ", ".join(p.name for p in given[:3])
        raise fail(
            ArgumentError,
            f"{owner.cls_name}: the optimizer's Parameters ({names}, …) are none of the network's",
            why="the network would not learn",
            instead="make the optimizer with network.trainable_params()",
        )


class WithLossCell(Cell):
    """``loss_fn(backbone(data), label)`` as a Cell of data and label.

    >>> nn.WithLossCell(nn.Dense(2, 1), nn.MSELoss())(ops.ones((4, 2)), ops.ones((4, 1))).shape
    ()
    """

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
    """Loss, outputs and labels of a batch.

    >>> cell = nn.WithEvalCell(nn.Dense(2, 1), nn.MSELoss())
    >>> loss, out, label = cell(ops.ones((4, 2)), ops.ones((4, 1)))
    >>> out.shape
    (4, 1)
    """

    def __init__(self, network: Cell, loss_fn: Callable[..., Tensor], add_cast_fp32: bool = False):
        super().__init__(auto_prefix=False)
        self._network, self._loss_fn = _cell(self, "network", network), loss_fn
        self.add_cast_fp32 = add_cast_fp32

    def construct(self, data: Any, label: Any) -> tuple[Tensor, Any, Any]:
        """Loss, outputs, labels."""
        outputs = self._network(data)
        if self.add_cast_fp32:
            outputs = ops.cast(outputs, float32)
        return self._loss_fn(outputs, label), outputs, label


class TrainOneStepCell(Cell):
    """One step: the loss of a batch, its gradients, and the optimizer's update of the weights.

    `network` returns the loss, or several values of which the first is the loss; the step returns
    what the network returned, from before the update. `sens` is the cotangent of the loss, that
    is, the loss scale that the optimizer divides by. Compiled, a step is one graph whose updates
    happen in place.

    A `construct` of one's own has `network`, `optimizer`, `weights` and `sens`; `grad`, which makes
    the gradient function of the network's weights that takes the cotangent last, `grad_no_sens`
    without it; and `grad_reducer`, which gives gradients back as they are.

    >>> net = nn.WithLossCell(nn.Dense(2, 1), nn.MSELoss())
    >>> step = nn.TrainOneStepCell(net, nn.SGD(net.trainable_params(), 0.1))
    >>> step(ops.ones((4, 2)), ops.ones((4, 1))).shape
    ()
    """

    def __init__(self, network: Cell, optimizer: Cell, sens: Any = None, return_grad: bool = False):
        super().__init__(auto_prefix=False)
        self.network = _cell(self, "network", network)
        self.network.set_grad()
        self.optimizer = _cell(self, "optimizer", optimizer)
        check_parameters(self, network, optimizer)
        self.weights = self.optimizer.parameters
        self.grad = GradOperation(get_by_list=True, sens_param=True)
        self.grad_no_sens = GradOperation(get_by_list=True)
        self.grad_reducer, self.reducer_flag = Identity(), False  # there is one process
        self.return_grad, self.sense_flag = return_grad, sens is not None
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


class WithGradCell(Cell):
    """The gradients of a network's weights: of its loss, or of ``loss_fn(network(data), label)``.

    `sens` is the cotangent of the loss.

    >>> cell = nn.WithGradCell(nn.Dense(2, 1), nn.MSELoss())
    >>> [g.shape for g in cell(ops.ones((4, 2)), ops.ones((4, 1)))]
    [(1, 2), (1,)]
    """

    def __init__(self, network: Cell, loss_fn: Any = None, sens: Any = None):
        super().__init__(auto_prefix=False)
        self.network = network if loss_fn is None else WithLossCell(network, loss_fn)
        self.weights, self.sens = ParameterTuple(network.trainable_params()), sens

    def construct(self, *inputs: Any) -> tuple[Tensor, ...]:
        """One gradient for each trainable Parameter."""
        scale = 1.0 if self.sens is None else self.sens
        return grad(lambda *xs: self.network(*xs) * scale, None, self.weights)(*inputs)


class ParameterUpdate(Cell):
    """Write a value into a Parameter; returns it."""

    def __init__(self, param: Parameter):
        super().__init__(auto_prefix=False)
        if not isinstance(param, Parameter):
            raise fail(DTypeError, f"ParameterUpdate takes a Parameter, not {param!r}")
        self._param = param

    def construct(self, x: Tensor) -> Tensor:
        """The Parameter's new value."""
        write(self._param, x)
        return self._param.value()


class TimeDistributed(Cell):
    """A layer applied to each part along `time_axis`, stacked again along that axis.

    `reshape_with_axis` lays time beside the axis of examples instead, so that the layer is called
    once.

    >>> nn.TimeDistributed(nn.Dense(3, 2), time_axis=1)(ops.ones((4, 5, 3))).shape
    (4, 5, 2)
    """

    def __init__(self, layer: Cell, time_axis: int, reshape_with_axis: int | None = None):
        super().__init__()
        if not callable(layer):
            raise fail(DTypeError, f"TimeDistributed: layer must be a Cell, got {layer!r}")
        self.layer, self.time_axis = layer, time_axis
        self.reshape_with_axis = reshape_with_axis

    def construct(self, inputs: Tensor) -> Tensor:
        """The stacked results."""
        axis = self.time_axis % inputs.ndim
        if self.reshape_with_axis is None:
            parts = [ops.gather(inputs, t, axis) for t in range(inputs.shape[axis])]
            return ops.stack([self.layer(part) for part in parts], axis)
        other = self.reshape_with_axis % inputs.ndim
        moved = ops.movedim(inputs, axis, other)
        sizes = moved.shape
        joined = moved.reshape((*sizes[:other], -1, *sizes[other + 2 :]))
        y = self.layer(joined)
        y = y.reshape((*y.shape[:other], *sizes[other : other + 2], *y.shape[other + 1 :]))
        return ops.movedim(y, other, axis)


class ForwardValueAndGrad(Cell):
    """Loss and gradients of a network: by its inputs (`get_all`), its weights (`get_by_list`) or
    both.

    >>> net = nn.Dense(2, 1)
    >>> step = nn.ForwardValueAndGrad(net, net.trainable_params(), get_by_list=True)
    >>> value, grads = step(ops.ones((1, 2)))
    >>> grads[0].tolist()
    [[1.0, 1.0]]
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
    "ForwardValueAndGrad", "ParameterUpdate", "TimeDistributed", "TrainOneStepCell",
    "WithEvalCell", "WithGradCell", "WithLossCell",
]  # fmt: skip
