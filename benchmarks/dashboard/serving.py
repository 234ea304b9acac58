"""The API with the dashboard behind a port of its own, in a process of its own as `peftsearch serve` runs it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

_SERVE = """
import sys
import uvicorn
from pathlib import Path
from service.api.app import create_app
from service.settings import Settings
from service.store.store import open_store
from workers.artifacts import ArtifactStore
url, home, port = sys.argv[1:]
settings = Settings.read({"home": Path(home), "no_auth": True}, {})
uvicorn.run(create_app(settings, open_store(url), ArtifactStore(settings.artifacts)), port=int(port), log_level="error")
"""


@contextmanager
def served(database: str, home: Path) -> Iterator[str]:
    """The address of a service on the database at a URL."""
    port = _free_port()
    command = [sys.executable, "-c", _SERVE, database, str(home), str(port)]
    process = subprocess.Popen(command)
    url = f"http://127.0.0.1:{port}/"
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}v1/healthz", timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("the service did not start")
