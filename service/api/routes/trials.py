"""Trials: list, read, learning curve."""

from __future__ import annotations

import gzip
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field

from service.api.body_reading import PlainRoute
from service.api.dependencies import READ, AllOfTags, ArtifactsDep, PagingDep, StoreDep
from service.api.generations import GenerationsView, read_generations
from service.api.layer_map import LayerMapView, read_layer_map
from service.api.responses import tagged
from service.api.trial_table import MEDIA_TYPE, PARQUET, arrow_stream, parquet_file
from service.api.views import (
    CopyView,
    CurvesView,
    CurveView,
    ExploitView,
    ItemsView,
    LineageView,
    PageView,
    ReportView,
    SnippetView,
    StretchView,
    TrialView,
    View,
)
from service.errors import BadInput
from service.jobs.did_you_mean import unknown_name
from service.jobs.search.lineage import past_of
from service.jobs.snippets import snippet_of
from service.store.records import TrialOrigin, TrialState
from workers.tasks.registry import METRICS

router = APIRouter(tags=["trials"], route_class=PlainRoute, dependencies=[READ])
MOST = 2**31 - 1
"""The largest number that a trial can have in the database."""
TrialNumber = Annotated[int, Field(ge=0, le=MOST)]
MOST_ROWS = 200_000
"""Trials that are read for one file."""
SMALL = 4096
"""Bytes that are not worth compressing."""


