"""Front and references are trained again on rows that no search has seen."""

from __future__ import annotations

from typing import Any

from service.jobs.seeds import confirmation_seed
from service.store.store import Store
from tests.service.conductor.computing_executor import ComputingExecutor, complete
from tests.service.conductor.loop.conducting import SPEC, Clock, Make, is_over, submit, tick_until
from workers.assignment import Assignment

CONFIRMED: dict[str, Any] = {
    "task": {**SPEC["task"], "test": 0.2},
    "confirm": {"seeds": 2},
    "objectives": [
        {"metric": "accuracy", "direction": "maximize"},
        {"metric": "trainable_params", "direction": "minimize"},
    ],
}


def measured(assignment: Assignment) -> list[Any]:
    """As `complete`, with a size: so there is a front of several trials."""
    *reports, outcome = complete(assignment)
    size = 0.0 if assignment.config["method"] == "head" else 1000.0 * assignment.config["rank"]
    return [*reports, outcome.model_copy(update={"metrics": {**outcome.metrics, "trainable_params": size}})]


def test_front_and_references_are_confirmed_on_unseen_rows(make: Make, store: Store, clock: Clock) -> None:
    job, executor = submit(store, **CONFIRMED), ComputingExecutor(script=measured)
    tick_until(make(executor), clock, is_over(store, job))
    searched, again = store.searched_trials(job.id), store.confirmations(job.id)
    wanted = {trial.id for trial in searched if trial.on_front or trial.origin == "reference"}
    assert len(searched) == 6
    assert {trial.confirms for trial in again} == wanted
    assert len(again) == 2 * len(wanted)
    assert {trial.seed for trial in again} == {confirmation_seed(3, 0), confirmation_seed(3, 1)}
    assert {trial.seed for trial in again}.isdisjoint(trial.seed for trial in searched)
    assert not any(trial.on_front for trial in again)
    configs = {trial.id: trial.config for trial in searched}
    assert all(trial.config == configs[str(trial.confirms)] for trial in again)
    splits = {one.trial_id: one.evaluate_on for one in executor.started}
    assert {splits[trial.id] for trial in searched} == {"validation"}
    assert {splits[trial.id] for trial in again} == {"test"}
    assert {trial.id for trial in store.front(job.id)} <= {trial.id for trial in searched}


def test_confirming_goes_on_after_a_restart_and_a_longer_search_confirms_what_is_new(
    make: Make, store: Store, clock: Clock
) -> None:
    job = submit(store, **CONFIRMED)
    first = make(ComputingExecutor(script=measured))
    tick_until(first, clock, lambda: len(store.confirmations(job.id)) > 0)
    first.hand_back()
    tick_until(make(ComputingExecutor(script=measured), "home.b"), clock, is_over(store, job))
    before = store.confirmations(job.id)
    assert {trial.state for trial in before} == {"completed"}
    spec = store.get_job(job.id).spec
    store.extend_job(job.id, {**spec, "budget": {**spec["budget"], "trials": 12}})
    tick_until(make(ComputingExecutor(script=measured), "home.c"), clock, is_over(store, job))
    pairs = [(trial.confirms, trial.seed) for trial in store.confirmations(job.id)]
    assert len(pairs) == len(set(pairs))
    assert {trial.id for trial in store.front(job.id)} <= {confirmed for confirmed, _ in pairs}
    assert len(store.searched_trials(job.id)) == 12


def test_where_a_reference_is_the_best_it_is_confirmed_once_beside_the_others(
    make: Make, store: Store, clock: Clock
) -> None:
    def unbeaten(assignment: Assignment) -> list[Any]:
        *reports, outcome = complete(assignment)
        best = {"accuracy": 0.99} if assignment.config["method"] == "head" else {}
        return [*reports, outcome.model_copy(update={"metrics": {**outcome.metrics, **best}})]

    objectives = [{"metric": "accuracy", "direction": "maximize"}]
    job = submit(store, **{**CONFIRMED, "objectives": objectives})
    tick_until(make(ComputingExecutor(script=unbeaten)), clock, is_over(store, job))
    references = [trial for trial in store.searched_trials(job.id) if trial.origin == "reference"]
    (best,) = store.front(job.id)
    assert best.id in {trial.id for trial in references}
    again = [(trial.confirms, trial.seed) for trial in store.confirmations(job.id)]
    assert len(again) == len(set(again)) == 2 * len(references)
    assert {confirmed for confirmed, _ in again} == {trial.id for trial in references}
    assert store.get_job(job.id).state == "completed"
