"""Workers that hang without dying: how long a job's workers may be silent before they are taken for dead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Seconds of silence that are always allowed, how many times the longest known silence are, and what is where
    nothing like the trial was measured (it may train all layers of a large model where others trained a head)."""

    floor: float = 120.0
    multiple: float = 10.0
    unmeasured: float = 3600.0


@dataclass
class Silences:
    """What is known of the silences in one job: between a worker's start, its reports and its outcomes."""

    patience: Patience = Patience()
    longest: float | None = None

    def ended(self, seconds: float) -> None:
        """A worker spoke after so long."""
        self.longest = max(self.longest or 0.0, seconds)

    def too_long(self, seconds: float, expected: float | None) -> bool:
        """Whether a worker that has been silent for so long hangs; `expected`: seconds to its next report, if known."""
        if self.longest is None or expected is None:
            return seconds > max(self.patience.unmeasured, self.patience.multiple * (self.longest or 0.0))
        return seconds > max(self.patience.floor, self.patience.multiple * max(self.longest, expected))
