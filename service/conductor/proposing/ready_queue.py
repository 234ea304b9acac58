"""Keeps a job's short queue of ready suggestions full and fresh. Pure: requests out, replies in, rows to write out.

A suggestion is stale when trials have ended since it was asked for. Stale ones are asked for again together with the
missing ones and replaced by what newer evidence gives, unless somebody has claimed them in the meantime.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

from optimizers.problem import PastJob, Problem
from search_spaces.space import config_hash
from service.conductor.agendas.decisions import wanted
from service.conductor.mirror import TrialMirror
from service.conductor.proposing.proposer import Reply, Request
from service.conductor.proposing.replay import history
from service.jobs.search.spec import JobSpec, OptimizerSpec
from service.jobs.seeds import proposal_seed, trial_seed
from service.store.records import NewTrial, Trial

TRIES_PER_OPTIMIZER = 2
FALLBACKS = ("sobol", "random")
"""What proposes when the job's own optimizer keeps failing: a search that goes on blindly beats one that stops."""


AT_ONCE = 4
"""Suggestions asked for in one request while they come faster than workers claim them: a long history makes each of
them slow, and workers must not wait for many."""

AT_MOST = 64
"""Suggestions asked for in one request, however fast workers claim them: an optimizer has little time to answer."""

LATELY = 8
"""Requests that tell how fast workers claim suggestions."""

BLIND = frozenset({"random", "sobol", "grid"})
"""Optimizers that do not learn from evidence: a newer suggestion of theirs is no better than an older one."""

LEARN_FROM_PAST = frozenset({"auto", "in_context", "transfer"})
"""Optimizers that begin with what won on alike past jobs, or learn from them."""


