"""Seeded, deterministic splits and samples over class indices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Indices = NDArray[np.int64]


def stratified_split(labels: Labels, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Split [rows] into (kept, held out), holding out `fraction` of every class (at least one row of each class that
    has two), both in the original order."""
    rng = np.random.default_rng(seed)
    held: list[int] = []
    for members in _by_class(labels):
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held.extend(rng.permutation(members)[: max(count, 0)])
    mask = np.zeros(len(labels), dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def balanced_sample(labels: Labels, rows: int, seed: int) -> Indices:
    """Pick `rows` of [rows] with class counts as equal as the data allows: a class with too few gives all it has and
    the others share the rest. The result keeps the original order."""
    groups = _by_class(labels)
    shares = _level([len(group) for group in groups], rows)
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(group)[:share] for group, share in zip(groups, shares, strict=True)]
    return np.sort(np.concatenate(chosen))


def _by_class(labels: Labels) -> list[Indices]:
    return [np.flatnonzero(labels == one) for one in np.unique(labels)]


def _level(available: list[int], total: int) -> list[int]:
    """Fill classes evenly up to `total`, poorest first; a remainder goes to the earliest classes that still have."""
    shares = [0] * len(available)
    left = min(total, sum(available))
    open_classes = list(range(len(available)))
    while left:
        step = max(left // len(open_classes), 1)
        for index in open_classes:
            given = min(step, available[index] - shares[index], left)
            shares[index] += given
            left -= given
        open_classes = [index for index in open_classes if shares[index] < available[index]]
    return shares
