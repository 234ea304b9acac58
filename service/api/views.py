"""What the API answers: the public form of the store's records."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.store.records import (
    Event,
    Exploit,
    Job,
    JobState,
    Page,
    Remarks,
    StoredReport,
    Trial,
    TrialOrigin,
    TrialState,
)
from workers.assignment import Assignment, Decision

T = TypeVar("T", bound=BaseModel)
ProjectName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class View(BaseModel):
    """The root of all answers: immutable."""

    model_config = ConfigDict(frozen=True)


class PageView(View, Generic[T]):
    """One page of a list. Ask again with `cursor` set to `next_cursor` until that is null."""

    items: list[T]
    next_cursor: str | None


class ItemsView(View, Generic[T]):
    """A whole list."""

    items: list[T]


class ObjectiveView(View):
    """A metric that the job maximizes or minimizes."""

    metric: str
    direction: str


class ConfirmingView(View):
    """Trainings that confirm what the search found: how many there are, and how many of them have ended."""

    total: int
    done: int


class ProgressView(View):
    """Trials of the search by state, of `trials_total`, its budget. `share` of 1 says how much of all training is done,
    what open trials have reached and confirmations included; `seconds_left` is an estimate from it, null until
    something was reported. `confirmations` is null as long as there are none."""

    trials_total: int
    queued: int
    running: int
    paused: int
    completed: int
    stopped: int
    failed: int
    share: float
    confirmations: ConfirmingView | None
    seconds_left: float | None


class JobView(View):
    """A search job. `best` holds the objectives of `best_trial`, which leads the front by the first of them."""

    id: str = Field(examples=["jk3x9q2mdf5a"])
    name: str
    project: str
    state: JobState
    reason: str | None = Field(description="why the job failed or was stopped")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    spec: dict[str, Any] = Field(description="the JobSpec as it was admitted: defaults filled in, paths absolute")
    progress: ProgressView
    front_size: int
    best_trial: str | None
    best: dict[str, float]
    objectives: list[ObjectiveView]
    tags: list[str]
    note: str | None


class TrialView(View):
    """One configuration of a job and what became of it. `label` names reference trials."""

    id: str = Field(examples=["jk3x9q2mdf5a-17"])
    job_id: str
    number: int
    state: TrialState
    origin: TrialOrigin
    label: str | None
    confirms: str | None = Field(description="the trial whose configuration a confirmation trains again")
    config: dict[str, Any]
    seed: int
    attempt: int
    metrics: dict[str, float]
    on_front: bool
    has_adapter: bool
    engine: str | None
    engine_reason: str | None = Field(description="why the fast engine did not take it")
    reason: str | None
    worker_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    environment: dict[str, str]
    evaluated_rows: int | None = Field(description="rows that its quality was measured on")
    tags: list[str]
    note: str | None

    @classmethod
    def of(cls, trial: Trial) -> TrialView:
        """The public form of a stored trial."""
        values = {name: getattr(trial, name) for name in cls.model_fields if name != "has_adapter"}
        return cls.model_construct(**values, has_adapter=trial.adapter is not None)


class ReportView(View):
    """What a trial had reached at an optimizer step."""

    step: int
    epoch: float
    seconds: float
    metrics: dict[str, float]
    attempt: int
    created_at: datetime

    @classmethod
    def of(cls, report: StoredReport) -> ReportView:
        """The public form of a stored report."""
        return cls.model_construct(**{name: getattr(report, name) for name in cls.model_fields})


class CurveView(View):
    """What a trial had reached in one metric at `epochs`."""

    number: int
    epochs: tuple[float, ...]
    values: tuple[float, ...]


class CurvesView(View):
    """The learning curves of many trials, by trial number."""

    metric: str
    items: list[CurveView]


class ExploitView(View):
    """From `attempt` on, the trial trains with `config` from what the donor had reached at `step`."""

    trial_id: str
    attempt: int
    donor_id: str
    donor_attempt: int
    step: int
    epoch: float
    checkpoint: str = Field(description="SHA-256 of the donor's checkpoint")
    seed: int
    config: dict[str, Any]
    previous: dict[str, Any] = Field(description="the configuration that the trial had before")
    created_at: datetime

    @classmethod
    def of(cls, exploit: Exploit) -> ExploitView:
        """The public form of a stored exploit."""
        return cls.model_construct(**{name: getattr(exploit, name) for name in cls.model_fields})


class CopyView(View):
    """At `epoch` trial `number` went on from what trial `donor` had reached."""

    number: int
    donor: int
    epoch: float
    changed: dict[str, Any] = Field(description="what the trial trains with from there on, where that is new to it")

    @classmethod
    def of(cls, exploit: Exploit) -> CopyView:
        """The public form of a stored exploit, to be drawn."""
        number, donor = (int(id.rpartition("-")[2]) for id in (exploit.trial_id, exploit.donor_id))
        changed = {name: value for name, value in exploit.config.items() if exploit.previous.get(name) != value}
        return cls(number=number, donor=donor, epoch=exploit.epoch, changed=changed)


class StretchView(View):
    """Trial `trial_id` trained from one epoch to another with one configuration."""

    trial_id: str
    from_epoch: float
    to_epoch: float | None = Field(description="null: to the present, or to the end")
    config: dict[str, Any]
    seed: int


class LineageView(View):
    """Whom a trial has copied, and the stretches of training behind its present weights, oldest first."""

    exploits: list[ExploitView]
    stretches: list[StretchView]


class FrontView(View):
    """The Pareto front, and the reference trials whether they are on it or not."""

    objectives: list[ObjectiveView]
    items: list[TrialView]
    reference: list[TrialView]


class HeadroomView(View):
    """How far the best value of the first objective may still be, where trials went for trade-offs with others."""

    metric: str
    tradeoffs: int = Field(description="completed trials that are worse in the metric and better in another objective")
    trials: int = Field(description="completed trials")
    expected: float = Field(description="gain that a search for the metric alone is expected to bring, in its unit")
    most: float = Field(description="gain that is not exceeded with probability `level`")
    level: float
    text: str = Field(description="the same in words")


class BestView(View):
    """The best measured trial under the given clauses, and code that trains the same again."""

    trial: TrialView
    objectives: dict[str, float]
    snippet: str
    headroom: HeadroomView | None = Field(
        None, description="for the first objective without clauses, where trials went for trade-offs"
    )


class SnippetView(View):
    """Code that trains a configuration again."""

    snippet: str


class AskRequest(View):
    """An outside worker asks for a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worker_id: str = Field(min_length=1, max_length=200, description="asking again with it returns the same open trial")
    wait: float = Field(default=0, ge=0, le=20, description="seconds to wait for a trial when there is none now")


