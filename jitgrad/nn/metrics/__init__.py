"""Metrics: how good predictions are, gathered batch by batch."""

from __future__ import annotations

from typing import Any

from jitgrad.errors import ArgumentError, fail
from jitgrad.nn.metrics.base import Metric, rearrange_inputs
from jitgrad.nn.metrics.classes import (
    F1,
    ROC,
    Accuracy,
    ConfusionMatrix,
    Fbeta,
    Precision,
    Recall,
    Top1CategoricalAccuracy,
    Top5CategoricalAccuracy,
    TopKCategoricalAccuracy,
    auc,
)
from jitgrad.nn.metrics.distances import MAE, MSE, CosineSimilarity, Dice, Loss
from jitgrad.nn.metrics.surfaces import (
    HausdorffDistance,
    MeanSurfaceDistance,
    RootMeanSquareDistance,
)
from jitgrad.nn.metrics.text import BleuScore, Perplexity

_BY_NAME: dict[str, type[Metric]] = {
    "accuracy": Accuracy, "acc": Accuracy, "precision": Precision, "recall": Recall, "F1": F1,
    "dice": Dice, "roc": ROC, "bleu_score": BleuScore, "cosine_similarity": CosineSimilarity,
    "confusion_matrix": ConfusionMatrix, "perplexity": Perplexity, "loss": Loss, "mae": MAE,
    "mse": MSE, "top_1_accuracy": Top1CategoricalAccuracy,
    "top_5_accuracy": Top5CategoricalAccuracy, "topk": TopKCategoricalAccuracy,
    "hausdorff_distance": HausdorffDistance, "mean_surface_distance": MeanSurfaceDistance,
    "root_mean_square_distance": RootMeanSquareDistance,
}  # fmt: skip


def names() -> list[str]:
    """The names that `get_metric_fn` knows.

    >>> nn.names()[:3]
    ['accuracy', 'acc', 'precision']
    """
    return list(_BY_NAME)


def get_metric_fn(name: str, *args: Any, **kwargs: Any) -> Metric:
    """The metric of a name, made with the arguments; ValueError for an unknown name.

    >>> get_metric_fn("topk", k=3).k
    3
    """
    if name not in _BY_NAME:
        raise fail(ArgumentError, f"no metric is named {name!r}", why=f"there are {names()}")
    return _BY_NAME[name](*args, **kwargs)


__all__ = [
    "F1", "MAE", "MSE", "ROC", "Accuracy", "BleuScore", "ConfusionMatrix", "CosineSimilarity",
    "Dice", "Fbeta", "HausdorffDistance", "Loss", "MeanSurfaceDistance", "Metric", "Perplexity",
    "Precision", "Recall", "RootMeanSquareDistance",
    "Top1CategoricalAccuracy", "Top5CategoricalAccuracy", "TopKCategoricalAccuracy", "auc",
    "get_metric_fn", "names", "rearrange_inputs",
]  # fmt: skip
