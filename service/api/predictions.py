"""Questions to the laws and their answers, in the form in which REST puts them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from predictors.answer import Answer, Interval, Standing
from service.api.views import View
from workers.bounded import INT32


class Question(BaseModel):
    """The root of all questions: numbers in the units of each field, no field unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StepLawQuestion(Question):
    """Which learning rate and batch size to pretrain with."""

    parameters: float = Field(description="non-embedding parameters", examples=[1.07e9])
    tokens: float = Field(description="training tokens", examples=[2e10])
    sequence_length: int = Field(2048, ge=1, le=INT32, description="tokens a sequence")
    level: float = Field(0.9, gt=0, lt=1, description="probability that the intervals cover")
    law: str | None = Field(
        None,
        max_length=200,
        description="name of a stored law to use; `published`: the paper's constants; null: the latest stored law "
        "that was measured at such sizes, else the paper's",
    )


class LawQuestion(Question):
    """Which learning rate and batch size a law of your own gives for a size."""

    law: str = Field(description="name of a stored law", max_length=200)
    version: int | None = Field(None, ge=1, le=INT32, description="an earlier version; null: the newest")
    parameters: float | None = Field(None, description="parameters, for adapters the trained ones")
    tokens: float | None = Field(None, description="training tokens, repeated ones counted")
    rank: float | None = Field(None, description="rank of the adapters, for laws that depend on it")
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

    hidden_size: int = Field(ge=1, le=INT32, description="width of the model", examples=[4096])
    family: str = Field(description="llama or qwen", max_length=100, examples=["llama"])
    full_fine_tuning: bool = Field(False, description="the rate without LoRA instead")


class LoraParametersQuestion(Question):
    """How many parameters LoRA trains on a known model."""

    model: str = Field(description="name of a known model", max_length=100, examples=["llama-3.1-8b"])
    rank: int = Field(1, ge=1, le=INT32, description="rank of every adapter")


class LayoutQuestion(Question):
    """How to spread the training of a decoder over GPUs."""

    layers: int = Field(ge=1, le=10_000, examples=[32])
    hidden_size: int = Field(ge=1, le=1_000_000, description="width of the model", examples=[4096])
    heads: int = Field(ge=1, le=100_000, examples=[32])
    vocabulary: int = Field(ge=1, le=10_000_000, examples=[32_000])
    gpus: int = Field(ge=1, le=1 << 20, examples=[64])
    batch: int = Field(ge=1, le=1 << 24, description="rows of a step", examples=[256])
    sequence_length: int = Field(2048, ge=1, le=10_000_000, description="tokens a row")
    trained: float = Field(1.0, gt=0, le=1, description="share of the weights that are trained: of adapters, little")
    gpus_per_node: int = Field(8, ge=1, le=1024)
    memory: float = Field(80.0, gt=0, le=1e6, description="GiB of a GPU")
    teraflops: float = Field(160.0, gt=0, le=1e6, description="what a GPU reaches by itself")
    inside: float = Field(300.0, gt=0, le=1e6, description="gigabytes a second between GPUs of a node")
    between: float = Field(25.0, gt=0, le=1e6, description="gigabytes a second of a GPU to other nodes")
    shown: int = Field(8, ge=1, le=100, description="layouts in the answer, the quickest first")


class LossCurveQuestion(Question):
    """How the loss of a pretraining run falls."""

    parameters: float = Field(description="non-embedding parameters", examples=[1e9])
    tokens: float = Field(description="training tokens", examples=[2e10])
    batch_tokens: float = Field(description="tokens a batch", examples=[5e5])
    points: int = Field(20, ge=1, le=1000, description="points of the curve, evenly spaced in tokens")


def without_mark(name: str) -> str:
    """A column's name without the byte order mark that the first one keeps where a file was not read as `utf-8-sig`."""
    return name.removeprefix("\ufeff")


class RunRow(Question):
    """A finished run."""

    parameters: float = Field(description="parameters that the law shall depend on")
    tokens: float = Field(description="training tokens")
    learning_rate: float
    batch: float = Field(description="batch size, in any one unit")
    loss: float
    rank: float | None = Field(None, description="rank of the adapters, in every row or in none")

    @model_validator(mode="before")
    @classmethod
    def _without_mark(cls, row: Any) -> Any:
        return {without_mark(name): value for name, value in row.items()} if isinstance(row, dict) else row


class FitLawQuestion(Question):
    """A table of runs, and optionally a size to answer for."""

    rows: list[RunRow] = Field(max_length=5000, description="at least 20, of at least 4 different sizes")
    rank: float | None = Field(None, description="answer for this rank, where the law depends on it")
    parameters: float | None = Field(None, description="answer for this many parameters, with `tokens`")
    tokens: float | None = Field(None, description="answer for this many tokens, with `parameters`")
    level: float = Field(0.9, gt=0, lt=1, description="probability that the intervals cover")


class StoreLawQuestion(Question):
    """A table of runs whose law shall be kept."""

    name: str = Field(min_length=1, max_length=200, description="stored under this name, as its next version")
    rows: list[RunRow] = Field(max_length=5000, description="at least 20, of at least 4 different sizes")
    batch_unit: str = Field("tokens", min_length=1, max_length=40, description="what `batch` counts in the rows")


class ExponentsView(View):
    """log y = coefficient + Σ exponent · log size, each with its standard error."""

    coefficient: float
    exponents: dict[str, float] = Field(description="by size: parameters, tokens and, where it tells more, rank")
    standard_errors: list[float] = Field(description="of the coefficient and each exponent: jackknife over the sizes")
    left_out_error: float = Field(description="root mean square of log(law / best run), that size not used")


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
    batch_edge: Literal["smallest", "largest"] | None = Field(
        description="the end of the batches tried at which the law holds; null where the runs show a best one"
    )
    rows: int
    cells: int = Field(description="different sizes")
    best: dict[str, float] | None = Field(description="for the size asked, the best of the settings tried")
    choice_cost: float | None = Field(description="mean relative loss of such choices over the best run, size left out")
    prediction: PredictionView | None


LawQuery = Annotated[LawQuestion, Query()]
StepLawQuery = Annotated[StepLawQuestion, Query()]
PowerQuery = Annotated[PowerQuestion, Query()]
CriticalBatchQuery = Annotated[CriticalBatchQuestion, Query()]
LoraRateQuery = Annotated[LoraRateQuestion, Query()]
LoraParametersQuery = Annotated[LoraParametersQuestion, Query()]
LayoutQuery = Annotated[LayoutQuestion, Query()]
LossCurveQuery = Annotated[LossCurveQuestion, Query()]
