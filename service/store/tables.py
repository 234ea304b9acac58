"""The schema, as typed models. A change here needs a migration in `migrations/versions`; a test compares the two.

jobs ─┬─ trials ─┬─ reports       idempotency_keys: which `create_job` request made which job
      ├─ events  └─ exploits      tokens: hashed credentials; audit: who did what
      ├─ webhooks ── deliveries   whom to tell of what, and what is on its way there
      ├─ exports                  adapters that were downloaded
      └─ answers                  laws and mixtures learnt, which may outlive their job
clusters: the machines that each conductor sees
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service.store.columns import FreeText, UtcDateTime

# SQLite counts rows by itself only in a column declared exactly INTEGER.
Sequence = BigInteger().with_variant(Integer, "sqlite")


class Table(DeclarativeBase):
    """The root of the models; names of constraints are fixed so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        dict[str, float]: JSON,
        dict[str, str]: JSON,
        list[str]: JSON,
    }


class JobRow(Table):
    """A submitted search, its lease and the counters that its progress is read from."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "project", "created_at", "id"),
        Index(None, "state", "lease_until"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[str] = mapped_column(String(64), server_default="default")  # whose tokens see it
    name: Mapped[str] = mapped_column(FreeText)
    state: Mapped[str] = mapped_column(String(16))
    spec: Mapped[dict[str, Any]]
    reason: Mapped[str | None] = mapped_column(FreeText)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(FreeText)
    lease_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer)
    next_number: Mapped[int] = mapped_column(Integer)  # of the next trial
    queued: Mapped[int] = mapped_column(Integer)  # trials in each state
    running: Mapped[int] = mapped_column(Integer)
    paused: Mapped[int] = mapped_column(Integer)
    completed: Mapped[int] = mapped_column(Integer)
    stopped: Mapped[int] = mapped_column(Integer)
    failed: Mapped[int] = mapped_column(Integer)
    front_size: Mapped[int] = mapped_column(Integer)
    tags: Mapped[list[str]] = mapped_column(JSON, server_default=text("'[]'"))  # people's words for it
    note: Mapped[str | None] = mapped_column(FreeText)
    trace: Mapped[str | None] = mapped_column(String(64))  # W3C traceparent of the request that submitted it


class TrialRow(Table):
    """One configuration, where it stands and what it reached."""

    __tablename__ = "trials"
    __table_args__ = (
        UniqueConstraint("job_id", "number"),
        Index(None, "job_id", "state", "number"),
        # Few rows are on a front, for reference or under a lease; the others are not in these indexes and cost them
        # no writing.
        Index(
            "ix_trials_front", "job_id", "number", sqlite_where=text("on_front = 1"), postgresql_where=text("on_front")
        ),
        Index(
            "ix_trials_reference",
            "job_id",
            "number",
            sqlite_where=text("origin = 'reference'"),
            postgresql_where=text("origin = 'reference'"),
        ),
        Index(
            "ix_trials_confirms",
            "job_id",
            "number",
            sqlite_where=text("confirms IS NOT NULL"),
            postgresql_where=text("confirms IS NOT NULL"),
        ),
        Index(
            "ix_trials_lease_until",
            "lease_until",
            sqlite_where=text("lease_until IS NOT NULL"),
            postgresql_where=text("lease_until IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(48), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    origin: Mapped[str] = mapped_column(String(16))
    label: Mapped[str | None] = mapped_column(FreeText)
    confirms: Mapped[str | None] = mapped_column(String(48))
    config: Mapped[dict[str, Any]]
    seed: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int] = mapped_column(Integer)
    losses: Mapped[int] = mapped_column(Integer)  # attempts whose worker was lost
    metrics: Mapped[dict[str, float]]
    on_front: Mapped[bool] = mapped_column(Boolean)
    adapter: Mapped[str | None] = mapped_column(String(64))
    adapter_bytes: Mapped[int | None] = mapped_column(BigInteger)
    checkpoint: Mapped[str | None] = mapped_column(String(64))
    checkpoint_bytes: Mapped[int | None] = mapped_column(BigInteger)
    engine: Mapped[str | None] = mapped_column(String(32))
    engine_reason: Mapped[str | None] = mapped_column(FreeText)
    environment: Mapped[dict[str, str]]
    evaluated_rows: Mapped[int | None] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(FreeText)
    outcome: Mapped[str | None] = mapped_column(String(64))  # sha256 of the accepted one
    worker_id: Mapped[str | None] = mapped_column(FreeText)
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    tags: Mapped[list[str]] = mapped_column(JSON, server_default=text("'[]'"))
    note: Mapped[str | None] = mapped_column(FreeText)


class ReportRow(Table):
    """What a trial had reached at a step. The key makes a repeated report the same report."""

    __tablename__ = "reports"
    __table_args__ = ({"sqlite_with_rowid": False},)  # the key is the order on disk: one tree instead of two

    trial_id: Mapped[str] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    step: Mapped[int] = mapped_column(Integer, primary_key=True)
    epoch: Mapped[float] = mapped_column(Float)
    seconds: Mapped[float] = mapped_column(Float)
    metrics: Mapped[dict[str, float]]
    checkpoint: Mapped[str | None] = mapped_column(String(64))
    checkpoint_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class ExploitRow(Table):
    """A trial went on from another's checkpoint: from this attempt on, with this configuration (`previous`: before)."""

    __tablename__ = "exploits"
    __table_args__ = (Index(None, "job_id", "created_at"),)

    trial_id: Mapped[str] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    donor_id: Mapped[str] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), index=True)
    donor_attempt: Mapped[int] = mapped_column(Integer)
    step: Mapped[int] = mapped_column(Integer)  # of the donor's checkpoint
    epoch: Mapped[float] = mapped_column(Float)
    checkpoint: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int] = mapped_column(BigInteger)
    config: Mapped[dict[str, Any]]
    previous: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class EventRow(Table):
    """Something that happened to a job, written with the change that it tells of."""

    __tablename__ = "events"
    # Without AUTOINCREMENT, SQLite would give the numbers of a deleted job's last events out again.
    __table_args__ = (Index(None, "job_id", "sequence"), {"sqlite_autoincrement": True})

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class IdempotencyKeyRow(Table):
    """The request that created a job, so that sending it twice creates one."""

    __tablename__ = "idempotency_keys"

    project: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(FreeText, primary_key=True)
    body: Mapped[str] = mapped_column(String(64))  # sha256 of the request
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


