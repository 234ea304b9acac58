"""`python -m service.serve` as a user runs it: a group of processes of its own that a test can kill as a whole."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from peftsearch import Client
from peftsearch.errors import PeftsearchError
from peftsearch.results import Job
from tests.patience import PATIENCE_S, wait_until


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Serving:
    """A running service."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def client(self) -> Client:
        """A client without a token."""
        return Client(self.url, "")

    def family(self) -> list[psutil.Process]:
        """The process and all that it has started, Ray's included."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def kill(self) -> None:
        """`kill -9` everything at once: first all are frozen, so that none can clean up after another."""
        family = self.family()
        for sent in (signal.SIGSTOP, signal.SIGKILL):
            for process in family:
                try:
                    process.send_signal(sent)
                except psutil.NoSuchProcess:
                    continue
        psutil.wait_procs(family, timeout=PATIENCE_S)
        self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Ctrl-C, as a terminal sends it: to the whole group. The exit status."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE_S)


@contextmanager
def serving(home: Path, *flags: str, environment: dict[str, str] | None = None) -> Iterator[Serving]:
    """Run the service on `home` until the end of the block, ready to answer at its beginning."""
    port = free_port()
    home.mkdir(parents=True, exist_ok=True)
    log = home / "serve.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.serve", f"--home={home}", f"--port={port}", "--no-auth", *flags],
            stdout=output,
            stderr=output,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            start_new_session=True,
            umask=0o022,  # as users have it, whatever this process runs under: what is private must be made so
        )
    running = Serving(process, f"http://127.0.0.1:{port}", log)
    try:
        _await_ready(running)
        yield running
    finally:
        if process.poll() is None:
            try:
                running.stop()
            except subprocess.TimeoutExpired:
                running.kill()
                raise


def _await_ready(running: Serving) -> None:
    def goes_on() -> None:
        assert running.process.poll() is None, f"the service ended:\n{running.log.read_text()}"

    with running.client() as client:
        wait_until(lambda: answers(client), lambda: f"it is ready:\n{running.log.read_text()}", meanwhile=goes_on)


def answers(client: Client) -> bool:
    """Whether the service does, with all that it needs."""
    try:
        return bool(client.health(ready=True)["status"] == "ready")
    except PeftsearchError:
        return False


def job_when(client: Client, job_id: str, holds: Callable[[Job], bool] = lambda job: job.over) -> Job:
    """The job as soon as this holds of it, or as it has ended."""

    def there() -> Job | None:
        job = client.job(job_id)
        if holds(job):
            return job
        assert not job.over, f"it ended before: {job}"
        return None

    return wait_until(there, lambda: f"the job gets there: {client.job(job_id)}")
