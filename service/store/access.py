"""Who may do what, who did it, who is at it and who is told: tokens, audit trail, leases, webhooks.

Each operation is one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from service.store import audit, nodes, tokens, under_way, webhooks
from service.store.engine import Database
from service.store.migrate import check_tables, revision
from service.store.nodes import Node, Seen
from service.store.records import (
    DEFAULT_PROJECT,
    Addressed,
    AuditEntry,
    Deed,
    Delivery,
    Page,
    Scope,
    Token,
    Webhook,
    WebhookEvent,
)
from service.store.under_way import Lease

Clock = Callable[[], datetime]


class AccessStore:
    """The part of `Store` that jobs and trials have no part in."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Use `open_store`, which also upgrades the tables."""
        self._database = database
        self._clock = clock

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    def check_tables(self) -> None:
        """Raise Unavailable when a table is missing."""
        check_tables(self._database)

    def schema_revision(self) -> str | None:
        """The revision that the tables are at."""
        return revision(self._database)

    def leases_held(self) -> tuple[tuple[Lease, ...], tuple[Lease, ...]]:
        """Conductors on jobs and workers on trials, of all projects, that are believed to live."""
        now = self._clock()
        return self._database.read(lambda c: (under_way.job_leases(c, now), under_way.trial_leases(c, now)))

    def tell_nodes(self, conductor: str, found: Sequence[Node]) -> None:
        """Say which machines a conductor trains on, in place of what it had said; none: it has left."""
        self._database.write(lambda c: nodes.tell(c, conductor, found, self._clock()))

    def nodes_seen(self) -> tuple[Seen, ...]:
        """The machines of all conductors that have looked of late."""
        return self._database.read(lambda c: nodes.seen(c, self._clock()))

    # Tokens

    def create_token(
        self,
        name: str,
        scopes: Iterable[Scope],
        project: str = DEFAULT_PROJECT,
        ttl: float | None = None,
        rate: float | None = None,
    ) -> tuple[str, Token]:
        """Make a token that lives `ttl` seconds (None: until revoked) and may make `rate` requests a second (None: as
        the service is set up); its secret is shown this once."""
        return self._database.write(lambda c: tokens.create_token(c, name, scopes, project, ttl, rate, self._clock()))

    def rotate_token(self, id: str, overlap: float = 0.0) -> tuple[str, Token]:
        """Make a token like this one, which ends in `overlap` seconds; raises NotFound, or Conflict when it has ended
        already."""
        return self._database.write(lambda c: tokens.rotate_token(c, id, overlap, self._clock()))

    def check_token(self, secret: str) -> Token:
        """The token with this secret; raises Unauthorized when it is unknown, expired or revoked."""
        return self._database.read(lambda c: tokens.check_token(c, secret, self._clock()))

    def list_tokens(self) -> tuple[Token, ...]:
        """All tokens, newest first."""
        return self._database.read(tokens.list_tokens)

    def revoke_token(self, id: str) -> Token:
        """Make a token useless; raises NotFound."""
        return self._database.write(lambda c: tokens.revoke_token(c, id, self._clock()))

    # The audit trail

    def record_deeds(self, deeds: Sequence[tuple[datetime, Deed]]) -> None:
        """Add to the audit trail what was done, and when."""
        self._database.write(lambda c: audit.record(c, deeds))

    def audit_trail(
        self, cursor: str | None = None, limit: int = 50, token: str | None = None, target: str | None = None
    ) -> Page[AuditEntry]:
        """One page of who did what, newest first: of all tokens or one (its id or name), to all or to what `target`
        is part of the path of."""
        return self._database.read(lambda c: audit.trail(c, cursor, limit, token, target))

    def forget_deeds(self, age: float, limit: int) -> int:
        """Delete up to `limit` entries of the audit trail that are older than `age` seconds; how many went."""
        before = self._clock() - timedelta(seconds=age)
        return self._database.write(lambda c: audit.forget(c, before, limit))

    # Webhooks

    def create_webhook(
        self, url: str, events: Iterable[WebhookEvent], project: str | None = None, job_id: str | None = None
    ) -> tuple[str, Webhook]:
        """Tell `url` of what happens from now on: in a job, in a project, or (neither) everywhere. The secret that
        signs its messages is shown this once. Raises NotFound for an unknown job."""
        return self._database.write(lambda c: webhooks.create_webhook(c, url, events, project, job_id, self._clock()))

    def list_webhooks(self, project: str | None = None, job_id: str | None = None) -> tuple[Webhook, ...]:
        """All webhooks, newest first: of a project or all, of a job or all."""
        return self._database.read(lambda c: webhooks.list_webhooks(c, project, job_id))

    def get_webhook(self, id: str) -> Webhook:
        """The webhook; raises NotFound."""
        return self._database.read(lambda c: webhooks.get_webhook(c, id))

    def delete_webhook(self, id: str) -> None:
        """Delete it with its messages; raises NotFound."""
        self._database.write(lambda c: webhooks.delete_webhook(c, id))

    def deliveries(self, webhook_id: str, cursor: str | None = None, limit: int = 50) -> Page[Delivery]:
        """One page of a webhook's messages, newest first."""
        return self._database.read(lambda c: webhooks.deliveries(c, webhook_id, cursor, limit))

    def anything_to_deliver(self) -> bool:
        """Whether `collect_deliveries` or `claim_delivery` may find anything."""
        return self._database.read(lambda c: webhooks.anything_new(c, self._clock()))

    def collect_deliveries(self) -> int:
        """Make messages of what has happened since the last time; how many."""
        return self._database.write(lambda c: webhooks.collect(c, self._clock()))

    def claim_delivery(self, hold: float) -> Addressed | None:
        """The message that is due longest, for one attempt of at most `hold` seconds; None when none is due."""
        return self._database.write(lambda c: webhooks.claim_delivery(c, hold, self._clock()))

    def end_delivery(self, tried: Delivery, status: int | None, error: str | None) -> None:
        """How an attempt went: the answer's status, or why there was none."""
        self._database.write(lambda c: webhooks.end_attempt(c, tried, status, error, self._clock()))

    def forget_deliveries(self, age: float, limit: int) -> int:
        """Delete up to `limit` messages that have been over for `age` seconds; how many went."""
        before = self._clock() - timedelta(seconds=age)
        return self._database.write(lambda c: webhooks.forget(c, before, limit))
