"""What the store tells of a job's stages: where its trials come from, what refines them, and what was exported."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import NotFound
from service.store.records import NewTrial
from service.store.store import Store
from tests.service.store.examples import ManualClock, claimed, completed, outcome, running_job


def test_trials_are_counted_by_what_they_read(store: Store, clock: ManualClock) -> None:
    job = running_job(store, trials=4)
    start = clock()
    for letter in "aab":
        told = {"data_sha256": letter * 64, "base_sha256": "f" * 64}
        trial = claimed(store, job.id)
        clock.advance(1)
        store.finish_trial(outcome(trial, environment=told))
    winner = f"{job.id}-0"
    store.add_trials(job.id, [NewTrial({"rank": 0}, "confirmation", 7, None, winner)])
    found = {(one.confirms, one.data, one.base, one.trials) for one in store.provenance(job.id)}
    assert found == {
        (False, "a" * 64, "f" * 64, 2),
        (False, "b" * 64, "f" * 64, 1),
        (False, None, None, 1),
        (True, None, None, 1),
    }
    first = store.provenance(job.id)[0]
    assert first.trials == 2
    assert (first.started_at, first.finished_at) == (start, store.get_trial(f"{job.id}-1").finished_at)


def test_an_adapter_is_exported_once_and_again(store: Store, clock: ManualClock) -> None:
    job = running_job(store)
    first, second = (completed(store, job.id, accuracy, 100) for accuracy in (0.5, 0.6))
    assert store.exports(job.id) == ()
    began = clock()
    store.exported(first, "a" * 64)
    clock.advance(5)
    store.exported(second, "b" * 64)
    clock.advance(5)
    store.exported(first, "a" * 64)
    latest, other = store.exports(job.id)
    assert (latest.trial_id, latest.times, latest.first_at, latest.last_at) == (first.id, 2, began, clock())
    assert (other.trial_id, other.times, other.adapter) == (second.id, 1, "b" * 64)
    told = [event.payload["trial"] for event in store.events_after(0, job.id) if event.kind == "job.export"]
    assert told == [0, 1, 0]
    store.set_job_state(job.id, "completed")
    store.delete_job(job.id)
    assert store.exports(job.id) == ()
    with pytest.raises(NotFound):
        store.exported(first, "a" * 64)


def test_jobs_that_refine_a_job_are_found_in_its_project_alone(store: Store) -> None:
    job = running_job(store, trials=1)

    def refine(name: str, trial: str | None, project: str = job.project) -> None:
        adapters: list[dict[str, Any]] = [{"trial": trial}, {"trial": trial}]
        store.create_job(name, {"kind": "refine", "adapters": adapters, "objectives": []}, None, project)

    refine("first", f"{job.id}-0")
    refine("of a folder", None)
    refine("of another job", f"{job.id}x-0")
    refine("elsewhere", f"{job.id}-0", "elsewhere")
    refine("second", f"{job.id}-0")
    assert sorted(one.name for one in store.refinements(job.id)) == ["first", "second"]
    assert [(one.name, one.number) for one in store.uses(f"{job.id}-0") if one.name == "first"] == [
        ("first", 0),
        ("first", 1),
    ]
