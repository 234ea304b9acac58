"""Several LoRA, LoRA+ and head-only trials in one forward and backward pass over one frozen base.

The rows of all members form one batch. Each adapted layer adds every member's low-rank update to that member's rows,
each head sees its member's rows; nothing in the model mixes rows, so losses, gradients and even a NaN stay with their
member. Optimizer, schedule, clipping and random stream are each member's own: its numbers are those of training alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from workers.engines.accumulation import weight_of
from workers.engines.batches import Rows
from workers.engines.course import Ending, Evaluate, Trained, TrainStep
from workers.engines.faults import failure_reason, is_out_of_memory
from workers.engines.inputs import Inputs
from workers.engines.one_token import last_layer_for_one_token
from workers.engines.pack_member import Member
from workers.engines.packed_layers import Layout, PackedHead, PackedLayer, Segment
from workers.engines.passes import Pass, WholePass, evaluation_batches, measure_in, upper_passes
from workers.engines.precision import Precision, computing_in
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase

# Tokens of a joint pass over the tokens of the same batches alone. On a CPU a padded token costs what a real one does.
_PADDING = 1.1


@dataclass(frozen=True)
class Fault:
    """Why a member cannot go on: what it asked for failed with nobody else in the pass."""

    reason: str


Aboard = dict[Member, TrainStep | None]
"""The members that train, and the step that each wants next (None: its course has not begun)."""


@dataclass
class Memory:
    """How many members one pass may hold. A pass that ran out of memory halves it, for as long as the pack lives."""

    members: int


class Pack:
    """Trains members together. Open it with `pack_on`."""

    def __init__(self, layout: Layout, train: Pass, validation: Pass, precision: Precision, memory: Memory) -> None:
        self._layout, self._train, self._validation = layout, train, validation
        self._precision, self._memory = precision, memory

    def run(self, aboard: Aboard, interrupted: Callable[[], bool]) -> dict[Member, Ending | Fault]:
        """Train until a member ends or `interrupted` says so. Those that ended leave `aboard` and are returned."""
        ended: dict[Member, Ending | Fault] = {}
        while aboard and not ended:
            answers = self._step({member: step for member, step in aboard.items() if step is not None})
            for member in list(aboard):
                request = self._until_step(member, answers.get(member))
                if isinstance(request, TrainStep):
                    aboard[member] = request
                    continue
                del aboard[member]
                member.optimizer.release()
                ended[member] = request
            if interrupted():
                break
        return ended

    def _until_step(self, member: Member, answer: Any) -> TrainStep | Ending | Fault:
        """Serve a member alone until it wants to train or has ended."""
        if isinstance(answer, Fault):
            return answer
        try:
            while True:
                request = member.course.send(answer)
                if isinstance(request, TrainStep):
                    return request
                answer = self._evaluate(member) if isinstance(request, Evaluate) else member.save()
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except Exception as error:  # it happened while nobody else was served, so it is this member's own
            return Fault(failure_reason(error))

    def _step(self, steps: Mapping[Member, TrainStep]) -> dict[Member, Trained | Fault]:
        """One optimizer step of every member."""
        answers: dict[Member, Trained | Fault] = {}
        for group in _groups(steps, self._memory.members):
            answers |= self._accumulate(group)
        for member, answer in answers.items():
            if isinstance(answer, Trained):
                member.optimizer.clip(member.hyperparameters.max_grad_norm)
                member.optimizer.step(steps[member].learning_rate)
            member.optimizer.clear_gradients()
        return answers

    def _accumulate(self, steps: Mapping[Member, TrainStep]) -> dict[Member, Trained | Fault]:
        """Gradients of one step of every member.

        Members whose pass fails go through in halves: a pack too big for the memory fits at last, and what fails alone
        is known as the cause and leaves the others in peace.
        """
        before = {member: member.random_state for member in steps}
        try:
            return dict(self._accumulated(steps))
        except Exception as error:
            if len(steps) == 1:
                return {member: Fault(failure_reason(error)) for member in steps}
            if is_out_of_memory(error):
                self._memory.members = min(self._memory.members, (len(steps) + 1) // 2)
        # Outside the handler, whose error holds on to the tensors of the failed pass.
        for member, state in before.items():
            member.random_state = state
            member.optimizer.clear_gradients()
        answers: dict[Member, Trained | Fault] = {}
        for group in _groups(steps, (len(steps) + 1) // 2):
            answers |= self._accumulate(group)
        return answers

    def _accumulated(self, steps: Mapping[Member, TrainStep]) -> dict[Member, Trained]:
        """Loss and share of the time of each member; the time of a pass goes by tokens."""
        losses, seconds = dict.fromkeys(steps, 0.0), dict.fromkeys(steps, 0.0)
        for turn in range(max((len(step.micro_batches) for step in steps.values()), default=0)):
            batches = {m: step.micro_batches[turn] for m, step in steps.items() if turn < len(step.micro_batches)}
            for alike in self._of_like_length(batches):
                started = time.perf_counter()
                for member, loss in self._backward(alike, steps).items():
                    losses[member] += loss
                tokens = {member: int(self._train.inputs.lengths[rows].sum()) for member, rows in alike.items()}
                per_token = (time.perf_counter() - started) / sum(tokens.values())
                for member, count in tokens.items():
                    seconds[member] += count * per_token
        return {member: Trained(losses[member], seconds[member]) for member in steps}

    def _of_like_length(self, batches: Mapping[Member, Rows]) -> Iterator[dict[Member, Rows]]:
        """Split into passes whose padding costs little: each member's batch has one length, but not the same one."""
        lengths = self._train.inputs.lengths
        group: dict[Member, Rows] = {}
        longest = own_tokens = rows_so_far = 0
        for member, rows in sorted(batches.items(), key=lambda item: -int(lengths[item[1]].max())):
            length = int(lengths[rows].max())
            if group and (rows_so_far + len(rows)) * longest > _PADDING * (own_tokens + len(rows) * length):
                yield group
                group, own_tokens, rows_so_far = {}, 0, 0
            longest = longest if group else length
            group[member] = rows
            own_tokens += len(rows) * length
            rows_so_far += len(rows)
        if group:
            yield group

    def _backward(self, batches: Mapping[Member, Rows], steps: Mapping[Member, TrainStep]) -> dict[Member, float]:
        self._layout.segments = self._segments(batches)
        with computing_in(self._precision, self._train.inputs.device.type):
            outputs = self._train.outputs(np.concatenate(list(batches.values())))
        losses = {}
        own = outputs.split([len(rows) for rows in batches.values()])
        for (member, rows), part in zip(batches.items(), own, strict=True):
            weight = weight_of(steps[member], self._train.inputs)
            losses[member] = self._train.inputs.loss(part, rows, member.hyperparameters) / weight
        values = torch.stack(list(losses.values()))
        values.sum().backward()
        return dict(zip(losses, values.tolist(), strict=True))

    def _segments(self, batches: Mapping[Member, Rows]) -> tuple[Segment, ...]:
        segments, start, lengths = [], 0, self._train.inputs.lengths
        for member, rows in batches.items():
            segments.append(Segment(member, slice(start, start + len(rows)), int(lengths[rows].max())))
            start += len(rows)
        return tuple(segments)

    @torch.no_grad()
    def _evaluate(self, member: Member) -> dict[str, float]:
        """The metrics of one member on the validation rows."""
        self._layout.segments, self._layout.training = (Segment(member, slice(None), 0),), False
        try:
            return measure_in(self._validation, evaluation_batches(self._validation)).result()
        finally:
            self._layout.training = True


