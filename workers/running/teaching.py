"""What trainings that go before a trial's own cost, and what was asked of them. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Said = TypeVar("Said", covariant=True)


@dataclass(frozen=True)
class Lesson(Generic[Said]):
    """What the training of a teacher cost, and what it says."""

    seconds: float
    flops: float
    tokens: float
    said: Said
