"""A PostgreSQL server from the wheel `pgserver` that can be crashed and comes back."""

from __future__ import annotations

import random
import subprocess
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

TRIES = 10


class Postgres:
    """One server with one database, in a folder of its own."""

    def __init__(self, folder: Path, fsync: bool = False) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        self._server: Any = _started(folder)
        self._server.psql("CREATE DATABASE chaos;")
        # Where processes die, and nobody cuts the power, nothing needs it; where speed is measured, it belongs to it.
        self._server.psql(f"ALTER SYSTEM SET fsync = {'on' if fsync else 'off'};")
        self._server.psql("SELECT pg_reload_conf();")
        self.url = str(self._server.get_uri()).replace("/postgres?", "/chaos?")

    def another(self, name: str) -> str:
        """URL of another, empty database on the server."""
        self._server.psql(f"CREATE DATABASE {name};")
        return self.url.replace("/chaos?", f"/{name}?")

    @property
    def _postmaster(self) -> psutil.Process:
        return psutil.Process(self._server.get_pid())

    def kill_backend(self, rng: random.Random) -> bool:
        """`kill -9` one of the processes that serve connections."""
        with suppress(psutil.NoSuchProcess):
            backends = [one for one in self._postmaster.children() if "chaos" in " ".join(one.cmdline())]
            if backends:
                rng.choice(backends).kill()
                return True
        return False

    def crash(self) -> None:
        """`kill -9` the server and start it again."""
        with suppress(psutil.NoSuchProcess):
            family = [self._postmaster, *self._postmaster.children()]
            family[0].kill()
            psutil.wait_procs(family, timeout=10)
        self.ensure()

    def ensure(self) -> None:
        """Wait until it runs; it may take a moment to notice that what it was has gone."""
        for left in range(TRIES, 0, -1):
            try:
                self._server.ensure_postgres_running()
                return
            except (subprocess.SubprocessError, OSError, AssertionError, psutil.Error):
                if left == 1:
                    raise
                time.sleep(0.5)

    def close(self) -> None:
        """Stop it."""
        with suppress(subprocess.SubprocessError, OSError):
            self._server.cleanup()


def _started(folder: Path) -> Any:
    import pgserver

    for left in range(TRIES, 0, -1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
                return pgserver.get_server(folder, cleanup_mode="stop")  # type: ignore[attr-defined]
        except (subprocess.SubprocessError, OSError):  # it gets ten seconds, which a busy machine may need twice
            if left == 1:
                raise
    return None
