"""What is left of a search's promises on rows that it never saw."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from predictors.insights import MOST_TRIALS
from service.answering.costly import Desk, costly
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ, StoreDep
from service.api.routes.insights import EstimateView
from service.api.views import TrialView, View
from service.errors import NotFound
from service.jobs.kinds import search_spec
from service.jobs.search.confirmation import Confirmation, Confirmed, Gain, Item, Standing, confirmation
from service.jobs.search.problem import stored_problem

router = APIRouter(prefix="/jobs/{job_id}", tags=["insights"], dependencies=[READ])


class GainView(View):
    """By how much a configuration is better than the best reference trial: as searched, and as confirmed over seeds
    that both share. `survived` is the share of the searched gain that is left, null where the search showed none."""

    reference: str
    searched: float
    confirmed: EstimateView
    survived: float | None

    @classmethod
    def of(cls, gain: Gain) -> GainView:
        """The public form of a gain."""
        confirmed = EstimateView.of(gain.confirmed)
        return cls(reference=gain.reference, searched=gain.searched, confirmed=confirmed, survived=gain.survived)


class ConfirmedView(View):
    """One objective, or a metric that confirmations alone measure: as searched, the mean over fresh `seeds` on unseen
    rows, and the interval in which that mean should lie by all that the search had measured. Null where it is not known
    (yet)."""

    metric: str
    searched: float | None
    confirmed: EstimateView | None
    seeds: int
    promised: EstimateView | None
    kept: bool | None
    gain: GainView | None

    @classmethod
    def of(cls, one: Confirmed) -> ConfirmedView:
        """The public form of a confirmed objective."""
        return cls(
            metric=one.metric,
            searched=one.searched,
            confirmed=None if one.confirmed is None else EstimateView.of(one.confirmed),
            seeds=one.seeds,
            promised=None if one.promised is None else EstimateView.of(one.promised),
            kept=one.kept,
            gain=None if one.gain is None else GainView.of(one.gain),
        )


class ConfirmedTrialView(View):
    """A trial of the search whose configuration was trained again; `failed` counts repetitions that failed."""

    trial: TrialView
    objectives: list[ConfirmedView]
    failed: int

    @classmethod
    def of(cls, item: Item) -> ConfirmedTrialView:
        """The public form of an item of the report."""
        objectives = [ConfirmedView.of(one) for one in item.objectives]
        return cls(trial=TrialView.of(item.trial), objectives=objectives, failed=item.failed)


class ConfirmationView(View):
    """The report. `promised` means were promised an interval; `kept` of the `promises` that two seeds or more let judge
    so far lie in theirs."""

    state: Standing
    split: str
    seeds: int
    items: list[ConfirmedTrialView]
    promised: int
    kept: int
    promises: int

    @classmethod
    def of(cls, found: Confirmation, split: str, seeds: int) -> ConfirmationView:
        """The public form of a report."""
        items = [ConfirmedTrialView.of(item) for item in found.items]
        return cls(
            state=found.standing,
            split=split,
            seeds=seeds,
            items=items,
            promised=found.promised,
            kept=found.kept,
            promises=found.promises,
        )


@router.get("/confirmation", response_model=ConfirmationView, responses=RESPONSES)
async def get_confirmation(
    job_id: str,
    request: Request,
    store: StoreDep,
    level: Annotated[float, Query(gt=0, lt=1, description="probability that the intervals cover")] = 0.9,
) -> Response:
    """How the front and the reference trials did when they were trained again with fresh seeds and measured on rows
    that the search never saw, and how much of their gain is left. For jobs with `confirm` in their spec."""
    job = await to_thread.run_sync(store.get_job, job_id)
    if search_spec(job).confirm is None:
        raise NotFound("`confirm` in the spec, so there is no confirmation, of job", job_id)
    return await computed(request, report, {"job_id": job_id, "level": level}, job.version)


@costly
def report(desk: Desk, job_id: str, level: float) -> ConfirmationView:
    """The report, from the confirmations, what they confirm, and the newest trials of the search."""
    spec, store = search_spec(desk.store.get_job(job_id)), desk.store
    assert spec.confirm is not None, "looked at before"
    repeats = store.confirmations(job_id)
    confirmed = (store.get_trial(id) for id in {str(trial.confirms) for trial in repeats})
    told = (*store.newest_completed(job_id, 2 * MOST_TRIALS), *store.reference_trials(job_id), *confirmed)
    searched = sorted({trial.id: trial for trial in told}.values(), key=lambda trial: trial.number)
    further = [metric.name for metric in spec.task.confirmed_metrics()]
    found = confirmation(stored_problem(spec), searched, repeats, level, further)
    return ConfirmationView.of(found, spec.confirm.split, spec.confirm.seeds)
