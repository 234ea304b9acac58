"""The conductor on a real store, with a real proposer; trials are computed instead of trained."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.conductor.agendas.search import search_run
from service.conductor.loop import GRACE, LEASE, Conductor
from service.conductor.proposing.proposer import Proposer, Reply, Request
from service.conductor.takeover import SUSPECT_AFTER, take_over
from service.conductor.training.executor import Lost, Work
from service.conductor.training.packs import Packs
from service.conductor.training.placement import MOST_MEMBERS, Machine, Shape
from service.errors import Conflict, Unavailable
from service.jobs.search.spec import JobSpec
from service.jobs.seeds import confirmation_seed, trial_seed
from service.store.nodes import Node
from service.store.records import Job, Trial
from service.store.store import Store, open_store
from tests.service.conductor.computing_executor import ComputingExecutor, accuracy, complete
from tests.service.conductor.stored import stored_trial
from workers.assignment import Assignment, Outcome, Report
from workers.machine_speed import MachineSpeed

SPEC: dict[str, Any] = {
    "name": "ranks",
    "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
    "space": {"preset": "lora"},
    "objectives": [{"metric": "accuracy", "direction": "maximize"}],
    "optimizer": {"name": "random"},
    "budget": {"trials": 6, "epochs": 2},
    "seed": 3,
}


class Clock:
    """Time that passes when told to; one for wall clock and monotonic time."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/jobs.db", clock.now)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def proposer() -> Iterator[Proposer]:
    started = Proposer()
    yield started
    started.close()


Make = Callable[..., Conductor]


@pytest.fixture
def make(store: Store, clock: Clock, proposer: Proposer) -> Make:
    def conductor(executor: ComputingExecutor | None = None, owner: str = "home.a") -> Conductor:
        return Conductor(
            store, executor or ComputingExecutor(), proposer, owner, clock=clock.now, monotonic=clock.monotonic
        )

    return conductor


def submit(store: Store, **changes: Any) -> Job:
    spec = JobSpec.model_validate({**SPEC, **changes})
    return store.create_job(spec.name, spec.model_dump(mode="json"))


def never_ending(_: Assignment) -> list[Any]:
    """A trial that sends nothing."""
    return []


def tick_until(conductor: Conductor, clock: Clock, done: Callable[[], bool], step: float = 0.5) -> None:
    """Tick until `done`; the proposer is a real process, so real time may pass, too."""
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, "the conductor does not get there"
        conductor.tick(wait=0)
        clock.seconds += step
        time.sleep(0.005)


def is_over(store: Store, job: Job) -> Callable[[], bool]:
    return lambda: store.get_job(job.id).state in ("completed", "failed", "cancelled")


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
    while store.get_job(job.id).state == "running":
        trial = store.claim_trial(job.id, "outside", 60)
        if trial is not None:
            given = {"trial_id": trial.id, "attempt": trial.attempt}
            store.add_reports([Report(**given, step=1, epoch=1, seconds=1, metrics={"accuracy": 0.5})])
            store.finish_trial(Outcome(**given, status="completed", metrics={"accuracy": 0.5}))
        conductor.tick(wait=0)
        clock.seconds += 0.5
        time.sleep(0.005)
    assert executor.started == []
    assert store.counts(job.id)["completed"] == 6


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
    deadline = time.monotonic() + 60
    while not is_over(store, job)():
        assert time.monotonic() < deadline
        try:
            conductor.tick(wait=0)
        except Unavailable:
            clock.seconds += 1
        clock.seconds += 0.5
        time.sleep(0.005)
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


PACKED = {"pack": 3, "concurrency": 6}
LORA_ONLY: dict[str, Any] = {
    "method": "lora",
    "parameters": [
        {"type": "int", "name": "rank", "low": 1, "high": 32},
        {"type": "float", "name": "learning_rate", "low": 1e-4, "high": 1e-2, "scale": "log"},
    ],
}


def test_trials_of_a_packed_job_start_together_and_others_take_the_places_of_those_that_end(
    make: Make, store: Store, clock: Clock
) -> None:
    def script(assignment: Assignment) -> list[Any]:
        return complete(assignment)[1 if assignment.trial_id.endswith(("0", "3")) else 0 :]

    executor = ComputingExecutor(slots=1, script=script)
    job = submit(store, space=LORA_ONLY, resources=PACKED, budget={"trials": 10, "epochs": 2})
    tick_until(make(executor), clock, is_over(store, job))
    assert store.counts(job.id)["completed"] == 10
    assert executor.most_at_once == 3
    assert executor.boarded
    assert len(executor.packs) + len(executor.boarded) < 10


