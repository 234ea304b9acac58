"""What must be kept: every adapter, and what open trials go on from. Nothing else."""

from __future__ import annotations

from service.store.records import Resumption, Trial
from service.store.store import Store
from tests.service.store.examples import claimed, outcome, report, running_job
from workers.assignment import Artifact


def artifact(letter: str) -> Artifact:
    return Artifact(sha256=letter * 64, size=3)


def in_use(store: Store) -> str:
    return "".join(sorted(sha256[0] for sha256 in store.artifacts_in_use()))


def say(store: Store, trial: Trial, step: int, checkpoint: str) -> None:
    store.add_report(report(trial, step).model_copy(update={"checkpoint": artifact(checkpoint)}))


def test_a_running_trial_needs_what_it_began_from_and_its_last_checkpoint(store: Store) -> None:
    job = running_job(store, trials=1)
    trial = claimed(store, job.id)
    say(store, trial, 1, "a")
    say(store, trial, 2, "b")
    assert in_use(store) == "b"
    again = store.requeue_trial(trial.id, trial.attempt, "its worker died")
    assert (again.checkpoint, in_use(store)) == ("b" * 64, "b")
    second = claimed(store, job.id)
    say(store, second, 3, "c")
    assert in_use(store) == "bc"
    store.finish_trial(outcome(second, adapter=artifact("d")))
    assert in_use(store) == "d"


def test_a_donor_s_checkpoint_stays_as_long_as_somebody_goes_on_from_it(store: Store) -> None:
    job = running_job(store, trials=2)
    weak, strong = claimed(store, job.id, "w"), claimed(store, job.id, "s")
    store.finish_trial(outcome(weak, status="paused", checkpoint=artifact("a")))
    store.finish_trial(outcome(strong, status="paused", checkpoint=artifact("b")))
    assert in_use(store) == "ab"
    asked = [Resumption(weak.id, 1, strong.id, strong.config), Resumption(strong.id, 1)]
    store.resume_trials(job.id, asked)
    assert in_use(store) == "b"
    running = store.claim_trial(job.id, "s", 60, trial_id=strong.id)
    assert running is not None
    store.finish_trial(outcome(running, adapter=artifact("e")))
    assert in_use(store) == "be"  # the copy
    store.delete_job(job.id)
    assert in_use(store) == ""
