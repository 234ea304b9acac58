"""Carries out what a scheduler decides about paused trials."""

from __future__ import annotations

import logging

from optimizers.schedulers.contract import Exploit, Moves
from service.conductor.run import Run
from service.errors import Conflict, NotFound
from service.store.records import Resumption, Trial
from service.store.store import Store
from workers.assignment import Outcome

log = logging.getLogger(__name__)


def move_on(store: Store, run: Run, moves: Moves) -> None:
    """End and resume paused trials as the job's scheduler says, in the store first and then in the mirror."""
    try:
        for trial_id, reason in moves.stop.items():
            attempt = run.trials[trial_id].attempt
            run.trials.put(
                store.finish_trial(Outcome(trial_id=trial_id, attempt=attempt, status="stopped", reason=reason))
            )
        if moves.resume:
            asked = [_resumption(run.trials[trial_id], exploit) for trial_id, exploit in moves.resume.items()]
            for trial in store.resume_trials(run.job.id, asked):
                run.trials.put(trial)
        if any(moves.resume.values()):
            run.exploits = list(store.job_exploits(run.job.id))
    except (
        NotFound,
        Conflict,
    ) as refusal:  # ended by somebody else in this very moment: its event brings us up to date
        log.info("paused trials of %s stay: %s", run.job.id, refusal.detail)


def _resumption(trial: Trial, exploit: Exploit | None) -> Resumption:
    if exploit is None:
        return Resumption(trial.id, trial.attempt)
    return Resumption(trial.id, trial.attempt, exploit.donor, exploit.config)
