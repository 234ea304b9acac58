"""The trials that our executor trains now: which of them share a worker, and when that worker was last heard of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class Dispatched:
    """A trial under way. `worker` names the process that trains it, `places` says how many it may train at once."""

    job_id: str
    attempt: int
    worker: str
    places: int = 1
    kill_at: float | None = None  # monotonic time, once it was told to stop


class UnderWay(dict[str, Dispatched]):
    """Dispatched trials by id. Times are monotonic seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: dict[str, float] = {}  # by worker

    def begin(self, trial_id: str, dispatched: Dispatched, now: float) -> None:
        """A trial has started, alone or as one more on its worker."""
        self[trial_id] = dispatched
        self._heard[dispatched.worker] = now

    def heard(self, trial_id: str, now: float) -> float | None:
        """Its worker has spoken: seconds since it last did. None for a trial that is not ours."""
        if trial_id not in self:
            return None
        worker = self[trial_id].worker
        silent, self._heard[worker] = now - self._heard[worker], now
        return silent

    def silent(self, worker: str, now: float) -> float:
        """Seconds since the worker was last heard of."""
        return now - self._heard[worker]

    def end(self, trial_id: str) -> None:
        """The trial is not under way any more."""
        ended = self.pop(trial_id, None)
        if ended is not None and all(other.worker != ended.worker for other in self.values()):
            del self._heard[ended.worker]

    def of_job(self, job_id: str) -> list[str]:
        """The job's trials."""
        return [trial_id for trial_id, dispatched in self.items() if dispatched.job_id == job_id]

    def workers(self) -> Mapping[str, list[str]]:
        """The trials of each worker."""
        found: dict[str, list[str]] = {}
        for trial_id, dispatched in self.items():
            found.setdefault(dispatched.worker, []).append(trial_id)
        return found
