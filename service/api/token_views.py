"""Tokens and what was done with them, in their public form."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from service.api.views import ProjectName, View
from service.store.records import DEFAULT_PROJECT, AuditEntry, Scope, Token


class TokenRequest(View):
    """A token to make."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    project: ProjectName = Field(
        default=DEFAULT_PROJECT,
        description="whose jobs, trials and laws the token sees and makes; tokens with `admin` see those of all",
    )
    scopes: list[Scope] = Field(min_length=1, max_length=4, examples=[["read", "submit"]])
    ttl: float | None = Field(default=None, gt=0, le=1e10, description="seconds until it expires; null: until revoked")
    rate: float | None = Field(
        default=None, gt=0, le=1e6, description="requests a second; null: as the service is set up (`--rate-limit`)"
    )


class RotateRequest(View):
    """How a token is followed by a new one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overlap: float = Field(default=0, ge=0, le=31 * 86400, description="seconds for which the old secret is good, too")


class TokenView(View):
    """A token as the store knows it; the secret itself is not kept."""

    id: str
    name: str
    project: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rate: float | None

    @classmethod
    def of(cls, token: Token) -> TokenView:
        """The public form of a stored token."""
        values = {name: getattr(token, name) for name in cls.model_fields}
        return cls(**values | {"scopes": sorted(token.scopes)})


class NewTokenView(TokenView):
    """A new token. `secret` is shown this once."""

    secret: str


class AuditView(View):
    """Who did what, from where and when."""

    sequence: int
    created_at: datetime
    token_id: str | None = Field(description="null where no token was asked for")
    who: str = Field(description="name that the token had then")
    project: str
    address: str | None = Field(description="of the peer")
    operation: str = Field(description="verb and path, as in this document")
    target: str = Field(description="what it was done to, or what it made")
    status: int = Field(description="of the answer; 403: it was not done")

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditView:
        """The public form of an entry."""
        return cls(sequence=entry.sequence, created_at=entry.created_at, **entry.deed.__dict__)
