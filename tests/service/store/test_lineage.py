"""Who goes on from whose checkpoint: all of a generation or nobody, and the donor's checkpoint stays."""

from __future__ import annotations

import pytest

from service.errors import Conflict
from service.store.records import Resumption, Trial
from service.store.store import Store
from tests.service.store.examples import ManualClock, claimed, outcome, report, running_job
from workers.assignment import Artifact


def paused(store: Store, job_id: str, step: int = 3, checkpoint: str | None = "c") -> Trial:
    """The next trial of the job, reported and paused with a checkpoint."""
    trial = claimed(store, job_id)
    store.add_report(report(trial, step))
    kept = None if checkpoint is None else Artifact(sha256=checkpoint * 64, size=7)
    return store.finish_trial(outcome(trial, status="paused", checkpoint=kept))


def test_a_trial_takes_over_checkpoint_seed_and_a_changed_configuration(store: Store, clock: ManualClock) -> None:
    job = running_job(store, trials=2)
    weak, strong = paused(store, job.id, checkpoint="a"), paused(store, job.id, checkpoint="b")
    config = strong.config | {"learning_rate": 2e-3}
    asked = [Resumption(weak.id, 1, strong.id, config), Resumption(strong.id, 1)]
    first, second = store.resume_trials(job.id, asked)
    assert (first.state, first.attempt, first.config, first.seed) == ("queued", 2, config, strong.seed)
    assert (first.checkpoint, first.checkpoint_bytes) == ("b" * 64, 7)
    assert (second.state, second.attempt, second.config, second.checkpoint) == ("queued", 2, strong.config, "b" * 64)
    assert store.counts(job.id) | {"queued": 2, "paused": 0} == store.counts(job.id)
    (kept,) = store.job_exploits(job.id)
    assert (kept.trial_id, kept.attempt, kept.donor_id, kept.donor_attempt) == (weak.id, 2, strong.id, 1)
    assert (kept.step, kept.epoch, kept.checkpoint, kept.seed) == (3, 0.3, "b" * 64, strong.seed)
    assert (kept.config, kept.previous, kept.created_at) == (config, weak.config, clock.now)
    told = [event for event in store.events_after(0, job.id) if event.kind == "trial.exploit"]
    assert [event.payload["changed"] for event in told] == [{"learning_rate": 2e-3}]
    assert claimed(store, job.id, "w").checkpoint == "b" * 64


def test_the_copy_stays_whatever_becomes_of_the_donor(store: Store) -> None:
    job = running_job(store, trials=2)
    weak, strong = paused(store, job.id, checkpoint="a"), paused(store, job.id, checkpoint="b")
    store.resume_trials(job.id, [Resumption(weak.id, 1, strong.id, strong.config), Resumption(strong.id, 1)])
    running = store.claim_trial(job.id, "w", 60, trial_id=strong.id)
    assert running is not None
    store.finish_trial(outcome(running, status="paused", checkpoint=Artifact(sha256="d" * 64, size=9)))
    assert store.get_trial(weak.id).checkpoint == "b" * 64
    lost = store.claim_trial(job.id, "x", 60, trial_id=weak.id)
    assert lost is not None
    again = store.requeue_trial(weak.id, lost.attempt, "its worker died")
    assert (again.attempt, again.checkpoint, again.config) == (3, "b" * 64, strong.config)


@pytest.mark.parametrize("fault", ["running donor", "no checkpoint", "old attempt", "not paused", "job over"])
def test_all_go_on_or_nobody_does(store: Store, fault: str) -> None:
    job = running_job(store, trials=3)
    weak, good = paused(store, job.id), paused(store, job.id)
    donor = paused(store, job.id, checkpoint=None if fault == "no checkpoint" else "b")
    asked = [Resumption(good.id, 1), Resumption(weak.id, 2 if fault == "old attempt" else 1, donor.id, donor.config)]
    if fault == "running donor":
        store.resume_trials(job.id, [Resumption(donor.id, 1)])
    elif fault == "not paused":
        store.finish_trial(outcome(weak, status="stopped"))
    elif fault == "job over":
        store.set_job_state(job.id, "cancelled")
    before, events = store.searched_trials(job.id), store.events_after(0, job.id)
    with pytest.raises(Conflict):
        store.resume_trials(job.id, asked)
    assert store.searched_trials(job.id) == before
    assert store.job_exploits(job.id) == ()
    assert store.events_after(0, job.id) == events


def test_a_deleted_job_takes_its_lineage_along(store: Store) -> None:
    job = running_job(store, trials=2)
    weak, strong = paused(store, job.id), paused(store, job.id)
    store.resume_trials(job.id, [Resumption(weak.id, 1, strong.id, strong.config)])
    store.delete_job(job.id)
    assert store.job_exploits(job.id) == ()
