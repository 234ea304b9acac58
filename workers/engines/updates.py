"""What an engine asks of whatever turns gradients into a step: AdamW, or a strategy of `workers.strategies`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor


class Updates(Protocol):
    """Updates the parameters it was made for from their gradients."""

    def begin(self, step: int, probe: Callable[[], float]) -> float | None:
        """Step `step` (from 1) comes next; `probe` gives the loss of its rows as things are, without gradients.

        Returns that loss where nothing else is needed for the step: then no gradients are computed. None: they are.
        """

    def clip(self, max_norm: float) -> None:
        """Scale the gradients to a global norm of at most `max_norm`; 0 is off."""

    def step(self, learning_rate: float) -> None:
        """Update the parameters from their gradients."""

    def forget(self, renewed: Mapping[str, Tensor]) -> None:
        """Start afresh at flat indices of parameters, by name: they stand for something new."""

    def clear_gradients(self) -> None:
        """Set every gradient to zero."""

    def save(self) -> dict[str, Tensor]:
        """Parameters and all that continuing needs, by name."""

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what `save` returned."""

    def release(self) -> None:
        """Leave the parameters as ordinary ones without gradients."""
