"""The example that tunes somebody else's script: each trial is trained once, however often the worker is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api_fixtures import Worker
from tests.patience import PATIENCE_S, wait_until

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "outside"
TRIALS = 4


def test_the_client_code_has_at_most_thirty_lines() -> None:
    code = (EXAMPLE / "tune.py").read_text().partition('"""\n\n')[2]
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(lines) <= 30


@pytest.fixture
def job(client: Any, worker: Worker) -> str:
    """The job of the example, with trials in its queue."""
    spec = yaml.safe_load((EXAMPLE / "job.yaml").read_text())
    id: str = client.submit(spec).id
    worker.start(id)
    worker.suggest(id, TRIALS)
    return id


def test_their_script_is_tuned_and_no_trial_is_trained_twice(
    url: str, job: str, worker: Worker, tmp_path: Path
) -> None:
    script, runs = tmp_path / "theirs.py", tmp_path / "runs"
    script.write_text(f"print(1, file=open({str(runs)!r}, 'a'))\n" + (EXAMPLE / "theirs.py").read_text())
    command = [sys.executable, str(EXAMPLE / "tune.py"), job, "mine", str(script)]
    environment = {**os.environ, "PEFTSEARCH_URL": url}

    def completed() -> int:
        return worker.store.get_job(job).counts["completed"]

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=tmp_path, env=environment)

    def until(wanted: int) -> None:
        wait_until(lambda: completed() >= wanted, lambda: f"{wanted} trials are completed: {completed()}", every=0.02)

    first = begin()
    until(2)
    first.kill()
    first.wait()
    second = begin()
    until(TRIALS)
    worker.store.set_job_state(job, "completed")
    assert second.wait(PATIENCE_S) == 0
    trials = worker.store.searched_trials(job)
    assert {trial.state for trial in trials} == {"completed"}
    assert {trial.attempt for trial in trials} == {1}
    assert all(0 <= trial.metrics["accuracy"] <= 1 for trial in trials)
    assert len(runs.read_text().split()) <= TRIALS + 1  # the one that the kill fell into


def test_a_script_that_fails_is_told_as_a_failed_trial(url: str, job: str, worker: Worker, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit(3)")
    command = [sys.executable, str(EXAMPLE / "tune.py"), job, "mine", str(script)]
    process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PEFTSEARCH_URL": url})
    wait_until(lambda: worker.store.get_job(job).counts["failed"] >= TRIALS, "all trials have failed", every=0.05)
    worker.store.set_job_state(job, "cancelled")
    assert process.wait(PATIENCE_S) == 0
    assert worker.store.searched_trials(job)[0].reason == f"{script} ended with status 3"
