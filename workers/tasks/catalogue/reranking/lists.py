"""Losses of a relevant document beside others, and the measure of rankings. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from workers.data.judged.bm25 import Bm25
from workers.data.rows import Judged
from workers.hyperparameters import Hyperparameters
from workers.tasks.criterion import Baseline
from workers.tasks.losses import classification_loss
from workers.tasks.ranking.latency import seconds_of
from workers.tasks.ranking.metrics import CONTRAST, Ranking, metrics_of_queries, worst_order


def list_loss(
    outputs: Tensor, size: int, kind: Literal["softmax", "margin", "bce"], hyperparameters: Hyperparameters
) -> Tensor:
    """The loss of outputs `[rows, 1]` of groups of `size` rows, of which the first is relevant, summed over groups.

    `softmax`: cross-entropy of the first in nats; `margin`: mean over the others of max(0, 1 − difference); `bce`: mean
    over the rows of the binary cross-entropy.
    """
    scores = outputs.reshape(-1, size)
    if kind == "softmax":
        return classification_loss(scores, scores.new_zeros(len(scores), dtype=torch.long), hyperparameters)
    if kind == "margin":
        return (1 - scores[:, :1] + scores[:, 1:]).relu().mean(-1).sum()
    wanted = torch.zeros_like(scores)
    wanted[:, 0] = 1.0
    return binary_cross_entropy_with_logits(scores, wanted, reduction="none").mean(-1).sum()


class ListMeasure:
    """Rankings of the candidates of each query, by one number for each."""

    def __init__(self, judged: Judged) -> None:
        self._judged = judged
        self._scores = np.full(len(judged.places), np.nan)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in outputs `[rows, 1]` and the numbers of the rows."""
        self._scores[targets.cpu().numpy()] = outputs[:, 0].double().cpu().numpy()

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._scores = np.where(np.isnan(other._scores), self._scores, other._scores)

    def result(self) -> dict[str, float]:
        """The metrics of all queries; where a score is no number, so is the loss."""
        return metrics_of_queries(self._rankings(), self._judged) | {CONTRAST.name: self._loss()}

    def _rankings(self) -> Iterator[tuple[int, Ranking]]:
        for query, documents, scores, relevant in self._lists():
            yield query, (self._judged.grades[query], documents[worst_order(scores, relevant)])

    def _loss(self) -> float:
        """Mean over relevant candidates of log(1 + Σ exp(score of an irrelevant one − its own))."""
        found: list[float] = []
        for _, _, scores, relevant in self._lists():
            others = torch.from_numpy(scores[~relevant])
            if len(others):
                found += softplus(others.logsumexp(0) - torch.from_numpy(scores[relevant])).tolist()
        return float(np.mean(found)) if found else 0.0

    def _lists(self) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]]:
        """Of each query its number, its candidates, their scores, and whether they are relevant."""
        queries, documents = self._judged.places[:, 0], self._judged.places[:, 1]
        order = np.argsort(queries, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(queries[order])) + 1):
            query = int(queries[rows[0]])
            relevant = np.array([self._judged.grades[query].get(int(one), 0) > 0 for one in documents[rows]])
            yield query, documents[rows], self._scores[rows], relevant


def bm25_of_lists(judged: Judged) -> Baseline:
    """What BM25 makes of the candidates, and the median seconds that a query takes."""
    index = Bm25(judged.documents)
    scores = {int(query): index.scores(judged.queries[query]) for query in np.unique(judged.places[:, 0])}
    measure = ListMeasure(judged)
    found = torch.tensor([[float(scores[query][document])] for query, document in judged.places.tolist()])
    measure.add(found, torch.arange(len(found)))
    return Baseline(measure.result(), seconds_of(index, judged))
