"""Trials: suggestions, claims, fencing, lost workers, outcomes, listing."""

from __future__ import annotations

from typing import Literal, get_args

import pytest

from service.errors import BadInput, Conflict, NotFound, StaleAttempt
from service.store.records import Resumption, TrialState
from service.store.states import TRIAL_TRANSITIONS
from service.store.store import Store
from tests.service.store.examples import (
    SPEC,
    ManualClock,
    claimed,
    completed,
    outcome,
    report,
    running_job,
    suggestions,
)
from workers.assignment import Artifact


class TestSuggestions:
    def test_they_are_numbered_in_order_and_read_back_as_returned(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store)
        first, second = store.add_trials(job.id, suggestions(2)), store.add_trials(job.id, suggestions(1, first=2))
        assert store.searched_trials(job.id) == (*first, *second)
        assert [trial.number for trial in (*first, *second)] == [0, 1, 2]
        assert [trial.id for trial in first] == [f"{job.id}-0", f"{job.id}-1"]
        assert second[0].config == {"method": "lora", "rank": 2}
        assert (first[0].state, first[0].attempt, first[0].created_at) == ("queued", 0, clock.now)
        assert store.counts(job.id)["queued"] == 3

    def test_none_is_none(self, store: Store) -> None:
        job = running_job(store)
        assert store.add_trials(job.id, []) == ()
        assert store.replace_queued(job.id, [], []) == ()
        assert store.get_job(job.id) == job

    def test_replacements_keep_ids_and_numbers(self, store: Store) -> None:
        job = running_job(store, trials=3)
        stored = store.replace_queued(job.id, [f"{job.id}-1", f"{job.id}-2"], suggestions(3, first=10))
        assert [(trial.number, trial.config["rank"]) for trial in stored] == [(1, 10), (2, 11), (3, 12)]
        assert [trial.config["rank"] for trial in store.searched_trials(job.id)] == [0, 10, 11, 12]
        assert store.counts(job.id)["queued"] == 4

    def test_suggestions_without_a_replacement_are_deleted(self, store: Store) -> None:
        job = running_job(store, trials=3)
        store.replace_queued(job.id, [f"{job.id}-0", f"{job.id}-2"], suggestions(1, first=10))
        assert [trial.config["rank"] for trial in store.searched_trials(job.id)] == [10, 1]
        assert store.counts(job.id)["queued"] == 2
        assert store.add_trials(job.id, suggestions(1))[0].number == 3

    def test_what_was_claimed_meanwhile_stays_and_the_total_too(self, store: Store) -> None:
        job = running_job(store, trials=2)
        running = claimed(store, job.id)
        stored = store.replace_queued(job.id, [f"{job.id}-0", f"{job.id}-1"], suggestions(2, first=10))
        assert [(trial.number, trial.config["rank"]) for trial in stored] == [(1, 10)]
        assert store.get_trial(running.id) == running
        assert len(store.searched_trials(job.id)) == 2

    def test_a_requeued_trial_is_no_suggestion_any_more(self, store: Store) -> None:
        job = running_job(store, trials=1)
        lost = store.requeue_trial(claimed(store, job.id).id, 1, "gone")
        assert store.replace_queued(job.id, [lost.id], suggestions(1, first=10)) == ()
        assert store.get_trial(lost.id) == lost


