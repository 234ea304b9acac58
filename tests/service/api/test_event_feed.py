"""What streams get from memory is what the store holds, in its order, and read once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.api import event_feed
from service.api.event_feed import EventFeed
from service.store.store import Store


@pytest.fixture
def jobs(store: Store) -> list[str]:
    """Two jobs, each with an event of its beginning."""
    return [store.create_job(name, {"objectives": []}).id for name in "ab"]


async def _look(feed: EventFeed, after: int) -> None:
    assert await feed.changed(feed.position, after, 5)


def test_streams_get_each_event_of_their_job_once_and_from_memory(
    store: Store, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = store.events_after

    def counted(sequence: int, job_id: str | None = None, limit: int = 500) -> Any:
        found = read(sequence, job_id, limit)
        reads.extend(event.sequence for event in found)
        return found

    async def follow() -> None:
        feed = EventFeed(store, interval=0.01)
        start = store.last_sequence()
        assert feed.since(start, jobs[0]) is None  # nothing is known yet
        waiting = [asyncio.create_task(feed.changed(0, start, 5)) for _ in range(20)]
        await asyncio.sleep(0)
        monkeypatch.setattr(store, "events_after", counted)
        for number in range(6):
            store.add_event(jobs[number % 2], "note", {"message": str(number)})
        assert all(await asyncio.gather(*waiting))
        while feed.position < start + 6:
            await _look(feed, feed.position)
        told = feed.since(start, jobs[0])
        assert told is not None
        assert [one.sequence for one in told] == [start + 1, start + 3, start + 5]
        assert "".join(one.text for one in told).count("event: note") == 3
        assert feed.since(start + 3, jobs[0]) == told[2:]
        assert feed.since(feed.position, jobs[1]) == []
        assert feed.since(start - 1, jobs[0]) is None  # further back: the store knows
        assert feed.since(feed.position + 1, jobs[0]) is None

    asyncio.run(follow())
    assert len(reads) == len(set(reads)) == 6


def test_what_no_longer_fits_or_was_not_looked_at_is_left_to_the_store(
    store: Store, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "KEPT", 3)

    async def follow() -> None:
        feed = EventFeed(store, interval=0.01)
        start = store.last_sequence()
        waiting = asyncio.create_task(feed.changed(0, start, 5))
        await asyncio.sleep(0)
        for _ in range(5):
            store.add_event(jobs[0], "note", {})
        assert await waiting
        while feed.position < start + 5:
            await _look(feed, feed.position)
        assert feed.since(start + 1, jobs[0]) is None
        kept = feed.since(start + 2, jobs[0])
        assert kept is not None
        assert [one.sequence for one in kept] == [start + 3, start + 4, start + 5]
        store.add_event(jobs[0], "note", {})
        store.add_event(jobs[0], "note", {})
        waiting = asyncio.create_task(feed.changed(feed.position, start + 7, 0.05))  # it came past the feed
        assert not await waiting
        assert feed.since(start + 5, jobs[0]) is None
        assert feed.since(start + 7, jobs[0]) == []

    asyncio.run(follow())
