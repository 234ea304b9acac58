"""From stored tokens to padded batches."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.data.tokens import Tokens
from workers.engines.batches import RowIndices, side_by_side
from workers.engines.transfers import to_device
from workers.hyperparameters import Hyperparameters
from workers.models.row_tasks import TASK_IDS
from workers.models.token_scores import wanted_places
from workers.tasks.criterion import IGNORED, LABELS_OWN, ROLES, Criterion, Measure
from workers.tasks.domains import DomainMeasure


class Inputs:
    """One split as batches for a Hugging Face model, padded on the right to the longest row of the batch.

    `criterion` says what is wanted of the model's outputs for them. Tokens and targets lie on `device`, where the model
    is: they are small, and batches are made where they are used.
    """

    _staged: tuple[RowIndices, Tensor, int, Tensor | None] | None = None

    def __init__(
        self,
        tokens: Tokens,
        padding_id: int,
        criterion: Criterion,
        device: str = "cpu",
        frozen: Tensor | None = None,
    ) -> None:
        self.device, self._tokens = torch.device(device), tokens
        self.criterion, self._frozen = criterion, None if frozen is None else frozen.to(device)
        self.lengths: NDArray[np.int64] = tokens.lengths()
        self.weights = criterion.weights(tokens.targets, tokens.offsets)
        self.starts: NDArray[np.int64] = np.array(tokens.offsets[:-1], dtype=np.int64)
        self._starts = torch.from_numpy(self.starts).to(device)
        self._lengths = torch.from_numpy(self.lengths).to(device)
        numbers = np.float32 if np.issubdtype(tokens.targets.dtype, np.floating) else np.int64
        targets = tokens.targets
        if (unit := criterion.unit) != LABELS_OWN:
            targets = (targets.astype(np.float64) - unit.mean) / unit.spread
        self._targets = torch.from_numpy(targets.astype(numbers)).to(device)
        self._ids = torch.from_numpy(np.array(tokens.input_ids, dtype=np.int64)).to(device)
        types = tokens.token_type_ids
        self._types = None if types is None else torch.from_numpy(np.array(types, dtype=np.int64)).to(device)
        self._padding_id = padding_id
        numbered = np.ones(len(self), dtype=np.bool_) if criterion.targets == "span" else criterion.numbered
        self._numbered = None if numbered is None else torch.from_numpy(numbered).to(device)
        self._values, self._scale = _on_device(tokens, device)

    def __len__(self) -> int:
        return len(self.lengths)

    def on(self, device: str) -> Inputs:
        """The same rows on `device`."""
        if torch.device(device).type == self.device.type:
            return self
        return Inputs(self._tokens, self._padding_id, self.criterion, device, self._frozen)

    def like(self, tokens: Tokens) -> Inputs:
        """Other rows to train on (nothing is measured of their domains) of the same task, in the same place."""
        return Inputs(tokens, self._padding_id, self.criterion, str(self.device))

    def beside(self, frozen: Tensor) -> Inputs:
        """The same rows with what the untouched base says of them: negative log-likelihoods `[tokens]`."""
        return Inputs(self._tokens, self._padding_id, self.criterion, str(self.device), frozen)

    def frozen(self, rows: RowIndices) -> Tensor | None:
        """The base's negative log-likelihoods `[rows, length]`, 0 where a token has no target; None without them."""
        if self._frozen is None:
            return None
        return self._of_tokens(self._frozen, rows).where(self.targets(rows) != IGNORED, 0.0)

    def groups(self, batch_size: int) -> list[RowIndices]:
        """All rows in their order, `batch_size` groups of rows that belong together at a time."""
        size = batch_size * self.criterion.together
        return [np.arange(start, min(start + size, len(self))) for start in range(0, len(self), size)]

    def batch(self, rows: RowIndices) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask` and, where the model has them, `token_type_ids`: int64 `[rows, length]`.

        Of rows that are no texts what the model makes its tokens of: float32 `[rows, …]`.
        """
        index, longest = self.place(rows)
        if self._values is not None:
            values = self._values[index.to(self._values.device)].to(self.device)
            return {self._tokens.input_name: values if self._scale is None else self._scaled(values, self._scale)}
        lengths = self._lengths[index, None]
        positions = torch.arange(longest, device=self.device).expand(len(rows), -1)
        real = positions < lengths
        flat = self._starts[index, None] + positions.where(real, 0)
        batch = {"input_ids": self._ids[flat].where(real, self._padding_id), "attention_mask": real.long()}
        if self._types is not None:
            batch["token_type_ids"] = self._types[flat].where(real, 0)
        return batch

    @staticmethod
    def _scaled(values: Tensor, scale: Tensor) -> Tensor:
        return (values - scale[0]) / scale[1]

    def labelled(self, rows: RowIndices) -> dict[str, Tensor]:
        """The batch of these rows with their targets as `labels`, and the tasks that they are of."""
        return {**self.batch(rows), **self.tasks(rows), "labels": self.targets(rows)}

    def tasks(self, rows: RowIndices) -> dict[str, Tensor]:
        """The numbers of the rows' tasks, int64 `[rows]`, by the name of the input that takes them; nothing where all
        are of one."""
        tasks = self.criterion.tasks
        return {} if tasks is None else {TASK_IDS: to_device(tasks[rows], self.device)}

    def labelled_batches(self, groups: int, seed: int) -> Iterator[dict[str, Tensor]]:
        """Labelled batches of `groups` groups of rows in random order: files may be sorted."""
        together = self.criterion.together
        order = torch.randperm(len(self) // together, generator=torch.Generator().manual_seed(seed))
        for chosen in order.split(groups):
            yield self.labelled(side_by_side(chosen.numpy(), together))

    def around(self, rows: RowIndices, one_token: bool = False) -> dict[str, Tensor]:
        """What a model is called with where stored states of `rows` stand for its embeddings: they tell masks and
        positions of texts, and of other rows nothing. With `one_token` the states are those of one position a row."""
        if self._values is not None:
            nothing = torch.zeros((), device=self.device).expand(len(rows), *self._values.shape[1:])  # takes no room
            return {self._tokens.input_name: nothing}
        if not one_token:
            return self.batch(rows)
        one = torch.ones(len(rows), 1, dtype=torch.long, device=self.device)
        return {"input_ids": one, "attention_mask": one}

    def targets(self, rows: RowIndices, length: int | None = None) -> Tensor:
        """Targets `[rows]`, or of tokens `[rows, length]`, padded with `IGNORED` to the longest row by default.

        Those of spans carry the number of their row."""
        if self.criterion.targets == "row":
            return self._targets[self.place(rows)[0]]
        found = self._of_tokens(self._targets, rows, length, IGNORED)
        if self._numbered is None:
            return found
        index = self.place(rows)[0]
        return found.where((found == IGNORED) | ~self._numbered[index, None], found + ROLES * index[:, None])

    def ids_at(self, places: Tensor) -> Tensor:
        """The tokens at `places` of the split, padding at those below 0."""
        return self._ids[places.clamp(min=0)].where(places >= 0, self._padding_id)

    def targets_at(self, places: Tensor) -> Tensor:
        """The targets of tokens at `places` of the split, `IGNORED` at those below 0."""
        return self._targets[places.clamp(min=0)].where(places >= 0, IGNORED)

    def _of_tokens(self, values: Tensor, rows: RowIndices, length: int | None = None, padding: int = 0) -> Tensor:
        """Of values `[tokens]` those of rows `[rows, length]`."""
        index, longest = self.place(rows)
        positions = torch.arange(length or longest, device=self.device).expand(len(rows), -1)
        real = positions < self._lengths[index, None]
        return values[self._starts[index, None] + positions.where(real, 0)].where(real, padding)

    @contextmanager
    def staged(self, rows: RowIndices, index: Tensor, longest: int, wanted: Tensor | None = None) -> Iterator[None]:
        """Inside, these very `rows` are taken from `index` on the device and padded to `longest` tokens; `wanted` is
        what `wanted` says of them.

        So a pass that was captured with them runs again with other rows once `index` holds these.
        """
        self._staged = (rows, index, longest, wanted)
        try:
            yield
        finally:
            self._staged = None

    def place(self, rows: RowIndices) -> tuple[Tensor, int]:
        """Row indices on the device, and the length of the batch: asked of the array, as a GPU would be waited for."""
        if self._staged is not None and self._staged[0] is rows:
            return self._staged[1:3]
        return to_device(rows, self.device), int(self.lengths[rows].max())

    def wanted(self, rows: RowIndices) -> Tensor | None:
        """Of which positions of these rows a language model's head is to form scores, as `token_scores` takes them;
        None where heads are of another kind."""
        if self._staged is not None and self._staged[0] is rows:
            return self._staged[3]
        if not self.criterion.scored:
            return None
        return to_device(self.wanted_places(rows, int(self.lengths[rows].max())), self.device)

    def wanted_places(self, rows: RowIndices, longest: int, few_counts: bool = False) -> NDArray[np.int64]:
        """The same on the host, of rows padded to `longest`."""
        positions = np.arange(longest)
        flat = self.starts[rows, None] + np.minimum(positions, self.lengths[rows, None] - 1)
        has_target = np.asarray(self._tokens.targets)[flat] != IGNORED
        return wanted_places(has_target & (positions < self.lengths[rows, None]), few_counts)

    @property
    def scale(self) -> Tensor | None:
        """Mean and spread `[2, channels, 1, 1]` of images: what the model reads is (pixel - mean) / spread."""
        return self._scale

    @property
    def scored(self) -> int:
        """Tokens whose scores the head of a language model forms; 0 for heads of another kind."""
        return int((self._targets != IGNORED).sum()) if self.criterion.scored else 0

    def weight(self, rows: RowIndices) -> float:
        """What rows together count in a mean loss."""
        return float(self.weights[rows].sum())

    def add_to(self, measure: Measure, outputs: Tensor, rows: RowIndices) -> None:
        """Let a measure of this split take in the model's outputs `[rows, …]` for these rows."""
        if isinstance(measure, DomainMeasure) and self.criterion.domains is not None:
            measure.add_of(outputs.float(), self.targets(rows), self.criterion.domains[rows])
        else:
            measure.add(outputs.float(), self.targets(rows))

    def loss(self, outputs: Tensor, rows: RowIndices, hyperparameters: Hyperparameters) -> Tensor:
        """The loss of a model's outputs `[rows, …]` for these rows, summed over their targets."""
        return self.criterion.loss(outputs.float(), self.targets(rows, outputs.shape[1]), hyperparameters)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of everything the model reads of this split (not the labels)."""
        digest = hashlib.sha256(np.ascontiguousarray(self.lengths).tobytes())
        for values in (self._ids, self._types, self._values, self._scale):
            digest.update(b"none" if values is None else values.cpu().numpy().tobytes())
        return digest.hexdigest()

    @cached_property
    def target_hash(self) -> str:
        """SHA-256 of the targets."""
        return hashlib.sha256(self._targets.cpu().numpy().tobytes()).hexdigest()


def _on_device(tokens: Tokens, device: str) -> tuple[Tensor | None, Tensor | None]:
    """Values of rows that are no texts, and the scale `[2, channels, 1, 1]` of images; values that a GPU has no room
    for stay where they are, in a file that is mapped into memory."""
    if tokens.values is None:
        return None, None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        values = torch.from_numpy(np.asarray(tokens.values))
    scale = None if tokens.scale is None else torch.from_numpy(np.array(tokens.scale))[:, :, None, None].to(device)
    if torch.device(device).type == "cuda" and 4 * values.nbytes < torch.cuda.mem_get_info()[0]:
        values = values.to(device)
    return values, scale
