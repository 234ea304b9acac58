"""Several trials of one task trained in one pass; see `workers.engines.packed`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from workers.assignment import Assignment, Outcome
from workers.engines.course import INTERRUPTED, Ending, OnReport
from workers.engines.faults import failure_reason
from workers.engines.pack_member import Member
from workers.engines.packed import Aboard, Fault, pack_on
from workers.engines.ranks import OneProcess, Ranks, device_of_rank
from workers.engines.stacked.capture import Capture, capture_on
from workers.engines.stacked.in_parts import in_parts
from workers.engines.stacked.room import UNLIMITED, Room, Width
from workers.engines.stacked.stack import Stack
from workers.engines.stacked.way import IN_PARTS, Way, way_on
from workers.errors import InvalidInput
from workers.models.description import describe
from workers.running.boarding import Joined, board, start_of
from workers.running.outcome import failed, outcome_of
from workers.running.packing import Arrivals, Boarding, PackKey, in_a_pack_of_one, pack_key, why_not_packed
from workers.running.preparing import PreparedTrial, precision_of, prepare
from workers.running.trial import attach, plan_course, train
from workers.running.workbench import Workbench

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
    arrivals: Boarding | None = None,
    ranks: Ranks | None = None,
) -> Iterator[Outcome]:
    """Train trials of the same task and data seed together; one outcome each, as soon as each has ended.

    At most `at_once` share a pass (default: all); the next of `assignments`, then of `arrivals`, takes the place of one
    that ends. Reports stream through `on_report`. A fault of one trial is its outcome and nobody else's matter. For
    costs and export of a trial that ended, the others stand still. Several `ranks` all do this, on a base in parts;
    then `workbench` is on the CPU, and adapters are attached and exported on the first rank alone. Raises `ValueError`
    for trials that cannot share.
    """
    key = pack_key(assignments[0])
    for assignment in assignments:
        if refusal := _refusal(assignment, key):
            raise ValueError(refusal)
    ranks = ranks or OneProcess()
    device = torch.device(workbench.device if ranks.count == 1 else device_of_rank())
    way, capture = IN_PARTS, Capture(None, "the base is in parts, and exchanges of ranks are not captured")
    if ranks.count == 1:
        way = way_on(device)
        capture = capture_on(device, way.captured)
    places = at_once or len(assignments)
    stack = Stack(places, device)
    queue, arrivals = deque(assignments), arrivals or Arrivals()
    yield from _PackRun(workbench, on_report, key, places, queue, arrivals, stack, way, capture, ranks).outcomes()


def _refusal(assignment: Assignment, key: PackKey) -> str | None:
    """Why the trial cannot join the pack of this key. What is wrong with it in itself will be its outcome."""
    if pack_key(assignment) != key:
        return "a pack needs trials of one task and one data seed, evaluated on the same rows"
    with suppress(InvalidInput):
        if reason := why_not_packed(assignment, describe(assignment.task.model)):
            return f"trial {assignment.trial_id} cannot join a pack: {reason}"
    return None


@dataclass
class _PackRun:
    """A pack from its first trial to its last."""

    workbench: Workbench
    on_report: OnReport
    key: PackKey
    places: int
    queue: deque[Assignment]
    arrivals: Boarding
    stack: Stack
    way: Way
    capture: Capture
    ranks: Ranks
    joined: dict[Member, Joined] = field(default_factory=dict)
    aboard: Aboard = field(default_factory=dict)
    divided: PreparedTrial | None = None  # base and rows of all, where several ranks have them

    @cached_property
    def room(self) -> Room:
        """What passes may take, when the base has its place."""
        on_cpu = self.stack.device.type == "cpu"
        free = math.inf if on_cpu else _SHARE * (torch.cuda.mem_get_info()[0] + self.stack.bytes)
        return Room(bytes=self.ranks.least(free), width=Width(clock=self.ranks.clock))

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
                self._board(self.ranks.agreed(partial(prepare, assignment, self.workbench)))
            except Exception as error:  # whatever a configuration can provoke must end this trial and no other
                yield failed(assignment, failure_reason(error), self.workbench)

    def _board(self, prepared: PreparedTrial) -> None:
        """Take a trial aboard. On a CPU its memory is not measured: passes are small, and the conductor has chosen."""
        trial = plan_course(prepared, self.workbench, self.on_report)
        keep, measured = trial.keep_checkpoint, self.stack.device.type != "cpu"
        trial = replace(trial, keep_checkpoint=lambda checkpoint: self.ranks.first(lambda: keep(checkpoint)))
        start = self.ranks.first(lambda: start_of(prepared, trial, measured))
        member, strategy = board(start, prepared, trial, self.stack, self.ranks)
        self.aboard[member], self.joined[member] = None, Joined(prepared, trial.plan().steps, strategy)

    def _train(self) -> Iterator[Outcome]:
        """Train until somebody ends or may come aboard; those that ended give their outcomes."""
        together = [self.joined[member] for member in self.aboard]
        for joined in together:
            joined.companions.update(other.trial_id for other in together if other is not joined)
        first = self._where_passes_are(together[0].prepared)
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
            self.ranks,
        ) as pack:
            ended = pack.run(self.aboard, self._may_come_aboard)
        for member, ending in ended.items():
            yield self._outcome(self.joined.pop(member), member, ending)

    def _where_passes_are(self, prepared: PreparedTrial) -> PreparedTrial:
        """A trial with base and rows as passes have them."""
        if self.ranks.count == 1:
            return prepared
        if self.divided is None:
            there = replace(prepared, resident=in_parts(prepared.resident, prepared.data.train))
            self.divided = there.on(self.stack.device.type)
        return self.divided

    def _may_come_aboard(self) -> bool:
        # It is asked behind every step: on several ranks all hear then whether they are to leave, too.
        return self.arrivals.waiting and len(self.aboard) < self.places

    def _outcome(self, joined: Joined, member: Member, ending: Ending | Fault) -> Outcome:
        trained = member.leave()
        try:
            if isinstance(ending, Fault):
                outcome = failed(joined.prepared.assignment, ending.reason, self.workbench)
            else:
                outcome = self.ranks.first(lambda: _finish(joined, trained, ending, self.workbench))
        except Exception as error:
            outcome = failed(joined.prepared.assignment, failure_reason(error), self.workbench)
        shared = {"packed_with": ", ".join(sorted(joined.companions))} if joined.companions else {}
        if self.room.members < UNLIMITED:
            shared["pack_limit"] = str(self.room.members)
        if self.stack.device.type != "cpu":
            shared["gpu"] = torch.cuda.get_device_name()
            if self.capture.reason is not None:
                shared["not_captured"] = self.capture.reason
        return outcome.model_copy(update={"engine": "fast", "environment": outcome.environment | shared})


def _finish(joined: Joined, trained: Mapping[str, Tensor], ending: Ending, workbench: Workbench) -> Outcome:
    attached = attach(joined.prepared, joined.steps)
    try:
        with torch.no_grad():
            for name, parameter in attached.parameters().items():
                parameter.copy_(trained[name])
        remembered = None if joined.strategy is None else joined.strategy.most_kept
        return outcome_of(joined.prepared, ending, attached, "fast", None, workbench, remembered)
    finally:
        attached.detach()
