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
from typing import Any, ClassVar

import numpy as np

from search_spaces import simplex
from search_spaces.columns import Column
from search_spaces.discrete import Categorical, Ordinal
from search_spaces.errors import InfiniteSpace, InvalidSpace
from search_spaces.numeric import Float, Int
from search_spaces.scales import Array
from search_spaces.values import distinct, is_number


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
        object.__setattr__(self, "parts", distinct(self.name, "parts", self.parts))
        if not 2 <= len(self.parts) <= simplex.MAX_PARTS:
            raise InvalidSpace(f"{self.name}: a simplex has 2 to {simplex.MAX_PARTS} parts, found {len(self.parts)}")

    @property
    def draws(self) -> int:
        """How many uniform numbers one draw takes."""
        return len(self.parts) - 1

    @property
    def columns(self) -> tuple[Column, ...]:
        """The encoded dimensions."""
        return (Column(self.name, "continuous"),) * self.draws

    @property
    def neutral(self) -> tuple[float, ...]:
        """Encoding [w] where the parameter is inactive."""
        return (0.5,) * self.draws

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return f"{len(self.parts)} numbers from 0 to 1 that sum to 1, one for each of {', '.join(self.parts)}"

    @property
    def default(self) -> list[float]:
        """A value to start from."""
        equal = [1 / len(self.parts)] * len(self.parts)
        values: list[float] = self._on_grid([equal])[0]
        return values

    def contains(self, value: object) -> bool:
        """Whether `value` is allowed."""
        if not isinstance(value, list | tuple) or len(value) != len(self.parts):
            return False
        return all(is_number(part) and 0 <= part <= 1 for part in value) and abs(math.fsum(value) - 1) <= 1e-6

    def encode(self, values: Sequence[Any]) -> Array:
        """Encode n allowed values as [n, w] in the unit cube."""
        return simplex.to_cube(np.array(values, dtype=np.float64).reshape(len(values), len(self.parts)))

    def decode(self, cube: Array) -> list[Any]:
        """Decode points [n, w] of the unit cube to n allowed values."""
        proportions: list[Any] = simplex.to_proportions(cube).tolist()
        return proportions

    def draw(self, uniform: Array) -> list[Any]:
        """Turn uniform numbers [n, draws] into n values distributed by the prior."""
        return self.decode(uniform)

    def log_prior(self, values: Sequence[Any]) -> Array:
        """Log prior density [n] of n values, relative to uniform."""
        return np.zeros(len(values))

    def near(self, value: Any, step: float = 0.1) -> list[Any]:
        """Mixtures in which up to `step` of the whole moves from one part to another."""
        steps = [round(part * simplex.GRID) for part in self._on_grid([value])[0]]
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
        """All values in order; continuous ones in `resolution` even steps."""
        if resolution is None:
            raise InfiniteSpace(f"{self.name} is continuous: give a resolution to list its values")
        pieces = max(resolution - 1, 1)
        for steps in _compositions(pieces, len(self.parts)):
            yield self._on_grid([[step / pieces for step in steps]])[0]

    def _on_grid(self, values: Sequence[Any]) -> list[Any]:
        return self.decode(self.encode(values))


Parameter = Float | Int | Ordinal | Categorical | Simplex

__all__ = ["Categorical", "Float", "Int", "Ordinal", "Parameter", "Simplex"]


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as an ordered sum of `parts` whole numbers."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)
