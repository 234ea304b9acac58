"""Backup and restore as docs/operations.md has it: of a running service, into an empty home, whole."""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from service.conductor.takeover import take_over
from service.settings import Settings
from service.store.store import Store, open_store
from tests.api_fixtures import Worker
from tests.patience import wait_until
from workers.artifacts import ArtifactStore

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def test_the_page_saves_the_database_before_the_artifacts() -> None:
    block = PAGE.read_text().partition("## Backup and restore")[2].partition("```bash\n")[2].partition("```")[0]
    order = re.findall(r"\.backup|artifacts|token", block)
    assert order[0] == ".backup"
    assert order.index(".backup") < order.index("artifacts")


def _back_up(home: Path, to: Path) -> None:
    """What `sqlite3 FILE ".backup …"` and `cp -R` do."""
    to.mkdir()
    with sqlite3.connect(home / "peftsearch.db") as source, sqlite3.connect(to / "peftsearch.db") as target:
        source.backup(target)
    source.close()
    target.close()
    shutil.copytree(home / "artifacts", to / "artifacts")


def test_a_backup_of_a_busy_service_is_whole(
    settings: Settings, store: Store, worker: Worker, spec: dict[str, Any], tmp_path: Path
) -> None:
    job = store.create_job("saved", {**spec, "kind": "search", "resources": {"executor": "external"}}).id
    worker.start(job)
    stop, failed = threading.Event(), []

    def work() -> None:
        number = 0
        while not stop.is_set():
            try:
                worker.suggest(job, 1)
                worker.complete(job, 0.5 + number / 1e6, 10.0 + number, adapter=True)
            except Exception as error:
                failed.append(error)
                return
            number += 1

    busy = threading.Thread(target=work)
    busy.start()
    wait_until(lambda: failed or store.get_job(job).counts["completed"] >= 5, "five trials are completed", every=0.01)
    assert not failed, failed
    _back_up(settings.home, tmp_path / "backup")
    stop.set()
    busy.join()
    assert not failed, failed
    restored = open_store(f"sqlite:///{tmp_path / 'backup' / 'peftsearch.db'}")
    artifacts = ArtifactStore(str(tmp_path / "backup" / "artifacts"))
    trials = [trial for trial in restored.searched_trials(job) if trial.state == "completed"]
    assert len(trials) >= 5
    assert restored.get_job(job).counts["completed"] == len(trials)
    for trial in trials:
        assert trial.adapter is not None
        artifacts.open_whole(trial.adapter).close()  # raises where it is missing or damaged
        assert len(restored.reports(trial.id)) == 2
    restored.close()


def test_what_was_under_way_goes_on_after_a_restore_and_old_workers_are_refused(
    settings: Settings, store: Store, worker: Worker, spec: dict[str, Any], tmp_path: Path
) -> None:
    job = store.create_job("saved", {**spec, "kind": "search"}).id
    store.lease_job("home1.abc", 60)
    worker.suggest(job, 1)
    trial = store.claim_trial(job, "home1.abc", 60)
    assert trial is not None
    (settings.home / "artifacts").mkdir(exist_ok=True)
    _back_up(settings.home, tmp_path / "backup")
    restored = open_store(f"sqlite:///{tmp_path / 'backup' / 'peftsearch.db'}")
    take_over(restored, "home1.")  # with the identity of the home, which is saved, too
    again = restored.get_trial(trial.id)
    assert (again.state, again.attempt) == ("queued", trial.attempt + 1)
    with pytest.raises(Exception, match="attempt 1 of trial"):
        restored.requeue_trial(trial.id, trial.attempt, "an old worker")
    restored.close()
