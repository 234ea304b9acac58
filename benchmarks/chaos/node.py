"""`python -m benchmarks.chaos.node api|conductor`: half of the service, on a clock that jumps, with short leases.

The API is `service.serve --only api`. The conductor drives jobs of outside workers, so it needs no Ray: its loop,
leases, store and proposer are those of the service, its executor has no slots.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from service.api.routes import work
from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.takeover import take_over
from service.conductor.training.executor import Message, Work
from service.conductor.training.placement import Machine, Shape
from service.processes.home import HomeLock, home_identity
from service.settings import Settings
from service.store.nodes import Node
from service.store.store import Store, open_store, utc_now
from workers.assignment import Assignment, Decision
from workers.machine_speed import MachineSpeed

LEASE = 4.0
"""Seconds, instead of 15 for conductors and 60 for outside workers."""

CLOCK = "PEFTSEARCH_CHAOS_CLOCK"
"""Environment variable with the file that says how many seconds the clock is off."""


def jumping_clock() -> datetime:
    """The present time as this machine's clock would have it after its jump."""
    try:
        off = float(Path(os.environ[CLOCK]).read_text() or 0)
    except (OSError, ValueError):  # while it is written
        off = 0.0
    return utc_now() + timedelta(seconds=off)


class NoSlots:
    """An executor for jobs that others train."""

    def machine(self) -> Machine:
        """Nothing."""
        return Machine(0, 0, 0)

    def nodes(self) -> Sequence[Node]:
        """None."""
        return ()

    def speed(self) -> MachineSpeed | None:
        """Never measured."""
        return None

    def free(self, shape: Shape) -> int:
        """None."""
        del shape
        return 0

    def start(self, assignments: Sequence[Work], shape: Shape, places: int = 1) -> None:
        """Never called."""
        raise AssertionError(f"no slot for {assignments} {shape} {places}")

    def board(self, assignment: Assignment, companion: str) -> None:
        """Never called."""
        raise AssertionError(f"no slot for {assignment} beside {companion}")

    def signal(self, trial_id: str, decision: Decision) -> None:
        """Nobody to tell."""

    def answer(self, trial_id: str, step: int, decision: Decision) -> None:
        """Nobody to answer."""

    def interrupt(self) -> None:
        """Nobody to interrupt."""

    def abandon(self, trial_id: str) -> None:
        """Nobody to end."""

    def receive(self, timeout: float) -> list[Message]:
        """Nothing, after a while."""
        time.sleep(timeout)
        return []

    def close(self) -> None:
        """Nothing to close."""


def _conduct(settings: Settings) -> None:
    proposer, stop = Proposer(), threading.Event()
    proposer.warm()
    lock = HomeLock(settings.home, "conductor")
    lock.acquire(wait=10)
    store = open_store(settings.database, jumping_clock)
    identity = f"{home_identity(settings.home)}."
    take_over(store, identity)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    logging.info("ready")
    owner = identity + secrets.token_hex(3)
    Conductor(store, NoSlots(), proposer, owner, lease=LEASE, clock=jumping_clock).run(stop)
    proposer.close()
    store.close()


def _serve(settings: Settings) -> None:
    from service import serve

    work.LEASE = LEASE

    def open_shifted(url: str) -> Store:
        return open_store(url, jumping_clock)

    with patch("service.serve.open_store", open_shifted):
        serve.serve(settings, with_conductor=False)


def main() -> None:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    {"api": _serve, "conductor": _conduct}[sys.argv[1]](Settings.read())


if __name__ == "__main__":
    main()
