"""What the store hands out: frozen rows, detached from any session."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

JobState = Literal["queued", "running", "paused", "completed", "failed", "cancelled"]
TrialState = Literal["queued", "running", "paused", "completed", "stopped", "failed"]
TrialOrigin = Literal["reference", "optimizer", "user", "import", "confirmation", "design", "refine"]
AnswerKind = Literal["law", "mixture", "refine"]
Scope = Literal["read", "submit", "work", "admin"]
T = TypeVar("T")
DEFAULT_PROJECT = "default"


@dataclass(frozen=True)
class Job:
    """A submitted search. `spec` is the JobSpec as validated JSON, paths resolved."""

    id: str
    name: str
    state: JobState
    spec: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reason: str | None
    lease_owner: str | None
    lease_until: datetime | None
    version: int  # grows with every change; the ETag
    counts: dict[TrialState, int]  # trials in each state
    front_size: int
    project: str = DEFAULT_PROJECT  # whose tokens see it
    tags: list[str] = field(default_factory=list)  # in the order of the alphabet
    note: str | None = None
    trace: str | None = None  # W3C traceparent of the request that submitted it


@dataclass(frozen=True)
class Trial:
    """One configuration of a job. `number` counts from 0 within the job; `attempt` is the fencing number."""

    id: str
    job_id: str
    number: int
    state: TrialState
    origin: TrialOrigin
    label: str | None  # of reference trials: "head-only", "literature-default"
    confirms: str | None  # the trial whose configuration a confirmation trains again
    config: dict[str, Any]
    seed: int
    attempt: int
    metrics: dict[str, float]
    on_front: bool
    adapter: str | None  # sha256 of the artifact
    adapter_bytes: int | None
    checkpoint: str | None
    checkpoint_bytes: int | None
    engine: str | None
    engine_reason: str | None  # why the fast engine did not take it
    environment: dict[str, str]
    reason: str | None
    worker_id: str | None
    lease_until: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    evaluated_rows: int | None = None  # that its metrics were measured on
    tags: list[str] = field(default_factory=list)  # in the order of the alphabet
    note: str | None = None

    @property
    def replaceable(self) -> bool:
        """Whether newer evidence may replace this suggestion: the optimizer made it and nobody has ever claimed it."""
        return self.state == "queued" and self.attempt == 0 and self.origin == "optimizer"


@dataclass(frozen=True)
class Curve:
    """What a trial had reached in one metric at `epochs`, as `values` `[reports]`."""

    number: int
    epochs: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class StoredReport:
    """A report as it was accepted."""

    trial_id: str
    attempt: int
    step: int
    epoch: float
    seconds: float
    metrics: dict[str, float]
    checkpoint: str | None  # sha256 of the artifact
    checkpoint_bytes: int | None
    created_at: datetime


@dataclass(frozen=True)
class Resumption:
    """A paused trial goes on: from its own checkpoint or, as `config`, from that of another paused trial."""

    trial_id: str
    attempt: int  # the one that paused
    donor_id: str | None = None
    config: dict[str, Any] | None = None  # given with a donor


@dataclass(frozen=True)
class Exploit:
    """From `attempt` on, a trial trains with `config` from what its donor had reached (population-based training)."""

    trial_id: str
    attempt: int
    job_id: str
    donor_id: str
    donor_attempt: int
    step: int  # of the donor's checkpoint
    epoch: float
    checkpoint: str  # sha256 of the artifact
    seed: int  # the donor's: what a method derives from it belongs to the checkpoint
    config: dict[str, Any]
    previous: dict[str, Any]  # what the trial trained with before
    created_at: datetime


@dataclass(frozen=True)
class Event:
    """Something that happened to a job; `sequence` grows by time and resumes a stream (`Last-Event-ID`)."""

    sequence: int
    job_id: str
    kind: str  # job.state, trial.queued, trial.running, trial.report, trial.completed, trial.failed, front, note …
    payload: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Answer:
    """A law or a mixture that was learnt, or what the steps of a refine job came to; `body` is its content as JSON."""

    kind: AnswerKind
    name: str
    version: int  # counts from 1 under each name
    job_id: str | None  # where it was learnt, unless from an uploaded table or the job is gone
    body: dict[str, Any]
    created_at: datetime
    project: str = DEFAULT_PROJECT


@dataclass(frozen=True)
class NewTrial:
    """A suggestion to store as a queued trial."""

    config: dict[str, Any]
    origin: TrialOrigin
    seed: int
    label: str | None = None
    confirms: str | None = None


@dataclass(frozen=True)
class Remarks:
    """What people say of a job or a trial: None leaves it as it is; an empty note takes the note away."""

    tags: list[str] | None = None
    note: str | None = None


@dataclass(frozen=True)
class Choice:
    """Which jobs are asked for: in one of `states` (none: any), with all of `tags`, with `text` in name, note or id."""

    states: tuple[JobState, ...] = ()
    tags: tuple[str, ...] = ()
    text: str = ""


EVERY = Choice()


@dataclass(frozen=True)
class Token:
    """A credential as the store knows it; the secret itself is not kept."""

    id: str
    name: str
    project: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rate: float | None  # requests a second; None: as the service is set up


@dataclass(frozen=True)
class Deed:
    """An operation that somebody carried out, or was refused for want of a scope."""

    token_id: str | None  # None: no token was needed
    who: str  # the token's name then
    project: str
    address: str | None  # of the peer
    operation: str  # verb and path, as in the OpenAPI document
    target: str  # what it was done to: the path, or that of what it made
    status: int  # of the answer


@dataclass(frozen=True)
class AuditEntry:
    """A deed as it was recorded; `sequence` grows by time."""

    sequence: int
    created_at: datetime
    deed: Deed


WebhookEvent = Literal["job.completed", "job.failed", "job.cancelled", "front"]
DeliveryState = Literal["pending", "delivered", "given_up"]


@dataclass(frozen=True)
class Webhook:
    """An address that is told of events: of one job, of a project's, or of all. The secret is not in it."""

    id: str
    url: str
    events: list[WebhookEvent]
    project: str | None
    job_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class Delivery:
    """A message to a webhook: what it tells of and how its sending went; the same id in every attempt."""

    id: str
    webhook_id: str
    event: WebhookEvent
    job_id: str
    state: DeliveryState
    attempts: int
    next_at: datetime | None  # when it is tried (again)
    status: int | None  # of the last answer
    error: str | None  # why there was none
    created_at: datetime
    ended_at: datetime | None
    body: str  # as sent


@dataclass(frozen=True)
class Addressed:
    """A delivery that is to be sent now, where to, and what signs it."""

    delivery: Delivery
    url: str
    secret: str


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list and the cursor of the next one (None at the end)."""

    items: tuple[T, ...]
    next_cursor: str | None
