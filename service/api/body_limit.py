"""Refuses request bodies that are too large, before they are read into memory."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problem_details import MEDIA_TYPE
from service.jobs.uploads import MOST_BYTES

LIMIT = 4 * 1024 * 1024
"""Bytes. A JobSpec with 10,000 explicit reference configurations is about 2 MiB; nothing larger is ever sent."""


LARGER = {"/v1/uploads": MOST_BYTES}
"""Bytes of what is written to disk as it comes in."""


class _TooLarge(Exception):
    """The body went past the limit while it was being read."""


class BodyLimit:
    """ASGI middleware that answers 413 when a body is longer than `limit` bytes, or than its path's limit in `larger`,
    announced or not."""

    def __init__(self, app: ASGIApp, limit: int = LIMIT, larger: Mapping[str, int] = LARGER) -> None:
        self.app, self.limit, self.larger = app, limit, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what is read of its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.larger.get(scope["path"], self.limit)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            await self._refusal(limit)(scope, receive, send)
            return
        read, started = 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, watched)
        except _TooLarge:
            if started:
                raise
            await self._refusal(limit)(scope, receive, send)

    def _refusal(self, limit: int) -> JSONResponse:
        body = {
            "type": "urn:peftsearch:problem:body-too-large",
            "title": "The request body is too large",
            "status": 413,
            "detail": f"a request body may have at most {limit} bytes",
        }
        return JSONResponse(body, 413, {"Connection": "close"}, MEDIA_TYPE)
