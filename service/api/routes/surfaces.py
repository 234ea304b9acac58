"""The model of a job's trials over two parameters, and how unsure it leaves the front."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from predictors.confirmation import promise
from service.answering.costly import Desk, costly
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ, StoreDep
from service.api.evidence import evidence, metric_model
from service.api.routes.insights import EstimateView
from service.api.views import View
from service.jobs.search.confirmation import SHARES
from workers.bounded import INT32
from workers.tasks.registry import METRICS

router = APIRouter(prefix="/jobs/{job_id}", tags=["insights"], dependencies=[READ])
COSTS = frozenset(name for name, metric in METRICS.items() if metric.kind == "cost")
Level = Annotated[float, Query(gt=0, lt=1, description="probability that the intervals cover")]


class ContourView(View):
    """A metric over two parameters, all else as in a trial. Each of `value`, `low` and `high` has a row for each value
    of `up`, and in it an entry for each value of `across`; null where the space does not allow both."""

    metric: str
    trial: int = Field(description="number of the trial")
    trials: int = Field(description="completed trials that were fitted")
    level: float
    across: str
    across_values: list[Any]
    up: str
    up_values: list[Any]
    value: list[list[float | None]]
    low: list[list[float | None]]
    high: list[list[float | None]]


class FrontSpreadView(EstimateView):
    """Where a metric of trial `number` would lie if it were trained and measured again, on other rows."""

    number: int
    metric: str


class UncertaintyView(View):
    """Intervals of the quality metrics of trials on the front; what costs and sizes are is known."""

    trials: int = Field(description="completed trials that were fitted")
    items: list[FrontSpreadView]


@router.get("/contour", response_model=ContourView, responses=RESPONSES)
async def get_contour(
    job_id: str,
    request: Request,
    store: StoreDep,
    across: Annotated[str, Query(max_length=200, description="the one parameter that varies")],
    up: Annotated[str, Query(max_length=200, description="the other one")],
    trial: Annotated[int, Query(ge=0, le=INT32, description="number of the trial that says all else")],
    metric: Annotated[str | None, Query(max_length=200, description="default: the first objective")] = None,
    level: Level = 0.9,
) -> Response:
    """What a metric would be for each pair of values of two parameters, all else as in a trial, with intervals."""
    job = await to_thread.run_sync(store.get_job, job_id)
    asked = {"job_id": job_id, "across": across, "up": up, "trial": trial, "metric": metric, "level": level}
    return await computed(request, contour, asked, job.version)


@costly
def contour(desk: Desk, job_id: str, across: str, up: str, trial: int, metric: str | None, level: float) -> ContourView:
    """Fit the metric to the newest trials and ask the fit for a grid of configurations."""
    through = desk.store.get_trial(f"{job_id}-{trial}")
    problem, trials = evidence(desk.store, job_id)
    name = metric or problem.objectives[0].metric
    desk.progress(f"fitting {name} to {len(trials)} trials")
    model = metric_model(problem, trials, name, level)
    found = model.contour(through.config, across, up)
    width = len(found.columns)

    def grid(part: str) -> list[list[float | None]]:
        flat = [None if cell is None else getattr(cell, part) for cell in found.cells]
        return [flat[start : start + width] for start in range(0, len(flat), width)]

    return ContourView(
        metric=name,
        trial=trial,
        trials=model.trials,
        level=level,
        across=across,
        across_values=list(found.columns),
        up=up,
        up_values=list(found.rows),
        value=grid("value"),
        low=grid("low"),
        high=grid("high"),
    )


@router.get("/uncertainty", response_model=UncertaintyView, responses=RESPONSES)
async def get_uncertainty(job_id: str, request: Request, store: StoreDep, level: Level = 0.9) -> Response:
    """How unsure the quality of each trial on the front is: where it would lie if the trial were trained and measured
    again. A best of many measurements is partly lucky; what was measured may lie outside."""
    job = await to_thread.run_sync(store.get_job, job_id)
    return await computed(request, uncertainty, {"job_id": job_id, "level": level}, job.version)


@costly
def uncertainty(desk: Desk, job_id: str, level: float) -> UncertaintyView:
    """Fit each quality metric to the newest trials and ask the fit for those on the front."""
    problem, trials = evidence(desk.store, job_id)
    front = [trial for trial in desk.store.front(job_id) if problem.space.contains(trial.config)]
    items: list[FrontSpreadView] = []
    fitted = 0
    for metric in (one.metric for one in problem.objectives if one.metric not in COSTS):
        desk.progress(f"fitting {metric} to {len(trials)} trials")
        model = metric_model(problem, trials, metric, level)
        fitted = model.trials
        for trial in front:
            rows = trial.evaluated_rows
            told = promise(model, trial.config, metric in SHARES, None if rows is None else (rows, rows))
            items.append(FrontSpreadView(number=trial.number, metric=metric, **vars(told)))
    return UncertaintyView(trials=fitted, items=items)
