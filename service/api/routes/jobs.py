"""Jobs: submit, list, read, steer, clone, extend, change, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from service.api.body_reading import PlainRoute
from service.api.dependencies import READ, SUBMIT, AllOfTags, Caller, CallerDep, Now, PagingDep, SettingsDep, StoreDep
from service.api.job_views import begun, view_job
from service.api.responses import answer, has_version, tagged
from service.api.spec_reading import SPEC_BODY, merge_patch, read_body
from service.api.views import ExtendRequest, JobView, PageView, RemarksRequest
from service.errors import BadInput, Conflict
from service.jobs.admission import admit
from service.jobs.kinds import search_spec
from service.jobs.refine.sources import with_sources
from service.jobs.search.problem import build_problem
from service.jobs.search.spec import JobSpec
from service.jobs.uploads import with_uploads
from service.store.records import Choice, JobState
from service.store.states import JOB_OVER
from workers import tracing

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=PlainRoute)
Key = Annotated[
    str | None,
    Header(max_length=200, description="the same key never creates a second job", examples=["3f1c9e"]),
]
RawBody = Annotated[Any, Depends(read_body)]


@router.get("", response_model=PageView[JobView], dependencies=[READ])
def list_jobs(
    request: Request,
    store: StoreDep,
    now: Now,
    paging: PagingDep,
    caller: CallerDep,
    state: Annotated[list[JobState] | None, Query(max_length=10, description="only jobs in these states")] = None,
    tag: AllOfTags = None,
    text: Annotated[str, Query(max_length=200, description="in their name, their note or their id")] = "",
) -> Response:
    """Jobs of the token's project, newest first; operators see those of all."""
    choice = Choice(tuple(state or ()), tuple(tag or ()), text.strip())
    page = store.list_jobs(paging.cursor, paging.limit, caller.sees, choice)
    items = [view_job(job, store, now) for job in page.items]
    return tagged(request, PageView[JobView](items=items, next_cursor=page.next_cursor))


@router.post("", response_model=JobView, status_code=201, dependencies=[SUBMIT], openapi_extra=SPEC_BODY)
def create_job(
    body: RawBody, store: StoreDep, settings: SettingsDep, now: Now, caller: CallerDep, idempotency_key: Key = None
) -> Response:
    """Submit a JobSpec as JSON or YAML. It is checked against the data, the model and the space; every problem found
    is in the 422, and nothing is stored then."""
    return _create(body, store, settings, now, caller, idempotency_key)


@router.get("/{job_id}", response_model=JobView, dependencies=[READ])
def get_job(job_id: str, request: Request, store: StoreDep, now: Now) -> Response:
    """One job with its progress."""
    job = store.get_job(job_id)
    tag = f"{job.id}.{job.version}.{begun(job, store):.4f}"  # reports move its progress, not its version
    if has_version(request, tag):
        return Response(status_code=304, headers={"ETag": f'W/"{tag}"'})
    return tagged(request, view_job(job, store, now), tag)


@router.patch("/{job_id}", response_model=JobView, dependencies=[SUBMIT])
def remark_job(job_id: str, remarks: RemarksRequest, store: StoreDep, now: Now) -> Response:
    """Change a job's tags and its note."""
    return answer(view_job(store.remark_job(job_id, remarks.said()), store, now))


@router.delete("/{job_id}", status_code=204, dependencies=[SUBMIT])
def delete_job(job_id: str, store: StoreDep) -> None:
    """Delete a job that is over or was never started, with its trials and reports."""
    job = store.get_job(job_id)
    if job.state not in JOB_OVER and (job.counts["running"] or job.state == "running"):
        raise Conflict(f"job {job_id} is {job.state}; cancel it before you delete it")
    store.delete_job(job_id)


@router.post("/{job_id}/pause", response_model=JobView, dependencies=[SUBMIT])
def pause_job(job_id: str, store: StoreDep, now: Now) -> Response:
    """Start no further trial; running ones end. Pausing a paused job changes nothing."""
    return _steer(job_id, store, now, to="paused", already=("paused",))


@router.post("/{job_id}/resume", response_model=JobView, dependencies=[SUBMIT])
def resume_job(job_id: str, store: StoreDep, now: Now) -> Response:
    """Go on with a paused job. Resuming one that is queued or running changes nothing."""
    return _steer(job_id, store, now, to="queued", already=("queued", "running"), only_from=("paused",))


