"""The loss of queries among documents, with what is judged relevant left out of the comparison. Needs torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from workers.data.rows import Judged
from workers.hyperparameters import Hyperparameters


class Contrast:
    """Cross-entropy of each query's document among those of its batch, or of its own group.

    Rows come in groups: a query, its document, and others that are not relevant. Documents of other groups that are
    judged relevant to a query, or are its own once more, would be false negatives: they are left out.
    """

    def __init__(self, judged: Judged, normalized: bool, in_batch: bool) -> None:
        self._size, self._normalized, self._in_batch = judged.together, normalized, in_batch
        self._places = torch.from_numpy(np.array(judged.places, dtype=np.int64))
        self._documents = len(judged.documents)
        relevant = relevant_keys(judged)
        self._relevant = torch.tensor(relevant, dtype=torch.long)

    def __call__(self, outputs: Tensor, targets: Tensor, hyperparameters: Hyperparameters) -> Tensor:
        """The loss in nats of vectors `[rows, hidden]` of whole groups, summed over the groups.

        Args:
            outputs: vectors of the rows.
            targets: their numbers in the split.
            hyperparameters: of which the temperature counts.
        """
        vectors = (normalize(outputs, dim=-1) if self._normalized else outputs).unflatten(0, (-1, self._size))
        queries, documents = vectors[:, 0], vectors[:, 1:]
        if not self._in_batch:
            scores = (queries[:, None] * documents).sum(-1)
            own = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
            return cross_entropy(scores / hyperparameters.temperature, own, reduction="sum")
        scores = queries @ documents.flatten(0, 1).T
        own = torch.arange(len(scores), device=scores.device) * (self._size - 1)
        false = self._false(targets, own)
        return cross_entropy(
            (scores / hyperparameters.temperature).masked_fill(false, -torch.inf), own, reduction="sum"
        )

    def _false(self, targets: Tensor, own: Tensor) -> Tensor:
        """Which documents `[groups, documents]` of a batch are relevant to a query, its own place aside."""
        self._places, self._relevant = self._places.to(targets.device), self._relevant.to(targets.device)
        places = self._places[targets].unflatten(0, (-1, self._size))
        keys = places[:, 0, 0, None] * self._documents + places[:, 1:, 1].flatten()[None]
        false = torch.isin(keys, self._relevant)
        return false.scatter(1, own[:, None], False)


def relevant_keys(judged: Judged) -> list[int]:
    """Query · documents + document of every relevant pair."""
    return [
        query * len(judged.documents) + document
        for query, grades in enumerate(judged.grades)
        for document, grade in grades.items()
        if grade > 0
    ]
