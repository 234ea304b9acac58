"""Several trials of one task trained in one pass; see `workers.engines.packed`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch

from workers.assignment import Assignment, Outcome
from workers.engines.course import INTERRUPTED, Ending, OnReport, Training, course
from workers.engines.faults import failure_reason
from workers.engines.pack_member import Member
from workers.engines.packed import Aboard, Fault, pack_on
from workers.engines.stacked.capture import Capture, capture_on
from workers.engines.stacked.reading import read_updates
from workers.engines.stacked.room import UNLIMITED, Room
from workers.engines.stacked.sampling import Strategy
from workers.engines.stacked.stack import Stack
from workers.engines.stacked.way import Way, way_on
from workers.engines.trainee import EXTRA
from workers.errors import InvalidInput
from workers.models.description import describe
from workers.running.outcome import failed, outcome_of, training_memory
from workers.running.packing import Arrivals, PackKey, in_a_pack_of_one, pack_key, why_not_packed
from workers.running.preparing import PreparedTrial, precision_of, prepare
from workers.running.trial import attach, plan_course, train
from workers.running.workbench import Workbench
from workers.strategies.running import strategy_of

_SHARE = 0.8  # of the free memory of a GPU that passes may take; the rest is for what nobody measured


def train_by_itself(assignment: Assignment, workbench: Workbench, on_report: OnReport) -> Outcome:
    """One trial with nobody beside it, the way that is fastest where it is."""
    if in_a_pack_of_one(assignment, workbench.device, describe):
        return next(train_pack([assignment], workbench, on_report))
    return train(assignment, workbench, on_report)


def train_pack(
    assignments: Sequence[Assignment],
    workbench: Workbench,
    on_report: OnReport,
    at_once: int | None = None,
    arrivals: Arrivals | None = None,
) -> Iterator[Outcome]:
    """Train trials of the same task and data seed together; one outcome each, as soon as each has ended.

    At most `at_once` share a pass (default: all); the next of `assignments`, then of `arrivals`, takes the place of one
    that ends. Reports stream through `on_report`. A fault of one trial is its outcome and nobody else's matter. For
    costs and export of a trial that ended, the others stand still. Raises `ValueError` for trials that cannot share.
    """
    key = pack_key(assignments[0])
    for assignment in assignments:
        if refusal := _refusal(assignment, key):
            raise ValueError(refusal)
    places = at_once or len(assignments)
    stack = Stack(places, torch.device(workbench.device))
    room = Room(bytes=_SHARE * torch.cuda.mem_get_info()[0] if stack.device.type == "cuda" else math.inf)
    way = way_on(stack.device)
    capture = capture_on(stack.device, way.captured)
    yield from _PackRun(
        workbench, on_report, key, places, deque(assignments), arrivals or Arrivals(), stack, room, way, capture
    ).outcomes()


def _refusal(assignment: Assignment, key: PackKey) -> str | None:
    """Why the trial cannot join the pack of this key. What is wrong with it in itself will be its outcome."""
    if pack_key(assignment) != key:
        return "a pack needs trials of one task and one data seed, evaluated on the same rows"
    with suppress(InvalidInput):
        if reason := why_not_packed(assignment, describe(assignment.task.model)):
            return f"trial {assignment.trial_id} cannot join a pack: {reason}"
    return None


@dataclass(frozen=True)
class _Joined:
    """A trial in the pack. `companions` are the trials that it has shared a pass with."""

    prepared: PreparedTrial
    steps: int
    strategy: Strategy | None = None
    companions: set[str] = field(default_factory=set)

    @property
    def trial_id(self) -> str:
        return self.prepared.assignment.trial_id


@dataclass
class _PackRun:
    """A pack from its first trial to its last."""

    workbench: Workbench
    on_report: OnReport
    key: PackKey
    places: int
    queue: deque[Assignment]
    arrivals: Arrivals
    stack: Stack
    room: Room
    way: Way
    capture: Capture
    joined: dict[Member, _Joined] = field(default_factory=dict)
    aboard: Aboard = field(default_factory=dict)

    def outcomes(self) -> Iterator[Outcome]:
        """One for each trial, as they end."""
        while True:
            yield from self._fill()
            if self.aboard:
                yield from self._train()
            elif self.arrivals.close():
                return

    def _fill(self) -> Iterator[Outcome]:
        """Take trials aboard while there is room; those that cannot even begin have an outcome at once."""
        while len(self.aboard) < self.places:
            assignment = self.queue.popleft() if self.queue else self.arrivals.take()
            if assignment is None:
                return
            if self.workbench.interrupted():
                given = {"trial_id": assignment.trial_id, "attempt": assignment.attempt}
                yield Outcome(**given, status="interrupted", reason=INTERRUPTED)
                continue
            try:
                if refusal := _refusal(assignment, self.key):
                    raise ValueError(refusal)
                prepared = prepare(assignment, self.workbench)
                member, joined = _join(prepared, plan_course(prepared, self.workbench, self.on_report), self.stack)
            except Exception as error:  # whatever a configuration can provoke must end this trial and no other
                yield failed(assignment, failure_reason(error), self.workbench)
            else:
                self.aboard[member], self.joined[member] = None, joined

    def _train(self) -> Iterator[Outcome]:
        """Train until somebody ends or may come aboard; those that ended give their outcomes."""
        together = [self.joined[member] for member in self.aboard]
        for joined in together:
            joined.companions.update(other.trial_id for other in together if other is not joined)
        first = together[0].prepared
        with pack_on(
            first.resident,
            self.stack,
            min(member.lowest_layer for member in self.aboard),
            (first.data.train, first.evaluated),
            self.workbench.prefixes,
            precision_of(first.assignment, "fast", self.workbench, first.resident.base.description.anatomy),
            self.room,
            self.way,
            self.capture,
        ) as pack:
            ended = pack.run(self.aboard, self._may_come_aboard)
        for member, ending in ended.items():
            yield self._outcome(self.joined.pop(member), member, ending)

    def _may_come_aboard(self) -> bool:
        return self.arrivals.waiting and len(self.aboard) < self.places

    def _outcome(self, joined: _Joined, member: Member, ending: Ending | Fault) -> Outcome:
        try:
            outcome = _finish(joined, member, ending, self.workbench)
        except Exception as error:
            outcome = failed(joined.prepared.assignment, failure_reason(error), self.workbench)
        shared = {"packed_with": ", ".join(sorted(joined.companions))} if joined.companions else {}
        if self.room.members < UNLIMITED:
            shared["pack_limit"] = str(self.room.members)
        if self.stack.device.type != "cpu" and self.capture.reason is not None:
            shared["not_captured"] = self.capture.reason
        return outcome.model_copy(update={"engine": "fast", "environment": outcome.environment | shared})


def _join(prepared: PreparedTrial, trial: Training, stack: Stack) -> tuple[Member, _Joined]:
    """Attach the method as alone, take over what it changes and where, and take it off again."""
    steps = trial.plan().steps
    attached = attach(prepared, steps)
    seed, own = prepared.assignment.seed, prepared.hyperparameters
    try:
        strategy = strategy_of(own, attached, prepared.resident.base.description, seed)
        extra = {f"{EXTRA}{name}": value for name, value in attached.extra_state().items()}
        if trial.resume is not None:  # before it is read: what an adapter starts from may be in there
            saved = trial.resume.tensors
            extra = {name: saved[name] for name in extra}
            attached.load_extra_state({name.removeprefix(EXTRA): value for name, value in extra.items()})
        updates = tuple(read_updates(attached, prepared.resident.base))
        factors, lowest = attached.rate_factors(), attached.lowest_layer
        # On a CPU passes are small, and members are chosen by what trials like them took.
        needed = 0.0 if stack.device.type == "cpu" else training_memory(prepared, attached)
    finally:
        attached.detach()
    torch.manual_seed(seed)
    state = torch.get_rng_state()
    member = Member(course(trial), own, updates, state, factors, lowest, stack, seed, extra, needed)
    try:
        running = None if strategy is None else member.follow(strategy)
        if trial.resume is not None:
            member.load(trial.resume.tensors)
    except BaseException:
        member.leave()
        raise
    return member, _Joined(prepared, steps, running)


def _finish(one: _Joined, member: Member, ending: Ending | Fault, workbench: Workbench) -> Outcome:
    trained = member.leave()
    if isinstance(ending, Fault):
        return failed(one.prepared.assignment, ending.reason, workbench)
    attached = attach(one.prepared, one.steps)
    try:
        with torch.no_grad():
            for name, parameter in attached.parameters().items():
                parameter.copy_(trained[name])
        remembered = None if one.strategy is None else one.strategy.most_kept
        return outcome_of(one.prepared, ending, attached, "fast", None, workbench, remembered)
    finally:
        attached.detach()
