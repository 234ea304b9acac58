"""Outside workers: claim a trial, report on it, tell how it ended."""

from __future__ import annotations

import asyncio

from anyio import to_thread
from fastapi import APIRouter, Response

from service.api.body_reading import PlainRoute
from service.api.dependencies import WORK, ArtifactsDep, SchedulingDep, StoreDep
from service.api.responses import answer
from service.api.told import ToldOutcome, ToldReport, check_outcome, check_report
from service.api.views import AskRequest, AssignmentView, DecisionView, TrialView
from service.errors import BadInput, Conflict
from service.jobs.assignments import assignment_for
from service.store.records import Job, Trial
from service.store.states import JOB_OVER
from service.store.store import Store
from workers import tracing

router = APIRouter(tags=["work"], dependencies=[WORK], route_class=PlainRoute)

LEASE = 60.0
"""Seconds that a trial belongs to an outside worker after each sign of life; then another may have it."""

LOOK_AGAIN = 0.3
"""Seconds between two looks at the queue while a worker waits for a trial."""


@router.post(
    "/jobs/{job_id}/ask",
    response_model=AssignmentView,
    responses={204: {"description": "nothing to do now; ask again"}, 409: {"description": "the job is over"}},
)
async def ask(job_id: str, body: AskRequest, store: StoreDep) -> Response:
    """Claim a trial. Asking again with the same worker id returns the same open trial and renews its lease."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + body.wait
    while True:
        job, trial = await to_thread.run_sync(_claim, store, job_id, body.worker_id)
        if trial is not None:
            claimed: tracing.Attributes = {"trial_id": trial.id, "attempt": trial.attempt, "worker": body.worker_id}
            with tracing.span("claim trial", job.trace, claimed):
                told = assignment_for(job, trial).model_copy(update={"trace": tracing.current() or job.trace})
            return answer(AssignmentView(**told.model_dump(), lease_seconds=LEASE))
        if loop.time() + LOOK_AGAIN > deadline:
            return Response(status_code=204)
        await asyncio.sleep(LOOK_AGAIN)


@router.post("/trials/{trial_id}/report", response_model=DecisionView)
def report(
    trial_id: str, body: ToldReport, store: StoreDep, artifacts: ArtifactsDep, scheduling: SchedulingDep
) -> Response:
    """Store what the trial has reached, renew its lease and learn whether to go on. 409 when the trial was given to
    another worker meanwhile; nothing is stored then."""
    _check_id(trial_id, body.trial_id)
    job = store.get_job(store.get_trial(trial_id).job_id)
    check_report(body, job, artifacts)
    _check_outside(job)
    store.add_report(body)
    store.extend_trial_lease(trial_id, body.attempt, LEASE)
    return answer(DecisionView(decision=scheduling.decide(job, trial_id)))


@router.post("/trials/{trial_id}/tell", response_model=TrialView)
def tell(trial_id: str, body: ToldOutcome, store: StoreDep, artifacts: ArtifactsDep) -> Response:
    """Store how the trial ended, with the front and the events, in one transaction. Telling the same again changes
    nothing; 409 when the trial was given to another worker meanwhile."""
    _check_id(trial_id, body.trial_id)
    trial = store.get_trial(trial_id)
    if trial.attempt == body.attempt:  # an older attempt is refused as such, whatever it tells
        job = store.get_job(trial.job_id)
        _check_outside(job)
        check_outcome(body, job, trial.metrics, artifacts)
    return answer(TrialView.of(store.finish_trial(body)))


def _claim(store: Store, job_id: str, worker_id: str) -> tuple[Job, Trial | None]:
    job = store.get_job(job_id)
    if job.state in JOB_OVER:
        raise Conflict(f"job {job_id} is {job.state}: there is nothing more to train")
    _check_outside(job)
    return job, store.claim_trial(job_id, worker_id, LEASE)


def _check_outside(job: Job) -> None:
    """Nobody tells of a trial that the service trains itself: its attempt is easily guessed."""
    if job.spec["resources"]["executor"] != "external":
        raise Conflict(f"the service trains job {job.id} itself; outside workers need `resources.executor: external`")


def _check_id(in_path: str, in_body: str) -> None:
    if in_path != in_body:
        raise BadInput("trial_id", in_body, f"the id in the path, {in_path!r}")
