"""What a job says of a metric of its own. Imports no torch: the API checks it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, model_validator

from workers.bounded import INT32, Location, Name, Number
from workers.outbound.addresses import LONGEST
from workers.tasks.metrics import Direction, Metric


class _Judge(BaseModel):
    """What all have in common: the metric that they give, as other metrics are declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(max_length=64, pattern=r"^[A-Za-z_]\w*$", description="of the metric, as objectives write it")
    direction: Direction = Field(default="maximize", description="the better one")
    low: Number = Field(default=0.0, description="no score lies below; a judge that says so has failed")
    high: Number = Field(default=1.0, description="no score lies above")
    unit: str = Field(default="", max_length=40)
    description: str = Field(default="", max_length=200)
    confirm_only: bool = Field(
        default=False, description="measured in `confirm` alone, so no objective: for what is too dear for each trial"
    )

    @model_validator(mode="after")
    def _has_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"high: found {self.high:g}; allowed: above `low`, {self.low:g}")
        return self

    @property
    def metric(self) -> Metric:
        """Its metric, beside those that types of task declare."""
        told = self.description or f"a metric of the job's own ({self.origin})"
        return Metric(self.name, "quality", self.direction, self.unit, told, low=self.low, high=self.high)

    @property
    def origin(self) -> str:
        """Where its scores come from, in a word."""
        return str(getattr(self, "type"))  # noqa: B009  # every kind has it, this class has not


class FileJudge(_Judge):
    """A function of a Python file, in a folder that the operator allows code of jobs in (`--programs`)."""

    type: Literal["file"]
    file: Location = Field(description="Python file, relative to a folder of `--programs`")
    function: str = Field(
        default="score",
        max_length=200,
        pattern=r"^[A-Za-z_]\w*$",
        description="gets a list of rows (`prompt`, `completion`, `reference`), returns a number for each",
    )
    timeout: float = Field(default=600.0, gt=0, le=86_400, description="seconds for all rows; then it has failed")


class HttpJudge(_Judge):
    """A service that scores rows over HTTP, at an address that the operator allows (`--judges`)."""

    type: Literal["http"]
    url: str = Field(max_length=LONGEST, description='gets `{"metric", "rows"}` by POST, answers `{"scores": […]}`')
    rows_at_once: int = Field(default=32, ge=1, le=1024, description="rows of a request")
    timeout: float = Field(default=60.0, gt=0, le=3600, description="seconds for the answer to one request")
    patience: float = Field(
        default=300.0, ge=0, le=3600, description="seconds for which a judge that does not answer is asked again"
    )


class HarnessJudge(_Judge):
    """A task of lm-evaluation-harness from a local task file, its data local, too."""

    type: Literal["lm-eval"]
    file: Location = Field(description="YAML of the task, relative to a folder of `--programs`")
    result: Name = Field(default="acc", description="which of the task's metrics it is")
    limit: int | None = Field(default=None, ge=1, le=INT32, description="rows at most")
    batch_size: int = Field(default=16, ge=1, le=1024, description="rows that are read together")


RowJudge = FileJudge | HttpJudge
Judge = Annotated[FileJudge | HttpJudge | HarnessJudge, Discriminator("type")]


def check_judges(judges: tuple[Any, ...], answered: bool) -> None:
    """Raise `ValueError` for names that two share, and for judges of answers where none are written."""
    names = [one.name for one in judges]
    if len(set(names)) != len(names):
        raise ValueError(f"judges: found the names {', '.join(names)}; allowed: each once")
    needy = [one.name for one in judges if not isinstance(one, HarnessJudge)]
    if needy and not answered:
        raise ValueError(f"judges: {', '.join(needy)} score answers; needed: `generation`, by which these are written")
