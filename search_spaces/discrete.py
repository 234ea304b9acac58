"""Listed values: `Ordinal` and `Categorical`. What each member means is in `search_spaces.parameters`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from search_spaces.columns import Column
from search_spaces.errors import InvalidSpace
from search_spaces.ordered import bell_density, check_bell, prior_positions
from search_spaces.priors import Bell, Prior, Weights
from search_spaces.scales import Array
from search_spaces.values import Key, distinct, found_in, index, key, one_of


@dataclass(frozen=True)
class Ordinal:
    """One of several values whose order matters. The value with rank r of k is encoded as (r + 0.5) / k."""

    name: str
    values: tuple[Any, ...]
    prior: Prior | None = None

    type: ClassVar[str] = "ordinal"
    draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", distinct(self.name, "values", self.values))
        check_bell(self)

    @property
    def size(self) -> int:
        """Number of distinct values."""
        return len(self.values)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The encoded dimensions."""
        return (Column(self.name, "ordinal", self.size),) if self.size > 1 else ()

    @property
    def neutral(self) -> tuple[float, ...]:
        """Encoding [w] where the parameter is inactive."""
        return (0.5,) if self.size > 1 else ()

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return one_of(self.values)

    @property
    def default(self) -> Any:
        """A value to start from."""
        return self.prior.mode if isinstance(self.prior, Bell) else self.values[self.size // 2]

    def contains(self, value: object) -> bool:
        """Whether `value` is allowed."""
        return found_in(self._ranks, value)

    def encode(self, values: Sequence[Any]) -> Array:
        """Encode n allowed values as [n, w] in the unit cube."""
        if self.size == 1:
            return np.empty((len(values), 0))
        ranks = np.array([self._ranks[key(value)] for value in values], dtype=np.float64)
        return ((ranks + 0.5) / self.size)[:, None]

    def decode(self, cube: Array) -> list[Any]:
        """Decode points [n, w] of the unit cube to n allowed values."""
        if self.size == 1:
            return [self.values[0]] * len(cube)
        ranks = np.clip(np.floor(cube[:, 0] * self.size), 0, self.size - 1)
        return [self.values[rank] for rank in ranks.astype(np.intp).tolist()]

    def draw(self, uniform: Array) -> list[Any]:
        """Turn uniform numbers [n, draws] into n values distributed by the prior."""
        return self.decode(prior_positions(self, uniform))

    def log_prior(self, values: Sequence[Any]) -> Array:
        """Log prior density [n] of n values, relative to uniform."""
        return bell_density(self, values)

    def near(self, value: Any, _step: float = 0.1) -> list[Any]:
        """Neighbouring values."""
        rank = self._ranks[key(value)]
        return [self.values[other] for other in (rank - 1, rank + 1) if 0 <= other < self.size]

    def grid(self, _resolution: int | None = None) -> Iterator[Any]:
        """All values in order; a resolution changes nothing."""
        yield from self.values

    @cached_property
    def _ranks(self) -> dict[Key, int]:
        return index(self.values)


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
        object.__setattr__(self, "choices", distinct(self.name, "choices", self.choices))
        if self.prior is None:
            return
        if not isinstance(self.prior, Weights) or len(self.prior.weights) != self.size:
            raise InvalidSpace(f"{self.name}: the prior of a categorical is one weight for each of {self.size} choices")

    @property
    def size(self) -> int:
        """Number of distinct values."""
        return len(self.choices)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The encoded dimensions."""
        hot = {1: (), 2: (1,)}.get(self.size, tuple(range(self.size)))
        return tuple(Column(self.name, "categorical", self.size, choice) for choice in hot)

    @property
    def neutral(self) -> tuple[float, ...]:
        """Encoding [w] where the parameter is inactive."""
        return (1.0 / self.size,) * len(self.columns)

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return one_of(self.choices)

    @property
    def default(self) -> Any:
        """A value to start from."""
        if isinstance(self.prior, Weights):
            return self.choices[int(np.argmax(self.prior.weights))]
        return self.choices[0]

    def contains(self, value: object) -> bool:
        """Whether `value` is allowed."""
        return found_in(self._indices, value)

    def encode(self, values: Sequence[Any]) -> Array:
        """Encode n allowed values as [n, w] in the unit cube."""
        if self.size == 1:
            return np.empty((len(values), 0))
        indices = np.array([self._indices[key(value)] for value in values], dtype=np.intp)
        hot = np.eye(self.size)[indices]
        return hot[:, 1:] if self.size == 2 else hot

    def decode(self, cube: Array) -> list[Any]:
        """Decode points [n, w] of the unit cube to n allowed values."""
        if self.size == 1:
            return [self.choices[0]] * len(cube)
        indices = (cube[:, 0] >= 0.5).astype(np.intp) if self.size == 2 else np.argmax(cube, axis=1)
        return [self.choices[index] for index in indices.tolist()]

    def draw(self, uniform: Array) -> list[Any]:
        """Turn uniform numbers [n, draws] into n values distributed by the prior."""
        weights = self.prior if isinstance(self.prior, Weights) else Weights((1.0,) * self.size)
        return [self.choices[index] for index in weights.draw(uniform[:, 0]).tolist()]

    def log_prior(self, values: Sequence[Any]) -> Array:
        """Log prior density [n] of n values, relative to uniform."""
        if not isinstance(self.prior, Weights):
            return np.zeros(len(values))
        return self.prior.log_density(np.array([self._indices[key(value)] for value in values], dtype=np.float64))

    def near(self, value: Any, _step: float = 0.1) -> list[Any]:
        """Neighbouring values."""
        return [choice for choice in self.choices if key(choice) != key(value)]

    def grid(self, _resolution: int | None = None) -> Iterator[Any]:
        """All values in order; a resolution changes nothing."""
        yield from self.choices

    @cached_property
    def _indices(self) -> dict[Key, int]:
        return index(self.choices)
