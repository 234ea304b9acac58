"""Reads database, artifacts and what workers wrote down, and says what was lost, doubled or out of order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos.worker import STEPS, accuracy
from search_spaces.space import config_hash
from service.store.records import Event, Trial
from service.store.store import Store, open_store
from workers.artifacts import ArtifactDamaged, ArtifactMissing, ArtifactStore

BATCH = 5000


@dataclass
class Verdict:
    """What is wrong with a job that is over."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Anything else: states, metrics, artifacts."""


def check(database: str, artifacts: str, job_id: str, trials: int, journals: Path | None) -> Verdict:
    """The verdict on a job that should have completed `trials`; `journals`: the folder of what outside workers wrote
    (None: trained by the service, whose metrics cannot be worked out again)."""
    store, verdict = open_store(database), Verdict()
    try:
        stored = store.searched_trials(job_id)
        events = list(_events(store, job_id))
        _check_trials(stored, store.get_job(job_id).state, trials, verdict)
        _check_events(stored, events, verdict)
        _check_artifacts(stored, ArtifactStore(artifacts), verdict)
        if journals is not None:
            _check_metrics(stored, verdict)
            _check_journals(store, stored, journals, verdict)
    finally:
        store.close()
    return verdict


def _check_trials(stored: tuple[Trial, ...], state: str, trials: int, verdict: Verdict) -> None:
    if state != "completed":
        verdict.wrong.append(f"the job is {state}")
    numbers = Counter(trial.number for trial in stored)
    verdict.lost += [f"trial number {n}" for n in range(trials) if n not in numbers]
    verdict.doubled += [f"trial number {n}" for n, times in numbers.items() if times > 1 or n >= trials]
    hashes = Counter(config_hash(trial.config) for trial in stored)
    verdict.doubled += [f"configuration {one}" for one, times in hashes.items() if times > 1]
    verdict.wrong += [f"{one.id} is {one.state}: {one.reason}" for one in stored if one.state != "completed"]


def _check_events(stored: tuple[Trial, ...], events: list[Event], verdict: Verdict) -> None:
    completions = Counter(e.payload["trial_id"] for e in events if e.kind == "trial.completed")
    verdict.lost += [f"completion of {trial.id}" for trial in stored if not completions[trial.id]]
    verdict.doubled += [f"completion of {id}" for id, times in completions.items() if times > 1]
    last: dict[str, tuple[int, int]] = {}
    for event in events:
        if event.kind == "trial.report":
            id, at = event.payload["trial_id"], (event.payload["attempt"], event.payload["step"])
            if at == last.get(id):
                verdict.doubled.append(f"report {at} of {id}")
            elif at < last.get(id, at):
                verdict.out_of_order.append(f"report {at} of {id} after {last[id]}")
            last[id] = at


def _check_artifacts(stored: tuple[Trial, ...], artifacts: ArtifactStore, verdict: Verdict) -> None:
    for trial in stored:
        if trial.adapter is None:
            verdict.lost.append(f"adapter of {trial.id}")
            continue
        try:
            artifacts.open_whole(trial.adapter).close()
        except (ArtifactMissing, ArtifactDamaged) as error:
            verdict.lost.append(f"adapter of {trial.id}: {error}")


def _check_metrics(stored: tuple[Trial, ...], verdict: Verdict) -> None:
    for trial in stored:
        if trial.metrics.get("accuracy") != accuracy(trial.config, STEPS):
            verdict.wrong.append(f"{trial.id} has the metrics {trial.metrics}")


def _check_journals(store: Store, stored: tuple[Trial, ...], journals: Path, verdict: Verdict) -> None:
    """Everything that a worker was told to be stored is."""
    by_id = {trial.id: trial for trial in stored}
    reports: dict[str, dict[tuple[int, int], dict[str, float]]] = {
        id: {(one.attempt, one.step): one.metrics for one in store.reports(id)} for id in by_id
    }
    for entry in _entries(journals):
        id, attempt = entry["trial_id"], entry["attempt"]
        if entry["kind"] == "report":
            if reports.get(id, {}).get((attempt, entry["step"])) != entry["metrics"]:
                verdict.lost.append(f"acknowledged report {attempt}, {entry['step']} of {id}")
        elif id not in by_id or by_id[id].adapter != entry["adapter"]["sha256"]:
            verdict.lost.append(f"acknowledged outcome of {id}")


def _entries(journals: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(journals.glob("journal-*.jsonl")):
        for line in file.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # the kill fell into the line
                continue


def _events(store: Store, job_id: str) -> Iterator[Event]:
    last = 0
    while batch := store.events_after(last, job_id, BATCH):
        yield from batch
        last = batch[-1].sequence
