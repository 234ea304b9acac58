"""One forward and backward pass of several members' rows; their losses."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.engines.batches import RowIndices
from workers.engines.passes import Pass
from workers.engines.precision import Precision, computing_in
from workers.engines.ranks import Part
from workers.engines.stacked.capture import Capture
from workers.engines.stacked.layout import Layout
from workers.engines.stacked.losses import common_numbers, differing_numbers, row_losses
from workers.engines.stacked.streams import CounterStreams
from workers.engines.stacked.unpadded import Plan, Unpadded, plan
from workers.engines.transfers import Staging
from workers.hyperparameters import Hyperparameters

_PLAN, _WANTED = "plan/", "wanted"
_BUCKET = 16  # tokens: lengths of captured passes are multiples of it, so that few shapes are captured


@dataclass(frozen=True)
class Share:
    """A member's part in a pass: its slot, its rows, what its loss is divided by, and the key of its dropout."""

    slot: int
    part: Part
    weight: float
    hyperparameters: Hyperparameters
    key: int

    @property
    def rows(self) -> RowIndices:
        """Those that run."""
        return self.part.rows


class JointPass:
    """Makes passes of the training rows.

    `unpadding` is how many positions a padded pass must have for each of one without padding to be made without; None
    where it never is. `reads` is what else captured passes depend on; `held` lives as long as these do.
    """

    def __init__(
        self,
        layout: Layout,
        split: Pass,
        precision: Precision,
        capture: Capture,
        staging: Staging,
        unpadding: float | None = None,
        reads: Hashable = None,
        held: object = None,
    ) -> None:
        self._layout, self._split, self._precision, self._capture = layout, split, precision, capture
        self._unpadding, self._reads, self._held = unpadding, reads, held
        self._staging = staging

    def gradients(self, shares: Sequence[Share]) -> Tensor:
        """Add the gradients of each member's loss to its factors; these losses `[members]`."""
        rows = arranged(self._layout, {share.slot: share.rows for share in shares}, self._split)
        if self._layout.looped:
            return self._one_by_one(rows, shares)
        trained_with = [share.hyperparameters for share in shares]
        differing = differing_numbers(trained_with)
        arrays = self._arrays(rows, shares, differing)
        longest = int(self._split.inputs.lengths[rows].max())
        if self._capture.graphs is not None:
            longest = -(-longest // _BUCKET) * _BUCKET
            self._layout.whole = bool((self._split.inputs.lengths[rows] == longest).all())
        planned = self._planned(rows, longest)
        if planned is not None:
            arrays |= {f"{_PLAN}{name}": values for name, values in planned.arrays().items()}
        if self._split.inputs.criterion.scored:
            arrays[_WANTED] = self._split.inputs.wanted_places(rows, longest, self._capture.graphs is not None)
        inputs = self._staging.send(arrays)
        key = (
            self._reads, tuple((share.slot, len(share.rows)) for share in shares), longest,
            tuple((name, value.shape) for name, value in inputs.items()), common_numbers(trained_with[0], differing),
        )  # fmt: skip
        block = 0 if planned is None else planned.block
        return self._capture.run(
            (*key, block, self._layout.whole),
            inputs,
            lambda own: self._together(rows, longest, own, len(shares), trained_with[0], block),
        )

    def loss(self, slot: int, rows: RowIndices, hyperparameters: Hyperparameters) -> Tensor:
        """The loss of one member's rows as things are, summed over their targets, in the number format of training."""
        arranged_rows = arranged(self._layout, {slot: rows}, self._split)
        with computing_in(self._precision, self._split.inputs.device.type):
            outputs = self._split.outputs(arranged_rows)
        return self._split.inputs.loss(outputs[: len(rows)], rows, hyperparameters)

    def _planned(self, rows: RowIndices, longest: int) -> Plan | None:
        """How the pass is made without padding, where that is worth it."""
        if self._unpadding is None:
            return None
        lengths = self._split.inputs.lengths[rows]
        tokens = sum(int(lengths[own][:real].sum()) for _, own, real in self._layout.stretches)
        if len(rows) * longest < self._unpadding * tokens:  # no plan has fewer positions than there are tokens
            return None
        found = plan(self._layout.stretches, lengths, longest, self._capture.graphs is not None)
        return found if len(rows) * longest >= self._unpadding * found.positions else None

    def _one_by_one(self, rows: RowIndices, shares: Sequence[Share]) -> Tensor:
        with computing_in(self._precision, self._split.inputs.device.type):
            outputs = self._split.outputs(rows)
        parts = outputs.split([len(share.rows) for share in shares])
        inputs = self._split.inputs
        losses = [
            inputs.loss(part, share.rows, share.hyperparameters) * share.part.counts / share.weight
            for part, share in zip(parts, shares, strict=True)
        ]
        return _backward(torch.stack(losses))

    def _arrays(
        self, rows: RowIndices, shares: Sequence[Share], differing: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[Any]]:
        """All that differs between passes of one shape."""
        owners = np.zeros(len(rows), dtype=np.int64)
        counted = np.zeros(len(rows), dtype=np.float32)
        keys = np.zeros((len(rows), 2), dtype=np.int64)
        for number, (segment, share) in enumerate(zip(self._layout.segments, shares, strict=True)):
            owners[segment.rows], counted[segment.rows] = number, share.part.counts / share.weight
            keys[segment.rows, 0], keys[segment.rows, 1] = share.key, share.part.numbers
        arrays: dict[str, NDArray[Any]] = {"rows": rows, "owner": owners, "share": counted, "dropout": keys}
        for name, values in differing.items():
            arrays[f"hyperparameters/{name}"] = values[owners]
        return arrays

    def _together(
        self,
        rows: RowIndices,
        longest: int,
        given: Mapping[str, Tensor],
        members: int,
        common: Hyperparameters,
        block: int,
    ) -> Tensor:
        split, streams = self._split.inputs, self._layout.streams
        arrays = {name.removeprefix(_PLAN): one for name, one in given.items() if name.startswith(_PLAN)}
        unpadded = Unpadded(block, longest=longest, **arrays) if block else None
        if isinstance(streams, CounterStreams):
            streams.rows = given["dropout"]
        staged = split.staged(rows, given["rows"], longest, given.get(_WANTED))
        with staged, self._layout.without_padding(unpadded):
            with computing_in(self._precision, split.device.type):
                outputs = self._split.outputs(rows)
            targets = split.targets(rows, outputs.shape[1])
        prefix, together = "hyperparameters/", split.criterion.together
        numbers = {name.removeprefix(prefix): one[::together] for name, one in given.items() if name.startswith(prefix)}
        each = row_losses(outputs, targets, split.criterion, common, numbers)
        # Rows that only fill a block count nothing, whatever their loss is.
        share = given["share"][::together]
        counted = torch.where(share > 0, each * share, 0.0)
        return _backward(each.new_zeros(members).index_add(0, given["owner"][::together], counted))


def arranged(layout: Layout, batches: Mapping[int, RowIndices], split: Pass) -> RowIndices:
    """The rows of a pass; the layout then knows whose they are. `batches` are by slot."""
    lengths = split.inputs.lengths
    rows = np.concatenate(list(batches.values()))
    counts = [(slot, len(own), int(lengths[own].max())) for slot, own in batches.items()]
    sources = layout.arrange(counts, split.inputs.criterion.together)
    layout.whole = bool((lengths[rows] == lengths[rows].max()).all())
    return rows if sources is None else rows[sources]


def _backward(losses: Tensor) -> Tensor:
    losses.sum().backward()
    return losses.detach()
