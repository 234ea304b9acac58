"""Answers without a server: this installation's own service answers one request at a time, with nothing stored."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import httpx

TRY = 1.0  # seconds to wait for a sign of a server


class OfflineTransport(httpx.BaseTransport):
    """Sends requests to a short-lived process of the service in place of a server (`service.offline`)."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer. Raises httpx.ConnectError when the process ends without one."""
        message = {
            "method": request.method,
            "target": request.url.raw_path.decode(),
            "body": request.read().decode(),
        }
        done = subprocess.run(
            [sys.executable, "-P", "-m", "service.offline"],
            input=json.dumps(message),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise httpx.ConnectError(done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}")
        answer = json.loads(done.stdout)
        return httpx.Response(
            answer["status"], content=answer["body"].encode(), headers={"Content-Type": "application/json"}
        )


def can_answer() -> bool:
    """Whether the service's code is installed here."""
    return importlib.util.find_spec("service") is not None


def listens(url: str) -> bool:
    """Whether anything accepts connections at the address of `url`."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=TRY):
            return True
    except OSError:
        return False
