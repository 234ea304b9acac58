"""Data mixtures: from losses measured elsewhere to a recommended mixture."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, Field

from predictors.answer import OutOfDomain
from service.answering.costly import Desk, costly
from service.api.body_reading import PlainRoute, unread_when_busy
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ, StoreDep
from service.api.predictions import Question, without_mark
from service.api.views import View
from service.errors import BadInput
from service.jobs.kinds import kind_of
from service.jobs.mixture.conclusion import measured_row
from service.jobs.mixture.plan import proxies_of
from service.jobs.mixture.spec import LEAST_MIXTURES, MixtureSpec
from service.jobs.plan import Measured
from workers.bounded import Seed

MOST_TRIALS = 3000  # of a job: as many mixtures as a spec may ask for, and its checks

router = APIRouter(prefix="/mixtures", tags=["mixtures"], dependencies=[READ], route_class=PlainRoute)

of_job = APIRouter(prefix="/jobs/{job_id}", tags=["mixtures"], dependencies=[READ], route_class=PlainRoute)

Name = Annotated[str, AfterValidator(without_mark), Field(min_length=1, max_length=200)]


class MixtureRow(Question):
    """A mixture that was trained on, and what it reached."""

    weights: dict[Name, float] = Field(description="share of each domain; they sum to one", max_length=200)
    losses: dict[Name, float] = Field(description="validation losses", min_length=1, max_length=200)


class MixtureQuestion(Question):
    """Losses of mixtures measured elsewhere."""

    rows: list[MixtureRow] = Field(max_length=2000, description="at least eight; every row has the same domains")
    target: Name | None = Field(None, description="the loss to lower; null: the mean of all losses")
    prior: dict[Name, float] | None = Field(
        None, description="natural proportions to draw candidates around; null: the mean of the rows"
    )
    level: float = Field(0.9, gt=0, lt=1, description="probability that the intervals cover")
    seed: Seed = 0


class EffectView(View):
    """Change of the loss when a twentieth of the mixture is given to this domain, with its interval."""

    domain: str
    change: float
    low: float
    high: float


class FitView(View):
    """How well the regression predicts rows that it has not seen (leave one out)."""

    rows: int
    rank_correlation: float
    error: float = Field(description="root mean square error, in units of the loss")


class MixtureView(View):
    """The recommended mixture, what it is expected to reach and why."""

    weights: dict[str, float]
    loss: float
    low: float
    high: float
    level: float
    simulated_weights: dict[str, float] = Field(description="mean of the best simulated draws, as in RegMix")
    simulated_loss: float
    best_measured: dict[str, float] = Field(description="the best mixture among the rows")
    best_measured_loss: float
    effects: list[EffectView]
    fit: FitView
    source: str
    valid_for: str
    warnings: list[str]


@router.post("/fit", response_model=MixtureView, responses=RESPONSES)
@unread_when_busy
async def fit_mixture(question: MixtureQuestion, request: Request) -> Response:
    """Fit a regression of the loss on the mixture, search the simplex, recommend a mixture with its predicted loss,
    interval and the effect of each domain. Takes seconds to a minute with hundreds of rows."""
    if not question.rows:
        raise OutOfDomain("rows", 0, "at least eight rows")
    return await computed(request, recommended, question.model_dump(mode="json"), "rows")


@costly
def recommended(
    desk: Desk,
    rows: list[dict[str, dict[str, float]]],
    target: str | None,
    prior: dict[str, float] | None,
    level: float,
    seed: int,
) -> MixtureView:
    """Fit, search and explain."""
    from predictors import mixture_answer

    desk.progress(f"fitting a regression to {len(rows)} mixtures")
    pairs = [(row["weights"], row["losses"]) for row in rows]
    return MixtureView.model_validate(mixture_answer.answer(pairs, target, prior, level, seed))


class MixturesQuestion(Question):
    """Mixtures that nobody may have trained on."""

    mixtures: list[dict[Name, float]] = Field(
        min_length=1, max_length=500, description="the share of each domain of the job; they sum to one"
    )
    level: float = Field(0.9, gt=0, lt=1, description="probability that the intervals cover")


class ExpectedMixture(View):
    """The loss to expect of a mixture, with the interval that a measurement would lie in."""

    weights: dict[str, float]
    loss: float
    low: float
    high: float


class ExpectedMixturesView(View):
    """What the regression on a job's measured mixtures expects of others, in the order in which they were asked for."""

    items: list[ExpectedMixture]
    level: float
    fit: FitView
    source: str
    valid_for: str
    warnings: list[str]


@of_job.post("/mixtures/expect", response_model=ExpectedMixturesView, responses=RESPONSES)
@unread_when_busy
async def expect_mixtures(job_id: str, question: MixturesQuestion, request: Request, store: StoreDep) -> Response:
    """The loss of any mixtures of a job's domains, by the regression on what its proxies measured."""
    job = await to_thread.run_sync(store.get_job, job_id)
    return await computed(request, expected, {"job_id": job_id, **question.model_dump(mode="json")}, job.version)


@costly
def expected(desk: Desk, job_id: str, mixtures: list[dict[str, float]], level: float) -> ExpectedMixturesView:
    """Fit the job's proxies and ask the fit."""
    from predictors import mixture_answer

    job = desk.store.get_job(job_id)
    if kind_of(job.spec) != "mixture":
        allowed = "a job of kind `mixture`"
        raise BadInput("job_id", job_id, allowed, f"{job_id} is of kind {kind_of(job.spec)}; needed: {allowed}")
    spec = MixtureSpec.model_validate(job.spec)
    measured = proxies_of(map(Measured.of, desk.store.newest_completed(job_id, MOST_TRIALS)))
    desk.progress(f"fitting a regression to {len(measured)} mixtures")
    if len(measured) < LEAST_MIXTURES:
        raise OutOfDomain("trials", f"{len(measured)} measured mixtures", f"at least {LEAST_MIXTURES}")
    rows = [measured_row(one, spec.domains, spec.target_domains) for one in measured]
    return ExpectedMixturesView.model_validate(mixture_answer.expected(rows, mixtures, None, level))
