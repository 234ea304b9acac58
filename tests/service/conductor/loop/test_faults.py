"""What fails fails alone: a job that cannot be built, a database that is away, a disk that is full."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from service.conductor.loop import LEASE
from service.conductor.training.executor import Work
from service.conductor.training.packs import Packs
from service.conductor.training.placement import Shape
from service.errors import Unavailable
from service.jobs.search.spec import JobSpec
from service.store.records import Job, Trial
from service.store.store import Store
from tests.patience import wait_until
from tests.service.conductor.computing_executor import ComputingExecutor
from tests.service.conductor.loop.conducting import SPEC, Clock, Make, is_over, never_ending, submit, tick_until
from workers.assignment import Outcome


def test_a_job_whose_problem_cannot_be_built_fails_with_the_reason_and_spares_the_others(
    make: Make, store: Store, clock: Clock, tmp_path: Path
) -> None:
    task = {"model": str(tmp_path / "gone"), "train": "builtin:pydocs"}
    broken, sound = submit(store, task=task), submit(store)
    tick_until(make(), clock, is_over(store, sound))
    assert store.get_job(broken.id).state == "failed"
    assert "gone" in str(store.get_job(broken.id).reason)
    assert store.get_job(sound.id).state == "completed"


def test_an_outage_of_the_database_loses_no_message(
    make: Make, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, conductor = submit(store), make()
    healthy, outages = store.finish_trial, iter(range(3))

    def finish(outcome: Outcome) -> Any:
        if next(outages, None) is not None:
            raise Unavailable("the database does not answer")
        return healthy(outcome)

    monkeypatch.setattr(store, "finish_trial", finish)

    def tick() -> None:
        try:
            conductor.tick(wait=0)
        except Unavailable:
            clock.seconds += 1
        clock.seconds += 0.5

    wait_until(is_over(store, job), "the job ends", every=0.005, meanwhile=tick)
    assert store.counts(job.id)["completed"] == 6
    assert all(len(store.reports(trial.id)) == 2 for trial in store.searched_trials(job.id))


def test_what_a_full_disk_kept_from_being_stored_is_stored_later_and_not_trained_again(
    make: Make, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, executor = submit(store), ComputingExecutor()
    conductor = make(executor)
    tick_until(conductor, clock, lambda: len(executor.started) == 2)
    _limit_pages(store, 1)  # less than it has: SQLite takes what it has for the limit, so the file cannot grow
    with pytest.raises(Unavailable, match="full"):
        _fill(store, job)
    tried: list[float] = []

    def renew(*_: object) -> bool:  # SQLite would still find room for it in the page
        tried.append(clock.seconds)
        raise Unavailable("database or disk is full")

    start = clock.seconds
    with monkeypatch.context() as patched:
        patched.setattr(store, "extend_job_lease", renew)
        # Four times as long as a lease, and then until just after a renewal failed: leases expire before the next one.
        while clock.seconds - start < 60 or tried[-1] != clock.seconds - 1.5:
            with suppress(Unavailable):
                conductor.tick(wait=0)
            clock.seconds += 1.5
    assert store.counts(job.id)["completed"] < 2
    _limit_pages(store, 1 << 30)
    tick_until(conductor, clock, is_over(store, job))
    assert sorted(one.trial_id for one in executor.started) == sorted(one.id for one in store.searched_trials(job.id))
    assert {trial.attempt for trial in store.searched_trials(job.id)} == {1}


def _fill(store: Store, job: Job) -> None:
    """Until there is no room for a line more."""
    for length in (4000, 100, 1):
        with suppress(Unavailable):
            for _ in range(10_000):
                store.add_event(job.id, "note", {"message": "x" * length})
    store.add_event(job.id, "note", {"message": "x"})


def _limit_pages(store: Store, pages: int) -> None:
    store._database.write(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={pages}"))


def test_nobody_is_taken_for_hanging_while_the_disk_is_full(make: Make, store: Store, clock: Clock) -> None:
    full = [True]
    conductor = make(executor := ComputingExecutor(script=never_ending))
    conductor.has_room = lambda: not full[0]
    submit(store)
    tick_until(conductor, clock, lambda: clock.seconds > 10_000, step=100)
    assert (len(executor.started), executor.abandoned) == (2, [])
    full[0] = False
    tick_until(conductor, clock, lambda: bool(executor.abandoned), step=100)


def test_a_fault_in_the_scheduler_fails_its_job_only(
    make: Make, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("a rung of width 0")

    monkeypatch.setattr("optimizers.schedulers.halving.Asha.decide", broken)
    faulty, sound = submit(store, scheduler={"name": "asha"}), submit(store)
    conductor = make()
    tick_until(conductor, clock, lambda: is_over(store, faulty)() and is_over(store, sound)())
    assert (store.get_job(faulty.id).state, store.get_job(sound.id).state) == ("failed", "completed")
    assert store.get_job(faulty.id).reason == "ZeroDivisionError: a rung of width 0"


class Refusing(ComputingExecutor):
    """Cannot start trials of jobs that ask for two cores, as Ray cannot start some that it is asked for."""

    def start(self, assignments: Sequence[Work], shape: Shape, places: int = 1) -> None:
        if shape.cpus == 2:
            raise ValueError("no such resources")
        super().start(assignments, shape, places)


def test_what_cannot_be_started_fails_its_job_only(make: Make, store: Store, clock: Clock) -> None:
    faulty, sound = submit(store, resources={"cpus_per_trial": 2}), submit(store)
    tick_until(make(Refusing()), clock, lambda: is_over(store, faulty)() and is_over(store, sound)())
    assert (store.get_job(faulty.id).state, store.get_job(sound.id).state) == ("failed", "completed")
    assert store.get_job(faulty.id).reason == "ValueError: no such resources"


@pytest.mark.parametrize("step", ["finish_trial", "add_reports"])
def test_what_cannot_be_stored_fails_its_job_only(
    make: Make, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    faulty, sound = submit(store), submit(store)
    real = getattr(store, step)

    def broken(told: Any) -> Any:
        if any(one.trial_id.startswith(faulty.id) for one in (told if isinstance(told, list) else [told])):
            raise OverflowError("a number that no database holds")
        return real(told)

    monkeypatch.setattr(store, step, broken)
    conductor = make()
    tick_until(conductor, clock, lambda: is_over(store, faulty)() and is_over(store, sound)())
    assert (store.get_job(faulty.id).state, store.get_job(sound.id).state) == ("failed", "completed")
    assert store.get_job(faulty.id).reason == "OverflowError: a number that no database holds"
    tick_until(conductor, clock, lambda: not store.get_job(faulty.id).counts["running"], step=LEASE)


def test_what_cannot_be_learnt_from_an_outside_worker_fails_its_job_only(
    make: Make, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = {"budget": {"trials": 2, "epochs": 1}}
    faulty, sound = submit(store, resources={"executor": "external"}, **references), submit(store, **references)
    real = Packs.learn

    def broken(packs: Packs, trial: Trial) -> None:
        if trial.job_id == faulty.id:
            raise OverflowError("a number that no model of costs takes")
        real(packs, trial)

    monkeypatch.setattr(Packs, "learn", broken)
    conductor = make()
    tick_until(conductor, clock, lambda: store.counts(faulty.id)["queued"] == 2)
    trial = store.claim_trial(faulty.id, "outside", 60)
    assert trial is not None
    store.finish_trial(Outcome(trial_id=trial.id, attempt=1, status="completed", metrics={"accuracy": 0.5}))
    tick_until(conductor, clock, lambda: is_over(store, faulty)() and is_over(store, sound)())
    assert (store.get_job(faulty.id).state, store.get_job(sound.id).state) == ("failed", "completed")
    assert store.get_job(faulty.id).reason == "OverflowError: a number that no model of costs takes"


def test_a_job_stored_with_what_is_refused_today_fails_alone(make: Make, store: Store, clock: Clock) -> None:
    spec = JobSpec.model_validate(SPEC).model_dump(mode="json")
    faulty = store.create_job("old", spec | {"resources": spec["resources"] | {"cpus_per_trial": 1e-05}})
    sound = submit(store)
    tick_until(make(), clock, lambda: is_over(store, faulty)() and is_over(store, sound)())
    assert (store.get_job(faulty.id).state, store.get_job(sound.id).state) == ("failed", "completed")
