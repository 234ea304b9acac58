"""One-second trials through conductor and Ray: how much longer than the seconds themselves.

Everything is the service's but what a worker does: it sleeps for a second where it would train. `slots` workers sleep
side by side, so that it is the bookkeeping that is measured and not this machine's cores.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ray

from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.training import ray_executor
from service.conductor.training.local_ray import use_own_token
from service.conductor.training.placement import Shape
from service.jobs.search.spec import JobSpec
from service.store.states import JOB_OVER
from service.store.store import open_store
from workers.assignment import Assignment, Decision, Outcome, Report
from workers.running.ray_worker import WorkerSettings

SECONDS = 1.0


@ray.remote(concurrency_groups={"control": 1, "reports": 1}, max_concurrency=1)  # type: ignore[call-overload]
class SleepingWorker:
    """Speaks as `TrialWorker` does."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    def train(self, assignments: Sequence[Assignment], places: int = 1) -> Iterator[Report | Outcome]:
        """A second, a report, an outcome."""
        del places
        for assignment in assignments:
            time.sleep(SECONDS)
            given = {"trial_id": assignment.trial_id, "attempt": assignment.attempt}
            metrics = {"accuracy": 0.5, "trainable_params": 100.0}
            yield Report(**given, step=1, epoch=1, seconds=SECONDS, metrics=metrics)
            yield Outcome(**given, status="completed", metrics=metrics)

    def rest(self) -> None:
        """Nothing to give back."""

    @ray.method(concurrency_group="control")
    def signal(self, trial_id: str, decision: Decision) -> None:
        """A second is too short to be interrupted."""

    @ray.method(concurrency_group="control")
    def answer(self, trial_id: str, attempt: int, step: int, decision: Decision) -> None:
        """Nobody waits for it."""


def measure(trials: int, slots: int) -> dict[str, Any]:
    """Seconds for so many one-second trials on so many slots, and by how much they pass the ideal."""
    logging.getLogger("service").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="pfs-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        store = open_store(f"sqlite:///{home}/store.db")
        job = store.create_job("orchestration", _spec(trials, slots).model_dump(mode="json"))

        def start(address: str | None, scratch: Path, token: Path) -> None:
            del address
            use_own_token(token)
            ray.init(
                address="local", num_cpus=slots, include_dashboard=False, object_store_memory=100_000_000,
                _temp_dir=str(scratch), log_to_driver=False, logging_level=logging.WARNING,
            )  # fmt: skip

        with patch.object(ray_executor, "_start", start), patch.object(ray_executor, "TrialWorker", SleepingWorker):
            executor = ray_executor.RayExecutor(None, home / "ray", home, str(home / "artifacts"))
            try:
                executor.warm_up(Shape(1, 0), slots)
                return _drive(store, executor, job.id, trials, slots)
            finally:
                executor.close()
                store.close()


def _drive(store: Any, executor: Any, job_id: str, trials: int, slots: int) -> dict[str, Any]:
    stop, proposer = threading.Event(), Proposer()
    conductor = Conductor(store, executor, proposer, "benchmark")
    thread = threading.Thread(target=conductor.run, args=(stop,))
    began = time.monotonic()
    thread.start()
    first = None
    while store.get_job(job_id).state not in JOB_OVER:
        if first is None and store.get_job(job_id).counts["completed"]:
            first = time.monotonic() - began
        time.sleep(0.1)
    took = time.monotonic() - began
    stop.set()
    thread.join()
    proposer.close()
    completed = store.get_job(job_id).counts["completed"]
    assert completed == trials, completed
    ideal = trials * SECONDS / slots
    return {
        "orchestration_trials": trials,
        "orchestration_slots": slots,
        "orchestration_ideal_s": ideal,
        "orchestration_s": round(took, 1),
        "orchestration_first_trial_s": round(first or 0.0, 1),
        "orchestration_overhead": round(took / ideal - 1, 3),
    }


def _spec(trials: int, slots: int) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "orchestration",
            "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
            "space": {"preset": "lora"},
            "objectives": [
                {"metric": "accuracy", "direction": "maximize"},
                {"metric": "trainable_params", "direction": "minimize"},
            ],
            "optimizer": {"name": "random"},
            "budget": {"trials": trials, "epochs": 1},
            "resources": {"concurrency": slots, "cpus_per_trial": 1, "pack": 1},
        }
    )