def _groups(steps: Mapping[Member, TrainStep], size: int) -> Iterator[dict[Member, TrainStep]]:
    members = list(steps)
    for start in range(0, len(members), size):
        yield {member: steps[member] for member in members[start : start + size]}


@contextmanager
def pack_on(
    resident: ResidentBase,
    lowest_layer: int,
    train: Inputs,
    validation: Inputs,
    store: PrefixStore,
    precision: Precision,
    memory: Memory,
) -> Iterator[Pack]:
    """A pack whose members change nothing below `lowest_layer`. The base is whole afterwards."""
    base, layout = resident.base, Layout()
    anatomy = base.description.anatomy
    with ExitStack() as undo:
        for index, linear in base.description.linears("all", range(lowest_layer, anatomy.layers)):
            name = base.description.path(index, linear.name)
            undo.enter_context(_replaced(base.model, name, PackedLayer(base.model.get_submodule(name), name, layout)))
        for name, head in base.head_modules().items():
            undo.enter_context(_replaced(base.model, name, PackedHead(head, name, layout)))
        if lowest_layer < anatomy.layers:
            undo.enter_context(last_layer_for_one_token(base))
        passes: tuple[Pass, Pass] | None = None
        if lowest_layer > 0:
            splits = (train, validation)
            passes = undo.enter_context(upper_passes(resident, base.model, splits, lowest_layer, store, torch.float32))
        if passes is None:
            passes = (WholePass(base.model, train), WholePass(base.model, validation))
        yield Pack(layout, *passes, precision, memory)


@contextmanager
def _replaced(model: nn.Module, name: str, module: nn.Module) -> Iterator[None]:
    parent, _, child = name.rpartition(".")
    owner = model.get_submodule(parent)
    original = owner.get_submodule(child)
    setattr(owner, child, module)
    try:
        yield
    finally:
        setattr(owner, child, original)
