"""Pareto fronts and what is measured on them. Numpy only; every objective is minimised.

A row that holds a NaN is not a point: it is never on a front and never dominates. Equal rows share their fate, so a
front keeps both of two trials with the same values.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


def non_dominated(values: FloatArray) -> BoolArray:
    """Mark the rows that no other row dominates.

    `values` is `[n, m]`, minimised; the answer is `[n]`. O(n log n) for up to two objectives, O(n · front) beyond.
    Raises ValueError when `values` is not two-dimensional or has no column.
    """
    points, inverse, valid = _distinct(values)
    on_front = _sweep(points) if points.shape[1] <= 2 else _prune(points)
    mask = np.zeros(len(valid), dtype=bool)
    mask[valid] = on_front[inverse]
    return mask


def non_domination_ranks(values: FloatArray) -> IntArray:
    """Number the layers of fronts: 0 for the front, 1 for the front without it, and so on; NaN rows come last.

    `values` is `[n, m]`, minimised; the answer is `[n]`. O(n log n) for two objectives (patience sorting: in
    lexicographic order a point joins the first layer whose last point does not dominate it).
    """
    points, inverse, valid = _distinct(values)
    layers = _layers_of_two(points) if points.shape[1] == 2 else _layers(points)
    ranks = np.full(len(valid), layers.max(initial=-1) + 1, dtype=np.int64)
    ranks[valid] = layers[inverse]
    return ranks


def crowding(values: FloatArray) -> FloatArray:
    """Crowding distance of each row among the others of one front (Deb et al. 2002, NSGA-II): larger is lonelier.

    `values` is `[n, m]`; the answer is `[n]`, infinite for the extremes of each objective.
    """
    n, m = values.shape
    distance = np.zeros(n)
    for column in range(m):
        order = np.argsort(values[:, column], kind="stable")
        ordered = values[order, column]
        span = ordered[-1] - ordered[0] if n else 0.0
        distance[order[[0, -1]]] = np.inf if n else 0.0
        if n > 2 and span > 0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / span
    return distance


def hypervolume(values: FloatArray, reference: FloatArray) -> float:
    """Volume that the rows of `values [n, m]` dominate below `reference [m]` (minimised), exactly.

    A sweep for two objectives; beyond, slabs along the last objective, each with the volume of one dimension less
    (Knowles 2002), which suits fronts of up to some hundreds of points. Rows that are not better than the reference
    in every objective add nothing.
    """
    reference = np.asarray(reference, dtype=np.float64)
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(reference):
        raise ValueError(f"values: expected [n, {len(reference)}] to match the reference, found {values.shape}")
    points = values[(values < reference).all(axis=1)]
    return _volume(points[non_dominated(points)], reference) if len(points) else 0.0


def infer_reference(values: FloatArray, margin: float = 0.1) -> FloatArray:
    """A reference point `[m]` for `values [n, m]` (minimised): the front's worst in each objective plus a margin.

    The margin is a share of the front's extent in that objective (Ishibuchi et al. 2011, as in BoTorch); where the
    front has none, of the extent of all rows; where that has none either, of the value's size or of 1. Rows that are
    not finite are left out. Raises ValueError when none is finite.
    """
    finite = values[np.isfinite(values).all(axis=1)]
    if not len(finite):
        raise ValueError(f"values: expected at least one finite row, found none in {values.shape[0]}")
    front = finite[non_dominated(finite)]
    worst = front.max(axis=0)
    extent = worst - front.min(axis=0)
    extent = np.where(extent > 0, extent, finite.max(axis=0) - finite.min(axis=0))
    extent = np.where(extent > 0, extent, np.abs(worst))
    extent = np.where(extent > 0, extent, 1.0)
    reference: FloatArray = worst + margin * extent
    return reference


def knee(values: FloatArray) -> int:
    """Index of the row where giving up a little of one objective buys the most of the others.

    `values` is `[n, m]`, minimised. Each objective is scaled to [0, 1] on the front; the knee is the front's row
    farthest below the plane through its extremes (Das 1999), which is the row with the smallest sum. Raises
    ValueError when no row is finite.
    """
    candidates = np.flatnonzero(non_dominated(values) & np.isfinite(values).all(axis=1))
    if not len(candidates):
        raise ValueError(f"values: expected at least one finite row, found none in {values.shape[0]}")
    front = values[candidates]
    extent = front.max(axis=0) - front.min(axis=0)
    scaled = (front - front.min(axis=0)) / np.where(extent > 0, extent, 1.0)
    return int(candidates[np.argmin(scaled.sum(axis=1))])


def _distinct(values: FloatArray) -> tuple[FloatArray, IntArray, BoolArray]:
    """Distinct rows without NaN `[k, m]` in lexicographic order, each valid row's place among them, valid `[n]`."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"values: expected [n, m] with m >= 1, found {values.shape}")
    valid = np.asarray(~np.isnan(values).any(axis=1))
    points, inverse = np.unique(values[valid], axis=0, return_inverse=True)
    return points, inverse.reshape(-1).astype(np.int64), valid


