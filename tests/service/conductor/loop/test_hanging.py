"""Workers that say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from service.store.store import Store
from tests.service.conductor.computing_executor import ComputingExecutor, complete
from tests.service.conductor.loop.conducting import Clock, Make, is_over, never_ending, submit, tick_until
from workers.assignment import Assignment


@pytest.mark.slow
def test_a_worker_that_hangs_is_ended_and_its_trial_tried_again_with_the_attempt_counted(
    make: Make, store: Store, clock: Clock
) -> None:
    def script(assignment: Assignment) -> list[Any]:
        hangs = assignment.trial_id.endswith("-3") or (assignment.trial_id.endswith("-2") and assignment.attempt == 1)
        return complete(assignment)[:1] if hangs else complete(assignment)

    executor, job = ComputingExecutor(slots=2, script=script), submit(store)
    tick_until(make(executor), clock, is_over(store, job), step=4)
    once, always = store.get_trial(f"{job.id}-2"), store.get_trial(f"{job.id}-3")
    assert (once.state, once.attempt) == ("completed", 2)
    assert (always.state, always.attempt) == ("failed", 3)
    assert "hangs: no sign of life for" in str(always.reason)
    assert sorted(executor.abandoned) == [once.id, *[always.id] * 3]
    assert store.counts(job.id)["completed"] == 5


def test_a_slow_trial_is_not_taken_for_one_that_hangs(make: Make, store: Store, clock: Clock) -> None:
    executor, job = ComputingExecutor(slots=1, script=never_ending), submit(store, budget={"trials": 1, "epochs": 2})
    conductor = make(executor)
    tick_until(conductor, clock, lambda: bool(executor.started))
    clock.seconds += 3000  # loading a large model for the first time: nothing was measured yet
    conductor.tick(wait=0)
    assert executor.abandoned == []
    executor.running = {one.trial_id: complete(one) for one in executor.started}
    tick_until(conductor, clock, is_over(store, job))
    assert store.counts(job.id)["completed"] == 1
