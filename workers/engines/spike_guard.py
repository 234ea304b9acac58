"""A guard against spikes of the training loss: what a bad batch or a rate too high did is undone.

As in Ling's training (Ling Team 2025, arXiv 2503.05139): a loss that lies so many standard deviations above those of
the last steps is a spike; the step is skipped, and where the next spikes as well, the step before is undone, too. How
a spike is told and how far back it goes are choices of ours.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import Generic, TypeVar

from workers.hyperparameters import Hyperparameters

State = TypeVar("State")
_LEAST = 8  # losses without which nothing is known of their spread
_FLOOR = 0.01  # of the mean: a loss that hardly moves has no spikes of a thousandth


class SpikeGuard(Generic[State]):
    """Sees every loss of a training; keeps its last states. `standing` counts the updates that were not undone."""

    def __init__(self, score: float, window: int, retries: int, standing: int = 0) -> None:
        self._score, self._retries = score, retries
        self._losses: deque[float] = deque(maxlen=window)
        self._before: deque[State] = deque(maxlen=retries + 1)  # states before steps that were accepted
        self._now: State | None = None
        self._in_a_row = 0
        self.skipped, self.standing = 0, standing

    @classmethod
    def of(cls, chosen: Hyperparameters, standing: int = 0) -> SpikeGuard[State] | None:
        """The guard of a trial that has so many updates behind it; None where it has none."""
        if chosen.spike_score <= 0:
            return None
        return cls(chosen.spike_score, chosen.spike_window, chosen.spike_retries, standing)

    def keep(self, state: State) -> None:
        """Take in the state before a step."""
        self._now = state

    def undo(self, loss: float) -> State | None:
        """Where to go back to behind a step of this loss; None where the step stands.

        After `retries` spikes in a row the next is no spike: the loss has another level now.
        """
        if not self._is_spike(loss) or self._in_a_row >= self._retries:
            if self._in_a_row >= self._retries:
                self._losses.clear()
            self._in_a_row = 0
            self._losses.append(loss)
            if self._now is not None:
                self._before.append(self._now)
            self.standing += 1
            return None
        self._in_a_row += 1
        self.skipped += 1
        return self._popped() if self._in_a_row > 1 and self._before else self._now

    def back(self) -> State | None:
        """Where to go back to when the model is no number although no loss has said so; None where all is gone.

        A step's loss is measured before its update: the harm of the last update shows in the next evaluation.
        """
        if not self._before:
            return None
        self.skipped += 1
        return self._popped()

    def _popped(self) -> State:
        """The state before the last update that stood, which stands no more."""
        self.standing -= 1
        return self._before.pop()

    def _is_spike(self, loss: float) -> bool:
        if not math.isfinite(loss):
            return True
        if len(self._losses) < _LEAST:
            return False
        mean = statistics.fmean(self._losses)
        spread = max(statistics.stdev(self._losses, mean), _FLOOR * abs(mean))
        return loss > mean + self._score * spread
