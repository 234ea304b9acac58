"""Jobs as a project sees them."""

from __future__ import annotations

from service.errors import NotFound
from service.store.records import Job
from service.store.store import Store


def seen_job(store: Store, id: str, project: str | None) -> Job | None:
    """The job, where there is one and it is the project's (None: an operator, who sees all)."""
    try:
        job = store.get_job(id)
    except NotFound:
        return None
    return job if project in (None, job.project) else None
