"""Configurations as Gaussian processes see them: a kernel over mixed and conditional parameters, written as a map.

Distances between feature vectors are Euclidean, so any stationary kernel is a valid kernel on them:

- an unconditional column of the encoding is its own feature;
- the choices of a categorical lie at equal distances of 1 from one another;
- a conditional column becomes a quarter of a circle, and inactive is the circle's centre: as far from every active
  value as the ends of the range are apart, less a factor √2 (the arc kernel, Swersky et al. 2013). Two configurations
  in which a parameter is inactive agree in it, whatever its neutral encoding is.

Features of one parameter share a group, and with it a length scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizers.problem import Config
from search_spaces.space import Space

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class FeatureMap:
    """The map of one space, from its encoding `[n, d]` to features `[n, f]` with `groups [f]`."""

    space: Space
    groups: IntArray  # [f]: number of the parameter behind each feature, from 0 without gaps
    scale: FloatArray  # [d]: makes the choices of a categorical lie at distance 1
    conditional: NDArray[np.bool_]  # [d]

    def __call__(self, configs: Sequence[Config]) -> FloatArray:
        """Features `[n, f]` of valid configurations."""
        encoded = self.space.encode(configs)
        plain = encoded.values * self.scale
        bent = plain[:, self.conditional] * (np.pi / 2)
        active = encoded.active[:, self.conditional]
        return np.concatenate([plain[:, ~self.conditional], np.cos(bent) * active, np.sin(bent) * active], axis=1)


def feature_map(space: Space) -> FeatureMap:
    """The features of `space`. A space without a free parameter has none."""
    columns = space.columns
    numbers = {name: number for number, name in enumerate(dict.fromkeys(column.parameter for column in columns))}
    parameter = np.array([numbers[column.parameter] for column in columns], dtype=np.int64)
    conditional = np.array([column.parameter in space.condition_of for column in columns], dtype=bool)
    scale = np.array([_column_scale(column.kind, column.levels) for column in columns])
    groups = np.concatenate([parameter[~conditional], parameter[conditional], parameter[conditional]])
    return FeatureMap(space, groups, scale, conditional)


def _column_scale(kind: str, levels: int | None) -> float:
    # One-hot vectors of different choices are √2 apart; two choices share one column and are 1 apart.
    return float(np.sqrt(0.5)) if kind == "categorical" and levels is not None and levels > 2 else 1.0
