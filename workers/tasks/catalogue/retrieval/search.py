"""Rankings of a whole corpus in bounded memory. Needs torch.

Of the documents nothing is kept but the best of each query: a chunk of vectors is compared with all queries, and goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize, softplus

from workers.data.judged.bm25 import Bm25
from workers.data.rows import Judged
from workers.hyperparameters import Hyperparameters
from workers.tasks.catalogue.retrieval.contrast import relevant_keys
from workers.tasks.criterion import Baseline
from workers.tasks.ranking.latency import seconds_of
from workers.tasks.ranking.metrics import CONTRAST, DEPTH, Ranking, metrics_of_queries, worst_order

CHUNK = 2048
"""Documents whose vectors are held at a time."""


class Best:
    """The best documents of each query so far, and what the loss needs of all others."""

    def __init__(self, judged: Judged, queries: NDArray[np.int64]) -> None:
        self._judged, self._queries = judged, queries
        self._keys = np.array(sorted(relevant_keys(judged)), dtype=np.int64)
        self._scores = torch.full((len(queries), 0), -torch.inf, dtype=torch.float64)
        self._found = torch.zeros((len(queries), 0), dtype=torch.long)
        self._others = torch.full((len(queries),), -torch.inf, dtype=torch.float64)  # log Σ exp of what is irrelevant
        self._relevant: list[tuple[int, float]] = []  # query's place, and the logit of a relevant document

    def add(self, scores: Tensor, documents: NDArray[np.int64], scale: float) -> None:
        """Take in scores `[queries, chunk]` of some documents; `scale` makes logits of them."""
        scores = scores.double().cpu()
        keys = self._queries[:, None] * len(self._judged.documents) + documents[None]
        relevant = torch.from_numpy(np.isin(keys, self._keys))
        logits = scores * scale
        others = logits.masked_fill(relevant, -torch.inf).logsumexp(-1)
        self._others = torch.logaddexp(self._others, others)
        self._relevant += [(int(row), float(logits[row, at])) for row, at in relevant.nonzero().tolist()]
        both = torch.cat([self._scores, scores], dim=1)
        found = torch.cat([self._found, torch.from_numpy(documents).expand(len(scores), -1)], dim=1)
        self._scores, places = both.topk(min(DEPTH, both.shape[1]), dim=1)
        self._found = found.gather(1, places)

    def metrics(self) -> dict[str, float]:
        """The metrics of all queries."""
        losses = [float(softplus(self._others[row] - own)) for row, own in self._relevant]
        return metrics_of_queries(self._rankings(), self._judged) | {
            CONTRAST.name: float(np.mean(losses)) if losses else 0.0
        }

    def _rankings(self) -> Iterator[tuple[int, Ranking]]:
        for query, scores, found in zip(self._queries.tolist(), self._scores.numpy(), self._found.numpy(), strict=True):
            grades = self._judged.grades[query]
            relevant = np.array([grades.get(int(one), 0) > 0 for one in found])
            yield query, (grades, found[worst_order(scores, relevant)])


class SearchMeasure:
    """Rankings by vectors: queries come before the corpus where evaluations are whole; parts of one wait for them.

    The loss is that of the default temperature, so that trials which differ in theirs can be compared.
    """

    def __init__(self, judged: Judged, normalized: bool) -> None:
        self._judged, self._normalized = judged, normalized
        self._of_query = judged.places[:, 1] < 0
        self._queries: dict[int, Tensor] = {}
        self._waiting: list[tuple[NDArray[np.int64], Tensor]] = []
        self._best: Best | None = None

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in vectors `[rows, hidden]` and the numbers of their rows."""
        vectors = (normalize(outputs, dim=-1) if self._normalized else outputs).cpu()
        rows = targets.cpu().numpy()
        query = self._of_query[rows]
        for number, vector in zip(rows[query].tolist(), vectors[torch.from_numpy(query)], strict=True):
            self._queries[number] = vector
        if not query.all():
            documents = self._judged.places[rows[~query], 1].astype(np.int64)
            self._waiting.append((documents, vectors[torch.from_numpy(~query)]))
            self._compare(CHUNK)

    def merge(self, other: Self) -> None:
        """Take in the rows of another part, which has not seen all queries by itself."""
        self._queries |= other._queries
        self._waiting += other._waiting
        self._compare(CHUNK)

    def result(self) -> dict[str, float]:
        """The metrics of all queries."""
        self._compare(0)
        assert self._best is not None, "all queries and at least one document were seen"
        return self._best.metrics()

    def _compare(self, enough: int) -> None:
        """Compare waiting documents with the queries, where all are there and there are enough."""
        waiting = sum(len(documents) for documents, _ in self._waiting)
        if len(self._queries) < self._of_query.sum() or waiting == 0 or waiting < enough:
            return
        order = sorted(self._queries)
        if self._best is None:
            self._best = Best(self._judged, self._judged.places[order, 0].astype(np.int64))
        documents = np.concatenate([one for one, _ in self._waiting])
        vectors = torch.cat([one for _, one in self._waiting])
        self._waiting = []
        queries = torch.stack([self._queries[number] for number in order])
        for start in range(0, len(documents), CHUNK):
            part = slice(start, start + CHUNK)
            scale = 1.0 / Hyperparameters().temperature if self._normalized else 1.0
            self._best.add(queries @ vectors[part].T, documents[part], scale)


def bm25_of_corpus(judged: Judged) -> Baseline:
    """What BM25 finds in the whole corpus, and the median seconds that a query takes."""
    index = Bm25(judged.documents)
    queries = judged.places[judged.places[:, 1] < 0, 0].astype(np.int64)
    best = Best(judged, queries)
    scores = np.stack([index.scores(judged.queries[query]) for query in queries])
    best.add(torch.from_numpy(scores), np.arange(len(judged.documents)), 1.0)
    return Baseline(best.metrics(), seconds_of(index, judged))
