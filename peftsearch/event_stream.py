"""What the server sends while it goes on: events of a job, and how far a costly answer is."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from httpx_sse import ServerSentEvent

from peftsearch.results import Event

END = "end"
"""Kind of the last event of a stream that was asked to stop when its job is over."""
MEDIA_TYPE = "text/event-stream"
OnProgress = Callable[[str | None], None]
"""Told each stage of an answer that is being computed, and None when that is over."""


def event_of(told: ServerSentEvent, after: int) -> Event | None:
    """An event of a job. None for a heartbeat, which has no data but may repeat the last id."""
    if not told.data:
        return None
    payload = told.json()
    return Event(int(told.id or after), told.event, payload.get("job_id", ""), payload)


def answer_of(told: ServerSentEvent, on_progress: OnProgress) -> httpx.Response | None:
    """The answer that a computation came to, as if it had been asked for alone; None while it goes on."""
    if told.event == "progress":
        on_progress(told.json()["stage"])
        return None
    status = 200 if told.event == "answer" else int(told.json()["status"])
    return httpx.Response(status, content=told.data.encode())


def ended_early() -> httpx.RemoteProtocolError:
    """What is raised for a stream that stops before its last event."""
    return httpx.RemoteProtocolError("the stream ended early")
