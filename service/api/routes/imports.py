"""Trials that were measured elsewhere, added to a search."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from search_spaces.errors import InvalidConfig
from search_spaces.space import config_hash
from service.api.body_reading import PlainRoute
from service.api.dependencies import SUBMIT, ArtifactsDep, StoreDep
from service.api.responses import answer
from service.api.told import ToldOutcome, check_outcome
from service.api.views import View
from service.errors import BadInput, FieldProblem
from service.jobs.kinds import search_spec
from service.jobs.search.problem import build_problem
from service.store.imports import check_open
from service.store.records import Job
from workers.artifacts import ArtifactStore

router = APIRouter(tags=["trials"], dependencies=[SUBMIT], route_class=PlainRoute)


class MeasuredTrial(View):
    """A trial that was measured elsewhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any] = Field(max_length=1000, description="a configuration of the job's space")
    metrics: dict[str, float] = Field(
        max_length=100, description="by catalogue name; objectives that follow from the configuration may be left out"
    )


class ImportRequest(View):
    """Trials to add to a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: list[MeasuredTrial] = Field(min_length=1, max_length=1000)


class ImportView(View):
    """How many trials were added, and how many the job had already."""

    added: int
    left_out: int


@router.post("/jobs/{job_id}/trials", response_model=ImportView, status_code=201)
def add_trials(job_id: str, body: ImportRequest, store: StoreDep, artifacts: ArtifactsDep) -> Response:
    """Add trials that were measured elsewhere; all of them, or none when one does not fit the job's space or metrics.

    They are completed trials of origin `import`: the search learns from them, and its budget grows by as many.
    Configurations that the job has already are left out, so that the same request adds nothing a second time.
    """
    job = store.get_job(job_id)
    check_open(job)
    problem = build_problem(search_spec(job))
    present = {config_hash(trial.config) for trial in store.searched_trials(job_id)}
    measured: dict[str, tuple[dict[str, Any], dict[str, float]]] = {}
    wrong: list[FieldProblem] = []
    for number, trial in enumerate(body.trials):
        try:
            problem.space.validate(trial.config)
        except InvalidConfig as error:
            allowed = "a configuration of the job's space"
            wrong.append(FieldProblem(f"trials.{number}.config", trial.config, allowed, str(error)))
            continue
        metrics = {name: known(trial.config) for name, known in problem.known.items()} | trial.metrics
        wrong += _metric_problems(number, metrics, job, artifacts)
        measured[config_hash(trial.config)] = (trial.config, metrics)
    if wrong:
        raise BadInput.of(wrong)
    added = store.import_trials(job_id, [one for key, one in measured.items() if key not in present])
    return answer(ImportView(added=len(added), left_out=len(body.trials) - len(added)), 201)


def _metric_problems(number: int, metrics: dict[str, float], job: Job, artifacts: ArtifactStore) -> list[FieldProblem]:
    try:
        check_outcome(ToldOutcome(trial_id=job.id, attempt=1, status="completed", metrics=metrics), job, {}, artifacts)
    except BadInput as error:
        return [
            FieldProblem(f"trials.{number}.{one.field}", one.found, one.allowed, one.reason) for one in error.errors
        ]
    return []
