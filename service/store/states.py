"""The states of jobs and trials and the only ways between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from service.errors import Conflict
from service.store.records import JobState, TrialState

JOB_STATES: tuple[JobState, ...] = get_args(JobState)
TRIAL_STATES: tuple[TrialState, ...] = get_args(TrialState)

JOB_TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    "queued": frozenset({"running", "paused", "cancelled", "failed"}),
    "running": frozenset({"paused", "completed", "failed", "cancelled"}),
    "paused": frozenset({"queued", "running", "cancelled", "failed"}),
    # A job that is over can be extended: it waits for a conductor again.
    "completed": frozenset({"queued"}),
    "failed": frozenset({"queued"}),
    "cancelled": frozenset({"queued"}),
}

TRIAL_TRANSITIONS: Mapping[TrialState, frozenset[TrialState]] = {
    "queued": frozenset({"running", "stopped"}),
    "running": frozenset({"queued", "paused", "completed", "stopped", "failed"}),
    "paused": frozenset({"queued", "completed", "stopped", "failed"}),
    "completed": frozenset(),
    "stopped": frozenset(),
    "failed": frozenset(),
}

JOB_OVER: frozenset[JobState] = frozenset({"completed", "failed", "cancelled"})
TRIAL_OVER: frozenset[TrialState] = frozenset({"completed", "stopped", "failed"})


def check_job(id: str, present: JobState, to: JobState) -> None:
    """Raise Conflict unless the job may go from `present` to `to`."""
    _check("job", id, present, to, JOB_TRANSITIONS[present])


def check_trial(id: str, present: TrialState, to: TrialState) -> None:
    """Raise Conflict unless the trial may go from `present` to `to`."""
    _check("trial", id, present, to, TRIAL_TRANSITIONS[present])


def _check(kind: str, id: str, present: str, to: str, allowed: frozenset[JobState] | frozenset[TrialState]) -> None:
    if to not in allowed:
        ways = ", ".join(sorted(allowed)) or "nothing, it is over"
        raise Conflict(f"{kind} {id} cannot go from {present} to {to}; from {present} it can go to: {ways}")
