"""What one job's trials say of configurations that were never run."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from optimizers.pareto import knee
from predictors.insights import Estimate, MetricModel, check
from service.answering.costly import Desk, costly
from service.api.body_reading import PlainRoute, unread_when_busy
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ, StoreDep
from service.api.evidence import evidence, metric_model
from service.api.predictions import Question
from service.api.views import TrialView, View
from service.errors import NotFound
from service.jobs.kinds import search_spec
from workers.bounded import INT32

router = APIRouter(prefix="/jobs/{job_id}", tags=["insights"], dependencies=[READ], route_class=PlainRoute)


class EstimateView(View):
    """A value and the interval it lies in with probability `level`."""

    value: float
    low: float
    high: float
    level: float

    @classmethod
    def of(cls, estimate: Estimate) -> EstimateView:
        """The public form of an estimate."""
        return cls(**vars(estimate))


class ImportanceEntry(EstimateView):
    """Share of the metric's variation that this parameter accounts for, alone and together with others."""

    parameter: str


class ImportanceView(View):
    """Parameters by importance for one metric; shares may add up to more than one where parameters interact."""

    metric: str
    trials: int
    items: list[ImportanceEntry]


class ChangeView(View):
    """What setting one parameter to another value would do to a metric."""

    metric: str
    parameter: str
    value: Any
    change: EstimateView


class ExpectQuestion(Question):
    """A configuration that need not have been run."""

    config: dict[str, Any] = Field(description="as trials have it")
    level: float = Field(0.9, gt=0, lt=1, description="probability that the intervals cover")


class ExpectView(View):
    """The objectives to expect, and what changes around the configuration. `known` follow from it alone."""

    objectives: dict[str, EstimateView]
    known: list[str]
    sensitivity: list[ChangeView]
    trials: int


class SlicePoint(EstimateView):
    """The metric to expect when the parameter has the value `at`."""

    at: Any


class SliceView(View):
    """A metric over one parameter, all else as in a trial. `points` follow the parameter's scale."""

    metric: str
    parameter: str
    trial: int = Field(description="number of the trial")
    trials: int = Field(description="completed trials that were fitted")
    points: list[SlicePoint]


class KneeView(View):
    """The trial of the front where giving up a little of one objective buys the most of the others."""

    trial: TrialView
    objectives: dict[str, float]


@router.get("/importance", response_model=ImportanceView, responses=RESPONSES)
async def get_importance(
    job_id: str,
    request: Request,
    store: StoreDep,
    metric: Annotated[str | None, Query(max_length=200, description="default: the first objective")] = None,
    level: Annotated[float, Query(gt=0, lt=1, description="probability that the intervals cover")] = 0.9,
) -> Response:
    """How much each parameter matters for a metric over the whole space, with intervals."""
    job = await to_thread.run_sync(store.get_job, job_id)
    return await computed(request, importance, {"job_id": job_id, "metric": metric, "level": level}, job.version)


@costly
def importance(desk: Desk, job_id: str, metric: str | None, level: float) -> ImportanceView:
    """Fit the metric to the newest trials and ask the fit."""
    problem, trials = evidence(desk.store, job_id)
    name = metric or problem.objectives[0].metric
    desk.progress(f"fitting {name} to {len(trials)} trials")
    model = metric_model(problem, trials, name, level)
    shares = model.importance(
        np.random.default_rng(0), lambda done: desk.progress(f"comparing configurations: {done:.0%}")
    )
    items = [ImportanceEntry(parameter=parameter, **vars(share)) for parameter, share in shares.items()]
    return ImportanceView(metric=name, trials=model.trials, items=items)


@router.post("/expect", response_model=ExpectView, responses=RESPONSES)
@unread_when_busy
async def post_expect(job_id: str, question: ExpectQuestion, request: Request, store: StoreDep) -> Response:
    """The objectives to expect of a configuration never run, with intervals, and what doubling, halving or changing
    each of its parameters would do."""
    job = await to_thread.run_sync(store.get_job, job_id)
    return await computed(request, expect, {"job_id": job_id, **question.model_dump(mode="json")}, job.version)


@costly
def expect(desk: Desk, job_id: str, config: dict[str, Any], level: float) -> ExpectView:
    """Fit each objective to the newest trials and ask the fits for the configuration and its neighbours."""
    problem, trials = evidence(desk.store, job_id)
    check(problem.space, config)
    names = [objective.metric for objective in problem.objectives]
    exact = {name: problem.known[name](config) for name in names if name in problem.known}
    models: dict[str, MetricModel] = {}
    for name in names:
        if name not in exact:
            desk.progress(f"fitting {name} to {len(trials)} trials")
            models[name] = metric_model(problem, trials, name, level)
    objectives = {name: EstimateView(value=value, low=value, high=value, level=1.0) for name, value in exact.items()}
    objectives |= {name: EstimateView.of(model.expect(config)) for name, model in models.items()}
    changes = [
        ChangeView(metric=name, parameter=one.parameter, value=one.value, change=EstimateView.of(one.change))
        for name, model in models.items()
        for one in model.sensitivity(config)
    ]
    return ExpectView(objectives=objectives, known=list(exact), sensitivity=changes, trials=len(trials))


@router.get("/slice", response_model=SliceView, responses=RESPONSES)
async def get_slice(
    job_id: str,
    request: Request,
    store: StoreDep,
    parameter: Annotated[str, Query(max_length=200, description="what varies")],
    trial: Annotated[int, Query(ge=0, le=INT32, description="number of the trial through which the slice goes")],
    metric: Annotated[str | None, Query(max_length=200, description="default: the first objective")] = None,
    level: Annotated[float, Query(gt=0, lt=1, description="probability that the intervals cover")] = 0.9,
) -> Response:
    """What a metric would be for each value of one parameter, all else as in a trial, with intervals."""
    job = await to_thread.run_sync(store.get_job, job_id)
    asked = {"job_id": job_id, "parameter": parameter, "trial": trial, "metric": metric, "level": level}
    return await computed(request, sliced, asked, job.version)


@costly
def sliced(desk: Desk, job_id: str, parameter: str, trial: int, metric: str | None, level: float) -> SliceView:
    """Fit the metric to the newest trials and cut through the fit."""
    through = desk.store.get_trial(f"{job_id}-{trial}")
    problem, trials = evidence(desk.store, job_id)
    name = metric or problem.objectives[0].metric
    desk.progress(f"fitting {name} to {len(trials)} trials")
    model = metric_model(problem, trials, name, level)
    points = [SlicePoint(at=at, **vars(estimate)) for at, estimate in model.slice(through.config, parameter)]
    return SliceView(metric=name, parameter=parameter, trial=trial, trials=model.trials, points=points)


@router.get("/knee")
def get_knee(job_id: str, store: StoreDep) -> KneeView:
    """The knee of the job's Pareto front."""
    spec = search_spec(store.get_job(job_id))
    signs = {one.metric: -1.0 if one.direction == "maximize" else 1.0 for one in spec.objectives}
    front = [trial for trial in store.front(job_id) if all(name in trial.metrics for name in signs)]
    if not front:
        raise NotFound("completed trial on the front of job", job_id)
    values = np.array([[sign * trial.metrics[name] for name, sign in signs.items()] for trial in front])
    trial = front[knee(values)]
    return KneeView(trial=TrialView.of(trial), objectives={name: trial.metrics[name] for name in signs})
