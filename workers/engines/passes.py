"""How one split goes through the model: whole, from stored hidden states, or from the one token the head reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workers.engines.batches import EVALUATION_TOKENS, RowIndices, longest_of, side_by_side, token_budget_batches
from workers.engines.inputs import Inputs
from workers.engines.prefix import (
    PrefixInput,
    capturing,
    pooled_positions,
    pooling,
    run_until_captured,
    without_lower_layers,
)
from workers.engines.prefix_store import HiddenStates, PrefixStore
from workers.engines.resident import ResidentBase
from workers.methods.attached import logits_in
from workers.models.pooling import pooled
from workers.models.row_tasks import asks_tasks, read_by
from workers.models.token_scores import token_scores
from workers.tasks.criterion import Measure


class Pass(Protocol):
    """Runs rows of one split through the model."""

    @property
    def inputs(self) -> Inputs:
        """The split."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Positions `[rows]` that the pass computes of each row."""

    def outputs(self, rows: RowIndices) -> Tensor:
        """The head's outputs `[rows, …]` for the given rows."""


@dataclass(frozen=True)
class WholePass:
    """Every layer, from the tokens."""

    model: nn.Module
    inputs: Inputs

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Every token of each row."""
        return self.inputs.lengths

    def outputs(self, rows: RowIndices) -> Tensor:
        """The head's outputs `[rows, …]`."""
        batch = self.inputs.batch(rows)
        return text_outputs(self.model, batch, self.inputs, rows)


@dataclass(frozen=True)
class UpperPass:
    """The upper layers, from stored states of every token."""

    model: nn.Module
    inputs: Inputs
    states: HiddenStates
    entry: PrefixInput

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Every token of each row."""
        return self.inputs.lengths

    def outputs(self, rows: RowIndices) -> Tensor:
        """The head's outputs `[rows, …]`."""
        batch = self.inputs.around(rows)
        self.entry.set(_states_of(self.states, self.inputs, rows, self.inputs.place(rows)[1]))
        return text_outputs(self.model, batch, self.inputs, rows)


@dataclass(frozen=True)
class HeadPass:
    """The head alone, from the one stored state per row that it reads."""

    model: nn.Module
    inputs: Inputs
    states: HiddenStates
    entry: PrefixInput

    @property
    def lengths(self) -> NDArray[np.int64]:
        """One token of each row."""
        return np.ones_like(self.inputs.lengths)

    def outputs(self, rows: RowIndices) -> Tensor:
        """The head's outputs `[rows, …]`."""
        self.entry.set(_states_of(self.states, self.inputs, rows, 1))
        # One token per row; which one no longer matters, since its state is given.
        return self.model(**self.inputs.around(rows, one_token=True)).logits  # type: ignore[no-any-return]


def _states_of(states: HiddenStates, inputs: Inputs, rows: RowIndices, length: int) -> Tensor:
    """Stored states `[rows, length, hidden]` where the model is."""
    together = states.device.type == inputs.device.type
    index = inputs.place(rows)[0] if together else torch.from_numpy(rows)
    return states.batch(index, length).to(inputs.device)


def text_outputs(model: nn.Module, batch: dict[str, Tensor], inputs: Inputs, rows: RowIndices) -> Tensor:
    """The outputs of the text's own positions, where there is one for each: prompts stand in front of them, or of all
    but the first, which is none of the words."""
    criterion = inputs.criterion
    if criterion.scored:
        scores, frozen = token_scores(model, batch, inputs.targets(rows), inputs.wanted(rows)), inputs.frozen(rows)
        return scores if frozen is None else torch.cat([scores, frozen[..., None]], dim=-1)
    tasks = inputs.tasks(rows) if asks_tasks(model) else {}
    outputs = logits_in(model(**read_by(model, batch | tasks)))
    if criterion.pooling is not None:
        return pooled(outputs, batch["attention_mask"], criterion.pooling)
    return outputs if criterion.targets == "row" else outputs[:, -inputs.place(rows)[1] :]


