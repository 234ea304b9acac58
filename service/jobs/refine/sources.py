"""Turns what a refine job names as its source into adapters: which artifact, of which configuration and seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.errors import BadInput, NotFound
from service.jobs.refine.spec import MOST_SOURCES, PREFIX
from service.jobs.seen import seen_job
from service.store.records import Job, Trial
from service.store.store import Store
from workers.methods.adapter_names import TASK_FILE


def with_sources(body: Any, store: Store, project: str | None) -> Any:
    """A job's body with `adapters`, and `task` and `data_seed` where they are their job's, if it is a refine job's.

    What the body says of `adapters` itself is not believed. Raises BadInput for jobs and trials that are not there, are
    another project's (None: sees all) or have no adapter.
    """
    if not isinstance(body, Mapping) or body.get("kind") != "refine":
        return body
    body = {**body, "adapters": []}
    source = body.get("source")
    if not isinstance(source, Mapping):
        return body
    if isinstance(source.get("job"), str):
        job = _job(store, "source.job", source["job"], project)
        return _filled(body, job, _winners(store, job))
    if isinstance(source.get("trials"), list) and source["trials"]:
        trials = [_trial(store, f"source.trials.{n}", one, project) for n, one in enumerate(source["trials"])]
        return _filled(body, store.get_job(trials[0].job_id), trials)
    return body


def read_folder(folder: Path) -> dict[str, Any]:
    """Configuration and seed of an exported adapter. Raises BadInput with field `source.folder`."""
    file = folder / TASK_FILE
    told = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if "config" not in told or told.get("seed") is None:
        allowed = f"a folder that `peftsearch export` wrote, with the configuration in {TASK_FILE}"
        raise BadInput("source.folder", str(folder), allowed)
    return {"config": told["config"], "seed": told["seed"], "folder": str(folder)}


def own_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The method's own part of a configuration."""
    return {name: value for name, value in config.items() if not name.startswith(PREFIX)}


def _filled(body: dict[str, Any], job: Job, trials: Sequence[Trial]) -> dict[str, Any]:
    adapters = [
        {
            "trial": trial.id,
            "config": own_config(trial.config),
            "seed": trial.seed,
            "sha256": trial.adapter,
            "size": trial.adapter_bytes or 0,
        }
        for trial in trials
    ]
    drawn = job.spec.get("data_seed")
    given = {"task": job.spec["task"], "data_seed": job.spec["seed"] if drawn is None else drawn}
    return given | {name: value for name, value in body.items() if value is not None} | {"adapters": adapters}


def _winners(store: Store, job: Job) -> Sequence[Trial]:
    found = [trial for trial in store.front(job.id) if trial.adapter is not None][:MOST_SOURCES]
    if not found or "task" not in job.spec:
        raise BadInput("source.job", job.id, "a job that has adapters on its front")
    return found


def _job(store: Store, field: str, id: str, project: str | None) -> Job:
    job = seen_job(store, id, project)
    if job is None:
        raise BadInput(field, id, "a job that is there")
    return job


def _trial(store: Store, field: str, id: Any, project: str | None) -> Trial:
    try:
        trial = store.get_trial(str(id))
    except NotFound:
        trial = None
    job = None if trial is None else seen_job(store, trial.job_id, project)
    if trial is None or job is None:
        raise BadInput(field, id, "a trial that is there")  # of another project: in the same words
    if trial.adapter is None or "task" not in job.spec:
        raise BadInput(field, id, f"a trial with an adapter; this one is {trial.state} and has none")
    return trial
