"""Answers requests that no route could make sense of: malformed hosts, endless paths, names that nothing can have."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problem_details import MEDIA_TYPE, problem
from service.errors import BadInput

LONGEST_PATH, LONGEST_QUERY = 2_000, 16_000
"""Characters. The longest path names a law of 200 characters, percent-encoded."""

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_PORT = re.compile(r"\d{1,5}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Authority:
    """A host and its port, as `Host` and `Origin` name them."""

    host: str
    port: str

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Read `name`, `name:port`, `1.2.3.4:port` or `[::1]:port`; None for anything else, however alike."""
        bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(.*))?", text)
        host, port = bracketed.groups() if bracketed else (text.partition(":")[0], text.partition(":")[2] or None)
        if port is not None and not (_PORT.fullmatch(port) and int(port) < 65536):
            return None
        if bracketed:
            try:
                ipaddress.IPv6Address(host)
            except ValueError:
                return None
        elif not _NAME.fullmatch(host):
            return None
        return cls(host.lower(), port or "")

    @classmethod
    def of_origin(cls, origin: str) -> Self | None:
        """The authority of an `Origin`; None for `null` and for what is none."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return None
        return cls.of(parts.netloc) if parts.scheme in {"http", "https"} else None


class RequestGuard:
    """ASGI middleware in front of everything that reads paths, queries and hosts."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or say what is wrong with it."""
        refusal = _refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)


def _refusal(scope: Scope) -> JSONResponse | None:
    path, query = scope["path"], scope["query_string"]
    if len(scope.get("raw_path") or path) > LONGEST_PATH or len(query) > LONGEST_QUERY:
        told = f"a path may have at most {LONGEST_PATH} characters, a query {LONGEST_QUERY}"
        return _plain(414, "uri-too-long", "The address is too long", told)
    hosts = Headers(scope=scope).getlist("host")
    if len(hosts) > 1 or any(Authority.of(host) is None for host in hosts):
        return _plain(400, "malformed-host", "The Host header is malformed", f"no host and port: {', '.join(hosts)!r}")
    if _UNSTORABLE.search(path):
        return problem(BadInput("(path)", repr(path), "a path without NUL"))
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if _UNSTORABLE.search(name + value):
            return problem(BadInput(_UNSTORABLE.sub("\ufffd", name), repr(value), "text without NUL"))
    return None


def _plain(status: int, kind: str, title: str, detail: str) -> JSONResponse:
    body = {"type": f"urn:peftsearch:problem:{kind}", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type=MEDIA_TYPE)
