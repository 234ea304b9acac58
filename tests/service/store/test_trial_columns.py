"""All trials field by field say what they say one by one, on every database."""

from __future__ import annotations

import math

from service.store.records import NewTrial
from service.store.store import Store

SPEC = {"objectives": [{"metric": "accuracy", "direction": "maximize"}], "budget": {"trials": 5}}


def test_columns_say_what_trials_say(store: Store) -> None:
    job = store.set_job_state(store.create_job("columns", SPEC).id, "running")
    store.import_trials(job.id, [({"rank": rank, "method": "lora"}, {"accuracy": rank / 10}) for rank in range(1, 5)])
    store.add_trials(job.id, [NewTrial({"rank": 9, "nested": [1, "a"]}, "optimizer", 7, label="näme")])
    trials = list(store.list_trials(job.id, None, "number", False, None, 50, None).items)
    found = store.trial_columns(job.id, 50)
    assert list(found.fields["number"]) == [trial.number for trial in trials]
    assert list(found.fields["state"]) == [trial.state for trial in trials]
    assert list(found.fields["label"]) == [trial.label for trial in trials]
    assert list(map(bool, found.fields["on_front"])) == [trial.on_front for trial in trials]
    assert found.configs == [trial.config for trial in trials]
    assert found.metrics == [trial.metrics for trial in trials]
    created = [1000 * trial.created_at.timestamp() for trial in trials]
    assert [abs(a - b) < 1 for a, b in zip(found.times["created_at"], created, strict=True)] == [True] * 5
    assert math.isnan(found.times["started_at"][-1])


def test_the_newest_before_a_number_and_some_by_number(store: Store) -> None:
    job = store.set_job_state(store.create_job("columns", SPEC).id, "running")
    store.import_trials(job.id, [({"rank": rank}, {"accuracy": 0.5}) for rank in range(6)])
    assert list(store.trial_columns(job.id, 2).fields["number"]) == [4, 5]
    assert list(store.trial_columns(job.id, 2, before=4).fields["number"]) == [2, 3]
    assert list(store.trial_columns(job.id, 9, before=0).fields["number"]) == []
    assert list(store.trial_columns(job.id, 9, numbers=[5, 1, 77]).fields["number"]) == [1, 5]
    assert store.trial_columns(job.id, 9, numbers=[]).configs == []


def test_confirmations_are_no_trials_of_the_search(store: Store) -> None:
    job = store.set_job_state(store.create_job("columns", SPEC).id, "running")
    (trial,) = store.import_trials(job.id, [({"rank": 1}, {"accuracy": 0.5})])
    store.add_trials(job.id, [NewTrial(trial.config, "confirmation", 1, None, trial.id)])
    assert list(store.trial_columns(job.id, 9).fields["number"]) == [trial.number]
