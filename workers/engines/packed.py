"""Several LoRA, LoRA+ and head-only trials in one forward and backward pass over one frozen base.

The rows of all members form one batch. Each adapted layer adds every member's low-rank update to that member's rows,
each head sees its member's rows; nothing in the model mixes rows, so losses, gradients and even a NaN stay with their
member. Optimizer, schedule, clipping and random stream are each member's own: its numbers are those of training alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, dropout

from workers.engines.batches import Rows, token_budget_batches
from workers.engines.course import Course, Ending, Evaluate, TrainStep, in_row_order
from workers.engines.faults import is_out_of_memory
from workers.engines.flat_adamw import FlatAdamW
from workers.engines.inputs import Inputs
from workers.engines.one_token import last_layer_for_one_token
from workers.engines.passes import EVALUATION_TOKENS, Pass, WholePass, upper_passes
from workers.engines.precision import Precision, computing_in
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.hyperparameters import Hyperparameters

# Tokens of a joint pass over the tokens of the same batches alone. On a CPU a padded token costs what a real one does.
_PADDING = 1.1


@dataclass(frozen=True)
class LowRank:
    """One adapted layer of one member: adds scale · dropout(x) Aᵀ Bᵀ. `a` is [rank, in], `b` is [out, rank]."""

    a: nn.Parameter
    b: nn.Parameter
    scale: float
    dropout: float


@dataclass(eq=False)
class Member:
    """One trial of a pack.

    Attributes:
        course: what the trial wants next.
        parameters: everything it trains, by name.
        updates: its low-rank updates by the full name of the layer they sit on.
        heads: its head's parameters by the full name of the head module, then by name inside it.
        random_state: state of its random stream (dropout), a uint8 tensor.
        rate_factors: multiples of the learning rate by parameter name.
    """

    course: Course
    hyperparameters: Hyperparameters
    parameters: Mapping[str, nn.Parameter]
    updates: Mapping[str, LowRank]
    heads: Mapping[str, Mapping[str, nn.Parameter]]
    random_state: Tensor
    rate_factors: Mapping[str, float]
    optimizer: FlatAdamW = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = FlatAdamW(self.parameters, self.hyperparameters.weight_decay, self.rate_factors)

    def save(self) -> dict[str, Tensor]:
        """What continuing needs, under the names that the other engines use."""
        return self.optimizer.save() | {"random/cpu": self.random_state}

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what any engine saved."""
        self.optimizer.load(saved)
        self.random_state = saved["random/cpu"]

    def mask(self, shape: tuple[int, ...], probability: float) -> Tensor:
        """A dropout mask from the member's own random stream, as training alone would draw it."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.random_state)
            mask = dropout(torch.ones(shape), probability, training=True)
            self.random_state = torch.get_rng_state()
        return mask


@dataclass(frozen=True)
class _Segment:
    """The rows of one member in the current batch; `length` is what they would be padded to alone."""

    member: Member
    rows: slice
    length: int


class _Layout:
    """Who owns which rows of the current batch."""

    def __init__(self) -> None:
        self.segments: tuple[_Segment, ...] = ()
        self.training = True


class _PackedLayer(nn.Module):
    """A frozen layer that adds each member's update to its rows."""

    def __init__(self, original: nn.Module, name: str, layout: _Layout) -> None:
        super().__init__()
        self.original, self._name, self._layout = original, name, layout

    def forward(self, x: Tensor) -> Tensor:
        whole = self.original(x)
        if not any(self._name in segment.member.updates for segment in self._layout.segments):
            return whole  # type: ignore[no-any-return]
        return torch.cat([self._updated(segment, x, whole) for segment in self._layout.segments])

    def _updated(self, segment: _Segment, x: Tensor, whole: Tensor) -> Tensor:
        update, own = segment.member.updates.get(self._name), whole[segment.rows]
        if update is None:
            return own
        inputs = x[segment.rows].to(update.a.dtype)
        if self._layout.training and update.dropout > 0:
            inputs = inputs * self._mask(segment, inputs, update.dropout)
        return own + inputs @ update.a.T @ update.b.T * update.scale

    @staticmethod
    def _mask(segment: _Segment, inputs: Tensor, probability: float) -> Tensor:
        rows, length, features = inputs.shape
        mask = segment.member.mask((rows, segment.length, features), probability)
        if length <= segment.length:  # the last layer may be narrowed to one token
            return mask[:, :length]
        return torch.cat([mask, mask.new_ones(rows, length - segment.length, features)], dim=1)


class _PackedHead(nn.Module):
    """A head module of which every member has its own."""

    def __init__(self, original: nn.Module, name: str, layout: _Layout) -> None:
        super().__init__()
        self.original, self._name, self._layout = original, name, layout

    def forward(self, x: Tensor) -> Tensor:
        parts = [
            functional_call(self.original, dict(segment.member.heads[self._name]), (x[segment.rows],))
            for segment in self._layout.segments
        ]
        return torch.cat(parts)