class TestClaims:
    def test_trials_are_claimed_in_order_by_one_worker_each(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=2)
        a, b = claimed(store, job.id, "a", ttl=7), claimed(store, job.id, "b")
        assert (a.number, a.state, a.attempt, a.worker_id, a.started_at) == (0, "running", 1, "a", clock.now)
        assert a.lease_until is not None
        assert (a.lease_until - clock.now).total_seconds() == 7
        assert b.number == 1
        assert store.claim_trial(job.id, "c", 60) is None
        assert store.get_trial(a.id) == a

    def test_asking_again_returns_the_same_open_trial(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=2)
        first = claimed(store, job.id, ttl=10)
        clock.advance(20)  # its lease ran out, but nobody has taken the trial away
        again = claimed(store, job.id, ttl=10)
        assert (again.id, again.attempt) == (first.id, 1)
        assert store.requeue_expired() == ()
        store.finish_trial(outcome(again))
        assert claimed(store, job.id).number == 1

    def test_a_named_trial_can_be_claimed_out_of_turn(self, store: Store) -> None:
        job = running_job(store, trials=3)
        third = store.claim_trial(job.id, "w", 60, trial_id=f"{job.id}-2")
        assert third is not None
        assert third.number == 2
        assert store.claim_trial(job.id, "w", 60, trial_id=third.id) == third
        assert store.claim_trial(job.id, "x", 60, trial_id=third.id) is None
        second = store.claim_trial(job.id, "w", 60, trial_id=f"{job.id}-1")
        assert second is not None
        assert second.number == 1
        assert store.claim_trial(job.id, "w", 60, trial_id=third.id) == third
        assert store.claim_trial(job.id, "w", 60, trial_id=second.id) == second

    def test_a_paused_trial_goes_on_as_a_further_attempt(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        checkpoint = Artifact(sha256="c" * 64, size=7)
        paused = store.finish_trial(outcome(trial, status="paused", checkpoint=checkpoint))
        assert (paused.state, paused.lease_until, paused.finished_at) == ("paused", None, None)
        for named in (None, trial.id):  # nobody goes on unless the scheduler says so
            assert store.claim_trial(job.id, "w", 60, trial_id=named) is None
        clock.advance(5)
        assert [one.state for one in store.resume_trials(job.id, [Resumption(trial.id, 1)])] == ["queued"]
        again = store.claim_trial(job.id, "w", 60)
        assert again is not None
        assert (again.attempt, again.checkpoint, again.checkpoint_bytes) == (2, "c" * 64, 7)
        assert again.started_at == trial.started_at
        with pytest.raises(StaleAttempt):
            store.finish_trial(outcome(trial))

    @pytest.mark.parametrize("state", ["paused", "completed", "failed", "cancelled"])
    def test_a_job_that_does_not_run_gives_nothing_out(self, store: Store, state: Literal["paused"]) -> None:
        job = running_job(store, trials=1)
        store.set_job_state(job.id, state)
        assert store.claim_trial(job.id, "w", 60) is None
        assert store.claim_trial(job.id, "w", 60, trial_id=f"{job.id}-0") is None


class TestLostWorkers:
    def test_an_expired_trial_is_queued_again_and_the_late_worker_fenced_off(
        self, store: Store, clock: ManualClock
    ) -> None:
        job = running_job(store, trials=1)
        late = claimed(store, job.id, "late", ttl=10)
        store.add_report(report(late, 1))
        clock.advance(10)
        (requeued,) = store.requeue_expired()
        assert (requeued.state, requeued.attempt, requeued.worker_id) == ("queued", 2, None)
        assert requeued.reason == "worker_lost: late in attempt 1: its lease ran out"
        assert store.requeue_expired() == ()
        assert not store.extend_trial_lease(late.id, 1, 10)
        for send in (lambda: store.add_report(report(late, 2)), lambda: store.finish_trial(outcome(late))):
            with pytest.raises(StaleAttempt, match=r"attempt 1 .* now queued in attempt 2"):
                send()
        again = claimed(store, job.id, "other")
        assert (again.attempt, again.reason, again.started_at) == (2, None, late.started_at)
        with pytest.raises(StaleAttempt):
            store.finish_trial(outcome(late))
        assert store.get_trial(late.id) == again
        assert [stored.step for stored in store.reports(late.id)] == [1]

    def test_heartbeats_keep_a_trial(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id, ttl=10)
        for _ in range(5):
            clock.advance(9)
            assert store.extend_trial_lease(trial.id, 1, 10)
            assert store.requeue_expired() == ()
        assert not store.extend_trial_lease(trial.id, 2, 10)

    def test_a_trial_fails_when_its_worker_was_lost_too_often(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=1, resources={"max_attempts": 2})
        for _ in range(2):
            claimed(store, job.id, ttl=10)
            clock.advance(10)
            (trial,) = store.requeue_expired()
        assert (trial.state, trial.attempt, trial.finished_at) == ("failed", 2, clock.now)
        assert trial.reason is not None
        assert trial.reason.startswith("worker_lost")
        assert store.counts(job.id)["failed"] == 1
        assert store.claim_trial(job.id, "w", 60) is None

    def test_pauses_are_not_losses(self, store: Store) -> None:
        job = running_job(store, trials=1, resources={"max_attempts": 2})
        for _ in range(4):
            trial = store.claim_trial(job.id, "w", 60, trial_id=f"{job.id}-0")
            assert trial is not None
            store.finish_trial(outcome(trial, status="paused"))
            store.resume_trials(job.id, [Resumption(trial.id, trial.attempt)])
        trial = store.claim_trial(job.id, "w", 60, trial_id=f"{job.id}-0")
        assert trial is not None
        assert trial.attempt == 5
        assert store.requeue_trial(trial.id, 5, "gone").state == "queued"

    def test_the_next_attempt_starts_from_the_last_reported_checkpoint(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        for step, mark in ((1, "a"), (2, "b"), (3, None)):
            checkpoint = Artifact(sha256=mark * 64, size=step) if mark else None
            store.add_report(report(trial, step).model_copy(update={"checkpoint": checkpoint}))
        requeued = store.requeue_trial(trial.id, 1, "gone")
        assert (requeued.checkpoint, requeued.checkpoint_bytes) == ("b" * 64, 2)

    def test_a_running_trial_of_an_ended_job_is_stopped_instead(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=1)
        claimed(store, job.id, ttl=10)
        store.set_job_state(job.id, "cancelled")
        clock.advance(10)
        (trial,) = store.requeue_expired()
        assert (trial.state, trial.finished_at) == ("stopped", clock.now)

    def test_several_jobs_are_cleared_at_once(self, store: Store, clock: ManualClock) -> None:
        jobs = [running_job(store, trials=2) for _ in range(3)]
        for job in jobs:
            claimed(store, job.id, "a", ttl=5)
            claimed(store, job.id, "b", ttl=500)
        clock.advance(6)
        assert {trial.id for trial in store.requeue_expired()} == {f"{job.id}-0" for job in jobs}

    def test_only_the_running_attempt_can_be_given_up(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        with pytest.raises(StaleAttempt):
            store.requeue_trial(trial.id, 2, "gone")
        with pytest.raises(NotFound):
            store.requeue_trial(f"{job.id}-9", 1, "gone")

    def test_a_worker_that_leaves_hands_its_trial_over_with_its_newest_checkpoint(self, store: Store) -> None:
        job = running_job(store, trials=1, resources={"max_attempts": 1})
        for number in range(1, 4):  # it costs no attempt, however often
            trial = claimed(store, job.id)
            old, new = (Artifact(sha256=sign * 64, size=number) for sign in "ab")
            store.add_report(report(trial, number).model_copy(update={"checkpoint": old}))
            left = outcome(trial, status="interrupted", checkpoint=new)
            after = store.finish_trial(left)
            assert (after.state, after.attempt, after.metrics) == ("queued", number + 1, trial.metrics)
            assert (after.checkpoint, after.checkpoint_bytes) == ("b" * 64, number)
            assert after.reason is not None
            assert after.reason.startswith("handed_back: ")
            with pytest.raises(StaleAttempt):
                store.finish_trial(left)
        assert claimed(store, job.id).checkpoint == "b" * 64
        assert store.counts(job.id) == store.counts(job.id) | {"running": 1, "queued": 0}

    def test_a_worker_that_leaves_without_a_checkpoint_keeps_the_one_there_was(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        store.add_report(report(trial, 1).model_copy(update={"checkpoint": Artifact(sha256="a" * 64, size=1)}))
        assert store.finish_trial(outcome(trial, status="interrupted")).checkpoint == "a" * 64

    def test_in_a_job_that_is_over_nobody_goes_on(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        store.set_job_state(job.id, "cancelled")
        assert store.finish_trial(outcome(trial, status="interrupted")).state == "stopped"


class TestOutcomes:
    def test_everything_it_says_is_kept(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        clock.advance(30)
        said = outcome(
            trial,
            adapter=Artifact(sha256="a" * 64, size=123),
            engine="reference",
            engine_reason="dropout",
            environment={"torch": "2.13.0"},
        )
        ended = store.finish_trial(said)
        assert store.get_trial(trial.id) == ended
        assert (ended.adapter, ended.adapter_bytes, ended.engine, ended.engine_reason) == (
            "a" * 64, 123, "reference", "dropout"
        )  # fmt: skip
        assert (ended.state, ended.metrics, ended.environment) == ("completed", said.metrics, {"torch": "2.13.0"})
        assert (ended.finished_at, ended.lease_until, ended.worker_id) == (clock.now, None, "worker")

    def test_the_same_outcome_again_changes_nothing(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        ended = store.finish_trial(outcome(trial))
        events, version = store.events_after(0), store.get_job(job.id).version
        clock.advance(5)
        assert store.finish_trial(outcome(trial)) == ended
        assert (store.events_after(0), store.get_job(job.id).version) == (events, version)

    def test_another_outcome_of_the_same_attempt_is_a_conflict(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        ended = store.finish_trial(outcome(trial, accuracy=0.5))
        with pytest.raises(Conflict, match="completed"):
            store.finish_trial(outcome(trial, accuracy=0.6))
        assert store.get_trial(trial.id) == ended

    def test_metrics_that_are_not_numbers_count_as_not_measured(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        said = outcome(trial, status="failed", reason="nan_loss: at step 3")
        ended = store.finish_trial(
            said.model_copy(update={"metrics": {"accuracy": float("nan"), "loss": float("inf"), "seconds": 1.5}})
        )
        assert ended.metrics == {"seconds": 1.5}
        assert ended.reason == "nan_loss: at step 3"

    def test_a_reason_that_a_database_cannot_hold_does_not_cost_the_result(self, store: Store) -> None:
        job = running_job(store, trials=1)
        said = outcome(claimed(store, job.id), status="failed", reason="exception: bad byte \x00")
        assert store.finish_trial(said).reason == "exception: bad byte \ufffd"

    def test_nobody_ends_a_trial_that_nobody_has_claimed(self, store: Store) -> None:
        job = running_job(store, trials=1)
        (queued,) = store.searched_trials(job.id)
        with pytest.raises(StaleAttempt):
            store.finish_trial(outcome(queued))
        with pytest.raises(NotFound):
            store.finish_trial(outcome(queued).model_copy(update={"trial_id": f"{job.id}-7"}))

    @pytest.mark.parametrize("status", ["completed", "stopped", "failed"])
    def test_a_paused_trial_can_be_ended_where_it_stands(
        self, store: Store, status: Literal["completed", "stopped", "failed"]
    ) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        paused = store.finish_trial(outcome(trial, status="paused"))
        said = outcome(trial, status=status, reason="not promoted").model_copy(update={"metrics": {}})
        ended = store.finish_trial(said)
        assert (ended.state, ended.metrics) == (status, paused.metrics)


def test_the_table_of_transitions_names_every_state() -> None:
    assert set(TRIAL_TRANSITIONS) == set(get_args(TrialState))
    assert set().union(*TRIAL_TRANSITIONS.values()) == set(get_args(TrialState))


class TestLists:
    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("sort", ["number", "accuracy", "no such metric"])
    def test_pages_hold_every_trial_once_in_order(self, store: Store, sort: str, descending: bool) -> None:
        job = running_job(store)
        for accuracy in (0.3, 0.1 + 0.2, 1e-300, 0.5, 0.3, 0.123456789012345678):
            completed(store, job.id, accuracy, 1)
        store.add_trials(job.id, suggestions(3))  # without metrics
        trials = []
        cursor = None
        while True:
            page = store.list_trials(job.id, sort=sort, descending=descending, cursor=cursor, limit=2)
            trials += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(trial.number for trial in trials) == list(range(9))
        if sort == "number":
            assert [trial.number for trial in trials] == sorted(range(9), reverse=descending)
        elif sort == "accuracy":
            measured = [trial.metrics["accuracy"] for trial in trials[:6]]
            assert measured == sorted(measured, reverse=descending)
        else:
            assert [trial.number for trial in trials] == list(range(9))

    def test_states_can_be_chosen(self, store: Store) -> None:
        job = running_job(store, trials=3)
        ended = store.finish_trial(outcome(claimed(store, job.id)))
        running = claimed(store, job.id)
        assert store.list_trials(job.id, states=["completed", "running"]).items == (ended, running)
        assert store.list_trials(job.id, states=[]).items == ()

    def test_a_metric_is_a_name_and_no_query(self, store: Store) -> None:
        job = running_job(store, trials=1)
        for odd in ("a.b", "a'b", 'a"b', "$[0]", "a; DROP TABLE trials", ""):
            assert len(store.list_trials(job.id, sort=odd).items) == 1

    def test_a_cursor_of_another_order_is_refused(self, store: Store) -> None:
        job = running_job(store, trials=3)
        cursor = store.list_trials(job.id, limit=1).next_cursor
        with pytest.raises(BadInput, match="same order"):
            store.list_trials(job.id, sort="accuracy", cursor=cursor)
        with pytest.raises(BadInput, match="same order"):
            store.list_trials(job.id, descending=True, cursor=cursor)


def test_specs_without_resources_use_the_default_number_of_attempts(store: Store) -> None:
    spec = {part: value for part, value in SPEC.items() if part != "resources"}
    job = store.create_job("a", spec)
    store.set_job_state(job.id, "running")
    store.add_trials(job.id, suggestions(1))
    states = [store.requeue_trial(f"{job.id}-0", claimed(store, job.id).attempt, "gone").state for _ in range(3)]
    assert states == ["queued", "queued", "failed"]
