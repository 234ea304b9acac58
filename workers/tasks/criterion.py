"""What a task wants of its model's outputs: the loss that training lowers and the measure that evaluation reports.

Both are mergeable: a loss is a sum beside its weight, a measure adds batches and merges with others. So parts of a step
(micro-batches, members of a pack, ranks of a shard) come together exactly, however much each of them counts. Imports no
torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from workers.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from torch import Tensor

Pooling = Literal["mean", "cls", "last"]
IGNORED = -100
"""Target of a token that counts nowhere; the number is that of PyTorch and transformers."""
ROLES = 4
"""Targets of `span` tasks in a batch are bits below this number, and so many times the row's number."""
FROZEN = 3
"""Place of the untouched base's negative log-likelihood among the scores of a target, behind the model's own three."""


class Measure(Protocol):
    """Metrics of an evaluation under way. It holds counts and sums, never all outputs."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in a batch: float32 outputs `[rows, …]` of the model and its targets."""

    def merge(self, other: Self) -> None:
        """Take in what another measure of the same evaluation was given."""

    def result(self) -> dict[str, float]:
        """Metrics of all rows so far by their name in the catalogue, `loss` among them."""


class Predictions(Protocol):
    """What a model says of each row of a split, for whoever wants more than metrics."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in a batch, as a measure does."""

    def files(self) -> Mapping[str, Any]:
        """What is written as JSON, by file name."""


@dataclass(frozen=True)
class Unit:
    """What numbers a model gives: the label that they stand for is `mean` + `spread` · output."""

    mean: float = 0.0
    spread: float = 1.0


LABELS_OWN = Unit()


@dataclass(frozen=True)
class Baseline:
    """What something that needs no model reaches on a split: the task's metrics, and seconds for one answer."""

    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Criterion:
    """Loss and measure of one task on its data.

    Attributes:
        targets: whether each row or each token has a target, or each row one that its tokens tell by their roles in it;
            tokens may be `IGNORED`.
        loss: from float32 outputs, targets and the trial's hyperparameters to the loss summed over all targets.
        measure: a measure that has seen nothing.
        scored: targets are tokens of the vocabulary, and outputs are their scores `[rows, tokens, 3]` as
            `workers.models.token_scores` forms them, not logits.
        unit: of the outputs while a model trains. Targets are given to loss and measure in it; an exported adapter
            gives labels in their own.
        together: how many rows in turn are compared with each other: they stand side by side in every batch, and weigh
            one together.
        frozen: whether the untouched base's score of each target stands beside the model's, at `FROZEN`.
        pooling: how the hidden states of a row's tokens become its one vector, where these are the model's outputs.
        leading: rows, the first ones of a split, that an evaluation reads before all others.
        examples: what the metrics of a split are means over, where these are not its rows.
        by_row: whether each row weighs one in a mean loss, however many of its tokens have targets.
        units: of each output of the head, where these may have units of their own that the loss knows.
        tasks: the number of each row's task, where rows are of several.
        numbered: the rows [rows] whose targets carry the row's number, as those of `span` tasks all do; None elsewhere.
        domains: the number of each row's domain, where metrics of domains are measured beside those of all rows.
        predictions: what takes in a split's outputs once a trial has trained to its end, for files beside its adapter.
        over_tasks: where tasks are learnt one after another: from the metrics before the first and behind each so far
            to those that compare them.
        baselines: what is reached on a split without the model, by the name of the trial's method.
    """

    targets: Literal["row", "token", "span"]
    loss: Callable[[Tensor, Tensor, Hyperparameters], Tensor]
    measure: Callable[[], Measure]
    scored: bool = False
    unit: Unit = LABELS_OWN
    together: int = 1
    frozen: bool = False
    pooling: Pooling | None = None
    leading: int = 0
    examples: int | None = None
    baselines: Mapping[str, Callable[[], Baseline]] = field(default_factory=dict)
    domains: NDArray[np.int64] | None = None
    by_row: bool = False
    units: tuple[Unit, ...] = ()
    tasks: NDArray[np.int64] | None = None
    numbered: NDArray[np.bool_] | None = None
    predictions: Callable[[], Predictions] | None = None
    over_tasks: Callable[[Sequence[Mapping[str, float]]], dict[str, float]] | None = None

    def mean_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss averaged over all targets, without what regularises training."""
        by_token = self.targets == "token" and not self.by_row
        count = int((targets != IGNORED).sum()) if by_token else len(targets)
        count = count if self.together == 1 else len(targets) // self.together
        return self.loss(outputs, targets, Hyperparameters()) / max(count, 1)

    def weights(self, targets: NDArray[Any], offsets: NDArray[np.integer]) -> NDArray[np.float64]:
        """How many targets each row has, `[rows]`: what it weighs in a mean loss.

        `targets` is `[rows]` or `[tokens]`; row i has the tokens `offsets[i]` to `offsets[i + 1]`.
        """
        if self.targets != "token" or self.together > 1 or self.by_row:
            return np.full(len(offsets) - 1, 1 / self.together)
        counted = np.concatenate([[0], np.cumsum(targets != IGNORED)])
        weights: NDArray[np.float64] = np.diff(counted[offsets]).astype(np.float64)
        return weights
