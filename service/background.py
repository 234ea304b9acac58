"""Duties that a process sees to beside its main work, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import ServiceError

log = logging.getLogger(__name__)


@contextmanager
def repeating(duty: str, work: Callable[[], bool], period: float, patience: float) -> Iterator[None]:
    """Do `work` every `period` seconds until the block ends, and again at once where it says that there is more.

    What it cannot do now, because the database or a disk does not answer, is logged and done next time. At the end it
    has `patience` seconds to come to its own.
    """
    stop = threading.Event()

    def run() -> None:
        more = False
        while not stop.wait(0.0 if more else period):
            try:
                more = work()
            except (ServiceError, OSError) as error:
                more = False
                log.warning("%s: not this time: %s", duty, error)

    thread = threading.Thread(target=run, name=duty, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(patience)
