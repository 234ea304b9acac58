"""Webhooks: whom to tell of what, and every message on its way there.

Messages are made from events and stored in one transaction with the place up to which events were looked at: whatever
dies, each event makes one message, and a message has one id in all its attempts (docs/decisions/webhooks.md).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from service.errors import NotFound
from service.store.events import last_sequence
from service.store.paging import check_limit, moment, read_cursor, text, write_cursor
from service.store.records import Addressed, Delivery, Page, Webhook, WebhookEvent
from service.store.rows import DELIVERIES, EVENTS, JOBS, WEBHOOKS
from service.store.states import JOB_OVER

FRONT_EVERY = 30.0
"""Seconds between two messages of a webhook about fronts; what changed meanwhile is told of together."""

MOST_ATTEMPTS, FIRST_WAIT, LONGEST_WAIT = 12, 10.0, 3600.0
"""How often a message is sent, and the seconds before the second attempt, doubled from one to the next: nine hours."""

_WEBHOOK_COLUMNS = tuple(WEBHOOKS.c[field.name] for field in fields(Webhook))
_DELIVERY_COLUMNS = tuple(DELIVERIES.c[field.name] for field in fields(Delivery))
_LOOKED_AT = (WEBHOOKS.c.seen, WEBHOOKS.c.front_seen, WEBHOOKS.c.front_told_at)


def create_webhook(
    connection: Connection,
    url: str,
    events: Iterable[WebhookEvent],
    project: str | None,
    job_id: str | None,
    now: datetime,
) -> tuple[str, Webhook]:
    """Tell `url` of what happens from now on: in a job, in a project, or (neither) everywhere. Returns the secret that
    its messages are signed with, which cannot be read again, and the record. Raises NotFound for an unknown job."""
    if job_id is not None:
        project = connection.execute(select(JOBS.c.project).where(JOBS.c.id == job_id)).scalar_one_or_none()
        if project is None:
            raise NotFound("job", job_id)
    webhook = Webhook("w" + secrets.token_hex(6), url, sorted(set(events)), project, job_id, now)
    secret, last = "whsec_" + secrets.token_urlsafe(32), last_sequence(connection)
    connection.execute(insert(WEBHOOKS).values(**webhook.__dict__, secret=secret, seen=last, front_seen=last))
    return secret, webhook


def list_webhooks(connection: Connection, project: str | None, job_id: str | None) -> tuple[Webhook, ...]:
    """All webhooks, newest first: of a project (None: of all) and of a job (None: of all)."""
    query = select(*_WEBHOOK_COLUMNS).order_by(WEBHOOKS.c.created_at.desc(), WEBHOOKS.c.id)
    for column, wanted in ((WEBHOOKS.c.project, project), (WEBHOOKS.c.job_id, job_id)):
        query = query if wanted is None else query.where(column == wanted)
    return tuple(Webhook(*row) for row in connection.execute(query))


def get_webhook(connection: Connection, id: str) -> Webhook:
    """The webhook; raises NotFound."""
    found = connection.execute(select(*_WEBHOOK_COLUMNS).where(WEBHOOKS.c.id == id)).one_or_none()
    if found is None:
        raise NotFound("webhook", id)
    return Webhook(*found)


def delete_webhook(connection: Connection, id: str) -> None:
    """Delete it with all its messages; raises NotFound."""
    if connection.execute(delete(WEBHOOKS).where(WEBHOOKS.c.id == id)).rowcount == 0:
        raise NotFound("webhook", id)


def deliveries(connection: Connection, webhook_id: str, cursor: str | None, limit: int) -> Page[Delivery]:
    """One page of a webhook's messages, newest first."""
    check_limit(limit)
    kept = DELIVERIES.c
    query = select(*_DELIVERY_COLUMNS).where(kept.webhook_id == webhook_id)
    if cursor is not None:
        at, id = read_cursor(cursor, "deliveries", moment, text)
        query = query.where(or_(kept.created_at < at, (kept.created_at == at) & (kept.id < id)))
    rows = connection.execute(query.order_by(kept.created_at.desc(), kept.id.desc()).limit(limit + 1)).all()
    found = tuple(Delivery(*row) for row in rows[:limit])
    end = write_cursor("deliveries", [found[-1].created_at.isoformat(), found[-1].id]) if len(rows) > limit else None
    return Page(found, end)


def anything_new(connection: Connection, now: datetime) -> bool:
    """Whether `collect` or `claim_delivery` may find anything."""
    last = last_sequence(connection)
    behind = or_(WEBHOOKS.c.seen < last, WEBHOOKS.c.front_seen < last)
    if connection.execute(select(WEBHOOKS.c.id).where(behind).limit(1)).first() is not None:
        return True
    return connection.execute(select(DELIVERIES.c.id).where(_due(now)).limit(1)).first() is not None


def collect(connection: Connection, now: datetime) -> int:
    """Make messages of what has happened since the last look; how many."""
    last, made = last_sequence(connection), 0
    behind = or_(WEBHOOKS.c.seen < last, WEBHOOKS.c.front_seen < last)
    query = select(*_WEBHOOK_COLUMNS, *_LOOKED_AT).where(behind).with_for_update(skip_locked=True)
    for row in connection.execute(query).all():
        webhook, (seen, front_seen, told_at) = Webhook(*row[:-3]), row[-3:]
        events = _events(connection, webhook, min(seen, front_seen), last)
        ends = [one for one in events if one.sequence > seen and _end_of(one) in webhook.events]
        fronts = [one for one in events if one.kind == "front" and one.sequence > front_seen]
        waited = told_at is None or not timedelta() <= now - told_at < timedelta(seconds=FRONT_EVERY)
        tells = "front" in webhook.events and bool(fronts) and (waited or bool(ends))
        messages = [*_front_messages(fronts if tells else ()), *(_message(_end_of(one), one, {}) for one in ends)]
        if messages:
            connection.execute(insert(DELIVERIES), [_row(webhook, event, body, now) for event, body in messages])
        keeps = "front" in webhook.events and bool(fronts) and not tells
        values = {"seen": last, "front_seen": front_seen if keeps else last, "front_told_at": now if tells else told_at}
        connection.execute(update(WEBHOOKS).where(WEBHOOKS.c.id == webhook.id).values(values))
        made += len(messages)
    return made


