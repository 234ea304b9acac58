"""Which earlier jobs an optimizer is handed, and which of their trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from service.jobs.search import past_jobs
from service.jobs.search.spec import JobSpec
from service.store.records import Job, NewTrial
from service.store.store import Store, open_store
from workers.assignment import Outcome
from workers.tasks.registry import tasks

TEXTS = {"model": "builtin:minilm", "train": "builtin:pydocs", "train_rows": 1000}


class Clock:
    seconds = 0

    def now(self) -> datetime:
        self.seconds += 1
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/jobs.db", Clock().now)
    yield opened
    opened.close()


def submit(store: Store, project: str = "default", **task: Any) -> Job:
    return submit_task(store, project, {**TEXTS, **task})


def submit_task(store: Store, project: str, task: Mapping[str, Any], metric: str = "accuracy") -> Job:
    document = {
        "name": "t",
        "task": task,
        "space": {"preset": "lora"},
        "objectives": [{"metric": metric, "direction": "maximize"}],
    }
    spec = JobSpec.model_validate(document)
    return store.create_job(spec.name, spec.model_dump(mode="json", exclude_unset=True), project=project)


def train(store: Store, job: Job, accuracies: list[float], ends: bool = True) -> None:
    """Complete one trial for each of `accuracies`."""
    store.set_job_state(job.id, "running")
    new = [NewTrial({"rank": number}, "optimizer", number) for number in range(len(accuracies))]
    for trial, accuracy in zip(store.add_trials(job.id, new), accuracies, strict=True):
        claimed = store.claim_trial(job.id, "w", 60, trial.id)
        assert claimed is not None
        given = {"trial_id": trial.id, "attempt": claimed.attempt}
        store.finish_trial(Outcome(**given, status="completed", metrics={"accuracy": accuracy}))
    if ends:
        store.set_job_state(job.id, "completed")


def test_the_most_alike_job_comes_first_and_its_best_trial_before_the_newer_ones(store: Store) -> None:
    far, near = submit(store, train_rows=4000), submit(store, train_rows=1200)
    for job in (far, near):
        train(store, job, [0.5, 0.9, 0.6, 0.7])
    found = past_jobs.alike(store, submit(store))
    assert [job.id for job in found] == [near.id, far.id]
    assert 0 < found[1].likeness < found[0].likeness < 1
    assert [trial.metrics["accuracy"] for trial in found[0].trials] == [0.9, 0.7, 0.6, 0.5]


@pytest.mark.parametrize("name", tasks())
def test_a_job_of_any_type_is_wholly_like_itself(store: Store, name: str) -> None:
    task = {"type": name, "train_rows": 100, **tasks()[name].example}
    job = partial(submit_task, store, "default", task, "loss")
    past = job()
    train(store, past, [0.5, 0.9, 0.6, 0.7])
    found = past_jobs.alike(store, job())
    assert [(one.id, one.likeness) for one in found] == [(past.id, 1)]


def test_jobs_that_are_unlike_small_running_or_later_do_not_count(store: Store) -> None:
    unlike, small, running = submit(store, train_rows=10_000_000, max_length=4096), submit(store), submit(store)
    train(store, unlike, [0.1, 0.2, 0.3, 0.4])
    train(store, small, [0.1, 0.2, 0.3])
    train(store, running, [0.1, 0.2, 0.3, 0.4], ends=False)
    job, later = submit(store), submit(store)
    train(store, later, [0.1, 0.2, 0.3, 0.4])
    assert past_jobs.alike(store, job) == ()


def test_jobs_of_another_project_teach_nothing(store: Store) -> None:
    ours, theirs = submit(store), submit(store, "vision")
    for job in (ours, theirs):
        train(store, job, [0.1, 0.2, 0.3, 0.4])
    assert [job.id for job in past_jobs.alike(store, submit(store))] == [ours.id]
    assert [job.id for job in past_jobs.alike(store, submit(store, "vision"))] == [theirs.id]
