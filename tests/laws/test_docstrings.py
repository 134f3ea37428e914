"""What is public has a docstring with an example, which `pytest --doctest-modules jitgrad` runs."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from jitgrad import nn, ops

# Those without one, until somebody writes it: the list only gets shorter.
WITHOUT = {
    "ops": "ceil dropout1d dropout2d dropout3d floor rint trunc",
    "nn": """CELU FastGelu HShrink HingeEmbeddingLoss LogSigmoid LossBase MAELoss Metric Optimizer
        ParameterUpdate PoissonNLLLoss RMSELoss RReLU SeLU SoftMarginLoss SoftShrink Softmax2d
        Softmin Softplus Softsign Tanhshrink TrainOneStepWithLossScaleCell TripletMarginLoss
        TripletMarginWithDistanceLoss rearrange_inputs""",
}


def is_written(thing: Any) -> bool:
    """Whether it has a text of its own: rows of tables share theirs with what they are made of."""
    if inspect.isclass(thing):
        return not issubclass(thing, ops.Primitive)
    if not inspect.isfunction(thing):
        return False
    written = inspect.unwrap(thing)
    return written.__code__.co_name.rstrip("_") == written.__name__.rstrip("_")


@pytest.mark.parametrize("module", [ops, nn], ids=["ops", "nn"])
def test_public_docstrings_have_examples(module: Any) -> None:
    public = {getattr(module, name) for name in module.__all__}
    lacking = {
        thing.__name__
        for thing in public
        if is_written(thing) and ">>>" not in (inspect.getdoc(thing) or "")
    }
    assert lacking == set(WITHOUT[module.__name__.rpartition(".")[2]].split())
