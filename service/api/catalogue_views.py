"""What can be chosen from, in its public form: spaces, methods, strategies, tasks, metrics."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from service.api.views import ObjectiveView, View


class SpaceView(View):
    """A ready-made search space, scaled to a model."""

    name: str
    model: str
    configurations: int | None = Field(description="how many there are; null when a parameter is continuous")
    parameters: list[dict[str, Any]]
    conditions: list[dict[str, Any]]
    constraints: list[dict[str, Any]]
    further: list[dict[str, Any]] = Field(
        description="training hyperparameters that it leaves at their default and that join it by an override; "
        "`of` are the types of task that know one, where not all do"
    )


class MethodView(View):
    """A PEFT method: its knobs on a model, its learning rates and where it comes from."""

    name: str
    family: str
    summary: str
    source: str
    task_types: list[str]
    mergeable: bool
    format: str = Field(
        description="`peft`: plain peft loads the adapter; `peftsearch`: `peftsearch.load_adapter` does"
    )
    learning_rate: dict[str, float]
    knobs: list[dict[str, Any]]


class StrategyView(View):
    """A training strategy: its knobs on a model, where it comes from, and what it can train."""

    name: str
    summary: str
    source: str
    knobs: list[dict[str, Any]] = Field(description="configurations name them `<strategy>.<knob>`")
    methods: list[str] = Field(description="methods that can be trained so")


class FieldView(View):
    """A field of a section of a job; `schema` is its JSON schema."""

    name: str
    required: bool
    default: Any
    description: str
    schema_: dict[str, Any] = Field(alias="schema")


class TaskView(View):
    """A type of task: what its `task` section holds, what it measures, and a job of it that runs on every machine."""

    name: str
    summary: str
    pipeline_tag: str
    fields: list[FieldView]
    metrics: list[str] = Field(description="what an evaluation measures, the primary one first")
    primary_metric: str
    objectives: list[ObjectiveView] = Field(description="sensible objectives of a search")
    example: dict[str, Any] = Field(description="a job that `POST /v1/jobs` takes")


class MetricView(View):
    """A metric that jobs can name."""

    name: str
    kind: str
    direction: str
    unit: str
    description: str
    task_types: list[str]
    known_from_config: bool