def claim_delivery(connection: Connection, hold: float, now: datetime) -> Addressed | None:
    """The message that is due longest, for one attempt; who does not say within `hold` seconds how it went has lost
    it, and it is sent again. None when none is due."""
    query = select(DELIVERIES.c.id).where(_due(now)).order_by(DELIVERIES.c.next_at).limit(1)
    id = connection.execute(query.with_for_update(skip_locked=True)).scalar_one_or_none()
    if id is None:
        return None
    taken = update(DELIVERIES).where(DELIVERIES.c.id == id).returning(*_DELIVERY_COLUMNS)
    values = {"attempts": DELIVERIES.c.attempts + 1, "next_at": now + timedelta(seconds=hold)}
    delivery = Delivery(*connection.execute(taken.values(values)).one())
    address = select(WEBHOOKS.c.url, WEBHOOKS.c.secret).where(WEBHOOKS.c.id == delivery.webhook_id)
    return Addressed(delivery, *connection.execute(address).one())


def end_attempt(connection: Connection, tried: Delivery, status: int | None, error: str | None, now: datetime) -> None:
    """How an attempt went: the answer's status, or why there was none. An attempt that was given up for lost changes
    nothing, unless it arrived."""
    arrived = status is not None and 200 <= status < 300
    values: dict[str, Any] = {"status": status, "error": error}
    if arrived or tried.attempts >= MOST_ATTEMPTS:
        values |= {"state": "delivered" if arrived else "given_up", "next_at": None, "ended_at": now}
    else:
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (tried.attempts - 1))
        values |= {"next_at": now + timedelta(seconds=wait)}
    mine = (DELIVERIES.c.id == tried.id) & (DELIVERIES.c.state == "pending")
    same = mine if arrived else mine & (DELIVERIES.c.attempts == tried.attempts)
    connection.execute(update(DELIVERIES).where(same).values(values))


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Delete up to `limit` messages that were over before then; how many went."""
    old = select(DELIVERIES.c.id).where(DELIVERIES.c.ended_at < before).limit(limit)
    return connection.execute(delete(DELIVERIES).where(DELIVERIES.c.id.in_(old))).rowcount


def _due(now: datetime) -> Any:
    beyond = now + timedelta(seconds=2 * LONGEST_WAIT)  # noted before the clock was put back
    return (DELIVERIES.c.state == "pending") & or_(DELIVERIES.c.next_at <= now, DELIVERIES.c.next_at > beyond)


def _events(connection: Connection, webhook: Webhook, after: int, last: int) -> Sequence[Any]:
    job = (JOBS.c.name, JOBS.c.project)
    query = (
        select(EVENTS.c.sequence, EVENTS.c.job_id, EVENTS.c.kind, EVENTS.c.payload, EVENTS.c.created_at, *job)
        .join(JOBS, JOBS.c.id == EVENTS.c.job_id)
        .where(EVENTS.c.sequence > after, EVENTS.c.sequence <= last, EVENTS.c.kind.in_(("job.state", "front")))
        .order_by(EVENTS.c.sequence)
    )
    if webhook.job_id is not None:
        query = query.where(EVENTS.c.job_id == webhook.job_id)
    elif webhook.project is not None:
        query = query.where(JOBS.c.project == webhook.project)
    return connection.execute(query).all()


def _end_of(event: Any) -> str:
    """The name of the end of a job that an event tells of; of another one, nothing's."""
    state = event.payload.get("state")
    return f"job.{state}" if event.kind == "job.state" and state in JOB_OVER else ""


def _front_messages(events: Sequence[Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """One for each job: what joined its front and is still there, and what has left it."""
    for job_id in dict.fromkeys(event.job_id for event in events):
        joined: dict[str, None] = {}
        left: dict[str, None] = {}
        of_job = [event for event in events if event.job_id == job_id]
        for event in of_job:
            for trial_id in event.payload["left"]:
                if trial_id in joined:
                    del joined[trial_id]
                else:
                    left[trial_id] = None
            joined |= dict.fromkeys(event.payload["joined"])
        front = {"joined": list(joined), "left": list(left), "size": of_job[-1].payload["size"]}
        yield _message("front", of_job[-1], {"front": front})


def _message(event: str, told: Any, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    job = {"id": told.job_id, "name": told.name, "project": told.project}
    if event != "front":
        job |= {"state": told.payload["state"], "reason": told.payload["reason"]}
    return event, {"event": event, "at": told.created_at.isoformat(), "job": job, **more}


def _row(webhook: Webhook, event: str, body: dict[str, Any], now: datetime) -> dict[str, Any]:
    id = "d" + secrets.token_hex(12)
    return {
        "id": id,
        "webhook_id": webhook.id,
        "event": event,
        "job_id": body["job"]["id"],
        "state": "pending",
        "attempts": 0,
        "next_at": now,
        "created_at": now,
        "body": json.dumps({"id": id, "webhook": webhook.id, **body}, ensure_ascii=False),
    }
