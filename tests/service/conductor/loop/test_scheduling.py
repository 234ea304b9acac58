"""Which trials go on, and where: schedulers, and clusters that grow."""

from __future__ import annotations

from service.store.store import Store
from tests.service.conductor.computing_executor import ComputingExecutor, accuracy
from tests.service.conductor.loop.conducting import Clock, Make, is_over, submit, tick_until
from workers.assignment import Outcome


def test_the_scheduler_stops_the_worse_trials_and_never_a_reference(make: Make, store: Store, clock: Clock) -> None:
    executor = ComputingExecutor()

    def stop_when_told(trial_id: str, step: int, decision: str) -> None:
        del step
        if decision == "continue":
            return
        executor.signals.append((trial_id, "stop"))
        outcome = executor.running[trial_id][-1]
        assert isinstance(outcome, Outcome)
        assert decision == "stop"
        executor.running[trial_id] = [outcome.model_copy(update={"status": "stopped", "reason": "the scheduler"})]

    executor.answer = stop_when_told  # type: ignore[method-assign]
    job = submit(store, scheduler={"name": "asha", "options": {"grace": 1}}, budget={"trials": 12, "epochs": 2})
    tick_until(make(executor), clock, is_over(store, job))
    trials = store.searched_trials(job.id)
    stopped = [trial for trial in trials if trial.state == "stopped"]
    completed = [trial for trial in trials if trial.state == "completed" and trial.origin == "optimizer"]
    assert {trial.id for trial in stopped} == {trial_id for trial_id, _ in executor.signals}
    assert {trial.state for trial in trials if trial.origin == "reference"} == {"completed"}
    assert stopped
    assert max(accuracy(trial.config) for trial in stopped) <= max(accuracy(trial.config) for trial in completed)
    assert all(len(store.reports(trial.id)) == 1 for trial in stopped)


def test_a_cluster_that_grows_is_used_and_a_job_that_waits_for_it_says_so(
    make: Make, store: Store, clock: Clock
) -> None:
    executor = ComputingExecutor(slots=0)
    job, conductor = submit(store), make(executor)
    for _ in range(5):
        conductor.tick(wait=0)
        clock.seconds += 0.5
    assert executor.started == []
    notes = [event.payload["message"] for event in store.events_after(0, job.id) if event.kind == "note"]
    assert notes == ["waiting for resources: a trial needs 1 cores and 0 GPUs, there are 0 and 0 in all"]
    executor.slots = 3
    tick_until(conductor, clock, is_over(store, job))
    assert executor.most_at_once == 3
