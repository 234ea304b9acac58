"""The stages of a job, from its data to what was exported."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request, Response

from search_spaces.space import Space
from service.api.dependencies import READ, StoreDep
from service.api.responses import tagged
from service.api.views import ItemsView, View
from service.errors import BadInput
from service.jobs.kinds import kind_of, search_spec
from service.jobs.search.problem import stored_space
from service.jobs.stages import ProductKind, Stage, StageName, StageState, Told, stages
from service.store.records import Job
from service.store.store import Store

router = APIRouter(prefix="/jobs/{job_id}", tags=["jobs"], dependencies=[READ])


class ProductView(View):
    """What a stage brought forth, where the API has it; `id` is a hash, or that of a job."""

    kind: ProductKind
    text: str
    path: str
    id: str | None


class StageView(View):
    """One stage. It is done only with something to show; `unfinished` when the job is over and it never came to its
    end. Times are null where they are not known."""

    name: StageName
    state: StageState
    products: list[ProductView]
    started_at: datetime | None
    finished_at: datetime | None
    note: str

    @classmethod
    def of(cls, stage: Stage) -> StageView:
        """The public form of a stage."""
        products = [ProductView.model_construct(**vars(one)) for one in stage.products]
        return cls.model_construct(**vars(stage) | {"products": products})


@router.get("/stages", response_model=ItemsView[StageView])
def list_stages(job_id: str, request: Request, store: StoreDep) -> Response:
    """The seven stages of a job in their order: data, base, space, search, confirm, refine, export."""
    items = [StageView.of(stage) for stage in stages(_told(store, job_id))]
    return tagged(request, ItemsView[StageView].model_construct(items=items))


def _told(store: Store, job_id: str) -> Told:
    job = store.get_job(job_id)
    return Told(
        job=job,
        space=_space(job),
        provenance=store.provenance(job_id),
        confirmations=store.confirmations(job_id) if job.spec.get("confirm") else (),
        answer=store.job_answer(job_id),
        refinements=store.refinements(job_id),
        exports=store.exports(job_id),
    )


def _space(job: Job) -> Space | None:
    if kind_of(job.spec) != "search":
        return None
    try:
        return stored_space(search_spec(job))
    except BadInput:
        return None