class TokenRow(Table):
    """A credential. Only its hash is kept: 256 random bits need no salt and no slow hash."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(FreeText)
    project: Mapped[str] = mapped_column(FreeText)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    rate: Mapped[float | None] = mapped_column(Float)  # requests a second; null: as the service is set up


class AuditRow(Table):
    """Who did what: an operation that changed something, or was refused for want of a scope."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "created_at"), {"sqlite_autoincrement": True})  # no number is given out twice

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    created_at: Mapped[datetime]
    token_id: Mapped[str | None] = mapped_column(String(32))  # null: nobody needed one
    who: Mapped[str] = mapped_column(FreeText)  # the token's name then
    project: Mapped[str] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(FreeText)  # of the peer
    operation: Mapped[str] = mapped_column(FreeText)  # as in the OpenAPI document
    target: Mapped[str] = mapped_column(FreeText)
    status: Mapped[int] = mapped_column(Integer)


class WebhookRow(Table):
    """An address that is told of events. The secret signs, so it is kept as it is."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    url: Mapped[str] = mapped_column(FreeText)
    events: Mapped[list[str]]
    project: Mapped[str | None] = mapped_column(String(64))  # null: of all
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)  # null: of all
    created_at: Mapped[datetime]
    secret: Mapped[str] = mapped_column(FreeText)
    seen: Mapped[int] = mapped_column(BigInteger)  # the last event that was looked at
    front_seen: Mapped[int] = mapped_column(BigInteger)  # the same for changes of fronts, which are told of together
    front_told_at: Mapped[datetime | None]


class DeliveryRow(Table):
    """One message to one webhook. Its body is kept as sent, so that each attempt says the same."""

    __tablename__ = "deliveries"
    __table_args__ = (Index(None, "state", "next_at"), Index(None, "webhook_id", "created_at", "id"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(32))
    job_id: Mapped[str] = mapped_column(String(32))  # which may be deleted before it is delivered
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[datetime | None]
    status: Mapped[int | None] = mapped_column(Integer)  # of the last answer
    error: Mapped[str | None] = mapped_column(FreeText)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    body: Mapped[str] = mapped_column(FreeText)


class ExportRow(Table):
    """The adapter of a trial was downloaded, `times` so far."""

    __tablename__ = "exports"
    __table_args__ = (Index(None, "job_id", "last_at"),)

    trial_id: Mapped[str] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    adapter: Mapped[str] = mapped_column(String(64))
    times: Mapped[int] = mapped_column(Integer)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]


class ClusterRow(Table):
    """The machines on which a conductor trains, as it saw them last."""

    __tablename__ = "clusters"

    conductor: Mapped[str] = mapped_column(FreeText, primary_key=True)
    seen_at: Mapped[datetime]
    nodes: Mapped[list[Any]] = mapped_column(JSON)


class AnswerRow(Table):
    """A law or a mixture that was learnt, in one version. It outlives the job that it came from."""

    __tablename__ = "answers"
    __table_args__ = (UniqueConstraint("project", "kind", "name", "version"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(String(64), server_default="default")
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(FreeText)
    version: Mapped[int] = mapped_column(Integer)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