class Pack:
    """Trains members together. Open it with `pack_on`."""

    def __init__(self, layout: _Layout, train: Pass, validation: Pass, precision: Precision) -> None:
        self._layout, self._train, self._validation, self._precision = layout, train, validation, precision

    def run(self, members: list[Member], refill: Callable[[], Member | None]) -> Iterator[tuple[Member, Ending]]:
        """Train until nobody is left; yields members as they end. `refill` may give another for each that left."""
        active: dict[Member, TrainStep] = {}
        arriving = list(members)
        while active or arriving:
            answers: dict[Member, float | None] = {**dict.fromkeys(arriving), **self._step(active)}
            arriving = []
            for member, answer in answers.items():
                request = self._until_step(member, answer)
                if isinstance(request, TrainStep):
                    active[member] = request
                    continue
                active.pop(member, None)
                member.optimizer.release()
                yield member, request
                if (following := refill()) is not None:
                    arriving.append(following)

    def _until_step(self, member: Member, answer: Any) -> TrainStep | Ending:
        """Serve a member alone until it wants to train or has ended."""
        while True:
            try:
                request = member.course.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if isinstance(request, TrainStep):
                return request
            answer = self._evaluate(member) if isinstance(request, Evaluate) else member.save()

    def _step(self, steps: Mapping[Member, TrainStep]) -> dict[Member, float]:
        """One optimizer step of every member; the mean loss of each."""
        losses = self._accumulate(steps)
        for member, step in steps.items():
            member.optimizer.clip(member.hyperparameters.max_grad_norm)
            member.optimizer.step(step.learning_rate)
            member.optimizer.clear_gradients()
        return losses

    def _accumulate(self, steps: Mapping[Member, TrainStep]) -> dict[Member, float]:
        """Gradients of one step of every member. A pack too big for the memory goes through in halves."""
        before = {member: member.random_state for member in steps}
        losses = dict.fromkeys(steps, 0.0)
        try:
            for turn in range(max((len(step.micro_batches) for step in steps.values()), default=0)):
                batches = {m: step.micro_batches[turn] for m, step in steps.items() if turn < len(step.micro_batches)}
                for alike in self._of_like_length(batches):
                    for member, loss in self._backward(alike, steps).items():
                        losses[member] += loss
        except (MemoryError, RuntimeError) as error:
            if len(steps) == 1 or not is_out_of_memory(error):
                raise
        else:
            return losses
        for member, state in before.items():
            member.random_state = state
            member.optimizer.clear_gradients()
        members, half = list(steps), len(steps) // 2
        return {
            **self._accumulate({member: steps[member] for member in members[:half]}),
            **self._accumulate({member: steps[member] for member in members[half:]}),
        }

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
        with computing_in(self._precision):
            logits = self._train.logits(np.concatenate(list(batches.values()))).float()
        losses = {}
        for segment in self._layout.segments:
            rows = batches[segment.member]
            share = len(rows) / sum(len(micro) for micro in steps[segment.member].micro_batches)
            losses[segment.member] = share * cross_entropy(
                logits[segment.rows],
                self._train.inputs.targets(rows),
                label_smoothing=segment.member.hyperparameters.label_smoothing,
            )
        torch.stack(list(losses.values())).sum().backward()
        return {member: loss.item() for member, loss in losses.items()}

    def _segments(self, batches: Mapping[Member, Rows]) -> tuple[_Segment, ...]:
        segments, start, lengths = [], 0, self._train.inputs.lengths
        for member, rows in batches.items():
            segments.append(_Segment(member, slice(start, start + len(rows)), int(lengths[rows].max())))
            start += len(rows)
        return tuple(segments)

    @torch.no_grad()
    def _evaluate(self, member: Member) -> NDArray[np.float32]:
        """Validation logits `[rows, classes]` of one member, in float32."""
        self._layout.segments, self._layout.training = (_Segment(member, slice(None), 0),), False
        batches = token_budget_batches(self._validation.inputs.lengths, EVALUATION_TOKENS)
        logits = [self._validation.logits(rows).float() for rows in batches]
        self._layout.training = True
        return in_row_order(torch.cat(logits), batches)


@contextmanager
def pack_on(
    resident: ResidentBase,
    layers: tuple[str, ...],
    lowest_layer: int,
    train: Inputs,
    validation: Inputs,
    store: PrefixStore,
    precision: Precision = "fp32",
) -> Iterator[Pack]:
    """A pack over the layers of the given full names, all in or above `lowest_layer`. The base is whole afterwards."""
    base, layout = resident.base, _Layout()
    with ExitStack() as undo:
        for name in layers:
            undo.enter_context(_replaced(base.model, name, _PackedLayer(base.model.get_submodule(name), name, layout)))
        for name, head in base.head_modules().items():
            undo.enter_context(_replaced(base.model, name, _PackedHead(head, name, layout)))
        if lowest_layer < base.description.anatomy.layers:
            undo.enter_context(last_layer_for_one_token(base))
        passes = None
        if lowest_layer > 0:
            splits = (train, validation)
            passes = undo.enter_context(upper_passes(resident, base.model, splits, lowest_layer, store, torch.float32))
        if passes is None:
            passes = (WholePass(base.model, train), WholePass(base.model, validation))
        yield Pack(layout, *passes, precision)


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
