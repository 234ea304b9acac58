"""Tells streams what was stored. However many streams are open, the store is looked at once per interval, and each
event is read and written out once."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from anyio import to_thread

from service.api.views import event_data
from service.store.records import Event
from service.store.store import Store

INTERVAL = 0.25
"""Seconds between two looks at the store: what a stream lags behind at most."""

BATCH = 1000

KEPT = 2000
"""Events that streams get from memory; who is further behind reads the store."""


@dataclass(frozen=True)
class Recent:
    """An event as it is sent."""

    sequence: int
    job_id: str
    kind: str
    text: str


def as_text(event: Event) -> str:
    """An event in the form of a stream."""
    return f"id: {event.sequence}\nevent: {event.kind}\ndata: {json.dumps(event_data(event))}\n\n"


class EventFeed:
    """Wakes whoever waits for events. Looks at the store only while somebody waits. Lives in one event loop."""

    def __init__(self, store: Store, interval: float = INTERVAL, heartbeat: float = 15.0) -> None:
        self._store, self._interval = store, interval
        self.heartbeat = heartbeat
        self.position = 0  # number of the last event known of
        self.closed = False  # the server is going down: streams end by themselves
        self._recent: deque[Recent] = deque()
        self._complete_after = 0  # every event after this one, up to `position`, is among the recent ones
        self._waiting: set[asyncio.Event] = set()
        self._looking: asyncio.Task[None] | None = None

    async def changed(self, seen: int, after: int, seconds: float) -> bool:
        """Wait until events were stored since `position` was `seen`, at most `seconds`; False when none were.

        `after` is the last event that the caller has had: no need to look further back.
        """
        if self.position != seen or self.closed:
            return True
        if after > self.position:  # nobody has looked for a while: what lies between is not known
            self.position = self._complete_after = after
            self._recent.clear()
        wake = asyncio.Event()
        self._waiting.add(wake)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), seconds)
        finally:
            self._waiting.discard(wake)
        return wake.is_set()

    def since(self, last: int, job_id: str) -> list[Recent] | None:
        """What has happened to the job after the event `last`, up to `position`; None where that is not in memory."""
        if last < self._complete_after or last > self.position or self.position == 0:
            return None
        found = []
        for one in reversed(self._recent):
            if one.sequence <= last:
                break
            if one.job_id == job_id:
                found.append(one)
        return found[::-1]

    def close(self) -> None:
        """End every stream, so that a server can stop without cutting them off."""
        self.closed = True
        self._wake_all()

    async def _look(self) -> None:
        while self._waiting and not self.closed:
            try:
                found = await to_thread.run_sync(self._store.events_after, self.position, None, BATCH)
            except Exception:
                self._wake_all()  # each stream meets the error itself and ends with it
                raise
            if found:
                self._keep(found)
                self._wake_all()
            await asyncio.sleep(self._interval)

    def _keep(self, events: tuple[Event, ...]) -> None:
        self._recent.extend(Recent(one.sequence, one.job_id, one.kind, as_text(one)) for one in events)
        while len(self._recent) > KEPT:
            self._complete_after = self._recent.popleft().sequence
        self.position = events[-1].sequence

    def _wake_all(self) -> None:
        for wake in self._waiting:
            wake.set()
