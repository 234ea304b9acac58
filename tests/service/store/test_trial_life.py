"""The life of trials, at random: whatever workers and clocks do, no trial is lost and none completes twice.

A plain model in Python says what the store must answer; hypothesis looks for a sequence of calls where they differ.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from service.errors import Conflict, StaleAttempt
from service.store.records import Resumption
from service.store.store import Store, open_store
from tests.service.store.examples import ManualClock, outcome, report, running_job, suggestions

MAX_ATTEMPTS = 3
TTL = 10.0
workers = st.sampled_from(["ann", "bob", "cyd"])
picks = st.integers(0, 10_000)


@dataclass
class Expected:
    """A trial as the model knows it."""

    state: str = "queued"
    attempt: int = 0
    losses: int = 0
    worker: str | None = None
    expires: float = 0
    point: tuple[float, float] | None = None
    reports: set[tuple[int, int]] = field(default_factory=set)


class TrialLife(RuleBasedStateMachine):
    """Random claims, reports, outcomes, pauses, silences and replacements on one job."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.time = 0.0
        self.store: Store = open_store(self.url, self.clock)
        self.job = running_job(self.store, resources={"max_attempts": MAX_ATTEMPTS}).id
        self.trials: dict[str, Expected] = {}

    def teardown(self) -> None:
        self.store.delete_job(self.job)  # the next example uses the same database
        self.store.close()

    def pick(self, n: int) -> str:
        return sorted(self.trials)[n % len(self.trials)]

    def current(self, id: str) -> Any:
        return self.store.get_trial(id)

    @rule(n=st.integers(1, 3))
    def suggest(self, n: int) -> None:
        for trial in self.store.add_trials(self.job, suggestions(n)):
            assert trial.id not in self.trials
            self.trials[trial.id] = Expected()

    @rule(worker=workers)
    def claim(self, worker: str) -> None:
        held = [id for id, t in self.trials.items() if t.state == "running" and t.worker == worker]
        queued = [id for id, t in self.trials.items() if t.state == "queued"]
        trial = self.store.claim_trial(self.job, worker, TTL)
        by_number = sorted(held or queued, key=lambda id: int(id.rpartition("-")[2]))
        if not by_number:
            assert trial is None
            return
        assert trial is not None
        assert trial.id == by_number[0]
        expected = self.trials[trial.id]
        if not held:
            expected.attempt = expected.attempt or 1
        assert trial.attempt == expected.attempt
        expected.state, expected.worker, expected.expires = "running", worker, self.time + TTL

    @precondition(lambda self: self.trials)
    @rule(n=picks)
    def resume(self, n: int) -> None:
        id = self.pick(n)
        expected = self.trials[id]
        asked = [Resumption(id, expected.attempt)]
        if expected.state != "paused":
            with pytest.raises(Conflict):
                self.store.resume_trials(self.job, asked)
            return
        assert [trial.id for trial in self.store.resume_trials(self.job, asked)] == [id]
        expected.state, expected.worker, expected.attempt = "queued", None, expected.attempt + 1

    @precondition(lambda self: self.trials)
    @rule(n=picks, worker=workers)
    def claim_by_name(self, n: int, worker: str) -> None:
        id = self.pick(n)
        expected = self.trials[id]
        trial = self.store.claim_trial(self.job, worker, TTL, trial_id=id)
        if expected.state != "queued" and not (expected.state == "running" and expected.worker == worker):
            assert trial is None
            return
        expected.attempt = expected.attempt or 1
        expected.state, expected.worker, expected.expires = "running", worker, self.time + TTL
        assert trial is not None
        assert trial.attempt == expected.attempt

    @precondition(lambda self: self.trials)
    @rule(n=picks, back=st.integers(0, 2), step=st.integers(1, 5))
    def send_report(self, n: int, back: int, step: int) -> None:
        id = self.pick(n)
        expected = self.trials[id]
        attempt = expected.attempt - back
        sent = report(self.current(id), step).model_copy(update={"attempt": attempt})
        accepted = expected.state == "running" and back == 0
        assert self.store.add_reports([sent]) == (accepted,)
        if accepted:
            expected.reports.add((attempt, step))

    @precondition(lambda self: self.trials)
    @rule(
        n=picks,
        back=st.integers(0, 1),
        status=st.sampled_from(["completed", "completed", "stopped", "paused", "failed"]),
        accuracy=st.integers(0, 4),
        params=st.integers(0, 4),
    )
    def finish(self, n: int, back: int, status: str, accuracy: int, params: int) -> None:
        id = self.pick(n)
        expected = self.trials[id]
        said = outcome(self.current(id), accuracy, params, status=status)
        said = said.model_copy(update={"attempt": expected.attempt - back})
        if back or expected.state == "queued":
            with pytest.raises(StaleAttempt):
                self.store.finish_trial(said)
        elif expected.state == "running" or (expected.state == "paused" and status != "paused"):
            assert self.store.finish_trial(said).state == status
            assert self.store.finish_trial(said).state == status  # the answer got lost: the worker says it again
            expected.state = status
            if status == "completed":
                expected.point = (-accuracy, params)
        else:
            before = self.current(id)
            with suppress(Conflict):
                self.store.finish_trial(said)  # the very outcome that was stored would be accepted
            assert self.current(id) == before

    @precondition(lambda self: self.trials)
    @rule(n=picks, back=st.integers(0, 1))
    def heartbeat(self, n: int, back: int) -> None:
        id = self.pick(n)
        expected = self.trials[id]
        alive = expected.state == "running" and back == 0
        assert self.store.extend_trial_lease(id, expected.attempt - back, TTL) == alive
        if alive:
            expected.expires = self.time + TTL

    @rule(seconds=st.sampled_from([1, 5, 10]))
    def wait(self, seconds: float) -> None:
        self.time += seconds
        self.clock.advance(seconds)

    @rule()
    def reap(self) -> None:
        lost = {id for id, t in self.trials.items() if t.state == "running" and t.expires <= self.time}
        assert {trial.id for trial in self.store.requeue_expired()} == lost
        for id in lost:
            expected = self.trials[id]
            expected.losses += 1
            if expected.losses == MAX_ATTEMPTS:
                expected.state = "failed"
            else:
                expected.state, expected.worker, expected.attempt = "queued", None, expected.attempt + 1

    @precondition(lambda self: self.trials)
    @rule(n=picks, m=picks, new=st.integers(0, 3))
    def replace(self, n: int, m: int, new: int) -> None:
        drop = {self.pick(n), self.pick(m)}
        free = sorted(
            (id for id in drop if self.trials[id].state == "queued" and self.trials[id].attempt == 0),
            key=lambda id: int(id.rpartition("-")[2]),
        )
        kept = max(0, new - (len(drop) - len(free)))
        stored = self.store.replace_queued(self.job, sorted(drop), suggestions(new))
        assert len(stored) == kept
        assert [trial.id for trial in stored[: len(free)]] == free[:kept]
        for id in free:
            del self.trials[id]
        for trial in stored:
            self.trials[trial.id] = Expected()

    @invariant()
    def the_store_agrees(self) -> None:
        stored = {trial.id: trial for trial in self.store.searched_trials(self.job)}
        assert {id: (t.state, t.attempt) for id, t in stored.items()} == {
            id: (t.state, t.attempt) for id, t in self.trials.items()
        }
        counts = Counter(expected.state for expected in self.trials.values())
        assert {state: n for state, n in self.store.counts(self.job).items() if n} == dict(counts)
        points = {id: t.point for id, t in self.trials.items() if t.point is not None}
        front = {
            id
            for id, (a, p) in points.items()
            if not any(b <= a and q <= p and (b, q) != (a, p) for b, q in points.values())
        }
        assert {id for id, trial in stored.items() if trial.on_front} == front
        assert self.store.get_job(self.job).front_size == len(front)

    @invariant()
    def the_events_agree(self) -> None:
        events = self.store.events_after(0, self.job, limit=100_000)
        ended = Counter(e.payload["trial_id"] for e in events if e.kind == "trial.completed")
        assert ended == Counter(id for id, expected in self.trials.items() if expected.point is not None)
        told = [
            (e.payload["trial_id"], e.payload["attempt"], e.payload["step"]) for e in events if e.kind == "trial.report"
        ]
        expected = [(id, *key) for id, t in self.trials.items() for key in t.reports]
        assert sorted(told) == sorted(expected)
        stored = [(r.trial_id, r.attempt, r.step) for r in self.store.job_reports(self.job)]
        assert sorted(stored) == sorted(expected)


@pytest.mark.slow
def test_no_trial_is_lost_and_none_completes_twice(store_url: str) -> None:
    machine = type("TrialLifeHere", (TrialLife,), {"url": store_url})
    budget = settings(
        max_examples=25 if store_url.startswith("sqlite") else 10,
        stateful_step_count=30,
        deadline=None,  # the machine may be busy
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=budget)  # type: ignore[no-untyped-call]
