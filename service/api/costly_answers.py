"""Costly answers over HTTP: asked of the pool, given up when the caller goes, with their progress where wanted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from service.answering.costly import Costly
from service.answering.pool import AnswerPool, Reply
from service.api.problem_details import MEDIA_TYPE, problem
from service.errors import ServiceError, Unavailable

EVENTS = "text/event-stream"
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {EVENTS: {}}, "description": "with `Accept: text/event-stream`: `progress` events, then `answer`"},
    503: {"description": "too many such answers are asked for at once, or this one costs too much"},
}
CLIENT_GONE = 499  # nobody reads it; nginx's name for it in logs


async def computed(
    request: Request,
    function: Costly,
    arguments: Mapping[str, Any],
    state: object = None,
    pool: AnswerPool | None = None,
) -> Response:
    """The answer of `function(desk, **arguments)` as JSON, from the pool of all answers unless another is named.

    Raises Busy and whatever the function refuses with.
    """
    pool = pool or request.app.state.surroundings.pool
    if EVENTS in request.headers.get("accept", ""):
        stream = _events(pool, function, arguments, state)
        return StreamingResponse(stream, media_type=EVENTS, headers={"Cache-Control": "no-cache"})
    asking = asyncio.ensure_future(pool.ask(function, arguments, state))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({asking, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            return Response(status_code=CLIENT_GONE)
        if asking.cancelled():
            raise Unavailable("the server is going down")
        return _response(asking.result())
    finally:
        for task in (asking, gone):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _gone(request: Request) -> None:
    """Return when the caller has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _response(reply: Reply) -> Response:
    kind = "application/json" if reply.status == 200 else MEDIA_TYPE
    headers = {"Retry-After": "5"} if reply.status == 503 else None
    return Response(reply.content, reply.status, headers, kind)


async def _events(
    pool: AnswerPool, function: Costly, arguments: Mapping[str, Any], state: object
) -> AsyncIterator[str]:
    """`progress` with the stage whenever it changes, then `answer` or `problem`. Closing the stream gives up."""
    stages: asyncio.Queue[str | None] = asyncio.Queue()
    asking = asyncio.ensure_future(pool.ask(function, arguments, state, stages.put_nowait))
    asking.add_done_callback(lambda _: stages.put_nowait(None))
    try:
        while (stage := await stages.get()) is not None:
            yield f"event: progress\ndata: {json.dumps({'stage': stage})}\n\n"
        try:
            reply = asking.result()
            kind, content = ("answer" if reply.status == 200 else "problem"), reply.content
        except ServiceError as error:
            kind, content = "problem", bytes(problem(error).body).decode()
        yield f"event: {kind}\ndata: {content}\n\n"
    finally:
        asking.cancel()