@router.post("/{job_id}/cancel", response_model=JobView, dependencies=[SUBMIT])
def cancel_job(job_id: str, store: StoreDep, now: Now) -> Response:
    """End a job now. What it has measured stays. Cancelling a cancelled job changes nothing."""
    return _steer(job_id, store, now, to="cancelled", already=("cancelled",))


@router.post("/{job_id}/clone", response_model=JobView, status_code=201, dependencies=[SUBMIT])
def clone_job(
    job_id: str,
    changes: dict[str, Any],
    store: StoreDep,
    settings: SettingsDep,
    now: Now,
    caller: CallerDep,
    idempotency_key: Key = None,
) -> Response:
    """Submit the job's spec again with the body merged into it (RFC 7396: null removes a field)."""
    job = store.get_job(job_id)
    asking = replace(caller, project=job.project)
    return _create(merge_patch(job.spec, changes), store, settings, now, asking, idempotency_key)


@router.post("/{job_id}/extend", response_model=JobView, dependencies=[SUBMIT])
def extend_job(job_id: str, more: ExtendRequest, store: StoreDep, settings: SettingsDep, now: Now) -> Response:
    """Give a job more trials, and more wall clock where it is limited. A job that is over is queued again."""
    if not more.trials and more.wall_clock is None:
        raise BadInput("trials", 0, "at least 1, or more `wall_clock`")
    job = store.get_job(job_id)
    spec = search_spec(job).model_dump(mode="json")
    budget = {**spec["budget"], "trials": spec["budget"]["trials"] + more.trials}
    if more.wall_clock is not None:
        if budget["wall_clock"] is None:
            raise BadInput("wall_clock", more.wall_clock, "nothing: the wall clock of this job has no limit")
        budget["wall_clock"] += more.wall_clock
    admitted = admit({**spec, "budget": budget}, with_uploads(settings, job.project))
    return answer(view_job(store.extend_job(job_id, admitted.model_dump(mode="json")), store, now))


@router.patch("/{job_id}/space", response_model=JobView, dependencies=[SUBMIT])
def change_space(job_id: str, changes: dict[str, Any], store: StoreDep, settings: SettingsDep, now: Now) -> Response:
    """Change the space of a job that is not over: the body is merged into the `space` of its spec (RFC 7396).

    Narrow or freeze parameters by `overrides`, add some by `parameters` with the value that earlier trials had in
    `implied`. Suggestions that have no place in the new space are taken back; trials that ran keep theirs on the front.
    """
    job = store.get_job(job_id)
    spec = search_spec(job).model_dump(mode="json")
    if job.state in JOB_OVER:
        raise Conflict(f"job {job_id} is {job.state}: extend it before you change its space")
    admitted = admit({**spec, "space": merge_patch(spec["space"], changes)}, with_uploads(settings, job.project))
    assert isinstance(admitted, JobSpec), "a search stays one"
    changed = store.extend_job(job_id, admitted.model_dump(mode="json"))
    space = build_problem(admitted).space
    misplaced = [
        trial.id for trial in store.searched_trials(job_id) if trial.replaceable and not space.contains(trial.config)
    ]
    store.replace_queued(job_id, misplaced, [])
    return answer(view_job(changed, store, now))


def _create(body: Any, store: StoreDep, settings: SettingsDep, now: Now, caller: Caller, key: str | None) -> Response:
    spec = admit(with_sources(body, store, caller.sees), with_uploads(settings, caller.project))
    job = store.create_job(spec.name, spec.model_dump(mode="json"), key, caller.project, tracing.current())
    response = answer(view_job(job, store, now), 201)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return response


def _steer(
    job_id: str,
    store: StoreDep,
    now: Now,
    to: JobState,
    already: tuple[JobState, ...],
    only_from: tuple[JobState, ...] | None = None,
) -> Response:
    job = store.get_job(job_id)
    if job.state not in already:
        if only_from is not None and job.state not in only_from:
            raise Conflict(f"job {job_id} is {job.state}; only a paused job can be resumed, others can be extended")
        job = store.set_job_state(job_id, to)
    return answer(view_job(job, store, now))
