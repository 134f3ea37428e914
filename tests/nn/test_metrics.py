"""Metrics against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn
from jitgrad.nn import metrics

SCORES = np.array([[0.2, 0.5, 0.3], [0.3, 0.1, 0.6], [0.9, 0.05, 0.05], [0.1, 0.2, 0.7]])
LABELS = np.array([1, 0, 0, 2])
MARKS = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0]])
TRUE = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]])


def fed(metric: metrics.Metric, *inputs: np.ndarray) -> metrics.Metric:
    """Two batches, one of Tensors."""
    metric.clear()
    metric.update(*(x[:1] for x in inputs))
    metric.update(*(ms.Tensor(x[1:]) for x in inputs))
    return metric


def test_classes() -> None:
    assert fed(nn.Accuracy(), SCORES, LABELS).eval() == 0.75
    assert fed(nn.Accuracy(), SCORES, np.eye(3)[LABELS]).eval() == 0.75
    assert fed(nn.Accuracy("multilabel"), MARKS, TRUE).eval() == 2 / 3
    precision, recall = fed(nn.Precision(), SCORES, LABELS), fed(nn.Recall(), SCORES, LABELS)
    np.testing.assert_allclose(precision.eval(), [1, 1, 0.5])
    np.testing.assert_allclose(recall.eval(), [0.5, 1, 1])
    assert precision.eval(True) == pytest.approx(2.5 / 3)
    np.testing.assert_allclose(fed(nn.F1(), SCORES, LABELS).eval(), [2 / 3, 1, 2 / 3])
    p, r = np.array([1, 1, 0.5]), np.array([0.5, 1, 1])
    wanted = 5 * p * r / (4 * p + r)
    np.testing.assert_allclose(fed(nn.Fbeta(2), SCORES, LABELS).eval(), wanted)
    np.testing.assert_allclose(fed(nn.Precision("multilabel"), MARKS, TRUE).eval(), [1, 1, 1])
    np.testing.assert_allclose(fed(nn.Recall("multilabel"), MARKS, TRUE).eval(), [1, 1, 0.5])
    assert fed(nn.Top1CategoricalAccuracy(), SCORES, LABELS).eval() == 0.75
    assert fed(nn.TopKCategoricalAccuracy(2), SCORES, LABELS).eval() == 1.0
    assert fed(nn.Top5CategoricalAccuracy(), SCORES, LABELS).eval() == 1.0


def test_confusion() -> None:
    matrix = fed(nn.ConfusionMatrix(3), SCORES, LABELS).eval()
    assert matrix.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    rows = fed(nn.ConfusionMatrix(3, "target"), SCORES, LABELS).eval()
    assert rows.tolist() == [[0.5, 0, 0.5], [0, 1, 0], [0, 0, 1]]
    columns = fed(nn.ConfusionMatrix(3, "prediction"), SCORES, LABELS).eval()
    assert columns.tolist() == [[1, 0, 0.5], [0, 1, 0], [0, 0, 0.5]]
    yes = fed(nn.ConfusionMatrix(2), np.array([0.1, 0.8, 0.6, 0.3]), np.array([0, 1, 0, 1])).eval()
    assert yes.tolist() == [[1, 1], [1, 1]]


def test_roc() -> None:
    scores, labels = np.array([0.9, 0.8, 0.8, 0.3, 0.1]), np.array([1, 1, 0, 1, 0])
    fpr, tpr, thresholds = fed(nn.ROC(), scores, labels).eval()
    np.testing.assert_allclose(fpr, [0, 0, 0.5, 0.5, 1])
    np.testing.assert_allclose(tpr, [0, 1 / 3, 2 / 3, 1, 1])
    np.testing.assert_allclose(thresholds, [1.9, 0.9, 0.8, 0.3, 0.1])
    # The area is the share of pairs in order; a tie is half a pair.
    assert nn.auc(fpr, tpr) == pytest.approx(4.5 / 6)
    assert nn.auc(fpr[::-1], tpr[::-1]) == pytest.approx(4.5 / 6)
    curves = fed(nn.ROC(class_num=3), SCORES, LABELS).eval()
    assert [len(column) for column in curves] == [3, 3, 3]


def test_distances() -> None:
    x, y = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.5, 2.0], [2.0, 3.0]])
    assert fed(nn.MAE(), x, y).eval() == 3.5 / 2
    assert fed(nn.MSE(), x, y).eval() == 5.25 / 2
    assert fed(nn.Loss(), np.array([1.0, 3.0])[:, None]).eval() == 2.0
    dice = nn.Dice(1e-5)(x, y)
    assert dice == pytest.approx(2 * (x * y).sum() / ((x**2).sum() + (y**2).sum()) / 2, rel=1e-5)
    pairs = nn.CosineSimilarity()(x)
    cosine = x[0] @ x[1] / np.linalg.norm(x[0]) / np.linalg.norm(x[1])
    np.testing.assert_allclose(pairs, [[0, cosine], [cosine, 0]])
    assert nn.CosineSimilarity("dot", "sum", False)(x).tolist() == [18.0, 47.0]


def test_texts() -> None:
    p = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    wanted = math.exp(-(math.log(0.5) + math.log(0.75)) / 2)
    assert fed(nn.Perplexity(ignore_label=0), p, np.array([1, 1, 0])).eval() == pytest.approx(
        wanted
    )
    candidate = [["the", "cat", "is", "on", "the", "mat"]]
    references = [
        [["the", "cat", "sat", "on", "the", "mat"], ["there", "is", "a", "cat", "on", "the", "mat"]]
    ]
    shares = np.array([6 / 6, 3 / 5])
    assert nn.BleuScore(2)(candidate, references) == pytest.approx(np.exp(np.log(shares).mean()))
    assert nn.BleuScore(4)(candidate, references) == 0.0
    assert 0 < nn.BleuScore(4, smooth=True)(candidate, references) < 1


def test_choosing_inputs() -> None:
    metric = nn.Accuracy().set_indexes([2, 0])
    metric.update(LABELS, None, SCORES)
    assert metric.eval() == 0.75
    assert isinstance(metrics.get_metric_fn("F1"), nn.F1)
    assert "accuracy" in metrics.names()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.Accuracy().eval(), RuntimeError, "has seen no batch"),
        (lambda: nn.Accuracy("regression"), ValueError, "no such eval_type"),
        (lambda: nn.Accuracy()(SCORES, LABELS[:2]), ValueError, "predictions of shape"),
        (lambda: nn.Accuracy()(SCORES), ValueError, "takes 2 inputs, got 1"),
        (lambda: nn.Accuracy()(SCORES, LABELS + 2), ValueError, "labels from 2 to 4"),
        (lambda: nn.Recall("multilabel")(SCORES, SCORES), ValueError, "must be 0 or 1"),
        (lambda: nn.ConfusionMatrix(2)(LABELS, LABELS), ValueError, "num_classes is 2"),
        (lambda: nn.ROC()(SCORES[:, 0], np.ones(4)), ValueError, "positive and negative"),
        (lambda: nn.auc([0, 2, 1], [0, 1, 1]), ValueError, "reorder=True"),
        (lambda: nn.Loss()(SCORES), ValueError, "takes one value"),
        (lambda: nn.MAE()(SCORES, LABELS), ValueError, "got shapes"),
        (lambda: nn.Fbeta(0), ValueError, "beta must be above 0"),
        (lambda: nn.TopKCategoricalAccuracy(0), ValueError, "k must be"),
        (lambda: metrics.get_metric_fn("best"), ValueError, "no metric is named 'best'"),
    ],
)
def test_bad_input(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call()


def test_surfaces() -> None:
    """The edges of two squares, one pixel apart, and at the corners one pixel both ways."""
    large, small = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    large[2:7, 2:7] = small[3:6, 3:6] = True
    gaps = np.array([2**0.5] * 4 + [1.0] * 12)
    for metric, wanted in (
        (nn.MeanSurfaceDistance(), gaps.mean()),
        (nn.MeanSurfaceDistance(symmetric=True), (gaps.mean() + 1) / 2),
        (nn.RootMeanSquareDistance(), np.sqrt((gaps**2).mean())),
        (nn.HausdorffDistance(), 2**0.5),
        (nn.HausdorffDistance("taxicab"), 2),
        (nn.HausdorffDistance(percentile=50), 1),
    ):
        assert float(metric(large, small, 1)) == pytest.approx(wanted)
    assert float(nn.HausdorffDistance(directed=True)(small, large, 1)) == 1
    with pytest.raises(ValueError, match="the label 3 is in neither image"):
        nn.HausdorffDistance()([[1]], [[2]], 3)
