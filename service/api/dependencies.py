"""What routes ask for by annotation: store, artifacts, settings, a page of a list, a caller with a scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.answering.pool import AnswerPool
from service.api.event_feed import EventFeed
from service.api.rate_limit import RateLimit
from service.api.request_guard import Authority
from service.errors import Forbidden, NotFound, Unauthorized
from service.jobs.search.outside_scheduling import OutsideScheduling
from service.settings import LOOPBACK, Settings
from service.store.records import DEFAULT_PROJECT, Token
from service.store.rows import job_id_of
from service.store.store import Store
from workers.artifacts import ArtifactStore

Clock = Callable[[], datetime]

SCOPES = {
    "read": frozenset({"read"}),
    "submit": frozenset({"read", "submit"}),
    "work": frozenset({"read", "work"}),
    "admin": frozenset({"read", "submit", "work", "admin"}),
}
"""What each scope of a token allows."""


@dataclass(frozen=True)
class Surroundings:
    """Everything that the routes work with; one per app."""

    settings: Settings
    store: Store
    artifacts: ArtifactStore
    clock: Clock
    feed: EventFeed
    pool: AnswerPool
    models: AnswerPool
    rates: RateLimit
    scheduling: OutsideScheduling


def surroundings(request: Request) -> Surroundings:
    """The app's surroundings."""
    found: Surroundings = request.app.state.surroundings
    return found


def _store(request: Request) -> Store:
    return surroundings(request).store


def _artifacts(request: Request) -> ArtifactStore:
    return surroundings(request).artifacts


def _settings(request: Request) -> Settings:
    return surroundings(request).settings


def _now(request: Request) -> datetime:
    return surroundings(request).clock()


def _feed(request: Request) -> EventFeed:
    return surroundings(request).feed


def _scheduling(request: Request) -> OutsideScheduling:
    return surroundings(request).scheduling


StoreDep = Annotated[Store, Depends(_store)]
ArtifactsDep = Annotated[ArtifactStore, Depends(_artifacts)]
SettingsDep = Annotated[Settings, Depends(_settings)]
Now = Annotated[datetime, Depends(_now)]
SchedulingDep = Annotated[OutsideScheduling, Depends(_scheduling)]
FeedDep = Annotated[EventFeed, Depends(_feed)]


@dataclass(frozen=True)
class Paging:
    """Which page of a list is asked for."""

    cursor: str | None
    limit: int


def _paging(
    cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="items on a page")] = 50,
) -> Paging:
    return Paging(cursor, limit)


PagingDep = Annotated[Paging, Depends(_paging)]
AllOfTags = Annotated[list[str] | None, Query(max_length=50, description="only what has all of these tags")]
OfTask = Annotated[
    str | None, Query(max_length=100, description="only what is for this type of task, of `GET /v1/tasks`")
]

_bearer = HTTPBearer(auto_error=False, description="An API token: `Authorization: Bearer …`")


@dataclass(frozen=True)
class Caller:
    """Who asks: `sees` is the project whose jobs exist for it (None: an operator, for whom all do), what it makes
    belongs to `project`. `token` is what it showed, where one was asked for."""

    sees: str | None
    project: str
    token: Token | None = None


def caller(request: Request) -> Caller:
    """Who was let in by a scope."""
    found: Caller = request.state.caller
    return found


CallerDep = Annotated[Caller, Depends(caller)]


class _Scope:
    """Lets a request through when its token has a scope, to what belongs to its project."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> None:
        """Raise Unauthorized without a good token, TooMany when it is shown too often, Forbidden without scope."""
        request.state.needs = self.scope
        _check_not_foreign(request)
        if surroundings(request).settings.no_auth:
            _check_local(request)
            request.state.caller = Caller(None, DEFAULT_PROJECT)
            return
        if credentials is None:
            raise Unauthorized(
                "this needs a token, in a header `Authorization` of type Bearer; the service writes one to <home>/token"
            )
        token = surroundings(request).store.check_token(credentials.credentials)
        surroundings(request).rates.take(token.id, token.rate)
        granted = token.scopes
        request.state.caller = Caller(None if "admin" in granted else token.project, token.project, token)
        if not any(self.scope in SCOPES.get(scope, ()) for scope in granted):
            raise Forbidden(
                f"this needs a token with the scope `{self.scope}`; this one has: {', '.join(sorted(granted))}"
            )
        _check_project(request, request.state.caller)


def _check_project(request: Request, asking: Caller) -> None:
    """Whatever path names a job or a trial of another project names nothing. Raises NotFound."""
    kind = next((kind for kind in ("job", "trial") if f"{kind}_id" in request.path_params), None)
    if asking.sees is None or kind is None:
        return
    id: str = request.path_params[f"{kind}_id"]
    try:
        project = surroundings(request).store.project_of(id if kind == "job" else job_id_of(id))
    except NotFound:
        project = None
    if project != asking.sees:
        raise NotFound(kind, id)


READ, SUBMIT, WORK, ADMIN = (Depends(_Scope(scope)) for scope in SCOPES)


def _check_not_foreign(request: Request) -> None:
    """No page of another site may ask, with a token or without: none is ever given leave to read the answer."""
    if request.headers.get("sec-fetch-site", "").strip().lower() in {"cross-site", "same-site"}:
        raise Forbidden("no requests from pages of other sites are answered (Sec-Fetch-Site)")


def _check_local(request: Request) -> None:
    """Without tokens, a web page in the user's browser must not reach the API: neither by a cross-site request nor by
    a name that was made to point at this machine (DNS rebinding)."""
    named = request.headers.get("host", "")
    host = Authority.of(named)
    if host is None or host.host not in LOOPBACK:
        raise Forbidden(f"without tokens only {', '.join(sorted(LOOPBACK))} are answered, not host {named!r}")
    origin = request.headers.get("origin")
    if origin is not None and Authority.of_origin(origin) != host:
        raise Forbidden(f"without tokens no requests from other sites are answered; this one came from {origin!r}")
