"""`python -m benchmarks.service_answers [TRIALS]`: how long answers of a job with many trials take, and their memory.

The job lies in a temporary database; `best` and the front are read there, importance is computed as by the service, in
a process whose peak memory is told. Prints JSON; times are seconds, the best of three.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, update

from service.answering.costly import Desk
from service.api.routes.insights import importance
from service.jobs.search import queries
from service.jobs.search.problem import build_problem
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from service.store import fronts
from service.store.records import NewTrial, Trial
from service.store.rows import JOBS, TRIALS
from service.store.store import Store, open_store

OBJECTIVES = {"accuracy": "maximize", "trainable_params": "minimize", "latency_ms": "minimize"}
BATCH, CONFIGS = 5000, 2000


def main() -> None:
    """Measure for a small and for a large space."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    found = {}
    for preset in ("lora", "methods"):
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'store.db'}"
            store = open_store(url)
            job_id = _filled(store, preset, trials)
            found[preset] = {
                "best": _seconds(lambda s=store, j=job_id: queries.best(s, j, None, None, ())),  # type: ignore[misc]
                "best_where": _seconds(lambda s=store, j=job_id: queries.best(s, j, None, None, ["latency_ms<10"])),  # type: ignore[misc]
                "front": _seconds(lambda s=store, j=job_id: s.front(j)),  # type: ignore[misc]
            }
            store.close()
            with get_context("spawn").Pool(1) as pool:
                found[preset] |= pool.apply(_importance, (url, job_id))
    print(json.dumps({"trials": trials, **found}, indent=2))


def _importance(url: str, job_id: str) -> dict[str, float]:
    desk = Desk(open_store(url), Settings.read({}, {}))
    seconds = _seconds(lambda: importance(desk, job_id, None, 0.9))
    return {"importance": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _seconds(answer: Callable[[], Any]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        answer()
        times.append(time.perf_counter() - start)
    return min(times)


def _filled(store: Store, preset: str, trials: int) -> str:
    """A job with completed trials whose metrics are drawn, and its front."""
    spec = JobSpec.model_validate(
        {
            "name": preset,
            "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
            "space": {"preset": preset},
            "objectives": [{"metric": name, "direction": direction} for name, direction in OBJECTIVES.items()],
        }
    )
    rng = np.random.default_rng(0)
    configs = build_problem(spec).space.sample(CONFIGS, rng)
    job = store.create_job(spec.name, spec.model_dump(mode="json"))
    added: list[Trial] = []
    for start in range(0, trials, BATCH):
        new = [NewTrial(configs[n % CONFIGS], "optimizer", 1) for n in range(start, min(trials, start + BATCH))]
        added += store.add_trials(job.id, new)
    metrics = [
        {
            "accuracy": float(rng.beta(8, 3)),
            "trainable_params": float(10 ** rng.uniform(2, 6)),
            "loss": float(rng.random()),
            "latency_ms": float(rng.uniform(5, 50)),
        }
        for _ in added
    ]

    def complete(connection: Connection) -> None:
        mine = TRIALS.c.id == bindparam("trial")
        ended = update(TRIALS).where(mine).values(state="completed", metrics=bindparam("told"))
        connection.execute(ended, [{"trial": one.id, "told": told} for one, told in zip(added, metrics, strict=True)])
        size = fronts.recompute(connection, job.id, fronts.Goals.of(job.spec)).size
        connection.execute(update(JOBS).where(JOBS.c.id == job.id).values(queued=0, completed=trials, front_size=size))

    store._database.write(complete)
    return job.id


if __name__ == "__main__":
    main()
