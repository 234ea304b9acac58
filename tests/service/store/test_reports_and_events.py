"""Learning curves and the stream of events: nothing lost, nothing doubled, old attempts refused."""

from __future__ import annotations

import pytest

from service.errors import BadInput, NotFound, StaleAttempt
from service.store.store import Store
from tests.service.store.examples import ManualClock, claimed, completed, outcome, report, running_job, suggestions


class TestReports:
    def test_they_read_back_as_sent(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        sent = report(trial, 3, accuracy=0.25, train_loss=1 / 3)
        store.add_report(sent)
        (stored,) = store.reports(trial.id)
        assert (stored.trial_id, stored.attempt, stored.step, stored.created_at) == (trial.id, 1, 3, clock.now)
        assert (stored.epoch, stored.seconds, stored.metrics) == (sent.epoch, sent.seconds, sent.metrics)

    def test_a_repeated_report_is_accepted_and_changes_nothing(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        first = [report(trial, step) for step in (1, 2)]
        assert store.add_reports([*first, first[0]]) == (True, True, True)
        assert [event.payload["step"] for event in store.events_after(0) if event.kind == "trial.report"] == [1, 2]
        stored, events = store.reports(trial.id), store.events_after(0)
        again = [report(trial, 1), report(trial, 2, accuracy=0.9), report(trial, 3)]
        assert store.add_reports(again) == (True, True, True)
        assert store.reports(trial.id)[:2] == stored
        (new,) = store.events_after(events[-1].sequence)
        assert (new.kind, new.payload["step"]) == ("trial.report", 3)

    def test_a_batch_is_judged_report_by_report(self, store: Store) -> None:
        jobs = [running_job(store, trials=2) for _ in range(2)]
        a, b, c = claimed(store, jobs[0].id, "a"), claimed(store, jobs[0].id, "b"), claimed(store, jobs[1].id, "c")
        store.requeue_trial(b.id, 1, "gone")
        gone = report(a, 1).model_copy(update={"trial_id": f"{jobs[0].id}-99"})
        batch = [report(a, 1), report(b, 1), report(c, 1), gone, report(a, 2)]
        assert store.add_reports(batch) == (True, False, True, False, True)
        assert [stored.step for stored in store.reports(a.id)] == [1, 2]
        assert store.reports(b.id) == ()
        assert [stored.trial_id for stored in store.job_reports(jobs[1].id)] == [c.id]
        assert store.add_reports([]) == ()

    def test_late_reports_arrive_in_their_place(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        for step in (5, 1, 3):
            assert store.add_reports([report(trial, step)]) == (True,)
        assert [stored.step for stored in store.reports(trial.id)] == [1, 3, 5]

    def test_one_report_by_itself_must_not_go_backwards(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        for step in (1, 5, 1):  # one that is there already is the same report
            store.add_report(report(trial, step))
        with pytest.raises(BadInput, match="at least 5"):
            store.add_report(report(trial, 3))
        assert [stored.step for stored in store.reports(trial.id)] == [1, 5]

    def test_metrics_that_are_not_numbers_are_left_out(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        store.add_report(report(trial, 1, accuracy=0.5, train_loss=float("nan"), other=float("-inf")))
        assert store.reports(trial.id)[0].metrics == {"accuracy": 0.5}

    def test_one_report_tells_why_it_was_refused(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        store.finish_trial(outcome(trial))
        with pytest.raises(StaleAttempt, match="completed in attempt 1"):
            store.add_report(report(trial, 1))
        with pytest.raises(NotFound):
            store.add_report(report(trial, 1).model_copy(update={"trial_id": f"{job.id}-99"}))

    def test_curves_of_a_job_come_in_order_of_trials_and_attempts(self, store: Store) -> None:
        job = running_job(store, trials=11)
        for n in reversed(range(11)):
            trial = store.claim_trial(job.id, f"w{n}", 60, trial_id=f"{job.id}-{n}")
            assert trial is not None
            store.add_report(report(trial, 1))
        store.requeue_trial(f"{job.id}-3", 1, "gone")
        second = store.claim_trial(job.id, "x", 60, trial_id=f"{job.id}-3")
        assert second is not None
        store.add_report(report(second, 1))
        keys = [(int(stored.trial_id.rpartition("-")[2]), stored.attempt) for stored in store.job_reports(job.id)]
        assert keys == sorted([(n, 1) for n in range(11)] + [(3, 2)])


class TestEvents:
    def test_a_trials_life_can_be_read_from_them(self, store: Store, clock: ManualClock) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        store.add_report(report(trial, 1))
        clock.advance(1)
        store.finish_trial(outcome(trial))
        store.set_job_state(job.id, "completed", "budget used")
        events = store.events_after(0, job.id)
        assert [event.kind for event in events] == [
            *("job.state", "job.state", "trial.queued", "trial.running"),
            *("trial.report", "trial.completed", "front", "job.state"),
        ]
        queued, running, reported, ended, front, over = (event.payload for event in events[2:])
        assert queued["config"] == trial.config
        assert running["worker_id"] == "worker"
        assert (reported["trial_id"], reported["step"]) == (trial.id, 1)
        assert ended["on_front"]
        assert ended["metrics"]["accuracy"] == 0.5
        assert front == {"joined": [trial.id], "left": [], "size": 1}
        assert over == {"state": "completed", "reason": "budget used"}
        assert events[5].created_at == clock.now

    def test_a_stream_resumes_where_it_stopped(self, store: Store) -> None:
        jobs = [running_job(store, trials=5) for _ in range(2)]
        everything = store.events_after(0)
        assert [event.sequence for event in everything] == sorted({event.sequence for event in everything})
        read = []
        last = 0
        while batch := store.events_after(last, limit=3):
            assert len(batch) <= 3
            read += batch
            last = batch[-1].sequence
        assert tuple(read) == everything
        of_one = tuple(event for event in everything if event.job_id == jobs[1].id)
        assert store.events_after(0, jobs[1].id) == of_one
        assert store.events_after(of_one[2].sequence, jobs[1].id) == of_one[3:]

    def test_notes_can_be_added(self, store: Store) -> None:
        job = running_job(store)
        store.add_event(job.id, "note", {"text": "the surrogate could not be fitted"})
        assert store.events_after(0, job.id)[-1].payload == {"text": "the surrogate could not be fitted"}

    def test_refused_changes_leave_no_event(self, store: Store) -> None:
        job = running_job(store, trials=1)
        trial = claimed(store, job.id)
        store.requeue_trial(trial.id, 1, "gone")
        before = store.events_after(0)
        with pytest.raises(StaleAttempt):
            store.finish_trial(outcome(trial))
        store.add_reports([report(trial, 1)])
        assert store.events_after(0) == before


class TestFronts:
    def test_a_dominated_trial_never_joins_and_a_better_one_pushes_off(self, store: Store) -> None:
        job = running_job(store)
        assert store.front(job.id) == ()
        a = completed(store, job.id, 0.5, 100)
        worse = completed(store, job.id, 0.4, 100)
        equal = completed(store, job.id, 0.5, 100)
        smaller = completed(store, job.id, 0.3, 10)
        assert [trial.on_front for trial in (a, worse, equal, smaller)] == [True, False, True, True]
        assert [trial.id for trial in store.front(job.id)] == [a.id, equal.id, smaller.id]
        best = completed(store, job.id, 0.6, 50)
        assert [trial.id for trial in store.front(job.id)] == [best.id, smaller.id]
        assert store.get_job(job.id).front_size == 2
        event = store.events_after(0, job.id)[-1]
        assert (event.kind, event.payload["joined"], sorted(event.payload["left"])) == (
            "front", [best.id], sorted([a.id, equal.id])
        )  # fmt: skip

    @pytest.mark.parametrize(
        "metrics",
        [
            {"accuracy": 0.9, "trainable_params": 1, "latency_ms": 20.1},
            {"accuracy": 0.9, "trainable_params": 1},
            {"accuracy": 0.9, "latency_ms": 1},
            {"accuracy": float("nan"), "trainable_params": 1, "latency_ms": 1},
        ],
        ids=["infeasible", "constraint not measured", "objective not measured", "objective not a number"],
    )
    def test_who_cannot_be_compared_stays_off(self, store: Store, metrics: dict[str, float]) -> None:
        job = running_job(store)
        a = completed(store, job.id, 0.5, 100)
        assert not completed(store, job.id, 0, 0, metrics=metrics).on_front
        assert [trial.id for trial in store.front(job.id)] == [a.id]

    def test_the_bound_of_a_constraint_is_allowed(self, store: Store) -> None:
        job = running_job(store)
        assert completed(
            store, job.id, 0, 0, metrics={"accuracy": 0.9, "trainable_params": 1, "latency_ms": 20}
        ).on_front

    @pytest.mark.parametrize("status", ["stopped", "failed", "paused"])
    def test_only_completed_trials_join(self, store: Store, status: str) -> None:
        job = running_job(store)
        assert not completed(store, job.id, 0.9, 1, status=status).on_front
        assert store.front(job.id) == ()

    def test_jobs_do_not_share_a_front(self, store: Store) -> None:
        one, other = running_job(store), running_job(store)
        a, b = completed(store, one.id, 0.5, 100), completed(store, other.id, 0.9, 1)
        assert [trial.id for trial in store.front(one.id)] == [a.id]
        assert [trial.id for trial in store.front(other.id)] == [b.id]

    def test_one_objective_has_a_front_too(self, store: Store) -> None:
        job = running_job(store, objectives=[{"metric": "accuracy", "direction": "maximize"}], constraints=[])
        completed(store, job.id, 0.5, 1)
        best = completed(store, job.id, 0.6, 2)
        completed(store, job.id, 0.4, 3)
        assert [trial.id for trial in store.front(job.id)] == [best.id]

    def test_recomputing_from_everything_agrees_with_trial_by_trial(self, store: Store) -> None:
        job = running_job(store)
        for n in range(30):
            completed(store, job.id, (n * 37 % 101) / 101, n * 53 % 97)
        kept = store.front(job.id)
        without = {**job.spec, "constraints": []}
        assert len(kept) > 2
        store.extend_job(job.id, without)  # every trial meets the constraint: the front must be the same
        assert store.front(job.id) == kept
        assert store.get_job(job.id).front_size == len(kept)


def test_suggestions_dropped_and_replaced_are_told(store: Store) -> None:
    job = running_job(store, trials=2)
    last = store.events_after(0)[-1].sequence
    store.replace_queued(job.id, [f"{job.id}-0", f"{job.id}-1"], suggestions(1, first=7))
    told = [(event.kind, event.payload["number"]) for event in store.events_after(last)]
    assert told == [("trial.dropped", 1), ("trial.queued", 0)]


def test_a_week_after_a_job_its_reports_are_no_longer_told_and_all_else_is(store: Store, clock: ManualClock) -> None:
    over, extended, going = running_job(store, trials=1), running_job(store, trials=1), running_job(store, trials=1)
    for job in (over, extended, going):
        trial = claimed(store, job.id)
        store.add_reports([report(trial, step) for step in (1, 2, 3)])
        store.finish_trial(outcome(trial))
    for job in (over, extended):
        store.set_job_state(job.id, "completed")
    told, curve = store.events_after(0, over.id), store.job_reports(over.id)
    clock.advance(60)
    assert store.forget_reports(age=60, limit=2) == 0  # not yet longer than that
    clock.advance(1)
    store.extend_job(extended.id, extended.spec)
    assert [store.forget_reports(age=60, limit=2) for _ in range(3)] == [2, 1, 0]
    assert store.events_after(0, over.id) == tuple(event for event in told if event.kind != "trial.report")
    assert store.job_reports(over.id) == curve
    for job in (extended, going):
        assert sum(event.kind == "trial.report" for event in store.events_after(0, job.id)) == 3


def test_curves_join_attempts_and_leave_out_what_was_lost(store: Store) -> None:
    job = running_job(store, trials=3)
    first = claimed(store, job.id)
    store.add_reports([report(first, step) for step in (1, 2, 3)])
    store.requeue_trial(first.id, first.attempt, "its worker died")
    again = claimed(store, job.id)
    store.add_reports([report(again, step, accuracy=0.9 + step / 100, loss=1.0) for step in (2, 3)])
    second = claimed(store, job.id, "another")
    store.add_reports([report(second, 1, loss=0.5)])
    curve, other = store.curves(job.id, "accuracy", 10), store.curves(job.id, "loss", 10)
    assert [(one.number, one.epochs) for one in curve] == [(0, (0.1, 0.2, 0.3))]
    assert curve[0].values == pytest.approx((0.1, 0.92, 0.93))
    assert [(one.number, one.values) for one in other] == [(0, (1.0, 1.0)), (1, (0.5,))]
    assert [one.number for one in store.curves(job.id, "loss", 1)] == [1]
    assert store.curves("jnone", "loss", 10) == ()
