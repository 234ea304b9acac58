"""What happens to a job, as server-sent events that can be resumed where they broke off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from service.api.dependencies import READ, FeedDep, StoreDep
from service.api.event_feed import EventFeed, as_text
from service.errors import NotFound
from service.store.states import JOB_OVER
from service.store.store import Store
from workers.bounded import INT64

router = APIRouter(tags=["events"], dependencies=[READ])
BATCH = 500
HEARTBEAT = ": heartbeat\n\n"
END = "event: end\ndata: {}\n\n"


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "`id`, `event` and `data` of each event"}},
)
def stream_events(
    job_id: str,
    store: StoreDep,
    feed: FeedDep,
    last_event_id: Annotated[int, Header(ge=0, le=INT64, description="go on after the event with this id")] = 0,
    recent: Annotated[
        int | None, Query(ge=0, le=10_000, description="begin with this many of the newest events, not with the first")
    ] = None,
    until_over: Annotated[bool, Query(description="end with an event `end` once the job is over")] = False,
) -> StreamingResponse:
    """Every event of the job from the first (or `Last-Event-ID`, or the `recent` ones) on, then each new one as it
    happens. A comment is sent every 15 s so that neither side takes a quiet stream for a dead one."""
    store.get_job(job_id)
    if recent is not None and last_event_id == 0:
        last_event_id = store.sequence_before(job_id, recent)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    stream = _stream(job_id, last_event_id, until_over, store, feed)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(job_id: str, last: int, until_over: bool, store: Store, feed: EventFeed) -> AsyncIterator[str]:
    over = False
    while not feed.closed:
        seen = feed.position  # before reading: what is stored after this wakes us
        if (recent := feed.since(last, job_id)) is not None:
            text, last = "".join(one.text for one in recent), seen
            ended = any(one.kind == "job.state" for one in recent)
        else:
            ended = True  # who has just come, or fallen behind, has not been told
            over = until_over and await to_thread.run_sync(_is_over, store, job_id)
            events = await to_thread.run_sync(store.events_after, last, job_id, BATCH)
            text = "".join(map(as_text, events))
            last = events[-1].sequence if events else max(last, seen)
        if text:
            yield text
            over = over or (until_over and ended and await to_thread.run_sync(_is_over, store, job_id))
        elif over:
            yield END
            return
        elif not await feed.changed(seen, last, feed.heartbeat):
            yield HEARTBEAT
            over = until_over and await to_thread.run_sync(_is_over, store, job_id)  # it may be deleted


def _is_over(store: Store, job_id: str) -> bool:
    try:
        return store.get_job(job_id).state in JOB_OVER
    except NotFound:
        return True  # it was deleted meanwhile
