"""The audit trail: who did what. Entries are added and, long after, forgotten; nothing changes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, or_, select

from service.store.paging import check_limit, number, read_cursor, write_cursor
from service.store.records import AuditEntry, Deed, Page
from service.store.rows import AUDIT

_COLUMNS = tuple(AUDIT.c[name] for name in ("token_id", "who", "project", "address", "operation", "target", "status"))
_NEWEST_FIRST = select(AUDIT.c.sequence, AUDIT.c.created_at, *_COLUMNS).order_by(AUDIT.c.sequence.desc())
_OLD = select(AUDIT.c.sequence).where(AUDIT.c.created_at < bindparam("before")).limit(bindparam("limit"))
_FORGET = delete(AUDIT).where(AUDIT.c.sequence.in_(_OLD))


def record(connection: Connection, deeds: Sequence[tuple[datetime, Deed]]) -> None:
    """Add what was done, and when."""
    if deeds:
        connection.execute(insert(AUDIT), [{"created_at": at, **deed.__dict__} for at, deed in deeds])


def trail(
    connection: Connection, cursor: str | None, limit: int, token: str | None, target: str | None
) -> Page[AuditEntry]:
    """One page of entries, newest first: of all tokens or one (its id or name), to all or to what `target` is part of
    the path of."""
    check_limit(limit)
    query = _NEWEST_FIRST.limit(limit + 1)
    if token is not None:
        query = query.where(or_(AUDIT.c.token_id == token, AUDIT.c.who == token))
    if target is not None:
        query = query.where(AUDIT.c.target.contains(target, autoescape=True))
    if cursor is not None:
        query = query.where(AUDIT.c.sequence < read_cursor(cursor, "audit", number)[0])
    entries = [AuditEntry(row[0], row[1], Deed(*row[2:])) for row in connection.execute(query)]
    more = len(entries) > limit
    end = write_cursor("audit", [entries[limit - 1].sequence]) if more else None
    return Page(tuple(entries[:limit]), end)


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Delete up to `limit` entries that are older; how many went."""
    return connection.execute(_FORGET, {"before": before, "limit": limit}).rowcount
