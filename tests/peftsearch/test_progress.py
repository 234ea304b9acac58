"""How far a costly answer is, told to who asked: over the client, in a terminal, and given up with Ctrl-C."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource
from rich.console import Console

from peftsearch import AsyncClient, Client
from peftsearch.cli import waiting
from peftsearch.errors import NotFound
from peftsearch.event_stream import event_of

Spec = dict[str, Any]


@pytest.fixture
def searched(client: Client, spec: Spec, worker: Any) -> str:
    """A job with a completed trial."""
    job = client.submit(spec)
    worker.start(job.id)
    worker.suggest(job.id, 1)
    worker.complete(job.id, 0.8, 500)
    return job.id


@pytest.mark.slow
def test_the_stages_of_an_answer_are_told_and_the_answer_is_the_same(url: str, client: Client, searched: str) -> None:
    told: list[str | None] = []
    with Client(url, on_progress=told.append) as patient:
        found = patient.best(searched)
        assert told[0] is not None
        assert told[-1] is None
        assert found == client.best(searched)
        with pytest.raises(NotFound, match=r"accuracy>0\.95"):
            patient.best(searched, where=["accuracy>0.95"])
        patient.job(searched)  # is no costly answer
    assert told.count(None) == 2


@pytest.mark.slow
def test_the_asynchronous_twin_tells_them_too(url: str, client: Client, searched: str) -> None:
    told: list[str | None] = []

    async def ask() -> Any:
        async with AsyncClient(url, on_progress=told.append) as twin:
            return await twin.best(searched)

    assert asyncio.run(ask()) == client.best(searched)
    assert told[0] is not None
    assert told[-1] is None


@pytest.mark.slow
def test_giving_up_closes_the_connection_and_the_next_question_is_answered(
    url: str, client: Client, searched: str
) -> None:
    def press_ctrl_c(stage: str | None) -> None:
        if stage is not None:
            raise KeyboardInterrupt

    with Client(url, on_progress=press_ctrl_c) as hasty:
        with pytest.raises(KeyboardInterrupt):
            hasty.best(searched)
        assert hasty.job(searched).id == searched
    assert client.best(searched).trial.job_id == searched


def test_a_terminal_shows_that_it_waits_and_a_file_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}
    for terminal in (True, False):
        file = io.StringIO()
        monkeypatch.setattr(waiting, "messages", Console(file=file, force_terminal=terminal, width=100))
        wait = waiting.Waiting()
        for stage in ("waiting for a free process", "fitting accuracy to 9 trials", None):
            wait(stage)
        shown[terminal] = file.getvalue()
    assert "Ctrl-C gives up" in shown[True]
    assert shown[False] == ""


def test_streams_are_read_as_the_standard_says() -> None:
    content = (
        'id: 7\nevent: note\ndata: {"job_id": "j",\ndata:  "message": "a\u2028b"}\n\n: alive\n\ndata: {}\n\ndata: {"ha'
    )
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=content.encode())
    events = [event for told in EventSource(response).iter_sse() if (event := event_of(told, 3)) is not None]
    assert [(one.sequence, one.kind) for one in events] == [(7, "note"), (7, "message")]
    assert events[0].payload["message"] == "a\u2028b"
    first = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=b"data: {}\n\n")
    (event,) = (event_of(told, 3) for told in EventSource(first).iter_sse())
    assert event is not None
    assert event.sequence == 3
