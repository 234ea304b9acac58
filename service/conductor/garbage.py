"""Deletes adapters and checkpoints that no row refers to: of deleted jobs, lost attempts and trials that are over."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url

from service.errors import ServiceError
from service.store.store import Store
from workers.artifacts import ArtifactStore

PERIOD = 600.0  # seconds between collections
MIN_AGE = 3600.0  # seconds for which an artifact may be on its way from its worker to a row
log = logging.getLogger(__name__)


def collect(store: Store, artifacts: ArtifactStore, min_age: float = MIN_AGE) -> tuple[str, ...]:
    """Delete what is old and unreferenced; the hashes of what went."""
    return artifacts.collect_garbage(store.artifacts_in_use(), min_age)


@contextmanager
def collecting(store: Store, artifacts: ArtifactStore, database: str, period: float = PERIOD) -> Iterator[None]:
    """Collect in the background, as listing a bucket may take longer than a lease lasts.

    Artifacts belong to one database: what another one refers to would look like garbage. The first to come marks them
    with its name, and others leave them alone.
    """
    owner = _name_of(database)
    if not artifacts.belongs_to(owner):
        log.warning("these artifacts belong to another database: nothing of them is ever collected here")
        yield
        return
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(period):
            try:
                if gone := collect(store, artifacts):
                    log.info("collected %d artifacts that nothing refers to", len(gone))
            except (ServiceError, OSError) as error:
                log.warning("artifacts were not collected this time: %s", error)

    thread = threading.Thread(target=run, name="garbage", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5.0)


def _name_of(database: str) -> str:
    """A name for a database that does not tell its password."""
    return hashlib.sha256(make_url(database).set(password=None).render_as_string().encode()).hexdigest()
