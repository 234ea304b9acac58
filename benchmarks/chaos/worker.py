"""`python -m benchmarks.chaos.worker URL JOB ID FOLDER SECONDS`: an outside worker that "trains" by sleeping and writes
down everything that the service acknowledged.

Whatever it reports follows from the configuration, so the checker can work it out again. Killed and started again under
the same id, it gets its open trial back and goes on behind its last report.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from peftsearch import Client
from peftsearch.errors import Conflict, NotFound, PeftsearchError
from workers.artifacts import ArtifactStore

T = TypeVar("T")
STEPS = 4
"""Reports of a trial."""


def accuracy(config: Mapping[str, Any], step: int) -> float:
    """Between 0 and 1; better with every step."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).digest()
    return round(0.5 + digest[0] / 1024 + step / 100, 6)


def adapter_of(trial_id: str) -> dict[str, bytes]:
    """The files of a trial's adapter."""
    return {"adapter_config.json": json.dumps({"trial": trial_id}).encode()}


class Worker:
    """Asks, trains, reports, tells, until the job is over."""

    def __init__(self, client: Client, job_id: str, name: str, folder: Path, seconds: float) -> None:
        self._client, self._job_id, self._name, self._seconds = client, job_id, name, seconds
        self._artifacts = ArtifactStore(str(folder / "artifacts"))
        self._journal = (folder / f"journal-{name}.jsonl").open("a", buffering=1)

    def run(self) -> None:
        """Until the job is over."""
        while True:
            try:
                assignment = self._insist(lambda: self._client.ask(self._job_id, self._name, 2))
            except Conflict:
                if self._insist(lambda: self._client.job(self._job_id)).over:
                    return
                continue
            if assignment is not None:
                try:
                    self._train(assignment)
                except Conflict:
                    continue  # it was given to another attempt

    def _train(self, assignment: Mapping[str, Any]) -> None:
        given = {"trial_id": assignment["trial_id"], "attempt": assignment["attempt"]}
        known = self._insist(lambda: self._client.reports(given["trial_id"]))
        done = max((one.step for one in known if one.attempt == given["attempt"]), default=0)
        for step in range(done + 1, STEPS + 1):
            time.sleep(self._seconds / STEPS)
            metrics = {"accuracy": accuracy(assignment["config"], step)}
            report = {**given, "step": step, "epoch": step, "seconds": float(step), "metrics": metrics}
            self._insist(lambda report=report: self._client.report(report))  # type: ignore[misc]
            self._note("report", report)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in adapter_of(given["trial_id"]).items():
                (Path(folder) / name).write_bytes(content)
            stored = self._insist(lambda: self._artifacts.put_folder(Path(folder)))
        metrics = {"accuracy": accuracy(assignment["config"], STEPS), "trainable_params": 1000.0}
        outcome = {**given, "status": "completed", "metrics": metrics, "adapter": stored.model_dump()}
        self._insist(lambda: self._client.tell(outcome))
        self._note("tell", outcome)

    def _note(self, kind: str, what: Mapping[str, Any]) -> None:
        self._journal.write(json.dumps({"kind": kind, **what}) + "\n")

    def _insist(self, request: Callable[[], T]) -> T:
        """Ask until there is an answer: the service comes back."""
        while True:
            try:
                return request()
            except (Conflict, NotFound):
                raise
            except (PeftsearchError, OSError):
                time.sleep(0.2)


def main() -> None:
    """Work."""
    url, job_id, name, folder, seconds = sys.argv[1:]
    with Client(url, "") as client:
        Worker(client, job_id, name, Path(folder), float(seconds)).run()


if __name__ == "__main__":
    main()
