"""Where the server is and how requests to it are made, repeated and refused; shared by both clients."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from peftsearch.calls import Call
from peftsearch.errors import refusal

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8765"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
PAGE = 500
"""Items asked for at a time when a list is read."""

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
STREAM_TIMEOUT = httpx.Timeout(45.0, connect=5.0)  # three missed heartbeats of 15 s
TOO_MANY, TIMES_REFUSED, LONGEST_REFUSAL = 429, 20, 30.0
"""The status of who asks too often, how often it is taken before giving up, and the seconds that are waited at most."""

PAUSES = (0.1, 0.3, 1.0)
"""Seconds to wait before each repetition of a request whose connection broke. Reading changes nothing, creating
carries an Idempotency-Key, steering is idempotent and what a worker tells is fenced by its attempt."""


def home() -> Path:
    """The folder of the embedded default: `PEFTSEARCH_HOME` or `~/.peftsearch`."""
    return Path(os.environ.get("PEFTSEARCH_HOME") or "~/.peftsearch").expanduser()


@dataclass(frozen=True)
class Connection:
    """Address of a server and the token to show it."""

    url: str
    token: str | None

    @classmethod
    def resolve(cls, url: str | None = None, token: str | None = None) -> Connection:
        """Fill in what is not given: `PEFTSEARCH_URL`, `PEFTSEARCH_TOKEN`, then the file `token` in the home folder.

        The file holds this machine's admin token, so it is only ever sent to a loopback address.
        """
        url = (url or os.environ.get("PEFTSEARCH_URL") or DEFAULT_URL).rstrip("/")
        token = token or os.environ.get("PEFTSEARCH_TOKEN")
        if token is None and urlsplit(url).hostname in LOOPBACK:
            file = home() / "token"
            token = file.read_text().strip() if file.is_file() else None
        return cls(url, token)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def request_of(client: httpx.Client | httpx.AsyncClient, call: Call[T]) -> httpx.Request:
    """The HTTP request of a call."""
    timeout = httpx.USE_CLIENT_DEFAULT if call.timeout is None else call.timeout
    return client.build_request(
        call.method,
        call.path,
        params=list(call.query),
        json=call.body,
        content=_content(call, client),
        headers=call.headers,
        timeout=timeout,
    )


def _content(call: Call[T], client: httpx.Client | httpx.AsyncClient) -> Iterator[bytes] | AsyncIterator[bytes] | None:
    if call.file is None:
        return None
    return call.file.pieces() if isinstance(client, httpx.Client) else call.file.pieces_for_asyncio()


def result_of(call: Call[T], response: httpx.Response) -> T:
    """Read a whole answer. Raises Refused."""
    check(response)
    return call.read(response.json() if response.content else None)


def check(response: httpx.Response) -> None:
    """Raise the Refused that an answer with a status of 400 or more stands for. Its body must have been read."""
    if response.status_code < 400:
        return
    try:
        body = response.json()
    except ValueError:
        body = {"detail": response.text[:500]}
    raise refusal(response.status_code, body if isinstance(body, Mapping) else {"detail": str(body)})


def leave_pauses() -> Callable[[httpx.Response], float | None]:
    """For one request: the seconds to wait before it is sent again because its token asks more often than it may (it
    was not carried out); None for every other answer, and when it has been sent often enough."""
    left = iter(range(TIMES_REFUSED))

    def pause(response: httpx.Response) -> float | None:
        if response.status_code != TOO_MANY or next(left, None) is None:
            return None
        told = response.headers.get("retry-after", "")
        return min(float(told), LONGEST_REFUSAL) if told.isdecimal() else 1.0

    return pause


def may_repeat(call: Call[T], error: httpx.TransportError) -> bool:
    """Whether a request may be sent again: always when it cannot have arrived, else when twice is as good as once."""
    return call.repeatable or isinstance(error, httpx.ConnectError)


def pauses() -> Iterator[float | None]:
    """The pause before each repetition; None when no repetition is left."""
    yield from PAUSES
    yield None
