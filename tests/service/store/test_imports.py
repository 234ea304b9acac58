"""Trials that were measured elsewhere enter a job in one transaction, with its front, counters and budget."""

from __future__ import annotations

import pytest

from service.errors import Conflict
from service.store.store import Store

SPEC = {"objectives": [{"metric": "accuracy", "direction": "maximize"}], "budget": {"trials": 5}}


def test_they_are_completed_counted_and_on_the_front_and_the_budget_grows(store: Store) -> None:
    job = store.create_job("a", SPEC)
    before = store.last_sequence()
    added = store.import_trials(job.id, [({"rank": 1}, {"accuracy": 0.5}), ({"rank": 2}, {"accuracy": 0.7})])
    assert [(trial.state, trial.origin, trial.attempt) for trial in added] == [("completed", "import", 1)] * 2
    assert store.searched_trials(job.id) == tuple(store.get_trial(trial.id) for trial in added)
    now = store.get_job(job.id)
    assert (now.counts["completed"], now.counts["queued"], now.counts["running"], now.front_size) == (2, 0, 0, 1)
    assert (now.state, now.spec["budget"]["trials"]) == ("queued", 7)
    assert [trial.config for trial in store.front(job.id)] == [{"rank": 2}]
    told = [event.payload.get("trial_id") for event in store.events_after(before) if event.kind == "trial.completed"]
    assert told == [trial.id for trial in added]


def test_nothing_is_added_to_a_job_that_is_over(store: Store) -> None:
    job = store.create_job("a", SPEC)
    store.set_job_state(job.id, "cancelled")
    with pytest.raises(Conflict, match="cancelled"):
        store.import_trials(job.id, [({"rank": 1}, {"accuracy": 0.5})])
    assert store.searched_trials(job.id) == ()
