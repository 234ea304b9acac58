"""A search on the service as a user gets it: `peftsearch serve`, a job over REST, Ray's workers.

The optimizer is the service's own choice (`auto`) unless the job says otherwise, as are workers and threads. Seconds
count from the moment at which the job is handed in to a service that is up; how long it took to come up is recorded,
too.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil

from peftsearch import Client
from peftsearch.cli.demo import serving
from peftsearch.results import Job, Trial

POLL = 0.5  # seconds
Row = dict[str, Any]


class ProcessorTime:
    """Processor seconds of all processes below this one since the beginning of the block, those that have ended
    included as they were last seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, float], float] = {}
        self._looks: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._look()  # what others have spent before does not count
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join()

    def _look_on(self) -> None:
        while not self._over.wait(POLL / 2):
            self._look()
        self._look()

    def _look(self) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                spent = process.cpu_times()
                self._seen[process.pid, process.create_time()] = spent.user + spent.system
            except psutil.NoSuchProcess:
                continue
        self._looks.append((time.time(), sum(self._seen.values())))

    def until(self, moment: float) -> float:
        """Spent until a moment (seconds since 1970), in proportion between two looks."""
        times, spent = zip(*self._looks, strict=True)
        return float(np.interp(moment, times, spent) - spent[0])


def search(
    spec: dict[str, Any],
    home: Path,
    data: Path,
    trials: int,
    enough: Callable[[list[Row]], bool],
    keep: Path | None = None,
) -> dict[str, Any]:
    """Ended trials in their order, with `seconds` since the submission, `wall_seconds` and `processor_seconds` since
    the service was started; the seconds of the first `trials` and of all.

    The search goes on behind `trials` trials, up to the job's budget, until `enough` says of its rows that they will
    do. With `keep` the adapters of trials that trained to their end are exported into folders there, by trial, once
    the search is over.
    """
    os.environ.pop("OMP_NUM_THREADS", None)  # the service decides itself, as it does for a user
    begun = time.perf_counter()
    metrics = [objective["metric"] for objective in spec["objectives"]]
    with (
        ProcessorTime() as processor,
        serving(home, data_root=data) as url,
        Client(url, (home / "token").read_text().strip()) as client,
    ):
        up = time.perf_counter() - begun
        job = client.submit(spec)
        while not (job := client.job(job.id)).over:
            if job.progress.done >= trials and enough(_rows(client, job, metrics)):
                client.cancel(job.id)
                break
            time.sleep(POLL)
        if job.state == "failed":
            raise RuntimeError(f"the search failed: {job.reason}")
        rows = _rows(client, job, metrics)
        for row in rows if keep is not None else ():
            if row["state"] == "completed":
                client.export(row["trial"], keep / row["trial"])
    submitted = job.created_at.timestamp()
    for row in rows:
        row["wall_seconds"] = up + row["seconds"]
        row["processor_seconds"] = processor.until(submitted + row["seconds"])
    return {
        "service_start_s": up,
        "service_start_processor_s": processor.until(submitted),
        "trials_s": rows[min(trials, len(rows)) - 1]["seconds"],
        "seconds": rows[-1]["seconds"],
        "trials": rows,
    }


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