class ChosenTrials(View):
    """Trials by number, in the order of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    numbers: list[TrialNumber] = Field(max_length=MOST_ROWS)


@router.get("/jobs/{job_id}/trials", response_model=PageView[TrialView])
def list_trials(
    job_id: str,
    request: Request,
    store: StoreDep,
    paging: PagingDep,
    state: Annotated[list[TrialState] | None, Query(max_length=10, description="only trials in these states")] = None,
    origin: Annotated[
        list[TrialOrigin] | None,
        Query(max_length=10, description="only of these origins; by default all but confirmations"),
    ] = None,
    sort: Annotated[str, Query(max_length=200, description="`number` or a metric", examples=["accuracy"])] = "number",
    descending: bool = False,
    tag: AllOfTags = None,
) -> Response:
    """The trials of a job; those without the metric that is sorted by come last."""
    own = [str(one["metric"]) for one in store.get_job(job_id).spec.get("objectives", ())]
    if sort not in (known := ["number", *{**METRICS, **dict.fromkeys(own)}]):
        raise BadInput.of([unknown_name("sort", sort, known, "metric")])
    page = store.list_trials(job_id, state, sort, descending, paging.cursor, paging.limit, origin, tag or ())
    items = [TrialView.of(trial) for trial in page.items]
    return tagged(request, PageView[TrialView].model_construct(items=items, next_cursor=page.next_cursor))


@router.get(
    "/jobs/{job_id}/columns",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "a stream of Arrow IPC, one record batch or more"}},
)
def get_columns(
    job_id: str,
    request: Request,
    store: StoreDep,
    limit: Annotated[int, Query(ge=1, le=50_000, description="the newest so many of them")] = 50_000,
    before: Annotated[int | None, Query(ge=0, le=MOST, description="of those numbered below it")] = None,
    number: Annotated[list[TrialNumber] | None, Query(max_length=200, description="only these trials")] = None,
) -> Response:
    """The trials of a search as typed columns in Arrow's format, which polars and pandas read as well: `config.…` and
    `metrics.…` beside the fields of a trial, times in milliseconds since 1970. For tens of thousands of trials."""
    store.get_job(job_id)
    content = arrow_stream(store.trial_columns(job_id, limit, before, number))
    headers = {"Cache-Control": "private, no-cache"}
    if len(content) > SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        # At its lowest level: a higher one takes longer than it saves on all but the slowest lines.
        content, headers = gzip.compress(content, 1), headers | {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


@router.post(
    "/jobs/{job_id}/parquet",
    response_class=Response,
    responses={200: {"content": {PARQUET: {}}, "description": "a Parquet file"}},
)
def write_parquet(job_id: str, chosen: ChosenTrials, store: StoreDep) -> Response:
    """The trials with these numbers, in this order, as a Parquet file with the columns of `columns`; times are
    timestamps. What is filtered and sorted elsewhere is so downloaded as it is shown."""
    store.get_job(job_id)
    content = parquet_file(store.trial_columns(job_id, MOST_ROWS), chosen.numbers)
    headers = {"Content-Disposition": f'attachment; filename="{job_id}.parquet"'}
    return Response(content, media_type=PARQUET, headers=headers)


@router.get("/jobs/{job_id}/curves", response_model=CurvesView)
def get_curves(
    job_id: str,
    request: Request,
    store: StoreDep,
    metric: Annotated[
        str | None, Query(max_length=200, description="what was reported (default: the first objective)")
    ] = None,
    most: Annotated[int, Query(ge=1, le=1000, description="newest trials; those on the front come beside")] = 200,
) -> Response:
    """One metric of many trials over their epochs, to compare how they learn."""
    job = store.get_job(job_id)
    objectives = job.spec.get("objectives") or [{"metric": "loss"}]
    name = metric or str(objectives[0]["metric"])
    found = store.curves(job_id, name, most)
    items = [CurveView.model_construct(**vars(curve)) for curve in found]
    return tagged(request, CurvesView.model_construct(metric=name, items=items))


@router.get("/jobs/{job_id}/lineage", response_model=ItemsView[CopyView])
def get_copies(job_id: str, request: Request, store: StoreDep) -> Response:
    """Who copied whom under population-based training, oldest first."""
    store.get_job(job_id)
    items = [CopyView.of(exploit) for exploit in store.job_exploits(job_id)]
    return tagged(request, ItemsView[CopyView].model_construct(items=items))


@router.get("/trials/{trial_id}", response_model=TrialView)
def get_trial(trial_id: str, request: Request, store: StoreDep) -> Response:
    """One trial."""
    return tagged(request, TrialView.of(store.get_trial(trial_id)))


@router.get("/trials/{trial_id}/reports", response_model=ItemsView[ReportView])
def list_reports(trial_id: str, request: Request, store: StoreDep) -> Response:
    """The learning curve of a trial: its reports of all attempts, oldest first."""
    store.get_trial(trial_id)
    items = [ReportView.of(report) for report in store.reports(trial_id)]
    return tagged(request, ItemsView[ReportView].model_construct(items=items))


@router.get("/trials/{trial_id}/lineage", response_model=LineageView)
def get_lineage(trial_id: str, request: Request, store: StoreDep) -> Response:
    """Whom the trial has copied under population-based training, and how its present weights came about."""
    trial = store.get_trial(trial_id)
    exploits, past = past_of(store, trial)
    own = [ExploitView.of(one) for one in exploits if one.trial_id == trial_id]
    return tagged(request, LineageView(exploits=own, stretches=[StretchView(**asdict(one)) for one in past]))


@router.get("/trials/{trial_id}/snippet", response_model=SnippetView)
def get_snippet(trial_id: str, request: Request, store: StoreDep) -> Response:
    """Python code that trains the trial's configuration again; of a refined trial, code that loads its adapter."""
    return tagged(request, SnippetView(snippet=snippet_of(store, store.get_trial(trial_id))))


@router.get("/trials/{trial_id}/generations", response_model=GenerationsView)
def get_generations(trial_id: str, request: Request, store: StoreDep, artifacts: ArtifactsDep) -> Response:
    """What the trial's model answered to held-out rows, beside its base, where the job asked for answers."""
    return tagged(request, read_generations(artifacts, store.get_trial(trial_id).adapter))


@router.get("/trials/{trial_id}/layers", response_model=LayerMapView)
def get_layers(trial_id: str, request: Request, store: StoreDep, artifacts: ArtifactsDep) -> Response:
    """How many numbers the trial's adapter keeps in each module of each layer."""
    return tagged(request, read_layer_map(artifacts, store.get_trial(trial_id).adapter))
