"""Rows of a task's data in memory. Imports neither torch nor transformers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Text = str | tuple[str, ...]
"""What a row says, or its words."""
Targets = NDArray[Any]


class Blob(str):
    """What a row is where it is no text, an image say: as a text, its name. `source` is a file or its bytes, `place`
    where a table names it, and `digest` the SHA-256 of the bytes."""

    source: Path | bytes
    place: str
    digest: str

    @classmethod
    def of(cls, name: str, source: Path | bytes, place: str, digest: str) -> Blob:
        """One with all of its parts."""
        blob = cls(name)
        blob.source, blob.place, blob.digest = source, place, digest
        return blob


@dataclass(frozen=True)
class Judged:
    """Queries, the documents that may answer them, and what people said of both.

    Attributes:
        queries: of one split.
        documents: of all splits.
        grades: of each query, the grade of each document that was judged; above 0 it is relevant.
        trained: documents that training may see, by their places.
        listed: whether the source says which documents are to be ranked for a query: those that were judged.
        places: query and document of each row [rows, 2], -1 where a row has none.
        together: rows in turn that training compares with each other; 0 where rows are only measured.
        domains: of each query, where a job tells them apart.
    """

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    grades: tuple[Mapping[int, int], ...]
    trained: NDArray[np.int64]
    listed: bool
    places: NDArray[np.int32]
    together: int = 0
    domains: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rows:
    """Texts [rows] (and second texts of pairs) with targets [rows].

    A target is the index of a class (int32), a number (float32), or for rows of words an int32 array [words]. `judged`
    is what rows of queries and documents are about; parts of such rows go without. `domains` [rows] names what rows
    are of, where a job tells them apart; `names` [rows] what they are called, where a job has names for them.
    """

    texts: tuple[Text, ...]
    pairs: tuple[str, ...] | None
    targets: Targets
    judged: Judged | None = None
    domains: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.integer]) -> Rows:
        """The rows at `indices` [n], in that order."""
        pairs = None if self.pairs is None else tuple(self.pairs[i] for i in indices)
        domains = None if self.domains is None else tuple(self.domains[i] for i in indices)
        names = None if self.names is None else tuple(self.names[i] for i in indices)
        texts = tuple(self.texts[i] for i in indices)
        return Rows(texts, pairs, self.targets[indices], domains=domains, names=names)

    def of_domain(self, name: str, wanted: bool = True) -> NDArray[np.int64]:
        """The places of a domain's rows, or of all others."""
        return np.flatnonzero([(domain == name) == wanted for domain in self.domains or ()])

    @property
    def written(self) -> bool:
        """Whether the rows are texts."""
        return not any(isinstance(text, Blob) for text in self.texts[:1])

    def contents(self) -> list[Any]:
        """What tells these rows from others, as JSON has it."""
        return [[text.digest if isinstance(text, Blob) else text for text in self.texts], self.pairs]

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add what the rows say, and their targets."""
        several = self.targets.dtype == object  # an array for each row
        digest.update(json.dumps(self.contents()).encode())
        digest.update((np.concatenate(self.targets) if several else self.targets).tobytes())
        digest.update(json.dumps([len(row) for row in self.targets]).encode() if several else b"")

    def strings(self) -> Iterator[str]:
        """Everything that is written in the rows."""
        for text in (*self.texts, *(self.pairs or ())):
            yield from (text,) if isinstance(text, str) else text


@dataclass(frozen=True)
class TaskData:
    """A task's data: names of the model's outputs in their order (of classes, say), and the splits.

    `form` is how the source writes its rows, such as `sharegpt`, for types that read several forms. `pool` are rows
    whose targets nobody knows (they are all 0), `trusted` rows that are known to be right.
    """

    labels: tuple[str, ...]
    train: Rows
    validation: Rows
    test: Rows | None
    form: str = ""
    pool: Rows | None = None
    trusted: Rows | None = None

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the labels and of what stands in every split and beside them: that these are the same data."""
        digest = hashlib.sha256(json.dumps(self.labels).encode())
        more = () if self.trusted is None else (self.trusted,)
        for rows in (self.train, self.validation, self.test, self.pool, *more):
            digest.update(b"\x00split")
            if rows is not None:
                rows.digest_into(digest)
        return digest.hexdigest()

    @property
    def in_pieces(self) -> bool:
        """Whether rows become text in pieces, of which targets say which are learnt."""
        return bool(self.form) and isinstance(next(iter(self.train.texts), ""), tuple)
