"""Beliefs about where good values lie. They shape sampling and are offered to optimizers as densities.

A density is relative to the uniform distribution over the parameter, so a log density of 0 says nothing and the
densities of the parameters of a configuration simply add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from search_spaces.errors import InvalidSpace
from search_spaces.scales import Array
from search_spaces.values import is_number

_STANDARD = NormalDist()


@dataclass(frozen=True)
class Bell:
    """A normal distribution on the encoded unit axis of an ordered parameter, truncated to [0, 1].

    Args:
        mode: the value believed best, in the parameter's own units (the parameter knows where it lies on the axis).
        spread: standard deviation as a fraction of the axis, in (0, 1]; 0.1 is confident, 0.5 says little.
    """

    mode: Any
    spread: float = 0.2

    def __post_init__(self) -> None:
        if not is_number(self.spread) or not 0 < self.spread <= 1:
            raise InvalidSpace(f"prior: `spread` must lie in (0, 1], found {self.spread!r}")

    def quantiles(self, uniform: Array, centre: float) -> Array:
        """Turn uniform numbers [n] into draws [n] on the unit axis; `centre` is where `mode` lies on it."""
        low, high = self._mass(0.0, centre), self._mass(1.0, centre)
        standard = [_STANDARD.inv_cdf(min(max(low + u * (high - low), 1e-15), 1 - 1e-15)) for u in uniform.tolist()]
        return np.clip(centre + self.spread * np.array(standard, dtype=np.float64), 0.0, 1.0)

    def log_density(self, unit: Array, centre: float) -> Array:
        """Log density [n] at positions [n] on the unit axis, relative to uniform."""
        mass = self._mass(1.0, centre) - self._mass(0.0, centre)
        constant = -math.log(self.spread * math.sqrt(2 * math.pi) * mass)
        density: Array = constant - 0.5 * ((unit - centre) / self.spread) ** 2
        return density

    def _mass(self, unit: float, centre: float) -> float:
        return _STANDARD.cdf((unit - centre) / self.spread)

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"mode": self.mode, "spread": self.spread}


@dataclass(frozen=True)
class Weights:
    """How likely each choice of a categorical is, in the order of its choices; they need not sum to 1."""

    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(self.weights))
        if not all(is_number(weight) and weight > 0 for weight in self.weights):
            raise InvalidSpace(f"prior: every weight must be finite and above 0, found {list(self.weights)!r}")

    def draw(self, uniform: Array) -> Array:
        """Turn uniform numbers [n] into choice indices [n]."""
        edges = np.cumsum(np.array(self.weights, dtype=np.float64))
        return np.minimum(np.searchsorted(edges / edges[-1], uniform, side="right"), len(self.weights) - 1)

    def log_density(self, indices: Array) -> Array:
        """Log density [n] of choice indices [n], relative to uniform."""
        weights = np.array(self.weights, dtype=np.float64)
        density: Array = np.log(weights / weights.mean())[indices.astype(np.intp)]
        return density

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"weights": list(self.weights)}


Prior = Bell | Weights


def prior_from_json(data: object, name: str) -> Prior | None:
    """Read a prior of parameter `name`: null, `{"mode": …, "spread": …}` or `{"weights": […]}`."""
    if data is None:
        return None
    if isinstance(data, Mapping):
        if set(data) <= {"mode", "spread"} and "mode" in data:
            return Bell(**data)
        if set(data) == {"weights"} and isinstance(data["weights"], list | tuple):
            return Weights(tuple(data["weights"]))
    raise InvalidSpace(f'{name}: prior: found {data!r}, allowed: {{"mode": …, "spread": …}} or {{"weights": […]}}')
