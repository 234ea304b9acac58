"""`peftsearch worker`: an outside process trains real trials over REST."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_S, wait_until

Spec = dict[str, Any]


@pytest.fixture
def external(spec: Spec) -> Spec:
    """The small job, to be trained by outside workers."""
    return spec | {"resources": {"executor": "external"}}


def _start(url: str, job_id: str, home: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "peftsearch", "worker", job_id, "--url", url, *options]
    environment = {**os.environ, "PEFTSEARCH_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def _ended_trials(client: Any, job_id: str) -> Any:
    def all_ended() -> Any:
        trials = client.trials(job_id)
        return trials if {trial.state for trial in trials} <= {"completed", "failed"} else ()

    return wait_until(all_ended, lambda: f"its trials end: {client.trials(job_id)}")


@pytest.mark.slow
def test_an_outside_worker_trains_to_the_end(
    url: str, client: Any, external: Spec, worker: Any, store: Any, settings: Any, tmp_path: Path
) -> None:
    job_id = client.submit(external).id
    worker.start(job_id)
    good, _ = worker.suggest(job_id, 2)
    process = _start(url, job_id, settings.home)
    trials = _ended_trials(client, job_id)
    store.set_job_state(job_id, "completed")
    _, printed = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, printed
    assert f"job {job_id} is over" in printed
    assert [trial.state for trial in trials] == ["completed"] * 2, [trial.reason for trial in trials]
    assert 0 <= trials[0].metrics["accuracy"] <= 1
    assert trials[0].metrics["trainable_params"] > 0
    assert [report.attempt for report in client.reports(good.id)] == [1]
    folder = client.export(good.id, tmp_path / "adapter")
    assert (folder / "adapter_model.safetensors").stat().st_size > 1000


@pytest.mark.slow
def test_a_trial_that_cannot_be_trained_fails_and_the_worker_goes_on(
    url: str, client: Any, external: Spec, worker: Any, store: Any, settings: Any
) -> None:
    from service.store.records import NewTrial

    job_id = client.submit(external).id
    worker.start(job_id)
    store.add_trials(job_id, [NewTrial({"method": "no such method"}, "user", 1)])
    worker.suggest(job_id, 1)
    process = _start(url, job_id, settings.home)
    trials = _ended_trials(client, job_id)
    client.cancel(job_id)
    process.communicate(timeout=PATIENCE_S)
    assert [trial.state for trial in trials] == ["failed", "completed"]
    assert "no such method" in trials[0].reason


def test_a_killed_training_process_fails_its_trial(
    client: Any, external: Spec, worker: Any, store: Any, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stand-in for the trainer dies as an out-of-memory kill would let it; the worker tells and goes on."""
    (tmp_path / "dying").mkdir()
    (tmp_path / "dying" / "standalone.py").write_text(
        "import os, signal\ninput()\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "dying" / "__init__.py").write_text("")
    monkeypatch.setattr("peftsearch.training_process.MODULE", "dying.standalone")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    job_id = client.submit(external).id
    worker.start(job_id)
    (trial,) = worker.suggest(job_id, 1)

    def finish() -> None:
        wait_until(lambda: store.get_trial(trial.id).state == "failed", "the trial has failed", every=0.05)
        client.cancel(job_id)

    thread = threading.Thread(target=finish)
    thread.start()
    done = run("worker", job_id)
    thread.join()
    assert done.code == 0, done.err
    assert store.get_trial(trial.id).reason == "crash: the training process ended with SIGKILL"


def test_a_worker_for_the_services_own_job_is_told_so(client: Any, spec: Spec, run: Any) -> None:
    job_id = client.submit(spec).id
    done = run("worker", job_id)
    assert done.code == 1
    assert "executor: external" in done.err
