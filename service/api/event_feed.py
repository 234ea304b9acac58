"""Tells streams that something was stored. However many streams are open, the store is looked at once per interval."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from anyio import to_thread

from service.store.store import Store

INTERVAL = 0.25
"""Seconds between two looks at the store: what a stream lags behind at most."""

BATCH = 1000


class EventFeed:
    """Wakes whoever waits for events. Looks at the store only while somebody waits. Lives in one event loop."""

    def __init__(self, store: Store, interval: float = INTERVAL, heartbeat: float = 15.0) -> None:
        self._store, self._interval = store, interval
        self.heartbeat = heartbeat
        self.position = 0  # number of the last event known of
        self.closed = False  # the server is going down: streams end by themselves
        self._waiting: set[asyncio.Event] = set()
        self._looking: asyncio.Task[None] | None = None

    async def changed(self, seen: int, after: int, seconds: float) -> bool:
        """Wait until events were stored since `position` was `seen`, at most `seconds`; False when none were.

        `after` is the last event that the caller has had: no need to look further back.
        """
        if self.position != seen or self.closed:
            return True
        self.position = max(self.position, after)
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
                self.position = found[-1].sequence
                self._wake_all()
            await asyncio.sleep(self._interval)

    def _wake_all(self) -> None:
        for wake in self._waiting:
            wake.set()
