"""Who may do what, who did it and who is at it: tokens, the audit trail, leases. Each operation is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from service.store import audit, tokens, under_way
from service.store.engine import Database
from service.store.migrate import check_tables, revision
from service.store.records import DEFAULT_PROJECT, AuditEntry, Deed, Page, Scope, Token
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
