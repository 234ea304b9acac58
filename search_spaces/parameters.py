"""What a configuration is made of: `Float`, `Int`, `Ordinal`, `Categorical` and `Simplex`, all immutable.

Every parameter offers the same members, column-wise over many configurations so that work is done in NumPy:

    size            number of distinct values, None when continuous
    columns         the encoded dimensions, none for a parameter with a single value
    neutral         [w] encoding of the parameter where it is inactive
    draws           how many uniform numbers one draw needs
    allowed         the allowed values in words, for messages
    default         a value to start from: the mode of the prior, else the middle (categorical: the first choice)
    contains(v)     whether `v` is allowed
    encode(values)  values (n of them) to [n, w] in the unit cube
    decode(cube)    [n, w] to n values; every point of the cube is accepted and rounded to an allowed value
    draw(uniform)   [n, draws] uniform numbers to n values distributed by the prior
    log_prior(values)  log density [n] relative to uniform
    near(v, step)   neighbouring values, other than `v`; a continuous one moves by `step` of its unit axis
    grid(resolution)   all values, a continuous one in `resolution` evenly spaced ones
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from search_spaces import simplex
from search_spaces.columns import Column
from search_spaces.errors import InfiniteSpace, InvalidSpace
from search_spaces.priors import Bell, Prior, Weights
from search_spaces.scales import SCALES, Array, Scale, domain, unwarp, warp

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
        _check_bell(self)

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column(self.name, "continuous"),)

    @property
    def allowed(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    @cached_property
    def default(self) -> float:
        if isinstance(self.prior, Bell):
            return float(self.prior.mode)
        value: float = self.decode(np.array([[0.5]]))[0]
        return value

    def contains(self, value: object) -> bool:
        return _is_number(value) and self.low <= value <= self.high  # type: ignore[operator]

    def encode(self, values: Sequence[Any]) -> Array:
        low, high = self._ends
        unit = (warp(np.array(values, dtype=np.float64), self.scale) - low) / (high - low)
        return np.clip(unit, 0.0, 1.0)[:, None]

    def decode(self, cube: Array) -> list[Any]:
        low, high = self._ends
        values = unwarp(low + np.clip(cube[:, 0], 0.0, 1.0) * (high - low), self.scale)
        return [min(max(self._shorten(value), self.low), self.high) for value in values.tolist()]

    def draw(self, uniform: Array) -> list[Any]:
        return self.decode(_prior_quantiles(self, uniform))

    def log_prior(self, values: Sequence[Any]) -> Array:
        return _bell_density(self, values)

    def near(self, value: Any, step: float = 0.1) -> list[Any]:
        unit = float(self.encode([value])[0, 0])
        return [other for other in self.decode(np.array([[unit - step], [unit + step]])) if other != value]

    def grid(self, resolution: int | None = None) -> Iterator[Any]:
        if resolution is None:
            raise InfiniteSpace(f"{self.name} is continuous: give a resolution to list its values")
        yield from self.decode(_evenly(resolution)[:, None])

    @cached_property
    def _ends(self) -> tuple[float, float]:
        low, high = warp(np.array([self.low, self.high]), self.scale).tolist()
        return low, high

    def _shorten(self, value: float) -> float:
        if self.scale == "linear":
            # Digits count from the width of the range: near zero the map is only exact relative to that width.
            return round(value, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(self.high - self.low)))
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
        if not all(_is_int(value) for value in (self.low, self.high, self.step)):
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
        _check_bell(self)

    @property
    def size(self) -> int:
        return (self.high - self.low) // self.step + 1

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column(self.name, "integer", self.size),) if self.size > 1 else ()

    @property
    def neutral(self) -> tuple[float, ...]:
        return (0.5,) if self.size > 1 else ()

    @property
    def allowed(self) -> str:
        steps = "" if self.step == 1 else f" in steps of {self.step}"
        return f"a whole number from {self.low} to {self.high}{steps}"

    @cached_property
    def default(self) -> int:
        if isinstance(self.prior, Bell):
            return int(self.prior.mode)
        value: int = self.decode(np.full((1, len(self.columns)), 0.5))[0]
        return value

    def contains(self, value: object) -> bool:
        return _is_int(value) and self.low <= value <= self.high and (value - self.low) % self.step == 0  # type: ignore[operator]

    def encode(self, values: Sequence[Any]) -> Array:
        if self.size == 1:
            return np.empty((len(values), 0))
        low, high = self._edges
        unit = (warp(np.array(values, dtype=np.float64), self.scale) - low) / (high - low)
        return np.clip(unit, 0.0, 1.0)[:, None]

    def decode(self, cube: Array) -> list[Any]:
        if self.size == 1:
            return [self.low] * len(cube)
        low, high = self._edges
        values = unwarp(low + np.clip(cube[:, 0], 0.0, 1.0) * (high - low), self.scale)
        ranks = np.clip(np.rint((values - self.low) / self.step), 0, self.size - 1)
        return [self.low + self.step * int(rank) for rank in ranks.tolist()]

    def draw(self, uniform: Array) -> list[Any]:
        return self.decode(_prior_quantiles(self, uniform))

    def log_prior(self, values: Sequence[Any]) -> Array:
        return _bell_density(self, values)

    def near(self, value: Any, step: float = 0.1) -> list[Any]:
        if self.size == 1:
            return []
        unit = float(self.encode([value])[0, 0])
        far = self.decode(np.array([[unit - step], [unit + step]]))
        found = dict.fromkeys([value - self.step, value + self.step, *far])
        return [other for other in found if other != value and self.low <= other <= self.high]

    def grid(self, resolution: int | None = None) -> Iterator[Any]:
        if resolution is None or resolution >= self.size:
            yield from range(self.low, self.high + 1, self.step)
        else:
            yield from dict.fromkeys(self.decode(_evenly(resolution)[:, None]))

    @cached_property
    def _edges(self) -> tuple[float, float]:
        """Outer edges of the first and the last cell, on the axis of the scale.

        On a log scale an edge mirrors the inner edge of its cell, so that `low` and `high` sit in the middle too.
        """
        half = self.step / 2
        if self.scale == "linear":
            return self.low - half, self.high + half
        return 2 * math.log(self.low) - math.log(self.low + half), 2 * math.log(self.high) - math.log(self.high - half)


@dataclass(frozen=True)
class Ordinal:
    """One of several values whose order matters. The value with rank r of k is encoded as (r + 0.5) / k."""

    name: str
    values: tuple[Any, ...]
    prior: Prior | None = None

    type: ClassVar[str] = "ordinal"
    draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _distinct(self.name, "values", self.values))
        _check_bell(self)

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column(self.name, "ordinal", self.size),) if self.size > 1 else ()

    @property
    def neutral(self) -> tuple[float, ...]:
        return (0.5,) if self.size > 1 else ()

    @property
    def allowed(self) -> str:
        return _one_of(self.values)

    @property
    def default(self) -> Any:
        return self.prior.mode if isinstance(self.prior, Bell) else self.values[self.size // 2]

    def contains(self, value: object) -> bool:
        return _lookup(self._ranks, value) is not None

    def encode(self, values: Sequence[Any]) -> Array:
        if self.size == 1:
            return np.empty((len(values), 0))
        ranks = np.array([self._ranks[_key(value)] for value in values], dtype=np.float64)
        return ((ranks + 0.5) / self.size)[:, None]

    def decode(self, cube: Array) -> list[Any]:
        if self.size == 1:
            return [self.values[0]] * len(cube)
        ranks = np.clip(np.floor(cube[:, 0] * self.size), 0, self.size - 1)
        return [self.values[rank] for rank in ranks.astype(np.intp).tolist()]

    def draw(self, uniform: Array) -> list[Any]:
        return self.decode(_prior_quantiles(self, uniform))

    def log_prior(self, values: Sequence[Any]) -> Array:
        return _bell_density(self, values)

    def near(self, value: Any, step: float = 0.1) -> list[Any]:  # noqa: ARG002
        rank = self._ranks[_key(value)]
        return [self.values[other] for other in (rank - 1, rank + 1) if 0 <= other < self.size]

    def grid(self, resolution: int | None = None) -> Iterator[Any]:  # noqa: ARG002
        yield from self.values

    @cached_property
    def _ranks(self) -> dict[tuple[str, Any], int]:
        return _index(self.values)


@dataclass(frozen=True)
class Categorical:
    """One of several unordered choices, encoded one-hot; two choices share one column (the indicator of the second).

    With a single choice it fixes a value of a configuration and costs no dimension.
    """

    name: str
    choices: tuple[Any, ...]
    prior: Prior | None = None

    type: ClassVar[str] = "categorical"
    draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", _distinct(self.name, "choices", self.choices))
        if self.prior is None:
            return
        if not isinstance(self.prior, Weights) or len(self.prior.weights) != self.size:
            raise InvalidSpace(f"{self.name}: the prior of a categorical is one weight for each of {self.size} choices")

    @property
    def size(self) -> int:
        return len(self.choices)

    @property
    def columns(self) -> tuple[Column, ...]:
        hot = {1: (), 2: (1,)}.get(self.size, tuple(range(self.size)))
        return tuple(Column(self.name, "categorical", self.size, choice) for choice in hot)

    @property
    def neutral(self) -> tuple[float, ...]:
        return (1.0 / self.size,) * len(self.columns)

    @property
    def allowed(self) -> str:
        return _one_of(self.choices)

    @property
    def default(self) -> Any:
        if isinstance(self.prior, Weights):
            return self.choices[int(np.argmax(self.prior.weights))]
        return self.choices[0]

    def contains(self, value: object) -> bool:
        return _lookup(self._indices, value) is not None

    def encode(self, values: Sequence[Any]) -> Array:
        if self.size == 1:
            return np.empty((len(values), 0))
        indices = np.array([self._indices[_key(value)] for value in values], dtype=np.intp)
        hot = np.eye(self.size)[indices]
        return hot[:, 1:] if self.size == 2 else hot

    def decode(self, cube: Array) -> list[Any]:
        if self.size == 1:
            return [self.choices[0]] * len(cube)
        indices = (cube[:, 0] >= 0.5).astype(np.intp) if self.size == 2 else np.argmax(cube, axis=1)
        return [self.choices[index] for index in indices.tolist()]

    def draw(self, uniform: Array) -> list[Any]:
        weights = self.prior if isinstance(self.prior, Weights) else Weights((1.0,) * self.size)
        return [self.choices[index] for index in weights.draw(uniform[:, 0]).tolist()]

    def log_prior(self, values: Sequence[Any]) -> Array:
        if not isinstance(self.prior, Weights):
            return np.zeros(len(values))
        return self.prior.log_density(np.array([self._indices[_key(value)] for value in values], dtype=np.float64))

    def near(self, value: Any, step: float = 0.1) -> list[Any]:  # noqa: ARG002
        return [choice for choice in self.choices if _key(choice) != _key(value)]

    def grid(self, resolution: int | None = None) -> Iterator[Any]:  # noqa: ARG002
        yield from self.choices

    @cached_property
    def _indices(self) -> dict[tuple[str, Any], int]:
        return _index(self.choices)


@dataclass(frozen=True)
class Simplex:
    """Proportions of named parts: a list of numbers from 0 to 1 that sum to 1, in the order of `parts`.

    The map to the cube is in `search_spaces.simplex`: uniform points there are uniform mixtures.
    """

    name: str
    parts: tuple[str, ...]

    type: ClassVar[str] = "simplex"
    size: ClassVar[None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _distinct(self.name, "parts", self.parts))
        if not 2 <= len(self.parts) <= simplex.MAX_PARTS:
            raise InvalidSpace(f"{self.name}: a simplex has 2 to {simplex.MAX_PARTS} parts, found {len(self.parts)}")

    @property
    def draws(self) -> int:
        return len(self.parts) - 1

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column(self.name, "continuous"),) * self.draws

    @property
    def neutral(self) -> tuple[float, ...]:
        return (0.5,) * self.draws

    @property
    def allowed(self) -> str:
        return f"{len(self.parts)} numbers from 0 to 1 that sum to 1, one for each of {', '.join(self.parts)}"

    @cached_property
    def default(self) -> list[float]:
        equal = np.full((1, len(self.parts)), 1 / len(self.parts))
        values: list[float] = simplex.to_proportions(simplex.to_cube(equal))[0].tolist()
        return values

    def contains(self, value: object) -> bool:
        if not isinstance(value, list | tuple) or len(value) != len(self.parts):
            return False
        return all(_is_number(part) and 0 <= part <= 1 for part in value) and abs(math.fsum(value) - 1) <= 1e-6

    def encode(self, values: Sequence[Any]) -> Array:
        return simplex.to_cube(np.array(values, dtype=np.float64).reshape(len(values), len(self.parts)))

    def decode(self, cube: Array) -> list[Any]:
        proportions: list[Any] = simplex.to_proportions(cube).tolist()
        return proportions

    def draw(self, uniform: Array) -> list[Any]:
        return self.decode(uniform)

    def log_prior(self, values: Sequence[Any]) -> Array:
        return np.zeros(len(values))

    def near(self, value: Any, step: float = 0.1) -> list[Any]:
        """Mixtures in which up to `step` of the whole moves from one part to another."""
        steps = [round(part * simplex.GRID) for part in value]
        found = []
        for giver in range(len(steps)):
            moved = min(steps[giver], round(step * simplex.GRID))
            for taker in range(len(steps)):
                if moved and giver != taker:
                    other = list(steps)
                    other[giver], other[taker] = other[giver] - moved, other[taker] + moved
                    found.append([part / simplex.GRID for part in other])
        return found

    def grid(self, resolution: int | None = None) -> Iterator[Any]:
        if resolution is None:
            raise InfiniteSpace(f"{self.name} is continuous: give a resolution to list its values")
        pieces = max(resolution - 1, 1)
        for steps in _compositions(pieces, len(self.parts)):
            yield [step / pieces for step in steps]


Parameter = Float | Int | Ordinal | Categorical | Simplex


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _key(value: object) -> tuple[str, Any]:
    """A key that tells `True` from 1 and accepts lists; the whole float 1.0 and the int 1 differ."""
    if isinstance(value, list | tuple):
        return "list", tuple(value)
    return type(value).__name__, value


def _index(values: Sequence[Any]) -> dict[tuple[str, Any], int]:
    """Positions of values by key. A whole float is also found as an int, because JSON readers may drop the `.0`."""
    found = {_key(value): position for position, value in enumerate(values)}
    for position, value in enumerate(values):
        if isinstance(value, float) and value.is_integer():
            found.setdefault(_key(int(value)), position)
    return found


def _lookup(index: dict[tuple[str, Any], int], value: object) -> int | None:
    try:
        return index.get(_key(value))
    except TypeError:  # unhashable, so certainly not a choice
        return None


def _distinct(name: str, field: str, values: object) -> tuple[Any, ...]:
    """Check the list of values of a parameter."""
    if not isinstance(values, list | tuple) or not values:
        raise InvalidSpace(f"{name}: `{field}` must be a list with at least one entry, found {values!r}")
    try:
        distinct = len({_key(value) for value in values})
    except TypeError:
        raise InvalidSpace(f"{name}: `{field}` must be numbers, strings, booleans or null, found {values!r}") from None
    if distinct < len(values):
        raise InvalidSpace(f"{name}: `{field}` must differ from one another, found {list(values)!r}")
    return tuple(values)


def _one_of(values: Sequence[Any]) -> str:
    return f"one of {', '.join(repr(value) for value in values)}" if len(values) > 1 else f"only {values[0]!r}"


def _check_range(name: str, low: object, high: object, scale: str) -> None:
    if scale not in SCALES:
        raise InvalidSpace(f"{name}: scale: found {scale!r}, allowed: {', '.join(SCALES)}")
    above, below = domain(scale)
    for field, value in (("low", low), ("high", high)):
        if not _is_number(value):
            raise InvalidSpace(f"{name}: `{field}` must be a finite number, found {value!r}")
        if not above < value < below:  # type: ignore[operator]
            raise InvalidSpace(
                f"{name}: `{field}` must lie between {above:g} and {below:g} on a {scale} scale, found {value!r}"
            )


def _check_bell(parameter: Float | Int | Ordinal) -> None:
    if parameter.prior is None:
        return
    if not isinstance(parameter.prior, Bell):
        raise InvalidSpace(f"{parameter.name}: the prior of an ordered parameter is a mode with a spread")
    if not parameter.contains(parameter.prior.mode):
        raise InvalidSpace(f"{parameter.name}: prior: mode {parameter.prior.mode!r} is not {parameter.allowed}")


def _prior_quantiles(parameter: Float | Int | Ordinal, uniform: Array) -> Array:
    """Positions [n, 1] on the unit axis of draws from the prior."""
    if not isinstance(parameter.prior, Bell) or parameter.size == 1:
        return uniform
    centre = float(parameter.encode([parameter.prior.mode])[0, 0])
    return parameter.prior.quantiles(uniform[:, 0], centre)[:, None]


def _bell_density(parameter: Float | Int | Ordinal, values: Sequence[Any]) -> Array:
    if not isinstance(parameter.prior, Bell) or parameter.size == 1:
        return np.zeros(len(values))
    centre = float(parameter.encode([parameter.prior.mode])[0, 0])
    return parameter.prior.log_density(parameter.encode(values)[:, 0], centre)


def _evenly(resolution: int) -> Array:
    """`resolution` points of [0, 1], ends included; the middle for one."""
    return np.linspace(0.0, 1.0, resolution) if resolution > 1 else np.array([0.5])


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as an ordered sum of `parts` whole numbers."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)
