"""Which trials of a job share a pass, and how many at most. Pure: rows and measured costs in, groups of trials out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.assignments import assignment_of
from service.conductor.cost_model import CostModel
from service.conductor.placement import MOST_MEMBERS, Placement
from service.jobspec import JobSpec
from service.store.records import Trial
from workers.errors import InvalidInput
from workers.models.description import ModelDescription
from workers.packing import PackKey, pack_key, why_not_packed

UNMEASURED = 500 << 20  # bytes that a trial is taken to need as long as no similar one was measured


@dataclass
class Packs:
    """The rules for one job's packs. `ceiling` is the most members that memory has held so far."""

    spec: JobSpec
    model: ModelDescription
    costs: CostModel
    ceiling: int = MOST_MEMBERS

    def learn(self, trial: Trial) -> None:
        """Take over what a completed trial measured."""
        self.costs.learn(trial, self.spec.budget.epochs)
        if (limit := trial.environment.get("pack_limit")) is not None:
            self.shrink(int(limit))

    def key(self, trial: Trial) -> PackKey | None:
        """What trials that may share a pass have in common; None for a trial that must train alone."""
        assignment = assignment_of(self.spec, trial)
        try:
            return None if why_not_packed(assignment, self.model) else pack_key(assignment)
        except InvalidInput:  # alone it fails with its reason
            return None

    def group(self, first: Trial, waiting: Iterable[Trial], room: int, placement: Placement) -> list[Trial]:
        """`first` and those of `waiting` that train with it on one worker: at most `room`, within its memory."""
        group = [first]
        if (key := self.key(first)) is None:
            return group
        for trial in waiting:
            if len(group) >= min(room, placement.places):
                break
            if trial.id != first.id and self.key(trial) == key and self.fits([*group, trial], placement):
                group.append(trial)
        return group

    def joining(self, aboard: Sequence[Trial], waiting: Iterable[Trial], placement: Placement) -> Trial | None:
        """The first of `waiting` that may join a pack under way, if its memory and its places hold one more."""
        if len(aboard) >= placement.places or (key := self.key(aboard[0])) is None:
            return None
        return next(
            (trial for trial in waiting if self.key(trial) == key and self.fits([*aboard, trial], placement)), None
        )

    def fits(self, trials: Sequence[Trial], placement: Placement) -> bool:
        """Whether the trials are expected to find room beside each other."""
        return sum(self.costs.bytes_of(trial.config) or UNMEASURED for trial in trials) <= placement.memory

    def shrink(self, members: int) -> bool:
        """At most so many train together from now on; whether that is fewer than before."""
        before, self.ceiling = self.ceiling, max(1, min(self.ceiling, members))
        return self.ceiling < before
