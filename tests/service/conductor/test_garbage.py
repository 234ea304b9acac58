"""Artifacts go when no row refers to them any more, and only from a store that belongs to this database; so do the
events of reports that have long been told."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from service.conductor.garbage import TELL_REPORTS, collect, collecting
from service.store.store import Store, open_store, utc_now
from tests.patience import wait_until
from tests.service.store.examples import claimed, outcome, report, running_job
from workers.artifacts import ArtifactStore
from workers.assignment import Artifact


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def store(database: str) -> Store:
    return open_store(database)


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def put(artifacts: ArtifactStore, tmp_path: Path, content: str) -> Artifact:
    file = tmp_path / content
    file.write_text(content)
    return artifacts.put_file(file)


def test_what_a_deleted_job_and_a_finished_trial_leave_behind_goes(
    store: Store, artifacts: ArtifactStore, tmp_path: Path
) -> None:
    job = running_job(store, trials=1)
    trial = claimed(store, job.id)
    checkpoint, adapter = put(artifacts, tmp_path, "checkpoint"), put(artifacts, tmp_path, "adapter")
    store.finish_trial(outcome(trial, status="completed", adapter=adapter, checkpoint=checkpoint))
    assert collect(store, artifacts) == ()  # too young: the row of something as young may still be on its way
    assert collect(store, artifacts, min_age=0) == (checkpoint.sha256,)
    store.delete_job(job.id)
    assert collect(store, artifacts, min_age=0) == (adapter.sha256,)


def test_another_databases_artifacts_are_left_alone(
    store: Store, database: str, artifacts: ArtifactStore, tmp_path: Path
) -> None:
    with collecting(store, artifacts, database, period=3600):
        pass
    other_url = f"sqlite:///{tmp_path}/other.db"
    other, orphan = open_store(other_url), put(artifacts, tmp_path, "orphan")
    os.utime(tmp_path / "artifacts" / orphan.sha256[:2] / orphan.sha256, (1, 1))
    with collecting(other, artifacts, other_url, period=0.01):
        time.sleep(0.1)
    assert orphan.sha256 in artifacts


def test_garbage_is_collected_in_the_background(
    store: Store, database: str, artifacts: ArtifactStore, tmp_path: Path
) -> None:
    orphan = put(artifacts, tmp_path, "orphan")
    os.utime(tmp_path / "artifacts" / orphan.sha256[:2] / orphan.sha256, (1, 1))
    with collecting(store, artifacts, database, period=0.01):
        wait_until(lambda: orphan.sha256 not in artifacts, "the orphan goes", every=0.01)


def test_old_reports_are_forgotten_in_the_background(store: Store, database: str, artifacts: ArtifactStore) -> None:
    job = running_job(store, trials=1)
    trial = claimed(store, job.id)
    store.add_report(report(trial, 1))
    store.finish_trial(outcome(trial))
    store.set_job_state(job.id, "completed")
    later = open_store(database, lambda: utc_now() + timedelta(seconds=TELL_REPORTS + 1))
    with collecting(later, artifacts, database, period=0.01):
        wait_until(
            lambda: all(event.kind != "trial.report" for event in store.events_after(0, job.id)),
            "events of reports go",
            every=0.01,
        )
    assert store.job_reports(job.id)
