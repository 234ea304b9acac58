"""The API with the dashboard behind a real port."""

from __future__ import annotations

import threading

import uvicorn

from service.api.app import create_app
from service.settings import Settings
from service.store.store import Store
from tests.patience import wait_until
from workers.artifacts import ArtifactStore


class Server:
    """The API on a port of its own; can be taken down and brought up again like a service that restarts."""

    def __init__(self, settings: Settings, store: Store, artifacts: ArtifactStore) -> None:
        self._settings, self._store, self._artifacts = settings, store, artifacts
        self.port = 0

    @property
    def url(self) -> str:
        """Address of the dashboard."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Answer on the port of before, at first on a free one."""
        app = create_app(self._settings, self._store, self._artifacts)
        config = uvicorn.Config(app, port=self.port, log_level="error", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        wait_until(lambda: self._server.started, "the server starts", every=0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stop answering; open streams are cut."""
        self._server.should_exit = True
        self._thread.join()
