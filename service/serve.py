"""`python -m service.serve`: the whole service on its embedded defaults, or one of its two halves.

The API answers in this process; the conductor runs as a supervised child, so that neither a GP fit nor Ray can block a
request. With `--only api` or `--only conductor` each is a service of its own, on as many machines as you like.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Sequence

import uvicorn

from service.admin_token import admin_token
from service.api.app import create_app
from service.api.dependencies import Surroundings
from service.errors import ServiceError
from service.processes.home import HomeInUseError, HomeLock, keep_private
from service.processes.lifeline import spawn
from service.processes.logs import log_to_stderr
from service.processes.supervisor import Supervisor
from service.redaction import redacted
from service.settings import Settings, SettingsError
from service.store.store import open_store
from workers import tracing
from workers.artifacts import ArtifactStore

GRACE = 3  # seconds for open requests when the service stops
BACKLOG = 2048
SWITCH = 0.001  # seconds that a thread may keep the interpreter from the event loop, five times less than by default


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal. Exit status: 0 stopped, 1 could not run, 2 a setting cannot be used."""
    flags = _parser().parse_args(arguments)
    try:
        settings = Settings.read({name: value for name, value in vars(flags).items() if name != "only"})
    except SettingsError as error:
        print(f"serve: {redacted(str(error))}", file=sys.stderr)
        return 2
    log_to_stderr(flags.only or "api", settings.log)
    tracing.begin(flags.only or "api")
    keep_private(settings.home)
    try:
        if flags.only == "conductor":
            from service.conductor.__main__ import conduct

            conduct(settings)
        else:
            serve(settings, with_conductor=flags.only is None)
    except (HomeInUseError, ServiceError, OSError) as error:
        print(f"serve: {redacted(str(error))}", file=sys.stderr)
        return 1
    return 0


def serve(settings: Settings, with_conductor: bool) -> None:
    """Answer requests until SIGINT or SIGTERM, with or without a conductor beside it.

    Raises HomeInUseError when another one serves this home, OSError when the address is taken.
    """
    sys.setswitchinterval(SWITCH)
    lock = HomeLock(settings.home, "api")
    lock.acquire()
    listener = _listen(settings)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    lock.describe(f"peftsearch serve (process {os.getpid()}, {settings.url})")
    store = open_store(settings.database)
    token = admin_token(settings, store)
    conductor = Supervisor("conductor", lambda: spawn(["service.conductor"], settings.as_environment()))
    app = create_app(settings, store, ArtifactStore(settings.artifacts))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE)
    told = f"peftsearch is at {settings.url}/" + _credential(settings, token)
    server = _Server(config, app.state.surroundings, told)
    # Until uvicorn listens to signals, and at its end, when it raises the one that stopped it once more: by default
    # that would cut our clean-up short.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: server.stop())
    if with_conductor:
        conductor.start()
    try:
        server.run(sockets=[listener])
    finally:
        conductor.stop()
        store.close()
        lock.release()


def _credential(settings: Settings, token: str) -> str:
    """What opens the address, where only whoever started the service reads it: logs are kept and passed on."""
    if settings.no_auth:
        return ""
    return f"?token={token}" if sys.stdout.isatty() else f"\nthe token is in {settings.token_file}"


class _Server(uvicorn.Server):
    """Says where it is once it answers, and has a process ready for the first costly answer; at its end, closes the
    event streams and gives up what is computed before it waits for open requests: they might never end by themselves.
    """

    def __init__(self, config: uvicorn.Config, surroundings: Surroundings, told: str) -> None:
        super().__init__(config)
        self._surroundings, self._told = surroundings, told

    def stop(self) -> None:
        """End as soon as it has begun."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, say so, then warm up."""
        await super().startup(sockets)
        print(self._told, flush=True)
        await self._surroundings.pool.warm()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the streams and the computations, then stop as uvicorn does."""
        self._surroundings.feed.close()
        await self._surroundings.pool.close()
        await self._surroundings.models.close()
        await super().shutdown(sockets)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="peftsearch serve", description=__doc__)
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8765; 0 picks a free one)")
    parser.add_argument("--home", help="folder of all state (~/.peftsearch)")
    parser.add_argument("--database", help="SQLAlchemy URL (SQLite in the home)")
    parser.add_argument("--ray", help="address of a Ray cluster (a local one is started)")
    parser.add_argument(
        "--data-root", dest="data_roots", action="append", help="folder job files may read (repeatable)"
    )
    parser.add_argument("--programs", action="append", help="folder whose code jobs may run (repeatable; none)")
    parser.add_argument("--artifacts", help="folder or fsspec URL of adapters (in the home)")
    parser.add_argument("--hub", help="owners on the hub that jobs may use: any, off, or names with commas (any)")
    parser.add_argument("--rate-limit", type=float, help="requests a second of a token (200); 0: no limit")
    parser.add_argument("--log", choices=["text", "json"], help="form of the log (text)")
    parser.add_argument("--webhooks", help="where webhooks may point to: off, any, or names and networks (off)")
    parser.add_argument("--judges", help="where judges of answers may be: off, any, or names and networks (off)")
    parser.add_argument("--no-auth", action="store_true", default=None, help="answer without tokens, loopback only")
    parser.add_argument("--only", choices=["api", "conductor"], help="run one half of the service")
    return parser


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything else starts: a taken port must not leave half a service behind."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's delay on: 40 ms for every answer but a connection's first.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    return listener


if __name__ == "__main__":
    sys.exit(main())
