"""How the weights of a trial came about: the stretches of training behind them, each with its configuration.

A trial that went on from another's checkpoint carries that one's past, not its own. Training the stretches one after
another, each from the checkpoint of the one before, trains the same weights again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.store.records import Exploit, Trial
from service.store.store import Store


@dataclass(frozen=True)
class Stretch:
    """Trial `trial_id` trained from one epoch to another (None: to its end, or on) with `config` and `seed`."""

    trial_id: str
    from_epoch: float
    to_epoch: float | None
    config: Mapping[str, Any]
    seed: int


def past_of(store: Store, trial: Trial) -> tuple[tuple[Exploit, ...], list[Stretch]]:
    """Every exploit of the trial's job, and the stretches behind the trial's present weights."""
    exploits = store.job_exploits(trial.job_id)
    configs = {one.id: one.config for one in store.searched_trials(trial.job_id)} if exploits else {}
    return exploits, stretches(trial, configs | {trial.id: trial.config}, exploits)


def stretches(trial: Trial, configs: Mapping[str, Mapping[str, Any]], exploits: Sequence[Exploit]) -> list[Stretch]:
    """What led to the trial's present weights, oldest first.

    `configs` are the present configurations of the job's trials, `exploits` all of the job, oldest first.
    """
    found: list[Stretch] = []
    trial_id, until = trial.id, math.inf
    while True:
        own = [one for one in exploits if one.trial_id == trial_id]
        config = next((one.previous for one in own if one.epoch >= until), configs[trial_id])
        came_from = next((one for one in reversed(own) if one.epoch < until), None)
        start = came_from.epoch if came_from else 0.0
        found.insert(0, Stretch(trial_id, start, None if until == math.inf else until, config, trial.seed))
        if came_from is None:
            return found
        trial_id, until = came_from.donor_id, start
