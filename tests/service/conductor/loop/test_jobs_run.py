"""Jobs from their submission to their end: what counts, what is tried again, what ends, pauses and extends them."""

from __future__ import annotations

from typing import Any

import pytest

from service.conductor.agendas.search import search_run
from service.conductor.loop import GRACE, LEASE
from service.conductor.proposing.proposer import Reply, Request
from service.conductor.training.executor import Lost
from service.conductor.training.placement import Machine
from service.errors import Conflict
from service.jobs.seeds import trial_seed
from service.store.store import Store
from tests.service.conductor.computing_executor import ComputingExecutor, accuracy, complete
from tests.service.conductor.loop.conducting import Clock, Make, is_over, never_ending, submit, tick_until
from tests.service.conductor.stored import stored_trial
from workers.assignment import Assignment, Outcome, Report


def test_a_job_runs_to_its_end_and_every_trial_counts_once(make: Make, store: Store, clock: Clock) -> None:
    job, executor = submit(store), ComputingExecutor()
    tick_until(make(executor), clock, is_over(store, job))
    ended = store.get_job(job.id)
    assert (ended.state, ended.reason) == ("completed", None)
    trials = store.searched_trials(job.id)
    assert [trial.number for trial in trials] == list(range(6))
    assert [trial.label for trial in trials[:2]] == ["head-only", "literature-default"]
    assert {trial.origin for trial in trials[2:]} == {"optimizer"}
    assert {trial.state for trial in trials} == {"completed"}
    assert [trial.seed for trial in trials] == [trial_seed(3, number) for number in range(6)]
    assert [trial.metrics["accuracy"] for trial in trials] == [accuracy(trial.config) for trial in trials]
    assert sorted(one.trial_id for one in executor.started) == sorted(trial.id for trial in trials)
    assert executor.most_at_once == 2
    assert {one.epochs for one in executor.started} == {2.0}
    assert all(len(store.reports(trial.id)) == 2 for trial in trials)


def test_reference_trials_can_be_the_users_own_or_none(make: Make, store: Store, clock: Clock) -> None:
    config = {"method": "lora", "rank": 4, "learning_rate": 1e-3}
    own = submit(store, reference_trials=["random-entries", config], budget={"trials": 3, "epochs": 1})
    none = submit(store, reference_trials=False, budget={"trials": 1, "epochs": 1})
    tick_until(make(), clock, lambda: is_over(store, own)() and is_over(store, none)())
    baseline, mine, _ = store.searched_trials(own.id)
    assert (baseline.config["method"], baseline.config["entries"], mine.config) == ("apet", 73_728, config)
    assert [trial.label for trial in store.searched_trials(own.id)] == ["random-entries", "reference-2", None]
    assert [trial.origin for trial in store.searched_trials(none.id)] == ["optimizer"]


def test_a_job_begins_with_what_won_on_the_past_job_and_says_so(make: Make, store: Store, clock: Clock) -> None:
    past = submit(store, budget={"trials": 8, "epochs": 1})
    tick_until(make(), clock, is_over(store, past))
    job = submit(store, optimizer={"name": "auto"}, reference_trials=False, budget={"trials": 2, "epochs": 1})
    tick_until(make(), clock, is_over(store, job))
    best = max(store.searched_trials(past.id)[1:], key=lambda trial: trial.metrics["accuracy"])
    assert store.searched_trials(job.id)[0].config == best.config
    notes = [event.payload["message"] for event in store.events_after(0) if event.kind == "note"]
    assert any(past.id in note for note in notes)


def test_trials_measured_elsewhere_enter_a_running_search_beside_its_budget(
    make: Make, store: Store, clock: Clock
) -> None:
    job, conductor = submit(store, reference_trials=False, budget={"trials": 3, "epochs": 1}), make()
    tick_until(conductor, clock, lambda: store.get_job(job.id).counts["completed"] > 0)
    config = {**store.searched_trials(job.id)[0].config, "rank": 7}
    (imported,) = store.import_trials(job.id, [(config, {"accuracy": 0.999})])
    tick_until(conductor, clock, is_over(store, job))
    trials = store.searched_trials(job.id)
    assert [trial.origin for trial in trials].count("optimizer") == 3
    assert [trial.id for trial in store.front(job.id)] == [imported.id]
    assert store.get_job(job.id).counts["completed"] == 4
    with pytest.raises(Conflict, match="extend it"):
        store.import_trials(job.id, [(config, {"accuracy": 0.999})])


