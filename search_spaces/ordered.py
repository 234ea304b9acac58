"""What `Float`, `Int` and `Ordinal` have in common: one axis, on which a prior is a bell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from search_spaces.errors import InvalidSpace
from search_spaces.priors import Bell, Prior
from search_spaces.scales import Array


class Ordered(Protocol):
    """A parameter with one axis."""

    @property
    def name(self) -> str: ...
    @property
    def prior(self) -> Prior | None: ...
    @property
    def size(self) -> int | None: ...
    @property
    def allowed(self) -> str: ...
    def contains(self, value: object) -> bool: ...
    def encode(self, values: Sequence[Any]) -> Array: ...


def check_bell(parameter: Ordered) -> None:
    """Refuse a prior that is no `Bell` or whose mode the parameter does not allow."""
    if parameter.prior is None:
        return
    if not isinstance(parameter.prior, Bell):
        raise InvalidSpace(f"{parameter.name}: prior: found {parameter.prior!r}, allowed: a mode and a spread")
    if not parameter.contains(parameter.prior.mode):
        raise InvalidSpace(
            f"{parameter.name}: prior: found mode {parameter.prior.mode!r}, allowed: {parameter.allowed}"
        )


def prior_positions(parameter: Ordered, uniform: Array) -> Array:
    """Positions [n, 1] on the unit axis of draws from the prior, made of uniform numbers [n, 1]."""
    bell = parameter.prior
    if not isinstance(bell, Bell) or parameter.size == 1:
        return uniform
    return bell.quantiles(uniform[:, 0], _centre(parameter, bell))[:, None]


def bell_density(parameter: Ordered, values: Sequence[Any]) -> Array:
    """Log prior density [n] of n values, relative to uniform."""
    bell = parameter.prior
    if not isinstance(bell, Bell) or parameter.size == 1:
        return np.zeros(len(values))
    return bell.log_density(parameter.encode(values)[:, 0], _centre(parameter, bell))


def _centre(parameter: Ordered, bell: Bell) -> float:
    return float(parameter.encode([bell.mode])[0, 0])
