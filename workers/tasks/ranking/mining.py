"""Which documents are compared with a relevant one, in training and where they are ranked. Needs bm25s."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.data.judged.bm25 import Bm25
from workers.data.rows import Judged
from workers.errors import InvalidInput

_NEAR = 5  # times as many as are wanted: the best by BM25 of which some are drawn
Group = tuple[int, int, list[int]]
"""A query, a document that is relevant to it, and documents that are not judged to be."""


@dataclass(frozen=True)
class Miner:
    """Draws documents that no judgement calls relevant: unjudged ones may be, those that are judged are left out."""

    judged: Judged
    mined: Literal["bm25", "random"]
    seed: int

    @cached_property
    def index(self) -> Bm25:
        """BM25 over what training may see."""
        return Bm25([self.judged.documents[number] for number in self.judged.trained])

    def groups(self, negatives: int) -> Iterator[Group]:
        """Every relevant pair with so many negatives: those that are judged, then mined ones.

        Raises `InvalidInput` where no document is left that is not relevant.
        """
        rng = np.random.default_rng(self.seed)
        for query, grades in enumerate(self.judged.grades):
            relevant = [one for one, grade in grades.items() if grade > 0 and self.judged.documents[one].strip()]
            if not relevant:
                continue
            named = [one for one, grade in grades.items() if grade <= 0]
            lacking = negatives - len(named)
            others = self._mined(query, _NEAR * lacking, rng) if lacking > 0 else []
            for document in relevant:
                drawn = [int(one) for one in rng.permutation(named)[:negatives]]
                drawn += [int(one) for one in rng.permutation(others)[: negatives - len(drawn)]]
                if negatives and not drawn:
                    found = f"{self.judged.queries[query]!r}, to which all documents are relevant"
                    raise InvalidInput("negatives", found, "data with documents that are not")
                yield query, document, [drawn[place % len(drawn)] for place in range(negatives)]

    def _mined(self, query: int, count: int, rng: np.random.Generator) -> list[int]:
        """Documents that are not judged: so many of the best, or any."""
        pool, grades = self.judged.trained, self.judged.grades[query]
        if self.mined == "bm25":
            places = self.index.best(self.judged.queries[query], count + len(grades))
        else:
            places = rng.permutation(len(pool))[: count + len(grades)]
        return [number for number in pool[places].tolist() if number not in grades][:count]


def candidates(judged: Judged, count: int) -> NDArray[np.int32]:
    """Pairs of query and document [pairs, 2] to be ranked: those that the source lists, else each query's best by BM25
    of all documents."""
    queries = [number for number, grades in enumerate(judged.grades) if any(grade > 0 for grade in grades.values())]
    if judged.listed:
        found = [(query, document) for query in queries for document in judged.grades[query]]
    else:
        index = Bm25(judged.documents)
        found = [(query, int(one)) for query in queries for one in index.best(judged.queries[query], count)]
    return np.array(found, dtype=np.int32).reshape(-1, 2)
