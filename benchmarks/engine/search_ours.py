"""The same search on the service as a user gets it: `peftsearch serve`, a job over REST, Ray's workers.

The optimizer is the service's own choice (`auto`), as are workers and threads; the scheduler is asha. Seconds count
from the moment at which the job is handed in to a service that is up; how long it took to come up is recorded, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.engine.search_task import TRIALS, SearchSize, literature_default
from peftsearch import Client
from peftsearch.cli.demo import serving
from peftsearch.results import Job, Trial
from workers.tasks.section import TaskSection

POLL = 0.5  # seconds
Row = dict[str, Any]


def search(
    task: TaskSection, home: Path, data: Path, size: SearchSize, seed: int, enough: Callable[[list[Row]], bool]
) -> dict[str, Any]:
    """Ended trials in their order, with `seconds` since the submission; the seconds of the first `TRIALS` and of all.

    The search goes on behind `TRIALS` trials, up to twice as many, until `enough` says of its rows that they will do.
    """
    os.environ.pop("OMP_NUM_THREADS", None)  # the service decides itself, as it does for a user
    begun = time.perf_counter()
    with serving(home, data_root=data) as url, Client(url, (home / "token").read_text().strip()) as client:
        up = time.perf_counter() - begun
        job = client.submit(job_spec(task, size, seed))
        while not (job := client.job(job.id)).over:
            if job.progress.done >= TRIALS and enough(_rows(client, job)):
                client.cancel(job.id)
                break
            time.sleep(POLL)
        if job.state == "failed":
            raise RuntimeError(f"the search failed: {job.reason}")
        rows = _rows(client, job)
    return {
        "service_start_s": up,
        "trials_s": rows[min(TRIALS, len(rows)) - 1]["seconds"],
        "seconds": rows[-1]["seconds"],
        "trials": rows,
    }


def job_spec(task: TaskSection, size: SearchSize, seed: int) -> dict[str, Any]:
    """The job as a user writes it."""
    return {
        "name": "bench-engine",
        "task": task.model_dump(exclude_none=True),
        "space": {"preset": "lora"},
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "trainable_params", "direction": "minimize"},
        ],
        "scheduler": {"name": "asha"},
        "budget": {"trials": 2 * TRIALS, "epochs": size.epochs},
        "reference_trials": [literature_default()],
        "seed": seed,
    }


def _rows(client: Client, job: Job) -> list[Row]:
    """Trials that ended by themselves, in the order in which they did."""
    trials = client.trials(job.id, states=("completed", "stopped", "failed"))
    return sorted((_row(trial, job.created_at) for trial in trials), key=lambda row: row["seconds"])


def _row(trial: Trial, submitted: Any) -> Row:
    return {
        "config": dict(trial.config),
        "state": trial.state,
        "accuracy": trial.metrics.get("accuracy"),
        "trainable_params": trial.metrics.get("trainable_params"),
        "train_seconds": trial.metrics.get("train_seconds"),
        "started": (trial.started_at - submitted).total_seconds(),
        "seconds": (trial.finished_at - submitted).total_seconds(),
        "engine": trial.engine,
    }
