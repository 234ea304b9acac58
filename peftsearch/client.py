"""The client: every verb of the REST API with typed results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


class Client:
    """Talks to a peftsearch server. Use it as a context manager or `close()` it.

    Without arguments it finds the server as the command line does: `PEFTSEARCH_URL`, `PEFTSEARCH_TOKEN` and the token
    file of the embedded default. `transport` takes the place of the way to the server. `on_progress` is told how far
    the server is with an answer that takes it long, and None at its end. Every method raises Unreachable when no server
    answers and Refused when it says no.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._on_progress = on_progress
        self._connection = Connection.resolve(url, token)
        self._http = httpx.Client(
            base_url=self.url, headers=self._connection.headers, timeout=TIMEOUT, transport=transport
        )

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._connection.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(self, spec: Mapping[str, Any], idempotency_key: str | None = None) -> Job:
        """Create a job from a JobSpec. Relative paths in it are relative to the server's data roots.

        Raises BadInput with every problem of the spec; nothing is stored then.
        """
        return self._send(calls.submit(spec, idempotency_key))

    def check(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """What submitting the JobSpec would say, nothing stored: `problems` by field, `splits` of its data, `cost`
        measured on trials of its model, and `memory` of a trial by the sizes of the model's parts."""
        return self._send(calls.check(spec))

    def upload(self, file: Path) -> Mapping[str, Any]:
        """Send a file of data; jobs of the token's project name it by the `path` of the answer, which also has its
        `bytes` and `sha256`. It is kept as long as a job names it, and a day before one does. Raises BadInput for a
        name that says no kind of data that jobs read, and OSError for a file that cannot be read."""
        return self._send(calls.upload(file))

    def jobs(
        self, limit: int | None = None, states: Iterable[str] = (), tags: Iterable[str] = (), text: str | None = None
    ) -> Rows[Job]:
        """Jobs, newest first, at most `limit`: those in one of `states`, with all of `tags`, with `text` in their name,
        note or id."""
        states, tags = tuple(states), tuple(tags)
        return Rows(self._pages(lambda cursor, size: calls.jobs(cursor, size, states, tags, text), limit))

    def job(self, job_id: str) -> Job:
        """One job with its progress."""
        return self._send(calls.job(job_id))

    def remark_job(self, job_id: str, tags: Iterable[str] | None = None, note: str | None = None) -> Job:
        """Say of a job that it has these tags and no others, and this note; what is None stays as it is."""
        return self._send(calls.remark_job(job_id, tags, note))

    def remark_trial(self, trial_id: str, tags: Iterable[str] | None = None, note: str | None = None) -> Trial:
        """Say of a trial that it has these tags and no others, and this note; what is None stays as it is."""
        return self._send(calls.remark_trial(trial_id, tags, note))

    def pause(self, job_id: str) -> Job:
        """Let running trials end and start no other."""
        return self._send(calls.steer(job_id, "pause"))

    def resume(self, job_id: str) -> Job:
        """Go on with a paused job."""
        return self._send(calls.steer(job_id, "resume"))

    def cancel(self, job_id: str) -> Job:
        """End a job now. What it has measured stays."""
        return self._send(calls.steer(job_id, "cancel"))

    def delete(self, job_id: str) -> None:
        """Delete a job that is over, with its trials."""
        self._send(calls.delete(job_id))

    def clone(self, job_id: str, changes: Mapping[str, Any] | None = None) -> Job:
        """Submit the job's spec again, with `changes` merged into it (null removes a field)."""
        return self._send(calls.clone(job_id, changes or {}))

    def extend(self, job_id: str, trials: int, seconds: float | None = None) -> Job:
        """Give a job `trials` more, and `seconds` more wall clock where it is limited; a finished one goes on."""
        return self._send(calls.extend(job_id, trials, seconds))

    def add_trials(self, job_id: str, trials: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
        """Add at most 1,000 trials that were measured elsewhere, each `{"config": ..., "metrics": ...}`. They are of
        origin `import`, and the budget grows by as many; those that the job has already are left out. Returns how many
        were `added` and `left_out`."""
        return self._send(calls.add_trials(job_id, trials))

    def change_space(self, job_id: str, changes: Mapping[str, Any]) -> Job:
        """Narrow, freeze or add parameters while the job runs: `changes` are merged into its `space` (RFC 7396)."""
        return self._send(calls.change_space(job_id, changes))

    def trials(
        self,
        job_id: str,
        states: Iterable[str] = (),
        sort: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        tags: Iterable[str] = (),
    ) -> Rows[Trial]:
        """The trials of a job in the given states (none given: all) with all of `tags`, by number or by a metric."""
        states, tags = tuple(states), tuple(tags)

        def page(cursor: str | None, size: int) -> Call[Page[Trial]]:
            return calls.trials(job_id, cursor, size, states, sort, descending, tags)

        return Rows(self._pages(page, limit))

    def trial(self, trial_id: str) -> Trial:
        """One trial."""
        return self._send(calls.trial(trial_id))

    def reports(self, trial_id: str) -> Rows[Report]:
        """The learning curve of a trial, oldest first."""
        return self._send(calls.reports(trial_id))

    def snippet(self, trial_id: str) -> str:
        """Python code that trains the trial's configuration again."""
        return self._send(calls.snippet(trial_id))

    def lineage(self, trial_id: str) -> Lineage:
        """Whom a trial has copied under population-based training, and how its weights came about."""
        return self._send(calls.lineage(trial_id))

    def pareto(self, job_id: str) -> Front:
        """The Pareto front of a job and its reference trials."""
        return self._send(calls.pareto(job_id))

    def best(
        self, job_id: str, maximize: str | None = None, minimize: str | None = None, where: Iterable[str] = ()
    ) -> Best:
        """The best completed trial by one metric (default: the first objective) under clauses such as
        `trainable_params<=20000`. Raises NotFound when no trial satisfies them."""
        return self._send(calls.best(job_id, maximize, minimize, where))

    def export(self, trial_id: str, folder: str | Path) -> Path:
        """Download a trial's adapter and unpack it into `folder`, which is made if needed."""
        target = Path(folder)
        with TemporaryFile() as download:
            self._download(calls.adapter_path(trial_id), download)
            target.mkdir(parents=True, exist_ok=True)
            with ZipFile(download) as archive:
                archive.extractall(target)  # drops absolute names and `..`
        return target

    def events(self, job_id: str, after: int = 0) -> Iterator[Event]:
        """What happens to a job, from the event after number `after` on, until the job is over.

        A broken connection is taken up again where it broke; Unreachable is raised when the server stays away.
        """
        waits = pauses()
        while True:
            try:
                for event in self._stream(job_id, after):
                    if event.kind == END:
                        return
                    after, waits = event.sequence, pauses()
                    yield event
                raise ended_early()
            except httpx.TransportError as error:
                self._wait(waits, error)

    def tasks(self) -> Rows[Entry]:
        """The types of task, with the fields of their section, their metrics and an example job."""
        return self._send(calls.catalogue("tasks"))

    def spaces(self) -> Rows[Entry]:
        """The ready-made search spaces."""
        return self._send(calls.catalogue("spaces"))

    def methods(self) -> Rows[Entry]:
        """The PEFT methods, their knobs and where they come from."""
        return self._send(calls.catalogue("methods"))

    def strategies(self) -> Rows[Entry]:
        """The training strategies, their knobs and the methods that they can train."""
        return self._send(calls.catalogue("strategies"))

    def importance(self, job_id: str, metric: str | None = None) -> Mapping[str, Any]:
        """How much each parameter of a job matters for a metric (default: the first objective), with intervals."""
        return self._send(calls.importance(job_id, metric))

    def expect(self, job_id: str, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """The objectives to expect of a configuration never run, and what changing each parameter would do."""
        return self._send(calls.expect(job_id, config))

    def knee(self, job_id: str) -> Mapping[str, Any]:
        """The trial of the front where giving up a little of one objective buys the most of the others."""
        return self._send(calls.knee(job_id))

    def confirmation(self, job_id: str) -> Mapping[str, Any]:
        """How the front and the references did with fresh seeds on rows that the search never saw, and how much of
        their gain is left; for jobs with `confirm` in their spec."""
        return self._send(calls.confirmation(job_id))

    def stages(self, job_id: str) -> list[Mapping[str, Any]]:
        """The seven stages of a job in their order, from its data to what was exported: `name`, `state` (`done`,
        `running`, `ahead`, `unfinished` or `not asked for`), times, and as `products` what each has brought forth."""
        return self._send(calls.stages(job_id))

    def follow_up(self, trial_id: str, how: str = "again") -> Mapping[str, Any]:
        """The JobSpec of a job that goes on from a trial, to submit or to change first: the same training with another
        seed (`again`), or a search of a space narrowed round it (`around`)."""
        return self._send(calls.follow_up(trial_id, how))

    def uses(self, trial_id: str) -> list[Mapping[str, Any]]:
        """The refine jobs that began with the trial's adapter, newest first."""
        return self._send(calls.uses(trial_id))

    def recommend(self, **question: Any) -> Mapping[str, Any]:
        """What to try first on a new task (`model`, `rows`, `max_length`, `type`, `metric`, `where`, `count`), from
        past jobs on alike tasks and models; the literature's default, with a warning, where there is none."""
        return self._send(calls.recommend(question))

    def predict(self, law: str, /, **question: Any) -> Mapping[str, Any]:
        """Ask a law that answers without training: `step-law`, `power`, `critical-batch`, `lora-lr`, `lora-params`,
        `loss-curve`. The answer has each predicted number under its name, and `units`, `intervals`, `source`,
        `standing`, `valid_for` and `warnings`. Raises BadInput naming the field that no law can answer for."""
        return self._send(calls.predict(law, question))

    def fit_mixture(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Recommend a data mixture from `rows` of `weights` and `losses` measured elsewhere (and `target`, `prior`,
        `level`, `seed`): its predicted loss, interval and the effect of each domain. Raises BadInput."""
        return self._send(calls.fit_mixture(question))

    def expect_mixtures(
        self, job_id: str, mixtures: Sequence[Mapping[str, float]], level: float = 0.9
    ) -> Mapping[str, Any]:
        """The loss of any `mixtures` (share by domain) of a mixture job's domains, each with its interval, by the
        regression on what the job's proxies measured. Raises BadInput."""
        return self._send(calls.expect_mixtures(job_id, mixtures, level))

    def courses(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """How far jobs have come: of each the best value so far of its first objective, at up to 40 finished trials
        that stand evenly among all. Jobs that are not there are left out."""
        return self._send(calls.courses(job_ids))

    def fit_law(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fit a law of learning rate and batch size to `rows` of runs (`parameters`, `tokens`, `learning_rate`,
        `batch`, `loss` and, for adapters, `rank`), and answer for a size when one is named. Raises BadInput."""
        return self._send(calls.fit_law(question))

    def store_law(self, name: str, rows: list[Mapping[str, Any]], batch_unit: str = "tokens") -> Mapping[str, Any]:
        """Fit a law to `rows` and keep it on the server as the next version under `name`. Raises BadInput."""
        return self._send(calls.store_law(name, rows, batch_unit))

    def laws(self) -> list[Mapping[str, Any]]:
        """The newest version of every law that the server keeps, the latest first."""
        return self._send(calls.laws())

    def answer(self, job_id: str) -> Mapping[str, Any]:
        """What a job of kind `law` or `mixture` has learnt. Raises NotFound until its first stage is over."""
        return self._send(calls.answer(job_id))

    def health(self, ready: bool = False) -> Mapping[str, Any]:
        """Whether the server lives or, with `ready`, whether its store answers too."""
        return self._send(calls.health(ready))

    def ask(self, job_id: str, worker_id: str, wait: float = 0) -> Mapping[str, Any] | None:
        """Claim a trial as an outside worker, waiting up to `wait` seconds for one; None when there is none.

        The same worker gets its open trial again. Raises Conflict when the job is over.
        """
        return self._send(calls.ask(job_id, worker_id, wait))

    def report(self, report: Mapping[str, Any]) -> str:
        """Tell how far a claimed trial is; answers `continue`, `pause` or `stop`. Raises Conflict when the trial was
        given to another worker meanwhile."""
        return self._send(calls.report(report))

    def tell(self, outcome: Mapping[str, Any]) -> Trial:
        """Tell how a claimed trial ended. Raises Conflict when it was given to another worker meanwhile."""
        return self._send(calls.tell(outcome))

    def create_token(
        self,
        name: str,
        scopes: Iterable[str],
        project: str | None = None,
        ttl: float | None = None,
        rate: float | None = None,
    ) -> Mapping[str, Any]:
        """Make an API token with some of the scopes `read`, `submit`, `work`, `admin`, for a project (`default`). It
        lives `ttl` seconds (None: until revoked) and may make `rate` requests a second (None: as the server is set
        up)."""
        return self._send(calls.create_token(name, scopes, project, ttl, rate))

    def tokens(self) -> list[Mapping[str, Any]]:
        """All API tokens, newest first, without their secrets."""
        return self._send(calls.tokens())

    def rotate_token(self, token_id: str, overlap: float = 0) -> Mapping[str, Any]:
        """Make a token like this one, with a new secret; this one ends `overlap` seconds from now."""
        return self._send(calls.rotate_token(token_id, overlap))

    def revoke_token(self, token_id: str) -> Mapping[str, Any]:
        """Make a token useless."""
        return self._send(calls.revoke_token(token_id))

    def audit(
        self, token_name: str | None = None, target: str | None = None, limit: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Who changed what, newest first: by all tokens or those of a name (or id), to everything or to what `target`
        (the id of a job, trial or token) is part of the path of."""
        return list(self._pages(lambda cursor, size: calls.audit(cursor, size, token_name, target), limit))

    def webhooks(self, job_id: str | None = None) -> list[Mapping[str, Any]]:
        """Webhooks, newest first, without their secrets: of a job, or all that the token may see."""
        return self._send(calls.webhooks(job_id))

    def create_webhook(
        self, url: str, events: Iterable[str] | None = None, job_id: str | None = None, project: str | None = None
    ) -> Mapping[str, Any]:
        """Tell `url` of `events` (`job.completed`, `job.failed`, `job.cancelled`, `front`; by default the ends of
        jobs), in one job or, for admins, in a project or everywhere. Its secret signs the messages and is shown this
        once."""
        return self._send(calls.create_webhook(url, events, job_id, project))

    def delete_webhook(self, webhook_id: str) -> None:
        """Tell it nothing any more."""
        self._send(calls.delete_webhook(webhook_id))

    def deliveries(self, webhook_id: str, limit: int | None = None) -> list[Mapping[str, Any]]:
        """What a webhook was or is to be told, newest first, and how that went."""
        return list(self._pages(lambda cursor, size: calls.deliveries(webhook_id, cursor, size), limit))

    def _send(self, call: Call[T]) -> T:
        waits, leave = pauses(), leave_pauses()
        while True:
            try:
                response = self._answer(call)
                if (pause := leave(response)) is None:
                    return result_of(call, response)
                time.sleep(pause)
            except httpx.TransportError as error:
                self._wait(waits if may_repeat(call, error) else iter((None,)), error)

    def _answer(self, call: Call[T]) -> httpx.Response:
        """Send a request once; of a costly answer say how far it is. Giving up closes the connection, which ends it."""
        request, on_progress = request_of(self._http, call), self._on_progress
        if not call.costly or on_progress is None:
            return self._http.send(request)
        request.headers["Accept"] = MEDIA_TYPE
        response = self._http.send(request, stream=True)
        try:
            if not response.headers.get("content-type", "").startswith(MEDIA_TYPE):
                response.read()
                return response
            for told in EventSource(response).iter_sse():
                if (answer := answer_of(told, on_progress)) is not None:
                    return answer
            raise ended_early()
        finally:
            on_progress(None)
            response.close()

    def _download(self, path: str, file: IO[bytes]) -> None:
        """Write what lies at `path` into `file`, from the start again where the connection breaks."""
        waits = pauses()
        while True:
            try:
                with self._http.stream("GET", path) as response:
                    if response.is_error:
                        response.read()
                    check(response)
                    file.truncate(0)
                    file.seek(0)
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                return
            except httpx.TransportError as error:
                self._wait(waits, error)

    def _pages(self, page: Callable[[str | None, int], Call[Page[T]]], limit: int | None) -> Iterator[T]:
        cursor, left = None, limit
        while left is None or left > 0:
            found = self._send(page(cursor, PAGE if left is None else min(PAGE, left)))
            yield from found.items
            cursor = found.next_cursor
            left = None if left is None else left - len(found.items)
            if cursor is None:
                return

    def _stream(self, job_id: str, after: int) -> Iterator[Event]:
        request = calls.events(job_id, after)
        with self._http.stream(
            "GET", request.path, params=list(request.query), headers=request.headers, timeout=STREAM_TIMEOUT
        ) as response:
            if response.is_error:
                response.read()
            check(response)
            for told in EventSource(response).iter_sse():
                if (event := event_of(told, after)) is not None:
                    yield event

    def _wait(self, waits: Iterator[float | None], error: httpx.TransportError) -> None:
        pause = next(waits)
        if pause is None:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error
        time.sleep(pause)
