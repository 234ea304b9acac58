"""What a job needs next, decided from its trials alone. Pure: state in, decision out; no clock, no store, no Ray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from service.conductor.mirror import TrialMirror
from service.jobs.search.spec import JobSpec
from service.store.records import Trial

HOPELESS_AFTER = 5
"""Trials that may fail with nothing completed before the job is given up."""


@dataclass(frozen=True)
class Verdict:
    """How a job ends, and why."""

    state: Literal["completed", "failed"]
    reason: str | None


def wanted(trials: TrialMirror, budget: int, ahead: int) -> int:
    """Suggestions that are missing: enough to keep `ahead` trials queued within the `budget` of trials."""
    return max(0, min(ahead - trials.states["queued"], budget - len(trials)))


def seconds_active(trials: Iterable[Trial], now: datetime) -> float:
    """Seconds in which at least one trial was training: pauses and outages of the service do not use up the budget."""
    spans = sorted(
        (trial.started_at, trial.finished_at or now)
        for trial in trials
        if trial.started_at is not None and (trial.finished_at is not None or trial.state == "running")
    )
    seconds, covered = 0.0, None
    for start, end in spans:
        begin = start if covered is None else max(start, covered)
        if end > begin:
            seconds += (end - begin).total_seconds()
            covered = end
    return seconds


def verdict(trials: TrialMirror, spec: JobSpec, no_more: str | None, broken: str | None) -> Verdict | None:
    """How the job ends, or None while it goes on.

    `no_more` says why nothing further will be proposed (space exhausted, time spent), `broken` why nothing further can.
    """
    states = trials.states
    all_failed = states["failed"] > 0 and states["completed"] == states["stopped"] == 0
    if all_failed and states["failed"] >= HOPELESS_AFTER:
        return Verdict("failed", common_reason(trials.values()))
    if trials.open:
        return None
    spent = len(trials) >= spec.budget.trials
    if not (spent or no_more or broken):
        return None
    if all_failed:
        return Verdict("failed", common_reason(trials.values()))
    if broken and not spent:
        return Verdict("failed", broken)
    return Verdict("completed", None if spent else no_more)


def common_reason(trials: Iterable[Trial]) -> str:
    """What most failed trials have in common, by the kind that precedes the colon, with one of them quoted whole."""
    reasons = [trial.reason or "unknown" for trial in trials if trial.state == "failed"]
    kind, count = Counter(reason.partition(":")[0] for reason in reasons).most_common(1)[0]
    example = next(reason for reason in reasons if reason.partition(":")[0] == kind)
    return f"{count} of {len(reasons)} trials failed, none completed; most often: {example}"


def allot(free: int, running: Mapping[str, int], startable: Mapping[str, int]) -> tuple[str, ...]:
    """Share `free` slots among jobs, one at a time to whoever runs fewest, the order of `startable` breaking ties.

    `running` counts each job's trials under way, `startable` those it could start now (queued, within its own limit).
    Returns job ids, one per slot given.
    """
    counts = {job: running.get(job, 0) for job in startable}
    left = dict(startable)
    given: list[str] = []
    while len(given) < free and any(left.values()):
        job = min((job for job in left if left[job] > 0), key=lambda job: counts[job])
        given.append(job)
        counts[job] += 1
        left[job] -= 1
    return tuple(given)


def in_order(trials: TrialMirror) -> list[Trial]:
    """The trials that wait, in the order to start them: begun ones first (lost by their worker, or paused before)."""
    return sorted(trials.waiting.values(), key=lambda trial: (trial.attempt == 0, trial.number))
