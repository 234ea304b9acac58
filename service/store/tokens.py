"""Tokens: made once, shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import get_args

from sqlalchemy import Connection, bindparam, insert, select, update

from service.errors import BadInput, Conflict, NotFound, Unauthorized
from service.store.records import Scope, Token
from service.store.rows import TOKEN_COLUMNS, TOKENS

SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "pfs_"  # lets secret scanners and people recognise a leaked one

_BY_HASH = select(*TOKEN_COLUMNS).where(TOKENS.c.hash == bindparam("hash"))
_BY_ID = select(*TOKEN_COLUMNS).where(TOKENS.c.id == bindparam("token"))


def create_token(
    connection: Connection,
    name: str,
    scopes: Iterable[Scope],
    project: str,
    ttl: float | None,
    rate: float | None,
    now: datetime,
) -> tuple[str, Token]:
    """Make a token; returns its secret, which cannot be read again, and its record."""
    wanted = sorted(set(scopes))
    if not wanted or not set(wanted) <= set(SCOPES):
        raise BadInput("scopes", wanted, f"at least one of {', '.join(SCOPES)}")
    secret = PREFIX + secrets.token_urlsafe(32)
    row = {
        "id": "t" + secrets.token_hex(6),
        "hash": _hash(secret),
        "name": name,
        "project": project,
        "scopes": wanted,
        "created_at": now,
        "expires_at": None if ttl is None else now + timedelta(seconds=ttl),
        "rate": rate,
    }
    stored = connection.execute(insert(TOKENS).returning(*TOKEN_COLUMNS), row).one()
    return secret, _token(tuple(stored))


def check_token(connection: Connection, secret: str, now: datetime) -> Token:
    """The token with this secret; raises Unauthorized when it is unknown, expired or revoked."""
    row = connection.execute(_BY_HASH, {"hash": _hash(secret)}).one_or_none()
    if row is None:
        raise Unauthorized("the token is not known here")
    token = _token(tuple(row))
    if token.revoked_at is not None:
        raise Unauthorized(f"the token {token.name!r} was revoked on {token.revoked_at:%Y-%m-%d}")
    if token.expires_at is not None and token.expires_at <= now:
        raise Unauthorized(f"the token {token.name!r} expired on {token.expires_at:%Y-%m-%d}")
    return token


def list_tokens(connection: Connection) -> tuple[Token, ...]:
    """All tokens, newest first."""
    rows = connection.execute(select(*TOKEN_COLUMNS).order_by(TOKENS.c.created_at.desc(), TOKENS.c.id))
    return tuple(_token(tuple(row)) for row in rows)


def revoke_token(connection: Connection, id: str, now: datetime) -> Token:
    """Make the token useless; raises NotFound. Revoking again changes nothing."""
    connection.execute(update(TOKENS).where(TOKENS.c.id == id, TOKENS.c.revoked_at.is_(None)).values(revoked_at=now))
    found = connection.execute(select(*TOKEN_COLUMNS).where(TOKENS.c.id == id)).one_or_none()
    if found is None:
        raise NotFound("token", id)
    return _token(tuple(found))


def rotate_token(connection: Connection, id: str, overlap: float, now: datetime) -> tuple[str, Token]:
    """Make a token that may do what this one may and lives as long as it was made to; this one ends in `overlap`
    seconds. Raises NotFound, and Conflict when this one has ended already."""
    found = connection.execute(_BY_ID.with_for_update(), {"token": id}).one_or_none()
    if found is None:
        raise NotFound("token", id)
    old = _token(tuple(found))
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise Conflict(f"the token {old.name!r} has ended already; make a new one")
    end = now + timedelta(seconds=overlap)
    ended = {"expires_at": end if old.expires_at is None else min(end, old.expires_at)}
    connection.execute(update(TOKENS).where(TOKENS.c.id == id).values(ended))
    ttl = None if old.expires_at is None else (old.expires_at - old.created_at).total_seconds()
    return create_token(connection, old.name, old.scopes, old.project, ttl, old.rate, now)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: tuple[object, ...]) -> Token:
    record = Token(*row)  # type: ignore[arg-type]  # fields by position
    return Token(**{**record.__dict__, "scopes": frozenset(record.scopes)})
