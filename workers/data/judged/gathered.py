"""Queries and documents of all sources of a job, each once, under numbers. Imports no torch."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workers.data.columns import brief
from workers.data.rows import Judged, Rows
from workers.errors import InvalidInput


@dataclass
class Gathered:
    """Documents and queries under the numbers of their keys: a text, or a folder and the name that it has there.

    Splits that name the same key mean the same document.
    """

    documents: list[str] = field(default_factory=list)
    _numbers: dict[Hashable, int] = field(default_factory=dict)

    def document(self, key: Hashable, text: str) -> int:
        """The number of a document, which is new where its key is."""
        number = self._numbers.setdefault(key, len(self.documents))
        if number == len(self.documents):
            self.documents.append(text)
        return number


@dataclass
class Split:
    """The judgements of one split, by its own queries in the order in which they come.

    `listed`: whether documents of grade 0 are among them, so that a query's documents are those to be ranked. `seen`:
    documents that the split's source names. `domains` [queries], where a job tells queries apart.
    """

    queries: list[str] = field(default_factory=list)
    grades: list[dict[int, int]] = field(default_factory=list)
    listed: bool = False
    seen: set[int] = field(default_factory=set)
    domains: dict[int, str] = field(default_factory=dict)
    _numbers: dict[Hashable, int] = field(default_factory=dict)

    def query(self, key: Hashable, text: str) -> int:
        """The number of a query."""
        number = self._numbers.setdefault(key, len(self.queries))
        if number == len(self.queries):
            self.queries.append(text)
            self.grades.append({})
        return number

    def judge(self, query: int, document: int, grade: int) -> int | None:
        """Note a grade; the one that the pair has already, where that is another."""
        known = self.grades[query].setdefault(document, grade)
        self.seen.add(document)
        return None if known == grade else known

    def belongs(self, query: int, domain: str, place: str) -> None:
        """Note the domain of a query. Raises `InvalidInput` where it has another one already."""
        if (known := self.domains.setdefault(query, domain)) != domain:
            raise InvalidInput("domain", f"{brief(known)} and {brief(domain)} for one query in {place}", "one of each")

    def rows(self) -> Rows:
        """A row for each query; its target is number and grade of each judged document, one behind the other."""
        targets = np.empty(len(self.queries), dtype=object)  # made first: rows of one length would become a matrix
        targets[:] = [np.array(list(one.items()), dtype=np.int32).reshape(-1) for one in self.grades]
        domains = tuple(self.domains[query] for query in range(len(self.queries))) if self.domains else None
        return Rows(tuple(self.queries), None, targets, domains=domains)


def pairs_of(queries: Rows, documents: tuple[str, ...], trained: NDArray[np.int64], listed: bool) -> Rows:
    """A row for each judged pair of some queries as `Split.rows` gives them: query, document, and the grade."""
    grades = [dict(one.reshape(-1, 2).tolist()) for one in queries.targets]
    places = [(query, document) for query, one in enumerate(grades) for document in one]
    texts = tuple(str(text) for text in queries.texts)
    of_queries = queries.domains
    judged = Judged(
        texts, documents, tuple(grades), trained, listed, np.array(places, dtype=np.int32).reshape(-1, 2),
        domains=of_queries,
    )  # fmt: skip
    return Rows(
        tuple(texts[query] for query, _ in places),
        tuple(documents[document] for _, document in places),
        np.array([grades[query][document] for query, document in places], dtype=np.float32),
        judged,
        domains=None if of_queries is None else tuple(of_queries[query] for query, _ in places),
    )