def _sweep(points: FloatArray) -> BoolArray:
    """Front of distinct points `[k, 1 or 2]` in lexicographic order: those below everything before them."""
    last = points[:, -1]
    if points.shape[1] == 1:
        first: BoolArray = np.arange(len(points)) == 0
        return first
    best_before = np.concatenate(([np.inf], np.minimum.accumulate(last)[:-1]))
    below: BoolArray = last < best_before
    below[:1] = True  # the first is on the front even when its second objective is infinite
    return below


def _prune(points: FloatArray) -> BoolArray:
    """Front of distinct points `[k, m]`: take the smallest sum of ranks, drop what it dominates, repeat."""
    # Ranks instead of values: sums of infinities would be NaN, and integers compare faster.
    ranks = np.stack([np.unique(column, return_inverse=True)[1].reshape(-1) for column in points.T], axis=1)
    order = np.argsort(ranks.sum(axis=1), kind="stable")
    remaining = ranks[order]
    on_front = np.zeros(len(points), dtype=bool)
    while len(order):
        on_front[order[0]] = True
        survives = (remaining < remaining[0]).any(axis=1)
        order, remaining = order[survives], remaining[survives]
    return on_front


def _layers_of_two(points: FloatArray) -> IntArray:
    """Layers of distinct points `[k, 2]` in lexicographic order."""
    layers = np.empty(len(points), dtype=np.int64)
    last_of_layer: list[float] = []
    for index, second in enumerate(points[:, 1].tolist()):
        layer = bisect_right(last_of_layer, second)
        last_of_layer[layer : layer + 1] = [second]
        layers[index] = layer
    return layers


def _layers(points: FloatArray) -> IntArray:
    """Layers of distinct points `[k, m]` by taking away one front after another."""
    layers = np.empty(len(points), dtype=np.int64)
    if points.shape[1] == 1:
        layers[:] = np.arange(len(points))
        return layers
    remaining = np.arange(len(points))
    layer = 0
    while len(remaining):
        front = _prune(points[remaining])
        layers[remaining[front]] = layer
        remaining = remaining[~front]
        layer += 1
    return layers


def _volume(front: FloatArray, reference: FloatArray) -> float:
    """Hypervolume of a non-empty front `[k, m]` strictly below the reference."""
    if front.shape[1] == 1:
        return float(reference[0] - front.min())
    if front.shape[1] == 2:
        ordered = front[np.argsort(front[:, 0])]
        right = np.append(ordered[1:, 0], reference[0])
        return float(((right - ordered[:, 0]) * (reference[1] - np.minimum.accumulate(ordered[:, 1]))).sum())
    ordered = front[np.argsort(front[:, -1], kind="stable")]
    tops = np.append(ordered[1:, -1], reference[-1])
    total = 0.0
    for index, thickness in enumerate(tops - ordered[:, -1]):
        if thickness > 0:
            below = ordered[: index + 1, :-1]
            total += float(thickness) * _volume(below[non_dominated(below)], reference[:-1])
    return total
