"""Several rows in one sequence (TRL's `packing: bfd`): each attends to itself alone and counts its own positions.

transformers tells rows apart by positions that begin anew, as long as it is given neither a mask of tokens nor a
cache: with either, rows attend to those in front of them, silently. So neither is given. Needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workers.engines.batches import RowIndices
from workers.engines.bins import best_fit_decreasing
from workers.engines.inputs import Inputs
from workers.engines.passes import Pass, UpperPass, WholePass
from workers.engines.prefix import PrefixInput
from workers.engines.prefix_store import HiddenStates
from workers.engines.transfers import to_device
from workers.models.token_scores import token_scores


@dataclass(frozen=True)
class Seating:
    """Where the tokens of some rows stand.

    Attributes:
        tokens: `[sequences, length]` places among the tokens of the split, -1 where there is none.
        positions: `[sequences, length]` of each token in its row; 0 where there is none, so that padding is apart, too.
        back: `[rows, longest]` where in the flattened sequences each row's tokens stand, -1 behind its end.
    """

    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]
    back: NDArray[np.int64]


def seat(lengths: NDArray[np.int64], starts: NDArray[np.int64], capacity: int) -> Seating:
    """Fill sequences of at most `capacity` tokens, best-fit decreasing; a longer row has one of its own.

    Args:
        lengths: `[rows]` tokens of each row.
        starts: `[rows]` place of each row's first token in the split.
        capacity: tokens of a sequence.
    """
    bins = best_fit_decreasing(lengths, capacity, 0)
    width = max(int(lengths[rows].sum()) for rows in bins)
    within = np.arange(int(lengths.max()))
    real = within < lengths[:, None]  # [rows, longest]
    first = np.empty(len(lengths), dtype=np.int64)
    for number, rows in enumerate(bins):
        first[rows] = number * width + np.cumsum(lengths[rows]) - lengths[rows]
    back = np.where(real, first[:, None] + within, -1)
    tokens, positions = np.full(len(bins) * width, -1), np.zeros(len(bins) * width, dtype=np.int64)
    tokens[back[real]] = (starts[:, None] + within)[real]
    positions[back[real]] = np.broadcast_to(within, real.shape)[real]
    return Seating(tokens.reshape(-1, width), positions.reshape(-1, width), back)


@dataclass(frozen=True)
class SequencePass:
    """Rows of a language model's split in sequences of at most `capacity` tokens, from tokens or from stored states."""

    model: nn.Module
    inputs: Inputs
    capacity: int
    stored: tuple[HiddenStates, PrefixInput] | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Every token of each row."""
        return self.inputs.lengths

    def outputs(self, rows: RowIndices) -> Tensor:
        """Scores `[rows, length, 3]` of the rows' targets, as if each row had a sequence of its own."""
        inputs = self.inputs
        seating = seat(inputs.lengths[rows], inputs.starts[rows], self.capacity)
        tokens, back = to_device(seating.tokens, inputs.device), to_device(seating.back, inputs.device)
        if self.stored is not None:
            states, entry = self.stored
            entry.set(states.at(tokens))
        batch: dict[str, Any] = {
            "input_ids": inputs.ids_at(tokens),
            "position_ids": to_device(seating.positions, inputs.device),
            "use_cache": False,
        }
        scores = token_scores(self.model, batch, inputs.targets_at(tokens)).flatten(0, 1)
        return scores[back.clamp(min=0)].where((back >= 0)[..., None], torch.zeros((), device=inputs.device))


def in_sequences(split: Pass, capacity: int) -> Pass:
    """The same pass with several rows in each sequence of `capacity` tokens; with 0, as it is."""
    match split:
        case _ if capacity == 0:
            return split
        case WholePass():
            return SequencePass(split.model, split.inputs, capacity)
        case UpperPass():
            return SequencePass(split.model, split.inputs, capacity, (split.states, split.entry))
    raise TypeError(f"a {type(split).__name__} reads one token of a row")
