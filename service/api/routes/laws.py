"""Answers that were learnt here: of designed jobs, and laws by name."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from service.answering.costly import Desk, costly
from service.api.body_reading import PlainRoute, unread_when_busy
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ, SUBMIT, CallerDep, StoreDep
from service.api.predictions import StoreLawQuestion
from service.api.responses import answer, tagged
from service.api.views import ItemsView, View
from service.errors import NotFound
from service.store.records import Answer, AnswerKind
from workers.bounded import INT32

LEVEL = 0.9
router = APIRouter(tags=["answers"], dependencies=[READ], route_class=PlainRoute)


class AnswerView(View):
    """What was learnt: a law's exponents, or a recommended mixture. `version` counts under each name."""

    kind: AnswerKind
    name: str
    version: int
    job_id: str | None = Field(description="the job that it was learnt in; null for an uploaded table")
    created_at: datetime
    answer: dict[str, Any]

    @classmethod
    def of(cls, answer: Answer) -> AnswerView:
        """The public form of a stored answer."""
        return cls(
            kind=answer.kind,
            name=answer.name,
            version=answer.version,
            job_id=answer.job_id,
            created_at=answer.created_at,
            answer=answer.body,
        )


@router.get("/jobs/{job_id}/answer", response_model=AnswerView)
def get_job_answer(job_id: str, request: Request, store: StoreDep) -> Response:
    """What a law or mixture job has learnt so far; 404 until its first stage is over. A mixture job's last version
    holds the check of its recommendation."""
    job = store.get_job(job_id)
    found = store.job_answer(job_id)
    if found is None:
        raise NotFound(f"answer, as the job is {job.state}, of job", job_id)
    return tagged(request, AnswerView.of(found))


@router.post("/laws", response_model=AnswerView, status_code=201, dependencies=[SUBMIT], responses=RESPONSES)
@unread_when_busy
async def store_law(question: StoreLawQuestion, request: Request, store: StoreDep, caller: CallerDep) -> Response:
    """Fit a law to a table of runs and keep it under a name; later questions use it where it was measured."""
    fit = await computed(request, fit_to_keep, {"rows": question.model_dump(mode="json")["rows"]}, "rows")
    if fit.status_code != 200:
        return fit
    body = json.loads(bytes(fit.body))["law"] | {"batch_unit": question.batch_unit}
    kept = await to_thread.run_sync(store.add_answer, "law", question.name, body, None, caller.project)
    return answer(AnswerView.of(kept), 201)


class FitView(View):
    """A fitted law in the form in which it is kept."""

    law: dict[str, Any]


@costly
def fit_to_keep(desk: Desk, rows: list[dict[str, float | None]]) -> FitView:
    """Fit the law."""
    from predictors.law_answer import fitted, variables_of

    given = [{name: value for name, value in row.items() if value is not None} for row in rows]
    desk.progress(f"fitting a law to {len(given)} runs")
    return FitView(law=fitted(given, None, LEVEL, variables_of(given)))


@router.get("/laws", response_model=ItemsView[AnswerView])
def list_laws(request: Request, store: StoreDep, caller: CallerDep) -> Response:
    """The newest version of every law that was learnt here, the latest first."""
    items = [AnswerView.of(one) for one in store.newest_answers("law", project=caller.sees)]
    return tagged(request, ItemsView[AnswerView](items=items))


@router.get("/laws/{name}", response_model=AnswerView)
def get_law(
    name: str,
    request: Request,
    store: StoreDep,
    caller: CallerDep,
    version: Annotated[int | None, Query(ge=1, le=INT32, description="an earlier one [default: the newest]")] = None,
) -> Response:
    """A law by name."""
    return tagged(request, AnswerView.of(store.answer("law", name, version, caller.sees)))
