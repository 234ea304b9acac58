"""Which trials of a job share a worker, and how long it may take. Pure: rows and measured costs in, groups out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from service.conductor.training.cost_model import CostModel
from service.conductor.training.placement import MOST_MEMBERS, Placement
from service.store.records import Trial
from workers.assignment import Assignment
from workers.errors import InvalidInput
from workers.models.description import ModelDescription
from workers.running.packing import PackKey, pack_key, why_not_packed

UNMEASURED = 500 << 20  # bytes that a trial is taken to need as long as no similar one was measured


class Packing(Protocol):
    """The rules for the workers of one job."""

    @property
    def ceiling(self) -> int:
        """The most trials together that memory has held so far."""
        ...

    def learn(self, trial: Trial) -> None:
        """Take over what a completed trial measured."""
        ...

    def key(self, trial: Trial) -> PackKey | None:
        """What trials that may share a pass have in common; None for a trial that must train alone."""
        ...

    def group(self, first: Trial, waiting: Iterable[Trial], room: int, placement: Placement) -> list[Trial]:
        """`first` and those of `waiting` that train with it on one worker, at most `room`."""
        ...

    def joining(self, aboard: Sequence[Trial], waiting: Iterable[Trial], placement: Placement) -> Trial | None:
        """The first of `waiting` that may join a pack under way."""
        ...

    def shrink(self, members: int) -> bool:
        """At most so many train together from now on; whether that is fewer than before."""
        ...

    def expected_silence(self, trials: Sequence[Trial]) -> float | None:
        """Seconds until a worker that trains these speaks again; None when nothing like one of them was measured."""
        ...


@dataclass(frozen=True)
class Alone:
    """`Packing` where each trial trains by itself. `silence`: for how many seconds a worker may be silent besides what
    was observed of the job's others, as it ends its trial itself by then; None where trials differ so much that the
    others say nothing."""

    ceiling: int = 1
    silence: float | None = 0.0

    def learn(self, trial: Trial) -> None:
        """Nothing is planned from what it cost."""

    def key(self, trial: Trial) -> None:
        """It shares a pass with no other."""

    def group(self, first: Trial, waiting: Iterable[Trial], room: int, placement: Placement) -> list[Trial]:
        """`first` alone."""
        del waiting, room, placement
        return [first]

    def joining(self, aboard: Sequence[Trial], waiting: Iterable[Trial], placement: Placement) -> None:
        """Nobody joins."""

    def shrink(self, members: int) -> bool:
        """There is nothing smaller than one."""
        del members
        return False

    def expected_silence(self, trials: Sequence[Trial]) -> float | None:
        """As long as the longest before, or as said."""
        del trials
        return self.silence


@dataclass
class Packs:
    """`Packing` of trials that train adapters, by what they are and what was measured of their like. `assign` says
    what a worker is given of one."""

    assign: Callable[[Trial], Assignment]
    model: ModelDescription
    costs: CostModel
    ceiling: int = MOST_MEMBERS

    def learn(self, trial: Trial) -> None:
        """Take over what a completed trial measured."""
        given = self.assign(trial)
        self.costs.learn(replace(trial, config=given.config), given.epochs * _rows(given))
        limit = trial.environment.get("pack_limit", "")
        if limit.isdecimal():  # outside workers tell what they like
            self.shrink(int(limit))

    def key(self, trial: Trial) -> PackKey | None:
        """What trials that may share a pass have in common; None for a trial that must train alone."""
        assignment = self.assign(trial)
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
        known = (self.costs.bytes_of(self.assign(trial).config) for trial in trials)
        return sum(needed or UNMEASURED for needed in known) <= placement.memory

    def shrink(self, members: int) -> bool:
        """At most so many train together from now on; whether that is fewer than before."""
        before, self.ceiling = self.ceiling, max(1, min(self.ceiling, members))
        return self.ceiling < before

    def expected_silence(self, trials: Sequence[Trial]) -> float | None:
        """Seconds until a worker that trains these speaks again; None when nothing like one of them was measured."""
        given = [self.assign(trial) for trial in trials]
        if not all(self.costs.knows(one.config) for one in given):
            return None
        return sum((self.costs.seconds_per_epoch(one.config) or 0.0) * _rows(one) * self._epochs(one) for one in given)

    def _epochs(self, given: Assignment) -> float:
        """Epochs of its whole training until a trial speaks: one, or all where its teachers tell nobody."""
        return given.epochs if self.costs.kind(given.config).teachers else 1.0


def _rows(given: Assignment) -> int:
    """Training rows of an epoch where the job says how many: those of a law's grid differ in them."""
    return given.task.train_rows or 1
