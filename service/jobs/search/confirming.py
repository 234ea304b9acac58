"""What is left to confirm once a search is over: the front and the references, each trained again with fresh seeds."""

from __future__ import annotations

from collections.abc import Iterable

from service.jobs.search.spec import JobSpec
from service.jobs.seeds import confirmation_seed
from service.store.records import NewTrial, Trial


def confirmations(spec: JobSpec, searched: Iterable[Trial], there: Iterable[Trial]) -> list[NewTrial]:
    """The confirmations that the job still lacks, `there` being those it has.

    A configuration that a longer search pushed off the front keeps what was confirmed of it; nothing is trained twice.
    References are always among them: without them there would be no gain to confirm.
    """
    if spec.confirm is None:
        return []
    done = {(trial.confirms, trial.seed) for trial in there}
    seeds = [confirmation_seed(spec.seed, repeat) for repeat in range(spec.confirm.seeds)]
    completed = [trial for trial in searched if trial.state == "completed"]
    worth = [trial for trial in completed if trial.on_front or trial.origin == "reference"]
    return [
        NewTrial(trial.config, "confirmation", seed, trial.label, trial.id)
        for seed in seeds
        for trial in sorted(worth, key=lambda trial: trial.number)
        if (trial.id, seed) not in done
    ]
