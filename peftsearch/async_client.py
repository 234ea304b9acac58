"""The asynchronous twin of `Client`: the same verbs, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self, TypeVar
from zipfile import ZipFile

import httpx
from httpx_sse import EventSource

from peftsearch import calls
from peftsearch.calls import Call, Page
from peftsearch.connection import (
    PAGE,
    STREAM_TIMEOUT,
    TIMEOUT,
    Connection,
    check,
    leave_pauses,
    may_repeat,
    pauses,
    request_of,
    result_of,
)
from peftsearch.errors import Unreachable
from peftsearch.event_stream import END, MEDIA_TYPE, OnProgress, answer_of, ended_early, event_of
from peftsearch.results import Best, Entry, Event, Front, Job, Lineage, Report, Rows, Trial

T = TypeVar("T")


class AsyncClient:
    """Talks to a peftsearch server from asyncio code. `Client` says what each verb does and raises."""

    def __init__(self, url: str | None = None, token: str | None = None, on_progress: OnProgress | None = None) -> None:
        self._on_progress = on_progress
        self._connection = Connection.resolve(url, token)
        self._http = httpx.AsyncClient(base_url=self.url, headers=self._connection.headers, timeout=TIMEOUT)

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._connection.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def submit(self, spec: Mapping[str, Any], idempotency_key: str | None = None) -> Job:
        """See `Client.submit`."""
        return await self._send(calls.submit(spec, idempotency_key))

    async def check(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Client.check`."""
        return await self._send(calls.check(spec))

    async def upload(self, file: Path) -> Mapping[str, Any]:
        """See `Client.upload`."""
        return await self._send(calls.upload(file))

    async def jobs(
        self, limit: int | None = None, states: Iterable[str] = (), tags: Iterable[str] = (), text: str | None = None
    ) -> Rows[Job]:
        """See `Client.jobs`."""
        states, tags = tuple(states), tuple(tags)

        def page(cursor: str | None, size: int) -> Call[Page[Job]]:
            return calls.jobs(cursor, size, states, tags, text)

        return Rows([job async for job in self._pages(page, limit)])

    async def job(self, job_id: str) -> Job:
        """See `Client.job`."""
        return await self._send(calls.job(job_id))

    async def remark_job(self, job_id: str, tags: Iterable[str] | None = None, note: str | None = None) -> Job:
        """See `Client.remark_job`."""
        return await self._send(calls.remark_job(job_id, tags, note))

    async def remark_trial(self, trial_id: str, tags: Iterable[str] | None = None, note: str | None = None) -> Trial:
        """See `Client.remark_trial`."""
        return await self._send(calls.remark_trial(trial_id, tags, note))

    async def pause(self, job_id: str) -> Job:
        """See `Client.pause`."""
        return await self._send(calls.steer(job_id, "pause"))

    async def resume(self, job_id: str) -> Job:
        """See `Client.resume`."""
        return await self._send(calls.steer(job_id, "resume"))

    async def cancel(self, job_id: str) -> Job:
        """See `Client.cancel`."""
        return await self._send(calls.steer(job_id, "cancel"))

    async def delete(self, job_id: str) -> None:
        """See `Client.delete`."""
        await self._send(calls.delete(job_id))

    async def clone(self, job_id: str, changes: Mapping[str, Any] | None = None) -> Job:
        """See `Client.clone`."""
        return await self._send(calls.clone(job_id, changes or {}))

    async def extend(self, job_id: str, trials: int, seconds: float | None = None) -> Job:
        """See `Client.extend`."""
        return await self._send(calls.extend(job_id, trials, seconds))

    async def add_trials(self, job_id: str, trials: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
        """See `Client.add_trials`."""
        return await self._send(calls.add_trials(job_id, trials))

    async def change_space(self, job_id: str, changes: Mapping[str, Any]) -> Job:
        """See `Client.change_space`."""
        return await self._send(calls.change_space(job_id, changes))

    async def trials(
        self,
        job_id: str,
        states: Iterable[str] = (),
        sort: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        tags: Iterable[str] = (),
    ) -> Rows[Trial]:
        """See `Client.trials`."""
        states, tags = tuple(states), tuple(tags)

        def page(cursor: str | None, size: int) -> Call[Page[Trial]]:
            return calls.trials(job_id, cursor, size, states, sort, descending, tags)

        return Rows([trial async for trial in self._pages(page, limit)])

    async def trial(self, trial_id: str) -> Trial:
        """See `Client.trial`."""
        return await self._send(calls.trial(trial_id))

    async def reports(self, trial_id: str) -> Rows[Report]:
        """See `Client.reports`."""
        return await self._send(calls.reports(trial_id))

    async def snippet(self, trial_id: str) -> str:
        """See `Client.snippet`."""
        return await self._send(calls.snippet(trial_id))

    async def lineage(self, trial_id: str) -> Lineage:
        """See `Client.lineage`."""
        return await self._send(calls.lineage(trial_id))

    async def pareto(self, job_id: str) -> Front:
        """See `Client.pareto`."""
        return await self._send(calls.pareto(job_id))

    async def best(
        self, job_id: str, maximize: str | None = None, minimize: str | None = None, where: Iterable[str] = ()
    ) -> Best:
        """See `Client.best`."""
        return await self._send(calls.best(job_id, maximize, minimize, where))

    async def export(self, trial_id: str, folder: str | Path) -> Path:
        """See `Client.export`."""
        target = Path(folder)
        with TemporaryFile() as download:
            await self._download(calls.adapter_path(trial_id), download)
            target.mkdir(parents=True, exist_ok=True)
            with ZipFile(download) as archive:
                archive.extractall(target)  # drops absolute names and `..`
        return target

    async def events(self, job_id: str, after: int = 0) -> AsyncIterator[Event]:
        """See `Client.events`."""
        waits = pauses()
        while True:
            try:
                async for event in self._stream(job_id, after):
                    if event.kind == END:
                        return
                    after, waits = event.sequence, pauses()
                    yield event
                raise ended_early()
            except httpx.TransportError as error:
                await self._wait(waits, error)

    async def tasks(self) -> Rows[Entry]:
        """See `Client.tasks`."""
        return await self._send(calls.catalogue("tasks"))

    async def spaces(self) -> Rows[Entry]:
        """See `Client.spaces`."""
        return await self._send(calls.catalogue("spaces"))

    async def methods(self) -> Rows[Entry]:
        """See `Client.methods`."""
        return await self._send(calls.catalogue("methods"))

    async def strategies(self) -> Rows[Entry]:
        """See `Client.strategies`."""
        return await self._send(calls.catalogue("strategies"))

    async def importance(self, job_id: str, metric: str | None = None) -> Mapping[str, Any]:
        """See `Client.importance`."""
        return await self._send(calls.importance(job_id, metric))

    async def expect(self, job_id: str, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Client.expect`."""
        return await self._send(calls.expect(job_id, config))

    async def knee(self, job_id: str) -> Mapping[str, Any]:
        """See `Client.knee`."""
        return await self._send(calls.knee(job_id))

    async def confirmation(self, job_id: str) -> Mapping[str, Any]:
        """See `Client.confirmation`."""
        return await self._send(calls.confirmation(job_id))

    async def stages(self, job_id: str) -> list[Mapping[str, Any]]:
        """See `Client.stages`."""
        return await self._send(calls.stages(job_id))

    async def follow_up(self, trial_id: str, how: str = "again") -> Mapping[str, Any]:
        """See `Client.follow_up`."""
        return await self._send(calls.follow_up(trial_id, how))

    async def uses(self, trial_id: str) -> list[Mapping[str, Any]]:
        """See `Client.uses`."""
        return await self._send(calls.uses(trial_id))

    async def recommend(self, **question: Any) -> Mapping[str, Any]:
        """See `Client.recommend`."""
        return await self._send(calls.recommend(question))

    async def predict(self, law: str, /, **question: Any) -> Mapping[str, Any]:
        """See `Client.predict`."""
        return await self._send(calls.predict(law, question))

    async def fit_mixture(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Client.fit_mixture`."""
        return await self._send(calls.fit_mixture(question))

    async def expect_mixtures(
        self, job_id: str, mixtures: Sequence[Mapping[str, float]], level: float = 0.9
    ) -> Mapping[str, Any]:
        """See `Client.expect_mixtures`."""
        return await self._send(calls.expect_mixtures(job_id, mixtures, level))

    async def courses(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """See `Client.courses`."""
        return await self._send(calls.courses(job_ids))

    async def fit_law(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Client.fit_law`."""
        return await self._send(calls.fit_law(question))

    async def store_law(
        self, name: str, rows: list[Mapping[str, Any]], batch_unit: str = "tokens"
    ) -> Mapping[str, Any]:
        """See `Client.store_law`."""
        return await self._send(calls.store_law(name, rows, batch_unit))

    async def laws(self) -> list[Mapping[str, Any]]:
        """See `Client.laws`."""
        return await self._send(calls.laws())

    async def answer(self, job_id: str) -> Mapping[str, Any]:
        """See `Client.answer`."""
        return await self._send(calls.answer(job_id))

    async def health(self, ready: bool = False) -> Mapping[str, Any]:
        """See `Client.health`."""
        return await self._send(calls.health(ready))

    async def ask(self, job_id: str, worker_id: str, wait: float = 0) -> Mapping[str, Any] | None:
        """See `Client.ask`."""
        return await self._send(calls.ask(job_id, worker_id, wait))

    async def report(self, report: Mapping[str, Any]) -> str:
        """See `Client.report`."""
        return await self._send(calls.report(report))

    async def tell(self, outcome: Mapping[str, Any]) -> Trial:
        """See `Client.tell`."""
        return await self._send(calls.tell(outcome))

    async def create_token(
        self,
        name: str,
        scopes: Iterable[str],
        project: str | None = None,
        ttl: float | None = None,
        rate: float | None = None,
    ) -> Mapping[str, Any]:
        """See `Client.create_token`."""
        return await self._send(calls.create_token(name, scopes, project, ttl, rate))

    async def tokens(self) -> list[Mapping[str, Any]]:
        """See `Client.tokens`."""
        return await self._send(calls.tokens())

    async def rotate_token(self, token_id: str, overlap: float = 0) -> Mapping[str, Any]:
        """See `Client.rotate_token`."""
        return await self._send(calls.rotate_token(token_id, overlap))

    async def revoke_token(self, token_id: str) -> Mapping[str, Any]:
        """See `Client.revoke_token`."""
        return await self._send(calls.revoke_token(token_id))

    async def audit(
        self, token_name: str | None = None, target: str | None = None, limit: int | None = None
    ) -> list[Mapping[str, Any]]:
        """See `Client.audit`."""
        found = self._pages(lambda cursor, size: calls.audit(cursor, size, token_name, target), limit)
        return [entry async for entry in found]

    async def webhooks(self, job_id: str | None = None) -> list[Mapping[str, Any]]:
        """See `Client.webhooks`."""
        return await self._send(calls.webhooks(job_id))

    async def create_webhook(
        self, url: str, events: Iterable[str] | None = None, job_id: str | None = None, project: str | None = None
    ) -> Mapping[str, Any]:
        """See `Client.create_webhook`."""
        return await self._send(calls.create_webhook(url, events, job_id, project))

    async def delete_webhook(self, webhook_id: str) -> None:
        """See `Client.delete_webhook`."""
        await self._send(calls.delete_webhook(webhook_id))

    async def deliveries(self, webhook_id: str, limit: int | None = None) -> list[Mapping[str, Any]]:
        """See `Client.deliveries`."""
        found = self._pages(lambda cursor, size: calls.deliveries(webhook_id, cursor, size), limit)
        return [entry async for entry in found]

    async def _send(self, call: Call[T]) -> T:
        waits, leave = pauses(), leave_pauses()
        while True:
            try:
                response = await self._answer(call)
                if (pause := leave(response)) is None:
                    return result_of(call, response)
                await asyncio.sleep(pause)
            except httpx.TransportError as error:
                await self._wait(waits if may_repeat(call, error) else iter((None,)), error)

    async def _answer(self, call: Call[T]) -> httpx.Response:
        """Send a request once; of a costly answer say how far it is. Giving up closes the connection, which ends it."""
        request, on_progress = request_of(self._http, call), self._on_progress
        if not call.costly or on_progress is None:
            return await self._http.send(request)
        request.headers["Accept"] = MEDIA_TYPE
        response = await self._http.send(request, stream=True)
        try:
            if not response.headers.get("content-type", "").startswith(MEDIA_TYPE):
                await response.aread()
                return response
            async for told in EventSource(response).aiter_sse():
                if (answer := answer_of(told, on_progress)) is not None:
                    return answer
            raise ended_early()
        finally:
            on_progress(None)
            await response.aclose()

    async def _download(self, path: str, file: IO[bytes]) -> None:
        waits = pauses()
        while True:
            try:
                async with self._http.stream("GET", path) as response:
                    if response.is_error:
                        await response.aread()
                    check(response)
                    file.truncate(0)
                    file.seek(0)
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
                return
            except httpx.TransportError as error:
                await self._wait(waits, error)

    async def _pages(self, page: Callable[[str | None, int], Call[Page[T]]], limit: int | None) -> AsyncIterator[T]:
        cursor, left = None, limit
        while left is None or left > 0:
            found = await self._send(page(cursor, PAGE if left is None else min(PAGE, left)))
            for item in found.items:
                yield item
            cursor = found.next_cursor
            left = None if left is None else left - len(found.items)
            if cursor is None:
                return

    async def _stream(self, job_id: str, after: int) -> AsyncIterator[Event]:
        request = calls.events(job_id, after)
        async with self._http.stream(
            "GET", request.path, params=list(request.query), headers=request.headers, timeout=STREAM_TIMEOUT
        ) as response:
            if response.is_error:
                await response.aread()
            check(response)
            async for told in EventSource(response).aiter_sse():
                if (event := event_of(told, after)) is not None:
                    yield event

    async def _wait(self, waits: Iterator[float | None], error: httpx.TransportError) -> None:
        pause = next(waits)
        if pause is None:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error
        await asyncio.sleep(pause)
