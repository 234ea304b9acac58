"""Seeds that follow from the job, so that a trial trains alike on every attempt and after every restart."""

from __future__ import annotations

import hashlib

SEED_LIMIT = 2**31  # torch, numpy and Python's random all accept seeds below it


def trial_seed(job_seed: int, number: int) -> int:
    """Seed of the trial with this `number` in its job: hashed, so that neighbouring trials share no random streams."""
    return _hashed(f"trial:{job_seed}:{number}")


def proposal_seed(job_seed: int, trials: int) -> int:
    """Seed of the optimizer's random stream when `trials` configurations precede the proposal."""
    return _hashed(f"proposal:{job_seed}:{trials}")


def confirmation_seed(job_seed: int, repeat: int) -> int:
    """Seed of the training `repeat` of each confirmed configuration: shared, so that they compare in pairs."""
    return _hashed(f"confirmation:{job_seed}:{repeat}")


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % SEED_LIMIT
