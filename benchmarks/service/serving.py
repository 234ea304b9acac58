"""An API process to load, with a job of outside workers in it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.chaos.processes import Child, free_port
from peftsearch import Client
from peftsearch.errors import PeftsearchError
from service.jobs.search.spec import JobSpec
from service.store.store import Store, open_store

OBJECTIVES = ("accuracy", "trainable_params")


@dataclass
class Served:
    """A running API and its store."""

    port: int
    process: psutil.Process
    store: Store
    job_id: str

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(trials: int) -> Iterator[Served]:
    """`service.serve --only api` on SQLite, without tokens, and a running job of so many trials for outside workers."""
    with tempfile.TemporaryDirectory(prefix="service-benchmark-") as name:
        home, port = Path(name) / "home", free_port()
        store = open_store(f"sqlite:///{home / 'peftsearch.db'}")
        spec = JobSpec.model_validate(
            {
                "name": "load",
                "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
                "space": {"preset": "lora"},
                "objectives": [
                    {"metric": "accuracy", "direction": "maximize"},
                    {"metric": "trainable_params", "direction": "minimize"},
                ],
                "budget": {"trials": trials, "epochs": 4},
                "resources": {"executor": "external"},
            }
        )
        job = store.create_job(spec.name, spec.model_dump(mode="json"))
        store.lease_job("benchmark", 1e6)
        flags = [f"--home={home}", f"--port={port}", "--no-auth", f"--data-root={name}", "--only=api"]
        child = Child("api", ["service.serve", *flags], {}, Path(name) / "api.log").start()
        try:
            assert child.process is not None
            _await(f"http://127.0.0.1:{port}")
            yield Served(port, psutil.Process(child.process.pid), store, job.id)
        finally:
            child.end()
            store.close()


def _await(url: str) -> None:
    deadline = time.monotonic() + 60
    with Client(url, "") as client:
        while True:
            try:
                client.health(ready=True)
                return
            except PeftsearchError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
