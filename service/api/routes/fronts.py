"""What a job has found: its Pareto front and the best trial under constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service import queries
from service.api.answers import tagged
from service.api.dependencies import READ, StoreDep
from service.api.views import BestView, FrontView, HeadroomView, TrialView, objectives_of
from service.headroom import LEVEL, prospect
from service.jobspec import JobSpec
from service.jobspecs.kinds import search_spec
from service.lineage import past_of
from service.snippets import snippet
from service.store.records import Trial
from workers.bounded import Name
from workers.tasks.registry import METRICS

router = APIRouter(prefix="/jobs/{job_id}", tags=["fronts"], dependencies=[READ])


@router.get("/pareto", response_model=FrontView)
def get_front(job_id: str, request: Request, store: StoreDep) -> Response:
    """The completed trials that no other one beats on every objective, best first by the first objective; and the
    reference trials, whether they are on the front or not."""
    job = store.get_job(job_id)
    front = FrontView(
        objectives=objectives_of(job),
        items=[TrialView.of(trial) for trial in store.front(job_id)],
        reference=[TrialView.of(trial) for trial in store.reference_trials(job_id)],
    )
    return tagged(request, front)


@router.get("/best", response_model=BestView)
def get_best(
    job_id: str,
    request: Request,
    store: StoreDep,
    maximize: Annotated[str | None, Query(max_length=200, description="metric", examples=["accuracy"])] = None,
    minimize: Annotated[str | None, Query(max_length=200, description="metric", examples=["latency_ms"])] = None,
    where: Annotated[
        list[Name] | None,
        Query(
            max_length=20,
            description="clause on a metric or a hyperparameter; repeatable",
            examples=["trainable_params<=20000"],
        ),
    ] = None,
) -> Response:
    """The best completed trial by one metric (the first objective when none is named) among those that satisfy every
    clause and the job's constraints, and code that trains it again."""
    spec = search_spec(store.get_job(job_id))
    trials = store.searched_trials(job_id)
    found = queries.best(trials, spec, METRICS, maximize, minimize, where or ())
    first_alone = not where and found.metric == spec.objectives[0].metric
    view = BestView(
        trial=TrialView.of(found.trial),
        objectives=found.objectives,
        snippet=snippet(spec, found.trial, past_of(store, found.trial)[1]),
        headroom=_headroom(spec, trials, found.trial) if first_alone else None,
    )
    return tagged(request, view)


def _headroom(spec: JobSpec, trials: Sequence[Trial], best: Trial) -> HeadroomView | None:
    seen = prospect(spec, trials, best)
    return None if seen is None else HeadroomView(**vars(seen), level=LEVEL, text=seen.text)
