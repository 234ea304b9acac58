"""Keeps a child process running: starts it again, with growing pauses, whenever it dies."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds before a restart
HEALTHY_AFTER = 60.0  # seconds of life after which a death counts as the first one
PATIENCE = 40.0  # seconds for the child to end by itself: a conductor lets trials write checkpoints first
log = logging.getLogger(__name__)


def pause_before_restart(deaths: int) -> float:
    """Seconds to wait after so many deaths in a row: 1, 2, 4 … 30."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (deaths - 1))


class Supervisor:
    """Runs what `start` starts in a thread of its own, from `start()` until `stop()`."""

    def __init__(self, name: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._name = name
        self._start_child = start
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name=f"{name}-supervisor", daemon=True)

    def start(self) -> None:
        """Start the child, and again whenever it dies."""
        self._child = self._start_child()
        self._thread.start()

    def stop(self) -> None:
        """Ask the child to end (SIGTERM), wait, and kill it if it does not."""
        self._stopping.set()
        child = self._child
        if child is None:
            return
        child.terminate()
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            log.warning("the %s does not end, killing it", self._name)
            child.kill()
            child.wait()
        self._thread.join()

    def _run(self) -> None:
        deaths = 0
        while self._child is not None:
            born = time.monotonic()
            status = self._child.wait()
            if self._stopping.is_set():
                return
            deaths = 1 if time.monotonic() - born > HEALTHY_AFTER else deaths + 1
            pause = pause_before_restart(deaths)
            log.error("the %s ended with status %d; it is started again in %g s", self._name, status, pause)
            if self._stopping.wait(pause):
                return
            self._child = self._start_child()
