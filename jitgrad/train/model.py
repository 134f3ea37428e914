"""`Model`: training, evaluation and prediction with a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jitgrad import amp
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.nn.metrics import Loss, Metric, get_metric_fn
from jitgrad.nn.wrap import TrainOneStepCell, WithEvalCell, WithLossCell
from jitgrad.tensor import Tensor
from jitgrad.train import callbacks as cb
from jitgrad.train import state
from jitgrad.train.callbacks import RunContext, RunParams


class Model:
    """A network with its loss, optimizer and metrics.

    network    a Cell from data to predictions; without `loss_fn`, from data and labels to the loss.
               Without an optimizer it is the whole step and is called as it is.
    metrics    names, or a dict from names to `Metric`s; `eval` computes them from the predictions
               and labels, and "loss" from the loss. `eval_indexes` says which of the outputs of
               `eval_network` are the loss, the prediction and the label (-1 for none).
    amp_level  "O0" to "O3", see `amp.auto_mixed_precision`.

    A data set is anything that gives batches when iterated over: tuples or lists of arrays or
    Tensors, which become the inputs, or dicts, of which the values do. Calls are compiled in
    GRAPH_MODE.

    >>> from jitgrad import data, nn
    >>> net = nn.Dense(2, 1)
    >>> model = Model(net, nn.MSELoss(), nn.SGD(net.trainable_params(), 0.1), {"mae"})
    >>> x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    >>> batches = data.Batches((x, x.sum(1, keepdims=True)), 16)
    >>> model.train(20, batches)
    >>> bool(model.eval(batches)["mae"] < 0.01)
    True
    """

    def __init__(
        self,
        network: Cell,
        loss_fn: Any = None,
        optimizer: Any = None,
        metrics: Any = None,
        eval_network: Cell | None = None,
        eval_indexes: list[int] | None = None,
        amp_level: str = "O0",
        boost_level: str = "O0",
        **options: Any,
    ):
        for name, value in (("network", network), ("eval_network", eval_network)):
            if not isinstance(value, Cell) and (value is not None or name == "network"):
                raise fail(
                    DTypeError, f"Model: {name} must be a Cell, not a {type(value).__name__}"
                )
        if loss_fn is not None and not callable(loss_fn):
            raise fail(DTypeError, f"Model: loss_fn must be callable, got {loss_fn!r}")
        if optimizer is not None and not hasattr(optimizer, "parameters"):
            raise fail(DTypeError, f"Model: optimizer is a {type(optimizer).__name__}")
        self._network, self._loss_fn, self._optimizer = network, loss_fn, optimizer
        if amp_level != "O0":
            amp.auto_mixed_precision(network, amp_level)
        self._train_network = self._step_of(network, options)
        self._eval_network = eval_network
        if eval_network is None and loss_fn is not None:
            self._eval_network = WithEvalCell(network, loss_fn, amp_level in ("O2", "O3"))
        self._eval_indexes = eval_indexes
        self._metrics = _metrics(metrics)
        if metrics and eval_network is None and loss_fn is None:
            raise fail(ArgumentError, "Model: metrics need a loss_fn or an eval_network")
        self.position = state.Position()
        self._restored = False

    def _step_of(self, network: Cell, options: Mapping[str, Any]) -> Cell:
        with_loss = network if self._loss_fn is None else WithLossCell(network, self._loss_fn)
        if self._optimizer is None:
            return with_loss
        manager = options.get("loss_scale_manager")
        if manager is None:
            return TrainOneStepCell(with_loss, self._optimizer)
        return amp.scaled_step(with_loss, self._optimizer, manager)

    @property
    def train_network(self) -> Cell:
        """One step of training."""
        return self._train_network

    @property
    def eval_network(self) -> Cell | None:
        """From data and labels to loss, predictions and labels."""
        return self._eval_network

    @property
    def predict_network(self) -> Cell:
        """The network itself."""
        return self._network

    # --- training -------------------------------------------------------------------------------

    def train(
        self,
        epoch: int,
        train_dataset: Iterable[Any],
        callbacks: Any = None,
        dataset_sink_mode: bool = False,
        sink_size: int = -1,
        initial_epoch: int | None = None,
    ) -> None:
        """Train up to an epoch, counted from 1; the first is `initial_epoch` + 1, by default 1, or
        the one after those that `restore` has read. A second call begins at 1 again.

        Callbacks see every step and epoch. The sink options are MindSpore's; they change nothing.
        """
        self._run(epoch, train_dataset, callbacks, initial_epoch, None, 1)

    def fit(
        self,
        epoch: int,
        train_dataset: Iterable[Any],
        valid_dataset: Iterable[Any] | None = None,
        valid_frequency: Any = 1,
        callbacks: Any = None,
        dataset_sink_mode: bool = False,
        valid_dataset_sink_mode: bool = False,
        sink_size: int = -1,
        initial_epoch: int | None = None,
    ) -> None:
        """`train`, with an evaluation after every `valid_frequency` epochs, or after those that it
        lists. Callbacks find the results in `eval_results`.
        """
        if valid_dataset is not None and not self._metrics:
            raise fail(ArgumentError, "Model.fit evaluates metrics, but the Model has none")
        self._run(epoch, train_dataset, callbacks, initial_epoch, valid_dataset, valid_frequency)

    def _run(
        self,
        epochs: int,
        dataset: Iterable[Any],
        callbacks: Any,
        initial: int | None,
        valid: Iterable[Any] | None,
        frequency: Any,
    ) -> None:
        _check_epochs(epochs, initial)
        self._check_dataset(dataset)
        called = cb.listed(callbacks)
        if initial is not None or not self._restored:
            self.position = state.Position(initial or 0)
        self._restored, first = False, self.position.epoch
        if hasattr(dataset, "epoch") and first:
            dataset.epoch = first  # type: ignore[attr-defined]
        params = self._params(dataset, called)
        params.update(epoch_num=epochs, cur_epoch_num=first, cur_step_num=self.position.step)
        params.update(train_network=self._train_network, train_dataset=dataset, mode="train")
        context = RunContext(params)
        self._train_network.set_train()
        cb.call(called, "train", "begin", context)
        for number in range(first + 1, epochs + 1):
            params.cur_epoch_num = number
            cb.call(called, "train", "epoch_begin", context)
            self._train_network.set_train()
            self._epoch(dataset, called, context)
            self.position.epoch = number
            if valid is not None and _is_due(number, frequency):
                params.eval_results = self._evaluated(valid, called)
                self._train_network.set_train()
            else:
                params.pop("eval_results", None)
            cb.call(called, "train", "epoch_end", context)
            if context.get_stop_requested():
                break
        cb.call(called, "train", "end", context)

    def _epoch(
        self, dataset: Iterable[Any], called: list[cb.Callback], context: RunContext
    ) -> None:
        params, count = context.original_args(), 0
        for batch in dataset:
            inputs = inputs_of(batch)
            params.cur_step_num += 1
            params.train_dataset_element = inputs
            cb.call(called, "train", "step_begin", context)
            params.net_outputs = self._train_network(*inputs)
            self.position.step = params.cur_step_num
            count += 1
            cb.call(called, "train", "step_end", context)
            if context.get_stop_requested():
                break
        if not count:
            raise fail(
                ArgumentError,
                f"epoch {params.cur_epoch_num} has no batch",
                why="the data set is empty, or a generator that one epoch has used up",
                instead="a list, Batches, or an object whose __iter__ begins anew",
            )
        params.batch_num = params.batch_num or count

    def _params(self, dataset: Iterable[Any], called: list[cb.Callback]) -> RunParams:
        try:
            count = len(dataset)  # type: ignore[arg-type]
        except TypeError:
            count = 0
        return RunParams(
            network=self._network,
            loss_fn=self._loss_fn,
            optimizer=self._optimizer,
            model=self,
            metrics=self._metrics,
            list_callback=called,
            batch_num=count,
            parallel_mode="stand_alone",
            dataset_sink_mode=False,
        )

    def _check_dataset(self, dataset: Any) -> None:
        if not isinstance(dataset, Iterable):
            raise fail(
                DTypeError, f"a {type(dataset).__name__} is no data set: it gives no batches"
            )

    # --- evaluation -----------------------------------------------------------------------------

    def eval(
        self, valid_dataset: Iterable[Any], callbacks: Any = None, dataset_sink_mode: bool = False
    ) -> dict[str, Any]:
        """The metrics over a data set, by name."""
        if not self._metrics:
            raise fail(ArgumentError, "Model.eval evaluates metrics, but the Model has none")
        return self._evaluated(valid_dataset, cb.listed(callbacks))

    def _evaluated(self, dataset: Iterable[Any], called: list[cb.Callback]) -> dict[str, Any]:
        self._check_dataset(dataset)
        assert self._eval_network is not None
        params = self._params(dataset, called)
        params.update(eval_network=self._eval_network, valid_dataset=dataset, mode="eval")
        params.update(cur_step_num=0, cur_epoch_num=self.position.epoch)
        context = RunContext(params)
        for metric in self._metrics.values():
            metric.clear()
        self._eval_network.set_train(False)
        cb.call(called, "eval", "begin", context)
        cb.call(called, "eval", "epoch_begin", context)
        for batch in dataset:
            params.cur_step_num += 1
            cb.call(called, "eval", "step_begin", context)
            params.net_outputs = self._eval_network(*inputs_of(batch))
            self._updated(params.net_outputs)
            cb.call(called, "eval", "step_end", context)
        params.eval_results = {name: metric.eval() for name, metric in self._metrics.items()}
        cb.call(called, "eval", "epoch_end", context)
        cb.call(called, "eval", "end", context)
        return params.eval_results

    def _updated(self, outputs: Any) -> None:
        outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        loss, prediction, label = self._eval_indexes or (0, 1, 2)
        for metric in self._metrics.values():
            if isinstance(metric, Loss):
                metric.update(outputs[loss])
            elif self._eval_indexes is None and self._loss_fn is None:
                metric.update(*outputs)
            else:
                metric.update(outputs[prediction], outputs[label])

    def predict(self, *predict_data: Any, backend: Any = None, config: Any = None) -> Any:
        """What the network makes of a batch."""
        self._network.set_train(False)
        return self._network(*inputs_of(predict_data))

    # --- state ----------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write all that training depends on: weights, the optimizer's state, the random streams,
        epoch and step. `restore` and `train` then go on as if there had been no pause, bit for bit,
        if the data set gives the same batches (`data.Batches` does).
        """
        state.save(self._train_network, self.position, path)

    def restore(self, path: Any) -> None:
        """Read what `save` has written; ValueError if it is not of such a Model."""
        self.position, self._restored = state.restore(self._train_network, path), True


