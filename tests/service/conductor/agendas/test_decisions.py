"""What a job needs next, from its trials alone."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.conductor.agendas.decisions import (
    HOPELESS_AFTER,
    Verdict,
    allot,
    in_order,
    seconds_active,
    verdict,
    wanted,
)
from service.conductor.mirror import TrialMirror
from service.jobs.search.spec import JobSpec
from tests.service.conductor.stored import stored_trial

START = datetime(2026, 1, 1, tzinfo=UTC)


def job_spec(trials: int, **budget: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "t",
            "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
            "space": {"preset": "lora"},
            "objectives": [{"metric": "accuracy", "direction": "maximize"}],
            "budget": {"trials": trials, **budget},
        }
    )


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("states", "budget", "ahead", "expected"),
    [
        ([], 10, 2, 2),
        (["queued"], 10, 2, 1),
        (["queued", "queued"], 10, 2, 0),
        (["running", "completed"], 3, 2, 1),  # the budget leaves one
        (["completed"] * 4, 3, 2, 0),  # more than the budget after it was lowered
    ],
)
def test_the_queue_is_filled_within_the_budget(states: list[Any], budget: int, ahead: int, expected: int) -> None:
    trials = TrialMirror(stored_trial(n, state) for n, state in enumerate(states))
    assert wanted(trials, budget, ahead) == expected


def test_only_suggestions_nobody_ever_claimed_may_be_replaced() -> None:
    assert stored_trial(0, "queued").replaceable
    assert not stored_trial(0, "running", attempt=1).replaceable
    assert not stored_trial(0, "queued", attempt=1).replaceable  # lost by its worker, half trained
    assert not stored_trial(0, "queued", origin="reference").replaceable
    assert not stored_trial(0, "queued", origin="user").replaceable


def test_active_time_is_the_union_of_training_times() -> None:
    trials = [
        stored_trial(0, "completed", started_at=at(0), finished_at=at(10)),
        stored_trial(1, "completed", started_at=at(5), finished_at=at(20)),
        stored_trial(2, "completed", started_at=at(6), finished_at=at(7)),
        stored_trial(3, "running", started_at=at(100)),  # the job was paused in between
        stored_trial(4, "queued"),
    ]
    assert seconds_active(trials, at(110)) == 30
    assert seconds_active([], at(110)) == 0


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


@given(spans)
def test_active_time_counts_every_second_once(pairs: list[tuple[int, int]]) -> None:
    trials = [
        stored_trial(n, "completed", started_at=at(min(pair)), finished_at=at(max(pair)))
        for n, pair in enumerate(pairs)
    ]
    covered = {second for a, b in pairs for second in range(min(a, b), max(a, b))}
    assert seconds_active(trials, at(1000)) == len(covered)


def test_a_job_goes_on_while_trials_are_open_or_wanted() -> None:
    assert verdict(TrialMirror([stored_trial(0, "running")]), job_spec(1), None, None) is None
    assert verdict(TrialMirror([stored_trial(0, "paused")]), job_spec(1), None, None) is None
    assert verdict(TrialMirror([stored_trial(0, "completed")]), job_spec(2), None, None) is None
    assert verdict(TrialMirror([]), job_spec(2), None, None) is None


def test_a_job_completes_when_its_budget_is_spent_or_nothing_more_will_come() -> None:
    done = [stored_trial(0, "completed"), stored_trial(1, "failed", reason="x")]
    assert verdict(TrialMirror(done), job_spec(2), None, None) == Verdict("completed", None)
    assert verdict(TrialMirror(done), job_spec(9), "time is up", None) == Verdict("completed", "time is up")
    assert verdict(TrialMirror(done), job_spec(9), None, "nobody proposes") == Verdict("failed", "nobody proposes")


def test_a_job_whose_every_trial_fails_stops_early_with_the_common_reason() -> None:
    def failed(number: int, reason: str) -> Any:
        return stored_trial(number, "failed", reason=reason)

    trials = [failed(n, f"out_of_memory: tried {n} MB") for n in range(HOPELESS_AFTER - 1)]
    assert verdict(TrialMirror(trials), job_spec(40), None, None) is None
    trials.append(failed(9, "nan_loss: at step 3"))
    found = verdict(TrialMirror([*trials, stored_trial(10, "running")]), job_spec(40), None, None)
    assert found is not None
    assert found.state == "failed"
    assert found.reason == "4 of 5 trials failed, none completed; most often: out_of_memory: tried 0 MB"
    trials.append(stored_trial(11, "completed"))
    assert verdict(TrialMirror(trials), job_spec(40), None, None) is None


def test_a_small_job_whose_every_trial_failed_has_failed() -> None:
    found = verdict(TrialMirror([stored_trial(0, "failed", reason="exception: boom")]), job_spec(1), None, None)
    assert found == Verdict("failed", "1 of 1 trials failed, none completed; most often: exception: boom")


def test_slots_go_to_whoever_runs_fewest() -> None:
    assert Counter(allot(4, {}, {"a": 9, "b": 9})) == {"a": 2, "b": 2}
    assert Counter(allot(3, {"a": 3, "b": 0}, {"a": 9, "b": 9})) == {"b": 3}
    assert Counter(allot(4, {"a": 0, "b": 0}, {"a": 1, "b": 9})) == {"a": 1, "b": 3}
    assert allot(3, {}, {}) == ()
    assert allot(0, {}, {"a": 1}) == ()


@given(
    st.integers(0, 12),
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4),
)
def test_no_slot_is_wasted_and_no_job_gets_more_than_it_can_start(free: int, jobs: dict[str, tuple[int, int]]) -> None:
    running = {job: counts[0] for job, counts in jobs.items()}
    startable = {job: counts[1] for job, counts in jobs.items()}
    given_out = Counter(allot(free, running, startable))
    assert given_out.total() == min(free, sum(startable.values()))
    assert all(given_out[job] <= startable[job] for job in given_out)


def test_begun_trials_start_before_new_ones() -> None:
    new, lost, paused = stored_trial(2, "queued"), stored_trial(7, "queued", attempt=1), stored_trial(1, "paused")
    assert in_order(TrialMirror([new, lost, paused])) == [lost, new]
    assert in_order(TrialMirror([stored_trial(1, "running")])) == []
