"""What every predictor answers with: values with units and intervals, where they come from and where they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Standing = Literal["published", "unverified", "fitted"]


class OutOfDomain(ValueError):
    """An argument that no law can answer for: not a number, zero or negative. Names the field."""

    def __init__(self, field: str, found: object, allowed: str) -> None:
        super().__init__(f"{field}: found {found!r}, expected {allowed}")
        self.field, self.found, self.allowed = field, found, allowed


@dataclass(frozen=True)
class Interval:
    """Where the value lies with probability `level`."""

    low: float
    high: float
    level: float = 0.9


@dataclass(frozen=True)
class Quantity:
    """A predicted number, its unit and (where the law's own uncertainty is known) its interval."""

    value: float
    unit: str
    interval: Interval | None = None


@dataclass(frozen=True)
class Range:
    """The values of one input among which a law was measured."""

    low: float
    high: float
    unit: str

    def warning(self, name: str, value: float) -> str | None:
        """Say so when `value` lies outside, or return None."""
        if self.low <= value <= self.high:
            return None
        measured = f"{self.low:.3g} to {self.high:.3g}"
        return f"{name} = {value:.3g} {self.unit} is outside the measured {measured}: an extrapolation"


@dataclass(frozen=True)
class Answer:
    """The whole answer. `standing` tells whether the constants were published and checked, taken from memory of a
    paper (`unverified`), or fitted here."""

    quantities: Mapping[str, Quantity]
    source: str
    standing: Standing
    valid_for: str
    warnings: tuple[str, ...] = ()


def positive(**arguments: float) -> None:
    """Raise `OutOfDomain` for the first argument that is not a positive number of this world (1e-30 to 1e30, so that
    no power of it overflows)."""
    for name, value in arguments.items():
        if not 1e-30 < value < 1e30:
            raise OutOfDomain(name, value, "a positive, finite number (1e-30 to 1e30)")


def outside(**checks: tuple[Range, float]) -> tuple[str, ...]:
    """Warnings of all `(range, value)` pairs whose value lies outside its range."""
    found = (limits.warning(name, value) for name, (limits, value) in checks.items())
    return tuple(warning for warning in found if warning is not None)
