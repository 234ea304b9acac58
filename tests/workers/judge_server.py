"""A judge on loopback, as an operator would run one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class JudgeServer(ThreadingHTTPServer):
    """Scores by `score`, after it has answered each of `refusals` once; keeps the requests it got.

    With a `token` it answers nobody else, and tells them what they sent. `/echo` refuses all and tells them likewise,
    `/silent` says nothing before `closing`.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusals: list[int] = []
        self.score: Callable[[list[dict[str, Any]]], Any] = lambda rows: [len(row["completion"]) / 100 for row in rows]
        self.got: list[dict[str, Any]] = []
        self.token: str | None = None
        self.authorizations: list[str | None] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return self.at("/score")

    def at(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        judge: Any = self.server
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        judge.got.append(asked)
        sent = self.headers["Authorization"]
        judge.authorizations.append(sent)
        if self.path == "/silent":
            judge.closing.wait()
        known = judge.token is None or sent == f"Bearer {judge.token}"
        status = judge.refusals.pop(0) if judge.refusals else 200
        said: dict[str, Any] = {"scores": judge.score(asked["rows"])} if status == 200 else {"why": "busy"}
        if self.path == "/echo" or not known:
            status, said = 401, {"why": f"you sent {sent}"}
        answer = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""
