"""Who did what: every operation that changes something, and every one refused for want of a scope, is recorded."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from datetime import datetime

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.dependencies import Clock
from service.api.route_names import route_of
from service.errors import ServiceError
from service.store.records import Deed
from service.store.store import Store

READING = frozenset({"GET", "HEAD", "OPTIONS"})
PERIOD = 1.0
"""Seconds between two writings of what outside workers have done."""

MOST_WAITING = 20_000
"""Deeds of workers that are kept while the database does not answer."""

NO_TOKEN = "(no token asked for)"
log = logging.getLogger(__name__)


class AuditTrail:
    """Writes deeds: those of people before they are answered, those of workers once a second, many at a time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._waiting: deque[tuple[datetime, Deed]] = deque(maxlen=MOST_WAITING)
        self._writing: asyncio.Task[None] | None = None

    async def add(self, deed: Deed, at_once: bool) -> None:
        """Record a deed; where that fails it stands in the log, and the answer, which tells what was done, is given."""
        if not at_once:
            self._waiting.append((self._clock(), deed))
            if self._writing is None or self._writing.done():
                self._writing = asyncio.create_task(self._write_later())
            return
        try:
            await to_thread.run_sync(self._store.record_deeds, [(self._clock(), deed)])
        except ServiceError as error:
            log.error("not in the audit trail (%s): %s", error.detail, deed)

    async def close(self) -> None:
        """Write what waits."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        await self._write()

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(PERIOD)
            await self._write()

    async def _write(self) -> None:
        deeds = list(self._waiting)
        if not deeds:
            return
        try:
            await to_thread.run_sync(self._store.record_deeds, deeds)
        except ServiceError as error:
            log.warning("the audit trail waits for the database: %s", error.detail)
            return
        for _ in deeds:
            self._waiting.popleft()


class Audited:
    """ASGI middleware that records what a request did once its answer is known, before it is sent."""

    def __init__(self, app: ASGIApp, trail: AuditTrail) -> None:
        self.app, self.trail = app, trail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] in READING:
            await self.app(scope, receive, send)
            return

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start" and (deed := _deed(scope, message)) is not None:
                await self.trail.add(deed, at_once=scope["state"]["needs"] != "work")
            await send(message)

        await self.app(scope, receive, recorded)


def _deed(scope: Scope, answer: Message) -> Deed | None:
    """What was done; None where nothing was: questions, refusals of what was asked, asking for a trial in vain."""
    state, status = scope.get("state", {}), int(answer["status"])
    caller, needs = state.get("caller"), state.get("needs")
    done = status < 300 and not (needs == "work" and (status == 204 or scope["path"].endswith("/report")))
    if caller is None or needs in (None, "read") or not (done or status == 403):
        return None
    made = Headers(raw=answer.get("headers", [])).get("location")
    token, peer = caller.token, scope.get("client")
    return Deed(
        token_id=None if token is None else token.id,
        who=NO_TOKEN if token is None else token.name,
        project=caller.project,
        address=None if peer is None else peer[0],
        operation=f"{scope['method']} {route_of(scope) or scope['path']}",
        target=made or scope["path"],
        status=status,
    )