@dataclass(frozen=True)
class Refill:
    """What a reply changes: suggestions to drop and to add (one transaction), notes for the job's event log, and the
    answer of a job that follows a plan."""

    drop: tuple[str, ...] = ()
    add: tuple[NewTrial, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: int = 0  # trials that had ended when the optimizer was asked
    answer: Mapping[str, Any] | None = None  # what a designed job has concluded


@dataclass
class Suggestions:
    """The asking side of one job. All of it can be rebuilt: what it remembers only tells stale suggestions apart."""

    spec: JobSpec
    spec_json: Mapping[str, Any]
    problem: Problem
    past: tuple[PastJob, ...] = ()  # what alike jobs had found before this one was submitted
    budget_left: float = 1.0  # share of the wall-clock budget
    no_more: str | None = None  # why nothing further will be proposed
    broken: str | None = None  # why nothing further can be proposed although the budget is not spent
    failures: int = 0  # of the proposer in a row
    _begun: int = 0  # trials that were no longer queued at the last request
    _taken: deque[int] = field(default_factory=lambda: deque([0, 0], LATELY))  # claimed from one request to the next
    _asked: tuple[Request, frozenset[str], int] | None = None  # with the stale trials it excludes and the evidence then
    _evidence: dict[str, int] = field(default_factory=dict)  # by trial: how many trials had ended when it was proposed

    def request(
        self, job_id: str, trials: TrialMirror, ahead: int, epochs: Callable[[], Mapping[str, float]]
    ) -> Request | None:
        """The next thing to ask the optimizer, or None when the queue is full and fresh or an answer is under way.

        `epochs` tells how far each trial has got; it is called only when there is something to ask.
        """
        if self._asked is not None or self.no_more or self.broken:
            return None
        chosen = _optimizer(self.spec.optimizer, self.failures)
        learns = chosen.name not in BLIND
        gap = wanted(trials, self.spec.budget.trials, ahead)
        # Where nothing can be learned (yet), later suggestions would be no better: fill the queue at once.
        taken = len(trials) - trials.states["queued"] - self._begun
        batch = min(AT_MOST, max(self.demand, 2 * taken))
        missing = min(gap, batch) if learns and (trials.ended or self.past) else gap
        stale = self._stale(trials, learns=learns, most=max(0, AT_ONCE - missing))
        if not missing and not stale:
            return None
        self._taken.append(taken)
        self._begun += taken
        kept = [trial for trial in trials.values() if trial.id not in stale]
        seen = history(kept, self.problem, epochs(), self.spec.space.implied)
        request = Request(
            job_id=job_id,
            spec=self.spec_json,
            optimizer=chosen.name,
            options=chosen.options,
            history=replace(seen, past=self.past, budget_left=self.budget_left),
            n=missing + len(stale),
            seed=proposal_seed(self.spec.seed, len(kept)),
        )
        self._asked = (request, stale, trials.ended)
        return request

    def accept(self, reply: Reply, trials: TrialMirror) -> Refill:
        """Turn the answer to the last request into rows, given the trials as they are now."""
        if self._asked is None or reply.request is not self._asked[0]:
            return Refill()
        request, stale, ended = self._asked
        self._asked = None
        if reply.error is not None:
            return self._failed(request, reply.error)
        self.failures = 0 if request.optimizer == self.spec.optimizer.name else TRIES_PER_OPTIMIZER - 1
        if len(reply.configs) < request.n:
            self.no_more = (
                f"the space is exhausted after {len(trials) - len(stale) + len(reply.configs)} configurations"
            )
        refill = _refill(reply.configs, stale, trials, self.spec)
        self._evidence.update(dict.fromkeys(stale - set(refill.drop), ended))  # proposed again: as fresh as new ones
        return Refill(refill.drop, refill.add, reply.notes, ended)

    def stored(self, trials: Iterable[Trial], evidence: int) -> None:
        """Remember how many trials had ended when these suggestions were asked for."""
        self._evidence.update((trial.id, evidence) for trial in trials)

    @property
    def demand(self) -> int:
        """Suggestions that workers may claim in the time of one request: twice what they took lately, since where there
        was too little they would have taken more."""
        return min(AT_MOST, max(AT_ONCE, *(2 * taken for taken in self._taken)))

    def _stale(self, trials: TrialMirror, learns: bool, most: int) -> frozenset[str]:
        """Suggestions to ask for again, at most so many: those that have no place in the space since it was changed,
        then those that are out of date, the next to be claimed first."""
        waiting = [trial for trial in trials.waiting.values() if trial.replaceable]
        misplaced = {trial.id for trial in waiting if not self.problem.space.contains(trial.config)}
        outdated = {trial.id for trial in waiting if learns and self._evidence.get(trial.id, 0) < trials.ended}
        ordered = sorted(
            (trial for trial in waiting if trial.id in misplaced | outdated),
            key=lambda trial: (trial.id not in misplaced, trial.number),
        )
        return frozenset(trial.id for trial in ordered[:most])

    def _failed(self, request: Request, error: str) -> Refill:
        self.failures += 1
        following = _optimizer(self.spec.optimizer, self.failures).name
        if self.failures >= TRIES_PER_OPTIMIZER * (1 + len(FALLBACKS)):
            self.broken = f"no optimizer could propose a trial: {error}"
            return Refill(notes=(self.broken,))
        change = "" if following == request.optimizer else f"; {following} proposes instead"
        return Refill(notes=(f"optimizer {request.optimizer} failed: {error}{change}",))


def _optimizer(asked: OptimizerSpec, failures: int) -> OptimizerSpec:
    names = [asked.name, *(name for name in FALLBACKS if name != asked.name)]
    index = min(failures // TRIES_PER_OPTIMIZER, len(names) - 1)
    return asked if index == 0 else OptimizerSpec(name=names[index])


def _refill(configs: Iterable[dict[str, Any]], stale: frozenset[str], trials: TrialMirror, spec: JobSpec) -> Refill:
    """Suggestions proposed again stay, the other stale ones give way to new ones, as many as there are.

    Stale suggestions claimed while the optimizer worked are missing from the queue now, so their share of the answer is
    still wanted; only the budget limits what is added.
    """
    proposed = {config_hash(config): config for config in configs}
    replaceable = [trials[id] for id in stale & trials.waiting.keys() if trials[id].replaceable]
    outdated = {trial.number: trial.id for trial in replaceable if config_hash(trial.config) not in proposed}
    known = {config_hash(trial.config) for trial in trials.values() if trial.id not in outdated.values()}
    room = max(0, spec.budget.trials - len(trials) + len(outdated))
    new = [config for key, config in proposed.items() if key not in known][:room]
    drop = sorted(outdated)[: len(new)]
    seeds = (
        trial_seed(spec.seed, number) for number in chain(drop, count(trials.next_number))
    )  # the store numbers alike
    return Refill(
        drop=tuple(outdated[number] for number in drop),
        add=tuple(NewTrial(config, "optimizer", seed) for config, seed in zip(new, seeds, strict=False)),
    )
