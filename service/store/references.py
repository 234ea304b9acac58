"""Which artifacts the rows refer to: whatever is not named here may be collected."""

from __future__ import annotations

from sqlalchemy import Connection, and_, func, or_, select

from service.store.rows import REPORTS, TRIALS
from service.store.states import TRIAL_OVER

_OPEN = TRIALS.c.state.not_in(sorted(TRIAL_OVER))
_OF_TRIALS = select(TRIALS.c.adapter, TRIALS.c.checkpoint, _OPEN).where(
    or_(TRIALS.c.adapter.is_not(None), and_(TRIALS.c.checkpoint.is_not(None), _OPEN))
)
_LAST_STEP = (
    select(REPORTS.c.trial_id, REPORTS.c.attempt, func.max(REPORTS.c.step).label("step"))
    .join(TRIALS, and_(REPORTS.c.trial_id == TRIALS.c.id, REPORTS.c.attempt == TRIALS.c.attempt))
    .where(_OPEN, REPORTS.c.checkpoint.is_not(None))
    .group_by(REPORTS.c.trial_id, REPORTS.c.attempt)
    .subquery()
)
_OF_REPORTS = select(REPORTS.c.checkpoint).join(
    _LAST_STEP,
    and_(
        REPORTS.c.trial_id == _LAST_STEP.c.trial_id,
        REPORTS.c.attempt == _LAST_STEP.c.attempt,
        REPORTS.c.step == _LAST_STEP.c.step,
    ),
)


def artifacts_in_use(connection: Connection) -> frozenset[str]:
    """Hashes of every adapter, and of what trials that are not over go on from.

    That is the checkpoint in a trial's row (a trial that goes on from another's holds the donor's there, which pins it)
    and the last one that its present attempt has reported, from which it goes on should its worker be lost.
    """
    used: set[str] = set(connection.execute(_OF_REPORTS).scalars())
    for adapter, checkpoint, is_open in connection.execute(_OF_TRIALS):
        used |= {adapter} if adapter else set()
        used |= {checkpoint} if checkpoint and is_open else set()
    return frozenset(used)
