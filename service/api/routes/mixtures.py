"""Data mixtures: from losses measured elsewhere to a recommended mixture."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, Field

from predictors.answer import OutOfDomain
from service.answering.costly import Desk, costly
from service.api.body_reading import PlainRoute, unread_when_busy
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ
from service.api.predictions import Question, without_mark
from service.api.views import View
from workers.bounded import Seed

router = APIRouter(prefix="/mixtures", tags=["mixtures"], dependencies=[READ], route_class=PlainRoute)

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
