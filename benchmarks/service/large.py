"""A job of 100,000 trials: how long its lists, its front and its best take over HTTP, and what the API holds."""

from __future__ import annotations

import statistics
import time
from typing import Any

import httpx
import numpy as np
from sqlalchemy import Connection, bindparam, update

from benchmarks.service.serving import Served, served
from service.jobs.search.problem import build_problem
from service.jobs.search.spec import JobSpec
from service.store import fronts
from service.store.records import NewTrial, Trial
from service.store.rows import JOBS, TRIALS

BATCH, CONFIGS, TIMES = 5000, 2000, 7


def measure(trials: int) -> dict[str, Any]:
    """Median milliseconds of each question, and the API's memory before and after."""
    with served(trials=trials) as api:
        _fill(api, trials)
        before = api.process.memory_info().rss
        base = f"/v1/jobs/{api.job_id}"
        questions = {
            "first_page": f"{base}/trials",
            "by_metric": f"{base}/trials?sort=accuracy&descending=true",
            "completed": f"{base}/trials?state=completed&limit=100",
            "pareto": f"{base}/pareto",
            "best": f"{base}/best",
            "best_where": f"{base}/best?where=trainable_params%3C%3D20000",
            "job": base,
            "jobs": "/v1/jobs",
        }
        with httpx.Client(base_url=api.url, timeout=120) as client:
            found = {f"{name}_ms": _milliseconds(client, path) for name, path in questions.items()}
        grown = (api.process.memory_info().rss - before) / 1e6
    return {"large_trials": trials, **found, "slowest_ms": max(found.values()), "large_rss_growth_mb": round(grown, 1)}


def _milliseconds(client: httpx.Client, path: str) -> float:
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        answer = client.get(path)
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (path, answer.text[:300])
    return round(statistics.median(times), 1)


def _fill(api: Served, trials: int) -> None:
    rng, store = np.random.default_rng(0), api.store
    spec = JobSpec.model_validate(store.get_job(api.job_id).spec)
    configs = build_problem(spec).space.sample(CONFIGS, rng)
    added: list[Trial] = []
    for start in range(0, trials, BATCH):
        new = [NewTrial(configs[n % CONFIGS], "optimizer", 1) for n in range(start, min(trials, start + BATCH))]
        added += store.add_trials(api.job_id, new)
    told = [
        {"accuracy": float(rng.beta(8, 3)), "trainable_params": float(10 ** rng.uniform(2, 6)), "loss": 0.5}
        for _ in added
    ]

    def complete(connection: Connection) -> None:
        mine = TRIALS.c.id == bindparam("trial")
        ended = update(TRIALS).where(mine).values(state="completed", metrics=bindparam("told"))
        connection.execute(ended, [{"trial": one.id, "told": said} for one, said in zip(added, told, strict=True)])
        size = fronts.recompute(connection, api.job_id, fronts.Goals.of(store.get_job(api.job_id).spec)).size
        ours = JOBS.c.id == api.job_id
        connection.execute(update(JOBS).where(ours).values(queued=0, completed=trials, front_size=size))

    store._database.write(complete)