def test_two_jobs_share_the_slots(make: Make, store: Store, clock: Clock) -> None:
    executor = ComputingExecutor(slots=2, script=never_ending)
    first, second = submit(store), submit(store)
    conductor = make(executor)
    tick_until(conductor, clock, lambda: len(executor.started) == 2)
    assert {one.trial_id.rpartition("-")[0] for one in executor.started} == {first.id, second.id}


def test_a_job_whose_every_trial_fails_stops_early(make: Make, store: Store, clock: Clock) -> None:
    def fail(assignment: Assignment) -> list[Any]:
        given = {"trial_id": assignment.trial_id, "attempt": assignment.attempt}
        return [Outcome(**given, status="failed", reason="out_of_memory: 9 GB asked for")]

    job = submit(store, budget={"trials": 40, "epochs": 1})
    tick_until(make(ComputingExecutor(script=fail)), clock, is_over(store, job))
    ended = store.get_job(job.id)
    assert ended.state == "failed"
    assert ended.reason is not None
    assert "none completed; most often: out_of_memory: 9 GB asked for" in ended.reason
    assert len([trial for trial in store.searched_trials(job.id) if trial.state == "failed"]) < 8


def test_a_failed_trial_keeps_its_reason_and_reports_and_the_job_goes_on(
    make: Make, store: Store, clock: Clock
) -> None:
    def script(assignment: Assignment) -> list[Any]:
        if not assignment.trial_id.endswith("-1"):
            return complete(assignment)
        given = {"trial_id": assignment.trial_id, "attempt": assignment.attempt}
        return [complete(assignment)[0], Outcome(**given, status="failed", reason="nan_loss: step 2")]

    job = submit(store)
    tick_until(make(ComputingExecutor(script=script)), clock, is_over(store, job))
    failed = store.get_trial(f"{job.id}-1")
    assert (failed.state, failed.reason, len(store.reports(failed.id))) == ("failed", "nan_loss: step 2", 1)
    assert store.get_job(job.id).state == "completed"
    assert store.counts(job.id)["completed"] == 5


def test_a_trial_whose_worker_dies_is_tried_again_and_fails_at_last(make: Make, store: Store, clock: Clock) -> None:
    def script(assignment: Assignment) -> list[Any]:
        dies = assignment.trial_id.endswith("-0") and (assignment.attempt < 2 or assignment.seed < 0)
        dies = dies or assignment.trial_id.endswith("-1")
        return [Lost(assignment.trial_id, assignment.attempt, "its worker died")] if dies else complete(assignment)

    job = submit(store)
    tick_until(make(ComputingExecutor(script=script)), clock, is_over(store, job))
    once, always = store.get_trial(f"{job.id}-0"), store.get_trial(f"{job.id}-1")
    assert (once.state, once.attempt) == ("completed", 2)
    assert (always.state, always.attempt) == ("failed", 3)
    assert "its worker died" in str(always.reason)


def test_cancelling_stops_running_trials_and_takes_back_the_queued(make: Make, store: Store, clock: Clock) -> None:
    executor = ComputingExecutor(script=lambda assignment: complete(assignment)[:1])  # report once, then go on for ever
    job, conductor = submit(store), make(executor)
    tick_until(conductor, clock, lambda: len(executor.started) == 2 and store.counts(job.id)["queued"] > 0)
    store.set_job_state(job.id, "cancelled")
    conductor.tick(wait=0)
    assert {decision for _, decision in executor.signals} == {"stop"}
    assert executor.abandoned == []  # they have a moment to end by themselves
    tick_until(conductor, clock, lambda: not executor.running, step=GRACE / 2)
    conductor.tick(wait=0)
    assert {(trial.state, trial.reason) for trial in store.searched_trials(job.id)} == {
        ("stopped", "the job is cancelled")
    }
    assert store.get_job(job.id).lease_owner is None


