"""Webhooks and what they are told, in their public form."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Self, get_args

from pydantic import ConfigDict, Field, model_validator

from service.api.views import ProjectName, View
from service.store.records import Delivery, DeliveryState, Webhook, WebhookEvent

EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)


class WebhookRequest(View):
    """An address to tell of events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(min_length=1, max_length=2000, description="https, at an address that the operator allows")
    events: list[WebhookEvent] = Field(
        default=["job.completed", "job.failed", "job.cancelled"],
        min_length=1,
        max_length=len(EVENTS),
        description="`front`: its changes, at most every 30 seconds together",
    )
    job_id: str | None = Field(default=None, max_length=100, description="of this job alone")
    project: ProjectName | None = Field(default=None, description="of this project alone; not beside `job_id`")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.job_id is not None and self.project is not None:
            raise ValueError("give `job_id` or `project`: a job belongs to a project")
        return self


class WebhookView(View):
    """A webhook; its secret is not shown again."""

    id: str
    url: str
    events: list[WebhookEvent]
    project: str | None = Field(description="null: of all")
    job_id: str | None = Field(description="null: of all of them")
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> WebhookView:
        """The public form of a stored webhook."""
        return cls(**webhook.__dict__)


class NewWebhookView(WebhookView):
    """A new webhook. `secret` is shown this once."""

    secret: str


class DeliveryView(View):
    """A message to a webhook. Its id is the same in every attempt, so that a receiver can tell that it knows it."""

    id: str
    event: WebhookEvent
    job_id: str
    state: DeliveryState
    attempts: int
    next_at: datetime | None = Field(description="when it is sent (again)")
    status: int | None = Field(description="of the last answer")
    error: str | None = Field(description="what was wrong with the last attempt")
    created_at: datetime
    ended_at: datetime | None
    body: dict[str, Any] = Field(description="as sent")

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryView:
        """The public form of a stored message."""
        values = {name: getattr(delivery, name) for name in cls.model_fields}
        return cls(**values | {"body": json.loads(delivery.body)})