def test_what_cannot_be_packed_trains_alone_in_a_job_that_packs(make: Make, store: Store, clock: Clock) -> None:
    space = {**LORA_ONLY, "strategies": ["none", "spsa_gc"]}
    executor, budget = ComputingExecutor(slots=2), {"trials": 16, "epochs": 2}
    job = submit(store, space=space, resources=PACKED, budget=budget)
    tick_until(make(executor), clock, is_over(store, job))
    apart = {trial.id for trial in store.searched_trials(job.id) if trial.config.get("strategy") == "spsa_gc"}
    assert apart
    assert not apart & set(executor.boarded)
    assert all(len(pack) == 1 for pack in executor.packs if apart & set(pack))
    assert store.counts(job.id)["completed"] == 16


def test_a_job_with_a_gpu_for_each_trial_has_a_pack_on_each_gpu_without_a_word_about_packs(
    make: Make, store: Store, clock: Clock
) -> None:
    """A machine of two GPUs: trials are shared out between their workers, which have places for many."""
    executor = ComputingExecutor(slots=2, gpus=2)
    resources = {"gpus_per_trial": 1}
    job = submit(store, space=LORA_ONLY, resources=resources, reference_trials=False, budget={"trials": 8, "epochs": 2})
    tick_until(make(executor), clock, is_over(store, job))
    assert store.counts(job.id)["completed"] == 8
    assert {shape.gpus for shape, _ in executor.shapes} == {1}
    assert {places for _, places in executor.shapes} == {MOST_MEMBERS}
    assert len(executor.packs) + len(executor.boarded) <= 8
    together = [len(pack) + sum(executor.worker_of[one] == number for one in executor.boarded)
                for number, pack in enumerate(executor.packs)]  # fmt: skip
    assert min(together[:2]) > 1


def test_a_job_whose_gpu_gains_nothing_from_packs_has_none(make: Make, store: Store, clock: Clock) -> None:
    slow = MachineSpeed(threads={1: 1.0}, pack_gain=1.0, device="a GPU", device_bytes=80 * 10**9)
    executor = ComputingExecutor(slots=2, gpus=2, measured=slow)
    resources = {"gpus_per_trial": 1}
    job = submit(store, space=LORA_ONLY, resources=resources, reference_trials=False, budget={"trials": 6, "epochs": 2})
    tick_until(make(executor), clock, is_over(store, job))
    assert {len(pack) for pack in executor.packs} == {1}
    assert not executor.boarded


def test_a_job_that_waits_for_a_worker_is_not_kept_waiting_by_a_pack(make: Make, store: Store, clock: Clock) -> None:
    executor = ComputingExecutor(slots=1)
    first = submit(store, space=LORA_ONLY, resources=PACKED, budget={"trials": 12, "epochs": 2})
    conductor = make(executor)
    tick_until(conductor, clock, lambda: bool(executor.started))
    second = submit(store, resources={"pack": 1}, budget={"trials": 1, "epochs": 2})
    tick_until(conductor, clock, is_over(store, second))
    assert store.get_job(first.id).state == "running"


def test_a_pack_whose_worker_dies_goes_on_in_smaller_ones_and_nobody_is_blamed(
    make: Make, store: Store, clock: Clock
) -> None:
    executor = ComputingExecutor(slots=1)

    def script(assignment: Assignment) -> list[Any]:
        together = len(executor.packs[-1])
        if together == 1:
            return complete(assignment)
        return [Lost(assignment.trial_id, assignment.attempt, "its worker ran out of memory", together)]

    executor.script = script
    resources = {"pack": 4, "max_attempts": 1}
    job = submit(store, space=LORA_ONLY, resources=resources, reference_trials=False, budget={"trials": 4, "epochs": 2})
    tick_until(make(executor), clock, is_over(store, job))
    assert store.counts(job.id)["completed"] == 4
    sizes = [len(pack) for pack in executor.packs]
    assert max(sizes) > 1
    assert sizes[-4:] == [1, 1, 1, 1]
    notes = [event.payload["message"] for event in store.events_after(0, job.id) if event.kind == "note"]
    assert "at most 1 together from now on" in notes[-1]


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
