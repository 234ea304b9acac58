"""Fixtures around the REST API: a real store on a SQLite file, real artifacts, the app on top, a server around it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.settings import Settings
from service.store.records import NewTrial, Trial
from service.store.store import Store, open_store
from tests.patience import PATIENCE_S, wait_until
from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Outcome, Report

ROWS = 40


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A folder with a small labelled data set."""
    root = tmp_path / "data"
    root.mkdir()
    lines = [f"sentence number {number},{number % 2}" for number in range(ROWS)]
    (root / "train.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return root


@pytest.fixture
def settings(tmp_path: Path, data_root: Path) -> Settings:
    """Settings of a server that reads `data_root` and asks for no token."""
    return Settings.read({"home": tmp_path / "home", "data_roots": [data_root], "no_auth": True}, {})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """The store under the home folder."""
    opened = open_store(settings.database)
    yield opened
    opened.close()


@pytest.fixture
def artifacts(settings: Settings) -> ArtifactStore:
    """The artifacts under the home folder."""
    return ArtifactStore(settings.artifacts)


@pytest.fixture
def app(settings: Settings, store: Store, artifacts: ArtifactStore) -> FastAPI:
    """The app."""
    return create_app(settings, store, artifacts)


@pytest.fixture
def api(app: FastAPI) -> Iterator[TestClient]:
    """A client of the app, in this process."""
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def spec() -> dict[str, Any]:
    """A sound JobSpec on the small data set."""
    return {
        "name": "small",
        "task": {"model": "builtin:minilm", "train": "train.csv", "validation": 0.25, "max_length": 16},
        "space": {"preset": "lora", "overrides": {"batch_size": {"value": 8}}},
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "trainable_params", "direction": "minimize"},
        ],
        "optimizer": {"name": "random"},
        "budget": {"trials": 6, "epochs": 1},
    }


@dataclass
class Worker:
    """Plays the part of whoever trains: puts trials into the store and ends them as told."""

    store: Store
    artifacts: ArtifactStore
    folder: Path

    def start(self, job_id: str) -> None:
        """Make a job running, as a conductor does."""
        self.store.lease_job("conductor", 60)
        assert self.store.get_job(job_id).state == "running"

    def suggest(self, job_id: str, n: int = 1, origin: Any = "optimizer", label: str | None = None) -> list[Trial]:
        """Store `n` queued trials with different ranks."""
        configs = [{"method": "lora", "rank": rank, "targets": "qv", "learning_rate": 1e-3} for rank in range(1, n + 1)]
        return list(self.store.add_trials(job_id, [NewTrial(config, origin, 1, label) for config in configs]))

    def complete(self, job_id: str, accuracy: float, params: float, adapter: bool = False) -> Trial:
        """Claim the next queued trial and complete it with these metrics."""
        trial = self.store.claim_trial(job_id, f"worker-{accuracy}-{params}", 60)
        assert trial is not None
        self.store.add_reports([_report(trial, 1), _report(trial, 2)])
        outcome = Outcome(
            trial_id=trial.id,
            attempt=trial.attempt,
            status="completed",
            metrics={"accuracy": accuracy, "trainable_params": params},
            adapter=self._adapter(trial) if adapter else None,
            engine="reference",
            engine_reason="asked for",
        )
        return self.store.finish_trial(outcome)

    def pause(self, job_id: str) -> Trial:
        """Claim the next queued trial and pause it with a checkpoint."""
        trial = self.store.claim_trial(job_id, "worker", 60)
        assert trial is not None
        self.store.add_reports([_report(trial, 1)])
        kept = Artifact(sha256=f"{trial.number:064x}", size=1)
        return self.store.finish_trial(
            Outcome(trial_id=trial.id, attempt=trial.attempt, status="paused", checkpoint=kept)
        )

    def _adapter(self, trial: Trial) -> Artifact:
        source = self.folder / trial.id
        source.mkdir()
        (source / "adapter_config.json").write_text('{"r": 8}')
        (source / "adapter_model.safetensors").write_bytes(b"\x00" * 300_000)
        return self.artifacts.put_folder(source)


def _report(trial: Trial, step: int) -> Report:
    return Report(
        trial_id=trial.id, attempt=trial.attempt, step=step, epoch=step / 2, metrics={"loss": 1 / step}, seconds=step
    )


@pytest.fixture
def worker(store: Store, artifacts: ArtifactStore, tmp_path: Path) -> Worker:
    """Whoever trains."""
    folder = tmp_path / "adapters"
    folder.mkdir()
    return Worker(store, artifacts, folder)


@contextmanager
def behind_a_port(app: FastAPI) -> Iterator[str]:
    """Address of a real server of the app."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, "the server starts", every=0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def served(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of the app behind a real server, for what needs a connection."""
    with behind_a_port(app) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        yield client
