"""How a trial's weights came about, from stored exploits."""

from __future__ import annotations

from service.jobs.search.lineage import Stretch, stretches
from service.store.records import Exploit, Trial
from tests.service.conductor.stored import CREATED, stored_trial


def exploit(trial: int, donor: int, epoch: float, rate: float, before: float) -> Exploit:
    return Exploit(
        trial_id=f"jx-{trial}",
        attempt=int(epoch) + 1,
        job_id="jx",
        donor_id=f"jx-{donor}",
        donor_attempt=int(epoch),
        step=int(epoch * 10),
        epoch=epoch,
        checkpoint="c" * 64,
        seed=7,
        config={"learning_rate": rate},
        previous={"learning_rate": before},
        created_at=CREATED,
    )


def finished(number: int, rate: float) -> Trial:
    return stored_trial(number, "completed", config={"learning_rate": rate}, seed=7)


def test_a_trial_that_copied_nobody_has_one_stretch() -> None:
    trial = finished(0, 0.1)
    assert stretches(trial, {trial.id: trial.config}, ()) == [Stretch("jx-0", 0.0, None, {"learning_rate": 0.1}, 7)]


def test_weights_carry_the_past_of_those_they_were_copied_from() -> None:
    """1 copies 2 at epoch 1; 0 copies 1 at epoch 2; 1 copies 3 at epoch 3, which is no past of 0."""
    trials = [finished(0, 0.12), finished(1, 0.4), finished(2, 0.3), finished(3, 0.5)]
    exploits = [exploit(1, 2, 1.0, 0.1, 0.9), exploit(0, 1, 2.0, 0.12, 0.8), exploit(1, 3, 3.0, 0.4, 0.1)]
    configs = {trial.id: trial.config for trial in trials}

    def told(number: int) -> list[tuple[str, float, float | None, float]]:
        found = stretches(trials[number], configs, exploits)
        return [(one.trial_id, one.from_epoch, one.to_epoch, one.config["learning_rate"]) for one in found]

    assert told(0) == [("jx-2", 0.0, 1.0, 0.3), ("jx-1", 1.0, 2.0, 0.1), ("jx-0", 2.0, None, 0.12)]
    assert told(1) == [("jx-3", 0.0, 3.0, 0.5), ("jx-1", 3.0, None, 0.4)]
