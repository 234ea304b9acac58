"""Questions to the laws and their answers, in the form in which REST puts them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from predictors.answer import Answer, Interval, Standing
from service.api.views import View


class Question(BaseModel):
    """The root of all questions: numbers in the units of each field, no field unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StepLawQuestion(Question):
    """Which learning rate and batch size to pretrain with."""

    parameters: float = Field(description="non-embedding parameters", examples=[1.07e9])
    tokens: float = Field(description="training tokens", examples=[2e10])
    sequence_length: int = Field(2048, description="tokens a sequence")
    level: float = Field(0.9, gt=0, lt=1, description="probability that the intervals cover")


class PowerQuestion(Question):
    """Which learning rate a run needs under the power law, in µP units."""

    tokens: float = Field(description="training tokens", examples=[1e10])
    batch_sequences: float = Field(description="sequences a batch", examples=[64])
    amplitude: float | None = Field(None, description="your own `a`; null: the published one")


class CriticalBatchQuestion(Question):
    """Which batch size is worth its tokens at a loss."""

    loss: float = Field(description="nats a token", examples=[2.5])
    steps: float | None = Field(None, description="optimizer steps of a run, with `batch_tokens`")
    batch_tokens: float | None = Field(None, description="tokens a batch of that run")


class LoraRateQuestion(Question):
    """Which learning rate LoRA needs on a model."""

    hidden_size: int = Field(description="width of the model", examples=[4096])
    family: str = Field(description="llama or qwen", max_length=100, examples=["llama"])
    full_fine_tuning: bool = Field(False, description="the rate without LoRA instead")


class LoraParametersQuestion(Question):
    """How many parameters LoRA trains on a known model."""

    model: str = Field(description="name of a known model", max_length=100, examples=["llama-3.1-8b"])
    rank: int = Field(1, description="rank of every adapter")


class LossCurveQuestion(Question):
    """How the loss of a pretraining run falls."""

    parameters: float = Field(description="non-embedding parameters", examples=[1e9])
    tokens: float = Field(description="training tokens", examples=[2e10])
    batch_tokens: float = Field(description="tokens a batch", examples=[5e5])
    points: int = Field(20, ge=1, le=1000, description="points of the curve, evenly spaced in tokens")


class RunRow(Question):
    """A finished run."""

    parameters: float = Field(description="parameters that the law shall depend on")
    tokens: float = Field(description="training tokens")
    learning_rate: float
    batch: float = Field(description="batch size, in any one unit")
    loss: float


class FitLawQuestion(Question):
    """A table of runs, and optionally a size to answer for."""

    rows: list[RunRow] = Field(max_length=5000, description="at least 20, of at least 4 (parameters, tokens) pairs")
    parameters: float | None = Field(None, description="answer for this many parameters, with `tokens`")
    tokens: float | None = Field(None, description="answer for this many tokens, with `parameters`")
    level: float = Field(0.9, gt=0, lt=1, description="probability that the intervals cover")


class ExponentsView(View):
    """log y = coefficient + parameters · log N + tokens · log D, each with its standard error."""

    coefficient: float
    parameters: float
    tokens: float
    standard_errors: list[float] = Field(description="of coefficient, parameters, tokens: jackknife over the pairs")
    left_out_error: float = Field(description="root mean square of log(law / best run), that pair not used")


class IntervalView(View):
    """Where a value lies with probability `level`."""

    low: float
    high: float
    level: float

    @classmethod
    def of(cls, interval: Interval) -> IntervalView:
        """The public form of an interval."""
        return cls(low=interval.low, high=interval.high, level=interval.level)


class PredictionView(View):
    """A law's answer. Each predicted number is a field of its own (`learning_rate`, `batch_tokens`, …), with its entry
    in `units` and, where the law's uncertainty is known, in `intervals`."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Any]

    units: dict[str, str]
    intervals: dict[str, IntervalView]
    source: str
    standing: Standing = Field(description="published, unverified (from memory of a paper) or fitted here")
    valid_for: str
    warnings: list[str]

    @classmethod
    def of(cls, answer: Answer, **more: Any) -> PredictionView:
        """The public form of an answer; `more` are fields beside its quantities."""
        named = answer.quantities.items()
        values = {name: quantity.value for name, quantity in named}
        return cls(
            **values | more,
            units={name: quantity.unit for name, quantity in named},
            intervals={name: IntervalView.of(one.interval) for name, one in named if one.interval is not None},
            source=answer.source,
            standing=answer.standing,
            valid_for=answer.valid_for,
            warnings=list(answer.warnings),
        )


class FittedLawView(View):
    """A law of your own."""

    learning_rate: ExponentsView
    batch: ExponentsView
    rows: int
    pairs: int
    best: dict[str, float] | None = Field(description="for the size asked, the best of the settings tried")
    choice_cost: float | None = Field(description="mean relative loss of such choices over the best run, pair left out")
    prediction: PredictionView | None


StepLawQuery = Annotated[StepLawQuestion, Query()]
PowerQuery = Annotated[PowerQuestion, Query()]
CriticalBatchQuery = Annotated[CriticalBatchQuestion, Query()]
LoraRateQuery = Annotated[LoraRateQuestion, Query()]
LoraParametersQuery = Annotated[LoraParametersQuestion, Query()]
LossCurveQuery = Annotated[LossCurveQuestion, Query()]
