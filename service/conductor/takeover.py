"""What a conductor does first: free what an earlier conductor of the same home held when it died."""

from __future__ import annotations

import logging

from service.errors import Conflict, NotFound
from service.store.records import Job
from service.store.store import Store

SUSPECT_AFTER = 10
"""Attempts after which a trial that is under way whenever the service dies is taken for the cause of it."""

log = logging.getLogger(__name__)


def take_over(store: Store, identity: str) -> None:
    """Release the jobs and requeue the trials leased under `identity`, whose holder is known to be dead.

    Only for whoever holds the home's lock: nobody else can be alive under its identity, so there is no need to wait
    for the leases to run out. Leases of other homes are left to time.
    """
    cursor = None
    while True:
        page = store.list_jobs(cursor, 100)
        for job in page.items:
            if job.counts["running"] or (job.lease_owner or "").startswith(identity):
                _free(store, job, identity)
        cursor = page.next_cursor
        if cursor is None:
            return


def _free(store: Store, job: Job, identity: str) -> None:
    for trial in (*store.searched_trials(job.id), *store.confirmations(job.id)):
        if trial.state != "running" or not (trial.worker_id or "").startswith(identity):
            continue
        try:
            blameless = trial.attempt < SUSPECT_AFTER
            again = store.requeue_trial(trial.id, trial.attempt, "the service died", blameless)
            log.info("%s is %s again (attempt %d)", again.id, again.state, again.attempt)
        except (NotFound, Conflict):
            continue  # ended or requeued while we looked
    if (job.lease_owner or "").startswith(identity):
        store.release_job(job.id, str(job.lease_owner))
