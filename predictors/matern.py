"""Matérn correlation of scaled inputs, for every Gaussian process here and in `optimizers/`.

With d = √(2ν)·r it is (1 + d)·e⁻ᵈ for ν = 3/2 and (1 + d + d²/3)·e⁻ᵈ for ν = 5/2 (Rasmussen & Williams 2006, eq. 4.17).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Smoothness = Literal[3, 5]  # twice Matérn's ν


def squared_distances(left: Floats, right: Floats) -> Floats:
    """`[m, n]` between the rows of `left [m, d]` and `right [n, d]`."""
    squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :] - 2.0 * (left @ right.T)
    result: Floats = np.maximum(squared, 0.0)  # rounding may leave a little less than nothing
    return result


def matern(squared: Floats, smoothness: Smoothness) -> Floats:
    """Correlation at r²."""
    return correlation_at(*decay(squared, smoothness), smoothness)


def matern_with_slope(squared: Floats, smoothness: Smoothness) -> tuple[Floats, Floats]:
    """Correlation at r² and its derivative by r² (finite at zero, unlike the one by r)."""
    distance, decayed = decay(squared, smoothness)
    slope: Floats = -5 / 6 * (1 + distance) * decayed if smoothness == 5 else -1.5 * decayed
    return correlation_at(distance, decayed, smoothness), slope


def decay(squared: Floats, smoothness: Smoothness) -> tuple[Floats, Floats]:
    """d and e⁻ᵈ at r², of which correlation and slopes are made."""
    distance = math.sqrt(smoothness) * np.sqrt(squared)
    return distance, np.exp(-distance)


def correlation_at(distance: Floats, decayed: Floats, smoothness: Smoothness) -> Floats:
    """Correlation from what `decay` gives."""
    result: Floats = (1.0 + distance + distance**2 / 3.0 if smoothness == 5 else 1.0 + distance) * decayed
    return result
