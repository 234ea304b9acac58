"""Metrics as the models see them: minimised, near zero, of size one, and tame.

A cost that spans decades (parameters, bytes, seconds) is modelled by its logarithm. The bad tail of a metric (diverged
losses, hopeless configurations) is cut, because how bad a bad trial is must not drown the differences among good ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# A positive metric whose largest value is this many times its smallest is modelled by its logarithm.
_DECADES = 100.0
# The bad tail is cut this many times the distance from the best tenth to the median beyond the median.
_TAIL = 4.0
_BEYOND = 0.25


@dataclass(frozen=True)
class Scaling:
    """A monotone map of one minimised metric. `floor` is added before the logarithm; None means no logarithm."""

    floor: float | None
    cut: float  # on the map's scale before centring
    centre: float
    spread: float

    def __call__(self, values: FloatArray) -> FloatArray:
        """Map `values`, elementwise."""
        return (np.minimum(self._bent(values), self.cut) - self.centre) / self.spread

    def uncut(self, values: FloatArray) -> FloatArray:
        """The same without the cut, for values whose exact place matters (costs that are known)."""
        result: FloatArray = (self._bent(values) - self.centre) / self.spread
        return result

    def _bent(self, values: FloatArray) -> FloatArray:
        return _bend(values, self.floor)


def scaling(values: FloatArray, decades: bool = True, kept: FloatArray | None = None) -> Scaling:
    """Learn the map from finite, minimised `values [n]`, `n` ≥ 1.

    Args:
        decades: whether values that span decades are modelled by their logarithm.
        kept: values `[k]` that the cut must leave alone, with a quarter of their extent beyond: of several objectives,
            the bad end of one is the good end of another.
    """
    floor = _log_floor(values) if decades else None
    bent = _bend(values, floor)
    best, median = np.quantile(bent, [0.1, 0.5])
    cut = float(median + _TAIL * (median - best)) if median > best else np.inf
    if kept is not None and len(kept):
        above = _bend(kept, floor)
        cut = max(cut, float(above.max() + _BEYOND * (above.max() - above.min())))
    tame = np.minimum(bent, cut)
    spread = float(np.std(tame))
    return Scaling(floor, cut, float(np.mean(tame)), spread if spread > 1e-12 * max(1.0, abs(float(median))) else 1.0)


def _bend(values: FloatArray, floor: float | None) -> FloatArray:
    if floor is None:
        # Squares of larger numbers, which the spread needs, would overflow.
        return np.clip(values, -1e100, 1e100)
    bent: FloatArray = np.log(np.maximum(values + floor, 1e-300))
    return bent


def _log_floor(values: FloatArray) -> float | None:
    """What to add before the logarithm: the smallest positive value when there are zeros, else nothing."""
    positive = values[values > 0]
    if (values < 0).any() or not len(positive) or positive.max() / _DECADES < positive.min():
        return None
    return float(positive.min()) if (values == 0).any() else 0.0
