"""A search on the service as a user gets it: `peftsearch serve`, a job over REST, Ray's workers.

The optimizer is the service's own choice (`auto`) unless the job says otherwise, as are workers and threads. Seconds
count from the moment at which the job is handed in to a service that is up; how long it took to come up is recorded,
too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from peftsearch import Client
from peftsearch.cli.demo import serving
from peftsearch.results import Job, Trial

POLL = 0.5  # seconds
Row = dict[str, Any]


class ProcessorTime:
    """Processor seconds of all processes below this one, those that have ended included as they were last seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, float], float] = {}
        self._looks: list[tuple[float, float]] = []

    def look(self) -> None:
        """Note what has been spent until now."""
        for process in psutil.Process().children(recursive=True):
            try:
                spent = process.cpu_times()
                self._seen[process.pid, process.create_time()] = spent.user + spent.system
            except psutil.NoSuchProcess:
                continue
        self._looks.append((time.time(), sum(self._seen.values())))

    def between(self, begin: float, end: float) -> float:
        """Spent between two moments (seconds since 1970), in proportion between two looks."""
        times, spent = zip(*self._looks, strict=True)
        return float(np.interp(end, times, spent) - np.interp(begin, times, spent))


def search(
    spec: dict[str, Any],
    home: Path,
    data: Path,
    trials: int,
    enough: Callable[[list[Row]], bool],
    keep: Path | None = None,
) -> dict[str, Any]:
    """Ended trials in their order, with `seconds` since the submission; the seconds of the first `trials` and of all.

    The search goes on behind `trials` trials, up to the job's budget, until `enough` says of its rows that they will
    do. With `keep` the adapter of its best trial by the first objective is exported there once all clocks have stopped.
    """
    os.environ.pop("OMP_NUM_THREADS", None)  # the service decides itself, as it does for a user
    begun, processor = time.perf_counter(), ProcessorTime()
    metrics = [objective["metric"] for objective in spec["objectives"]]
    with serving(home, data_root=data) as url, Client(url, (home / "token").read_text().strip()) as client:
        up = time.perf_counter() - begun
        processor.look()
        job = client.submit(spec)
        while not (job := client.job(job.id)).over:
            processor.look()
            if job.progress.done >= trials and enough(_rows(client, job, metrics)):
                client.cancel(job.id)
                break
            time.sleep(POLL)
        processor.look()
        if job.state == "failed":
            raise RuntimeError(f"the search failed: {job.reason}")
        rows = _rows(client, job, metrics)
        if keep is not None:
            client.export(_best(rows, metrics[0], spec), keep)
    submitted = job.created_at.timestamp()
    for row in rows:
        row["processor_seconds"] = processor.between(submitted, submitted + row["seconds"])
    last = rows[min(trials, len(rows)) - 1]
    return {
        "service_start_s": up,
        "trials_s": last["seconds"],
        "trials_processor_s": last["processor_seconds"],
        "seconds": rows[-1]["seconds"],
        "trials": rows,
    }


def _best(rows: Sequence[Row], metric: str, spec: dict[str, Any]) -> str:
    """The trial that is best by one objective among those that trained to their end."""
    whole = [row for row in rows if row["state"] == "completed"]
    sign = 1 if spec["objectives"][0]["direction"] == "minimize" else -1
    return str(min(whole, key=lambda row: sign * row[metric])["trial"])


def _rows(client: Client, job: Job, metrics: Sequence[str]) -> list[Row]:
    """Trials that ended by themselves, in the order in which they did."""
    trials = client.trials(job.id, states=("completed", "stopped", "failed"))
    return sorted((_row(trial, job.created_at, metrics) for trial in trials), key=lambda row: row["seconds"])


def _row(trial: Trial, submitted: Any, metrics: Sequence[str]) -> Row:
    return {
        "trial": trial.id,
        "config": dict(trial.config),
        "state": trial.state,
        **{name: trial.metrics.get(name) for name in metrics},
        "train_seconds": trial.metrics.get("train_seconds"),
        "started": (trial.started_at - submitted).total_seconds(),
        "seconds": (trial.finished_at - submitted).total_seconds(),
        "engine": trial.engine,
    }
