"""Numbers: `Float` and `Int`. What each member means is in `search_spaces.parameters`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from search_spaces.columns import Column
from search_spaces.errors import InfiniteSpace, InvalidSpace
from search_spaces.ordered import bell_density, check_bell, prior_positions
from search_spaces.priors import Bell, Prior
from search_spaces.scales import SCALES, Array, Scale, domain, unwarp, warp
from search_spaces.values import evenly, is_int, is_number, number_hint

# Decoded floats keep this many significant digits: short to read, and rounding undoes the error of the maps, so that
# a value the space has produced survives encode and decode exactly.
SIGNIFICANT_DIGITS = 12
# Beyond this, neighbouring integers on a log scale come within rounding error of each other.
MAX_LEVELS = 10**12


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], searched evenly on `scale`."""

    name: str
    low: float
    high: float
    scale: Scale = "linear"
    prior: Prior | None = None

    type: ClassVar[str] = "float"
    size: ClassVar[None] = None
    draws: ClassVar[int] = 1
    neutral: ClassVar[tuple[float, ...]] = (0.5,)

    def __post_init__(self) -> None:
        _check_range(self.name, self.low, self.high, self.scale)
        if not (self.low < self.high and math.isfinite(float(self.high) - float(self.low))):
            raise InvalidSpace(f"{self.name}: `low` must be below `high`, found {self.low!r} and {self.high!r}")
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        check_bell(self)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The encoded dimensions."""
        return (Column(self.name, "continuous"),)

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return f"a number from {self.low:g} to {self.high:g}"

    @cached_property
    def default(self) -> float:
        """A value to start from."""
        start = self.encode([self.prior.mode]) if isinstance(self.prior, Bell) else np.array([[0.5]])
        value: float = self.decode(start)[0]
        return value

    def contains(self, value: object) -> bool:
        """Whether `value` is allowed."""
        return is_number(value) and self.low <= value <= self.high

    def encode(self, values: Sequence[Any]) -> Array:
        """Encode n allowed values as [n, w] in the unit cube."""
        low, high = self._ends
        unit = (warp(np.array(values, dtype=np.float64), self.scale) - low) / (high - low)
        return np.clip(unit, 0.0, 1.0)[:, None]

    def decode(self, cube: Array) -> list[Any]:
        """Decode points [n, w] of the unit cube to n allowed values."""
        low, high = self._ends
        values = unwarp(low + np.clip(cube[:, 0], 0.0, 1.0) * (high - low), self.scale)
        return [min(max(self._shorten(value), self.low), self.high) for value in values.tolist()]

    def draw(self, uniform: Array) -> list[Any]:
        """Turn uniform numbers [n, draws] into n values distributed by the prior."""
        return self.decode(prior_positions(self, uniform))

    def log_prior(self, values: Sequence[Any]) -> Array:
        """Log prior density [n] of n values, relative to uniform."""
        return bell_density(self, values)

    def near(self, value: Any, step: float = 0.1) -> list[Any]:
        """Neighbouring values."""
        unit = float(self.encode([value])[0, 0])
        return [other for other in self.decode(np.array([[unit - step], [unit + step]])) if other != value]

    def grid(self, resolution: int | None = None) -> Iterator[Any]:
        """All values in order; continuous ones in `resolution` even steps."""
        if resolution is None:
            raise InfiniteSpace(f"{self.name} is continuous: give a resolution to list its values")
        yield from self.decode(evenly(resolution))

    @cached_property
    def _ends(self) -> tuple[float, float]:
        low, high = warp(np.array([self.low, self.high]), self.scale).tolist()
        return low, high

    def _shorten(self, value: float) -> float:
        if self.scale == "linear":
            # Digits count from the width of the range: near zero the map is only exact relative to that width.
            # Adding zero turns -0.0 into 0.0, which reads and hashes the same after every trip.
            return round(value, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(self.high - self.low))) + 0.0
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


@dataclass(frozen=True)
class Int:
    """A whole number low, low + step, …, high. Each value owns one cell of the unit axis and is encoded inside it:
    cells are equally wide on a linear scale and shrink with the value on a log scale."""

    name: str
    low: int
    high: int
    scale: Scale = "linear"
    step: int = 1
    prior: Prior | None = None

    type: ClassVar[str] = "int"
    draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not all(is_int(value) for value in (self.low, self.high, self.step)):
            found = f"{self.low!r}, {self.high!r}, {self.step!r}"
            raise InvalidSpace(f"{self.name}: `low`, `high` and `step` must be whole numbers, found {found}")
        _check_range(self.name, self.low, self.high, self.scale)
        if self.scale == "logit":
            raise InvalidSpace(f"{self.name}: an integer has scale linear or log, found 'logit'")
        if self.low > self.high or self.step < 1 or (self.high - self.low) % self.step:
            raise InvalidSpace(
                f"{self.name}: `high` must be `low` plus a whole number of steps, "
                f"found low {self.low}, high {self.high}, step {self.step}"
            )
        if self.size > MAX_LEVELS or max(abs(self.low), abs(self.high)) > 2**53:
            raise InvalidSpace(f"{self.name}: an integer may have at most {MAX_LEVELS} values, all below 2^53")
        check_bell(self)

    @property
    def size(self) -> int:
        """Number of distinct values."""
        return (self.high - self.low) // self.step + 1

    @property
    def columns(self) -> tuple[Column, ...]:
        """The encoded dimensions."""
        return (Column(self.name, "integer", self.size),) if self.size > 1 else ()

    @property
    def neutral(self) -> tuple[float, ...]:
        """Encoding [w] where the parameter is inactive."""
        return (0.5,) if self.size > 1 else ()

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        steps = "" if self.step == 1 else f" in steps of {self.step}"
        return f"a whole number from {self.low} to {self.high}{steps}"

    @cached_property
    def default(self) -> int:
        """A value to start from."""
        if isinstance(self.prior, Bell):
            return int(self.prior.mode)
        value: int = self.decode(np.full((1, len(self.columns)), 0.5))[0]
        return value

    def contains(self, value: object) -> bool:
        """Whether `value` is allowed."""
        return is_int(value) and self.low <= value <= self.high and (value - self.low) % self.step == 0

    def encode(self, values: Sequence[Any]) -> Array:
        """Encode n allowed values as [n, w] in the unit cube."""
        if self.size == 1:
            return np.empty((len(values), 0))
        low, high = self._edges
        unit = (warp(np.array(values, dtype=np.float64), self.scale) - low) / (high - low)
        return np.clip(unit, 0.0, 1.0)[:, None]

    def decode(self, cube: Array) -> list[Any]:
        """Decode points [n, w] of the unit cube to n allowed values."""
        if self.size == 1:
            return [self.low] * len(cube)
        low, high = self._edges
        values = unwarp(low + np.clip(cube[:, 0], 0.0, 1.0) * (high - low), self.scale)
        ranks = np.clip(np.rint((values - self.low) / self.step), 0, self.size - 1)
        return [self.low + self.step * int(rank) for rank in ranks.tolist()]

    def draw(self, uniform: Array) -> list[Any]:
        """Turn uniform numbers [n, draws] into n values distributed by the prior."""
        return self.decode(prior_positions(self, uniform))

    def log_prior(self, values: Sequence[Any]) -> Array:
        """Log prior density [n] of n values, relative to uniform."""
        return bell_density(self, values)

    def near(self, value: Any, step: float = 0.1) -> list[Any]:
        """Neighbouring values."""
        if self.size == 1:
            return []
        unit = float(self.encode([value])[0, 0])
        far = self.decode(np.array([[unit - step], [unit + step]]))
        found = dict.fromkeys([value - self.step, value + self.step, *far])
        return [other for other in found if other != value and self.low <= other <= self.high]

    def grid(self, resolution: int | None = None) -> Iterator[Any]:
        """All values in order; continuous ones in `resolution` even steps."""
        if resolution is None or resolution >= self.size:
            yield from range(self.low, self.high + 1, self.step)
        else:
            yield from dict.fromkeys(self.decode(evenly(resolution)))

    @cached_property
    def _edges(self) -> tuple[float, float]:
        """Outer edges of the first and the last cell, on the axis of the scale.

        On a log scale an edge mirrors the inner edge of its cell, so that `low` and `high` sit in the middle too.
        """
        half = self.step / 2
        if self.scale == "linear":
            return self.low - half, self.high + half
        return 2 * math.log(self.low) - math.log(self.low + half), 2 * math.log(self.high) - math.log(self.high - half)


def _check_range(name: str, low: object, high: object, scale: str) -> None:
    if scale not in SCALES:
        raise InvalidSpace(f"{name}: scale: found {scale!r}, allowed: {', '.join(SCALES)}")
    above, below = domain(scale)
    for field, value in (("low", low), ("high", high)):
        if not is_number(value):
            raise InvalidSpace(f"{name}: `{field}` must be a finite number, found {value!r}{number_hint(value)}")
        if not above < value < below:
            raise InvalidSpace(
                f"{name}: `{field}` must lie between {above:g} and {below:g} on a {scale} scale, found {value!r}"
            )
