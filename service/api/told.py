"""What outside workers report and tell, checked before it is believed: their word decides the front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from service.errors import BadInput, FieldProblem
from service.jobs.did_you_mean import unknown_name
from service.jobs.kinds import kind_of
from service.store.records import Job
from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Outcome, Report
from workers.bounded import Bytes, Digest, Name, Ordinal, Seconds
from workers.generation.judging.section import Judge
from workers.running.ranks import measured
from workers.task import AnyType
from workers.tasks.domains import metric_of
from workers.tasks.metrics import Metric
from workers.tasks.registry import METRICS

Metrics = Annotated[dict[Name, float], Field(max_length=100)]
_JUDGE: TypeAdapter[Judge] = TypeAdapter(Judge)
_SECTION: TypeAdapter[AnyType] = TypeAdapter(AnyType)
Text = Annotated[str, Field(max_length=20_000)]


class ToldArtifact(Artifact):
    """A stored artifact that a worker names."""

    sha256: Digest
    size: Bytes


class ToldReport(Report):
    """What a running trial has reached. `step` counts optimizer steps; `epoch` passes over the training rows."""

    trial_id: Name
    attempt: Ordinal
    step: Ordinal
    epoch: Annotated[float, Field(ge=0, le=1e6)]
    metrics: Metrics = Field(description="metrics on the evaluated split and `train_loss`, by catalogue name")
    seconds: Seconds = Field(description="training wall clock so far")
    checkpoint: ToldArtifact | None = None


class ToldOutcome(Outcome):
    """How an attempt ended. `metrics` holds the last validation metrics and every measured cost, by catalogue name; of
    a completed trial at least the job's objectives."""

    trial_id: Name
    attempt: Ordinal
    metrics: Metrics = Field(default_factory=dict)
    adapter: ToldArtifact | None = None
    checkpoint: ToldArtifact | None = None
    engine_reason: Text | None = None
    environment: dict[Name, Annotated[str, Field(max_length=1000)]] = Field(default_factory=dict, max_length=100)
    reason: Text | None = Field(
        default=None, description="why it failed or stopped: `out_of_memory: …`, `nan_loss: …`, …"
    )


def check_report(report: ToldReport, job: Job, artifacts: ArtifactStore) -> None:
    """Raise BadInput naming every metric that cannot be and every artifact that is not there."""
    _raise(
        [
            *_metric_problems(report.metrics, _own_metrics(job)),
            *_artifact_problems(artifacts, checkpoint=report.checkpoint),
        ]
    )


def check_outcome(outcome: ToldOutcome, job: Job, known: Mapping[str, float], artifacts: ArtifactStore) -> None:
    """Raise BadInput as `check_report` does, and when a completed trial lacks an objective of its job; `known` are the
    metrics that the trial has already."""
    problems = list(_metric_problems(outcome.metrics, _own_metrics(job)))
    if outcome.status == "completed":
        measured = {*known, *outcome.metrics}
        problems += [_missing(name, outcome.metrics) for name in _objectives(job) if name not in measured]
    stored = _artifact_problems(artifacts, adapter=outcome.adapter, checkpoint=outcome.checkpoint)
    _raise([*problems, *stored])


def _objectives(job: Job) -> list[str]:
    return [str(one["metric"]) for one in job.spec["objectives"]] if kind_of(job.spec) != "mixture" else ["loss"]


def _own_metrics(job: Job) -> Mapping[str, Metric]:
    """Metrics that the job declares beside ours."""
    given = job.spec.get("task", {})
    judges = [_JUDGE.validate_python(one) for one in given.get("judges", ())]
    further = _SECTION.validate_python(given).further_metrics() if given else ()
    return {one.name: one for one in (*(judge.metric for judge in judges), *further)}


def _metric_problems(metrics: Mapping[str, float], own: Mapping[str, Metric]) -> Iterator[FieldProblem]:
    for name, value in metrics.items():
        metric, field = METRICS.get(metric_of(measured(name)), own.get(name)), f"metrics.{name}"
        if metric is None:
            yield unknown_name(field, name, METRICS, "metric")
        elif not metric.low <= value <= metric.high:
            allowed = f"a number from {metric.low:g} to {metric.high:g}"
            yield FieldProblem(field, value, allowed, f"{field}: found {value!r}; {name} is {allowed}")


def _missing(name: str, given: Mapping[str, float]) -> FieldProblem:
    found = f"given are: {', '.join(sorted(given))}" if given else "no metric was given"
    told = (
        f"metrics.{name} is an objective of the job and was not given ({found}); a trial that could not measure it is "
        "told as `failed` with a reason such as `nan_loss: …`"
    )
    return FieldProblem(f"metrics.{name}", None, "a finite number", told)


def _artifact_problems(store: ArtifactStore, **named: Artifact | None) -> Iterator[FieldProblem]:
    for field, artifact in named.items():
        if artifact is not None and not store.has(artifact):
            told = f"{field}: no artifact of {artifact.size} bytes with the hash {artifact.sha256} is stored"
            yield FieldProblem(field, artifact.sha256, "the hash and size of a stored artifact", told)


def _raise(problems: list[Any]) -> None:
    if problems:
        raise BadInput.of(problems)
