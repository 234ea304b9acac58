"""Tokens: shown once, hashed, scoped, expiring, revocable."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine, text

from service.errors import BadInput, NotFound, Unauthorized
from service.store.store import Store
from tests.service.store.examples import ManualClock


def test_a_token_is_known_by_its_secret(store: Store, clock: ManualClock) -> None:
    secret, token = store.create_token("laptop", ["work", "read", "read"], project="vision")
    assert store.check_token(secret) == token
    assert (token.name, token.project, token.scopes) == ("laptop", "vision", frozenset({"read", "work"}))
    assert (token.created_at, token.expires_at, token.revoked_at) == (clock.now, None, None)


@pytest.mark.parametrize("secret", ["", "pfs_", "\x00", "\ud800", "' OR 1=1 --"])
def test_other_secrets_are_refused(store: Store, secret: str) -> None:
    store.create_token("laptop", ["read"])
    with pytest.raises(Unauthorized):
        store.check_token(secret)


def test_the_secret_is_nowhere_in_the_database(store: Store, store_url: str) -> None:
    secret, _ = store.create_token("laptop", ["read"])
    engine = create_engine(store_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM tokens")).all()
    engine.dispose()
    assert len(rows) == 1
    assert secret not in str(rows)
    assert secret.removeprefix("pfs_") not in str(rows)


def test_secrets_are_long_and_differ(store: Store) -> None:
    secrets = {store.create_token(str(n), ["read"])[0] for n in range(20)}
    assert len(secrets) == 20
    assert min(len(secret.removeprefix("pfs_")) for secret in secrets) >= 43  # 256 bits


def test_a_token_expires(store: Store, clock: ManualClock) -> None:
    secret, _ = store.create_token("short", ["read"], ttl=60)
    clock.advance(59)
    store.check_token(secret)
    clock.advance(1)
    with pytest.raises(Unauthorized, match=r"'short' expired on 2026-01-02"):
        store.check_token(secret)


def test_a_token_can_be_revoked_once_and_stays_so(store: Store, clock: ManualClock) -> None:
    secret, token = store.create_token("lost", ["read"])
    revoked = store.revoke_token(token.id)
    clock.advance(1)
    assert store.revoke_token(token.id) == revoked
    with pytest.raises(Unauthorized, match="'lost' was revoked"):
        store.check_token(secret)
    assert store.list_tokens() == (revoked,)
    with pytest.raises(NotFound):
        store.revoke_token("tnone")


@pytest.mark.parametrize("scopes", [[], ["write"], ["read", "root"]])
def test_unknown_scopes_are_refused(store: Store, scopes: Any) -> None:
    with pytest.raises(BadInput, match="read, submit, work, admin"):
        store.create_token("laptop", scopes)
    assert store.list_tokens() == ()
