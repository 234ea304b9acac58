"""The short form of `make chaos`, and a checker that sees what it is there to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.chaos import scene
from benchmarks.chaos.checker import Verdict, check
from benchmarks.chaos.processes import Child, Supervision
from benchmarks.chaos.worker import STEPS, accuracy, adapter_of
from service.store.records import NewTrial
from service.store.rows import EVENTS, REPORTS
from service.store.store import Store, open_store
from tests.patience import wait_until
from workers.artifacts import ArtifactStore
from workers.assignment import Outcome, Report


@pytest.mark.long
@pytest.mark.ray
def test_a_job_survives_faults_of_many_kinds() -> None:
    played = scene.play("sqlite", seed=4, trials=18, points=8, gap=0.8)
    print(f"{played.points} in {played.seconds:.1f} s")
    assert played.verdict == Verdict()
    assert len(played.points) >= 5


DIES_TWICE = """
import pathlib, sys, time
lives = pathlib.Path(sys.argv[1])
lives.write_text(lives.read_text() + "x" if lives.exists() else "x")
time.sleep(600) if len(lives.read_text()) > 2 else sys.exit(1)
"""


def test_what_dies_while_it_starts_is_started_again(tmp_path: Path) -> None:
    """As a conductor does that comes up while the disk is full: with no other to take its place the job never ends."""
    (tmp_path / "dies_twice.py").write_text(DIES_TWICE)
    lives = tmp_path / "lives"
    child = Child("node", ["dies_twice", str(lives)], {"PYTHONPATH": str(tmp_path)}, tmp_path / "log").start()
    well = Child("well", ["this"], {}, tmp_path / "well.log").start()
    assert well.process is not None
    well.process.wait()
    first = well.process.pid
    supervision = Supervision(lambda: [child, well])
    supervision.start()
    try:
        wait_until(
            lambda: lives.exists() and lives.read_text() == "xxx" and child.alive,
            lambda: f"it lives for the third time: {(tmp_path / 'log').read_text()}",
            every=0.05,
        )
    finally:
        supervision.stop()
        child.end()
    assert well.process.pid == first  # it has done what it had to do


@pytest.fixture
def done(tmp_path: Path) -> tuple[Store, str]:
    """A job of two trials that outside workers have completed, and what they wrote down."""
    store, artifacts = open_store(f"sqlite:///{tmp_path / 'store.db'}"), ArtifactStore(str(tmp_path / "artifacts"))
    job = store.create_job("chaos", {"objectives": [{"metric": "accuracy", "direction": "maximize"}]}).id
    store.lease_job("c", 60)
    with (tmp_path / "journal-w.jsonl").open("w") as journal:
        for number in range(2):
            store.add_trials(job, [NewTrial({"rank": number}, "optimizer", number)])
            trial = store.claim_trial(job, "w", 60)
            assert trial is not None
            given = {"trial_id": trial.id, "attempt": trial.attempt}
            for step in range(1, STEPS + 1):
                metrics = {"accuracy": accuracy(trial.config, step)}
                store.add_report(Report(**given, step=step, epoch=step, seconds=step, metrics=metrics))
                journal.write(json.dumps({"kind": "report", **given, "step": step, "metrics": metrics}) + "\n")
            folder = tmp_path / trial.id
            folder.mkdir()
            for name, content in adapter_of(trial.id).items():
                (folder / name).write_bytes(content)
            adapter = artifacts.put_folder(folder)
            store.finish_trial(Outcome(**given, status="completed", metrics=metrics, adapter=adapter))
            journal.write(json.dumps({"kind": "tell", **given, "adapter": adapter.model_dump()}) + "\n")
        journal.write('{"kind": "rep')  # killed here
    store.set_job_state(job, "completed")
    return store, job


def _check(tmp_path: Path, job: str) -> Verdict:
    return check(f"sqlite:///{tmp_path / 'store.db'}", str(tmp_path / "artifacts"), job, 2, tmp_path)


def test_the_checker_is_content_with_a_sound_job(tmp_path: Path, done: tuple[Store, str]) -> None:
    assert _check(tmp_path, done[1]) == Verdict()


def test_the_checker_sees_what_is_lost(tmp_path: Path, done: tuple[Store, str]) -> None:
    store, job = done
    lost = REPORTS.c.trial_id == f"{job}-1"
    store._database.write(lambda c: c.execute(REPORTS.delete().where(lost, REPORTS.c.step == 2)))
    adapter = store.get_trial(f"{job}-0").adapter
    assert adapter is not None
    ArtifactStore(str(tmp_path / "artifacts")).delete(adapter)
    found = _check(tmp_path, job)
    assert sorted(one.split(":")[0] for one in found.lost) == [
        f"acknowledged report 1, 2 of {job}-1",
        f"adapter of {job}-0",
    ]


def test_the_checker_sees_what_is_doubled_or_out_of_order(tmp_path: Path, done: tuple[Store, str]) -> None:
    store, job = done
    events = [event for event in store.events_after(0, job) if event.kind in ("trial.report", "trial.completed")]
    again = [next(one for one in events if one.kind == "trial.completed"), events[0]]
    rows = [{"job_id": job, "kind": e.kind, "payload": e.payload, "created_at": e.created_at} for e in again]
    store._database.write(lambda c: c.execute(EVENTS.insert(), rows))
    found = _check(tmp_path, job)
    assert found.doubled == [f"completion of {job}-0"]
    assert [one.partition(" after")[0] for one in found.out_of_order] == [f"report (1, 1) of {job}-0"]
