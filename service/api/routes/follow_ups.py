"""What goes on from a trial: jobs that began with it, and specs of jobs that could."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from service.api.dependencies import READ, StoreDep
from service.api.responses import tagged
from service.api.views import ItemsView, View
from service.jobs.kinds import search_spec
from service.jobs.search.follow_up import FOLLOW_UPS
from service.store.records import JobState
from service.store.uses import Use

router = APIRouter(prefix="/trials/{trial_id}", tags=["trials"], dependencies=[READ])


class FollowUpView(View):
    """A JobSpec to submit, or to change first."""

    spec: dict[str, Any]


class UseView(View):
    """A refine job that began with the trial's adapter, as its trial `number`."""

    job_id: str
    name: str
    state: JobState
    number: int

    @classmethod
    def of(cls, use: Use) -> UseView:
        """The public form of a use."""
        return cls.model_construct(**vars(use))


@router.get("/follow-up", response_model=FollowUpView)
def get_follow_up(
    trial_id: str,
    request: Request,
    store: StoreDep,
    how: Annotated[
        Literal["again", "around"],
        Query(description="the same training with another seed, or a search of a space narrowed round it"),
    ] = "again",
) -> Response:
    """The spec of a job that goes on from a trial of a search. Nothing is stored: submit it to `/v1/jobs`."""
    trial = store.get_trial(trial_id)
    spec = search_spec(store.get_job(trial.job_id))
    return tagged(request, FollowUpView(spec=FOLLOW_UPS[how](spec, trial)))


@router.get("/uses", response_model=ItemsView[UseView])
def list_uses(trial_id: str, request: Request, store: StoreDep) -> Response:
    """The refine jobs that began with the trial's adapter, newest first."""
    trial = store.get_trial(trial_id)
    return tagged(request, ItemsView[UseView](items=[UseView.of(use) for use in store.uses(trial.id)]))
