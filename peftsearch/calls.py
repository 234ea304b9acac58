"""Every request of the API as a value: what to send and how to read the answer. Both clients send the same calls."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from peftsearch.results import Best, Entry, Front, Job, Lineage, Report, Rows, Trial
from peftsearch.sent_file import SentFile

T = TypeVar("T")
FITTING_TIMEOUT = 300.0
"""Seconds that a costly answer is waited for: more than the server gives it, others' turn before it included."""
SENDING_TIMEOUT = 300.0
"""Seconds that a server may take to store a piece of a file on a slow disk, and to look at the whole."""
Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. `read` turns the JSON of the answer (None when it has no body) into the result."""

    method: str
    path: str
    read: Callable[[Any], T]
    query: Query = ()
    body: Mapping[str, Any] | None = None
    file: SentFile | None = None  # the body, where that is no JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None  # seconds to wait for the answer where it takes long to make
    repeatable: bool = True  # sending it twice does no more than sending it once
    costly: bool = False  # the server says how far it is, where it is asked to


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list; `next_cursor` is None at its end."""

    items: tuple[T, ...]
    next_cursor: str | None


def _page_of(read: Callable[[Any], T]) -> Callable[[Any], Page[T]]:
    return lambda data: Page(tuple(map(read, data["items"])), data["next_cursor"])


