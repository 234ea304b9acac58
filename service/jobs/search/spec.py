"""A JobSpec: what a user submits. Its shape is checked here; `service.jobs.admission` checks it against the world
(files, columns, labels, models), so this module stays importable without either."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from workers.assignment import Execution
from workers.bounded import Name, Number, Seed
from workers.methods.declaration.untrained import UNTRAINED
from workers.task import AnyType

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?\s*(?:(\d+(?:\.\d+)?)m)?\s*(?:(\d+(?:\.\d+)?)s)?")


def _seconds(value: object) -> object:
    """Read `20m`, `1h30m`, `45s` or a number of seconds."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{value!r} is not a duration; write seconds as a number, or like 90s, 20m, 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=1e10)]


class Section(BaseModel):
    """A part of a JobSpec: no field unknown, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SpaceSpec(Section):
    """A preset with overrides, an explicit list of parameters (the JSON form of `search_spaces.Space`), or both."""

    preset: Name | None = None
    overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="by parameter: narrowed range or `value`"
    )
    method: Name | None = Field(default=None, description="the PEFT method that explicit `parameters` configure")
    strategies: tuple[Name, ...] = Field(
        default=(), description="training strategies to choose from, as `[none, lisa, galore]`; none of them by default"
    )
    parameters: list[dict[str, Any]] | None = Field(
        default=None, description="all parameters; beside a preset: further ones"
    )
    conditions: list[dict[str, Any]] = Field(default_factory=list)
    constraints: list[dict[str, Any]] = Field(default_factory=list)
    implied: dict[str, Any] = Field(
        default_factory=dict,
        description="of parameters added to a running job: the value that earlier trials had without naming it",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.preset is None and self.parameters is None:
            raise ValueError("give `preset`, `parameters` or both")
        return self


class ObjectiveSpec(Section):
    metric: Name
    direction: Literal["maximize", "minimize"]


class ConstraintSpec(Section):
    metric: Name
    min: Number | None = None
    max: Number | None = None

    @field_validator("max")
    @classmethod
    def _above_min(cls, value: float | None, known: ValidationInfo) -> float | None:
        low = known.data.get("min")
        if value is not None and low is not None and low > value:
            raise ValueError(f"nothing is at least {low:g} and at most {value:g}; allowed: `max` of `min` or more")
        return value

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a constraint needs `min`, `max` or both")
        return self


class OptimizerSpec(Section):
    name: Name = "auto"
    options: dict[str, Any] = Field(default_factory=dict)


class SchedulerSpec(Section):
    name: Name = "none"
    options: dict[str, Any] = Field(default_factory=dict)


class BudgetSpec(Section):
    trials: int = Field(default=40, ge=1, le=1_000_000, description="trials, the reference trials included")
    epochs: float = Field(default=3, gt=0, le=1000)
    wall_clock: Seconds | None = Field(
        default=None, description="stop proposing after this long; seconds or 20m, 1h30m"
    )


class ConfirmSpec(Section):
    """After the search: train the front and the reference trials again and measure them on data no search saw."""

    seeds: int = Field(default=3, ge=2, le=20, description="fresh trainings of each configuration")
    split: Literal["test"] = Field(default="test", description="rows to measure on: `task.test`")


class ResourcesSpec(Execution, Section):
    """How the job's trials are trained, and where."""

    concurrency: Literal["auto"] | Annotated[int, Field(ge=1, le=100_000)] = "auto"
    cpus_per_trial: Literal["auto"] | Annotated[float, Field(ge=0.01, le=10_000)] = "auto"
    gpus_per_trial: float = Field(default=0, ge=0, le=1000)
    executor: Literal["ray", "external"] = Field(
        default="ray", description="`external`: trials are claimed by your own workers over `ask` and `tell`"
    )
    max_attempts: int = Field(default=3, ge=1, le=20, description="times a trial whose worker was lost is tried again")

    @field_validator("gpus_per_trial")
    @classmethod
    def _share_or_whole(cls, value: float) -> float:
        if 0 < value < 0.01 or (value > 1 and value != int(value)):
            raise ValueError("allowed: 0, a share of one GPU from 0.01 to 1, or a whole number of them")
        return value


REFERENCE_NAMES = (*UNTRAINED, "head-only", "literature-default", "random-entries")


class JobSpec(Section):
    """The whole of a search job."""

    name: str = Field(min_length=1, max_length=200)
    kind: Literal["search"] = "search"
    task: AnyType
    space: SpaceSpec
    objectives: list[ObjectiveSpec] = Field(min_length=1, max_length=20)
    constraints: list[ConstraintSpec] = Field(default_factory=list, max_length=100)
    optimizer: OptimizerSpec = OptimizerSpec()
    scheduler: SchedulerSpec = SchedulerSpec()
    budget: BudgetSpec = BudgetSpec()
    confirm: ConfirmSpec | None = None
    resources: ResourcesSpec = ResourcesSpec()
    reference_trials: bool | list[str | dict[str, Any]] = Field(
        default=True,
        description="start with head only (of language models: the base untrained) and the literature's default; or "
        "with names and configurations; or none",
    )
    seed: Seed = 0

    @field_validator("reference_trials")
    @classmethod
    def _references_have_names(cls, value: bool | list[str | dict[str, Any]]) -> bool | list[str | dict[str, Any]]:
        names = [] if isinstance(value, bool) else [one for one in value if isinstance(one, str)]
        if not set(names) <= set(REFERENCE_NAMES):
            raise ValueError(f"allowed: configurations, and the names {', '.join(REFERENCE_NAMES)}")
        return value

    @field_validator("objectives")
    @classmethod
    def _objectives_differ(cls, value: list[ObjectiveSpec]) -> list[ObjectiveSpec]:
        metrics = [objective.metric for objective in value]
        if len(set(metrics)) != len(metrics):
            raise ValueError(f"each metric may appear once, found {metrics}")
        return value
