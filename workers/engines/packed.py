"""Several trials in one forward and backward pass over one frozen base.

The rows of all members form one batch. Each place of the base computes with every member's update on that member's
rows (`workers.engines.stacked`); nothing in the model mixes rows, so losses, gradients and even a NaN stay with their
member.
Optimizer, schedule, clipping and random stream are each member's own: its numbers are those of training alone.

Over a base in parts the ranks make the same passes, each of its part of every member's rows; what members train is
whole on every rank, gradients and losses are added up, and so all ranks make the same steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workers.engines.accumulation import weight_of
from workers.engines.batches import RowIndices
from workers.engines.course import Ending, Evaluate, Restore, Save, Trained, TrainStep
from workers.engines.faults import failure_reason, is_out_of_memory
from workers.engines.inputs import Inputs
from workers.engines.one_token import last_layer_for_one_token
from workers.engines.pack_member import Member
from workers.engines.passes import Pass, WholePass, evaluation_batches, upper_passes
from workers.engines.precision import Precision
from workers.engines.prefix_store import PrefixStore
from workers.engines.ranks import Ranks
from workers.engines.resident import ResidentBase
from workers.engines.stacked.attention import members_attend
from workers.engines.stacked.capture import Capture
from workers.engines.stacked.joint_pass import JointPass, Share, arranged
from workers.engines.stacked.layout import Layout
from workers.engines.stacked.pace import Pace
from workers.engines.stacked.placing import updates_on
from workers.engines.stacked.room import UNLIMITED, Room
from workers.engines.stacked.stack import Stack
from workers.engines.stacked.streams import CounterStreams, HostStreams, stream_key
from workers.engines.stacked.unpadding import unpadded_layers, why_padded
from workers.engines.stacked.way import Way
from workers.engines.transfers import Staging, to_device
from workers.models.half_precision import format_of, holds_bfloat16, without_autocast


@dataclass(frozen=True)
class Fault:
    """Why a member cannot go on: what it asked for failed with nobody else in the pass."""

    reason: str


Aboard = dict[Member, TrainStep | None]
"""The members that train, and the step that each wants next (None: its course has not begun)."""


class Pack:
    """Trains members together. Open it with `pack_on`."""

    def __init__(
        self,
        stack: Stack,
        layout: Layout,
        passes: tuple[Pass, Pass],
        joint: JointPass,
        room: Room,
        way: Way,
        capture: Capture,
        staging: Staging,
        ranks: Ranks,
    ) -> None:
        self._stack, self._layout, self._way, self._room = stack, layout, way, room
        self._ranks = ranks
        self._train, self._validation = passes
        self._pace, self._joint, self._capture, self._staging = Pace(layout.device), joint, capture, staging

    def run(self, aboard: Aboard, interrupted: Callable[[], bool]) -> dict[Member, Ending | Fault]:
        """Train until a member ends or `interrupted` says so. Those that ended leave `aboard` and are returned."""
        members = {member.slot: member for member in aboard}
        if self._way.host_streams:
            self._layout.streams = HostStreams(lambda slot, shape, rate: members[slot].mask(shape, rate))
        else:
            self._layout.streams = CounterStreams(self._layout.device)
        ended: dict[Member, Ending | Fault] = {}
        while aboard and not ended:
            answers = self._step({member: step for member, step in aboard.items() if step is not None})
            ended = self._serve(aboard, answers)
            if interrupted():
                break
        return ended

    def _serve(self, aboard: Aboard, answers: Mapping[Member, Any]) -> dict[Member, Ending | Fault]:
        """Serve members until each wants to train or has ended; those that evaluate do so together."""
        ended: dict[Member, Ending | Fault] = {}
        waiting = {member: answers.get(member) for member in aboard}
        while waiting:
            evaluating, served = [], dict[Member, Any]()
            for member, answer in waiting.items():
                match _request(member, answer):
                    case TrainStep() as step:
                        aboard[member] = step
                    case Evaluate():
                        evaluating.append(member)
                    case Save():
                        served[member] = member.save()
                    case ending:
                        ended[member] = ending
                        del aboard[member]
            waiting = served | self._evaluate(evaluating)
        return ended

    def _step(self, steps: Mapping[Member, TrainStep]) -> dict[Member, Trained | Fault]:
        """One optimizer step of every member; its time goes by tokens."""
        started = time.perf_counter()
        losses: dict[Member, float | Tensor | Fault] = dict(self._begun(steps))
        steps = {member: step for member, step in steps.items() if member not in losses}
        at = {member.slot: member for member in steps}
        needed = {slot: member.bytes_needed for slot, member in at.items()}
        widest = self._room.width.of(len(steps)) if self._way.narrowing else UNLIMITED
        for group in self._room.groups(needed, widest, self._stack.bytes):
            losses |= self._accumulate({at[slot]: steps[at[slot]] for slot in group})
        trained = {member: loss for member, loss in losses.items() if not isinstance(loss, Fault)}
        self._stack.clear_gradients(member.slot for member in steps if member not in trained)
        if trained:
            self._update({member.slot: steps[member].learning_rate for member in trained})
        tokens = {member: self._tokens(step) for member, step in steps.items()}
        total = sum(tokens.values())
        if self._way.narrowing:
            self._room.width.timed(total, self._pace.wait)
        self._pace.step()
        seconds = time.perf_counter() - started
        faults = {member: loss for member, loss in losses.items() if isinstance(loss, Fault)}
        return faults | {
            member: Trained(loss, seconds * tokens[member] / max(total, 1)) for member, loss in trained.items()
        }

    def _begun(self, steps: Mapping[Member, TrainStep]) -> Iterator[tuple[Member, Fault]]:
        """Let members with a strategy draw what their steps train; who fails in that."""
        for member, step in steps.items():
            try:
                self._stack.begin(member.slot, step.number, partial(self._probe, member, step))
            except Exception as error:  # its own rows alone were in the pass
                self._end_with_others(error)
                yield member, Fault(failure_reason(error))

    @torch.no_grad()
    def _probe(self, member: Member, step: TrainStep) -> float:
        """The mean loss of a member's rows as things are, without dropout."""
        inputs = self._train.inputs
        total = torch.zeros((), device=inputs.device, dtype=torch.float64)
        self._layout.training = False
        try:
            for rows in step.micro_batches:
                part = self._ranks.part(rows, inputs.criterion.together)
                total += part.counts * self._joint.loss(member.slot, part.rows, member.hyperparameters)
        finally:
            self._layout.training = True
        self._ranks.add_up([total])
        return float(total) / weight_of(step, inputs)

    def _update(self, rates: Mapping[int, float]) -> None:
        """One optimizer step of all members; where passes are captured, it is too."""
        controls = self._staging.send({"controls": self._stack.controls(rates)})
        key, by_rows = ("update", self._stack.structure, self._stack.used), self._way.updated_by_rows
        self._capture.run(key, controls, lambda own: self._stack.apply(own["controls"], by_rows))

    def _tokens(self, step: TrainStep) -> int:
        return sum(int(self._train.inputs.lengths[rows].sum()) for rows in step.micro_batches)

    def _accumulate(self, steps: Mapping[Member, TrainStep]) -> dict[Member, float | Tensor | Fault]:
        """Gradients of one step of every member; its mean loss.

        Members whose pass fails go through in halves: a pack too big for the memory fits at last, and what fails alone
        is known as the cause and leaves the others in peace.
        """
        before = {member: member.random_state for member in steps}
        try:
            return dict(self._accumulated(steps))
        except Exception as error:
            self._end_with_others(error)
            if len(steps) == 1:
                return {member: Fault(failure_reason(error)) for member in steps}
            self._learn_from(error, len(steps))
        # Outside the handler, whose error holds on to the tensors of the failed pass.
        for member, state in before.items():
            member.random_state = state
        self._stack.clear_gradients(member.slot for member in steps)
        answers: dict[Member, float | Tensor | Fault] = {}
        for group in _groups(list(steps), (len(steps) + 1) // 2):
            answers |= self._accumulate({member: steps[member] for member in group})
        return answers

    def _end_with_others(self, error: Exception) -> None:
        """Where other ranks are in the middle of the same pass, and wait for this one: raise its error."""
        if self._ranks.count > 1:
            raise error

    def _learn_from(self, error: Exception, members: int) -> None:
        if is_out_of_memory(error):
            self._room.members = min(self._room.members, (members + 1) // 2)
            self._capture.forget()

    def _accumulated(self, steps: Mapping[Member, TrainStep]) -> dict[Member, float | Tensor]:
        members, inputs = list(steps), self._train.inputs
        losses = torch.zeros(len(members), device=inputs.device)
        weights = {member: weight_of(step, inputs) for member, step in steps.items()}
        for turn in range(max((len(step.micro_batches) for step in steps.values()), default=0)):
            batches = {m: step.micro_batches[turn] for m, step in steps.items() if turn < len(step.micro_batches)}
            for alike in self._of_like_length(batches):
                parts = {m: self._ranks.part(rows, inputs.criterion.together) for m, rows in alike.items()}
                shares = [
                    Share(m.slot, part, weights[m], m.hyperparameters, stream_key(m.seed, steps[m].number, turn))
                    for m, part in parts.items()
                ]
                owners = to_device(np.array([members.index(member) for member in alike]), inputs.device)
                losses.index_add_(0, owners, self._pass(shares))
        self._ranks.add_up([losses, *(self._stack.gradients(member.slot) for member in members)])
        # On a CPU nothing is waited for; elsewhere the courses look at losses later.
        values = losses.tolist() if losses.device.type == "cpu" else losses.unbind()
        return dict(zip(members, values, strict=True))

    def _pass(self, shares: Sequence[Share]) -> Tensor:
        return self._joint.gradients(shares)

    def _of_like_length(self, batches: Mapping[Member, RowIndices]) -> Iterator[dict[Member, RowIndices]]:
        """Split into passes whose padding costs little: each member's batch has one length, but not the same one."""
        if math.isinf(self._way.padding):  # in the order of slots: then factors are where the rows are
            yield {member: batches[member] for member in sorted(batches, key=lambda member: member.slot)}
            return
        lengths = self._train.inputs.lengths
        group: dict[Member, RowIndices] = {}
        longest = own_tokens = rows_so_far = 0
        for member, rows in sorted(batches.items(), key=lambda item: -int(lengths[item[1]].max())):
            length = int(lengths[rows].max())
            padded, own = (rows_so_far + len(rows)) * longest, own_tokens + len(rows) * length
            if group and padded > self._way.padding * own:
                yield group
                group, own_tokens, rows_so_far = {}, 0, 0
            longest = longest if group else length
            group[member] = rows
            own_tokens += len(rows) * length
            rows_so_far += len(rows)
        if group:
            yield group

    def _evaluate(self, members: Sequence[Member]) -> dict[Member, dict[str, float] | Fault]:
        """The metrics of members on the validation rows, all in the same passes."""
        if not members:
            return {}
        self._layout.training = False
        try:
            return dict(self._evaluated(members))
        except Exception as error:
            self._end_with_others(error)
            if len(members) == 1:
                return {members[0]: Fault(failure_reason(error))}
            self._learn_from(error, len(members))
        finally:
            self._layout.training = True
        answers: dict[Member, dict[str, float] | Fault] = {}
        for group in _groups(members, (len(members) + 1) // 2):
            answers |= self._evaluate(group)
        return answers

    @torch.no_grad()
    def _evaluated(self, members: Sequence[Member]) -> dict[Member, dict[str, float]]:
        split = self._validation
        measures = [split.inputs.criterion.measure() for _ in members]
        batches = evaluation_batches(split, max(1, self._way.evaluation_tokens // len(members)))
        for part in self._ranks.dealt(batches):
            outputs = split.outputs(arranged(self._layout, {member.slot: part.rows for member in members}, split))
            if part.counts:
                for segment, measure in zip(self._layout.segments, measures, strict=True):
                    split.inputs.add_to(measure, outputs[segment.rows], part.rows)
        measured = (measure.result() for measure in self._ranks.merged(measures))
        return dict(zip(members, measured, strict=True))


def _request(member: Member, answer: Any) -> TrainStep | Evaluate | Save | Ending | Fault:
    """What a member wants, told the answer to what it wanted before."""
    if isinstance(answer, Fault):
        return answer
    try:
        request = member.course.send(answer)
        assert not isinstance(request, Restore)  # trials with a guard against spikes train outside packs
        return request
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    except Exception as error:  # it happened while nobody else was served, so it is this member's own
        return Fault(failure_reason(error))


def _groups(members: Sequence[Member], size: int) -> Iterator[list[Member]]:
    for start in range(0, len(members), size):
        yield list(members[start : start + size])


@contextmanager
def pack_on(
    resident: ResidentBase,
    stack: Stack,
    lowest_layer: int,
    splits: tuple[Inputs, Inputs],
    store: PrefixStore,
    precision: Precision,
    room: Room,
    way: Way,
    capture: Capture,
    ranks: Ranks,
) -> Iterator[Pack]:
    """A pack of the stack's members, who change nothing below `lowest_layer`. The base is as it was afterwards.

    `splits` are the rows to train and to evaluate on. Room and captures outlive the pack: they are those of all packs
    of one stack, one after another, as members come and go. Several `ranks` have the base in parts, every layer runs.
    """
    base = resident.base
    if holds_bfloat16(base):  # then all is brought into its format, which is quicker than autocast
        precision = "fp32"
    layout = Layout(stack.slots, splits[0].device, way.looped)
    capture.begin(stack.generation)
    with ExitStack() as undo:
        undo.enter_context(without_autocast(base))
        unpadding = way.unpadding if math.isfinite(way.unpadding) and why_padded(base, splits[0]) is None else None
        modules = undo.enter_context(updates_on(base, stack, layout))
        narrowed = False
        if lowest_layer < base.description.anatomy.layers:
            narrowed = undo.enter_context(last_layer_for_one_token(base))
        if math.isinf(way.padding):  # on a CPU a look at a mask costs nothing
            undo.enter_context(members_attend(base, layout))
        passes: tuple[Pass, Pass] | None = None
        if lowest_layer > 0 and ranks.count == 1:
            number = format_of(base)
            passes = undo.enter_context(upper_passes(resident, base.model, splits, lowest_layer, store, number))
        if passes is None:
            passes = (WholePass(base.model, splits[0]), WholePass(base.model, splits[1]))
        if unpadding is not None and not undo.enter_context(unpadded_layers(base, layout, lowest_layer, narrowed)):
            unpadding = None
        reads = (stack.structure, lowest_layer)
        staging = Staging(layout.device)
        joint = JointPass(layout, passes[0], precision, capture, staging, unpadding, reads, modules)
        yield Pack(stack, layout, passes, joint, room, way, capture, staging, ranks)
