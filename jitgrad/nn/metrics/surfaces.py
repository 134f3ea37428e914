"""Metrics of segmented images: how far the edge of one region is from that of another."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.nn.metrics.base import Metric, rearrange_inputs

DISTANCES = ("euclidean", "chessboard", "taxicab")


class _Surfaces(Metric):
    """`update` takes two images of labels, and the label whose regions are compared."""

    def __init__(self, both: bool, distance_metric: str):
        super().__init__()
        if distance_metric not in DISTANCES:
            raise fail(
                ArgumentError,
                f"{type(self).__name__}: distance_metric {distance_metric!r} is none of"
                f" {', '.join(DISTANCES)}",
            )
        self._both, self.distance_metric = both, distance_metric

    def clear(self) -> None:
        self._edges: tuple[np.ndarray, ...] = ()

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        name = type(self).__name__
        if len(inputs) != 3:
            raise fail(
                ArgumentError,
                f"{name} takes 3 inputs, got {len(inputs)}",
                why="they are the prediction, the truth and a label",
            )
        y_pred, y = (self._convert_data(v) for v in inputs[:2])
        label = inputs[2]
        if isinstance(label, bool) or not isinstance(label, (int, float)):
            raise fail(DTypeError, f"{name}: the label must be a number, got {label!r}")
        if not y.size or y_pred.shape != y.shape:
            raise fail(ShapeError, f"{name} got shapes {list(y_pred.shape)} and {list(y.shape)}")
        regions = [v if v.dtype == bool else v == label for v in (y_pred, y)]
        if not any(v.any() for v in regions):
            raise fail(ArgumentError, f"{name}: the label {label} is in neither image")
        from scipy.ndimage import binary_erosion

        self._edges = tuple(binary_erosion(v) ^ v for v in regions)

    def eval(self) -> float:
        self._some(self._edges)
        found = [self._from(*self._edges)]
        if self._both:
            found.append(self._from(*self._edges[::-1]))
        return self._joined(found)

    def _from(self, points: np.ndarray, surface: np.ndarray) -> Any:
        """What counts of the distances of one edge's points to another edge."""
        from scipy.ndimage import distance_transform_cdt, distance_transform_edt

        if not points.any() or not surface.any():
            return np.inf
        if self.distance_metric == "euclidean":
            distances = distance_transform_edt(~surface)
        else:
            distances = distance_transform_cdt(~surface, metric=self.distance_metric)
        return self._counted(distances[points])

    def _counted(self, distances: np.ndarray) -> Any:
        raise NotImplementedError

    def _joined(self, found: list[Any]) -> Any:
        raise NotImplementedError


class HausdorffDistance(_Surfaces):
    """The largest distance of a point of one edge to the other edge, or its `percentile`.

    `directed` counts from the prediction to the truth only; `crop` changes nothing.

    >>> x, y = [[3, 0, 1], [1, 3, 0], [1, 0, 2]], [[0, 2, 1], [1, 2, 1], [0, 0, 1]]
    >>> round(float(nn.HausdorffDistance()(x, y, 0)), 4)
    1.4142
    """

    def __init__(
        self,
        distance_metric: str = "euclidean",
        percentile: float | None = None,
        directed: bool = False,
        crop: bool = True,
    ):
        super().__init__(not directed, distance_metric)
        if percentile is not None and not 0 <= percentile <= 100:
            raise fail(ArgumentError, f"HausdorffDistance: percentile is {percentile}")
        self.percentile = percentile

    def _counted(self, distances: np.ndarray) -> Any:
        return np.percentile(distances, self.percentile or 100)

    def _joined(self, found: list[Any]) -> Any:
        return np.float64(max(found))


class MeanSurfaceDistance(_Surfaces):
    """The mean distance of the points of the prediction's edge to that of the truth; with
    `symmetric` the mean of both ways.

    >>> x, y = [[3, 0, 1], [1, 3, 0], [1, 0, 2]], [[0, 2, 1], [1, 2, 1], [0, 0, 1]]
    >>> round(float(nn.MeanSurfaceDistance()(x, y, 0)), 4)
    0.8047
    """

    def __init__(self, symmetric: bool = False, distance_metric: str = "euclidean"):
        super().__init__(symmetric, distance_metric)

    def _counted(self, distances: np.ndarray) -> Any:
        return distances.mean()

    def _joined(self, found: list[Any]) -> Any:
        return np.mean(found)


class RootMeanSquareDistance(_Surfaces):
    """The root of the mean square of those distances; with `symmetric` of both ways.

    >>> x, y = [[3, 0, 1], [1, 3, 0], [1, 0, 2]], [[0, 2, 1], [1, 2, 1], [0, 0, 1]]
    >>> round(float(nn.RootMeanSquareDistance()(x, y, 0)), 4)
    1.0
    """

    def __init__(self, symmetric: bool = False, distance_metric: str = "euclidean"):
        super().__init__(symmetric, distance_metric)

    def _counted(self, distances: np.ndarray) -> Any:
        return np.square(distances, dtype=np.float64).mean()

    def _joined(self, found: list[Any]) -> Any:
        return np.sqrt(np.mean(found))
