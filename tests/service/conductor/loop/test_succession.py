"""Conductors that die, leave or follow one another: nothing is lost, nothing trained twice."""

from __future__ import annotations

import threading

import pytest

from service.conductor.loop import LEASE
from service.conductor.takeover import SUSPECT_AFTER, take_over
from service.errors import Unavailable
from service.store.nodes import Node
from service.store.store import Store
from tests.service.conductor.computing_executor import ComputingExecutor, complete
from tests.service.conductor.loop.conducting import Clock, Make, is_over, never_ending, submit, tick_until


def test_a_successor_goes_on_where_a_dead_conductor_of_the_same_home_left(
    make: Make, store: Store, clock: Clock
) -> None:
    dead = ComputingExecutor(script=lambda assignment: complete(assignment)[:1])
    job = submit(store)
    tick_until(make(dead, "home.a"), clock, lambda: len(dead.started) == 2)
    take_over(store, "home.")  # the home's lock was free, so its holder is dead
    assert {trial.state for trial in store.searched_trials(job.id)} == {"queued"}
    successor = ComputingExecutor()
    started = clock.seconds
    tick_until(make(successor, "home.b"), clock, lambda: len(successor.started) >= 2, step=0.1)
    assert clock.seconds - started < LEASE / 3  # no waiting for leases to run out
    tick_until(make(successor, "home.b"), clock, is_over(store, job))
    assert {trial.attempt for trial in store.searched_trials(job.id)} == {1, 2}
    assert {trial.state for trial in store.searched_trials(job.id)} == {"completed"}


def test_a_service_that_dies_again_and_again_under_one_trial_suspects_it_at_last(
    make: Make, store: Store, clock: Clock
) -> None:
    job = submit(store, resources={"max_attempts": 1}, budget={"trials": 1, "epochs": 1})
    for death in range(SUSPECT_AFTER):
        executor = ComputingExecutor(script=never_ending)
        tick_until(make(executor, f"home.{death}"), clock, lambda e=executor: len(e.started) == 1)  # type: ignore[misc]
        assert store.searched_trials(job.id)[0].state == "running"
        take_over(store, "home.")
    trial = store.searched_trials(job.id)[0]
    assert (trial.state, trial.attempt) == ("failed", SUSPECT_AFTER)


def test_a_conductor_of_another_home_waits_for_the_leases(make: Make, store: Store, clock: Clock) -> None:
    dead = ComputingExecutor(script=never_ending)
    job = submit(store)
    tick_until(make(dead, "home.a"), clock, lambda: len(dead.started) == 2)
    take_over(store, "elsewhere.")
    other = ComputingExecutor()
    conductor = make(other, "elsewhere.a")
    conductor.tick(wait=0)
    assert other.started == []
    clock.seconds += LEASE + 1
    tick_until(conductor, clock, is_over(store, job))
    assert {trial.state for trial in store.searched_trials(job.id)} == {"completed"}


def test_a_stopped_conductor_lets_trials_write_checkpoints_and_the_next_goes_on_from_them(
    make: Make, store: Store, clock: Clock
) -> None:
    executor = ComputingExecutor(script=never_ending)
    job, conductor = submit(store), make(executor)
    tick_until(conductor, clock, lambda: len(executor.started) == 2)
    conductor.hand_back()
    assert executor.abandoned == []
    begun = [trial for trial in store.searched_trials(job.id) if trial.attempt > 0]
    assert {(trial.state, trial.attempt, trial.checkpoint) for trial in begun} == {("queued", 2, "c" * 64)}
    after = ComputingExecutor()
    tick_until(make(after, "home.b"), clock, is_over(store, job))
    resumed = {one.trial_id: one.checkpoint for one in after.started if one.attempt == 2}
    assert resumed == {trial.id: executor.left for trial in begun}


def test_operators_see_what_a_conductor_trains_on_until_it_leaves(make: Make, store: Store) -> None:
    conductor = make()
    conductor.tick(wait=0)
    (seen,) = store.nodes_seen()
    assert (seen.conductor, seen.node.name, seen.node.resources[0].total) == (conductor.owner, "here", 2)
    conductor.hand_back()
    assert store.nodes_seen() == ()


def test_a_cluster_that_cannot_be_looked_at_stops_no_job(
    make: Make, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[Node]:
        raise KeyError("NodeID")

    executor = ComputingExecutor()
    monkeypatch.setattr(executor, "nodes", broken)
    job = submit(store)
    tick_until(make(executor), clock, is_over(store, job))
    assert store.get_job(job.id).state == "completed"
    assert any("looked at" in record.message and record.exc_info for record in caplog.records)


def test_a_conductor_that_cannot_say_that_it_leaves_leaves_all_the_same(
    make: Make, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("the database does not answer")

    job, conductor = submit(store), make(ComputingExecutor(script=never_ending))
    tick_until(conductor, clock, lambda: store.get_job(job.id).lease_owner is not None)
    stop = threading.Event()
    stop.set()
    monkeypatch.setattr(store, "tell_nodes", away)
    conductor.run(stop)
    assert store.get_job(job.id).lease_owner is None


def test_a_stopped_conductor_waits_for_nobody_for_long(make: Make, store: Store, clock: Clock) -> None:
    def time_passes() -> None:
        clock.seconds += 1

    executor = ComputingExecutor(script=never_ending, left=None, waits=time_passes)
    job, conductor = submit(store), make(executor)
    tick_until(conductor, clock, lambda: len(executor.started) == 2)
    conductor.hand_back()
    assert sorted(executor.abandoned) == sorted(one.trial_id for one in executor.started)
    assert {trial.state for trial in store.searched_trials(job.id)} == {"queued"}
    assert store.get_job(job.id).lease_owner is None


def test_a_trial_taken_from_us_is_ended(make: Make, store: Store, clock: Clock) -> None:
    executor = ComputingExecutor(script=never_ending)
    job, conductor = submit(store), make(executor)
    tick_until(conductor, clock, lambda: len(executor.started) == 2)
    store.requeue_trial(f"{job.id}-0", 1, "somebody else says so")
    clock.seconds += LEASE / 2
    conductor.tick(wait=0)
    assert executor.abandoned == [f"{job.id}-0"]
    assert (executor.started[-1].trial_id, executor.started[-1].attempt) == (f"{job.id}-0", 2)
