"""How far searches have come, in a few numbers each: what a list of jobs draws beside their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.dependencies import READ, CallerDep, StoreDep
from service.api.responses import tagged
from service.api.views import ItemsView, View
from service.jobs.seen import seen_job
from service.store.store import Store
from workers.bounded import Name

router = APIRouter(tags=["jobs"], dependencies=[READ])
POINTS = 40


class CourseView(View):
    """The best value so far of a job's first objective, at up to 40 finished trials that stand evenly among all."""

    job_id: str
    metric: str
    values: list[float]


@router.get("/courses", response_model=ItemsView[CourseView])
def list_courses(
    request: Request,
    store: StoreDep,
    caller: CallerDep,
    job: Annotated[list[Name], Query(max_length=200, description="id of a job; repeatable")],
) -> Response:
    """The course of each of these jobs. Jobs that are not there are left out."""
    return tagged(request, ItemsView[CourseView](items=list(_courses(store, job, caller.sees))))


def _courses(store: Store, ids: Sequence[str], project: str | None) -> Iterator[CourseView]:
    for id in dict.fromkeys(ids):
        found = seen_job(store, id, project)
        if found is None or not found.spec.get("objectives"):
            continue
        first = found.spec["objectives"][0]
        values = store.course(id, first["metric"], first["direction"] == "maximize", POINTS)
        yield CourseView.model_construct(job_id=id, metric=first["metric"], values=list(values))
