"""Processes that are killed and started again, as a supervisor of the machine would do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


RESTART = 0.3
"""Seconds between two looks for processes that have ended."""


@dataclass
class Child:
    """One process of the scene, in a session of its own; `start` begins a new one under the same name."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> Child:
        """Begin."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment},
                start_new_session=True,
            )
        return self

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def finished(self) -> bool:
        """Whether it has ended by itself and well."""
        return self.process is not None and self.process.poll() == 0

    def children(self) -> list[psutil.Process]:
        """What it has started."""
        if self.process is None:
            return []
        try:
            return list(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """`kill -9`, of it alone: what it has started must notice by itself."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()

    def freeze(self, seconds: float) -> None:
        """Stop it for a while, as a machine that swaps or a suspended laptop does."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGSTOP)

        def thaw() -> None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)

        timer = threading.Timer(seconds, thaw)
        timer.daemon = True
        timer.start()

    def end(self) -> None:
        """End it and everything that it has started."""
        family = self.children()
        self.kill()
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, timeout=5)


class Supervision:
    """Starts whatever has ended badly again, as often as it does: a process that comes up while the disk is full or its
    port is still taken dies once more, and systemd or Kubernetes would not leave it at that."""

    def __init__(self, children: Callable[[], Iterable[Child]]) -> None:
        self._children = children
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervision", daemon=True)

    def start(self) -> None:
        """Look after what `children` gives from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Start nothing any more; harmless when it never began."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(RESTART):
            for child in self._children():
                if not child.alive and not child.finished:
                    child.start()


def limit_files(process: psutil.Process, most: int | None) -> None:
    """Let a process write no file beyond `most` bytes (None: as far as it likes): to it the disk is full."""
    unlimited = getattr(psutil, "RLIM_INFINITY", -1)
    size = unlimited if most is None else most
    with suppress(psutil.NoSuchProcess):
        process.rlimit(psutil.RLIMIT_FSIZE, (size, unlimited))