def _query(**values: object) -> Query:
    given = {name: value for name, value in values.items() if value is not None}
    return tuple((name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in given.items())


def _each(name: str, values: Iterable[str]) -> Query:
    return tuple((name, value) for value in values)


def _costly(
    method: str, path: str, read: Callable[[Any], T], query: Query = (), body: Mapping[str, Any] | None = None
) -> Call[T]:
    """A request whose answer the server fits to trials or tables."""
    return Call(method, path, read, query, body, timeout=FITTING_TIMEOUT, costly=True)


def _once() -> dict[str, str]:
    """A fresh Idempotency-Key: the client may then repeat the request when the connection breaks."""
    return {"Idempotency-Key": uuid.uuid4().hex}


def submit(spec: Mapping[str, Any], idempotency_key: str | None = None) -> Call[Job]:
    """Create a job."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else _once()
    return Call("POST", "/v1/jobs", Job.from_json, body=spec, headers=headers)


def check(spec: Mapping[str, Any]) -> Call[Mapping[str, Any]]:
    """What submitting a job would say."""
    return Call("POST", "/v1/checks", dict, body=spec)


def upload(file: Path) -> Call[Mapping[str, Any]]:
    """Send a file of data. The server keeps equal content once, so sending it again changes nothing."""
    headers = {"Content-Type": "application/octet-stream"}
    sent, query = SentFile(file), _query(name=file.name)
    return Call("POST", "/v1/uploads", dict, query, file=sent, headers=headers, timeout=SENDING_TIMEOUT)


def jobs(
    cursor: str | None, limit: int, states: Iterable[str] = (), tags: Iterable[str] = (), text: str | None = None
) -> Call[Page[Job]]:
    """One page of the jobs in one of `states`, with all of `tags`, with `text` in their name, note or id."""
    query = _query(cursor=cursor, limit=limit, text=text) + _each("state", states) + _each("tag", tags)
    return Call("GET", "/v1/jobs", _page_of(Job.from_json), query)


def job(job_id: str) -> Call[Job]:
    """One job."""
    return Call("GET", f"/v1/jobs/{job_id}", Job.from_json)


def remark_job(job_id: str, tags: Iterable[str] | None, note: str | None) -> Call[Job]:
    """Change what is said of a job."""
    return Call("PATCH", f"/v1/jobs/{job_id}", Job.from_json, body=_said(tags, note))


def remark_trial(trial_id: str, tags: Iterable[str] | None, note: str | None) -> Call[Trial]:
    """Change what is said of a trial."""
    return Call("PATCH", f"/v1/trials/{trial_id}", Trial.from_json, body=_said(tags, note))


def _said(tags: Iterable[str] | None, note: str | None) -> dict[str, Any]:
    return ({} if tags is None else {"tags": list(tags)}) | ({} if note is None else {"note": note})


def steer(job_id: str, verb: str) -> Call[Job]:
    """`pause`, `resume` or `cancel` a job."""
    return Call("POST", f"/v1/jobs/{job_id}/{verb}", Job.from_json)


def clone(job_id: str, changes: Mapping[str, Any]) -> Call[Job]:
    """Submit a job's spec again with `changes` merged into it (RFC 7396)."""
    return Call("POST", f"/v1/jobs/{job_id}/clone", Job.from_json, body=changes, headers=_once())


def extend(job_id: str, trials: int, seconds: float | None) -> Call[Job]:
    """Give a job more trials, and more wall clock when it has a limit."""
    body = {"trials": trials} | ({} if seconds is None else {"wall_clock": seconds})
    return Call("POST", f"/v1/jobs/{job_id}/extend", Job.from_json, body=body, repeatable=False)


def add_trials(job_id: str, trials: Sequence[Mapping[str, Any]]) -> Call[Mapping[str, int]]:
    """Add trials that were measured elsewhere."""
    return Call("POST", f"/v1/jobs/{job_id}/trials", dict, body={"trials": list(trials)})


def change_space(job_id: str, changes: Mapping[str, Any]) -> Call[Job]:
    """Merge `changes` into the space of a job that is not over (RFC 7396)."""
    return Call("PATCH", f"/v1/jobs/{job_id}/space", Job.from_json, body=changes)


def delete(job_id: str) -> Call[None]:
    """Delete a job with its trials."""
    return Call("DELETE", f"/v1/jobs/{job_id}", lambda _: None)


def trials(
    job_id: str,
    cursor: str | None,
    limit: int,
    states: Iterable[str],
    sort: str | None,
    descending: bool,
    tags: Iterable[str] = (),
) -> Call[Page[Trial]]:
    """One page of a job's trials; `sort` is `number` or a metric."""
    query = _query(cursor=cursor, limit=limit, sort=sort, descending=descending or None)
    query += _each("state", states) + _each("tag", tags)
    return Call("GET", f"/v1/jobs/{job_id}/trials", _page_of(Trial.from_json), query)


def trial(trial_id: str) -> Call[Trial]:
    """One trial."""
    return Call("GET", f"/v1/trials/{trial_id}", Trial.from_json)


def reports(trial_id: str) -> Call[Rows[Report]]:
    """The learning curve of a trial."""
    return Call("GET", f"/v1/trials/{trial_id}/reports", lambda data: Rows(map(Report.from_json, data["items"])))


def snippet(trial_id: str) -> Call[str]:
    """Python code that trains a trial's configuration again."""
    return Call("GET", f"/v1/trials/{trial_id}/snippet", lambda data: str(data["snippet"]))


def lineage(trial_id: str) -> Call[Lineage]:
    """Whom a trial has copied, and how its weights came about."""
    return Call("GET", f"/v1/trials/{trial_id}/lineage", Lineage.from_json)


def pareto(job_id: str) -> Call[Front]:
    """The Pareto front of a job."""
    return Call("GET", f"/v1/jobs/{job_id}/pareto", Front.from_json)


def best(job_id: str, maximize: str | None, minimize: str | None, where: Iterable[str]) -> Call[Best]:
    """The best trial by one metric among those that satisfy every `where` clause."""
    query = _query(maximize=maximize, minimize=minimize, headroom=True)
    query += _each("where", where)
    return _costly("GET", f"/v1/jobs/{job_id}/best", Best.from_json, query)


def adapter_path(trial_id: str) -> str:
    """Where a trial's adapter is downloaded from (a zip)."""
    return f"/v1/trials/{trial_id}/adapter"


def events(job_id: str, after: int) -> Call[None]:
    """The stream of a job's events after number `after`, ended by the server once the job is over."""
    headers = {"Last-Event-ID": str(after)}
    return Call("GET", f"/v1/jobs/{job_id}/events", lambda _: None, _query(until_over=True), headers=headers)


def catalogue(noun: str) -> Call[Rows[Entry]]:
    """`tasks`, `spaces`, `methods` or `strategies`: what a job can be about, and what can be searched."""
    return Call("GET", f"/v1/{noun}", lambda data: Rows(map(Entry.from_json, data["items"])))


def importance(job_id: str, metric: str | None) -> Call[Mapping[str, Any]]:
    """How much each parameter of a job matters."""
    return _costly("GET", f"/v1/jobs/{job_id}/importance", dict, _query(metric=metric))


def expect(job_id: str, config: Mapping[str, Any]) -> Call[Mapping[str, Any]]:
    """What a configuration never run would reach."""
    return _costly("POST", f"/v1/jobs/{job_id}/expect", dict, body={"config": config})


def knee(job_id: str) -> Call[Mapping[str, Any]]:
    """The knee of a job's front."""
    return Call("GET", f"/v1/jobs/{job_id}/knee", dict)


def confirmation(job_id: str) -> Call[Mapping[str, Any]]:
    """What is left of a search's promises on rows that it never saw."""
    return _costly("GET", f"/v1/jobs/{job_id}/confirmation", dict)


def stages(job_id: str) -> Call[list[Mapping[str, Any]]]:
    """The seven stages of a job."""
    return Call("GET", f"/v1/jobs/{job_id}/stages", lambda data: list(data["items"]))


def follow_up(trial_id: str, how: str) -> Call[Mapping[str, Any]]:
    """The spec of a job that goes on from a trial."""
    return Call("GET", f"/v1/trials/{trial_id}/follow-up", lambda data: dict(data["spec"]), _query(how=how))


def uses(trial_id: str) -> Call[list[Mapping[str, Any]]]:
    """The refine jobs that began with a trial's adapter."""
    return Call("GET", f"/v1/trials/{trial_id}/uses", lambda data: list(data["items"]))


def recommend(question: Mapping[str, Any]) -> Call[Mapping[str, Any]]:
    """Configurations for a new task from past jobs."""
    body = {name: value for name, value in question.items() if value is not None}
    return _costly("POST", "/v1/recommend", dict, body=body)


def predict(law: str, question: Mapping[str, Any]) -> Call[Mapping[str, Any]]:
    """Ask a law; fields that are None are left to the server's defaults."""
    body = {name: value for name, value in question.items() if value is not None}
    return Call("POST", f"/v1/predict/{law}", dict, body=body)


def fit_mixture(question: Mapping[str, Any]) -> Call[Mapping[str, Any]]:
    """Recommend a data mixture from measured losses."""
    return _costly("POST", "/v1/mixtures/fit", dict, body=question)


def expect_mixtures(job_id: str, mixtures: Sequence[Mapping[str, float]], level: float) -> Call[Mapping[str, Any]]:
    """The losses to expect of mixtures of a job's domains."""
    body = {"mixtures": list(mixtures), "level": level}
    return _costly("POST", f"/v1/jobs/{job_id}/mixtures/expect", dict, body=body)


def courses(job_ids: Sequence[str]) -> Call[list[Mapping[str, Any]]]:
    """How far jobs have come."""
    return Call("GET", "/v1/courses", lambda data: list(data["items"]), _each("job", job_ids))


def fit_law(question: Mapping[str, Any]) -> Call[Mapping[str, Any]]:
    """Fit a learning-rate and batch law to a table of runs."""
    return _costly("POST", "/v1/predict/fit-law", dict, body=question)


def store_law(name: str, rows: list[Mapping[str, Any]], batch_unit: str) -> Call[Mapping[str, Any]]:
    """Fit a law and keep it under a name, as its next version."""
    body = {"name": name, "rows": rows, "batch_unit": batch_unit}
    return Call("POST", "/v1/laws", dict, body=body, timeout=FITTING_TIMEOUT, repeatable=False)


def laws() -> Call[list[Mapping[str, Any]]]:
    """The newest version of every stored law."""
    return Call("GET", "/v1/laws", lambda data: list(data["items"]))


def answer(job_id: str) -> Call[Mapping[str, Any]]:
    """What a law or mixture job has learnt."""
    return Call("GET", f"/v1/jobs/{job_id}/answer", dict)


def health(ready: bool) -> Call[Mapping[str, Any]]:
    """Whether the server lives or, with `ready`, whether everything behind it answers."""
    return Call("GET", "/v1/readyz" if ready else "/v1/healthz", dict)


def ask(job_id: str, worker_id: str, wait: float) -> Call[Mapping[str, Any] | None]:
    """Claim a trial as an outside worker; None when there is nothing to do now."""
    body = {"worker_id": worker_id, "wait": wait}
    return Call("POST", f"/v1/jobs/{job_id}/ask", lambda data: data, body=body)


def report(report: Mapping[str, Any]) -> Call[str]:
    """Tell how far a claimed trial is; the answer is `continue`, `pause` or `stop`."""
    return Call("POST", f"/v1/trials/{report['trial_id']}/report", lambda data: str(data["decision"]), body=report)


def tell(outcome: Mapping[str, Any]) -> Call[Trial]:
    """Tell how a claimed trial ended."""
    return Call("POST", f"/v1/trials/{outcome['trial_id']}/tell", Trial.from_json, body=outcome)


def create_token(
    name: str, scopes: Iterable[str], project: str | None, ttl: float | None, rate: float | None
) -> Call[Mapping[str, Any]]:
    """Make an API token; its secret is in the answer and nowhere else."""
    body = {"name": name, "scopes": list(scopes), "ttl": ttl, "rate": rate}
    return Call("POST", "/v1/tokens", dict, body=body | ({} if project is None else {"project": project}))


def tokens() -> Call[list[Mapping[str, Any]]]:
    """All API tokens."""
    return Call("GET", "/v1/tokens", lambda data: list(data["items"]))


def rotate_token(token_id: str, overlap: float) -> Call[Mapping[str, Any]]:
    """Make a token like this one, which ends `overlap` seconds from now."""
    return Call("POST", f"/v1/tokens/{token_id}/rotate", dict, body={"overlap": overlap}, repeatable=False)


def revoke_token(token_id: str) -> Call[Mapping[str, Any]]:
    """Make a token useless."""
    return Call("DELETE", f"/v1/tokens/{token_id}", dict)


def audit(cursor: str | None, limit: int, token_name: str | None, target: str | None) -> Call[Page[Mapping[str, Any]]]:
    """One page of who did what, newest first."""
    query = _query(cursor=cursor, limit=limit, token_name=token_name, target=target)
    return Call("GET", "/v1/audit", _page_of(dict), query)


def webhooks(job_id: str | None) -> Call[list[Mapping[str, Any]]]:
    """Webhooks, of a job or all that one may see."""
    return Call("GET", "/v1/webhooks", lambda data: list(data["items"]), _query(job_id=job_id))


def create_webhook(
    url: str, events: Iterable[str] | None, job_id: str | None, project: str | None
) -> Call[Mapping[str, Any]]:
    """Tell an address of events; the secret that signs is in the answer and nowhere else."""
    body = {"url": url, "job_id": job_id, "project": project}
    chosen = {} if events is None else {"events": list(events)}
    return Call("POST", "/v1/webhooks", dict, body=body | chosen, repeatable=False)


def delete_webhook(webhook_id: str) -> Call[None]:
    """Tell it nothing any more."""
    return Call("DELETE", f"/v1/webhooks/{webhook_id}", lambda _: None)


def deliveries(webhook_id: str, cursor: str | None, limit: int) -> Call[Page[Mapping[str, Any]]]:
    """One page of what a webhook was told, newest first."""
    return Call("GET", f"/v1/webhooks/{webhook_id}/deliveries", _page_of(dict), _query(cursor=cursor, limit=limit))
