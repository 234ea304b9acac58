"""What a task's loss reads of a model for a batch. Needs torch."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from workers.methods.attached import Batch, logits_of
from workers.models.pooling import pooled
from workers.models.token_scores import labelled_scores
from workers.tasks.criterion import Criterion


def outputs_of(criterion: Criterion) -> Callable[[nn.Module, Batch], Tensor]:
    """From a model and a batch to outputs `[rows, …]`: scores of labels, vectors of rows, or logits."""
    if criterion.scored:
        return labelled_scores
    pooling = criterion.pooling
    if pooling is None:
        return logits_of
    return lambda model, batch: pooled(logits_of(model, batch), batch["attention_mask"], pooling)
