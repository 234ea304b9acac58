"""What a job needs next, decided from its trials alone. Pure: state in, decision out; no clock, no store, no Ray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from service.conductor.mirror import TrialMirror
from service.jobspec import JobSpec, ResourcesSpec
from service.store.records import Trial

HOPELESS_AFTER = 5
"""Trials that may fail with nothing completed before the job is given up."""

BYTES_PER_WORKER = 1_000_000_000  # a resident base model, torch and transformers, with room for activations


@dataclass(frozen=True)
class Shape:
    """What one trial occupies: CPU cores and GPUs, either may be a fraction."""

    cpus: float
    gpus: float


@dataclass(frozen=True)
class Machine:
    """What the executor has in all: cores, GPUs and bytes of memory."""

    cpus: float
    gpus: float
    memory: float


@dataclass(frozen=True)
class Verdict:
    """How a job ends, and why."""

    state: Literal["completed", "failed"]
    reason: str | None


def shape(resources: ResourcesSpec) -> Shape:
    """Cores and GPUs of one trial: one core unless told otherwise, since one-thread trials side by side waste least."""
    cpus = 1.0 if resources.cpus_per_trial == "auto" else float(resources.cpus_per_trial)
    return Shape(cpus, resources.gpus_per_trial)


def concurrency(resources: ResourcesSpec, machine: Machine) -> int:
    """Trials of a job that run at once: as asked, or as many as cores, GPUs and memory hold (at least one)."""
    if resources.concurrency != "auto":
        return resources.concurrency
    needs = shape(resources)
    limits = [machine.cpus / needs.cpus, machine.memory / BYTES_PER_WORKER]
    if needs.gpus:
        limits.append(machine.gpus / needs.gpus)
    return max(1, int(min(limits)))


def lacking(shape: Shape, machine: Machine) -> str | None:
    """Why no trial of this shape can start on this machine as it is; None when it can."""
    if shape.cpus <= machine.cpus and shape.gpus <= machine.gpus:
        return None
    return (
        f"waiting for resources: a trial needs {shape.cpus:g} cores and {shape.gpus:g} GPUs, "
        f"there are {machine.cpus:g} and {machine.gpus:g} in all"
    )


def is_replaceable(trial: Trial) -> bool:
    """Whether newer evidence may replace this suggestion: the optimizer made it and nobody has ever claimed it."""
    return trial.state == "queued" and trial.attempt == 0 and trial.origin == "optimizer"


def wanted(trials: TrialMirror, budget: int, ahead: int) -> int:
    """Suggestions to ask for now: enough to keep `ahead` trials queued without exceeding the `budget` of trials."""
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


def next_waiting(trials: TrialMirror) -> Trial | None:
    """The trial to start next: begun ones first (lost by their worker, or paused before), then by number."""
    return min(trials.waiting.values(), key=lambda trial: (trial.attempt == 0, trial.number), default=None)
