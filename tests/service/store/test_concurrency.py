"""Many processes on one database: no lock errors, no trial twice, no event missed, and kill -9 is harmless."""

from __future__ import annotations

import itertools
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from service.errors import Unavailable
from service.store import engine
from service.store.records import Event
from service.store.store import Store, open_store
from tests.patience import wait_until
from tests.service.store import crowd
from tests.service.store.examples import SPEC, outcome, running_job

PROCESSES = 8
THREADS = 4


@pytest.fixture
def live_store(store_url: str) -> Iterator[Store]:
    """A store on real time."""
    store = open_store(store_url)
    yield store
    store.close()


def follow(store: Store, seen: list[Event]) -> None:
    """Read on from the last event seen, like a stream that resumes."""
    last = seen[-1].sequence if seen else 0
    seen += store.events_after(last, limit=10_000)


def check_books(store: Store, job_id: str) -> None:
    """The counters, the front and the events agree with the trials."""
    trials = store.searched_trials(job_id)
    job = store.get_job(job_id)
    states = Counter(trial.state for trial in trials)
    assert job.counts == {state: states[state] for state in job.counts}
    flagged = {trial.id for trial in trials if trial.on_front}
    assert job.front_size == len(flagged)
    points = {t.id: (-t.metrics["accuracy"], t.metrics["trainable_params"]) for t in trials if t.state == "completed"}
    dominated = {
        a
        for a, b in itertools.product(points, points)
        if all(y <= x for x, y in zip(points[a], points[b], strict=True)) and points[a] != points[b]
    }
    assert flagged == set(points) - dominated
    events = store.events_after(0, job_id, limit=100_000)
    ended = Counter(event.payload["trial_id"] for event in events if event.kind == "trial.completed")
    assert ended == Counter(points.keys())
    payloads = [event.payload for event in events if event.kind == "trial.report"]
    told = sorted((told["trial_id"], told["attempt"], told["step"]) for told in payloads)
    stored = sorted((report.trial_id, report.attempt, report.step) for report in store.job_reports(job_id))
    assert told == stored


@pytest.mark.slow
def test_thirty_two_workers_in_eight_processes_share_a_job(live_store: Store, store_url: str) -> None:
    job = running_job(live_store, trials=128)
    processes = [crowd.start(crowd.workers, store_url, job.id, f"p{n}", THREADS) for n in range(PROCESSES)]
    seen: list[Event] = []
    wait_until(
        lambda: not any(process.is_alive() for process in processes),
        "all workers end",
        every=0.02,
        meanwhile=lambda: follow(live_store, seen),
    )
    lists = crowd.results(processes)
    claimed = [trial_id for done in lists for trial_id in done]
    trials = live_store.searched_trials(job.id)
    assert sorted(claimed) == sorted(trial.id for trial in trials)
    assert all(trial.attempt == 1 and trial.state == "completed" for trial in trials)
    follow(live_store, seen)
    assert tuple(seen) == live_store.events_after(0, limit=100_000)
    check_books(live_store, job.id)


def _await_another(store: Store, job_id: str, workers: Sequence[crowd.Member]) -> None:
    """One more trial that is completed, or the end of all who could."""

    def completed() -> int:
        return store.counts(job_id)["completed"]

    before = completed()
    wait_until(lambda: completed() > before or not any(one.is_alive() for one in workers), "one more ends", every=0.01)


@pytest.mark.slow
def test_killed_workers_cost_nothing_but_their_attempt(live_store: Store, store_url: str) -> None:
    chance = random.Random(7)
    job = running_job(live_store, trials=150, resources={"max_attempts": 20})
    for round in range(6):
        processes = [crowd.start(crowd.workers, store_url, job.id, f"r{round}p{n}", 2) for n in range(3)]
        _await_another(live_store, job.id, processes)
        time.sleep(chance.uniform(0, 0.1))
        for process in processes:
            process.kill()
            process.join()
        for trial in live_store.searched_trials(job.id):
            if trial.state == "running":
                live_store.requeue_trial(trial.id, trial.attempt, "killed")
        check_books(live_store, job.id)
    crowd.results([crowd.start(crowd.workers, store_url, job.id, "last", 2)])
    assert live_store.counts(job.id)["completed"] == 150
    check_books(live_store, job.id)


@pytest.mark.slow
def test_a_job_can_be_deleted_under_its_workers(live_store: Store, store_url: str) -> None:
    job = running_job(live_store, trials=5000)
    members = [crowd.start(crowd.outlived, store_url, job.id, f"p{n}") for n in range(4)]
    wait_until(lambda: live_store.counts(job.id)["completed"] >= 5, "five trials are completed", every=0.01)
    live_store.delete_job(job.id)
    assert set(crowd.results(members)) <= {"job", "trial"}
    assert live_store.events_after(0) == ()
    assert live_store.job_reports(job.id) == ()


def test_several_processes_may_open_a_new_database_at_once(empty_url: str) -> None:
    assert crowd.results([crowd.start(crowd.opener, empty_url) for _ in range(PROCESSES)]) == [0] * PROCESSES


def test_one_key_makes_one_job_whoever_asks(live_store: Store, store_url: str) -> None:
    ids = crowd.results([crowd.start(crowd.creator, store_url, "key") for _ in range(PROCESSES)])
    assert len(set(map(str, ids))) == 1
    assert len(live_store.list_jobs().items) == 1


def test_conductors_share_jobs_out_among_themselves(live_store: Store, store_url: str) -> None:
    made = {live_store.create_job("a", SPEC).id for _ in range(40)}
    taken = crowd.results([crowd.start(crowd.leaser, store_url, f"conductor {n}") for n in range(4)])
    ids = [id for ids in taken for id in ids]
    assert sorted(ids) == sorted(made)


@pytest.mark.postgres
def test_connections_that_the_server_cut_are_replaced(postgres_tables: str) -> None:
    store = open_store(postgres_tables)
    job = running_job(store, trials=1)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s"
    with psycopg.connect(postgres_tables, autocommit=True) as other:
        assert other.execute(kill, [other.info.dbname]).fetchall() == [(True,)]
        assert store.get_job(job.id) == job
        assert other.execute(kill, [other.info.dbname]).fetchall() == [(True,)]
        assert store.claim_trial(job.id, "w", 60) is not None
    store.delete_job(job.id)
    store.close()


def test_a_reader_is_not_kept_waiting_by_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOCK_SECONDS", 0.2)
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    job = running_job(store, trials=1)
    with sqlite3.connect(tmp_path / "store.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.get_job(job.id) == job
        with pytest.raises(Unavailable, match="cannot be written to: database is locked"):
            store.claim_trial(job.id, "w", 60)
        other.execute("COMMIT")
    other.close()
    trial = store.claim_trial(job.id, "w", 60)
    assert trial is not None
    assert store.finish_trial(outcome(trial)).state == "completed"
    store.close()