def measure_in(split: Pass, batches: Iterable[RowIndices]) -> Measure:
    """The measure of a split's batches, in float32 always: what is reported must hold where it is reloaded."""
    measure = split.inputs.criterion.measure()
    for rows in batches:
        split.inputs.add_to(measure, split.outputs(rows), rows)
    return measure


def evaluation_batches(split: Pass, tokens: int = EVALUATION_TOKENS) -> list[RowIndices]:
    """All rows of a split in batches of so many `tokens` for a pass without training."""
    together, leading = split.inputs.criterion.together, split.inputs.criterion.leading
    lengths = longest_of(split.lengths, together)
    first = token_budget_batches(lengths[:leading], tokens // together)
    batches = [*first, *(rows + leading for rows in token_budget_batches(lengths[leading:], tokens // together))]
    return [side_by_side(groups, together) for groups in batches]


@contextmanager
def upper_passes(
    resident: ResidentBase,
    model: nn.Module,
    splits: tuple[Inputs, Inputs],
    layers: int,
    store: PrefixStore,
    dtype: torch.dtype,
) -> Iterator[tuple[Pass, Pass] | None]:
    """Passes for `splits` that skip the lowest `layers` (≥ 1) of the base; `model` is the base with an adapter.

    Yields None when the states have no room in the store or do not stand for the layers below. On leaving, the base has
    all of its layers again.
    """
    base = resident.base
    kind = pooling(base)
    if kind is None:  # stored states would not stand for the layers below
        yield None
        return
    head_only = layers == base.description.anatomy.layers and kind in ("first", "last")
    states = [_states(resident, inputs, layers, head_only, store, dtype) for inputs in splits]
    found = [store.near(one, splits[0].device) for one in states if one is not None]
    if len(found) < len(splits):
        yield None
        return
    make: type[HeadPass | UpperPass] = HeadPass if head_only else UpperPass
    with without_lower_layers(base, layers) as entry:
        yield make(model, splits[0], found[0], entry), make(model, splits[1], found[1], entry)


def _states(
    resident: ResidentBase,
    inputs: Inputs,
    layers: int,
    head_only: bool,
    store: PrefixStore,
    dtype: torch.dtype,
) -> HiddenStates | None:
    base, hidden_size = resident.base, resident.base.description.anatomy.hidden_size
    kind = pooling(base)
    assert kind is not None
    padding_id = base.model.config.pad_token_id

    def compute(states: HiddenStates) -> None:
        # Layer by layer, each from the stored states below it: whatever a later trial asks for, no layer runs twice.
        below = None
        if layers > 1 and store.fits(layers * int(inputs.lengths.sum()) * hidden_size * dtype.itemsize):
            below = _states(resident, inputs, layers - 1, False, store, dtype)
        with ExitStack() as undo:
            entry = None if below is None else undo.enter_context(without_lower_layers(base, layers - 1))
            captured = undo.enter_context(capturing(base, layers))
            for rows in token_budget_batches(inputs.lengths, EVALUATION_TOKENS):
                batch = inputs.batch(rows) if entry is None else inputs.around(rows)
                if below is not None and entry is not None:
                    entry.set(_states_of(below, inputs, rows, inputs.place(rows)[1]))
                told = read_by(base.model, batch | inputs.tasks(rows))
                hidden = run_until_captured(base, captured, told).to(dtype)
                if head_only:
                    every = torch.arange(len(rows), device=hidden.device)
                    hidden = hidden[every, pooled_positions(kind, batch, padding_id)][:, None]
                states.scatter(rows, hidden)

    lengths = np.ones_like(inputs.lengths) if head_only else inputs.lengths
    key = (resident.weights_hash, inputs.content_hash, f"layer {layers}", kind if head_only else "all")
    return store.get_or_compute(key, lengths, hidden_size, dtype, compute)
