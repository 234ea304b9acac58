"""What a job has found: its Pareto front and the best trial under constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from service.answering.costly import Desk, costly
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ, StoreDep
from service.api.responses import tagged
from service.api.views import BestView, FrontView, HeadroomView, TrialView, objectives_of
from service.jobs.kinds import search_spec
from service.jobs.search import queries
from service.jobs.search.headroom import LEVEL, prospect
from service.jobs.snippets import snippet_of
from service.store.store import Store
from workers.bounded import Name

router = APIRouter(prefix="/jobs/{job_id}", tags=["fronts"], dependencies=[READ])
MOST_TRIALS = 20_000
"""The newest trials that are looked at for trade-offs."""


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


@router.get("/best", response_model=BestView, responses=RESPONSES)
async def get_best(
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
    headroom: Annotated[
        bool, Query(description="say, too, how far the best quality may still be; fits a model of the trials")
    ] = False,
) -> Response:
    """The best completed trial by one metric (the first objective when none is named) among those that satisfy every
    clause and the job's constraints, and code that trains it again."""
    asked = {"job_id": job_id, "maximize": maximize, "minimize": minimize, "where": where or []}
    if headroom:
        job = await to_thread.run_sync(store.get_job, job_id)
        return await computed(request, best_and_headroom, asked, job.version)
    return tagged(request, await to_thread.run_sync(_best, store, job_id, maximize, minimize, where or []))


@costly
def best_and_headroom(
    desk: Desk, job_id: str, maximize: str | None, minimize: str | None, where: list[str]
) -> BestView:
    """The best trial and, for the first objective without clauses, what a search for it alone may still gain."""
    view = _best(desk.store, job_id, maximize, minimize, where)
    spec = search_spec(desk.store.get_job(job_id))
    first = spec.objectives[0]
    if where or (maximize or minimize or first.metric) != first.metric:
        return view
    trials = desk.store.newest_completed(job_id, MOST_TRIALS)
    desk.progress(f"fitting {first.metric} to {len(trials)} trials")
    seen = prospect(spec, trials, desk.store.get_trial(view.trial.id))
    told = None if seen is None else HeadroomView(**vars(seen), level=LEVEL, text=seen.text)
    return view.model_copy(update={"headroom": told})


def _best(store: Store, job_id: str, maximize: str | None, minimize: str | None, where: Sequence[str]) -> BestView:
    found = queries.best(store, job_id, maximize, minimize, where)
    return BestView(
        trial=TrialView.of(found.trial),
        objectives=found.objectives,
        snippet=snippet_of(store, found.trial),
        headroom=None,
    )
