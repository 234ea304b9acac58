"""Deletes what nobody needs any more: adapters and checkpoints that no row refers to (of deleted jobs, lost attempts,
trials that are over), data that was sent and no job names, and the events of reports that have long been told."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from service.background import repeating
from service.jobs import uploads
from service.store.store import Store
from workers.artifacts import ArtifactStore

PERIOD = 600.0  # seconds between collections
PATIENCE = 5.0  # seconds for the last one to end
MIN_AGE = 3600.0  # seconds for which an artifact may be on its way from its worker to a row
TELL_REPORTS = 7 * 86400.0  # seconds after a job's end for which its stream still tells every report
REMEMBER_DEEDS = 366 * 86400.0  # seconds for which the audit trail says who did what
REMEMBER_DELIVERIES = 30 * 86400.0  # seconds for which it is shown what a webhook was told
KEEP_UPLOADS = 86400.0  # seconds for which a file that was sent may wait for a job that names it
FORGET_AT_ONCE = 20_000  # events of a job that go in one transaction
log = logging.getLogger(__name__)


def collect(store: Store, artifacts: ArtifactStore, min_age: float = MIN_AGE) -> tuple[str, ...]:
    """Delete what is old and unreferenced; the hashes of what went."""
    return artifacts.collect_garbage(store.artifacts_in_use(), min_age)


@contextmanager
def collecting(
    store: Store, artifacts: ArtifactStore, database: str, sent: Path | None = None, period: float = PERIOD
) -> Iterator[None]:
    """Collect and forget in the background, as listing a bucket may take longer than a lease lasts. `sent`: the folder
    of data that people have sent.

    Artifacts belong to one database: what another one refers to would look like garbage. The first to come marks them
    with its name, and others leave them alone.
    """
    ours = artifacts.belongs_to(_name_of(database))
    if not ours:
        log.warning("these artifacts belong to another database: nothing of them is ever collected here")

    def work() -> bool:
        store.forget_reports(TELL_REPORTS, FORGET_AT_ONCE)
        store.forget_deeds(REMEMBER_DEEDS, FORGET_AT_ONCE)
        store.forget_deliveries(REMEMBER_DELIVERIES, FORGET_AT_ONCE)
        if ours and (gone := collect(store, artifacts)):
            log.info("collected %d artifacts that nothing refers to", len(gone))
        if ours and sent is not None and (gone := uploads.collect(sent, _specs(store), KEEP_UPLOADS)):
            log.info("deleted %d files that were sent and no job names", len(gone))
        return False

    with repeating("garbage", work, period, PATIENCE):
        yield


def _specs(store: Store) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = store.list_jobs(cursor, 500)
        yield from (job.spec for job in page.items)
        if (cursor := page.next_cursor) is None:
            return


def _name_of(database: str) -> str:
    """A name for a database that does not tell its password."""
    return hashlib.sha256(make_url(database).set(password=None).render_as_string().encode()).hexdigest()