def test_a_paused_job_lets_its_trials_end_and_starts_no_others_until_resumed(
    make: Make, store: Store, clock: Clock
) -> None:
    executor = ComputingExecutor(script=lambda assignment: complete(assignment)[:1])  # report once, then wait
    job, conductor = submit(store, budget={"trials": 4, "epochs": 1}), make(executor)
    tick_until(conductor, clock, lambda: len(executor.started) == 2 and store.counts(job.id)["queued"] > 0)
    store.set_job_state(job.id, "paused")
    conductor.tick(wait=0)
    assert store.get_job(job.id).lease_owner is None  # any conductor may take it when it is resumed
    for one in list(executor.started):
        executor.running[one.trial_id] = complete(one)[1:]
    for _ in range(20):
        clock.seconds += LEASE / 5  # the trials' leases are kept all the while
        conductor.tick(wait=0)
    assert executor.signals == []
    assert executor.abandoned == []
    assert len(executor.started) == 2
    assert store.counts(job.id)["completed"] == 2
    executor.script = complete
    store.set_job_state(job.id, "queued")
    tick_until(conductor, clock, is_over(store, job))
    assert store.counts(job.id)["completed"] == 4
    assert {trial.attempt for trial in store.searched_trials(job.id)} == {1}


def test_the_wall_clock_budget_lets_running_trials_end_and_nothing_more_begin(
    make: Make, store: Store, clock: Clock
) -> None:
    job = submit(store, budget={"trials": 1000, "epochs": 1, "wall_clock": 40})
    tick_until(make(), clock, is_over(store, job), step=4)
    ended = store.get_job(job.id)
    assert (ended.state, ended.reason) == ("completed", "the wall-clock budget of 40 s is spent")
    assert {trial.state for trial in store.searched_trials(job.id)} == {"completed"}


def test_an_optimizer_is_told_how_much_of_the_wall_clock_budget_is_left(store: Store, clock: Clock) -> None:
    job = submit(store, budget={"trials": 1000, "epochs": 1, "wall_clock": 40})
    trial = stored_trial(0, "running", started_at=clock.now())
    run = search_run(job, [trial], [], Machine(cpus=2, gpus=0, memory=8e9))
    for seconds, left in ((0, 1.0), (10, 0.75), (20, 0.25)):
        clock.seconds += seconds
        request = run.agenda.next(run, clock.now()).ask
        assert isinstance(request, Request)
        assert request.history.budget_left == pytest.approx(left)
        run.agenda.accept(run, Reply(request, error="again"))
    clock.seconds += 20
    assert run.agenda.next(run, clock.now()).ask is None


def test_a_small_space_is_searched_to_its_end(make: Make, store: Store, clock: Clock) -> None:
    parameters = [
        {"type": "categorical", "name": "rank", "choices": [2, 4, 8]},
        {"type": "categorical", "name": "learning_rate", "choices": [1e-3]},
    ]
    job = submit(store, space={"method": "lora", "parameters": parameters}, reference_trials=False)
    tick_until(make(), clock, is_over(store, job))
    assert store.get_job(job.id).reason == "the space is exhausted after 3 configurations"
    assert sorted(trial.config["rank"] for trial in store.searched_trials(job.id)) == [2, 4, 8]


def test_extending_a_finished_job_makes_it_go_on(make: Make, store: Store, clock: Clock) -> None:
    job, conductor = submit(store, budget={"trials": 3, "epochs": 2}), make()
    tick_until(conductor, clock, is_over(store, job))
    store.extend_job(job.id, {**store.get_job(job.id).spec, "budget": {"trials": 5, "epochs": 2, "wall_clock": None}})
    tick_until(conductor, clock, lambda: store.counts(job.id)["completed"] == 5 and is_over(store, job)())
    assert [trial.seed for trial in store.searched_trials(job.id)] == [trial_seed(3, number) for number in range(5)]


def test_an_outside_workers_job_gets_suggestions_but_no_dispatch(make: Make, store: Store, clock: Clock) -> None:
    executor = ComputingExecutor()
    job = submit(store, resources={"executor": "external"}, reference_trials=False)
    conductor = make(executor)
    tick_until(conductor, clock, lambda: store.counts(job.id)["queued"] >= 2)

    def work() -> bool:
        """As somebody outside does; whether the job is over."""
        trial = store.claim_trial(job.id, "outside", 60)
        if trial is not None:
            given = {"trial_id": trial.id, "attempt": trial.attempt}
            store.add_reports([Report(**given, step=1, epoch=1, seconds=1, metrics={"accuracy": 0.5})])
            store.finish_trial(Outcome(**given, status="completed", metrics={"accuracy": 0.5}))
        return is_over(store, job)()

    tick_until(conductor, clock, work)
    assert executor.started == []
    assert store.counts(job.id)["completed"] == 6
