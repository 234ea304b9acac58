"""The pool of processes behind costly answers: bounds, sharing, cancellation, and what happens when one dies."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from service.answering.pool import WAITING, AnswerPool, Reply
from service.errors import Busy, ServiceError, TooCostly
from service.settings import Settings
from tests.patience import PATIENCE_S, wait_until
from tests.service.answering import questions

ROOT = str(Path(__file__).resolve().parents[3])
Scene = Callable[[AnswerPool], Coroutine[Any, Any, Any]]


@pytest.fixture
def play(settings: Settings, store: Any) -> Callable[..., Any]:
    """Runs a scene with a pool of one process in an event loop."""
    del store  # it makes the database

    def run(scene: Scene, **options: Any) -> Any:
        async def with_pool() -> Any:
            environment = {**settings.as_environment(), "PYTHONPATH": ROOT}
            pool = AnswerPool(environment, **{"processes": 1, **options})
            try:
                return await scene(pool)
            finally:
                await pool.close()

        return asyncio.run(with_pool())

    return run


def _said(reply: Reply) -> Any:
    assert reply.status == 200, reply.content
    return json.loads(reply.content)["said"]


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


async def _noted(log: Path) -> list[str]:
    def lines() -> list[str]:
        text = log.read_text() if log.exists() else ""
        return text.split() if text.endswith("\n") else []

    return await asyncio.to_thread(wait_until, lines, "the question begins", 0.02)


async def _begun(log: Path) -> list[int]:
    return [int(line) for line in await _noted(log)]


@pytest.mark.slow
def test_the_same_question_is_computed_once_for_all_who_ask(play: Any, tmp_path: Path) -> None:
    log, heard = tmp_path / "log", list[str]()

    async def scene(pool: AnswerPool) -> None:
        asked = {"log": str(log), "seconds": 0.3}
        asking = [pool.ask(questions.slow, asked, 1, heard.append) for _ in range(20)]
        assert {_said(reply) for reply in await asyncio.gather(*asking)} == {"slept"}
        assert _said(await pool.ask(questions.slow, asked, 1)) == "slept"  # kept, as nothing has changed
        assert len(await _begun(log)) == pool.computed == 1
        await pool.ask(questions.slow, asked, 2)
        assert len(await _begun(log)) == 2

    play(scene)
    assert set(heard) == {"waiting for a free process", "half way"}


@pytest.mark.slow
def test_a_question_ends_with_the_last_who_asks(play: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def scene(pool: AnswerPool) -> None:
        first, second = (asyncio.create_task(pool.ask(questions.slow, {"log": str(log)})) for _ in range(2))
        (process,) = await _begun(log)
        first.cancel()
        await asyncio.sleep(0.1)
        assert _alive(process)
        second.cancel()
        assert _said(await pool.ask(questions.echo, {"word": "next"})) == "next"
        assert not _alive(process)

    play(scene)


@pytest.mark.slow
def test_what_a_process_had_begun_goes_with_it(play: Any, tmp_path: Path) -> None:
    stopped, closed = tmp_path / "stopped", tmp_path / "closed"
    begun = list[Path]()

    async def scene(pool: AnswerPool) -> None:
        asking = asyncio.create_task(pool.ask(questions.litter, {"log": str(stopped), "seconds": 600}))
        begun.extend(map(Path, await _noted(stopped)))
        assert begun[0].exists()
        asking.cancel()
        assert _said(await pool.ask(questions.litter, {"log": str(closed), "seconds": 0})) == "tidy"
        begun.extend(map(Path, await _noted(closed)))
        assert (begun[0].parent.exists(), begun[1].parent.exists()) == (False, True)

    play(scene)
    assert not begun[1].parent.exists()


@pytest.mark.slow
def test_what_takes_too_long_is_given_up(play: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def scene(pool: AnswerPool) -> None:
        assert _said(await pool.ask(questions.echo, {"word": "warm"})) == "warm"
        pool._seconds = 0.5
        with pytest.raises(TooCostly, match=r"0\.5 s"):
            await pool.ask(questions.slow, {"log": str(log)})
        assert not _alive((await _begun(log))[0])

    play(scene)


def test_what_needs_too_much_memory_is_given_up_and_its_process_lives_on(play: Any) -> None:
    async def scene(pool: AnswerPool) -> None:
        before = json.loads((await pool.ask(questions.echo, {"word": "a"})).content)["process"]
        reply = await pool.ask(questions.large, {})
        assert (reply.status, "1024 MiB" in reply.content) == (503, True)
        assert json.loads((await pool.ask(questions.echo, {"word": "b"})).content)["process"] == before

    play(scene)


@pytest.mark.slow
def test_refusals_come_through_and_a_crash_is_survived(play: Any) -> None:
    async def scene(pool: AnswerPool) -> None:
        assert json.loads((await pool.ask(questions.refuse, {})).content)["detail"] == "there is no thing 'x'"
        assert (await pool.ask(questions.undetermined, {})).status == 422
        with pytest.raises(ServiceError, match="status 3"):
            await pool.ask(questions.die, {})
        assert _said(await pool.ask(questions.echo, {"word": "on"})) == "on"

    play(scene)


@pytest.mark.slow
def test_more_than_can_wait_are_refused_at_once(play: Any, tmp_path: Path) -> None:
    async def scene(pool: AnswerPool) -> None:
        asked = [{"log": str(tmp_path / "log"), "seconds": 60 + n} for n in range(WAITING + 1)]
        waiting = [asyncio.create_task(pool.ask(questions.slow, one)) for one in asked]
        await _begun(tmp_path / "log")
        with pytest.raises(Busy):
            await pool.ask(questions.echo, {"word": "late"})
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert _said(await pool.ask(questions.echo, {"word": "then"})) == "then"

    play(scene)


def test_its_processes_end_with_it(play: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def scene(pool: AnswerPool) -> int:
        asked = {"log": str(log), "seconds": 2 * PATIENCE_S}  # longer than we wait for it to be gone
        asking = asyncio.create_task(pool.ask(questions.slow, asked))
        (process,) = await _begun(log)
        await pool.close()
        assert asking.cancelled() or asking.done()
        return process

    process = play(scene)
    wait_until(lambda: not _alive(process), "its process is gone", every=0.02)
    assert process != os.getpid()


def test_only_what_is_marked_can_be_asked_for(play: Any) -> None:
    async def scene(pool: AnswerPool) -> None:
        with pytest.raises(AssertionError, match="not marked"):
            await pool.ask(os.getpid, {})  # type: ignore[arg-type]

    play(scene)


@pytest.mark.slow
def test_a_process_that_is_not_kept_ends_with_its_answer(play: Callable[..., Any]) -> None:
    async def scene(pool: AnswerPool) -> list[int]:
        return [json.loads((await pool.ask(questions.echo, {"word": "a"})).content)["process"] for _ in range(2)]

    first, second = play(scene, kept=False, waiting=0)
    assert first != second
    assert not _alive(first)
    assert not _alive(second)


def test_a_pool_says_how_much_memory_its_processes_may_take(play: Callable[..., Any]) -> None:
    async def scene(pool: AnswerPool) -> str:
        return str(_said(await pool.ask(questions.memory, {})))

    assert play(scene, memory=3 << 30) == str(3 << 30)
