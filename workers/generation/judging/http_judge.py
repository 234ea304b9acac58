"""Asks a service for scores: some rows a request, again while it does not answer, each answer kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from workers.errors import InvalidInput
from workers.generation.judging.rows import JudgedRow, JudgeFailed, as_json, checked_scores
from workers.generation.judging.section import HttpJudge
from workers.outbound.addresses import Allowed
from workers.outbound.posting import posted

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries: each pause is twice the one before."""
LONGEST_ANSWER = 4 << 20  # bytes
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "peftsearch"}


class _NotNow(Exception):
    """The judge may answer later; the message says why it did not."""


@dataclass(frozen=True)
class Waiting:
    """How a judge is waited for. `give_up` says whether whoever waits has to leave."""

    give_up: Callable[[], bool] = lambda: False
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Way:
    """How a judge is reached: where it may be, and the token that its operator wants, which no message tells."""

    allowed: Allowed
    token: str | None = None

    def headers(self) -> dict[str, str]:
        """Of a request."""
        return _HEADERS | ({} if self.token is None else {"Authorization": f"Bearer {self.token}"})

    def without_token(self, answer: bytes) -> bytes:
        """What a judge said, should it say our own token, too."""
        return answer if self.token is None else answer.replace(self.token.encode(), b"***")


def ask_service(judge: HttpJudge, rows: Sequence[JudgedRow], way: Way, waiting: Waiting) -> list[float]:
    """A score for each row. Rows that are scored are not sent again, whatever becomes of others.

    Raises `JudgeFailed` for an address that is not allowed, an answer that is none, and silence beyond its patience.
    """
    found: list[float] = []
    while len(found) < len(rows):
        some = rows[len(found) : len(found) + judge.rows_at_once]
        body = json.dumps({"metric": judge.name, "rows": as_json(some)}, ensure_ascii=False).encode()
        found += checked_scores(_persist(judge, body, way, waiting), len(some), judge)
    return found


def _persist(judge: HttpJudge, body: bytes, way: Way, waiting: Waiting) -> object:
    """The scores in the answer to one request, asked for until its patience is over."""
    deadline, pause, tries = waiting.clock() + judge.patience, FIRST_PAUSE, 0
    while True:
        tries += 1
        try:
            return _once(judge, body, way, waiting.clock)
        except _NotNow as error:
            late = waiting.clock() + pause > deadline
            if late or waiting.give_up():
                told = (
                    f"{tries} times in {judge.patience:g} s" if late else f"{tries} times until its worker had to leave"
                )
                raise JudgeFailed(f"{judge.name}: {judge.url} was asked {told}; at last {error}") from None
        waiting.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _once(judge: HttpJudge, body: bytes, way: Way, clock: Callable[[], float]) -> object:
    until, answer = clock() + judge.timeout, b""
    try:
        with posted(way.allowed, judge.url, way.headers(), body, judge.timeout) as response:
            for part in response.iter_bytes():
                answer += part
                if len(answer) > LONGEST_ANSWER:
                    raise JudgeFailed(f"{judge.name}: {judge.url} answered more than {LONGEST_ANSWER} bytes")
                if clock() > until:
                    raise _NotNow(f"it was not done with its answer after {judge.timeout:g} s")
            status = response.status_code
    except InvalidInput as refused:
        raise JudgeFailed(f"{judge.name}: {refused}") from None
    except (OSError, httpx.HTTPError, ValueError) as error:
        raise _NotNow(f"{type(error).__name__}: {error}") from None
    answer = way.without_token(answer)
    if status in _AGAIN:
        raise _NotNow(f"it answered {status}")
    if not 200 <= status < 300:
        raise JudgeFailed(f"{judge.name}: {judge.url} answered {status}: {answer[:300].decode(errors='replace')}")
    try:
        told = json.loads(answer)
    except ValueError:
        told = None
    if not isinstance(told, dict) or "scores" not in told:
        shown = answer[:200].decode(errors="replace")
        raise JudgeFailed(f'{judge.name}: {judge.url} answered {shown!r}; allowed: {{"scores": [numbers]}}')
    return told["scores"]