class AssignmentView(Assignment):
    """The trial to train, and for how many seconds the lease on it holds between two reports."""

    lease_seconds: float


class DecisionView(View):
    """What the worker shall do next."""

    decision: Decision


class ExtendRequest(View):
    """More budget for a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int = Field(default=0, ge=0, le=1_000_000, description="trials to add")
    wall_clock: float | None = Field(default=None, gt=0, le=1e10, description="seconds to add, for a job with a limit")


Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^,\x00-\x1f]*$")]
"""A word or a few for jobs and trials, without commas: lists of tags are written with them."""


class RemarksRequest(View):
    """What is said of a job or a trial. What is left out stays; a note of null or nothing is taken away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tags: list[Tag] | None = Field(default=None, max_length=50, description="all of them: others are taken away")
    note: str | None = Field(default=None, max_length=10_000)

    def said(self) -> Remarks:
        """The change to store."""
        note = (self.note or "").strip() if "note" in self.model_fields_set else None
        return Remarks(self.tags, note)


class HealthView(View):
    """Whether the process lives (`healthz`) and whether what it needs answers (`readyz`)."""

    status: str
    version: str


def page_of(view: type[T], page: Page[Any], items: list[T]) -> PageView[T]:
    """A page of views for a page of records."""
    return PageView[view].model_construct(items=items, next_cursor=page.next_cursor)  # type: ignore[valid-type]


def objectives_of(job: Job) -> list[ObjectiveView]:
    """The objectives of a stored job."""
    return [ObjectiveView(metric=one["metric"], direction=one["direction"]) for one in job.spec["objectives"]]


def event_data(event: Event) -> dict[str, Any]:
    """The `data` of a server-sent event."""
    return {**event.payload, "job_id": event.job_id, "created_at": event.created_at.isoformat()}
