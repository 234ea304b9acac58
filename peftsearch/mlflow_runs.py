"""A job's trials as runs of an MLflow tracking server, over its REST API; sending them again adds nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from peftsearch.errors import PeftsearchError
from peftsearch.results import Job, Report, Trial

TRIAL = "peftsearch.trial"
"""Tag by which a run is known again."""

BATCH, VALUE, METRICS = 100, 500, 1000
"""MLflow's limits: parameters and tags of a request, characters of a value, metrics of a request."""

_STATUS = {"completed": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MlflowRefused(PeftsearchError):
    """The tracking server does not answer or refuses."""


def write_runs(
    job: Job,
    trials: Iterable[Trial],
    reports: Callable[[str], Sequence[Report]],
    server: str,
    experiment: str | None = None,
    transport: httpx.BaseTransport | None = None,
) -> int:
    """Write every trial that is over as a run of `experiment` (default: the job's name and id); how many are there now.

    Parameters are the configuration, metrics the final ones and, by step, those of the last attempt's reports
    (`reports` gives them by trial id). Raises MlflowRefused.
    """
    with httpx.Client(base_url=f"{server.rstrip('/')}/api/2.0/mlflow", timeout=60, transport=transport) as http:
        tracking = _Tracking(http)
        where = tracking.experiment(experiment or f"{job.name} ({job.id})")
        known = tracking.trials(where)
        over = [trial for trial in trials if trial.state in _STATUS]
        for trial in over:
            if trial.id not in known:
                tracking.write(where, trial, reports(trial.id))
    return len(over)


class _Tracking:
    """The calls of a tracking server that are needed."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def experiment(self, name: str) -> str:
        """Id of the experiment with this name, made if it is not there."""
        found = self._ask("GET", "experiments/get-by-name", {"experiment_name": name}, missing=True)
        if found is None:
            found = {"experiment": self._ask("POST", "experiments/create", {"name": name})}
        assert found["experiment"] is not None
        return str(found["experiment"]["experiment_id"])

    def trials(self, experiment: str) -> set[str]:
        """Ids of the trials that have a finished run; one that was interrupted while it was written is removed."""
        asked: dict[str, Any] = {"experiment_ids": [experiment], "max_results": 1000}
        done = set()
        while True:
            page = self._ask("POST", "runs/search", asked) or {}
            for run in page.get("runs", ()):
                tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", ())}
                if run["info"]["status"] in _STATUS.values() and TRIAL in tags:
                    done.add(tags[TRIAL])
                elif TRIAL in tags:
                    self._ask("POST", "runs/delete", {"run_id": run["info"]["run_id"]})
            if not page.get("next_page_token"):
                return done
            asked["page_token"] = page["next_page_token"]

    def write(self, experiment: str, trial: Trial, reports: Sequence[Report]) -> None:
        """Write one trial; its run is finished last, so that it counts only when all of it is there."""
        began, ended = _milliseconds(trial.started_at or trial.created_at), _milliseconds(trial.finished_at)
        tags = {TRIAL: trial.id, "peftsearch.origin": trial.origin, "peftsearch.label": trial.label or ""}
        asked = {
            "experiment_id": experiment,
            "run_name": trial.id,
            "start_time": began,
            "tags": [{"key": key, "value": value} for key, value in tags.items() if value],
        }
        made = self._ask("POST", "runs/create", asked)
        assert made is not None
        run = made["run"]["info"]["run_id"]
        for params in _batches([{"key": key, "value": _text(value)} for key, value in trial.config.items()], BATCH):
            self._ask("POST", "runs/log-batch", {"run_id": run, "params": params})
        for metrics in _batches(list(_metrics(trial, reports, ended or began)), METRICS):
            self._ask("POST", "runs/log-batch", {"run_id": run, "metrics": metrics})
        if trial.reason:
            self._ask("POST", "runs/set-tag", {"run_id": run, "key": "peftsearch.reason", "value": trial.reason[:5000]})
        status = {"run_id": run, "status": _STATUS[trial.state], "end_time": ended or began}
        self._ask("POST", "runs/update", status)

    def _ask(self, verb: str, call: str, body: Mapping[str, Any], missing: bool = False) -> dict[str, Any] | None:
        try:
            sent = {"params": dict(body)} if verb == "GET" else {"json": body}
            answer = self._http.request(verb, f"/{call}", **sent)
        except httpx.HTTPError as error:
            raise MlflowRefused(f"the MLflow server at {self._http.base_url} does not answer: {error}") from error
        if missing and answer.status_code == 404:
            return None
        if answer.is_error:
            raise MlflowRefused(f"the MLflow server refused {call} ({answer.status_code}): {answer.text[:300]}")
        return dict(answer.json())


def _metrics(trial: Trial, reports: Sequence[Report], at: int) -> Iterator[dict[str, Any]]:
    """The learning curve by step, then what was measured at the end."""
    step = 0
    for report in reports:
        if report.attempt == trial.attempt:
            step = report.step
            for key, value in report.metrics.items():
                yield {"key": key, "value": value, "timestamp": _milliseconds(report.created_at), "step": step}
    for key, value in trial.metrics.items():
        yield {"key": key, "value": value, "timestamp": at, "step": step}


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:VALUE]


def _milliseconds(time: datetime | None) -> int:
    return 0 if time is None else int(time.timestamp() * 1000)


def _batches(entries: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]
