"""Reads bodies of requests in threads, a few at a time: a large one must not keep the event loop from the others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import Request, Response
from fastapi.routing import APIRoute

from service.api.plain_data import parse_json

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

AT_ONCE = 1
"""Bodies that are read at a time. Each holds the interpreter for milliseconds on end, and others wait for that."""

_limiter = RunVar[CapacityLimiter]("readers of bodies")


async def parsed(request: Request, parse: Callable[[bytes], Any]) -> Any:
    """What `parse` makes of the body. Raises BadInput."""
    body = await request.body()
    return await to_thread.run_sync(parse, body, limiter=_readers())


def _readers() -> CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        _limiter.set(limiter := CapacityLimiter(AT_ONCE))
        return limiter


def unread_when_busy(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint whose body the pool of answers is asked about: while the pool is full, requests are refused
    before anybody works on their bodies, which costs more than the refusal."""
    _UNREAD_WHEN_BUSY.add(endpoint)
    return endpoint


_UNREAD_WHEN_BUSY: set[Callable[..., Any]] = set()


class _ReadRequest(Request):
    """A request whose JSON has been read."""

    document: Any = None

    async def json(self) -> Any:
        """The body as it was read."""
        return self.document


class PlainRoute(APIRoute):
    """A route whose JSON body is read by `parse_json` instead of on the event loop by the framework."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Read the body before the framework asks for it."""
        handle = super().get_route_handler()

        async def read_first(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if self.body_field is None or not (kind == "application/json" or kind.endswith("+json")):
                return await handle(request)
            read = _ReadRequest(request.scope, request.receive)
            if await read.body():
                if self.endpoint in _UNREAD_WHEN_BUSY:
                    request.app.state.surroundings.pool.check_room()
                read.document = await parsed(read, parse_json)
            return await handle(read)

        return read_first