def inputs_of(batch: Any) -> tuple[Tensor, ...]:
    """The Tensors of a batch: of a tuple, a list, a dict's values, or of one array."""
    if isinstance(batch, Mapping):
        batch = tuple(batch.values())
    values = batch if isinstance(batch, (tuple, list)) else (batch,)
    return tuple(v if isinstance(v, Tensor) else Tensor(np.asarray(v)) for v in values)


def _metrics(given: Any) -> dict[str, Metric]:
    if given is None:
        return {}
    if isinstance(given, (set, list, tuple)):
        given = {name: get_metric_fn(name) for name in sorted(given)}
    if not isinstance(given, Mapping):
        raise fail(DTypeError, f"Model: metrics are names or a dict, not a {type(given).__name__}")
    for name, metric in given.items():
        if not isinstance(metric, Metric):
            raise fail(DTypeError, f"Model: the metric {name!r} is a {type(metric).__name__}")
    return dict(given)


def _check_epochs(epochs: Any, initial: Any) -> None:
    for name, value in (("epoch", epochs), ("initial_epoch", initial)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise fail(DTypeError, f"Model.train: {name} must be an int, got {value!r}")
        if value < 0:
            raise fail(ArgumentError, f"Model.train: {name} must be at least 0, got {value}")


def _is_due(epoch: int, frequency: Any) -> bool:
    return epoch % frequency == 0 if isinstance(frequency, int) else epoch in frequency
